//! Traces of helpers' tasks, sent to Opik.
//!
//! A sink is an observer. On the thread where a task ends it only serializes the trace and adds
//! it to a bounded queue; a separate thread sends the queue in batches. The path of an item:
//! event → `item` → queue → thread → `post` (or `spool`, while Opik cannot be reached). Nothing
//! in this module fails or slows a task.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;
use crate::event::Observe;
#[cfg(feature = "http")]
use crate::opik_account;
use crate::secret::Secret;

#[cfg(not(feature = "http"))]
mod absent;
#[cfg(feature = "http")]
mod backlog;
#[cfg(feature = "http")]
mod delivery;
#[cfg(feature = "http")]
mod item;
#[cfg(feature = "http")]
mod post;
#[cfg(feature = "http")]
mod queue;
#[cfg(feature = "http")]
mod shared;
#[cfg(feature = "http")]
mod sink;
#[cfg(feature = "http")]
mod spool;
#[cfg(feature = "http")]
mod target;
#[cfg(feature = "http")]
mod thread;

#[cfg(not(feature = "http"))]
pub use absent::OpikSink;
#[cfg(feature = "http")]
pub use sink::OpikSink;

pub use crate::config::TraceMode;
pub use crate::trace::{ParseTraceIdError, TraceId};

/// Default bound on queued traces and scores.
pub const DEFAULT_TRACE_QUEUE_ITEMS: usize = 4096;
/// Default bound on the memory of queued entries, in bytes (4 MiB). A trace without texts takes
/// about 1.5 KiB.
pub const DEFAULT_TRACE_QUEUE_BYTES: usize = 4 << 20;
/// Default bound on the spool file, in bytes (8 MiB).
pub const DEFAULT_SPOOL_BYTES: u64 = 8 << 20;
/// Default time limit for sending the remaining entries when a sink is closed (2 s). A connection
/// that is being opened then cannot be interrupted, and takes up to 5 s more.
pub const DEFAULT_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Least memory of a queue: twice the largest item.
#[cfg(feature = "http")]
const QUEUE_BYTES_MIN: usize = 1 << 20;
/// Least size of a spool, for the same reason.
#[cfg(feature = "http")]
const SPOOL_BYTES_MIN: u64 = 1 << 20;

/// The server, account and bounds of a trace sink.
///
/// Settings that are not set are looked up: in the environment (`OPIK_URL_OVERRIDE`,
/// `OPIK_API_KEY`, `OPIK_WORKSPACE`, `OPIK_PROJECT_NAME`), then in the file `~/.opik.config` (or
/// the one that `OPIK_CONFIG_PATH` names), as Opik's own clients do; otherwise Comet's cloud is
/// used, which needs a key. If a key is set and no workspace, the workspace is `default`. `Debug`
/// never shows the key.
///
/// ```
/// use automation_assistant::opik::OpikConfig;
///
/// // Opik on this device, as its `opik.sh` starts it: no key needed.
/// let config = OpikConfig::new().url("http://localhost:5173/api").project("notes");
/// # let _ = config;
/// ```
#[derive(Clone)]
#[must_use]
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub struct OpikConfig {
    url: Option<String>,
    api_key: Option<Secret>,
    workspace: Option<String>,
    project: Option<String>,
    tags: Vec<String>,
    look_up: bool,
    allow_insecure_http: bool,
    root_certificates: Option<PathBuf>,
    queue_items: usize,
    queue_bytes: usize,
    spool: Option<PathBuf>,
    spool_bytes: u64,
    close_timeout: Duration,
    pub(crate) observers: Vec<std::sync::Arc<dyn Observe>>,
}

impl Default for OpikConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl OpikConfig {
    /// A configuration with every default.
    pub fn new() -> Self {
        Self {
            url: None,
            api_key: None,
            workspace: None,
            project: None,
            tags: Vec::new(),
            look_up: true,
            allow_insecure_http: false,
            root_certificates: None,
            queue_items: DEFAULT_TRACE_QUEUE_ITEMS,
            queue_bytes: DEFAULT_TRACE_QUEUE_BYTES,
            spool: None,
            spool_bytes: DEFAULT_SPOOL_BYTES,
            close_timeout: DEFAULT_CLOSE_TIMEOUT,
            observers: Vec::new(),
        }
    }

    /// A configuration, if the environment or `~/.opik.config` names an Opik server or key;
    /// `None` otherwise. For programs that trace only where tracing was set up.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file exists and cannot be read.
    pub fn found() -> Result<Option<Self>, Error> {
        #[cfg(feature = "http")]
        {
            let env = crate::env::Env::of_process();
            let file = opik_account::OpikFile::of_user(&env)?;
            let mut names = opik_account::NAMES_AN_OPIK.iter();
            let any = names.any(|name| file.or_env(&env, name).is_some());
            Ok(any.then(Self::new))
        }
        // A build without HTTP cannot send traces.
        #[cfg(not(feature = "http"))]
        Ok(None)
    }

    /// The base URL, such as `http://localhost:5173/api`. Defaults to the looked-up value (see
    /// [`OpikConfig`]), then to the server that the key names, then to Comet's cloud.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// The API key. White space around it is dropped. Defaults to the looked-up value; a
    /// self-hosted server needs none.
    pub fn api_key(mut self, key: impl AsRef<str>) -> Self {
        self.api_key = Some(Secret::new(key.as_ref()));
        self
    }

    /// The workspace. Defaults to the looked-up value, then to none (which is the account's
    /// default).
    pub fn workspace(mut self, name: impl Into<String>) -> Self {
        self.workspace = Some(name.into());
        self
    }

