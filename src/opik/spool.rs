//! A file of what could not be sent: one JSON object a line, oldest first.
//!
//! Only the sink's thread reads and writes it. What was sent is forgotten in memory at once
//! and in the file when all of it is sent; after a kill some may be sent again, under the
//! same ids, which Opik takes for the same traces. A last line without its newline is what a
//! kill left of a write: it is cut off.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::opik::item::{CONTENT_BYTES_MAX, TraceEntry};
use crate::opik::queue::{BATCH_BYTES_MAX, BATCH_ITEMS_MAX};

/// Longest line that is read: texts and all that stands around them.
const LINE_BYTES_MAX: u64 = 4 * CONTENT_BYTES_MAX as u64;

const LINK: &str = "it is a symbolic link, which is not followed: give the file's own path";
const NO_FILE: &str = "it is no plain file: give the path of a file, or of none yet";

/// The file, open.
pub(super) struct Spool {
    path: PathBuf,
    lock: PathBuf,
    file: File,
    bytes_max: u64,
    len: u64,
    /// What stands before this was sent.
    head: u64,
    /// Up to here it is in the thread's hand.
    taken: u64,
    /// Lines from `head` on.
    lines: u64,
    taken_lines: u64,
}

impl Spool {
    /// Opens the file, and makes it where it is missing.
    pub(super) fn open(path: &Path, bytes_max: u64) -> Result<Self, Error> {
        let what = || format!("cannot use the trace spool {}", path.display());
        let path = std::path::absolute(path).map_err(Error::io(what()))?;
        let lock = take_lock(&path).map_err(Error::io(what()))?;
        let opened = open_file(&path).and_then(|mut file| {
            let (len, lines) = survey(&mut file)?;
            // What a kill left of a last write.
            file.set_len(len)?;
            Ok((file, len, lines))
        });
        match opened {
            Ok((file, len, lines)) => {
                let (head, taken, taken_lines) = (0, 0, 0);
                Ok(Self { path, lock, file, bytes_max, len, head, taken, lines, taken_lines })
            }
            Err(source) => {
                drop(fs::remove_file(lock));
                Err(Error::Io { what: what(), source })
            }
        }
    }

    /// Lines that wait.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// Adds entries at the end; tells how many older ones made room for them.
    pub(super) fn append(&mut self, entries: &[TraceEntry]) -> io::Result<u64> {
        let mut dropped = 0;
        for entry in entries {
            let line = entry.to_line();
            let bytes = line.len() as u64;
            if self.len + bytes > self.bytes_max {
                dropped += self.make_room(bytes)?;
            }
            self.file.seek(SeekFrom::Start(self.len))?;
            if let Err(error) = self.file.write_all(line.as_bytes()) {
                // A full disk: no half line stays.
                drop(self.file.set_len(self.len));
                return Err(error);
            }
            self.len += bytes;
            self.lines += 1;
        }
        Ok(dropped)
    }

