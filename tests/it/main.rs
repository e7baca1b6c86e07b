//! One test binary: the library through its public face.
//!
//! Tests meet on channels or conditions; none sleeps to be right, none needs a network
//! beyond loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]
// A test that is left out prints so.
#![allow(clippy::print_stdout)]

mod admission;
mod aliases;
mod callbacks;
mod cancel;
mod custom_backend;
mod deadlines;
mod debrief;
mod device;
mod drops;
mod examples;
mod face;
mod flow;
#[cfg(feature = "http")]
mod graders;
mod handles;
#[cfg(feature = "http")]
mod http;
mod images;
mod json_forms;
mod limits;
mod links;
mod names;
mod nested_ends;
mod nesting;
mod observers;
#[cfg(feature = "http")]
mod opik;
mod partial;
mod readme;
#[cfg(feature = "http")]
mod real_model;
mod resources;
mod results;
#[cfg(feature = "http")]
mod sdk_judge;
mod secrets;
mod shutdown;
mod soak;
mod stuck;
mod support;
mod telemetry;
mod tidy;
mod together;
mod tool_names;
