//! Data of the program's own whose drop panics, and a backend whose every method does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use automation_assistant::together::{Answer, Together, Want};
use automation_assistant::{
    AdmissionControl, AdmissionPolicy, AiBackend, AutomationAssistantManager, AutomationHelper,
    CallContext, Error, ErrorKind, Fallback, FnTool, HelperConfig, Observe, Reply, Task, TaskError,
    TaskId, TaskRequest, Tool,
};
use serde_json::{Value, json};

use crate::support::{LONG, until};

/// Panics when it is dropped.
struct Bad;

impl Drop for Bad {
    fn drop(&mut self) {
        panic!("planted in a drop");
    }
}

/// Makes its caller hold on to the value.
fn hold(bad: &Bad) {
    let _ = bad;
}

/// Answers at once; or, where the prompt says so, once it is cancelled.
struct Backend;

impl AiBackend for Backend {
    fn name(&self) -> &str {
        "Backend"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        // A hook that is withdrawn without having run: only its drop is left.
        let bad = Bad;
        drop(call.cancel().on_cancel(move || hold(&bad)));
        if call.prompt() == "stay" {
            call.pause(LONG)?;
        }
        Ok(Reply::new("answer"))
    }
}

fn bad_tool(name: &str) -> impl Tool + use<> {
    let bad = Bad;
    FnTool::new(name, "", json!({}), move |_: &Value| {
        hold(&bad);
        Ok(String::new())
    })
}

type Bring = fn(TaskRequest) -> TaskRequest;

fn bring_on_done(request: TaskRequest) -> TaskRequest {
    let bad = Bad;
    request.on_done(move |_| hold(&bad))
}

fn bring_on_text(request: TaskRequest) -> TaskRequest {
    let (bad, other) = (Bad, Bad);
    request.on_text(move |_| hold(&bad)).on_reasoning(move |_| hold(&other))
}

fn bring_tools(request: TaskRequest) -> TaskRequest {
    request.tool(bad_tool("one")).tool(bad_tool("other"))
}

fn bring_all(request: TaskRequest) -> TaskRequest {
    bring_tools(bring_on_text(bring_on_done(request)))
}

/// The parts of a request, and how many of its drops panic.
const BRINGS: [(u64, Bring); 4] =
    [(1, bring_on_done), (2, bring_on_text), (2, bring_tools), (5, bring_all)];

type End = fn(&AutomationHelper, TaskId);

/// How a task may end: its prompt, what becomes of it, and what is done to it.
const ENDS: [(&str, Option<ErrorKind>, End); 6] = [
    ("x", None, |helper, id| {
        helper.start().unwrap();
        helper.wait_task(id, LONG).unwrap();
    }),
    ("stay", Some(ErrorKind::Cancelled), |helper, id| assert!(helper.cancel_task(id))),
    ("stay", Some(ErrorKind::Cancelled), |helper, id| {
        runs(helper);
        assert!(helper.cancel_task(id));
    }),
    ("late", Some(ErrorKind::Timeout), |helper, id| {
        until("it is late", || helper.get_task_result(id).is_some());
    }),
    ("stay", Some(ErrorKind::Terminated), |helper, _| helper.stop()),
    ("stay", Some(ErrorKind::Cancelled), |helper, _| {
        runs(helper);
        helper.stop();
    }),
];

fn runs(helper: &AutomationHelper) {
    helper.start().unwrap();
    until("it runs", || helper.get_status().active_tasks == 1);
}

