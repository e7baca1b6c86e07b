//! A helper in hand: spawning one, asking it, looking up its tasks.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use automation_assistant::{
    AutomationAssistantManager, AutomationHelper, CallContext, Error, ErrorKind, Event, EventKind,
    HelperConfig, HelperStatus, Observe, Reply, TaskError, TaskLookup, TaskRequest,
};

use crate::support::{FnBackend, LONG, echo, gate};

#[test]
fn a_spawned_helper_is_the_managers_and_outlives_its_handle() {
    let manager = AutomationAssistantManager::new(2);
    let helper = manager.spawn(HelperConfig::local().name("a")).unwrap();
    let id = helper.helper_id();
    assert!(manager.get_helper(id).is_some_and(|known| known.name() == "a"));
    drop(helper);
    let task = manager.submit_task(id, "still there").unwrap();
    assert!(manager.wait_task(id, task, LONG).unwrap().is_success());

    let own = FnBackend(|call: &CallContext<'_>| Ok(Reply::new(call.prompt().to_uppercase())));
    let second = manager.spawn_with(HelperConfig::local(), own).unwrap();
    assert_eq!(second.ask("loud").unwrap().result.as_deref(), Some("LOUD"));
    let refused = manager.spawn(HelperConfig::local()).unwrap_err();
    assert!(matches!(refused, Error::MaxHelpers { max: 2 }), "{refused}");

    manager.terminate_helper(second.helper_id()).unwrap();
    assert_eq!(second.status(), HelperStatus::Terminated);
    let stopped = second.ask("too late").unwrap_err();
    assert!(matches!(stopped, Error::Stopped(_)), "{stopped}");
}

#[test]
fn asking_waits_for_the_tasks_own_end_and_takes_its_result() {
    let helper = echo(HelperConfig::local());
    let done = helper.ask("hello").unwrap();
    assert_eq!(done.result.as_deref(), Some("Local Response: Echo of 'hello'"));
    assert!(matches!(helper.look_up(done.task_id), TaskLookup::Unknown));
    assert_eq!(helper.get_status().kept_results, 0);
    let slow = TaskRequest::new("slow").custom_param("latency_ms", 60_000);
    let failed = helper.ask(slow.timeout(Duration::from_millis(20))).unwrap();
    assert_eq!(failed.error.unwrap().kind(), ErrorKind::Timeout);
    let empty = helper.ask(" ").unwrap_err();
    assert!(matches!(empty, Error::InvalidRequest(_)), "{empty}");
}

#[test]
fn asking_ends_at_a_deadline_that_passes_in_the_queue() {
    let manager = AutomationAssistantManager::new(1);
    let (backend, keeper) = gate();
    let helper = manager.spawn_with(HelperConfig::local().queue_capacity(1), backend).unwrap();
    helper.submit_task("holds the thread").unwrap();
    keeper.next();
    let late = helper.ask(TaskRequest::new("x").deadline(Duration::from_millis(20))).unwrap();
    assert_eq!((late.error.unwrap().kind(), late.attempts), (ErrorKind::Timeout, 0));
    helper.submit_task("fills the queue").unwrap();
    let full = helper.ask("queue full").unwrap_err();
    assert_eq!(full.into_request().unwrap().prompt(), "queue full");
    drop(keeper);
}

/// The request that a refusal of `ask` gives back, and its reason.
fn refusal(asked: Result<automation_assistant::Task, Error>) -> (String, String) {
    let error = asked.unwrap_err();
    let why = error.to_string();
    assert!(matches!(error, Error::CannotWait { .. }), "{error:?}");
    (error.into_request().unwrap().prompt().to_owned(), why)
}

#[test]
fn asking_is_refused_where_it_might_wait_for_ever() {
    let helper = AutomationHelper::new(HelperConfig::local()).unwrap();
    let (prompt, why) = refusal(helper.ask("not started"));
    assert!(prompt == "not started" && why.contains("start"), "{why}");

    // On the helper's own thread, in its backend and in a callback.
    let manager = AutomationAssistantManager::new(2);
    let other = manager.spawn(HelperConfig::local()).unwrap();
    let own = Arc::new(OnceLock::<AutomationHelper>::new());
    let (send, refused) = channel();
    let (asker, sender) = (Arc::clone(&own), Mutex::new(send.clone()));
    let backend = FnBackend(move |_: &CallContext<'_>| {
        sender.lock().unwrap().send(asker.wait().ask("from the backend")).unwrap();
        // Another helper may be asked.
        let answer = other.ask("from a backend").unwrap();
        Ok::<_, TaskError>(Reply::new(answer.result.unwrap()))
    });
    let helper = manager.spawn_with(HelperConfig::local(), backend).unwrap();
    own.set(helper.clone()).unwrap();
    let within = helper.clone();
    let request = TaskRequest::new("x").on_done(move |_| {
        send.send(within.ask("from a callback")).unwrap();
    });
    let done = helper.ask(request).unwrap();
    assert_eq!(done.result.as_deref(), Some("Local Response: Echo of 'from a backend'"));
    let mut prompts = [(); 2].map(|()| refusal(refused.recv_timeout(LONG).unwrap()).0);
    prompts.sort();
    assert_eq!(prompts, ["from a callback", "from the backend"]);
}

