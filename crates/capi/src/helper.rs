//! Helpers.

use std::ffi::c_char;
use std::ptr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use automation_assistant::{
    AutomationHelper, Error, HelperId, Task, TaskId, TaskLookup, TaskState,
};

use crate::handle::Table;
use crate::input::{config, duration, request};
use crate::owner::Manager;
use crate::status::{Failure, aa_status, status, value};
use crate::task::{aa_task, hand_out, id_of, json, number_of};
use crate::telemetry::{TELEMETRY, aa_telemetry};
use crate::text::{Out, give, read};

/// A helper: threads that take tasks from a queue and answer them.
#[allow(non_camel_case_types)]
#[derive(Debug)]
pub struct aa_helper {
    _opaque: (),
}

pub(crate) struct Helper {
    core: AutomationHelper,
    /// `None` for a helper of its own.
    manager: Option<Weak<Manager>>,
}

pub(crate) static HELPERS: Table<aa_helper, Helper> = Table::new(3);

impl Helper {
    /// A handle to a manager's helper.
    pub(crate) fn of(manager: &Arc<Manager>, id: HelperId) -> Result<*mut aa_helper, Failure> {
        let core = manager.core.get_helper(id).ok_or(Error::UnknownHelper(id))?;
        HELPERS.add(Self { core, manager: Some(Arc::downgrade(manager)) })
    }

    /// The helper, unless its manager was freed.
    pub(crate) fn live(&self) -> Result<&AutomationHelper, Failure> {
        let Some(manager) = &self.manager else { return Ok(&self.core) };
        if manager.upgrade().is_none_or(|manager| manager.is_freed()) {
            return Err(Failure::new(aa_status::AA_STOPPED, "the helper's manager was freed"));
        }
        Ok(&self.core)
    }

    /// The helper and its task of this number.
    pub(crate) fn task(&self, number: u64) -> Result<(&AutomationHelper, TaskId), Failure> {
        let helper = self.live()?;
        Ok((helper, id_of(helper.helper_id(), number)?))
    }
}

/// Makes a helper without a manager, from a configuration as `aa_manager_spawn` takes it. It
/// takes tasks at once, and works on them after `aa_helper_start`. Owned by the caller:
/// `aa_helper_free`, which stops it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_helper_new(
    config_json: *const c_char,
    len: usize,
    out: *mut *mut aa_helper,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets `out` be written to.
        let out = unsafe { Out::new(out) }?;
        // SAFETY: the caller lets `len` bytes be read.
        let config = config(unsafe { read(config_json, len) }?)?;
        let core = AutomationHelper::new(config)?;
        out.set(HELPERS.add(Helper { core, manager: None })?);
        Ok(())
    })
}

/// The same with every event of the helper written to an audit file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_helper_new_with_telemetry(
    config_json: *const c_char,
    len: usize,
    telemetry: *const aa_telemetry,
    out: *mut *mut aa_helper,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets `out` be written to.
        let out = unsafe { Out::new(out) }?;
        // SAFETY: the caller lets `len` bytes be read.
        let config = config(unsafe { read(config_json, len) }?)?;
        let telemetry = TELEMETRY.get(telemetry)?;
        let core = AutomationHelper::builder(config).telemetry((*telemetry).clone()).build()?;
        out.set(HELPERS.add(Helper { core, manager: None })?);
        Ok(())
    })
}

/// Starts the threads of a helper of `aa_helper_new`. A helper that runs is left as it is.
#[unsafe(no_mangle)]
pub extern "C" fn aa_helper_start(helper: *mut aa_helper) -> aa_status {
    status(|| Ok(HELPERS.get(helper)?.live()?.start()?))
}

/// Stops a helper for good: running tasks are cancelled, queued ones end as `terminated`, results
/// stay readable. A manager still counts it until `aa_helper_terminate`.
#[unsafe(no_mangle)]
pub extern "C" fn aa_helper_stop(helper: *mut aa_helper) -> aa_status {
    status(|| {
        HELPERS.get(helper)?.live()?.stop();
        Ok(())
    })
}

/// Stops a manager's helper and removes it from the manager. Its results stay readable through
/// this handle. `AA_UNKNOWN_HELPER` for one that is removed already, or has no manager.
#[unsafe(no_mangle)]
pub extern "C" fn aa_helper_terminate(helper: *mut aa_helper) -> aa_status {
    status(|| {
        let helper = HELPERS.get(helper)?;
        let id = helper.live()?.helper_id();
        let manager = helper.manager.as_ref().and_then(Weak::upgrade);
        Ok(manager.ok_or(Error::UnknownHelper(id))?.core.terminate_helper(id)?)
    })
}

