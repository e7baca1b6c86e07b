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
//! # Contents of the spans
//!
//! Each task is a span `chat MODEL` with the attributes of OpenTelemetry's GenAI conventions
//! (provider, requested and answering model, tokens, finish reason, conversation) and of this
//! library (helper, task, attempts, time in the queue, cost). Each call to its backend is a child
//! span, `backend_call`, with the call's HTTP status and times. A failed task has `error.type`:
//! the name of its [`ErrorKind`](automation_assistant::ErrorKind).
//!
//! Prompts, contexts and answers are sent only where [`OtlpConfig::content`] and the helper's
//! [`trace`](automation_assistant::HelperConfig::trace) both allow it; neither does by default. A
//! server's error text is never sent.
//!
//! # Bounds
//!
//! The queue is bounded in spans and in bytes, each text of a span in bytes, each request in
//! time. A close takes no longer than [`OtlpConfig::close_timeout`], and 7 s more where a name is
//! looked up or a connection opened at its end.
//!
//! # Map
//!
//! | module | contents |
//! |---|---|
//! | `names` | every name of a span or attribute |
//! | `span` | events → spans |
//! | `queue` | the bounded queue, and the counts |
//! | `config` | settings and the environment |
//! | `endpoint` | the collector's URL |
//! | `post` | one request, and its response's meaning |
//! | `retry_after` | the wait that a response asks for |
//! | `sink` | the observer, and the thread that sends |

mod config;
mod endpoint;
mod names;
mod post;
mod queue;
mod retry_after;
mod sink;
mod span;

pub use config::{DEFAULT_CLOSE_TIMEOUT, DEFAULT_QUEUE_BYTES, DEFAULT_QUEUE_SPANS, OtlpConfig};
pub use queue::OtlpStats;
pub use sink::OtlpSink;
