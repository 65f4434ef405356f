//! Sessions between games: who shows a client what, who has it, what became of its requests.

use super::*;

const AWAY: Incarnation = Incarnation { start: 1, random: 2 };
const FAR: Incarnation = Incarnation { start: 3, random: 3 };

fn view(session: SessionId, view: u32, owner: EntityId) -> ToGate {
    ToGate::View { session, view, owner, type_id: 7 }
}

fn frames(session: SessionId, view: u32, nonce: u64) -> ToGate {
    let viewers = smallvec![Viewer { session, view }];
    ToGate::Frames { viewers, frames: ServerFrame::Pong { nonce }.to_bytes() }
}

fn resync(view: u32) -> ServerFrame {
    ServerFrame::Resync { view }
}

fn pong(nonce: u64) -> ServerFrame {
    ServerFrame::Pong { nonce }
}

fn entity(number: u32) -> EntityId {
    EntityId(Id([0, 0, 0, number]))
}

fn answered(outputs: &[GateOutput], of: ConnectionId) -> Vec<(u64, Outcome)> {
    let replies = read(outputs, of).into_iter().filter_map(|frame| match frame {
        ServerFrame::Reply { request, outcome } => Some((request, Outcome::decode(&outcome).unwrap())),
        _ => None,
    });
    replies.collect()
}

/// To whom what was said that is kept, without requests.
fn told(outputs: &[GateOutput]) -> Vec<(Target, ToGame)> {
    let kept = sent(outputs).into_iter().filter(|it| it.is_kept() && !it.refusable);
    kept.map(|it| (it.target, it.payload.clone())).collect()
}

#[test]
fn another_games_view_waits_for_the_end_of_the_one_before() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, _) = rig.playing();
    rig.hears(AWAY, view(session, 2, entity(5)));
    rig.hears(AWAY, frames(session, 2, 20));
    rig.says(frames(session, 1, 10));
    let outputs = rig.drain();
    assert_eq!((read(&outputs, connection), told(&outputs)), (vec![pong(10)], vec![]));
    rig.hears(AWAY, ToGate::End { session, view: 1 });
    assert_eq!(read(&rig.drain(), connection), [], "only the game of a view ends it");
    rig.says(ToGate::End { session, view: 1 });
    let outputs = rig.drain();
    assert_eq!(read(&outputs, connection), [resync(2), pong(20)]);
    assert_eq!(told(&outputs), [(Target::Process(HOME), ToGame::Released { session, view: 2 })]);
    rig.says(frames(session, 1, 11));
    rig.hears(AWAY, frames(session, 2, 21));
    assert_eq!(read(&rig.drain(), connection), [pong(21)]);
}

#[test]
fn after_the_end_another_games_view_begins_at_once() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, _) = rig.playing();
    rig.says(ToGate::End { session, view: 1 });
    assert_eq!(read(&rig.drain(), connection), []);
    rig.hears(AWAY, view(session, 2, entity(5)));
    assert_eq!(read(&rig.drain(), connection), [resync(2)]);
}

#[test]
fn all_that_a_waiting_game_says_waits_and_keeps_its_order() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, own) = rig.playing();
    assert_eq!(rig.ask(connection, 1, own, OWN_ONLY), None);
    assert_eq!(rig.ask(connection, 2, own, OWN_ONLY), None);
    let reply = |request| ServerFrame::Reply { request, outcome: Outcome::null().to_bytes() };
    let replies = |request| ToGate::Reply { session, frame: reply(request).to_bytes() };
    rig.hears(AWAY, view(session, 2, entity(5)));
    rig.hears(AWAY, frames(session, 2, 20));
    rig.hears(AWAY, replies(1));
    rig.hears(FAR, replies(2));
    rig.hears(AWAY, ToGate::Close { session, code: CloseCode::Kicked, reason: "enough".into() });
    let outputs = rig.drain();
    assert_eq!(read(&outputs, connection), [reply(2)], "an answer of who shows nothing");
    assert_eq!(closed(&outputs, connection), None);
    rig.says(ToGate::End { session, view: 1 });
    let outputs = rig.drain();
    assert_eq!(read(&outputs, connection), [resync(2), pong(20), reply(1)]);
    assert_eq!(closed(&outputs, connection).unwrap().0, CloseCode::Kicked);
}

#[test]
fn a_chain_of_games_is_shown_in_its_order() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, _) = rig.playing();
    rig.hears(FAR, view(session, 3, entity(6)));
    rig.hears(FAR, frames(session, 3, 30));
    rig.hears(AWAY, view(session, 2, entity(5)));
    rig.hears(AWAY, frames(session, 2, 20));
    rig.hears(AWAY, ToGate::End { session, view: 2 });
    assert_eq!(read(&rig.drain(), connection), []);
    rig.says(ToGate::End { session, view: 1 });
    assert_eq!(read(&rig.drain(), connection), [resync(2), pong(20), resync(3), pong(30)]);
}

