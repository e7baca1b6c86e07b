//! Events → spans, as objects of OTLP/JSON: one of each task, and one of each call within it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use automation_assistant::event::{CallFacts, Event, EventFacts, TaskFacts};
use automation_assistant::opik::TraceMode;
use automation_assistant::{FinishReason, Task, TaskError, TaskId, Usage};
use serde_json::{Map, Value, json};

use crate::names;

/// Most text of one task that is sent, in bytes of JSON; of a longer one all is left out, and its
/// length (before JSON's escapes) is given.
pub(crate) const CONTENT_BYTES_MAX: usize = 256 << 10;
/// Longest text of any other attribute, in bytes; a longer one is cut. A server chooses the
/// model's name that it answers with.
const TEXT_BYTES_MAX: usize = 1 << 10;

/// `SPAN_KIND_INTERNAL`: within the program.
const INTERNAL: u8 = 1;
/// `SPAN_KIND_CLIENT`: a request to somebody else.
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// Ids of spans and traces. They follow from the task's id and a secret of the sink's, so that
/// a call knows the span of its task before that span exists.
pub(crate) struct Ids(RandomState);

impl Ids {
    pub(crate) fn new() -> Self {
        Self(RandomState::new())
    }

    /// The trace's id: the request's, or one of our own.
    fn trace(&self, event: &Event<'_>, task: TaskId) -> String {
        match event.trace_id() {
            Some(id) => id.to_string().replace('-', ""),
            None => format!("{:016x}{:016x}", self.number(task, "high"), self.number(task, "low")),
        }
    }

    /// The span's id: of a task, or of one of its calls (counted from 1).
    fn span(&self, task: TaskId, call: u32) -> String {
        format!("{:016x}", self.number(task, call))
    }

    /// Never zero, which stands for no id.
    fn number(&self, task: TaskId, part: impl std::hash::Hash) -> u64 {
        self.0.hash_one((task, part)).max(1)
    }
}

/// Most time by which a call's measured start is before its task's: a thread that is not scheduled
/// between the readings of two clocks. Where it is more, the wall clock was set meanwhile, and the
/// start that was measured says more.
const START_SKEW_MAX: Duration = Duration::from_secs(1);

/// The earliest start of the reported calls of each task that runs. A start is the wall clock at
/// the end less the time that it took; both are read anew for each event, so that a call can seem
/// to start a microsecond before its task.
#[derive(Default)]
pub(crate) struct Starts(Mutex<HashMap<TaskId, SystemTime>>);

impl Starts {
    /// Records a call's start.
    fn of_call(&self, task: TaskId, start: SystemTime) {
        let mut starts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = starts.entry(task).or_insert(start);
        *earliest = start.min(*earliest);
    }

    /// The start of a task that has ended: its own, or that of a call before it.
    fn of_task(&self, task: TaskId, start: SystemTime) -> SystemTime {
        let call = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&task);
        let is_skew = |call: &SystemTime| {
            start.duration_since(*call).is_ok_and(|before| before <= START_SKEW_MAX)
        };
        call.filter(is_skew).unwrap_or(start)
    }
}

/// The attributes of a span.
#[derive(Default)]
struct Attributes(Vec<Value>);

impl Attributes {
    fn set(&mut self, key: &str, value: Value) {
        self.0.push(json!({ "key": key, "value": value }));
    }

