//! A queue's file: how it is opened, and when it is made anew.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError};

use crate::error::io_is_passing;

/// Memory for the file's pages; redb's default is a gigabyte.
const CACHE_BYTES: usize = 4 << 20;
/// Most bytes of a file whose making redb began and did not finish.
pub(super) const UNFINISHED_BYTES_MAX: u64 = 73_728;
/// Bytes by which redb knows its files.
const MAGIC_BYTES: usize = 9;
/// Bytes that follow them in a new file: two-phase commits, no recovery needed; padding; the size of a
/// page, 4,096.
const NEW_HEADER: [u8; 7] = [4, 0, 0, 0, 16, 0, 0];
/// Bytes of the header, beyond which redb writes nothing before the header is complete.
const HEADER_BYTES: usize = 320;

/// Opens the file for one process; a new one can be read by its owner alone.
pub(super) fn open_file(path: &Path) -> Result<Database, DatabaseError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    if is_unfinished(&mut file)? {
        // Somebody makes it right now, or was killed while making it: redb locks it as we do.
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(DatabaseError::DatabaseAlreadyOpen),
            Err(TryLockError::Error(error)) => return Err(error.into()),
            Ok(()) => {}
        }
        if is_unfinished(&mut file)? {
            file.set_len(0)?;
        }
        file.unlock()?;
    }
    #[cfg(unix)]
    let is_new = file.metadata()?.len() == 0;
    let db = builder().create_with_backend(FileBackend::new(file)?)?;
    #[cfg(unix)]
    if is_new {
        // Else a power cut may take the file's name with all that is in it.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(db)
}

/// Whether the file is one that redb began and did not finish, and nothing else. redb gives a new
/// file its length, writes the header without its first bytes, syncs it, writes the first bytes,
/// and only then anything else: until then the file is zeros, or a new header and zeros. A file
/// that merely begins with zeros is somebody's.
fn is_unfinished(file: &mut File) -> io::Result<bool> {
    let len = file.metadata()?.len();
    if len == 0 || len > UNFINISHED_BYTES_MAX {
        return Ok(false);
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(UNFINISHED_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(holds_nothing(&bytes))
}

/// Whether these are zeros, or zeros but for a new header that lacks its first bytes.
pub(super) fn holds_nothing(bytes: &[u8]) -> bool {
    let (header, rest) = bytes.split_at(bytes.len().min(HEADER_BYTES));
    let are_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    let is_new = header.get(MAGIC_BYTES..).is_some_and(|after| after.starts_with(&NEW_HEADER));
    let first = &header[..header.len().min(MAGIC_BYTES)];
    are_zero(rest) && are_zero(first) && (is_new || are_zero(header))
}

/// Whether the same step may go through later; see [`Error::Storage`](crate::Error::Storage).
pub(super) fn is_passing(error: &redb::Error) -> bool {
    match error {
        redb::Error::Io(error) => io_is_passing(error),
        redb::Error::PreviousIo => true,
        _ => false,
    }
}

pub(super) fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    // A damaged file is an error when it is opened, not a panic later.
    builder.set_check_integrity_on_open(true);
    builder
}
