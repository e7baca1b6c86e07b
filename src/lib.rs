//! AI helpers for small programs: OS threads, a channel, blocking clients, no async runtime.
//!
//! A program creates an [`AutomationAssistantManager`], spawns a helper, and asks it:
//!
//! ```
//! use automation_assistant::{AutomationAssistantManager, HelperConfig};
//!
//! let manager = AutomationAssistantManager::new(5);
//! let helper = manager.spawn(HelperConfig::local())?;
//! let task = helper.ask("hello")?;
//! assert_eq!(task.result.as_deref(), Some("Local Response: Echo of 'hello'"));
//! assert!(task.echoed); // By the embedded engine: no model answered.
//! # Ok::<(), automation_assistant::Error>(())
//! ```
//!
//! [`spawn`](AutomationAssistantManager::spawn) returns a handle, [`AutomationHelper`], whose
//! methods submit tasks, wait for them and cancel them;
//! [`ask`](AutomationHelper::ask) is a submit and a wait in one. The manager has the same methods
//! for programs that keep [`HelperId`]s. The [`guide`] has complete programs.
//!
//! A real model answers with `HelperConfig::chatgpt()` (key in `OPENAI_API_KEY`), or
//! `HelperConfig::local().api_endpoint("http://127.0.0.1:8080/v1")` for a server on the
//! device.
//!
//! # Features
//!
//! | cargo feature | what it adds |
//! |---|---|
//! | none (`default-features = false`) | the core: embedded engine, backends of your own, telemetry, debrief, device readings |
//! | `http` | ChatGPT, Anthropic, Comet and a Local model server over plain HTTP; traces to Opik |
//! | `tls` (default) | `http`, and https with rustls and the bundled Mozilla roots |
//! | `rustix` | readings of storage and the boot clock; file locks on Android before Rust 1.98 |
//!
//! Every item exists in every feature set. A helper that needs a feature that is off fails to
//! spawn as [`Error::Unsupported`], which names it.
//!
//! # Bounds and ends
//!
//! Every wait has an end; every buffer has a named bound with a setter ([`HelperConfig`]). Every
//! accepted task has exactly one outcome: a result, or a [`TaskError`] with an [`ErrorKind`].
//! Deadlines cover queue, attempts and waits. A call of the library that took a request and
//! fails returns the request in its [`Error`], where the variant says so.
//!
//! # Output, files and threads
//!
//! The library prints nothing, and writes only files that the program names
//! ([`Telemetry::to_file`]; an audit file with rotation also gets an empty `NAME.lock` beside it).
//! It starts as many threads for a helper as the helper may run tasks at once, one thread for a
//! trace sink, and short-lived ones that make connections. Where the program has observers or
//! backends of its own, which may block, a stop and the ends of tasks whose time is over may also
//! take short-lived threads, at most six for a helper; they are counted with its others. The
//! library starts no process but Termux commands, when allowed. The only global state is the counter that makes helper ids unique. The threads of
//! an idle helper never wake up.
//!
//! # Panics
//!
//! Panics in backends, tools, callbacks and observers, and in the drop of their values, are
//! caught: the task ends as [`ErrorKind::Panicked`], or the panic is counted. With
//! `panic = "abort"` in the profile no panic can be caught, and each of these ends the process;
//! so do, by rules of Rust, a callback that panics and then drops a value that panics too, and the
//! drop of a thread-local value that panics.
//!
//! # Callbacks
//!
//! [`TaskRequest::on_done`] runs on the helper's own threads, outside every lock, once the
//! outcome can be read. It may submit, cancel, stop, block, or drop its manager: the callbacks of
//! tasks that a callback ends are queued, and a stop waits for callbacks no longer than for
//! threads. `cancel_task` runs the callback of the task that it ends; no submit, wait, look-up or
//! status call runs any, nor observers or cancel hooks: where these block, such a call returns
//! within 0.1 s, or its own time-out, and the task ends once they return. (If the system refuses
//! a thread for them, the call runs them itself.)
//!
//! # Map of the modules
//!
//! The path of a task: prompt → [`TaskRequest`] (validated once) → queue → helper thread →
//! [`AiBackend::process`] → [`Event`] (telemetry line, trace) → result store →
//! `wait_task` → [`Debrief`].
//!
//! | modules | contents |
//! |---|---|
//! | `text`, `url`, `number`, `calendar`, `percentile`, `backoff` | pure functions: text cut to a length, URLs without secrets, decimals, dates, percentiles, waits between attempts |
//! | `splice` | bodies with pictures, encoded as base64 while they are read |
//! | `files` | opening files without waiting, the kernel's file locks, torn ends |
//! | `lenient`, `nesting`, `members` | JSON of many dialects; how deep JSON may be; objects that name each member once |
//! | `sync`, `foreign`, `cancel` | locks, threads and the clock, replaceable by a model checker; calls and drops of foreign code, whose panics are caught; the signal that cancels a call |
//! | `id`, `status`, `tool`, `trace`, `task_error`, `task`, `error` | plain types: ids, status reports, functions that a model may call, trace ids, requests and tasks, errors |
//! | `image_file` | pictures from files |
//! | `secret`, `env`, `connections`, `rate_limit`, `prices`, `backend`, `config` | the parts of a helper's configuration: keys, the environment, shared connections, rate limits, prices, [`AiBackend`], and [`HelperConfig`], which names a [`Provider`] and them |
//! | `queue`, `store` | the queue with its priorities; the tasks of a helper and their results |
//! | `debrief` | audit lines → report |
//! | `device` | battery, memory, network, clocks and temperature; the admission policy; tools for a model |
//! | `event`, `suspended`, `observers` | events for observers; suspended time; calls to observers, whose panics are caught |
//! | `telemetry` | events → audit lines |
//! | `http` | HTTP/1.1: connections, limits in time, cancelling, proxies, TLS |
//! | `engine` | the code that all providers behind HTTP share: attempts, retries, rate-limit permits, streams, tool rounds, redaction; it speaks neutral types to a protocol |
//! | `opik_account` | the address, key and configuration file of Comet's Opik |
//! | `providers` | one file or folder for each provider, and their registry |
//! | `opik` | events → traces in Opik |
//! | `helper`, `manager` | the threads of a helper and their shared state; the registry of helpers |
//! | `coordinate`, `experiment` | several helpers in one call; one set of prompts over several helpers |
//! | `guide` | pages of the documentation |
//! | `fuzzing` | entry points of the fuzz targets |
//!
//! A module imports only modules above it on the map; `tests/it/tidy` holds the exact list
//! and fails where the code differs. The core names no HTTP, no provider and no file: other
//! code reaches it through [`AiBackend`] and [`Observe`].

