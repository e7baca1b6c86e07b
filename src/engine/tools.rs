//! The functions of the program that the model wants called.

use std::sync::Arc;

use crate::engine::message::{ToolCall, ToolResult};
use crate::tool::{self, Tool};

/// Runs one call.
pub(crate) fn run(tools: &[Arc<dyn Tool>], call: &ToolCall, output_max: usize) -> ToolResult {
    let output = tool::run(tools, &call.name, &call.arguments, output_max);
    let is_error = output.is_err();
    ToolResult { id: call.id.clone(), text: output.unwrap_or_else(|failure| failure), is_error }
}

/// Makes a call fit to be sent back to the model: servers fail on arguments that are no JSON
/// object. Tells whether such arguments had to be replaced.
pub(crate) fn make_presentable(call: &mut ToolCall, number: usize) -> bool {
    let is_broken = tool::parse_arguments(&call.arguments).is_none();
    if is_broken || call.arguments.trim().is_empty() {
        call.arguments = "{}".to_owned();
    }
    if call.id.is_empty() {
        call.id = format!("call_{number}");
    }
    is_broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_back_is_always_json_with_an_id() {
        let mut call = ToolCall { arguments: "{\"half".into(), ..Default::default() };
        assert!(make_presentable(&mut call, 3) && !make_presentable(&mut call, 3));
        assert_eq!((call.id.as_str(), call.arguments.as_str()), ("call_3", "{}"));
    }
}
