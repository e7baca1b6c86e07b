//! TLS over a connection: rustls, driven by hand.

use std::io::{self, Read, Write};
use std::sync::Arc;

use once_cell::sync::OnceCell;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig, ClientConnection, RootCertStore};

use super::algorithms;
use super::fault::Fault;
use super::server::Server;
use super::socket::{Stream, is_gone};

/// Servers whose sessions are remembered, so that a new connection to one of them is quicker
/// by a signature or two. Helpers of one program seldom have more.
const SERVERS_MAX: usize = 8;
/// rustls keeps this many tickets of a server, and counts servers by it.
const TICKETS_PER_SERVER: usize = 8;

/// Puts TLS over connections to https endpoints and proxies.
pub(super) struct Secure {
    /// The user's own roots; the bundled ones if there are none.
    roots: Option<Arc<RootCertStore>>,
    /// Made for the first connection: a program may have none.
    config: OnceCell<Arc<ClientConfig>>,
}

impl Secure {
    pub(super) fn new(roots: Option<Arc<RootCertStore>>) -> Self {
        Self { roots, config: OnceCell::new() }
    }

    fn config(&self) -> io::Result<Arc<ClientConfig>> {
        let made = self.config.get_or_try_init(|| {
            let roots = self.roots.clone().unwrap_or_else(|| {
                let bundled = webpki_roots::TLS_SERVER_ROOTS.to_vec();
                Arc::new(RootCertStore { roots: bundled })
            });
            let mut config = ClientConfig::builder_with_provider(algorithms::ring())
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
            config.resumption = Resumption::in_memory_sessions(SERVERS_MAX * TICKETS_PER_SERVER);
            Ok(Arc::new(config))
        });
        made.cloned().map_err(|fault: rustls::Error| rejected(&fault))
    }

    /// A connection over this stream, before anything is said. (A function of its own, and the
    /// connection behind a pointer: what it takes of the stack is given back before the
    /// handshake, which goes deepest.)
    #[inline(never)]
    pub(super) fn wrap(&self, stream: Box<dyn Stream>, server: &Server) -> io::Result<Box<Tls>> {
        let name = ServerName::try_from(server.host.clone()).map_err(|_| {
            let why = "this host's name cannot stand in a certificate";
            Fault::TlsBroken { why, permanent: true }
        })?;
        let conn = ClientConnection::new(self.config()?, name).map_err(|fault| rejected(&fault))?;
        Ok(Box::new(Tls { conn, stream, waiting: 0, over: false, is_deaf: false }))
    }
}

/// A connection with TLS over it.
pub(super) struct Tls {
    conn: ClientConnection,
    stream: Box<dyn Stream>,
    /// Bytes of plain text that rustls holds.
    waiting: usize,
    /// The peer sent close_notify.
    over: bool,
    /// The peer takes nothing more.
    is_deaf: bool,
}

