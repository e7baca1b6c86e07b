//! Which certificates are trusted.

use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

use crate::error::Error;
use crate::files::open::{Kinds, to_read};

/// Largest PEM file that is read: system bundles have about 250 KB.
const PEM_BYTES_MAX: u64 = 8 << 20;

/// The roots of the user's file.
pub(super) fn read(path: &Path) -> Result<Arc<RootCertStore>, Error> {
    let label = || format!("root certificates {}", path.display());
    let mut text = Vec::new();
    let file = to_read(path, Kinds::Plain).map_err(|source| match source.kind() {
        ErrorKind::InvalidInput => Error::InvalidConfig(format!("{}: {source}", label())),
        _ => Error::io(label())(source),
    })?;
    file.take(PEM_BYTES_MAX + 1).read_to_end(&mut text).map_err(Error::io(label()))?;
    if text.len() as u64 > PEM_BYTES_MAX {
        return Err(Error::InvalidConfig(format!(
            "{}: it is too large for a PEM file (at most {PEM_BYTES_MAX} bytes)",
            label()
        )));
    }
    let mut roots = RootCertStore::empty();
    let mut found = false;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|fault| {
            let why = match fault {
                pem::Error::MissingSectionEnd { .. } => {
                    "it is cut off: its last END line is missing"
                }
                _ => "a section of it is damaged",
            };
            Error::InvalidConfig(format!("{}: not a readable PEM file: {why}", label()))
        })?;
        found = true;
        // System bundles hold one or two that are out of date or use.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        let holds = if found { "no certificate that can be a root" } else { "no certificate" };
        return Err(Error::InvalidConfig(format!(
            "{}: the file holds {holds}: give one in PEM form, or leave root_certificates and \
             SSL_CERT_FILE unset",
            label()
        )));
    }
    Ok(Arc::new(roots))
}
