//! Two pools that do the same nothing: crossbeam and a map by hand, and the library.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use automation_assistant::{
    AiBackend, AutomationAssistantManager, CallContext, HelperConfig, HelperId, Reply, TaskError,
    TaskId,
};
use crossbeam_channel::{Sender, unbounded};

pub const PROMPT: &str = "a prompt of ordinary length, such as people type";
pub const REPLY: &str = "ok";
const PATIENCE: Duration = Duration::from_secs(30);

/// A pool: a prompt in, a ticket out; later the reply for the ticket.
pub trait Pool: Send + Sync {
    type Ticket: Send;
    fn submit(&self) -> Self::Ticket;
    fn wait(&self, ticket: Self::Ticket) -> usize;
}

type Results = Arc<(Mutex<HashMap<u64, Result<String, String>>>, Condvar)>;

/// A minimal pool: no bound, no cancelling, no deadline, no status.
pub struct ByHand {
    jobs: Option<Sender<(u64, String)>>,
    results: Results,
    next: std::sync::atomic::AtomicU64,
    threads: Vec<JoinHandle<()>>,
}

impl ByHand {
    pub fn new(threads: usize) -> Self {
        let (jobs, taken) = unbounded::<(u64, String)>();
        let results = Results::default();
        let threads = (0..threads)
            .map(|_| {
                let (taken, results) = (taken.clone(), Arc::clone(&results));
                std::thread::spawn(move || {
                    for (id, prompt) in taken {
                        let reply = if prompt.is_empty() { Err(prompt) } else { Ok(REPLY.into()) };
                        results.0.lock().unwrap().insert(id, reply);
                        results.1.notify_all();
                    }
                })
            })
            .collect();
        Self { jobs: Some(jobs), results, next: 0.into(), threads }
    }
}

impl Pool for ByHand {
    type Ticket = u64;

    fn submit(&self) -> u64 {
        let id = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.jobs.as_ref().unwrap().send((id, PROMPT.to_owned())).unwrap();
        id
    }

    fn wait(&self, ticket: u64) -> usize {
        let mut results = self.results.0.lock().unwrap();
        loop {
            if let Some(reply) = results.remove(&ticket) {
                return reply.unwrap().len();
            }
            results = self.results.1.wait(results).unwrap();
        }
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

struct NoOp;

impl AiBackend for NoOp {
    fn name(&self) -> &str {
        "no-op"
    }

    fn process(&self, _: &CallContext<'_>) -> Result<Reply, TaskError> {
        Ok(Reply::new(REPLY))
    }
}

/// The library: bounded, cancellable, with deadlines, status and kept results.
pub struct Library {
    manager: AutomationAssistantManager,
    helper: HelperId,
}

impl Library {
    pub fn new(threads: usize) -> Self {
        let manager = AutomationAssistantManager::new(1);
        let config = HelperConfig::local().max_concurrent_tasks(threads);
        let helper = manager.spawn_helper_with(config, NoOp).unwrap();
        Self { manager, helper }
    }
}

impl Pool for Library {
    type Ticket = TaskId;

    fn submit(&self) -> TaskId {
        // Never waits here: the windows are smaller than the queue.
        self.manager.submit_task_wait(self.helper, PROMPT, PATIENCE).unwrap()
    }

    fn wait(&self, ticket: TaskId) -> usize {
        let task = self.manager.wait_task(self.helper, ticket, PATIENCE).unwrap();
        task.result.unwrap().len()
    }
}

/// One task at a time.
pub fn round_trips<P: Pool>(pool: &P, tasks: usize) {
    for _ in 0..tasks {
        let ticket = pool.submit();
        assert_eq!(pool.wait(ticket), REPLY.len());
    }
}

/// A window of tasks at a time, so that the pool never runs dry within one.
pub fn pipelined<P: Pool>(pool: &P, tasks: usize, window: usize) {
    let mut tickets = Vec::with_capacity(window);
    for _ in 0..tasks / window {
        tickets.extend((0..window).map(|_| pool.submit()));
        for ticket in tickets.drain(..) {
            assert_eq!(pool.wait(ticket), REPLY.len());
        }
    }
}
