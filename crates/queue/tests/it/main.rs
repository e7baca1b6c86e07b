//! The crate through its public face, and its programs as their users run them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[cfg(feature = "embedded")]
mod ahead;
#[cfg(feature = "redis")]
mod answers;
mod extremes;
#[cfg(feature = "redis")]
mod fleet;
mod panics;
#[cfg(feature = "embedded")]
mod pictures;
#[cfg(feature = "embedded")]
mod refusals;
#[cfg(feature = "embedded")]
mod resume;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "rediss")]
mod tls;
#[cfg(feature = "embedded")]
mod worker;
