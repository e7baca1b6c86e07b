//! Anthropic: the Messages API, and any server that speaks it.
//!
//! Sources: the types of anthropic-sdk-python 2.14.0, and the API's public documentation as of
//! November 2026.

use std::time::Duration;

use crate::config::{BackendType, HelperConfig, Provider, TraceMode};

#[cfg(feature = "http")]
mod errors;
#[cfg(feature = "http")]
mod remote;
#[cfg(feature = "http")]
mod reply;
#[cfg(feature = "http")]
mod request;
#[cfg(feature = "http")]
mod stream;

#[cfg(feature = "_fuzz")]
pub(super) use remote::Messages;

/// Its models think before they answer.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Between two deltas of an answer the model may reason again.
const IDLE: Duration = Duration::from_secs(60);
/// The version of the API that is asked for. Gateways know this one, and newer servers still
/// take it.
#[cfg(feature = "http")]
const DEFAULT_VERSION: &str = "2023-06-01";
/// The setting that names another version.
const VERSION: &str = "anthropic_version";
const KEY_VARIABLE: &str = "ANTHROPIC_API_KEY";
const TOKEN_VARIABLE: &str = "ANTHROPIC_AUTH_TOKEN";

/// The Anthropic API.
pub(super) static ANTHROPIC: Provider = Provider {
    backend_type: BackendType::Anthropic,
    label: "Anthropic",
    vendor: Some("anthropic"),
    key_variables: &[KEY_VARIABLE, TOKEN_VARIABLE],
    base_variable: Some("ANTHROPIC_BASE_URL"),
    default_base: Some("https://api.anthropic.com"),
    default_model: None,
    timeout: TIMEOUT,
    idle_timeout: IDLE,
    trace: TraceMode::Off,
    settings: &[VERSION],
    refuse_param: super::REFUSE_PARAM,
    with_endpoint: None,
    #[cfg(feature = "http")]
    build: remote::build,
    #[cfg(not(feature = "http"))]
    build: super::not_linked,
};

impl HelperConfig {
    /// For the Anthropic API, or a server that speaks it. A [`model`](Self::model) is required.
    ///
    /// The key comes from `ANTHROPIC_API_KEY` (sent as `x-api-key`) or `ANTHROPIC_AUTH_TOKEN`
    /// (sent as a bearer token), the address from `ANTHROPIC_BASE_URL`, which ends before
    /// `/v1`. An answer has at most 4,096 tokens unless the parameter `max_tokens` says
    /// otherwise.
    #[cfg_attr(docsrs, doc(cfg(feature = "http")))]
    #[doc(alias = "claude")]
    pub fn anthropic() -> Self {
        Self::of(&ANTHROPIC)
    }

    /// The version of the Anthropic API that is asked for, such as `2026-10-21`. Defaults to
    /// `2023-06-01`. Only for helpers of [`anthropic`](Self::anthropic).
    #[must_use]
    pub fn anthropic_version(self, version: impl Into<String>) -> Self {
        self.setting(VERSION, version.into())
    }
}
