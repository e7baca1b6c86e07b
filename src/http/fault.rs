//! How a request fails before or while its reply is read, as HTTP sees it. The meaning for
//! a task is its caller's business.

use std::{fmt, io};

use super::call::{CallPhase, CallStop};

/// A request that got no reply, or a reply that broke off.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Our own side ended the call: its task was cancelled.
    Cancelled,
    /// Our own side ended the call: its deadline has passed.
    DeadlinePassed,
    /// Our own side ended the call: the limit of this phase has passed.
    PhaseTimedOut(CallPhase),
    /// The host name has no address, or the look-up failed.
    NameNotFound,
    /// Nobody listens at that address and port.
    ConnectionRefused,
    /// There is no way to that address.
    Unreachable,
    /// The peer closed or reset the connection before it replied.
    ConnectionClosed,
    /// The same on a connection that had been kept since an earlier request: as a rule the
    /// server closed it for its age just then, but it may have read the request.
    KeptConnectionClosed,
    /// The connection broke off within the reply's body.
    BodyCutOff,
    /// TLS failed before the request was sent.
    #[cfg_attr(not(feature = "tls"), allow(dead_code))]
    HandshakeFailed(&'static str),
    /// TLS failed after the request was sent.
    #[cfg_attr(not(feature = "tls"), allow(dead_code))]
    TlsBroken {
        /// Why, in our own words.
        why: &'static str,
        /// Whether it would be the same the next time.
        permanent: bool,
    },
    /// There is no way through the proxy of this name.
    Proxy {
        /// Its host and port.
        name: String,
        /// The fault.
        why: Box<Fault>,
    },
    /// The proxy did not connect us.
    ProxyRefused {
        /// Why, in our own words.
        what: String,
        /// Whether that may pass.
        may_pass: bool,
    },
    /// The reply's headers are longer, or more, than the bound.
    HeadersTooLong,
    /// The reply is not HTTP.
    NotHttp,
    /// Anything else, with the system's word for it where there is one.
    Failed(Option<String>),
}

/// A proxy's word against a connection, and whether that may pass.
pub(super) fn refused(what: impl Into<String>, may_pass: bool) -> io::Error {
    Fault::ProxyRefused { what: what.into(), may_pass }.into()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request failed")
    }
}

impl std::error::Error for Fault {}

/// Takes it through functions that fail as the system does.
impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::other(fault)
    }
}

impl From<CallStop> for Fault {
    fn from(stop: CallStop) -> Self {
        match stop {
            CallStop::Cancelled => Self::Cancelled,
            CallStop::Deadline => Self::DeadlinePassed,
            CallStop::Limit(phase) => Self::PhaseTimedOut(phase),
        }
    }
}

impl Fault {
    /// Classifies an error, where our side did not end the call.
    pub(super) fn of(fault: io::Error) -> Self {
        use io::ErrorKind as Io;
        let fault = match fault.downcast::<Self>() {
            Ok(fault) => return fault,
            Err(fault) => fault,
        };
        match fault.kind() {
            Io::ConnectionRefused => Self::ConnectionRefused,
            Io::UnexpectedEof
            | Io::ConnectionReset
            | Io::ConnectionAborted
            | Io::BrokenPipe
            | Io::NotConnected => Self::ConnectionClosed,
            Io::HostUnreachable | Io::NetworkUnreachable | Io::NetworkDown => Self::Unreachable,
            // Such as the lack of a free file, for which std has no kind.
            kind => Self::Failed(Some(match fault.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code).to_string(),
                None => kind.to_string(),
            })),
        }
    }
}
