//! Text for the screen of a phone.

/// Columns of a phone's terminal, held upright and with letters of a size to be read.
pub(crate) const WIDTH: usize = 60;

/// Text in lines of at most [`WIDTH`] columns (a longer word stands alone): the first begins
/// with `first`, the others with `rest`.
pub(crate) fn wrap(text: &str, first: &str, rest: &str) -> String {
    let mut out = first.to_owned();
    let mut column = first.chars().count();
    let mut at_begin = true;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if !at_begin && column + 1 + width > WIDTH {
            out.truncate(out.trim_end().len());
            out += "\n";
            out += rest;
            column = rest.chars().count();
            at_begin = true;
        }
        if !at_begin {
            out.push(' ');
            column += 1;
        }
        out += word;
        column += width;
        at_begin = false;
    }
    out
}
