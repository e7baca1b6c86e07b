//! Connections over TLS.

use std::io;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::transport::{Secure, Stream, Timed};
use crate::error::Error;

/// TLS to this host, which is verified against these PEM certificates or the bundled ones.
pub(super) fn secure(host: &str, roots: Option<&[u8]>) -> Result<Secure, Error> {
    let no = |what: &str| Error::InvalidConfig(what.to_owned());
    let mut store = RootCertStore::empty();
    match roots {
        Some(pem) => {
            let bad = || no("the root certificates are not of the form PEM");
            for certificate in CertificateDer::pem_slice_iter(pem) {
                store.add(certificate.map_err(|_| bad())?).map_err(|_| bad())?;
            }
            if store.is_empty() {
                return Err(bad());
            }
        }
        None => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| no("TLS has no version in common with its cryptography"))?;
    let config = Arc::new(config.with_root_certificates(store).with_no_client_auth());
    let host = ServerName::try_from(host.to_owned())
        .map_err(|_| no("the URL's host is no name that a certificate can have"))?;
    Ok(Box::new(move |timed| {
        let connection = ClientConnection::new(Arc::clone(&config), host.clone());
        let connection = connection.map_err(io::Error::other)?;
        Ok(Box::new(StreamOwned::new(connection, timed)))
    }))
}

impl Stream for StreamOwned<ClientConnection, Timed> {
    fn timed(&mut self) -> &mut Timed {
        &mut self.sock
    }
}