    fn text(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.set(key, json!({ "stringValue": cut(text) }));
        }
    }

    /// An int64, which JSON of protobuf writes as a text.
    fn count(&mut self, key: &str, count: Option<u64>) {
        if let Some(count) = count {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.set(key, json!({ "intValue": count.to_string() }));
        }
    }

    fn number(&mut self, key: &str, number: Option<f64>) {
        // JSON has no NaN and no infinity.
        if let Some(number) = number.filter(|number| number.is_finite()) {
            self.set(key, json!({ "doubleValue": number }));
        }
    }

    fn seconds(&mut self, key: &str, time: Option<Duration>) {
        self.number(key, time.map(|time| time.as_secs_f64()));
    }

    fn usage(&mut self, usage: Option<&Usage>) {
        let Some(usage) = usage else { return };
        self.count(names::INPUT_TOKENS, Some(usage.prompt_tokens));
        self.count(names::OUTPUT_TOKENS, Some(usage.completion_tokens));
        self.count(names::CACHED_TOKENS, usage.cached_tokens);
        self.count(names::REASONING_TOKENS, usage.reasoning_tokens);
    }

    /// The attributes that every span has: its helper and its outcome.
    fn common(&mut self, event: &Event<'_>, task: TaskId) {
        self.text(names::TASK_ID, Some(&task.to_string()));
        self.text(names::HELPER_ID, event.helper_id().map(|id| id.to_string()).as_deref());
        self.text(names::HELPER_NAME, event.helper_name());
        self.text(names::BACKEND, Some(event.backend()));
        self.text(names::ERROR_TYPE, event.error().map(|error| error.kind().as_str()));
    }
}

/// The span of an event as JSON, if the event has one. `content`: whether prompts and answers
/// may go out, where the helper allows it too.
pub(crate) fn of_event(
    event: &Event<'_>,
    ids: &Ids,
    starts: &Starts,
    content: bool,
) -> Option<String> {
    let task = event.task_id()?;
    let end = event.at();
    let mut start = end.checked_sub(event.latency()).unwrap_or(end);
    let (parent, own, kind, name, attributes) = match event.facts() {
        EventFacts::Call(call) => {
            starts.of_call(task, start);
            let attributes = call_attributes(event, task, &call);
            let name = names::CALL.to_owned();
            (Some(ids.span(task, 0)), ids.span(task, call.attempt), INTERNAL, name, attributes)
        }
        EventFacts::Task(TaskFacts { task: ended, queue, .. }) => {
            start = starts.of_task(task, start);
            let content = content && event.trace_mode() == TraceMode::Content;
            let attributes = task_attributes(event, ended, queue, content);
            let name = match event.model_requested() {
                Some(model) => format!("{} {}", names::CHAT, cut(model)),
                None => names::CHAT.to_owned(),
            };
            // The embedded engine answers within the program.
            let kind = if ended.echoed { INTERNAL } else { CLIENT };
            (None, ids.span(task, 0), kind, name, attributes)
        }
        _ => return None,
    };
    let mut span = Map::new();
    span.insert("traceId".into(), ids.trace(event, task).into());
    span.insert("spanId".into(), own.into());
    if let Some(parent) = parent {
        span.insert("parentSpanId".into(), parent.into());
    }
    span.insert("name".into(), name.into());
    span.insert("kind".into(), kind.into());
    span.insert("startTimeUnixNano".into(), nanos(start).into());
    span.insert("endTimeUnixNano".into(), nanos(end).into());
    span.insert("attributes".into(), attributes.0.into());
    if let Some(error) = event.error() {
        // Our own words: what a server said may quote the prompt.
        let status = json!({ "code": ERROR, "message": cut(error.summary()) });
        span.insert("status".into(), status);
    }
    Some(Value::Object(span).to_string())
}

/// Tokens stand on the task's span alone, lest they are counted twice.
fn call_attributes(event: &Event<'_>, task: TaskId, call: &CallFacts<'_>) -> Attributes {
    let mut out = Attributes::default();
    out.common(event, task);
    out.count(names::ATTEMPT, Some(call.attempt.into()));
    out.count(names::HTTP_STATUS, call.http_status.map(Into::into));
    out.seconds(names::FIRST_BYTE, call.first_byte);
    out.seconds(names::WAITED, call.waited);
    out.text(names::OPENAI_API_TYPE, call.api.map(|api| api.as_str()));
    out
}

