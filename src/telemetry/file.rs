//! The audit file: opened with care, one write for each moment's lines, mended, rotated, never
//! given up.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, IoSlice, Write};
use std::path::{Path, PathBuf};
use std::slice;
use std::time::Duration;

use super::line::{Line, Stamp, key};
use super::lock::Lock;
use super::open::{NO_PLAIN_FILE, open_file, rename, rotated, same_file};
use super::tail::{ends_whole, last_line_end, mentions, stays_torn};
use super::{Fsync, Options, TelemetryStats};

/// How many lines may go by before the file is looked for under its name again.
const LINES_PER_CHECK: u32 = 256;

/// How long may go by before it is looked for again.
const TIME_PER_CHECK: Duration = Duration::from_secs(1);

/// How often a write that a signal interrupted is begun again.
const INTERRUPTS_MAX: usize = 16;

/// What opening found.
pub(super) struct Opened {
    pub(super) file: AuditFile,
    /// Bytes cut off the file's end; 0 if it was whole.
    pub(super) bytes_dropped: u64,
    /// Another run began in the same second.
    pub(super) shares_second: bool,
}

/// One writer's hold on the audit file. Guarded by a mutex one level up.
pub(super) struct AuditFile {
    path: PathBuf,
    file: File,
    /// Devices are written to and left alone otherwise.
    regular: bool,
    lock: Option<Lock>,
    second: String,
    options: Options,
    seq: u64,
    /// The file does not end in a newline, and we may not cut it.
    torn: bool,
    size: u64,
    unsynced: u64,
    lines_since_check: u32,
    checked_at: Stamp,
    /// Rotation failed; not tried again before the next check.
    rotation_rests: bool,
    lost_untold: u64,
    pub(super) stats: TelemetryStats,
}

impl AuditFile {
    /// Opens the file, makes folders, mends a torn end.
    pub(super) fn open(path: &Path, second: String, options: Options) -> io::Result<Opened> {
        let path = std::path::absolute(path)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let (file, metadata) = open_file(&path)?;
        let regular = metadata.is_file();
        // Without a lock file (the folder takes none), we must suppose that we are not alone.
        let lock = if regular { Lock::put_up(&path, &second).ok() } else { None };
        let mut audit = Self {
            path,
            file,
            regular,
            lock,
            second,
            options,
            seq: 0,
            torn: false,
            size: metadata.len(),
            unsynced: 0,
            lines_since_check: 0,
            checked_at: Stamp::now(),
            rotation_rests: false,
            lost_untold: 0,
            stats: TelemetryStats::default(),
        };
        let (bytes_dropped, shares_second) =
            if regular { audit.settle_in(&metadata)? } else { (0, false) };
        Ok(Opened { file: audit, bytes_dropped, shares_second })
    }

    /// Mends the end if we are alone, closes it if not, and looks for runs of this second.
    fn settle_in(&mut self, metadata: &Metadata) -> io::Result<(u64, bool)> {
        let others = self.lock.as_ref().and_then(|lock| lock.others().ok());
        let alone = others.is_some_and(|others| !others.any);
        let mut dropped = 0;
        if alone {
            dropped = self.mend_end()?;
        }
        if let Some(lock) = &mut self.lock {
            lock.set_busy(false)?;
            if others.is_some_and(|others| others.busy) {
                lock.wait_while_busy();
            }
        }
        if !alone {
            self.torn = stays_torn(&mut self.file)?;
            self.close_torn();
        }
        self.size = self.file.metadata()?.len();
        let shares = others.is_some_and(|others| others.same_second)
            || self.has_run_of_second(metadata).unwrap_or(true);
        Ok((dropped, shares))
    }

    /// Cuts a torn end back to the last whole line. For the only writer alone.
    fn mend_end(&mut self) -> io::Result<u64> {
        if ends_whole(&mut self.file)? {
            return Ok(0);
        }
        let len = self.file.metadata()?.len();
        match last_line_end(&mut self.file, len)? {
            Some(end) => {
                self.file.set_len(end)?;
                Ok(len - end)
            }
            None => {
                self.torn = true;
                self.close_torn();
                Ok(0)
            }
        }
    }

    /// Ends a torn line with a newline of its own, now; if that fails, the next line does it.
    fn close_torn(&mut self) {
        if self.torn {
            self.torn = !matches!((&self.file).write(b"\n"), Ok(1));
        }
    }

