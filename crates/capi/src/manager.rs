//! Managers.

use std::ffi::c_char;
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use automation_assistant::{
    AutomationAssistantManager, AutomationHelper, Error, HelperId, Task, TaskId,
};

use crate::handle::Table;
use crate::helper::{HELPERS, Helper, aa_helper, taken};
use crate::input::{config, duration};
use crate::owner::Manager;
use crate::status::{Failure, aa_status, status, value};
use crate::task::{aa_task, hand_out, json};
use crate::telemetry::{TELEMETRY, aa_telemetry};
use crate::text::{Out, give, null, read};

/// Spawns helpers and keeps them running.
#[allow(non_camel_case_types)]
#[derive(Debug)]
pub struct aa_manager {
    _opaque: (),
}

static MANAGERS: Table<aa_manager, Manager> = Table::new(2);

fn add(core: AutomationAssistantManager) -> Result<*mut aa_manager, Failure> {
    MANAGERS.add(Manager::new(core))
}

/// Makes a manager of at most this many helpers. Owned by the caller: `aa_manager_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_manager_new(
    max_helpers: usize,
    out: *mut *mut aa_manager,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets `out` be written to.
        let out = unsafe { Out::new(out) }?;
        out.set(add(AutomationAssistantManager::new(max_helpers))?);
        Ok(())
    })
}

/// The same for at least one helper, with every event of every helper written to an audit file.
/// The telemetry's handle may be freed afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_manager_new_with_telemetry(
    max_helpers: usize,
    telemetry: *const aa_telemetry,
    out: *mut *mut aa_manager,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets `out` be written to.
        let out = unsafe { Out::new(out) }?;
        let telemetry = TELEMETRY.get(telemetry)?;
        let builder = AutomationAssistantManager::builder().max_helpers(max_helpers);
        out.set(add(builder.telemetry((*telemetry).clone()).build()?)?);
        Ok(())
    })
}

/// Stops all helpers, as `aa_manager_terminate_all` does, and frees the manager. Helper handles
/// stay valid: their calls fail (`AA_STOPPED`) until `aa_helper_free`. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn aa_manager_free(manager: *mut aa_manager) {
    if !manager.is_null() {
        value((), || {
            MANAGERS.remove(manager)?.free();
            Ok(())
        });
    }
}

/// Spawns a helper from its configuration: JSON with `backend_type` (`chatgpt`, `comet`, `local`,
/// `anthropic`) and, where wanted, `name`, `model`, `api_key`, `api_endpoint`,
/// `max_concurrent_tasks`, `timeout_seconds`, `system_prompt`, `custom_params` and the others that
/// README lists. An unknown member is an error that names it. The helper's handle is owned by the
/// caller: `aa_helper_free`. The manager keeps the helper running without it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_manager_spawn(
    manager: *mut aa_manager,
    config_json: *const c_char,
    len: usize,
    out: *mut *mut aa_helper,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets `out` be written to.
        let out = unsafe { Out::new(out) }?;
        // SAFETY: the caller lets `len` bytes be read.
        let config = config(unsafe { read(config_json, len) }?)?;
        let manager = MANAGERS.get(manager)?;
        let id = manager.core.spawn_helper(config)?;
        out.set(Helper::of(&manager, id)?);
        Ok(())
    })
}

/// The manager behind a handle, for those who spawn otherwise.
pub(crate) fn manager_of(manager: *const aa_manager) -> Result<Arc<Manager>, Failure> {
    MANAGERS.get(manager)
}

/// Another handle to the helper of this id (as in status reports and audit lines). Owned by the
/// caller: `aa_helper_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_manager_find(
    manager: *const aa_manager,
    helper_id: *const c_char,
    len: usize,
    out: *mut *mut aa_helper,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets `out` be written to.
        let out = unsafe { Out::new(out) }?;
        // SAFETY: the caller lets `len` bytes be read.
        let text = unsafe { read(helper_id, len) }?;
        let manager = MANAGERS.get(manager)?;
        let unknown = |_| Failure::new(aa_status::AA_UNKNOWN_HELPER, "Helper ID not found");
        out.set(Helper::of(&manager, text.parse().map_err(unknown)?)?);
        Ok(())
    })
}

/// The number of helpers; 0 where the handle is invalid.
#[unsafe(no_mangle)]
pub extern "C" fn aa_manager_helper_count(manager: *const aa_manager) -> usize {
    value(0, || Ok(MANAGERS.get(manager)?.core.helper_count()))
}

