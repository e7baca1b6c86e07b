//! With which servers TLS is spoken, and what is said of the others.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, mpsc};

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, version};
use serde_json::json;

use super::environment::in_environment;
use super::tls::{config, serve};
use super::{KEY, ask, failure, spawn};
use crate::support::LONG;
use crate::support::server::{Act, Server, answer, answers, delta, stop};
use crate::support::tls::{FOLDER, TlsLine, identity, server_config};
use automation_assistant::{Error, ErrorKind, HelperConfig, TaskError, TaskRequest};

/// A server of these versions that shows the certificate of this name.
fn versions(name: &str, versions: &[&'static rustls::SupportedProtocolVersion]) -> ServerConfig {
    let (chain, key) = identity(name);
    let config = ServerConfig::builder_with_protocol_versions(versions).with_no_client_auth();
    config.with_single_cert(chain, key).unwrap()
}

#[test]
fn both_versions_and_every_kind_of_key_are_spoken() {
    for version in [&version::TLS12, &version::TLS13] {
        for (name, root) in
            [("localhost", "root"), ("rsa", "rsa"), ("p384", "p384"), ("ed25519", "ed25519")]
        {
            let mut script = answers("one");
            script.extend(answers("two"));
            let server = serve(Arc::new(versions(name, &[version])), vec![script]);
            let (manager, helper) = spawn(config(&server, root));
            for text in ["one", "two"] {
                let task = ask(&manager, helper, "p");
                assert_eq!(task.result.as_deref(), Some(text), "{name} {:?}", task.error);
            }
            drop(manager);
            server.finish();
        }
    }
}

/// Every cipher suite by itself, but for those left out, is spoken.
#[test]
fn every_suite_of_aes_is_spoken_and_a_server_of_chacha20_alone_refused_in_words() {
    for suite in ring::ALL_CIPHER_SUITES {
        let provider = CryptoProvider { cipher_suites: vec![*suite], ..ring::default_provider() };
        let named = format!("{:?}", suite.suite());
        let name = if named.contains("RSA") { "rsa" } else { "p384" };
        let (chain, key) = identity(name);
        let own = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[suite.version()])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let server = serve(Arc::new(own), vec![answers("x")]);
        let (manager, helper) = spawn(config(&server, name));
        let task = ask(&manager, helper, "p");
        if named.contains("CHACHA20") {
            let error = failure(&task);
            assert_eq!(error.kind(), ErrorKind::Network);
            assert!(error.message().contains("algorithms"), "{error}");
        } else {
            assert_eq!(task.result.as_deref(), Some("x"), "{named} {:?}", task.error);
        }
    }
}

#[test]
fn a_server_that_wants_a_client_s_certificate_is_reported_as_such() {
    let mut roots = RootCertStore::empty();
    roots.add(identity("localhost").0.remove(0)).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let (chain, key) = identity("localhost");
    let own = ServerConfig::builder().with_client_cert_verifier(verifier);
    let own = Arc::new(own.with_single_cert(chain, key).unwrap());
    let listener = crate::support::loopback::listen();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut tls = ServerConnection::new(own).unwrap();
        while tls.is_handshaking() && tls.complete_io(&mut stream).is_ok() {}
        assert!(tls.is_handshaking(), "the client showed a certificate");
        // Reads what the client has sent meanwhile: else the system would take the alert back.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let config = HelperConfig::chatgpt()
        .api_endpoint(format!("https://localhost:{port}/v1"))
        .api_key(KEY)
        .root_certificates(format!("{FOLDER}/root.pem"));
    let (manager, helper) = spawn(config);
    let task = ask(&manager, helper, "p");
    assert_eq!(failure(&task).kind(), ErrorKind::Network);
    assert!(failure(&task).message().contains("client's certificate"), "{:?}", task.error);
    // Asking again would not help.
    assert_eq!(task.attempts, 1);
    drop(manager);
    serving.join().unwrap();
}

