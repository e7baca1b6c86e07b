//! Looking after the audit file: does it still stand under its name, is it full, who else
//! writes to it.

use std::fs;
use std::io;
use std::slice;

use super::Rotation;
use super::file::AuditFile;
use super::line::{Line, Stamp};
use super::looks::is_over;
use super::open::{
    RUNNING_WAIT_MAX, Share, in_other_hands, rename, room_for_older, rotated, take_up,
};
use crate::files::lock::Changing;
use crate::files::open::{NO_PLAIN_FILE, named};
use crate::files::tail;

const NO_LOCKS: &str = "it is not rotated: its file system has no file locks (on Android they need \
                        Rust 1.98, or the feature `rustix`)";

impl AuditFile {
    /// Finds out, now and then, whether the file still stands under its name and how it ends,
    /// and keeps it within its size.
    pub(super) fn look_after(&mut self, at: Stamp, run_field: &str) {
        if self.looks.are_due(at) {
            if let Err(error) = self.look(run_field) {
                // Lines go on into the file that is open.
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
            self.tell_repaired(at, run_field);
        }
    }

    fn look(&mut self, run_field: &str) -> io::Result<()> {
        match named(&self.path, &self.file)? {
            Some(metadata) => {
                self.others |= metadata.len() != self.size;
                self.size = metadata.len();
                // Known to be torn already: no need to wait and see.
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
                self.tell_repaired(Stamp::now(), run_field);
            }
        }
        Ok(())
    }

    /// Opens what stands under our name now, or makes it anew.
    fn reopen(&mut self) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let taken = take_up(&self.path, RUNNING_WAIT_MAX)?;
        if !taken.metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, NO_PLAIN_FILE));
        }
        self.others |= taken.others;
        self.dropped_untold += taken.bytes_dropped;
        self.stats.torn_closed += u64::from(taken.closed);
        (self.file, self.size) = (taken.file, taken.len);
        (self.share, self.torn) = (taken.share, taken.torn);
        Ok(())
    }

    /// Moves the full file aside and begins a new one. Killed at any point, it leaves whole
    /// files under their names; the oldest that nobody has open is the only one that goes.
    fn rotate(&mut self, rotation: Rotation) -> io::Result<()> {
        match self.share {
            Share::Held => {}
            Share::Lost => return Err(in_other_hands()),
            Share::None => return Err(io::Error::new(io::ErrorKind::Unsupported, NO_LOCKS)),
        }
        let _changing = Changing::begin(&self.path, RUNNING_WAIT_MAX)?;
        match named(&self.path, &self.file)? {
            // Somebody else was faster.
            None => return self.reopen(),
            Some(metadata) => self.size = metadata.len(),
        }
        if self.size < rotation.bytes_max.get() {
            // Somebody emptied it.
            return Ok(());
        }
        self.sync_if_promised();
        let (number, _nobody_has_it) = room_for_older(&self.path, rotation.files.get())?;
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
