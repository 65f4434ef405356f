//! Who may not link, and strangers that never greet.

use crate::kit::{PATIENCE, dialer, identity, listener, next, quick, up};
use everwake_link::handshake::RefusalCode;
use everwake_link::limits::STRANGERS_MAX;
use everwake_link::tcp::{DialConfig, ListenConfig, Security, StartError, dial, listen};
use everwake_link::{Class, Event, HandshakeError, Limits, Role, Session};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn a_role_that_does_not_link_here_is_told() {
    let listener = listener("dispatcher/d", Security::Loopback).await;
    let mut other = dialer("dispatcher/e", "dispatcher/d", listener.address(), Security::Loopback);
    let Event::Failed(HandshakeError::Refused { refusal, .. }) = next(&mut other.receiver).await else {
        panic!("not refused")
    };
    assert_eq!(refusal.code, RefusalCode::Peer);
    assert!(refusal.text.contains("takes game and gate only"), "{}", refusal.text);
}

#[tokio::test]
async fn a_younger_life_takes_the_place_of_an_older_one_and_not_the_other_way() {
    let mut listener = listener("dispatcher/d", Security::Loopback).await;
    let life = |start| {
        let (us, peer) = (identity("game/a", start), "dispatcher/d".parse().unwrap());
        let (address, security) = (listener.address().to_string(), Security::Loopback);
        dial(DialConfig { us, peer, address, security, limits: quick(), seed: 1 }).unwrap()
    };
    let mut old = life(4);
    up(&mut old.receiver).await;
    let mut young = life(5);
    up(&mut young.receiver).await;
    let mut dispatcher = listener.accept().await.unwrap();
    assert_eq!(up(&mut dispatcher.receiver).await.session, Session::Fresh);
    let second = up(&mut dispatcher.receiver).await;
    assert_eq!((second.session, second.incarnation.start), (Session::Restarted, 5));
    loop {
        if let Event::Failed(HandshakeError::Refused { refusal, .. }) = next(&mut old.receiver).await {
            assert_eq!(refusal.code, RefusalCode::Stale);
            break;
        }
    }
    dispatcher.sender.send(second.incarnation, Class::Ordinary, "to the young one".into()).unwrap();
    assert!(matches!(next(&mut young.receiver).await, Event::Message { .. }));
}

#[tokio::test]
async fn in_the_clear_nobody_listens_or_dials_beyond_this_machine() {
    let socket = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let (us, allowed) = (identity("dispatcher/d", 1), vec![Role::Game]);
    let config = ListenConfig { us, allowed, security: Security::Loopback, limits: Limits::default() };
    let error = listen(socket, config).unwrap_err();
    assert!(matches!(error, StartError::Exposed(_)));
    assert!(error.to_string().contains("configure certificates"), "{error}");
    // An address of documentation: nothing is sent to it.
    let mut link = dialer("game/a", "dispatcher/d", "192.0.2.1:9".parse().unwrap(), Security::Loopback);
    let Event::Failed(HandshakeError::Unreachable { why, .. }) = next(&mut link.receiver).await else {
        panic!("not refused")
    };
    assert!(why.contains("configure certificates"), "{why}");
}

#[tokio::test]
async fn strangers_are_few_and_have_little_time() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits = Limits { greeting_ms: 300, ..quick() };
    let (us, allowed, security) = (identity("dispatcher/d", 1), vec![Role::Game], Security::Loopback);
    let mut listener = listen(socket, ListenConfig { us, allowed, security, limits }).unwrap();
    let mut strangers = Vec::new();
    for _ in 0..STRANGERS_MAX + 8 {
        strangers.push(TcpStream::connect(listener.address()).await.unwrap());
    }
    // All are sent away: some at once, the others when their time is over.
    for stranger in &mut strangers {
        let end = tokio::time::timeout(PATIENCE, stranger.read(&mut [0; 8])).await.expect("it may stay");
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    }
    let mut game = dialer("game/a", "dispatcher/d", listener.address(), Security::Loopback);
    up(&mut game.receiver).await;
    assert!(listener.accept().await.is_some());
}

#[tokio::test]
async fn something_else_than_a_link_is_sent_away() {
    let mut listener = listener("dispatcher/d", Security::Loopback).await;
    let mut stranger = TcpStream::connect(listener.address()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stranger, b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let end = tokio::time::timeout(PATIENCE, stranger.read(&mut [0; 8])).await.expect("it may stay");
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    let mut game = dialer("game/a", "dispatcher/d", listener.address(), Security::Loopback);
    up(&mut game.receiver).await;
    assert!(listener.accept().await.is_some());
}