#[test]
fn a_panic_in_a_drop_is_counted_and_changes_no_outcome() {
    for (row, (prompt, kind, end)) in ENDS.into_iter().enumerate() {
        for (panics, bring) in BRINGS {
            let config = HelperConfig::local();
            let helper = AutomationHelper::builder(config).backend(Backend).build().unwrap();
            let mut request = bring(TaskRequest::new(prompt));
            if prompt == "late" {
                request = request.deadline(Duration::from_millis(1));
            }
            let id = helper.submit_task(request).unwrap();
            end(&helper, id);
            let task = helper.get_task_result(id).unwrap();
            assert_eq!(task.error.map(|error| error.kind()), kind, "{row}");
            let others = match helper.start() {
                // The only thread lives.
                Ok(()) => {
                    let next = helper.submit_task(bring_all("next".into())).unwrap();
                    assert!(helper.wait_task(next, LONG).unwrap().is_success(), "{row}");
                    5
                }
                Err(_) => 0,
            };
            helper.stop();
            let report = helper.get_status();
            assert_eq!(report.callback_panics, panics + others, "{row}");
            assert_eq!((report.threads, report.unjoined_threads), (0, 0), "{row}");
        }
    }
}

#[test]
fn a_stop_loses_no_task_to_a_panic_in_a_drop() {
    const TASKS: usize = 50;
    let manager = AutomationAssistantManager::new(1);
    let id = manager.spawn_helper_with(HelperConfig::local(), Backend).unwrap();
    let helper = manager.get_helper(id).unwrap();
    let ids: Vec<_> =
        (0..TASKS).map(|_| helper.submit_task(bring_all("stay".into())).unwrap()).collect();
    until("one runs", || helper.get_status().active_tasks == 1);
    manager.terminate_all();
    let ended = |id: &TaskId| -> Task { helper.get_task_result(*id).unwrap() };
    assert!(ids.iter().map(ended).all(|task| task.error.is_some()));
    let report = helper.get_status();
    assert_eq!((report.threads, report.completed_tasks), (0, TASKS as u64));
    assert_eq!(report.callback_panics, 5 * TASKS as u64);
}

#[test]
fn a_request_that_is_refused_or_never_submitted_does_no_harm() {
    drop(bring_all("never submitted".into()));
    let twice = bring_all(bring_all("the second ones take the place of the first".into()));
    drop(twice.clone());
    drop(twice);
    let helper = AutomationHelper::new(HelperConfig::local().queue_capacity(1)).unwrap();
    assert!(matches!(helper.submit_task(bring_all("".into())), Err(Error::InvalidRequest(_))));
    assert_eq!(helper.get_status().callback_panics, 5);
    helper.submit_task("x").unwrap();
    drop(helper.submit_task(bring_all("queue full".into())).unwrap_err());
    helper.stop();
    drop(helper.submit_task(bring_all("stopped".into())).unwrap_err());
}

#[test]
fn a_call_over_several_helpers_outlives_the_drops_of_its_callbacks() {
    let manager = AutomationAssistantManager::new(2);
    let ids = [0; 2].map(|_| manager.spawn_helper_with(HelperConfig::local(), Backend).unwrap());
    let (bad, other) = (Bad, Bad);
    let both =
        Together::new(&manager).on_text(move |_, _| hold(&bad)).on_answer(move |_| hold(&other));
    let request = bring_all("x".into());
    assert!(
        both.clone().fan_out(&ids, &request, Want::All).unwrap().iter().all(Answer::is_success)
    );
    assert_eq!(both.batch(&ids, &[bring_all("y".into())]).unwrap().len(), 1);
    drop(both);
    let fallback = Fallback::new(ids);
    let report = fallback.run(&Together::new(&manager), &bring_all("z".into())).unwrap();
    assert_eq!(report.text(), Some("answer"));
}

struct BadBackend {
    _bad: Bad,
}

impl AiBackend for BadBackend {
    fn name(&self) -> &str {
        "Bad"
    }

    fn process(&self, _: &CallContext<'_>) -> Result<Reply, TaskError> {
        Ok(Reply::new("x"))
    }

    fn stop_grace(&self) -> Duration {
        panic!("planted")
    }

    fn leaves_device(&self) -> bool {
        panic!("planted")
    }
}

struct Nameless;

impl AiBackend for Nameless {
    fn name(&self) -> &str {
        panic!("planted")
    }

    fn process(&self, _: &CallContext<'_>) -> Result<Reply, TaskError> {
        Ok(Reply::new("x"))
    }
}

