//! Cargo goes both ways; hostile bytes do no harm.

use super::*;
use crate::guest::{Origin, Place};
use crate::message::{AnswerTo, Body, Class, Debt, EntityBody, KeyValueOperation, Traveller};
use crate::versions::samples::checked;
use crate::versions::{Lineage, MethodKey};
use everwake_protocol::client::Pose;
use everwake_protocol::cluster::{Incarnation, MessageId};
use everwake_protocol::{EntityId, Id, SessionId};
use proptest::prelude::*;

fn id(number: u32) -> EntityId {
    EntityId(Id([number, 0, 0, 1]))
}

fn none(_: &str, _: VersionHash) -> Option<Arc<ModuleVersion>> {
    None
}

fn all() -> Vec<Cargo> {
    let args = Bytes::from_static(&[0x81, 1]);
    let call = Body::Call {
        method: MethodKey { name: u64::MAX, signature: 2 },
        args: args.clone(),
        origin: Origin::Entity,
        answer: AnswerTo::Entity { entity: id(1), call: Id([7; 4]) },
        deadline_ms: u64::MAX,
        bounce: Some(Id([3; 4])),
    };
    let message = Message {
        id: MessageId { sender: id(1).0, epoch: 2, counter: u64::MAX },
        from: Some(id(1)),
        target: id(2),
        class: Class::Durable,
        trace: Id::ZERO,
        body: call,
    };
    let operation =
        KeyValueOperation::CompareAndSet { key: "k".into(), expected: None, value: Some(args.clone()) };
    let creation = Creation {
        module: "yard".into(),
        generation: 3,
        type_name: "Avatar".into(),
        args,
        place: Place::Labelled("big".into()),
        answer: AnswerTo::Nobody,
    };
    vec![
        Cargo::Message(Box::new(message)),
        Cargo::Client(ToGame::Forget { session: SessionId::default() }),
        Cargo::Gate(ToGate::End { session: SessionId::default(), view: 3 }),
        Cargo::Create(Box::new(creation)),
        Cargo::Service { module: "yard".into(), type_name: "Lobby".into(), shard: 3 },
        Cargo::Home { module: "yard".into() },
        Cargo::KeyValue(Box::new(KeyValueAsk {
            module: "yard".into(),
            owner: id(4),
            call: Id([5; 4]),
            operation,
        })),
        Cargo::Debts(vec![DEBT]),
        Cargo::Settled(vec![DEBT, Debt { counter: 12, ..DEBT }]),
    ]
}

const DEBT: Debt = Debt {
    life: Incarnation { start: 3, random: 4 },
    sender: Id([5; 4]),
    target: EntityId(Id([6; 4])),
    counter: 11,
};

#[test]
fn the_author_is_whose_handler_said_it() {
    let asked = |answer| {
        let args = Bytes::new();
        let (module, type_name) = ("yard".to_owned(), "Avatar".to_owned());
        let (place, generation) = (Place::Anywhere, 3);
        Cargo::Create(Box::new(Creation { module, type_name, args, place, answer, generation }))
    };
    let authors: Vec<_> = all().into_iter().map(|cargo| Cargo::author(&cargo.encode())).collect();
    let (message, key_value) = (Some(id(1)), Some(id(4)));
    assert_eq!(authors, [message, None, None, None, None, None, key_value, None, None]);
    let by = AnswerTo::Entity { entity: id(7), call: Id::ZERO };
    assert_eq!(Cargo::author(&asked(by).encode()), Some(id(7)));
    assert_eq!(Cargo::author(&[]), None);
    assert_eq!(Cargo::author(&[MESSAGE, 0xff]), None);
}

#[test]
fn cargo_goes_both_ways_and_nothing_may_be_missing_or_behind_it() {
    for cargo in all() {
        let bytes = cargo.clone().encode();
        let again = Cargo::decode(bytes.clone(), &none).expect("what was written is read");
        assert_eq!(format!("{again:?}"), format!("{cargo:?}"));
        assert!(Cargo::decode(bytes.slice(..bytes.len() - 1), &none).is_err(), "{cargo:?}");
        let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
        assert!(Cargo::decode(longer.into(), &none).is_err(), "{cargo:?}");
    }
}

#[test]
fn a_traveller_needs_its_version() {
    let manifest = checked(crate::game::tests::manifest("yard", "1"));
    let hash = VersionHash([7; 32]);
    let (_, version) = Lineage::new("yard").publish(manifest, hash, 1).expect("a version");
    let version = Arc::new(version);
    let body = EntityBody { type_id: 1, ..crate::game::tests::moves::body() };
    let traveller = Traveller {
        entity: id(1),
        from: Some(id(2)),
        to: None,
        pose: Pose { x: 1.5, ..Pose::default() },
        epoch: 9,
        version: version.clone(),
        failed: Some("gone"),
        debts: vec![DEBT],
        told: vec![(Id([5; 4]), 1, 7)],
        body,
    };
    let bytes = Cargo::Install(Box::new(traveller)).encode();
    assert_eq!(Cargo::decode(bytes.clone(), &none).err(), Some(CargoError::Version(hash)));
    let found =
        |module: &str, wanted: VersionHash| (module == "yard" && wanted == hash).then(|| version.clone());
    let Ok(Cargo::Install(again)) = Cargo::decode(bytes, &found) else { panic!("a traveller") };
    assert_eq!((again.debts, again.told), (vec![DEBT], vec![(Id([5; 4]), 1, 7)]));
    assert_eq!((again.entity, again.epoch, again.failed), (id(1), 9, Some("gone")));
    assert_eq!((again.from, again.to, again.pose.x), (Some(id(2)), None, 1.5));
}

proptest! {
    #[test]
    fn garbage_does_no_harm(kind in 0u8..12, body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes: Vec<u8> = std::iter::once(kind).chain(body).collect();
        let _ = Cargo::decode(bytes.into(), &none);
    }
}
