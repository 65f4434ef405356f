//! Who is told where whom, how often, and how many bytes that may take.

use super::client::Clients;
use super::*;
use crate::replicate::limits::{POSITION_BYTES_PER_FLUSH_MAX, REPEAT_AFTER_MS};
use everwake_protocol::client::{POSITION_HEAD_BYTES, PositionDatagram};

fn datagrams(out: &[ReplicaOutput], number: u32) -> Vec<PositionDatagram> {
    gates(out)
        .filter_map(|value| match value {
            ToGate::Positions { session, datagram } if *session == super::session(number) => {
                Some(datagram.clone())
            }
            _ => None,
        })
        .collect()
}

#[test]
fn only_those_that_moved_are_told_and_the_last_place_is_repeated() {
    let mut stand = Stand::new();
    stand.rock(2, at(1.0, 0.0));
    stand.rock(3, at(2.0, 0.0));
    stand.player(1, at(0.0, 0.0));
    assert_eq!(datagrams(&stand.pass(10_000), 1), [], "a create says where an entity stands");
    stand.moved(2, at(3.0, 0.0));
    stand.moved(2, at(4.0, 0.0));
    let first = datagrams(&stand.pass(50), 1);
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].placed.len(), 1, "one of three moved");
    assert_eq!(first[0].placed[0].pose, at(4.0, 0.0), "the newest place");
    let mut gaps = Vec::new();
    let mut since = stand.now_ms;
    while let Some(due) = stand.replicator.next_ms() {
        let out = stand.pass(due - stand.now_ms);
        if !datagrams(&out, 1).is_empty() {
            gaps.push(stand.now_ms - since);
            since = stand.now_ms;
        }
    }
    assert_eq!(gaps.len(), REPEAT_AFTER_MS.len());
    assert!(gaps.is_sorted(), "rarer and rarer: {gaps:?}");
    assert_eq!(stand.pass(60_000), [], "then silence");
}

#[test]
fn a_client_is_not_told_its_own_moves_but_those_of_the_server() {
    let mut stand = Stand::new();
    stand.player(1, at(0.0, 0.0));
    stand.player(2, at(1.0, 0.0));
    stand.pass(10_000);
    for step in 0..5 {
        let pose = at(step as f32, 0.0);
        stand.event(vec![moved(entity(1), pose, true)]);
        let out = stand.pass(50);
        assert_eq!(datagrams(&out, 1), []);
        assert_eq!(datagrams(&out, 2).len(), 1);
    }
    stand.pass(10_000);
    stand.moved(1, at(0.0, 0.0));
    let out = stand.pass(50);
    assert_eq!(datagrams(&out, 1)[0].placed[0].pose, at(0.0, 0.0));
}

#[test]
fn motion_travels_with_the_place() {
    let mut stand = Stand::new();
    let mut clients = Clients::of(&stand.player(1, at(0.0, 0.0)));
    let created = stand.created(2, ROCK, Some(at(1.0, 0.0)));
    let Change::Created { entity, type_id, slot, pose, layers, attributes, .. } = created else { panic!() };
    let motion = Bytes::from_static(b"run");
    let created = Change::Created { entity, type_id, slot, pose, motion, layers, attributes };
    clients.take(&stand.event(vec![created]));
    clients.take(&stand.pass(50));
    assert_eq!(clients.client(1).mirror[&entity].motion, "run");
    // Longer than is allowed: cut, not sent beyond what a client takes.
    let motion = Bytes::from_static(b"twenty bytes of text");
    stand.event(vec![Change::Motion { entity, motion }]);
    clients.take(&stand.pass(50));
    assert_eq!(clients.client(1).mirror[&entity].motion, "twenty bytes of ");
}

#[test]
fn a_crowd_stays_within_the_budget_and_nobody_waits_for_ever() {
    let mut stand = Stand::new();
    let place =
        |number: u32, turn: u32| at((number % 20) as f32 / 4.0, (number / 20 + turn % 2) as f32 / 4.0);
    let crowd = (2..502).map(|number| stand.created(number, ROCK, Some(place(number, 0)))).collect();
    stand.event(crowd);
    let mut clients = Clients::of(&stand.player(1, at(0.0, 0.0)));
    stand.pass(1_000);
    let mut told: BTreeMap<u16, u32> = BTreeMap::new();
    for turn in 1..=40 {
        let moves = (2..502).map(|number| (entity(number), place(number, turn))).collect();
        stand.event(vec![Change::Moved { moves, by_client: false }]);
        let out = stand.pass(50);
        let datagrams = datagrams(&out, 1);
        for flush in datagrams.chunk_by(|one, other| one.time_ms == other.time_ms) {
            let heads = flush.len() * POSITION_HEAD_BYTES;
            let bytes: usize = flush.iter().map(PositionDatagram::encoded_len).sum();
            assert!(bytes <= POSITION_BYTES_PER_FLUSH_MAX + heads);
        }
        datagrams.iter().flat_map(|datagram| &datagram.placed).for_each(|placed| {
            *told.entry(placed.handle).or_default() += 1;
        });
        clients.take(&out);
    }
    assert_eq!(told.len(), 500, "everybody has been told of");
    let handle = |number| clients.client(1).mirror[&entity(number)].handle;
    assert!(told[&handle(2)] > told[&handle(501)], "the near ones more often");
    clients.take(&stand.pass(10_000));
    for number in 2..502 {
        assert_eq!(clients.client(1).mirror[&entity(number)].pose, place(number, 40));
    }
}

#[test]
fn a_client_that_is_wrong_about_its_own_place_is_told_and_nobody_else() {
    let mut stand = Stand::new();
    stand.player(1, at(0.0, 0.0));
    stand.player(2, at(1.0, 0.0));
    assert_eq!(datagrams(&stand.pass(10_000), 1), []);
    stand.event(vec![Change::Misplaced { entity: entity(1) }]);
    let out = stand.pass(50);
    assert_eq!(datagrams(&out, 1)[0].placed[0].pose, at(0.0, 0.0));
    assert_eq!(datagrams(&out, 2), []);
    // A move that is allowed does not take the correction back.
    stand.pass(60_000);
    stand.event(vec![Change::Misplaced { entity: entity(1) }]);
    stand.event(vec![moved(entity(1), at(2.0, 0.0), true)]);
    assert_eq!(datagrams(&stand.pass(50), 1)[0].placed[0].pose, at(2.0, 0.0));
    // In nil nobody has a place.
    stand.event(vec![Change::Misplaced { entity: entity(404) }]);
}
