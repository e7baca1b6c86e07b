//! Accepted, rejected and required settings of every provider.

#![cfg(feature = "http")]

use crate::config::HelperConfig;
use crate::error::Error;
use crate::providers::support_tests::build;
use std::time::Duration;

fn made(config: HelperConfig, variables: &[(&str, &str)]) -> Result<String, Error> {
    build(&config, variables).map(|backend| {
        assert_eq!(backend.stop_grace(), Duration::from_secs(10));
        backend.name().to_owned()
    })
}

fn refusal(config: HelperConfig, variables: &[(&str, &str)]) -> String {
    format!("{:?}", made(config, variables).unwrap_err())
}

const LOCAL: &str = "http://127.0.0.1:9/v1";

#[test]
fn names_show_backend_and_model() {
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
        HelperConfig::comet().api_endpoint(LOCAL),
        HelperConfig::chatgpt().api_endpoint("not a url"),
    ] {
        let why = refusal(config, &[]);
        assert!(why.contains("InvalidConfig"), "{why}");
    }
    let why = refusal(base(), &[("OPENAI_API_KEY", "a\nb")]);
    assert!(why.contains("InvalidConfig") && !why.contains("a\nb"), "{why}");
    // The words name where the value is from.
    let bad = "\u{e4}";
    for (config, variable, name) in [
        (base().organization(bad), "", "organization is"),
        (base().project(bad), "", "project is"),
        (base(), "OPENAI_ORG_ID", "OPENAI_ORG_ID is"),
        (base(), "OPENAI_PROJECT_ID", "OPENAI_PROJECT_ID is"),
    ] {
        let why = refusal(config, &[(variable, bad)]);
        assert!(why.contains(&format!("configuration: {name}")), "{why}");
    }
    let config = base().organization("o");
    made(config, &[("OPENAI_PROJECT_ID", "p")]).unwrap();
}
