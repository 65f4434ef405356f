//! Greetings: new, resumed, restarted, and all that is refused.

use super::rig::{Item, life};
use super::*;

fn up_of(events: &[Event]) -> Up {
    let ups = events.iter().filter_map(|event| match event {
        Event::Up(up) => Some(*up),
        _ => None,
    });
    ups.last().unwrap_or_else(|| panic!("not up: {events:?}"))
}

fn refusals(rig: &mut Rig, end: usize) -> Vec<HandshakeError> {
    let failed = |event| match event {
        Event::Failed(error) => Some(error),
        _ => None,
    };
    rig.take(end).into_iter().filter_map(failed).collect()
}

#[test]
fn strangers_meet() {
    let mut rig = Rig::new();
    rig.tick();
    let fresh = Up { incarnation: life(1), session: Session::Fresh, lost: PerLane::default() };
    assert_eq!(rig.take(DIALER), [Event::Up(fresh)]);
    assert_eq!(rig.take(LISTENER), [Event::Up(fresh)]);
    assert_eq!(rig.dials.len(), 1);
}

#[test]
fn the_same_pair_goes_on_and_is_told_what_got_lost() {
    let mut rig = Rig::up(Limits::default());
    let send = |rig: &mut Rig, numbers: std::ops::Range<u8>| {
        numbers.for_each(|number| rig.send(DIALER, Class::Ordinary, vec![number]));
        rig.run();
    };
    send(&mut rig, 0..10);
    assert_eq!(rig.messages(LISTENER).len(), 10);
    rig.held = true;
    send(&mut rig, 10..15);
    rig.send(LISTENER, Class::Express, "back");
    // A write is under way, so these wait for the next one, and are not lost.
    send(&mut rig, 15..20);
    rig.cut();
    for end in [DIALER, LISTENER] {
        assert_eq!(rig.take(end), [Event::Down(DownReason::Disconnected)]);
    }
    // What is sent while the link is down waits too.
    rig.send(DIALER, Class::Reserved, vec![20]);
    rig.held = false;
    rig.advance(100);
    let up = up_of(&rig.take(DIALER));
    assert_eq!(up.session, Session::Resumed);
    assert_eq!(up.lost.main, Lost { sent: 5, sent_first: 11, received: 0 });
    assert_eq!(up.lost.express, Lost { sent: 0, sent_first: 0, received: 1 });
    let up = up_of(&rig.events[LISTENER]);
    assert_eq!(up.lost.main, Lost { sent: 0, sent_first: 0, received: 5 });
    assert_eq!(up.lost.express, Lost { sent: 1, sent_first: 1, received: 0 });
    assert_eq!(rig.messages(LISTENER).concat(), (15..21).collect::<Vec<u8>>());
}

#[test]
fn a_loss_is_told_once_even_if_the_greeting_gets_lost_too() {
    let mut rig = Rig::up(Limits::default());
    rig.held = true;
    rig.send(DIALER, Class::Ordinary, "lost");
    rig.run();
    rig.cut();
    rig.take(LISTENER);
    // The dialer's greeting arrives, the answer does not.
    rig.advance(60);
    assert!(rig.deliver(LISTENER));
    assert_eq!(up_of(&rig.take(LISTENER)).lost.main.received, 1);
    rig.cut();
    rig.held = false;
    let [dialer, listener] = rig.until_up();
    assert_eq!((dialer.session, dialer.lost.main.sent), (Session::Resumed, 1));
    assert_eq!(listener.lost.main.received, 0, "told before");
    rig.cut();
    let [dialer, listener] = rig.until_up();
    assert_eq!((dialer.lost, listener.lost), Default::default());
    rig.send(DIALER, Class::Ordinary, "next");
    rig.run();
    assert_eq!(rig.messages(LISTENER), ["next"]);
}

#[test]
fn a_first_answer_that_gets_lost_harms_nobody() {
    let mut rig = Rig::new();
    rig.held = true;
    rig.tick();
    assert!(rig.deliver(LISTENER));
    rig.send(LISTENER, Class::Ordinary, "into the void");
    rig.run();
    rig.cut();
    rig.held = false;
    let [dialer, listener] = rig.until_up();
    assert_eq!((dialer.session, listener.session), (Session::Fresh, Session::Resumed));
    assert_eq!((dialer.lost.main.received, listener.lost.main.sent), (1, 1));
    rig.send(LISTENER, Class::Ordinary, "second");
    rig.run();
    assert_eq!(rig.messages(DIALER), ["second"]);
}

