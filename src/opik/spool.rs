//! A file of entries that could not be sent: one JSON object a line, oldest first.
//!
//! Only the sink's thread reads and writes it: an exclusive lock of the kernel excludes other
//! sinks. Sent entries are removed in memory at once, and in the file when all of it is sent;
//! after a kill some may be sent again, under the same ids, which Opik treats as the same traces.
//! A last line without its newline is a write interrupted by a kill: it is cut off.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::files::lock::{self, Held};
use crate::files::open::{self, Kinds, OPEN_ROUNDS_MAX, has_other_names, named, with_suffix};
use crate::files::tail;
use crate::opik::item::{CONTENT_BYTES_MAX, TraceEntry};
use crate::opik::queue::{BATCH_BYTES_MAX, BATCH_ITEMS_MAX};

/// Longest line that is read: the texts and all other values.
const LINE_BYTES_MAX: u64 = 4 * CONTENT_BYTES_MAX as u64;

const IN_USE: &str = "another sink uses it just now: give each sink a file of its own";
const NO_LOCKS: &str = "its file system has no file locks, which keep other sinks out of it (on \
                        Android they need Rust 1.98, or the feature `rustix`)";
const OTHER_NAMES: &str = "it has further names (hard links), under which it may be somebody \
                           else's: give the path of a file of its own";
const NO_SPOOL: &str = "it holds something else: it is no trace spool";
#[cfg(unix)]
const OTHERS_READ: &str = "other users may read or write it, and its mode cannot be set to 0600: \
                           give the path of a file of its own, on a file system with modes";

/// How a line begins, by its kind.
const BEGINNINGS: [&[u8]; 2] = [b"{\"trace\":", b"{\"score\":"];

/// The open file.
pub(super) struct Spool {
    path: PathBuf,
    /// Under an exclusive lock.
    file: Held,
    bytes_max: u64,
    len: u64,
    /// The bytes before this offset were sent.
    head: u64,
    /// The bytes up to this offset were taken by the thread.
    taken: u64,
    /// Lines from `head` on.
    lines: u64,
    taken_lines: u64,
}

impl Spool {
    /// Opens the file; creates it if it does not exist.
    pub(super) fn open(path: &Path, bytes_max: u64) -> Result<Self, Error> {
        let what = || format!("cannot use the trace spool {}", path.display());
        let path = std::path::absolute(path).map_err(Error::io(what()))?;
        let opened = take_up(&path).and_then(|file| {
            let lines = count_lines(&file)?;
            let len = file.metadata()?.len();
            Ok((file, len, lines))
        });
        let (file, len, lines) = opened.map_err(Error::io(what()))?;
        let (head, taken, taken_lines) = (0, 0, 0);
        Ok(Self { path, file, bytes_max, len, head, taken, lines, taken_lines })
    }

    /// The number of pending lines.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// Appends entries; returns how many older ones were dropped for them.
    pub(super) fn append(&mut self, entries: &[TraceEntry]) -> io::Result<u64> {
        let mut dropped = 0;
        for entry in entries {
            let line = entry.to_line();
            let bytes = line.len() as u64;
            if self.len + bytes > self.bytes_max {
                dropped += self.compact(bytes)?;
            }
            (&*self.file).seek(SeekFrom::Start(self.len))?;
            if let Err(error) = (&*self.file).write_all(line.as_bytes()) {
                // The disk is full: no partial line stays.
                drop(self.file.set_len(self.len));
                return Err(error);
            }
            self.len += bytes;
            self.lines += 1;
        }
        Ok(dropped)
    }

    /// Returns the oldest entries, and the number of invalid lines.
    pub(super) fn take_batch(&mut self) -> io::Result<(Vec<TraceEntry>, u64)> {
        (&*self.file).seek(SeekFrom::Start(self.head))?;
        let mut reader = BufReader::new(&*self.file);
        let (mut entries, mut bytes, mut damaged) = (Vec::new(), 0, 0);
        (self.taken, self.taken_lines) = (self.head, 0);
        while self.taken < self.len && entries.len() < BATCH_ITEMS_MAX && bytes < BATCH_BYTES_MAX {
            let mut line = Vec::new();
            let length = read_line(&mut reader, &mut line)?;
            if length == 0 {
                break;
            }
            self.taken += length;
            self.taken_lines += 1;
            match TraceEntry::from_line(&line) {
                Some(entry) => {
                    bytes += entry.bytes();
                    entries.push(entry);
                }
                None => damaged += 1,
            }
        }
        Ok((entries, damaged))
    }

