//! Finished tasks.

use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::OnceLock;

use automation_assistant::{HelperId, Task, TaskId};

use crate::c_text::to_c;
use crate::handle::Table;
use crate::status::{Failure, aa_status, value};
use crate::text::give;

/// A finished task: the request and its outcome.
#[allow(non_camel_case_types)]
#[derive(Debug)]
pub struct aa_task {
    _opaque: (),
}

/// A task, with the texts that C has asked for, by [`Text`].
pub(crate) struct Finished {
    task: Task,
    texts: [OnceLock<CString>; 3],
}

pub(crate) static TASKS: Table<aa_task, Finished> = Table::new(1);

/// A handle for the task, which its receiver frees.
pub(crate) fn hand_out(task: Task) -> Result<*mut aa_task, Failure> {
    TASKS.add(Finished { task, texts: Default::default() })
}

/// The low bits of a task's number in C, which are its number at its helper; the high bits are
/// the helper's, so that a task of another helper is found out.
const NUMBER_BITS: u32 = 40;
const HELPER_MASK: u64 = (1 << (u64::BITS - NUMBER_BITS)) - 1;

fn of_hex(digits: &str) -> u64 {
    // They are hex digits by the id's definition.
    u64::from_str_radix(digits, 16).unwrap_or_default()
}

/// The number that C knows a task by.
pub(crate) fn number_of(task: TaskId) -> u64 {
    let text = task.to_string();
    let (helper, number) = text.split_once('-').unwrap_or_default();
    (of_hex(helper) & HELPER_MASK) << NUMBER_BITS | of_hex(number) & ((1 << NUMBER_BITS) - 1)
}

/// The task of this helper that C knows by this number.
pub(crate) fn id_of(helper: HelperId, number: u64) -> Result<TaskId, Failure> {
    let unknown =
        || Failure::new(aa_status::AA_UNKNOWN_TASK, "the helper has no task of this number");
    let text = helper.to_string();
    if number >> NUMBER_BITS != of_hex(&text) & HELPER_MASK {
        return Err(unknown());
    }
    let own = number & ((1 << NUMBER_BITS) - 1);
    format!("{text}-{own:08x}").parse().map_err(|_| unknown())
}

/// A text of a task.
#[derive(Clone, Copy)]
enum Text {
    Answer,
    Error,
    Kind,
}

/// A text of the task that lives as long as its handle; NULL where there is none.
fn text_of(task: *const aa_task, which: Text) -> *const c_char {
    value(ptr::null(), || {
        let found = TASKS.get(task)?;
        let place = &found.texts[which as usize];
        let (result, error) = (&found.task.result, found.task.error.as_ref());
        let text = match which {
            _ if place.get().is_some() => None,
            Text::Answer => result.clone(),
            Text::Error => error.map(ToString::to_string),
            Text::Kind => error.map(|error| error.kind().as_str().to_owned()),
        };
        if let Some(text) = text {
            place.get_or_init(|| to_c(text));
        }
        // The pointer stays good after `found` is gone: the table has the task until it is freed.
        Ok(place.get().map_or(ptr::null(), |text| text.as_ptr()))
    })
}

/// The answer, or NULL where the task failed. Borrowed: valid until `aa_task_free`.
#[unsafe(no_mangle)]
pub extern "C" fn aa_task_text(task: *const aa_task) -> *const c_char {
    text_of(task, Text::Answer)
}

/// The error text, or NULL where there is one. Borrowed: valid until
/// `aa_task_free`.
#[unsafe(no_mangle)]
pub extern "C" fn aa_task_error(task: *const aa_task) -> *const c_char {
    text_of(task, Text::Error)
}

/// The kind of the failure, such as `timeout` or `rate_limited`, or NULL where there is an answer.
/// Programs decide by the kind, not by the text. Borrowed: valid until `aa_task_free`.
#[unsafe(no_mangle)]
pub extern "C" fn aa_task_error_kind(task: *const aa_task) -> *const c_char {
    text_of(task, Text::Kind)
}

/// The number that the submit gave; 0 where the handle is invalid.
#[unsafe(no_mangle)]
pub extern "C" fn aa_task_number(task: *const aa_task) -> u64 {
    value(0, || Ok(number_of(TASKS.get(task)?.task.task_id)))
}

/// All of the task as JSON: `task_id`, `helper_id`, `prompt`, `context`, `created_at` and
/// `completed_at` (Unix seconds), `result`, `error` (`kind`, `summary`, `message`, `status`,
/// `code`, `request_id`, `retry_after_seconds`, `partial`), `model`, `usage`, `cost`,
/// `finish_reason`, `api`, `attempts`, `queue_ms`, `latency_ms`, `echoed`. Owned by the caller:
/// `aa_string_free`. NULL where the handle is invalid.
#[unsafe(no_mangle)]
pub extern "C" fn aa_task_json(task: *const aa_task) -> *mut c_char {
    value(ptr::null_mut(), || json(&TASKS.get(task)?.task).map(give))
}

/// Frees the task, and the texts borrowed of it. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn aa_task_free(task: *mut aa_task) {
    if !task.is_null() {
        value((), || TASKS.remove(task).map(drop));
    }
}

/// Anything of the library's as JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|fault| Failure::new(aa_status::AA_OTHER, fault.to_string()))
}
