//! The API that an example uses, and whether a real model must answer.

use std::ffi::OsString;
use std::io::{Error, Result};

use automation_assistant::{HelperConfig, OpenAiApi};

use super::{ANY, Answers, Canned, local_server, openai, variable};

/// The model asked for over Messages unless `ANTHROPIC_MODEL` names another.
const ANTHROPIC_MODEL: &str = "claude-sonnet-5";
/// The variables that select a real model over Messages.
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

    /// The helper that the environment configures for this API, and its description.
    fn real(self) -> Option<(HelperConfig, String)> {
        match self {
            Self::OpenAi(api) => {
                let (config, description) = steady_server().or_else(openai)?;
                Some((config.openai_api(api), description))
            }
            Self::Anthropic => {
                let model = variable("ANTHROPIC_MODEL").unwrap_or(ANTHROPIC_MODEL.to_owned());
                let config = self.config().model(model);
                if let Some(url) = variable("DEMO_LOCAL_ENDPOINT") {
                    let description = "from the model server on this device.".to_owned();
                    return Some((steady(config.api_endpoint(url)), description));
                }
                let key =
                    || variable("ANTHROPIC_API_KEY").or_else(|| variable("ANTHROPIC_AUTH_TOKEN"));
                let description = match variable("ANTHROPIC_BASE_URL") {
                    Some(_) => "from the server that ANTHROPIC_BASE_URL names.",
                    None => key().map(|_| "from Anthropic.")?,
                };
                Some((config, description.to_owned()))
            }
        }
    }
}

/// For a small model on this device: it calls tools most reliably at temperature 0. Elsewhere it
/// is not sent: reasoning models reject the parameter.
fn steady(config: HelperConfig) -> HelperConfig {
    config.custom_param("temperature", 0)
}

fn steady_server() -> Option<(HelperConfig, String)> {
    local_server().map(|(config, description)| (steady(config), description))
}

/// The choice that a program's arguments make.
pub(crate) struct Choice {
    api: Option<(Api, &'static str)>,
    live: bool,
}

impl Choice {
    pub(super) const USAGE: &'static str = "[--api chat|responses|anthropic] [--live]";

    /// The choice, or the unknown argument as an error.
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
                    choice.api =
                        Some(found.map(|(_, api, description)| (*api, *description)).ok_or(name)?);
                }
                _ => return Err(argument),
            }
        }
        Ok(choice)
    }

    /// Fails where this build lacks the feature for the choice.
    pub(super) fn check(&self) -> Result<()> {
        if !cfg!(feature = "http") && (self.live || self.api.is_some()) {
            return Err(Error::other("--api and --live need the cargo feature \"http\""));
        }
        Ok(())
    }

    /// A real model where the environment names one, else canned answers unless `--live` is
    /// set; both over the API chosen.
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
        if let Some((api, description)) = self.api {
            answers.api = api;
            answers.description.push_str(&format!(" API: {description}."));
        }
        Ok(answers)
    }
}
