//! A stream of the Responses API, put together. Pure: no socket, no clock.

use super::items::{Item, Response, note_calls, own_items, push_message, settle};
use super::reply;
use crate::engine::draft::{BadReply, CALLS_MAX, Draft, Progress};
use crate::engine::error_body::ErrorField;
use crate::engine::message::Opaque;
use crate::engine::payload::{check, object};
use crate::engine::protocol::ReadStream;
use crate::engine::sse::SseEvent;
use crate::lenient::{Count, Label, Own, Raw, Text, lenient, read_partly, whole};

lenient! {
    /// The data of any event.
    Data {
        kind: Label = "type",
        item_id: Label = "item_id",
        index: Count = "output_index",
        delta: Text = "delta",
        arguments: Raw = "arguments",
        item: Option<Box<Item>> = "item",
        response: Option<Box<Response>> = "response",
        error: ErrorField = "error",
    }
}

lenient! {
    /// An event's item as it stands.
    OwnItem { item: Own = "item" }
}

/// The items of a growing response.
#[derive(Default)]
pub(super) struct Items(Vec<OpenItem>);

/// An item so far.
struct OpenItem {
    id: String,
    index: Option<u64>,
    item: Item,
    /// Where a message's text stands in the draft's.
    text: Option<(usize, usize)>,
    /// The arguments gathered so far.
    arguments: String,
    /// The item as it is when it is done.
    own: Option<Opaque>,
}

impl ReadStream for Items {
    fn event(&mut self, event: &SseEvent<'_>, draft: &mut Draft) -> Result<(), BadReply> {
        let Some((name, json, mut data)) = object::<Data>(event, draft)? else { return Ok(()) };
        let kind = data.kind.0.take().filter(|kind| !kind.is_empty());
        let kind = kind.unwrap_or_else(|| name.into_owned());
        check(&kind, std::mem::take(&mut data.error), &json)?;
        self.take(&kind, data, &json, draft)
    }

    fn end(&mut self, draft: &mut Draft) -> Result<(), BadReply> {
        let items = std::mem::take(&mut self.0);
        if items.iter().any(|open| open.item.is_call()) {
            for open in items {
                draft.push_part(open.item.into_part(open.own, open.arguments))?;
            }
        }
        note_calls(draft);
        Ok(())
    }
}

impl Items {
    fn take(
        &mut self,
        kind: &str,
        data: Data,
        json: &str,
        draft: &mut Draft,
    ) -> Result<(), BadReply> {
        match kind {
            "response.output_text.delta" => {
                self.add_text(&data, draft)?;
                draft.show_progress();
            }
            "response.refusal.delta" => {
                draft.push_refusal(data.delta.as_str())?;
                draft.show_progress();
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                draft.push_reasoning(data.delta.as_str());
                draft.show_progress();
            }
            "response.function_call_arguments.delta" => {
                draft.keep_written(data.delta.as_str().len())?;
                if let Some(open) = self.find_of(&data) {
                    open.arguments.push_str(data.delta.as_str());
                }
                draft.show_progress();
            }
            "response.function_call_arguments.done" => {
                if let (Some(open), Some(whole)) = (self.find_of(&data), &data.arguments.0) {
                    open.arguments.clone_from(whole);
                }
            }
            "response.output_item.added" => {
                if let Some(item) = data.item {
                    self.open(*item, data.index.0, draft)?;
                }
                draft.show_progress();
            }
            "response.output_item.done" => {
                let own: OwnItem = read_partly(json);
                self.close(data, own.item.0.unwrap_or_default(), draft)?;
                draft.show_progress();
            }
            "response.created" | "response.queued" | "response.in_progress" => {
                draft.progress = Some(Progress::Working);
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                let Some(mut response) = data.response else {
                    return Err(BadReply::protocol("the stream's last event holds no response"));
                };
                if kind == "response.failed" {
                    response.status.0 = Some("failed".to_owned());
                }
                draft.is_done = true;
                self.complete(&mut response, json, draft)?;
                settle(&mut response, draft)?;
            }
            // A reply that is no stream.
            "" if draft.is_empty() => {
                let response: Response = read_partly(json);
                if response.output.is_some() {
                    reply::take(response, json, draft)?;
                    draft.is_done = true;
                }
            }
            // Keep-alives, and what a later version brings.
            _ => {}
        }
        Ok(())
    }