/// Alerts with which a server answers the client's first message, as TLS 1.2 has them.
#[test]
fn why_a_server_breaks_off_the_handshake_is_said_in_words() {
    for (alert, words) in [
        (40, "a client's certificate, which is not supported, or algorithms"),
        (41, "the server wants a client's certificate"),
        (70, "no version or no algorithms"),
        (71, "the server broke off with a TLS alert"),
        (112, "does not know this host's name"),
        (116, "the server wants a client's certificate"),
    ] {
        let listener = crate::support::loopback::listen();
        let port = listener.local_addr().unwrap().port();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(LONG)).unwrap();
            let mut head = [0; 5];
            stream.read_exact(&mut head).unwrap();
            let length = usize::from(head[3]) << 8 | usize::from(head[4]);
            stream.read_exact(&mut vec![0; length]).unwrap();
            // A fatal alert in a record of its own.
            stream.write_all(&[21, 3, 3, 0, 2, 2, alert]).unwrap();
        });
        let config = HelperConfig::chatgpt()
            .api_endpoint(format!("https://localhost:{port}/v1"))
            .api_key(KEY)
            .max_retries(0)
            .root_certificates(format!("{FOLDER}/root.pem"));
        let (manager, helper) = spawn(config);
        let task = ask(&manager, helper, "p");
        let error = failure(&task);
        assert_eq!(error.kind(), ErrorKind::Network, "{alert}");
        assert!(error.message().contains(words), "{alert}: {error}");
        drop(manager);
        serving.join().unwrap();
    }
}

#[test]
fn keys_that_change_in_the_middle_are_followed() {
    let script = vec![
        Act::read(),
        Act::stream_head(),
        Act::write(delta("before ")),
        Act::NewKeys,
        Act::write(delta("and after")),
        Act::NewKeys,
        Act::write(stop()),
    ];
    // The second request goes out after our own side has taken new keys in turn.
    let kept = vec![
        Act::read(),
        Act::NewKeys,
        Act::json(200, &answer("one")),
        Act::read(),
        Act::json(200, &answer("two")),
    ];
    let server = serve(server_config("localhost"), vec![script, kept]);
    let (manager, helper) = spawn(config(&server, "root"));
    let task = ask(&manager, helper, TaskRequest::new("p").on_text(|_| {}));
    assert_eq!(task.result.as_deref(), Some("before and after"), "{:?}", task.error);
    for text in ["one", "two"] {
        let task = ask(&manager, helper, "p");
        assert_eq!(task.result.as_deref(), Some(text), "{:?}", task.error);
    }
    drop(manager);
    assert_eq!(server.finish()[2].connection, 1);
}

#[test]
fn answers_larger_than_a_record_arrive_whole() {
    let long = "0123456789".repeat(30_000);
    let server = serve(server_config("localhost"), vec![answers(&long)]);
    let (manager, helper) = spawn(config(&server, "root"));
    let task = ask(&manager, helper, "p");
    assert_eq!(task.result.as_deref(), Some(long.as_str()), "{:?}", task.error);
    drop(manager);
    server.finish();
}

#[test]
fn a_second_connection_comes_back_to_the_first_one_s_session() {
    for version in [&version::TLS12, &version::TLS13] {
        let own = Arc::new(versions("localhost", &[version]));
        let (sender, receiver) = mpsc::channel();
        let script = || {
            let head = "connection: close\r\ncontent-type: application/json\r\n";
            vec![Act::read(), Act::reply(200, head, answer("x"))]
        };
        let server = Server::start_over([script(), script()], move |stream| {
            let mut line = TlsLine::new(&own, stream)?;
            let _ = sender.send(line.is_resumed()?);
            Ok(Box::new(line))
        });
        let (manager, helper) = spawn(config(&server, "root"));
        for resumed in [false, true] {
            let task = ask(&manager, helper, "p");
            assert_eq!(task.result.as_deref(), Some("x"), "{:?}", task.error);
            assert_eq!(receiver.recv_timeout(LONG), Ok(resumed));
        }
        drop(manager);
        server.finish();
    }
}

