//! Foreign text, cut to a length in bytes. (`str::floor_char_boundary` needs Rust 1.91.)

/// The longest prefix of at most `bytes_max` bytes that ends at a character boundary.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    // At most three steps, to the first byte of a character. Zero is a boundary.
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Whether a terminal, page or editor obeys the character instead of showing it: control
/// characters, line separators, what steers the direction of writing, and code points that are no
/// characters.
pub(crate) fn is_control(c: char) -> bool {
    let steers = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_none = matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
    c.is_control() || steers || is_none
}

/// The text on one line: surrounding white space is removed, characters that [control](is_control)
/// how it is shown become spaces, and `…` is appended if it is cut to `bytes_max` bytes.
pub(crate) fn clean(text: &str, bytes_max: usize) -> String {
    let text = text.trim();
    let kept = cut(text, bytes_max);
    let mut out: String = kept.chars().map(|c| if is_control(c) { ' ' } else { c }).collect();
    if kept.len() < text.len() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_never_splits_a_character() {
        for (text, bytes_max, kept) in [
            ("", 0, ""),
            ("abc", 0, ""),
            ("abc", 2, "ab"),
            ("abc", 3, "abc"),
            ("abc", usize::MAX, "abc"),
            ("aäb", 1, "a"),
            ("aäb", 2, "a"),
            ("aäb", 3, "aä"),
            ("a😀", 4, "a"),
            ("a😀", 5, "a😀"),
            ("😀", 3, ""),
        ] {
            assert_eq!(cut(text, bytes_max), kept, "{text} at {bytes_max}");
        }
    }

    #[test]
    fn a_clean_text_is_one_line_and_shows_its_cut() {
        for (text, bytes_max, clean_text) in [
            ("  too\nfast\t", 20, "too fast"),
            ("\u{1b}[31mred\u{85}x", 20, " [31mred x"),
            ("a\u{202e}gnp\u{2066}\u{2028}b\u{ffff}", 20, "a gnp  b "),
            ("\u{200c}joined\u{200d}", 20, "\u{200c}joined\u{200d}"),
            ("abcdef", 6, "abcdef"),
            ("abcdef", 5, "abcde…"),
            ("ääää", 5, "ää…"),
        ] {
            assert_eq!(clean(text, bytes_max), clean_text, "{text:?} at {bytes_max}");
        }
    }
}
