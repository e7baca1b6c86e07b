//! Events become lines of an audit file: one JSON object a line, one write for each moment.
//!
//! ```text
//! {"timestamp":1763830000.120456,"run_id":"20251122_164640","event":"task_complete",
//!  "helper_id":"1f2e3d4c","backend":"Local (local-mock)","latency_ms":0.412,"success":true,…}
//! ```
//!
//! A line is written before the event's outcome can be read, so that it survives a kill of the
//! process. No prompt, reply or key is ever in it: texts of errors are the library's own
//! ([`TaskError::summary`](crate::TaskError::summary)).

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

/// The audit file of the examples. The library itself writes only files that the program names.
pub const DEFAULT_AUDIT_PATH: &str = "src/memory/audit.jsonl";

/// When lines are forced to the disk. (They survive a kill of the process in any case; this
/// protects against power cuts and system crashes.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Fsync {
    /// The system decides, commonly within half a minute.
    #[default]
    Never,
    /// After this many lines. A call takes 0.1 ms to several milliseconds, depending on the disk
    /// (`cargo bench -- telemetry` measures it).
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

/// Writes events to an audit file, one line of JSON for each.
///
/// A cheap handle: clones write to the same run. Pass one to the manager's builder. It has no
/// thread and no buffer: each line is written by the thread on which the event occurs, in one
/// write together with other events of the same moment. Dropping the last clone writes a
/// `run_end` line.
///
/// ```
/// # fn main() -> Result<(), automation_assistant::Error> {
/// use automation_assistant::{AutomationAssistantManager, Debrief, HelperConfig, Telemetry};
///
/// # let folder = std::env::temp_dir().join(format!("aa-doc-{}", std::process::id()));
/// # let path = folder.join("audit.jsonl");
/// let telemetry = Telemetry::to_file(&path)?;
/// let manager = AutomationAssistantManager::builder().telemetry(telemetry.clone()).build()?;
/// manager.spawn(HelperConfig::local())?.ask("hello")?;
/// assert_eq!(telemetry.stats().lines_lost, 0);
/// print!("{}", Debrief::from_path(&path)?);
/// # drop((telemetry, manager));
/// # std::fs::remove_dir_all(folder).ok();
/// # Ok(())
/// # }
/// ```
///
/// # A file that cannot be written
///
/// A file that cannot be written fails no task: lost lines are counted ([`stats`](Self::stats)),
/// and reported in the file as soon as it can be written again. If the file is removed or
/// renamed, that is noticed within 256 lines or, at the next line, after a second, and a new file
/// is created under the old name; lines in between are in the renamed file, or lost with the
/// removed one. If none can be created, lines continue in the renamed file; those for a removed
/// one are counted as lost.
///
/// # Several writers
///
/// Several processes, and several `Telemetry` in one process, may write to one file. They
/// coordinate by the kernel's advisory locks (`flock`), which write nothing to the file and are
/// released when the process ends, in any way. A writer holds a shared lock on the file it writes
/// to. Rotation, and ending a torn line, take an exclusive lock on the empty file `NAME.lock`
/// beside it, which is created when first needed and never deleted, and on the folder, which
/// opening also locks briefly. If others hold these locks for 10 ms, the file is not rotated, and
/// that is counted ([`TelemetryStats::rotations_skipped`]). Another program may hold the lock on
/// `NAME.lock` to prevent rotation for a while.
///
/// Lines never mix. A writer that could write only a part of a line cuts that part off if no
/// other process has the file open, and ends it with a newline otherwise; the next writer does
/// the same with a part that a killed writer left. A line is counted as written only if it stands
/// on a line of its own. (A writer checks for such parts once it knows of other writers: at once
/// if it opens the file after them, and otherwise within 256 lines or a second. Until then, lines
/// that stand behind such a part count as written, too. From then on each of its writes takes one
/// to three more system calls.)
///
/// A file with further names (hard links) is appended to, but never cut. On a file system without
/// locks nothing is cut and nothing rotated. Network file systems may break all of these
/// guarantees. On Android, std has the locks from Rust 1.98 on; with an older one, the feature
/// `rustix` provides them.
///
/// # Limits of the system
/// If the file size is limited (`ulimit -f`, `RLIMIT_FSIZE`), a line beyond the limit is lost, and
/// counted; a write at the limit itself ends the process by the signal `SIGXFSZ`, unless the process
/// ignores that signal. Rotation at a smaller size avoids both.
#[derive(Clone)]
pub struct Telemetry(Arc<Run>);