/// The state and counters of every helper: a JSON array of what `aa_helper_status_json` returns.
/// Owned by the caller: `aa_string_free`. NULL where the handle is invalid.
#[unsafe(no_mangle)]
pub extern "C" fn aa_manager_status_json(manager: *const aa_manager) -> *mut c_char {
    value(ptr::null_mut(), || json(&MANAGERS.get(manager)?.core.get_all_helpers_status()).map(give))
}

/// A task, named by its helper and the number that the submit gave.
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct aa_task_ref {
    /// The helper.
    pub helper: *mut aa_helper,
    /// The task's number.
    pub task: u64,
}

/// Waits until one of several tasks of this manager's helpers has ended, and takes its result.
/// `index` gets its place in the list (the first, where several have ended). Times, statuses and
/// ownership are those of `aa_helper_wait`; no tasks are `AA_INVALID_REQUEST`, and a helper of
/// another manager is `AA_UNKNOWN_HELPER`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_manager_wait_any(
    manager: *const aa_manager,
    tasks: *const aa_task_ref,
    count: usize,
    timeout_ms: u32,
    index: *mut usize,
    out: *mut *mut aa_task,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets `index` be written to.
        let index = unsafe { Out::new(index) }?;
        // SAFETY: the caller lets `out` be written to.
        let out = unsafe { Out::new(out) }?;
        // SAFETY: the caller lets `count` elements be read.
        let tasks = unsafe { elements(tasks, count) }?;
        let manager = MANAGERS.get(manager)?;
        // Kept: the results of a helper that is terminated meanwhile are read through it alone.
        let helpers = tasks.iter().map(|task| HELPERS.get(task.helper));
        let helpers = helpers.collect::<Result<Vec<_>, Failure>>()?;
        let pairs = helpers.iter().zip(tasks).map(|(helper, task)| helper.task(task.task));
        let pairs = pairs.collect::<Result<Vec<_>, Failure>>()?;
        let ids: Vec<_> = pairs.iter().map(|(helper, id)| (helper.helper_id(), *id)).collect();
        let ended = match manager.core.wait_any(&ids, duration(timeout_ms)) {
            Err(Error::UnknownHelper(gone)) => ended_of(gone, &pairs)?,
            ended => ended?,
        };
        let place = ids.iter().position(|(_, id)| *id == ended.task_id).unwrap_or_default();
        let (helper, _) = pairs[place];
        out.set(hand_out(taken(helper, ended)?)?);
        index.set(place);
        Ok(())
    })
}

/// The task of a helper that the manager has no longer: it has ended with its helper.
fn ended_of(gone: HelperId, pairs: &[(&AutomationHelper, TaskId)]) -> Result<Task, Error> {
    let unknown = Error::UnknownHelper(gone);
    match pairs.iter().find(|(helper, _)| helper.helper_id() == gone) {
        Some((helper, id)) => helper.wait_task(*id, Duration::ZERO).map_err(|why| match why {
            Error::WaitTimedOut { .. } => unknown,
            why => why,
        }),
        None => Err(unknown),
    }
}

/// # Safety
///
/// Where `tasks` is not NULL, `count` elements can be read there while the result is used.
unsafe fn elements<'a>(
    tasks: *const aa_task_ref,
    count: usize,
) -> Result<&'a [aa_task_ref], Failure> {
    if tasks.is_null() {
        return Err(null());
    }
    let bytes = count.checked_mul(size_of::<aa_task_ref>());
    if bytes.is_none_or(|bytes| isize::try_from(bytes).is_err()) || !tasks.is_aligned() {
        let why = "a list of tasks has an impossible length or address";
        return Err(Failure::new(aa_status::AA_INVALID_REQUEST, why));
    }
    // SAFETY: not NULL, aligned, no longer than an object can be; the caller promises the rest.
    Ok(unsafe { slice::from_raw_parts(tasks, count) })
}

/// Stops all helpers at the same time and removes them. Running tasks are cancelled, queued ones
/// end as `terminated`. The call takes about a second at most; with helpers that speak HTTP longer by
/// their connect time-out (10 s unless set), which a thread that is connecting takes, or one that is
/// in a tool. New helpers can be spawned afterwards.
#[unsafe(no_mangle)]
pub extern "C" fn aa_manager_terminate_all(manager: *mut aa_manager) -> aa_status {
    status(|| {
        MANAGERS.get(manager)?.core.terminate_all();
        Ok(())
    })
}
