//! A stream of the Responses API, put together. Pure: no socket, no clock.

use super::items::{Item, Response, note_calls, own_items, push_message, settle};
use crate::engine::draft::{BadReply, CALLS_MAX, Draft, Progress};
use crate::engine::error_body::{ErrorBody, ErrorField, ErrorFields};
use crate::engine::json::member;
use crate::engine::message::Opaque;
use crate::engine::protocol::ReadStream;
use crate::engine::sse::SseEvent;
use crate::lenient::{Code, Count, Text, lenient};

lenient! {
    /// The data of any event.
    Data {
        kind: Text = "type",
        item_id: Text = "item_id",
        index: Count = "output_index",
        delta: Text = "delta",
        arguments: Text = "arguments",
        item: Option<Item> = "item",
        response: Option<Response> = "response",
        error: ErrorField = "error",
        message: Text = "message",
        code: Code = "code",
    }
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
        let Some((name, json)) = event.typed() else { return Ok(()) };
        let data: Data = serde_json::from_slice(json)
            .map_err(|fault| BadReply::unreadable(json, &fault).within_stream())?;
        let kind = data.kind.0.clone().filter(|kind| !kind.is_empty());
        let kind = kind.unwrap_or_else(|| String::from_utf8_lossy(name).into_owned());
        let json = std::str::from_utf8(json).unwrap_or_default();
        self.take(&kind, data, json, draft)
    }

    fn end(&mut self, draft: &mut Draft) -> Result<(), BadReply> {
        let items = std::mem::take(&mut self.0);
        if items.iter().any(|open| open.item.kind.as_str() == "function_call") {
            for mut open in items {
                if open.own.is_none() {
                    open.item.arguments.0 = Some(open.arguments).filter(|text| !text.is_empty());
                }
                draft.push_part(open.item.into_part(open.own.as_deref()))?;
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
                draft.keep(data.delta.as_str().len())?;
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
                self.open(data, draft)?;
                draft.show_progress();
            }
            "response.output_item.done" => {
                self.close(data, member(json, "item").unwrap_or_default(), draft)?;
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
                self.complete(&mut response, member(json, "response").unwrap_or_default(), draft)?;
                settle(&mut response, draft)?;
            }
            _ => {
                let fields = ErrorFields {
                    error: data.error,
                    message: data.message,
                    code: data.code,
                    ..ErrorFields::default()
                };
                // Keep-alives, and what a later version brings, are no errors.
                if let Some(error) = ErrorBody::of(fields, kind != "error" && !kind.is_empty()) {
                    return Err(error.into());
                }
                if kind == "error" {
                    return Err(ErrorBody::default().into());
                }
            }
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

    fn open(&mut self, data: Data, draft: &mut Draft) -> Result<(), BadReply> {
        let Some(item) = data.item else { return Ok(()) };
        if self.0.len() == 4 * CALLS_MAX {
            return Err(BadReply::TooManyCalls);
        }
        // The text and arguments of an item that is being opened come later.
        let id = item.id.as_str().to_owned();
        draft.keep(id.len() + item.name.as_str().len() + item.call_id.as_str().len())?;
        let arguments = item.arguments.0.clone().unwrap_or_default();
        let index = data.index.0;
        self.0.push(OpenItem { id, index, item, text: None, arguments, own: None });
        Ok(())
    }

    fn add_text(&mut self, data: &Data, draft: &mut Draft) -> Result<(), BadReply> {
        if self.find_of(data).is_none() {
            // A server that opens no items.
            let item = Item { id: Text(data.item_id.0.clone()), ..Item::default() };
            let opened = Data { item: Some(item), index: data.index, ..Data::default() };
            self.open(opened, draft)?;
        }
        let delta = data.delta.as_str();
        let is_first = self.find_of(data).is_some_and(|open| open.text.is_none());
        if is_first {
            push_message(delta, draft)?;
        } else {
            draft.push_text(delta.to_owned())?;
        }
        let to = draft.text().len();
        if let Some(open) = self.find_of(data) {
            let (from, _) = *open.text.get_or_insert((to - delta.len(), to));
            open.text = Some((from, to));
        }
        Ok(())
    }

    /// Takes the final form of an item in, and its text where that came in no delta.
    fn close(&mut self, data: Data, own: &str, draft: &mut Draft) -> Result<(), BadReply> {
        let Some(item) = data.item else { return Ok(()) };
        let (id, index) = (item.id.as_str().to_owned(), data.index.0);
        let is_open = self.find(&id, index).is_some_and(|open| open.own.is_none());
        if !is_open {
            let opened = Item { id: Text(Some(id.clone())), ..Item::default() };
            let data = Data { item: Some(opened), index: data.index, ..Data::default() };
            self.open(data, draft)?;
        }
        draft.keep(own.len())?;
        let said = self.find(&id, index).and_then(|open| open.text);
        let said = said.and_then(|(from, to)| draft.text().get(from..to)).unwrap_or_default();
        let text = item.text();
        let missing = text.strip_prefix(said).unwrap_or_default().to_owned();
        match (item.kind.as_str(), said.is_empty()) {
            ("message", _) if missing.is_empty() => {}
            ("message", true) => push_message(&missing, draft)?,
            ("message", false) => draft.push_text(missing)?,
            _ => {}
        }
        if let Some(open) = self.find(&id, index) {
            (open.item, open.own) = (item, Some(own.into()));
        }
        Ok(())
    }

    /// Takes in what the last event alone told.
    fn complete(
        &mut self,
        response: &mut Response,
        own: &str,
        draft: &mut Draft,
    ) -> Result<(), BadReply> {
        let items = response.output.take().unwrap_or_default();
        if self.0.is_empty() {
            for (item, own) in items.into_iter().zip(own_items(own)) {
                let data = Data { item: Some(item), ..Data::default() };
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
