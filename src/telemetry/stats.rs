//! What became of an audit file's lines, counted.

use std::fmt;
use std::io;

/// What became of a [`Telemetry`](super::Telemetry)'s lines so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TelemetryStats {
    /// Lines that the system took, and that can be read.
    pub lines_written: u64,
    /// Lines that could not be written.
    pub lines_lost: u64,
    /// How often the file was found gone or replaced, and opened anew.
    pub reopened: u64,
    /// How often the file was rotated.
    pub rotations: u64,
    /// How often a full file was not rotated, but written on: because another process held the
    /// lock for too long, because processes still have all older files open, because there are
    /// no file locks here, or as [`last_error`](Self::last_error) says. It is tried again a
    /// second later.
    pub rotations_skipped: u64,
    /// How many torn lines were ended with a newline, because other writers, or a hard link,
    /// or the lack of file locks, forbid to cut them off.
    pub torn_closed: u64,
    /// How often the disk was waited for until it had all lines; see [`Fsync`](super::Fsync).
    pub syncs: u64,
    /// What the system said when something failed last.
    pub last_error: Option<String>,
}

impl TelemetryStats {
    pub(super) fn note(&mut self, error: io::Error) {
        let text = self.last_error.get_or_insert_default();
        // In place: a full disk fails for each line alike.
        text.clear();
        let _ = fmt::Write::write_fmt(text, format_args!("{error}"));
    }
}
