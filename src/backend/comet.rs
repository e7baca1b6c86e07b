//! The Opik LLM gateway of Comet: where it is, and how it knows its users.

use crate::backend::build::{Env, header_value};
use crate::backend::chat::{ChatBackend, Model, Plan};
use crate::backend::endpoint::Endpoint;
use crate::backend::lenient::{Text, lenient};
use crate::config::HelperConfig;
use crate::error::Error;

pub(crate) const DEFAULT_BASE: &str = "https://www.comet.com/opik/api";
const CHAT: &str = "/v1/private/chat/completions";
pub(crate) const KEY_VARIABLE: &str = "OPIK_API_KEY";
pub(crate) const BASE_VARIABLE: &str = "OPIK_URL_OVERRIDE";
pub(crate) const WORKSPACE_VARIABLE: &str = "OPIK_WORKSPACE";
/// The path of the API at the address that a key can carry.
const KEY_BASE_TAIL: &str = "/opik/api";
/// The cloud's domain. Everything else is self-hosted, where no key is needed.
const CLOUD_DOMAIN: &str = "comet.com";

/// A Comet helper's backend.
pub(crate) fn comet(config: &HelperConfig, env: &Env<'_>) -> Result<ChatBackend, Error> {
    let Some(model) = config.model.clone() else {
        return Err(Error::InvalidConfig(
            "a Comet helper needs a model: the gateway finds the provider by its name, such as \
             gpt-4o-mini or openrouter/…; set it with HelperConfig::model"
                .to_owned(),
        ));
    };
    let key = config.api_key.clone().or_else(|| env.secret(KEY_VARIABLE));
    let given = config.api_endpoint.clone().or_else(|| env.variable(BASE_VARIABLE));
    let from_key = || key.as_ref().and_then(|key| base_of_key(key.reveal()));
    let base = given.or_else(from_key);
    let endpoint = Endpoint::parse(base.as_deref().unwrap_or(DEFAULT_BASE), CHAT)?;
    if key.is_none() && is_cloud(endpoint.host()) {
        return Err(Error::MissingKey { variable: KEY_VARIABLE });
    }
    let mut plan = Plan::new(format!("Comet ({model})"), endpoint, CHAT);
    plan.model = Model::Known(model);
    // The gateway means by it that no provider is registered.
    plan.retries_conflicts = false;
    if let Some(key) = key {
        // No `Bearer` here.
        plan.headers.push(("authorization", header_value("the API key", key.reveal())?));
        plan.key = Some(key);
    }
    let workspace = config.http.workspace.clone().or_else(|| env.variable(WORKSPACE_VARIABLE));
    if let Some(workspace) = workspace {
        plan.headers.push(("comet-workspace", header_value("the workspace", &workspace)?));
    }
    ChatBackend::new(config, env, plan)
}

/// Whether this is Comet's own service, which always wants a key.
pub(crate) fn is_cloud(host: &str) -> bool {
    host == CLOUD_DOMAIN || host.strip_suffix(CLOUD_DOMAIN).is_some_and(|rest| rest.ends_with('.'))
}

/// Longest part of a key after its asterisk that is looked into.
const KEY_TAIL_BYTES_MAX: usize = 4 << 10;

lenient! {
    /// What a key can carry after its asterisk.
    KeyTail { base_url: Text = "baseUrl" }
}

/// The API's address in a key of the form `<key>*<base64 of {"baseUrl": …}>`.
pub(crate) fn base_of_key(key: &str) -> Option<String> {
    let (_, tail) = key.split_once('*')?;
    if tail.len() > KEY_TAIL_BYTES_MAX {
        return None;
    }
    let tail: KeyTail = serde_json::from_slice(&base64(tail)?).ok()?;
    let base = tail.base_url.0?;
    Some(format!("{}{KEY_BASE_TAIL}", base.trim_end_matches('/')))
}

/// Decodes base64 in either alphabet, with or without padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_can_carry_its_server() {
        // {"baseUrl":"https://opik.example/"}
        let key = "abc*eyJiYXNlVXJsIjoiaHR0cHM6Ly9vcGlrLmV4YW1wbGUvIn0=";
        assert_eq!(base_of_key(key).as_deref(), Some("https://opik.example/opik/api"));
        assert_eq!(base_of_key("abc"), None);
        assert_eq!(base_of_key("abc*!!"), None);
    }
}