    /// The item that an event is about: by its id, by its index, or (for servers leave both out)
    /// the one opened last, unless that has another id.
    fn find(&mut self, id: &str, index: Option<u64>) -> Option<&mut OpenItem> {
        let open = &self.0;
        let by_id = open.iter().rposition(|open| !id.is_empty() && open.id == id);
        let by_index = || open.iter().rposition(|open| index.is_some() && open.index == index);
        let last = || {
            let last = open.last().filter(|last| id.is_empty() || last.id.is_empty());
            last.map(|_| open.len() - 1)
        };
        let at = by_id.or_else(by_index).or_else(last)?;
        self.0.get_mut(at)
    }

    fn find_of(&mut self, data: &Data) -> Option<&mut OpenItem> {
        self.find(data.item_id.as_str(), data.index.0)
    }

    fn open(&mut self, item: Item, index: Option<u64>, draft: &mut Draft) -> Result<(), BadReply> {
        if self.0.len() == 4 * CALLS_MAX {
            return Err(BadReply::TooManyCalls);
        }
        // The text and arguments of an item that is being opened come later.
        let id = item.id.as_str().to_owned();
        draft.keep(id.len() + item.name.as_str().len() + item.call_id.as_str().len())?;
        let arguments = item.arguments.text();
        let item = Item { arguments: Own::default(), ..item };
        self.0.push(OpenItem { id, index, item, text: None, arguments, own: None });
        Ok(())
    }

    fn add_text(&mut self, data: &Data, draft: &mut Draft) -> Result<(), BadReply> {
        if self.find_of(data).is_none() {
            // A server that opens no items.
            let item = Item { id: data.item_id.clone(), ..Item::default() };
            self.open(item, data.index.0, draft)?;
        }
        let delta = data.delta.as_str();
        let begun = self.find_of(data).and_then(|open| open.text);
        let from = match begun {
            Some((from, _)) => {
                draft.push_text(delta.to_owned())?;
                from
            }
            None => push_message(delta, draft)?,
        };
        let to = draft.text().len();
        if let Some(open) = self.find_of(data) {
            open.text = Some((from, to));
        }
        Ok(())
    }

    /// Takes the final form of an item in, and its text where that came in no delta.
    fn close(&mut self, data: Data, own: Opaque, draft: &mut Draft) -> Result<(), BadReply> {
        let Some(item) = data.item else { return Ok(()) };
        let (id, index) = (item.id.as_str().to_owned(), data.index.0);
        let is_open = self.find(&id, index).is_some_and(|open| open.own.is_none());
        if !is_open {
            self.open(Item { id: item.id.clone(), ..Item::default() }, index, draft)?;
        }
        draft.has_reasoned |= item.kind.as_str() == "reasoning";
        draft.keep(own.len())?;
        let said = self.find(&id, index).and_then(|open| open.text);
        let said = said.and_then(|(from, to)| draft.text().get(from..to)).unwrap_or_default();
        let text = whole(item.text());
        let missing = text.strip_prefix(said).unwrap_or_default().to_owned();
        match (item.kind.as_str(), said.is_empty()) {
            ("message", _) if missing.is_empty() => {}
            ("message", true) => drop(push_message(&missing, draft)?),
            ("message", false) => draft.push_text(missing)?,
            _ => {}
        }
        if let Some(open) = self.find(&id, index) {
            (open.item, open.own) = (*item, Some(own).filter(|own| !own.is_empty()));
        }
        Ok(())
    }

    /// Takes the facts that only the last event has.
    fn complete(
        &mut self,
        response: &mut Response,
        json: &str,
        draft: &mut Draft,
    ) -> Result<(), BadReply> {
        let items = response.output.take().unwrap_or_default();
        if self.0.is_empty() {
            for (item, own) in items.into_iter().zip(own_items(json)) {
                let data = Data { item: Some(item.into()), ..Data::default() };
                self.close(data, own, draft)?;
            }
        }
        if draft.text().is_empty() {
            // A refusal in no delta.
            let refusal: String = self.0.iter().map(|open| open.item.refusal()).collect();
            draft.set_refusal(refusal)?;
        }
        Ok(())
    }
}
