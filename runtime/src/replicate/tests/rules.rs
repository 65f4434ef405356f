//! Single rules of order, coalescing and audiences, each in one scene.

use super::client::{Clients, decoded, value};
use super::*;
use crate::guest::Audience;
use everwake_protocol::attributes::write_path;
use everwake_protocol::cbor;
use everwake_protocol::client::ServerFrame;
use everwake_protocol::cluster::Comparison;
use everwake_protocol::limits::{ARGS_BYTES_MAX, FRAME_BYTES_MAX};
use everwake_protocol::outcome::Outcome;

fn call(number: u32, audience: Audience) -> Change {
    Change::ClientCall { entity: entity(number), audience, method: 1, args: Bytes::from_static(&[0x80]) }
}

fn entry(number: u32, attribute: u32, key: &[u8], insert: bool, value: &[u8]) -> Change {
    let mut changes = Vec::new();
    write_path(attribute, Some(key), insert, &mut changes);
    changes.extend_from_slice(value);
    Change::Patched { entity: entity(number), changes: changes.into() }
}

/// What one client is told, each frame as a word and whom it is about.
fn words(out: &[ReplicaOutput], number: u32) -> Vec<String> {
    let mut words = Vec::new();
    for value in gates(out) {
        let frames = match value {
            ToGate::Frames { viewers, frames }
                if viewers.iter().any(|viewer| viewer.session == session(number)) =>
            {
                frames
            }
            ToGate::Reply { session: whose, frame } if *whose == session(number) => frame,
            _ => continue,
        };
        words.extend(decoded(frames).into_iter().map(|frame| match frame {
            ServerFrame::Create { entity, .. } => format!("create {}", entity.0.0[3]),
            ServerFrame::Delta { entity, .. } => format!("delta {}", entity.0.0[3]),
            ServerFrame::Call { entity, .. } => format!("call {}", entity.0.0[3]),
            ServerFrame::Reply { request, .. } => format!("reply {request}"),
            ServerFrame::Destroy { entity } => format!("destroy {}", entity.0.0[3]),
            other => panic!("{other:?}"),
        }));
    }
    words
}

fn deltas(out: &[ReplicaOutput]) -> Vec<(Vec<SessionId>, Bytes)> {
    let mut deltas = Vec::new();
    for value in gates(out) {
        let ToGate::Frames { viewers, frames } = value else { continue };
        for frame in decoded(frames) {
            if let ServerFrame::Delta { changes, .. } = frame {
                deltas.push((viewers.iter().map(|viewer| viewer.session).collect(), changes));
            }
        }
    }
    deltas
}

#[test]
fn a_view_begins_with_the_schema_the_own_entity_and_the_space() {
    let mut stand = Stand::new();
    stand.rock(9, at(1.0, 1.0));
    let out = stand.player(1, at(0.0, 0.0));
    let kinds: Vec<&ToGate> = gates(&out).collect();
    assert!(matches!(kinds[0], ToGate::Schema { .. }));
    assert!(matches!(kinds[1], ToGate::View { view: 1, .. }));
    assert_eq!(words(&out, 1), ["create 1", "create 1000", "create 9"]);
    assert_eq!(facts(&out), [Fact::Watched { entity: entity(9) }]);
    let clients = Clients::of(&out);
    let client = clients.client(1);
    assert!(client.mirror[&entity(1)].own && !client.mirror[&entity(9)].own);
    assert_eq!(client.mirror[&entity(SPACE)].handle, 0);
    // The second view needs no schema.
    assert!(!gates(&stand.player(2, at(0.0, 0.0))).any(|value| matches!(value, ToGate::Schema { .. })));
}

#[test]
fn an_event_leaves_as_creates_deltas_calls_destroys() {
    let mut stand = Stand::new();
    stand.player(1, at(0.0, 0.0));
    stand.rock(2, at(1.0, 0.0));
    let born = stand.created(3, ROCK, Some(at(2.0, 0.0)));
    let changes = vec![
        Change::Destroyed { entity: entity(2) },
        call(2, Audience::AllClients),
        Change::Reply {
            session: session(1),
            entity: entity(1),
            request: 7,
            outcome: Outcome::null().to_bytes(),
        },
        set(1, HP, &[5]),
        born,
    ];
    let out = stand.event(changes);
    assert_eq!(words(&out, 1), ["create 3", "delta 1", "call 2", "reply 7", "destroy 2"]);
}

