//! Takes keys and prompts out of what a server said.
//!
//! Servers quote a request in the form in which they have it: as it is, as JSON (whose letters may
//! all be `\u` escapes), percent-encoded in a URL, in HTML. So both are compared by their letters and digits
//! alone ([`letters`]); what stands between two that are hidden is hidden with them.

use std::ops::Range;

use crate::splice::{decoded, encoded_head};
use crate::text::cut;

/// The mark in place of redacted text.
const REDACTED: &str = "[redacted]";
/// A part of a key of this many letters is taken out: so are six of its bytes, one of them a dash.
const KEY_WINDOW: usize = 5;
/// A part of a prompt or context of this many letters is taken out: shorter ones are just words.
const TEXT_WINDOW: usize = 12;
/// Shortest whole text that is taken out.
const WHOLE_MIN: usize = 4;
/// Longest `&#x10ffff;`, with zeros before its digits.
const ENTITY_BYTES_MAX: usize = 12;
/// Longest message that is looked at; what follows is dropped. A little more than errors
/// keep, so that their cut, not this one, is what a reader sees.
const MESSAGE_BYTES_MAX: usize = 640;

/// Marks the parts of a message that must not be shown.
pub(crate) struct Scrubber<'a> {
    message: &'a str,
    hidden: Vec<bool>,
    /// Its letters and digits.
    letters: Vec<u8>,
    /// Where each of them stands in the message.
    stands: Vec<Range<usize>>,
    /// The length of the parts that are looked for.
    window: usize,
    /// Where the parts of that length begin among the letters, in the order of what they say.
    places: Vec<usize>,
}

impl<'a> Scrubber<'a> {
    pub(crate) fn new(message: &'a str) -> Self {
        let message = cut(message, MESSAGE_BYTES_MAX);
        let (mut found, mut stands) = (Vec::new(), Vec::new());
        letters(message.as_bytes(), |letter, at| {
            found.push(letter);
            stands.push(at);
        });
        let hidden = vec![false; message.len()];
        Self { message, hidden, letters: found, stands, window: 0, places: Vec::new() }
    }

    /// Hides every part of a key, or of a header's value (a scheme and a key, perhaps): as it is, as
    /// base64 and, if it is base64 as in `Basic`, decoded.
    pub(crate) fn key(&mut self, value: &str) {
        let key = token(value);
        self.hide(value.as_bytes(), KEY_WINDOW);
        if self.message.len() < WHOLE_MIN || key.len() < WHOLE_MIN {
            return;
        }
        self.hide(key.as_bytes(), KEY_WINDOW);
        self.hide_verbatim(key.as_bytes());
        // Its letters depend on how much stands before it, in units of three bytes.
        for before in ["", ":", "::"] {
            let text = encoded_head(format!("{before}{key}").as_bytes());
            self.hide(text.as_bytes(), KEY_WINDOW);
        }
        let user_and_password = if key == value { None } else { decoded(key) };
        if let Some(both) = user_and_password {
            self.hide(&both, KEY_WINDOW);
            both.split(|byte| *byte == b':').for_each(|one| self.hide(one, KEY_WINDOW));
        }
    }

    /// Hides the parts of a key whose bytes stand there, whatever escapes they seem to hold.
    fn hide_verbatim(&mut self, key: &[u8]) {
        let length = key.len().min(KEY_WINDOW + 1);
        let message = self.message.as_bytes();
        for part in key.windows(length) {
            for (at, found) in message.windows(length).enumerate() {
                if found.eq_ignore_ascii_case(part) {
                    self.hidden[at..at + length].fill(true);
                }
            }
        }
    }

