//! The Responses API, as OpenAI and a growing number of other servers speak it.
//!
//! Nothing is kept at the provider unless the program says so: `store` is false, and what the
//! model thought goes back with the tools' results, encrypted as it came.
//!
//! Sources: openai/openai-openapi, openapi.yaml of 2026-08-21; the types of openai-python 3.57.0.

mod errors;
mod items;
mod reply;
mod request;
mod stream;

use std::borrow::Cow;

use crate::engine::draft::{BadReply, Draft};
use crate::engine::error_body::ErrorBody;
use crate::engine::json::Json;
use crate::engine::limits::LimitHeaders;
use crate::engine::protocol::{Ask, Protocol, ReadStream};
use crate::providers::chat_completions;
use crate::task::OpenAiApi;
use crate::task_error::ErrorKind;

/// The path below a base URL that ends in `/v1`.
pub(super) const PATH: &str = "/responses";

/// The protocol.
pub(super) struct Responses {
    cache_key: Option<String>,
}

impl Responses {
    /// With a key under which the provider keeps what it has read of a prompt, if there is one.
    pub(super) fn new(cache_key: Option<&str>) -> Self {
        Self { cache_key: cache_key.map(str::to_owned) }
    }
}

impl Protocol for Responses {
    fn path(&self, _: &Ask<'_>) -> Cow<'static, str> {
        PATH.into()
    }

    fn api(&self) -> Option<OpenAiApi> {
        Some(OpenAiApi::Responses)
    }

    fn write(&self, ask: &Ask<'_>) -> Json {
        request::write(ask, self.cache_key.as_deref())
    }

    fn read(&self, body: &[u8], draft: &mut Draft) -> Result<(), BadReply> {
        reply::read(body, draft)
    }

    fn stream(&self) -> Box<dyn ReadStream + '_> {
        Box::new(stream::Items::default())
    }

    fn kind_of_error(&self, status: u16, body: &ErrorBody) -> Option<ErrorKind> {
        errors::kind_of(status, body)
    }

    fn is_known_code(&self, code: &str) -> bool {
        errors::kind_of_code(code).is_some()
    }

    fn limit_headers(&self) -> &'static [LimitHeaders] {
        chat_completions::LIMITS
    }
}
