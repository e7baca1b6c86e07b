//! TLS over a scripted connection, and what can go wrong in it once it stands.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};

use super::server::Line;

/// Certificates of a root whose key was thrown away.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");

/// A server that shows this host's certificate.
pub fn server_config(host: &str) -> Arc<ServerConfig> {
    let (chain, key) = identity(host);
    let config = ServerConfig::builder().with_no_client_auth();
    Arc::new(config.with_single_cert(chain, key).unwrap())
}

/// The certificate of that name, and its key.
pub fn identity(name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let certificate = CertificateDer::from_pem_file(format!("{FOLDER}/{name}.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{FOLDER}/{name}.key")).unwrap();
    (vec![certificate], key)
}

/// The fault of the next write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A bit of the record is wrong.
    Flip,
    /// The record ends in its middle, and the connection with it.
    Cut,
    /// The record ends in its middle, and nothing follows.
    Stall,
    /// A record's header that promises more than a record may hold.
    Oversized,
    /// Bytes that are no record.
    Garbage,
    /// An alert, but not encrypted.
    BareAlert,
    /// It arrives, and the connection ends without a close_notify.
    NoCloseNotify,
    /// It arrives together with a close_notify, and the connection below stays. (No fault as
    /// long as the connection is not used again.)
    CloseNotify,
}

pub const FAULTS: [Fault; 7] = [
    Fault::Flip,
    Fault::Cut,
    Fault::Stall,
    Fault::Oversized,
    Fault::Garbage,
    Fault::BareAlert,
    Fault::NoCloseNotify,
];

/// Bytes of a record's header (RFC 8446, section 5.1).
const HEADER: usize = 5;

/// A connection over TLS. Writes arrive unchanged until [`Line::spoil`] is called.
pub struct TlsLine {
    tls: StreamOwned<ServerConnection, TcpStream>,
    fault: Option<Fault>,
    /// A fault has struck: nothing more can be said.
    ended: bool,
}

impl TlsLine {
    /// Says whether the client came back to a session of before.
    pub fn is_resumed(&mut self) -> std::io::Result<bool> {
        self.tls.conn.complete_io(&mut self.tls.sock)?;
        Ok(self.tls.conn.handshake_kind() == Some(HandshakeKind::Resumed))
    }

    pub fn new(config: &Arc<ServerConfig>, tcp: TcpStream) -> std::io::Result<Self> {
        let tls = ServerConnection::new(Arc::clone(config)).map_err(std::io::Error::other)?;
        Ok(Self { tls: StreamOwned::new(tls, tcp), fault: None, ended: false })
    }

    fn strike(&mut self, fault: Fault, bytes: &[u8]) -> std::io::Result<()> {
        self.ended = true;
        let mut records = Vec::new();
        self.tls.conn.writer().write_all(bytes)?;
        if fault == Fault::CloseNotify {
            self.tls.conn.send_close_notify();
        }
        while self.tls.conn.wants_write() {
            self.tls.conn.write_tls(&mut records)?;
        }
        let tcp = &mut self.tls.sock;
        let half = HEADER + (records.len() - HEADER) / 2;
        match fault {
            Fault::Flip => records[half] ^= 1,
            Fault::Cut | Fault::Stall => records.truncate(half),
            Fault::Oversized => records = vec![0x17, 3, 3, 0xff, 0xff, 0],
            Fault::Garbage => records = b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
            // Fatal: internal_error.
            Fault::BareAlert => records = vec![0x15, 3, 3, 0, 2, 2, 80],
            Fault::NoCloseNotify | Fault::CloseNotify => {}
        }
        tcp.write_all(&records)?;
        if !matches!(fault, Fault::Stall | Fault::CloseNotify) {
            tcp.shutdown(Shutdown::Write)?;
        }
        Ok(())
    }
}

impl Read for TlsLine {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.ended { self.tls.sock.read(into) } else { self.tls.read(into) }
    }
}

impl Write for TlsLine {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.ended {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        match self.fault {
            Some(fault) => {
                self.strike(fault, bytes)?;
                Ok(bytes.len())
            }
            None => self.tls.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.ended { Ok(()) } else { self.tls.flush() }
    }
}

impl Line for TlsLine {
    fn tcp(&self) -> &TcpStream {
        &self.tls.sock
    }

    fn is_tls(&self) -> bool {
        true
    }

    fn spoil(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }

    fn renew_keys(&mut self) {
        self.tls.conn.refresh_traffic_keys().unwrap();
    }

    fn close(&mut self) {
        if !self.ended {
            self.tls.conn.send_close_notify();
            let _ = self.tls.conn.complete_io(&mut self.tls.sock);
        }
        let _ = self.tls.sock.shutdown(Shutdown::Write);
    }
}
