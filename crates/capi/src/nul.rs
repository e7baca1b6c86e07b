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
    // The second has no NUL in it.
    CString::new(text).unwrap_or_else(|fault| {
        let text = String::from_utf8_lossy(&fault.into_vec()).replace('\0', NUL_STAND_IN);
        CString::new(text).unwrap_or_default()
    })
}