    /// Hides a key of too few letters to be taken for one within a word, where it is a word.
    pub(crate) fn short_key(&mut self, value: &str) {
        let key = token(value).to_ascii_lowercase();
        if key.is_empty() || letters_of(key.as_bytes()).len() >= WHOLE_MIN {
            return;
        }
        let message = self.message.to_ascii_lowercase();
        // Letters beyond ASCII by their bytes: std's tables of them take 2.7 KB.
        let is_part = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
        };
        for (at, found) in message.match_indices(&key) {
            let (before, rest) = message.as_bytes().split_at(at);
            if !is_part(before.last()) && !is_part(rest.get(found.len())) {
                self.hidden[at..at + found.len()].fill(true);
            }
        }
    }

    /// Hides every longer part of a text.
    pub(crate) fn text(&mut self, text: &str) {
        self.hide(text.as_bytes(), TEXT_WINDOW);
    }

    /// Hides every part of a text. Time is linear in the text: each of its windows is looked up among
    /// the message's.
    fn hide(&mut self, text: &[u8], window: usize) {
        let text = letters_of(text);
        // A whole short text is just letters within another word, unless it is a key's.
        let is_word = window == TEXT_WINDOW && text.len() < window;
        let window = window.min(text.len());
        if window < WHOLE_MIN || self.letters.len() < window {
            return;
        }
        self.sort_places(window);
        let Self { hidden, letters, stands, places, .. } = self;
        let part_at = |at: usize| &letters[at..at + window];
        let mut starts = [false; 256];
        for at in places.iter() {
            starts[usize::from(part_at(*at)[0])] = true;
        }
        // A part found once needs no second look, however often the text repeats it.
        let mut done = vec![false; places.len()];
        for part in text.windows(window).filter(|part| starts[usize::from(part[0])]) {
            let first = places.partition_point(|at| part_at(*at) < part);
            if done.get(first).is_none_or(|done| *done) {
                continue;
            }
            for at in &places[first..] {
                if part_at(*at) != part {
                    break;
                }
                done[first] = true;
                let (first, last) = (*at, *at + window - 1);
                let goes_on = |a: usize, b: usize| {
                    stands.get(b).is_some_and(|next| stands[a].end == next.start)
                };
                let in_word = first > 0 && goes_on(first - 1, first) || goes_on(last, last + 1);
                if !(is_word && in_word) {
                    hidden[stands[first].start..stands[last].end].fill(true);
                }
            }
        }
    }

    /// Puts the message's parts of this length in order. (By insertion: they are few, and std's
    /// sort would take 4 KB of a program.)
    fn sort_places(&mut self, window: usize) {
        if std::mem::replace(&mut self.window, window) == window {
            return;
        }
        self.places.clear();
        for (at, part) in self.letters.windows(window).enumerate() {
            let before = |other: &usize| &self.letters[*other..other + window] <= part;
            let place = self.places.partition_point(before);
            self.places.insert(place, at);
        }
    }

    /// Whether anything was hidden.
    pub(crate) fn found(&self) -> bool {
        self.hidden.contains(&true)
    }

    /// The message, with a mark in place of each hidden stretch.
    pub(crate) fn finish(self) -> String {
        let mut out = String::with_capacity(self.message.len());
        let mut redacting = false;
        for (at, c) in self.message.char_indices() {
            // A character goes if any of its bytes does.
            let hide = self.hidden[at..at + c.len_utf8()].contains(&true);
            match (hide, redacting) {
                (true, false) => out.push_str(REDACTED),
                (false, _) => out.push(c),
                (true, true) => {}
            }
            redacting = hide;
        }
        out
    }
}

/// Calls `take` with each letter and digit of a text, in lower case, and with where it stands; with
/// every byte of a character beyond ASCII.
fn letters(text: &[u8], mut take: impl FnMut(u8, Range<usize>)) {
    let (mut at, mut found) = (0, [0; 4]);
    while at < text.len() {
        let (length, count) = read_one(&text[at..], &mut found);
        for byte in &found[..count] {
            if !byte.is_ascii() || byte.is_ascii_alphanumeric() {
                take(byte.to_ascii_lowercase(), at..at + length);
            }
        }
        at += length;
    }
}

fn letters_of(text: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(text.len());
    letters(text, |letter, _| all.push(letter));
    all
}

