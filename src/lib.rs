//! AI helpers for small programs: OS threads, a channel, blocking clients, no async runtime.
//!
//! A program makes an [`AutomationAssistantManager`], spawns helpers, submits prompts as
//! tasks, and collects results:
//!
//! ```
//! use automation_assistant::{AutomationAssistantManager, create_local_helper};
//! use std::time::Duration;
//!
//! let manager = AutomationAssistantManager::new(5);
//! let helper = create_local_helper(&manager, "echo")?;
//! let task = manager.submit_task(helper, "hello")?;
//! let done = manager.wait_task(helper, task, Duration::from_secs(5))?;
//! assert_eq!(done.result.as_deref(), Some("Local Response: Echo of 'hello'"));
//! # Ok::<(), automation_assistant::Error>(())
//! ```
//!
//! A real model answers with `HelperConfig::chatgpt()` (key in `OPENAI_API_KEY`), or
//! `HelperConfig::local().api_endpoint("http://127.0.0.1:8080/v1")` for a server on the
//! device.
//!
//! # Bounds and ends
//!
//! Every wait has an end, every buffer a bound with a name and a setter ([`HelperConfig`]).
//! Every accepted task has exactly one outcome: a result, or a [`TaskError`] whose
//! [`ErrorKind`] says what to do about it. Deadlines cover queue, attempts and waits. A call
//! of the library that refuses ([`Error`]) gives the request back where it had taken it.
//!
//! # What is printed, written and started
//!
//! The library prints nothing, writes no file that it was not given ([`Telemetry::to_file`]),
//! starts one thread per helper slot and no other (a host name may cost one short-lived
//! look-up thread; a trace sink has one of its own), and starts no process but Termux
//! commands, when asked to. The only global state is the counter that makes helper ids
//! unique. An idle helper wakes up never.
//!
//! # Panics
//!
//! Panics in backends, tools, callbacks and observers are caught: the task ends as
//! [`ErrorKind::Panicked`], or the panic is counted. With `panic = "abort"` in the profile
//! nothing can be caught, and any of these panics ends the process.
//!
//! # Map of the house
//!
//! The way of a task: prompt → [`TaskRequest`] (checked once) → queue → helper thread →
//! [`AiBackend::process`] → [`Event`] (telemetry line, trace) → result store →
//! `wait_task` → [`Debrief`].
//!
//! | room | what it holds |
//! |---|---|
//! | `id`, `error`, `task_error`, `task`, `tool`, `config`, `status`, `event` | plain types; they know nobody |
//! | `foreign`, `sync` | calls of code that is not ours, fenced in; the door to mutex, threads and clock |
//! | `nesting` | how deep JSON may be |
//! | `cancel`, `observers` | the signal to stop; those who are notified of events |
//! | `queue`, `store` | the ticket channel and the lanes; the tasks behind the mutex |
//! | `backend` | the trait, the embedded engine; below it one file per concern of HTTP (`http/` alone names ureq) and one per provider |
//! | `helper`, `manager` | threads and their inside; the registry |
//! | `coordinate` | helpers together, over the manager |
//! | `device` | what the device says of itself |
//! | `telemetry`, `debrief` | observer to audit lines; audit lines to report |
//!
//! Imports point up this table only. The core names no HTTP, no provider and no file: its
//! windows are [`AiBackend`] and [`Observe`].

mod backend;
mod cancel;
mod config;
mod connections;
mod coordinate;
mod debrief;
mod device;
mod error;
mod event;
mod experiment;
mod foreign;
#[cfg(feature = "_fuzz")]
#[doc(hidden)]
pub mod fuzzing;
mod helper;
mod id;
mod limits;
mod manager;
mod nesting;
mod number;
mod observers;
mod opik;
mod prices;
mod queue;
mod slept;
mod status;
mod store;
mod sync;
mod task;
mod task_error;
mod telemetry;
mod tool;
mod trace;

pub use backend::{AiBackend, Attempt, CallContext, Reply};
pub use cancel::{CancelGuard, CancelSignal};
pub use config::{
    BackendType, DEFAULT_CONNECT_TIMEOUT, DEFAULT_MAX_CONTEXT_BYTES, DEFAULT_MAX_PROMPT_BYTES,
    DEFAULT_MAX_REPLY_BYTES, DEFAULT_MAX_RESULT_BYTES, DEFAULT_MAX_RESULTS, DEFAULT_MAX_RETRIES,
    DEFAULT_MAX_RETRY_WAIT, DEFAULT_MAX_TOOL_OUTPUT_BYTES, DEFAULT_MAX_TOOL_ROUNDS,
    DEFAULT_QUEUE_CAPACITY, DEFAULT_STACK_BYTES, HelperConfig, MAX_CONCURRENT_TASKS,
    MAX_NAME_BYTES, MIN_STACK_BYTES, TraceMode, WhenResultsFull,
};
pub use connections::Connections;
pub use coordinate::{
    AdmissionControl, Answer, CancelHandle, DEFAULT_TOGETHER_DEADLINE, Fallback, FallbackReport,
    Pipeline, Race, Speech, Stage, Together, Tried, Want, WhyNot,
};
pub use debrief::{BackendStats, Debrief, Health, TopError, compute_stability_score};
pub use device::{
    Admission, AdmissionPolicy, Battery, BatterySource, ClockGap, ClockReading, ClockSource,
    CloudAction, DEFAULT_PROBE_LIMIT, DEFAULT_SNAPSHOT_AGE, DeviceProfile, DeviceReader,
    DeviceSnapshot, DeviceWatch, Load, MIN_CLOCK_GAP, Memory, Network, Pressure, ProcessMemory,
    Reading, Storage, SuspendWatch, Temperature, ThermalZone, Wifi, device_tools,
};
pub use error::Error;
pub use event::{Event, EventKind, Fact, Observe};
pub use experiment::{DEFAULT_EXPERIMENT_TIMEOUT, Experiment, ExperimentReport, ExperimentRow};
pub use helper::{AutomationHelper, HelperBuilder, INBOX_BYTES_MAX, INBOX_MESSAGES_MAX};
pub use id::{HelperId, ParseIdError, TaskId};
pub use limits::RateLimiter;
pub use manager::{
    AutomationAssistantManager, DEFAULT_MAX_HELPERS, ManagerBuilder, create_chatgpt_helper,
    create_comet_helper, create_local_helper,
};
pub use opik::{
    DEFAULT_CLOSE_TIMEOUT, DEFAULT_SPOOL_BYTES, DEFAULT_TRACE_QUEUE_BYTES,
    DEFAULT_TRACE_QUEUE_ITEMS, FlushReport, OpikConfig, OpikSink, OpikStats,
};
pub use prices::{Price, Prices};
pub use status::{HelperStatus, HelperStatusReport};
pub use task::{FinishReason, Priority, Role, Task, TaskRequest, TaskState, Turn, Usage};
pub use task_error::{ErrorKind, TaskError};
pub use telemetry::{DEFAULT_AUDIT_PATH, Fsync, Telemetry, TelemetryBuilder, TelemetryStats};
pub use tool::{FnTool, Tool};
pub use trace::{ParseTraceIdError, TraceId};