#[test]
fn what_waits_is_bounded_and_then_begins_early() {
    let mut rig = Rig::new(GateLimits { view_pieces: 3, view_bytes: 1_000, ..GateLimits::default() });
    let (connection, session, _) = rig.playing();
    rig.hears(AWAY, view(session, 2, entity(5)));
    for nonce in 0..2 {
        rig.hears(AWAY, frames(session, 2, nonce));
    }
    assert_eq!(read(&rig.drain(), connection), []);
    rig.hears(AWAY, frames(session, 2, 2));
    let outputs = rig.drain();
    assert_eq!(read(&outputs, connection), [resync(2), pong(0), pong(1), pong(2)]);
    assert!(outputs.iter().any(|it| matches!(it, GateOutput::Log { cause: "view-early", .. })));
    rig.hears(FAR, view(session, 3, entity(6)));
    let large = ServerFrame::Call { entity: entity(6), method: 0, args: vec![0; 1_000].into() };
    let viewers = smallvec![Viewer { session, view: 3 }];
    rig.hears(FAR, ToGate::Frames { viewers, frames: large.to_bytes() });
    assert_eq!(read(&rig.drain(), connection), [resync(3), large]);
    assert_eq!(rig.core.status().views_early, 2);
}

#[test]
fn a_game_that_never_ends_its_view_is_not_waited_for_for_ever() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, _) = rig.playing();
    rig.hears(AWAY, view(session, 2, entity(5)));
    rig.pass(30_000);
    assert_eq!(read(&rig.drain(), connection), []);
    rig.pass(1);
    assert_eq!(read(&rig.drain(), connection), [resync(2)]);
}

#[test]
fn a_dead_games_view_is_over_and_the_waiting_one_begins() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, _) = rig.playing();
    rig.hears(AWAY, view(session, 2, entity(5)));
    rig.dies(FAR);
    assert_eq!(read(&rig.drain(), connection), []);
    rig.dies(HOME);
    let outputs = rig.drain();
    assert_eq!(read(&outputs, connection), [resync(2)]);
    assert_eq!((told(&outputs), connected(&outputs)), (vec![], None), "nobody is left to be told");
}

#[test]
fn a_client_whose_game_died_gets_an_entity_behind_all_views_under_way() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, own) = rig.playing();
    assert_eq!(rig.ask(connection, 1, own, OWN_ONLY), None);
    rig.dies(HOME);
    rig.dies(HOME);
    let outputs = rig.drain();
    let outcome = Outcome::unknown(code::PROCESS_DIED);
    assert_eq!(answered(&outputs, connection), [(1, outcome)]);
    let (again, boot, behind) = connected(&outputs).unwrap();
    assert_eq!((again, behind), (session, 17));
    assert_ne!(boot, own);
    assert_eq!(rig.ask(connection, 2, own, OWN_ONLY).as_deref(), Some(code::GONE));
    // The client was on its way elsewhere: too late.
    rig.hears(AWAY, view(session, 2, entity(5)));
    let outputs = rig.drain();
    assert_eq!(read(&outputs, connection), []);
    let ghost = (Target::Entity(entity(5)), ToGame::Detach { session, view: 2, reason: 0 });
    assert_eq!(told(&outputs), [ghost]);
    rig.hears(AWAY, view(session, 18, boot));
    assert_eq!(read(&rig.drain(), connection), [resync(18)]);
    assert_eq!(rig.ask(connection, 3, boot, OWN_ONLY), None);
    assert_eq!(rig.core.status().reboots, 1);
}

#[test]
fn a_late_answer_of_the_dead_is_not_a_second_one() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, own) = rig.playing();
    assert_eq!(rig.ask(connection, 1, own, OWN_ONLY), None);
    rig.dies(HOME);
    rig.drain();
    let frame = ServerFrame::Reply { request: 1, outcome: Outcome::null().to_bytes() }.to_bytes();
    rig.says(ToGate::Reply { session, frame });
    assert_eq!(answered(&rig.drain(), connection), []);
}

#[test]
fn a_view_of_a_dead_game_that_comes_late_leads_to_a_new_entity() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, _) = rig.playing();
    rig.dies(AWAY);
    assert_eq!(connected(&rig.drain()), None, "it has nothing to do with it");
    rig.hears(AWAY, view(session, 2, entity(5)));
    let outputs = rig.drain();
    assert_eq!(connected(&outputs).unwrap().2, 18);
    rig.hears(FAR, view(session, 19, entity(6)));
    assert_eq!(read(&rig.drain(), connection), [], "the first game has not said its last");
    rig.says(ToGate::End { session, view: 1 });
    assert_eq!(read(&rig.drain(), connection), [resync(2), resync(19)]);
}

