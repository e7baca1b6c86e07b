//! A stand-in for a provider on loopback: `server plain|tls silent|answer [PEM_FILE]`.
//!
//! Prints `READY ADDRESS`, then `REQUEST` for each whole request. `silent` never answers;
//! `answer` sends a canned completion. With `tls` it makes a certificate for 127.0.0.1 and
//! writes it to PEM_FILE. Ends with its input.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Longest body that is read.
const BODY_BYTES_MAX: usize = 1 << 20;
const ANSWER: &str = r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}}"#;

type Fault = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Fault> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let tls = arguments.first().is_some_and(|kind| kind == "tls");
    let answers = arguments.get(1).is_some_and(|kind| kind == "answer");
    let config = match (tls, arguments.get(2)) {
        (true, Some(path)) => Some(Arc::new(make_config(path)?)),
        _ => None,
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("READY {}", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = config.clone();
            // A client that breaks off is no concern of the stand-in's.
            std::thread::spawn(move || serve(stream, config, answers));
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn make_config(path: &str) -> Result<ServerConfig, Fault> {
    let made =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    std::fs::write(path, made.cert.pem())?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok(config)
}

fn serve(stream: TcpStream, config: Option<Arc<ServerConfig>>, answers: bool) -> Result<(), Fault> {
    stream.set_nodelay(true)?;
    match config {
        None => exchange(stream, answers),
        Some(config) => exchange(StreamOwned::new(ServerConnection::new(config)?, stream), answers),
    }
}

fn exchange(stream: impl Read + Write, answers: bool) -> Result<(), Fault> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim().split_once(':') {
                None if line.trim().is_empty() => break,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse()?;
                }
                _ => {}
            }
        }
        let mut body = vec![0; usize::min(length, BODY_BYTES_MAX)];
        stream.read_exact(&mut body)?;
        println!("REQUEST");
        if !answers {
            // Until the client goes.
            stream.read_exact(&mut [0])?;
        }
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
        let reply = format!("{head}{}\r\n\r\n{ANSWER}", ANSWER.len());
        stream.get_mut().write_all(reply.as_bytes())?;
        stream.get_mut().flush()?;
    }
}
