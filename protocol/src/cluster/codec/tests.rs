//! Messages go both ways; hostile bytes do no harm.

use super::*;
use crate::client::{Placed, Pose};
use crate::id::Id;
use proptest::prelude::*;
use smallvec::smallvec;

proptest! {
    #[test]
    fn garbage_does_no_harm(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let body = Bytes::from(body);
        let _ = ToGame::decode(body.clone());
        let _ = ToGate::decode(body);
    }
}

#[test]
fn messages_to_a_game_go_both_ways() {
    let session = SessionId(Id([1, 2, 3, 4]));
    let motion = Bytes::from_static(&[1, 2, 3]);
    for message in [
        ToGame::Connected {
            session,
            view: 3,
            module: "yard".into(),
            address: "[::1]:4433".into(),
            token: "t".into(),
            version: "v".into(),
            locale: "l".into(),
        },
        ToGame::Request {
            session,
            request: 3,
            acknowledged: 2,
            module: "yard".into(),
            method: 9,
            deadline_ms: 1,
            args: Bytes::from_static(&[0x80]),
        },
        ToGame::Acknowledged { session, request: 3 },
        ToGame::Moved { session, pose: Pose { x: 1.0, ..Pose::default() }, motion },
        ToGame::RoundTrip { session, ms: 12.5 },
        ToGame::Detach { session, view: 3, reason: 4 },
        ToGame::Forget { session },
        ToGame::Released { session, view: 4 },
    ] {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        assert_eq!(message.session(), session);
        assert_eq!(ToGame::decode(bytes.into()), Ok(message));
    }
}

#[test]
fn messages_to_a_gate_go_both_ways() {
    let session = SessionId(Id([1, 2, 3, 4]));
    let frames = Bytes::from_static(&[0, 0, 0, 1, 0x80]);
    let placed = vec![Placed { handle: 1, pose: Pose::default(), motion: Bytes::new() }];
    for message in [
        ToGate::Schema { schema: Arc::new(Schema { module: "yard".into(), ..Schema::default() }) },
        ToGate::Frames { viewers: smallvec![Viewer { session, view: 2 }; 5], frames: frames.clone() },
        ToGate::Reply { session, frame: frames.clone() },
        ToGate::View { session, view: 2, owner: EntityId::default(), type_id: 3 },
        ToGate::Positions {
            session,
            datagram: PositionDatagram { view: 2, sequence: 0, time_ms: 5, placed },
        },
        ToGate::Filter { session, key: "room".into(), value: Some("1".into()) },
        ToGate::Filter { session, key: "room".into(), value: None },
        ToGate::ClearFilters { session },
        ToGate::Broadcast {
            module: "yard".into(),
            key: "room".into(),
            compare: Comparison::GreaterOrEqual,
            value: "1".into(),
            type_id: 3,
            frames,
        },
        ToGate::End { session, view: 2 },
        ToGate::Orphaned { session, view: 3 },
        ToGate::Close { session, code: CloseCode::Kicked, reason: "bye".into() },
    ] {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        assert_eq!(ToGate::decode(bytes.into()), Ok(message));
    }
}

#[test]
fn comparisons_are_by_bytes() {
    let found: Vec<bool> = Comparison::ALL.iter().map(|compare| compare.holds("B", "a")).collect();
    assert_eq!(found, [false, true, true, true, false, false]);
    for compare in Comparison::ALL {
        assert_eq!(Comparison::from_number(compare.number()), Some(compare));
    }
}