fn task_attributes(event: &Event<'_>, task: &Task, queue: Duration, content: bool) -> Attributes {
    let mut out = Attributes::default();
    out.text(names::OPERATION_NAME, Some(names::CHAT));
    out.text(names::PROVIDER_NAME, event.provider().or(Some(names::PROVIDER_UNKNOWN)));
    out.text(names::REQUEST_MODEL, event.model_requested());
    out.text(names::RESPONSE_MODEL, task.model.as_deref());
    if let Some(reason) = task.finish_reason {
        let reasons = json!([{ "stringValue": reason.as_str() }]);
        out.set(names::FINISH_REASONS, json!({ "arrayValue": { "values": reasons } }));
    }
    out.usage(task.usage.as_ref());
    out.seconds(names::TIME_TO_FIRST_CHUNK, event.first_text());
    out.text(names::CONVERSATION_ID, event.conversation());
    out.text(names::OPENAI_API_TYPE, task.api.map(|api| api.as_str()));
    out.common(event, task.task_id);
    out.count(names::ATTEMPTS, Some(task.attempts.into()));
    out.seconds(names::QUEUE_TIME, Some(queue));
    out.number(names::COST, task.cost);
    out.count(names::PROMPT_BYTES, Some(task.prompt.len() as u64));
    out.count(names::REPLY_BYTES, task.result.as_ref().map(|text| text.len() as u64));
    if content {
        add_content(&mut out, task);
    }
    out
}

/// Prompt, context and answer, in the conventions' form: messages as JSON within a text.
fn add_content(out: &mut Attributes, task: &Task) {
    let partial = task.error.as_ref().and_then(TaskError::partial);
    let answer = task.result.as_deref().or(partial);
    let context =
        (!task.context.is_empty()).then(|| Value::Object(task.context.clone()).to_string());
    let texts = [Some(task.prompt.as_str()), context.as_deref(), answer];
    let texts: usize = texts.into_iter().flatten().map(str::len).sum();
    if texts > CONTENT_BYTES_MAX {
        return out.count(names::CONTENT_LEFT_OUT, Some(texts as u64));
    }
    let message = |role: &str, text: &str| json!({ "role": role, "parts": [{ "type": "text", "content": text }] });
    let mut all = vec![(names::INPUT_MESSAGES, json!([message("user", &task.prompt)]).to_string())];
    all.extend(context.map(|context| (names::CONTEXT, context)));
    if let Some(answer) = answer {
        let mut output = message("assistant", answer);
        output["finish_reason"] = reason_of_message(task).into();
        all.push((names::OUTPUT_MESSAGES, json!([output]).to_string()));
    }
    let bytes: usize = all.iter().map(|(_, text)| text.len()).sum();
    if bytes > CONTENT_BYTES_MAX {
        return out.count(names::CONTENT_LEFT_OUT, Some(texts as u64));
    }
    for (name, text) in all {
        out.set(name, json!({ "stringValue": text }));
    }
}

/// Why a message ends, in the spelling of the conventions' schema of messages.
fn reason_of_message(task: &Task) -> &'static str {
    match task.finish_reason {
        _ if task.error.is_some() => "error",
        None => FinishReason::Stop.as_str(),
        Some(FinishReason::ToolCalls) => "tool_call",
        Some(reason) => reason.as_str(),
    }
}

/// Nanoseconds since 1970, as a text: protobuf's fixed64 in JSON.
fn nanos(at: SystemTime) -> String {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

/// The text's begin, within the bound.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_starts_no_later_than_its_calls_unless_the_clock_was_set() {
        let at = |millis| UNIX_EPOCH + Duration::from_millis(10_000 + millis);
        // The starts of the calls, of the task as measured, of its span.
        let cases: [(&[u64], u64, u64); 5] = [
            (&[], 500, 500),
            (&[499], 500, 499),
            (&[499, 498, 900], 500, 498),
            (&[500, 700], 500, 500),
            (&[0], 5000, 5000),
        ];
        let task: TaskId = "00abcdef-00000001".parse().unwrap();
        let starts = Starts::default();
        for (calls, measured, expect) in cases {
            calls.iter().for_each(|call| starts.of_call(task, at(*call)));
            assert_eq!(starts.of_task(task, at(measured)), at(expect), "{calls:?}");
            assert!(starts.0.lock().unwrap().is_empty(), "nothing is kept of a task that ended");
        }
    }
}
