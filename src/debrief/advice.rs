//! Recommendations: plain sentences from typed facts.

use super::Debrief;
use crate::task_error::ErrorKind;

/// Smallest share of all events for which a kind of error gets a sentence: one in a hundred.
const WORTH_A_SENTENCE: f64 = 0.01;

/// The sentences, for the most frequent kind of error first.
pub(super) fn sentences(debrief: &Debrief) -> Vec<String> {
    let counts = &debrief.counts;
    let events = debrief.total_events();
    let worth = |count: u64| count as f64 / events as f64 >= WORTH_A_SENTENCE;
    let mut sentences: Vec<String> = counts
        .kinds
        .iter()
        .filter(|kind| worth(kind.events))
        .filter_map(|kind| {
            // Where each task succeeded in the end, only calls failed.
            let (number, of) = match kind.tasks {
                0 => (kind.events, "event"),
                tasks => (tasks, "task"),
            };
            let s = if number == 1 { "" } else { "s" };
            Some(format!("{} ({number} {of}{s}): {}", kind.name, for_kind(&kind.name)?))
        })
        .collect();
    sentences.extend(losses(debrief));
    sentences
}

/// The sentences about lost lines, results, traces and threads.
pub(super) fn losses(debrief: &Debrief) -> Vec<String> {
    let counts = &debrief.counts;
    let mut sentences = Vec::new();
    if counts.results_dropped > 0 {
        sentences.push(
            "Results were dropped before anybody read them: read them sooner, or raise \
             max_results or max_result_bytes."
                .to_owned(),
        );
    }
    if counts.lines.lost > 0 {
        sentences.push(
            "Telemetry lines were lost: see whether the disk is full, and turn on rotation."
                .to_owned(),
        );
    }
    if counts.unjoined > 0 {
        sentences.push(
            "Threads were left behind when helpers stopped: a backend or tool of your own does \
             not watch its cancel signal."
                .to_owned(),
        );
    }
    sentences
}

/// Advice for errors of this kind.
pub(super) fn for_kind(name: &str) -> Option<&'static str> {
    let is = |kind: ErrorKind| kind.as_str() == name;
    let advice = [
        (
            ErrorKind::RateLimited,
            "the provider asks for fewer requests: lower \
            max_concurrent_tasks, or set a rate limit for the helpers that share the key.",
        ),
        (ErrorKind::QuotaExceeded, "the budget is spent: raise it, or wait for its next period."),
        (ErrorKind::Authentication, "the key was refused: set a valid one."),
        (
            ErrorKind::PermissionDenied,
            "the key may not do this: check the account's rights and \
            region.",
        ),
        (ErrorKind::NotFound, "no such endpoint or model: check api_endpoint and model."),
        (
            ErrorKind::Timeout,
            "tasks ran out of time: raise timeout or deadline, or give slow \
            models fewer tasks at once.",
        ),
        (ErrorKind::Network, "connections failed: check the network, the endpoint and proxies."),
        (
            ErrorKind::Server,
            "the provider failed or was overloaded: a fallback to another \
            backend would help.",
        ),
        (
            ErrorKind::ContextLengthExceeded,
            "prompts are too long for the model: shorten prompt \
            or context, or take a model that reads more.",
        ),
        (
            ErrorKind::Truncated,
            "answers broke off: the connection is unstable, or the server \
            restarts.",
        ),
        (
            ErrorKind::ResponseTooLarge,
            "replies exceed max_reply_bytes: ask for shorter ones, or \
            raise it.",
        ),
        (
            ErrorKind::InvalidRequest,
            "the provider refuses the request as it is: check \
            custom_params and model.",
        ),
        (
            ErrorKind::Panicked,
            "a backend, tool or callback of yours panics: its message is on \
            standard error.",
        ),
        (
            ErrorKind::Protocol,
            "the server does not speak the protocol expected: check \
            api_endpoint.",
        ),
        (ErrorKind::ContentFiltered, "the provider withheld answers: reword the prompts."),
        (
            ErrorKind::Unsupported,
            "the backend cannot do what is asked of it: see the error's \
            text.",
        ),
    ];
    advice.into_iter().find(|(kind, _)| is(*kind)).map(|(_, advice)| advice)
}
