//! Which certificates are trusted.

use std::io::Read;
use std::path::Path;

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::error::Error;

/// Largest PEM file that is read: system bundles have about 250 KB.
const PEM_BYTES_MAX: u64 = 8 << 20;

/// The roots of the user's file, or the bundled ones. There is no way to trust everything.
pub(super) fn tls_config(pem_file: Option<&Path>) -> Result<TlsConfig, Error> {
    let roots = match pem_file {
        Some(path) => read(path)?,
        None => RootCerts::WebPki,
    };
    let algorithms = super::algorithms::ring();
    Ok(TlsConfig::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(algorithms)
        .build())
}

fn read(path: &Path) -> Result<RootCerts, Error> {
    let told = || format!("root certificates {}", path.display());
    // A pipe would keep us waiting for good, a device might never end.
    if !std::fs::metadata(path).map_err(Error::io(told()))?.is_file() {
        return Err(Error::InvalidConfig(format!("{}: it is no file", told())));
    }
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(Error::io(told()))?;
    file.take(PEM_BYTES_MAX + 1).read_to_end(&mut text).map_err(Error::io(told()))?;
    if text.len() as u64 > PEM_BYTES_MAX {
        return Err(Error::InvalidConfig(format!(
            "{}: it is too large for a PEM file (at most {PEM_BYTES_MAX} bytes)",
            told()
        )));
    }
    let mut certificates = Vec::new();
    for item in parse_pem(&text) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(fault) => {
                let why = format!("{}: not a readable PEM file: {fault}", told());
                return Err(Error::InvalidConfig(why));
            }
        }
    }
    if certificates.is_empty() {
        return Err(Error::InvalidConfig(format!(
            "{}: the file holds no certificate: give one in PEM form, or leave \
             root_certificates and SSL_CERT_FILE unset",
            told()
        )));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}
