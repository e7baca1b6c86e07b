//! One request to Opik, and what its response means for the entries sent.

use std::time::{Duration, Instant, SystemTime};

use crate::cancel::CancelSignal;
use crate::http::{Body, Limits, Request, Response, asked_wait};
use crate::opik::item::Parts;
use crate::opik::target::Target;
use crate::sync::earlier;
use crate::task_error::ErrorKind;

/// Limit on name look-up, connecting and TLS of one request.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Limit on one complete request: a megabyte over a slow connection, and a busy server.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// Limit on silence within a reply, which is usually empty.
const IDLE_LIMIT: Duration = Duration::from_secs(10);
/// Longest wait that a server can ask for. Opik's windows are a minute long.
const ASKED_WAIT_MAX: Duration = Duration::from_secs(300);
/// How much of a reply's body is read, so that its connection can be reused.
const BODY_BYTES_MAX: usize = 16 << 10;

/// The list of Opik that an entry goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpikList {
    Traces,
    Spans,
    Scores,
}

/// The outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Opik has accepted it.
    Accepted,
    /// Opik will never accept it.
    Rejected {
        /// Whether one item may be the reason: the others may succeed without it.
        by_item: bool,
    },
    /// Opik accepts nothing from this sink.
    Disabled(u16),
    /// It may succeed later.
    Later {
        /// How long the server asks to wait.
        asked: Option<Duration>,
        /// Whether the request itself may be the reason: it must not be repeated for ever.
        suspect: bool,
    },
}

/// An outcome and its facts.
pub(super) struct PostOutcome {
    pub(super) verdict: Verdict,
    pub(super) status: Option<u16>,
    /// A description of a failure.
    pub(super) words: Option<&'static str>,
    pub(super) kind: ErrorKind,
}

impl Target {
    /// Sends JSON objects to one of the lists.
    pub(super) fn send(
        &self,
        list: OpikList,
        items: &[Parts<'_>],
        cancel: &CancelSignal,
        until: Option<Instant>,
    ) -> PostOutcome {
        let body = body(list, items);
        let url = match list {
            OpikList::Traces => &self.traces_url,
            OpikList::Spans => &self.spans_url,
            OpikList::Scores => &self.scores_url,
        };
        let limits = Limits {
            deadline: earlier(Instant::now().checked_add(REQUEST_LIMIT), until),
            connect: CONNECT_LIMIT,
            first_byte: None,
            idle_before_payload: None,
            idle: IDLE_LIMIT,
        };
        let request = Request {
            url,
            headers: &self.headers,
            further: &[],
            body: Some(Body::Bytes(body.as_bytes())),
            put: list == OpikList::Scores,
            accept: "application/json",
            fresh: false,
        };
        match self.client.send(cancel, limits, &request) {
            Ok(mut response) => {
                let status = response.status();
                let asked = asked(|name| response.header(name));
                judge(status, asked, is_page(&mut response))
            }
            Err(_) => PostOutcome {
                verdict: Verdict::Later { asked: None, suspect: false },
                status: None,
                words: Some(
                    "Opik cannot be reached: check its address, and that the device is \
                             online; traces wait until it can",
                ),
                kind: ErrorKind::Network,
            },
        }
    }
}

/// The batch as JSON.
fn body(list: OpikList, items: &[Parts<'_>]) -> String {
    let name = match list {
        OpikList::Traces => "traces",
        OpikList::Spans => "spans",
        OpikList::Scores => "scores",
    };
    let texts = items.iter().flatten().map(|part| part.len()).sum::<usize>();
    // In addition to the items: their commas, the name, and the surrounding brackets.
    let mut body = String::with_capacity(texts + items.len() + name.len() + 8);
    body.push_str("{\"");
    body.push_str(name);
    body.push_str("\":[");
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            body.push(',');
        }
        item.iter().for_each(|part| body.push_str(part));
    }
    body.push_str("]}");
    body
}

/// Reads a reply's body, so that its connection can be reused; returns whether it is a web page,
/// which Opik never sends.
fn is_page(response: &mut Response<'_>) -> bool {
    let kind = response.header("content-type");
    let is_html = kind.is_some_and(|kind| kind.to_ascii_lowercase().contains("html"));
    response.end_by(IDLE_LIMIT);
    let (mut body, mut buffer) = (Vec::new(), [0; 1024]);
    let is_complete = loop {
        match response.read(&mut buffer) {
            Ok(0) => break true,
            Ok(amount) => body.extend_from_slice(&buffer[..amount]),
            Err(_) => break false,
        }
        if body.len() >= BODY_BYTES_MAX {
            break false;
        }
    };
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
    match body.trim_ascii_start().first() {
        Some(b'<') => true,
        Some(_) => is_html,
        // Some servers name this type for a reply without a body.
        None => is_html && !is_complete,
    }
}

