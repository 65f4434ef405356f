//! A client that connects again, with two gates that come and go.

use crate::game::World;
use everwake_client::{
    CallError, ClientEvent, Closed, ConnectError, ConnectionEvent, LeftOpen, Over, ReconnectConfig,
    ReconnectPolicy, ReconnectingClient, SessionEvent, Trust,
};
use everwake_gate::GateLimits;
use everwake_protocol::SessionId;
use everwake_protocol::client::CloseCode;
use everwake_protocol::cluster::ToGame;
use everwake_protocol::outcome::{Certainty, code};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn two_gates() -> [World; 2] {
    [7, 8].map(|seed| World::with_seed(GateLimits::default(), seed))
}

/// Of these gates, in a hurry.
fn config(gates: &[World]) -> ReconnectConfig {
    let addresses: Vec<_> = gates.iter().map(|gate| gate.address).collect();
    let policy = ReconnectPolicy { wait_min_ms: 10, wait_max_ms: 100, ..ReconnectPolicy::default() };
    ReconnectConfig { policy, ..ReconnectConfig::local(&addresses) }
}

/// What happens next to the connections; what happens in the session is passed by.
async fn connection(client: &ReconnectingClient) -> Option<ConnectionEvent> {
    let waiting = async {
        loop {
            match client.next().await {
                Some(SessionEvent::Connection(event)) => return Some(event),
                Some(SessionEvent::Client(_)) => {}
                None => return None,
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("something happens")
}

async fn connected(client: &ReconnectingClient) -> (usize, SessionId) {
    match connection(client).await {
        Some(ConnectionEvent::Connected { gate, session }) => (gate, session),
        other => panic!("not connected: {other:?}"),
    }
}

/// Calls in the session that there is.
async fn echo(client: &ReconnectingClient, number: i64) {
    let session = client.session(PATIENCE).await.expect("a session");
    assert_eq!(session.wait(PATIENCE, |core| core.own().is_some()).await, Ok(true));
    let own = session.own().unwrap();
    assert_eq!(client.call(own, "echo", &[number.into()]).await, Ok(number.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loses_its_gate_goes_on_at_the_other_one_as_somebody_new() {
    let mut gates = two_gates();
    let client = ReconnectingClient::connect(config(&gates)).await.unwrap();
    let (gate, first_session) = connected(&client).await;
    assert_eq!(gate, 0);
    echo(&client, 1).await;
    let first = client.client().unwrap();
    let own = first.own().unwrap();
    let dream = tokio::spawn({
        let first = first.clone();
        async move { first.call(own, "dream", &[]).await }
    });
    gates[0].seen.find(|it| matches!(it, ToGame::Request { method: 4, .. }).then_some(())).await;
    gates[0].stop().await;

    let why =
        Closed::ByServer { code: Some(CloseCode::Shutdown), reason: "the server is shutting down".into() };
    let open = LeftOpen { unknown: 1, not_run: 0 };
    assert_eq!(connection(&client).await, Some(ConnectionEvent::Disconnected { gate: 0, why, open }));
    let Err(CallError::Failed { certainty, code: said, .. }) = dream.await.unwrap() else {
        panic!("an answer")
    };
    assert_eq!((certainty, said.as_str()), (Certainty::Unknown, code::DISCONNECTED));
    let next = connection(&client).await;
    assert!(
        matches!(next, Some(ConnectionEvent::Reconnecting { attempt: 1, gate: 1, in_ms: ..=10 })),
        "{next:?}"
    );
    assert!(client.client().is_none(), "there is no session between two");

    let (gate, session) = connected(&client).await;
    assert_eq!(gate, 1);
    assert_ne!(session, first_session);
    echo(&client, 2).await;
    // Of the first session nothing is left, and nothing that is asked of it reaches the second one.
    assert_eq!((first.own(), first.read(|core| core.entities().count())), (None, 0));
    assert!(matches!(first.call(own, "echo", &[3.into()]).await, Err(CallError::Request(_))));
    let asked = gates[1].seen.messages.lock().unwrap();
    assert_eq!(asked.iter().filter(|it| matches!(it, ToGame::Request { .. })).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_events_of_a_session_come_before_its_end() {
    let mut gates = two_gates();
    let client = ReconnectingClient::connect(config(&gates)).await.unwrap();
    let first = client.client().unwrap();
    assert_eq!(first.wait(PATIENCE, |core| core.own().is_some()).await, Ok(true));
    let own = first.own().unwrap();
    for number in 0..50i64 {
        client.call(own, "echo", &[number.into()]).await.unwrap();
    }
    gates[0].stop().await;
    first.closed().await;
    // Nobody has taken an event until now.
    let mut replies = 0;
    let mut story = Vec::new();
    while story.len() < 4 {
        match tokio::time::timeout(PATIENCE, client.next()).await.expect("something happens") {
            Some(SessionEvent::Client(ClientEvent::Replied { .. })) if story.len() == 1 => replies += 1,
            Some(SessionEvent::Client(ClientEvent::Replied { .. })) => {
                panic!("of another session: {story:?}")
            }
            Some(SessionEvent::Client(_)) => {}
            Some(SessionEvent::Connection(event)) => story.push(event),
            None => panic!("the end: {story:?}"),
        }
    }
    assert_eq!(replies, 50);
    assert!(
        matches!(
            story[..],
            [
                ConnectionEvent::Connected { gate: 0, .. },
                ConnectionEvent::Disconnected { .. },
                ConnectionEvent::Reconnecting { .. },
                ConnectionEvent::Connected { gate: 1, .. }
            ]
        ),
        "{story:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_kicked_stays_away_and_who_leaves_has_left() {
    let gates = two_gates();
    let client = ReconnectingClient::connect(config(&gates)).await.unwrap();
    connected(&client).await;
    let session = client.client().unwrap();
    assert_eq!(session.wait(PATIENCE, |core| core.own().is_some()).await, Ok(true));
    session.post(session.own().unwrap(), "kick_me", &[]).unwrap();
    let kicked = Closed::ByServer { code: Some(CloseCode::Kicked), reason: "you asked for it".into() };
    let ended = connection(&client).await;
    assert!(matches!(&ended, Some(ConnectionEvent::Disconnected { why, .. }) if *why == kicked), "{ended:?}");
    assert_eq!(connection(&client).await, Some(ConnectionEvent::Over { why: Over::Closed(kicked) }));
    assert_eq!(connection(&client).await, None);

    let client = ReconnectingClient::connect(config(&gates)).await.unwrap();
    connected(&client).await;
    let (ended, ()) = tokio::join!(connection(&client), client.close());
    assert!(matches!(ended, Some(ConnectionEvent::Disconnected { .. })), "{ended:?}");
    assert_eq!(connection(&client).await, Some(ConnectionEvent::Over { why: Over::Left }));
    assert_eq!(connection(&client).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_while_no_gate_is_there_has_left_too() {
    let mut gates = two_gates();
    let slow =
        ReconnectPolicy { wait_min_ms: 3_600_000, wait_max_ms: 3_600_000, ..ReconnectPolicy::default() };
    let client =
        ReconnectingClient::connect(ReconnectConfig { policy: slow, ..config(&gates) }).await.unwrap();
    for gate in &mut gates {
        gate.stop().await;
    }
    let mut last = connection(&client).await;
    while !matches!(last, Some(ConnectionEvent::Reconnecting { .. })) {
        last = connection(&client).await;
    }
    let (over, ()) = tokio::join!(connection(&client), client.close());
    assert_eq!(over, Some(ConnectionEvent::Over { why: Over::Left }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_gate_that_is_not_believed_leaves_the_second() {
    let gates = two_gates();
    let mut wrong = config(&gates);
    wrong.gates[0].trust = Trust::Pinned("00".repeat(32));
    wrong.gates[1].trust = Trust::Pinned(gates[1].fingerprint.clone());
    let client = ReconnectingClient::connect(wrong.clone()).await.unwrap();
    let failed = connection(&client).await;
    let is_handshake = |why: &ConnectError| matches!(why, ConnectError::Closed(Closed::Handshake(_)));
    assert!(
        matches!(&failed, Some(ConnectionEvent::Failed { gate: 0, why }) if is_handshake(why)),
        "{failed:?}"
    );
    assert_eq!(connected(&client).await.0, 1);
    wrong.gates.truncate(1);
    let refused = ReconnectingClient::connect(wrong).await;
    assert!(matches!(&refused, Err(Over::GaveUp { attempts: 1, last }) if is_handshake(last)), "{refused:?}");
}
