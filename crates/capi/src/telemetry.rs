//! Telemetry to an audit file, and the report on one; the state of the device.

use std::ffi::c_char;
use std::ptr;

use automation_assistant::device::DeviceSnapshot;
use automation_assistant::{Debrief, Telemetry};
use serde_json::json;

use crate::handle::Table;
use crate::status::{aa_status, status, value};
use crate::task::json as text_of;
use crate::text::{Out, give, read};

/// An audit file that is written to: one JSON object a line for each event.
#[allow(non_camel_case_types)]
#[derive(Debug)]
pub struct aa_telemetry {
    _opaque: (),
}

pub(crate) static TELEMETRY: Table<aa_telemetry, Telemetry> = Table::new(4);

/// Opens an audit file for appending, and makes it and its folders where they are missing. Owned
/// by the caller: `aa_telemetry_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_telemetry_new(
    path: *const c_char,
    len: usize,
    out: *mut *mut aa_telemetry,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets `out` be written to.
        let out = unsafe { Out::new(out) }?;
        // SAFETY: the caller lets `len` bytes be read.
        let path = unsafe { read(path, len) }?;
        out.set(TELEMETRY.add(Telemetry::to_file(path)?)?);
        Ok(())
    })
}

/// The id of this run, which each of its lines has. Owned by the caller: `aa_string_free`. NULL
/// where the handle is invalid.
#[unsafe(no_mangle)]
pub extern "C" fn aa_telemetry_run_id(telemetry: *const aa_telemetry) -> *mut c_char {
    value(ptr::null_mut(), || Ok(give(TELEMETRY.get(telemetry)?.run_id())))
}

/// Counts of the lines so far, as JSON: `lines_written`, `lines_lost` (they could not be written),
/// `reopened`, `rotations`, `rotations_skipped`, and `last_error`, the system's words of the last
/// failure, or null. Owned by the caller: `aa_string_free`. NULL where the handle is invalid.
#[unsafe(no_mangle)]
pub extern "C" fn aa_telemetry_stats_json(telemetry: *const aa_telemetry) -> *mut c_char {
    value(ptr::null_mut(), || {
        let stats = TELEMETRY.get(telemetry)?.stats();
        let json = json!({
            "lines_written": stats.lines_written,
            "lines_lost": stats.lines_lost,
            "reopened": stats.reopened,
            "rotations": stats.rotations,
            "rotations_skipped": stats.rotations_skipped,
            "last_error": stats.last_error,
        });
        Ok(give(json.to_string()))
    })
}

/// Waits until the disk has all lines written so far. Lines that could not be written are no failure
/// of this call: `aa_telemetry_stats_json` counts them.
#[unsafe(no_mangle)]
pub extern "C" fn aa_telemetry_sync(telemetry: *const aa_telemetry) -> aa_status {
    status(|| Ok(TELEMETRY.get(telemetry)?.sync()?))
}

/// Frees the handle. The file is closed when no manager or helper writes to it any more. NULL is
/// fine.
#[unsafe(no_mangle)]
pub extern "C" fn aa_telemetry_free(telemetry: *mut aa_telemetry) {
    if !telemetry.is_null() {
        value((), || TELEMETRY.remove(telemetry).map(drop));
    }
}

/// The report on an audit file.
#[allow(non_camel_case_types)]
#[derive(Debug)]
pub struct aa_debrief {
    _opaque: (),
}

static DEBRIEFS: Table<aa_debrief, Debrief> = Table::new(5);

/// Reads an audit file. Lines that cannot be read are counted, and no error. Owned by the caller:
/// `aa_debrief_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_debrief_new(
    path: *const c_char,
    len: usize,
    out: *mut *mut aa_debrief,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets `out` be written to.
        let out = unsafe { Out::new(out) }?;
        // SAFETY: the caller lets `len` bytes be read.
        let path = unsafe { read(path, len) }?;
        out.set(DEBRIEFS.add(Debrief::from_path(path)?)?);
        Ok(())
    })
}

/// The same for lines that the program has in memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aa_debrief_new_from_lines(
    lines: *const c_char,
    len: usize,
    out: *mut *mut aa_debrief,
) -> aa_status {
    status(|| {
        // SAFETY: the caller lets `out` be written to.
        let out = unsafe { Out::new(out) }?;
        // SAFETY: the caller lets `len` bytes be read.
        let lines = unsafe { read(lines, len) }?;
        out.set(DEBRIEFS.add(Debrief::from_reader(lines.as_bytes())?)?);
        Ok(())
    })
}

/// The report for a console. Owned by the caller: `aa_string_free`. NULL where the handle is
/// invalid.
#[unsafe(no_mangle)]
pub extern "C" fn aa_debrief_text(debrief: *const aa_debrief) -> *mut c_char {
    value(ptr::null_mut(), || Ok(give(DEBRIEFS.get(debrief)?.to_text())))
}

/// The report as Markdown. Owned by the caller: `aa_string_free`. NULL where the handle is invalid.
#[unsafe(no_mangle)]
pub extern "C" fn aa_debrief_markdown(debrief: *const aa_debrief) -> *mut c_char {
    value(ptr::null_mut(), || Ok(give(DEBRIEFS.get(debrief)?.to_markdown())))
}

/// The report as JSON. Owned by the caller: `aa_string_free`. NULL where the handle is invalid.
#[unsafe(no_mangle)]
pub extern "C" fn aa_debrief_json(debrief: *const aa_debrief) -> *mut c_char {
    value(ptr::null_mut(), || text_of(&DEBRIEFS.get(debrief)?.to_json()).map(give))
}

/// Frees the report. NULL is fine.
#[unsafe(no_mangle)]
pub extern "C" fn aa_debrief_free(debrief: *mut aa_debrief) {
    if !debrief.is_null() {
        value((), || DEBRIEFS.remove(debrief).map(drop));
    }
}

/// The state of the device as JSON: memory, load, temperature, battery, network and so on; a value
/// that it does not report is replaced by the reason. Owned by the caller: `aa_string_free`. NULL
/// on failure.
#[unsafe(no_mangle)]
pub extern "C" fn aa_device_json() -> *mut c_char {
    value(ptr::null_mut(), || text_of(&DeviceSnapshot::read()).map(give))
}
