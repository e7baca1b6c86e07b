//! The public handle of a sink: an observer that queues entries and starts the thread.

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::cancel::CancelSignal;
use crate::config::TraceMode;
use crate::env::Env;
use crate::error::Error;
use crate::event::{Event, EventFacts, EventKind, Observe, TaskFacts};
use crate::opik::item::{TraceEntry, is_score};
use crate::opik::queue::Queue;
use crate::opik::shared::{Kit, SinkShared, SinkState};
use crate::opik::spool::Spool;
use crate::opik::target::Target;
use crate::opik::{FlushReport, OpikConfig, OpikStats, QUEUE_BYTES_MIN, SPOOL_BYTES_MIN, thread};
use crate::opik_account::OpikFile;
use crate::sync::{Condvar, Mutex, lock, spawn_thread};
use crate::trace::TraceId;

/// Stack of the sink's thread, in bytes: it does the same as a helper's thread does for one call.
const STACK_BYTES: usize = 512 << 10;

/// Sends traces of helpers' tasks to Opik.
///
/// [`ManagerBuilder::opik`](crate::ManagerBuilder::opik) creates one for all helpers of a
/// manager; [`new`](Self::new) creates one as an observer of single helpers.
/// [`HelperConfig::trace`](crate::HelperConfig::trace) sets which helpers trace, and how much.
/// Each task that reached its backend becomes one trace with one span.
///
/// One thread sends; it is started by the first helper that traces, and sleeps without a time-out
/// while there is nothing to send. Traces are sent 2 s after the first one, or when there are
/// 100. While Opik cannot be reached, or something else answers at its address (a web page, a
/// redirect), they are kept, in bounded memory and, if set, in a spool file; entries beyond these
/// bounds are dropped and counted, and so are those that Opik rejects.
/// A rejected key (401, 402, 403) ends the sending. No task ever fails or waits for this.
///
/// Cheap to clone; all clones are one sink. Dropping the last one (for a manager's sink: dropping
/// the manager) sends the remaining entries, for at most [`OpikConfig::close_timeout`].
///
/// ```no_run
/// use automation_assistant::opik::OpikConfig;
/// use automation_assistant::{AutomationAssistantManager, HelperConfig};
/// use automation_assistant::opik::TraceMode;
/// use std::time::Duration;
///
/// let opik = OpikConfig::new().url("http://localhost:5173/api");
/// let manager = AutomationAssistantManager::builder().opik(opik).build()?;
/// let helper = manager.spawn_helper(HelperConfig::local().trace(TraceMode::Content))?;
/// let task = manager.submit_task(helper, "hello")?;
/// manager.wait_task(helper, task, Duration::from_secs(5))?;
/// if let Some(sink) = manager.opik() {
///     println!("{:?}", sink.flush(Duration::from_secs(5)));
/// }
/// # Ok::<(), automation_assistant::Error>(())
/// ```
#[derive(Clone)]
pub struct OpikSink {
    shared: Arc<SinkShared>,
    _last: Arc<CloseOnDrop>,
}

