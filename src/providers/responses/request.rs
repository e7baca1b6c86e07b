//! A request of the Responses API, written straight into the body's bytes.

use serde_json::{Map, Value};

use crate::engine::json::Json;
use crate::engine::message::{Content, PartKind, ReplyPart, Round};
use crate::engine::protocol::{Ask, Offer};
use crate::task::{Image, Role};

const TEXT: &str = "text";
const REASONING: &str = "reasoning";
/// Requests the model's reasoning back, encrypted, where the provider does not keep it.
const ENCRYPTED_REASONING: &str = "reasoning.encrypted_content";
const PARTS: PartKind = PartKind { text: "input_text", write_image };
/// The type of a message, always written: llama.cpp refuses an assistant's without.
const MESSAGE: &str = "message";

/// Writes one request.
pub(super) fn write(ask: &Ask<'_>, cache_key: Option<&str>) -> Json {
    Json::new(|json| json.object(|json| members(ask, cache_key, json)))
}

fn members(ask: &Ask<'_>, cache_key: Option<&str>, json: &mut Json) {
    if ask.param("model").is_none() {
        json.text("model", ask.model);
    }
    let system = ask.system();
    if let Some(system) = &system {
        json.text("instructions", system);
    }
    json.key("input").array(|json| input(ask, json));
    if ask.stream {
        json.key("stream").value(&true);
    }
    if ask.param("store").is_none() {
        json.key("store").value(&false);
        if ask.param("include").is_none() {
            json.key("include").array(|json| json.value(ENCRYPTED_REASONING));
        }
    }
    if !ask.tools.is_empty() {
        ask.write_tools(json.key("tools"), offer);
    }
    if ask.schema().is_some() {
        json.key(TEXT).value(&text(ask));
    }
    if ask.effort.is_some() {
        json.key(REASONING).value(&reasoning(ask));
    }
    if let Some(tokens) = ask.max_output_tokens {
        json.key("max_output_tokens").value(&tokens);
    }
    if let Some(key) = cache_key {
        json.text("prompt_cache_key", key);
    }
    // Values set by the request's own methods precede parameters of the same name.
    ask.write_params(json, &|key: &str| {
        (key == "instructions" && system.is_some())
            || (key == "tools" && !ask.tools.is_empty())
            || (key == TEXT && ask.schema().is_some())
            || (key == REASONING && ask.effort.is_some())
            || (key == "max_output_tokens" && ask.max_output_tokens.is_some())
            || (key == "prompt_cache_key" && cache_key.is_some())
    });
}

/// An object that a parameter may have begun.
fn begun(ask: &Ask<'_>, key: &str) -> Map<String, Value> {
    ask.param(key).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The form of the answer, beside what else the parameter of that name sets.
fn text(ask: &Ask<'_>) -> Map<String, Value> {
    let mut text = begun(ask, TEXT);
    if let Some(schema) = ask.schema() {
        let mut format = Map::new();
        format.insert("type".to_owned(), "json_schema".into());
        format.insert("name".to_owned(), schema.name.clone().into());
        format.insert("strict".to_owned(), true.into());
        format.insert("schema".to_owned(), schema.schema.clone());
        text.insert("format".to_owned(), format.into());
    }
    text
}

/// The effort, likewise.
fn reasoning(ask: &Ask<'_>) -> Map<String, Value> {
    let mut reasoning = begun(ask, REASONING);
    if let Some(effort) = ask.effort {
        reasoning.insert("effort".to_owned(), effort.into());
    }
    reasoning
}

/// Earlier turns, the prompt, and the rounds of tools.
fn input(ask: &Ask<'_>, json: &mut Json) {
    for message in ask.messages() {
        json.object(|json| {
            json.text("type", MESSAGE);
            message.write(&PARTS, json);
        });
    }
    for Round { reply, results } in ask.rounds {
        reply.iter().for_each(|part| item(part, json));
        for result in results {
            json.object(|json| {
                json.text("type", "function_call_output");
                json.text("call_id", &result.id);
                json.text("output", &result.text);
            });
        }
    }
}

fn write_image(image: &Image, json: &mut Json) {
    json.text("type", "input_image");
    // The API requires it; this is what it means elsewhere where it is not set.
    json.text("detail", "auto");
    json.key("image_url").image_url(image);
}

/// A part of what the model said when it wanted tools: its own item as it came, where there is
/// one.
fn item(part: &ReplyPart, json: &mut Json) {
    match (part.verbatim(), &part.content) {
        (Some(own), _) => json.raw(own),
        (None, Content::Text(text)) if !text.is_empty() => json.object(|json| {
            json.text("type", MESSAGE);
            json.text("role", Role::Assistant.as_str());
            json.text("content", text);
        }),
        (None, Content::Call(call)) => json.object(|json| {
            json.text("type", "function_call");
            json.text("call_id", &call.id);
            json.text("name", &call.name);
            json.text("arguments", &call.arguments);
        }),
        (None, Content::Text(_) | Content::None) => {}
    }
}

/// A tool on offer. (Without `strict` the API would make every argument required.)
fn offer(tool: &Offer<'_>, json: &mut Json) {
    json.object(|json| {
        json.text("type", "function");
        json.text("name", tool.name);
        json.text("description", tool.description);
        json.key("parameters").value(&tool.schema);
        json.key("strict").value(&false);
    });
}
