//! Settings from the environment: keys, addresses, proxies. Each case is a child process, this
//! test binary itself, with an environment of its own.
#![allow(clippy::print_stdout)] // It is how the child answers.

use std::ffi::OsStr;
use std::process::Stdio;

use automation_assistant::{AutomationAssistantManager, HelperConfig};
use serde_json::{Value, json};

use super::{KEY, ask};
use crate::support::server::{Act, Server, answer, answers};
use crate::support::this_program;

/// Holds a helper's configuration for the child.
const CONFIG: &str = "AA_TEST_HTTP_CONFIG";

/// All that could reach into a case from outside.
const CLEARED: &[&str] = &[
    "ALL_PROXY",
    "all_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "NO_PROXY",
    "no_proxy",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_ORG_ID",
    "OPENAI_PROJECT_ID",
    "OPIK_API_KEY",
    "OPIK_URL_OVERRIDE",
    "OPIK_WORKSPACE",
    "OPIK_PROJECT_NAME",
    "OPIK_CONFIG_PATH",
    "SSL_CERT_FILE",
];

/// Asks one question in a process with this environment; gives the answer, or what went wrong.
pub(super) fn in_environment(config: Value, environment: &[(&str, impl AsRef<OsStr>)]) -> String {
    let mut command = this_program();
    command.args(["--exact", "http::environment::child", "--nocapture", "--ignored"]);
    for name in CLEARED {
        command.env_remove(name);
    }
    command
        .env(CONFIG, config.to_string())
        .envs(environment.iter().map(|(name, value)| (name, value)));
    let output = command.stdin(Stdio::null()).output().unwrap();
    let shown =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    assert!(!shown.contains(KEY), "the key is shown: {shown}");
    let found = shown.lines().find_map(|line| line.split_once("OUTCOME "));
    found.unwrap_or_else(|| panic!("no outcome in: {shown}")).1.to_owned()
}

#[test]
#[ignore = "no test by itself: the child process of those beside it"]
fn child() {
    let Ok(config) = std::env::var(CONFIG) else { return };
    let config: HelperConfig = serde_json::from_str(&config).unwrap();
    let manager = AutomationAssistantManager::new(1);
    match manager.spawn_helper(config.max_retries(0)) {
        Err(error) => println!("OUTCOME refused {error:?}"),
        Ok(helper) => match ask(&manager, helper, "p").error {
            None => println!("OUTCOME ok"),
            Some(error) => println!("OUTCOME {} {error}", error.kind()),
        },
    }
}

/// A server whose address is not this device's.
const ELSEWHERE: &str = "http://model.test:8123/v1";

fn local(endpoint: &str) -> Value {
    json!({"backend_type": "local", "api_endpoint": endpoint, "model": "m"})
}

