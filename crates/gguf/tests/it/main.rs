//! The backend through its public face, on a real model: `GGUF_MODEL` names it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]
// Measured times are shown with `--nocapture`.
#![allow(clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tiny.rs"]
#[allow(dead_code)]
mod tiny;

mod answers;
mod ends;
mod files;
mod program;
mod schema;
mod tools;
