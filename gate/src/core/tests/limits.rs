//! Every limit of the gate, in time, rate and size.

use super::*;
use crate::queue::WRITE_BYTES_MAX;

#[test]
fn time_runs_out_for_those_who_do_not_greet() {
    let mut rig = Rig::new(GateLimits::default());
    let (shaking, silent) = (rig.open("192.0.2.1:1"), rig.silent());
    rig.drain();
    rig.pass(5_001);
    let outputs = rig.drain();
    assert_eq!(closed(&outputs, shaking).unwrap().0, CloseCode::Timeout);
    assert_eq!(closed(&outputs, silent), None);
    rig.pass(5_000);
    assert_eq!(closed(&rig.drain(), silent).unwrap().0, CloseCode::Timeout);
}

#[test]
fn rates_are_limited_for_each_client_alone() {
    let mut rig = Rig::new(GateLimits { requests_per_second: 5, ..GateLimits::default() });
    let (connection, _, own) = rig.playing();
    let (other, _, others_own) = rig.playing();
    let mut passed = 0;
    for request in 1..=20 {
        match rig.ask(connection, request, own, OWN_ONLY).as_deref() {
            None => passed += 1,
            Some(found) => assert_eq!(found, code::LIMIT),
        }
    }
    assert_eq!(passed, 10, "two seconds' worth after silence");
    assert_eq!(rig.ask(other, 1, others_own, OWN_ONLY), None);
    rig.pass(1_000);
    assert_eq!(rig.ask(connection, 21, own, OWN_ONLY), None);
}

#[test]
fn a_method_has_its_own_rate() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, _, own) = rig.playing();
    for request in 1..=3 {
        assert_eq!(rig.ask(connection, request, own, THRICE), None);
    }
    assert_eq!(rig.ask(connection, 4, own, THRICE).as_deref(), Some(code::LIMIT));
    assert_eq!(rig.ask(connection, 5, own, OWN_ONLY), None);
    rig.pass(20_000);
    assert_eq!(rig.ask(connection, 6, own, THRICE), None);
}

#[test]
fn a_new_version_changes_the_rate_of_a_method_for_those_who_play() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, _, own) = rig.playing();
    for request in 1..=3 {
        assert_eq!(rig.ask(connection, request, own, THRICE), None);
    }
    assert_eq!(rig.ask(connection, 4, own, THRICE).as_deref(), Some(code::LIMIT));
    let mut faster = Schema::clone(&schema(2));
    faster.types[0].methods[THRICE as usize].calls_per_minute = 5;
    rig.says(ToGate::Schema { schema: Arc::new(faster) });
    for request in 5..=9 {
        assert_eq!(rig.ask(connection, request, own, THRICE), None);
    }
    assert_eq!(rig.ask(connection, 10, own, THRICE).as_deref(), Some(code::LIMIT));
}

#[test]
fn acknowledgements_that_do_not_rise_go_no_further() {
    let mut rig = Rig::new(GateLimits { requests_per_second: 1, ..GateLimits::default() });
    let (connection, session, own) = rig.playing();
    let acknowledge = |rig: &mut Rig, request| {
        rig.say(connection, &ClientFrame::Acknowledge { request });
        rig.drain()
    };
    let told = |request| {
        let payload = ToGame::Acknowledged { session, request };
        let message = MessageId { sender: session.0, epoch: 1, counter: 0 };
        let envelope = Envelope::new(GATE, Target::Entity(own), message, payload);
        let refusable = Envelope { refusable: true, ..envelope };
        vec![GateOutput::Dispatch(ToDispatcher::Carry(refusable))]
    };
    for request in 1..=2 {
        assert_eq!(rig.ask(connection, request, own, OWN_ONLY), None);
    }
    assert_eq!(acknowledge(&mut rig, 1), told(1));
    for request in [1, 0, 1] {
        assert_eq!(acknowledge(&mut rig, request), []);
    }
    // What a refused request says of others is lost with it, so it may be said again.
    let args = Bytes::from_static(&[0x80]);
    let refused = ClientFrame::Request {
        request: 3,
        acknowledged: 2,
        target: own,
        method: OWN_ONLY,
        deadline_ms: 1,
        args,
    };
    rig.say(connection, &refused);
    assert!(!rig.drain().iter().any(|output| matches!(output, GateOutput::Dispatch(_))));
    assert_eq!(acknowledge(&mut rig, 2), told(2));
}

