//! A live view of a file that a program still writes to.

use std::fs::{File, Metadata};
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use automation_assistant::Debrief;
use automation_assistant::debrief::{LineFilter, LiveDebrief};

/// The pause between two looks at the file.
const PAUSE: Duration = Duration::from_millis(500);
/// Looks at a file that another one has replaced: its writer may notice a second late.
pub(crate) const LOOKS_AT_REPLACED: u32 = 4;
const BLOCK_BYTES: usize = 64 << 10;
/// Rows of a terminal that does not say how many it has.
const ROWS: usize = 24;

/// Shows the report until the reader of standard output goes away.
pub(crate) fn follow(path: &Path, filter: LineFilter) -> io::Result<()> {
    let mut live = LiveDebrief::new(filter);
    let mut tail = Tail::new(path);
    let mut shown = None;
    if !path.exists() {
        eprintln!("debrief: waiting for {}", path.display());
    }
    loop {
        let grown = tail.read_on(&mut live)?;
        if grown || shown.is_none() {
            let report = live.report();
            let before = shown.replace(report.total_events()).unwrap_or(0);
            match show(&report, before) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                other => other?,
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// In place on a terminal, one line elsewhere.
fn show(report: &Debrief, before: u64) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if out.is_terminal() {
        let rows = std::env::var("LINES").ok().and_then(|rows| rows.parse().ok());
        let text = report.to_text();
        let lines: Vec<_> = text.lines().take(rows.unwrap_or(ROWS).max(2) - 1).collect();
        // To the upper left corner, and erase all below.
        writeln!(out, "\x1b[H\x1b[J{}", lines.join("\n"))?;
    } else {
        let (events, failed) = (report.total_events(), report.error_count());
        let rate = report.failure_rate() * 100.0;
        let new = events.saturating_sub(before);
        writeln!(
            out,
            "{}: {events} events (+{new}), {failed} failed ({rate:.2}%)",
            report.health()
        )?;
    }
    out.flush()
}

/// Reads a file as it grows, and the file that takes its place.
pub(crate) struct Tail<'a> {
    path: &'a Path,
    file: Option<File>,
    /// Bytes read of it, and of those the ones up to its last newline.
    read: u64,
    whole: u64,
    /// Looks since another file took its name.
    looks_replaced: u32,
}

impl<'a> Tail<'a> {
    pub(crate) fn new(path: &'a Path) -> Self {
        Self { path, file: None, read: 0, whole: 0, looks_replaced: 0 }
    }

    /// Adds all that is new; returns whether anything was.
    pub(crate) fn read_on(&mut self, live: &mut LiveDebrief) -> io::Result<bool> {
        let mut grown = self.read_to_end(live)?;
        let there = match self.path.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(grown),
            there => there?,
        };
        if let Some(file) = &mut self.file {
            let open = file.metadata()?;
            if is_same(&open, &there) {
                if open.len() >= self.read {
                    return Ok(grown);
                }
                // A torn end was cut off, or the file was emptied and is read from its beginning.
                self.read = if open.len() >= self.whole { open.len() } else { 0 };
                self.whole = self.read;
                file.seek(SeekFrom::Start(self.read))?;
            } else {
                self.looks_replaced += 1;
                if self.looks_replaced < LOOKS_AT_REPLACED {
                    return Ok(grown);
                }
                self.file = None;
            }
            // Ends the torn line.
            live.add(b"\n");
            grown = true;
        }
        if self.file.is_none() {
            let path = self.path;
            *self = Self { file: Some(File::open(path)?), ..Self::new(path) };
        }
        grown |= self.read_to_end(live)?;
        Ok(grown)
    }

    fn read_to_end(&mut self, live: &mut LiveDebrief) -> io::Result<bool> {
        let Some(file) = &mut self.file else { return Ok(false) };
        let mut block = vec![0; BLOCK_BYTES];
        let before = self.read;
        loop {
            let bytes = match file.read(&mut block) {
                Ok(0) => return Ok(self.read > before),
                Ok(read) => &block[..read],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            live.add(bytes);
            if let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') {
                self.whole = self.read + end as u64 + 1;
            }
            self.read += bytes.len() as u64;
        }
    }
}

#[cfg(unix)]
pub(crate) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
pub(crate) fn is_same(one: &Metadata, other: &Metadata) -> bool {
    one.created().ok() == other.created().ok()
}
