//! Periodic checks of the audit file: whether its name still refers to it, whether it is full,
//! and whether other processes write to it.

use std::io;
use std::slice;

use super::Rotation;
use super::file::AuditFile;
use super::line::{Line, Stamp};
use super::looks::is_over;
use super::open::{
    RUNNING_WAIT_MAX, Share, in_other_hands, number_for_older, rename, rotated, take_up,
};
use crate::files::lock::Changing;
use crate::files::open::{NO_PLAIN_FILE, make_folders, named, names};
use crate::files::tail;

const NO_LOCKS: &str = "it is not rotated: its file system has no file locks (on Android they need \
                        Rust 1.98, or the feature `rustix`)";

impl AuditFile {
    /// Checks from time to time whether the file's name still refers to it and how it ends, and
    /// rotates it if it is full.
    pub(super) fn look_after(&mut self, at: Stamp, run_field: &str) {
        if self.looks.are_due(at) {
            if let Err(error) = self.look(run_field) {
                // Lines continue in the open file, unless nobody can read it any more.
                self.removed = self.file.metadata().is_ok_and(|file| names(&file) == 0);
                self.stats.note(error);
            }
        }
        let Some(rotation) = self.options.rotation else { return };
        let rests = self.looks.rotation_failed_at.is_some_and(|since| !is_over(since, at));
        if self.size >= rotation.bytes_max.get() && !rests {
            let rotated = self.rotate(rotation);
            self.looks.rotation_failed_at = rotated.is_err().then_some(at);
            if let Err(error) = rotated {
                self.stats.rotations_skipped += 1;
                self.stats.note(error);
            }
            self.report_repaired(at, run_field);
        }
    }

    fn look(&mut self, run_field: &str) -> io::Result<()> {
        match named(&self.path, &self.file)? {
            Some(metadata) => {
                self.others |= metadata.len() != self.size;
                self.size = metadata.len();
                // Known to be torn already: no need to check again.
                if self.others && !self.torn {
                    self.torn = tail::stays_torn(&self.file)?;
                }
            }
            None => {
                self.reopen()?;
                self.stats.reopened += 1;
                let mut line = Line::new();
                line.begin(Stamp::now(), run_field, "audit_reopened");
                self.put(slice::from_mut(&mut line));
                self.report_repaired(Stamp::now(), run_field);
            }
        }
        Ok(())
    }

    /// Opens the file that has our name now, or creates it.
    fn reopen(&mut self) -> io::Result<()> {
        make_folders(&self.path)?;
        let taken = take_up(&self.path, RUNNING_WAIT_MAX)?;
        if !taken.metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, NO_PLAIN_FILE));
        }
        self.others |= taken.others;
        self.dropped_unreported += taken.bytes_dropped;
        self.stats.torn_closed += u64::from(taken.closed);
        (self.file, self.size) = (taken.file, taken.len);
        (self.share, self.torn, self.removed) = (taken.share, taken.torn, false);
        Ok(())
    }

    /// Renames the full file and begins a new one. A kill at any point leaves complete files
    /// under their names; only the oldest file that no process has open is removed.
    fn rotate(&mut self, rotation: Rotation) -> io::Result<()> {
        match self.share {
            Share::Held => {}
            Share::Lost => return Err(in_other_hands()),
            Share::None => return Err(io::Error::new(io::ErrorKind::Unsupported, NO_LOCKS)),
        }
        let _changing = Changing::begin(&self.path, RUNNING_WAIT_MAX)?;
        match named(&self.path, &self.file)? {
            // Another writer has rotated it already.
            None => return self.reopen(),
            Some(metadata) => self.size = metadata.len(),
        }
        if self.size < rotation.bytes_max.get() {
            // Another process has emptied it.
            return Ok(());
        }
        self.sync_if_promised();
        let (number, _lock) = number_for_older(&self.path, rotation.files.get())?;
        for number in (1..number).rev() {
            rename(&rotated(&self.path, number), &rotated(&self.path, number + 1))?;
        }
        rename(&self.path, &rotated(&self.path, 1))?;
        self.reopen()?;
        self.stats.rotations += 1;
        Ok(())
    }
}

#[cfg(test)]
#[path = "look_tests.rs"]
mod tests;
