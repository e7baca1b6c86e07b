//! Comet: the Opik LLM gateway, which speaks the Chat Completions API with some words of its own.

use std::time::Duration;

use crate::config::{BackendType, HelperConfig, IDLE, Provider, TraceMode};

/// The gateway itself retries three times with 60 s each behind a 90 s proxy.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The gateway.
pub(super) static COMET: Provider = Provider {
    backend_type: BackendType::Comet,
    label: "Comet",
    // The gateway names it in its replies.
    vendor: None,
    key_variables: &["OPIK_API_KEY"],
    base_variable: Some("OPIK_URL_OVERRIDE"),
    default_base: Some("https://www.comet.com/opik/api"),
    default_model: None,
    timeout: TIMEOUT,
    idle_timeout: IDLE,
    trace: TraceMode::Metadata,
    settings: &[],
    refuse_param: super::REFUSE_PARAM,
    with_endpoint: None,
    #[cfg(feature = "http")]
    build: remote::build,
    #[cfg(not(feature = "http"))]
    build: super::not_linked,
};

impl HelperConfig {
    /// For the Opik LLM gateway of Comet.
    #[cfg_attr(docsrs, doc(cfg(feature = "http")))]
    pub fn comet() -> Self {
        Self::of(&COMET)
    }
}

#[cfg(feature = "http")]
mod remote {
    use super::COMET;
    use crate::backend::AiBackend;
    use crate::config::HelperConfig;
    use crate::engine::{Model, Plan, RemoteBackend};
    use crate::env::Env;
    use crate::error::Error;
    use crate::http::Endpoint;
    use crate::opik_account::{
        BASE_VARIABLE, DEFAULT_BASE, DEFAULT_WORKSPACE, KEY_VARIABLE, OpikFile, WORKSPACE_VARIABLE,
        base_of_key, is_cloud,
    };
    use crate::providers::chat_completions::ChatCompletions;
    use crate::providers::key;

    const PATH: &str = "/v1/private/chat/completions";
    /// Where the gateway names who runs the model.
    const PROVIDER_HEADER: &str = "x-opik-provider";

    pub(super) fn build(config: &HelperConfig, env: &Env<'_>) -> Result<Box<dyn AiBackend>, Error> {
        // Opik's own file may set values that the environment does not.
        let explicit = config.api_key.is_some() && config.api_endpoint.is_some();
        let file = OpikFile::behind(explicit, env)?;
        let env = &Env { read: &|name| file.or_env(env, name) };
        let Some(model) = config.model.clone() else {
            return Err(Error::InvalidConfig(
                "a Comet helper needs a model: the gateway finds the provider by its name, such \
                 as gpt-4o-mini or openrouter/…; set it with HelperConfig::model"
                    .to_owned(),
            ));
        };
        let key = key(config, &COMET, env);
        let given = config.api_endpoint.clone().or_else(|| env.variable(BASE_VARIABLE));
        let from_key = || key.as_ref().and_then(|key| base_of_key(key.reveal()));
        let base = given.or_else(from_key);
        let endpoint = Endpoint::parse(base.as_deref().unwrap_or(DEFAULT_BASE), PATH)?;
        if key.is_none() && is_cloud(endpoint.host()) {
            return Err(Error::MissingKey { variable: KEY_VARIABLE });
        }
        let protocol = ChatCompletions::of_gateway(PATH, PROVIDER_HEADER);
        let with_key = key.is_some();
        let name = COMET.backend_name(&model);
        // No `Bearer` here.
        let mut plan = Plan::new(name, endpoint, protocol, Model::Named(model)).key(
            "authorization",
            "",
            key,
        )?;
        let workspace = config.http.workspace.clone();
        let workspace = workspace.or_else(|| env.variable(WORKSPACE_VARIABLE));
        let default = || with_key.then(|| DEFAULT_WORKSPACE.to_owned());
        if let Some(workspace) = workspace.or_else(default) {
            plan = plan.header("comet-workspace", "the workspace", &workspace)?;
        }
        RemoteBackend::boxed(config, env, plan)
    }
}
