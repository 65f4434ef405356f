//! Routing messages go both ways; hostile bytes do no harm; each message has one form.

use super::*;
use crate::id::Id;
use proptest::collection::vec;
use proptest::prelude::*;

fn ids() -> impl Strategy<Value = EntityId> {
    any::<u128>().prop_map(|id| EntityId(Id::from_u128(id)))
}

fn lives() -> impl Strategy<Value = Incarnation> {
    any::<(u32, u64)>().prop_map(|(start, random)| Incarnation { start, random })
}

fn targets() -> impl Strategy<Value = Target> {
    prop_oneof![
        ids().prop_map(Target::Entity),
        (ids(), ids()).prop_map(|(entity, space)| Target::Arrival { entity, space }),
        lives().prop_map(Target::Process),
    ]
}

fn attempts() -> impl Strategy<Value = Attempt> {
    prop_oneof![Just(Attempt::First), Just(Attempt::Again), Just(Attempt::Doubtful)]
}

fn envelopes() -> impl Strategy<Value = Envelope<Bytes>> {
    let message = (ids(), any::<u32>(), any::<u64>());
    let rest = (any::<u64>(), any::<u32>(), any::<u8>(), any::<bool>(), attempts(), vec(any::<u8>(), 0..20));
    (lives(), targets(), message, rest).prop_map(|(source, target, message, rest)| {
        let (after, location_epoch, hops, refusable, attempt, payload) = rest;
        let message = MessageId { sender: message.0.0, epoch: message.1, counter: message.2 };
        let payload = Bytes::from(payload);
        Envelope { source, target, message, after, location_epoch, hops, refusable, attempt, payload }
    })
}

fn profiles() -> impl Strategy<Value = Profile> {
    (vec("[a-z]{0,9}", 0..4), vec("[a-z]{0,9}", 0..4), any::<u32>(), any::<bool>())
        .prop_map(|(modules, labels, load, closed)| Profile { modules, labels, load, closed })
}

fn placements() -> impl Strategy<Value = Placement> {
    prop_oneof![
        "[a-z]{0,9}".prop_map(|module| Placement::Anywhere { module }),
        ("[a-z]{0,9}", "[a-z]{0,9}").prop_map(|(module, label)| Placement::Labelled { module, label }),
        ids().prop_map(Placement::Space),
        lives().prop_map(Placement::Process),
        "[a-z]{0,9}".prop_map(|module| Placement::Named { module }),
    ]
}

fn acks() -> impl Strategy<Value = Vec<Ack>> {
    let ack = (ids(), targets(), any::<u64>());
    vec(ack.prop_map(|(sender, target, counter)| Ack { sender: sender.0, target, counter }), 0..5)
}

fn spaces() -> impl Strategy<Value = SpaceReport> {
    (ids(), any::<u32>()).prop_map(|(space, epoch)| SpaceReport { space, epoch })
}

fn entities() -> impl Strategy<Value = EntityReport> {
    (ids(), ids(), any::<u32>(), any::<bool>()).prop_map(|(entity, space, epoch, leaving)| EntityReport {
        entity,
        space,
        epoch,
        leaving,
    })
}

fn to_dispatcher() -> impl Strategy<Value = ToDispatcher<Bytes>> {
    let plain = prop_oneof![
        Just(ToDispatcher::Report),
        Just(ToDispatcher::Reported),
        Just(ToDispatcher::Resent),
        Just(ToDispatcher::Leave),
    ];
    prop_oneof![
        plain,
        vec(spaces(), 0..4).prop_map(ToDispatcher::Spaces),
        vec(entities(), 0..4).prop_map(ToDispatcher::Entities),
        profiles().prop_map(ToDispatcher::Profile),
        spaces().prop_map(ToDispatcher::SpaceClosed),
        (ids(), any::<u32>()).prop_map(|(entity, epoch)| ToDispatcher::Gone { entity, epoch }),
        (ids(), any::<u32>()).prop_map(|(entity, intent)| ToDispatcher::Block { entity, intent }),
        envelopes().prop_map(ToDispatcher::Carry),
        (placements(), envelopes()).prop_map(|(place, envelope)| ToDispatcher::Create { place, envelope }),
        (lives(), acks()).prop_map(|(to, acks)| ToDispatcher::Acks { to, acks }),
        (any::<u64>(), vec(ids(), 0..4))
            .prop_map(|(ticket, entities)| ToDispatcher::Ask { ticket, entities }),
        (vec((lives(), "[a-z]{0,9}"), 0..4), vec(lives(), 0..4))
            .prop_map(|(alive, dead)| ToDispatcher::Known { alive, dead }),
    ]
}

