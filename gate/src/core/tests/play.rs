//! Frames, positions, broadcasts, endings: what clients of a running game notice.

use super::*;

#[test]
fn positions_of_other_views_are_dropped_and_sequences_rise() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, own) = rig.playing();
    let placed = vec![Placed { handle: 1, pose: Pose::default(), motion: Bytes::new() }];
    for view in [1, 0, 2, 1] {
        let datagram = PositionDatagram { view, sequence: 0, time_ms: 0, placed: placed.clone() };
        rig.says(ToGate::Positions { session, datagram });
    }
    let sequences: Vec<u32> = rig
        .drain()
        .into_iter()
        .filter_map(|output| match output {
            GateOutput::Datagram { bytes, connection: found } if found == connection => {
                PositionDatagram::decode(bytes).unwrap().map(|it| it.sequence)
            }
            _ => None,
        })
        .collect();
    assert_eq!(sequences, [1, 2]);
    for view in [1, 0] {
        rig.says(ToGate::View { session, view, owner: own, type_id: 7 });
    }
    assert_eq!(read(&rig.drain(), connection), [], "an old view begins again");
}

#[test]
fn frames_of_other_views_are_dropped_and_answers_are_not() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, own) = rig.playing();
    let (_, other, _) = rig.playing();
    assert_eq!(rig.ask(connection, 1, own, OWN_ONLY), None);
    let dropped = rig.core.status().dropped;
    let pong = |nonce| ServerFrame::Pong { nonce };
    let frames = |rig: &mut Rig, view, nonce| {
        let viewers = smallvec![Viewer { session: other, view: 1 }, Viewer { session, view }];
        rig.says(ToGate::Frames { viewers, frames: pong(nonce).to_bytes() });
    };
    frames(&mut rig, 2, 1);
    rig.says(ToGate::View { session, view: 2, owner: own, type_id: 7 });
    // The old owner has not heard of it yet.
    frames(&mut rig, 1, 2);
    frames(&mut rig, 2, 3);
    let outcome = Outcome::null().to_bytes();
    let reply = ServerFrame::Reply { request: 1, outcome };
    rig.says(ToGate::Reply { session, frame: reply.to_bytes() });
    let outputs = rig.drain();
    assert_eq!(read(&outputs, connection), [ServerFrame::Resync { view: 2 }, pong(3), reply]);
    assert_eq!(rig.core.status().dropped, dropped + 2);
}

#[test]
fn a_full_game_is_told_to_the_client_and_the_end_of_sessions_is_kept() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, target) = rig.playing();
    let request = ToGame::Request {
        session,
        request: 4,
        acknowledged: 0,
        module: "yard".into(),
        method: 0,
        deadline_ms: 0,
        args: Bytes::new(),
    };
    let envelope = Envelope::new(GATE, Target::Entity(target), MessageId::default(), request);
    rig.returned(envelope, ReturnReason::Overloaded, false);
    let frames = read(&rig.drain(), connection);
    let [ServerFrame::Reply { request: 4, outcome }] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!(Outcome::decode(outcome), Ok(Outcome::not_run(code::OVERLOADED)));
    let newcomer = rig.silent();
    rig.say(newcomer, &hello("yard"));
    let outputs = rig.drain();
    rig.returned(sent(&outputs)[0].clone(), ReturnReason::Overloaded, false);
    let outputs = rig.drain();
    assert_eq!(closed(&outputs, newcomer).unwrap().0, CloseCode::Full);
    assert_eq!(told_closed(&outputs), [], "the game never heard of it");
}

#[test]
fn a_kick_arrives_after_what_was_said_before_it() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, _) = rig.playing();
    let frames = ServerFrame::Pong { nonce: 1 }.to_bytes();
    rig.says(ToGate::Frames { viewers: smallvec![first_view(session)], frames });
    rig.says(ToGate::Close { session, code: CloseCode::Kicked, reason: "enough".into() });
    assert_eq!(told_closed(&rig.out), [1]);
    let outputs = rig.drain();
    let order: Vec<&str> = outputs
        .iter()
        .filter_map(|output| match output {
            GateOutput::Write { .. } => Some("write"),
            GateOutput::Close { flush: true, code: CloseCode::Kicked, .. } => Some("close"),
            _ => None,
        })
        .collect();
    assert_eq!(order, ["write", "close"]);
    rig.input(GateInput::Gone { connection, timed_out: false });
    assert_eq!(told_closed(&rig.drain()), []);
}