    /// Hands out the oldest entries, with the number of lines that were none.
    pub(super) fn take_batch(&mut self) -> io::Result<(Vec<TraceEntry>, u64)> {
        self.file.seek(SeekFrom::Start(self.head))?;
        let mut reader = BufReader::new(&self.file);
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

    /// What was handed out last is settled.
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

    /// Rewrites the file without what was sent and, if need be, without the oldest lines;
    /// tells how many of those. What is in the thread's hand is kept.
    fn make_room(&mut self, bytes: u64) -> io::Result<u64> {
        // A quarter more than needed, so that not every line rewrites the file.
        let keep_max = (self.bytes_max - self.bytes_max / 4).saturating_sub(bytes);
        let held = self.taken - self.head;
        let mut from = self.taken;
        let mut dropped = 0;
        self.file.seek(SeekFrom::Start(from))?;
        let mut reader = BufReader::new(&self.file);
        while held + (self.len - from) > keep_max && from < self.len {
            let length = read_line(&mut reader, &mut Vec::new())?;
            if length == 0 {
                break;
            }
            from += length;
            dropped += 1;
        }
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let new_path = PathBuf::from(name);
        remove(&new_path)?;
        let mut new = options().create_new(true).open(&new_path)?;
        for (start, end) in [(self.head, self.taken), (from, self.len)] {
            self.file.seek(SeekFrom::Start(start))?;
            io::copy(&mut (&self.file).take(end - start), &mut new)?;
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
        if self.len == 0 {
            drop(fs::remove_file(&self.path));
        }
        drop(fs::remove_file(&self.lock));
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// For files that are their owner's alone.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, why)
}

/// Opens or makes the file; a link is never followed.
fn open_file(path: &Path) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(named) if named.file_type().is_symlink() => Err(refused(LINK)),
        Ok(named) if !named.is_file() => Err(refused(NO_FILE)),
        Ok(named) => {
            let file = options().open(path)?;
            // Something else may have taken its place between the two steps.
            match same_file(&named, &file.metadata()?) {
                true => Ok(file),
                false => Err(refused(LINK)),
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            options().create_new(true).open(path)
        }
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn same_file(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    one.dev() == other.dev() && one.ino() == other.ino()
}

#[cfg(not(unix))]
fn same_file(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    one.file_type() == other.file_type()
}

/// The length of all whole lines, and their number.
fn survey(file: &mut File) -> io::Result<(u64, u64)> {
    let mut reader = BufReader::new(file);
    let (mut at, mut whole, mut lines) = (0, 0, 0);
    loop {
        let room = reader.fill_buf()?;
        if room.is_empty() {
            return Ok((whole, lines));
        }
        for (offset, byte) in room.iter().enumerate() {
            if *byte == b'\n' {
                whole = at + offset as u64 + 1;
                lines += 1;
            }
        }
        let length = room.len();
        at += length as u64;
        reader.consume(length);
    }
}

/// Reads a line into `line`, its newline included; of a line that is too long only its
/// length is told.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<u64> {
    let mut length = 0;
    loop {
        let piece = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', line)? as u64;
        length += piece;
        if piece == 0 || line.last() == Some(&b'\n') {
            break;
        }
        line.clear();
        // Only what follows the newline can be a line again.
        if piece < LINE_BYTES_MAX {
            break;
        }
    }
    if length > LINE_BYTES_MAX {
        line.clear();
    }
    Ok(length)
}

/// Puts up a lock file beside the spool, which names its process; one of a process that is
/// gone is taken over.
fn take_lock(path: &Path) -> io::Result<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = PathBuf::from(name);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let own = std::process::id();
    let content = format!("{own} {}\n", start_of(own).unwrap_or_default());
    // Twice: once more after a lock was taken away.
    for _ in 0..2 {
        match options().create_new(true).open(&lock) {
            Ok(mut file) => {
                file.write_all(content.as_bytes())?;
                return Ok(lock);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if is_held(&lock) {
                    break;
                }
                remove(&lock)?;
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(
        ErrorKind::ResourceBusy,
        "another sink uses it just now: give each sink a file of its own",
    ))
}

/// Longest lock file that is read: two numbers.
const LOCK_BYTES_MAX: u64 = 64;

/// Whether a lock's process lives. Where there is no `/proc` that cannot be told, and the
/// lock is taken over: two sinks on one file could lose traces there, but none is stuck.
fn is_held(lock: &Path) -> bool {
    let mut text = String::new();
    let read =
        File::open(lock).and_then(|file| file.take(LOCK_BYTES_MAX).read_to_string(&mut text));
    if read.is_err() {
        return false;
    }
    let mut numbers = text.split_whitespace().map(|number| number.parse::<u64>().ok());
    let (pid, start) = (numbers.next().flatten(), numbers.next().flatten());
    let pid = pid.and_then(|pid| u32::try_from(pid).ok());
    match pid.and_then(start_of) {
        Some(now) => start == Some(now),
        None => false,
    }
}

/// The field of `/proc/PID/stat` that holds the start time, counted from the state, which
/// follows the name in parentheses (proc(5): fields 22 and 3).
const START_FIELD_AFTER_STATE: usize = 19;

/// When a process began, in the system's ticks; nothing if it is gone.
fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(START_FIELD_AFTER_STATE)?.parse().ok()
}
