//! Counts of an audit file's lines.

use std::fmt;
use std::io;

/// Counts of a [`Telemetry`](super::Telemetry)'s lines so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TelemetryStats {
    /// Lines that were written and can be read. (A writer that other writers join learns of them
    /// within 256 lines or a second: until then also lines behind their torn ones.)
    pub lines_written: u64,
    /// Lines that could not be written.
    pub lines_lost: u64,
    /// How often the file was found removed or replaced, and was opened again.
    pub reopened: u64,
    /// How often the file was rotated.
    pub rotations: u64,
    /// How often a full file was not rotated: because another process held the lock for too long,
    /// because processes still have all older files open, because the file system has no locks,
    /// or for the reason in [`last_error`](Self::last_error). Rotation is tried again a second
    /// later.
    pub rotations_skipped: u64,
    /// How many torn lines were ended with a newline, because other writers, a hard link, or the
    /// lack of file locks forbid cutting them off. Where a line of ours stood behind one already,
    /// that line was replaced by spaces and written again; the torn line keeps all its bytes.
    pub torn_closed: u64,
    /// How often a write waited until the disk had all lines; see [`Fsync`](super::Fsync).
    pub syncs: u64,
    /// The system's error of the last failure.
    pub last_error: Option<String>,
}

impl TelemetryStats {
    pub(super) fn note(&mut self, error: io::Error) {
        let text = self.last_error.get_or_insert_default();
        // In place: a full disk fails in the same way for each line.
        text.clear();
        let _ = fmt::Write::write_fmt(text, format_args!("{error}"));
    }
}
