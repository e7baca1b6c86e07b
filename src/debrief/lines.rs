//! Lines from any reader, in one fixed buffer.

use std::io::{self, BufRead, ErrorKind, Read};

/// The buffer, and so the longest line that is read, in bytes. Our own lines take at most
/// 1.5 KiB; a longer one than this is counted and skipped.
const BUFFER_BYTES: usize = 64 << 10;

/// The bytes between two newlines.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FoundLine<'a> {
    /// A line without its newline, or several that NUL bytes part.
    Line(&'a [u8]),
    /// The last line, which no newline ends.
    Unended(&'a [u8]),
    /// A line longer than the buffer.
    TooLong,
}

/// Hands each line to `each`, and after each block read the count of bytes to `progress`.
pub(super) fn each_line(
    mut reader: impl Read,
    mut each: impl FnMut(FoundLine<'_>),
    mut progress: impl FnMut(u64),
) -> io::Result<()> {
    let mut lines = LineBuffer::new();
    let mut total = 0;
    loop {
        let read = match reader.read(lines.space()) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if read == 0 {
            break;
        }
        total += read as u64;
        lines.filled(read, &mut each);
        progress(total);
    }
    lines.unended().into_iter().for_each(each);
    Ok(())
}

/// Finds lines in bytes that arrive in chunks.
#[derive(Clone)]
pub(super) struct LineBuffer {
    buffer: Vec<u8>,
    /// So many bytes at the buffer's beginning are the beginning of a line.
    filled: usize,
    /// Inside a line that is too long.
    skipping: bool,
}

impl LineBuffer {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; BUFFER_BYTES], filled: 0, skipping: false }
    }

    /// Where the next bytes belong; never empty.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.filled..).unwrap_or_default()
    }

    /// Takes the number of bytes written to [`space`](Self::space); calls back with complete lines.
    pub(super) fn filled(&mut self, read: usize, each: &mut impl FnMut(FoundLine<'_>)) {
        let end = self.filled + read;
        let block = self.buffer.get(..end).unwrap_or_default();
        let used = hand_out(block, self.filled, &mut self.skipping, each);
        self.buffer.copy_within(used..end, 0);
        self.filled = end - used;
        if self.filled == BUFFER_BYTES {
            self.filled = free_space(&mut self.buffer, &mut self.skipping, each);
        }
    }

    /// The bytes after the final newline so far.
    pub(super) fn unended(&self) -> Option<FoundLine<'_>> {
        let mut rest = self.buffer.get(..self.filled).unwrap_or_default();
        if self.skipping {
            rest = from_first_nul(rest);
        }
        (!rest.is_empty()).then_some(FoundLine::Unended(rest))
    }
}

/// Empties a buffer without a newline, down to what may be the beginning of a line; returns
/// the length of that. NUL bytes, which a power loss leaves in any number, end a line that is
/// too long as a newline does: what stands behind them may be whole.
fn free_space(
    buffer: &mut [u8],
    skipping: &mut bool,
    each: &mut impl FnMut(FoundLine<'_>),
) -> usize {
    let Some(last) = buffer.iter().rposition(|byte| *byte == 0) else {
        if !*skipping {
            each(FoundLine::TooLong);
        }
        *skipping = true;
        return 0;
    };
    let before = buffer.get(..=last).unwrap_or_default();
    each(FoundLine::Line(if *skipping { from_first_nul(before) } else { before }));
    *skipping = false;
    buffer.copy_within(last + 1.., 0);
    buffer.len() - last - 1
}

/// The rest of a line that is too long.
fn from_first_nul(line: &[u8]) -> &[u8] {
    let first = line.iter().position(|byte| *byte == 0).unwrap_or(line.len());
    line.get(first..).unwrap_or_default()
}

/// Hands out the whole lines of a block whose first `known` bytes hold no newline; returns
/// how many bytes those lines took.
fn hand_out(
    block: &[u8],
    known: usize,
    skipping: &mut bool,
    each: &mut impl FnMut(FoundLine<'_>),
) -> usize {
    let (mut start, mut search) = (0, known);
    loop {
        let mut rest = block.get(search..).unwrap_or_default();
        // The standard library's own fast search; reading a slice cannot fail.
        let step = rest.skip_until(b'\n').unwrap_or(0);
        let end = search + step;
        if step == 0 || block.get(end - 1) != Some(&b'\n') {
            return start;
        }
        let mut line = block.get(start..end - 1).unwrap_or_default();
        let was_skipping = std::mem::take(skipping);
        if was_skipping {
            line = from_first_nul(line);
        }
        if !was_skipping || !line.is_empty() {
            each(FoundLine::Line(line));
        }
        (start, search) = (end, end);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
            let step = self.1.min(space.len());
            self.0.read(space.get_mut(..step).unwrap())
        }
    }

    fn lines(text: &[u8], step: usize) -> Vec<String> {
        let mut found = Vec::new();
        let each = |line: FoundLine<'_>| {
            found.push(match line {
                FoundLine::Line(line) => format!("line {}", line.len()),
                FoundLine::Unended(line) => format!("unended {}", line.len()),
                FoundLine::TooLong => "too long".to_owned(),
            });
        };
        each_line(Trickle(text, step), each, |_| ()).unwrap();
        found
    }

    #[test]
    fn lines_are_found_whatever_the_size_of_the_reads() {
        let mut text = b"a\n\nbcd\n".to_vec();
        text.extend(vec![b'x'; BUFFER_BYTES - 1]);
        text.push(b'\n');
        text.extend(vec![b'x'; BUFFER_BYTES]);
        text.push(b'\n');
        text.extend(vec![b'x'; 3 * BUFFER_BYTES]);
        text.extend(b"\nlast");
        let expected = ["line 1", "line 0", "line 3", "line 65535", "too long", "too long"];
        for step in [1, 2, 7, 4096, BUFFER_BYTES - 1, BUFFER_BYTES, usize::MAX] {
            let found = lines(&text, step);
            assert_eq!(found[..6], expected, "{step}");
            assert_eq!(found[6..], ["unended 4"], "{step}");
        }
        assert!(lines(b"", 1).is_empty());
        assert_eq!(lines(&vec![b'x'; BUFFER_BYTES + 9], 100), ["too long"]);
    }

    /// Fails so once, then gives its text.
    struct Fails<'a>(Option<ErrorKind>, &'a [u8]);

    impl Read for Fails<'_> {
        fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
            match self.0.take() {
                Some(kind) => Err(kind.into()),
                None => self.1.read(space),
            }
        }
    }

    #[test]
    fn a_read_that_a_signal_interrupts_is_made_again_and_no_other() {
        let read = |kind| {
            let mut lines = 0;
            let done = each_line(Fails(Some(kind), b"a\nb\n"), |_| lines += 1, |_| ());
            (lines, done.map_err(|error| error.kind()))
        };
        assert_eq!(read(ErrorKind::Interrupted), (2, Ok(())));
        assert_eq!(read(ErrorKind::BrokenPipe), (0, Err(ErrorKind::BrokenPipe)));
    }
}