/// Reads an escape of JSON, of a URL or of HTML, or one byte; returns its length, and how much of
/// `found` is what it means. Backslashes may be any number: a text can be quoted within a quoted text.
fn read_one(rest: &[u8], found: &mut [u8; 4]) -> (usize, usize) {
    let slashes = rest.iter().take_while(|byte| **byte == b'\\').count();
    if slashes > 0 {
        return match rest.get(slashes) {
            Some(b'b' | b'f' | b'n' | b'r' | b't') => (slashes + 1, 0),
            Some(b'u') => match read_unicode(rest, slashes) {
                Some((length, c)) => (length, c.encode_utf8(found).len()),
                None => (slashes, 0),
            },
            _ => (slashes, 0),
        };
    }
    if let Some((length, meant)) = read_entity(rest) {
        return (length, meant.map_or(0, |c| c.encode_utf8(found).len()));
    }
    let percent = if rest[0] == b'%' { hex(rest, 1, 2) } else { None };
    found[0] = percent.map_or(rest[0], |byte| byte as u8);
    (if percent.is_some() { 3 } else { 1 }, 1)
}

/// Reads `\u` with four digits, twice for a character that takes two units of UTF-16.
fn read_unicode(rest: &[u8], slashes: usize) -> Option<(usize, char)> {
    let length = slashes + 5;
    let unit = |start: usize| hex(rest, start + slashes + 1, 4);
    let first = unit(0)?;
    if let Some(c) = char::from_u32(first) {
        return Some((length, c));
    }
    let both = char::decode_utf16([first as u16, unit(length)? as u16]).next()?;
    Some((2 * length, both.ok()?))
}

/// Reads a character of HTML by its number, or by the name of a mark, which is no letter.
fn read_entity(rest: &[u8]) -> Option<(usize, Option<char>)> {
    if rest[0] != b'&' {
        return None;
    }
    let end = rest.iter().take(ENTITY_BYTES_MAX).position(|byte| *byte == b';')?;
    let number = |digits: &[u8], base| {
        let add = |number: u32, digit: &u8| {
            number.checked_mul(base)?.checked_add((*digit as char).to_digit(base)?)
        };
        digits.iter().try_fold(0, add).and_then(char::from_u32)
    };
    let meant = match &rest[..end] {
        b"&quot" | b"&apos" | b"&amp" | b"&lt" | b"&gt" => None,
        [b'&', b'#', b'x' | b'X', digits @ ..] => Some(number(digits, 16)?),
        [b'&', b'#', digits @ ..] => Some(number(digits, 10)?),
        _ => return None,
    };
    Some((end + 1, meant))
}

/// The number that these digits of base 16 mean.
fn hex(text: &[u8], start: usize, count: usize) -> Option<u32> {
    let digits = text.get(start..start + count)?;
    digits.iter().try_fold(0, |number, digit| Some(number * 16 + (*digit as char).to_digit(16)?))
}

