//! Where the gate's certificate comes from.

use super::GateError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::Digest;
use std::path::PathBuf;

/// Days that a development certificate is valid; browsers take no pinned one of more than 14.
const DEVELOPMENT_DAYS: i64 = 10;

/// Where the gate's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// A new one for `localhost` at each start, valid for ten days. Clients pin its hash.
    Development,
    /// PEM files.
    Pem {
        /// The chain, own certificate first.
        chain: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    /// SHA-256 of the first certificate, in hex.
    pub(super) fingerprint: String,
}

pub(super) fn load(source: &CertificateSource) -> Result<Identity, GateError> {
    let (chain, key) = match source {
        CertificateSource::Development => {
            development().map_err(|error| GateError::Certificate(error.to_string()))?
        }
        CertificateSource::Pem { chain, key } => {
            let error = |path: &PathBuf, error: &dyn std::fmt::Display| {
                GateError::Certificate(format!("`{}`: {error}", path.display()))
            };
            let certificates: Result<Vec<_>, _> =
                CertificateDer::pem_file_iter(chain).map_err(|cause| error(chain, &cause))?.collect();
            let certificates = certificates.map_err(|cause| error(chain, &cause))?;
            (certificates, PrivateKeyDer::from_pem_file(key).map_err(|cause| error(key, &cause))?)
        }
    };
    let first =
        chain.first().ok_or_else(|| GateError::Certificate("no certificate in the chain".to_owned()))?;
    let fingerprint = sha2::Sha256::digest(first).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Identity { chain, key, fingerprint })
}

fn development() -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), rcgen::Error> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let mut parameters = rcgen::CertificateParams::new(names)?;
    let now = time::OffsetDateTime::now_utc();
    parameters.not_before = now - time::Duration::hours(1);
    parameters.not_after = now + time::Duration::days(DEVELOPMENT_DAYS) - time::Duration::hours(2);
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "everwake development");
    let certificate = parameters.self_signed(&key)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok((vec![certificate.der().clone()], key))
}