impl Tls {
    /// Proves that the peer is who it should be, and agrees on keys.
    pub(super) fn handshake(&mut self) -> io::Result<()> {
        loop {
            if let Err(fault) = self.flush() {
                // The peer may have said why it takes nothing more.
                while self.is_deaf && self.receive()? {}
                return Err(fault);
            }
            if !self.conn.is_handshaking() {
                return Ok(());
            }
            if !self.receive()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Waits for the peer and reads its records; `false` if it sends no more.
    fn receive(&mut self) -> io::Result<bool> {
        if self.conn.read_tls(&mut self.stream)? == 0 {
            return Ok(false);
        }
        match self.conn.process_new_packets() {
            Ok(state) => {
                self.waiting = state.plaintext_bytes_to_read();
                self.over = state.peer_has_closed();
            }
            Err(fault) => {
                // The peer may as well know why. If it does not listen, so be it.
                let _ = self.conn.write_tls(&mut self.stream);
                return Err(rejected(&fault));
            }
        }
        Ok(true)
    }
}

impl Stream for Tls {
    fn is_open(&mut self, look: bool) -> bool {
        self.waiting == 0 && !self.over && !self.is_deaf && self.stream.is_open(look)
    }

    fn await_text(&mut self) -> io::Result<()> {
        while self.waiting == 0 && self.receive()? {
            // Records may bring no text, but want an answer.
            if !self.is_deaf {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn has_input(&self) -> bool {
        self.waiting > 0 || self.stream.has_input()
    }

    fn has_text(&mut self) -> io::Result<bool> {
        let is_over = self.waiting == 0 && !self.receive()?;
        Ok(is_over || self.waiting > 0)
    }
}

impl Read for Tls {
    /// Waits for text. An end without a close_notify is an error.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.await_text()?;
        let amount = self.conn.reader().read(into)?;
        self.waiting = self.waiting.saturating_sub(amount);
        Ok(amount)
    }
}

impl Write for Tls {
    /// Takes text; what of it could not be sent yet, `flush` sends.
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let taken = self.conn.writer().write(text)?;
        match self.flush() {
            Err(fault) if fault.kind() != io::ErrorKind::WouldBlock || taken == 0 => Err(fault),
            _ => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.conn.wants_write() {
            match self.conn.write_tls(&mut self.stream) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(fault) => {
                    self.is_deaf |= is_gone(&fault);
                    return Err(fault);
                }
            }
        }
        self.stream.flush()
    }
}

/// rustls's rejection in our own words: what it says itself can quote a certificate.
fn rejected(fault: &rustls::Error) -> io::Error {
    use rustls::Error::{AlertReceived, InvalidCertificate};
    let wants_ours = |alert| {
        matches!(alert, AlertDescription::CertificateRequired | AlertDescription::NoCertificate)
    };
    let permanent = match fault {
        AlertReceived(alert) => wants_ours(*alert),
        fault => matches!(fault, InvalidCertificate(_)),
    };
    Fault::TlsBroken { why: reason(fault), permanent }.into()
}

/// The reasons that people meet, in words that quote nothing of the server's.
fn reason(fault: &rustls::Error) -> &'static str {
    use rustls::Error;
    match fault {
        Error::InvalidCertificate(why) => certificate(why),
        Error::NoCertificatesPresented => "the server showed no certificate",
        Error::AlertReceived(AlertDescription::ProtocolVersion) | Error::PeerIncompatible(_) => {
            "the server speaks no version or no algorithms of TLS that we do"
        }
        Error::AlertReceived(AlertDescription::HandshakeFailure) => {
            "the server rejected the handshake: it may want a client's certificate, which is not \
             supported, or algorithms that we have not"
        }
        Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            "the server does not know this host's name"
        }
        Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::NoCertificate,
        ) => "the server wants a client's certificate, which is not supported",
        Error::AlertReceived(_) => "the server broke off with a TLS alert",
        Error::InvalidMessage(_) => "the server's message is no TLS",
        Error::DecryptError => "what came could not be decrypted",
        Error::PeerSentOversizedRecord => "the server's record is too long",
        Error::PeerMisbehaved(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. } => "the server broke the rules of TLS",
        Error::FailedToGetCurrentTime => "the device tells no time",
        Error::FailedToGetRandomBytes => "the device has no random numbers",
        _ => "TLS failed",
    }
}

/// Of a certificate that nothing finer is known of.
const OTHER_REASON: &str = "the server's certificate does not hold";

fn certificate(why: &CertificateError) -> &'static str {
    use CertificateError as Why;
    match why {
        Why::Expired | Why::ExpiredContext { .. } => "the server's certificate has expired",
        Why::NotValidYet | Why::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet"
        }
        Why::UnknownIssuer => "the server's certificate is signed by nobody that is trusted",
        Why::NotValidForName | Why::NotValidForNameContext { .. } => {
            "the server's certificate is for another name"
        }
        Why::BadSignature => {
            "the server's certificate or its proof has a wrong signature, or an RSA key of less than \
             2048 bits"
        }
        Why::UnsupportedSignatureAlgorithmContext { .. }
        | Why::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "the server's certificate is signed by an algorithm that is not trusted any more or not \
             known, such as SHA-1"
        }
        Why::BadEncoding => "the server's certificate is damaged",
        Why::Other(why) => match why.0.downcast_ref() {
            Some(webpki::Error::CaUsedAsEndEntity) => {
                "the server shows the certificate of an authority (`openssl req -x509` makes such): \
                 make one with basicConstraints=CA:FALSE, or sign a server's with it"
            }
            Some(webpki::Error::UnsupportedCriticalExtension) => {
                "the server's certificate has a critical extension that is not known"
            }
            _ => OTHER_REASON,
        },
        Why::InvalidPurpose | Why::InvalidPurposeContext { .. } => {
            "the server's certificate is not for servers"
        }
        _ => OTHER_REASON,
    }
}
