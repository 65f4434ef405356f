//! 100,000 messages each way over connections that are cut: what arrives is in order, nothing comes twice, and
//! what got lost was told.

use crate::kit::{PATIENCE, dialer, door, listener, next, up};
use bytes::Bytes;
use everwake_link::tcp::Security;
use everwake_link::{Class, Event, Link, Refused, Sender, Session};
use everwake_protocol::cluster::Incarnation;
use std::time::Duration;

const MESSAGES: u64 = 100_000;

fn payload(number: u64) -> Bytes {
    // Of different sizes, so that cuts fall everywhere.
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(8 + (number % 97) as usize, 7);
    bytes.into()
}

async fn send_all(sender: Sender, to: Incarnation) {
    for number in 1..=MESSAGES {
        let class = if number % 5 == 0 { Class::Reserved } else { Class::Ordinary };
        let mut next = payload(number);
        while let Err(error) = sender.send(to, class, next) {
            assert_eq!(error.why, Refused::Overloaded);
            next = error.message.payload;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // All at once they would be over before the first cut.
        if number % 200 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// What one end saw of the other's messages, and of the fate of its own.
#[derive(Debug, Default)]
struct Account {
    received: Vec<u64>,
    /// Sequences of messages of this end that did not arrive.
    lost: Vec<u64>,
    told_missing: u64,
    resumed: u32,
}

/// Takes everything until the peer's last message has come or was told lost.
async fn take_all(mut link: Link, done: tokio::sync::oneshot::Sender<Account>) {
    let mut account = Account::default();
    while (account.received.len() as u64) + account.told_missing < MESSAGES {
        match next(&mut link.receiver).await {
            Event::Message { payload, .. } => {
                account.received.push(u64::from_be_bytes(payload[..8].try_into().unwrap()));
            }
            Event::Up(up) => account.up(&up),
            Event::Down(_) | Event::Failed(_) => {}
            other => panic!("{other:?}"),
        }
    }
    // The other end may still have something to be told.
    drop(done.send(account));
    while link.receiver.recv().await.is_some() {}
}

impl Account {
    fn up(&mut self, up: &everwake_link::Up) {
        assert_eq!(up.session, Session::Resumed);
        self.resumed += 1;
        self.told_missing += up.lost.main.received;
        self.lost.extend((0..up.lost.main.sent).map(|place| up.lost.main.sent_first + place));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_keep_their_order_over_cuts() {
    let mut listener = listener("dispatcher/d", Security::Loopback).await;
    let (address, cuts) = door(listener.address()).await;
    let mut game = dialer("game/a", "dispatcher/d", address, Security::Loopback);
    let to_dispatcher = up(&mut game.receiver).await.incarnation;
    let mut dispatcher = tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let to_game = up(&mut dispatcher.receiver).await.incarnation;
    let cutter = tokio::spawn(async move {
        for cut in 1..10_000 {
            tokio::time::sleep(Duration::from_millis(15)).await;
            cuts.send_replace(cut);
        }
    });
    let senders = [
        tokio::spawn(send_all(game.sender.clone(), to_dispatcher)),
        tokio::spawn(send_all(dispatcher.sender.clone(), to_game)),
    ];
    let ((game_done, game_account), (dispatcher_done, dispatcher_account)) =
        (tokio::sync::oneshot::channel(), tokio::sync::oneshot::channel());
    let takers =
        [tokio::spawn(take_all(game, game_done)), tokio::spawn(take_all(dispatcher, dispatcher_done))];
    let accounts = async { (game_account.await.unwrap(), dispatcher_account.await.unwrap()) };
    let (game, dispatcher) = tokio::time::timeout(PATIENCE, accounts).await.expect("it takes too long");
    for sender in senders {
        sender.await.unwrap();
    }
    cutter.abort();
    takers.iter().for_each(tokio::task::JoinHandle::abort);
    for (name, receiver, sender) in [("dispatcher", &dispatcher, &game), ("game", &game, &dispatcher)] {
        assert!(
            receiver.received.is_sorted_by(|a, b| a < b),
            "the {name} got messages twice or in another order"
        );
        assert!(receiver.resumed > 3, "cut {} times only", receiver.resumed);
        // A loss of the very last messages may be told to the receiver before the sender.
        let mut all: Vec<u64> = receiver.received.iter().chain(&sender.lost).copied().collect();
        all.sort_unstable();
        let twice = all.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "came, and was told lost");
        let missing = MESSAGES - receiver.received.len() as u64;
        assert_eq!(receiver.told_missing, missing);
        assert!(sender.lost.len() as u64 <= missing);
        assert!(missing < MESSAGES / 2, "{missing} got lost");
        println!("{name}: {} came, {missing} lost in {} cuts", receiver.received.len(), receiver.resumed);
    }
    assert!(game.told_missing + dispatcher.told_missing > 0, "no cut hit anything");
}

#[tokio::test]
async fn a_link_closes_at_both_ends_with_all_that_was_sent() {
    let mut listener = listener("dispatcher/d", Security::Loopback).await;
    let mut game = dialer("game/a", "dispatcher/d", listener.address(), Security::Loopback);
    let to = up(&mut game.receiver).await.incarnation;
    let mut dispatcher = listener.accept().await.unwrap();
    up(&mut dispatcher.receiver).await;
    for number in 0..1_000 {
        game.sender.send(to, Class::Ordinary, payload(number)).unwrap();
    }
    game.sender.close();
    let mut came = 0;
    while let Event::Message { .. } = next(&mut dispatcher.receiver).await {
        came += 1;
    }
    assert_eq!(came, 1_000);
    while next(&mut game.receiver).await != Event::Closed {}
    assert_eq!(game.receiver.recv().await, None);
    let error = game.sender.send(to, Class::Ordinary, payload(1)).unwrap_err();
    assert_eq!((error.why, error.message.payload), (Refused::Closed, payload(1)));
    // A listener that goes closes what it has.
    drop(listener);
    while next(&mut dispatcher.receiver).await != Event::Closed {}
}

#[tokio::test]
async fn what_does_not_fit_comes_back_at_once_and_room_comes_again() {
    let mut listener = listener("dispatcher/d", Security::Loopback).await;
    let mut game = dialer("game/a", "dispatcher/d", listener.address(), Security::Loopback);
    let to = up(&mut game.receiver).await.incarnation;
    let mut dispatcher = listener.accept().await.unwrap();
    let large = Bytes::from(vec![1; 1024 * 1024]);
    let mut accepted = 0;
    // The other owner takes nothing: its window and this side's share fill.
    let refused = loop {
        match game.sender.send(to, Class::Ordinary, large.clone()) {
            Ok(()) => accepted += 1,
            // A write may be under way: what it took makes room.
            Err(error) if accepted < 15 => drop((error, tokio::time::sleep(Duration::from_millis(1)).await)),
            Err(error) => break error,
        }
    };
    assert_eq!((refused.why, refused.message.payload.len()), (Refused::Overloaded, large.len()));
    game.sender.send(to, Class::Reserved, "marker".into()).unwrap();
    game.sender.send(to, Class::Express, "ack".into()).unwrap();
    let mut order = Vec::new();
    while order.len() < accepted + 2 {
        if let Event::Message { class, .. } = next(&mut dispatcher.receiver).await {
            order.push(class);
        }
    }
    assert_eq!(order.last(), Some(&Class::Reserved), "behind all that was accepted before it");
    assert!(order.iter().position(|class| *class == Class::Express) < Some(accepted), "it passes");
    while game.sender.send(to, Class::Ordinary, large.clone()).is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
