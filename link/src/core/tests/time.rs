//! Heartbeats, silence, stalls and waits between attempts.

use super::*;
use crate::limits::{BACKOFF_MAX_MS, CONNECT_MS, GREETING_MS, SILENCE_MS, STALL_MS};

#[test]
fn heartbeats_keep_a_quiet_link() {
    let mut rig = Rig::up(Limits::default());
    rig.advance(60_000);
    assert_eq!((rig.take(DIALER), rig.take(LISTENER)), (vec![], vec![]));
    assert!((60..=62).contains(&rig.writes[DIALER]), "{} writes", rig.writes[DIALER]);
}

#[test]
fn a_silent_peer_is_lost_after_three_seconds() {
    let mut rig = Rig::up(Limits::default());
    rig.held = true;
    rig.advance(SILENCE_MS - 1);
    assert_eq!(rig.take(DIALER), []);
    rig.advance(1);
    assert_eq!(rig.take(DIALER), [Event::Down(DownReason::Silent { silent_ms: SILENCE_MS })]);
    assert_eq!(rig.take(LISTENER), [Event::Down(DownReason::Silent { silent_ms: SILENCE_MS })]);
    rig.wire = Default::default();
    rig.held = false;
    rig.advance(200);
    assert!(matches!(rig.take(DIALER)[..], [Event::Up(Up { session: Session::Resumed, .. })]));
}

#[test]
fn a_peer_that_speaks_and_does_not_read_is_lost_too() {
    let mut rig = Rig::up(Limits::default());
    rig.held = true;
    rig.send(DIALER, Class::Ordinary, "stuck");
    rig.run();
    let start = rig.now_ms;
    while rig.events[DIALER].is_empty() {
        rig.now_ms += 500;
        let bytes = Batch { frames: vec![Frame::Beat] }.to_bytes();
        rig.input(DIALER, Input::Received { connection: ConnectionId(1), bytes });
        rig.input(DIALER, Input::Tick);
    }
    assert_eq!(rig.now_ms - start, STALL_MS);
    assert_eq!(rig.take(DIALER), [Event::Down(DownReason::Stalled { stalled_ms: STALL_MS })]);
}

#[test]
fn attempts_come_rarer_and_rarer() {
    let mut rig = Rig::new();
    rig.reachable = false;
    rig.advance(120_000);
    let waits: Vec<u64> = rig.dials.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (attempt, wait) in waits.iter().enumerate() {
        let whole = (50u64 << attempt.min(10)).min(BACKOFF_MAX_MS);
        assert!((whole / 2..=whole).contains(wait), "wait {attempt} is {wait}");
    }
    assert!((24..70).contains(&waits.len()), "{waits:?}");
    let unreachable = |event: &Event| matches!(event, Event::Failed(HandshakeError::Unreachable { .. }));
    assert!(rig.take(DIALER).iter().all(unreachable));
    rig.reachable = true;
    rig.advance(BACKOFF_MAX_MS);
    assert!(matches!(rig.take(DIALER)[..], [Event::Up(_)]));
    // After a good while the first wait is short again.
    rig.advance(10_000);
    rig.cut();
    rig.advance(50);
    assert!(matches!(rig.take(DIALER)[..], [Event::Down(_), Event::Up(_)]));
}

#[test]
fn a_link_that_fails_at_once_is_not_made_without_pauses() {
    let mut rig = Rig::new();
    for _ in 0..9 {
        rig.until_up();
        rig.cut();
    }
    let wake = rig.cores[DIALER].next_wake_ms().unwrap();
    assert!(wake - rig.now_ms >= BACKOFF_MAX_MS / 2, "{}", wake - rig.now_ms);
}

#[test]
fn an_address_that_says_nothing_is_given_up() {
    let mut rig = Rig::new();
    rig.held = true;
    rig.tick();
    rig.advance(GREETING_MS - 1);
    assert_eq!(rig.take(DIALER), []);
    rig.advance(1);
    let events = rig.take(DIALER);
    let timeout =
        matches!(events[..], [Event::Failed(HandshakeError::Timeout { waited_ms: GREETING_MS, .. })]);
    assert!(timeout, "{events:?}");
}

#[test]
fn a_connection_that_is_never_made_is_given_up() {
    let mut core = Core::new(Rig::new().configs[DIALER].clone()).unwrap();
    let connection = ConnectionId(1);
    let mut out = Vec::new();
    core.handle(0, Input::Tick, &mut out);
    assert_eq!(out, [Output::Dial { connection }]);
    assert_eq!(core.next_wake_ms(), Some(CONNECT_MS));
    out.clear();
    core.handle(CONNECT_MS, Input::Tick, &mut out);
    assert_eq!(out, [Output::Disconnect { connection }]);
    // It comes too late.
    out.clear();
    core.handle(CONNECT_MS + 1, Input::Connected { connection, certified: None }, &mut out);
    assert_eq!(out, [Output::Disconnect { connection }]);
}
