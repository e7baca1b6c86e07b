//! ureq's agents, each shared by all helpers that can share it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

#[cfg(feature = "tls")]
use once_cell::sync::OnceCell as Cell;
#[cfg(not(feature = "tls"))]
use std::sync::OnceLock as Cell;

use ureq::{Agent, Proxy};

use super::connection::{self, Connect};
use super::dial::Dialler;
use super::{Setup, USER_AGENT, proxy, resolver};
use crate::connections::Connections;
use crate::error::Error;
use crate::sync::lock;

/// Idle connections are closed at this age. llama.cpp closes them at 5 s: less is safe.
const IDLE_AGE_MAX: Duration = Duration::from_secs(4);
/// Most idle connections kept for one server. Helpers with more threads than this open new
/// ones now and then.
const IDLE_PER_HOST_MAX: usize = 16;
/// Most idle connections kept altogether. Their buffers are given back while they are idle,
/// but each has a socket (and over TLS a session, and what rustls reads into, 4 KiB or more).
const IDLE_MAX: usize = 32;

/// The key of an agent. (Connections within one are distinguished by their server.)
#[derive(PartialEq)]
struct AgentKind {
    proxy: Option<Proxy>,
    roots: Option<PathBuf>,
}

/// An agent, made by the first helper that needs it.
pub(super) type Shared = Arc<Cell<Agent>>;

/// All agents of some helpers. They live as long as a helper holds them.
#[derive(Default)]
struct Agents(Mutex<Vec<(AgentKind, Weak<Cell<Agent>>)>>);

/// The agent for this setup, and what keeps it alive.
pub(super) fn find(connections: &Connections, setup: &Setup<'_>) -> Result<(Agent, Shared), Error> {
    let kind = AgentKind {
        proxy: proxy::choose(setup)?,
        roots: setup.roots.filter(|_| setup.endpoint.is_https()).map(PathBuf::from),
    };
    let cell = match connections.shared::<Agents>() {
        Some(agents) => agents.cell(&kind),
        None => Shared::default(),
    };
    // Outside the list's lock: it may read a file. Should it fail, the next one tries anew.
    #[cfg(feature = "tls")]
    let agent = cell.get_or_try_init(|| make(&kind))?.clone();
    #[cfg(not(feature = "tls"))]
    let agent = cell.get_or_init(|| make(&kind)).clone();
    Ok((agent, cell))
}

impl Agents {
    fn cell(&self, kind: &AgentKind) -> Shared {
        let mut list = lock(&self.0);
        list.retain(|(_, cell)| cell.strong_count() > 0);
        let found = list.iter().find(|(other, _)| other == kind);
        if let Some(cell) = found.and_then(|(_, cell)| cell.upgrade()) {
            return cell;
        }
        let cell = Shared::default();
        let kind = AgentKind { proxy: kind.proxy.clone(), roots: kind.roots.clone() };
        list.push((kind, Arc::downgrade(&cell)));
        cell
    }
}

#[cfg(feature = "tls")]
fn make(kind: &AgentKind) -> Result<Agent, Error> {
    let roots = kind.roots.as_deref().map(super::roots::read).transpose()?;
    let secure = super::tls::Secure::new(roots);
    Ok(Agent::with_parts(config(kind), Connect(Dialler::new(secure)), resolver::Later))
}

#[cfg(not(feature = "tls"))]
fn make(kind: &AgentKind) -> Agent {
    Agent::with_parts(config(kind), Connect(Dialler::new()), resolver::Later)
}

fn config(kind: &AgentKind) -> ureq::config::Config {
    Agent::config_builder()
        .http_status_as_error(false)
        // A redirect could carry prompts, if not the key, to another host.
        .max_redirects(0)
        .proxy(kind.proxy.clone())
        .user_agent(USER_AGENT)
        .max_idle_age(IDLE_AGE_MAX)
        .max_idle_connections_per_host(IDLE_PER_HOST_MAX)
        .max_idle_connections(IDLE_MAX)
        .max_response_header_size(connection::HEADER_BYTES_MAX)
        .build()
}
