//! Several helpers in one call, over the manager: fan-out, race, batch, pipeline, fallback.
//!
//! Every call blocks its own thread, has one deadline, can be cancelled from another thread,
//! and starts no thread of its own.

mod admission;
mod answer;
mod batch;
mod call;
mod cancel_handle;
mod cool_down;
mod fallback;
mod fallback_report;
mod fan_out;
mod in_flight;
mod one_at_a_time;
mod pipeline;
mod together;

pub use admission::AdmissionControl;
pub use answer::Answer;
pub use cancel_handle::CancelHandle;
pub use fallback::Fallback;
pub use fallback_report::{FallbackReport, Tried, WhyNot};
pub use fan_out::{Race, Want};
pub use pipeline::{Pipeline, Stage};
pub use together::{DEFAULT_TOGETHER_DEADLINE, Speech, Together};
