//! Headers and messages go both ways; hostile bytes do no harm.

use super::*;
use crate::client::{Placed, Pose};
use crate::cluster::{Header, Incarnation, MessageId, Target};
use crate::id::Id;
use proptest::prelude::*;
use smallvec::smallvec;

fn any_id() -> impl Strategy<Value = Id> {
    prop_oneof![Just(Id::ZERO), any::<u128>().prop_map(Id::from_u128)]
}

fn any_target() -> impl Strategy<Value = Target> {
    prop_oneof![
        any_id().prop_map(|id| Target::Entity(EntityId(id))),
        any_id().prop_map(|id| Target::Space(EntityId(id))),
        any_id().prop_map(|id| Target::Session(SessionId(id))),
        (any::<u32>(), any::<u64>())
            .prop_map(|(start, random)| Target::Process(Incarnation { start, random })),
    ]
}

prop_compose! {
    fn any_header()(
        target in any_target(),
        ids in proptest::array::uniform3(any_id()),
        small in proptest::array::uniform8(prop_oneof![Just(0u32), any::<u32>()]),
        large in proptest::array::uniform6(prop_oneof![Just(0u64), any::<u64>()]),
    ) -> Header {
        let [sender, call, trace] = ids;
        let [start, space_epoch, location_epoch, epoch, session_epoch, view_epoch, deadline_ms, generation] = small;
        let [random, lane_sequence, counter, low_water, method_hash, signature_hash] = large;
        Header {
            source: Incarnation { start, random }, lane_sequence, target, space_epoch, location_epoch,
            message: MessageId { sender, epoch, counter }, low_water, session_epoch, view_epoch, call,
            deadline_ms, method_hash, signature_hash, generation, trace,
        }
    }
}

proptest! {
    #[test]
    fn headers_go_both_ways(header in any_header(), body in proptest::collection::vec(any::<u8>(), 0..20)) {
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        let header_len = bytes.len();
        bytes.extend_from_slice(&body);
        let bytes = Bytes::from(bytes);
        prop_assert_eq!(Header::decode(bytes.clone()), Ok((header, Bytes::from(body))));
        for cut in 0..header_len {
            prop_assert!(Header::decode(bytes.slice(..cut)).is_err());
        }
    }

    #[test]
    fn garbage_does_no_harm(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let body = Bytes::from(body);
        if let Ok((header, rest)) = Header::decode(body.clone()) {
            let mut again = Vec::new();
            header.encode(&mut again);
            again.extend_from_slice(&rest);
            prop_assert_eq!(&again, &body);
        }
        let _ = ToGame::decode(body.clone());
        let _ = ToGate::decode(body);
    }
}

#[test]
fn a_header_without_extras_is_small() {
    let mut bytes = Vec::new();
    Header::new(Incarnation::default(), 7, Target::Session(SessionId::default())).encode(&mut bytes);
    assert_eq!(bytes.len(), 3 + 12 + 8 + 16);
}

#[test]
fn messages_to_a_game_go_both_ways() {
    let session = SessionId(Id([1, 2, 3, 4]));
    let target = EntityId(Id([5, 6, 7, 8]));
    let motion = Bytes::from_static(&[1, 2, 3]);
    for message in [
        ToGame::Connected {
            session,
            boot: target,
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
            target,
            method: 9,
            deadline_ms: 1,
            args: Bytes::from_static(&[0x80]),
        },
        ToGame::Acknowledged { session, request: 3 },
        ToGame::Moved { session, pose: Pose { x: 1.0, ..Pose::default() }, motion },
        ToGame::RoundTrip { session, ms: 12.5 },
        ToGame::Closed { session, reason: 4 },
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