    /// Whether a run in the file, or in the one rotated away last, began in our second.
    fn has_run_of_second(&mut self, before: &Metadata) -> io::Result<bool> {
        if before.len() > 0 {
            return mentions(&mut self.file, before, &self.second);
        }
        match File::open(rotated(&self.path, 1)) {
            Ok(mut file) => {
                let metadata = file.metadata()?;
                mentions(&mut file, &metadata, &self.second)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The path, made absolute.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one line or two of one moment, or counts what does not arrive as lost.
    /// `run_field` begins the lines that the file has to tell of itself.
    pub(super) fn append(
        &mut self,
        lines: &mut [Line],
        at: Stamp,
        ends_task: bool,
        run_field: &str,
    ) {
        if self.regular {
            self.look_after(at, run_field);
        }
        let written = self.stats.lines_written;
        if self.put(lines) && self.lost_untold > 0 {
            self.tell_lost(run_field);
        }
        if self.stats.lines_written > written {
            self.sync_if_due(ends_task);
        }
    }

    /// Numbers and writes one line or two; tells whether they arrived.
    fn put(&mut self, lines: &mut [Line]) -> bool {
        for line in &mut *lines {
            self.seq += 1;
            line.finish(self.seq);
        }
        let (arrived, outcome) = match lines {
            [first, second] => self.write_both(first, second),
            [line] => self.write_one(line),
            _ => (0, Err(ErrorKind::InvalidInput.into())),
        };
        self.stats.lines_written += arrived;
        self.unsynced += arrived;
        self.lines_since_check += arrived as u32;
        let Err(error) = outcome else { return true };
        let lost = lines.len() as u64 - arrived;
        self.stats.lines_lost += lost;
        self.lost_untold += lost;
        self.stats.note(error);
        // Look for the file before the next line.
        self.lines_since_check = LINES_PER_CHECK;
        false
    }

    fn write_one(&mut self, line: &Line) -> (u64, io::Result<()>) {
        let bytes = line.after(self.torn);
        self.written(|file| file.write(bytes), &[bytes])
    }

    fn write_both(&mut self, first: &Line, second: &Line) -> (u64, io::Result<()>) {
        let pieces = [first.after(self.torn), second.after(false)];
        let both = pieces.map(IoSlice::new);
        match self.written(|file| file.write_vectored(&both), &pieces) {
            // The disk was full just there, or the system writes one piece at a time.
            (1, Err(_)) if !self.torn => {
                let (arrived, outcome) = self.write_one(second);
                (1 + arrived, outcome)
            }
            others => others,
        }
    }

    /// One write(2): how many lines arrived, and why not all. A part of a line that went out
    /// is taken back, or closed by the next.
    fn written(
        &mut self,
        write: impl Fn(&mut &File) -> io::Result<usize>,
        lines: &[&[u8]],
    ) -> (u64, io::Result<()>) {
        for _ in 0..INTERRUPTS_MAX {
            match write(&mut &self.file) {
                Ok(written) => return self.took(written, lines),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (0, Err(error)),
            }
        }
        (0, Err(ErrorKind::Interrupted.into()))
    }

    fn took(&mut self, written: usize, lines: &[&[u8]]) -> (u64, io::Result<()>) {
        let (mut arrived, mut whole) = (0, 0);
        for line in lines {
            if whole + line.len() > written {
                break;
            }
            whole += line.len();
            arrived += 1;
            self.torn = false;
        }
        self.size += whole as u64;
        if arrived as usize == lines.len() {
            return (arrived, Ok(()));
        }
        self.take_back((written - whole) as u64);
        let why = "only a part of the line was taken: the disk may be full";
        (arrived, Err(io::Error::new(ErrorKind::WriteZero, why)))
    }

    /// Removes the last `written` bytes, a part of a line, if nobody else writes.
    fn take_back(&mut self, written: u64) {
        if written == 0 {
            return;
        }
        let cut = self.while_busy(|audit, others_any| {
            if others_any {
                return Err(ErrorKind::WouldBlock.into());
            }
            let len = audit.file.metadata()?.len();
            audit.file.set_len(len.saturating_sub(written))
        });
        // What was written may have begun with the newline that closed an older torn line.
        self.torn |= cut.is_err();
    }

    /// Runs `work` while our lock file says that we change the file. `work` is told whether
    /// there are other writers.
    fn while_busy<T>(
        &mut self,
        work: impl FnOnce(&mut Self, bool) -> io::Result<T>,
    ) -> io::Result<T> {
        let Some(lock) = &mut self.lock else {
            return Err(ErrorKind::PermissionDenied.into());
        };
        lock.set_busy(true)?;
        let others = lock.others();
        let done = match others {
            // Two that are busy at once both give way.
            Ok(others) if others.busy => Err(ErrorKind::WouldBlock.into()),
            Ok(others) => work(self, others.any),
            Err(error) => Err(error),
        };
        if let Some(lock) = &mut self.lock {
            // Should this fail, others wait their bound and go on.
            let _ = lock.set_busy(false);
        }
        done
    }

    /// Tells how many lines were lost, once lines arrive again.
    fn tell_lost(&mut self, run_field: &str) {
        let lost = self.lost_untold;
        let mut line = Line::new();
        line.begin(Stamp::now(), run_field, "lines_lost");
        line.count(key!("lines"), lost);
        if self.put(slice::from_mut(&mut line)) {
            self.lost_untold = 0;
        }
    }

    fn sync_if_due(&mut self, ends_task: bool) {
        let due = match self.options.fsync {
            Fsync::Never => false,
            Fsync::EachLines(lines) => self.unsynced >= u64::from(lines.get()),
            Fsync::EachTask => ends_task,
        };
        if due {
            if let Err(error) = self.sync() {
                self.stats.note(error);
            }
        }
    }

    /// Waits until the disk has all lines. Devices have no disk behind them.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.unsynced = 0;
        if self.regular {
            self.file.sync_data()?;
            self.stats.syncs += 1;
        }
        Ok(())
    }

    /// Finds out, now and then, whether the file still stands under its name, and keeps it
    /// within its size.
    fn look_after(&mut self, at: Stamp, run_field: &str) {
        // A clock that was set back, or stands before 1970, counts as time gone by.
        let waited = at.since.checked_sub(self.checked_at.since).unwrap_or(Duration::MAX);
        let long = waited >= TIME_PER_CHECK || at.before_1970;
        if self.lines_since_check >= LINES_PER_CHECK || long {
            self.lines_since_check = 0;
            self.checked_at = at;
            self.rotation_rests = false;
            self.check_name(run_field);
        }
        let Some(rotation) = self.options.rotation else { return };
        if self.size >= rotation.bytes_max.get() && !self.rotation_rests {
            if let Err(error) = self.rotate(rotation.files.get()) {
                self.rotation_rests = true;
                self.stats.note(error);
            }
        }
    }

    fn check_name(&mut self, run_field: &str) {
        match self.is_ours() {
            Ok(Some(size)) => self.size = size,
            Ok(None) => match self.reopen() {
                Ok(()) => {
                    self.stats.reopened += 1;
                    let mut line = Line::new();
                    line.begin(Stamp::now(), run_field, "audit_reopened");
                    self.put(slice::from_mut(&mut line));
                }
                // Lines go on into the file that is still open.
                Err(error) => self.stats.note(error),
            },
            Err(error) => self.stats.note(error),
        }
    }

    /// The size of the file under our name, if it is the one we write to.
    fn is_ours(&self) -> io::Result<Option<u64>> {
        match fs::symlink_metadata(&self.path) {
            Ok(named) => {
                let same = same_file(&named, &self.file.metadata()?);
                Ok(same.then_some(named.len()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens what stands under our name now, or makes it anew.
    fn reopen(&mut self) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let (mut file, metadata) = open_file(&self.path)?;
        if !metadata.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, NO_PLAIN_FILE));
        }
        self.torn = stays_torn(&mut file)?;
        self.size = metadata.len();
        self.file = file;
        if !self.lock.as_ref().is_some_and(Lock::stands) {
            self.lock = Lock::put_up(&self.path, &self.second).ok();
            if let Some(lock) = &mut self.lock {
                lock.set_busy(false)?;
            }
        }
        Ok(())
    }

    /// Moves the full file aside and begins a new one. Killed at any point, it leaves whole
    /// files under their names; the oldest is the only one that goes.
    fn rotate(&mut self, files: u32) -> io::Result<()> {
        if self.is_ours()?.is_none() {
            // Somebody else was faster.
            return self.reopen();
        }
        self.while_busy(|audit, _| {
            if audit.is_ours()?.is_none() {
                return audit.reopen();
            }
            audit.sync_before_rotation();
            // Up to the first number that is free, or the last, whose file goes.
            let free = (1..files).find(|&number| !rotated(&audit.path, number).exists());
            for number in (1..free.unwrap_or(files)).rev() {
                rename(&rotated(&audit.path, number), &rotated(&audit.path, number + 1))?;
            }
            rename(&audit.path, &rotated(&audit.path, 1))?;
            audit.reopen()?;
            audit.stats.rotations += 1;
            Ok(())
        })
    }

    /// Lines already promised to be on disk must not wait in a file we no longer sync.
    fn sync_before_rotation(&mut self) {
        if self.options.fsync != Fsync::Never {
            if let Err(error) = self.sync() {
                self.stats.note(error);
            }
        }
    }

    /// Writes the run's last line, if the run wrote any.
    pub(super) fn end_run(&mut self, run_field: &str) {
        if self.seq == 0 {
            return;
        }
        let mut line = Line::new();
        line.begin(Stamp::now(), run_field, "run_end");
        line.count(key!("lines_written"), self.stats.lines_written);
        line.count(key!("lines_lost"), self.stats.lines_lost);
        self.put(slice::from_mut(&mut line));
        self.sync_before_rotation();
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
