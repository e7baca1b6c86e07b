//! Events become lines of an audit file: one JSON object a line, one write for each moment.
//!
//! ```text
//! {"timestamp":1763830000.120456,"run_id":"20251122_164640","event":"task_complete",
//!  "helper_id":"1f2e3d4c","backend":"Local (local-mock)","latency_ms":0.412,"success":true,…}
//! ```
//!
//! A line has been handed to the system before the event's outcome can be read, so that it
//! survives a kill of the process. No prompt, reply or key is ever in it: texts of errors
//! are our own words ([`TaskError::summary`](crate::TaskError::summary)).

mod companion;
mod fields;
mod file;
mod line;
mod look;
mod looks;
mod open;
mod second;
mod stats;

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::slice;
use std::time::SystemTime;

use crate::calendar::run_second;
use crate::error::Error;
use crate::event::{Event, EventKind, Observe};
use crate::id::random_u64;
use crate::sync::{Arc, Mutex, lock};
use fields::write_fields;
use file::AuditFile;
use line::{Line, Stamp};
pub use stats::TelemetryStats;

/// Where the examples keep their audit file. The library itself writes to no file that it
/// was not given.
pub const DEFAULT_AUDIT_PATH: &str = "src/memory/audit.jsonl";

/// When lines are forced to the disk itself. (They survive a kill of the process in any case;
/// this is about power cuts and crashes of the system.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Fsync {
    /// The system writes them when it sees fit, commonly within half a minute.
    #[default]
    Never,
    /// After each so many lines. A call takes a tenth of a millisecond to several, as the disk
    /// is (`cargo bench -- telemetry` measures it).
    EachLines(NonZeroU32),
    /// After each finished task.
    EachTask,
}

impl fmt::Display for Fsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::EachLines(lines) => write!(f, "each {lines} lines"),
            Self::EachTask => f.write_str("each task"),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Rotation {
    bytes_max: NonZeroU64,
    files: NonZeroU32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Options {
    fsync: Fsync,
    rotation: Option<Rotation>,
}

/// Writes what happens to an audit file, one line of JSON for each event.
///
/// A cheap handle: clones write to the same run. Give one to the manager's builder. It has
/// no thread and no buffer of its own: each line is written by the thread on which the event
/// happens, in one write with what came at the same moment. Dropping the last clone writes a `run_end` line.
///
/// A file that cannot be written fails no task: lost lines are counted
/// ([`stats`](Self::stats)), and told in the file as soon as it takes lines again. Should
/// the file be removed or renamed, that is noticed after some 256 lines or, at the next
/// line, a second, and a new file begun under the old name; lines in between stand in the
/// renamed file, or are gone with the removed one.
///
/// # Several writers
///
/// Several processes, and several `Telemetry` in one process, may write to one file. The kernel's
/// advisory locks (`flock`) tell them apart; nothing is written for that, and a process that
/// ends, however it ends, holds no lock any more. A writer holds a shared lock on the file it
/// writes to. Rotation, and ending a torn line, hold an exclusive lock on the empty file
/// `NAME.lock` beside it, which is made when it is first needed and never deleted, and on the
/// folder, which opening locks for a moment too. Where others hold these for 10 ms, the file is
/// written on without rotation, and that is counted ([`TelemetryStats::rotations_skipped`]). A program of yours may hold the lock on
/// `NAME.lock` to keep the files as they are for a while.
///
/// Lines never mix. A writer that could write only a part of a line cuts that part off if it is
/// alone, and ends it with a newline if it is not; so does the next writer with a part that a
/// killed one left. A line is counted as written only if it stands on a line of its own. (A
/// writer looks for such parts from when it knows of others: it does when it opens the file
/// after them, and otherwise within 256 lines or a second. From then on each of its writes takes
/// one to three system calls more.)
///
/// A file with further names (hard links) is appended to, but never cut. On a file system
/// without locks nothing is cut and nothing rotated. Network file systems may give no promise
/// about any of this. On Android, std has the locks from Rust 1.98 on; with an older one, the
/// feature `rustix` has them.
///
/// # Limits of the system
///
/// A process whose files may not grow beyond a size (`ulimit -f`, `RLIMIT_FSIZE`) is ended by
/// the signal `SIGXFSZ` when a line would go beyond it, unless it ignores that signal; then such
/// a line is lost, and counted. Rotation at a smaller size avoids both.
///
/// ```
/// # fn main() -> Result<(), automation_assistant::Error> {
/// use automation_assistant::Telemetry;
///
/// # let folder = std::env::temp_dir().join(format!("aa-doc-{}", std::process::id()));
/// # let path = folder.join("audit.jsonl");
/// let telemetry = Telemetry::to_file(&path)?;
/// assert_eq!(telemetry.stats().lines_lost, 0);
/// # drop(telemetry);
/// # std::fs::remove_dir_all(folder).ok();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Telemetry(Arc<Run>);

struct Run {
    run_id: String,
    /// `,"run_id":"…"`, as it stands in each line.
    run_field: String,
    path: PathBuf,
    file: Mutex<AuditFile>,
}

/// Settings of a [`Telemetry`]; made by [`Telemetry::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct TelemetryBuilder {
    path: PathBuf,
    options: Options,
}

