//! A provider as short as one can be that does everything: it answers whole and in a stream, is
//! shown pictures, follows a schema, has tools called, gets back what is its own, and has errors
//! and limits of its own. Copy it to begin the next one; then write one line in the registry
//! ([`super::ALL`]).
//!
//! Its protocol: a request is `{"model": …, "lines": ["user: hello", …], "pictures": [url, …],
//! "live": true}`, a reply `{"say": "text", "do": [{"id": …, "what": …, "with": {…}, "seal": …}],
//! "end": "full", "cost": [read, written]}`, a stream the same in parts, each an event `part`,
//! until an event `over`. An error is `{"oops": "words", "sort": "tired"}`. The seal of a call goes
//! back with its result.

use crate::config::{BackendType, HelperConfig, IDLE, Provider, TIMEOUT, TraceMode};

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
    // A request's own methods write these fields.
    refuse_param: Some(|key, _| {
        matches!(key, "lines" | "pictures" | "live").then_some("the request's own methods write it")
    }),
    with_endpoint: None,
    // A build without HTTP knows the provider, and says which feature it lacks.
    #[cfg(feature = "http")]
    build: remote::build,
    #[cfg(not(feature = "http"))]
    build: super::not_linked,
};

impl HelperConfig {
    /// For the recipe.
    pub(super) fn recipe() -> Self {
        Self::of(&RECIPE)
    }
}

#[cfg(all(test, feature = "http"))]
#[path = "recipe_tests.rs"]
mod tests;

#[cfg(all(test, not(feature = "http")))]
#[test]
fn a_build_without_http_names_the_feature() {
    let (config, read) = (HelperConfig::recipe(), |_: &str| None);
    let made = (config.provider().build)(&config, &crate::env::Env { read: &read });
    assert!(matches!(made, Err(crate::error::Error::Unsupported { feature: "http", .. })));
}

#[cfg(feature = "http")]
mod remote {
    use std::borrow::Cow;

    use super::RECIPE;
    use crate::backend::AiBackend;
    use crate::config::HelperConfig;
    use crate::engine::draft::{BadReply, Draft};
    use crate::engine::error_body::ErrorBody;
    use crate::engine::json::Json;
    use crate::engine::limits::LimitHeaders;
    use crate::engine::message::{self, Content, ReplyPart, ToolCall};
    use crate::engine::payload::{object, whole};
    use crate::engine::protocol::{Ask, Protocol, ReadStream};
    use crate::engine::sse::SseEvent;
    use crate::engine::tokens::TokenCounts;
    use crate::engine::{Model, Plan, RemoteBackend};
    use crate::env::Env;
    use crate::error::Error;
    use crate::lenient::{self, Count, Label, Own, Raw, Text, lenient};
    use crate::providers::{base, key_or_loopback};
    use crate::task::FinishReason;
    use crate::task_error::ErrorKind;

    /// Where the server is, who we are, what is asked for: then the engine does the rest.
    pub(super) fn build(config: &HelperConfig, env: &Env<'_>) -> Result<Box<dyn AiBackend>, Error> {
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
        /// A reply, or a part of one.
        Reply {
            say: Text = "say",
            calls: Vec<Call> = "do",
            end: Label = "end",
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
            seal: Own = "seal",
        }
    }

    impl Protocol for Recipe {
        fn path(&self, _: &Ask<'_>) -> Cow<'static, str> {
            PATH.into()
        }

        fn write(&self, ask: &Ask<'_>) -> Json {
            Json::new(|json| json.object(|json| members(ask, json)))
        }

        fn read(&self, body: &[u8], draft: &mut Draft) -> Result<(), BadReply> {
            let (_, reply) = whole(body, draft)?;
            take(reply, draft)?;
            // A reply that says nothing of its end has come to it.
            draft.finish.get_or_insert(FinishReason::Stop);
            Ok(())
        }

        fn stream(&self) -> Box<dyn ReadStream + '_> {
            Box::new(Parts)
        }

