//! The values that a custom backend reads from its call.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use automation_assistant::{
    AiBackend, AutomationAssistantManager, BackendType, CallContext, ErrorKind, FnTool,
    HelperConfig, Reply, Task, TaskError, TaskRequest,
};
use serde_json::json;

use crate::support::{FnBackend, LONG, one_helper, until};

/// Answers with all facts of its call, one line each.
struct DescribesCall;

impl AiBackend for DescribesCall {
    fn name(&self) -> &str {
        "Describes"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        let tool = |name: &str, arguments| format!("{:?}", call.run_tool(name, arguments));
        let lines = [
            format!("{:?}", call.param("temperature").map(ToString::to_string)),
            format!("{:?}", call.param("seed").map(ToString::to_string)),
            format!("{:?}", call.param("stop").map(ToString::to_string)),
            format!("{:?} {}", call.max_output_tokens(), call.max_tool_rounds()),
            tool("echo", r#"{"a":1}"#),
            tool("echo", ""),
            tool("echo", r#"{"long":"0123456789"}"#),
            tool("echo", "7"),
            tool("breaks", "{}"),
            tool("nope", "{}"),
        ];
        Ok(Reply::new(lines.join("\n")))
    }
}

fn description(config: HelperConfig, request: TaskRequest) -> Vec<String> {
    let manager = AutomationAssistantManager::new(1);
    let helper = manager.spawn_helper_with(config, DescribesCall).unwrap();
    let task = manager.submit_task(helper, request).unwrap();
    let Task { result, .. } = manager.wait_task(helper, task, Duration::from_secs(30)).unwrap();
    result.unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_call_knows_its_parameters_and_runs_its_tools() {
    let echo = FnTool::new("echo", "", json!({}), |arguments| Ok(arguments.to_string()));
    let breaks = FnTool::new("breaks", "", json!({}), |_| panic!("on purpose"));
    let config = HelperConfig::new(BackendType::Custom)
        .custom_param("temperature", 0.5)
        .custom_param("seed", 7)
        .max_output_tokens(10)
        .max_tool_rounds(3)
        .max_tool_output_bytes(12);
    let request = TaskRequest::new("describe")
        .custom_param("temperature", 1)
        .max_output_tokens(20)
        .tool(std::sync::Arc::new(echo))
        .tool(breaks);
    let cut = "[cut: the output was longer]";
    let expected = [
        r#"Some("1")"#.to_owned(),
        r#"Some("7")"#.to_owned(),
        "None".to_owned(),
        "Some(20) 3".to_owned(),
        r#"Ok("{\"a\":1}")"#.to_owned(),
        r#"Ok("{}")"#.to_owned(),
        format!(r#"Ok("{{\"long\":\"012 {cut}")"#),
        format!(r#"Err("error: the a {cut}")"#),
        format!(r#"Err("error: the t {cut}")"#),
        format!(r#"Err("error: there {cut}")"#),
    ];
    assert_eq!(description(config.clone(), request), expected);
    let plain = description(config, TaskRequest::new("describe"));
    assert_eq!((plain[0].as_str(), plain[3].as_str()), (r#"Some("0.5")"#, "Some(10) 3"));
}

/// A callback's end.
type Ending = fn() -> ControlFlow<()>;

/// How a request's callback ends its task, and as what.
const ENDINGS: [(Ending, ErrorKind); 2] = [
    (|| ControlFlow::Break(()), ErrorKind::Cancelled),
    (|| panic!("planted"), ErrorKind::Panicked),
];

#[test]
fn a_backend_that_goes_on_after_its_callback_has_ended_the_task_makes_no_success_of_it() {
    let refused = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&refused);
    let backend = FnBackend(move |call: &CallContext<'_>| {
        // Neither an error nor a panic of the callback is passed on.
        let sent = || catch_unwind(AssertUnwindSafe(|| call.send_text("one")));
        let second_is_refused = (sent(), sent()).1.is_ok_and(|sent| sent.is_err());
        counted.fetch_add(usize::from(call.check().is_err()), Ordering::Relaxed);
        match call.prompt() {
            "fails" => Err(TaskError::new(ErrorKind::Server, "planted")),
            _ => Ok(Reply::new(second_is_refused.to_string())),
        }
    });
    let (manager, helper) = one_helper(HelperConfig::local(), backend);
    let ask = |request| manager.get_helper(helper).unwrap().ask(request).unwrap();
    for (end, kind) in ENDINGS {
        for prompt in ["succeeds", "fails"] {
            let calls = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&calls);
            let request = TaskRequest::new(prompt).on_text_control(move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
                end()
            });
            let error = ask(request).error.unwrap();
            assert_eq!((error.kind(), error.partial()), (kind, Some("one")), "{prompt}");
            assert_eq!(calls.load(Ordering::Relaxed), 1, "the callback is not called again");
        }
    }
    let each = 2 * ENDINGS.len();
    assert_eq!(refused.load(Ordering::Relaxed), each, "`check` fails, too");
    let plain = ask(TaskRequest::new("no callback"));
    assert_eq!(refused.load(Ordering::Relaxed), each);
    assert_eq!(plain.result.as_deref(), Some("false"));
}

#[test]
fn a_hook_whose_guard_is_forgotten_ends_with_its_task() {
    let (fired, hooks) = channel();
    let fired = Mutex::new(fired);
    let backend = FnBackend(move |call: &CallContext<'_>| {
        let (prompt, fired) = (call.prompt().to_owned(), fired.lock().unwrap().clone());
        std::mem::forget(call.cancel().on_cancel(move || fired.send(prompt).unwrap()));
        if call.prompt() == "second" {
            call.pause(LONG)?;
        }
        Ok(Reply::new("x"))
    });
    let (manager, helper) = one_helper(HelperConfig::local(), backend);
    let helper = manager.get_helper(helper).unwrap();
    assert!(helper.ask("first").unwrap().is_success());
    let second = helper.submit_task("second").unwrap();
    until("it runs", || helper.get_status().active_tasks == 1);
    assert!(helper.cancel_task(second));
    drop((manager, helper));
    assert!(hooks.iter().all(|prompt| prompt == "second"));
}
