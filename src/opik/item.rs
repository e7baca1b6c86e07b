//! The entries that are sent: a trace and a span for each task, serialized once as JSON; and
//! scores.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::calendar::iso_micros;
use crate::config::TraceMode;
use crate::event::{Event, TraceFacts};
use crate::task::{Image, Task, Usage};
use crate::task_error::TaskError;
use crate::trace::TraceId;

/// Most text of one task that is sent, in bytes of JSON; a longer one is left out completely, and
/// its length is in the metadata.
pub(super) const CONTENT_BYTES_MAX: usize = 256 << 10;

/// A JSON object in parts, to be written one after the other.
pub(super) type Parts<'a> = [&'a str; 3];

/// One entry.
pub(super) enum TraceEntry {
    /// A task's trace and span, both without their last brace, since `content` follows.
    Generation {
        trace: Box<str>,
        span: Box<str>,
        /// `,"input":…,"output":…`, or empty.
        content: Box<str>,
        /// Whether Opik has accepted the trace; the span remains to be sent.
        traced: bool,
    },
    /// A score of a trace, as a JSON object.
    Score(Box<str>),
}

impl TraceEntry {
    /// Memory taken, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let texts = match self {
            Self::Generation { trace, span, content, .. } => {
                trace.len() + span.len() + content.len()
            }
            Self::Score(score) => score.len(),
        };
        texts + size_of::<Self>()
    }

    /// Its trace as JSON; `None` if it has none, or Opik has accepted it.
    pub(super) fn trace(&self) -> Option<Parts<'_>> {
        match self {
            Self::Generation { trace, content, traced: false, .. } => Some([trace, content, "}"]),
            _ => None,
        }
    }

    /// Its span as JSON.
    pub(super) fn span(&self) -> Option<Parts<'_>> {
        match self {
            Self::Generation { span, content, .. } => Some([span, content, "}"]),
            Self::Score(_) => None,
        }
    }

    /// The score as JSON.
    pub(super) fn as_score(&self) -> Option<Parts<'_>> {
        match self {
            Self::Score(score) => Some([score, "", ""]),
            Self::Generation { .. } => None,
        }
    }

    /// The trace and span of an ended task; `None` for a task that never began.
    pub(super) fn generation(
        event: &Event<'_>,
        task: &Task,
        facts: &TraceFacts<'_>,
        project: Option<&str>,
        tags: &[String],
    ) -> Option<Self> {
        if task.attempts == 0 {
            return None;
        }
        let (content, left_out) = match facts.mode {
            TraceMode::Content => content(task, facts.images),
            _ => (String::new(), None),
        };
        let ended = task.completed_at.unwrap_or(event.at);
        let began = ended.checked_sub(event.latency).unwrap_or(ended);
        let note = facts.note;
        let trace_id = note.and_then(|note| note.id).unwrap_or_else(TraceId::new);
        let common = |id: TraceId, name: &str| {
            let mut out = Map::new();
            out.insert("id".into(), id.to_string().into());
            out.insert("name".into(), name.into());
            out.insert("start_time".into(), iso_micros(began).into());
            out.insert("end_time".into(), iso_micros(ended).into());
            out.insert("metadata".into(), metadata(event, task, left_out));
            out.insert("tags".into(), all_tags(facts, tags));
            out.insert("source".into(), "sdk".into());
            if let Some(project) = facts.project.or(project) {
                out.insert("project_name".into(), project.into());
            }
            if let Some(error) = &task.error {
                out.insert("error_info".into(), error_info(task, error));
            }
            if let Some(first_text) = facts.first_text {
                out.insert("ttft".into(), millis(first_text));
            }
            out
        };
        let mut trace = common(trace_id, facts.helper);
        if let Some(conversation) = note.and_then(|note| note.conversation.as_deref()) {
            trace.insert("thread_id".into(), conversation.into());
        }
        let mut span = common(TraceId::new(), event.backend);
        span.insert("trace_id".into(), trace_id.to_string().into());
        span.insert("type".into(), "llm".into());
        let model = task.model.as_deref().or(event.model_requested());
        for (name, value) in [("model", model), ("provider", event.provider())] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                span.insert(name.into(), value.into());
            }
        }
        if let Some(cost) = task.cost {
            span.insert("total_estimated_cost".into(), cost.into());
        }
        if let Some(usage) = &task.usage {
            span.insert("usage".into(), usage_json(usage, event.provider()));
        }
        Some(Self::Generation {
            trace: open_object(trace),
            span: open_object(span),
            content: content.into(),
            traced: false,
        })
    }

    /// A score of a trace.
    pub(super) fn score(id: TraceId, name: &str, value: f64, project: Option<&str>) -> Self {
        let mut out = Map::new();
        out.insert("id".into(), id.to_string().into());
        out.insert("name".into(), name.into());
        out.insert("value".into(), value.into());
        out.insert("source".into(), "sdk".into());
        if let Some(project) = project {
            out.insert("project_name".into(), project.into());
        }
        Self::Score(Value::Object(out).to_string().into())
    }

    /// One line of the spool, with its newline.
    pub(super) fn to_line(&self) -> String {
        match self {
            Self::Generation { trace, span, content, .. } => {
                let content = content.strip_prefix(',').unwrap_or_default();
                format!("{{\"trace\":{trace}}},\"span\":{span}}},\"content\":{{{content}}}}}\n")
            }
            Self::Score(score) => format!("{{\"score\":{score}}}\n"),
        }
    }

    /// Parses a line of the spool; `None` if it is invalid.
    pub(super) fn from_line(line: &[u8]) -> Option<Self> {
        let Value::Object(mut line) = serde_json::from_slice(line).ok()? else { return None };
        let mut take = |name: &str| match line.remove(name) {
            Some(Value::Object(map)) => Some(map),
            _ => None,
        };
        if let Some(score) = take("score") {
            return Some(Self::Score(Value::Object(score).to_string().into()));
        }
        let (trace, span, content) = (take("trace")?, take("span")?, take("content")?);
        if trace.is_empty() || span.is_empty() {
            return None;
        }
        let mut inner = String::new();
        if !content.is_empty() {
            let object = open_object(content);
            inner.push(',');
            inner.push_str(object.strip_prefix('{').unwrap_or_default());
        }
        Some(Self::Generation {
            trace: open_object(trace),
            span: open_object(span),
            content: inner.into(),
            traced: false,
        })
    }
}

