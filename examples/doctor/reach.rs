//! Reachability: the model server on this device, and the services that are set up.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use automation_assistant::{AutomationHelper, Error, HelperConfig, Provider};
use serde_json::Value;

use super::{Finding, State, fine, note, wrong};

/// Longest wait for a name server. Its own limit may be half a minute.
const DNS_LIMIT: Duration = Duration::from_secs(5);
/// Longest wait for an endpoint to take a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Longest wait for a model server's list of models, connection included.
const MODELS_LIMIT: Duration = Duration::from_secs(10);
/// Most bytes of that list that are read.
const MODELS_BYTES_MAX: u64 = 256 << 10;
/// Longest name of a model that is shown, in characters.
const MODEL_NAME_CHARS: usize = 40;
/// Names the model server on this device, for the examples.
const LOCAL_VARIABLE: &str = "DEMO_LOCAL_ENDPOINT";
const LOCAL_EXAMPLE: &str = "http://127.0.0.1:8080/v1";

/// The model server and each service: keys, and whether they can be reached.
pub(crate) fn findings(offline: bool) -> Vec<Finding> {
    let mut findings = local(offline);
    for provider in Provider::all() {
        let Some(default) = provider.default_endpoint() else { continue };
        findings.extend(service(provider, default, offline));
    }
    findings
}

/// A service: its key, whether a helper of it can be made, and whether it can be reached.
fn service(provider: &Provider, default: &str, offline: bool) -> Vec<Finding> {
    let name = provider.label();
    let url = provider.endpoint_variable().and_then(variable);
    let key = key(provider);
    let is_set = key.is_some() || url.is_some();
    let is_named = key.as_ref().is_some_and(|key| key.state == State::Wrong)
        || url.as_deref().is_some_and(|url| Target::parse(url).is_none());
    let usable = usable(provider);
    let key = key.or_else(|| Some(no_key(provider, *usable.as_ref().ok()?)));
    let mut findings = Vec::from_iter(key);
    match usable {
        Err(error) if !is_named => {
            findings.push(wrong("helper", format!("{name}: {error}"), "correct what it names"));
        }
        // A service that is not set up may be unreachable.
        Ok(usable) if !is_set => {
            let why = match usable {
                true => "its address may be in a configuration file",
                false => "it is not set up",
            };
            findings.push(note("endpoint", format!("{name}: not asked, as {why}"), ""));
        }
        _ => findings.extend(endpoint(provider, url.as_deref().unwrap_or(default), offline)),
    }
    findings
}

