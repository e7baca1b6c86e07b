//! A request's body, and how one goes out that is made while it is sent.

use ureq::SendBody;
use ureq::http::{Request as HttpRequest, Response as HttpResponse};
use ureq::middleware::MiddlewareNext;

use super::call::Current;
use crate::splice::Streamed;

/// A body.
#[derive(Clone, Copy)]
pub(crate) enum Body<'a> {
    Bytes(&'a [u8]),
    Streamed(&'a Streamed),
}

/// Lets ureq read the call's body where it is streamed. (To pass ureq a reader in the first
/// place would bring much more of it into every program.)
pub(super) fn send_streamed(
    request: HttpRequest<SendBody<'_>>,
    next: MiddlewareNext<'_>,
) -> Result<HttpResponse<ureq::Body>, ureq::Error> {
    match Current::here()?.streamed.take() {
        Some(mut body) => next.handle(request.map(|_| SendBody::from_reader(&mut *body))),
        None => next.handle(request),
    }
}