#[test]
fn floods_end_the_connection() {
    let limits = GateLimits {
        frames_per_second: 10,
        stream_bytes_per_second: 10_000,
        datagrams_per_second: 10,
        ..GateLimits::default()
    };
    let mut rig = Rig::new(limits);
    let (frames, bytes, datagrams) = (rig.playing().0, rig.playing(), rig.playing().0);
    for number in 1..=21 {
        rig.say(frames, &ClientFrame::Ping { nonce: 1 });
        rig.input(GateInput::Datagram { connection: datagrams, bytes: moved(number) });
    }
    let mut args = vec![0x81];
    cbor::bytes(&mut args, &[0; 5_000]);
    for request in 1..=5 {
        let args = args.clone().into();
        let (target, method) = (bytes.2, OWN_ONLY);
        let frame = ClientFrame::Request { request, acknowledged: 0, target, method, deadline_ms: 0, args };
        rig.say(bytes.0, &frame);
        if request == 3 {
            assert_eq!(closed(&rig.out, bytes.0), None, "two seconds' worth after silence");
        }
    }
    let outputs = rig.drain();
    for connection in [frames, bytes.0, datagrams] {
        assert_eq!(closed(&outputs, connection).map(|it| it.0), Some(CloseCode::Rate));
    }
}

#[test]
fn the_newest_move_wins_and_waits_for_its_turn() {
    let mut rig = Rig::new(GateLimits { moves_per_second: 2, ..GateLimits::default() });
    let (connection, session, own) = rig.playing();
    for sequence in [2, 1, 2, 3, 4, 5, 6, 8, 7] {
        rig.input(GateInput::Datagram { connection, bytes: moved(sequence) });
    }
    let outputs = rig.drain();
    assert_eq!(moves(&outputs), [2.0, 3.0, 4.0, 5.0]);
    assert_eq!(closed(&outputs, connection), None);
    rig.pass(400);
    assert_eq!(moves(&rig.drain()), [], "its turn has not come");
    rig.pass(100);
    assert_eq!(moves(&rig.drain()), [8.0]);
    rig.pass(500);
    assert_eq!(moves(&rig.drain()), [], "told twice");
    for sequence in [9, 10] {
        rig.input(GateInput::Datagram { connection, bytes: moved(sequence) });
    }
    rig.says(ToGate::View { session, view: 2, owner: own, type_id: 7 });
    rig.pass(1_000);
    assert_eq!(moves(&rig.drain()), [9.0], "the entity is elsewhere now");
    rig.input(GateInput::Datagram { connection, bytes: Bytes::from_static(&[1, 2, 3]) });
    assert_eq!(closed(&rig.drain(), connection).unwrap().0, CloseCode::Protocol);
}

#[test]
fn a_client_that_does_not_read_is_closed_and_others_are_not() {
    let mut rig = Rig::new(GateLimits { queue_bytes: 10_000, ..GateLimits::default() });
    let (slow, slow_session, _) = rig.playing();
    let (good, good_session, _) = rig.playing();
    let frames =
        ServerFrame::Call { entity: EntityId::default(), method: 0, args: vec![0; 900].into() }.to_bytes();
    let mut ended = None;
    for round in 0..20 {
        let viewers = smallvec![first_view(slow_session), first_view(good_session)];
        rig.says(ToGate::Frames { viewers, frames: frames.clone() });
        let mut out = std::mem::take(&mut rig.out);
        rig.core.flush(rig.now, &mut out);
        for output in &out {
            match output {
                GateOutput::Write { connection, .. } if *connection == good => {
                    rig.input(GateInput::Written { connection: good });
                }
                GateOutput::Close { connection, code, .. } => {
                    assert_eq!((*connection, *code), (slow, CloseCode::Slow));
                    ended = Some(round);
                }
                _ => {}
            }
        }
    }
    assert_eq!(ended, Some(10), "after 10,000 bytes");
    assert_eq!(rig.core.status().sessions, 1);
}

