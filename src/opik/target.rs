//! The server, key and project of a sink: from its configuration, the environment, the file, or
//! defaults, in this order.

use crate::connections::Connections;
use crate::env::{Env, header_value};
use crate::error::Error;
use crate::http::{Client, Endpoint, Setup};
use crate::opik::OpikConfig;
use crate::opik_account::{
    BASE_VARIABLE, DEFAULT_BASE, DEFAULT_WORKSPACE, KEY_VARIABLE, WORKSPACE_VARIABLE, base_of_key,
    is_cloud,
};
use crate::trace::{TAG_BYTES_MAX, is_name};

const PROJECT_VARIABLE: &str = "OPIK_PROJECT_NAME";
const ROOTS_VARIABLE: &str = "SSL_CERT_FILE";
/// The path of one of Opik's calls: a URL that ends in it is accepted as a base URL.
const TRACES: &str = "/v1/private/traces/batch";
const SPANS: &str = "/v1/private/spans/batch";
const SCORES: &str = "/v1/private/traces/feedback-scores";
/// Longest name of a project, in bytes.
const PROJECT_BYTES_MAX: usize = 150;

/// A validated target.
pub(super) struct Target {
    pub(super) client: Client,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) traces_url: String,
    pub(super) spans_url: String,
    pub(super) scores_url: String,
    pub(super) project: Option<String>,
}

