//! ChatGPT: the OpenAI API, and any server that speaks it.

use crate::config::{BackendType, HelperConfig, IDLE, Provider, TIMEOUT, TraceMode};
use crate::task::OpenAiApi;

/// The setting that names an API.
pub(super) const SETTING: &str = "openai_api";
/// The setting with a key for the provider's cache of prompts.
pub(super) const CACHE_KEY: &str = "prompt_cache_key";

/// The OpenAI API.
pub(super) static CHATGPT: Provider = Provider {
    backend_type: BackendType::ChatGpt,
    label: "ChatGPT",
    vendor: Some("openai"),
    key_variables: &["OPENAI_API_KEY"],
    base_variable: Some("OPENAI_BASE_URL"),
    default_base: Some("https://api.openai.com/v1"),
    default_model: Some("gpt-4o-mini"),
    timeout: TIMEOUT,
    idle_timeout: IDLE,
    trace: TraceMode::Off,
    settings: &[SETTING, CACHE_KEY],
    with_endpoint: None,
    #[cfg(feature = "http")]
    build: remote::build,
    #[cfg(not(feature = "http"))]
    build: super::not_linked,
};

impl HelperConfig {
    /// For the OpenAI API, or a server that speaks it.
    pub fn chatgpt() -> Self {
        Self::of(&CHATGPT)
    }
}

impl HelperConfig {
    /// Which of OpenAI's APIs is spoken, at ChatGPT and a Local model server. Defaults to
    /// [`OpenAiApi::Auto`]: the full URL of one of the calls as endpoint decides; else Responses at
    /// `api.openai.com`, unless a parameter is set that Chat Completions alone has (`seed`, `stop`,
    /// `n`, …), and Chat Completions elsewhere. Where the server's rejection names the other API,
    /// the request is sent there once, as a further attempt that is no retry, and the helper
    /// remembers it for that model.
    #[must_use]
    pub fn openai_api(self, api: OpenAiApi) -> Self {
        self.setting(SETTING, api.as_str().to_owned())
    }

    /// A key under which OpenAI keeps what it has read of a prompt, so that prompts with the same
    /// beginning cost less; at ChatGPT and a Local model server. Defaults to none.
    #[must_use]
    pub fn prompt_cache_key(self, key: impl Into<String>) -> Self {
        self.setting(CACHE_KEY, key.into())
    }
}

#[cfg(feature = "http")]
mod remote {
    use super::CHATGPT;
    use crate::backend::AiBackend;
    use crate::config::HelperConfig;
    use crate::engine::{Model, Plan, RemoteBackend};
    use crate::env::Env;
    use crate::error::Error;
    use crate::providers::chat_completions::ChatCompletions;
    use crate::providers::openai_api::OpenAi;
    use crate::providers::{NO_PATH, base, key_or_loopback};

    const ORGANIZATION_VARIABLE: &str = "OPENAI_ORG_ID";
    const PROJECT_VARIABLE: &str = "OPENAI_PROJECT_ID";

    pub(super) fn build(config: &HelperConfig, env: &Env<'_>) -> Result<Box<dyn AiBackend>, Error> {
        let endpoint = base(config, &CHATGPT, env, NO_PATH)?;
        let key = key_or_loopback(config, &CHATGPT, env, &endpoint)?;
        let (protocols, endpoint) = OpenAi::new(config, ChatCompletions::new(), endpoint)?;
        let model = config.model_or_default();
        let (name, model) = (CHATGPT.backend_name(model), Model::Named(model.to_owned()));
        let mut plan =
            Plan::new(name, endpoint, protocols, model).key("authorization", "Bearer ", key)?;
        let ids = [
            ("openai-organization", &config.http.organization, ORGANIZATION_VARIABLE),
            ("openai-project", &config.http.project, PROJECT_VARIABLE),
        ];
        for (header, given, variable) in ids {
            if let Some(id) = given.clone().or_else(|| env.variable(variable)) {
                plan = plan.header(header, variable, &id)?;
            }
        }
        RemoteBackend::boxed(config, env, plan)
    }
}
