//! What hostile clients try. Each is closed with the right code, and a good client beside it
//! notices nothing.

use crate::game::{ECHO, FLOOD_ME, KICK_ME, World};
use bytes::Bytes;
use everwake_client::{CallError, Client, Closed, Value, closed, open};
use everwake_gate::{GateLimits, GateStatus};
use everwake_protocol::EntityId;
use everwake_protocol::client::{ClientFrame, CloseCode, ServerFrame};
use everwake_protocol::cluster::ToGame;
use everwake_protocol::frame::FrameDecoder;
use everwake_protocol::limits::PROTOCOL_VERSION;
use everwake_protocol::outcome::{Certainty, code};
use std::time::Duration;

/// A connection that says what a test wants.
struct Raw {
    quic: quinn::Connection,
    send: quinn::SendStream,
    receive: quinn::RecvStream,
}

impl Raw {
    async fn open(world: &World) -> Raw {
        let quic = open(&world.config()).await.unwrap();
        let (send, receive) = quic.open_bi().await.unwrap();
        Raw { quic, send, receive }
    }

    /// Greets and reads until its own entity is there.
    async fn greeted(world: &World) -> (Raw, EntityId) {
        let mut raw = Raw::open(world).await;
        raw.say(&ClientFrame::Hello {
            protocol: PROTOCOL_VERSION,
            module: String::new(),
            token: String::new(),
            version: String::new(),
            locale: String::new(),
        })
        .await;
        let mut decoder = FrameDecoder::of_server();
        loop {
            let chunk = raw.receive.read_chunk(65_536, true).await.unwrap().expect("the stream lives");
            decoder.push(&chunk.bytes);
            while let Some(frame) = decoder.pop().unwrap() {
                if let Ok(Some(ServerFrame::Create { entity, own: true, .. })) = ServerFrame::decode(frame) {
                    return (raw, entity);
                }
            }
        }
    }

    async fn say(&mut self, frame: &ClientFrame) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        // The gate may have closed meanwhile: the test looks at why.
        let _ = self.send.write_all(&bytes).await;
    }

    async fn ended(&self, world_client: &Client) -> Option<CloseCode> {
        let reason = tokio::time::timeout(Duration::from_secs(20), self.quic.closed()).await;
        let code = match closed(&reason.expect("the gate closes the connection")) {
            Closed::ByServer { code, .. } => code,
            other => panic!("{other:?}"),
        };
        echoes(world_client).await;
        code
    }
}

async fn echoes(client: &Client) {
    let own = client.own().unwrap();
    assert_eq!(client.call(own, "echo", &["well?".into()]).await, Ok(Value::from("well?")));
}

