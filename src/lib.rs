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
//! Every wait has an end; every buffer has a named bound with a setter ([`HelperConfig`]). Every
//! accepted task has exactly one outcome: a result, or a [`TaskError`] whose [`ErrorKind`] says
//! what kind of failure it is. Deadlines cover queue, attempts and waits. A call of the library
//! that fails ([`Error`]) returns the request where it had taken it.
//!
//! # What is printed, written and started
//!
//! The library prints nothing and writes no file that it was not given ([`Telemetry::to_file`];
//! an empty `NAME.lock` may come to stand beside an audit file that is rotated).
//! It starts one thread per helper slot and no other; a host name may cost one short-lived
//! look-up thread, and a trace sink has a thread of its own. It starts no process but Termux
//! commands, when allowed. The only global state is the counter that makes helper ids unique. An
//! idle helper never wakes up.
//!
//! # Panics
//!
//! Panics in backends, tools, callbacks and observers, and in the drop of what they hold, are
//! caught: the task ends as [`ErrorKind::Panicked`], or the panic is counted. With
//! `panic = "abort"` in the profile nothing can be caught, and any of these panics ends the
//! process; so does, by a rule of Rust, a callback that panics and then drops a value of its
//! own that panics too.
//!
//! # Callbacks
//!
//! [`TaskRequest::on_done`] runs on the helper's own threads, outside every lock, once the
//! outcome can be read. It may submit, cancel, stop, block, or drop its manager: ends that
//! callbacks cause are queued, whatever their number, and a stop waits for no callback longer
//! than it says. `cancel_task` runs the callback of the task that it ends; no submit, wait,
//! look-up or status call runs any.
//!
//! # Map of the house
//!
//! The way of a task: prompt → [`TaskRequest`] (validated once) → queue → helper thread →
//! [`AiBackend::process`] → [`Event`] (telemetry line, trace) → result store →
//! `wait_task` → [`Debrief`].
//!
//! | modules | what they hold |
//! |---|---|
//! | `text`, `url`, `number`, `calendar`, `percentile`, `backoff` | pure functions: text cut to a length, URLs without secrets, decimals, dates, percentiles, waits between attempts |
//! | `splice` | bytes with base64 in between, made while they are read |
//! | `files` | opening files without waiting, the kernel's file locks, torn ends |
//! | `lenient`, `nesting` | JSON of many dialects; how deep JSON may be |
//! | `sync`, `foreign`, `cancel` | locks, threads and the clock, replaceable by a model checker; calls and drops of foreign code, whose panics are caught; the signal that cancels a call |
//! | `id`, `status`, `tool`, `trace`, `task_error`, `task`, `error` | plain types: ids, status reports, functions that a model may call, trace ids, requests and tasks, errors |
//! | `image_file` | pictures from files |
//! | `secret`, `env`, `connections`, `limits`, `prices`, `backend`, `config` | what a helper is configured with: keys, the environment, shared connections, rate limits, prices, [`AiBackend`], and [`HelperConfig`], which names a [`Provider`] and them |
//! | `queue`, `store` | the queue with its priorities; the tasks of a helper and their results |
//! | `debrief` | audit lines → report |
//! | `device` | battery, memory, network, clocks and temperature; the admission policy; tools for a model |
//! | `event`, `suspended`, `observers` | what observers are notified of; suspended time; calls to observers, whose panics are caught |
//! | `telemetry` | events → audit lines |
//! | `http` | HTTP over ureq, which is named here alone: connections, limits in time, cancelling, proxies, TLS |
//! | `engine` | what every provider behind HTTP shares: attempts, retries, rate-limit permits, streams, tool rounds, redaction; it speaks neutral types to a protocol |
//! | `opik_account` | the address, key and configuration file of Comet's Opik |
//! | `providers` | one file or folder for each provider, and their registry |
//! | `opik` | events → traces in Opik |
//! | `helper`, `manager` | the threads of a helper and their shared state; the registry of helpers |
//! | `coordinate`, `experiment` | several helpers in one call; one set of prompts over several helpers |
//! | `fuzzing` | entry points of the fuzz targets |
//!
//! A module imports only modules above it on the map, `tests/it/tidy` holds the exact list
//! and fails where the code differs. The core names no HTTP, no provider and no file: other
//! code reaches it through [`AiBackend`] and [`Observe`].

