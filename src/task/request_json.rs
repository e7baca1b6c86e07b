//! A request from JSON, for programs that read it from a file, a queue or another language.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use super::request::ReplySchema;
use super::{Priority, Role, TaskRequest};
use crate::members::members;
use crate::nesting::bounded;

/// The text for a member's value of the wrong type, or out of bounds.
const WRONG: &str = "is not of the kind that it must be";

/// Reads a JSON object with a `prompt` and, as far as they are set, the members that
/// [`guide::json`](crate::guide::json) lists, each as the setter of its name. `null` stands for a
/// member that is left out. Any other member, and one that is there twice, is an error that names
/// it; no error quotes a value.
///
/// ```
/// use automation_assistant::TaskRequest;
///
/// let request: TaskRequest = serde_json::from_str(
///     r#"{"prompt": "Why is it hot?", "context": {"celsius": 41}, "priority": "high"}"#,
/// )?;
/// assert_eq!(request.prompt(), "Why is it hot?");
/// # Ok::<(), serde_json::Error>(())
/// ```
impl<'de> Deserialize<'de> for TaskRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(members(deserializer, "a request is a JSON object")?).map_err(de::Error::custom)
    }
}

fn read(members: Map<String, Value>) -> Result<TaskRequest, String> {
    let mut request = TaskRequest::new("");
    request.has_rest();
    let mut has_prompt = false;
    let mut unknown = Vec::new();
    for (name, value) in members {
        if !MEMBERS.contains(&name.as_str()) {
            unknown.push(name);
        } else if !value.is_null() {
            has_prompt |= name == "prompt";
            // Values of any depth, if the deserializer sets no limit.
            set(&mut request, &name, bounded(value)).map_err(|why| format!("{name} {why}"))?;
        }
    }
    if !unknown.is_empty() {
        return Err(format!(
            "a request has no member of this name: {}; it has {}",
            unknown.join(", "),
            MEMBERS.join(", ")
        ));
    }
    if !has_prompt {
        return Err("a request needs a prompt".to_owned());
    }
    Ok(request)
}

const MEMBERS: [&str; 15] = [
    "prompt",
    "context",
    "system_prompt",
    "turns",
    "custom_params",
    "reply_schema",
    "max_retries",
    "max_output_tokens",
    "reasoning_effort",
    "priority",
    "timeout_ms",
    "deadline_ms",
    "conversation",
    "trace_tags",
    "trace_id",
];

/// Sets one member, in place: the setters, which move the complete request, would take ten times
/// the code here.
fn set(request: &mut TaskRequest, name: &str, value: Value) -> Result<(), &'static str> {
    match name {
        "prompt" => request.prompt = text(value)?,
        "context" => request.context = object(value)?,
        "system_prompt" => request.system_prompt = Some(text(value)?),
        "turns" => list(value)?.into_iter().try_for_each(|value| add_turn(request, value))?,
        "custom_params" => request.custom_params = object(value)?,
        "reply_schema" => request.set_reply_schema(reply_schema(value)?),
        "max_retries" => request.max_retries = Some(number(&value)?),
        "max_output_tokens" => {
            request.model_settings_mut().max_output_tokens = Some(number(&value)?)
        }
        "reasoning_effort" => request.model_settings_mut().reasoning_effort = Some(text(value)?),
        "priority" => request.priority = priority(&value)?,
        "timeout_ms" => request.timeout = Some(millis(&value)?),
        "deadline_ms" => request.deadline = Some(millis(&value)?),
        "conversation" => request.note_mut().conversation = Some(text(value)?),
        "trace_tags" => {
            request.note_mut().tags =
                list(value)?.into_iter().map(text).collect::<Result<_, _>>()?;
        }
        _ => request.note_mut().id = Some(text(value)?.parse().map_err(|_| WRONG)?),
    }
    Ok(())
}

fn add_turn(request: &mut TaskRequest, value: Value) -> Result<(), &'static str> {
    let [role, text_value] = pair(value, ["role", "text"])?;
    let roles = [Role::System, Role::User, Role::Assistant];
    let role = roles.into_iter().find(|known| role == known.as_str());
    let role = role.ok_or("has a role that is none of system, user, assistant")?;
    let before = std::mem::replace(request, TaskRequest::new(""));
    *request = before.turn(role, text(text_value)?);
    Ok(())
}

fn reply_schema(value: Value) -> Result<ReplySchema, &'static str> {
    let [name, schema] = pair(value, ["name", "schema"])?;
    Ok(ReplySchema { name: text(name)?, schema })
}

fn priority(value: &Value) -> Result<Priority, &'static str> {
    match value.as_str() {
        Some("high") => Ok(Priority::High),
        Some("normal") => Ok(Priority::Normal),
        Some("low") => Ok(Priority::Low),
        _ => Err("is none of high, normal, low"),
    }
}

