//! Mutual TLS between machines: who a certificate says its owner is, and when links may do without one.
//!
//! A certificate names a process by a URI among its alternative names, `everwake://role/name`. A peer may say in
//! its greeting only who its certificate says it is.

use crate::names::PeerName;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::sync::Arc;

/// DNS name that every process's certificate has: which process it is, its URI says.
pub const SERVER_NAME: &str = "everwake-link";
/// ALPN of links.
pub const ALPN: &[u8] = b"everwake-link/1";
const SCHEME: &str = "everwake://";

/// A process's certificate and key, and the authority that it trusts.
#[derive(Clone, Debug)]
pub struct Tls {
    pub(crate) client: Arc<ClientConfig>,
    pub(crate) server: Arc<ServerConfig>,
    name: PeerName,
}

/// Certificates that do not do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not PEM, or not what is expected in it.
    #[error(
        "the {what} cannot be read: {error}; hint: give the path of a PEM file that `everwake certs` wrote"
    )]
    Pem {
        /// Which of them.
        what: &'static str,
        /// Why.
        error: rustls::pki_types::pem::Error,
    },
    /// What rustls says to them.
    #[error("the certificates cannot be used: {0}; hint: are certificate, key and authority of one cluster?")]
    Rustls(#[from] rustls::Error),
    /// What rustls says to the authority.
    #[error("the authority cannot be used: {0}; hint: give the authority's certificate, not a process's")]
    Authority(#[from] rustls::server::VerifierBuilderError),
    /// No process is named by it.
    #[error(
        "the certificate names no process; hint: it needs exactly one alternative name `everwake://role/name`"
    )]
    Nameless,
}

impl Tls {
    /// From PEM texts: the authority's certificate, the process's chain with its own certificate first, its key.
    pub fn from_pem(authority: &str, chain: &str, key: &str) -> Result<Tls, TlsError> {
        let pem = |what| move |error| TlsError::Pem { what, error };
        let all = |text: &str, what| -> Result<Vec<CertificateDer<'static>>, TlsError> {
            CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().map_err(pem(what))
        };
        let chain = all(chain, "certificate")?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(pem("key"))?;
        let mut roots = RootCertStore::empty();
        for certificate in all(authority, "authority")? {
            roots.add(certificate)?;
        }
        Tls::new(roots, chain, key)
    }

    fn new(
        roots: RootCertStore,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Tls, TlsError> {
        let name = certified(Some(&chain))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = Arc::new(roots);
        let versions = [&rustls::version::TLS13];
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build()?;
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        // Links last: each one shows its certificate anew, and nothing of earlier ones is kept.
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = Resumption::disabled();
        Ok(Tls { client: Arc::new(client), server: Arc::new(server), name })
    }

    /// For a connection that is no link, such as a tool's.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        self.client.clone()
    }

    /// Who its own certificate says the process is.
    pub fn name(&self) -> &PeerName {
        &self.name
    }
}

/// The URI of a process in its certificate.
pub fn uri_of(peer: &PeerName) -> String {
    format!("{SCHEME}{peer}")
}

/// Who a verified chain says its owner is.
pub fn certified(chain: Option<&[CertificateDer<'_>]>) -> Result<PeerName, TlsError> {
    let first = chain.and_then(<[_]>::first).ok_or(TlsError::Nameless)?;
    let certificate = webpki::EndEntityCert::try_from(first).map_err(|_| TlsError::Nameless)?;
    let mut names = certificate.valid_uri_names().filter_map(|uri| uri.strip_prefix(SCHEME));
    // A certificate for two processes would be a choice for whoever holds it.
    match (names.next(), names.next()) {
        (Some(name), None) => name.parse().map_err(|_| TlsError::Nameless),
        _ => Err(TlsError::Nameless),
    }
}

/// Bytes in the clear would leave this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a link with `{0}` would not be encrypted, and that address is not of this machine; hint: configure certificates \
     for links (authority, certificate, key), or use a loopback address"
)]
pub struct ExposedError(pub SocketAddr);

/// Whether a link with this address may be made. Without TLS only within the machine.
pub fn permitted(address: SocketAddr, has_tls: bool) -> Result<(), ExposedError> {
    // An IPv4 address that is written as one of IPv6 is what it is.
    if has_tls || address.ip().to_canonical().is_loopback() { Ok(()) } else { Err(ExposedError(address)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::Authority;
    use time::OffsetDateTime;

    #[test]
    fn in_the_clear_only_within_the_machine() {
        for address in ["127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(permitted(address.parse().unwrap(), false), Ok(()), "{address}");
        }
        for address in
            ["10.0.0.1:1", "0.0.0.0:1", "[::]:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1", "192.168.1.9:1"]
        {
            let address: SocketAddr = address.parse().unwrap();
            let error = permitted(address, false).unwrap_err();
            assert!(error.to_string().contains("configure certificates"), "{error}");
            assert_eq!(permitted(address, true), Ok(()));
        }
    }

    #[test]
    fn a_certificate_says_who_it_is_of() {
        let now = OffsetDateTime::now_utc();
        let authority = Authority::new(now).unwrap();
        let again = Authority::load(authority.certificate_pem(), &authority.key_pem()).unwrap();
        for (authority, name) in [(&authority, "game/a"), (&again, "gate/west-1")] {
            let issued = authority.issue(&name.parse().unwrap(), now).unwrap();
            let tls = Tls::from_pem(authority.certificate_pem(), &issued.certificate_pem, &issued.key_pem);
            assert_eq!(tls.unwrap().name().to_string(), name);
        }
    }

    #[test]
    fn what_does_not_do_is_told() {
        let now = OffsetDateTime::now_utc();
        let authority = Authority::new(now).unwrap();
        let issue = |name: &str| authority.issue(&name.parse().unwrap(), now).unwrap();
        let (one, two) = (issue("game/a"), issue("game/b"));
        let root = authority.certificate_pem();
        let error = |chain: &str, key: &str| Tls::from_pem(root, chain, key).unwrap_err();
        assert!(matches!(error(&one.certificate_pem, &two.key_pem), TlsError::Rustls(_)));
        assert!(matches!(error(root, &authority.key_pem()), TlsError::Nameless));
        assert!(matches!(error("", &one.key_pem), TlsError::Nameless));
        assert!(matches!(error(&one.certificate_pem, "nothing"), TlsError::Pem { what: "key", .. }));
        assert!(matches!(Tls::from_pem("", &one.certificate_pem, &one.key_pem), Err(TlsError::Authority(_))));
    }
}
