//! The request of the OpenAI protocol, written straight into the body's bytes.

use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value};

use crate::task::{ReplySchema, Role, TaskRequest};
use crate::tool::{self, Tool};

/// Fields that the library writes itself. A custom parameter of such a name is refused.
pub(crate) const RESERVED: &[&str] = &["messages", "stream"];

/// One request.
pub(crate) struct Body<'a> {
    pub(crate) model: &'a str,
    pub(crate) request: &'a TaskRequest,
    pub(crate) system_prompt: Option<&'a str>,
    /// The helper's own parameters; the request's win.
    pub(crate) params: &'a Map<String, Value>,
    /// What the model and the tools have said since the prompt.
    pub(crate) talk: &'a [Said],
    pub(crate) stream: bool,
    /// Whether a stream shall end with its usage.
    pub(crate) stream_usage: bool,
}

/// What was said after the prompt.
#[derive(Debug, Clone)]
pub(crate) enum Said {
    /// The model, which wants tools called.
    Model { text: String, calls: Vec<Call> },
    /// A tool, to one of these calls.
    Tool { id: String, text: String },
}

/// A tool call as the model wants it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    /// JSON, if the model did well.
    pub(crate) arguments: String,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let own = &self.request.custom_params;
        let given = |key: &str| own.contains_key(key) || self.params.contains_key(key);
        if !given("model") {
            map.serialize_entry("model", self.model)?;
        }
        map.serialize_entry("messages", &Messages(self))?;
        if self.stream {
            map.serialize_entry("stream", &true)?;
            if self.stream_usage && !given("stream_options") {
                map.serialize_entry("stream_options", &Pairs(&[("include_usage", &true)]))?;
            }
        }
        let has_tools = !self.request.tools.is_empty();
        if has_tools {
            map.serialize_entry("tools", &Tools(&self.request.tools))?;
        }
        let schema = self.request.reply_schema.as_deref();
        if let Some(schema) = schema {
            map.serialize_entry("response_format", &Format(schema))?;
        }
        // What the request says through its own methods wins over parameters of that name.
        let ours = |key: &str| {
            RESERVED.contains(&key)
                || (key == "tools" && has_tools)
                || (key == "response_format" && schema.is_some())
        };
        for (key, value) in self.params {
            if !own.contains_key(key) && !ours(key) {
                map.serialize_entry(key, value)?;
            }
        }
        for (key, value) in own {
            if !ours(key) {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}

/// A small object with keys known here.
struct Pairs<'a, V: ?Sized>(&'a [(&'static str, &'a V)]);

impl<V: Serialize + ?Sized> Serialize for Pairs<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// A message with nothing but a text.
fn plain<S: SerializeSeq>(seq: &mut S, role: &str, text: &str) -> Result<(), S::Error> {
    seq.serialize_element(&Pairs(&[("role", role), ("content", text)]))
}

/// The whole conversation: instructions and context, earlier turns, the prompt, and what the
/// tools had to say.
struct Messages<'a>(&'a Body<'a>);

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let body = self.0;
        let mut seq = serializer.serialize_seq(None)?;
        // One system message: many chat templates of local models refuse a second.
        match (body.system_prompt, body.request.context.is_empty()) {
            (None, true) => {}
            (Some(system), true) => plain(&mut seq, Role::System.as_str(), system)?,
            (system, false) => {
                let context = context_json(&body.request.context).map_err(S::Error::custom)?;
                let text = match system {
                    Some(system) => format!("{system}\n\n{context}"),
                    None => context,
                };
                plain(&mut seq, Role::System.as_str(), &text)?;
            }
        }
        for turn in &body.request.turns {
            plain(&mut seq, turn.role.as_str(), &turn.text)?;
        }
        plain(&mut seq, Role::User.as_str(), &body.request.prompt)?;
        for said in body.talk {
            seq.serialize_element(said)?;
        }
        seq.end()
    }
}