/// Whether a helper can be made of what is set, in the environment and in files; or what is
/// wrong with that. Nothing is sent, and no thread started.
fn usable(provider: &Provider) -> Result<bool, Error> {
    // Some services need a model's name; any will do here.
    let config = HelperConfig::new(provider.backend_type()).model("any");
    match AutomationHelper::new(config) {
        Ok(_) => Ok(true),
        // A key that is not set and a feature that is left out are choices.
        Err(Error::MissingKey { .. } | Error::Unsupported { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?.to_string_lossy().trim().to_owned();
    (!value.is_empty()).then_some(value)
}

/// Nothing in the environment is a key of this service's.
fn no_key(provider: &Provider, usable: bool) -> Finding {
    let (name, keys) = (provider.label(), provider.key_variables());
    let key = keys.first().copied().unwrap_or_default();
    if usable {
        return fine("key", format!("{name}: can be asked without {key}"));
    }
    let todo = format!("export {key}=… to use {name}; Local needs none");
    note("key", format!("{name}: {key} is not set"), todo)
}

/// Whether the key that is set can be one; nothing if none is. Never the key.
fn key(provider: &Provider) -> Option<Finding> {
    let name = provider.label();
    let set = |key: &str| std::env::var_os(key).filter(|set| !set.is_empty());
    // The first one that is set is the one that counts.
    let mut keys = provider.key_variables().iter();
    let (key, set) = keys.find_map(|key| Some((key, set(key)?)))?;
    let Some(set) = set.to_str().map(str::trim) else {
        return Some(wrong("key", format!("{name}: {key} is no text"), "set it anew"));
    };
    let odd = |c: char| c.is_whitespace() || c.is_control() || "\"'".contains(c);
    let found = if set.is_empty() {
        format!("{name}: {key} holds spaces only")
    } else if set.contains(odd) {
        format!("{name}: {key} has spaces or quotes in it")
    } else if !set.is_ascii() {
        format!("{name}: {key} has letters in it that no key has")
    } else {
        return Some(fine("key", format!("{name}: {key} is set, {} bytes", set.len())));
    };
    Some(wrong("key", found, "copy the key again, alone"))
}

/// A base URL in its parts.
struct Target {
    is_https: bool,
    host: String,
    port: u16,
    /// The path without a slash at its end.
    path: String,
}

impl Target {
    fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (is_https, default) = match scheme.to_ascii_lowercase().as_str() {
            "https" => (true, 443),
            "http" => (false, 80),
            _ => return None,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = authority.rsplit('@').next()?;
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok()?,
            None => default,
        };
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if host.is_empty() || url.contains(odd) || path.contains(['?', '#']) {
            return None;
        }
        let path = path.trim_end_matches('/').to_owned();
        Some(Self { is_https, host: host.to_owned(), port, path })
    }

    /// Whether the URL itself says that the other end is this device.
    fn is_here(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Host and port, as a URL has them.
    fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// The model server that the examples ask, where one is configured.
fn local(offline: bool) -> Vec<Finding> {
    let Some(url) = variable(LOCAL_VARIABLE) else {
        let todo = format!("start a model server, then export {LOCAL_VARIABLE}={LOCAL_EXAMPLE}");
        return vec![note("local", "no model server; the embedded engine echoes", todo)];
    };
    if !cfg!(feature = "http") {
        let found = format!("{LOCAL_VARIABLE} is set, but this build has no HTTP");
        return vec![wrong("local", found, "build with the cargo feature http")];
    }
    let Some(target) = Target::parse(&url) else {
        let found = format!("{LOCAL_VARIABLE} is no http or https URL");
        return vec![wrong("local", found, format!("write it like {LOCAL_EXAMPLE}"))];
    };
    if offline && !target.is_here() {
        return vec![note("local", format!("{}: not asked", target.authority()), "")];
    }
    let mut findings = Vec::new();
    match look_up("model server", &target) {
        Ok((dns, addresses)) => {
            findings.extend(dns);
            findings.push(models(&target, &addresses));
        }
        Err(finding) => findings.push(finding),
    }
    findings
}

/// Asks a model server which models it has.
fn models(target: &Target, addresses: &[SocketAddr]) -> Finding {
    let shown = target.authority();
    let started = Instant::now();
    let stream = match connect(addresses) {
        Ok(stream) => stream,
        Err(error) => {
            let found = format!("the model server at {shown} cannot be reached: {error}");
            return wrong("local", found, "start it, or correct the port in the address");
        }
    };
    if target.is_https {
        return fine("local", format!("the model server at {shown} accepts connections"));
    }
    let answer = match ask(stream, target, started) {
        Ok(answer) => answer,
        Err(error) => {
            let found = format!("{shown} takes a connection, but gives no answer: {error}");
            return wrong("local", found, "restart the model server, or wait until it is idle");
        }
    };
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
    let path = format!("{}/models", target.path);
    match status {
        Some("200") => match model_name(body) {
            Some(model) => {
                let millis = started.elapsed().as_millis();
                fine("local", format!("the model server at {shown} has {model} ({millis} ms)"))
            }
            None => {
                let found = format!("{shown}{path} lists no model");
                wrong("local", found, "start the server with a model")
            }
        },
        Some("503") => {
            note("local", format!("the model server at {shown} is not ready"), "wait a moment")
        }
        Some("401" | "403") => {
            let found = format!("the model server at {shown} wants a key");
            note("local", found, "start it without one: it is for this device alone")
        }
        Some(status) => {
            let found = format!("{shown}{path} answers with status {status}");
            wrong("local", found, format!("correct the path: it is usually {LOCAL_EXAMPLE}"))
        }
        None => {
            let found = format!("what listens at {shown} is no HTTP server");
            wrong("local", found, "correct the port in the address")
        }
    }
}

/// One request, without a key or a prompt; the whole answer, head included.
fn ask(mut stream: TcpStream, target: &Target, started: Instant) -> std::io::Result<Vec<u8>> {
    // HTTP/1.0, so that the body is not chunked and ends with the connection.
    let request = format!(
        "GET {}/models HTTP/1.0\r\nHost: {}\r\nAccept: application/json\r\n\r\n",
        target.path,
        target.authority()
    );
    stream.set_write_timeout(Some(CONNECT_LIMIT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while (answer.len() as u64) < MODELS_BYTES_MAX {
        let left = MODELS_LIMIT.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&chunk[..count]),
            // The time is looked at above.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            // The part that arrived may be enough.
            Err(_) if !answer.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

/// The first model of a list of models.
fn model_name(body: &str) -> Option<String> {
    let list: Value = serde_json::from_str(body.trim()).ok()?;
    let name = list.get("data")?.get(0)?.get("id")?.as_str()?;
    // A path to a file, with some servers.
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    Some(name.chars().take(MODEL_NAME_CHARS).collect())
}

/// Looks a service's name up and connects to it.
fn endpoint(provider: &Provider, url: &str, offline: bool) -> Vec<Finding> {
    let name = provider.label();
    let Some(target) = Target::parse(url) else {
        let variable = provider.endpoint_variable().unwrap_or_default();
        let found = format!("{name}: {variable} is no http or https URL");
        let example = provider.default_endpoint().unwrap_or_default();
        return vec![wrong("endpoint", found, format!("write it like {example}"))];
    };
    if offline && !target.is_here() {
        return vec![note("endpoint", format!("{name}: not asked"), "")];
    }
    let (dns, addresses) = match look_up(name, &target) {
        Ok(found) => found,
        Err(finding) => return vec![finding],
    };
    let started = Instant::now();
    let shown = target.authority();
    let reached = match connect(&addresses) {
        Ok(_) => {
            let millis = started.elapsed().as_millis();
            fine("endpoint", format!("{name}: {shown} accepts connections ({millis} ms)"))
        }
        Err(error) => {
            let todo = "check network, firewall, VPN and proxy, or work offline with Local";
            wrong("endpoint", format!("{name}: {shown} cannot be reached: {error}"), todo)
        }
    };
    dns.into_iter().chain([reached]).collect()
}

type Addresses = (Option<Finding>, Vec<SocketAddr>);

/// The addresses of a name; an address needs no look-up.
fn look_up(name: &str, target: &Target) -> Result<Addresses, Finding> {
    let (host, port) = (target.host.clone(), target.port);
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok((None, vec![SocketAddr::new(address, port)]));
    }
    let (sender, receiver) = channel();
    let asked = host.clone();
    // The system's look-up has no limit of its own that we could set; the thread ends with
    // it, or with the program.
    let thread = std::thread::Builder::new().name("look-up".to_owned()).spawn(move || {
        let found = (asked.as_str(), port).to_socket_addrs();
        let _ = sender.send(found.map(Iterator::collect::<Vec<SocketAddr>>));
    });
    let answer = match thread {
        Ok(_) => receiver.recv_timeout(DNS_LIMIT),
        Err(error) => return Err(wrong("dns", format!("no thread: {error}"), "free memory")),
    };
    let todo = "check the network and its name server (Wi-Fi, mobile data, a VPN), or work \
                offline with Local";
    match answer {
        Ok(Ok(addresses)) if !addresses.is_empty() => {
            let found = format!("{name}: {host} has {} address(es)", addresses.len());
            Ok((Some(fine("dns", found)), addresses))
        }
        Ok(Ok(_)) => Err(wrong("dns", format!("{name}: {host} has no address"), todo)),
        Ok(Err(error)) => Err(wrong("dns", format!("{name}: {host}: {error}"), todo)),
        Err(_) => {
            let seconds = DNS_LIMIT.as_secs();
            let found = format!("{name}: no answer about {host} within {seconds} s");
            Err(wrong("dns", found, todo))
        }
    }
}

/// Tries the addresses in turn, within one limit.
fn connect(addresses: &[SocketAddr]) -> std::io::Result<TcpStream> {
    let started = Instant::now();
    let mut last = ErrorKind::TimedOut.into();
    for address in addresses {
        let left = CONNECT_LIMIT.saturating_sub(started.elapsed());
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(address, left) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
