//! How gateways and Comet's cloud want to know who asks (`field-cases.md`, B10 and B11).

use automation_assistant::{Error, ErrorKind, HelperConfig};
use serde_json::json;

use super::super::environment::in_environment;
use super::super::{KEY, ask, chatgpt, failure, spawn};
use crate::support::server::{Act, Server, answers};
use crate::support::until;
use crate::telemetry::Folder;

const SECRET: &str = "pk-a-secret-of-the-gateway";

/// Azure's `api-key`, Portkey's and Cloudflare's own, and a scheme of one's own.
#[test]
fn a_gateway_s_own_headers_are_sent_and_never_shown() {
    for (name, shown_as) in [
        ("api-key", "api-key"),
        ("X-Portkey-API-Key", "x-portkey-api-key"),
        ("cf-aig-authorization", "cf-aig-authorization"),
        ("Authorization", "authorization"),
    ] {
        let said = format!(r#"{{"error":{{"message":"no such key: {SECRET}"}}}}"#);
        let server = Server::start([answers("x"), vec![Act::read(), Act::json(401, &said)]]);
        let config = chatgpt(&server).header(name, "first").header(name, SECRET);
        let shown = format!("{config:?}");
        assert!(shown.contains(shown_as) && !shown.contains(SECRET), "{shown}");
        let (manager, helper) = spawn(config);
        assert!(ask(&manager, helper, "p").is_success());
        until("the server closes the first connection", || server.closed() == 1);
        let task = ask(&manager, helper, "p");
        let error = failure(&task);
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert!(!format!("{error:?} {error}").contains(SECRET), "{error:?}");
        drop(manager);
        let seen = server.finish();
        assert_eq!(seen[0].header(shown_as), Some(SECRET));
        let keys = seen[0].head.matches(SECRET).count();
        assert_eq!(keys, 1, "{}", seen[0].head);
    }
}

#[test]
fn a_header_from_json_is_the_same() {
    let server = Server::start([answers("x")]);
    let config = json!({
        "backend_type": "local", "api_endpoint": server.base(), "model": "m",
        "headers": {"X-Team": "one"},
    });
    let (manager, helper) = spawn(serde_json::from_value(config).unwrap());
    assert!(ask(&manager, helper, "p").is_success());
    drop(manager);
    assert_eq!(server.finish()[0].header("x-team"), Some("one"));
}

#[test]
fn headers_that_cannot_be_set_are_refused_at_the_spawn() {
    let manager = automation_assistant::AutomationAssistantManager::new(1);
    for (name, value) in [
        ("host", "evil.test"),
        ("Content-Length", "0"),
        ("transfer-encoding", "chunked"),
        ("", "x"),
        ("a b", "x"),
        ("x-a\r\nx-b", "x"),
        ("x-a", "b\r\nx-c: d"),
        ("x-a", ""),
    ] {
        let config =
            HelperConfig::local().api_endpoint("http://127.0.0.1:9/v1").header(name, value);
        let refused = manager.spawn_helper(config);
        assert!(matches!(refused, Err(Error::InvalidConfig(_))), "{name:?}: {refused:?}");
    }
    // It is a key, and so does not go over plain http to another host; nor is another one wanted.
    let abroad = |url| HelperConfig::chatgpt().api_endpoint(url).header("api-key", SECRET);
    let refused = manager.spawn_helper(abroad("http://model.test/v1"));
    assert!(matches!(&refused, Err(Error::InvalidConfig(why)) if why.contains("plain http")));
    #[cfg(feature = "tls")]
    manager.spawn_helper(abroad("https://model.test/v1")).unwrap();
}

/// Comet's cloud answers 403 to a request without a workspace.
#[test]
fn a_key_of_comet_s_goes_with_a_workspace() {
    let asked = |environment: &[(&str, &str)]| {
        let server = Server::start([answers("x")]);
        let base = format!("http://{}/api", server.address());
        let config = json!({"backend_type": "comet", "model": "m"});
        let mut environment = environment.to_vec();
        environment.push(("OPIK_URL_OVERRIDE", &base));
        assert_eq!(in_environment(config, &environment), "ok");
        server.finish()[0].header("comet-workspace").map(str::to_owned)
    };
    assert_eq!(asked(&[("OPIK_API_KEY", KEY)]).as_deref(), Some("default"));
    assert_eq!(asked(&[("OPIK_API_KEY", KEY), ("OPIK_WORKSPACE", "w")]).as_deref(), Some("w"));
    assert_eq!(asked(&[]), None);
}

#[test]
fn opik_s_configuration_path_is_honoured() {
    let folder = Folder::new("opik-path");
    let server = Server::start([answers("a"), answers("b")]);
    let text = format!(
        "[opik]\nurl_override = http://{}/api\napi_key = {KEY}\nworkspace = w\n",
        server.address()
    );
    std::fs::write(folder.join("named.ini"), text).unwrap();
    let path = folder.join("named.ini");
    let home = path.parent().unwrap().to_str().unwrap();
    let comet = || json!({"backend_type": "comet", "model": "m"});
    for named in [path.to_str().unwrap(), "~/named.ini"] {
        let environment = [("HOME", home), ("OPIK_CONFIG_PATH", named)];
        assert_eq!(in_environment(comet(), &environment), "ok", "{named}");
    }
    assert_eq!(server.finish()[1].header("comet-workspace"), Some("w"));
    // One that cannot be read (here: a folder) matters where something is left to find in it.
    let server = Server::start([answers("a"), answers("b")]);
    let base = format!("http://{}/api", server.address());
    let broken = ("OPIK_CONFIG_PATH", home);
    let settings = [broken, ("OPIK_URL_OVERRIDE", &*base), ("OPIK_API_KEY", KEY)];
    assert_eq!(in_environment(comet(), &settings), "ok");
    let explicit = json!({
        "backend_type": "comet", "model": "m", "api_endpoint": base, "api_key": KEY,
    });
    assert_eq!(in_environment(explicit, &[broken]), "ok");
    assert!(in_environment(comet(), &[broken]).starts_with("refused"));
}