#[test]
fn a_peer_that_restarted_begins_anew_and_what_waited_comes_back() {
    for restarted in [DIALER, LISTENER] {
        let mut rig = Rig::up(Limits::default());
        let other = 1 - restarted;
        rig.send(other, Class::Ordinary, "arrives");
        rig.run();
        assert_eq!(rig.messages(restarted), ["arrives"]);
        rig.cut();
        rig.take(other);
        for (class, text) in [(Class::Ordinary, "a"), (Class::Reserved, "b"), (Class::Express, "c")] {
            rig.send(other, class, text);
        }
        rig.restart(restarted, life(2));
        rig.advance(100);
        let events = rig.take(other);
        let back = events.iter().filter_map(|event| match event {
            Event::Refused { message, why: Refused::OtherLife } => Some((message.to, &message.payload[..])),
            _ => None,
        });
        let expected = [(life(1), &b"c"[..]), (life(1), b"a"), (life(1), b"b")];
        assert_eq!(back.collect::<Vec<_>>(), expected, "each lane in its order");
        let Some(Event::Up(up)) = events.last() else { panic!("{events:?}") };
        assert_eq!((up.session, up.incarnation), (Session::Restarted, life(2)));
        assert!(matches!(rig.take(restarted)[..], [Event::Up(Up { session: Session::Fresh, .. })]));
        // Addressed before the owner heard of the new life.
        let late = Outgoing { to: life(1), class: Class::Ordinary, payload: "late".into() };
        rig.input(other, Input::Send(late.clone()));
        assert_eq!(rig.take(other), [Event::Refused { message: late, why: Refused::OtherLife }]);
        rig.send(other, Class::Ordinary, "new");
        rig.send(restarted, Class::Ordinary, "new too");
        rig.run();
        assert_eq!(rig.messages(restarted), ["new"]);
        assert_eq!(rig.messages(other), ["new too"]);
    }
}

#[test]
fn an_older_life_is_refused_for_ever() {
    let mut rig = Rig::new();
    rig.restart(DIALER, life(7));
    rig.until_up();
    rig.restart(DIALER, life(6));
    rig.advance(20_000);
    let told = refusals(&mut rig, LISTENER);
    assert!(told.len() > 2, "{told:?}");
    assert!(told.iter().all(|error| matches!(error, HandshakeError::Stale { known: 7, found: 6, .. })));
    let text = told[0].to_string();
    assert!(text.contains("`dispatcher/d`") && text.contains("`game/a`"), "{text}");
    let stale = |error: &HandshakeError| matches!(error, HandshakeError::Refused { refusal, .. } if refusal.code == RefusalCode::Stale);
    assert!(refusals(&mut rig, DIALER).iter().all(stale));
    rig.restart(DIALER, life(8));
    assert_eq!(rig.until_up()[LISTENER].session, Session::Restarted);
}

#[test]
fn an_older_life_does_not_push_out_the_young_one() {
    let mut rig = Rig::new();
    rig.restart(DIALER, life(7));
    rig.until_up();
    let mut old = rig.configs[DIALER].clone();
    old.us.incarnation = life(6);
    let hello = Box::new(Core::new(old).unwrap().hello());
    let connection = ConnectionId(99);
    rig.input(LISTENER, Input::Accepted { connection, hello, decoder: Decoder::new() });
    assert!(matches!(rig.take(LISTENER)[..], [Event::Failed(HandshakeError::Stale { .. })]));
    rig.send(DIALER, Class::Ordinary, "still here");
    rig.run();
    assert_eq!(rig.messages(LISTENER), ["still here"]);
}

#[test]
fn a_dialer_refuses_an_older_life_of_a_listener_too() {
    let mut rig = Rig::new();
    rig.restart(LISTENER, life(7));
    rig.until_up();
    rig.restart(LISTENER, life(6));
    rig.advance(1_000);
    let told = refusals(&mut rig, DIALER);
    assert!(matches!(told[..], [HandshakeError::Stale { known: 7, found: 6, .. }, ..]), "{told:?}");
    assert!(rig.take(LISTENER).contains(&Event::Down(DownReason::Refused)));
}

#[test]
fn two_lives_with_one_start_counter_are_told() {
    let mut rig = Rig::up(Limits::default());
    rig.restart(DIALER, Incarnation { start: 1, random: 99 });
    rig.advance(60);
    let told = refusals(&mut rig, LISTENER);
    assert!(matches!(told[..], [HandshakeError::SameStart { start: 1, .. }, ..]), "{told:?}");
}

