//! Requests with callbacks and tools.

use std::ffi::{c_char, c_void};
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use automation_assistant::{Error, FnTool, TaskRequest};
use serde_json::Value;

use crate::c_text::to_c;
use crate::call::{aa_tool_callback, run_tool};
use crate::callback::{Release, Userdata, aa_release_callback};
use crate::handle::{Table, invalid};
use crate::helper::{HELPERS, aa_helper};
use crate::input::{json, request};
use crate::status::{Failure, aa_status, status, value};
use crate::task::{TASKS, aa_task, hand_out, number_of};
use crate::text::{Out, null, read, read_bytes};

/// A request under construction: JSON, then pictures, tools and callbacks.
#[allow(non_camel_case_types)]
#[derive(Debug)]
pub struct aa_request {
    _opaque: (),
}

/// The request, while it is not submitted or in work on another thread.
struct Draft(Mutex<Option<(TaskRequest, Release)>>);

static REQUESTS: Table<aa_request, Draft> = Table::new(6);

impl Draft {
    /// Changes the request.
    fn change(
        &self,
        how: impl FnOnce(TaskRequest, &Release) -> TaskRequest,
    ) -> Result<(), Failure> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (request, release) = place.take().ok_or_else(invalid)?;
        let request = how(request, &release);
        *place = Some((request, release));
        Ok(())
    }

    fn take(&self) -> Option<(TaskRequest, Release)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps a request that was not taken, where the error returns it.
    fn give_back(&self, release: Release, error: Error) -> Failure {
        let failure = Failure::from(&error);
        if let Some(request) = error.into_request() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((request, release));
        }
        failure
    }
}

/// Called with each delta of the answer's text as it arrives, on a thread of the helper. False
/// ends the task as `cancelled`.
#[allow(non_camel_case_types)]
pub type aa_text_callback =
    Option<unsafe extern "C" fn(userdata: *mut c_void, text: *const c_char, len: usize) -> bool>;

/// Called with each delta of the model's reasoning, where the provider shows it, on a thread of
/// the helper.
#[allow(non_camel_case_types)]
pub type aa_reasoning_callback =
    Option<unsafe extern "C" fn(userdata: *mut c_void, text: *const c_char, len: usize)>;

/// Called once when the task has ended. The task is borrowed: valid until the callback returns.
/// Runs on a thread of the helper, or on the one that calls `aa_helper_cancel`, or that stops or
/// frees a helper which was never started; it may come before the submit has returned. It may call
/// every function of the library.
#[allow(non_camel_case_types)]
pub type aa_done_callback =
    Option<unsafe extern "C" fn(userdata: *mut c_void, task: *const aa_task)>;

/// Makes a request from JSON as `aa_helper_submit` takes it. Owned by the caller:
/// `aa_request_free`, until `aa_helper_submit_request` has taken it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_request_new(
    request_json: *const c_char,
    len: usize,
    out: *mut *mut aa_request,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets `out` be written to.
        let out = unsafe { Out::new(out) }?;
        // SAFETY: the caller lets `len` bytes be read.
        let request = request(unsafe { read(request_json, len) }?)?;
        out.set(REQUESTS.add(Draft(Mutex::new(Some((request, Release::default())))))?);
        Ok(())
    })
}

