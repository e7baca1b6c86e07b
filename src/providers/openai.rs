//! ChatGPT: the OpenAI API, and any server that speaks it.

use super::openai_settings::{CACHE_KEY, SETTING};
use crate::config::{BackendType, HelperConfig, IDLE, Provider, TIMEOUT, TraceMode};

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
    refuse_param: super::REFUSE_PARAM,
    with_endpoint: None,
    #[cfg(feature = "http")]
    build: remote::build,
    #[cfg(not(feature = "http"))]
    build: super::not_linked,
};

impl HelperConfig {
    /// For the OpenAI API, or a server that speaks it.
    #[cfg_attr(docsrs, doc(cfg(feature = "http")))]
    #[doc(alias("openai", "gpt"))]
    pub fn chatgpt() -> Self {
        Self::of(&CHATGPT)
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
            (
                "openai-organization",
                &config.http.organization,
                "organization",
                ORGANIZATION_VARIABLE,
            ),
            ("openai-project", &config.http.project, "project", PROJECT_VARIABLE),
        ];
        for (header, given, setter, variable) in ids {
            let what = if given.is_some() { setter } else { variable };
            if let Some(id) = given.clone().or_else(|| env.variable(variable)) {
                plan = plan.header(header, what, &id)?;
            }
        }
        RemoteBackend::boxed(config, env, plan)
    }
}
