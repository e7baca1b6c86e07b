//! Texts across the boundary: in as pointer and length, out as NUL-terminated.

use std::ffi::{CString, c_char};
use std::slice;

use crate::c_text::to_c;
use crate::status::{Failure, aa_status};

/// A C caller's text.
///
/// # Safety
///
/// As for [`read_bytes`].
pub(crate) unsafe fn read<'a>(text: *const c_char, len: usize) -> Result<&'a str, Failure> {
    // SAFETY: the caller's promises are the same.
    let bytes = unsafe { read_bytes(text.cast(), len) }?;
    str::from_utf8(bytes).map_err(|fault| {
        let what = format!("a text is no UTF-8 from byte {} on", fault.valid_up_to());
        Failure::new(aa_status::AA_INVALID_UTF8, what)
    })
}

/// A C caller's bytes.
///
/// # Safety
///
/// Where `bytes` is not NULL, `len` bytes can be read there, and nobody writes to them before
/// the caller of this has done with them.
pub(crate) unsafe fn read_bytes<'a>(bytes: *const u8, len: usize) -> Result<&'a [u8], Failure> {
    if bytes.is_null() {
        return Err(null());
    }
    // No object is larger (`isize::MAX`): this is a length gone wrong, such as -1.
    if isize::try_from(len).is_err() {
        return Err(Failure::new(aa_status::AA_INVALID_LENGTH, "a length is impossible"));
    }
    // SAFETY: not NULL, and the caller promises that the bytes are readable and stay as they are.
    Ok(unsafe { slice::from_raw_parts(bytes, len) })
}

pub(crate) fn null() -> Failure {
    Failure::new(aa_status::AA_NULL_PARAMETER, "a parameter is NULL that must not be")
}

/// A place of the caller's for one value.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    ///
    /// Where `place` is not NULL, a `T` can be written there for as long as this exists.
    pub(crate) unsafe fn new(place: *mut T) -> Result<Self, Failure> {
        if place.is_null() { Err(null()) } else { Ok(Self(place)) }
    }

    pub(crate) fn set(self, value: T) {
        // SAFETY: `new` was promised that the place can be written to.
        unsafe { self.0.write(value) }
    }
}

/// Gives a text to the caller, who frees it with [`aa_string_free`].
pub(crate) fn give(text: impl Into<String>) -> *mut c_char {
    to_c(text).into_raw()
}

/// Frees a text that a function returned as `char *`; NULL is fine. No text may be freed twice:
/// that cannot be checked, as it can for handles.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: the caller promises that it came from `give` and was not freed before.
        drop(unsafe { CString::from_raw(text) });
    }
}
