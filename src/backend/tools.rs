//! The functions of the program that the model wants called.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::backend::wire::Call;
use crate::foreign::catch_panic;
use crate::tool::Tool;

/// Most calls in one reply: a model that wants more has lost its way.
pub(crate) const CALLS_MAX: usize = 64;

/// What stands at the end of a tool's output that was cut.
const CUT_MARK: &str = " [cut: the output was longer]";

/// Runs one call. Whatever goes wrong becomes a text for the model, which may then try
/// otherwise.
pub(crate) fn run(tools: &[Arc<dyn Tool>], call: &Call, output_max: usize) -> String {
    let failed = |what: &str| format!("error: {what}");
    let output = match (find(tools, &call.name), arguments(&call.arguments)) {
        (None, _) => {
            let names: Vec<_> = tools.iter().map(|tool| tool.name()).collect();
            failed(&format!("there is no such tool; there are: {}", names.join(", ")))
        }
        (Some(_), None) => failed("the arguments are not a JSON object; send one"),
        (Some(tool), Some(arguments)) => match catch_panic(|| tool.call(&arguments)) {
            Some(Ok(text)) => text,
            Some(Err(text)) => failed(&text),
            None => failed("the tool broke down"),
        },
    };
    cut(output, output_max)
}

fn find<'t>(tools: &'t [Arc<dyn Tool>], name: &str) -> Option<&'t dyn Tool> {
    tools.iter().map(Arc::as_ref).find(|tool| tool.name() == name)
}

/// The arguments of a call; a tool without any may be called with nothing.
fn arguments(text: &str) -> Option<Value> {
    if text.trim().is_empty() {
        return Some(Value::Object(Map::new()));
    }
    serde_json::from_str(text).ok().filter(Value::is_object)
}

/// The call as it is sent back to the model as part of the conversation. llama.cpp fails on
/// arguments that are no JSON.
pub(crate) fn presentable(mut call: Call, number: usize) -> Call {
    if arguments(&call.arguments).is_none() || call.arguments.trim().is_empty() {
        call.arguments = "{}".to_owned();
    }
    if call.id.is_empty() {
        call.id = format!("call_{number}");
    }
    call
}

fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let mut end = bytes_max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(CUT_MARK);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::FnTool;
    use serde_json::json;

    fn tool(name: &str, body: fn(&Value) -> Result<String, String>) -> Arc<dyn Tool> {
        Arc::new(FnTool::new(name, "", json!({}), body))
    }

    fn said(name: &str, arguments: &str) -> String {
        let tools = [
            tool("echo", |arguments| Ok(arguments.to_string())),
            tool("fails", |_| Err("no luck".to_owned())),
            tool("panics", |_| panic!("on purpose")),
            tool("long", |_| Ok("\u{e4}".repeat(100))),
        ];
        let call = Call { name: name.into(), arguments: arguments.into(), ..Call::default() };
        run(&tools, &call, 99)
    }

    #[test]
    fn every_outcome_is_a_text_for_the_model() {
        assert_eq!(said("echo", r#"{"a":1}"#), r#"{"a":1}"#);
        assert_eq!(said("echo", " "), "{}");
        assert!(said("echo", r#"{"a":"#).starts_with("error: the arguments"));
        assert!(said("echo", "7").starts_with("error: the arguments"));
        assert_eq!(said("fails", "{}"), "error: no luck");
        assert_eq!(said("panics", "{}"), "error: the tool broke down");
        assert_eq!(
            said("nope", "{}"),
            "error: there is no such tool; there are: echo, fails, panics, long"
        );
        assert_eq!(said("long", "{}"), format!("{}{CUT_MARK}", "\u{e4}".repeat(49)));
    }

    #[test]
    fn what_goes_back_is_always_json_with_an_id() {
        let call = Call { arguments: "{\"half".into(), ..Call::default() };
        let call = presentable(call, 3);
        assert_eq!((call.id.as_str(), call.arguments.as_str()), ("call_3", "{}"));
    }
}
