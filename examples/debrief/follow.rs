//! A live view of a file that a program still writes to.

use std::fs::{File, Metadata};
use std::io::{self, IsTerminal, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use automation_assistant::Debrief;
use automation_assistant::debrief::{LineFilter, LiveDebrief};

/// The pause between two looks at the file.
const PAUSE: Duration = Duration::from_millis(500);
const BLOCK_BYTES: usize = 64 << 10;
/// Rows of a terminal that does not say how many it has.
const ROWS: usize = 24;

/// Shows the report until the reader of standard output goes away.
pub(crate) fn follow(path: &Path, filter: LineFilter) -> io::Result<()> {
    let mut live = LiveDebrief::new(filter);
    let mut tail = Tail { path, file: None, read: 0 };
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
        write!(out, "\x1b[H\x1b[J{}\n", lines.join("\n"))?;
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
struct Tail<'a> {
    path: &'a Path,
    file: Option<File>,
    read: u64,
}

impl Tail<'_> {
    /// Adds all that is new; returns whether anything was.
    fn read_on(&mut self, live: &mut LiveDebrief) -> io::Result<bool> {
        let mut grown = false;
        loop {
            grown |= self.read_to_end(live)?;
            let there = match self.path.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(grown),
                there => there?,
            };
            let Some(file) = &mut self.file else {
                self.file = Some(File::open(self.path)?);
                self.read = 0;
                continue;
            };
            let open = file.metadata()?;
            if !is_same(&open, &there) {
                // Rotated. What came to the old file last is read before it is let go.
                grown |= self.read_to_end(live)?;
                self.file = None;
            } else if open.len() < self.read {
                // Cut back: it is read from its new beginning.
                file.rewind()?;
                self.read = 0;
            } else {
                return Ok(grown);
            }
        }
    }

    fn read_to_end(&mut self, live: &mut LiveDebrief) -> io::Result<bool> {
        let Some(file) = &mut self.file else { return Ok(false) };
        let mut block = vec![0; BLOCK_BYTES];
        let before = self.read;
        loop {
            match file.read(&mut block) {
                Ok(0) => return Ok(self.read > before),
                Ok(read) => {
                    live.add(&block[..read]);
                    self.read += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    one.created().ok() == other.created().ok()
}
