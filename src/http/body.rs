//! A request's body.

use crate::splice::Streamed;

/// A body.
#[derive(Clone, Copy)]
pub(crate) enum Body<'a> {
    Bytes(&'a [u8]),
    Streamed(&'a Streamed),
}