/// Asks a helper at the start of another one.
struct AsksAtSpawn(AutomationHelper, Mutex<Option<Result<automation_assistant::Task, Error>>>);

impl Observe for AsksAtSpawn {
    fn on_event(&self, event: &Event<'_>) {
        if event.kind() == EventKind::HelperSpawn {
            *self.1.lock().unwrap() = Some(self.0.ask("from an observer"));
        }
    }
}

#[test]
fn asking_is_refused_in_an_observer() {
    let observer = Arc::new(AsksAtSpawn(echo(HelperConfig::local()), Mutex::new(None)));
    let helper =
        AutomationHelper::builder(HelperConfig::local()).observer(observer.clone()).build();
    helper.unwrap().start().unwrap();
    let asked = observer.1.lock().unwrap().take().unwrap();
    assert_eq!(refusal(asked).0, "from an observer");
}

#[test]
fn a_look_up_distinguishes_the_five_states() {
    let manager = AutomationAssistantManager::new(1);
    let (backend, keeper) = gate();
    let helper = manager.spawn_with(HelperConfig::local().max_results(1), backend).unwrap();
    let tasks = ["a", "b", "c"].map(|prompt| helper.submit_task(prompt).unwrap());
    let states = || {
        let of_both = tasks.map(|task| (helper.look_up(task), manager.look_up(task)));
        of_both.map(|(own, of_manager)| {
            assert_eq!(own.as_str(), of_manager.as_str());
            own.to_string()
        })
    };
    keeper.next();
    assert_eq!(states(), ["running", "queued", "queued"]);
    keeper.go.send(()).unwrap();
    keeper.next();
    assert_eq!(states(), ["finished", "running", "queued"]);
    let found = helper.look_up(tasks[0]).finished().unwrap();
    assert_eq!(found.result.as_deref(), Some("a"));
    keeper.go.send(()).unwrap();
    keeper.next();
    assert_eq!(states(), ["dropped", "finished", "running"]);
    assert!(helper.take_task_result(tasks[1]).is_some());
    assert_eq!(states(), ["dropped", "unknown", "running"]);
    keeper.go.send(()).unwrap();
    helper.wait_task(tasks[2], LONG).unwrap();
    // Of another helper, and of one that is unknown.
    let of_nobody = AutomationHelper::new(HelperConfig::local()).unwrap().submit_task("x").unwrap();
    assert!(matches!(manager.look_up(of_nobody), TaskLookup::Unknown));
    assert!(matches!(helper.look_up(of_nobody), TaskLookup::Unknown));
}
