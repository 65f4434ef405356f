//! Makes one connection, from either side: nodelay, TLS, and who the certificate says is there.

use super::{ConnectError, DialConfig, Security, Stream};
use crate::names::PeerName;
use crate::tls::{SERVER_NAME, certified, permitted};
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Whom the certificate names; none without TLS.
pub(super) type Certified = Option<PeerName>;

pub(super) async fn dial(config: DialConfig) -> Result<(Stream, Certified), ConnectError> {
    let lookup = || ConnectError::Lookup(config.address.clone());
    let mut last = lookup();
    for address in lookup_host(&config.address).await.map_err(|_| lookup())? {
        permitted(address, config.security.tls().is_some())?;
        match TcpStream::connect(address).await {
            Ok(socket) => return client(socket, &config.security).await,
            Err(error) => last = ConnectError::Socket { address, error },
        }
    }
    Err(last)
}

async fn client(socket: TcpStream, security: &Security) -> Result<(Stream, Certified), ConnectError> {
    let Some(tls) = security.tls() else { return Ok((plain(socket), None)) };
    // A batch is one write: nothing is gained by waiting for more.
    let _ = socket.set_nodelay(true);
    let name =
        ServerName::try_from(SERVER_NAME).map_err(|error| ConnectError::Tls(std::io::Error::other(error)))?;
    let stream =
        TlsConnector::from(tls.client.clone()).connect(name, socket).await.map_err(ConnectError::Tls)?;
    let peer = certified(stream.get_ref().1.peer_certificates())?;
    let (reader, writer) = tokio::io::split(stream);
    Ok((Stream { reader: Box::new(reader), writer: Box::new(writer) }, Some(peer)))
}

pub(super) async fn server(
    socket: TcpStream,
    security: &Security,
) -> Result<(Stream, Certified), ConnectError> {
    let Some(tls) = security.tls() else { return Ok((plain(socket), None)) };
    let _ = socket.set_nodelay(true);
    let stream = TlsAcceptor::from(tls.server.clone()).accept(socket).await.map_err(ConnectError::Tls)?;
    let peer = certified(stream.get_ref().1.peer_certificates())?;
    let (reader, writer) = tokio::io::split(stream);
    Ok((Stream { reader: Box::new(reader), writer: Box::new(writer) }, Some(peer)))
}

fn plain(socket: TcpStream) -> Stream {
    let _ = socket.set_nodelay(true);
    let (reader, writer) = socket.into_split();
    Stream { reader: Box::new(reader), writer: Box::new(writer) }
}
