//! The functions of the program that the model wants called.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::engine::message::{self, ReplyPart, ToolCall, ToolResult};
use crate::lenient::{Text, exact_value, json_text, json_value, read};
use crate::tool::{self, Tool};

/// Runs one call.
pub(crate) fn run(tools: &[Arc<dyn Tool>], call: &ToolCall, output_max: usize) -> ToolResult {
    let output = tool::run(tools, &call.name, arguments(&call.arguments), output_max);
    let is_error = output.is_err();
    ToolResult { id: call.id.clone(), text: output.unwrap_or_else(|failure| failure), is_error }
}

/// The arguments of a call, however they are written; empty text counts as none.
fn arguments(text: &str) -> Option<Value> {
    if text.trim().is_empty() {
        return Some(Map::new().into());
    }
    json_value(text).filter(Value::is_object)
}

/// Makes calls what they mean: arguments are an object where they mean one, and no two calls
/// have the same id. Returns how many had to be changed.
pub(crate) fn mend(parts: &mut [ReplyPart]) -> u32 {
    let (mut ids, mut changed) = (Vec::<String>::new(), 0);
    for call in message::calls_mut(parts) {
        let plain = unwrapped(&call.arguments);
        let id = (2..).map(|number| format!("{}_{number}", call.id));
        let mut id = std::iter::once(call.id.clone()).chain(id).filter(|id| !ids.contains(id));
        let id = id.next().filter(|_| !call.id.is_empty()).unwrap_or_default();
        if plain.is_some() || id != call.id {
            changed += 1;
            call.is_changed = true;
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
/// object, and pair calls by their ids.
pub(crate) fn make_presentable(call: &mut ToolCall, number: usize) {
    let is_strict = exact_value(&call.arguments).is_some();
    let arguments = arguments(&call.arguments);
    if !is_strict || arguments.is_none() {
        call.arguments = json_text(&arguments.unwrap_or_else(|| Map::new().into()));
        call.is_changed = true;
    }
    if call.id.is_empty() {
        call.id = format!("call_{number}");
        call.is_changed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::message::Content;

    #[test]
    fn what_goes_back_is_always_json_with_an_id() {
        let mut call = ToolCall { arguments: "{\"half".into(), ..Default::default() };
        make_presentable(&mut call, 3);
        assert_eq!((call.id.as_str(), call.arguments.as_str()), ("call_3", "{}"));
        assert!(std::mem::take(&mut call.is_changed));
        make_presentable(&mut call, 4);
        assert!(!call.is_changed && call.id == "call_3");
        call.id.clear();
        make_presentable(&mut call, 4);
        assert!(call.is_changed);
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
        assert_eq!(mend(&mut parts), 2);
        let ids = message::calls(&parts).map(|call| call.id.as_str());
        assert_eq!(ids.collect::<Vec<_>>(), ["a", "a_2", "", "a_3", "", "a_4"]);
        let verbatim: Vec<_> = parts.iter().map(|part| part.verbatim().is_some()).collect();
        assert_eq!(verbatim, [true, true, true, false, true, false]);
    }
}
