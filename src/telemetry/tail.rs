//! The end of an audit file, read backwards: is it torn, where does the last whole line end,
//! which runs does it tell of.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

/// A torn end longer than this is no torn line of ours (ours are at most 1.5 KiB, other
/// writers' perhaps more): it is closed with a newline, never cut.
const TORN_BYTES_MAX: u64 = 1 << 20;

/// How much of the file's end is searched at a time, in bytes.
const TAIL_BLOCK: u64 = 8 << 10;

/// How much of the file's end is searched for a run of the same second, in bytes: more than
/// a busy process writes within one.
const SAME_SECOND_BYTES: u64 = 64 << 10;

/// Whether the file is empty or ends in a newline.
pub(super) fn ends_whole(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// How often an end that looks torn is looked at again while others write, and how long
/// apart. A write that crosses a page shows half of itself for some microseconds.
const TORN_LOOKS: u32 = 10;
const TORN_LOOK_PAUSE: Duration = Duration::from_millis(1);

/// Whether the file's end stays torn though others may just be writing to it.
pub(super) fn stays_torn(file: &mut File) -> io::Result<bool> {
    for _ in 0..TORN_LOOKS {
        if ends_whole(file)? {
            return Ok(false);
        }
        std::thread::sleep(TORN_LOOK_PAUSE);
    }
    Ok(!ends_whole(file)?)
}

/// Where the last whole line ends; `None` if that is further back than a torn line reaches.
pub(super) fn last_line_end(file: &mut File, len: u64) -> io::Result<Option<u64>> {
    let floor = len.saturating_sub(TORN_BYTES_MAX);
    let mut end = len;
    let mut block = Vec::new();
    while end > floor {
        let start = end.saturating_sub(TAIL_BLOCK).max(floor);
        read_block(file, start, end - start, &mut block)?;
        if let Some(at) = block.iter().rposition(|&byte| byte == b'\n') {
            return Ok(Some(start + at as u64 + 1));
        }
        end = start;
    }
    Ok((floor == 0).then_some(0))
}

fn read_block(file: &mut File, start: u64, len: u64, block: &mut Vec<u8>) -> io::Result<()> {
    block.clear();
    file.seek(SeekFrom::Start(start))?;
    file.take(len).read_to_end(block)?;
    Ok(())
}

/// How far a file's time may be behind its last write: systems take it from a clock that goes
/// in steps of 1 to 10 ms.
const MODIFIED_LATE_MAX: Duration = Duration::from_millis(100);

/// Whether the file may hold lines of a run that began in this second.
pub(super) fn mentions(file: &mut File, metadata: &Metadata, second: &str) -> io::Result<bool> {
    // A file last written before that second cannot. (An unknown time says nothing.)
    if let Ok(at) = metadata.modified() {
        if crate::calendar::run_second(at + MODIFIED_LATE_MAX).as_str() < second {
            return Ok(false);
        }
    }
    let start = metadata.len().saturating_sub(SAME_SECOND_BYTES);
    let mut block = Vec::new();
    read_block(file, start, SAME_SECOND_BYTES, &mut block)?;
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
            assert_eq!(mentions(&mut file, &metadata, "20251122_164640").unwrap(), found);
        }
        let metadata = file.metadata().unwrap();
        assert!(!mentions(&mut file, &metadata, "20251122_164639").unwrap());
        std::fs::remove_file(&path).unwrap();
    }
}
