//! Jobs that survive the device, and a fleet that shares them.

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
pub use state::{JobState, JobStatus, QueueStats, WorkerStats};
pub use stop::Stop;
#[doc(hidden)]
pub use worker::Phase as WorkerPhase;
pub use worker::{DEFAULT_LEASE, MAX_LEASE, MIN_LEASE, Worker, WorkerReport};
