//! Secrets in the core: backends that panic or quote, queues that refuse, handles and reports.

use std::sync::Mutex;

use automation_assistant::{
    AiBackend, AutomationAssistantManager, AutomationHelper, CallContext, Error, ErrorKind,
    Fallback, FnTool, HelperConfig, HelperId, Reply, Stage, TaskError, TaskRequest, Together, Tool,
};
use serde_json::json;

use super::{
    CONTEXT, KEY, PROMPT, REPLY, SYSTEM, TOOL, Watch, request, search, search_debug, search_task,
};
use crate::support::{FnBackend, LONG, gate};

fn manager(watch: &Watch) -> AutomationAssistantManager {
    AutomationAssistantManager::builder()
        .telemetry(watch.telemetry.clone())
        .observer(watch.shown.clone())
        .build()
        .unwrap()
}

/// A careless backend, which quotes its request everywhere.
fn careless(call: &CallContext<'_>) -> Result<Reply, TaskError> {
    search_debug(call);
    let prompt = call.prompt();
    match call.request().get_context()["case"].as_u64() {
        Some(0) => panic!("cannot do {prompt} with {KEY}"),
        Some(1) => std::panic::panic_any(prompt.to_owned()),
        Some(2) => Err(TaskError::new(ErrorKind::Server, "it failed").with_partial(REPLY)),
        Some(3) => Err(TaskError::new(ErrorKind::Server, "it failed").with_code(&"x".repeat(99))),
        Some(4) => {
            call.send_text(REPLY)?;
            Ok(Reply::new("x".repeat(2000)))
        }
        _ => {
            call.send_text(REPLY)?;
            let reply = Reply::new(REPLY);
            search_debug(&reply);
            Ok(reply)
        }
    }
}

fn search_manager(manager: &AutomationAssistantManager, helper: HelperId) {
    search_debug(manager);
    let handle = manager.get_helper(helper).unwrap();
    search_debug(&handle);
    for report in manager.get_all_helpers_status() {
        search_debug(&report);
        search("a status report", &serde_json::to_string(&report).unwrap());
    }
}

#[test]
fn what_backends_and_callbacks_do_gives_nothing_away() {
    let watch = Watch::new("core");
    let manager = manager(&watch);
    let config = HelperConfig::local().system_prompt(SYSTEM).max_reply_bytes(1000).api_key(KEY);
    search_debug(&config);
    let helper = manager.spawn_helper_with(config, FnBackend(careless)).unwrap();
    for case in 0..6 {
        for (delivered, done) in [(false, false), (true, false), (false, true)] {
            let request = request()
                .context("case", case)
                .on_text(move |text| assert!(!delivered, "delivered {text}"))
                .on_done(move |task| assert!(!done, "got {:?} for {}", task.result, task.prompt));
            let id = manager.submit_task(helper, request).unwrap();
            let task = manager.wait_task(helper, id, LONG).unwrap();
            assert_eq!(task.error.is_none(), case == 5 && !delivered, "case {case}: {task:?}");
            search_task(&task);
            let fault = task.parse_result::<u32>().unwrap_err();
            search_debug(&fault);
            search("a parse error", &fault.to_string());
        }
    }
    search_manager(&manager, helper);
    drop(manager);
    watch.search();
}

#[test]
fn requests_that_come_back_and_helpers_that_stop_give_nothing_away() {
    let watch = Watch::new("refused");
    let manager = manager(&watch);
    let (backend, keeper) = gate();
    let config = HelperConfig::local().queue_capacity(1).max_prompt_bytes(200);
    let helper = manager.spawn_helper_with(config, backend).unwrap();
    let running = manager.submit_task(helper, request()).unwrap();
    keeper.next();
    let queued = manager.submit_task(helper, request()).unwrap();
    let check = |error: Error| {
        search_debug(&error);
        search("an error", &error.to_string());
        search_debug(&error.into_request());
    };
    check(manager.submit_task(helper, request()).unwrap_err());
    check(manager.submit_task(helper, PROMPT.repeat(20)).unwrap_err());
    check(manager.submit_task(helper, request().timeout(std::time::Duration::ZERO)).unwrap_err());
    let handle = manager.get_helper(helper).unwrap();
    keeper.go.send(()).unwrap();
    manager.terminate_all();
    for id in [running, queued] {
        search_task(&handle.wait_task(id, LONG).unwrap());
    }
    check(handle.submit_task(request()).unwrap_err());
    search_debug(&handle);
    drop(manager);
    watch.search();
}

