//! How far a JSON text goes on without anything special, eight bytes at a time.

/// How many bytes from the start are plain: no quote, backslash or control character.
#[inline]
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES * 0x80;
    // Marks bytes that are zero, the lowest of them rightly.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut at = 0;
    let (words, _) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let quote = zero(word ^ (ONES * u64::from(b'"')));
        let backslash = zero(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let marks = quote | backslash | control;
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    at + bytes[at..].iter().position(is_special).unwrap_or(bytes.len() - at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_runs_end_where_they_should_at_every_place() {
        for special in [b'"', b'\\', 0, 0x1f] {
            for place in 0..20 {
                let mut bytes = vec![b'x'; 20];
                bytes[place] = special;
                // After it nothing counts, before it nothing looks like it.
                bytes[..place].fill(0x80);
                bytes[place + 1..].fill(b'"');
                assert_eq!(plain_length(&bytes), place, "{special}");
            }
        }
        assert_eq!(plain_length(b"\x20\x7f\xff!#[]abcdefg"), 14);
    }
}
