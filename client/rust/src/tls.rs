//! Which server a client believes.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::PathBuf;
use std::sync::Arc;

/// Which server certificate is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The one with this SHA-256 hash, in hex.
    Pinned(String),
    /// Those that a root in this PEM file signed.
    Roots(PathBuf),
    /// Any, but only on a loopback address: for development.
    AnyOnLoopback,
}

/// What a [`Trust`] cannot be made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Not 64 hex digits.
    #[error("`{0}` is no SHA-256 hash in hex")]
    Hash(String),
    /// The file of roots.
    #[error("roots in `{0}`: {1}")]
    Roots(String, String),
    /// The TLS library.
    #[error("{0}")]
    Tls(String),
}

/// The TLS side of a connection.
pub(crate) fn config(trust: &Trust, alpn: &[u8]) -> Result<rustls::ClientConfig, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| TrustError::Tls(error.to_string()))?;
    let mut config = match trust {
        Trust::Roots(path) => {
            let error = |cause: &dyn std::fmt::Display| {
                TrustError::Roots(path.display().to_string(), cause.to_string())
            };
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_file_iter(path).map_err(|cause| error(&cause))? {
                let certificate = certificate.map_err(|cause| error(&cause))?;
                roots.add(certificate).map_err(|cause| error(&cause))?;
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        Trust::Pinned(hash) => {
            let hash = parse_hash(hash).ok_or_else(|| TrustError::Hash(hash.clone()))?;
            verified(builder, Some(hash), &provider)
        }
        Trust::AnyOnLoopback => verified(builder, None, &provider),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}

fn verified(
    builder: rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier>,
    hash: Option<[u8; 32]>,
    provider: &CryptoProvider,
) -> rustls::ClientConfig {
    let algorithms = provider.signature_verification_algorithms;
    let verifier = Arc::new(ByHash { hash, algorithms });
    builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
}

fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (place, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(place * 2..place * 2 + 2)?, 16).ok()?;
    }
    Some(hash)
}

/// Believes one certificate, or any. Signatures are checked in both cases: whoever presents a
/// certificate must have its key.
#[derive(Debug)]
struct ByHash {
    hash: Option<[u8; 32]>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ByHash {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = ring::digest::digest(&ring::digest::SHA256, certificate);
        if self.hash.is_none_or(|hash| found.as_ref() == hash) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("the certificate is not the pinned one".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
