//! Complete programs, page by page. Each is compiled and run with the tests.
//!
//! A page shows the body of a
//! `fn main() -> Result<(), Box<dyn std::error::Error>> { …; Ok(()) }`. Pages that use
//! `serde_json` need it in the program's own `Cargo.toml` too: `serde_json = "1"`.
//!
//! - [`chat`]: an answer streamed to the screen, with a stop
//! - [`pool`]: a hundred prompts over four helpers, with progress
//! - [`cloud_and_local`]: a cloud model, and a local one where it cannot be reached
//! - [`custom_backend`]: a backend of your own
//! - [`tools`]: a function that the model may call
//! - [`report`]: an audit file, and the debrief of it
//! - [`apis_and_bounds`]: what each API does, which models need what, every bound of a helper
//! - [`json`]: the JSON form of a configuration and of a request, every field
//! - [`what_happens_when`]: what each fault ends in
//! - [`on_a_phone`]: Termux on Android
//! - [`opik_traces`]: prompts, tokens and cost in Opik
//! - [`security`]: what is protected, and what is not
//!
//! They use the embedded engine, which needs no key, no network and no model, and echoes its
//! prompt. For a model, replace [`HelperConfig::local()`](crate::HelperConfig::local) with
//! [`HelperConfig::chatgpt()`](crate::HelperConfig::chatgpt) or one of its sisters.

pub mod apis_and_bounds;
pub mod chat;
pub mod cloud_and_local;
pub mod custom_backend;
pub mod json;
#[doc(alias("termux", "android"))]
pub mod on_a_phone;
pub mod opik_traces;
pub mod pool;
pub mod report;
pub mod security;
pub mod tools;
pub mod what_happens_when;
