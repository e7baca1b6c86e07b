//! The audit file: one write for the lines of each moment. Lines that are not written are
//! counted, and no line is joined to a part of another.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::slice;
use std::time::Duration;

use super::line::{Line, Stamp, key};
use super::looks::Looks;
use super::open::{
    RUNNING_WAIT_MAX, Share, TORN_BYTES_MAX, check_rotation, in_other_hands, not_there,
    take_up_first,
};
use super::second::has_run_of;
use super::{Fsync, Options, TelemetryStats};
use crate::files::lock::{self, Changing, Held};
use crate::files::open::{self, Kinds, has_other_names, same_file};
use crate::files::tail;

/// How often a write that a signal interrupted is repeated.
const INTERRUPTS_MAX: usize = 16;

const REMOVED: &str = "it was removed, and no other file can be opened under its name";

/// The result of opening the file.
pub(super) struct Opened {
    pub(super) file: AuditFile,
    /// Whether another run began in the same second, or may have.
    pub(super) shares_second: bool,
}

/// A writer's state of the audit file. Guarded by a mutex in the parent module.
pub(super) struct AuditFile {
    pub(super) path: PathBuf,
    pub(super) file: Held,
    /// Whether the file is a regular one. Devices are only written to.
    pub(super) regular: bool,
    pub(super) share: Share,
    /// Whether others write to the file too: after each write, the bytes before it are checked.
    pub(super) others: bool,
    pub(super) options: Options,
    seq: u64,
    /// Whether the file was removed, and no other can be opened under its name.
    pub(super) removed: bool,
    /// Whether the file does not end in a newline.
    pub(super) torn: bool,
    pub(super) size: u64,
    unsynced: u64,
    pub(super) looks: Looks,
    lost_unreported: u64,
    /// Bytes cut off the file's end, not reported in the file yet.
    pub(super) dropped_unreported: u64,
    pub(super) stats: TelemetryStats,
}

impl AuditFile {
    /// Opens the file, creates its folders, repairs a torn end.
    pub(super) fn open(path: &Path, second: &str, options: Options) -> io::Result<Opened> {
        let path = std::path::absolute(path)?;
        open::make_folders(&path)?;
        let taken = take_up_first(&path)?;
        let regular = taken.metadata.is_file();
        if let Some(rotation) = options.rotation.filter(|_| regular) {
            check_rotation(&path, rotation.files.get())?;
        }
        let shares_second = regular
            && (taken.others
                || has_run_of(&path, &taken.file, &taken.metadata, second).unwrap_or(true));
        let mut file = Self {
            path,
            file: taken.file,
            regular,
            share: taken.share,
            others: taken.others,
            options,
            seq: 0,
            removed: false,
            torn: taken.torn,
            size: taken.len,
            unsynced: 0,
            looks: Looks::new(Stamp::now()),
            lost_unreported: 0,
            dropped_unreported: taken.bytes_dropped,
            stats: TelemetryStats::default(),
        };
        file.stats.torn_closed += u64::from(taken.closed);
        file.close_torn();
        Ok(Opened { file, shares_second })
    }