#[test]
fn what_may_not_link_is_told_why_at_both_ends() {
    let check = |change: &dyn Fn(&mut Hello), code: RefusalCode, words: &str| {
        let mut rig = Rig::new();
        rig.held = true;
        rig.tick();
        let mut hello = rig.cores[DIALER].hello();
        change(&mut hello);
        let batch = Batch { frames: vec![Frame::Hello(Box::new(hello))] };
        rig.wire[LISTENER] = [Item::Bytes(ConnectionId(1), batch.to_bytes())].into();
        rig.held = false;
        rig.run();
        let dialer = refusals(&mut rig, DIALER);
        let [HandshakeError::Refused { refusal, .. }] = &dialer[..] else { panic!("{dialer:?}") };
        assert_eq!(refusal.code, code);
        let listener = refusals(&mut rig, LISTENER);
        let [error] = &listener[..] else { panic!("{listener:?}") };
        let text = error.to_string();
        assert!(text.contains(words) && text.contains("hint: ") && text.contains("`dispatcher/d`"), "{text}");
    };
    check(&|hello| hello.version = 2, RefusalCode::Version, "version 1 of the link and `game/a` version 2");
    let role = |hello: &mut Hello| hello.peer = "dispatcher/x".parse().unwrap();
    check(&role, RefusalCode::Peer, "`dispatcher/x` links to `dispatcher/d`, which takes game and gate only");
    let misled = |hello: &mut Hello| hello.to = Some("dispatcher/e".parse().unwrap());
    check(&misled, RefusalCode::Peer, "`game/a` looked for `dispatcher/e` and found");
    let other = |hello: &mut Hello| hello.peer = "game/b".parse().unwrap();
    check(&other, RefusalCode::Peer, "looked for `game/a` and found `game/b`");
    let boast = |hello: &mut Hello| (hello.remembers, hello.lanes.main.received) = (Some(life(1)), 4);
    check(&boast, RefusalCode::Contradiction, "received more messages");
}

#[test]
fn a_peer_that_forgot_what_it_sent_is_told() {
    let mut rig = Rig::up(Limits::default());
    rig.send(DIALER, Class::Ordinary, "one");
    rig.run();
    rig.cut();
    rig.cores[DIALER].sent = PerLane::default();
    rig.advance(60);
    let told = refusals(&mut rig, LISTENER);
    assert!(
        matches!(told[..], [HandshakeError::Contradiction { what: "sent fewer messages", .. }, ..]),
        "{told:?}"
    );
}

#[test]
fn a_certificate_of_another_process_is_refused() {
    let mut rig = Rig::new();
    let mut out = Vec::new();
    rig.cores[DIALER].handle(0, Input::Tick, &mut out);
    let connection = ConnectionId(1);
    let certified = Some("gate/g".parse().unwrap());
    rig.cores[DIALER].handle(0, Input::Connected { connection, certified }, &mut out);
    let batch = Batch { frames: vec![Frame::Hello(Box::new(rig.cores[LISTENER].hello()))] };
    out.clear();
    rig.cores[DIALER].handle(1, Input::Handed { connection, batch }, &mut out);
    let failed = |output: &Output| {
        matches!(output, Output::Event(Event::Failed(HandshakeError::Certificate { certified, .. }))
            if certified.to_string() == "gate/g")
    };
    assert!(out.iter().any(failed), "{out:?}");
}

#[test]
fn a_new_connection_of_the_same_life_takes_over() {
    let mut rig = Rig::up(Limits::default());
    rig.send(DIALER, Class::Ordinary, "one");
    rig.run();
    assert_eq!(rig.messages(LISTENER), ["one"]);
    // Only the dialer notices the cut.
    rig.held = true;
    rig.send(DIALER, Class::Ordinary, "two");
    rig.run();
    let late = rig.wire[LISTENER].clone();
    rig.input(DIALER, Input::Disconnected { connection: ConnectionId(1) });
    rig.wire = Default::default();
    rig.held = false;
    rig.advance(60);
    let events = rig.take(LISTENER);
    assert!(matches!(events[..], [Event::Down(DownReason::Replaced), Event::Up(_)]), "{events:?}");
    // What comes late on the old connection was told as lost and must not come.
    rig.wire[LISTENER] = late;
    rig.send(DIALER, Class::Ordinary, "three");
    rig.run();
    assert_eq!(rig.messages(LISTENER), ["three"]);
}
