//! Functions of the program that a model may call.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::foreign::catch_panic;
use crate::nesting::{MAX_JSON_DEPTH, bounded, is_too_deep};
use crate::text::cut;

/// Longest name of a tool or a reply schema, in bytes: OpenAI's bound. Anthropic's is 128, with
/// the same letters; both want the tools of a request to have different names.
const NAME_BYTES_MAX: usize = 64;
/// Appended to a tool's output that was cut.
const CUT_MARK: &str = " [cut: the output was longer]";

/// A function that a model may call while it works on a task ("function calling").
///
/// Runs on the helper's thread. A panic in [`call`](Self::call) is caught and reported to the model
/// as a failure of the tool, and the task continues; one in another method ends the task, as
/// [`Panicked`](crate::ErrorKind::Panicked).
pub trait Tool: Send + Sync {
    /// Its name: ASCII letters, digits, `_` and `-`, at most 64 (OpenAI's rule; Anthropic's is
    /// wider), and no other tool of the same request has it. A request that breaks this is
    /// rejected at submission as [`InvalidRequest`](crate::Error::InvalidRequest).
    fn name(&self) -> &str;

    /// The tool's purpose and when to use it, for the model.
    fn description(&self) -> &str;

    /// The JSON schema of its arguments (an object schema). If it is nested deeper than 128
    /// levels, tasks that offer the tool end as
    /// [`InvalidRequest`](crate::ErrorKind::InvalidRequest).
    fn parameters(&self) -> Value;

    /// Runs the tool. The returned text is sent to the model.
    ///
    /// # Errors
    ///
    /// The error text is also sent to the model, so that it can try something else.
    fn call(&self, arguments: &Value) -> Result<String, String>;
}

impl<T: Tool + ?Sized> Tool for Arc<T> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn description(&self) -> &str {
        (**self).description()
    }

    fn parameters(&self) -> Value {
        (**self).parameters()
    }

    fn call(&self, arguments: &Value) -> Result<String, String> {
        (**self).call(arguments)
    }
}

/// Rejects a name, of a tool or a reply schema, that some provider refuses.
pub(crate) fn validate_name(what: &str, name: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    let name = cut(name, NAME_BYTES_MAX);
    Err(format!(
        "the name {name:?} of a {what} does not fit: use 1 to {NAME_BYTES_MAX} of the ASCII letters, \
         digits, _ and -"
    ))
}

/// Rejects tools with such names, and two of the same name.
pub(crate) fn validate_names(tools: &[Arc<dyn Tool>]) -> Result<(), String> {
    let validate = || {
        for (at, tool) in tools.iter().enumerate() {
            let name = tool.name();
            validate_name("tool", name)?;
            if tools[..at].iter().any(|other| other.name() == name) {
                return Err(format!("two tools are called {name}: rename one"));
            }
        }
        Ok(())
    };
    catch_panic(validate)
        .unwrap_or_else(|| Err("a tool panicked when it was asked for its name".to_owned()))
}

/// The schema of a tool's arguments, or why it cannot be sent.
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(crate) fn schema(tool: &dyn Tool) -> Result<Value, String> {
    let schema = bounded(tool.parameters());
    if !is_too_deep(&schema) {
        return Ok(schema);
    }
    let name = tool.name();
    Err(format!("the parameters of tool {name} are nested deeper than {MAX_JSON_DEPTH} levels"))
}

/// Runs one call. Every failure is returned as a text for the model, which may then try
/// something else.
pub(crate) fn run(
    tools: &[Arc<dyn Tool>],
    name: &str,
    arguments: Option<Value>,
    output_max: usize,
) -> Result<String, String> {
    let find = || tools.iter().find(|tool| tool.name() == name);
    let failed = |what: &str| Err(format!("error: {what}"));
    let output = match (find(), arguments) {
        (None, _) => {
            let names: Vec<_> = tools.iter().map(|tool| tool.name()).collect();
            failed(&format!("there is no such tool; there are: {}", names.join(", ")))
        }
        (Some(_), None) => failed("the arguments are not a JSON object; send one"),
        (Some(tool), Some(arguments)) => match catch_panic(|| tool.call(&arguments)) {
            Some(Ok(text)) => Ok(text),
            Some(Err(text)) => failed(&text),
            None => failed("the tool broke down"),
        },
    };
    output.map(|text| shortened(text, output_max)).map_err(|text| shortened(text, output_max))
}

