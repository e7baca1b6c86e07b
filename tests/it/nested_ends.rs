//! Ends that callbacks and observers cause: any number of them, on a flat stack.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use automation_assistant::{
    AutomationAssistantManager, AutomationHelper, ErrorKind, Event, HelperConfig, Observe, TaskId,
    TaskRequest, TaskState,
};

use crate::support::{GateKeeper, LONG, gate, until};

/// More ends than fit a stack, should they nest: of the 2 MiB of a test, 104 bytes are for each.
const MANY: usize = 20_000;

/// Many tasks that wait, each of which ends others when it has ended.
struct Chain {
    /// Nothing where the helper was never started.
    manager: Mutex<Option<AutomationAssistantManager>>,
    helper: AutomationHelper,
    ids: OnceLock<Vec<TaskId>>,
    called: AtomicUsize,
}

/// A callback, given its place in the chain.
type Link = fn(&Chain, usize);

impl Chain {
    /// With a helper that was never started, or one whose only thread the gate keeps.
    fn new(gated: bool, deadline: Option<Duration>, link: Link) -> (Arc<Self>, Keep) {
        let config = HelperConfig::local().queue_capacity(MANY).max_results(MANY + 1);
        let (manager, helper, keep) = if gated {
            let (backend, keeper) = gate();
            let manager = AutomationAssistantManager::new(1);
            let id = manager.spawn_helper_with(config, backend).unwrap();
            let helper = manager.get_helper(id).unwrap();
            helper.submit_task("plug").unwrap();
            keeper.next();
            (Some(manager), helper, Some(keeper))
        } else {
            (None, AutomationHelper::new(config).unwrap(), None)
        };
        let (ids, called) = (OnceLock::new(), AtomicUsize::new(0));
        let chain = Arc::new(Self { manager: Mutex::new(manager), helper, ids, called });
        let submit = |n| {
            let own = Arc::clone(&chain);
            let mut request = TaskRequest::new("x").on_done(move |_| {
                own.called.fetch_add(1, Ordering::SeqCst);
                link(&own, n);
            });
            if let Some(deadline) = deadline {
                request = request.deadline(deadline);
            }
            chain.helper.submit_task(request).unwrap()
        };
        chain.ids.set((0..MANY).map(submit).collect()).unwrap();
        (chain, keep)
    }

    fn id(&self, n: usize) -> Option<TaskId> {
        self.ids.get().unwrap().get(n).copied()
    }

    fn next(&self, n: usize) -> Option<TaskId> {
        self.id(n + 1)
    }

    fn others(&self) -> &[TaskId] {
        &self.ids.get().unwrap()[1..]
    }

    /// Every task has ended, as far as this goes, and every one is called back once.
    fn all_are_called_back(&self, keep: Keep, kind: ErrorKind) {
        match keep {
            Some(keeper) => keeper.go.send(()).unwrap(),
            None => self.helper.stop(),
        }
        // As long as they go on: 100,000 take a minute on an emulated processor under load.
        let called = || self.called.load(Ordering::SeqCst);
        while called() < MANY {
            let before = called();
            until("callbacks go on", || called() > before);
        }
        for &id in self.others() {
            let error = self.helper.take_task_result(id).unwrap().error.unwrap();
            assert_eq!(error.kind(), kind);
        }
        self.helper.stop();
        assert_eq!(self.called.load(Ordering::SeqCst), MANY, "once");
    }
}

type Keep = Option<GateKeeper>;

#[test]
fn ends_that_callbacks_cause_need_no_stack_whatever_their_number() {
    let links: [(ErrorKind, Link); 4] = [
        (ErrorKind::Cancelled, |chain, n| {
            chain.next(n).map(|next| chain.helper.cancel_task(next));
        }),
        // All or nothing.
        (ErrorKind::Cancelled, |chain, n| {
            if n == 0 {
                assert!(chain.others().iter().all(|&id| chain.helper.cancel_task(id)));
            }
        }),
        (ErrorKind::Terminated, |chain, _| chain.helper.stop()),
        (ErrorKind::Terminated, |chain, _| drop(chain.manager.lock().unwrap().take())),
    ];
    for gated in [false, true] {
        for (number, (kind, link)) in links.into_iter().enumerate() {
            let (chain, keep) = Chain::new(gated, None, link);
            assert!(chain.helper.cancel_task(chain.id(0).unwrap()), "{number}");
            chain.all_are_called_back(keep, kind);
        }
    }
}

#[test]
fn deadlines_that_callbacks_find_over_need_no_stack_either() {
    let looks: [Link; 3] = [
        |chain, n| {
            chain.next(n).map(|next| chain.helper.task_state(next));
        },
        |chain, n| {
            chain.next(n).map(|next| chain.helper.wait_task(next, LONG).unwrap());
        },
        |chain, _| assert_eq!(chain.helper.get_status().queued_tasks, 0),
    ];
    for gated in [false, true] {
        for look in looks {
            let (chain, keep) = Chain::new(gated, Some(Duration::ZERO), look);
            assert_eq!(chain.helper.task_state(chain.id(0).unwrap()), Some(TaskState::Finished));
            if !gated {
                // No callback has run: the one who stops the helper runs them.
                assert_eq!(chain.called.load(Ordering::SeqCst), 0);
                assert_eq!(chain.helper.get_status().waiting_callbacks, MANY);
            }
            chain.all_are_called_back(keep, ErrorKind::Timeout);
        }
    }
}

/// Cancels the task after the one whose end it sees.
struct CancelsNext(OnceLock<(AutomationHelper, Vec<TaskId>)>);

impl Observe for CancelsNext {
    fn on_event(&self, event: &Event<'_>) {
        let Some((helper, ids)) = self.0.get() else { return };
        let place = event.task_id().and_then(|id| ids.binary_search(&id).ok());
        if let Some(&next) = place.and_then(|place| ids.get(place + 1)) {
            assert!(helper.cancel_task(next));
        }
    }
}

#[test]
fn ends_that_an_observer_causes_come_when_it_has_returned() {
    let observer = Arc::new(CancelsNext(OnceLock::new()));
    let config = HelperConfig::local().queue_capacity(MANY).max_results(MANY);
    let helper = AutomationHelper::builder(config).observer(observer.clone()).build().unwrap();
    let ids: Vec<_> = (0..MANY).map(|_| helper.submit_task("x").unwrap()).collect();
    observer.0.set((helper.clone(), ids.clone())).ok().unwrap();
    assert!(helper.cancel_task(ids[0]));
    for id in ids {
        let error = helper.take_task_result(id).unwrap().error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    }
    assert_eq!(helper.get_status().observer_panics, 0);
}
