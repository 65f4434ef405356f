//! A server that says welcome and then neither reads nor speaks: what a client does about it.

use bytes::Bytes;
use everwake_client::{CallError, Client, ClientConfig, ClientEndpoint, RequestError};
use everwake_protocol::client::{CloseCode, ServerFrame};
use everwake_protocol::limits::ALPN;
use everwake_protocol::outcome::{Certainty, code};
use everwake_protocol::{EntityId, SessionId};
use quinn::crypto::rustls::QuicServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Longer than a machine can be busy.
const PATIENCE: Duration = Duration::from_secs(20);

fn endpoint() -> quinn::Endpoint {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut tls =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let crypto = QuicServerConfig::try_from(tls).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    quinn::Endpoint::server(quinn::ServerConfig::with_crypto(Arc::new(crypto)), any).unwrap()
}

/// A client of such a server. The server's side of the connection comes with it, and ends when dropped.
async fn greeted() -> (Client, quinn::Endpoint, quinn::SendStream, quinn::RecvStream) {
    let server = endpoint();
    let config = ClientConfig {
        endpoint: Some(ClientEndpoint::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap()),
        ..ClientConfig::local(server.local_addr().unwrap())
    };
    let serve = async {
        let quic = server.accept().await.unwrap().await.unwrap();
        let (mut send, receive) = quic.accept_bi().await.unwrap();
        let welcome = ServerFrame::Welcome { session: SessionId::default(), module: "mute".into() };
        send.write_all(&welcome.to_bytes()).await.unwrap();
        (send, receive)
    };
    let (client, (send, receive)) = tokio::join!(Client::connect(config), serve);
    (client.unwrap(), server, send, receive)
}

/// More than a server takes that does not read.
async fn fill(client: &Client) {
    let args = Bytes::from(vec![0; 60_000]);
    for _ in 0..40 {
        client.call_by_id(EntityId::default(), 0, args.clone(), 0).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_pass_while_nothing_can_be_written() {
    let (client, _server, _send, _receive) = greeted().await;
    fill(&client).await;
    let call = client.call_by_id(EntityId::default(), 0, Bytes::new(), 100);
    let failed = tokio::time::timeout(PATIENCE, call).await.expect("the deadline passes");
    let Err(CallError::Failed { certainty, code: found, .. }) = failed else { panic!("{failed:?}") };
    assert_eq!((certainty, found.as_str()), (Certainty::Unknown, code::DEADLINE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_bye_that_nobody_hears_ends_all_the_same() {
    let (client, _server, send, _receive) = greeted().await;
    fill(&client).await;
    tokio::time::timeout(PATIENCE, client.close()).await.expect("the client goes");
    let stopped = tokio::time::timeout(PATIENCE, send.stopped()).await.expect("the server is told");
    let done = quinn::VarInt::from_u32(CloseCode::Done as u32);
    assert!(
        matches!(&stopped, Err(quinn::StoppedError::ConnectionLost(quinn::ConnectionError::ApplicationClosed(close))) if close.error_code == done),
        "{stopped:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_after_the_end_fails_at_once() {
    let (client, server, _send, _receive) = greeted().await;
    server.close((CloseCode::Shutdown as u32).into(), b"the end");
    client.closed().await;
    let call = client.call_by_id(EntityId::default(), 0, Bytes::new(), 3_600_000);
    let failed = tokio::time::timeout(PATIENCE, call).await.expect("nobody waits for ever");
    assert_eq!(failed, Err(CallError::Request(RequestError::Closed)));
    assert_eq!(client.ping(1), Err(RequestError::Closed));
    assert_eq!(client.post(EntityId::default(), "hit", &[]), Err(RequestError::Closed));
}
