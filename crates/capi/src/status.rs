//! How a call went: the status, the text of this thread's latest failure, and the boundary that
//! no panic crosses.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use automation_assistant::Error;

use crate::c_text::to_c;

/// The result of a call. `aa_last_error` has the error text.
#[allow(non_camel_case_types)] // A name of C's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum aa_status {
    /// Success.
    AA_OK = 0,
    /// A pointer that must not be NULL was NULL.
    AA_NULL_PARAMETER = 1,
    /// The handle was freed, is of another kind, or never was one.
    AA_INVALID_HANDLE = 2,
    /// A text is no UTF-8.
    AA_INVALID_UTF8 = 3,
    /// The configuration is not the required JSON, or is invalid.
    AA_INVALID_CONFIG = 4,
    /// The request is not the required JSON, or is invalid.
    AA_INVALID_REQUEST = 5,
    /// The manager has its greatest number of helpers.
    AA_MAX_HELPERS = 6,
    /// The manager has no such helper, or no longer.
    AA_UNKNOWN_HELPER = 7,
    /// The helper never had this task, or its result was taken or cleared.
    AA_UNKNOWN_TASK = 8,
    /// The task ended, but its result was dropped for newer ones.
    AA_RESULT_DROPPED = 9,
    /// The task has not ended yet; it keeps running.
    AA_WAIT_TIMED_OUT = 10,
    /// The helper's queue is full.
    AA_QUEUE_FULL = 11,
    /// The helper was stopped, or its manager was freed.
    AA_STOPPED = 12,
    /// No API key was given, and the environment has none.
    AA_MISSING_KEY = 13,
    /// The library was built without the cargo feature that this needs.
    AA_UNSUPPORTED = 14,
    /// The operating system reported an error, for a file or a thread.
    AA_IO = 15,
    /// More handles than the library can number.
    AA_TOO_MANY_HANDLES = 16,
    /// A failure that fits no other status.
    AA_OTHER = 17,
    /// A panic in the library itself, which was caught.
    AA_PANIC = 18,
    /// A length is larger than any object can be.
    AA_INVALID_LENGTH = 19,
}

use aa_status::*;

/// Why a call failed.
pub(crate) struct Failure {
    pub(crate) status: aa_status,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(status: aa_status, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let mut message = error.to_string();
        for (rust, c) in NAMES {
            message = message.replace(rust, c);
        }
        Self::new(status_of(error), message)
    }
}

/// Functions that the core's errors name, and C's.
const NAMES: [(&str, &str); 2] = [
    ("submit_task_wait", "aa_helper_submit_wait"),
    ("spawn_helper_with, or AutomationHelper::builder(..).backend(..)", "aa_manager_spawn_backend"),
];

fn status_of(error: &Error) -> aa_status {
    match error {
        Error::MaxHelpers { .. } => AA_MAX_HELPERS,
        Error::UnknownHelper(_) => AA_UNKNOWN_HELPER,
        Error::UnknownTask(_) => AA_UNKNOWN_TASK,
        Error::ResultDropped(_) => AA_RESULT_DROPPED,
        Error::WaitTimedOut { .. } => AA_WAIT_TIMED_OUT,
        Error::QueueFull(_) => AA_QUEUE_FULL,
        Error::Stopped(_) => AA_STOPPED,
        Error::InvalidRequest(_) => AA_INVALID_REQUEST,
        Error::InvalidConfig(_) => AA_INVALID_CONFIG,
        Error::MissingKey { .. } => AA_MISSING_KEY,
        Error::Unsupported { .. } => AA_UNSUPPORTED,
        Error::Io { .. } => AA_IO,
        _ => AA_OTHER,
    }
}

/// Runs a function's body: its status, its message for [`aa_last_error`].
pub(crate) fn status(mut body: impl FnMut() -> Result<(), Failure>) -> aa_status {
    attempt(&mut body)
}

/// The same for a function without a status, which returns `otherwise` where it fails.
pub(crate) fn value<T>(otherwise: T, mut body: impl FnMut() -> Result<T, Failure>) -> T {
    let mut result = otherwise;
    attempt(&mut || {
        result = body()?;
        Ok(())
    });
    result
}

/// The panic boundary, once for all functions: each of its own would be code again. Shared state
/// of a body is behind locks that the core repairs, or is a table of handles, which each change
/// leaves complete: no torn state is seen after a panic.
#[inline(never)]
fn attempt(body: &mut dyn FnMut() -> Result<(), Failure>) -> aa_status {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => AA_OK,
        Ok(Err(failure)) => note(failure),
        Err(panic) => note(Failure::new(AA_PANIC, panic_message(panic.as_ref()))),
    }
}

/// Keeps the words for [`aa_last_error`].
fn note(failure: Failure) -> aa_status {
    // A thread that is ending has no place for it any more.
    let _ = LAST.try_with(|last| *last.borrow_mut() = Some(to_c(failure.message)));
    failure.status
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a fault in the library: {}", text.unwrap_or("a panic without words"))
}

thread_local! {
    static LAST: RefCell<Option<CString>> = const { RefCell::new(None) };
}

/// The error text of this thread's latest failed call; empty where none has failed. Never NULL.
/// Valid until the next call of the library that fails on this thread, and until the thread ends
/// (empty in destructors of the thread's own data, and in `atexit`).
#[unsafe(no_mangle)]
pub extern "C" fn aa_last_error() -> *const c_char {
    let text = LAST.try_with(|last| last.borrow().as_ref().map(|text| text.as_ptr()));
    text.ok().flatten().unwrap_or(c"".as_ptr())
}