/// A JSON object without its last brace.
fn open_object(map: Map<String, Value>) -> Box<str> {
    let mut text = Value::Object(map).to_string();
    text.pop();
    text.into()
}

fn millis(time: Duration) -> Value {
    (time.as_secs_f64() * 1e3).into()
}

/// Prompt and reply, or the length of a text that is too long. Of pictures only their media types
/// and sizes.
fn content(task: &Task, images: &[Image]) -> (String, Option<usize>) {
    let reply = task.result.as_deref();
    let partial = task.error.as_ref().and_then(TaskError::partial);
    let texts = task.prompt.len() + reply.or(partial).map_or(0, str::len);
    if texts > CONTENT_BYTES_MAX {
        return (String::new(), Some(texts));
    }
    let mut input = json!({ "prompt": task.prompt });
    if !task.context.is_empty() {
        input["context"] = Value::Object(task.context.clone());
    }
    if !images.is_empty() {
        input["images"] = images.iter().map(image_json).collect();
    }
    let mut content = format!(",\"input\":{input}");
    let output = match (reply, partial) {
        (Some(text), _) => Some(json!({ "text": text })),
        (None, Some(text)) => Some(json!({ "partial": text })),
        (None, None) => None,
    };
    if let Some(output) = output {
        content.push_str(&format!(",\"output\":{output}"));
    }
    match content.len() {
        bytes if bytes > CONTENT_BYTES_MAX => (String::new(), Some(bytes)),
        _ => (content, None),
    }
}

fn image_json(image: &Image) -> Value {
    match (image.bytes(), image.url()) {
        (Some(bytes), _) => json!({"media_type": image.media_type(), "bytes": bytes.len()}),
        (None, url) => json!({"url_bytes": url.map(str::len)}),
    }
}

