//! Calls to the program: a tool or a backend of its own, and what it may ask while it runs.

use std::cell::{OnceCell, RefCell};
use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use automation_assistant::backend::{CallContext, Reply};
use automation_assistant::{AiBackend, ErrorKind, HelperConfig, TaskError};
use serde_json::{Value, json};

use crate::c_text::to_c;
use crate::callback::{Release, Userdata, aa_release_callback};
use crate::handle::invalid;
use crate::helper::{Helper, aa_helper};
use crate::input::{config, duration};
use crate::manager::{aa_manager, manager_of};
use crate::status::{Failure, aa_status, status, value};
use crate::text::{Out, give, null, read};

/// One call of a tool or a backend of the program's. Valid on the thread of the callback that got
/// it, until that returns.
#[allow(non_camel_case_types)]
#[derive(Debug)]
pub struct aa_call {
    _opaque: (),
}

/// A tool of the program's: reads `aa_call_arguments`, and answers with `aa_call_reply` or
/// `aa_call_fail`; both texts go to the model. Runs on a thread of the helper, with several
/// threads on several at once.
#[allow(non_camel_case_types)]
pub type aa_tool_callback = Option<unsafe extern "C" fn(userdata: *mut c_void, call: *mut aa_call)>;

/// A backend of the program's: reads `aa_call_prompt` or `aa_call_request_json`, and answers with
/// `aa_call_reply` or `aa_call_fail`. Runs on a thread of the helper, with several threads on
/// several at once. It should return soon after `aa_call_is_cancelled` says true.
#[allow(non_camel_case_types)]
pub type aa_process_callback =
    Option<unsafe extern "C" fn(userdata: *mut c_void, call: *mut aa_call)>;

type Callback = unsafe extern "C" fn(*mut c_void, *mut aa_call);

/// A call that runs on this thread.
struct Frame {
    number: usize,
    /// The task's, for a backend; it outlives the frame.
    context: Option<*const CallContext<'static>>,
    prompt: OnceCell<CString>,
    arguments: Option<CString>,
    outcome: Option<Result<String, (ErrorKind, String)>>,
}

thread_local! {
    /// The calls that run on this thread, the innermost last.
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

/// Odd numbers, so that none is NULL or an address of an object.
static NEXT: AtomicUsize = AtomicUsize::new(1);
const STEP: usize = 2;

/// Calls the program, and gives what it answered; `None` where it answered nothing.
fn call(
    callback: Callback,
    userdata: &Userdata,
    context: Option<&CallContext<'_>>,
    arguments: Option<CString>,
) -> Option<Result<String, (ErrorKind, String)>> {
    let number = NEXT.fetch_add(STEP, Ordering::Relaxed);
    let context = context.map(|context| ptr::from_ref(context).cast());
    let frame = Frame { number, context, prompt: OnceCell::new(), arguments, outcome: None };
    FRAMES.with_borrow_mut(|frames| frames.push(frame));
    // SAFETY: a function of C's with this signature, its own pointer, and a handle that is good
    // until it returns. It cannot unwind into this: that aborts.
    unsafe { callback(userdata.get(), ptr::without_provenance_mut(number)) }
    FRAMES.with_borrow_mut(Vec::pop)?.outcome
}

/// Runs a tool.
pub(crate) fn run_tool(
    callback: Callback,
    userdata: &Userdata,
    arguments: &Value,
) -> Result<String, String> {
    match call(callback, userdata, None, Some(to_c(arguments.to_string()))) {
        Some(Ok(text)) => Ok(text),
        Some(Err((_, text))) => Err(text),
        None => Err("the tool gave no answer".to_owned()),
    }
}

/// A backend that calls the program.
struct Backend {
    name: String,
    callback: Callback,
    userdata: Userdata,
    _release: Release,
}

impl AiBackend for Backend {
    fn name(&self) -> &str {
        &self.name
    }

    fn process(&self, context: &CallContext<'_>) -> Result<Reply, TaskError> {
        match call(self.callback, &self.userdata, Some(context), None) {
            Some(Ok(text)) => Ok(Reply::new(text)),
            // The text is the program's, which may hold what no audit line should.
            Some(Err((kind, text))) => Err(TaskError::new(kind, FAILED).with_message(&text)),
            None => Err(TaskError::new(ErrorKind::Protocol, "the backend gave no answer")),
        }
    }
}

const FAILED: &str = "the program's own backend failed";

/// Spawns a helper whose tasks the program itself answers. `name` is the backend's name in status
/// reports and audit lines. The configuration's `backend_type` has no effect: `custom`, say.
/// `release` may be NULL; it is called with `userdata` once the backend is no longer called, or
/// where this fails after its parameters were validated. The handle is owned by the caller:
/// `aa_helper_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_manager_spawn_backend(
    manager: *mut aa_manager,
    config_json: *const c_char,
    len: usize,
    name: *const c_char,
    name_len: usize,
    process: aa_process_callback,
    userdata: *mut c_void,
    release: aa_release_callback,
    out: *mut *mut aa_helper,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets `out` be written to.
        let out = unsafe { Out::new(out) }?;
        let callback = process.ok_or_else(null)?;
        // SAFETY: the caller lets as many bytes be read.
        let config: HelperConfig = config(unsafe { read(config_json, len) }?)?;
        // SAFETY: the same.
        let name = unsafe { read(name, name_len) }?.to_owned();
        let manager = manager_of(manager)?;
        let (userdata, _release) = (Userdata(userdata), Release::new(release, userdata));
        let backend = Backend { name, callback, userdata, _release };
        let id = manager.core.spawn_helper_with(config, backend)?;
        out.set(Helper::of(&manager, id)?);
        Ok(())
    })
}