    /// The entries taken last are settled.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        self.lines -= self.taken_lines.min(self.lines);
        self.taken_lines = 0;
        self.head = self.taken;
        if self.head >= self.len {
            self.file.set_len(0)?;
            (self.head, self.taken, self.len, self.lines) = (0, 0, 0, 0);
        }
        Ok(())
    }

    /// Rewrites the file without sent lines and, if needed, without the oldest lines; returns the
    /// number of the latter. Lines taken by the thread are kept.
    fn compact(&mut self, bytes: u64) -> io::Result<u64> {
        // A quarter more than needed, so that the file is not rewritten for every line.
        let keep_max = (self.bytes_max - self.bytes_max / 4).saturating_sub(bytes);
        let held = self.taken - self.head;
        let mut from = self.taken;
        let mut dropped = 0;
        (&*self.file).seek(SeekFrom::Start(from))?;
        let mut reader = BufReader::new(&*self.file);
        while held + (self.len - from) > keep_max && from < self.len {
            let length = read_line(&mut reader, &mut Vec::new())?;
            if length == 0 {
                break;
            }
            from += length;
            dropped += 1;
        }
        let new_path = with_suffix(&self.path, NEW);
        remove(&new_path)?;
        let new = Held(options().create_new(true).open(&new_path)?);
        // Locked before it gets the spool's name, so that no other process can lock it first.
        if !lock::try_exclusive(&new)? {
            return Err(busy());
        }
        for (start, end) in [(self.head, self.taken), (from, self.len)] {
            (&*self.file).seek(SeekFrom::Start(start))?;
            io::copy(&mut (&*self.file).take(end - start), &mut &*new)?;
        }
        fs::rename(&new_path, &self.path)?;
        self.file = new;
        self.len = held + (self.len - from);
        (self.head, self.taken) = (0, held);
        self.lines -= dropped;
        Ok(dropped)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if self.len == 0 && matches!(named(&self.path, &self.file), Ok(Some(_))) {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// The suffix of the name under which the spool is rewritten.
const NEW: &str = ".new";

/// Opens or creates the file, locks it, and cuts off an interrupted last write.
fn take_up(path: &Path) -> io::Result<Held> {
    open::make_folders(path)?;
    // Checked here, since a name that is too long would otherwise fail only when the spool is
    // full.
    match fs::symlink_metadata(with_suffix(path, NEW)) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for _ in 0..OPEN_ROUNDS_MAX {
        let file = Held(open::or_new(path, &options(), Kinds::Plain)?.0);
        match lock::try_exclusive(&file) {
            Ok(true) => {}
            Ok(false) => return Err(busy()),
            Err(error) => return Err(io::Error::new(error.kind(), format!("{NO_LOCKS}: {error}"))),
        }
        // The sink that had it may have just removed or replaced it.
        let Some(metadata) = named(path, &file)? else { continue };
        if has_other_names(&metadata) {
            return Err(refused(OTHER_NAMES));
        }
        if !is_spool(&file)? {
            return Err(refused(NO_SPOOL));
        }
        owner_only(&file)?;
        tail::cut(&file, LINE_BYTES_MAX)?.ok_or_else(|| refused(NO_SPOOL))?;
        return Ok(file);
    }
    Err(open::came_and_went())
}

/// Whether the file is empty or begins as a spool: what else it held would be removed with the
/// entries that were sent.
fn is_spool(file: &File) -> io::Result<bool> {
    let mut begin = Vec::new();
    file.take(BEGINNINGS[0].len() as u64).read_to_end(&mut begin)?;
    Ok(BEGINNINGS.iter().any(|line| line.starts_with(&begin)))
}

fn busy() -> io::Error {
    io::Error::new(ErrorKind::ResourceBusy, IN_USE)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Takes the rights of other users away from a file that was made, copied or restored with them.
#[cfg(unix)]
fn owner_only(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let is_open = || Ok::<_, io::Error>(file.metadata()?.permissions().mode() & 0o077 != 0);
    if !is_open()? {
        return Ok(());
    }
    // Some file systems ignore it without an error: what counts is the mode afterwards.
    let set = file.set_permissions(fs::Permissions::from_mode(0o600));
    match (is_open()?, set) {
        (false, _) => Ok(()),
        (true, Ok(())) => Err(refused(OTHERS_READ)),
        (true, Err(error)) => Err(io::Error::new(error.kind(), format!("{OTHERS_READ}: {error}"))),
    }
}

#[cfg(not(unix))]
fn owner_only(_: &File) -> io::Result<()> {
    Ok(())
}

/// For files that only their owner can read.
fn options() -> OpenOptions {
    let mut options = open::options();
    options.read(true).write(true);
    options
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, why)
}

fn count_lines(file: &File) -> io::Result<u64> {
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(0))?;
    let mut lines = 0;
    while reader.skip_until(b'\n')? > 0 {
        lines += 1;
    }
    Ok(lines)
}

/// Reads a line into `line`, its newline included; returns its length. If it is too long, it is
/// skipped, and `line` is empty.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<u64> {
    let mut length = 0;
    loop {
        let chunk = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', line)? as u64;
        length += chunk;
        if chunk == 0 || line.last() == Some(&b'\n') {
            break;
        }
        line.clear();
        // Only the bytes after the newline can be a line again.
        if chunk < LINE_BYTES_MAX {
            break;
        }
    }
    if length > LINE_BYTES_MAX {
        line.clear();
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::lock::tests::without_locks;
    use crate::files::open::tests::folder;

    /// The kernel rejects a change of the mode of its own files, even by root.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn a_file_that_stays_open_to_others_is_refused() {
        let file = File::open("/proc/self/comm").unwrap();
        let error = owner_only(&file).unwrap_err();
        assert!(error.to_string().contains("mode cannot be set to 0600"), "{error}");
    }

    #[test]
    fn where_there_are_no_locks_there_is_no_spool() {
        let folder = folder("spool-lockless");
        let path = folder.join("s");
        let opened = without_locks(|| Spool::open(&path, 1 << 20).map(drop));
        assert!(
            matches!(opened, Err(Error::Io { source, .. }) if source.to_string().contains("no file locks"))
        );
        assert!(Spool::open(&path, 1 << 20).is_ok());
        fs::remove_dir_all(folder).ok();
    }
}
