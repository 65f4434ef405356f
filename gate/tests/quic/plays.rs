//! What a client that keeps the rules lives through.

use crate::game::World;
use everwake_client::{CallError, Client, ClientConfig, ClientEvent, Closed, ConnectError, Trust, Value};
use everwake_gate::GateLimits;
use everwake_protocol::client::{CloseCode, Pose};
use everwake_protocol::cluster::ToGame;
use std::time::Duration;

/// Takes events until `wanted` comes; a strict client meets no inconsistency on the way.
async fn event(client: &Client, wanted: impl Fn(&ClientEvent) -> bool) -> ClientEvent {
    let waiting = async {
        loop {
            let event = client.next_event().await.expect("the connection lives");
            assert!(!matches!(event, ClientEvent::Inconsistent { .. }), "{event:?}");
            if wanted(&event) {
                return event;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("the event comes")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_calls_is_called_and_moves() {
    let world = World::start(GateLimits::default());
    let (client, other) = (world.client().await, world.client().await);
    let own = client.own().unwrap();
    assert_eq!(client.attribute(own, "echoes"), Some(Value::Int(0)), "the initial value");
    assert_eq!(client.call(own, "echo", &["hello".into()]).await, Ok(Value::from("hello")));
    assert_eq!(client.attribute(own, "echoes"), Some(Value::Int(1)), "changes come before the answer");
    assert_eq!(client.attribute(own, "said"), Some(Value::from(vec!["hi"])));

    client.call(own, "wave", &[2.into()]).await.unwrap();
    let called = event(&other, |event| matches!(event, ClientEvent::Called { .. })).await;
    let ClientEvent::Called { method, args, .. } = called else { unreachable!() };
    assert_eq!(method, "waved");
    assert_eq!(Value::decode_list(&args), Ok(vec![Value::F32(2.0)]), "written as the type wants it");

    let pose = Pose { x: 3.0, ..Pose::default() };
    client.move_to(pose, &[9]);
    let moved =
        client.wait(Duration::from_secs(20), |core| core.own().is_some_and(|own| own.pose.y == 1.0)).await;
    assert_eq!(moved, Ok(true));
    let entity = client.entity(own).unwrap();
    assert_eq!((entity.pose.x, &entity.motion[..]), (3.0, &[9][..]));

    client.ping(5).unwrap();
    event(&client, |event| *event == ClientEvent::Pong { nonce: 5 }).await;
    let failed = client.call(own, "fly", &[]).await;
    assert!(matches!(failed, Err(CallError::Request(_))), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_clients_share_one_socket() {
    let world = World::start(GateLimits::default());
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(world.client().await);
    }
    for (number, client) in clients.iter().enumerate() {
        let own = client.own().unwrap();
        let number = number as i64;
        assert_eq!(client.call(own, "echo", &[number.into()]).await, Ok(Value::from(number)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pinned_certificate_is_believed_and_no_other() {
    let world = World::start(GateLimits::default());
    let with = |hash: &str| ClientConfig { trust: Trust::Pinned(hash.to_owned()), ..world.config() };
    Client::connect(with(&world.fingerprint)).await.unwrap();
    let refused = Client::connect(with(&"00".repeat(32))).await;
    assert!(matches!(refused, Err(ConnectError::Closed(Closed::Handshake(_)))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kicked_client_hears_the_last_words_and_why() {
    let world = World::start(GateLimits::default());
    let client = world.client().await;
    client.post(client.own().unwrap(), "kick_me", &[]).unwrap();
    event(&client, |event| matches!(event, ClientEvent::Called { .. })).await;
    let closed = Closed::ByServer { code: Some(CloseCode::Kicked), reason: "you asked for it".into() };
    assert_eq!(client.closed().await, closed);
    let reason = world.seen.find(|message| match message {
        ToGame::Detach { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(reason.await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_is_told_to_the_game() {
    let world = World::start(GateLimits::default());
    let client = world.client().await;
    let session = client.session();
    client.close().await;
    let gone = world.seen.find(|message| match message {
        ToGame::Detach { session, view: _, reason } => Some((*session, *reason)),
        _ => None,
    });
    assert_eq!(gone.await, (session.unwrap(), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_posted_before_a_good_bye_arrives() {
    const POSTS: usize = 20;
    let world = World::start(GateLimits::default());
    let client = world.client().await;
    let own = client.own().unwrap();
    // More than the gate takes at once.
    let large = Value::Bytes(vec![0; 30_000].into());
    for _ in 0..POSTS {
        client.post(own, "echo", std::slice::from_ref(&large)).unwrap();
    }
    client.close().await;
    world.seen.find(|message| matches!(message, ToGame::Detach { reason: 0, .. }).then_some(())).await;
    let messages = world.seen.messages.lock().unwrap();
    let requests = messages.iter().filter(|message| matches!(message, ToGame::Request { .. })).count();
    assert_eq!(requests, POSTS);
    assert!(matches!(messages.last(), Some(ToGame::Detach { .. })), "the end is last");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_greeting_that_is_too_long_is_not_said() {
    let world = World::start(GateLimits::default());
    let mut config = world.config();
    config.greeting.token = "x".repeat(1_025);
    let refused = Client::connect(config).await;
    assert!(matches!(refused, Err(ConnectError::Greeting(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_must_prove_its_address_does() {
    let limits = GateLimits { unproven_handshakes: 0, connections_per_address: 2, ..GateLimits::default() };
    let mut world = World::start(limits);
    let (first, second) = (world.client().await, world.client().await);
    for client in [&first, &second] {
        assert_eq!(client.call(client.own().unwrap(), "echo", &[1.into()]).await, Ok(Value::from(1)));
    }
    let third = Client::connect(world.config()).await;
    assert!(matches!(third, Err(ConnectError::Closed(Closed::Transport(_)))), "{third:?}");
    let counted = world.status.wait_for(|status| status.refused > 0).await.unwrap();
    assert_eq!((counted.retried, counted.refused), (3, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_reaches_clients_and_game() {
    let mut world = World::start(GateLimits::default());
    let client = world.client().await;
    world.stop().await;
    let closed = client.closed().await;
    assert!(matches!(closed, Closed::ByServer { code: Some(CloseCode::Shutdown), .. }), "{closed:?}");
    world.seen.find(|message| matches!(message, ToGame::Detach { reason: 0, .. }).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_gate_refuses() {
    let world = World::start(GateLimits { connections: 1, ..GateLimits::default() });
    let client = world.client().await;
    let refused = Client::connect(world.config()).await;
    assert!(matches!(refused, Err(ConnectError::Closed(Closed::Transport(_)))), "{refused:?}");
    let own = client.own().unwrap();
    assert_eq!(client.call(own, "echo", &[1.into()]).await, Ok(Value::from(1)));
}
