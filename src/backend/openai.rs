//! The OpenAI API, and servers that speak it: who is asked, with what key.

use crate::backend::build::{Env, header_value};
use crate::backend::chat::{ChatBackend, Model, Plan};
use crate::backend::endpoint::Endpoint;
use crate::config::{HelperConfig, Secret};
use crate::error::Error;

const DEFAULT_BASE: &str = "https://api.openai.com/v1";
const DEFAULT_MODEL: &str = "gpt-4o-mini";
const CHAT: &str = "/chat/completions";
const MODELS: &str = "/models";
const KEY_VARIABLE: &str = "OPENAI_API_KEY";
const BASE_VARIABLE: &str = "OPENAI_BASE_URL";
const ORGANIZATION_VARIABLE: &str = "OPENAI_ORG_ID";
const PROJECT_VARIABLE: &str = "OPENAI_PROJECT_ID";

/// A ChatGPT helper's backend.
pub(crate) fn chatgpt(config: &HelperConfig, env: &Env<'_>) -> Result<ChatBackend, Error> {
    let base = config.api_endpoint.clone().or_else(|| env.variable(BASE_VARIABLE));
    let endpoint = Endpoint::parse(base.as_deref().unwrap_or(DEFAULT_BASE), CHAT)?;
    let key = config.api_key.clone().or_else(|| env.secret(KEY_VARIABLE));
    if key.is_none() && !endpoint.is_loopback() {
        return Err(Error::MissingKey { variable: KEY_VARIABLE });
    }
    let model = config.model.as_deref().unwrap_or(DEFAULT_MODEL);
    let mut plan = Plan::new(format!("ChatGPT ({model})"), endpoint, CHAT);
    plan.model = Model::Known(model.to_owned());
    authorize(&mut plan, key)?;
    let ids = [
        ("openai-organization", &config.http.organization, ORGANIZATION_VARIABLE),
        ("openai-project", &config.http.project, PROJECT_VARIABLE),
    ];
    for (header, given, variable) in ids {
        if let Some(id) = given.clone().or_else(|| env.variable(variable)) {
            plan.headers.push((header, header_value(variable, &id)?));
        }
    }
    ChatBackend::new(config, env, plan)
}

/// The backend of a Local helper with a model server.
pub(crate) fn local_server(
    config: &HelperConfig,
    env: &Env<'_>,
    base: &str,
) -> Result<ChatBackend, Error> {
    let endpoint = Endpoint::parse(base, CHAT)?;
    let (name, model) = match &config.model {
        Some(model) => (format!("Local ({model})"), Model::Known(model.clone())),
        None => ("Local (server)".to_owned(), Model::first_of(endpoint.join(MODELS))),
    };
    let mut plan = Plan::new(name, endpoint, CHAT);
    plan.model = model;
    authorize(&mut plan, config.api_key.clone())?;
    ChatBackend::new(config, env, plan)
}

fn authorize(plan: &mut Plan, key: Option<Secret>) -> Result<(), Error> {
    if let Some(key) = key {
        let value = format!("Bearer {}", header_value("the API key", key.reveal())?);
        plan.headers.push(("authorization", value));
        plan.key = Some(key);
    }
    Ok(())
}
