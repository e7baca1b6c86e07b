//! Takes keys and prompts out of what a server said.

use crate::splice::{decoded, encoded_head};
use crate::text::cut;

/// The mark in place of redacted text.
const REDACTED: &str = "[redacted]";
/// A part of a key this long is taken out.
const KEY_WINDOW: usize = 6;
/// A part of a prompt or context this long is taken out: shorter ones are just words.
const TEXT_WINDOW: usize = 12;
/// Shortest whole text that is taken out.
const WHOLE_MIN: usize = 4;
/// Longest message that is looked at; what follows is dropped. A little more than errors
/// keep, so that their cut, not this one, is what a reader sees.
const MESSAGE_BYTES_MAX: usize = 640;

/// Marks the parts of a message that must not be shown.
pub(crate) struct Scrubber<'a> {
    message: &'a str,
    hidden: Vec<bool>,
    /// The message in lower case.
    folded: String,
    /// The length of the parts that are looked for.
    window: usize,
    /// Where the message's parts of that length begin, in the order of what they say.
    places: Vec<usize>,
}

impl<'a> Scrubber<'a> {
    pub(crate) fn new(message: &'a str) -> Self {
        let message = cut(message, MESSAGE_BYTES_MAX);
        let (hidden, folded) = (vec![false; message.len()], message.to_ascii_lowercase());
        Self { message, hidden, folded, window: 0, places: Vec::new() }
    }

    /// Hides every part of a key, or of a header's value (a scheme and a key, perhaps): as it is,
    /// percent-encoded, as base64 and, if it is base64 as in `Basic`, decoded.
    pub(crate) fn key(&mut self, value: &str) {
        let key = token(value);
        self.hide(value.as_bytes(), KEY_WINDOW);
        if self.message.len() < WHOLE_MIN || key.len() < WHOLE_MIN {
            return;
        }
        self.hide(key.as_bytes(), KEY_WINDOW);
        let percent = |byte: u8| match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                (byte as char).into()
            }
            _ => format!("%{byte:02x}"),
        };
        self.hide(key.bytes().map(percent).collect::<String>().as_bytes(), KEY_WINDOW);
        let whole: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
        self.hide(whole.as_bytes(), KEY_WINDOW);
        // Its letters depend on how much stands before it, in units of three bytes.
        for before in ["", ":", "::"] {
            let text = encoded_head(format!("{before}{key}").as_bytes());
            self.hide(text.trim_end_matches('=').as_bytes(), KEY_WINDOW);
            let of_urls = text.replace('+', "-").replace('/', "_");
            self.hide(of_urls.trim_end_matches('=').as_bytes(), KEY_WINDOW);
        }
        let user_and_password = if key == value { None } else { decoded(key) };
        if let Some(both) = user_and_password {
            self.hide(&both, KEY_WINDOW);
            both.split(|byte| *byte == b':').for_each(|one| self.hide(one, KEY_WINDOW));
        }
    }

    /// Hides a key that is too short to be taken for one within a word, where it is a word.
    pub(crate) fn short_key(&mut self, value: &str) {
        let key = token(value).to_ascii_lowercase();
        if key.is_empty() || key.len() >= WHOLE_MIN {
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

    /// Time is linear in the text: each of its windows is looked up among the message's.
    fn hide(&mut self, text: &[u8], window: usize) {
        let window = window.min(text.len());
        if window < WHOLE_MIN || self.message.len() < window {
            return;
        }
        self.sort_places(window);
        let Self { hidden, folded, places, .. } = self;
        let part_at = |at: usize| &folded.as_bytes()[at..at + window];
        let mut starts = [false; 256];
        for at in places.iter() {
            starts[usize::from(part_at(*at)[0])] = true;
        }
        // A part found once needs no second look, however often the text repeats it.
        let mut done = vec![false; places.len()];
        let mut part = Vec::with_capacity(window);
        for found in text.windows(window) {
            if !starts[usize::from(found[0].to_ascii_lowercase())] {
                continue;
            }
            part.clear();
            part.extend(found.iter().map(u8::to_ascii_lowercase));
            let first = places.partition_point(|at| part_at(*at) < part.as_slice());
            if done.get(first).is_none_or(|done| *done) {
                continue;
            }
            for at in &places[first..] {
                if part_at(*at) != part.as_slice() {
                    break;
                }
                done[first] = true;
                hidden[*at..at + window].fill(true);
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
        let folded = self.folded.as_bytes();
        for (at, part) in folded.windows(window).enumerate() {
            let before = |other: &usize| &folded[*other..other + window] <= part;
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
            ("sk-a?>?>?>?>", "c2stYT8-Pz4_Pj8-", "[redacted]"),
            ("Basic bWU6aHVudGVy", "user me, password hunter!", "user me, password [redacted]!"),
            ("Basic bWU6aHVudGVy", "me:hunter/bWU6aHVudGVy", "[redacted]/[redacted]"),
            ("Token abcd", "abcd is bad", "[redacted] is bad"),
            ("sk-abcdef12", "no <%73%6B%2D%61%62%63%64%65%66%31%32>", "no <[redacted]>"),
            ("Zm9v/YmFy+YmF6==", "?key=Zm9v%2FYmFy%2bYmF6%3D%3D&", "?key=[redacted]&"),
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

    #[test]
    fn a_short_text_goes_only_as_a_whole() {
        assert_eq!(scrubbed("you said hello there", "k", "hello"), "you said [redacted] there");
        assert_eq!(scrubbed("ab is short", "k", "ab"), "ab is short");
    }

    #[test]
    fn characters_are_never_split() {
        let out = scrubbed("ääääääääääää und mehr", "k", "xääääääääääääx");
        assert_eq!(out, "[redacted] und mehr");
        assert!(Scrubber::new(&"ü".repeat(1000)).finish().len() <= MESSAGE_BYTES_MAX);
    }
}
