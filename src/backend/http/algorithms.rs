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

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{ProtocolVersion, SignatureScheme};

    #[test]
    fn nothing_but_the_keys_differs_from_rustls_s_own_choice() {
        let (ours, theirs) = (super::ring(), ring::default_provider());
        assert_eq!(ours.cipher_suites, theirs.cipher_suites);
        let groups =
            |of: &CryptoProvider| of.kx_groups.iter().map(|g| g.name()).collect::<Vec<_>>();
        assert_eq!(groups(&ours), groups(&theirs));
        let schemes =
            |of: &CryptoProvider| of.signature_verification_algorithms.supported_schemes();
        assert_eq!(schemes(&ours), schemes(&theirs));
        let all = |of: &CryptoProvider| of.signature_verification_algorithms.all.len();
        assert_eq!(all(&ours), all(&theirs));
        // Servers of today and of yesterday: both versions, both kinds of certificate.
        for version in [ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3] {
            assert!(ours.cipher_suites.iter().any(|suite| suite.version().version == version));
        }
        for scheme in [SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::ECDSA_NISTP256_SHA256] {
            assert!(schemes(&ours).contains(&scheme));
        }
    }

    #[test]
    fn a_private_key_is_refused() {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(vec![0; 16]));
        assert!(super::ring().key_provider.load_private_key(key).is_err());
    }
}