#[test]
fn an_orphan_gets_an_entity_unless_somebody_has_it() {
    let mut rig = Rig::new(GateLimits::default());
    let (_, session, _) = rig.playing();
    rig.says(ToGate::Orphaned { session, view: 1 });
    assert_eq!(connected(&rig.drain()), None, "it has that view");
    rig.says(ToGate::Orphaned { session, view: 2 });
    assert_eq!(connected(&rig.drain()).unwrap().2, 18);
    rig.says(ToGate::Orphaned { session, view: 2 });
    assert_eq!(connected(&rig.drain()), None, "that was told");
}

#[test]
fn a_client_that_got_lost_between_two_games_is_found() {
    let mut rig = Rig::new(GateLimits::default());
    let (_, session, _) = rig.playing();
    rig.says(ToGate::End { session, view: 1 });
    rig.pass(30_000);
    assert_eq!(connected(&rig.drain()), None);
    rig.pass(1);
    assert_eq!(connected(&rig.drain()).unwrap().2, 17);
}

#[test]
fn who_loses_its_entity_too_often_is_closed() {
    let mut rig = Rig::new(GateLimits { boot_timeout: Duration::from_secs(3_600), ..GateLimits::default() });
    let (connection, session, _) = rig.playing();
    let lose = |rig: &mut Rig, number: u64| {
        let game = Incarnation { start: 9, random: number };
        let (_, boot, behind) = connected(&rig.drain()).unwrap();
        rig.hears(game, view(session, behind + 1, boot));
        rig.dies(game);
    };
    rig.dies(HOME);
    lose(&mut rig, 11);
    lose(&mut rig, 12);
    assert_eq!(closed(&rig.out, connection), None);
    rig.pass(59_999);
    lose(&mut rig, 13);
    assert_eq!(closed(&rig.drain(), connection).map(|it| it.0), Some(CloseCode::Full));
}

#[test]
fn losses_of_long_ago_do_not_count() {
    let mut rig = Rig::new(GateLimits { boot_timeout: Duration::from_secs(3_600), ..GateLimits::default() });
    let (connection, session, _) = rig.playing();
    rig.dies(HOME);
    for number in 0..6 {
        rig.pass(20_000);
        let game = Incarnation { start: 9, random: number };
        let (_, boot, behind) = connected(&rig.drain()).unwrap();
        rig.hears(game, view(session, behind + 1, boot));
        rig.dies(game);
    }
    assert_eq!(closed(&rig.drain(), connection), None);
}

#[test]
fn a_view_for_a_session_that_is_gone_is_taken_back() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, own) = rig.playing();
    let other = entity(9);
    assert_eq!(rig.ask(connection, 1, other, FOR_ALL), None);
    rig.hears(AWAY, view(session, 2, entity(5)));
    rig.input(GateInput::Gone { connection, timed_out: false });
    let detach = |owner, view| (Target::Entity(owner), ToGame::Detach { session, view, reason: 0 });
    let mut owners = [own, entity(5)];
    owners.sort();
    let forget = (Target::Entity(other), ToGame::Forget { session });
    assert_eq!(told(&rig.drain()), [forget, detach(owners[0], u32::MAX), detach(owners[1], u32::MAX)]);
    rig.hears(FAR, view(session, 3, entity(6)));
    assert_eq!(told(&rig.drain()), [detach(entity(6), 3)]);
}

#[test]
fn an_old_view_of_who_has_the_client_takes_nothing_away() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, own) = rig.playing();
    rig.says(view(session, 3, own));
    rig.drain();
    rig.hears(AWAY, view(session, 2, own));
    let outputs = rig.drain();
    assert_eq!((read(&outputs, connection), told(&outputs)), (vec![], vec![]));
}

#[test]
fn no_place_is_told_to_the_client_and_nobody_else() {
    for reason in [ReturnReason::NoPlace, ReturnReason::Overloaded, ReturnReason::Unavailable] {
        let mut rig = Rig::new(GateLimits::default());
        let connection = rig.silent();
        rig.say(connection, &hello("yard"));
        let create = sent(&rig.drain())[0].clone();
        rig.returned(create.clone(), reason, false);
        let outputs = rig.drain();
        assert_eq!(closed(&outputs, connection).map(|it| it.0), Some(CloseCode::Full), "{reason:?}");
        assert_eq!(told(&outputs), []);
        rig.returned(create, reason, false);
        assert_eq!(rig.drain(), []);
    }
}

