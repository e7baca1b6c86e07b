//! How to reach a queue on a server.

use std::fmt;
use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};

use super::Redis;
use crate::error::Error;
use crate::limits::Limits;
use crate::queue::JobQueue;

/// Default bound on one answer of the server, and on a connection's begin.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// Default time for which a call is tried again while the server is away.
const DEFAULT_RETRY_FOR: Duration = Duration::from_secs(5);
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

    /// How long one answer, and a connection's begin, may take. Defaults to 5 s.
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

    /// Trusts the certificates of this PEM text for `rediss://`, in place of the bundled and
    /// the system's roots. Defaults to none.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// Opens the queue: connects once, and looks whether the server keeps what it is given.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`], also for a server that evicts keys when its memory is full
    /// (`maxmemory-policy` must be `noeviction` or `volatile-…`); [`Error::Unreachable`];
    /// [`Error::Refused`]; [`Error::NewerFormat`].
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
        self.timeout
    }

    /// The client, and the server's name for people, without credentials.
    pub(super) fn client(&self) -> Result<(redis::Client, String), Error> {
        // redis' own message may quote the URL.
        let bad = || {
            Error::InvalidConfig(
                "the URL is not of the form redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]"
                    .to_owned(),
            )
        };
        let info: ConnectionInfo = self.url.as_str().into_connection_info().map_err(|_| bad())?;
        let server = info.addr().to_string();
        let is_tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
        if !info.addr().is_supported() {
            return Err(Error::InvalidConfig(
                "rediss:// is not built in: enable the cargo feature \"rediss\"".to_owned(),
            ));
        }
        let settings = info.redis_settings().clone();
        // Redis 6.2 knows no CLIENT SETINFO, and needs no RESP3.
        let settings = settings.set_skip_set_lib_name().set_protocol(ProtocolVersion::RESP2);
        // Without it a long push's last segment waits for the acknowledgement of those before.
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        let info = info.set_redis_settings(settings).set_tcp_settings(tcp);
        let client = self.build(info, is_tls).map_err(|_| bad())?;
        Ok((client, server))
    }

    #[cfg(feature = "rediss")]
    fn build(&self, info: ConnectionInfo, is_tls: bool) -> redis::RedisResult<redis::Client> {
        match &self.root_certificates {
            Some(pem) if is_tls => redis::Client::build_with_tls(
                info,
                redis::TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) },
            ),
            _ => redis::Client::open(info),
        }
    }

    #[cfg(not(feature = "rediss"))]
    fn build(&self, info: ConnectionInfo, _is_tls: bool) -> redis::RedisResult<redis::Client> {
        redis::Client::open(info)
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = self.client().map(|(_, server)| server).unwrap_or_default();
        f.debug_struct("RedisConfig")
            .field("server", &server)
            .field("name", &self.name)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