#[test]
fn helpers_together_give_nothing_away() {
    let watch = Watch::new("together");
    let manager = manager(&watch);
    let fails = FnBackend(|_: &CallContext<'_>| -> Result<Reply, TaskError> {
        Err(TaskError::new(ErrorKind::Server, "it failed").with_partial(REPLY))
    });
    let says = FnBackend(|call: &CallContext<'_>| {
        call.send_text(REPLY)?;
        Ok(Reply::new(REPLY))
    });
    let bad = manager.spawn_helper_with(HelperConfig::local(), fails).unwrap();
    let good = manager.spawn_helper_with(HelperConfig::local(), says).unwrap();
    let speeches = std::sync::Arc::new(Mutex::new(String::new()));
    let delivered = std::sync::Arc::clone(&speeches);
    let together = Together::new(&manager)
        .on_text(move |_, speech| delivered.lock().unwrap().push_str(&format!("{speech:?}")));
    search_debug(&together);
    search_debug(&together.race(&[bad, good], &request()).unwrap());
    search_debug(&together.fan_out(&[bad, good], &request(), automation_assistant::Want::All));
    search_debug(&together.batch(&[good], &[request(), request()]));
    let stage = Stage::new(good, request()).context_key(CONTEXT);
    search_debug(&Stage::new(good, request()));
    search_debug(&together.pipeline(vec![stage, Stage::new(bad, request())]));
    let fallback = Fallback::new([bad, good]);
    search_debug(&fallback);
    search_debug(&fallback.run(&together, &request()));
    assert!(!speeches.lock().unwrap().is_empty());
    search("what was said, shown for debugging", &speeches.lock().unwrap());
    drop(together);
    drop(manager);
    watch.search();
}

#[test]
fn types_that_hold_texts_do_not_show_them() {
    let tool = FnTool::new("t", TOOL, json!({"description": TOOL}), |_| Ok(TOOL.to_owned()));
    search_debug(&tool);
    let tool: std::sync::Arc<dyn Tool> = std::sync::Arc::new(tool);
    search_debug(&tool);
    let request = request()
        .shared_tool(tool)
        .custom_param("user", PROMPT)
        .reply_schema("name", json!({"description": PROMPT}));
    search_debug(&request);
    search_debug(&request.clone());
    let turn = automation_assistant::Turn::user(super::TURN);
    search_debug(&turn);
    let config = HelperConfig::chatgpt()
        .api_key(KEY)
        .system_prompt(SYSTEM)
        .custom_param("user", PROMPT)
        .api_endpoint(format!("http://user:{KEY}@127.0.0.1/v1?key={KEY}"));
    search_debug(&config);
    search_debug(&AutomationHelper::builder(config.clone()));
    search_debug(&automation_assistant::AutomationAssistantManager::builder());
    // The endpoint itself is refused, without a word of what it holds.
    let error = AutomationHelper::new(config).unwrap_err();
    search_debug(&error);
    search("an error", &error.to_string());
}

#[test]
fn configurations_that_are_refused_do_not_show_their_key() {
    let texts = [
        json!({"backend_type": "chatgpt", "api_key": [KEY]}),
        json!({"backend_type": "chatgpt", "api_key": {"key": KEY}}),
        json!({"backend_type": "chatgpt", "api_key": KEY, "max_retries": "many"}),
        json!({"backend_type": "chatgpt", "max_retries": KEY}),
        json!({"backend_type": KEY}),
        json!({"backend_type": "chatgpt", "timeout_seconds": KEY}),
        json!({"backend_type": "chatgpt", "custom_params": KEY}),
        json!({"backend_type": "chatgpt", "allow_insecure_http": KEY}),
        json!([KEY]),
    ];
    let mut texts: Vec<_> = texts.iter().map(ToString::to_string).collect();
    texts.push(format!("{{\"api_key\": \"{KEY}\" \"model\""));
    texts.push(format!("{{\"api_key\": \"{KEY}"));
    for text in texts {
        let fault = serde_json::from_str::<HelperConfig>(&text).unwrap_err();
        search("a configuration's error", &format!("{fault} {fault:?}"));
    }
    for key in [format!("{KEY}\nx"), format!("\u{e4}{KEY}"), format!("{KEY}\u{0}")] {
        let error = AutomationHelper::new(HelperConfig::chatgpt().api_key(key)).unwrap_err();
        search_debug(&error);
        search("an error", &error.to_string());
    }
}

/// A backend whose name is hostile: names stand in telemetry lines and reports.
struct Named(&'static str);

impl AiBackend for Named {
    fn name(&self) -> &str {
        self.0
    }

    fn process(&self, _: &CallContext<'_>) -> Result<Reply, TaskError> {
        Err(TaskError::new(ErrorKind::Other, "\"}\n{\"event\":\"task_complete\",\"success\":true}"))
    }
}

#[test]
fn names_and_errors_cannot_forge_lines() {
    let watch = Watch::new("forge");
    let manager = manager(&watch);
    let name = "x\",\"success\":true}\n{\"event\":\"task_complete\",\"run_id\":\"r\"}\n";
    let helper = manager.spawn_helper_with(HelperConfig::local(), Named(name)).unwrap();
    let id = manager.submit_task(helper, TaskRequest::new("p")).unwrap();
    manager.wait_task(helper, id, LONG).unwrap();
    drop(manager);
    let lines = crate::telemetry::lines(watch.telemetry.path());
    let ends = crate::telemetry::events(&lines, "task_complete");
    assert_eq!(ends.len(), 1);
    assert_eq!((&ends[0]["backend"], &ends[0]["success"]), (&name.into(), &false.into()));
    watch.search();
}