#[test]
fn no_entity_in_time_ends_the_connection() {
    let mut rig = Rig::new(GateLimits::default());
    let connection = rig.silent();
    rig.say(connection, &hello("yard"));
    rig.pass(30_000);
    assert_eq!(closed(&rig.drain(), connection), None);
    rig.pass(1);
    let outputs = rig.drain();
    assert_eq!(closed(&outputs, connection).map(|it| it.0), Some(CloseCode::Full));
    assert_eq!(told_closed(&outputs), [0], "a game may have heard of it");
}

#[test]
fn a_request_that_comes_back_is_answered_once() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, _, own) = rig.playing();
    let args = Bytes::from_static(&[0x80]);
    let ask = |rig: &mut Rig, request| {
        let (args, method) = (args.clone(), OWN_ONLY);
        let frame =
            ClientFrame::Request { request, acknowledged: 0, target: own, method, deadline_ms: 9, args };
        rig.say(connection, &frame);
        let envelope = sent(&rig.drain())[0].clone();
        assert!(envelope.refusable && envelope.target == Target::Entity(own));
        assert_eq!(envelope.message.counter, request);
        envelope
    };
    for (request, reason, uncertain, outcome) in [
        (1, ReturnReason::Gone, false, Outcome::not_run(code::GONE)),
        (2, ReturnReason::Overloaded, false, Outcome::not_run(code::OVERLOADED)),
        (3, ReturnReason::Unavailable, false, Outcome::not_run(code::UNAVAILABLE)),
        (4, ReturnReason::Hops, false, Outcome::not_run(code::UNAVAILABLE)),
        (5, ReturnReason::Gone, true, Outcome::unknown(code::GONE)),
    ] {
        let envelope = ask(&mut rig, request);
        rig.returned(envelope.clone(), reason, uncertain);
        assert_eq!(answered(&rig.drain(), connection), [(request, outcome)]);
        rig.returned(envelope, reason, uncertain);
        assert_eq!(answered(&rig.drain(), connection), []);
    }
}

#[test]
fn requests_without_an_answer_are_limited() {
    let mut rig = Rig::new(GateLimits { requests_pending: 2, ..GateLimits::default() });
    let (connection, _, own) = rig.playing();
    assert_eq!(rig.ask(connection, 1, own, OWN_ONLY), None);
    assert_eq!(rig.ask(connection, 2, own, OWN_ONLY), None);
    assert_eq!(rig.ask(connection, 3, own, OWN_ONLY).as_deref(), Some(code::LIMIT));
    rig.say(connection, &ClientFrame::Acknowledge { request: 1 });
    assert_eq!(rig.ask(connection, 4, own, OWN_ONLY), None, "the first is not awaited any more");
    assert_eq!(rig.ask(connection, 5, own, OWN_ONLY).as_deref(), Some(code::LIMIT));
    rig.pass(1);
    assert_eq!(rig.ask(connection, 6, own, OWN_ONLY), None, "their time is up");
}

#[test]
fn a_gate_that_is_held_for_dead_stops() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, ..) = rig.playing();
    rig.dies(Incarnation { start: 2, ..GATE });
    assert_eq!(rig.drain(), []);
    rig.dies(GATE);
    rig.dies(GATE);
    let outputs = rig.drain();
    assert_eq!(outputs.iter().filter(|it| **it == GateOutput::Stop).count(), 1);
    assert_eq!(closed(&outputs, connection).unwrap().0, CloseCode::Shutdown);
    let late = rig.open("192.0.2.9:1");
    assert!(rig.drain().contains(&GateOutput::Refuse { connection: late }));
}

#[test]
fn what_the_gate_says_is_numbered_without_holes() {
    let mut rig = Rig::new(GateLimits::default());
    for _ in 0..3 {
        let (connection, ..) = rig.playing();
        rig.input(GateInput::Gone { connection, timed_out: false });
    }
    let more = rig.drain();
    let last = sent(&more).last().map(|it| it.message).unwrap();
    assert_eq!((last.epoch, last.counter), (1, 6), "three entities, three ends");
}

#[test]
fn a_late_view_says_that_those_before_it_are_over() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, _) = rig.playing();
    let [second, third] = [3, 4].map(|random| Incarnation { start: 1, random });
    // Home gave the client to an entity of its own, which gave it away to one that is not there.
    rig.hears(second, ToGate::Orphaned { session, view: 3 });
    let (_, boot, floor) = connected(&rig.drain()).expect("a new entity is asked for");
    rig.hears(third, ToGate::View { session, view: floor + 1, owner: boot, type_id: 7 });
    assert_eq!(read(&rig.drain(), connection), [], "home may still say something");
    rig.says(ToGate::View { session, view: 2, owner: EntityId(Id([9; 4])), type_id: 7 });
    assert_eq!(read(&rig.drain(), connection), [ServerFrame::Resync { view: floor + 1 }]);
}
