//! Which of OpenAI's two APIs is spoken: the one that is set, or the one that fits.
//!
//! There is no list of models here: OpenAI's own address has Responses for all of them, nearly
//! every other server has Chat Completions, and a server that wants the other one says so.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::chat_completions::{self, ChatCompletions};
use super::openai_settings::{CACHE_KEY, SETTING};
use super::responses::{self, Responses};
use crate::config::HelperConfig;
use crate::engine::error_body::ErrorBody;
use crate::engine::protocol::{Ask, Protocol, Protocols};
use crate::error::Error;
use crate::http::Endpoint;
use crate::task::OpenAiApi;

/// The host that has Responses for every model.
const OPENAI_HOST: &str = "api.openai.com";
/// Parameters that Chat Completions alone has.
const CHAT_ONLY: &[&str] = &[
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "modalities",
    "n",
    "prediction",
    "presence_penalty",
    "reasoning_effort",
    "response_format",
    "seed",
    "stop",
    "stream_options",
    "verbosity",
    "web_search_options",
];
/// Beginnings of ids that a rejection holds where it is about an item, not about the address.
const ITEM_ID_STARTS: &[&str] = &["rs_", "fc_", "resp_", "msg_"];
/// Models for which a switch is remembered; a helper asks for one or two as a rule.
const MODELS_MAX: usize = 16;

/// Both APIs, and which of them to speak.
pub(super) struct OpenAi {
    chat: ChatCompletions,
    responses: Responses,
    /// The one to begin with.
    first: OpenAiApi,
    /// Whether the other one may be spoken instead.
    may_change: bool,
    /// Models that the other one has answered for.
    changed: Mutex<Vec<String>>,
}

impl OpenAi {
    /// The APIs at this address, and the address without the path of either.
    ///
    /// # Errors
    ///
    /// Where the configuration names no API that there is.
    pub(super) fn new(
        config: &HelperConfig,
        chat: ChatCompletions,
        endpoint: Endpoint,
    ) -> Result<(Self, Endpoint), Error> {
        let name = config.setting_of(SETTING).unwrap_or(OpenAiApi::Auto.as_str());
        let Some(set) = OpenAiApi::ALL.into_iter().find(|api| api.as_str() == name) else {
            let names = OpenAiApi::ALL.map(OpenAiApi::as_str).join(", ");
            return Err(Error::InvalidConfig(format!("unknown {SETTING}; there are: {names}")));
        };
        let by_path = [
            (chat_completions::PATH, OpenAiApi::ChatCompletions),
            (responses::PATH, OpenAiApi::Responses),
        ];
        let full = by_path.into_iter().find(|(path, _)| endpoint.ends_with(path));
        let endpoint = full.map_or(endpoint.clone(), |(path, _)| endpoint.clone().without(path));
        let (first, may_change) = match (set, full) {
            (OpenAiApi::Auto, Some((_, api))) => (api, false),
            (OpenAiApi::Auto, None) if endpoint.host() == OPENAI_HOST => {
                (OpenAiApi::Responses, true)
            }
            (OpenAiApi::Auto, None) => (OpenAiApi::ChatCompletions, true),
            (set, _) => (set, false),
        };
        let key = config.setting_of(CACHE_KEY);
        let (chat, responses) = (chat.cache_key(key), Responses::new(key));
        let changed = Mutex::default();
        Ok((Self { chat, responses, first, may_change, changed }, endpoint))
    }

    fn of(&self, api: OpenAiApi) -> &dyn Protocol {
        match api {
            OpenAiApi::Responses => &self.responses,
            OpenAiApi::ChatCompletions | OpenAiApi::Auto => &self.chat,
        }
    }

    fn changed(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn api_for(&self, ask: &Ask<'_>) -> OpenAiApi {
        if !self.may_change {
            return self.first;
        }
        if is_chat_only(ask) {
            return OpenAiApi::ChatCompletions;
        }
        let is_changed = self.changed().iter().any(|model| model == model_of(ask));
        if is_changed { other(self.first) } else { self.first }
    }
}

fn other(api: OpenAiApi) -> OpenAiApi {
    match api {
        OpenAiApi::Responses => OpenAiApi::ChatCompletions,
        OpenAiApi::ChatCompletions | OpenAiApi::Auto => OpenAiApi::Responses,
    }
}

fn is_chat_only(ask: &Ask<'_>) -> bool {
    CHAT_ONLY.iter().any(|key| ask.param(key).is_some())
}

fn model_of<'a>(ask: &Ask<'a>) -> &'a str {
    ask.param("model").and_then(Value::as_str).unwrap_or(ask.model)
}

impl Protocols for OpenAi {
    fn choose(&self, ask: &Ask<'_>) -> &dyn Protocol {
        self.of(self.api_for(ask))
    }

    fn instead(&self, ask: &Ask<'_>, status: u16, body: &ErrorBody) -> Option<&dyn Protocol> {
        if !self.may_change || is_chat_only(ask) {
            return None;
        }
        let spoken = self.api_for(ask);
        let names_other = match spoken {
            OpenAiApi::Responses => names_chat(status, body),
            OpenAiApi::ChatCompletions | OpenAiApi::Auto => names_responses(ask, status, body),
        };
        names_other.then(|| self.of(other(spoken)))
    }

    fn remember(&self, ask: &Ask<'_>, answered: &dyn Protocol) {
        let model = model_of(ask).to_owned();
        let mut changed = self.changed();
        changed.retain(|other| *other != model);
        if answered.api() != Some(self.first) {
            changed.truncate(MODELS_MAX - 1);
            changed.insert(0, model);
        }
    }
}

/// Whether a rejection by Chat Completions says that Responses has what is asked for.
fn names_responses(ask: &Ask<'_>, status: u16, body: &ErrorBody) -> bool {
    let message = body.message.as_deref().unwrap_or_default();
    let is_about = |param| body.param.as_deref() == Some(param);
    let is_bad_request = body.kind.as_deref() == Some("invalid_request_error");
    match status {
        400 if is_about("reasoning_effort") && !ask.tools.is_empty() => true,
        404 if is_about("model") && message.contains("not a chat model") => true,
        400 | 404 => is_bad_request && message.contains("v1/responses"),
        _ => false,
    }
}

/// Whether a rejection by Responses says that there is Chat Completions only.
fn names_chat(status: u16, body: &ErrorBody) -> bool {
    let message = body.message.as_deref().unwrap_or_default();
    if message.contains("chat/completions") {
        return true;
    }
    let is_about_item = ITEM_ID_STARTS.iter().any(|start| message.contains(start));
    matches!(status, 404 | 405 | 501)
        && body.code_name() != Some("model_not_found")
        && !is_about_item
}
