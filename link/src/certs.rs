//! A development authority, and a certificate for each process that says its role and its name.
//!
//! It writes and reads PEM texts and no files. Larger places issue the same certificates from their own authority:
//! what must be in one is in `docs/links.md`.

use crate::limits::{AUTHORITY_DAYS, PROCESS_DAYS};
use crate::names::PeerName;
use crate::tls::{SERVER_NAME, uri_of};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

/// Signs the certificates of one cluster. Whoever has its key can speak as any process.
#[derive(Debug)]
pub struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What one process needs besides the authority's certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// For everyone.
    pub certificate_pem: String,
    /// For this process alone.
    pub key_pem: String,
}

/// Not made.
#[derive(Debug, thiserror::Error)]
#[error("a certificate cannot be made: {0}; hint: is the authority's key a PEM text as this made it?")]
pub struct CertificateError(#[from] rcgen::Error);

impl Authority {
    /// A new one, valid from `now` for ten years.
    pub fn new(now: OffsetDateTime) -> Result<Authority, CertificateError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let parameters = parameters(now, AUTHORITY_DAYS);
        let certificate_pem = parameters.self_signed(&key)?.pem();
        Ok(Authority { certificate_pem, issuer: Issuer::new(parameters, key) })
    }

    /// One that was made before.
    pub fn load(certificate_pem: &str, key_pem: &str) -> Result<Authority, CertificateError> {
        let key = KeyPair::from_pem(key_pem)?;
        // Only its name and key go into what it signs, and all authorities of this module have one name.
        let parameters = parameters(OffsetDateTime::UNIX_EPOCH, AUTHORITY_DAYS);
        Ok(Authority { certificate_pem: certificate_pem.to_owned(), issuer: Issuer::new(parameters, key) })
    }

    /// For everyone: what processes trust.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// To be kept where no process needs it.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A certificate for one process, valid from `now` for a year.
    pub fn issue(&self, peer: &PeerName, now: OffsetDateTime) -> Result<Issued, CertificateError> {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut parameters = CertificateParams::new(vec![SERVER_NAME.to_owned()])?;
        parameters.subject_alt_names.push(SanType::URI(uri_of(peer).try_into()?));
        validity(&mut parameters, now, PROCESS_DAYS);
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, peer.to_string());
        // Every process may dial and be dialed.
        parameters.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        Ok(Issued { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }
}

fn parameters(now: OffsetDateTime, days: i64) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    validity(&mut parameters, now, days);
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "everwake links");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    parameters
}

/// From an hour ago: clocks of machines differ.
fn validity(parameters: &mut CertificateParams, now: OffsetDateTime, days: i64) {
    parameters.not_before = now - Duration::hours(1);
    parameters.not_after = now + Duration::days(days);
}
