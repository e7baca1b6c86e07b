//! A durable queue of jobs for [`automation_assistant`]: what was accepted survives a kill, a
//! reboot, an empty battery; many devices share one queue.
//!
//! **Durable** means: when [`JobQueue::push`] returns, the job is on the disk (one commit, one
//! fdatasync; the file of [`JobQueue::open`]), or the Redis server has it (the queue of
//! `RedisConfig`; what a crash of the server or a power cut takes is decided by its
//! `appendfsync`: with `always` nothing, with `everysec` about a second). An outcome is as
//! durable when [`Worker::on_outcome`] is called.
//!
//! **Prompts, contexts, images and answers reach the disk or the server**, in plain text. A new
//! file can be read by its owner alone (mode 0600), one that is there keeps its permissions; Redis
//! is reached over TLS by `rediss://`.
//! Elsewhere in this product they are written down only in traces, by
//! [`TraceMode::Content`](automation_assistant::opik::TraceMode::Content).
//!
//! **Delivery is at least once, with one recorded outcome**: a task may run again after a kill,
//! but of all its runs one outcome is recorded, in one transaction with the acknowledgement,
//! and a worker whose lease was lost cannot record.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # #[cfg(feature = "embedded")] {
//! use automation_assistant::{AutomationAssistantManager, create_local_helper};
//! use automation_assistant_queue::{Job, JobQueue, Stop, Worker};
//!
//! # let folder = std::env::temp_dir().join(format!("aaq-lib-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("jobs.redb");
//! let queue = JobQueue::open(&path)?;
//! queue.push(Job::new("Sum up today's log.").key("log-2026-11-25"))?;
//!
//! let manager = AutomationAssistantManager::new(1);
//! let helper = create_local_helper(&manager, "echo")?;
//! let report = Worker::new(&queue, &manager)
//!     .helper(helper)
//!     .until_empty()
//!     .on_outcome(|outcome| println!("{:?}: {}", outcome.key, outcome.state))
//!     .run(&Stop::new())?;
//! assert_eq!(report.completed, 1);
//! # std::fs::remove_dir_all(folder)?;
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! # Bounds
//!
//! [`Limits`] bounds jobs, bytes, each record, and how many outcomes are kept for how long;
//! sizes are asked for before records are read. Every call to a server ends in time, however slowly
//! it answers (`RedisConfig::timeout`), and an answer longer than the limits admit is cut off; only
//! the system's look-up of a host's name has time limits of its own.
//!
//! # Threads
//!
//! A worker has none but that of [`Worker::run`]. With a file an idle worker sleeps until it is
//! woken; with a server it asks once a second ([`Worker::poll`]) for a token that a push leaves.
//!
//! # Map
//!
//! | module | what it holds |
//! |---|---|
//! | `id`, `clock`, `base64`, `state`, `error`, `limits`, `job` | plain types |
//! | `record`, `outcome` | JSON under CloudEvents' attributes; README has the schema |
//! | `engine` | the trait of what a queue asks of its engine |
//! | `embedded`, `redis` | the engines: alone name `redb` and `redis` |
//! | `queue`, `worker`, `stop` | the two ends |
//! | `report` | events in the audit file, and the section "Jobs" |
#![doc = ""]
#![doc = include_str!("../DESIGN.md")]
// On docs.rs, items say which feature they need.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(any(feature = "embedded", feature = "redis")))]
compile_error!("a queue needs an engine: choose the feature `embedded` or `redis`");

mod base64;
mod clock;
#[cfg(test)]
mod conformance;
#[cfg(feature = "embedded")]
mod embedded;
mod engine;
mod error;
mod id;
mod job;
mod limits;
mod outcome;
mod queue;
mod record;
#[cfg(test)]
mod record_tests;
#[cfg(feature = "redis")]
mod redis;
mod report;
mod state;
mod stop;
mod worker;

pub use engine::{Purge, Pushed};
pub use error::Error;
pub use id::{JobId, ParseJobIdError};
pub use job::{DEFAULT_MAX_DELIVERIES, Job, MAX_IMAGES, MAX_KEY_BYTES, MAX_TOOLS};
pub use limits::{
    DEFAULT_MAX_BYTES, DEFAULT_MAX_JOB_BYTES, DEFAULT_MAX_JOBS, DEFAULT_MAX_RESULT_BYTES,
    DEFAULT_MAX_RESULTS, DEFAULT_RESULT_TTL, Limits,
};
pub use outcome::{JobError, JobOutcome};
pub use queue::JobQueue;
#[cfg(feature = "redis")]
pub use redis::RedisConfig;
pub use report::JobReport;
pub use state::{JobState, JobStatus, QueueStats, WorkerStats};
pub use stop::Stop;
#[doc(hidden)]
pub use worker::Phase as WorkerPhase;
pub use worker::{DEFAULT_LEASE, MAX_LEASE, MIN_LEASE, Worker, WorkerReport};