impl TelemetryBuilder {
    /// Begins a new file when the present one has reached this many bytes, and keeps so many
    /// older ones (`audit.jsonl.1` is the youngest). Defaults to no rotation. Zero for either
    /// counts as one.
    ///
    /// An older file goes only if no process has it open; of several, the oldest such. With
    /// several writers a file may grow beyond the size, by what each writes until it looks for
    /// the file again (256 lines or a second).
    pub fn rotate(mut self, bytes_max: u64, files: u32) -> Self {
        let bytes_max = NonZeroU64::new(bytes_max).unwrap_or(NonZeroU64::MIN);
        let files = NonZeroU32::new(files).unwrap_or(NonZeroU32::MIN);
        self.options.rotation = Some(Rotation { bytes_max, files });
        self
    }

    /// When lines are forced to the disk. Defaults to [`Fsync::Never`].
    pub fn fsync(mut self, fsync: Fsync) -> Self {
        self.options.fsync = fsync;
        self
    }

    /// Opens the file, and makes it and its folders where they are missing.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be opened for appending, is a folder, a pipe or a
    /// symbolic link, or another process holds an exclusive lock on it for half a second. With
    /// rotation also if `NAME.lock` cannot be made or opened, or is no plain file, or a name is
    /// too long for what rotation adds to it.
    pub fn build(self) -> Result<Telemetry, Error> {
        let now = SystemTime::now();
        let (at, second) = (Stamp::new(now), run_second(now));
        let opened = AuditFile::open(&self.path, &second, self.options)
            .map_err(Error::io(format!("cannot write the audit file {}", self.path.display())))?;
        let run_id = if opened.shares_second {
            // 32 random bits: enough to tell apart the few runs of one second.
            format!("{second}_{:08x}", random_u64() as u32)
        } else {
            second
        };
        let telemetry = Telemetry(Arc::new(Run {
            run_field: format!(",\"run_id\":\"{run_id}\""),
            run_id,
            path: opened.file.path().to_owned(),
            file: Mutex::new(opened.file),
        }));
        lock(&telemetry.0.file).tell_repaired(at, &telemetry.0.run_field);
        Ok(telemetry)
    }
}

impl Telemetry {
    /// Appends to this file, which is made, with its folders, where it is missing.
    ///
    /// If the file does not end in a newline (its last writer was killed, or the disk was
    /// full), the torn line is cut off and a `tail_repaired` line tells how many bytes that
    /// were; if another process has the file open, or it has further names (hard links), nothing
    /// is cut, and the torn line is closed with a newline. A new file can be read by its owner
    /// alone. Opening never waits for longer than half a second.
    ///
    /// # Errors
    ///
    /// As [`TelemetryBuilder::build`].
    pub fn to_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder(path.as_ref()).build()
    }

    /// The same with settings.
    pub fn builder(path: impl Into<PathBuf>) -> TelemetryBuilder {
        TelemetryBuilder { path: path.into(), options: Options::default() }
    }

    /// The file, by its absolute path.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Names this run in each of its lines: `YYYYMMDD_HHMMSS` in UTC, with a suffix where
    /// another run may have begun in the same second: one that has the file open, or wrote to it
    /// in that second.
    pub fn run_id(&self) -> &str {
        &self.0.run_id
    }

    /// What became of the lines so far.
    pub fn stats(&self) -> TelemetryStats {
        lock(&self.0.file).stats.clone()
    }

    /// Waits until the disk has all lines written so far.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] with what the system said.
    pub fn sync(&self) -> Result<(), Error> {
        let what = || format!("cannot sync the audit file {}", self.0.path.display());
        lock(&self.0.file).sync().map_err(|source| Error::Io { what: what(), source })
    }
}

impl Run {
    fn append(&self, lines: &mut [Line], at: Stamp, ends_task: bool) {
        lock(&self.file).append(lines, at, ends_task, &self.run_field);
    }

    /// Makes an event's line.
    fn tell(&self, line: &mut Line, event: &Event<'_>) -> Stamp {
        let at = Stamp::new(event.at);
        line.begin(at, &self.run_field, event.kind.as_str());
        write_fields(line, event);
        at
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        lock(&self.file).end_run(&self.run_field);
    }
}

impl Observe for Telemetry {
    fn on_event(&self, event: &Event<'_>) {
        let mut line = Line::new();
        let at = self.0.tell(&mut line, event);
        let ends_task = event.kind == EventKind::TaskComplete;
        self.0.append(slice::from_mut(&mut line), at, ends_task);
    }

    fn on_events(&self, events: &[Event<'_>]) -> bool {
        let mut rest = events;
        // Two at a time: a task's call and its end.
        while let [first, second, more @ ..] = rest {
            let mut lines = [Line::new(), Line::new()];
            self.0.tell(&mut lines[0], first);
            let at = self.0.tell(&mut lines[1], second);
            let ends_task =
                [first, second].map(|event| event.kind).contains(&EventKind::TaskComplete);
            self.0.append(&mut lines, at, ends_task);
            rest = more;
        }
        if let [last] = rest {
            self.on_event(last);
        }
        true
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("path", &self.0.path)
            .field("run_id", &self.0.run_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