fn from_dispatcher() -> impl Strategy<Value = FromDispatcher<Bytes>> {
    let members = (lives(), "[a-z]{0,9}", profiles()).prop_map(|(incarnation, name, profile)| Member {
        incarnation,
        name,
        profile,
    });
    let returned = (envelopes(), prop::sample::select(&ReturnReason::ALL[..]));
    prop_oneof![
        Just(FromDispatcher::SendAgain),
        vec(members, 0..4).prop_map(FromDispatcher::Members),
        lives().prop_map(FromDispatcher::Dead),
        envelopes().prop_map(FromDispatcher::Deliver),
        returned.prop_map(|(envelope, reason)| FromDispatcher::Return { envelope, reason, uncertain: false }),
        (ids(), any::<u32>()).prop_map(|(entity, intent)| FromDispatcher::Marker { entity, intent }),
        acks().prop_map(FromDispatcher::Acks),
        (any::<u64>(), vec(ids(), 0..4)).prop_map(|(ticket, gone)| FromDispatcher::Asked { ticket, gone }),
    ]
}

fn written(encode: impl Fn(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::new();
    encode(&mut out);
    out.into()
}

proptest! {
    #[test]
    fn messages_to_a_dispatcher_go_both_ways(message in to_dispatcher(), cut in any::<prop::sample::Index>()) {
        let bytes = written(|out| message.encode(out));
        prop_assert_eq!(ToDispatcher::decode(bytes.clone()), Ok(message));
        let part = bytes.slice(..cut.index(bytes.len()));
        if let Ok(other) = ToDispatcher::decode(part.clone()) {
            prop_assert_eq!(written(|out| other.encode(out)), part);
        }
    }

    #[test]
    fn messages_from_a_dispatcher_go_both_ways(message in from_dispatcher(), cut in any::<prop::sample::Index>()) {
        let bytes = written(|out| message.encode(out));
        prop_assert_eq!(FromDispatcher::decode(bytes.clone()), Ok(message));
        let part = bytes.slice(..cut.index(bytes.len()));
        if let Ok(other) = FromDispatcher::decode(part.clone()) {
            prop_assert_eq!(written(|out| other.encode(out)), part);
        }
    }

    #[test]
    fn messages_between_dispatchers_go_both_ways(lives in vec(lives(), 0..9)) {
        let message = BetweenDispatchers::Dead(lives);
        prop_assert_eq!(BetweenDispatchers::decode(written(|out| message.encode(out))), Ok(message));
    }

    /// What decodes at all has no other form.
    #[test]
    fn garbage_does_no_harm(kind in 0u8..16, body in vec(any::<u8>(), 0..200)) {
        let body = Bytes::from([&[kind][..], &body].concat());
        if let Ok(message) = ToDispatcher::decode(body.clone()) {
            prop_assert_eq!(written(|out| message.encode(out)), body.clone());
        }
        if let Ok(message) = FromDispatcher::decode(body.clone()) {
            prop_assert_eq!(written(|out| message.encode(out)), body.clone());
        }
        if let Ok(message) = BetweenDispatchers::decode(body.clone()) {
            prop_assert_eq!(written(|out| message.encode(out)), body);
        }
    }
}

#[test]
fn lists_are_bounded() {
    let many = ToDispatcher::Ask { ticket: 1, entities: vec![EntityId::default(); REPORTS_MAX + 1] };
    let cut = ToDispatcher::decode(written(|out| many.encode(out)));
    assert!(matches!(cut, Ok(ToDispatcher::Ask { entities, .. }) if entities.len() == REPORTS_MAX));
    let mut bytes = vec![13, 0, 0, 0, 0, 0, 0, 0, 1];
    bytes.extend_from_slice(&(REPORTS_MAX as u16 + 1).to_be_bytes());
    assert_eq!(ToDispatcher::decode(bytes.into()), Err(WireError::TooLong("entities", REPORTS_MAX)));
    assert_eq!(FromDispatcher::decode(Bytes::from_static(&[9])), Err(WireError::Kind(9)));
}
