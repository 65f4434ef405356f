//! A game behind the gate that takes nothing for a while: whoever asks is told, and what must arrive does.

use crate::game::World;
use bytes::Bytes;
use everwake_client::{CallError, Client, ClientEvent};
use everwake_gate::GateLimits;
use everwake_protocol::EntityId;
use everwake_protocol::cluster::ToGame;
use everwake_protocol::outcome::{Certainty, code};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(20);
/// More than wait between gate and game.
const MANY: usize = 90;

type Answer = JoinHandle<Result<Bytes, CallError>>;

/// Asks for an echo, and waits until the gate has taken something since. Several at once would be one batch of the gate's.
async fn ask(client: &Arc<Client>, own: EntityId, number: usize) -> Answer {
    let asking = client.clone();
    let answer = tokio::spawn(async move {
        let args = Bytes::from_static(&[0x81, 0x01]);
        asking.call_encoded(own, "echo", args, 60_000).await
    });
    tokio::task::yield_now().await;
    client.ping(number as u64).unwrap();
    let taken = async {
        while let Some(event) = client.next_event().await {
            if event == (ClientEvent::Pong { nonce: number as u64 }) {
                return;
            }
        }
        panic!("the connection ends");
    };
    tokio::time::timeout(PATIENCE, taken).await.expect("the gate goes on");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_a_game_that_takes_nothing_is_told_and_what_must_arrive_arrives() {
    let world = World::start(GateLimits::default());
    let (client, leaver) = (Arc::new(world.client().await), world.client().await);
    let (own, session) = (client.own().unwrap(), leaver.session().unwrap());
    let asleep = world.seen.awake.lock().await;
    let mut answers = Vec::new();
    for number in 0..MANY {
        answers.push(ask(&client, own, number).await);
    }
    leaver.close().await;
    drop(asleep);
    let (mut done, mut refused) = (0, 0);
    for answer in answers {
        match tokio::time::timeout(PATIENCE, answer).await.expect("all are answered").unwrap() {
            Ok(_) => done += 1,
            Err(CallError::Failed { certainty: Certainty::NotRun, code: said, .. }) => {
                assert_eq!(said, code::OVERLOADED);
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > 0 && done > 0, "{refused} refused, {done} done");
    // It was said when nothing was taken any more, and nobody can be told no.
    let gone = |message: &ToGame| match message {
        ToGame::Detach { session: its, .. } => (*its == session).then_some(()),
        _ => None,
    };
    world.seen.find(gone).await;
    let messages = world.seen.messages.lock().unwrap();
    let ran = messages.iter().filter(|it| matches!(it, ToGame::Request { .. })).count();
    assert_eq!(ran, done, "what was refused did not run");
}
