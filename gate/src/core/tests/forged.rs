//! What a client adds to its bytes, or leaves out of them: it stays who it is, and harms nobody but itself.

use super::*;

/// The bytes of a request, with something behind its arguments.
fn request_with(number: u64, target: EntityId, behind: &[u8]) -> ClientFrame {
    let args = [&[0x80], behind].concat();
    ClientFrame::Request {
        request: number,
        acknowledged: 0,
        target,
        method: OWN_ONLY,
        deadline_ms: 1_000,
        args: args.into(),
    }
}

/// For whom requests went to the game.
fn askers(outputs: &[GateOutput]) -> Vec<SessionId> {
    let of = |envelope: &&Envelope<ToGame>| match envelope.payload {
        ToGame::Request { session, .. } => Some(session),
        _ => None,
    };
    sent(outputs).iter().filter_map(of).collect()
}

#[test]
fn whose_a_request_is_is_said_by_the_connection_and_by_no_byte_of_it() {
    let mut rig = Rig::new(GateLimits::default());
    let (_, victim, victims) = rig.playing();
    let (connection, thief, own) = rig.playing();
    let forged = victim.0.to_bytes();
    rig.say(connection, &request_with(1, own, &forged));
    let outputs = rig.drain();
    assert_eq!(askers(&outputs), [], "nothing may stand behind the arguments");
    let frames = read(&outputs, connection);
    let Some(ServerFrame::Reply { outcome, .. }) = frames.first() else { panic!("no answer") };
    let outcome = Outcome::decode(outcome).unwrap();
    assert!(matches!(&outcome, Outcome::Err { code, .. } if code == code::BAD_ARGUMENTS), "{outcome:?}");
    // Well-formed, it is asked in the name of who is connected, for whatever entity.
    rig.say(connection, &request_with(2, own, &[]));
    assert_eq!(askers(&rig.drain()), [thief]);
    rig.say(connection, &request_with(3, victims, &[]));
    let outputs = rig.drain();
    assert!(!askers(&outputs).contains(&victim));
}

#[test]
fn frames_of_any_kind_and_length_end_their_own_client_at_most() {
    let limits = GateLimits { connections_per_address_per_minute: 10_000, ..GateLimits::default() };
    let mut rig = Rig::new(limits);
    let (good, session, own) = rig.playing();
    let mut ended = 0;
    for kind in 0..=u8::MAX {
        for body in [vec![], vec![0], vec![0xff; 3], vec![0x80; 40]] {
            let (connection, ..) = rig.playing();
            let mut bytes = u32::try_from(body.len() + 1).unwrap().to_be_bytes().to_vec();
            bytes.push(kind);
            bytes.extend(body);
            rig.input(GateInput::Received { connection, bytes: bytes.into() });
            let outputs = rig.drain();
            if let Some((code, why)) = closed(&outputs, connection) {
                assert_eq!(code, CloseCode::Protocol, "{kind}: {why}");
                ended += 1;
            }
            assert_eq!(askers(&outputs), [], "{kind} asks for something");
            rig.input(GateInput::Gone { connection, timed_out: false });
            rig.drain();
        }
    }
    assert!(ended > 900, "only {ended} of 1,024 were closed");
    rig.say(good, &request_with(1, own, &[]));
    assert_eq!(askers(&rig.drain()), [session], "the one beside them plays on");
    assert_eq!(rig.core.status().sessions, 1);
}
