//! Validation of a request at submission.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::request::TaskRequest;
use super::turn::{self, ImageBounds, RequestImages};
use crate::nesting::{MAX_JSON_DEPTH, is_too_deep};
use crate::tool::{validate_name, validate_names};

/// Most earlier turns, tools, custom parameters and entries of the context that a request may
/// have, each.
pub const MAX_REQUEST_ITEMS: usize = 4096;

/// A helper's limits on a request, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestBounds {
    /// The prompt, with system prompt and earlier turns.
    pub(crate) prompt: usize,
    /// The context as JSON.
    pub(crate) context: usize,
    /// Context, parameters and reply schema as JSON.
    pub(crate) request: usize,
    pub(crate) images: ImageBounds,
    /// The provider's custom parameters that cannot be sent; `None` for a custom backend.
    pub(crate) refuse_param: Option<RefuseParam>,
}

/// Why a provider cannot be sent a custom parameter of this name and value; `None` if it can.
pub(crate) type RefuseParam = fn(&str, &Value) -> Option<&'static str>;

/// Why one of these custom parameters cannot be sent; `None` if all can.
pub(crate) fn refused_param(params: &Map<String, Value>, refuse: RefuseParam) -> Option<String> {
    params.iter().find_map(|(key, value)| {
        let why = refuse(key, value)?;
        Some(format!("custom_param \"{key}\" cannot be set: {why}"))
    })
}

impl TaskRequest {
    /// Validates the request against a helper's limits; returns the bytes of its pictures. Called
    /// once, at submission.
    ///
    /// # Errors
    ///
    /// Why the request is rejected, and how to correct it.
    pub(crate) fn validate(&self, bounds: RequestBounds) -> Result<usize, String> {
        if self.prompt.trim().is_empty() {
            return Err("the prompt is empty: say what the helper is to do".into());
        }
        let system = self.system_prompt.as_ref().map_or(0, String::len);
        let turns: usize = self.turns.iter().map(|turn| turn.text.len()).sum();
        let prompt = self.prompt.len() + system + turns;
        let prompt_max = bounds.prompt;
        if prompt > prompt_max {
            let what = "the prompt (with system prompt and earlier turns)";
            return Err(too_large(what, prompt, "", prompt_max, "shorten it, or raise max_prompt"));
        }
        self.validate_rest.map_or(Ok(()), |validate| validate(self, &bounds))?;
        if self.timeout == Some(Duration::ZERO) {
            return Err("a timeout of zero leaves no time to run: leave it out".into());
        }
        let (turns, own) = (&self.turns[..], &self.images[..]);
        turn::validate(&RequestImages { turns, own, bounds: bounds.images })
    }

    /// Validates what not every request has: context, turns, parameters, tools, reply schema, the
    /// model's settings and the trace's.
    pub(super) fn validate_rest(&self, bounds: &RequestBounds) -> Result<(), String> {
        let counts =
            [self.turns.len(), self.tools.len(), self.custom_params.len(), self.context.len()];
        if counts.into_iter().any(|count| count > MAX_REQUEST_ITEMS) {
            return Err("the request has more than 4096 turns, tools, custom parameters or \
                        entries of its context: leave some out"
                .into());
        }
        // First, since all other checks recurse as deep as the values.
        if let Some(what) = self.nested_too_deep() {
            return Err(format!(
                "{what} is nested deeper than {MAX_JSON_DEPTH} levels: flatten it"
            ));
        }
        let context = map_bytes(&self.context);
        let context_max = bounds.context;
        if context > context_max {
            let advice = "leave some out, or raise max_context";
            return Err(too_large("the context", context, " as JSON", context_max, advice));
        }
        let schema = self.reply_schema.as_ref();
        let schema = schema.map_or(0, |reply| reply.name.len() + json_bytes(&reply.schema));
        let effort = self.model_settings.reasoning_effort.as_ref().map_or(0, String::len);
        let all = context + map_bytes(&self.custom_params) + schema + effort;
        if all > bounds.request {
            let what = "the request (context, custom parameters and reply schema)";
            let advice = "leave some out, or raise max_request";
            return Err(too_large(what, all, " as JSON", bounds.request, advice));
        }
        let refused = |refuse| refused_param(&self.custom_params, refuse);
        bounds.refuse_param.and_then(refused).map_or(Ok(()), Err)?;
        self.model_settings.validate()?;
        self.note.as_ref().map_or(Ok(()), |note| note.validate())?;
        let reply = self.reply_schema.as_ref();
        reply.map_or(Ok(()), |reply| validate_name("reply_schema", &reply.name))?;
        validate_names(&self.tools)
    }

    fn nested_too_deep(&self) -> Option<&'static str> {
        if self.context.values().any(is_too_deep) {
            return Some("the context");
        }
        if self.custom_params.values().any(is_too_deep) {
            return Some("a custom_param");
        }
        let schema = self.reply_schema.as_ref().map(|reply| &reply.schema);
        schema.is_some_and(is_too_deep).then_some("the reply_schema")
    }

    /// Bytes of text held, for the bound on kept results. Pictures are not counted: they are
    /// dropped when the task ends.
    pub(crate) fn text_bytes(&self) -> usize {
        self.prompt.len() + map_bytes(&self.context)
    }
}

/// `advice` ends in the bound's name, without `_bytes`.
fn too_large(what: &str, bytes: usize, form: &str, bytes_max: usize, advice: &str) -> String {
    format!("{what} has {bytes} bytes{form}, the helper takes {bytes_max}: {advice}_bytes")
}

fn map_bytes(map: &Map<String, Value>) -> usize {
    if map.is_empty() { 0 } else { json_bytes(map) }
}

/// The value's length as JSON, without writing it anywhere.
fn json_bytes(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // A map of JSON values always serializes; if it did not, it would exceed every bound.
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}
