//! Redis over TLS, with a password.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use automation_assistant_queue::{Error, RedisConfig};

use crate::support::Folder;
use crate::support::server::RedisServer;

/// Runs openssl in the folder; whether it is there.
fn openssl(folder: &std::path::Path, words: &str) -> bool {
    let run = Command::new("openssl")
        .args(words.split(' '))
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    run.is_ok_and(|status| status.success())
}

#[test]
fn a_server_is_verified_and_the_password_goes_over_tls_alone() {
    let folder = Folder::new();
    let path = folder.file("");
    std::fs::write(folder.file("san"), "subjectAltName=IP:127.0.0.1").unwrap();
    let made = openssl(
        &path,
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=test -days 2",
    ) && openssl(
        &path,
        "req -newkey rsa:2048 -nodes -keyout s.key -out s.csr -subj /CN=server",
    ) && openssl(
        &path,
        "x509 -req -in s.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out s.crt -days 2 -extfile san",
    );
    if !made {
        assert!(std::env::var_os("CI").is_none(), "there is no openssl");
        return;
    }
    let file = |name: &str| folder.file(name).to_str().unwrap().to_owned();
    let tls = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let options = [
        "--tls-port",
        &tls,
        "--tls-cert-file",
        &file("s.crt"),
        "--tls-key-file",
        &file("s.key"),
        "--tls-ca-cert-file",
        &file("ca.crt"),
        "--tls-auth-clients",
        "no",
        "--requirepass",
        "s3cret",
    ];
    let Some(_server) = RedisServer::start(&options) else { return };
    let url = format!("rediss://:s3cret@127.0.0.1:{tls}");
    let config = || RedisConfig::new(&url, "q").retry_for(std::time::Duration::ZERO);
    let trusted = config().root_certificates(std::fs::read(folder.file("ca.crt")).unwrap());
    assert!(!format!("{trusted:?}").contains("s3cret"));
    let queue = trusted.connect().unwrap();
    let id = queue.push("over TLS").unwrap();
    assert!(queue.status(id).unwrap().is_some());
    // Not among the roots that are trusted by default.
    let error = config().connect().unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}