fn request(request: u64, target: EntityId, method: u32) -> ClientFrame {
    let args = Bytes::from_static(&[0x81, 0x01]);
    ClientFrame::Request { request, acknowledged: 0, target, method, deadline_ms: 0, args }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_before_and_after_the_greeting() {
    let world = World::start(GateLimits::default());
    let good = world.client().await;
    let mut raw = Raw::open(&world).await;
    raw.send.write_all(&[0xff; 64]).await.unwrap();
    assert_eq!(raw.ended(&good).await, Some(CloseCode::Protocol));
    let (mut raw, _) = Raw::greeted(&world).await;
    raw.send.write_all(&[0, 0, 0, 2, 0x7f, 0]).await.unwrap();
    assert_eq!(raw.ended(&good).await, Some(CloseCode::Protocol));
    let (raw, _) = Raw::greeted(&world).await;
    raw.quic.send_datagram(Bytes::from_static(b"nonsense")).unwrap();
    assert_eq!(raw.ended(&good).await, Some(CloseCode::Protocol));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_protocol_version() {
    let world = World::start(GateLimits::default());
    let good = world.client().await;
    let mut raw = Raw::open(&world).await;
    raw.send.write_all(&[0, 0, 0, 3, 1, 0, 9]).await.unwrap();
    assert_eq!(raw.ended(&good).await, Some(CloseCode::Version));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence() {
    let world =
        World::start(GateLimits { hello_timeout: Duration::from_millis(300), ..GateLimits::default() });
    let good = world.client().await;
    let raw = Raw::open(&world).await;
    assert_eq!(raw.ended(&good).await, Some(CloseCode::Timeout));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_frames_and_of_datagrams() {
    let world = World::start(GateLimits {
        frames_per_second: 100,
        datagrams_per_second: 50,
        ..GateLimits::default()
    });
    let good = world.client().await;
    let (mut raw, _) = Raw::greeted(&world).await;
    for nonce in 0..1_000 {
        raw.say(&ClientFrame::Ping { nonce }).await;
    }
    assert_eq!(raw.ended(&good).await, Some(CloseCode::Rate));
    let (raw, _) = Raw::greeted(&world).await;
    let mut datagram = vec![1, 0, 0, 0, 1];
    datagram.resize(22, 0);
    while raw.quic.close_reason().is_none() {
        let _ = raw.quic.send_datagram_wait(Bytes::from(datagram.clone())).await;
    }
    assert_eq!(raw.ended(&good).await, Some(CloseCode::Rate));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_without_end() {
    let world = World::start(GateLimits::default());
    let good = world.client().await;
    let (raw, _) = Raw::greeted(&world).await;
    let mut streams = Vec::new();
    while raw.quic.close_reason().is_none() {
        // When no more may be opened quinn waits for ever: the gate's close ends the loop.
        let opened = tokio::time::timeout(Duration::from_millis(100), raw.quic.open_bi()).await;
        if let Ok(Ok((mut send, receive))) = opened {
            let _ = send.write_all(&[0]).await;
            streams.push((send, receive));
        }
        assert!(streams.len() < 3, "the gate lets a client open streams");
    }
    assert_eq!(raw.ended(&good).await, Some(CloseCode::Protocol));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_for_much_and_reading_nothing() {
    let mut world = World::start(GateLimits { queue_bytes: 1024 * 1024, ..GateLimits::default() });
    let good = world.client().await;
    let (mut raw, own) = Raw::greeted(&world).await;
    for number in 1..=12 {
        raw.say(&request(number, own, FLOOD_ME)).await;
    }
    // Who does not read may lose the last words among all the rest, so the gate is asked.
    reaches(&mut world, |status| status.closed.get(&CloseCode::Slow) == Some(&1)).await;
    raw.quic.closed().await;
    echoes(&good).await;
}

/// Fills what a client takes that does not read, so that a write of the gate is stuck.
async fn stuck(world: &mut World) -> (Raw, EntityId) {
    let (mut raw, own) = Raw::greeted(world).await;
    for number in 1..=3 {
        raw.say(&request(number, own, FLOOD_ME)).await;
    }
    // 1.8 MB are too much for the windows of both sides together.
    reaches(world, |status| status.connections == 2 && status.queued_bytes > 900_000).await;
    (raw, own)
}

async fn reaches(world: &mut World, wanted: impl Fn(&GateStatus) -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), world.status.wait_for(|it| wanted(it))).await;
    assert!(waited.is_ok_and(|found| found.is_ok()), "{:?}", world.status.borrow());
}

/// Waits until nobody but the good client is there.
async fn alone(world: &mut World, good: &Client) {
    reaches(world, |status| status.connections == 1).await;
    echoes(good).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saying_good_bye_and_reading_nothing() {
    let mut world = World::start(GateLimits::default());
    let good = world.client().await;
    let (mut raw, _) = stuck(&mut world).await;
    raw.send.finish().unwrap();
    world.seen.find(|message| matches!(message, ToGame::Detach { reason: 0, .. }).then_some(())).await;
    alone(&mut world, &good).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn being_kicked_and_reading_nothing() {
    let mut world = World::start(GateLimits::default());
    let good = world.client().await;
    let (mut raw, own) = stuck(&mut world).await;
    raw.say(&request(4, own, KICK_ME)).await;
    world.seen.find(|message| matches!(message, ToGame::Detach { reason: 1, .. }).then_some(())).await;
    alone(&mut world, &good).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_ids_that_do_not_rise() {
    let world = World::start(GateLimits::default());
    let good = world.client().await;
    let (mut raw, own) = Raw::greeted(&world).await;
    raw.say(&request(2, own, ECHO)).await;
    raw.say(&request(2, own, ECHO)).await;
    assert_eq!(raw.ended(&good).await, Some(CloseCode::Protocol));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_id_reaches_nobody() {
    let world = World::start(GateLimits::default());
    let (good, thief) = (world.client().await, world.client().await);
    let victim = good.own().unwrap();
    let args = Bytes::from_static(&[0x81, 0x01]);
    let stolen = thief.call_by_id(victim, ECHO, args, 5_000).await;
    let Err(CallError::Failed { certainty, code: found, .. }) = stolen else { panic!("{stolen:?}") };
    assert_eq!((certainty, found.as_str()), (Certainty::NotRun, code::NOT_EXPOSED));
    assert_eq!(good.attribute(victim, "echoes"), Some(Value::Int(0)));
    let own = thief.own().unwrap();
    assert_eq!(thief.call(own, "echo", &[1.into()]).await, Ok(Value::from(1)), "it may go on by itself");
}
