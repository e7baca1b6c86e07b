//! A model server on this device (llama.cpp, Ollama, LM Studio, vLLM), which speaks the Chat
//! Completions API, and Responses too as a rule.

use std::time::Duration;

use super::openai_settings::{CACHE_KEY, SETTING};
use crate::config::{BackendType, Provider, TraceMode};

/// A small device may read a long prompt for minutes.
const TIMEOUT: Duration = Duration::from_secs(300);
/// The device may be swapping.
const IDLE: Duration = Duration::from_secs(60);

/// A Local helper with an endpoint.
pub(super) static SERVER: Provider = Provider {
    backend_type: BackendType::Local,
    label: "Local",
    vendor: Some("local"),
    key_variables: &[],
    base_variable: None,
    default_base: None,
    default_model: None,
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

#[cfg(feature = "http")]
mod remote {
    use super::SERVER;
    use crate::backend::AiBackend;
    use crate::config::HelperConfig;
    use crate::engine::draft::BadReply;
    use crate::engine::error_body::ErrorBody;
    use crate::engine::{Model, Plan, RemoteBackend};
    use crate::env::Env;
    use crate::error::Error;
    use crate::lenient::{Label, lenient, read, utf8};
    use crate::providers::chat_completions::ChatCompletions;
    use crate::providers::openai_api::OpenAi;
    use crate::providers::{NO_PATH, base, key};

    const MODELS: &str = "/models";

    pub(super) fn build(config: &HelperConfig, env: &Env<'_>) -> Result<Box<dyn AiBackend>, Error> {
        let endpoint = base(config, &SERVER, env, NO_PATH)?;
        let (protocols, endpoint) =
            OpenAi::new(config, ChatCompletions::of_local_server(), endpoint)?;
        let (name, model) = match &config.model {
            Some(model) => (SERVER.backend_name(model), Model::Named(model.clone())),
            None => (SERVER.backend_name("server"), Model::first_listed(MODELS, first_model)),
        };
        let plan = Plan::new(name, endpoint, protocols, model);
        let plan = plan.key("authorization", "Bearer ", key(config, &SERVER, env))?;
        RemoteBackend::boxed(config, env, plan)
    }

    lenient! {
        /// The list of models that a server offers.
        ModelList { data: Vec<ModelEntry> = "data" | "models" }
    }

    lenient! {
        /// One model of the list.
        ModelEntry {
            id: Label = "id",
            model: Label = "model",
            name: Label = "name",
            // The model's purpose, where the server reports it.
            kind: Label = "type" | "task" | "model_type",
        }
    }

    /// Words in the names and kinds of models that do not chat.
    const NO_CHAT: [&str; 8] =
        ["embed", "rerank", "whisper", "tts", "speech", "moderation", "diffusion", "transcri"];

    impl ModelEntry {
        /// The model's name, if it has one that can be asked to chat.
        fn of_chat(self) -> Option<String> {
            let names = [self.id.0, self.model.0, self.name.0].into_iter().flatten();
            let is_name =
                |name: &String| !name.is_empty() && !name.chars().any(crate::text::is_control);
            let name = names.into_iter().find(is_name)?;
            let said = format!("{name} {}", self.kind.as_str()).to_ascii_lowercase();
            (!NO_CHAT.iter().any(|word| said.contains(word))).then_some(name)
        }
    }

    fn first_model(json: &[u8]) -> Result<Option<String>, BadReply> {
        let text = utf8(json);
        let unreadable = |fault| BadReply::unreadable(json, fault);
        let list = match text.trim_start().starts_with('[') {
            // The list alone.
            true => read::<Vec<ModelEntry>>(&text).map_err(unreadable)?.value,
            false => read::<ModelList>(&text).map_err(unreadable)?.value.data,
        };
        let name = list.into_iter().find_map(ModelEntry::of_chat);
        match ErrorBody::parse_beside(json, true) {
            Some(error) if name.is_none() => Err(error.into()),
            _ => Ok(name),
        }
    }
}