/// Looks at the frame of a call that runs on this thread.
fn frame<T>(
    call: *const aa_call,
    look: impl FnOnce(&mut Frame) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if call.is_null() {
        return Err(null());
    }
    FRAMES.with_borrow_mut(|frames| {
        let found = frames.iter_mut().rev().find(|frame| frame.number == call.addr());
        look(found.ok_or_else(invalid)?)
    })
}

/// Asks the context of a backend's call. No frame is borrowed meanwhile: the context may call the
/// program.
fn context<T>(
    call: *const aa_call,
    ask: impl FnOnce(&CallContext<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let of_tool = || Failure::new(aa_status::AA_UNSUPPORTED, "a tool's call cannot do this");
    let context = frame(call, |frame| frame.context.ok_or_else(of_tool))?;
    // SAFETY: the frame is on this thread's list, so `Backend::process`, which borrows the
    // context, is below us on this thread's stack and has not returned.
    ask(unsafe { &*context })
}

/// The prompt of a backend's call; NULL for a tool's. Borrowed: valid until the callback returns.
#[unsafe(no_mangle)]
pub extern "C" fn aa_call_prompt(call: *const aa_call) -> *const c_char {
    value(ptr::null(), || {
        let prompt = context(call, |context| Ok(to_c(context.prompt())))?;
        frame(call, |frame| Ok(frame.prompt.get_or_init(|| prompt).as_ptr()))
    })
}

/// The arguments of a tool's call, a JSON object; NULL for a backend's. Borrowed: valid until the
/// callback returns.
#[unsafe(no_mangle)]
pub extern "C" fn aa_call_arguments(call: *const aa_call) -> *const c_char {
    value(ptr::null(), || {
        frame(call, |frame| Ok(frame.arguments.as_ref().map_or(ptr::null(), |text| text.as_ptr())))
    })
}

/// The request of a backend's call as JSON: `task_id`, `helper_id`, `prompt`, `context`,
/// `system_prompt`, `turns`, `custom_params`. NULL for a tool's. Owned by the caller:
/// `aa_string_free`.
#[unsafe(no_mangle)]
pub extern "C" fn aa_call_request_json(call: *const aa_call) -> *mut c_char {
    value(ptr::null_mut(), || {
        context(call, |context| {
            let request = context.request();
            let turns = request.get_turns().iter();
            let turns = turns.map(|turn| json!({"role": turn.role.as_str(), "text": turn.text}));
            let json = json!({
                "task_id": context.task_id().to_string(),
                "helper_id": context.helper_id().to_string(),
                "prompt": context.prompt(),
                "context": request.get_context(),
                "system_prompt": context.system_prompt(),
                "turns": turns.collect::<Vec<_>>(),
                "custom_params": request.get_custom_params(),
            });
            Ok(give(json.to_string()))
        })
    })
}

/// Whether the task of a backend's call was cancelled, or its `aa_text_callback` has returned false;
/// false for a tool's call.
#[unsafe(no_mangle)]
pub extern "C" fn aa_call_is_cancelled(call: *const aa_call) -> bool {
    let is_cancelled = |why: TaskError| why.kind() == ErrorKind::Cancelled;
    value(false, || context(call, |context| Ok(context.check().is_err_and(is_cancelled))))
}

/// Waits this long, or until the task is cancelled (as `aa_call_is_cancelled` says) or its time is
/// up; false then, and for a tool's call.
#[unsafe(no_mangle)]
pub extern "C" fn aa_call_pause(call: *const aa_call, wait_ms: u32) -> bool {
    value(false, || {
        context(call, |context| {
            Ok(context.check().and_then(|()| context.pause(duration(wait_ms))).is_ok())
        })
    })
}

/// Milliseconds that a backend's call has left; `UINT32_MAX` for no limit, 0 for a tool's call.
#[unsafe(no_mangle)]
pub extern "C" fn aa_call_remaining_ms(call: *const aa_call) -> u32 {
    value(0, || {
        context(call, |context| {
            let left = context.remaining().as_ref().map_or(u128::MAX, Duration::as_millis);
            Ok(u32::try_from(left).unwrap_or(u32::MAX))
        })
    })
}

/// Passes a delta of a backend's answer to the request's `aa_text_callback`, if it has one. The
/// whole answer goes to `aa_call_reply` nevertheless. `AA_STOPPED` once the task is cancelled.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_call_send_text(
    call: *mut aa_call,
    text: *const c_char,
    len: usize,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets `len` bytes be read.
        let text = unsafe { read(text, len) }?;
        context(call, |context| {
            let cancelled = |why: TaskError| Failure::new(aa_status::AA_STOPPED, why.to_string());
            context.send_text(text).map_err(cancelled)
        })
    })
}

