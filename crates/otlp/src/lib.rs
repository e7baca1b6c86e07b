//! OpenTelemetry spans of [`automation_assistant`]'s tasks: OTLP/JSON over HTTP, one thread, no
//! async runtime, no protobuf.
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use automation_assistant::{AutomationAssistantManager, HelperConfig};
//! use automation_assistant_otlp::{OtlpConfig, OtlpSink};
//!
//! // The environment's collector (OTEL_EXPORTER_OTLP_ENDPOINT), or http://localhost:4318.
//! let sink = OtlpSink::new(OtlpConfig::new().service_name("notes"))?;
//! let manager = AutomationAssistantManager::builder().observer(Arc::new(sink.clone())).build()?;
//! let helper = manager.spawn(HelperConfig::local())?;
//! helper.ask("hello")?;
//! println!("{:?}", sink.flush(Duration::from_secs(5)));
//! # Ok::<(), automation_assistant::Error>(())
//! ```
//!
//! # What is sent
//!
//! Of each task a span `chat MODEL` with the attributes of OpenTelemetry's GenAI conventions
//! (provider, models asked for and answered, tokens, finish reason, conversation) and of ours
//! (helper, task, attempts, time in the queue, cost); of each call to its backend a child,
//! `backend_call`, with the HTTP status and the times of that call. A task that failed has
//! `error.type`: the name of its [`ErrorKind`](automation_assistant::ErrorKind).
//!
//! Prompts, contexts and answers are sent where [`OtlpConfig::content`] and the helper's
//! [`trace`](automation_assistant::HelperConfig::trace) both allow it, by default nowhere. What a
//! server said of a failure is never sent.
//!
//! # Bounds
//!
//! The queue is bounded in spans and in bytes, each text of a span in bytes, each request in
//! time. A close takes no longer than [`OtlpConfig::close_timeout`], and 7 s more where a name is
//! looked up or a connection opened at its end.
//!
//! # Map
//!
//! | module | what it holds |
//! |---|---|
//! | `names` | every name of a span or attribute |
//! | `span` | events → spans |
//! | `queue` | the bounded queue, and the counts |
//! | `config` | settings and the environment |
//! | `post` | one request, and what its response means |
//! | `sink` | the observer, and the thread that sends |

mod config;
mod names;
mod post;
mod queue;
mod sink;
mod span;

pub use config::{DEFAULT_CLOSE_TIMEOUT, DEFAULT_QUEUE_BYTES, DEFAULT_QUEUE_SPANS, OtlpConfig};
pub use queue::OtlpStats;
pub use sink::OtlpSink;
