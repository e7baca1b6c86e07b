//! Exhausted resources of the system: threads, memory, files, stack.
//!
//! The child processes are this test binary itself under the limits of a shell. Faults that
//! need a tracer are in `tests/faults.sh`.
#![cfg(target_os = "linux")]

use std::process::{Command, Stdio};
use std::time::Instant;

use automation_assistant::{AutomationAssistantManager, Error, HelperConfig};

use crate::support::{LONG, this_program};

/// Names a child's part.
const CHILD_WORK: &str = "AA_TEST_RESOURCE";

/// Runs a child under limits that a shell sets; gives what it printed. It must end well.
fn under(limits: &str, work: &str) -> String {
    let mut shell = Command::new("sh");
    let this = this_program();
    shell
        .args(["-c", &format!("{limits}; exec \"$@\""), "sh"])
        .arg(this.get_program())
        .args(this.get_args())
        .args(["--exact", "resources::child", "--nocapture", "--ignored", "--test-threads=1"])
        .env(CHILD_WORK, work)
        // One arena: its address space would count against a limit on that.
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(Stdio::null());
    let output = shell.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{work}: {}\n{printed}\n{complained}", output.status);
    assert!(printed.contains("1 passed"), "{printed}");
    printed
}

/// The children's parts.
#[test]
#[ignore = "no test by itself: the child process of those beside it"]
fn child() {
    let Ok(work) = std::env::var(CHILD_WORK) else { return };
    match work.as_str() {
        "threads" => threads_are_refused(),
        "address_space" => address_space_is_short(),
        #[cfg(feature = "http")]
        "deep" => http::deep(),
        #[cfg(feature = "http")]
        "files" => http::files_are_short(),
        other => panic!("no such work: {other}"),
    }
}

/// Threads and files of this process.
fn held() -> (usize, usize) {
    let count = |path| std::fs::read_dir(path).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

/// Waits until the system lists no more than was held before.
fn settle(before: (usize, usize)) {
    let since = Instant::now();
    while held() != before && since.elapsed() < LONG {
        std::thread::yield_now();
    }
    assert_eq!(held(), before);
}

fn answers(manager: &AutomationAssistantManager) {
    let helper = manager.spawn_helper(HelperConfig::local()).unwrap();
    let id = manager.submit_task(helper, "still there").unwrap();
    assert!(manager.wait_task(helper, id, LONG).unwrap().is_success());
    manager.terminate_helper(helper).unwrap();
}

/// A helper of threads that do not all get a stack: an error, and nothing is left behind.
fn address_space_is_short() {
    /// More than fits the limit that the parent sets, but not at the first thread.
    const STACK: usize = 100 << 20;
    let manager = AutomationAssistantManager::new(2);
    answers(&manager);
    let before = held();
    for _ in 0..20 {
        let config = HelperConfig::local().max_concurrent_tasks(16).stack_bytes(STACK);
        match manager.spawn_helper(config) {
            Err(Error::Io { what, .. }) => assert!(what.contains("starting thread"), "{what}"),
            other => panic!("16 stacks of {STACK} bytes: {other:?}"),
        }
        assert_eq!(manager.helper_count(), 0);
    }
    settle(before);
    // One such thread fits: the failed ones have freed their address space.
    let config = HelperConfig::local().stack_bytes(STACK);
    let helper = manager.spawn_helper(config).unwrap();
    let id = manager.submit_task(helper, "p").unwrap();
    assert!(manager.wait_task(helper, id, LONG).unwrap().is_success());
    answers(&manager);
}

#[test]
fn a_helper_whose_threads_cannot_start_is_an_error_and_leaves_nothing() {
    // KiB: enough for a handful of the child's stacks of 100 MiB.
    under("ulimit -v 800000", "address_space");
}

/// Run by `tests/faults.sh` under a tracer that refuses the third thread and all after it.
fn threads_are_refused() {
    let manager = AutomationAssistantManager::new(40);
    let mut refused = 0;
    for _ in 0..20 {
        let before = held();
        match manager.spawn_helper(HelperConfig::local().max_concurrent_tasks(4)) {
            Ok(helper) => manager.terminate_helper(helper).unwrap(),
            Err(Error::Io { what, source }) => {
                assert!(what.contains("starting thread"), "{what}");
                assert_eq!(source.raw_os_error(), Some(11), "EAGAIN: {source}");
                refused += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
        assert_eq!(manager.helper_count(), 0);
        settle(before);
    }
    println!("refused {refused}");
    assert!(refused > 0, "the tracer refused nothing");
}

#[cfg(feature = "http")]
mod http {
    use automation_assistant::{
        AutomationAssistantManager, ErrorKind, FnTool, HelperConfig, MIN_STACK_BYTES, Task,
        TaskRequest,
    };
    use serde_json::{Value, json};

    use super::{held, settle, under};
    use crate::support::LONG;
    use crate::support::server::{Act, Server, answer, answers, delta, stop};

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

    #[test]
    fn a_call_without_a_free_file_fails_and_the_helper_goes_on() {
        let server = Server::start([answers("fine")]);
        let printed =
            under(&format!("export AA_TEST_BASE={}; ulimit -n 8", server.base()), "files");
        assert!(printed.contains("refused 3"), "{printed}");
        assert_eq!(server.finish().len(), 1);
    }

    /// Eight files: with all of them in use there is none for a connection.
    pub(super) fn files_are_short() {
        let manager = AutomationAssistantManager::new(1);
        let config = HelperConfig::chatgpt()
            .api_endpoint(std::env::var("AA_TEST_BASE").unwrap())
            .api_key("k")
            .max_retries(0);
        let helper = manager.spawn_helper(config).unwrap();
        let ask = || {
            let id = manager.submit_task(helper, "p").unwrap();
            manager.wait_task(helper, id, LONG).unwrap()
        };
        let before = held();
        let taken: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
        assert!(!taken.is_empty() && taken.len() < 8, "{}", taken.len());
        for _ in 0..3 {
            let task = ask();
            let kind = task.error.as_ref().map(automation_assistant::TaskError::kind);
            assert_eq!(kind, Some(ErrorKind::Network), "without a file: {task:?}");
            let why = task.error.unwrap().to_string();
            assert!(why.contains("open files") && !why.contains("the server said"), "{why}");
        }
        println!("refused 3");
        drop(taken);
        assert_eq!(ask().result.as_deref(), Some("fine"));
        manager.terminate_all();
        settle((before.0 - 1, before.1));
    }
}
