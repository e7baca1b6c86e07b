//! What happens when the system has no more to give: threads, memory, files, stack.
//!
//! The child processes are this test binary itself under the limits of a shell. Faults that
//! need a tracer are in `tests/faults.sh`.
#![cfg(target_os = "linux")]

use std::process::{Command, Stdio};

/// Tells a child what to do.
const CHILD_WORK: &str = "AA_TEST_RESOURCE";

/// Runs a child under limits that a shell sets; gives what it printed. It must end well.
fn under(limits: &str, work: &str) -> String {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{limits}; exec \"$@\""), "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "resources::child", "--nocapture", "--ignored", "--test-threads=1"])
        .env(CHILD_WORK, work)
        // One arena: its address space would count against a limit on that.
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(Stdio::null());
    let output = shell.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{work}: {}\n{told}\n{complained}", output.status);
    assert!(told.contains("1 passed"), "{told}");
    told
}

/// What children do.
#[test]
#[ignore = "no test by itself: the child process of those beside it"]
fn child() {
    let Ok(work) = std::env::var(CHILD_WORK) else { return };
    match work.as_str() {
        #[cfg(feature = "http")]
        "deep" => http::deep(),
        other => panic!("no such work: {other}"),
    }
}

#[cfg(feature = "http")]
mod http {
    use automation_assistant::{
        AutomationAssistantManager, FnTool, HelperConfig, MIN_STACK_BYTES, Task, TaskRequest,
    };
    use serde_json::{Value, json};

    use super::under;
    use crate::support::LONG;
    use crate::support::server::{Act, Server, answer, delta, stop};

    /// As deep as serde_json reads, less what stands around it.
    const DEPTH: usize = 118;

    fn nested(depth: usize) -> Value {
        (0..depth).fold(
            json!(1),
            |inner, n| if n % 2 == 0 { json!([inner]) } else { json!({"a": inner}) },
        )
    }

    #[test]
    fn the_least_stack_bears_json_as_deep_as_it_is_read() {
        under("true", "deep");
    }

    /// Everything that comes from foreign hands as deep as it can be, on the least stack.
    pub(super) fn deep() {
        let text = nested(DEPTH).to_string();
        let wants = |arguments: Value| {
            let calls = json!([{"id": "1", "function": {"name": "deep", "arguments": arguments}}]);
            json!({"choices": [{"message": {"tool_calls": calls}}]}).to_string()
        };
        let streamed =
            format!("{}data: {{\"choices\":[],\"extra\":{text}}}\n\n{}", delta("a"), stop());
        let script = vec![
            // Unknown fields, known fields of another kind, errors.
            Act::read(),
            Act::json(200, &format!("{{\"extra\":{text},{}", &answer("x")[1..])),
            Act::read(),
            Act::json(200, &format!("{{\"choices\":[{{\"message\":{{\"content\":{text}}}}}]}}")),
            Act::read(),
            Act::json(500, &format!("{{\"error\":{{\"message\":{text},\"code\":{text}}}}}")),
            // Tools: arguments as text and as JSON, then the way back to the model.
            Act::read(),
            Act::json(200, &wants(json!(text))),
            Act::read(),
            Act::json(200, &wants(nested(DEPTH))),
            Act::read(),
            Act::json(200, &answer("done")),
            Act::read(),
            Act::stream_head(),
            Act::write(streamed),
        ];
        let server = Server::start([script]);
        let manager = AutomationAssistantManager::new(1);
        let config = HelperConfig::chatgpt()
            .api_endpoint(server.base())
            .api_key("k")
            .max_retries(0)
            .stack_bytes(MIN_STACK_BYTES);
        let helper = manager.spawn_helper(config).unwrap();
        let ask = |request: TaskRequest| -> Task {
            let id = manager.submit_task(helper, request).unwrap();
            manager.wait_task(helper, id, LONG).unwrap()
        };
        let request = || TaskRequest::new("p").context("deep", nested(DEPTH));
        assert!(ask(request()).is_success());
        ask(request());
        assert!(!ask(request()).is_success());
        let tool = FnTool::new("deep", "", nested(DEPTH), |value| Ok(value.to_string()));
        assert_eq!(ask(request().tool(tool)).result.as_deref(), Some("done"));
        assert_eq!(ask(request().on_text(|_| {})).result.as_deref(), Some("a"));
    }
}
