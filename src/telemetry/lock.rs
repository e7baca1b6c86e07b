//! Who else writes to an audit file: one small lock file per writer, beside it.
//!
//! A lock file is named `AUDIT.PID-START-NONCE.lock` after its writer's process (id and
//! start time, so that a reused id is not mistaken for it), and holds the writer's state and
//! the second in which its run began. Each writer touches its own alone: it puts up its own
//! as `busy`, looks at the others, and only cuts or renames the audit file if nobody else
//! stood there; whoever comes later sees `busy` and waits. So two that come at once may
//! both leave the file's end as it is, but never does one cut what the other wrote.
//!
//! Processes are told apart within one PID namespace: two containers that share a folder do
//! not see each other. Where there is no `/proc`, a lock file counts as live.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::id::random_u64;

const SUFFIX: &str = ".lock";

/// The two states, of one length: one is written over the other.
const BUSY: &[u8; 4] = b"busy";
const OPEN: &[u8; 4] = b"open";

/// Longest wait for another writer that mends or rotates the file just now. It takes
/// microseconds; a writer that was stopped in the middle of it must not stop us too.
const BUSY_WAIT_MAX: Duration = Duration::from_millis(500);
const BUSY_WAIT_STEP: Duration = Duration::from_millis(2);

/// Longest content of a lock file that is read: state, a space, a second, a newline.
const CONTENT_BYTES_MAX: u64 = 64;

/// The field of a `stat` file that holds the start time, counted from the state, which
/// follows the name in parentheses (proc(5): fields 22 and 3).
const START_FIELD_AFTER_STATE: usize = 19;

/// What the other writers' lock files tell.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Others {
    /// Somebody else has the file open.
    pub(super) any: bool,
    /// One of them is mending or rotating it.
    pub(super) busy: bool,
    /// One of them began its run in the same second as we.
    pub(super) same_second: bool,
}

/// Our own lock file.
pub(super) struct Lock {
    path: PathBuf,
    file: File,
    audit: PathBuf,
    second: String,
}

impl Lock {
    /// Puts up a lock file, in the state `busy`.
    pub(super) fn put_up(audit: &Path, second: &str) -> io::Result<Self> {
        let pid = std::process::id();
        let start = process(pid).map_or(0, |(_, start)| start);
        let name = format!(".{pid}-{start}-{:016x}{SUFFIX}", random_u64());
        let mut path = audit.as_os_str().to_owned();
        path.push(name);
        let path = PathBuf::from(path);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        private(&mut options);
        let mut file = options.open(&path)?;
        let content = [BUSY.as_slice(), b" ", second.as_bytes(), b"\n"].concat();
        if let Err(error) = file.write_all(&content) {
            drop(fs::remove_file(&path));
            return Err(error);
        }
        Ok(Self { path, file, audit: audit.to_owned(), second: second.to_owned() })
    }

    /// Whether our lock file still stands.
    pub(super) fn stands(&self) -> bool {
        self.path.exists()
    }

    /// Tells the others that we change the file, or no longer do.
    pub(super) fn set_busy(&mut self, busy: bool) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(if busy { BUSY } else { OPEN })
    }

    /// Looks at the others; lock files of processes that are gone are removed.
    pub(super) fn others(&self) -> io::Result<Others> {
        let mut others = Others::default();
        let folder = self.audit.parent().unwrap_or(Path::new("."));
        let audit = self.audit.file_name().unwrap_or_default().as_encoded_bytes();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(writer) = name.as_encoded_bytes().strip_prefix(audit).and_then(writer) else {
                continue;
            };
            let path = entry.path();
            if path == self.path {
                continue;
            }
            if !is_alive(writer) {
                // Gone already is as good.
                drop(fs::remove_file(&path));
                continue;
            }
            others.any = true;
            // One that cannot be read, or has no content yet, was put up this very moment.
            let content = read_content(&path).unwrap_or_default();
            let (state, rest) = content.split_at_checked(OPEN.len()).unwrap_or_default();
            let second = rest.trim_ascii();
            others.busy |= state != OPEN;
            others.same_second |= second.is_empty() || second == self.second.as_bytes();
        }
        Ok(others)
    }

    /// Waits until no other writer mends or rotates the file, or the wait's bound is reached.
    pub(super) fn wait_while_busy(&self) {
        let since = Instant::now();
        while self.others().is_ok_and(|others| others.busy) && since.elapsed() < BUSY_WAIT_MAX {
            std::thread::sleep(BUSY_WAIT_STEP);
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A lock file that stays is seen to be stale by the next writer.
        drop(fs::remove_file(&self.path));
    }
}

/// Readable by its owner alone, where the system knows such a thing.
pub(super) fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = options;
}

fn read_content(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(File::open(path)?, CONTENT_BYTES_MAX), &mut content)?;
    Ok(content)
}

