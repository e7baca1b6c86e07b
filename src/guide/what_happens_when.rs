//! The outcome of each fault.
//!
//! Every fault ends a task with a typed [`ErrorKind`](crate::ErrorKind), in
//! [`Task::error`](crate::Task::error); "at most" is beyond the time a call takes anyway, with the
//! defaults. No attempt, wait or retry goes beyond the task's own time. A task's
//! [`attempts`](crate::Task::attempts) counts every request that may have been read by a server, but
//! not the look-up of a Local server's first model, which is part of the attempt that needs it.
//!
//! Deviations in a reply whose meaning is clear are accepted and counted: `oddities` in a call's
//! line of telemetry, and a line of the debrief for each backend. Text is never lost without an
//! error, and an error never becomes a success.
//!
//! | fault | what the caller sees | at most after |
//! |---|---|---|
//! | no key | `Error::MissingKey`, which names the variable | at the spawn |
//! | endpoint is no URL; a key over plain http to another host | `Error::InvalidConfig` | at the spawn |
//! | 401; 403; 404 | `Authentication`; `PermissionDenied`; `NotFound`; the helper's status is `error` | one attempt |
//! | 400, 422 | `InvalidRequest`; `ContextLengthExceeded` where the code says so | one attempt |
//! | 429 for too many requests | retried after the server's wait; then `RateLimited` with `retry_after()` | 2 retries |
//! | 429 for a spent quota, 402, or the helper's own `token_budget` | `QuotaExceeded`, never retried | one attempt; none for the budget |
//! | 408, 409, 5xx | retried after 0.5 s and 1 s (less up to a quarter), or what the server asks; then `Server` (at Comet, 409 is not retried: its gateway has no provider) | 2 retries |
//! | the server asks to wait over 120 s, or longer than there is time | `RateLimited` or `Server`, with `retry_after()` | at once |
//! | refused connection, no network, unknown host | retried; then `Network` | 1.5 s |
//! | name look-up hangs, or the connection does not come up | retried; then `Network` | 10 s an attempt (`connect_timeout`) |
//! | certificate not trusted, wrong host name | `Network`, not retried | one attempt |
//! | the server accepts and stays silent | `Timeout` | the task's time, or `first_byte_timeout` |
//! | the answer falls silent (keep-alive comments do not count) | `Timeout`, with `partial()` | 30 s, Anthropic and Local 60 s (`idle_timeout`) |
//! | the answer breaks off | retried if no text was delivered; then `Truncated`, with `partial()` | at once after text |
//! | an error in mid-stream | that error, with `partial()` | at once |
//! | HTML, an empty body, no choices, another encoding | `Protocol` | one attempt |
//! | the answer is larger than `max_reply_bytes` | `ResponseTooLarge` | at the bound |
//! | the model refuses, or the provider withholds the answer | `ContentFiltered` | at once |
//! | more rounds of tool calls than `max_tool_rounds` | `Other`, with `partial()` | at once |
//! | a tool fails, panics, is unknown, or gets arguments that are no JSON | the model gets the error, and goes on | `max_tool_rounds` (8) |
//! | the deadline passes in the queue | `Timeout`, 0 attempts, at a wait, look-up, status call or submit, or when a thread would take the task | the deadline, for who waits |
//! | `cancel_task` | `Cancelled`; in mid-answer the thread was free within 1 ms on loopback (40 of 40; the test allows 200 ms, for busy machines) | at once; while it connects to an address over plain HTTP, `connect_timeout` |
//! | the helper is stopped | `Cancelled` (it ran), `Terminated` (it waited) | at once; the call returns when the threads have ended, at most 0.8 s later, 1 s with observers, over HTTP plus `connect_timeout` |
//! | foreign code blocks during a stop (a backend, tool, callback, observer, hook, drop) | the stop returns; the thread is counted in `unjoined_threads`. The destructor of a thread-local value holds the stop until it returns | as above |
//! | a backend, tool or `on_text` panics | `Panicked` (a tool: the model gets the error); the helper lives on | at once |
//! | a backend ignores its deadline | `Timeout`, at the next wait, look-up or status call, or when the backend returns | 0.25 s past it |
//! | a full queue | `Error::QueueFull`, with the request | at once, or `submit_task_wait`'s time |
//! | the server wants a client's certificate; shows an authority's certificate, one signed by SHA-1, one with an RSA key below 2048 bits | `Network`, whose text says so, not retried | one attempt |
//! | the server answers before it has read the request (413, 401, 429) | that answer, its kind and its wait; the connection is not used again | at once; 2 s where the server neither reads on nor closes and the rest of the request is stuck |
//! | an error status whose body never ends | the status's kind, with what came of the body | 2 s |
//! | a kept connection closes upon a request | an attempt like any other: retried at once on a new connection, counted; none with `max_retries(0)` | 2 retries |
//! | a proxy refuses (407, 403), or is not there | `Network`, which names the proxy; 502, 503, 504 are retried | 2 retries |
//! | an error inside a 200, in a stream or in a choice (`finish_reason: "error"`) | that error, by its code, type or words; retried if no text was delivered | 2 retries |
//! | a refusal of `stream_options` (400, 422) | repeated once without it; an attempt like any other | one attempt more |
//! | a `Retry-After` beyond all sense | not retried; its kind, with `retry_after()` | at once |
//! | text that is a number, a list or an object; a member of another type; events without a type; control characters; lone halves of surrogates; usage in another place | read; counted as oddities in telemetry, and reported by the debrief for each backend | |
//! | an answer without text, beside reasoning alone | `Protocol`; never a success | one attempt |
//! | arguments of a tool that are `null`, `[]`, empty or quoted twice | read as the object that is meant | |
//!
//! A program decides by the kind, as a rule by whether asking again helps:
//!
//! ```
//! use automation_assistant::{AutomationAssistantManager, ErrorKind, HelperConfig};
//!
//! let manager = AutomationAssistantManager::new(1);
//! let helper = manager.spawn(HelperConfig::local())?;
//! let task = helper.ask("hello")?;
//! let advice = match task.error.as_ref().map(|error| (error.kind(), error.retry_after())) {
//!     None => "use task.result".to_owned(),
//!     Some((ErrorKind::RateLimited | ErrorKind::Server, Some(wait))) => format!("after {wait:?}"),
//!     Some((ErrorKind::Network | ErrorKind::Server | ErrorKind::Timeout, _)) => "later".to_owned(),
//!     Some((kind, _)) => format!("not as it is: {kind}"),
//! };
//! assert_eq!(advice, "use task.result");
//! # Ok::<(), automation_assistant::Error>(())
//! ```
