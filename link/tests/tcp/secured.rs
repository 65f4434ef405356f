//! Links with TLS: the right certificate, the wrong one, none.

use crate::kit::{dialer, identity, listener, next, quick, up};
use everwake_link::certs::Authority;
use everwake_link::handshake::RefusalCode;
use everwake_link::tcp::{DialConfig, Security, StartError, dial};
use everwake_link::{Class, Event, HandshakeError, Tls};
use time::OffsetDateTime;

struct Cluster(Authority);

impl Cluster {
    fn new() -> Cluster {
        Cluster(Authority::new(OffsetDateTime::now_utc()).unwrap())
    }

    fn tls(&self, peer: &str) -> Tls {
        let issued = self.0.issue(&peer.parse().unwrap(), OffsetDateTime::now_utc()).unwrap();
        Tls::from_pem(self.0.certificate_pem(), &issued.certificate_pem, &issued.key_pem).unwrap()
    }

    fn security(&self, peer: &str) -> Security {
        Security::Tls(self.tls(peer))
    }
}

#[tokio::test]
async fn the_right_certificates_make_a_link() {
    let cluster = Cluster::new();
    let mut listener = listener("dispatcher/d", cluster.security("dispatcher/d")).await;
    let mut gate = dialer("gate/g", "dispatcher/d", listener.address(), cluster.security("gate/g"));
    let to = up(&mut gate.receiver).await.incarnation;
    let mut dispatcher = listener.accept().await.unwrap();
    assert_eq!(dispatcher.sender.peer().to_string(), "gate/g");
    let back = up(&mut dispatcher.receiver).await.incarnation;
    for number in 0..2_000u32 {
        gate.sender.send(to, Class::Ordinary, vec![7; number as usize].into()).unwrap();
        dispatcher.sender.send(back, Class::Ordinary, vec![8; number as usize].into()).unwrap();
    }
    for receiver in [&mut dispatcher.receiver, &mut gate.receiver] {
        for number in 0..2_000 {
            let Event::Message { payload, .. } = next(receiver).await else { panic!("no message {number}") };
            assert_eq!(payload.len(), number);
        }
    }
}

#[tokio::test]
async fn a_gate_cannot_speak_as_a_game() {
    let cluster = Cluster::new();
    let listener = listener("dispatcher/d", cluster.security("dispatcher/d")).await;
    let (us, peer) = (identity("game/a", 1), "dispatcher/d".parse().unwrap());
    let (address, limits) = (listener.address().to_string(), quick());
    let security = cluster.security("gate/g");
    let config = DialConfig { us, peer, address, security, limits, seed: 1 };
    // The honest program does not even start.
    assert!(matches!(dial(config), Err(StartError::Certificate { .. })));
    // One that lies is found out by the dispatcher.
    let text = lie(&cluster, listener.address()).await;
    assert!(text.contains("its certificate is that of `gate/g`"), "{text}");
}

/// Greets as a game with a gate's certificate; what the dispatcher says to that.
async fn lie(cluster: &Cluster, address: std::net::SocketAddr) -> String {
    use everwake_link::{Config, Core, Decoder, Frame, Input, Limits, Output, Side};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (us, peer) = (identity("game/a", 1), "dispatcher/d".parse().unwrap());
    let config = Config { us, peer, side: Side::Dialer, limits: Limits::default(), seed: 1 };
    let mut core = Core::new(config).unwrap();
    let mut out = Vec::new();
    core.handle(0, Input::Tick, &mut out);
    let [Output::Dial { connection }] = out[..] else { panic!("{out:?}") };
    out.clear();
    core.handle(0, Input::Connected { connection, certified: None }, &mut out);
    let [Output::Write { batch, .. }] = &out[..] else { panic!("{out:?}") };
    let mut stream = raw(cluster, "gate/g", address).await;
    stream.write_all(&batch.to_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The connection may end without a good-bye of TLS.
    let _ = stream.read_to_end(&mut answer).await;
    let mut decoder = Decoder::new();
    decoder.push(answer.into());
    match decoder.pop() {
        Ok(Some(Frame::Refused(refusal))) if refusal.code == RefusalCode::Certificate => refusal.text,
        other => panic!("{other:?}"),
    }
}

/// A connection with the certificate of `name`, and nobody's rules.
async fn raw(
    cluster: &Cluster,
    name: &str,
    address: std::net::SocketAddr,
) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    let connector = tokio_rustls::TlsConnector::from(cluster.tls(name).client_config());
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    connector.connect(everwake_link::tls::SERVER_NAME.try_into().unwrap(), socket).await.unwrap()
}

#[tokio::test]
async fn another_authority_is_not_trusted_at_either_end() {
    let (ours, theirs) = (Cluster::new(), Cluster::new());
    let mut listener = listener("dispatcher/d", ours.security("dispatcher/d")).await;
    let mut stranger = dialer("game/a", "dispatcher/d", listener.address(), theirs.security("game/a"));
    let Event::Failed(HandshakeError::Unreachable { why, .. }) = next(&mut stranger.receiver).await else {
        panic!("not refused")
    };
    assert!(why.contains("TLS fails"), "{why}");
    // Nor is one without TLS.
    let mut plain = dialer("game/b", "dispatcher/d", listener.address(), Security::Loopback);
    assert!(matches!(next(&mut plain.receiver).await, Event::Failed(_)));
    let mut game = dialer("game/c", "dispatcher/d", listener.address(), ours.security("game/c"));
    up(&mut game.receiver).await;
    assert_eq!(listener.accept().await.unwrap().sender.peer().to_string(), "game/c");
}

#[tokio::test]
async fn a_dialer_looks_who_is_there() {
    let cluster = Cluster::new();
    let listener = listener("dispatcher/d", cluster.security("dispatcher/d")).await;
    let mut game = dialer("game/a", "dispatcher/e", listener.address(), cluster.security("game/a"));
    let Event::Failed(HandshakeError::Refused { refusal, .. }) = next(&mut game.receiver).await else {
        panic!("not refused")
    };
    assert!(refusal.text.contains("looked for `dispatcher/e`"), "{}", refusal.text);
}
