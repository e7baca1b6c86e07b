//! The helper's settings that a backend can read, and the tools of a request.

use serde_json::{Map, Value};

use super::CallContext;
use crate::tool;

/// The helper's settings that a backend can read.
#[derive(Clone, Copy)]
pub(crate) struct CallSettings<'a> {
    pub(crate) params: &'a Map<String, Value>,
    pub(crate) max_output_tokens: Option<u32>,
    pub(crate) max_tool_rounds: u32,
    pub(crate) max_tool_output_bytes: usize,
}

impl CallContext<'_> {
    /// A parameter such as `temperature`: the request's
    /// [`custom_param`](crate::TaskRequest::custom_param), or else the helper's.
    pub fn param(&self, name: &str) -> Option<&Value> {
        self.request.custom_params.get(name).or_else(|| self.settings.params.get(name))
    }

    /// The greatest number of tokens that the model writes: the request's, or else the
    /// helper's; `None` if neither sets one.
    pub fn max_output_tokens(&self) -> Option<u32> {
        self.request.model_settings.max_output_tokens.or(self.settings.max_output_tokens)
    }

    /// How many rounds of tool calls the task may take:
    /// [`HelperConfig::max_tool_rounds`](crate::HelperConfig::max_tool_rounds).
    pub fn max_tool_rounds(&self) -> u32 {
        self.settings.max_tool_rounds
    }

    /// Calls the request's tool of this name with arguments as JSON text (empty text counts as
    /// `{}`), and returns its output for the model, cut to
    /// [`HelperConfig::max_tool_output_bytes`](crate::HelperConfig::max_tool_output_bytes).
    ///
    /// # Errors
    ///
    /// A text for the model, which begins with `error: `; the model may then try something else.
    /// The tool does not exist, the arguments are not a JSON object, or the tool failed or
    /// panicked.
    pub fn run_tool(&self, name: &str, arguments: &str) -> Result<String, String> {
        let output_max = self.settings.max_tool_output_bytes;
        tool::run(&self.request.tools, name, tool::arguments(arguments), output_max)
    }
}