#[test]
fn key_base_organization_and_workspace_come_from_the_environment() {
    let server = Server::start([answers("a"), answers("b")]);
    let environment = [
        ("OPENAI_API_KEY", format!(" {KEY}\n")),
        ("OPENAI_BASE_URL", format!("{}/", server.base())),
        ("OPENAI_ORG_ID", "org-1".to_owned()),
        ("OPENAI_PROJECT_ID", "proj-1".to_owned()),
        ("OPIK_API_KEY", KEY.to_owned()),
        ("OPIK_URL_OVERRIDE", format!("http://{}/api", server.address())),
        ("OPIK_WORKSPACE", "team".to_owned()),
    ];
    let environment: Vec<_> = environment.iter().map(|(k, v)| (*k, v.as_str())).collect();
    assert_eq!(in_environment(json!({"backend_type": "chatgpt"}), &environment), "ok");
    let comet = json!({"backend_type": "comet", "model": "m"});
    assert_eq!(in_environment(comet, &environment), "ok");
    let seen = server.finish();
    assert_eq!(seen[0].header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(seen[0].header("openai-organization"), Some("org-1"));
    assert_eq!(seen[0].header("openai-project"), Some("proj-1"));
    assert_eq!(seen[1].line(), "POST /api/v1/private/chat/completions");
    assert_eq!(seen[1].header("authorization"), Some(KEY));
    assert_eq!(seen[1].header("comet-workspace"), Some("team"));
}

#[test]
fn an_http_proxy_is_given_the_whole_address() {
    let mut script = answers("x");
    script.extend(answers("y"));
    let server = Server::start([script]);
    let proxy = format!("http://me:pass@{}", server.address());
    assert_eq!(in_environment(local(ELSEWHERE), &[("HTTP_PROXY", &proxy)]), "ok");
    let seen = server.seen();
    assert_eq!(seen[0].line(), "POST http://model.test:8123/v1/chat/completions");
    assert_eq!(seen[0].header("host"), Some("model.test:8123"));
    assert_eq!(seen[0].header("proxy-authorization"), Some("Basic bWU6cGFzcw=="));
}

#[test]
#[cfg(feature = "tls")]
fn an_http_proxy_is_asked_for_a_tunnel_to_an_https_server() {
    for (reply, word) in [
        ("HTTP/1.1 200 OK\r\n\r\n", "closed the connection"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 407 X\r\n\r\n", "(HTTP 407)"),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "(HTTP 101)"),
        ("HTTP/1.1 502 X\r\ncontent-length: 9", "closed the connection"),
        ("SSH-2.0-x\r\n", "does not speak HTTP"),
    ] {
        let server = Server::start([vec![Act::read(), Act::write(reply)]]);
        let proxy = format!("http://me:pass@{}", server.address());
        let there = local("https://model.test:8123/v1");
        let outcome = in_environment(there, &[("HTTP_PROXY", &proxy)]);
        assert!(outcome.starts_with("network") && outcome.contains(word), "{reply:?}: {outcome}");
        let seen = server.finish();
        assert_eq!(seen[0].line(), "CONNECT model.test:8123");
        assert_eq!(seen[0].header("proxy-authorization"), Some("Basic bWU6cGFzcw=="));
    }
}

#[test]
fn a_socks_proxy_is_given_the_name_and_asked_for_a_connection() {
    let granted = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50";
    let server = Server::start([vec![
        Act::Take(4),
        Act::write(*b"\x05\x02"),
        Act::Take(3 + 2 + 4),
        Act::write(*b"\x01\x00"),
        Act::Take(4 + 1 + 10 + 2),
        Act::write(*granted),
        Act::read(),
        Act::json(200, &answer("x")),
    ]]);
    let proxy = format!("socks5h://me:pass@{}", server.address());
    assert_eq!(in_environment(local(ELSEWHERE), &[("ALL_PROXY", &proxy)]), "ok");
    let seen = server.finish();
    assert_eq!(seen[0].body, r"\x05\x02\x00\x02");
    assert_eq!(seen[1].body, r"\x01\x02me\x04pass");
    assert_eq!(seen[2].body, r"\x05\x01\x00\x03\nmodel.test\x1f\xbb");
}

#[test]
fn a_proxy_that_refuses_is_reported_as_such() {
    let refusal = Act::reply(407, "", "who are you?");
    let server = Server::start([vec![Act::read(), refusal]]);
    let proxy = server.address().to_string();
    let outcome = in_environment(local(ELSEWHERE), &[("https_proxy", &proxy)]);
    assert!(outcome.starts_with("network") && outcome.contains("proxy"), "{outcome}");
    assert!(outcome.contains("407"), "{outcome}");
    let no_socks = Act::write("HTTP/1.1 400 no\r\n\r\n");
    let server = Server::start([vec![Act::Take(3), no_socks]]);
    let proxy = format!("socks5h://{}", server.address());
    let outcome = in_environment(local(ELSEWHERE), &[("ALL_PROXY", &proxy)]);
    assert!(outcome.starts_with("network") && outcome.contains("SOCKS 5"), "{outcome}");
}

#[test]
fn what_must_not_see_a_proxy_goes_around_it() {
    let proxy = Server::start([]);
    let address = format!("http://{}", proxy.address());
    // Loopback.
    let server = Server::start([answers("direct")]);
    let outcome = in_environment(local(&server.base()), &[("ALL_PROXY", &address)]);
    assert_eq!(outcome, "ok");
    // An excepted host.
    for list in ["localhost,.test", "10.0.0.0/8 *.test", "model.test:8123"] {
        let environment = [("ALL_PROXY", address.as_str()), ("NO_PROXY", list)];
        assert!(in_environment(local(ELSEWHERE), &environment).starts_with("network"), "{list}");
    }
    // A key over plain http.
    let mut with_key = local(ELSEWHERE);
    with_key["api_key"] = KEY.into();
    with_key["allow_insecure_http"] = true.into();
    assert!(in_environment(with_key, &[("HTTP_PROXY", &address)]).starts_with("network"));
    assert_eq!(proxy.connections(), 0);
}

#[test]
fn a_proxy_that_cannot_be_used_is_no_reason_to_go_around_it() {
    for bad in [
        "ftp://127.0.0.1:1",
        "socks4://127.0.0.1:1",
        "http://u:p w@h",
        "http://127.0.0.1:99999",
        "http://user@:1",
    ] {
        let outcome = in_environment(local(ELSEWHERE), &[("HTTPS_PROXY", bad)]);
        assert!(outcome.starts_with("refused InvalidConfig"), "{bad}: {outcome}");
        assert!(outcome.contains("HTTPS_PROXY"), "{outcome}");
    }
}

#[test]
#[cfg(feature = "tls")]
fn a_root_file_that_cannot_be_read_is_named() {
    let config = json!({"backend_type": "chatgpt", "api_key": KEY});
    // One that is not Unicode is not taken for none.
    for name in [&b"/no/such/file.pem"[..], b"/no/such/file.pem\xff"] {
        let name = std::os::unix::ffi::OsStrExt::from_bytes(name);
        let environment: [(_, &OsStr); 1] = [("SSL_CERT_FILE", name)];
        let outcome = in_environment(config.clone(), &environment);
        assert!(outcome.starts_with("refused Io"), "{outcome}");
        assert!(outcome.contains("/no/such/file.pem"), "{outcome}");
    }
    let empty = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let outcome = in_environment(config, &[("SSL_CERT_FILE", empty)]);
    assert!(outcome.starts_with("refused InvalidConfig"), "{outcome}");
    assert!(outcome.contains("no certificate") && outcome.contains("Cargo.toml"), "{outcome}");
}
