//! Which API a story is told over, and whether a real model must answer.

use std::ffi::OsString;
use std::io::{Error, Result};

use automation_assistant::{HelperConfig, OpenAiApi};

use super::{ANY, Answers, Canned, local_server, openai, variable};

/// The model asked for over Messages unless `ANTHROPIC_MODEL` names another.
const ANTHROPIC_MODEL: &str = "claude-sonnet-5";
/// What brings real answers over Messages.
const ANTHROPIC: &str = "DEMO_LOCAL_ENDPOINT (a model server), ANTHROPIC_BASE_URL, \
                         ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN";

/// An API that models are asked over.
#[derive(Clone, Copy)]
pub(super) enum Api {
    OpenAi(OpenAiApi),
    Anthropic,
}

const APIS: [(&str, Api, &str); 3] = [
    ("chat", Api::OpenAi(OpenAiApi::ChatCompletions), "Chat Completions"),
    ("responses", Api::OpenAi(OpenAiApi::Responses), "Responses"),
    ("anthropic", Api::Anthropic, "Anthropic's Messages"),
];

impl Api {
    /// A helper's configuration that lacks only the address and the model.
    pub(super) fn config(self) -> HelperConfig {
        match self {
            Self::OpenAi(api) => HelperConfig::chatgpt().openai_api(api),
            Self::Anthropic => HelperConfig::anthropic(),
        }
    }

    /// Who is asked over it, if the environment names somebody.
    fn real(self) -> Option<(HelperConfig, String)> {
        match self {
            Self::OpenAi(api) => {
                let (config, told) = steady_server().or_else(openai)?;
                Some((config.openai_api(api), told))
            }
            Self::Anthropic => {
                let model = variable("ANTHROPIC_MODEL").unwrap_or(ANTHROPIC_MODEL.to_owned());
                let config = self.config().model(model);
                if let Some(url) = variable("DEMO_LOCAL_ENDPOINT") {
                    let told = "from the model server on this device.".to_owned();
                    return Some((steady(config.api_endpoint(url)), told));
                }
                let key =
                    || variable("ANTHROPIC_API_KEY").or_else(|| variable("ANTHROPIC_AUTH_TOKEN"));
                let told = match variable("ANTHROPIC_BASE_URL") {
                    Some(_) => "from the server that ANTHROPIC_BASE_URL names.",
                    None => key().map(|_| "from Anthropic.")?,
                };
                Some((config, told.to_owned()))
            }
        }
    }
}

/// For a small model on this device, which calls tools and comes to an end best so. Elsewhere it
/// is not sent: models that think refuse it.
fn steady(config: HelperConfig) -> HelperConfig {
    config.custom_param("temperature", 0)
}

fn steady_server() -> Option<(HelperConfig, String)> {
    local_server().map(|(config, told)| (steady(config), told))
}

/// What a program's arguments choose.
pub(crate) struct Choice {
    api: Option<(Api, &'static str)>,
    live: bool,
}

impl Choice {
    pub(super) const USAGE: &'static str = "[--api chat|responses|anthropic] [--live]";

    /// The choice, or the argument that is not known.
    pub(super) fn parse(
        mut arguments: impl Iterator<Item = OsString>,
    ) -> std::result::Result<Self, OsString> {
        let mut choice = Self { api: None, live: false };
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--live") => choice.live = true,
                Some("--api") => {
                    let name = arguments.next().unwrap_or_default();
                    let found = APIS.iter().find(|(known, ..)| name == *known);
                    choice.api = Some(found.map(|(_, api, told)| (*api, *told)).ok_or(name)?);
                }
                _ => return Err(argument),
            }
        }
        Ok(choice)
    }

    /// Whether this build can do as chosen.
    pub(super) fn check(&self) -> Result<()> {
        if !cfg!(feature = "http") && (self.live || self.api.is_some()) {
            return Err(Error::other("--api and --live need the cargo feature \"http\""));
        }
        Ok(())
    }

    /// A real model where the environment names one, else canned answers unless `--live` was
    /// said; both over the API chosen.
    pub(crate) fn answers(&self, canned: Canned) -> Result<Answers> {
        let (real, variables) = match self.api {
            Some((api @ Api::Anthropic, _)) => (api.real(), ANTHROPIC),
            Some((api, _)) => (api.real(), ANY),
            None => (steady_server().or_else(openai), ANY),
        };
        if real.is_none() && self.live {
            return Err(Error::other(format!("--live needs {variables}")));
        }
        let mut answers = Answers::choose(real, canned, variables)?;
        if let Some((api, told)) = self.api {
            answers.api = api;
            answers.told.push_str(&format!(" API: {told}."));
        }
        Ok(answers)
    }
}