// On docs.rs, items say which feature they need: some by hand, as they are there without it, and
// return `Error::Unsupported` or a reading's reason then.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod backend;
#[cfg(feature = "http")]
mod backoff;
mod calendar;
mod cancel;
mod config;
mod connections;
mod coordinate;
pub mod debrief;
pub mod device;
#[cfg(feature = "http")]
mod engine;
mod env;
mod error;
pub mod event;
pub mod experiment;
mod files;
mod foreign;
#[cfg(feature = "_fuzz")]
#[doc(hidden)]
pub mod fuzzing;
pub mod guide;
mod helper;
#[cfg(feature = "http")]
mod http;
mod id;
mod image_file;
// Without HTTP, reports alone need it: for texts with escapes.
#[cfg_attr(not(feature = "http"), allow(dead_code, unused_imports, unused_macros))]
mod lenient;
mod manager;
mod members;
mod nesting;
mod number;
mod observers;
pub mod opik;
#[cfg(feature = "http")]
mod opik_account;
mod percentile;
mod prices;
mod providers;
mod queue;
mod rate_limit;
mod secret;
#[cfg(feature = "http")]
mod splice;
mod status;
mod store;
mod suspended;
mod sync;
mod task;
mod task_error;
pub mod telemetry;
mod text;
mod tool;
mod trace;
mod url;

#[doc(inline)]
pub use backend::AiBackend;
pub use config::{BackendType, HelperConfig, Provider};
#[doc(inline)]
pub use debrief::{Debrief, compute_stability_score};
pub use error::Error;
pub use helper::{AutomationHelper, HelperBuilder};
pub use id::{HelperId, ParseIdError, TaskId};
pub use manager::{
    AutomationAssistantManager, ManagerBuilder, create_anthropic_helper, create_chatgpt_helper,
    create_comet_helper, create_local_helper,
};
pub use status::{HelperStatus, HelperStatusReport};
pub use task::{
    FinishReason, Image, OpenAiApi, Priority, Role, Task, TaskLookup, TaskRequest, TaskState, Turn,
    Usage,
};
pub use task_error::{ErrorKind, TaskError};
#[doc(inline)]
pub use telemetry::{DEFAULT_AUDIT_PATH, Telemetry};
pub use tool::{FnTool, Tool};

/// Several helpers in one call: fan-out, race, batch, pipeline, fallback; and the device's
/// admission policy before a call.
pub mod together {
    pub use crate::coordinate::{
        AdmissionControl, Answer, CancelHandle, DEFAULT_TOGETHER_DEADLINE, Fallback,
        FallbackReport, Pipeline, Race, Speech, Stage, Together, Tried, Want, WhyNot,
    };
}

