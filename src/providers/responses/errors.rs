//! The API's error codes, beyond those that it shares with Chat Completions.

use crate::engine::error_body::ErrorBody;
use crate::providers::error_codes;
use crate::task_error::ErrorKind;

/// The beginning of codes about a picture that cannot be read.
const IMAGE_CODE_START: &str = "image_";
/// Ends of codes about a picture that the server could not get at, and others of that kind.
const POLICY_CODE_END: &str = "_policy";

/// The kind that an error's code names, or else its type.
pub(super) fn kind_of(status: u16, body: &ErrorBody) -> Option<ErrorKind> {
    let own = [body.code_name(), body.kind.as_deref()].into_iter().flatten().find_map(own_kind);
    own.or_else(|| error_codes::kind_of(status, body))
}

/// The kind that a code or type names, if it names one.
pub(super) fn kind_of_code(code: &str) -> Option<ErrorKind> {
    own_kind(code).or_else(|| error_codes::kind_of_code(code))
}

/// The same for the codes that Chat Completions does not have.
fn own_kind(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "invalid_prompt" | "invalid_image" => ErrorKind::InvalidRequest,
        "image_content_policy_violation" => ErrorKind::ContentFiltered,
        _ if code.ends_with(POLICY_CODE_END) => ErrorKind::ContentFiltered,
        _ if code.starts_with(IMAGE_CODE_START) => ErrorKind::InvalidRequest,
        _ => return None,
    })
}