/// Frees the handle. A manager's helper keeps running; one of `aa_helper_new` is stopped. NULL is
/// fine.
#[unsafe(no_mangle)]
pub extern "C" fn aa_helper_free(helper: *mut aa_helper) {
    if !helper.is_null() {
        value((), || {
            let helper = HELPERS.remove(helper)?;
            if helper.manager.is_none() {
                // Now, not when the last call that still has the helper returns.
                helper.core.stop();
            }
            Ok(())
        });
    }
}

/// The helper's id, as in status reports and audit lines. Owned by the caller: `aa_string_free`.
/// NULL where the handle is invalid, or the manager was freed.
#[unsafe(no_mangle)]
pub extern "C" fn aa_helper_id(helper: *const aa_helper) -> *mut c_char {
    value(ptr::null_mut(), || Ok(give(HELPERS.get(helper)?.live()?.helper_id().to_string())))
}

/// The helper's state and counters as JSON: `helper_id`, `name`, `backend`, `status`,
/// `queued_tasks`, `active_tasks`, `completed_tasks`, `failed_tasks` and more. Owned by the
/// caller: `aa_string_free`. NULL where the handle is invalid, or the manager was freed.
#[unsafe(no_mangle)]
pub extern "C" fn aa_helper_status_json(helper: *const aa_helper) -> *mut c_char {
    value(ptr::null_mut(), || json(&HELPERS.get(helper)?.live()?.get_status()).map(give))
}

/// Puts a task into the helper's queue. The request is JSON with `prompt` and, where wanted,
/// `context`, `priority` (`high`, `normal`, `low`), `timeout_ms`, `deadline_ms`, `system_prompt`,
/// `turns`, `custom_params`, `reply_schema` and the others that README lists; an unknown one is an
/// error that names it. `task` gets the number that names the task at this helper.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_helper_submit(
    helper: *mut aa_helper,
    request_json: *const c_char,
    len: usize,
    task: *mut u64,
) -> aa_status {
    // SAFETY: the caller's promises are the same.
    unsafe { aa_helper_submit_wait(helper, request_json, len, 0, task) }
}

/// The same; waits for a free place in the queue at most this long (`UINT32_MAX`: without limit).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_helper_submit_wait(
    helper: *mut aa_helper,
    request_json: *const c_char,
    len: usize,
    timeout_ms: u32,
    task: *mut u64,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets `task` be written to.
        let out = unsafe { Out::new(task) }?;
        // SAFETY: the caller lets `len` bytes be read.
        let text = unsafe { read(request_json, len) }?;
        let helper = HELPERS.get(helper)?;
        let id = helper.live()?.submit_task_wait(request(text)?, duration(timeout_ms))?;
        out.set(number_of(id));
        Ok(())
    })
}

/// Waits until the task has ended, at most this long (`UINT32_MAX`: without limit), and takes its
/// result: a second wait is `AA_UNKNOWN_TASK`. `AA_WAIT_TIMED_OUT` where it has not ended; it goes
/// on then. `AA_OK` says that it ended, well or not: see `aa_task_error`. Owned by the caller:
/// `aa_task_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_helper_wait(
    helper: *mut aa_helper,
    task: u64,
    timeout_ms: u32,
    out: *mut *mut aa_task,
) -> aa_status {
    // SAFETY: the caller lets `out` be written to.
    unsafe { finish(helper, task, out, &|helper, id| take(helper, id, duration(timeout_ms))) }
}

/// The same without waiting.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_helper_take(
    helper: *mut aa_helper,
    task: u64,
    out: *mut *mut aa_task,
) -> aa_status {
    // SAFETY: the caller lets `out` be written to.
    unsafe { finish(helper, task, out, &|helper, id| take(helper, id, Duration::ZERO)) }
}

/// The same without waiting, and the result stays: it can be read again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_helper_get(
    helper: *const aa_helper,
    task: u64,
    out: *mut *mut aa_task,
) -> aa_status {
    // SAFETY: the caller lets `out` be written to.
    unsafe { finish(helper, task, out, &|helper, id| helper.wait_task(id, Duration::ZERO)) }
}

/// # Safety
///
/// Where `out` is not NULL, it can be written to.
unsafe fn finish(
    helper: *const aa_helper,
    number: u64,
    out: *mut *mut aa_task,
    how: &dyn Fn(&AutomationHelper, TaskId) -> Result<Task, Error>,
) -> aa_status {
    status(|| {
        // SAFETY: the caller promises it.
        let out = unsafe { Out::new(out) }?;
        let helper = HELPERS.get(helper)?;
        let (helper, id) = helper.task(number)?;
        out.set(hand_out(how(helper, id)?)?);
        Ok(())
    })
}

