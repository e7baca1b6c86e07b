//! A request → the messages of its conversation, and tools in them.

use automation_assistant::{CallContext, ErrorKind, TaskError, Tool};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::template::Message;

/// Keys of a tool call as the model writes it.
const TOOL: &str = "tool";
const ARGUMENTS: &str = "arguments";

/// The messages: instructions, context and tools; earlier turns; the prompt.
pub(crate) fn messages(call: &CallContext<'_>, tools: &[Arc<dyn Tool>]) -> Vec<Message> {
    let request = call.request();
    let mut system = Vec::new();
    system.extend(call.system_prompt().map(str::to_owned));
    if !request.get_context().is_empty() {
        system.push(json!({"context": request.get_context()}).to_string());
    }
    if let Some((_, schema)) = request.get_reply_schema() {
        system.push(format!("Answer in JSON that follows this schema:\n{schema}"));
    }
    if !tools.is_empty() {
        system.push(offer(tools));
    }
    let mut messages = Vec::new();
    if !system.is_empty() {
        messages.push(Message { role: "system", content: system.join("\n\n") });
    }
    let turns = request.get_turns().iter();
    messages
        .extend(turns.map(|turn| Message { role: turn.role.as_str(), content: turn.text.clone() }));
    messages.push(Message { role: "user", content: call.prompt().to_owned() });
    messages
}

/// How the tools are described to the model.
fn offer(tools: &[Arc<dyn Tool>]) -> String {
    let mut text = format!(
        "You can call these tools. To call one, answer with \
         {{\"{TOOL}\": NAME, \"{ARGUMENTS}\": {{…}}}} and nothing else; you then get its result. \
         Otherwise answer in plain text.\n"
    );
    for tool in tools {
        let line = json!({
            TOOL: tool.name(),
            "description": tool.description(),
            ARGUMENTS: tool.parameters(),
        });
        text.push_str(&format!("{line}\n"));
    }
    text
}

/// The schema of a call of one of the tools.
pub(crate) fn call_schema(tools: &[Arc<dyn Tool>]) -> Value {
    let calls = tools.iter().map(|tool| {
        json!({
            "type": "object",
            "properties": {TOOL: {"const": tool.name()}, ARGUMENTS: arguments_schema(tool.parameters())},
            "required": [TOOL, ARGUMENTS],
            "additionalProperties": false,
        })
    });
    json!({"anyOf": calls.collect::<Vec<_>>()})
}

/// Arguments are an object, whatever the tool's schema leaves open.
fn arguments_schema(parameters: Value) -> Value {
    match parameters {
        Value::Object(mut schema) => {
            schema.entry("type").or_insert_with(|| json!("object"));
            schema.into()
        }
        _ => json!({"type": "object"}),
    }
}

/// A tool call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ToolCall {
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// The call of one of the tools that a complete reply is.
pub(crate) fn tool_call(reply: &str, tools: &[Arc<dyn Tool>]) -> Option<ToolCall> {
    let reply: Value = serde_json::from_str(reply.trim()).ok()?;
    let object = reply.as_object().filter(|object| object.len() == 2)?;
    let (name, arguments) = (object.get(TOOL)?.as_str()?, object.get(ARGUMENTS)?);
    let known = tools.iter().any(|tool| tool.name() == name);
    known.then(|| ToolCall { name: name.to_owned(), arguments: arguments.to_string() })
}

/// A call and its result, as the model reads them afterwards.
pub(crate) fn round(reply: &str, name: &str, result: &str) -> [Message; 2] {
    [
        Message { role: "assistant", content: reply.to_owned() },
        Message { role: "user", content: format!("Result of {name}: {result}") },
    ]
}

/// The error of a model that never stops calling.
pub(crate) fn too_many_rounds(rounds: u32) -> TaskError {
    let what = format!(
        "the model still wants tools after {rounds} rounds: raise max_tool_rounds, or give it \
         tools that settle the matter"
    );
    TaskError::new(ErrorKind::Other, what)
}
