//! Why a model stopped, in the words of many servers.

use crate::task::FinishReason;

/// The meaning of a finish reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::providers) enum Finish {
    /// The model goes on.
    None,
    Reason(FinishReason),
    /// It has not stopped, but failed.
    Failure,
}

/// Words, in lower case, with what they mean.
const WORDS: &[(&[&str], Finish)] = &[
    (
        &["stop", "end_turn", "stop_sequence", "eos", "eos_token", "end", "complete", "completed"],
        Finish::Reason(FinishReason::Stop),
    ),
    (
        &[
            "length",
            "max_tokens",
            "max_length",
            "max_output_tokens",
            "max_completion_tokens",
            "model_length",
            "token_limit",
            "model_context_window_exceeded",
        ],
        Finish::Reason(FinishReason::Length),
    ),
    (
        &["tool_calls", "tool_call", "function_call", "tool_use"],
        Finish::Reason(FinishReason::ToolCalls),
    ),
    (
        &[
            "content_filter",
            "content_filtered",
            "sensitive",
            "safety",
            "recitation",
            "blocklist",
            "prohibited_content",
            "spii",
            "refusal",
            "guardrail_intervened",
        ],
        Finish::Reason(FinishReason::ContentFilter),
    ),
    (
        &[
            "insufficient_system_resource",
            "malformed_function_call",
            "abort",
            "aborted",
            "failed",
            "failure",
            "timeout",
        ],
        Finish::Failure,
    ),
];

/// The meaning of a server's finish reason, in any letter case.
pub(in crate::providers) fn finish(word: &str) -> Finish {
    let word = word.trim().to_ascii_lowercase();
    // A number or nothing is no reason.
    if !word.starts_with(|first: char| first.is_ascii_alphabetic()) || word == "null" {
        return Finish::None;
    }
    let known = WORDS.iter().find(|(words, _)| words.contains(&word.as_str()));
    match known {
        Some((_, finish)) => *finish,
        None if word == "error" || word.ends_with("_error") || word.starts_with("error_") => {
            Finish::Failure
        }
        None => Finish::Reason(FinishReason::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_the_same_in_any_letter_case() {
        use FinishReason as R;
        for (words, expected) in [
            (&["stop", "STOP", "end_turn", "End_Turn", "eos"][..], Finish::Reason(R::Stop)),
            (&["length", "MAX_TOKENS"], Finish::Reason(R::Length)),
            (&["tool_calls", "Tool_Use"], Finish::Reason(R::ToolCalls)),
            (&["content_filter", "SAFETY", "sensitive"], Finish::Reason(R::ContentFilter)),
            (&["error", "network_error", "INSUFFICIENT_SYSTEM_RESOURCE"], Finish::Failure),
            (&["something_new"], Finish::Reason(R::Other)),
            (&["", "  ", "null", "0", "1"], Finish::None),
        ] {
            for word in words {
                assert_eq!(finish(word), expected, "{word}");
            }
        }
    }
}
