//! Replies that follow a schema: at each token, those that would break it are left out. By
//! llguidance, which is Rust; llama.cpp's own grammars throw exceptions that end the process.

use automation_assistant::{ErrorKind, TaskError};
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::SimpleVob;
use llguidance::{Matcher, ParserFactory};
use serde_json::{Value, json};

/// The maker of constraints for this model, once for all of them.
pub(crate) fn factory(model: &LlamaModel) -> Option<ParserFactory> {
    let mut factory = ParserFactory::new_simple(&LlamaSampler::llguidance_tok_env(model)).ok()?;
    factory.quiet();
    Some(factory)
}

/// The form that a reply must have.
pub(crate) enum Shape<'a> {
    /// This schema.
    Json(&'a Value),
    /// Text that does not begin with a brace.
    Text,
    /// A call of a tool, or else such text.
    CallOrText(&'a Value),
    /// A call of a tool (the first), or else an object as the other schema has it.
    CallOrJson(&'a Value, &'a Value),
}

impl Shape<'_> {
    fn grammar(&self) -> String {
        /// Text that cannot be taken for a call.
        const TEXT: &str = r"text: /[^{\s](.|\n)*/";
        match self {
            Self::Json(schema) => {
                format!("start: %json {}", spaced(schema))
            }
            Self::Text => format!("start: text\n{TEXT}"),
            Self::CallOrText(call) => {
                format!("start: call | text\n{TEXT}\ncall: %json {}", spaced(call))
            }
            Self::CallOrJson(call, schema) => format!(
                "start: call | answer\nanswer: %json {}\ncall: %json {}",
                spaced(schema),
                spaced(call)
            ),
        }
    }
}

/// The schema, with one way to set blanks: the one that models know best. With blanks as it
/// likes, a small model may write nothing else.
fn spaced(schema: &Value) -> Value {
    let mut schema = if schema.is_object() { schema.clone() } else { json!({"allOf": [schema]}) };
    schema["x-guidance"] =
        json!({"whitespace_flexible": false, "item_separator": ", ", "key_separator": ": "});
    schema
}

/// Most references in a schema: each in a chain takes some kilobytes of the stack.
const REFS_MAX: usize = 64;

/// How many references a schema has.
fn refs(schema: &Value) -> usize {
    match schema {
        Value::Object(members) => {
            let inner: usize = members.values().map(refs).sum();
            inner + usize::from(members.contains_key("$ref"))
        }
        Value::Array(elements) => elements.iter().map(refs).sum(),
        _ => 0,
    }
}

/// Watches over one reply.
pub(crate) struct Constraint(Matcher);

impl Constraint {
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] for a schema that is none, or that cannot be enforced.
    pub(crate) fn new(factory: &ParserFactory, shape: &Shape<'_>) -> Result<Self, TaskError> {
        let refs = match shape {
            Shape::Text => 0,
            Shape::Json(one) | Shape::CallOrText(one) => refs(one),
            Shape::CallOrJson(one, other) => refs(one).max(refs(other)),
        };
        if refs > REFS_MAX {
            let what =
                format!("a reply schema, or a tool's, has {refs} $ref: {REFS_MAX} is the most");
            return Err(TaskError::new(ErrorKind::InvalidRequest, what));
        }
        let parser = factory.create_parser(TopLevelGrammar::from_lark(shape.grammar()));
        let parser = parser.map_err(|error| {
            TaskError::new(
                ErrorKind::InvalidRequest,
                "the reply schema, or that of a tool, cannot be enforced: see the message",
            )
            .with_message(&error.to_string())
        })?;
        Ok(Self(Matcher::new(Ok(parser))))
    }

    /// The tokens that may come next.
    pub(crate) fn allowed(&mut self) -> Result<SimpleVob, TaskError> {
        self.0.compute_mask_or_eos().map_err(|_| broken())
    }

    /// Takes note of the token that was chosen.
    pub(crate) fn accept(&mut self, token: u32) -> Result<(), TaskError> {
        if self.0.is_stopped() {
            return Ok(());
        }
        self.0.consume_token(token).map_err(|_| broken())
    }

    /// Whether nothing can follow.
    pub(crate) fn is_complete(&self) -> bool {
        self.0.is_stopped()
    }
}

fn broken() -> TaskError {
    TaskError::new(ErrorKind::Other, "the reply's schema got too complicated to be followed")
}
