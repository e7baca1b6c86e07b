//! The functions of the program that the model wants called.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::engine::message::{Content, ReplyPart, ToolCall, ToolResult};
use crate::foreign::catch_panic;
use crate::lenient::{Text, json_value, read};
use crate::text::cut;
use crate::tool::Tool;

/// What stands at the end of a tool's output that was cut.
const CUT_MARK: &str = " [cut: the output was longer]";

/// Runs one call. Whatever goes wrong becomes a text for the model, which may then try
/// otherwise.
pub(crate) fn run(tools: &[Arc<dyn Tool>], call: &ToolCall, output_max: usize) -> ToolResult {
    let failed = |what: &str| (format!("error: {what}"), true);
    let (output, is_error) = match (find(tools, &call.name), arguments(&call.arguments)) {
        (None, _) => {
            let names: Vec<_> = tools.iter().map(|tool| tool.name()).collect();
            failed(&format!("there is no such tool; there are: {}", names.join(", ")))
        }
        (Some(_), None) => failed("the arguments are not a JSON object; send one"),
        (Some(tool), Some(arguments)) => match catch_panic(|| tool.call(&arguments)) {
            Some(Ok(text)) => (text, false),
            Some(Err(text)) => failed(&text),
            None => failed("the tool broke down"),
        },
    };
    ToolResult { id: call.id.clone(), text: shortened(output, output_max), is_error }
}

fn find<'t>(tools: &'t [Arc<dyn Tool>], name: &str) -> Option<&'t dyn Tool> {
    tools.iter().map(Arc::as_ref).find(|tool| tool.name() == name)
}

/// The arguments of a call; a tool without any may be called with nothing.
fn arguments(text: &str) -> Option<Value> {
    if text.trim().is_empty() {
        return Some(Value::Object(Map::new()));
    }
    serde_json::from_str(text).ok().or_else(|| json_value(text)).filter(Value::is_object)
}

/// Makes calls what they mean: arguments are an object where they mean one, and no two calls
/// have the same id. Says how many had to be changed; the provider's own form of those goes where
/// it is the call itself.
pub(crate) fn mend(parts: &mut [ReplyPart], opaque_is_call: bool) -> u32 {
    let (mut ids, mut changed) = (Vec::<String>::new(), 0);
    for part in parts {
        let Content::Call(call) = &mut part.content else { continue };
        let plain = unwrapped(&call.arguments);
        let id = (2..).map(|number| format!("{}_{number}", call.id));
        let mut id = std::iter::once(call.id.clone()).chain(id).filter(|id| !ids.contains(id));
        let id = id.next().filter(|_| !call.id.is_empty()).unwrap_or_default();
        if plain.is_some() || id != call.id {
            changed += 1;
            part.opaque = part.opaque.take().filter(|_| !opaque_is_call);
        }
        call.arguments = plain.unwrap_or_else(|| std::mem::take(&mut call.arguments));
        ids.extend((!id.is_empty()).then(|| id.clone()));
        call.id = id;
    }
    changed
}

/// The object that arguments mean which are none: of nothing, or within a text.
fn unwrapped(arguments: &str) -> Option<String> {
    match arguments.trim() {
        "" | "null" | "[]" => Some("{}".to_owned()),
        text if text.starts_with('"') => {
            let inner = read::<Text>(text).ok().filter(|found| found.rest.is_empty())?;
            let inner = inner.value.whole()?;
            let inner = unwrapped(&inner).unwrap_or(inner);
            Some(inner).filter(|text| text.trim_start().starts_with('{'))
        }
        _ => None,
    }
}

/// Makes a call fit to be sent back to the model: servers fail on arguments that are no JSON
/// object. Tells whether such arguments had to be replaced.
pub(crate) fn make_presentable(call: &mut ToolCall, number: usize) -> bool {
    let is_strict = serde_json::from_str::<Value>(&call.arguments).is_ok();
    let arguments = arguments(&call.arguments);
    let is_fine = is_strict && arguments.is_some() || call.arguments.trim().is_empty();
    if !is_strict || arguments.is_none() {
        call.arguments = arguments.unwrap_or_else(|| Map::new().into()).to_string();
    }
    if call.id.is_empty() {
        call.id = format!("call_{number}");
    }
    !is_fine
}

fn shortened(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(cut(&text, bytes_max).len());
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
        let call =
            ToolCall { name: name.into(), arguments: arguments.into(), ..Default::default() };
        run(&tools, &call, 99).text
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
        let mut call = ToolCall { arguments: "{\"half".into(), ..Default::default() };
        assert!(make_presentable(&mut call, 3) && !make_presentable(&mut call, 3));
        assert_eq!((call.id.as_str(), call.arguments.as_str()), ("call_3", "{}"));
    }

    #[test]
    fn arguments_that_are_no_object_but_mean_one_become_it() {
        for (arguments, plain) in [
            ("null", Some("{}")),
            ("[]", Some("{}")),
            (r#""{\"x\":1}""#, Some(r#"{"x":1}"#)),
            (r#""\"{}\"""#, Some("{}")),
            ("", Some("{}")),
            (r#""""#, Some("{}")),
            (r#""null""#, Some("{}")),
            (r#""words""#, None),
            ("{}", None),
            ("7", None),
        ] {
            assert_eq!(unwrapped(arguments).as_deref(), plain, "{arguments}");
        }
    }

    #[test]
    fn no_two_calls_have_the_same_id() {
        let call = |id: &str| ReplyPart {
            content: Content::Call(ToolCall {
                id: id.into(),
                arguments: "{}".into(),
                ..Default::default()
            }),
            opaque: Some("{}".into()),
        };
        let mut parts = ["a", "a_2", "", "a", "", "a"].map(call);
        assert_eq!(mend(&mut parts, true), 2);
        let ids = crate::engine::message::calls(&parts).map(|call| call.id.as_str());
        assert_eq!(ids.collect::<Vec<_>>(), ["a", "a_2", "", "a_3", "", "a_4"]);
        let opaque: Vec<_> = parts.iter().map(|part| part.opaque.is_some()).collect();
        assert_eq!(opaque, [true, true, true, false, true, false]);
    }
}
