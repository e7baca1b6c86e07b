//! Texts of Rust's as C has them: with a NUL at the end, and none within.
#![forbid(unsafe_code)]

use std::ffi::CString;

/// Replaces a NUL within a C text (JSON writes it as an escape instead).
const NUL_STAND_IN: &str = "\u{fffd}";

/// The text as C has it.
pub(crate) fn to_c(text: impl Into<String>) -> CString {
    without_nul(text.into())
}

fn without_nul(text: String) -> CString {
    let text = if text.contains('\0') { text.replace('\0', NUL_STAND_IN) } else { text };
    CString::new(text).unwrap_or_default()
}
