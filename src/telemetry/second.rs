//! Whether another run began in the same second, according to the audit file.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use super::open::rotated;
use crate::files::open::{self, Kinds};
use crate::files::tail;

/// How much of the file's end is searched for a run of the same second, in bytes: more than a
/// busy process writes within one second.
const SAME_SECOND_BYTES: u64 = 64 << 10;

/// Whether a run in the file, or in the youngest rotated one, began in this second.
pub(super) fn has_run_of(
    path: &Path,
    file: &File,
    metadata: &Metadata,
    second: &str,
) -> io::Result<bool> {
    if metadata.len() > 0 {
        return mentions(file, metadata, second);
    }
    match open::to_read(&rotated(path, 1), Kinds::Plain) {
        Ok(file) => mentions(&file, &file.metadata()?, second),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// How far a file's modification time may be behind its last write: systems take it from a clock
/// with steps of 1 to 10 ms.
const MODIFIED_LATE_MAX: Duration = Duration::from_millis(100);

/// Whether the file may hold lines of a run that began in this second.
fn mentions(file: &File, metadata: &Metadata, second: &str) -> io::Result<bool> {
    // A file last written before that second cannot. (An unknown time excludes nothing.)
    if let Ok(at) = metadata.modified() {
        if crate::calendar::run_second(at + MODIFIED_LATE_MAX).as_str() < second {
            return Ok(false);
        }
    }
    let start = metadata.len().saturating_sub(SAME_SECOND_BYTES);
    let mut block = Vec::new();
    tail::read_block(file, start, SAME_SECOND_BYTES, &mut block)?;
    let quoted = [b"\"", second.as_bytes()].concat();
    Ok(start > 0 || block.windows(quoted.len()).any(|window| window == quoted))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::time::UNIX_EPOCH;

    /// 2025-11-22 16:46:40 UTC.
    const SECOND: Duration = Duration::from_secs(1_763_830_000);

    #[test]
    fn a_file_s_time_may_lag_behind_its_last_write_but_not_far() {
        let path = std::env::temp_dir().join(format!("aa-lag-{}.jsonl", std::process::id()));
        let mut file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        file.write_all(b"{\"run_id\":\"20251122_164640\"}\n").unwrap();
        for (late_ms, found) in [(0, true), (10, true), (500, false)] {
            let at = UNIX_EPOCH + SECOND - Duration::from_millis(late_ms);
            file.set_modified(at).unwrap();
            let metadata = file.metadata().unwrap();
            assert_eq!(mentions(&file, &metadata, "20251122_164640").unwrap(), found);
        }
        let metadata = file.metadata().unwrap();
        assert!(!mentions(&file, &metadata, "20251122_164639").unwrap());
        std::fs::remove_file(&path).unwrap();
    }
}