#[test]
fn a_call_seals_what_its_event_changed_and_nothing_else() {
    let mut stand = Stand::new();
    stand.player(1, at(0.0, 0.0));
    stand.rock(2, at(1.0, 0.0));
    stand.rock(3, at(1.0, 0.0));
    stand.pass(1_000);
    assert_eq!(stand.event(vec![set(2, HP, &[1])]), []);
    assert_eq!(
        words(&stand.event(vec![set(3, HP, &[2]), call(1, Audience::OwnClient)]), 1),
        ["delta 3", "call 1"]
    );
    // The entity that is called is sealed too, and only once.
    assert_eq!(words(&stand.event(vec![call(2, Audience::AllClients)]), 1), ["delta 2", "call 2"]);
    assert_eq!(words(&stand.event(vec![call(2, Audience::AllClients)]), 1), ["call 2"]);
    assert_eq!(stand.pass(1_000), []);
    // A call that nobody hears seals nothing.
    assert_eq!(stand.event(vec![set(2, HP, &[3]), call(2, Audience::OwnClient)]), []);
    // A reply seals the entity that it comes from.
    let outcome = Outcome::null().to_bytes();
    let reply = Change::Reply { session: session(1), entity: entity(2), request: 1, outcome };
    assert_eq!(words(&stand.event(vec![reply]), 1), ["delta 2", "reply 1"]);
}

#[test]
fn writes_of_one_interval_become_one_delta_for_each_audience() {
    let mut stand = Stand::new();
    stand.player(1, at(0.0, 0.0));
    stand.player(2, at(1.0, 0.0));
    stand.player(3, at(0.0, 1.0));
    stand.pass(1_000);
    for hp in 0..20 {
        assert_eq!(stand.event(vec![set(1, HP, &[hp]), entry(1, MARKS, &[7], false, &[hp])]), []);
    }
    let everybody = vec![session(1), session(2), session(3)];
    let public = Bytes::from_static(&[0x00, 19, 0x82, 0x05, 0x07, 19]);
    assert_eq!(deltas(&stand.pass(100)), [(everybody, public)]);
    stand.event(vec![set(1, HP, &[1]), set(1, GOLD, &[9])]);
    let own = (vec![session(1)], Bytes::from_static(&[0x00, 1, 0x01, 9]));
    let others = (vec![session(2), session(3)], Bytes::from_static(&[0x00, 1]));
    assert_eq!(deltas(&stand.pass(100)), [own, others]);
    // What the own client alone sees costs the others nothing, and what nobody sees nobody.
    stand.event(vec![set(1, GOLD, &[8])]);
    assert_eq!(deltas(&stand.pass(100)), [(vec![session(1)], Bytes::from_static(&[0x01, 8]))]);
    stand.event(vec![set(1, PLAN, &[8])]);
    assert_eq!(stand.pass(100), []);
}

#[test]
fn changes_of_a_list_keep_their_order_until_they_are_too_many() {
    let mut stand = Stand::new();
    let mut clients = Clients::of(&stand.player(1, at(0.0, 0.0)));
    stand.pass(1_000);
    for round in 0..10 {
        stand.event(vec![
            entry(1, ITEMS, &[0], true, &[round]),
            entry(1, ITEMS, &[1], false, &[cbor::UNDEFINED]),
        ]);
    }
    clients.take(&stand.pass(100));
    assert_eq!(clients.client(1).mirror[&entity(1)].value(ITEMS), [0x82, 9, 2]);
    for round in 0..1_000u32 {
        stand.event(vec![entry(1, ITEMS, &[0], false, &[(round % 20) as u8])]);
    }
    let out = stand.pass(100);
    assert_eq!(deltas(&out)[0].1, Bytes::from_static(&[0x03, 0x82, 19, 2]), "the whole list");
}

#[test]
fn an_entity_larger_than_a_frame_comes_in_parts() {
    let mut stand = Stand::new();
    let mut attributes = Attributes::new(COUNT);
    let text = |len: usize| {
        let mut text = Vec::new();
        cbor::bytes(&mut text, &vec![1; len]);
        text
    };
    let mut changes = Vec::new();
    for index in 0..20u8 {
        write_path(ITEMS, Some(&[index]), true, &mut changes);
        changes.extend(text(40_000));
    }
    for change in everwake_protocol::attributes::PatchReader::new(&changes) {
        let change = change.unwrap();
        attributes.apply(&change, column(ITEMS), None).unwrap();
    }
    let created = stand.created(1, AVATAR, Some(at(0.0, 0.0)));
    let Change::Created { entity, type_id, slot, pose, motion, layers, .. } = created else { panic!() };
    let created =
        Change::Created { entity, type_id, slot, pose, motion, layers, attributes: attributes.clone() };
    let attached = Change::Attached { entity, session: session(1), view: 1 };
    let mut clients = Clients::default();
    let mut take = |out: &[ReplicaOutput]| {
        for value in gates(out) {
            if let ToGate::Frames { frames, .. } = value {
                assert!(frames.len() <= 2 * FRAME_BYTES_MAX);
            }
        }
        // Decoding fails on frames that are too large.
        clients.take(out);
        assert_eq!(clients.client(1).mirror[&entity].value(ITEMS), value(&attributes, ITEMS));
    };
    take(&stand.event(vec![created, attached]));
    let mut whole = Vec::new();
    attributes.slot(ITEMS).encode(&mut whole);
    stand.event(vec![set(1, ITEMS, &[0x80]), set(1, ITEMS, &whole)]);
    take(&stand.pass(100));
    assert_eq!(stand.replicator.faults(), Default::default());
}