/// The two members of an object that has these and no others.
fn pair(value: Value, names: [&str; 2]) -> Result<[Value; 2], &'static str> {
    let mut values = [None, None];
    for (name, value) in object(value)? {
        let at = names.iter().position(|known| *known == name);
        values[at.ok_or("has a member too many")?] = Some(value);
    }
    match values {
        [Some(first), Some(second)] => Ok([first, second]),
        _ => Err("lacks a member"),
    }
}

fn text(value: Value) -> Result<String, &'static str> {
    if let Value::String(text) = value { Ok(text) } else { Err(WRONG) }
}

fn object(value: Value) -> Result<Map<String, Value>, &'static str> {
    if let Value::Object(map) = value { Ok(map) } else { Err(WRONG) }
}

fn list(value: Value) -> Result<Vec<Value>, &'static str> {
    if let Value::Array(values) = value { Ok(values) } else { Err(WRONG) }
}

fn number(value: &Value) -> Result<u32, &'static str> {
    value.as_u64().and_then(|number| u32::try_from(number).ok()).ok_or(WRONG)
}

fn millis(value: &Value) -> Result<Duration, &'static str> {
    value.as_u64().map(Duration::from_millis).ok_or("is no whole number of milliseconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<TaskRequest, String> {
        serde_json::from_str(json).map_err(|fault: serde_json::Error| fault.to_string())
    }

    #[test]
    fn every_member_is_set_as_its_setter_sets_it() {
        let request = parse(
            r#"{"prompt":"p","context":{"a":1},"system_prompt":"s","custom_params":{"seed":7},
                "turns":[{"role":"user","text":"hi"},{"role":"assistant","text":"ho"}],
                "reply_schema":{"name":"n","schema":{"type":"object"}},"max_retries":2,
                "max_output_tokens":9,"reasoning_effort":"low","priority":"low","timeout_ms":1500,
                "deadline_ms":2500,"conversation":"c","trace_tags":["t"],
                "trace_id":"019ac0de-0000-7000-8000-000000000001"}"#,
        )
        .unwrap();
        assert_eq!((request.prompt(), request.system_prompt.as_deref()), ("p", Some("s")));
        assert_eq!((&request.context["a"], &request.custom_params["seed"]), (&1.into(), &7.into()));
        let turns: Vec<_> = request.turns.iter().map(|t| (t.role, t.text.as_str())).collect();
        assert_eq!(turns, [(Role::User, "hi"), (Role::Assistant, "ho")]);
        assert_eq!(request.reply_schema.as_ref().unwrap().name, "n");
        assert_eq!((request.max_retries, request.priority), (Some(2), Priority::Low));
        assert_eq!(request.model_settings.max_output_tokens, Some(9));
        assert_eq!(request.model_settings.reasoning_effort.as_deref(), Some("low"));
        assert_eq!(request.timeout, Some(Duration::from_millis(1500)));
        assert_eq!(request.deadline, Some(Duration::from_millis(2500)));
        let note = request.note.unwrap();
        assert_eq!(
            (note.conversation.as_deref(), note.tags.as_slice()),
            (Some("c"), &["t".to_owned()][..])
        );
        assert!(note.id.is_some());
    }

    #[test]
    fn what_is_wrong_is_named_and_no_value_is_quoted() {
        for (json, named) in [
            (r#"{"prompt":"p","promt":1,"x":null}"#, "promt, x"),
            (r#"{"context":{}}"#, "needs a prompt"),
            (r#"{"prompt":null}"#, "needs a prompt"),
            (r#"{"prompt":7}"#, "prompt is not"),
            (r#"{"prompt":"p","context":["secret"]}"#, "context is not"),
            (r#"{"prompt":"p","priority":"secret"}"#, "priority is none of"),
            (r#"{"prompt":"p","timeout_ms":-1}"#, "timeout_ms is no whole number"),
            (r#"{"prompt":"p","timeout_ms":1.5}"#, "timeout_ms is no whole number"),
            (r#"{"prompt":"p","max_retries":4294967296}"#, "max_retries is not"),
            (r#"{"prompt":"p","turns":[{"role":"secret","text":"t"}]}"#, "turns has a role"),
            (r#"{"prompt":"p","turns":[{"role":"user"}]}"#, "turns lacks"),
            (
                r#"{"prompt":"p","reply_schema":{"name":"n","schema":{},"strict":true}}"#,
                "reply_schema",
            ),
            (r#"{"prompt":"p","trace_id":"secret"}"#, "trace_id is not"),
            (r#"{"prompt":"secret","prompt":"p"}"#, "prompt is there twice"),
            (r#"["p"]"#, "is a JSON object"),
            (r#""secret""#, "is a JSON object"),
        ] {
            let fault = parse(json).unwrap_err();
            assert!(fault.contains(named), "{json}: {fault}");
            assert!(!fault.contains("secret"), "{json}: {fault}");
        }
    }
}