/// A header's value without the scheme before it.
fn token(value: &str) -> &str {
    value.rsplit(' ').next().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_in_every_form_in_which_it_is_sent_or_echoed() {
        // The base64 of `sk-abcdefghijkl`, of `:` and it, of `me:` and it; then that of URLs.
        for (key, message, shown) in [
            ("sk-abcdefghijkl", "c2stYWJjZGVmZ2hpamts", "[redacted]"),
            ("sk-abcdefghijkl", "got OnNrLWFiY2RlZmdoaWprbA==", "got [redacted]=="),
            ("sk-abcdefghijkl", "got bWU6c2stYWJjZGVmZ2hpamts", "got bWU6[redacted]"),
            ("Bearer sk-abcdefghijkl", "got c2stYWJjZGVmZ2hpamts.", "got [redacted]."),
            ("sk-a?>?>?>?>", "c2stYT8-Pz4_Pj8-", "[redacted]-"),
            ("Basic bWU6aHVudGVy", "user me, password hunter!", "user me, password [redacted]!"),
            ("Basic bWU6aHVudGVy", "me:hunter/bWU6aHVudGVy", "[redacted]/[redacted]"),
            ("Token abcd", "abcd is bad", "[redacted] is bad"),
            ("sk-0a1b2c3d4e5f", "[e5%2c3d4e66", "[e5%[redacted]66"),
            ("sk-abcdef12", "no <%73%6B%2D%61%62%63%64%65%66%31%32>", "no <[redacted]>"),
            ("Zm9v/YmFy+YmF6==", "?key=Zm9v%2FYmFy%2bYmF6%3D%3D&", "?key=[redacted]%3D%3D&"),
        ] {
            assert_eq!(scrubbed(message, key, ""), shown, "{key}");
        }
    }

    #[test]
    fn a_key_of_one_to_three_bytes_goes_where_it_is_a_word() {
        for (key, message, shown) in [
            ("k", "bad key k", "bad key [redacted]"),
            ("abc", "(ABC) is no abcd", "([redacted]) is no abcd"),
            ("Bearer ab", "'ab' refused, absolutely", "'[redacted]' refused, absolutely"),
            ("ä", "ä is bad, bär is not", "[redacted] is bad, bär is not"),
            ("abcd", "abcd", "abcd"),
            ("", "nothing", "nothing"),
        ] {
            let mut scrubber = Scrubber::new(message);
            scrubber.short_key(key);
            assert_eq!(scrubber.finish(), shown, "{key}");
        }
    }

    fn scrubbed(message: &str, key: &str, text: &str) -> String {
        let mut scrubber = Scrubber::new(message);
        scrubber.key(key);
        scrubber.text(text);
        scrubber.finish()
    }

    #[test]
    fn parts_of_keys_and_prompts_go_and_words_stay() {
        let key = "sk-abcdefghijkl";
        assert_eq!(
            scrubbed("bad key sk-abcdefghijkl!", key, "unrelated prompt text"),
            "bad key [redacted]!"
        );
        assert_eq!(scrubbed("tail GHIJKL of it", key, ""), "tail [redacted] of it");
        assert_eq!(
            scrubbed("input 'Tell me my secret' is bad", key, "Please tell me my secret now"),
            "input '[redacted]' is bad"
        );
        assert_eq!(scrubbed("me and you", key, "you and me"), "me and you");
    }

    /// However a server quotes what it was sent, and whatever stands between its words.
    #[test]
    fn a_text_goes_in_every_form_in_which_servers_quote() {
        let json = |text: &str| serde_json::to_string(text).unwrap();
        let ascii = |text: &str| {
            let unit = |unit: u16| match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii_alphanumeric() => (byte as char).to_string(),
                _ => format!("\\u{unit:04x}"),
            };
            text.encode_utf16().map(unit).collect::<String>()
        };
        let percent = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
        let url = |text: &str| text.replace(' ', "+").replace('\n', "%0A").replace('"', "%22");
        for text in [
            r#"{"name":"Ada L.","ssn":"123-45-67","pin":"4711","hiv":true}"#,
            "Ada\nHauptstr. 5\n1010 Wien\nPIN 4711",
            "My doctor Ada said I have HIV",
            "У меня ВИЧ 😀 помоги",
            r"C:\Users\Ada says 5% of 100%",
        ] {
            let quoted = json(text);
            let html = text.replace('"', "&quot;").replace('5', "&#53;").replace('A', "&#x41;");
            let forms = [text.to_owned(), json(&quoted), quoted, url(text), percent(text), html];
            for form in forms.into_iter().chain([ascii(text), text.to_ascii_uppercase()]) {
                let shown = scrubbed(&format!("bad input <{form}> here"), "k", text);
                let (before, rest) = shown.split_once("[redacted]").unwrap_or((&shown, ""));
                let kept = letters_of(format!("{before}{rest}").as_bytes());
                assert_eq!(kept, b"badinputhere", "{form} of {text}: {shown}");
            }
        }
    }

    #[test]
    fn a_short_text_goes_only_as_a_whole() {
        assert_eq!(scrubbed("you said hello there", "k", "hello"), "you said [redacted] there");
        assert_eq!(scrubbed("ab is short", "k", "ab"), "ab is short");
        assert_eq!(scrubbed("latest %20test\\n", "k", "Test"), "latest %20[redacted]\\n");
    }

    #[test]
    fn characters_are_never_split() {
        let out = scrubbed("ääääääääääää und mehr", "k", "xääääääääääääx");
        assert_eq!(out, "[redacted] und mehr");
        assert!(Scrubber::new(&"ü".repeat(1000)).finish().len() <= MESSAGE_BYTES_MAX);
    }
}
