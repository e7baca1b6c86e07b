//! The C face of [automation-assistant](automation_assistant): `include/automation_assistant.h`,
//! made from these functions by cbindgen, and a static and a shared library behind it.
//!
//! The only crate of the repository with `unsafe`: texts and places of C's are read and written
//! in `text`, lists in `manager`, C's functions called in `callback`, `request` and `call`. Handles
//! are numbers in tables (`handle`): nothing that C gives as a handle is ever followed.

mod c_text;
mod handle;
mod input;
mod owner;

// In the order of the header, which rustfmt would change within a group.
pub mod status;

pub mod text;

pub mod manager;

pub mod helper;

pub mod task;

pub mod callback;

pub mod request;

pub mod call;

pub mod telemetry;

use std::ffi::{CStr, c_char};

/// The version of this interface. It rises when a program that was built against an older header
/// would no longer work.
pub const AA_ABI_VERSION: u32 = 1;

/// The `AA_ABI_VERSION` that the library was built with.
#[unsafe(no_mangle)]
pub extern "C" fn aa_abi_version() -> u32 {
    AA_ABI_VERSION
}

/// The library's version, such as `0.1.0`. Static: never freed.
#[unsafe(no_mangle)]
pub extern "C" fn aa_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"",
        };
    VERSION.as_ptr()
}

/// Panics within, for the tests.
#[cfg(feature = "_panic")]
#[allow(clippy::panic)] // On purpose.
#[unsafe(no_mangle)]
pub extern "C" fn aa_test_panic() -> status::aa_status {
    status::status(|| panic!("on purpose"))
}