/// Closes the sink when its last handle is dropped.
struct CloseOnDrop(Arc<SinkShared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Marks the thread as ended, even after a panic. As the first of the thread's local values it is
/// destroyed after those of observers, whose destructors may block.
struct Exit(Weak<SinkShared>);

thread_local! {
    static EXIT: Cell<Option<Exit>> = const { Cell::new(None) };
}

impl Drop for Exit {
    fn drop(&mut self) {
        let Some(shared) = self.0.upgrade() else { return };
        shared.lock().exited = true;
        shared.progress.notify_all();
    }
}

impl OpikSink {
    /// Creates a sink; it sends nothing and starts no thread yet.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`]; [`Error::MissingKey`] for Comet's cloud without a key;
    /// [`Error::Unsupported`] for an https address without the cargo feature `tls`; [`Error::Io`]
    /// if the spool or `~/.opik.config` cannot be read, or the spool belongs to another sink.
    pub fn new(config: OpikConfig) -> Result<Self, Error> {
        if config.queue_items == 0 {
            return Err(Error::InvalidConfig("queue_items is zero: it must be at least 1".into()));
        }
        if config.queue_bytes < QUEUE_BYTES_MIN || config.spool_bytes < SPOOL_BYTES_MIN {
            return Err(Error::InvalidConfig(format!(
                "queue_bytes and spool_bytes must be at least {QUEUE_BYTES_MIN}, or a long \
                 trace does not fit"
            )));
        }
        let env = Env::of_process();
        let file = match config.look_up {
            true => OpikFile::behind(config.url.is_some() && config.api_key.is_some(), &env)?,
            false => OpikFile::default(),
        };
        let read = |name: &str| file.or_env(&env, name).filter(|_| config.look_up);
        let target = Target::new(&config, &Env { read: &read })?;
        let spool = match &config.spool {
            Some(path) => Some(Spool::open(path, config.spool_bytes)?),
            None => None,
        };
        let spooled = spool.as_ref().map_or(0, Spool::lines);
        let project = target.project.clone();
        let shared = Arc::new(SinkShared {
            state: Mutex::new(SinkState {
                queue: Queue::new(config.queue_items, config.queue_bytes, spooled),
                urgent: false,
                closing: None,
                started: false,
                thread: None,
                exited: false,
                in_observer: false,
            }),
            work: Condvar::new(),
            progress: Condvar::new(),
            cancel: CancelSignal::new(),
            observers: config.observers,
            project,
            tags: config.tags,
            close_timeout: config.close_timeout,
            kit: Mutex::new(Some(Kit { target, spool })),
            handle: Mutex::new(None),
        });
        Ok(Self { _last: Arc::new(CloseOnDrop(Arc::clone(&shared))), shared })
    }

    /// Adds a score to a trace. The value is commonly 0 to 1. `false` if it cannot be sent: the
    /// value is no number between -1e9 and 1e9 (Opik rejects these two as well), the name is not of
    /// 1 to 100 bytes without control characters (or is blank), or the sink is closed.
    pub fn score(&self, trace: TraceId, name: &str, value: f64) -> bool {
        self.score_in(trace, name, value, None)
    }

    /// The same for a trace of a helper with a project of its own.
    pub(crate) fn score_in(
        &self,
        trace: TraceId,
        name: &str,
        value: f64,
        project: Option<&str>,
    ) -> bool {
        let project = project.or(self.shared.project.as_deref());
        is_score(name, value) && self.push(TraceEntry::score(trace, name, value, project))
    }

    /// Sends all pending entries at once; returns when they are sent or dropped, or after the
    /// time-out. A wait that Opik asked for is respected. Returns the counts since the sink was
    /// created.
    pub fn flush(&self, timeout: Duration) -> FlushReport {
        self.shared.flush(timeout)
    }

    /// The current counts and state.
    pub fn stats(&self) -> OpikStats {
        self.shared.lock().queue.stats()
    }

    /// Starts the thread, if it is not running. If the system cannot create it, entries wait, and
    /// the next entry tries again.
    fn start(&self) {
        let shared = &self.shared;
        if shared.lock().started {
            return;
        }
        // First this lock, then the state's; no thread takes them in the other order.
        let mut handle = lock(&shared.handle);
        {
            let mut state = shared.lock();
            if state.started || state.closing.is_some() {
                return;
            }
            state.started = true;
        }
        let of_thread = Arc::clone(shared);
        // The kit is taken on the thread: if none starts, it stays for the next attempt.
        let run = move || {
            EXIT.with(|exit| exit.set(Some(Exit(Arc::downgrade(&of_thread)))));
            of_thread.lock().thread = Some(std::thread::current().id());
            let kit = lock(&of_thread.kit).take();
            if let Some(kit) = kit {
                thread::run(&of_thread, kit);
            }
        };
        *handle = spawn_thread("aa-opik".into(), STACK_BYTES, run).ok();
        if handle.is_none() {
            let mut state = shared.lock();
            state.started = false;
            state.queue.last_error = Some("the system refused a thread for the sink");
        }
    }

    /// Puts an entry into the queue; `false` if the sink is closed.
    fn push(&self, entry: TraceEntry) -> bool {
        self.start();
        let shared = &self.shared;
        let mut state = shared.lock();
        if state.closing.is_some() {
            state.queue.dropped += 1;
            return false;
        }
        let (was_empty, had_batch) = (state.queue.is_empty(), state.queue.has_batch());
        let out = state.queue.push(entry, Instant::now());
        let wake = was_empty || (!had_batch && state.queue.has_batch());
        drop(state);
        // The thread must be woken for the first entry and for a full batch, not for others.
        if wake {
            shared.work.notify_one();
        }
        drop(out);
        true
    }

    /// Sends the remaining entries, as far as the time allows, and ends the thread. Later entries
    /// are dropped and counted. Called by the manager's drop.
    pub(crate) fn close(&self) {
        self.shared.close();
    }
}

impl Observe for OpikSink {
    fn on_event(&self, event: &Event<'_>) {
        let Some(facts) = event.trace.as_ref().filter(|facts| facts.mode != TraceMode::Off) else {
            return;
        };
        match event.facts {
            _ if event.kind == EventKind::HelperSpawn => self.start(),
            EventFacts::Task(TaskFacts { task, .. }) => {
                let shared = &self.shared;
                let project = shared.project.as_deref();
                let entry = TraceEntry::generation(event, task, facts, project, &shared.tags);
                if let Some(entry) = entry {
                    self.push(entry);
                }
            }
            _ => {}
        }
    }
}

impl fmt::Debug for OpikSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpikSink").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
