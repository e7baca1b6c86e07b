//! A complete reply of the Responses API.

use super::items::{Response, note_calls, own_items, push_message, settle};
use crate::engine::draft::{BadReply, Draft};
use crate::engine::error_body::ErrorBody;

/// Takes a complete reply in.
pub(super) fn read(body: &[u8], draft: &mut Draft) -> Result<(), BadReply> {
    let mut response: Response =
        serde_json::from_slice(body).map_err(|fault| BadReply::unreadable(body, &fault))?;
    let Some(items) = response.output.take() else {
        return Err(match ErrorBody::parse(body) {
            Some(error) => error.into(),
            None => BadReply::protocol("the server's answer holds no output: check api_endpoint"),
        });
    };
    settle(&mut response, draft)?;
    for item in &items {
        match item.kind.as_str() {
            "message" => {
                push_message(&item.text(), draft)?;
                draft.push_refusal(&item.refusal())?;
            }
            "reasoning" => draft.push_reasoning(&item.reasoning()),
            _ => {}
        }
    }
    if items.iter().any(|item| item.kind.as_str() == "function_call") {
        // What was just read is UTF-8.
        let own = own_items(std::str::from_utf8(body).unwrap_or_default());
        for (item, own) in items.into_iter().zip(own) {
            draft.keep(own.len())?;
            draft.push_part(item.into_part(Some(own)))?;
        }
    }
    note_calls(draft);
    Ok(())
}
