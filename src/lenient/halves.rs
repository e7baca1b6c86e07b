//! Halves of surrogate pairs: characters beyond the first 65,536 are two escapes in JSON, and
//! some servers cut a text between them. Rust's texts cannot hold a half, so it stands as two
//! characters that no text has until its other half comes.

/// Announces a half. (A noncharacter: for use within a program alone.)
const MARK: char = '\u{fdd0}';
/// The character after it stands for the half of the same distance from the first half.
const BASE: u32 = 0xe000;
const FIRST_HALF: u32 = 0xd800;
const HALVES_END: u32 = 0xe000;
/// The character in place of a half whose other never came.
const LOST: char = char::REPLACEMENT_CHARACTER;

/// The character of two halves.
pub(super) fn joined(first: u16, second: u16) -> Option<char> {
    char::decode_utf16([first, second]).next()?.ok().filter(|_| is_half(first, FIRST_HALF))
}

fn is_half(unit: u16, start: u32) -> bool {
    (start..start + 0x400).contains(&u32::from(unit))
}

/// Adds a half to a text.
pub(super) fn push(text: &mut String, half: u16) {
    text.push(MARK);
    text.extend(char::from_u32(BASE + (u32::from(half) - FIRST_HALF)));
}

/// The half that a mark announces with this character.
fn half(stands_for: char) -> Option<u16> {
    let unit = u32::from(stands_for).checked_sub(BASE)? + FIRST_HALF;
    u16::try_from(unit).ok().filter(|_| unit < HALVES_END)
}

/// A text that comes in chunks, of which one may end in the middle of a character.
#[derive(Debug, Default)]
pub(crate) struct Joiner {
    waiting: Option<u16>,
}

impl Joiner {
    /// The next chunk with its halves put together; one at its end waits for the next chunk.
    pub(crate) fn join(&mut self, chunk: String) -> String {
        if self.is_plain(&chunk) {
            return chunk;
        }
        let mut out = String::with_capacity(chunk.len());
        self.join_to(&chunk, &mut out);
        out
    }

    /// The same, added to a text.
    pub(crate) fn join_to(&mut self, chunk: &str, out: &mut String) {
        if self.is_plain(chunk) {
            return out.push_str(chunk);
        }
        let mut chars = chunk.chars().peekable();
        while let Some(one) = chars.next() {
            let unit = if one == MARK { chars.peek().and_then(|next| half(*next)) } else { None };
            let Some(unit) = unit else {
                self.give_up(out);
                out.push(one);
                continue;
            };
            chars.next();
            match self.waiting.and_then(|first| joined(first, unit)) {
                Some(one) => {
                    self.waiting = None;
                    out.push(one);
                }
                None => self.begin(unit, out),
            }
        }
    }

    fn is_plain(&self, chunk: &str) -> bool {
        chunk.is_empty() || (self.waiting.is_none() && !chunk.contains(MARK))
    }

    /// A half that does not complete the one before.
    fn begin(&mut self, unit: u16, out: &mut String) {
        self.give_up(out);
        match is_half(unit, FIRST_HALF) {
            true => self.waiting = Some(unit),
            false => out.push(LOST),
        }
    }

    fn give_up(&mut self, out: &mut String) {
        if self.waiting.take().is_some() {
            out.push(LOST);
        }
    }

    /// The character in place of a half that waited in vain, if one did.
    pub(crate) fn end(&mut self) -> Option<char> {
        self.waiting.take().map(|_| LOST)
    }
}

/// A text that is complete, with its halves put together.
pub(crate) fn whole(text: String) -> String {
    let mut joiner = Joiner::default();
    let mut text = joiner.join(text);
    text.extend(joiner.end());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(units: &[u16]) -> String {
        let mut text = String::from("a");
        units.iter().for_each(|unit| push(&mut text, *unit));
        text.push('b');
        text
    }

    #[test]
    fn halves_meet_within_a_text_and_across_chunks() {
        assert_eq!(whole(marked(&[0xd83d, 0xde00])), "a\u{1f600}b");
        let mut joiner = Joiner::default();
        let first = marked(&[0xd83d]);
        assert_eq!(joiner.join(first.trim_end_matches('b').to_owned()), "a");
        assert_eq!(joiner.join(String::new()), "");
        let second = marked(&[0xde00]);
        assert_eq!(joiner.join(second.trim_start_matches('a').to_owned()), "\u{1f600}b");
        assert_eq!(joiner.end(), None);
    }

    #[test]
    fn a_half_alone_is_replaced() {
        assert_eq!(whole(marked(&[0xd83d])), "a\u{fffd}b");
        assert_eq!(whole(marked(&[0xde00])), "a\u{fffd}b");
        assert_eq!(whole(marked(&[0xd83d, 0xd83d, 0xde00])), "a\u{fffd}\u{1f600}b");
        assert_eq!(whole(marked(&[0xde00, 0xd83d])), "a\u{fffd}\u{fffd}b");
        // A mark that announces nothing is a character like any other.
        assert_eq!(whole("\u{fdd0}x\u{fdd0}".to_owned()), "\u{fdd0}x\u{fdd0}");
    }
}