#[test]
fn silence_is_told_as_such() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, ..) = rig.playing();
    rig.input(GateInput::Gone { connection, timed_out: true });
    assert_eq!(told_closed(&rig.drain()), [4]);
}

#[test]
fn broadcasts_find_clients_by_module_type_and_filter() {
    let mut rig = Rig::new(GateLimits::default());
    let clients: Vec<_> = (0..3).map(|_| rig.playing()).collect();
    for (client, level) in clients.iter().zip(["1", "2"]) {
        let (key, value) = ("level".to_owned(), Some(level.to_owned()));
        rig.says(ToGate::Filter { session: client.1, key, value });
    }
    let reached = |rig: &mut Rig, key: &str, compare, module: &str, type_id| {
        rig.says(ToGate::Broadcast {
            module: module.into(),
            key: key.into(),
            compare,
            value: "1".into(),
            type_id,
            frames: ServerFrame::Pong { nonce: 5 }.to_bytes(),
        });
        let outputs = rig.drain();
        clients.iter().map(|client| read(&outputs, client.0).len()).collect::<Vec<_>>()
    };
    assert_eq!(reached(&mut rig, "", Comparison::Equal, "yard", 7), [1, 1, 1]);
    assert_eq!(reached(&mut rig, "level", Comparison::Equal, "yard", 7), [1, 0, 0]);
    assert_eq!(reached(&mut rig, "level", Comparison::NotEqual, "yard", 7), [0, 1, 0]);
    assert_eq!(reached(&mut rig, "level", Comparison::GreaterOrEqual, "yard", 7), [1, 1, 0]);
    assert_eq!(reached(&mut rig, "", Comparison::Equal, "chess", 7), [0, 0, 0]);
    assert_eq!(reached(&mut rig, "", Comparison::Equal, "yard", 8), [0, 0, 0]);
    rig.says(ToGate::ClearFilters { session: clients[0].1 });
    assert_eq!(reached(&mut rig, "level", Comparison::Equal, "yard", 7), [0, 0, 0]);
    for number in 0..FILTERS_MAX + 1 {
        let (key, value) = (format!("k{number:02}"), Some("1".to_owned()));
        rig.says(ToGate::Filter { session: clients[2].1, key, value });
    }
    assert_eq!(reached(&mut rig, "k15", Comparison::Equal, "yard", 7), [0, 0, 1]);
    assert_eq!(reached(&mut rig, "k16", Comparison::Equal, "yard", 7), [0, 0, 0]);
}

#[test]
fn a_shutdown_tells_everybody_and_takes_nobody() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, ..) = rig.playing();
    rig.input(GateInput::Shutdown);
    let outputs = rig.drain();
    assert_eq!(closed(&outputs, connection).unwrap().0, CloseCode::Shutdown);
    assert_eq!(told_closed(&outputs), [0]);
    let late = rig.open("192.0.2.9:1");
    assert!(rig.drain().contains(&GateOutput::Refuse { connection: late }));
}

#[test]
fn round_trips_pings_and_acknowledgements_pass() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, own) = rig.playing();
    assert_eq!(rig.ask(connection, 1, own, OWN_ONLY), None);
    rig.input(GateInput::RoundTrip { connection, ms: 12.0 });
    rig.say(connection, &ClientFrame::Acknowledge { request: 1 });
    rig.say(connection, &ClientFrame::Ping { nonce: 3 });
    let outputs = rig.drain();
    let told = sent(&outputs).into_iter().map(|it| (it.target, it.refusable, it.is_kept(), &it.payload));
    let (own, trip) = (Target::Entity(own), ToGame::RoundTrip { session, ms: 12.0 });
    let acknowledged = ToGame::Acknowledged { session, request: 1 };
    assert_eq!(told.collect::<Vec<_>>(), [(own, true, false, &trip), (own, true, false, &acknowledged)]);
    assert_eq!(read(&outputs, connection), [ServerFrame::Pong { nonce: 3 }]);
}