struct BadObserver {
    _bad: Bad,
}

impl Observe for BadObserver {}

#[test]
fn backends_and_observers_are_fenced_in_from_their_name_to_their_drop() {
    let observer = || Arc::new(BadObserver { _bad: Bad });
    let backend = || BadBackend { _bad: Bad };
    let builder = AutomationAssistantManager::builder().observer(observer()).observer(observer());
    drop(builder);
    let builder = AutomationAssistantManager::builder().observer(observer()).observer(observer());
    let manager = builder.max_helpers(1).build().unwrap();
    let error = manager.spawn_helper_with(HelperConfig::local(), Nameless).unwrap_err();
    assert!(matches!(&error, Error::InvalidConfig(why) if why.contains("name")), "{error:?}");
    let id = manager.spawn_helper_with(HelperConfig::local(), backend()).unwrap();
    let refused = manager.spawn_helper_with(HelperConfig::local(), backend());
    assert!(matches!(refused, Err(Error::MaxHelpers { .. })));
    // One that does not say is taken to leave the device.
    let control = AdmissionControl::new(AdmissionPolicy::new()).local_helper(id);
    assert!(matches!(control.submit(&manager, id, "x"), Err(Error::InvalidConfig(_))));
    let helper = manager.get_helper(id).unwrap();
    manager.terminate_all();
    let report = helper.get_status();
    assert_eq!((report.threads, report.unjoined_threads), (0, 0));
    // Asked for leaves_device twice, once for stop_grace, and dropped.
    assert_eq!(report.callback_panics, 4);
    drop((manager, helper));
    let config = HelperConfig::local;
    drop(AutomationHelper::builder(config()).backend(backend()).observer(observer()));
    let bad_config = config().queue_capacity(0);
    assert!(AutomationHelper::builder(bad_config).backend(backend()).build().is_err());
}

#[test]
fn a_thread_that_unwinds_may_drop_all_of_it() {
    let unwinds = catch_unwind(AssertUnwindSafe(|| {
        let manager = AutomationAssistantManager::builder()
            .observer(Arc::new(BadObserver { _bad: Bad }))
            .build()
            .unwrap();
        let id =
            manager.spawn_helper_with(HelperConfig::local(), BadBackend { _bad: Bad }).unwrap();
        manager.submit_task(id, bring_all("x".into())).unwrap();
        let _never_started = AutomationHelper::new(HelperConfig::local()).unwrap();
        _never_started.submit_task(bring_all("x".into())).unwrap();
        let _unsubmitted = bring_all("x".into());
        panic!("planted");
    }));
    assert!(unwinds.is_err());
}

/// A panic's payload whose drop panics, with a payload whose drop panics.
struct Matryoshka(u8);

impl Drop for Matryoshka {
    fn drop(&mut self) {
        if self.0 > 0 {
            std::panic::panic_any(Matryoshka(self.0 - 1));
        }
    }
}

struct Exploding;

impl AiBackend for Exploding {
    fn name(&self) -> &str {
        "Exploding"
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        if call.prompt() == "boom" {
            std::panic::panic_any(Matryoshka(3));
        }
        call.send_text(call.prompt())?;
        Ok(Reply::new("answer"))
    }
}

#[test]
fn a_payload_that_goes_on_panicking_ends_no_thread() {
    let manager = AutomationAssistantManager::new(1);
    let helper = manager.spawn_with(HelperConfig::local(), Exploding).unwrap();
    let panics = |_: &str| -> () { std::panic::panic_any(Matryoshka(3)) };
    let tasks = [
        TaskRequest::new("boom"),
        TaskRequest::new("text").on_text(panics),
        TaskRequest::new("done").on_done(|_| std::panic::panic_any(Matryoshka(3))),
    ];
    for request in tasks {
        let id = helper.submit_task(request).unwrap();
        helper.wait_task(id, LONG).unwrap();
    }
    assert!(helper.ask("after it").unwrap().is_success());
}
