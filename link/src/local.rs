//! A pair driven by tokio: two links in one process that their owners cannot tell from links over TCP.

use crate::core::{Config, Event, Input, Side};
use crate::frame::Lane;
use crate::handle::{self, Command, Link, TaskSide, halves};
use crate::limits::{COMMANDS_AT_ONCE, LimitsError};
use crate::pair::{Form, Pair};
use std::time::Duration;
use tokio::time::Instant;

/// Joins two processes' worth of code; the first dials. Inside of a tokio runtime.
pub fn join(dialer: Config, listener: Config, form: Form) -> Result<(Link, Link), LimitsError> {
    let (dialer_link, dialer_side) = halves(dialer.peer.clone(), dialer.limits);
    let (listener_link, listener_side) = halves(listener.peer.clone(), listener.limits);
    let pair = Pair::new(dialer, listener, form)?;
    tokio::spawn(run(pair, dialer_side, listener_side));
    Ok((dialer_link, listener_link))
}

/// Until both ends are closed.
async fn run(mut pair: Pair, mut dialer: TaskSide, mut listener: TaskSide) {
    let start = Instant::now();
    let (mut from_dialer, mut from_listener) = (Vec::new(), Vec::new());
    let mut gone = false;
    while !(pair.end(Side::Dialer).is_closed() && pair.end(Side::Listener).is_closed()) {
        let wake = pair.next_wake_ms().map(|ms| start + Duration::from_millis(ms));
        tokio::select! {
            count = dialer.commands.recv_many(&mut from_dialer, COMMANDS_AT_ONCE), if !gone => gone |= count == 0,
            count = listener.commands.recv_many(&mut from_listener, COMMANDS_AT_ONCE), if !gone => gone |= count == 0,
            () = dialer.events.closed(), if !gone => gone = true,
            () = listener.events.closed(), if !gone => gone = true,
            () = async { match wake {
                Some(wake) => tokio::time::sleep_until(wake).await,
                None => std::future::pending().await,
            }} => {}
        }
        let now_ms = start.elapsed().as_millis() as u64;
        let before = [Side::Dialer, Side::Listener].map(|side| handle::waiting(pair.end(side)));
        let mut events = Vec::new();
        pair.tick(now_ms, &mut events);
        obey(&mut pair, now_ms, Side::Dialer, &mut from_dialer, &mut dialer, &mut events);
        obey(&mut pair, now_ms, Side::Listener, &mut from_listener, &mut listener, &mut events);
        // Both ends live in one process: when one owner goes, so does the other.
        if gone {
            pair.handle(now_ms, Side::Dialer, Input::Close, &mut events);
            pair.handle(now_ms, Side::Listener, Input::Close, &mut events);
        }
        let (for_dialer, for_listener): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|(side, _)| *side == Side::Dialer);
        let [dialer_before, listener_before] = before;
        let plain = |events: Vec<(Side, Event)>| events.into_iter().map(|(_, event)| event).collect();
        gone |= !dialer.settle(dialer_before, pair.end(Side::Dialer), plain(for_dialer));
        gone |= !listener.settle(listener_before, pair.end(Side::Listener), plain(for_listener));
    }
    dialer.end();
    listener.end();
}

fn obey(
    pair: &mut Pair,
    now_ms: u64,
    end: Side,
    commands: &mut Vec<Command>,
    side: &mut TaskSide,
    events: &mut Vec<(Side, Event)>,
) {
    for command in commands.drain(..) {
        match command {
            Command::Send(message) => {
                side.came(&message);
                pair.handle(now_ms, end, Input::Send(message), events);
            }
            Command::Consumed(taken) => {
                for (lane, cost) in [(Lane::Main, taken.main), (Lane::Express, taken.express)] {
                    pair.handle(now_ms, end, Input::Consumed { lane, cost }, events);
                }
            }
            // There is no listener here that would send one.
            Command::Accepted(_) => {}
            Command::Close => pair.handle(now_ms, end, Input::Close, events),
        }
    }
    pair.handle(now_ms, end, Input::Flush, events);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Class;
    use crate::limits::Limits;
    use crate::names::Identity;
    use everwake_protocol::cluster::Incarnation;

    fn config(us: &str, peer: &str) -> Config {
        let incarnation = Incarnation { start: 1, random: 7 };
        let (us, peer) = (Identity { peer: us.parse().unwrap(), incarnation }, peer.parse().unwrap());
        Config { us, peer, side: Side::Dialer, limits: Limits::default(), seed: 1 }
    }

    async fn until(link: &mut Link, wanted: impl Fn(&Event) -> bool) {
        let all = async { while !wanted(&link.receiver.recv().await.expect("the link has ended")) {} };
        tokio::time::timeout(Duration::from_secs(60), all).await.expect("nothing happens");
    }

    #[tokio::test]
    async fn owners_talk_and_the_end_of_one_is_the_end_of_both() {
        for form in [Form::Bytes, Form::Values] {
            let (game, dispatcher) = (config("game/a", "dispatcher/d"), config("dispatcher/d", "game/a"));
            let (mut game, mut dispatcher) = join(game, dispatcher, form).unwrap();
            let to = Incarnation { start: 1, random: 7 };
            for link in [&mut game, &mut dispatcher] {
                until(link, |event| matches!(event, Event::Up(up) if up.incarnation == to)).await;
            }
            for number in 0..50_000u32 {
                let payload = number.to_be_bytes().to_vec();
                game.sender.send(to, Class::Ordinary, payload.clone().into()).unwrap();
                dispatcher.sender.send(to, Class::Reserved, payload.into()).unwrap();
            }
            for link in [&mut game, &mut dispatcher] {
                for number in 0..50_000u32 {
                    let Some(Event::Message { payload, .. }) = link.receiver.recv().await else {
                        panic!("no message")
                    };
                    assert_eq!(payload[..], number.to_be_bytes());
                }
            }
            drop(game);
            until(&mut dispatcher, |event| *event == Event::Closed).await;
            assert_eq!(dispatcher.receiver.recv().await, None);
        }
    }
}