#[test]
fn sessions_with_several_servers_are_remembered() {
    let (sender, receiver) = mpsc::channel();
    let own = server_config("two");
    let start = || {
        let script = || {
            let head = "connection: close\r\ncontent-type: application/json\r\n";
            vec![Act::read(), Act::reply(200, head, answer("x"))]
        };
        let (own, sender) = (Arc::clone(&own), sender.clone());
        Server::start_over([script(), script()], move |stream| {
            let mut line = TlsLine::new(&own, stream)?;
            let _ = sender.send(line.is_resumed()?);
            Ok(Box::new(line))
        })
    };
    let (one, other) = (start(), start());
    // One certificate, two names; rustls distinguishes servers by name alone.
    let manager = automation_assistant::AutomationAssistantManager::new(2);
    let by_name = manager.spawn_helper(config(&one, "two")).unwrap();
    let by_address = config(&other, "two").api_endpoint(format!("https://{}/v1", other.address()));
    let by_address = manager.spawn_helper(by_address).unwrap();
    for (helper, resumed) in
        [(by_name, false), (by_address, false), (by_name, true), (by_address, true)]
    {
        let task = ask(&manager, helper, "p");
        assert_eq!(task.result.as_deref(), Some("x"), "{:?}", task.error);
        assert_eq!(receiver.recv_timeout(LONG), Ok(resumed));
    }
    drop(manager);
    one.finish();
    other.finish();
}