    /// The absolute path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one line or two of one moment, or counts them as lost. `run_field` begins the
    /// lines that report on the file itself.
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
        if self.put(lines) && self.lost_unreported > 0 {
            self.report_lost(run_field);
        }
        if self.stats.lines_written > written {
            self.sync_if_due(ends_task);
        }
    }

    /// Numbers and writes one line or two; returns whether they were written.
    pub(super) fn put(&mut self, lines: &mut [Line]) -> bool {
        for line in &mut *lines {
            self.seq += 1;
            line.finish(self.seq);
        }
        let (arrived, outcome) = self.write(lines);
        self.stats.lines_written += arrived;
        self.unsynced += arrived;
        self.looks.count(arrived);
        let Err(error) = outcome else { return true };
        let lost = lines.len() as u64 - arrived;
        self.stats.lines_lost += lost;
        self.lost_unreported += lost;
        self.stats.note(error);
        self.looks.soon();
        false
    }

    /// Writes the lines; returns how many were written, and the error if not all were.
    fn write(&mut self, lines: &[Line]) -> (u64, io::Result<()>) {
        if self.removed {
            return (0, Err(io::Error::new(ErrorKind::NotFound, REMOVED)));
        }
        self.close_torn();
        if self.share == Share::Lost {
            match lock::shared_within(&self.file, Duration::ZERO) {
                Ok(true) => self.share = Share::Held,
                _ => return (0, Err(in_other_hands())),
            }
        }
        match lines {
            [first, second] => self.write_both(first, second),
            [line] => self.write_one(line),
            _ => (0, Err(ErrorKind::InvalidInput.into())),
        }
    }

    fn write_one(&mut self, line: &Line) -> (u64, io::Result<()>) {
        let bytes = line.after(self.torn);
        self.written(|file| file.write(bytes), &[bytes])
    }

    fn write_both(&mut self, first: &Line, second: &Line) -> (u64, io::Result<()>) {
        let slices = [first.after(self.torn), second.after(false)];
        let both = slices.map(IoSlice::new);
        match self.written(|file| file.write_vectored(&both), &slices) {
            // The disk became full at this point, or the system writes one slice at a time.
            (1, Err(error)) if error.kind() == ErrorKind::WriteZero && !self.torn => {
                let (arrived, outcome) = self.write_one(second);
                (1 + arrived, outcome)
            }
            others => others,
        }
    }

    /// One write(2); returns how many lines were written, and the error if not all were.
    fn written(
        &mut self,
        write: impl Fn(&mut &File) -> io::Result<usize>,
        lines: &[&[u8]],
    ) -> (u64, io::Result<()>) {
        for _ in 0..INTERRUPTS_MAX {
            match write(&mut &*self.file) {
                Ok(written) => {
                    if let Some(outcome) = self.took(written, lines) {
                        return outcome;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (0, Err(error)),
            }
        }
        (0, Err(ErrorKind::Interrupted.into()))
    }

    /// Accounts for a write of this many bytes. `None`: the lines were blanked; write them again.
    fn took(&mut self, written: usize, lines: &[&[u8]]) -> Option<(u64, io::Result<()>)> {
        let (mut arrived, mut whole) = (0, 0);
        for line in lines {
            if whole + line.len() > written {
                break;
            }
            whole += line.len();
            arrived += 1;
        }
        let closed = self.torn && arrived > 0;
        if closed {
            self.torn = false;
            self.stats.torn_closed += 1;
        }
        let mut outcome = Ok(());
        if self.others || written > whole {
            match self.look_behind(written, whole, closed) {
                Ok(false) => {}
                Ok(true) => return None,
                Err(error) => {
                    outcome = Err(error);
                    arrived -= u64::from(arrived > 0);
                }
            }
        } else {
            self.size += whole as u64;
        }
        if whole < lines.iter().map(|line| line.len()).sum() {
            let why = "only a part of the line was taken: the disk may be full";
            outcome = outcome.and(Err(io::Error::new(ErrorKind::WriteZero, why)));
        }
        Some((arrived, outcome))
    }

    /// Checks that the lines just written follow a newline, and that no part of a line remains at
    /// the end. Returns whether they did not follow one and were blanked, or an error if the first
    /// line is unreadable.
    fn look_behind(&mut self, written: usize, whole: usize, closed: bool) -> io::Result<bool> {
        let mut file = &*self.file;
        // Appending moves the position to the end of the appended bytes.
        let end = file.stream_position().unwrap_or(0);
        let start = end.saturating_sub(written as u64);
        let mut outcome = Ok(false);
        // Others have written since our last line, and may have left a torn one.
        if start > 0 && start != self.size && whole > 0 && !closed {
            let mut before = [b'\n'];
            file.seek(SeekFrom::Start(start - 1))?;
            file.read_exact(&mut before)?;
            if before != *b"\n" {
                outcome = self.blank(start, whole).map(|()| true);
            }
        }
        self.size = start + whole as u64;
        if written > whole {
            self.torn = true;
            self.mend(end);
        }
        outcome
    }

    /// Removes the part of a line that we wrote at the end: cuts it off if no other process has
    /// the file open; otherwise ends it, so that it reads as an invalid line.
    fn mend(&mut self, end: u64) {
        let own = self.share == Share::Held
            && self.file.metadata().is_ok_and(|metadata| !has_other_names(&metadata));
        if own {
            lock::unlock(&self.file);
            if lock::try_exclusive(&self.file).unwrap_or(false) {
                self.torn = !matches!(tail::cut(&self.file, TORN_BYTES_MAX), Ok(Some(_)));
                lock::unlock(&self.file);
            }
            if !lock::shared_within(&self.file, RUNNING_WAIT_MAX).unwrap_or(false) {
                self.share = Share::Lost;
            }
        }
        if self.torn && self.end_part_at(end).is_ok() {
            self.torn = false;
        }
    }

    /// Replaces the last byte of our own torn line by a newline, so that what others wrote behind
    /// it is a line again. The byte is already allocated, so this works on a full disk.
    fn end_part_at(&mut self, end: u64) -> io::Result<()> {
        end.checked_sub(1).map_or_else(|| Err(not_there()), |last| self.overwrite(last, b"\n"))
    }

    /// Replaces lines of ours that stand behind another's torn line by spaces, but for their last
    /// newline, which then ends that line. Nothing that the other wrote is changed.
    fn blank(&mut self, start: u64, bytes: usize) -> io::Result<()> {
        self.overwrite(start, &vec![b' '; bytes.saturating_sub(1)])
    }

    /// Overwrites bytes of ours, by which a torn line ends.
    fn overwrite(&mut self, start: u64, bytes: &[u8]) -> io::Result<()> {
        // A file that is open for appending cannot be written elsewhere.
        let (mut file, metadata) =
            open::existing(&self.path, open::options().write(true), Kinds::Plain)?;
        let end = start + bytes.len() as u64;
        if !same_file(&metadata, &self.file.metadata()?) || metadata.len() < end {
            return Err(not_there());
        }
        file.seek(SeekFrom::Start(start))?;
        file.write_all(bytes)?;
        self.stats.torn_closed += 1;
        Ok(())
    }

    /// Appends a newline to a torn line of any writer. If that fails, or others are changing
    /// the file, the next line begins with a newline.
    fn close_torn(&mut self) {
        if !self.torn || !self.regular {
            return;
        }
        let changing = Changing::begin(&self.path, Duration::ZERO);
        if changing.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            return;
        }
        // Without locks, an additional newline is the worst outcome.
        if tail::ends_whole(&self.file).unwrap_or(false) {
            self.torn = false;
        } else if tail::close(&self.file) {
            self.torn = false;
            self.stats.torn_closed += 1;
        }
    }

    /// Reports in the file how many lines were lost, once lines can be written again.
    fn report_lost(&mut self, run_field: &str) {
        let lost = self.lost_unreported;
        let mut line = Line::new();
        line.begin(Stamp::now(), run_field, "lines_lost");
        line.count(key!("lines"), lost);
        if self.put(slice::from_mut(&mut line)) {
            self.lost_unreported = 0;
        }
    }

    /// Reports in the file how many bytes of a torn end were cut off, if any were.
    pub(super) fn report_repaired(&mut self, at: Stamp, run_field: &str) {
        if self.dropped_unreported > 0 {
            let mut line = Line::new();
            line.begin(at, run_field, "tail_repaired");
            line.count(key!("bytes_dropped"), self.dropped_unreported);
            if self.put(slice::from_mut(&mut line)) {
                self.dropped_unreported = 0;
            }
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

    /// Waits until the disk has all lines. Does nothing for devices.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.unsynced = 0;
        if self.regular {
            self.file.sync_data()?;
            self.stats.syncs += 1;
        }
        Ok(())
    }

    /// Syncs before the file is replaced: lines that were promised to be on disk must be there.
    pub(super) fn sync_if_promised(&mut self) {
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
        self.sync_if_promised();
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
