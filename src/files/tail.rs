//! The end of a file of lines: whether it is torn, and where the last complete line ends.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::Duration;

/// How much of the file's end is searched at a time, in bytes.
const TAIL_BLOCK: u64 = 8 << 10;

/// How often a torn end is checked again while others write, and at what interval. A write that
/// crosses a page is visible in part for some microseconds.
const TORN_LOOKS: u32 = 10;
const TORN_LOOK_PAUSE: Duration = Duration::from_millis(1);

/// Whether the file is empty or ends in a newline.
pub(crate) fn ends_whole(mut file: &File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Whether the file's end stays torn, although others may be writing to it.
pub(crate) fn stays_torn(file: &File) -> io::Result<bool> {
    for _ in 0..TORN_LOOKS {
        if ends_whole(file)? {
            return Ok(false);
        }
        std::thread::sleep(TORN_LOOK_PAUSE);
    }
    Ok(!ends_whole(file)?)
}

/// Cuts a torn end back to the last complete line, and returns the number of bytes removed.
/// `None`: the end is longer than a torn line can be (`torn_bytes_max`), and is left as it is.
/// The caller must be the only process that has the file open.
pub(crate) fn cut(file: &File, torn_bytes_max: u64) -> io::Result<Option<u64>> {
    if ends_whole(file)? {
        return Ok(Some(0));
    }
    let len = file.metadata()?.len();
    let Some(end) = last_line_end(file, len, torn_bytes_max)? else { return Ok(None) };
    file.set_len(end)?;
    Ok(Some(len - end))
}

/// Ends a torn line with a newline; returns whether it was written.
pub(crate) fn close(mut file: &File) -> bool {
    matches!(file.write(b"\n"), Ok(1))
}

/// The offset at which the last complete line ends; `None` if that is further back than a torn
/// line can reach.
fn last_line_end(file: &File, len: u64, torn_bytes_max: u64) -> io::Result<Option<u64>> {
    let floor = len.saturating_sub(torn_bytes_max);
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

/// Reads up to this much of the file into `block`.
pub(crate) fn read_block(
    mut file: &File,
    start: u64,
    len: u64,
    block: &mut Vec<u8>,
) -> io::Result<()> {
    block.clear();
    file.seek(SeekFrom::Start(start))?;
    file.take(len).read_to_end(block)?;
    Ok(())
}
