//! Why a model stopped, in the words of many servers.

use crate::engine::draft::BadReply;
use crate::engine::error_body::ErrorBody;
use crate::task::FinishReason;

/// Words, in lower case, with what they mean; `None` where the model has not stopped, but failed.
const WORDS: &[(&[&str], Option<FinishReason>)] = &[
    (
        &["stop", "end_turn", "stop_sequence", "eos", "eos_token", "end", "complete", "completed"],
        Some(FinishReason::Stop),
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
        Some(FinishReason::Length),
    ),
    (&["tool_calls", "tool_call", "function_call", "tool_use"], Some(FinishReason::ToolCalls)),
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
        Some(FinishReason::ContentFilter),
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
        None,
    ),
];

/// The meaning of a server's finish reason, in any letter case; `None` where the model goes on.
///
/// # Errors
///
/// The error that the word names, where the model failed.
pub(super) fn of(word: &str) -> Result<Option<FinishReason>, BadReply> {
    let plain = word.trim().to_ascii_lowercase();
    // A number or nothing is no reason.
    if !plain.starts_with(|first: char| first.is_ascii_alphabetic()) || plain == "null" {
        return Ok(None);
    }
    let names_error = plain == "error" || plain.ends_with("_error") || plain.starts_with("error_");
    match WORDS.iter().find(|(words, _)| words.contains(&plain.as_str())) {
        Some((_, Some(reason))) => Ok(Some(*reason)),
        None if !names_error => Ok(Some(FinishReason::Other)),
        Some((_, None)) | None => Err(ErrorBody::of_word(word).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_the_same_in_any_letter_case() {
        use FinishReason as R;
        for (words, expected) in [
            (&["stop", "STOP", "end_turn", "End_Turn", "eos"][..], Ok(Some(R::Stop))),
            (&["length", "MAX_TOKENS"], Ok(Some(R::Length))),
            (&["tool_calls", "Tool_Use"], Ok(Some(R::ToolCalls))),
            (&["content_filter", "SAFETY", "sensitive"], Ok(Some(R::ContentFilter))),
            (&["error", "network_error", "INSUFFICIENT_SYSTEM_RESOURCE"], Err(())),
            (&["something_new"], Ok(Some(R::Other))),
            (&["", "  ", "null", "0", "1"], Ok(None)),
        ] {
            for word in words {
                assert_eq!(of(word).map_err(drop), expected, "{word}");
            }
        }
    }
}