    /// The project of the traces. Defaults to the looked-up value, then to Opik's "Default
    /// Project".
    pub fn project(mut self, name: impl Into<String>) -> Self {
        self.project = Some(name.into());
        self
    }

    /// Adds a tag to every trace. 1 to 100 bytes. Defaults to none (but each trace is tagged
    /// with its helper's name).
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Whether the environment and `~/.opik.config` are read. Defaults to `true`.
    pub fn look_up(mut self, look_up: bool) -> Self {
        self.look_up = look_up;
        self
    }

    /// Whether a key may be sent over plain http to another host, where every network on the way
    /// can read it. Defaults to `false`.
    pub fn allow_insecure_http(mut self, allow: bool) -> Self {
        self.allow_insecure_http = allow;
        self
    }

    /// A PEM file of root certificates, in place of the bundled ones. Defaults to the file
    /// that `SSL_CERT_FILE` names, then to the bundled Mozilla roots.
    pub fn root_certificates(mut self, pem_file: impl Into<PathBuf>) -> Self {
        self.root_certificates = Some(pem_file.into());
        self
    }

    /// How many traces and scores may be queued; at least 1. When the queue is full, the oldest
    /// are dropped and counted. Defaults to 4096.
    pub fn queue_items(mut self, items: usize) -> Self {
        self.queue_items = items;
        self
    }

    /// How much memory the queue may take, in bytes; at least 1 MiB. The batch in flight takes up
    /// to 1 MiB more. Defaults to 4 MiB.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// A file for entries that could not be sent: it survives a restart, and is sent first, in
    /// order, when Opik can be reached again. Each sink needs its own file, which it protects by
    /// an exclusive lock of the kernel: [`OpikSink::new`] rejects a file that another sink has
    /// open, that holds something else, that has further names (hard links), or whose file system
    /// has no locks (on Android they need Rust 1.98, or the feature `rustix`). It holds prompts if
    /// a helper traces [`Content`](crate::TraceMode::Content), and on Unix only its owner can read
    /// it: a file that others may read or write gets mode 0600, and is rejected if that fails.
    ///
    /// A process that is killed loses the entries that are not in the file yet: those of the last
    /// 2 s, and, while a batch is in flight, that batch (unless it came from the file) and all later
    /// ones. Each request of a batch (traces, spans, scores) takes up to 30 s if Opik accepts it and
    /// stays silent, and up to 5 s if no connection comes up. Defaults to none.
    pub fn spool(mut self, file: impl Into<PathBuf>) -> Self {
        self.spool = Some(file.into());
        self
    }

    /// Largest spool file, in bytes; at least 1 MiB. When it is full, the oldest quarter is
    /// dropped and counted. Defaults to 8 MiB. Where the system limits the size of files
    /// (`ulimit -f`), keep it below that limit: a write at the limit ends the process by the signal
    /// `SIGXFSZ`, unless the process ignores that signal.
    pub fn spool_bytes(mut self, bytes: u64) -> Self {
        self.spool_bytes = bytes;
        self
    }

    /// How long the close of the sink (the drop of its manager) may take to send the remaining
    /// entries. The close itself may take 1 s more, for an observer or a spool that is being
    /// written, and 6 s more where a connection is being opened. A thread that is still in an
    /// observer then is left alone. Defaults to 2 s.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Adds an observer, which is notified of sent and lost traces
    /// ([`EventKind::TraceExport`](crate::EventKind::TraceExport)), on the sink's thread. A
    /// manager adds its own observers. Defaults to none.
    pub fn observer(mut self, observer: std::sync::Arc<dyn Observe>) -> Self {
        self.observers.push(observer);
        self
    }
}

/// All fields but the key.
impl fmt::Debug for OpikConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpikConfig")
            .field("url", &self.url.as_deref().map(crate::url::shown))
            .field("api_key", &self.api_key)
            .field("workspace", &self.workspace)
            .field("project", &self.project)
            .field("tags", &self.tags)
            .field("look_up", &self.look_up)
            .field("queue_items", &self.queue_items)
            .field("queue_bytes", &self.queue_bytes)
            .field("spool", &self.spool)
            .field("spool_bytes", &self.spool_bytes)
            .field("close_timeout", &self.close_timeout)
            .finish_non_exhaustive()
    }
}

/// Counts of a sink's traces and scores since it was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FlushReport {
    /// Sent: Opik has accepted them.
    pub sent: u64,
    /// Dropped: the queue was full, Opik rejected them, or the sink was closed.
    pub dropped: u64,
    /// Pending, in memory or in the spool.
    pub pending: u64,
}

/// The state of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OpikStats {
    /// Traces and scores sent.
    pub sent: u64,
    /// Traces and scores dropped.
    pub dropped: u64,
    /// How often a trace or score was sent again.
    pub retried: u64,
    /// Traces and scores pending, in memory or in the spool.
    pub pending: u64,
    /// Pending ones in the spool.
    pub spooled: u64,
    /// Memory of the queue, in bytes.
    pub queue_bytes: usize,
    /// The greatest value of `queue_bytes` so far.
    pub queue_bytes_max: usize,
    /// The HTTP status after which the sink sends nothing more (401, 402 or 403): correct the key
    /// or the account, and create a new sink.
    pub disabled_by: Option<u16>,
    /// The HTTP status of the last reply.
    pub last_status: Option<u16>,
    /// A description of the last failure, without any text of the server.
    pub last_error: Option<&'static str>,
}
