//! HTTPS, against a server with a root of its own (tests/data/tls; its key was thrown away).

use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use automation_assistant::{ErrorKind, HelperConfig, TaskError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{KEY, ask, failure, spawn};
use crate::support::LONG;
use crate::support::server::{Act, Line, Server, answers};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");

impl Line for StreamOwned<ServerConnection, TcpStream> {
    fn tcp(&self) -> &TcpStream {
        &self.sock
    }

    fn close(&mut self) {
        self.conn.send_close_notify();
        let _ = self.conn.complete_io(&mut self.sock);
        let _ = self.sock.shutdown(std::net::Shutdown::Write);
    }
}

/// A server that shows this host's certificate.
fn server(host: &str, scripts: Vec<Vec<Act>>) -> Server {
    let chain = CertificateDer::from_pem_file(format!("{FOLDER}/{host}.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{FOLDER}/{host}.key")).unwrap();
    let config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![chain], key).unwrap();
    let config = Arc::new(config);
    Server::start_over(scripts, move |stream| {
        let connection =
            ServerConnection::new(Arc::clone(&config)).map_err(std::io::Error::other)?;
        Ok(Box::new(StreamOwned::new(connection, stream)))
    })
}

fn config(server: &Server, root: &str) -> HelperConfig {
    HelperConfig::chatgpt()
        .api_endpoint(format!("https://localhost:{}/v1", server.address().port()))
        .api_key(KEY)
        .max_retries(0)
        .root_certificates(format!("{FOLDER}/{root}"))
}

#[test]
fn a_server_with_a_root_of_the_user_s_is_reached_and_its_connection_kept() {
    let mut script = answers("one");
    script.extend(answers("two"));
    let server = server("localhost", vec![script]);
    let (manager, helper) = spawn(config(&server, "root.pem"));
    assert_eq!(ask(&manager, helper, "p").result.as_deref(), Some("one"));
    let long = "0123456789".repeat(20_000);
    assert_eq!(ask(&manager, helper, long.as_str()).result.as_deref(), Some("two"));
    drop(manager);
    let seen = server.finish();
    assert_eq!(seen[1].connection, 0);
    assert_eq!(seen[1].json()["messages"][0]["content"], long);
}

/// The error of a call that must not get as far as a request.
fn refused(host: &str, root: &str) -> TaskError {
    let server = server(host, vec![vec![Act::hold()]]);
    let (manager, helper) = spawn(config(&server, root));
    let error = failure(&ask(&manager, helper, "p")).clone();
    assert!(server.seen().is_empty());
    error
}

#[test]
fn who_cannot_prove_who_it_is_gets_no_request() {
    // Another host's name; a certificate that is no root of ours.
    for (host, root) in [("other.test", "root.pem"), ("localhost", "other.test.pem")] {
        let error = refused(host, root);
        assert_eq!(error.kind(), ErrorKind::Network, "{host}");
        assert!(error.summary().contains("root_certificates"), "{error}");
        assert!(error.message().contains("certificate"), "{error}");
    }
}

#[test]
fn a_server_without_tls_is_told_as_such() {
    let plain = Server::start([vec![Act::Take(5), Act::write("HTTP/1.1 400 no\r\n\r\n")]]);
    let (manager, helper) = spawn(config(&plain, "root.pem"));
    let error = failure(&ask(&manager, helper, "p")).clone();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.summary().contains("no secure connection"), "{error}");
}

#[test]
fn a_call_over_tls_is_cancelled_at_once_in_every_phase() {
    let (hold, meeting) = Act::meet();
    let (close, closed) = Act::await_close();
    let answering = server("localhost", vec![vec![Act::read(), hold, close], answers("next")]);
    let (manager, helper) = spawn(config(&answering, "root.pem"));
    let task = manager.submit_task(helper, "p").unwrap();
    meeting.reached();
    let began = Instant::now();
    assert!(manager.cancel_task(helper, task));
    assert_eq!(ask(&manager, helper, "q").result.as_deref(), Some("next"));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    meeting.go();
    closed.recv_timeout(LONG).expect("the cancelled connection is closed");

    // A server that accepts, and then says nothing of TLS.
    let (hold, meeting) = Act::meet();
    let (close, closed) = Act::await_close();
    let silent = Server::start([vec![Act::Take(5), hold, close]]);
    let (manager, helper) = spawn(config(&silent, "root.pem"));
    let task = manager.submit_task(helper, "p").unwrap();
    meeting.reached();
    let began = Instant::now();
    assert!(manager.cancel_task(helper, task));
    manager.terminate_all();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    meeting.go();
    closed.recv_timeout(LONG).expect("the cancelled connection is closed");
}

#[test]
fn a_silent_handshake_ends_with_the_connect_time_out() {
    let silent = Server::start([vec![Act::hold()]]);
    let config = config(&silent, "root.pem").connect_timeout(Duration::from_millis(200));
    let (manager, helper) = spawn(config.timeout(LONG));
    let began = Instant::now();
    let error = failure(&ask(&manager, helper, "p")).clone();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.summary().contains("connect_timeout"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
}
