//! The providers, one file or folder each, and their registry.
//!
//! A provider's file holds a static [`Provider`] (its data and how its backend is made) and, where
//! it speaks HTTP, an implementation of [`Protocol`](crate::engine::protocol::Protocol), unless
//! it speaks one that is there. `recipe.rs` is the shortest one that does everything: a
//! model for the next. `error_codes` and `finish_reason` have the words of all servers.

mod anthropic;
#[cfg(feature = "http")]
mod chat_completions;
mod comet;
mod config_json;
mod custom;
mod embedded;
#[cfg(feature = "http")]
mod error_codes;
#[cfg(feature = "http")]
mod finish_reason;
#[cfg(feature = "_fuzz")]
pub(crate) mod fuzzing;
mod local_server;
mod openai;
#[cfg(feature = "http")]
mod openai_api;
mod openai_settings;
#[cfg(test)]
mod recipe;
#[cfg(feature = "http")]
mod responses;

use serde_json::Value;

use crate::config::{BackendType, HelperConfig, Provider};
use crate::task::RefuseParam;

/// Every provider. [`BackendType`]s, names in JSON and the words of errors are looked up here.
static ALL: &[&Provider] =
    &[&openai::CHATGPT, &comet::COMET, &embedded::LOCAL, &anthropic::ANTHROPIC, &custom::CUSTOM];

impl Provider {
    /// Every provider that this library knows.
    pub fn all() -> &'static [&'static Provider] {
        ALL
    }
}

impl HelperConfig {
    /// A configuration with every default. (The short forms, such as
    /// [`chatgpt`](Self::chatgpt), link one provider's code alone; this one links them all.)
    pub fn new(backend_type: BackendType) -> Self {
        let found = ALL.iter().find(|provider| provider.backend_type == backend_type);
        Self::of(found.unwrap_or(&&custom::CUSTOM))
    }
}

/// The custom parameters that no provider behind HTTP is sent. (Without HTTP there is none.)
const REFUSE_PARAM: Option<RefuseParam> =
    if cfg!(feature = "http") { Some(refuse_param) } else { None };

/// Refuses fields that the protocols write themselves, and values that would lose a part of what
/// the program asks for.
fn refuse_param(key: &str, value: &Value) -> Option<&'static str> {
    match key {
        "messages" | "input" | "stream" => {
            Some("the request's own methods write it (turn, context, on_text)")
        }
        "n" if value.as_u64() != Some(1) => {
            Some("a task has one answer; submit a task for each that you want")
        }
        "tools" if !value.is_array() => Some("it must be a list"),
        _ => None,
    }
}

/// Stands for a backend that this build has not linked.
#[cfg(not(feature = "http"))]
fn not_linked(
    _: &HelperConfig,
    _: &crate::env::Env<'_>,
) -> Result<Box<dyn crate::backend::AiBackend>, crate::error::Error> {
    Err(crate::error::Error::Unsupported { what: "a backend behind HTTP", feature: "http" })
}

#[cfg(feature = "http")]
mod lookup {
    use crate::config::{HelperConfig, Provider};
    use crate::env::Env;
    use crate::error::Error;
    use crate::http::Endpoint;
    use crate::secret::Secret;

    /// The base URL: the configuration's, the environment's, or the provider's own. A full URL
    /// of the call at `path` is taken for its base.
    pub(super) fn base(
        config: &HelperConfig,
        provider: &Provider,
        env: &Env<'_>,
        path: &str,
    ) -> Result<Endpoint, Error> {
        let set = || provider.base_variable.and_then(|name| env.variable(name));
        let given = config.api_endpoint.clone().or_else(set);
        Endpoint::parse(given.as_deref().or(provider.default_base).unwrap_or_default(), path)
    }

    /// For [`base`]: the endpoint's path is the caller's to look at.
    pub(super) const NO_PATH: &str = "";

    /// The key: the configuration's, or the environment's.
    pub(super) fn key(config: &HelperConfig, provider: &Provider, env: &Env<'_>) -> Option<Secret> {
        let mut variables = provider.key_variables.iter();
        config.api_key.clone().or_else(|| variables.find_map(|name| env.secret(name)))
    }

    /// A key that only this device itself can do without.
    pub(super) fn key_or_loopback(
        config: &HelperConfig,
        provider: &Provider,
        env: &Env<'_>,
        endpoint: &Endpoint,
    ) -> Result<Option<Secret>, Error> {
        match (key(config, provider, env), provider.key_variables.first()) {
            (None, Some(variable))
                if !endpoint.is_loopback() && config.http.headers.0.is_empty() =>
            {
                Err(Error::MissingKey { variable })
            }
            (key, _) => Ok(key),
        }
    }
}

#[cfg(feature = "http")]
use lookup::{NO_PATH, base, key, key_or_loopback};

#[cfg(all(test, feature = "http"))]
mod memory_tests;
#[cfg(all(test, feature = "http"))]
mod support_tests;
#[cfg(test)]
mod tests;
