//! From a configuration to a backend that speaks HTTP.

use crate::backend::AiBackend;
use crate::backend::opik_file::OpikFile;
use crate::backend::{comet, openai};
use crate::config::{BackendType, HelperConfig, Secret};
use crate::error::Error;

/// The environment, read while a helper is made and never after.
pub(crate) struct Env<'a> {
    pub(crate) read: &'a dyn Fn(&str) -> Option<String>,
}

impl Env<'_> {
    /// A variable's value; one that is empty counts as not set.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        let value = (self.read)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        self.variable(name).as_deref().map(Secret::new)
    }
}

/// Makes the backend that a configuration asks for. A Local helper without an endpoint is not
/// this module's.
pub(crate) fn build(config: &HelperConfig) -> Result<Box<dyn AiBackend>, Error> {
    // What the environment does not set, Opik's own file may.
    let file = match config.backend_type {
        BackendType::Comet => OpikFile::of_user()?,
        _ => OpikFile::default(),
    };
    build_with(config, &Env { read: &|name| file.or_env(name) })
}

fn build_with(config: &HelperConfig, env: &Env<'_>) -> Result<Box<dyn AiBackend>, Error> {
    Ok(Box::new(match (config.backend_type, config.api_endpoint.as_deref()) {
        (BackendType::ChatGpt, _) => openai::chatgpt(config, env)?,
        (BackendType::Comet, _) => comet::comet(config, env)?,
        (BackendType::Local, Some(base)) => openai::local_server(config, env, base)?,
        (BackendType::Local | BackendType::Custom, _) => {
            return Err(Error::InvalidConfig(
                "this backend does not speak HTTP: give an api_endpoint".to_owned(),
            ));
        }
    }))
}

/// A text that can stand in a header.
pub(crate) fn header_value(what: &str, text: &str) -> Result<String, Error> {
    let fits = !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b));
    if fits {
        return Ok(text.to_owned());
    }
    Err(Error::InvalidConfig(format!(
        "{what} is empty or has characters that cannot be sent: copy it again, without line \
         breaks or quotation marks"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn made(config: HelperConfig, variables: &[(&str, &str)]) -> Result<String, Error> {
        let read = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        build_with(&config, &Env { read: &read }).map(|backend| {
            assert_eq!(backend.stop_grace(), Duration::from_secs(10));
            backend.name().to_owned()
        })
    }

    fn refusal(config: HelperConfig, variables: &[(&str, &str)]) -> String {
        format!("{:?}", made(config, variables).unwrap_err())
    }

    const LOCAL: &str = "http://127.0.0.1:9/v1";

    #[test]
    fn names_tell_backend_and_model() {
        let name = |config| made(config, &[]).unwrap();
        assert_eq!(name(HelperConfig::chatgpt().api_endpoint(LOCAL)), "ChatGPT (gpt-4o-mini)");
        assert_eq!(name(HelperConfig::local().api_endpoint(LOCAL)), "Local (server)");
        assert_eq!(name(HelperConfig::local().api_endpoint(LOCAL).model("m")), "Local (m)");
        assert_eq!(name(HelperConfig::comet().api_endpoint(LOCAL).model("m")), "Comet (m)");
    }

    #[test]
    fn a_missing_key_names_its_variable_and_loopback_needs_none() {
        let endpoint = "https://h.example/v1";
        if cfg!(feature = "tls") {
            let config = HelperConfig::chatgpt().api_endpoint(endpoint);
            assert!(refusal(config.clone(), &[]).contains("OPENAI_API_KEY"));
            assert!(refusal(config.clone(), &[("OPENAI_API_KEY", " \n")]).contains("MissingKey"));
            made(config, &[("OPENAI_API_KEY", "sk-1")]).unwrap();
            assert!(refusal(HelperConfig::comet().model("m"), &[]).contains("OPIK_API_KEY"));
        }
        made(HelperConfig::chatgpt(), &[("OPENAI_BASE_URL", LOCAL)]).unwrap();
        made(HelperConfig::comet().model("m"), &[("OPIK_URL_OVERRIDE", LOCAL)]).unwrap();
    }

    #[test]
    fn a_key_is_not_sent_in_the_clear_unless_allowed() {
        let config = HelperConfig::local().api_endpoint("http://10.0.0.1/v1");
        made(config.clone(), &[]).unwrap();
        let with_key = config.api_key("sk-abcdef");
        let why = refusal(with_key.clone(), &[]);
        assert!(why.contains("InvalidConfig") && why.contains("allow_insecure_http"), "{why}");
        assert!(!why.contains("abcdef"));
        made(with_key.allow_insecure_http(true), &[]).unwrap();
    }

    #[test]
    fn https_without_tls_names_the_feature() {
        if !cfg!(feature = "tls") {
            let why = refusal(HelperConfig::chatgpt().api_key("k"), &[]);
            assert!(why.contains("Unsupported") && why.contains("\"tls\""), "{why}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_when_the_helper_is_made() {
        let base = || HelperConfig::chatgpt().api_endpoint(LOCAL);
        for config in [
            base().api_key("a\u{e4}b"),
            base().custom_param("messages", "x"),
            base().custom_param("stream", true),
            HelperConfig::comet().api_endpoint(LOCAL),
            HelperConfig::chatgpt().api_endpoint("not a url"),
        ] {
            let why = refusal(config, &[]);
            assert!(why.contains("InvalidConfig"), "{why}");
        }
        let why = refusal(base(), &[("OPENAI_API_KEY", "a\nb")]);
        assert!(why.contains("InvalidConfig") && !why.contains("a\nb"), "{why}");
        let config = base().organization("o");
        made(config, &[("OPENAI_PROJECT_ID", "p")]).unwrap();
    }
}
