//! Bare quinn: a server that sends back every byte of a connection's one stream, set up like the
//! gate, and a client that waits for its frames to come back. The baseline of `rpc` and `idle`;
//! and one that sends it to all streams, the baseline of `chat`.

use crate::child::say;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use everwake_client::ClientConfig;
use everwake_protocol::limits::{ALPN, IDLE_TIMEOUT_MS, KEEP_ALIVE_MS};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, Incoming, RecvStream, SendStream, ServerConfig, TransportConfig,
    VarInt,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

const CHUNK: usize = 64 * 1024;
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a request frame and of a reply frame with 64 bytes of payload.
const FRAME_BYTES: usize = 96;

/// What a server does with what a stream says.
#[derive(Clone)]
pub enum Answer {
    /// Sends it back.
    Echo,
    /// Sends it to all streams.
    FanOut(Streams),
}

/// The streams of all connections.
pub type Streams = Arc<Mutex<Vec<mpsc::UnboundedSender<Bytes>>>>;

/// Runs until its standard input ends.
pub fn serve(answer: Answer) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let endpoint =
        Endpoint::new(EndpointConfig::default(), Some(server()?), socket()?, Arc::new(quinn::TokioRuntime))?;
    say(&json!(endpoint.local_addr()?.to_string()));
    runtime.spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            match &answer {
                Answer::Echo => tokio::spawn(echo(incoming)),
                Answer::FanOut(streams) => tokio::spawn(fan_out(incoming, streams.clone())),
            };
        }
    });
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    Ok(())
}

async fn echo(incoming: Incoming) -> Result<()> {
    let connection = incoming.await?;
    let (mut send, mut receive) = connection.accept_bi().await?;
    while let Some(chunk) = receive.read_chunk(CHUNK, true).await? {
        send.write_chunk(chunk.bytes).await?;
    }
    Ok(())
}

/// The first byte of a stream opens it, what follows is for all.
async fn fan_out(incoming: Incoming, streams: Streams) -> Result<()> {
    let connection = incoming.await?;
    let (mut send, mut receive) = connection.accept_bi().await?;
    let mut first = [0];
    receive.read_exact(&mut first).await?;
    let (sender, mut said) = mpsc::unbounded_channel::<Bytes>();
    streams.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
    send.write_all(&first).await?;
    tokio::spawn(async move {
        while let Some(bytes) = said.recv().await {
            send.write_chunk(bytes).await?;
        }
        anyhow::Ok(())
    });
    while let Some(chunk) = receive.read_chunk(CHUNK, true).await? {
        let streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
        // A stream that ended hears nothing.
        streams.iter().for_each(|stream| drop(stream.send(chunk.bytes.clone())));
    }
    Ok(())
}

fn socket() -> Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    Ok(socket.into())
}

/// The same windows, timeouts and keys as the gate's.
fn server() -> Result<ServerConfig> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut tls =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(2))
        .max_concurrent_uni_streams(VarInt::from_u32(1))
        .stream_receive_window(VarInt::from_u32(64 * 1024))
        .receive_window(VarInt::from_u32(256 * 1024))
        .send_window(512 * 1024)
        .datagram_receive_buffer_size(Some(64 * 1024))
        .datagram_send_buffer_size(32 * 1024)
        .crypto_buffer_size(16 * 1024)
        .keep_alive_interval(Some(Duration::from_millis(KEEP_ALIVE_MS)))
        .max_idle_timeout(Some(Duration::from_millis(IDLE_TIMEOUT_MS).try_into()?));
    let mut server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    server.transport_config(Arc::new(transport));
    Ok(server)
}

type Waiting = Arc<Mutex<VecDeque<oneshot::Sender<()>>>>;

/// A client of it, connected as a client of the gate is.
pub struct EchoClient {
    connection: Connection,
    frames: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Waiting,
}

impl EchoClient {
    /// Connects and opens its stream.
    pub async fn connect(config: &ClientConfig) -> Result<EchoClient> {
        let connection = everwake_client::open(config).await?;
        let (send, receive) = connection.open_bi().await?;
        let (frames, outgoing) = mpsc::unbounded_channel();
        let waiting = Waiting::default();
        tokio::spawn(exchange(send, receive, outgoing, waiting.clone()));
        let client = EchoClient { connection, frames, waiting };
        client.call().await?;
        Ok(client)
    }

    /// One frame there and back.
    pub async fn call(&self) -> Result<()> {
        let (sender, answer) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push_back(sender);
            self.frames.send(vec![7; FRAME_BYTES]).ok().context("the connection ended")?;
        }
        Ok(answer.await?)
    }
}

impl Drop for EchoClient {
    fn drop(&mut self) {
        self.connection.close(VarInt::from_u32(0), b"");
    }
}

/// One task that writes and reads, like the client's.
async fn exchange(
    mut send: SendStream,
    mut receive: RecvStream,
    mut frames: mpsc::UnboundedReceiver<Vec<u8>>,
    waiting: Waiting,
) -> Result<()> {
    let mut bytes = 0;
    loop {
        tokio::select! {
            frame = frames.recv() => match frame {
                Some(frame) => send.write_all(&frame).await?,
                None => return Ok(()),
            },
            chunk = receive.read_chunk(CHUNK, true) => {
                let Some(chunk) = chunk? else { bail!("the stream ended") };
                bytes += chunk.bytes.len();
                while bytes >= FRAME_BYTES {
                    bytes -= FRAME_BYTES;
                    let first = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    if let Some(sender) = first {
                        let _ = sender.send(());
                    }
                }
            }
        }
    }
}
