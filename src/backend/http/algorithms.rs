//! The cryptography of https: rustls's own choice of ring's algorithms, without what a client
//! needs only to prove who it is by a certificate. We never do that, and so the linker can
//! leave out how private keys are read and used for signing.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, KeyProvider, ring};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;

/// Protocol versions, cipher suites, key exchange, verification and randomness as in
/// [`ring::default_provider`].
pub(super) fn ring() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { key_provider: &NoKeys, ..ring::default_provider() })
}

/// Refuses every private key.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(
        &self,
        _: PrivateKeyDer<'static>,
    ) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("client certificates are not supported".into()))
    }
}