/// Waits for the task and takes it.
fn take(helper: &AutomationHelper, task: TaskId, wait: Duration) -> Result<Task, Error> {
    match helper.take_task_result(task) {
        Some(ended) => Ok(ended),
        None => taken(helper, helper.wait_task(task, wait)?),
    }
}

/// Takes the task that a wait has copied; of several who wait for one, one gets it. If newer
/// results took its place meanwhile, the copy is all that is left.
pub(crate) fn taken(helper: &AutomationHelper, copy: Task) -> Result<Task, Error> {
    let id = copy.task_id;
    match helper.take_task_result(id) {
        Some(task) => Ok(task),
        None if matches!(helper.look_up(id), TaskLookup::Dropped) => Ok(copy),
        None => Err(Error::UnknownTask(id)),
    }
}

/// Ends a waiting or running task as `cancelled`. False where it has ended already, or is unknown.
#[unsafe(no_mangle)]
pub extern "C" fn aa_helper_cancel(helper: *mut aa_helper, task: u64) -> bool {
    value(false, || {
        let helper = HELPERS.get(helper)?;
        let (helper, id) = helper.task(task)?;
        Ok(helper.cancel_task(id))
    })
}

/// The state of a task.
#[allow(non_camel_case_types)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum aa_task_state {
    /// The helper never had it, or its result was taken or cleared.
    AA_TASK_UNKNOWN = 0,
    /// It waits for a thread.
    AA_TASK_QUEUED = 1,
    /// A thread works on it.
    AA_TASK_RUNNING = 2,
    /// It has ended, with or without success: the result can be taken.
    AA_TASK_FINISHED = 3,
    /// It ended, but its result was dropped for newer ones.
    AA_TASK_DROPPED = 4,
}

/// The state of a task. An unknown one is `AA_TASK_UNKNOWN`, and no error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_helper_look_up(
    helper: *const aa_helper,
    task: u64,
    state: *mut aa_task_state,
) -> aa_status {
    use aa_task_state::*;
    status(|| {
        // SAFETY: the caller lets `state` be written to.
        let out = unsafe { Out::new(state) }?;
        let helper = HELPERS.get(helper)?;
        let helper = helper.live()?;
        let Ok(id) = id_of(helper.helper_id(), task) else {
            out.set(AA_TASK_UNKNOWN);
            return Ok(());
        };
        out.set(match helper.task_state(id) {
            Some(TaskState::Queued) => AA_TASK_QUEUED,
            Some(TaskState::Running) => AA_TASK_RUNNING,
            Some(_) => AA_TASK_FINISHED,
            None => match helper.wait_task(id, Duration::ZERO) {
                Err(Error::ResultDropped(_)) => AA_TASK_DROPPED,
                _ => AA_TASK_UNKNOWN,
            },
        });
        Ok(())
    })
}

/// Removes all finished tasks of the helper; returns their number, 0 where the handle is invalid.
#[unsafe(no_mangle)]
pub extern "C" fn aa_helper_clear_results(helper: *mut aa_helper) -> usize {
    value(0, || Ok(HELPERS.get(helper)?.live()?.clear_results()))
}

/// The task's id as it stands in audit lines and in `aa_task_json`. Owned by the caller:
/// `aa_string_free`. NULL where the helper cannot have a task of this number.
#[unsafe(no_mangle)]
pub extern "C" fn aa_helper_task_id(helper: *const aa_helper, task: u64) -> *mut c_char {
    value(ptr::null_mut(), || Ok(give(HELPERS.get(helper)?.task(task)?.1.to_string())))
}

/// The number of the task with this id, which is one of this helper's ids. `aa_helper_look_up`
/// reports whether the helper has the task.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_helper_find_task(
    helper: *const aa_helper,
    task_id: *const c_char,
    len: usize,
    task: *mut u64,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets `task` be written to.
        let out = unsafe { Out::new(task) }?;
        // SAFETY: the caller lets `len` bytes be read.
        let text = unsafe { read(task_id, len) }?;
        let own = HELPERS.get(helper)?.live()?.helper_id();
        let id = text.parse::<TaskId>().ok().filter(|id| id.helper_id() == own);
        let unknown = || Failure::new(aa_status::AA_UNKNOWN_TASK, "Task ID not found");
        out.set(number_of(id.ok_or_else(unknown)?));
        Ok(())
    })
}
