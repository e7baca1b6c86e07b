//! The tool calls of a reply, assembled from deltas that many servers mark in as many ways.

use super::back::{Back, BackDelta};
use crate::engine::draft::{BadReply, CALLS_MAX, Draft};
use crate::engine::message::{self, Opaque};
use crate::lenient::{Count, Label, Raw, is_json, lenient, whole};

lenient! {
    /// The model's call of a tool, or a delta of it.
    ToolCall {
        index: Count = "index",
        id: Label = "id",
        function: Function = "function",
        // Without the object that should be around them.
        name: Label = "name",
        arguments: Raw = "arguments",
        extra_content: BackDelta = "extra_content",
    }
}

lenient! {
    /// Which tool, and with what.
    Function {
        name: Label = "name",
        arguments: Raw = "arguments" | "parameters",
    }
}

/// A call so far.
#[derive(Debug, Default)]
pub(super) struct Call {
    index: Option<u64>,
    call: message::ToolCall,
    back: Back,
    extra: BackDelta,
}

impl From<ToolCall> for Call {
    fn from(call: ToolCall) -> Self {
        let ToolCall { index, id, function, name, arguments, extra_content } = call;
        let name = function.name.0.or(name.0).unwrap_or_default();
        let arguments = function.arguments.0.or(arguments.0).unwrap_or_default();
        let id = id.0.unwrap_or_default();
        Self {
            index: index.0,
            call: message::ToolCall { id, name, arguments, is_changed: false },
            back: Back::default(),
            extra: extra_content,
        }
    }
}

impl Call {
    /// Whether nothing is called: there is neither a name nor what to call it with.
    fn is_none(&self) -> bool {
        self.call.name.is_empty() && self.call.arguments.trim().is_empty()
    }

    /// Whether the arguments are a complete object.
    fn is_whole(&self) -> bool {
        let text = self.call.arguments.trim();
        text.starts_with('{') && text.ends_with('}') && is_json(text)
    }

    /// Whether a delta begins another call, though it could belong to this one. One without a
    /// name never does: some servers give each delta of a call a new id.
    fn is_another(&self, delta: &message::ToolCall) -> bool {
        let call = &self.call;
        if delta.name.is_empty() || self.is_repeated_by(delta) {
            return false;
        }
        let is_renumbered = is_id(delta) && is_id(call) && delta.id != call.id;
        let begins = delta.arguments.trim_start().starts_with('{') && self.is_whole();
        // A name may come in deltas, but before any arguments.
        let is_renamed = !call.name.is_empty() && call.name != delta.name;
        is_renumbered || begins || (is_renamed && !call.arguments.is_empty())
    }

    /// Whether a delta repeats the call.
    fn is_repeated_by(&self, delta: &message::ToolCall) -> bool {
        is_id(delta)
            && delta.id == self.call.id
            && delta.name == self.call.name
            && delta.arguments == self.call.arguments
    }

    /// Adds a delta of this call.
    fn add(&mut self, delta: message::ToolCall) {
        if self.is_repeated_by(&delta) && self.is_whole() {
            return;
        }
        let call = &mut self.call;
        if call.id.is_empty() {
            call.id = delta.id;
        }
        // Names come once, repeatedly, longer each time, or in deltas.
        if delta.name.starts_with(&call.name) {
            call.name = delta.name;
        } else if call.name != delta.name {
            call.name.push_str(&delta.name);
        }
        let begins = delta.arguments.trim_start().starts_with('{');
        if begins && (call.arguments.trim() == "{}" || call.arguments == delta.arguments) {
            // Nothing stood there for what was to come; or it is said once more.
            call.arguments.clear();
        }
        call.arguments.push_str(&delta.arguments);
    }
}

/// Whether a call's id distinguishes it from others: some servers send the name in its place.
fn is_id(call: &message::ToolCall) -> bool {
    !call.id.is_empty() && call.id != call.name
}

/// The calls of a growing answer.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

impl Calls {
    /// Takes a delta of a call.
    pub(super) fn add(&mut self, delta: ToolCall, draft: &mut Draft) -> Result<(), BadReply> {
        let delta = Call::from(delta);
        let Call { index, call: delta, extra, .. } = delta;
        draft.keep(delta.id.len() + delta.name.len())?;
        draft.keep_written(delta.arguments.len())?;
        let at = match self.find(index, &delta) {
            Some(at) => {
                self.0[at].add(delta);
                at
            }
            None if self.0.len() == CALLS_MAX => return Err(BadReply::TooManyCalls),
            None => {
                self.0.push(Call { index, call: delta, ..Call::default() });
                self.0.len() - 1
            }
        };
        self.0[at].back.add("extra_content", extra, draft)
    }

    pub(super) fn take(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.0)
    }

    /// The call that a delta belongs to; `None` if it opens one.
    fn find(&self, index: Option<u64>, delta: &message::ToolCall) -> Option<usize> {
        let calls = &self.0;
        let same_index = |call: &Call| match (call.index, index) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        let by_id = calls.iter().rposition(|call| {
            is_id(delta) && call.call.id == delta.id && (same_index(call) || delta.name.is_empty())
        });
        let by_index = || match index {
            Some(_) => calls.iter().rposition(|call| call.index == index),
            None => calls.len().checked_sub(1),
        };
        let at = by_id.or_else(by_index)?;
        (!calls[at].is_another(delta)).then_some(at)
    }
}

