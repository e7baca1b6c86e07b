//! `say!` and `say_on!`: text on the screen. `println!` panics once the reader of a pipe has
//! seen enough (`demo | head`); these let the program come to its end in silence.

/// A line on standard output.
macro_rules! say {
    ($($text:tt)*) => {{
        use ::std::io::Write as _;
        let _ = ::std::writeln!(::std::io::stdout(), $($text)*);
    }};
}

/// A part of a line on standard output.
#[allow(unused_macros, reason = "each example takes what it needs")]
macro_rules! say_on {
    ($($text:tt)*) => {{
        use ::std::io::Write as _;
        let _ = ::std::write!(::std::io::stdout(), $($text)*);
    }};
}
