//! A model's reasoning apart from its answer: what stands in `<think>…</think>` before it.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing has shown yet which of the two comes.
    Start,
    Thinking,
    /// Blanks between the two.
    Gap,
    Answer,
}

/// Splits what a model writes.
#[derive(Debug)]
pub(crate) struct Thoughts {
    phase: Phase,
    /// Whether the prompt has opened the reasoning already, as some chat templates do.
    is_open: bool,
    /// The end of the text so far, where it may be a part of a tag.
    held: String,
}

impl Thoughts {
    pub(crate) fn new(prompt: &str) -> Self {
        let is_open = prompt.trim_end().ends_with(OPEN);
        Self { phase: Phase::Start, is_open, held: String::new() }
    }

    /// Whether the latest text was reasoning.
    pub(crate) fn is_thinking(&self) -> bool {
        self.phase == Phase::Thinking
    }

    /// Adds a text. Returns the reasoning and the answer that are certain by now.
    pub(crate) fn split(&mut self, text: &str) -> (String, String) {
        self.held.push_str(text);
        let mut thought = String::new();
        loop {
            let begun = self.held.trim_start();
            match self.phase {
                Phase::Start => match begun.strip_prefix(OPEN) {
                    Some(rest) => {
                        self.held = rest.to_owned();
                        self.phase = Phase::Thinking;
                    }
                    None if OPEN.starts_with(begun) => return (thought, String::new()),
                    // Tool calls and JSON replies come without reasoning, whatever the template.
                    None if self.is_open && !begun.starts_with('{') => self.phase = Phase::Thinking,
                    None => self.phase = Phase::Answer,
                },
                Phase::Thinking => match self.held.split_once(CLOSE) {
                    Some((before, after)) => {
                        thought.push_str(before);
                        self.held = after.to_owned();
                        self.phase = Phase::Gap;
                    }
                    None => {
                        thought.extend(self.held.drain(..self.held.len() - self.tag_begun()));
                        return (thought, String::new());
                    }
                },
                Phase::Gap if begun.is_empty() => return (thought, String::new()),
                Phase::Gap => {
                    self.held = begun.to_owned();
                    self.phase = Phase::Answer;
                }
                Phase::Answer => return (thought, std::mem::take(&mut self.held)),
            }
        }
    }

    /// How many bytes at the end may be the beginning of the closing tag.
    fn tag_begun(&self) -> usize {
        (1..CLOSE.len()).rev().find(|&n| self.held.ends_with(&CLOSE[..n])).unwrap_or(0)
    }

    /// The rest at the end: reasoning and answer.
    pub(crate) fn rest(&mut self) -> (String, String) {
        let held = std::mem::take(&mut self.held);
        match self.phase {
            Phase::Thinking => (held, String::new()),
            Phase::Gap => (String::new(), String::new()),
            Phase::Start | Phase::Answer => (String::new(), held),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasoning_is_split_off_wherever_the_text_is_cut() {
        for (prompt, text, thought, answer) in [
            ("", "Paris.", "", "Paris."),
            ("", "\n Paris <think>x</think>", "", "\n Paris <think>x</think>"),
            ("", "<think>a < b</think>\n\nParis.\n", "a < b", "Paris.\n"),
            ("", " <think></think>{\"a\": 1}", "", "{\"a\": 1}"),
            ("", "<think>never </thin", "never </thin", ""),
            ("", "<thin", "", "<thin"),
            ("", "<think>a</think> ", "a", ""),
            ("assistant\n<think>\n", "so </b></think>\nParis.", "so </b>", "Paris."),
            ("assistant\n<think>\n", "<think>a</think>b", "a", "b"),
            ("assistant\n<think>\n", "{\"a\": 1}", "", "{\"a\": 1}"),
        ] {
            for size in 1..=text.len() {
                let mut thoughts = Thoughts::new(prompt);
                let (mut got_thought, mut got_answer) = (String::new(), String::new());
                let mut add = |(thought, answer): (String, String)| {
                    got_thought += &thought;
                    got_answer += &answer;
                };
                for part in text.as_bytes().chunks(size) {
                    add(thoughts.split(str::from_utf8(part).unwrap()));
                }
                add(thoughts.rest());
                assert_eq!((&*got_thought, &*got_answer), (thought, answer), "{text:?} by {size}");
            }
        }
    }
}
