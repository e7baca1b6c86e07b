//! Reading a reply's body, within a bound.

use crate::engine::failure::Failure;
use crate::http::Response;
use crate::task_error::{ErrorKind, TaskError};

/// How much is read at once.
pub(super) const READ_BYTES: usize = 4 << 10;
/// Largest first allocation for a reply, whatever length the server announces.
const REPLY_BYTES_FIRST: usize = 64 << 10;

/// Reads a body to its end, or to the bound (`false`).
pub(super) fn read_to(
    response: &mut Response<'_>,
    body: &mut Vec<u8>,
    bound: usize,
) -> Result<bool, Failure> {
    loop {
        let filled = body.len();
        // One byte more than allowed shows that there is more.
        let spare = READ_BYTES.min(bound.saturating_sub(filled).saturating_add(1));
        body.resize(filled + spare, 0);
        let outcome = response.read(&mut body[filled..]);
        body.truncate(filled + *outcome.as_ref().unwrap_or(&0));
        match outcome? {
            0 => return Ok(true),
            _ if body.len() > bound => return Ok(false),
            _ => response.progress(),
        }
    }
}

/// Reads a reply to its end.
pub(super) fn read_complete(response: &mut Response<'_>, bound: usize) -> Result<Vec<u8>, Failure> {
    read_on(response, Vec::new(), bound)
}

/// Reads a reply to its end that has begun with these bytes.
pub(super) fn read_on(
    response: &mut Response<'_>,
    mut body: Vec<u8>,
    bound: usize,
) -> Result<Vec<u8>, Failure> {
    let announced = response.header("content-length").and_then(|text| text.parse::<u64>().ok());
    let announced = usize::try_from(announced.unwrap_or(0)).unwrap_or(usize::MAX);
    if announced <= bound {
        body.reserve(announced.min(REPLY_BYTES_FIRST).saturating_sub(body.len()));
        if read_to(response, &mut body, bound)? {
            return Ok(body);
        }
    }
    Err(too_large(bound))
}

pub(super) fn too_large(bound: usize) -> Failure {
    Failure::last(TaskError::new(
        ErrorKind::ResponseTooLarge,
        format!("the answer has more than {bound} bytes: raise max_reply_bytes, or ask for less"),
    ))
}
