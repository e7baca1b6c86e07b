//! Connections to the server, and what its errors mean.

use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};

use super::scripts::Script;
use super::transport::{Server, TOO_LONG, Transport};
use crate::error::Error;

/// Connections kept for later calls.
const IDLE_CONNECTIONS: usize = 16;

/// The way to one server.
pub(crate) struct Link {
    server: Server,
    /// Host and port, for people.
    name: String,
    timeout: Duration,
    idle: Mutex<Vec<Transport>>,
    /// The scripts' digests, in the order of [`Script::ALL`].
    digests: [OnceLock<String>; Script::ALL.len()],
}

/// A script's arguments.
pub(crate) type Args = Vec<Vec<u8>>;

impl Link {
    pub(super) fn new(server: Server, name: String, timeout: Duration) -> Self {
        Self {
            server,
            name,
            timeout,
            idle: Mutex::new(Vec::new()),
            digests: [const { OnceLock::new() }; Script::ALL.len()],
        }
    }

    pub(crate) fn server(&self) -> &str {
        &self.name
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Transport>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a script, once, and calls `meanwhile` once the server has it.
    pub(crate) fn run(
        &self,
        script: Script,
        key: &str,
        args: &Args,
        meanwhile: &mut dyn FnMut(),
    ) -> Result<Value, Error> {
        self.with(Duration::ZERO, |transport| {
            let digest = match self.digests[script as usize].get() {
                Some(digest) => digest,
                None => {
                    let loaded = load(script, transport)?;
                    self.digests[script as usize].get_or_init(|| loaded)
                }
            };
            let command = eval(digest, key, args);
            transport.send(&command)?;
            let sent = Instant::now();
            meanwhile();
            // The caller's time is not the server's.
            transport.give(sent.elapsed());
            match transport.receive() {
                // Restarted since, or flushed.
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    load(script, transport)?;
                    transport.query(&command)
                }
                result => result,
            }
        })
    }

    /// Runs a command that may block for so long.
    pub(crate) fn command(&self, command: &Cmd, blocks: Duration) -> Result<Value, Error> {
        self.with(blocks, |transport| transport.query(command))
    }

    /// The moment by which an answer has to be there in full.
    fn until(&self, blocks: Duration) -> Instant {
        Instant::now() + self.timeout + blocks
    }

    fn with<T>(
        &self,
        blocks: Duration,
        call: impl FnOnce(&mut Transport) -> Result<T, RedisError>,
    ) -> Result<T, Error> {
        let kept = self.idle().pop();
        let mut transport = match kept {
            Some(transport) => transport,
            None => self.connect()?,
        };
        transport.set_until(self.until(blocks));
        let result = call(&mut transport).map_err(|error| self.error(&error));
        let mut idle = self.idle();
        if matches!(result, Err(Error::Unreachable { .. })) {
            // It may have an answer under way that nobody waits for; the others are likely as dead.
            idle.clear();
        } else if idle.len() < IDLE_CONNECTIONS {
            idle.push(transport);
        }
        result
    }

    fn connect(&self) -> Result<Transport, Error> {
        let transport = self.server.connect(self.until(Duration::ZERO));
        let mut transport = transport.map_err(|error| self.error(&error.into()))?;
        if let Some(auth) = &self.server.auth {
            transport.query(auth).map_err(|error| match self.error(&error) {
                Error::Refused { server, .. } => {
                    Error::Refused { server, what: WRONG_PASSWORD.to_owned() }
                }
                // Not for the password: it has no place, or is not ready.
                other => other,
            })?;
        }
        if let Some(select) = &self.server.select {
            transport.query(select).map_err(|error| self.error(&error))?;
        }
        Ok(transport)
    }

    /// Our error for an error of the client. No text of the server's is passed on but its code and,
    /// for errors of scripts, its first words: it may quote arguments.
    fn error(&self, error: &RedisError) -> Error {
        let server = self.name.clone();
        let refused = |what: &str| Error::Refused { server: server.clone(), what: what.to_owned() };
        let away =
            |what: &str| Error::Unreachable { server: server.clone(), what: what.to_owned() };
        let detail = error.detail().unwrap_or_default();
        // 6.2 wraps errors of commands in a script's own.
        let code = [error.code().unwrap_or_default(), "ERR"]
            .into_iter()
            .find(|code| !code.is_empty())
            .filter(|code| *code != "ERR")
            .or_else(|| KNOWN_CODES.into_iter().find(|code| detail.contains(code)));
        match (error.kind(), code) {
            _ if detail.starts_with(NO_PLACE) => away("no place for another client (maxclients)"),
            (_, Some("WRONGPASS" | "NOAUTH")) => refused(WRONG_PASSWORD),
            (_, Some("NOPERM")) => refused(
                "a permission: the user needs scripting, streams, hashes, sets, sorted sets, \
                 lists and strings under the queue's keys",
            ),
            (_, Some("READONLY")) => {
                refused("to write: it is a read-only replica; connect to its primary")
            }
            (_, Some("OOM")) => Error::Full("the server is out of memory".to_owned()),
            (_, Some("MISCONF")) => Error::Full("the server cannot write to its disk".to_owned()),
            (_, Some("WRONGTYPE")) => refused("a key of the queue has a foreign type"),
            (_, Some(code)) if NOT_READY_CODES.contains(&code) => {
                away(&format!("not ready ({code})"))
            }
            (ErrorKind::Io, _) if error.is_timeout() => away("no answer in time"),
            (ErrorKind::Io, _) if error.is_connection_refusal() => away("connection refused"),
            (ErrorKind::Io, _) => away("no connection, or it broke"),
            (ErrorKind::Parse, _) if detail == TOO_LONG => {
                away("the answer is longer than the queue's limits admit")
            }
            (ErrorKind::Parse, _) => away("the answer is not of Redis' protocol"),
            (kind, _) => {
                let words: String = detail.chars().take(REFUSAL_CHARS).collect();
                refused(&format!("a command ({kind:?}): {words}"))
            }
        }
    }
}

const WRONG_PASSWORD: &str = "the user's name or password: check the URL";
/// Begins the one error of a server that has `maxclients` already.
const NO_PLACE: &str = "max number of clients";
/// Codes of a server that will serve again by itself.
const NOT_READY_CODES: [&str; 6] =
    ["LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS"];
/// Codes that a script's own error may hold.
const KNOWN_CODES: [&str; 5] = ["READONLY", "OOM", "NOPERM", "MISCONF", "WRONGTYPE"];
/// Characters kept of a refusal that is not known.
const REFUSAL_CHARS: usize = 120;

/// Hands a script to the server; gives its digest.
fn load(script: Script, transport: &mut Transport) -> Result<String, RedisError> {
    let digest = transport.query(redis::cmd("SCRIPT").arg("LOAD").arg(script.text()))?;
    Ok(redis::from_redis_value(digest)?)
}

fn eval(digest: &str, key: &str, args: &Args) -> Cmd {
    let mut command = redis::cmd("EVALSHA");
    command.arg(digest).arg(1).arg(key);
    for arg in args {
        command.arg(arg.as_slice());
    }
    command
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("server", &self.name).finish_non_exhaustive()
    }
}
