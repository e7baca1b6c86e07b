//! A request, and its head as it goes out.

use std::io::Read;

use super::server::Server;
use crate::splice::Streamed;

/// How we name ourselves to servers and proxies.
pub(super) const USER_AGENT: &str = concat!("automation-assistant/", env!("CARGO_PKG_VERSION"));
/// Bytes of a request's head without its headers from the program, roughly.
const HEAD_BYTES: usize = 256;

/// One request.
pub(crate) struct Request<'a> {
    pub(crate) url: &'a str,
    /// Names in lower case; values checked when the backend was made.
    pub(crate) headers: &'a [(&'static str, String)],
    /// Of the program, in the same form; each replaces one of the same name.
    pub(crate) further: &'a [(String, String)],
    /// The body of a POST; a request without one is a GET.
    pub(crate) body: Option<Body<'a>>,
    /// Whether the body is put instead of posted.
    pub(crate) put: bool,
    pub(crate) accept: &'static str,
    /// Whether it must go over a new connection: one that was kept turned out to be closed.
    pub(crate) fresh: bool,
}

/// A request's body.
#[derive(Clone, Copy)]
pub(crate) enum Body<'a> {
    Bytes(&'a [u8]),
    Streamed(&'a Streamed),
}

impl<'a> Body<'a> {
    fn length(self) -> String {
        match self {
            Self::Bytes(bytes) => bytes.len().to_string(),
            Self::Streamed(body) => body.content_length.clone(),
        }
    }

    pub(super) fn open(self) -> Box<dyn Read + 'a> {
        match self {
            Self::Bytes(bytes) => Box::new(bytes),
            Self::Streamed(body) => (body.open)(),
        }
    }
}

/// Whether a header can have this name.
pub(crate) fn is_header_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

/// The head of a request to this server, for this path of its. A `forward` sends it through an
/// http proxy, which wants the whole address, and these lines of headers.
pub(super) fn head(
    request: &Request<'_>,
    server: &Server,
    path: &str,
    forward: Option<&str>,
) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let mut push = |parts: &[&str]| {
        for part in parts {
            head.extend_from_slice(part.as_bytes());
        }
    };
    let method = match request.body {
        None => "GET",
        Some(_) if request.put => "PUT",
        Some(_) => "POST",
    };
    let authority = server.authority();
    let address = if forward.is_some() { ["http://", &authority] } else { [""; 2] };
    let slash = if path.starts_with('/') { "" } else { "/" };
    push(&[method, " "]);
    push(&address);
    push(&[slash, path, " HTTP/1.1\r\nhost: ", &authority, "\r\n", forward.unwrap_or_default()]);
    let length = request.body.map(Body::length);
    let ours = [
        ("user-agent", Some(USER_AGENT)),
        ("accept", Some(request.accept)),
        ("content-type", request.body.map(|_| "application/json")),
        ("content-length", length.as_deref()),
    ];
    let ours = ours.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
    let providers = request.headers.iter().map(|(name, value)| (*name, value.as_str()));
    for (name, value) in ours.chain(providers) {
        if request.further.iter().all(|(other, _)| other != name) {
            push(&[name, ": ", value, "\r\n"]);
        }
    }
    for (name, value) in request.further {
        push(&[name, ": ", value, "\r\n"]);
    }
    push(&["\r\n"]);
    head
}
