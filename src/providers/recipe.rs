//! A provider as short as one can be that does everything: it answers whole and in a stream, has
//! tools called, and has errors and limits of its own. Copy it to begin the next one; then write
//! one line in the registry ([`super::ALL`]).
//!
//! Its protocol: a request is `{"model": …, "lines": ["user: hello", …], "live": true}`, a reply
//! `{"say": "text", "do": [{"id": …, "what": …, "with": {…}}], "cost": [read, written]}`, a stream
//! the same in pieces, each an event `piece`, until an event `over`. An error is
//! `{"oops": "words", "sort": "tired"}`.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::json;

use super::{base, key_or_loopback};
use crate::backend::AiBackend;
use crate::config::{BackendType, HelperConfig, IDLE, Provider, TIMEOUT, TraceMode};
use crate::engine::draft::{BadReply, Draft, Progress, TokenCounts};
use crate::engine::error_body::ErrorBody;
use crate::engine::json::Json;
use crate::engine::message::{self, Content, ReplyPart, ToolCall};
use crate::engine::payload::{Payload, payload};
use crate::engine::protocol::{Ask, Headers, Protocol, ReadStream};
use crate::engine::sse::SseEvent;
use crate::engine::{Model, Plan, RemoteBackend};
use crate::env::Env;
use crate::error::Error;
use crate::lenient::{self, Count, Label, Raw, Text, lenient};
use crate::task::FinishReason;
use crate::task_error::ErrorKind;

/// The provider's static data.
static RECIPE: Provider = Provider {
    backend_type: BackendType::Custom,
    label: "Recipe",
    vendor: Some("recipe"),
    key_variables: &["RECIPE_KEY"],
    base_variable: Some("RECIPE_URL"),
    default_base: Some("https://recipe.invalid"),
    default_model: Some("soup-1"),
    timeout: TIMEOUT,
    idle_timeout: IDLE,
    trace: TraceMode::Off,
    settings: &[],
    with_endpoint: None,
    build,
};

impl HelperConfig {
    /// For the recipe.
    pub(super) fn recipe() -> Self {
        Self::of(&RECIPE)
    }
}

#[cfg(test)]
#[path = "recipe_tests.rs"]
mod tests;

/// Where the server is, who we are, what is asked for: then the engine does the rest.
fn build(config: &HelperConfig, env: &Env<'_>) -> Result<Box<dyn AiBackend>, Error> {
    let endpoint = base(config, &RECIPE, env, PATH)?;
    let key = key_or_loopback(config, &RECIPE, env, &endpoint)?;
    let model = config.model_or_default();
    let (name, model) = (RECIPE.backend_name(model), Model::Named(model.to_owned()));
    let plan = Plan::new(name, endpoint, Recipe, model).key("x-recipe-key", "", key)?;
    RemoteBackend::boxed(config, env, plan)
}

const PATH: &str = "/cook";

/// The protocol.
struct Recipe;

lenient! {
    /// A reply, or a delta of one.
    Reply {
        say: Text = "say",
        calls: Vec<Call> = "do",
        cost: Vec<Count> = "cost",
        oops: Text = "oops",
        sort: Label = "sort",
    }
}

lenient! {
    /// A tool that the model wants called.
    Call {
        id: Label = "id",
        what: Label = "what",
        with: Raw = "with",
    }
}

impl Protocol for Recipe {
    fn path(&self, _: &Ask<'_>) -> Cow<'static, str> {
        PATH.into()
    }

    fn reserved(&self) -> &'static [&'static str] {
        &["lines", "live"]
    }

    fn write(&self, ask: &Ask<'_>) -> Json {
        let mut lines: Vec<_> =
            ask.system().map(|text| format!("system: {text}")).into_iter().collect();
        lines.extend(ask.messages().map(|m| format!("{}: {}", m.role.as_str(), m.text())));
        for round in ask.rounds {
            lines.extend(message::calls(&round.reply).map(|call| format!("call: {}", call.id)));
            lines.extend(round.results.iter().map(|result| format!("result: {}", result.text)));
        }
        let tools: Vec<_> = ask.tools.iter().map(|tool| json!([tool.name, tool.schema])).collect();
        let mut body =
            json!({"model": ask.model, "lines": lines, "live": ask.stream, "tools": tools});
        for (key, value) in ask.all_params() {
            body[key] = value.clone();
        }
        Json::new(|json| json.value(&body))
    }

    fn read(&self, body: &[u8], draft: &mut Draft) -> Result<(), BadReply> {
        let text = lenient::utf8(body);
        let found = lenient::read(&text).map_err(|fault| BadReply::unreadable(body, fault))?;
        draft.note_oddities(found.oddities);
        take(found.value, draft)?;
        draft.finish = Some(FinishReason::Stop);
        Ok(())
    }

    fn stream(&self) -> Box<dyn ReadStream + '_> {
        Box::new(Pieces)
    }

    fn kind_of_error(&self, _: u16, body: &ErrorBody) -> Option<ErrorKind> {
        self.is_known_code(body.kind.as_deref()?).then_some(ErrorKind::Server)
    }

    fn is_known_code(&self, code: &str) -> bool {
        code == "tired"
    }

    fn announced_pause(&self, headers: &dyn Headers) -> Option<Duration> {
        headers.get("x-recipe-rest")?.parse().ok().map(Duration::from_secs)
    }

    /// Its errors have a shape of their own.
    fn read_error(&self, body: &[u8]) -> Option<ErrorBody> {
        let Reply { oops, sort, .. } = lenient::read_partly(&lenient::utf8(body));
        Some(ErrorBody { message: Some(oops.whole()?), kind: sort.0, ..ErrorBody::default() })
    }
}

/// Takes a reply, or a delta of one.
fn take(reply: Reply, draft: &mut Draft) -> Result<(), BadReply> {
    if let Some(words) = reply.oops.whole() {
        let error = ErrorBody { message: Some(words), kind: reply.sort.0, ..ErrorBody::default() };
        return Err(BadReply::from(error));
    }
    for call in reply.calls {
        let call = ToolCall {
            id: call.id.0.unwrap_or_default(),
            name: call.what.0.unwrap_or_default(),
            arguments: call.with.0.unwrap_or_default(),
        };
        draft.push_part(ReplyPart { content: Content::Call(call), opaque: None })?;
    }
    if let [prompt, completion] = reply.cost[..] {
        let counts =
            TokenCounts { prompt: prompt.0, completion: completion.0, ..Default::default() };
        draft.usage.merge(&counts);
    }
    draft.push_text(reply.say.0.unwrap_or_default())
}

/// The events of one stream.
struct Pieces;

impl ReadStream for Pieces {
    fn event(&mut self, event: &SseEvent<'_>, draft: &mut Draft) -> Result<(), BadReply> {
        if let SseEvent::Data { event: b"over", .. } = *event {
            draft.is_done = true;
            return Ok(());
        }
        if let Payload::Json(json) = payload(event, draft)? {
            let found = lenient::read(&json)
                .map_err(|fault| BadReply::unreadable(json.as_bytes(), fault).within_stream())?;
            draft.progress = Some(Progress::Delta);
            take(found.value, draft)?;
        }
        Ok(())
    }

    fn end(&mut self, _: &mut Draft) -> Result<(), BadReply> {
        Ok(())
    }
}
