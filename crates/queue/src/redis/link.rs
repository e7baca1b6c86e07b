//! Connections to the server, and what its errors mean.

use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use redis::{Cmd, Connection, ErrorKind, RedisError, ServerErrorKind, Value};

use super::scripts::Script;
use crate::error::Error;

/// Connections kept for later calls.
const IDLE_CONNECTIONS: usize = 16;

/// The way to one server.
pub(crate) struct Link {
    client: redis::Client,
    server: String,
    timeout: Duration,
    idle: Mutex<Vec<Connection>>,
    /// The scripts' digests, in the order of [`Script::ALL`].
    digests: [OnceLock<String>; Script::ALL.len()],
}

/// A script's arguments.
pub(crate) type Args = Vec<Vec<u8>>;

impl Link {
    pub(crate) fn new(client: redis::Client, server: String, timeout: Duration) -> Self {
        Self {
            client,
            server,
            timeout,
            idle: Mutex::new(Vec::new()),
            digests: [const { OnceLock::new() }; Script::ALL.len()],
        }
    }

    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
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
        self.with(Duration::ZERO, |connection| {
            let digest = match self.digests[script as usize].get() {
                Some(digest) => digest,
                None => {
                    let loaded = load(script, connection)?;
                    self.digests[script as usize].get_or_init(|| loaded)
                }
            };
            let command = eval(digest, key, args);
            connection.send_packed_command(&command.get_packed_command())?;
            meanwhile();
            match connection.recv_response().and_then(Value::extract_error) {
                // Restarted since, or flushed.
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    load(script, connection)?;
                    command.query(connection)
                }
                result => result,
            }
        })
    }

    /// Runs a command that may block for so long.
    pub(crate) fn command(&self, command: &Cmd, blocks: Duration) -> Result<Value, Error> {
        self.with(blocks, |connection| command.query(connection))
    }

    fn with<T>(
        &self,
        blocks: Duration,
        call: impl FnOnce(&mut Connection) -> Result<T, RedisError>,
    ) -> Result<T, Error> {
        let kept = self.idle().pop();
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.connect().map_err(|error| self.error(&error))?,
        };
        let wait = Some(self.timeout + blocks);
        let set = connection.set_read_timeout(wait);
        let result = set.and_then(|()| call(&mut connection));
        // A connection that failed may have an answer under way that nobody waits for.
        let is_sound = match &result {
            Ok(_) => true,
            Err(error) => matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension),
        };
        if is_sound {
            let mut idle = self.idle();
            if idle.len() < IDLE_CONNECTIONS {
                idle.push(connection);
            }
        } else {
            // The others are likely as dead.
            self.idle().clear();
        }
        result.map_err(|error| self.error(&error))
    }

    fn connect(&self) -> Result<Connection, RedisError> {
        let connection = self.client.get_connection_with_timeout(self.timeout)?;
        connection.set_write_timeout(Some(self.timeout))?;
        Ok(connection)
    }

    /// Our error for an error of the client. No text of the server's is passed on but its code and, for errors
    /// of scripts, its first words: it may quote arguments.
    fn error(&self, error: &RedisError) -> Error {
        let server = self.server.clone();
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
            (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS" | "NOAUTH")) => {
                refused("the user's name or password: check the URL")
            }
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
            (_, Some(code @ ("LOADING" | "BUSY" | "TRYAGAIN" | "MASTERDOWN" | "CLUSTERDOWN"))) => {
                away(&format!("not ready ({code})"))
            }
            (ErrorKind::Io, _) if error.is_timeout() => away("no answer in time"),
            (ErrorKind::Io, _) if error.is_connection_refusal() => away("connection refused"),
            (ErrorKind::Io, _) => away("no connection, or it broke"),
            (ErrorKind::Parse, _) => away("the answer is not of Redis' protocol"),
            (ErrorKind::InvalidClientConfig, _) => {
                Error::InvalidConfig("the URL cannot be used as it is".to_owned())
            }
            (kind, _) => {
                let words: String = detail.chars().take(REFUSAL_CHARS).collect();
                refused(&format!("a command ({kind:?}): {words}"))
            }
        }
    }
}

/// Codes that a script's own error may hold.
const KNOWN_CODES: [&str; 5] = ["READONLY", "OOM", "NOPERM", "MISCONF", "WRONGTYPE"];
/// Characters kept of a refusal that is not known.
const REFUSAL_CHARS: usize = 120;

/// Hands a script to the server; gives its digest.
fn load(script: Script, connection: &mut Connection) -> Result<String, RedisError> {
    redis::cmd("SCRIPT").arg("LOAD").arg(script.text()).query(connection)
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
        f.debug_struct("Link").field("server", &self.server).finish_non_exhaustive()
    }
}
