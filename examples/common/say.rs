//! `say!` and `say_on!`: text on the screen, the program's own and others'.
//!
//! `println!` panics once the reader of a pipe has seen enough (`demo | head`); these let the
//! program come to its end in silence. A terminal obeys control characters in the text of a model,
//! a log or a server; these print a `�` for each.

/// A line on standard output.
#[allow(unused_macros, reason = "each example takes what it needs")]
macro_rules! say {
    () => { say_on!("\n") };
    ($($text:tt)*) => { say_on!("{}\n", ::std::format_args!($($text)*)) };
}

/// A part of a line on standard output.
#[allow(unused_macros, reason = "each example takes what it needs")]
macro_rules! say_on {
    ($($text:tt)*) => {{
        use ::std::io::Write as _;
        let text = $crate::common::say::harmless(&::std::format!($($text)*));
        let _ = ::std::io::stdout().write_all(text.as_bytes());
    }};
}

/// The text with `�` in place of each character that a terminal obeys: control characters but
/// line feed and tab, and those that set the direction of writing.
pub(crate) fn harmless(text: &str) -> String {
    let obeyed = |c: char| match c {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        '\u{2066}'..='\u{2069}' => true,
        c => c.is_control(),
    };
    text.chars().map(|c| if obeyed(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
