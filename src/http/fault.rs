//! How a request fails before or while its reply is read, as HTTP sees it. The meaning for
//! a task is its caller's business.

use std::fmt;

#[cfg(feature = "tls")]
use super::call::Scope;
use super::call::{CallPhase, CallStop};
#[cfg(feature = "tls")]
use super::tls;

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
    ProxyRefused(ProxyRefusal),
    /// The reply's headers are longer than the bound.
    HeadersTooLong,
    /// The reply is not HTTP.
    NotHttp,
    /// Anything else, with the system's word for it where there is one.
    Failed(Option<String>),
}

/// A proxy's word against a connection.
#[derive(Debug, Clone)]
pub(crate) struct ProxyRefusal {
    /// The fault in the library's own words.
    pub(crate) what: String,
    /// Whether that may pass.
    pub(crate) may_pass: bool,
}

impl fmt::Display for ProxyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for ProxyRefusal {}

impl From<ProxyRefusal> for ureq::Error {
    fn from(refusal: ProxyRefusal) -> Self {
        std::io::Error::other(refusal).into()
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
    /// Classifies ureq's error, where our side did not end the call.
    pub(super) fn of(fault: &ureq::Error, #[cfg(feature = "tls")] scope: &Scope<'_>) -> Self {
        use std::io::ErrorKind as Io;
        match fault {
            ureq::Error::Io(fault) => match fault.kind() {
                Io::ConnectionRefused => Self::ConnectionRefused,
                Io::UnexpectedEof
                | Io::ConnectionReset
                | Io::ConnectionAborted
                | Io::BrokenPipe
                | Io::NotConnected => Self::ConnectionClosed,
                Io::HostUnreachable | Io::NetworkUnreachable | Io::NetworkDown => Self::Unreachable,
                // TLS's rejections come so.
                #[cfg(feature = "tls")]
                Io::InvalidData => {
                    let rejected = fault.get_ref().and_then(|inner| inner.downcast_ref());
                    let unknown = tls::Rejected { why: "TLS failed", permanent: false };
                    Self::of_tls(scope, rejected.unwrap_or(&unknown))
                }
                kind => match fault.get_ref().and_then(|inner| inner.downcast_ref()) {
                    Some(refusal) => Self::ProxyRefused(ProxyRefusal::clone(refusal)),
                    // Such as the lack of a free file, for which std has no kind.
                    None => Self::Failed(Some(match fault.raw_os_error() {
                        Some(code) => std::io::Error::from_raw_os_error(code).to_string(),
                        None => kind.to_string(),
                    })),
                },
            },
            ureq::Error::HostNotFound => Self::NameNotFound,
            #[cfg(feature = "tls")]
            ureq::Error::Tls(why) => Self::of_tls(scope, &tls::Rejected { why, permanent: true }),
            ureq::Error::LargeResponseHeader(..) => Self::HeadersTooLong,
            ureq::Error::Protocol(_) => Self::NotHttp,
            _ => Self::Failed(None),
        }
    }

    #[cfg(feature = "tls")]
    fn of_tls(scope: &Scope<'_>, rejected: &tls::Rejected) -> Self {
        let tls::Rejected { why, permanent } = *rejected;
        if scope.awaits_reply() {
            Self::TlsBroken { why, permanent }
        } else {
            Self::HandshakeFailed(why)
        }
    }
}