#[test]
fn an_answer_that_is_too_large_becomes_an_error() {
    let mut stand = Stand::new();
    stand.player(1, at(0.0, 0.0));
    let outcome = Bytes::from(vec![0; 2 * FRAME_BYTES_MAX]);
    let reply = Change::Reply { session: session(1), entity: entity(1), request: 3, outcome };
    let out = stand.event(vec![reply]);
    let Some(ToGate::Reply { frame, .. }) = gates(&out).next() else { panic!("{out:?}") };
    let [ServerFrame::Reply { request: 3, outcome }] = &decoded(frame)[..] else { panic!("{out:?}") };
    assert!(!Outcome::decode(outcome).unwrap().is_ok());
    assert_eq!(stand.replicator.faults().oversized, 1);
    let args = Bytes::from(vec![0; ARGS_BYTES_MAX]);
    let call = Change::ClientCall { entity: entity(1), audience: Audience::OwnClient, method: 1, args };
    assert_eq!(words(&stand.event(vec![call]), 1), ["call 1"]);
}

#[test]
fn filters_broadcasts_and_kicks_pass_in_order_with_calls() {
    let mut stand = Stand::new();
    stand.player(1, at(0.0, 0.0));
    stand.pass(1_000);
    let text = str::to_owned;
    let changes = vec![
        Change::Filter { session: session(1), key: text("team"), value: Some(text("red")) },
        Change::Broadcast {
            key: text("team"),
            compare: Comparison::Equal,
            value: text("red"),
            type_id: AVATAR,
            method: 4,
            args: Bytes::from_static(&[0x80]),
        },
        Change::ClearFilters { session: session(1) },
        Change::Kick { session: session(1), reason: text("enough") },
        set(1, GOLD, &[3]),
    ];
    let out = stand.event(changes);
    let kinds: Vec<&ToGate> = gates(&out).collect();
    assert!(matches!(kinds[0], ToGate::Frames { .. }), "the event's changes go ahead of the broadcast");
    assert!(matches!(kinds[1], ToGate::Filter { value: Some(_), .. }));
    let ToGate::Broadcast { module, type_id: AVATAR, frames, .. } = kinds[2] else { panic!("{kinds:?}") };
    assert_eq!(module, "yard");
    let args = Bytes::from_static(&[0x80]);
    assert_eq!(decoded(frames), [ServerFrame::Call { entity: EntityId::default(), method: 4, args }]);
    assert!(matches!(kinds[3], ToGate::ClearFilters { .. }));
    assert!(matches!(kinds[4], ToGate::Close { .. }));
    assert_eq!(kinds.len(), 5);
}

#[test]
fn another_version_may_show_more() {
    let mut stand = Stand::new();
    let mut clients = Clients::of(&stand.player(1, at(0.0, 0.0)));
    clients.take(&stand.player(2, at(1.0, 0.0)));
    stand.event(vec![set(1, GOLD, &[7]), set(1, PLAN, &[8])]);
    let flags = COLUMNS.map(|(_, flags, _)| AttributeFlags { all_clients: true, ..flags });
    let mut out = Vec::new();
    stand.replicator.handle(ReplicaInput::Swapped(version_with(2, flags)), &mut out);
    // What was untold goes out as it was shown before, then comes the schema.
    assert_eq!(words(&out, 1), ["delta 1"]);
    clients.take(&out);
    assert_eq!(clients.schemas, [1, 2]);
    clients.take(&stand.pass(100));
    for number in [1, 2] {
        let mirror = &clients.client(number).mirror;
        assert_eq!(mirror[&entity(1)].value(GOLD), [7], "client {number}");
        assert_eq!(mirror[&entity(1)].value(PLAN), [8], "client {number}");
    }
}

#[test]
fn changes_that_do_not_fit_are_counted_and_harmless() {
    let mut stand = Stand::new();
    stand.player(1, at(0.0, 0.0));
    let again = stand.created(1, AVATAR, None);
    let bad = Change::Patched { entity: entity(1), changes: Bytes::from_static(&[0x9f, 0xff]) };
    let changes = vec![
        again,
        bad,
        set(77, HP, &[1]),
        call(77, Audience::AllClients),
        moved(entity(SPACE), at(1.0, 1.0), false),
        Change::Attached { entity: entity(77), session: session(9), view: 1 },
        Change::Detached { session: session(77) },
        Change::Destroyed { entity: entity(77) },
    ];
    assert_eq!(stand.event(changes), []);
    assert_eq!(stand.replicator.faults().misfits, 2);
}