/// The context, named as such, for the model.
fn context_json(context: &Map<String, Value>) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Pairs(&[("context", context)]))
}

impl Serialize for Said {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Model { text, calls } => {
                map.serialize_entry("role", Role::Assistant.as_str())?;
                map.serialize_entry("content", &(!text.is_empty()).then_some(text))?;
                map.serialize_entry("tool_calls", calls)?;
            }
            Self::Tool { id, text } => {
                map.serialize_entry("role", "tool")?;
                map.serialize_entry("tool_call_id", id)?;
                map.serialize_entry("content", text)?;
            }
        }
        map.end()
    }
}

impl Serialize for Call {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("type", "function")?;
        let function = [("name", self.name.as_str()), ("arguments", self.arguments.as_str())];
        map.serialize_entry("function", &Pairs(&function))?;
        map.end()
    }
}

/// The tools on offer.
struct Tools<'a>(&'a [std::sync::Arc<dyn Tool>]);

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|tool| Offer(tool.as_ref())))
    }
}

struct Offer<'a>(&'a dyn Tool);

impl Serialize for Offer<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("type", "function")?;
        map.serialize_entry("function", &OfferedFunction(self.0))?;
        map.end()
    }
}

struct OfferedFunction<'a>(&'a dyn Tool);

impl Serialize for OfferedFunction<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("name", self.0.name())?;
        map.serialize_entry("description", self.0.description())?;
        let parameters = tool::schema(self.0).map_err(S::Error::custom)?;
        map.serialize_entry("parameters", &parameters)?;
        map.end()
    }
}

/// The schema that the answer must follow.
struct Format<'a>(&'a ReplySchema);

impl Serialize for Format<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("type", "json_schema")?;
        map.serialize_entry("json_schema", &NamedSchema(self.0))?;
        map.end()
    }
}

struct NamedSchema<'a>(&'a ReplySchema);

impl Serialize for NamedSchema<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("name", &self.0.name)?;
        map.serialize_entry("strict", &true)?;
        map.serialize_entry("schema", &self.0.schema)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::FnTool;
    use serde_json::json;

    fn written(request: &TaskRequest, params: Value, stream: bool) -> Value {
        let Value::Object(params) = params else { panic!("an object") };
        serde_json::to_value(Body {
            model: "m",
            request,
            system_prompt: request.system_prompt.as_deref(),
            params: &params,
            talk: &[],
            stream,
            stream_usage: true,
        })
        .unwrap()
    }

    #[test]
    fn nothing_is_sent_that_nobody_asked_for() {
        assert_eq!(
            written(&TaskRequest::new("hi"), json!({}), false),
            json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
        );
    }

    #[test]
    fn everything_asked_for_is_sent_and_the_request_wins() {
        let request = TaskRequest::new("p")
            .system_prompt("s")
            .context("k", 1)
            .turn(Role::User, "q")
            .turn(Role::Assistant, "a")
            .custom_param("seed", 2)
            .custom_param("model", "other")
            .reply_schema("n", json!({"type": "object"}))
            .tool(FnTool::new("f", "does", json!({}), |_| Ok(String::new())));
        let params = json!({"seed": 1, "temperature": 0.5, "tools": [], "stream": false});
        assert_eq!(
            written(&request, params, true),
            json!({
                "model": "other",
                "messages": [
                    {"role": "system", "content": "s\n\n{\"context\":{\"k\":1}}"},
                    {"role": "user", "content": "q"},
                    {"role": "assistant", "content": "a"},
                    {"role": "user", "content": "p"},
                ],
                "stream": true,
                "stream_options": {"include_usage": true},
                "tools": [{"type": "function", "function":
                    {"name": "f", "description": "does", "parameters": {}}}],
                "response_format": {"type": "json_schema", "json_schema":
                    {"name": "n", "strict": true, "schema": {"type": "object"}}},
                "seed": 2,
                "temperature": 0.5,
            })
        );
    }
}