/// Process id and start time from the end of a lock file's name.
fn writer(name: &[u8]) -> Option<(u32, u64)> {
    let name = std::str::from_utf8(name).ok()?.strip_prefix('.')?.strip_suffix(SUFFIX)?;
    let mut parts = name.split('-');
    let (pid, start, _nonce) = (parts.next()?, parts.next()?, parts.next()?);
    Some((pid.parse().ok()?, start.parse().ok()?))
}

/// Whether this process, started then, still runs; in doubt it does.
fn is_alive((pid, start): (u32, u64)) -> bool {
    match process(pid) {
        // A zombie holds no files.
        Ok((state, begun)) => !matches!(state, 'Z' | 'X') && (start == 0 || begun == start),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // No such process, or no such file system?
            !Path::new("/proc/self/stat").exists()
        }
        Err(_) => true,
    }
}

/// A process's state and start time, as Linux and Android tell them.
fn process(pid: u32) -> io::Result<(char, u64)> {
    // Of the first thread, which begins with its process: an emulator of a processor makes up
    // a process's own `/proc/PID/stat`, and others then see another start time than itself.
    let stat = fs::read_to_string(format!("/proc/{pid}/task/{pid}/stat"))?;
    // The name may itself hold spaces and parentheses; it ends at the last one.
    let fields = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next().and_then(|state| state.chars().next());
    let start = fields.nth(START_FIELD_AFTER_STATE - 1).and_then(|start| start.parse().ok());
    state.zip(start).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_of_lock_files_are_read_and_others_are_not() {
        assert_eq!(writer(b".12-345-00ff.lock"), Some((12, 345)));
        for other in [".lock", ".1", ".12-345.lock", ".a-1-2.lock", "12-345-00ff.lock", ""] {
            assert_eq!(writer(other.as_bytes()), None, "{other}");
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn only_this_very_process_counts_as_alive() {
        let pid = std::process::id();
        let (_, start) = process(pid).unwrap();
        assert!(is_alive((pid, start)));
        assert!(!is_alive((pid, start + 1)), "the id was used again");
        // Linux gives no process a larger id than 2^22.
        assert!(!is_alive((u32::MAX, start)));
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn the_start_is_the_twenty_second_field() {
        let pid = std::process::id();
        let stat = fs::read_to_string(format!("/proc/{pid}/task/{pid}/stat")).unwrap();
        // The name of a test program holds no blank.
        let start: u64 = stat.split_ascii_whitespace().nth(21).unwrap().parse().unwrap();
        let (state, begun) = process(pid).unwrap();
        assert!(state.is_ascii_uppercase());
        assert_eq!(begun, start);
    }

    /// Two writers of one file, of which the second is called the other.
    fn two(name: &str) -> (PathBuf, Lock, Lock) {
        let folder = std::env::temp_dir().join(format!("aa-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let audit = folder.join("audit.jsonl");
        let one = Lock::put_up(&audit, "20251122_164640").unwrap();
        let other = Lock::put_up(&audit, "20251122_164641").unwrap();
        (folder, one, other)
    }

    #[test]
    fn the_others_tell_whether_they_are_busy_and_when_they_began() {
        let (folder, mut one, mut other) = two("others");
        let told = |any, busy, same_second| Others { any, busy, same_second };
        assert_eq!(one.others().unwrap(), told(true, true, false));
        other.set_busy(false).unwrap();
        assert_eq!(one.others().unwrap(), told(true, false, false));
        other.set_busy(true).unwrap();
        assert_eq!(one.others().unwrap(), told(true, true, false));
        one.set_busy(false).unwrap();
        let third = Lock::put_up(&one.audit, "20251122_164640").unwrap();
        assert_eq!(one.others().unwrap(), told(true, true, true));
        assert_eq!(third.others().unwrap(), told(true, true, true));
        drop((other, third));
        assert_eq!(one.others().unwrap(), told(false, false, false));
        assert!(one.stands());
        fs::remove_file(&one.path).unwrap();
        assert!(!one.stands());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_busy_writer_is_waited_for_until_it_is_through() {
        let (folder, one, mut other) = two("wait");
        let (told, heard) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let one = &one;
            scope.spawn(move || {
                let since = Instant::now();
                told.send(Duration::ZERO).unwrap();
                one.wait_while_busy();
                told.send(since.elapsed()).unwrap();
            });
            heard.recv().unwrap();
            let early = heard.recv_timeout(BUSY_WAIT_STEP * 5);
            other.set_busy(false).unwrap();
            // Only a test that was held up for so long sees the wait's own bound.
            assert!(early.is_err() || early.is_ok_and(|waited| waited >= BUSY_WAIT_MAX));
        });
        let quick = || {
            let since = Instant::now();
            one.wait_while_busy();
            since.elapsed() < BUSY_WAIT_MAX
        };
        assert!((0..5).any(|_| quick()), "nobody is busy: nothing to wait for");
        fs::remove_dir_all(&folder).unwrap();
    }
}
