//! How quinn is set up: windows, timeouts, keys. The numbers bound what one client can hold.

use super::certificate::Identity;
use super::{GateConfig, GateError};
use everwake_protocol::limits::{ALPN, IDLE_TIMEOUT_MS, INCOMING_MAX, KEEP_ALIVE_MS};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

/// Kernel buffers; the kernel may give less.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;
const SEND_WINDOW_BYTES: u64 = 512 * 1024;
const DATAGRAM_RECEIVE_BYTES: usize = 64 * 1024;
/// Small: the oldest positions are dropped when it is full.
const DATAGRAM_SEND_BYTES: usize = 32 * 1024;
const CRYPTO_BUFFER_BYTES: usize = 16 * 1024;
const INCOMING_BYTES: u64 = 64 * 1024;
const INCOMING_BYTES_TOTAL: u64 = 16 * 1024 * 1024;

pub(super) fn endpoint(config: &GateConfig, identity: &Identity) -> Result<quinn::Endpoint, GateError> {
    let bind = |error| GateError::Bind(config.listen, error);
    let socket = socket(config).map_err(bind)?;
    let server = server(identity)?;
    quinn::Endpoint::new(keys(config.secret), Some(server), socket, Arc::new(quinn::TokioRuntime))
        .map_err(bind)
}

fn socket(config: &GateConfig) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(config.listen), Type::DGRAM, Some(Protocol::UDP))?;
    // Small buffers are slower, not wrong.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.bind(&config.listen.into())?;
    Ok(socket.into())
}

fn server(identity: &Identity) -> Result<ServerConfig, GateError> {
    let error = |error: &dyn std::fmt::Display| GateError::Certificate(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|cause| error(&cause))?
        .with_no_client_auth()
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .map_err(|cause| error(&cause))?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let crypto = QuicServerConfig::try_from(tls).map_err(|cause| error(&cause))?;
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    server
        .transport_config(Arc::new(transport()))
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_BYTES_TOTAL)
        .migration(true);
    Ok(server)
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        // One is used. A second one of each kind may be opened, so that misuse is seen and the
        // client is told, instead of waiting for ever.
        .max_concurrent_bidi_streams(VarInt::from_u32(2))
        .max_concurrent_uni_streams(VarInt::from_u32(1))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BYTES))
        .datagram_send_buffer_size(DATAGRAM_SEND_BYTES)
        .crypto_buffer_size(CRYPTO_BUFFER_BYTES)
        .keep_alive_interval(Some(Duration::from_millis(KEEP_ALIVE_MS)))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MS as u32))));
    transport
}

fn keys(secret: Option<[u8; 32]>) -> EndpointConfig {
    let Some(secret) = secret else { return EndpointConfig::default() };
    let reset = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
    let mut config = EndpointConfig::new(Arc::new(reset));
    let [a, b, c, d, e, f, g, h, ..] = secret;
    let key = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
    config
}