/// How long the server asks to wait; the longer time if two headers differ.
fn asked<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Option<Duration> {
    let reset = header("ratelimit-reset").and_then(|text| text.trim().parse().ok());
    let reset = reset.map(Duration::from_secs);
    let wait = reset.max(asked_wait(&header, SystemTime::now()));
    wait.map(|wait| wait.min(ASKED_WAIT_MAX))
}

fn judge(status: u16, asked: Option<Duration>, is_page: bool) -> PostOutcome {
    let later = |suspect| Verdict::Later { asked, suspect };
    let refused = |by_item| Verdict::Rejected { by_item };
    let foreign = (
        later(false),
        ErrorKind::Protocol,
        Some(
            "something else answers at Opik's address, such as the login page of a network or \
             company: check the address and the network; traces wait",
        ),
    );
    let (verdict, kind, words) = match status {
        200..=299 if !is_page => (Verdict::Accepted, ErrorKind::Other, None),
        // A page in the place of Opik's reply, a redirect (to such a page), a proxy or network that
        // wants a login first (407, 511).
        200..=399 | 407 | 511 => foreign,
        // The server before Opik answers so to a batch that is too large.
        400..=412 | 414..=428 | 430..=499 if is_page => foreign,
        401 => (
            Verdict::Disabled(status),
            ErrorKind::Authentication,
            Some("Opik refused the key: check OPIK_API_KEY, and that it is for this address"),
        ),
        402 => (
            Verdict::Disabled(status),
            ErrorKind::QuotaExceeded,
            Some("the Opik account's budget is spent: no more traces are sent"),
        ),
        403 => (
            Verdict::Disabled(status),
            ErrorKind::PermissionDenied,
            Some("the key may not write to this workspace: check OPIK_WORKSPACE"),
        ),
        404 | 405 => (
            refused(false),
            ErrorKind::NotFound,
            Some("there is no Opik at this address, or no such workspace: check both"),
        ),
        429 => (
            later(false),
            ErrorKind::RateLimited,
            Some("Opik asks to send less for now: traces wait"),
        ),
        408 | 502..=504 => {
            (later(false), ErrorKind::Server, Some("Opik is not ready for now: traces wait"))
        }
        500..=599 => (later(true), ErrorKind::Server, Some("Opik failed on this batch")),
        _ => (
            refused(matches!(status, 400 | 413 | 422)),
            ErrorKind::InvalidRequest,
            Some("Opik refused a trace as it is: it is dropped"),
        ),
    };
    PostOutcome { verdict, status: Some(status), words, kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_meaning() {
        let verdict = |status| judge(status, None, false).verdict;
        assert_eq!(verdict(200), Verdict::Accepted);
        assert_eq!(verdict(204), Verdict::Accepted);
        for status in [400, 413, 422] {
            assert_eq!(verdict(status), Verdict::Rejected { by_item: true }, "{status}");
        }
        for status in [404, 405, 409] {
            assert_eq!(verdict(status), Verdict::Rejected { by_item: false }, "{status}");
        }
        for status in [401, 402, 403] {
            assert_eq!(verdict(status), Verdict::Disabled(status));
        }
        for status in [301, 302, 307, 407, 408, 429, 502, 503, 504, 511] {
            let later = Verdict::Later { asked: None, suspect: false };
            assert_eq!(verdict(status), later, "{status}");
        }
        assert_eq!(verdict(500), Verdict::Later { asked: None, suspect: true });
        // A page is none of Opik's, but of the server before it: too large, or not ready.
        for status in [200, 400, 401, 403, 404, 405, 422, 451] {
            let page = judge(status, None, true);
            let later = Verdict::Later { asked: None, suspect: false };
            assert_eq!((page.kind, page.verdict), (ErrorKind::Protocol, later), "{status}");
        }
        assert_eq!(judge(413, None, true).verdict, Verdict::Rejected { by_item: true });
        assert_eq!(judge(429, None, true).kind, ErrorKind::RateLimited);
    }

    #[test]
    fn the_longer_wait_counts_and_none_is_for_ever() {
        let wait = |pairs: &[(&str, &'static str)]| {
            asked(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value))
        };
        assert_eq!(wait(&[("ratelimit-reset", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(
            wait(&[("ratelimit-reset", "7"), ("retry-after", "9")]),
            Some(Duration::from_secs(9))
        );
        assert_eq!(wait(&[("ratelimit-reset", "999999999")]), Some(ASKED_WAIT_MAX));
        assert_eq!(wait(&[("ratelimit-reset", "soon")]), None);
    }

    #[test]
    fn a_batch_is_json() {
        let items = [["{\"id\":1", ",\"x\":3", "}"], ["{\"id\":2", "", "}"]];
        let body = body(OpikList::Spans, &items);
        assert_eq!(body, "{\"spans\":[{\"id\":1,\"x\":3},{\"id\":2}]}");
    }
}
