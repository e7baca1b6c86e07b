//! Parts of a page: escaped text, tables, sections that unfold.

use std::fmt::{self, Display, Write};

use crate::text::is_control;

/// A text of others, for element content or an attribute's value between double quotes.
///
/// Characters that steer the direction of writing, and non-characters, show as their code
/// point: a page's own words stand where they stand.
pub(super) struct EscapedText<'a>(pub(super) &'a str);

impl Display for EscapedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(' ')?,
                c if is_control(c) => {
                    write!(f, "[U+{:04X}]", u32::from(c))?;
                }
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Characters of a name that are shown.
const NAME_CHARS_MAX: usize = 72;

/// A name, cut where it is long, in whatever direction it is written.
pub(super) struct Name<'a>(pub(super) &'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.trim().is_empty() {
            return f.write_str("<bdi>(no name)</bdi>");
        }
        let end = self.0.char_indices().nth(NAME_CHARS_MAX).map(|(at, _)| at);
        let (shown, more) = match end {
            Some(end) => (self.0.get(..end).unwrap_or_default(), "…"),
            None => (self.0, ""),
        };
        write!(f, "<bdi>{}{more}</bdi>", EscapedText(shown))
    }
}

/// A page in the making. Writing to a string cannot fail, so no method does.
pub(super) struct Page(pub(super) String);

impl Page {
    pub(super) fn add(&mut self, html: impl Display) -> &mut Self {
        let _ = write!(self.0, "{html}");
        self
    }

    /// A paragraph in the page's own words.
    pub(super) fn paragraph(&mut self, class: &str, html: impl Display) {
        let _ = match class {
            "" => writeln!(self.0, "<p>{html}</p>"),
            class => writeln!(self.0, "<p class=\"{class}\">{html}</p>"),
        };
    }

    pub(super) fn heading(&mut self, html: impl Display) {
        let _ = writeln!(self.0, "<h2>{html}</h2>");
    }

    /// A table with its caption.
    pub(super) fn table(
        &mut self,
        class: &str,
        caption: &str,
        heads: &[impl Display],
        rows: &[Vec<String>],
    ) {
        self.paragraph("soft", EscapedText(caption));
        self.bare_table(class, caption, heads, rows);
    }

    /// A table that scrolls by itself where the page is narrow. The first cell of each row is
    /// its heading; all cells are HTML.
    pub(super) fn bare_table(
        &mut self,
        class: &str,
        caption: &str,
        heads: &[impl Display],
        rows: &[Vec<String>],
    ) {
        let caption = EscapedText(caption);
        let _ = write!(
            self.0,
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\">\
             <table class=\"{class}\"><thead><tr>"
        );
        for head in heads {
            let _ = write!(self.0, "<th scope=\"col\">{head}</th>");
        }
        self.0.push_str("</tr></thead><tbody>\n");
        for row in rows {
            self.0.push_str("<tr>");
            for (place, cell) in row.iter().enumerate() {
                let _ = match place {
                    0 => write!(self.0, "<th scope=\"row\">{cell}</th>"),
                    _ => write!(self.0, "<td>{cell}</td>"),
                };
            }
            self.0.push_str("</tr>\n");
        }
        self.0.push_str("</tbody></table></div>\n");
    }

    /// A table behind a line that unfolds it.
    pub(super) fn folded(&mut self, caption: &str, heads: &[impl Display], rows: &[Vec<String>]) {
        let _ = write!(self.0, "<details><summary>{}</summary>", EscapedText(caption));
        self.bare_table("", caption, heads, rows);
        self.0.push_str("</details>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_stay_texts() {
        for (text, html) in [
            ("plain", "plain"),
            ("<b>&\"'", "&lt;b&gt;&amp;&quot;&#39;"),
            ("a\u{202e}b\u{2066}", "a[U+202E]b[U+2066]"),
            ("a\0b\u{1b}[31m\u{9f}", "a[U+0000]b[U+001B][31m[U+009F]"),
            ("\u{fffe}\u{10ffff}\u{fdd0}", "[U+FFFE][U+10FFFF][U+FDD0]"),
            ("a\nb\tc", "a b c"),
            ("שלום", "שלום"),
        ] {
            assert_eq!(EscapedText(text).to_string(), html);
        }
        assert_eq!(Name("a").to_string(), "<bdi>a</bdi>");
        let long = Name(&"<".repeat(1000)).to_string();
        assert_eq!(long, format!("<bdi>{}…</bdi>", "&lt;".repeat(NAME_CHARS_MAX)));
    }
}