/// The values of a task other than its texts.
fn metadata(event: &Event<'_>, task: &Task, left_out: Option<usize>) -> Value {
    let mut out = json!({
        "task_id": task.task_id.to_string(),
        "helper_id": task.helper_id.to_string(),
        "backend": event.backend,
        "attempts": task.attempts,
        "queue_ms": task.queue_ms,
        "latency_ms": task.latency_ms,
        "prompt_bytes": task.prompt.len(),
        "context_entries": task.context.len(),
    });
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out[name] = value;
        }
    };
    set("reply_bytes", task.result.as_ref().map(|text| text.len().into()));
    set("finish_reason", task.finish_reason.map(|reason| reason.as_str().into()));
    let usage = task.usage.as_ref();
    set("cached_tokens", usage.and_then(|usage| usage.cached_tokens).map(Into::into));
    set("reasoning_tokens", usage.and_then(|usage| usage.reasoning_tokens).map(Into::into));
    set("content_left_out_bytes", left_out.map(Into::into));
    out
}

/// The helper's name, the sink's tags and the request's, without duplicates.
fn all_tags(facts: &TraceFacts<'_>, tags: &[String]) -> Value {
    let own = facts.note.map(|note| note.tags.as_slice()).unwrap_or_default();
    let mut all = vec![facts.helper];
    for tag in tags.iter().chain(own).map(String::as_str) {
        if !all.contains(&tag) {
            all.push(tag);
        }
    }
    all.into()
}

/// Why a task failed, in the library's own text: a server's message may quote the prompt.
fn error_info(task: &Task, error: &TaskError) -> Value {
    let kind = error.kind().as_str();
    let mut facts = format!("automation-assistant: task {} ended as {kind}", task.task_id);
    facts.push_str(&format!(
        " after {} calls, {} ms",
        task.attempts,
        task.latency_ms.round() as u64
    ));
    if let Some(status) = error.status() {
        facts.push_str(&format!("; HTTP {status}"));
    }
    if let Some(code) = error.code() {
        facts.push_str(&format!("; code {code}"));
    }
    json!({ "exception_type": kind, "message": error.summary(), "traceback": facts })
}

/// Tokens as Opik counts them: 32-bit integers.
///
/// Cached tokens under the provider's own names, where Opik looks for them: it prices them lower.
/// (The provider is known by its name alone: a gateway names it in its reply.)
fn usage_json(usage: &Usage, provider: Option<&str>) -> Value {
    let count = |tokens: u64| i32::try_from(tokens).unwrap_or(i32::MAX);
    let (prompt, completion) = (usage.prompt_tokens, usage.completion_tokens);
    let mut tokens_json = json!({
        "prompt_tokens": count(prompt),
        "completion_tokens": count(completion),
        "total_tokens": count(usage.total_tokens),
    });
    let Some(cached) = usage.cached_tokens else { return tokens_json };
    let original = match provider {
        Some("anthropic") => [
            ("original_usage.input_tokens", prompt.saturating_sub(cached)),
            ("original_usage.output_tokens", completion),
            ("original_usage.cache_read_input_tokens", cached),
        ],
        _ => [
            ("original_usage.prompt_tokens", prompt),
            ("original_usage.completion_tokens", completion),
            ("original_usage.prompt_tokens_details.cached_tokens", cached),
        ],
    };
    for (name, tokens) in original {
        tokens_json[name] = count(tokens).into();
    }
    tokens_json
}

/// Opik keeps scores as decimals of nine digits before the point and rejects a batch that holds
/// a greater one.
const SCORE_BELOW: f64 = 1e9;

/// Whether Opik accepts a score of this name and value.
pub(super) fn is_score(name: &str, value: f64) -> bool {
    crate::trace::is_name(name, crate::trace::TAG_BYTES_MAX) && value.abs() < SCORE_BELOW
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_have_the_names_that_opik_s_prices_use() {
        let usage = |cached: u64| {
            let mut usage = Usage::new(100, 7);
            usage.cached_tokens = Some(cached);
            usage
        };
        for (provider, name, tokens) in [
            (Some("openai"), "original_usage.prompt_tokens_details.cached_tokens", 60),
            (Some("openai"), "original_usage.prompt_tokens", 100),
            (None, "original_usage.completion_tokens", 7),
            (Some("anthropic"), "original_usage.cache_read_input_tokens", 60),
            (Some("anthropic"), "original_usage.input_tokens", 40),
            (Some("anthropic"), "original_usage.output_tokens", 7),
            (Some("anthropic"), "prompt_tokens", 100),
        ] {
            assert_eq!(usage_json(&usage(60), provider)[name], tokens, "{name}");
        }
        let plain = usage_json(&Usage::new(1, 2), Some("openai"));
        assert_eq!(plain.as_object().map(Map::len), Some(3));
    }
}