#[test]
fn a_write_that_stalls_ends_the_connection() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, _) = rig.playing();
    let frames = ServerFrame::Pong { nonce: 1 }.to_bytes();
    rig.says(ToGate::Frames { viewers: smallvec![first_view(session)], frames });
    let mut out = Vec::new();
    rig.core.flush(rig.now, &mut out);
    rig.pass(9_000);
    assert_eq!(closed(&rig.out, connection), None);
    rig.pass(1_001);
    assert_eq!(closed(&rig.out, connection).unwrap().0, CloseCode::Slow);
}

#[test]
fn a_client_that_reads_slowly_stays() {
    let mut rig = Rig::new(GateLimits::default());
    let (connection, session, _) = rig.playing();
    let sent: Vec<ServerFrame> = (0..30)
        .map(|method| ServerFrame::Call {
            entity: EntityId::default(),
            method,
            args: vec![0; 100_000].into(),
        })
        .collect();
    for frame in &sent {
        let viewers = smallvec![first_view(session)];
        rig.says(ToGate::Frames { viewers, frames: frame.to_bytes() });
    }
    let (mut writes, mut got) = (0, Vec::new());
    loop {
        let mut out = std::mem::take(&mut rig.out);
        rig.core.flush(rig.now, &mut out);
        assert_eq!(closed(&out, connection), None, "after {writes} writes of which each is in time");
        let Some(GateOutput::Write { pieces, .. }) = out.first() else { break };
        assert!(pieces.iter().map(Bytes::len).sum::<usize>() <= WRITE_BYTES_MAX);
        got.append(&mut out);
        writes += 1;
        rig.pass(9_000);
        rig.input(GateInput::Written { connection });
    }
    assert_eq!(read(&got, connection), sent);
    assert!(writes > 20, "3 MB in {writes} writes");
}

#[test]
fn who_does_not_read_the_last_words_is_closed_without_them() {
    let goodbye = |connection| GateInput::Finished { connection };
    let kick = |session| ToGate::Close { session, code: CloseCode::Kicked, reason: "enough".into() };
    for (kicked, code) in [(false, CloseCode::Done), (true, CloseCode::Kicked)] {
        let mut rig = Rig::new(GateLimits::default());
        let (connection, session, _) = rig.playing();
        let frames = ServerFrame::Pong { nonce: 1 }.to_bytes();
        rig.says(ToGate::Frames { viewers: smallvec![first_view(session)], frames });
        let mut out = Vec::new();
        rig.core.flush(rig.now, &mut out);
        assert!(matches!(out[..], [GateOutput::Write { .. }]));
        match kicked {
            true => rig.says(kick(session)),
            false => rig.input(goodbye(connection)),
        }
        rig.pass(3_000);
        rig.core.flush(rig.now, &mut out);
        assert_eq!(closed(&rig.out, connection), None);
        rig.pass(1);
        let ends = |out: &[GateOutput]| {
            out.iter()
                .filter(
                    |it| matches!(it, GateOutput::Close { code: found, flush: false, .. } if *found == code),
                )
                .count()
        };
        assert_eq!(ends(&rig.out), 1, "at once, whatever is under way");
        rig.pass(10_000);
        assert_eq!(ends(&rig.out), 1);
    }
}

#[test]
fn log_lines_of_one_cause_are_rare() {
    let mut rig = Rig::new(GateLimits { connections: 0, ..GateLimits::default() });
    let lines = |outputs: Vec<GateOutput>| {
        outputs
            .into_iter()
            .filter_map(|it| match it {
                GateOutput::Log { suppressed, .. } => Some(suppressed),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    for _ in 0..100 {
        rig.open("192.0.2.1:1");
    }
    assert_eq!(lines(rig.drain()), [0]);
    rig.pass(5_000);
    rig.open("192.0.2.1:1");
    assert_eq!(lines(rig.drain()), [99]);
}

fn moved(sequence: u32) -> Bytes {
    let mut out = Vec::new();
    MoveDatagram { sequence, pose: Pose { x: sequence as f32, ..Pose::default() }, motion: Bytes::new() }
        .encode(&mut out);
    out.into()
}

fn moves(outputs: &[GateOutput]) -> Vec<f32> {
    let moves = sent(outputs).into_iter().filter_map(|envelope| match &envelope.payload {
        ToGame::Moved { pose, .. } => Some(pose.x),
        _ => None,
    });
    moves.collect()
}