        // Where a server's codes are not all its own: `providers::error_codes`, and `finish_reason`.
        fn kind_of_error(&self, _: u16, body: &ErrorBody) -> Option<ErrorKind> {
            self.is_known_code(body.kind.as_deref()?).then_some(ErrorKind::Server)
        }

        fn is_known_code(&self, code: &str) -> bool {
            code == "tired"
        }

        fn limit_headers(&self) -> &'static [LimitHeaders] {
            &[("x-recipe-left", "x-recipe-rest")]
        }

        /// Its errors have a shape of their own.
        fn read_error(&self, body: &[u8]) -> Option<ErrorBody> {
            error(lenient::read_partly(&lenient::utf8(body)))
        }
    }

    /// Writes a request.
    fn members(ask: &Ask<'_>, json: &mut Json) {
        json.text("model", ask.model);
        let mut lines: Vec<_> =
            ask.system().map(|text| format!("system: {text}")).into_iter().collect();
        lines.extend(ask.messages().map(|m| format!("{}: {}", m.role.as_str(), m.text())));
        for round in ask.rounds {
            lines.extend(message::calls(&round.reply).map(|call| format!("call: {}", call.id)));
            lines.extend(round.results.iter().map(|result| format!("result: {}", result.text)));
        }
        json.key("lines").value(&lines);
        json.key("pictures").array(|json| {
            let images = ask.messages().flat_map(|message| message.images());
            images.for_each(|image| json.image_url(image));
        });
        json.key("seals").array(|json| {
            let parts = ask.rounds.iter().flat_map(|round| &round.reply);
            parts.filter_map(|part| part.opaque.as_ref()).for_each(|seal| json.raw(seal));
        });
        json.key("live").value(&ask.stream);
        ask.write_tools(json.key("tools"), |tool, json| {
            json.array(|json| {
                json.value(tool.name);
                json.value(&tool.schema);
            });
        });
        if let Some(schema) = ask.schema() {
            json.key("form").value(&schema.schema);
        }
        if let Some(tokens) = ask.max_output_tokens {
            json.key("most").value(&tokens);
        }
        ask.write_params(json, &|key| matches!(key, "form" | "most" | "seals" | "tools"));
    }

    /// The error that a reply is, if it is one.
    fn error(reply: Reply) -> Option<ErrorBody> {
        let message = Some(reply.oops.whole()?);
        Some(ErrorBody { message, kind: reply.sort.0, ..ErrorBody::default() })
    }

    /// Takes a reply in, or a part of one.
    fn take(mut reply: Reply, draft: &mut Draft) -> Result<(), BadReply> {
        for call in std::mem::take(&mut reply.calls) {
            let wanted = ToolCall {
                id: call.id.0.unwrap_or_default(),
                name: call.what.0.unwrap_or_default(),
                arguments: call.with.0.unwrap_or_default(),
                ..ToolCall::default()
            };
            draft.push_part(ReplyPart { content: Content::Call(wanted), opaque: call.seal.0 })?;
        }
        if let [prompt, completion] = reply.cost[..] {
            let counts =
                TokenCounts { prompt: prompt.0, completion: completion.0, ..Default::default() };
            draft.usage.merge(&counts);
        }
        draft.finish = match reply.end.as_str() {
            "" => draft.finish,
            "full" => Some(FinishReason::Stop),
            "cut" => Some(FinishReason::Length),
            "hidden" => Some(FinishReason::ContentFilter),
            _ => Some(FinishReason::Other),
        };
        draft.push_text(reply.say.0.take().unwrap_or_default())?;
        error(reply).map_or(Ok(()), |error| Err(error.into()))
    }

    /// The events of one stream.
    struct Parts;

    impl ReadStream for Parts {
        fn event(&mut self, event: &SseEvent<'_>, draft: &mut Draft) -> Result<(), BadReply> {
            if let SseEvent::Data { event: b"over", .. } = *event {
                draft.is_done = true;
                return Ok(());
            }
            let Some((_, _, part)) = object(event, draft)? else { return Ok(()) };
            take(part, draft)?;
            draft.show_progress();
            Ok(())
        }

        fn end(&mut self, _: &mut Draft) -> Result<(), BadReply> {
            Ok(())
        }
    }
}