/// Sets the callback that gets the answer's deltas; a second one replaces the first.
#[unsafe(no_mangle)]
pub extern "C" fn aa_request_on_text(
    request: *mut aa_request,
    callback: aa_text_callback,
    userdata: *mut c_void,
) -> aa_status {
    status(|| {
        let (callback, userdata) = (callback.ok_or_else(null)?, Userdata(userdata));
        REQUESTS.get(request)?.change(|request, release| {
            let release = release.clone();
            request.on_text_control(move |text| {
                let (_, text) = (&release, to_c(text));
                // SAFETY: a function of C's with this signature, its own pointer, and a text
                // that lives until it returns.
                match unsafe { callback(userdata.get(), text.as_ptr(), text.count_bytes()) } {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            })
        })
    })
}

/// Sets the callback that gets the model's reasoning in deltas; a second replaces the first.
#[unsafe(no_mangle)]
pub extern "C" fn aa_request_on_reasoning(
    request: *mut aa_request,
    callback: aa_reasoning_callback,
    userdata: *mut c_void,
) -> aa_status {
    status(|| {
        let (callback, userdata) = (callback.ok_or_else(null)?, Userdata(userdata));
        REQUESTS.get(request)?.change(|request, release| {
            let release = release.clone();
            request.on_reasoning(move |text| {
                let (_, text) = (&release, to_c(text));
                // SAFETY: as above.
                unsafe { callback(userdata.get(), text.as_ptr(), text.count_bytes()) }
            })
        })
    })
}

/// Sets the callback that is called when the task has ended; a second one replaces the first.
#[unsafe(no_mangle)]
pub extern "C" fn aa_request_on_done(
    request: *mut aa_request,
    callback: aa_done_callback,
    userdata: *mut c_void,
) -> aa_status {
    status(|| {
        let (callback, userdata) = (callback.ok_or_else(null)?, Userdata(userdata));
        REQUESTS.get(request)?.change(|request, release| {
            let release = release.clone();
            request.on_done(move |task| {
                let _ = &release;
                // Where no handle can be made, the callback is still called, with NULL.
                let task = hand_out(task.clone()).unwrap_or(std::ptr::null_mut());
                // SAFETY: a function of C's with this signature, its own pointer, and a handle
                // that is good until it returns.
                unsafe { callback(userdata.get(), task) }
                value((), || TASKS.remove(task).map(drop));
            })
        })
    })
}

/// Sets a callback that is called once when no other callback and no tool of this request will be
/// called any more, also where the request is freed unsubmitted. It frees the data behind their
/// `userdata`. Set it before the other callbacks.
#[unsafe(no_mangle)]
pub extern "C" fn aa_request_on_release(
    request: *mut aa_request,
    callback: aa_release_callback,
    userdata: *mut c_void,
) -> aa_status {
    status(|| {
        callback.ok_or_else(null)?;
        REQUESTS.get(request)?.change(|request, release| {
            release.set(callback, userdata);
            request
        })
    })
}

/// Gives the model a tool that it may call while it works on this task: a name of letters,
/// digits, `_` and `-`, what it does in words, and the JSON schema of its arguments. The callback
/// answers with `aa_call_reply` or `aa_call_fail`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_request_add_tool(
    request: *mut aa_request,
    name: *const c_char,
    name_len: usize,
    description: *const c_char,
    description_len: usize,
    schema_json: *const c_char,
    schema_len: usize,
    callback: aa_tool_callback,
    userdata: *mut c_void,
) -> aa_status {
    status(|| {
        let (callback, userdata) = (callback.ok_or_else(null)?, Userdata(userdata));
        // SAFETY: the caller lets as many bytes be read of each.
        let name = unsafe { read(name, name_len) }?.to_owned();
        // SAFETY: the same.
        let description = unsafe { read(description, description_len) }?.to_owned();
        // SAFETY: the same.
        let schema = unsafe { read(schema_json, schema_len) }?;
        let schema: Value = json(schema, aa_status::AA_INVALID_REQUEST).map_err(|why| Failure {
            message: format!("the tool's schema: {}", why.message),
            ..why
        })?;
        REQUESTS.get(request)?.change(|request, release| {
            let release = release.clone();
            request.tool(FnTool::new(name, description, schema, move |arguments: &Value| {
                let _ = &release;
                run_tool(callback, &userdata, arguments)
            }))
        })
    })
}

/// Adds a picture to the prompt: the bytes of a PNG, JPEG, WebP or GIF file, which are copied, and
/// the media type, such as `image/png`. Whether they are accepted shows when the request is
/// submitted; a backend that takes no pictures ends the task as `unsupported`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_request_add_image(
    request: *mut aa_request,
    media_type: *const c_char,
    media_type_len: usize,
    bytes: *const u8,
    len: usize,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets as many bytes be read.
        let media_type = unsafe { read(media_type, media_type_len) }?;
        // SAFETY: the same.
        let bytes = unsafe { read_bytes(bytes, len) }?;
        REQUESTS.get(request)?.change(|request, _| request.image_bytes(media_type, bytes.to_vec()))
    })
}

/// Adds a picture to the prompt that the provider fetches from this URL; the library does not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_request_add_image_url(
    request: *mut aa_request,
    url: *const c_char,
    len: usize,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets `len` bytes be read.
        let url = unsafe { read(url, len) }?;
        REQUESTS.get(request)?.change(|request, _| request.image_url(url))
    })
}

/// Submits a request with its callbacks and tools. Where this returns `AA_OK` the library has
/// taken the request, and its handle is no longer valid. `AA_QUEUE_FULL` and `AA_STOPPED` leave it
/// as it was, to be submitted again; after any other failure of the submit it can only be freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_helper_submit_request(
    helper: *mut aa_helper,
    request: *mut aa_request,
    task: *mut u64,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets `task` be written to.
        let out = unsafe { Out::new(task) }?;
        let draft = REQUESTS.get(request)?;
        let helper = HELPERS.get(helper)?;
        let helper = helper.live()?;
        let (ready, release) = draft.take().ok_or_else(invalid)?;
        match helper.submit_task(ready) {
            Ok(id) => out.set(number_of(id)),
            Err(error) => return Err(draft.give_back(release, error)),
        }
        // Another thread may have freed it meanwhile: no failure of this call.
        drop(REQUESTS.remove(request));
        Ok(())
    })
}

/// Frees a request that was not submitted. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn aa_request_free(request: *mut aa_request) {
    if !request.is_null() {
        value((), || REQUESTS.remove(request).map(drop));
    }
}