impl Target {
    pub(super) fn new(config: &OpikConfig, env: &Env<'_>) -> Result<Self, Error> {
        let refuse = |what: String| Err(Error::InvalidConfig(what));
        for (what, text) in [
            ("url", config.url.as_deref()),
            ("api_key", config.api_key.as_ref().map(|key| key.reveal())),
            ("workspace", config.workspace.as_deref()),
            ("project", config.project.as_deref()),
        ] {
            if text.is_some_and(|text| text.trim().is_empty()) {
                return refuse(format!("Opik's {what} is empty: leave it out, or give a value"));
            }
        }
        if config.tags.iter().any(|tag| !is_name(tag, TAG_BYTES_MAX)) {
            return refuse(format!(
                "a tag must have 1 to {TAG_BYTES_MAX} bytes without control characters"
            ));
        }
        let project = config.project.clone().or_else(|| env.variable(PROJECT_VARIABLE));
        if project.as_ref().is_some_and(|name| !is_name(name, PROJECT_BYTES_MAX)) {
            return refuse(format!(
                "Opik's project must have 1 to {PROJECT_BYTES_MAX} bytes without control \
                 characters"
            ));
        }
        let key = config.api_key.clone().or_else(|| env.secret(KEY_VARIABLE));
        let url = config.url.clone().or_else(|| env.variable(BASE_VARIABLE));
        let from_key = || key.as_ref().and_then(|key| base_of_key(key.reveal()));
        let url = url.or_else(from_key);
        let endpoint = Endpoint::parse(url.as_deref().unwrap_or(DEFAULT_BASE), TRACES)?;
        if endpoint.is_https() && !cfg!(feature = "tls") {
            return Err(Error::Unsupported { what: "an https endpoint", feature: "tls" });
        }
        if key.is_none() && is_cloud(endpoint.host()) {
            return Err(Error::MissingKey { variable: KEY_VARIABLE });
        }
        let in_the_clear = key.is_some() && !endpoint.is_https() && !endpoint.is_loopback();
        if in_the_clear && !config.allow_insecure_http {
            return refuse(
                "Opik's key would go over plain http to another host, where anyone on the way \
                 can read it: use https, or allow it with allow_insecure_http"
                    .to_owned(),
            );
        }
        let mut headers = Vec::new();
        if let Some(key) = &key {
            headers.push(("authorization", header_value("Opik's API key", key.reveal())?));
        }
        let workspace = config.workspace.clone().or_else(|| env.variable(WORKSPACE_VARIABLE));
        let default = || key.is_some().then(|| DEFAULT_WORKSPACE.to_owned());
        if let Some(workspace) = workspace.or_else(default) {
            headers.push(("comet-workspace", header_value("Opik's workspace", &workspace)?));
        }
        let roots = config.root_certificates.clone();
        let roots = roots.or_else(|| env.variable(ROOTS_VARIABLE).map(Into::into));
        let setup =
            Setup { endpoint: &endpoint, with_key: key.is_some(), roots: roots.as_deref(), env };
        Ok(Self {
            client: Client::new(&Connections::new(), &setup)?,
            headers,
            traces_url: endpoint.join(TRACES),
            spans_url: endpoint.join(SPANS),
            scores_url: endpoint.join(SCORES),
            project: project.map(|name| name.trim().to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(config: OpikConfig, set: &[(&str, &str)]) -> Result<Target, Error> {
        let read = |name: &str| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Target::new(&config, &Env { read: &read })
    }

    const HERE: &str = "http://127.0.0.1:9/api";

    #[test]
    fn settings_of_the_program_precede_those_found() {
        let set = [
            ("OPIK_URL_OVERRIDE", "http://127.0.0.1:1/other/"),
            ("OPIK_API_KEY", "found"),
            ("OPIK_WORKSPACE", "found-space"),
            ("OPIK_PROJECT_NAME", "found-project"),
        ];
        let found = target(OpikConfig::new(), &set).unwrap();
        assert_eq!(found.spans_url, "http://127.0.0.1:1/other/v1/private/spans/batch");
        assert_eq!(found.project.as_deref(), Some("found-project"));
        assert_eq!(
            found.headers,
            [("authorization", "found".into()), ("comet-workspace", "found-space".into())]
        );
        let given = OpikConfig::new().url(HERE).api_key("given").workspace("w").project(" p ");
        let given = target(given, &set).unwrap();
        assert_eq!(given.traces_url, "http://127.0.0.1:9/api/v1/private/traces/batch");
        assert_eq!(given.project.as_deref(), Some("p"));
        assert_eq!(
            given.headers,
            [("authorization", "given".into()), ("comet-workspace", "w".into())]
        );
    }

    #[test]
    fn a_server_of_one_s_own_needs_no_key_and_the_cloud_does() {
        assert!(target(OpikConfig::new().url(HERE), &[]).unwrap().headers.is_empty());
        if cfg!(feature = "tls") {
            let missing = target(OpikConfig::new(), &[]).err().unwrap();
            assert!(matches!(missing, Error::MissingKey { variable: "OPIK_API_KEY" }));
            target(OpikConfig::new().api_key("k"), &[]).unwrap();
        }
    }

    #[test]
    fn a_key_can_carry_its_server_and_is_sent_whole() {
        // {"baseUrl":"http://127.0.0.1:9/"}
        let key = "abc*eyJiYXNlVXJsIjoiaHR0cDovLzEyNy4wLjAuMTo5LyJ9";
        let found = target(OpikConfig::new().api_key(key), &[]).unwrap();
        assert_eq!(found.traces_url, "http://127.0.0.1:9/opik/api/v1/private/traces/batch");
        assert_eq!(
            found.headers,
            [("authorization", key.into()), ("comet-workspace", "default".into())]
        );
        let url = [("OPIK_URL_OVERRIDE", HERE)];
        let found = target(OpikConfig::new().api_key(key), &url).unwrap();
        assert!(found.traces_url.starts_with(HERE));
    }

    #[test]
    fn what_cannot_work_is_refused_without_the_key() {
        for config in [
            OpikConfig::new().url("not a url"),
            OpikConfig::new().url(HERE).api_key("a\u{1}secret"),
            OpikConfig::new().url(HERE).project(" "),
            OpikConfig::new().url(HERE).tag(""),
            OpikConfig::new().url("http://h.example/api").api_key("secret"),
        ] {
            let why = format!("{:?}", target(config, &[]).err().unwrap());
            assert!(why.contains("InvalidConfig") && !why.contains("secret"), "{why}");
        }
        assert!(!format!("{:?}", OpikConfig::new().api_key("secret")).contains("secret"));
    }
}