/// The error of a spawn with this PEM file.
fn refused(text: &str) -> String {
    let path = std::env::temp_dir().join(format!("aa-roots-{}.pem", std::process::id()));
    std::fs::write(&path, text).unwrap();
    let config = HelperConfig::chatgpt().api_key(KEY).root_certificates(&path);
    let manager = automation_assistant::AutomationAssistantManager::new(1);
    let outcome = manager.spawn_helper(config);
    std::fs::remove_file(&path).unwrap();
    match outcome {
        Err(Error::InvalidConfig(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_without_a_root_that_can_be_used_is_refused_and_one_among_others_taken() {
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(refused(junk).contains("no certificate that can be a root"));
    let key = std::fs::read_to_string(format!("{FOLDER}/rsa.key")).unwrap();
    assert!(refused(&key).contains("holds no certificate"));
    assert!(refused("-----BEGIN CERTIFICATE-----\nAA").ends_with("its last END line is missing"));
    let damaged = refused("-----BEGIN CERTIFICATE\nAAAA\n-----END CERTIFICATE-----\n");
    assert!(damaged.contains("not a readable PEM file: a section of it is damaged"), "{damaged}");

    let root = std::fs::read_to_string(format!("{FOLDER}/root.pem")).unwrap();
    let path = std::env::temp_dir().join(format!("aa-bundle-{}.pem", std::process::id()));
    std::fs::write(&path, format!("{junk}{key}{root}")).unwrap();
    let server = serve(server_config("localhost"), vec![answers("x")]);
    let (manager, helper) = spawn(config(&server, "root").root_certificates(&path));
    assert_eq!(ask(&manager, helper, "p").result.as_deref(), Some("x"));
    std::fs::remove_file(&path).unwrap();
    drop(manager);
    server.finish();
}

/// A server beyond a proxy, with a certificate of our root's.
const BEYOND: &str = "https://other.test:8443/v1";

/// Asks it through this proxy.
fn through(proxy: &str) -> String {
    let config = json!({"backend_type": "chatgpt", "api_key": KEY, "api_endpoint": BEYOND});
    let root = format!("{FOLDER}/root.pem");
    in_environment(config, &[("HTTPS_PROXY", proxy), ("SSL_CERT_FILE", &root)])
}

/// Reads up to the end of what a proxy is asked for.
fn asked(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn tls_goes_through_an_http_proxy_and_through_socks() {
    for socks in [false, true] {
        let own = server_config("other.test");
        let server = Server::start_over([answers("x")], move |mut stream| {
            if socks {
                stream.read_exact(&mut [0; 3])?;
                stream.write_all(b"\x05\x00")?;
                stream.read_exact(&mut [0; 4 + 1 + 10 + 2])?;
                stream.write_all(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")?;
            } else {
                assert!(asked(&mut stream).starts_with("CONNECT other.test:8443 "));
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            }
            Ok(Box::new(TlsLine::new(&own, stream)?))
        });
        let scheme = if socks { "socks5h" } else { "http" };
        assert_eq!(through(&format!("{scheme}://{}", server.address())), "ok", "{scheme}");
        let seen = server.finish();
        assert_eq!(seen[0].line(), "POST /v1/chat/completions");
        assert_eq!(seen[0].header("host"), Some("other.test:8443"));
    }
}

/// TLS to the proxy, and TLS to the server within it.
#[test]
fn tls_goes_through_a_proxy_behind_tls() {
    let listener = crate::support::loopback::listen();
    let proxy = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let serving = std::thread::spawn(move || -> std::io::Result<()> {
        let (stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(LONG))?;
        let over = |name: &str| ServerConnection::new(server_config(name)).unwrap();
        let mut outer: StreamOwned<_, TcpStream> = StreamOwned::new(over("localhost"), stream);
        assert!(asked(&mut outer).starts_with("CONNECT other.test:8443 "));
        outer.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        let mut inner = StreamOwned::new(over("other.test"), outer);
        assert!(asked(&mut inner).starts_with("POST /v1/chat/completions "));
        let body = answer("x");
        write!(inner, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
        // Up to the client's end.
        let _ = inner.read_to_end(&mut Vec::new());
        Ok(())
    });
    assert_eq!(through(&proxy), "ok");
    serving.join().unwrap().unwrap();
}

/// The error of a call to this host.
fn error_of(endpoint: String) -> TaskError {
    let root = format!("{FOLDER}/root.pem");
    let config = HelperConfig::chatgpt().api_endpoint(endpoint).api_key(KEY).max_retries(0);
    let (manager, helper) = spawn(config.root_certificates(root));
    failure(&ask(&manager, helper, "p")).clone()
}

#[test]
fn an_address_is_no_name_of_the_certificate() {
    let server = serve(server_config("localhost"), vec![vec![Act::hold()]]);
    let error = error_of(format!("https://{}/v1", server.address()));
    assert!(error.message().contains("another name"), "{error}");
}

/// Certificates as `openssl req` and old appliances make them, each trusted by name.
#[test]
fn the_error_states_why_a_certificate_was_rejected() {
    for (name, root, word) in [
        ("authority", "authority", "CA:FALSE"),
        ("sha1", "sha1", "SHA-1"),
        ("rsa1024", "rsa1024-root", "2048 bits"),
        ("critical", "root", "critical extension"),
        ("other.test", "root", "another name"),
    ] {
        // A resolver's certificate is shown as it is; rustls would refuse some by itself.
        let (chain, key) = identity(name);
        let shown = CertifiedKey::new(chain, ring::sign::any_supported_type(&key).unwrap());
        let own = ServerConfig::builder().with_no_client_auth();
        let own = own.with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
        let server = serve(Arc::new(own), vec![vec![Act::hold()]]);
        let (manager, helper) = spawn(config(&server, root).max_retries(2));
        let task = ask(&manager, helper, "p");
        let error = failure(&task);
        let words = format!("{} {}", error.summary(), error.message());
        assert_eq!((error.kind(), task.attempts), (ErrorKind::Network, 1), "{name}: {words}");
        assert!(words.contains(word), "{name}: {words}");
        assert!(server.seen().is_empty());
    }
}
