//! How to reach a queue on a server.

use std::fmt;
use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use super::Redis;
use super::transport::{Address, Secure, Server};
use crate::engine::{ANSWER_BYTES_MAX, LEASE_MAX};
use crate::error::Error;
use crate::limits::Limits;
use crate::queue::JobQueue;

/// Default bound on one answer of the server, and on a connection's begin.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// Default time for which a call is tried again while the server is away.
const DEFAULT_RETRY_FOR: Duration = Duration::from_secs(5);
/// Bytes of an answer beside records: ids, names and numbers of all there are.
const ANSWER_REST_BYTES: usize = 16 << 20;
/// The schemes of URLs that ask for TLS, and those of the same URLs without.
const TLS_SCHEMES: [(&str, &str); 2] = [("rediss://", "redis://"), ("valkeys://", "valkey://")];
/// Longest name of a queue, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A queue on a Redis server, and how to reach it. `Debug` shows host and port, never
/// credentials.
///
/// ```no_run
/// use automation_assistant_queue::RedisConfig;
/// use std::time::Duration;
///
/// let queue = RedisConfig::new("redis://127.0.0.1:6379", "summaries")
///     .timeout(Duration::from_secs(2))
///     .connect()?;
/// # Ok::<(), automation_assistant_queue::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct RedisConfig {
    url: String,
    name: String,
    limits: Limits,
    timeout: Duration,
    retry_for: Duration,
    root_certificates: Option<Vec<u8>>,
}

impl RedisConfig {
    /// The queue of this name at this URL: `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`, or
    /// `rediss://…` for TLS (cargo feature `rediss`). A name has 1 to 64 letters, digits and
    /// `_ - . :`.
    pub fn new(url: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            name: name.into(),
            limits: Limits::default(),
            timeout: DEFAULT_TIMEOUT,
            retry_for: DEFAULT_RETRY_FOR,
            root_certificates: None,
        }
    }

    /// Bounds of one's own. Defaults to [`Limits::new`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long one call's answer may take until it is there in full, and, before a call without a
    /// connection, the making of one; a second more for each 32 KiB that go to the server or come
    /// from it, for slow links. More than a day counts as a day. Defaults to 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// For how long a call is tried again while the server is away; repeating is safe. Between
    /// two tries the caller's thread sleeps, 20 ms at first and 500 ms at last; nothing but the end
    /// of this time cuts that short, so a call to a server that is away ends after this and one
    /// [`timeout`](Self::timeout). (A worker tries until it is stopped, which ends its pauses.)
    /// Defaults to 5 s; zero tries once.
    pub fn retry_for(mut self, time: Duration) -> Self {
        self.retry_for = time;
        self
    }

    /// Trusts the certificates of this PEM text for `rediss://`, in place of the bundled
    /// roots. Defaults to none.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// Opens the queue: connects once, and looks whether the server keeps what it is given.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`], also for a server that evicts keys when its memory is full
    /// (`maxmemory-policy` must be `noeviction` or `volatile-…`); [`Error::Unreachable`],
    /// at once and without another try; [`Error::Refused`]; [`Error::NewerFormat`].
    pub fn connect(self) -> Result<JobQueue, Error> {
        self.limits.validate()?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':');
        let sized = (1..=NAME_BYTES_MAX).contains(&self.name.len());
        if !sized || !self.name.bytes().all(plain) {
            return Err(Error::InvalidConfig(
                "a queue's name has 1 to 64 letters, digits and _ - . :".to_owned(),
            ));
        }
        if self.timeout.is_zero() {
            return Err(Error::InvalidConfig("a timeout of zero leaves no time".to_owned()));
        }
        let limits = self.limits.clone();
        let retry_for = self.retry_for;
        let redis = Redis::connect(self)?;
        Ok(JobQueue { retry_for, ..JobQueue::over(std::sync::Arc::new(redis), limits) })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn bounds(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn answer_within(&self) -> Duration {
        self.timeout.min(LEASE_MAX)
    }

    /// The server, and its name for people, without credentials.
    pub(super) fn server(&self) -> Result<(Server, String), Error> {
        let (info, is_tls) = self.parse()?;
        let name = info.addr().to_string();
        let address = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Address::Tcp(host.clone(), *port),
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => Address::Unix(path.clone()),
            _ => return Err(bad_url()),
        };
        let secure = match &address {
            Address::Tcp(host, _) if is_tls => Some(self.secure(host)?),
            _ => None,
        };
        let settings = info.redis_settings();
        let auth = settings.password().map(|password| {
            let mut auth = redis::cmd("AUTH");
            if let Some(user) = settings.username() {
                auth.arg(user);
            }
            auth.arg(password);
            auth
        });
        let select = (settings.db() != 0).then(|| {
            let mut select = redis::cmd("SELECT");
            select.arg(settings.db());
            select
        });
        let records = self.limits.max_job_bytes.max(self.limits.max_result_bytes);
        let answer_bytes_max = records.saturating_add(ANSWER_BYTES_MAX + ANSWER_REST_BYTES);
        Ok((Server { address, secure, auth, select, answer_bytes_max }, name))
    }

    /// The URL's parts, and whether it asks for TLS.
    fn parse(&self) -> Result<(ConnectionInfo, bool), Error> {
        let url = self.url.trim();
        let tls = TLS_SCHEMES.into_iter().find_map(|(tls, plain)| {
            let (scheme, rest) = url.split_at_checked(tls.len())?;
            scheme.eq_ignore_ascii_case(tls).then(|| format!("{plain}{rest}"))
        });
        let is_tls = tls.is_some();
        // As one without TLS: redis reads the others only where it has a TLS of its own. Its
        // message is not passed on: it may quote the URL.
        let plain = tls.unwrap_or_else(|| url.to_owned());
        let info = plain.as_str().into_connection_info().map_err(|_| bad_url())?;
        Ok((info, is_tls))
    }

    #[cfg(feature = "rediss")]
    fn secure(&self, host: &str) -> Result<Secure, Error> {
        super::tls::secure(host, self.root_certificates.as_deref())
    }

    #[cfg(not(feature = "rediss"))]
    fn secure(&self, _host: &str) -> Result<Secure, Error> {
        let why = "rediss:// is not built in: enable the cargo feature \"rediss\"";
        Err(Error::InvalidConfig(why.to_owned()))
    }
}

fn bad_url() -> Error {
    let why = "the URL is not of the form redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]";
    Error::InvalidConfig(why.to_owned())
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = self.parse().map(|(info, _)| info.addr().to_string()).unwrap_or_default();
        f.debug_struct("RedisConfig")
            .field("server", &server)
            .field("name", &self.name)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