/// The calls, each with what goes back with it; what is none is left out, and noted on the draft.
pub(super) fn finished(
    calls: Vec<Call>,
    draft: &mut Draft,
) -> Vec<(message::ToolCall, Option<Opaque>)> {
    let mut finished: Vec<(message::ToolCall, Option<Opaque>)> = Vec::new();
    for mut call in calls {
        if call.is_none() {
            draft.note_oddities(1);
            continue;
        }
        let extra = std::mem::take(&mut call.extra);
        // (It is as long as what was read, which was counted.)
        let _ = call.back.add("extra_content", extra, draft);
        let Call { mut call, back, .. } = call;
        call.arguments = whole(call.arguments);
        finished.push((call, back.into_opaque()));
    }
    finished
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lenient::read;

    fn calls(deltas: &[&str]) -> Vec<(String, String, String)> {
        let (mut calls, mut draft) = (Calls::default(), Draft::new(1000));
        for delta in deltas {
            calls.add(read(delta).unwrap().value, &mut draft).unwrap();
        }
        let calls = finished(calls.take(), &mut draft);
        calls.into_iter().map(|(call, _)| (call.id, call.name, call.arguments)).collect()
    }

    fn expected(calls: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
        calls.iter().map(|(a, b, c)| ((*a).into(), (*b).into(), (*c).into())).collect()
    }

    /// An id, a name, arguments.
    type Wanted<'a> = (&'a str, &'a str, &'a str);

    /// How deltas are marked, the deltas, and their calls.
    const ROWS: &[(&str, &[&str], &[Wanted<'_>])] = &[
        (
            "by index",
            &[
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":""}}"#,
                r#"{"index":1,"id":"b","function":{"name":"g","arguments":"{"}}"#,
                r#"{"index":0,"function":{"arguments":"{}"}}"#,
                r#"{"index":1,"function":{"arguments":"}"}}"#,
            ],
            &[("a", "f", "{}"), ("b", "g", "{}")],
        ),
        (
            "always index 0",
            &[
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}"#,
                r#"{"index":0,"id":"b","function":{"name":"f","arguments":"{"}}"#,
                r#"{"index":0,"function":{"arguments":"}"}}"#,
            ],
            &[("a", "f", "{}"), ("b", "f", "{}")],
        ),
        (
            "no index",
            &[
                r#"{"id":"a","function":{"name":"f","arguments":"{"}}"#,
                r#"{"id":"a","function":{"name":"f","arguments":"}"}}"#,
                r#"{"id":"b","function":{"name":"g","arguments":"{}"}}"#,
            ],
            &[("a", "f", "{}"), ("b", "g", "{}")],
        ),
        (
            "no id",
            &[
                r#"{"index":0,"function":{"name":"f","arguments":"{}"}}"#,
                r#"{"index":1,"function":{"name":"f","arguments":"{"}}"#,
                r#"{"index":1,"function":{"arguments":"}"}}"#,
                r#"{"index":1,"function":{"name":"g","arguments":"{}"}}"#,
            ],
            &[("", "f", "{}"), ("", "f", "{}"), ("", "g", "{}")],
        ),
        (
            "a new id for each delta",
            &[
                r#"{"index":0,"id":"1","function":{"name":"f","arguments":""}}"#,
                r#"{"index":0,"id":"2","function":{"arguments":"{\"x\":"}}"#,
                r#"{"index":0,"id":"3","function":{"name":"","arguments":"1}"}}"#,
            ],
            &[("1", "f", "{\"x\":1}")],
        ),
        (
            "a whole call, and another, at index 0",
            &[
                r#"{"index":0,"id":"","function":{"name":"f","arguments":"{\"x\":1}"}}"#,
                r#"{"index":0,"id":"","function":{"name":"f","arguments":"{\"x\":2}"}}"#,
                r#"{"index":0,"function":{"name":"f","arguments":"{}"}}"#,
                r#"{"index":0,"id":"f","function":{"name":"f","arguments":"{\"x\":3}"}}"#,
                r#"{"index":0,"id":"f","function":{"name":"f","arguments":"{\"x\":4}"}}"#,
            ],
            &[
                ("", "f", "{\"x\":1}"),
                ("", "f", "{\"x\":2}"),
                ("", "f", "{}"),
                ("f", "f", "{\"x\":3}"),
                ("f", "f", "{\"x\":4}"),
            ],
        ),
        (
            "a name in deltas",
            &[
                r#"{"index":0,"id":"a","function":{"name":"get_"}}"#,
                r#"{"index":0,"function":{"name":"weather","arguments":"{"}}"#,
                r#"{"index":0,"function":{"arguments":"}"}}"#,
            ],
            &[("a", "get_weather", "{}")],
        ),
        (
            "a name again and again",
            &[
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}"#,
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":"}"}}"#,
            ],
            &[("a", "f", "{}")],
        ),
        (
            "nothing in the arguments' place first",
            &[
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}"#,
                r#"{"index":0,"function":{"arguments":"{\"x\":1}"}}"#,
            ],
            &[("a", "f", "{\"x\":1}")],
        ),
        (
            "a call said twice",
            &[
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}"#,
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}"#,
            ],
            &[("a", "f", "{\"x\":1}")],
        ),
        (
            "one id for two",
            &[
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}"#,
                r#"{"index":1,"id":"a","function":{"name":"g","arguments":"{\"x\":2}"}}"#,
            ],
            &[("a", "f", "{\"x\":1}"), ("a", "g", "{\"x\":2}")],
        ),
        ("no call", &[r#"{"id":"a","type":"function"}"#, r#"{"id":"b","function":null}"#], &[]),
        (
            "no function around it",
            &[r#"{"id":"a","name":"f","arguments":{"x":1.0}}"#],
            &[("a", "f", "{\"x\":1.0}")],
        ),
    ];

    #[test]
    fn calls_are_put_together_however_their_deltas_are_marked() {
        for (what, deltas, wanted) in ROWS {
            assert_eq!(calls(deltas), expected(wanted), "{what}");
        }
    }
}
