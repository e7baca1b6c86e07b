//! The cryptography of https: ring's, as rustls would choose it, without two things that a
//! client of ours can do without, so that the linker leaves them out of a program.
//!
//! - Client certificates (44 KB): how private keys are read and used for signing.
//! - ChaCha20-Poly1305 (56 KB). Every server of TLS 1.3 has AES-GCM (RFC 8446, section 9.1),
//!   and servers of TLS 1.2 have to (RFC 9325, section 4.2). ChaCha20 is quicker only
//!   where the processor has no instructions for AES.

use std::sync::Arc;

use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::crypto::ring::{DEFAULT_KX_GROUPS, cipher_suite};
use rustls::crypto::{
    CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom, WebPkiSupportedAlgorithms,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::{SignatureScheme as Scheme, SupportedCipherSuite};
use webpki::ring as signed;

/// rustls's order: the newer version first, the longer key first.
static CIPHER_SUITES: [SupportedCipherSuite; 6] = [
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];

/// The signature algorithms of certificates and servers: all that rustls accepts.
static SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        signed::ECDSA_P256_SHA256,
        signed::ECDSA_P256_SHA384,
        signed::ECDSA_P384_SHA256,
        signed::ECDSA_P384_SHA384,
        signed::ED25519,
        signed::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        signed::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        signed::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        signed::RSA_PKCS1_2048_8192_SHA256,
        signed::RSA_PKCS1_2048_8192_SHA384,
        signed::RSA_PKCS1_2048_8192_SHA512,
        signed::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
        signed::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
        signed::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    ],
    mapping: &[
        // In TLS 1.2 the scheme names the digest, but not the curve.
        (Scheme::ECDSA_NISTP384_SHA384, &[signed::ECDSA_P384_SHA384, signed::ECDSA_P256_SHA384]),
        (Scheme::ECDSA_NISTP256_SHA256, &[signed::ECDSA_P256_SHA256, signed::ECDSA_P384_SHA256]),
        (Scheme::ED25519, &[signed::ED25519]),
        (Scheme::RSA_PSS_SHA512, &[signed::RSA_PSS_2048_8192_SHA512_LEGACY_KEY]),
        (Scheme::RSA_PSS_SHA384, &[signed::RSA_PSS_2048_8192_SHA384_LEGACY_KEY]),
        (Scheme::RSA_PSS_SHA256, &[signed::RSA_PSS_2048_8192_SHA256_LEGACY_KEY]),
        (Scheme::RSA_PKCS1_SHA512, &[signed::RSA_PKCS1_2048_8192_SHA512]),
        (Scheme::RSA_PKCS1_SHA384, &[signed::RSA_PKCS1_2048_8192_SHA384]),
        (Scheme::RSA_PKCS1_SHA256, &[signed::RSA_PKCS1_2048_8192_SHA256]),
    ],
};

pub(super) fn ring() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: CIPHER_SUITES.to_vec(),
        kx_groups: DEFAULT_KX_GROUPS.to_vec(),
        signature_verification_algorithms: SIGNATURES,
        secure_random: &Random,
        key_provider: &NoKeys,
    })
}

/// The system's random numbers.
#[derive(Debug)]
struct Random;

impl SecureRandom for Random {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        SystemRandom::new().fill(bytes).map_err(|_| GetRandomFailed)
    }
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
    use rustls::CipherSuite;
    use rustls::crypto::ring::default_provider;
    use rustls::pki_types::{PrivatePkcs8KeyDer, SignatureVerificationAlgorithm};

    #[test]
    fn nothing_else_differs_from_rustls_s_own_choice() {
        let (ours, theirs) = (super::ring(), default_provider());
        let is_chacha = |suite: &CipherSuite| format!("{suite:?}").contains("CHACHA20");
        let suites = |of: &CryptoProvider| {
            of.cipher_suites.iter().map(|suite| suite.suite()).collect::<Vec<_>>()
        };
        let (left_out, kept): (Vec<_>, Vec<_>) = suites(&theirs).into_iter().partition(is_chacha);
        assert_eq!(suites(&ours), kept);
        // One of TLS 1.3, and of TLS 1.2 one for each kind of certificate.
        assert_eq!(left_out.len(), 3);
        let groups =
            |of: &CryptoProvider| of.kx_groups.iter().map(|g| g.name()).collect::<Vec<_>>();
        assert_eq!(groups(&ours), groups(&theirs));
        let ids = |all: &[&dyn SignatureVerificationAlgorithm]| {
            all.iter().map(|a| (a.public_key_alg_id(), a.signature_alg_id())).collect::<Vec<_>>()
        };
        let (ours, theirs) =
            (ours.signature_verification_algorithms, theirs.signature_verification_algorithms);
        assert_eq!(ids(ours.all), ids(theirs.all));
        assert_eq!(ours.mapping.len(), theirs.mapping.len());
        for (our, their) in ours.mapping.iter().zip(theirs.mapping) {
            assert_eq!((our.0, ids(our.1)), (their.0, ids(their.1)));
        }
    }

    #[test]
    fn random_numbers_are_not_always_the_same() {
        let (mut one, mut other) = ([0; 32], [0; 32]);
        Random.fill(&mut one).unwrap();
        Random.fill(&mut other).unwrap();
        assert_ne!(one, other);
    }

    #[test]
    fn a_private_key_is_refused() {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(vec![0; 16]));
        assert!(super::ring().key_provider.load_private_key(key).is_err());
    }
}
