//! A prompt's tokens.

use automation_assistant::{ErrorKind, TaskError};
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::vocab::VocabType;

use crate::context::Context;

/// Longest run of white space, and of anything else, that llama.cpp gets at once, in characters. It
/// splits the text of most vocabularies by `std::regex`, which takes some 330 bytes of the stack for
/// each character that it matches: a line of 4,000 dashes overflowed a helper's megabyte.
const RUN_CHARS_MAX: usize = 256;

/// The tokens, with `check` before each part.
///
/// # Errors
///
/// Those of `check`; [`ErrorKind::ContextLengthExceeded`] where none is left for the answer.
pub(crate) fn tokenize(
    context: &Context,
    prompt: &str,
    check: impl Fn() -> Result<(), TaskError>,
) -> Result<Vec<LlamaToken>, TaskError> {
    let weights = context.weights();
    let vocab = weights.model.vocab();
    let holds = weights.settings.context_tokens as usize;
    let too_long = |amount: usize, of: &str| {
        let what = format!(
            "the prompt has {amount} {of}, the context holds {holds} tokens with the answer: \
             shorten it, or set more context_tokens"
        );
        TaskError::new(ErrorKind::ContextLengthExceeded, what)
    };
    // Known without making them: the time that takes can grow with the square of the length.
    if prompt.len() / weights.token_bytes_max >= holds {
        return Err(too_long(prompt.len(), "bytes"));
    }
    // The others begin each text that they get with a space of their own, and use no `std::regex`.
    let parts = match vocab.vocab_type() {
        VocabType::BPE => parts(prompt),
        _ => vec![prompt],
    };
    let mut tokens = Vec::new();
    for (at, part) in parts.into_iter().enumerate() {
        check()?;
        tokens.extend(vocab.tokenize(part.as_bytes(), at == 0, true));
    }
    // Both template and vocabulary may begin the sequence.
    if tokens.len() > 1 && tokens[0] == vocab.bos() && tokens[1] == vocab.bos() {
        tokens.remove(0);
    }
    if tokens.len() >= holds {
        return Err(too_long(tokens.len(), "tokens"));
    }
    if tokens.is_empty() {
        return Err(TaskError::new(ErrorKind::InvalidRequest, "the prompt has no tokens"));
    }
    Ok(tokens)
}

/// The text, cut where a run of one kind gets longer than [`RUN_CHARS_MAX`]. That changes its
/// tokens by one or two at each cut.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut from) = (Vec::new(), 0);
    let (mut is_space, mut run) = (false, 0);
    for (at, letter) in text.char_indices() {
        if letter.is_whitespace() != is_space {
            (is_space, run) = (!is_space, 0);
        }
        if run == RUN_CHARS_MAX {
            parts.push(&text[from..at]);
            (from, run) = (at, 0);
        }
        run += 1;
    }
    parts.push(&text[from..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_runs_that_are_too_long_are_cut() {
        let lengths = |text: &str| parts(text).iter().map(|part| part.len()).collect::<Vec<_>>();
        let words = "word after word ".repeat(1_000);
        assert_eq!(parts(&words), [words.as_str()]);
        assert_eq!(parts(""), [""]);
        for (text, expected) in [
            ("-".repeat(256), vec![256]),
            ("-".repeat(257), vec![256, 1]),
            (" ".repeat(600), vec![256, 256, 88]),
            (format!("{} {}", "a".repeat(256), "b".repeat(256)), vec![513]),
            ("\u{4e2d}".repeat(300), vec![768, 132]),
        ] {
            assert_eq!(lengths(&text), expected);
            assert_eq!(parts(&text).concat(), text);
        }
    }
}