/// Answers the call; a later answer replaces an earlier one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_call_reply(
    call: *mut aa_call,
    text: *const c_char,
    len: usize,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets `len` bytes be read.
        let text = unsafe { read(text, len) }?.to_owned();
        frame(call, |frame| {
            frame.outcome = Some(Ok(text));
            Ok(())
        })
    })
}

/// Answers the call with a failure: a kind as `aa_task_error_kind` returns it (`other` is always
/// valid; ignored for a tool), and a text, which becomes part of the task's error, quoted there as a
/// server's words are, and of no audit line.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_call_fail(
    call: *mut aa_call,
    kind: *const c_char,
    kind_len: usize,
    message: *const c_char,
    message_len: usize,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets as many bytes be read.
        let kind = unsafe { read(kind, kind_len) }?;
        // SAFETY: the same.
        let message = unsafe { read(message, message_len) }?.to_owned();
        let unknown = || Failure::new(aa_status::AA_INVALID_REQUEST, "no such kind of failure");
        let known = KINDS.into_iter().find(|known| known.as_str() == kind);
        frame(call, |frame| {
            let kind = known.or(frame.context.is_none().then_some(ErrorKind::Other));
            frame.outcome = Some(Err((kind.ok_or_else(unknown)?, message.clone())));
            Ok(())
        })
    })
}

/// The kinds of failure that a program may give.
const KINDS: [ErrorKind; 19] = [
    ErrorKind::Timeout,
    ErrorKind::Cancelled,
    ErrorKind::Terminated,
    ErrorKind::Panicked,
    ErrorKind::InvalidRequest,
    ErrorKind::Authentication,
    ErrorKind::PermissionDenied,
    ErrorKind::NotFound,
    ErrorKind::RateLimited,
    ErrorKind::QuotaExceeded,
    ErrorKind::ContextLengthExceeded,
    ErrorKind::ContentFiltered,
    ErrorKind::Truncated,
    ErrorKind::Server,
    ErrorKind::Network,
    ErrorKind::Protocol,
    ErrorKind::ResponseTooLarge,
    ErrorKind::Unsupported,
    ErrorKind::Other,
];