/// The arguments of a call; empty text counts as no arguments.
pub(crate) fn arguments(text: &str) -> Option<Value> {
    if text.trim().is_empty() {
        return Some(Value::Object(Map::new()));
    }
    serde_json::from_str(text).ok().filter(Value::is_object)
}

fn shortened(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(cut(&text, bytes_max).len());
        text.push_str(CUT_MARK);
    }
    text
}

impl fmt::Debug for dyn Tool + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tool({})", self.name())
    }
}

/// A tool made from a closure.
///
/// ```
/// use automation_assistant::{FnTool, Tool};
/// use serde_json::json;
///
/// let add = FnTool::new(
///     "add",
///     "Adds two numbers.",
///     json!({
///         "type": "object",
///         "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
///         "required": ["a", "b"],
///     }),
///     |arguments| match (arguments["a"].as_f64(), arguments["b"].as_f64()) {
///         (Some(a), Some(b)) => Ok((a + b).to_string()),
///         _ => Err("a and b must be numbers".to_owned()),
///     },
/// );
/// assert_eq!(add.call(&json!({"a": 1, "b": 2})), Ok("3".to_owned()));
/// ```
pub struct FnTool<F> {
    name: String,
    description: String,
    parameters: Value,
    call: F,
}

impl<F: Fn(&Value) -> Result<String, String> + Send + Sync> FnTool<F> {
    /// A tool with this name, description, schema of arguments, and body.
    pub fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        parameters: Value,
        call: F,
    ) -> Self {
        let parameters = bounded(parameters);
        Self { name: name.into(), description: description.into(), parameters, call }
    }
}

impl<F: Fn(&Value) -> Result<String, String> + Send + Sync> Tool for FnTool<F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn parameters(&self) -> Value {
        self.parameters.clone()
    }

    fn call(&self, arguments: &Value) -> Result<String, String> {
        (self.call)(arguments)
    }
}

impl<F> fmt::Debug for FnTool<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnTool").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tool(name: &str, body: fn(&Value) -> Result<String, String>) -> Arc<dyn Tool> {
        Arc::new(FnTool::new(name, "", json!({}), body))
    }

    fn said(name: &str, arguments: &str) -> Result<String, String> {
        let tools = [
            tool("echo", |arguments| Ok(arguments.to_string())),
            tool("fails", |_| Err("no luck".to_owned())),
            tool("panics", |_| panic!("on purpose")),
            tool("long", |_| Ok("\u{e4}".repeat(100))),
        ];
        run(&tools, name, super::arguments(arguments), 99)
    }

    #[test]
    fn every_outcome_is_a_text_for_the_model() {
        let failed = |what: &str| Err(format!("error: {what}"));
        assert_eq!(said("echo", r#"{"a":1}"#), Ok(r#"{"a":1}"#.to_owned()));
        assert_eq!(said("echo", " "), Ok("{}".to_owned()));
        for broken in [r#"{"a":"#, "7"] {
            assert_eq!(
                said("echo", broken),
                failed("the arguments are not a JSON object; send one")
            );
        }
        assert_eq!(said("fails", "{}"), failed("no luck"));
        assert_eq!(said("panics", "{}"), failed("the tool broke down"));
        assert_eq!(
            said("nope", "{}"),
            failed("there is no such tool; there are: echo, fails, panics, long")
        );
        assert_eq!(said("long", "{}"), Ok(format!("{}{CUT_MARK}", "\u{e4}".repeat(49))));
    }
}
