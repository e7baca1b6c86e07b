//! A request of the Chat Completions API, written straight into the body's bytes.

use super::back;
use crate::engine::json::Json;
use crate::engine::message::{self, Content, PartKind, ReplyPart, Round};
use crate::engine::protocol::{Ask, Offer};
use crate::task::{Image, ReplySchema, Role};

const PARTS: PartKind = PartKind { text: "text", write_image };

/// Writes one request.
pub(super) fn write(ask: &Ask<'_>, dialect: &Dialect<'_>) -> Json {
    Json::new(|json| json.object(|json| members(ask, dialect, json)))
}

/// The differences between servers.
pub(super) struct Dialect<'a> {
    /// Whether a stream shall end with its usage.
    pub(super) stream_usage: bool,
    /// The field for the greatest number of tokens that may be written.
    pub(super) limit: &'static str,
    pub(super) cache_key: Option<&'a str>,
}

fn members(ask: &Ask<'_>, dialect: &Dialect<'_>, json: &mut Json) {
    if ask.param("model").is_none() {
        json.text("model", ask.model);
    }
    json.key("messages").array(|json| messages(ask, json));
    if ask.stream {
        json.key("stream").value(&true);
    }
    if dialect.stream_usage {
        json.key("stream_options").object(|json| json.key("include_usage").value(&true));
    }
    let has_tools = !ask.tools.is_empty();
    if has_tools {
        ask.write_tools(json.key("tools"), offer);
    }
    let schema = ask.schema();
    if let Some(schema) = schema {
        json.key("response_format").object(|json| format(schema, json));
    }
    if let Some(tokens) = ask.max_output_tokens {
        json.key(dialect.limit).value(&tokens);
    }
    if let Some(effort) = ask.effort {
        json.text("reasoning_effort", effort);
    }
    if let Some(key) = dialect.cache_key {
        json.text("prompt_cache_key", key);
    }
    // Values set by the request's own methods precede parameters of the same name.
    let ours = |key: &str| {
        (key == "tools" && has_tools)
            || (key == "response_format" && schema.is_some())
            || (key == dialect.limit && ask.max_output_tokens.is_some())
            || (key == "reasoning_effort" && ask.effort.is_some())
            || (key == "prompt_cache_key" && dialect.cache_key.is_some())
    };
    ask.write_params(json, &ours);
}

/// The whole conversation: instructions and context, earlier turns, the prompt, and the rounds
/// of tools.
fn messages(ask: &Ask<'_>, json: &mut Json) {
    if let Some(system) = ask.system() {
        json.object(|json| {
            json.text("role", Role::System.as_str());
            json.text("content", &system);
        });
    }
    for message in ask.messages() {
        json.object(|json| message.write(&PARTS, json));
    }
    for Round { reply, results } in ask.rounds {
        json.object(|json| {
            json.text("role", Role::Assistant.as_str());
            let text: String = message::text(reply).collect();
            match text.as_str() {
                "" => json.key("content").value(&()),
                text => json.text("content", text),
            }
            for part in reply {
                match &part.content {
                    Content::Call(_) => {}
                    _ => back::write(part.opaque.as_ref(), json),
                }
            }
            json.key("tool_calls").array(|json| reply.iter().for_each(|part| wanted(part, json)));
        });
        for result in results {
            json.object(|json| {
                json.text("role", "tool");
                json.text("tool_call_id", &result.id);
                json.text("content", &result.text);
            });
        }
    }
}

fn write_image(image: &Image, json: &mut Json) {
    json.text("type", "image_url");
    json.key("image_url").object(|json| json.key("url").image_url(image));
}

/// A call that the model wanted, with what its server wants back of it.
fn wanted(part: &ReplyPart, json: &mut Json) {
    let Content::Call(call) = &part.content else { return };
    json.object(|json| {
        json.text("id", &call.id);
        json.text("type", "function");
        json.key("function").object(|json| {
            json.text("name", &call.name);
            json.text("arguments", &call.arguments);
        });
        back::write(part.opaque.as_ref(), json);
    });
}

/// A tool on offer.
fn offer(tool: &Offer<'_>, json: &mut Json) {
    json.object(|json| {
        json.text("type", "function");
        json.key("function").object(|json| {
            json.text("name", tool.name);
            json.text("description", tool.description);
            json.key("parameters").value(&tool.schema);
        });
    });
}

/// The schema that the answer must follow.
fn format(schema: &ReplySchema, json: &mut Json) {
    json.text("type", "json_schema");
    json.key("json_schema").object(|json| {
        json.text("name", &schema.name);
        json.key("strict").value(&true);
        json.key("schema").value(&schema.schema);
    });
}
