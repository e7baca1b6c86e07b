//! A complete reply of the Responses API.

use super::items::{Item, Response, note_calls, own_items, push_message, settle};
use crate::engine::draft::{BadReply, Draft};
use crate::engine::error_body::ErrorBody;
use crate::engine::payload::whole;

/// Takes a complete reply in.
pub(super) fn read(body: &[u8], draft: &mut Draft) -> Result<(), BadReply> {
    let (json, response) = whole(body, draft)?;
    take(response, &json, draft)
}

/// Takes a complete reply in, whose JSON this is.
pub(super) fn take(mut response: Response, json: &str, draft: &mut Draft) -> Result<(), BadReply> {
    let Some(items) = response.output.take() else {
        return Err(match ErrorBody::parse(json.as_bytes()) {
            Some(error) => error.into(),
            None => BadReply::protocol("the server's answer holds no output: check api_endpoint"),
        });
    };
    let settled = settle(&mut response, draft);
    for item in &items {
        match item.kind.as_str() {
            "message" => {
                push_message(&item.text(), draft)?;
                draft.push_refusal(&item.refusal())?;
            }
            "reasoning" => {
                draft.has_reasoned = true;
                draft.push_reasoning(&item.reasoning());
            }
            _ => {}
        }
    }
    // Text before an error stays readable.
    settled?;
    if items.iter().any(Item::is_call) {
        for (item, own) in items.into_iter().zip(own_items(json)) {
            draft.keep(own.len())?;
            draft.push_part(item.into_part(Some(own), String::new()))?;
        }
    }
    note_calls(draft);
    Ok(())
}