mod backend;
#[cfg(feature = "http")]
mod backoff;
mod calendar;
mod cancel;
mod config;
mod connections;
mod coordinate;
pub mod debrief;
mod device;
#[cfg(feature = "http")]
mod engine;
mod env;
mod error;
mod event;
mod experiment;
mod files;
mod foreign;
#[cfg(feature = "_fuzz")]
#[doc(hidden)]
pub mod fuzzing;
mod helper;
#[cfg(feature = "http")]
mod http;
mod id;
mod image_file;
#[cfg(feature = "http")]
mod lenient;
mod limits;
mod manager;
mod nesting;
mod number;
mod observers;
mod opik;
#[cfg(feature = "http")]
mod opik_account;
mod percentile;
mod prices;
mod providers;
mod queue;
mod secret;
#[cfg(feature = "http")]
mod splice;
mod status;
mod store;
mod suspended;
mod sync;
mod task;
mod task_error;
mod telemetry;
mod text;
mod tool;
mod trace;
mod url;

pub use backend::{AiBackend, Attempt, CallContext, Reply};
pub use cancel::{CancelGuard, CancelSignal};
pub use config::{
    BackendType, DEFAULT_CONNECT_TIMEOUT, DEFAULT_MAX_CONTEXT_BYTES, DEFAULT_MAX_IMAGE_BYTES,
    DEFAULT_MAX_PROMPT_BYTES, DEFAULT_MAX_QUEUED_IMAGE_BYTES, DEFAULT_MAX_REPLY_BYTES,
    DEFAULT_MAX_RESULT_BYTES, DEFAULT_MAX_RESULTS, DEFAULT_MAX_RETRIES, DEFAULT_MAX_RETRY_WAIT,
    DEFAULT_MAX_TOOL_OUTPUT_BYTES, DEFAULT_MAX_TOOL_ROUNDS, DEFAULT_QUEUE_CAPACITY,
    DEFAULT_STACK_BYTES, HelperConfig, MAX_CONCURRENT_TASKS, MAX_NAME_BYTES, MIN_STACK_BYTES,
    Provider, TraceMode, WhenResultsFull,
};
pub use connections::Connections;
pub use coordinate::{
    AdmissionControl, Answer, CancelHandle, DEFAULT_TOGETHER_DEADLINE, Fallback, FallbackReport,
    Pipeline, Race, Speech, Stage, Together, Tried, Want, WhyNot,
};
pub use debrief::{BackendStats, Comparison, Debrief, Health, TopError, compute_stability_score};
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
pub use image_file::MAX_IMAGE_FILE_BYTES;
pub use limits::RateLimiter;
pub use manager::{
    AutomationAssistantManager, DEFAULT_MAX_HELPERS, ManagerBuilder, create_anthropic_helper,
    create_chatgpt_helper, create_comet_helper, create_local_helper,
};
pub use opik::{
    DEFAULT_CLOSE_TIMEOUT, DEFAULT_SPOOL_BYTES, DEFAULT_TRACE_QUEUE_BYTES,
    DEFAULT_TRACE_QUEUE_ITEMS, FlushReport, OpikConfig, OpikSink, OpikStats,
};
pub use prices::{Price, Prices};
pub use status::{HelperStatus, HelperStatusReport};
pub use task::{
    FinishReason, Image, MAX_IMAGES, OpenAiApi, Priority, Role, Task, TaskRequest, TaskState, Turn,
    Usage,
};
pub use task_error::{ErrorKind, TaskError};
pub use telemetry::{DEFAULT_AUDIT_PATH, Fsync, Telemetry, TelemetryBuilder, TelemetryStats};
pub use tool::{FnTool, Tool};
pub use trace::{ParseTraceIdError, TraceId};
