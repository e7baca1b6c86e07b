//! Functions of the program that a model may call.

use std::fmt;

use serde_json::Value;

use crate::nesting::{MAX_JSON_DEPTH, bounded, is_too_deep};

/// A function that a model may call while it works on a task ("function calling").
///
/// Runs on the helper's thread. A panic in it is caught and reported to the model as a failure of
/// the tool, and the task continues.
pub trait Tool: Send + Sync {
    /// Its name: letters, digits, `_` and `-`, at most 64 (a rule of OpenAI's).
    fn name(&self) -> &str;

    /// What it does and when to use it, for the model.
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