struct Run {
    run_id: String,
    /// `,"run_id":"…"`, as in each line.
    run_field: String,
    path: PathBuf,
    file: Mutex<AuditFile>,
}

/// Settings of a [`Telemetry`]; created by [`Telemetry::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct TelemetryBuilder {
    path: PathBuf,
    options: Options,
}

impl TelemetryBuilder {
    /// Begins a new file when the current one has reached this many bytes, and keeps this many
    /// older files (`audit.jsonl.1` is the youngest). Defaults to no rotation. Zero for either
    /// counts as one.
    ///
    /// An older file is removed only if no process has it open; of several, the oldest such. With
    /// several writers a file may exceed the size by what each writes until its next check of the
    /// file (256 lines or a second).
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

    /// Opens the file; creates it and its folders if they do not exist.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be opened for appending, is a folder, a pipe or a
    /// symbolic link, or another process holds an exclusive lock on it for half a second. With
    /// rotation also if `NAME.lock` cannot be created or opened, or is not a regular file, or the
    /// name is too long for the suffixes of rotation.
    pub fn build(self) -> Result<Telemetry, Error> {
        let now = SystemTime::now();
        let (at, second) = (Stamp::new(now), run_second(now));
        let opened = AuditFile::open(&self.path, &second, self.options)
            .map_err(Error::io(format!("cannot write the audit file {}", self.path.display())))?;
        let run_id = if opened.shares_second {
            // 32 random bits: enough to distinguish the few runs of one second.
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
        lock(&telemetry.0.file).report_repaired(at, &telemetry.0.run_field);
        Ok(telemetry)
    }
}

impl Telemetry {
    /// Appends to this file; creates it and its folders if they do not exist.
    ///
    /// If the file does not end in a newline (its last writer was killed, or the disk was full),
    /// the torn line is cut off and a `tail_repaired` line reports the number of bytes; if
    /// another process writes to the file (holds a shared lock on it, as this library's writers
    /// do), or it has further names (hard links), nothing is cut, and the torn line is closed with a
    /// newline. A program that appends without that lock must end its lines itself. A new file can be read by its owner alone.
    /// Opening waits at most half a second.
    ///
    /// # Errors
    ///
    /// As [`TelemetryBuilder::build`].
    #[doc(alias("logging", "audit log"))]
    pub fn to_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder(path.as_ref()).build()
    }

    /// A builder, for settings.
    pub fn builder(path: impl Into<PathBuf>) -> TelemetryBuilder {
        TelemetryBuilder { path: path.into(), options: Options::default() }
    }

    /// The absolute path of the file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The id of this run, which each of its lines has: `YYYYMMDD_HHMMSS` in UTC, with a suffix
    /// if another run may have begun in the same second: one that has the file open, or wrote to
    /// it in that second.
    pub fn run_id(&self) -> &str {
        &self.0.run_id
    }

    /// The counts of lines so far.
    pub fn stats(&self) -> TelemetryStats {
        lock(&self.0.file).stats.clone()
    }

    /// Waits until the disk has all lines written so far.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] with the system's error.
    pub fn sync(&self) -> Result<(), Error> {
        let what = || format!("cannot sync the audit file {}", self.0.path.display());
        lock(&self.0.file).sync().map_err(|source| Error::Io { what: what(), source })
    }
}

impl Run {
    fn append(&self, lines: &mut [Line], at: Stamp, ends_task: bool) {
        lock(&self.file).append(lines, at, ends_task, &self.run_field);
    }

    /// Writes an event's fields into a line.
    fn compose(&self, line: &mut Line, event: &Event<'_>) -> Stamp {
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
        let at = self.0.compose(&mut line, event);
        let ends_task = event.kind == EventKind::TaskComplete;
        self.0.append(slice::from_mut(&mut line), at, ends_task);
    }

    fn on_events(&self, events: &[Event<'_>]) -> bool {
        let mut rest = events;
        // Two at a time: a task's final call and its end.
        while let [first, second, more @ ..] = rest {
            let mut lines = [Line::new(), Line::new()];
            self.0.compose(&mut lines[0], first);
            let at = self.0.compose(&mut lines[1], second);
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
