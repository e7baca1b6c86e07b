//! Text out of tokens: whole characters only, without the reasoning before it, up to a stop text.

use crate::thoughts::Thoughts;

/// Gathers an answer.
pub(crate) struct Text {
    /// Bytes that may be the beginning of a character.
    pending: Vec<u8>,
    text: String,
    /// How much of the text was sent, in bytes.
    sent: usize,
    stops: Vec<String>,
    thoughts: Thoughts,
    /// Reasoning that was not sent yet.
    thought: String,
}

impl Text {
    /// The answer to this prompt, up to a stop text.
    pub(crate) fn new(prompt: &str, stops: Vec<String>) -> Self {
        Self {
            pending: Vec::new(),
            text: String::new(),
            sent: 0,
            stops,
            thoughts: Thoughts::new(prompt),
            thought: String::new(),
        }
    }

    /// Adds a token's bytes. Returns whether a stop text was met: the text ends before it.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        self.pending.extend_from_slice(bytes);
        let before = self.text.len();
        let mut characters = String::new();
        loop {
            match std::str::from_utf8(&self.pending) {
                Ok(valid) => {
                    characters.push_str(valid);
                    self.pending.clear();
                    break;
                }
                Err(error) => {
                    let valid = error.valid_up_to();
                    characters.push_str(&String::from_utf8_lossy(&self.pending[..valid]));
                    self.pending.drain(..valid + error.error_len().unwrap_or(0));
                    if error.error_len().is_none() {
                        // More bytes may complete the character.
                        break;
                    }
                    characters.push(char::REPLACEMENT_CHARACTER);
                }
            }
        }
        let parts = self.thoughts.split(&characters);
        self.add(parts);
        self.cut_at_stop(before)
    }

    fn add(&mut self, (thought, answer): (String, String)) {
        self.thought.push_str(&thought);
        self.text.push_str(&answer);
    }

    /// Whether the latest token was of the reasoning.
    pub(crate) fn is_thinking(&self) -> bool {
        self.thoughts.is_thinking()
    }

    /// The reasoning since the last call.
    pub(crate) fn thought(&mut self) -> String {
        std::mem::take(&mut self.thought)
    }

    fn cut_at_stop(&mut self, before: usize) -> bool {
        let find = |stop: &String| {
            // One that ends in the new text may begin in the old.
            let mut from = before.saturating_sub(stop.len());
            while !self.text.is_char_boundary(from) {
                from -= 1;
            }
            self.text[from..].find(stop.as_str()).map(|at| from + at)
        };
        let first = self.stops.iter().filter_map(find).min();
        if let Some(at) = first {
            self.text.truncate(at);
            self.pending.clear();
        }
        first.is_some()
    }

    /// The text that can be sent now: all but an end that may turn out to be a stop text.
    pub(crate) fn delta(&mut self) -> &str {
        let unsent = &self.text[self.sent..];
        let mut held = 0;
        for (at, _) in unsent.char_indices() {
            if self.stops.iter().any(|stop| stop.starts_with(&unsent[at..])) {
                held = unsent.len() - at;
                break;
            }
        }
        self.take(held)
    }

    /// The text that is left to be sent at the end.
    pub(crate) fn rest(&mut self) -> &str {
        if !self.pending.is_empty() {
            self.pending.clear();
            let parts = self.thoughts.split(char::REPLACEMENT_CHARACTER.encode_utf8(&mut [0; 4]));
            self.add(parts);
        }
        let parts = self.thoughts.rest();
        self.add(parts);
        self.take(0)
    }

    fn take(&mut self, held: usize) -> &str {
        let from = std::mem::replace(&mut self.sent, self.text.len() - held);
        &self.text[from..self.sent]
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn into_string(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deltas (the last is the rest), the whole text, and whether it was stopped.
    fn gathered(stops: &[&str], tokens: &[&[u8]]) -> (Vec<String>, String, bool) {
        let mut text = Text::new("", stops.iter().map(|&stop| stop.to_owned()).collect());
        let mut deltas = Vec::new();
        let mut stopped = false;
        for token in tokens {
            stopped = text.push(token);
            deltas.push(text.delta().to_owned());
            if stopped {
                break;
            }
        }
        deltas.push(text.rest().to_owned());
        (deltas, text.into_string(), stopped)
    }

    #[test]
    fn deltas_are_whole_characters() {
        let euro = "€".as_bytes();
        let rows: [(&[&[u8]], &[&str]); 5] = [
            (&[b"a", &euro[..1], &euro[1..2], &euro[2..], b"b"], &["a", "", "", "€", "b", ""]),
            (&[&euro[..2]], &["", "\u{fffd}"]),
            (&[b"a\xffb"], &["a\u{fffd}b", ""]),
            (&[b"\xe2\x82", b"x"], &["", "\u{fffd}x", ""]),
            (&["👍".as_bytes(), b"!"], &["👍", "!", ""]),
        ];
        for (tokens, expected) in rows {
            let (deltas, whole, _) = gathered(&[], tokens);
            assert_eq!(deltas, expected);
            assert_eq!(whole, expected.concat());
        }
    }

    #[test]
    fn a_stop_text_ends_the_answer_and_is_never_shown() {
        struct Row<'a>(&'a [&'a str], &'a [&'a [u8]], &'a [&'a str], bool);
        for Row(stops, tokens, expected, stopped) in [
            Row(&["END"], &[b"one ", b"E", b"N", b"D", b"more"], &["one ", "", "", "", ""], true),
            Row(&["END"], &[b"one E", b"Nd"], &["one ", "ENd", ""], false),
            Row(&["END"], &[b"one EN"], &["one ", "EN"], false),
            Row(&["x", "abc"], &[b"12abx"], &["12", "ab"], true),
            Row(&["b", "abc"], &[b"1abc"], &["1", ""], true),
            Row(&["\u{e9}"], &["caf\u{e9}s".as_bytes()], &["caf", ""], true),
        ] {
            let (deltas, whole, is_stopped) = gathered(stops, tokens);
            assert_eq!(deltas, expected);
            assert_eq!(is_stopped, stopped);
            assert_eq!(whole, expected.concat());
        }
    }
}
