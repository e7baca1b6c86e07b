//! The protocol as the engine sees it, and where its server is.

use std::borrow::Cow;

use super::{ANTHROPIC, DEFAULT_VERSION, KEY_VARIABLE, TOKEN_VARIABLE, VERSION};
use super::{errors, reply, request, stream};
use crate::backend::AiBackend;
use crate::config::HelperConfig;
use crate::engine::draft::{BadReply, Draft};
use crate::engine::error_body::ErrorBody;
use crate::engine::json::Json;
use crate::engine::limits::LimitHeaders;
use crate::engine::protocol::{Ask, Protocol, ReadStream};
use crate::engine::{Model, Plan, RemoteBackend};
use crate::env::Env;
use crate::error::Error;
use crate::providers::base;
use crate::task_error::ErrorKind;

const PATH: &str = "/v1/messages";
/// The base URL has no version; one that is given with it is taken for the same.
const VERSION_PATH: &str = "/v1";
const LIMITS: &[LimitHeaders] = &[
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
];

pub(super) fn build(config: &HelperConfig, env: &Env<'_>) -> Result<Box<dyn AiBackend>, Error> {
    let Some(model) = config.model.clone() else {
        return Err(Error::InvalidConfig(
            "an Anthropic helper needs a model, such as claude-sonnet-5: set it with \
             HelperConfig::model"
                .to_owned(),
        ));
    };
    let endpoint = base(config, &ANTHROPIC, env, PATH)?.without(VERSION_PATH);
    let key = config.api_key.clone().or_else(|| env.secret(KEY_VARIABLE));
    let token = if key.is_none() { env.secret(TOKEN_VARIABLE) } else { None };
    let known = key.is_some() || token.is_some() || !config.http.headers.0.is_empty();
    if !known && !endpoint.is_loopback() {
        return Err(Error::MissingKey { variable: KEY_VARIABLE });
    }
    let version = config.setting_of(VERSION).unwrap_or(DEFAULT_VERSION);
    let name = ANTHROPIC.backend_name(&model);
    let plan = Plan::new(name, endpoint, Messages, Model::Named(model))
        .header("anthropic-version", VERSION, version)?
        .key("x-api-key", "", key)?
        .key("authorization", "Bearer ", token)?;
    RemoteBackend::boxed(config, env, plan)
}

/// The Messages API.
pub(in crate::providers) struct Messages;

impl Protocol for Messages {
    fn path(&self, _: &Ask<'_>) -> Cow<'static, str> {
        PATH.into()
    }

    fn write(&self, ask: &Ask<'_>) -> Json {
        request::write(ask)
    }

    fn read(&self, body: &[u8], draft: &mut Draft) -> Result<(), BadReply> {
        reply::read(body, draft)
    }

    fn stream(&self) -> Box<dyn ReadStream + '_> {
        Box::new(stream::Blocks::default())
    }

    fn kind_of_error(&self, status: u16, body: &ErrorBody) -> Option<ErrorKind> {
        errors::kind_of(status, body)
    }

    fn is_known_code(&self, code: &str) -> bool {
        errors::kind_of_type(code).is_some()
    }

    fn limit_headers(&self) -> &'static [LimitHeaders] {
        LIMITS
    }

    fn request_id_header(&self) -> &'static str {
        "request-id"
    }

    /// A rate limit that does not say when it ends is no matter of seconds.
    fn may_retry(&self, _: u16, kind: ErrorKind, names_wait: bool) -> bool {
        kind != ErrorKind::RateLimited || names_wait
    }
}
