//! Bounded reads of files that the kernel, or any user, may have written.
//!
//! A read of a regular file of `/proc` or `/sys` cannot be interrupted without a thread, and a
//! thread blocked in the kernel could not be ended either; so files are read directly, the time
//! is checked between two files, and a path that may block when it is opened (a pipe, a device)
//! is not opened.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::reading::{NoReading, Probed};

/// Most bytes that are read of one file. The largest, `/proc/self/status` of a process in many
/// groups, has about 2 KiB.
pub(crate) const MAX_FILE_BYTES: u64 = 64 << 10;
/// Most entries of a folder that are read: phones have up to about 100 thermal zones.
pub(crate) const MAX_ENTRIES: usize = 256;
/// Longest name (of a thermal zone, of an interface) that is returned, in characters. The
/// kernel's own limits are 20 and 16.
const MAX_NAME_CHARS: usize = 32;

/// The files below one root, read within one time limit.
#[derive(Debug)]
pub(crate) struct Files<'a> {
    root: &'a Path,
    started: Instant,
    limit: Duration,
    /// Paths that are denied in tests: file modes do not bind root, which tests may run as.
    #[cfg(test)]
    denied: fn(&Path) -> bool,
}

impl<'a> Files<'a> {
    pub(crate) fn new(root: &'a Path, limit: Duration) -> Self {
        Self {
            root,
            started: Instant::now(),
            limit,
            #[cfg(test)]
            denied: |_| false,
        }
    }

    /// The same, but access to these paths is denied.
    #[cfg(test)]
    pub(crate) fn denying(self, denied: fn(&Path) -> bool) -> Self {
        Self { denied, ..self }
    }

    /// The path below the root; every read uses this.
    fn full(&self, path: &Path) -> io::Result<PathBuf> {
        #[cfg(test)]
        if (self.denied)(path) {
            return Err(ErrorKind::PermissionDenied.into());
        }
        Ok(self.root.join(path))
    }

    /// Fails once the time is over.
    pub(crate) fn in_time(&self) -> Probed<()> {
        if self.started.elapsed() >= self.limit {
            return Err(NoReading::TimedOut(self.limit));
        }
        Ok(())
    }

    /// The start of a regular file, as text. `path` is relative to the root.
    pub(crate) fn text(&self, path: impl AsRef<Path>) -> Probed<String> {
        let path = path.as_ref();
        self.in_time()?;
        let refused = |error: io::Error| refusal(path, &error);
        let full = self.full(path).map_err(refused)?;
        if !fs::metadata(&full).map_err(refused)?.is_file() {
            return Err(NoReading::because(format!("{} is not a file here", shown(path))));
        }
        let mut bytes = Vec::new();
        let file = File::open(&full).map_err(refused)?;
        file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(refused)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The names in a folder, sorted, at most [`MAX_ENTRIES`] of them.
    pub(crate) fn names(&self, path: impl AsRef<Path>) -> Probed<Vec<PathBuf>> {
        let path = path.as_ref();
        self.in_time()?;
        let entries = self.full(path).and_then(fs::read_dir);
        let entries = entries.map_err(|error| refusal(path, &error))?;
        let names = entries.take(MAX_ENTRIES).filter_map(Result::ok);
        let mut names: Vec<PathBuf> = names.map(|entry| path.join(entry.file_name())).collect();
        names.sort();
        Ok(names)
    }

    /// How many entries a folder has, counted up to `max`.
    pub(crate) fn count(&self, path: impl AsRef<Path>, max: usize) -> Probed<u64> {
        let path = path.as_ref();
        self.in_time()?;
        let entries = self.full(path).and_then(fs::read_dir);
        let entries = entries.map_err(|error| refusal(path, &error))?;
        Ok(entries.take(max).filter(Result::is_ok).count() as u64)
    }

    /// The whole number that is the file's only content.
    pub(crate) fn number(&self, path: impl AsRef<Path>) -> Probed<i64> {
        let path = path.as_ref();
        let text = self.text(path)?;
        text.trim().parse().map_err(|_| odd(path))
    }
}

/// The path below the root, so that a recorded tree shows the same paths as a device.
fn shown(path: &Path) -> String {
    format!("/{}", path.display())
}

fn refusal(path: &Path, error: &io::Error) -> NoReading {
    let path = shown(path);
    match error.kind() {
        ErrorKind::NotFound => NoReading::because(format!("{path} does not exist here")),
        ErrorKind::PermissionDenied => {
            NoReading::Denied(format!("{path} may not be read by this program"))
        }
        // The kind, not the text: it is the same in every language and contains no other path.
        kind => NoReading::because(format!("{path} cannot be read: {kind}")),
    }
}

/// The error of a file with unexpected content.
pub(crate) fn odd(path: impl AsRef<Path>) -> NoReading {
    NoReading::because(format!("{} does not hold what is expected of it", shown(path.as_ref())))
}

/// The number in a line such as `MemTotal: 16000 kB`, in bytes. Saturates.
pub(crate) fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let value = field(text, key)?;
    let number: u64 = value.trim_end_matches("kB").trim_end().parse().ok()?;
    Some(number.saturating_mul(1024))
}

/// The value of the line `key: value`.
pub(crate) fn field<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name == key).then(|| value.trim())
    })
}

/// A name from a file, made safe to show: short, and of plain characters only.
pub(crate) fn plain_name(text: &str) -> String {
    let fit = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.trim().chars().take(MAX_NAME_CHARS).map(fit).collect()
}