/// Bounds, their defaults, and what helpers share: rate limits, connections, prices.
///
/// Each bound has a setter of the same name in [`HelperConfig`].
pub mod limits {
    pub use crate::config::{
        DEFAULT_CONNECT_TIMEOUT, DEFAULT_MAX_CONTEXT_BYTES, DEFAULT_MAX_IMAGE_BYTES,
        DEFAULT_MAX_PROMPT_BYTES, DEFAULT_MAX_QUEUED_IMAGE_BYTES, DEFAULT_MAX_REPLY_BYTES,
        DEFAULT_MAX_REQUEST_BYTES, DEFAULT_MAX_RESULT_BYTES, DEFAULT_MAX_RESULTS,
        DEFAULT_MAX_RETRIES, DEFAULT_MAX_RETRY_WAIT, DEFAULT_MAX_TOOL_OUTPUT_BYTES,
        DEFAULT_MAX_TOOL_ROUNDS, DEFAULT_QUEUE_CAPACITY, DEFAULT_STACK_BYTES, MAX_CONCURRENT_TASKS,
        MAX_NAME_BYTES, MIN_STACK_BYTES, WhenResultsFull,
    };
    pub use crate::connections::Connections;
    pub use crate::helper::{INBOX_BYTES_MAX, INBOX_MESSAGES_MAX};
    pub use crate::image_file::MAX_IMAGE_FILE_BYTES;
    pub use crate::manager::DEFAULT_MAX_HELPERS;
    pub use crate::prices::{Price, Prices};
    pub use crate::rate_limit::RateLimiter;
    pub use crate::task::{MAX_IMAGES, MAX_REQUEST_ITEMS};
}

// Names that have moved into the modules. They are removed in 0.3.
#[doc(hidden)]
pub use backend::{Attempt, CallContext, CancelGuard, CancelSignal, Reply};
#[doc(hidden)]
pub use debrief::{BackendStats, Comparison, Health, TopError};
#[doc(hidden)]
pub use device::{
    Admission, AdmissionPolicy, Battery, BatterySource, ClockGap, ClockReading, ClockSource,
    CloudAction, DEFAULT_PROBE_LIMIT, DEFAULT_SNAPSHOT_AGE, DeviceProfile, DeviceReader,
    DeviceSnapshot, DeviceWatch, Load, MIN_CLOCK_GAP, Memory, Network, Pressure, ProcessMemory,
    Reading, Storage, SuspendWatch, Temperature, ThermalZone, Wifi, device_tools,
};
#[doc(hidden)]
pub use event::{CallFacts, Event, EventFacts, EventKind, Fact, Observe, TaskFacts};
#[doc(hidden)]
pub use experiment::{DEFAULT_EXPERIMENT_TIMEOUT, Experiment, ExperimentReport, ExperimentRow};
#[doc(hidden)]
pub use limits::{
    Connections, DEFAULT_CONNECT_TIMEOUT, DEFAULT_MAX_CONTEXT_BYTES, DEFAULT_MAX_HELPERS,
    DEFAULT_MAX_IMAGE_BYTES, DEFAULT_MAX_PROMPT_BYTES, DEFAULT_MAX_QUEUED_IMAGE_BYTES,
    DEFAULT_MAX_REPLY_BYTES, DEFAULT_MAX_RESULT_BYTES, DEFAULT_MAX_RESULTS, DEFAULT_MAX_RETRIES,
    DEFAULT_MAX_RETRY_WAIT, DEFAULT_MAX_TOOL_OUTPUT_BYTES, DEFAULT_MAX_TOOL_ROUNDS,
    DEFAULT_QUEUE_CAPACITY, DEFAULT_STACK_BYTES, INBOX_BYTES_MAX, INBOX_MESSAGES_MAX,
    MAX_CONCURRENT_TASKS, MAX_IMAGE_FILE_BYTES, MAX_IMAGES, MAX_NAME_BYTES, MIN_STACK_BYTES, Price,
    Prices, RateLimiter, WhenResultsFull,
};
#[doc(hidden)]
pub use opik::{
    DEFAULT_CLOSE_TIMEOUT, DEFAULT_SPOOL_BYTES, DEFAULT_TRACE_QUEUE_BYTES,
    DEFAULT_TRACE_QUEUE_ITEMS, FlushReport, OpikConfig, OpikSink, OpikStats, ParseTraceIdError,
    TraceId, TraceMode,
};
#[doc(hidden)]
pub use telemetry::{Fsync, TelemetryBuilder, TelemetryStats};
#[doc(hidden)]
pub use together::{
    AdmissionControl, Answer, CancelHandle, DEFAULT_TOGETHER_DEADLINE, Fallback, FallbackReport,
    Pipeline, Race, Speech, Stage, Together, Tried, Want, WhyNot,
};

/// The README's programs, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
