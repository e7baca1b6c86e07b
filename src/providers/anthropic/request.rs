//! A request of the Messages API, written straight into the body's bytes.

use serde_json::{Map, Value};

use crate::engine::json::Json;
use crate::engine::message::{Content, PartKind, ReplyPart, Round, ToolResult};
use crate::engine::protocol::{Ask, Offer};
use crate::task::{Image, Role};

/// Longest answer where no parameter says otherwise, in tokens. The API has no default; thinking
/// counts, and takes a thousand by itself.
const MAX_TOKENS: u32 = 4096;
const OUTPUT_CONFIG: &str = "output_config";
const PARTS: PartKind = PartKind { text: "text", write_image };

/// Writes one request.
pub(super) fn write(ask: &Ask<'_>) -> Json {
    Json::new(|json| json.object(|json| members(ask, json)))
}

fn members(ask: &Ask<'_>, json: &mut Json) {
    if ask.param("model").is_none() {
        json.text("model", ask.model);
    }
    if ask.max_output_tokens.is_some() || ask.param("max_tokens").is_none() {
        json.key("max_tokens").value(&ask.max_output_tokens.unwrap_or(MAX_TOKENS));
    }
    let system = ask.instructions();
    if let Some(system) = &system {
        json.text("system", system);
    }
    json.key("messages").array(|json| messages(ask, json));
    if ask.stream {
        json.key("stream").value(&true);
    }
    let has_tools = !ask.tools.is_empty();
    if has_tools {
        ask.write_tools(json.key("tools"), offer);
    }
    let configures_output = ask.schema().is_some() || ask.effort.is_some();
    if configures_output {
        json.key(OUTPUT_CONFIG).value(&output_config(ask));
    }
    // Values set by the request's own methods precede parameters of the same name.
    let ours = |key: &str| {
        (key == "system" && system.is_some())
            || (key == "tools" && has_tools)
            || (key == OUTPUT_CONFIG && configures_output)
            || (key == "max_tokens" && ask.max_output_tokens.is_some())
    };
    ask.write_params(json, &ours);
}

/// The schema of the answer and the effort, beside what else the parameter of that name sets.
fn output_config(ask: &Ask<'_>) -> Map<String, Value> {
    let given = ask.param(OUTPUT_CONFIG).and_then(Value::as_object);
    let mut config = given.cloned().unwrap_or_default();
    if let Some(effort) = ask.effort {
        config.insert("effort".to_owned(), effort.into());
    }
    if let Some(schema) = ask.schema() {
        let mut closed = schema.schema.clone();
        close_objects(&mut closed);
        let mut format = Map::new();
        format.insert("type".to_owned(), "json_schema".into());
        format.insert("schema".to_owned(), closed);
        config.insert("format".to_owned(), format.into());
    }
    config
}

/// The API takes only schemas whose objects say that they have no further properties. (The
/// schema's depth was bounded when the request was submitted.)
fn close_objects(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(close_objects);
            if map.get("type").is_some_and(|kind| kind == "object") {
                map.entry("additionalProperties").or_insert(false.into());
            }
        }
        Value::Array(values) => values.iter_mut().for_each(close_objects),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Earlier turns, the prompt, and the rounds of tools.
fn messages(ask: &Ask<'_>, json: &mut Json) {
    for message in ask.messages().filter(|message| message.role != Role::System) {
        // The API refuses blank text; a blank turn says nothing.
        if !message.images().is_empty() || !message.text().trim().is_empty() {
            json.object(|json| message.write(&PARTS, json));
        }
    }
    for Round { reply, results } in ask.rounds {
        said("assistant", json, |json| reply.iter().for_each(|part| block(part, json)));
        // All results in one message, and nothing else in that.
        said("user", json, |json| results.iter().for_each(|result| returned(result, json)));
    }
}

fn write_image(image: &Image, json: &mut Json) {
    json.text("type", "image");
    json.key("source").object(|json| source(image, json));
}

fn source(image: &Image, json: &mut Json) {
    match (image.url(), image.media_type()) {
        (Some(url), _) => {
            json.text("type", "url");
            json.text("url", url);
        }
        (None, media_type) => {
            json.text("type", "base64");
            json.text("media_type", media_type.unwrap_or_default());
            json.key("data").encoded("", image);
        }
    }
}

/// A message of blocks.
fn said(role: &str, json: &mut Json, blocks: impl FnOnce(&mut Json)) {
    json.object(|json| {
        json.text("role", role);
        json.key("content").array(blocks);
    });
}

/// A part of what the model said when it wanted tools: its own block as it came, where there
/// is one.
fn block(part: &ReplyPart, json: &mut Json) {
    match (part.verbatim(), &part.content) {
        (Some(own), _) => json.raw(own),
        (None, Content::Text(text)) if !text.trim().is_empty() => json.object(|json| {
            json.text("type", "text");
            json.text("text", text);
        }),
        (None, Content::Call(call)) => json.object(|json| {
            json.text("type", "tool_use");
            json.text("id", &call.id);
            json.text("name", &call.name);
            // The engine has seen to it that they are an object.
            json.key("input").raw(&call.arguments);
        }),
        (None, Content::Text(_) | Content::None) => {}
    }
}

/// The result of a tool.
fn returned(result: &ToolResult, json: &mut Json) {
    json.object(|json| {
        json.text("type", "tool_result");
        json.text("tool_use_id", &result.id);
        json.text("content", &result.text);
        if result.is_error {
            json.key("is_error").value(&true);
        }
    });
}

/// A tool on offer.
fn offer(tool: &Offer<'_>, json: &mut Json) {
    json.object(|json| {
        json.text("name", tool.name);
        json.text("description", tool.description);
        json.key("input_schema").value(&tool.schema);
    });
}
