//! Who comes into view and who leaves it, and what the space is told of it.

use super::client::Clients;
use super::*;
use crate::replicate::limits::HANDLE_REST_MS;

fn sees(clients: &Clients, observer: u32, subject: u32) -> bool {
    clients.client(observer).mirror.contains_key(&entity(subject))
}

#[test]
fn borders_do_not_flicker() {
    let mut stand = Stand::new();
    let mut clients = Clients::of(&stand.player(1, at(0.0, 0.0)));
    clients.take(&stand.rock(2, at(0.0, 10.5)));
    assert!(!sees(&clients, 1, 2), "outside of the radius");
    let mut turn = |z: f32| {
        stand.moved(2, at(0.0, z));
        clients.take(&stand.pass(50));
        sees(&clients, 1, 2)
    };
    assert!(turn(9.9));
    assert!(turn(10.5), "it goes on to be seen inside of the margin");
    assert!(turn(11.9));
    assert!(!turn(12.1));
    assert!(!turn(11.9), "and has to come inside of the radius again");
}

#[test]
fn height_does_not_count() {
    let mut stand = Stand::new();
    let mut clients = Clients::of(&stand.player(1, at(0.0, 0.0)));
    clients.take(&stand.rock(2, Pose { y: 500.0, ..at(1.0, 1.0) }));
    assert!(sees(&clients, 1, 2));
}

#[test]
fn layers_hide_at_once() {
    let mut stand = Stand::new();
    let mut clients = Clients::of(&stand.player(1, at(0.0, 0.0)));
    clients.take(&stand.rock(2, at(1.0, 0.0)));
    let layers = |sees, seen_by| {
        vec![
            Change::Layers { entity: entity(1), sees, seen_by: 0 },
            Change::Layers { entity: entity(2), sees: 0, seen_by },
        ]
    };
    for (mine, theirs) in [(0b01, 0b10), (0b11, 0b10), (0b100, 0b11), (0b1, 0b1)] {
        clients.take(&stand.event(layers(mine, theirs)));
        assert_eq!(sees(&clients, 1, 2), mine & theirs != 0, "{mine:b} {theirs:b}");
        assert!(sees(&clients, 1, 1) && sees(&clients, 1, SPACE), "never hidden");
    }
}

#[test]
fn a_teleport_is_seen_in_its_own_event() {
    let mut stand = Stand::new();
    let mut clients = Clients::of(&stand.player(1, at(0.0, 0.0)));
    stand.pass(1_000);
    clients.take(&stand.rock(2, at(500.0, 0.0)));
    assert!(!sees(&clients, 1, 2));
    clients.take(&stand.moved(1, at(499.0, 0.0)));
    assert!(sees(&clients, 1, 2));
}

#[test]
fn facts_come_in_the_order_of_slots() {
    let mut stand = Stand::new();
    let wolves: Vec<Change> =
        [30, 20, 10].map(|number| stand.created(number, WOLF, Some(at(0.0, 0.0)))).into();
    let pairs = |out: &[ReplicaOutput]| {
        facts(out)
            .iter()
            .map(|fact| match fact {
                Fact::EnterAoi { observer, subject } => (observer.0.0[3], subject.0.0[3]),
                Fact::LeaveAoi { observer, subject } => (observer.0.0[3] + 100, subject.0.0[3]),
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    let out = stand.event(wolves);
    assert_eq!(pairs(&out), [(30, 20), (30, 10), (20, 30), (20, 10), (10, 30), (10, 20)]);
    // Whoever is destroyed is told nothing; the others are told of it.
    let out = stand.event(vec![Change::Destroyed { entity: entity(20) }]);
    assert_eq!(pairs(&out), [(130, 20), (110, 20)]);
}

#[test]
fn the_first_and_the_last_watcher_are_facts() {
    let mut stand = Stand::new();
    stand.rock(5, at(0.0, 0.0));
    let watched = [Fact::Watched { entity: entity(5) }];
    let unwatched = [Fact::Unwatched { entity: entity(5) }];
    assert_eq!(facts(&stand.player(1, at(0.0, 0.0))), watched);
    assert_eq!(facts(&stand.player(2, at(0.0, 0.0))), []);
    assert_eq!(facts(&stand.event(vec![Change::Detached { session: session(1) }])), []);
    assert_eq!(facts(&stand.moved(2, at(90.0, 0.0))), unwatched);
    assert_eq!(facts(&stand.moved(2, at(0.0, 0.0))), watched);
    assert_eq!(facts(&stand.event(vec![Change::Left { entity: entity(2) }])), unwatched);
}

#[test]
fn a_client_that_goes_elsewhere_hears_no_more_from_here() {
    let mut stand = Stand::new();
    stand.rock(5, at(0.0, 0.0));
    stand.player(1, at(0.0, 0.0));
    // Its entity leaves the space: the next space begins a new view, once the gate knows that this one is over.
    let out = stand.event(vec![Change::Left { entity: entity(1) }]);
    let told: Vec<&ToGate> = gates(&out).collect();
    assert!(matches!(told[..], [ToGate::End { view: 1, .. }]), "{told:?}");
    stand.event(vec![set(5, HP, &[1])]);
    stand.moved(5, at(1.0, 0.0));
    assert_eq!(stand.pass(10_000), []);
    assert_eq!(stand.replicator.next_ms(), None);
}

#[test]
fn a_client_changes_its_entity_within_the_space() {
    let mut stand = Stand::new();
    let mut clients = Clients::of(&stand.player(1, at(0.0, 0.0)));
    clients.take(&stand.player(2, at(50.0, 0.0)));
    clients.take(&stand.event(vec![Change::Attached { entity: entity(2), session: session(1), view: 2 }]));
    let client = clients.client(1);
    assert_eq!((client.view, client.owner), (2, entity(2)));
    assert!(!sees(&clients, 1, 1), "the old view is gone");
    assert!(client.mirror[&entity(2)].own);
    // The client that was replaced is told nothing more, and nobody sees for the old entity.
    stand.event(vec![set(2, GOLD, &[4])]);
    for value in gates(&stand.pass(1_000)) {
        let ToGate::Frames { viewers, .. } = value else { continue };
        assert_eq!(viewers.as_slice(), [Viewer { session: session(1), view: 2 }]);
    }
}

#[test]
fn handles_rest_before_they_name_another_entity() {
    let mut stand = Stand::new();
    let mut clients = Clients::of(&stand.player(1, at(0.0, 0.0)));
    let mut last = clients.client(1).mirror[&entity(1)].handle;
    assert_ne!(last, 0);
    let mut given: Vec<(u16, u64)> = Vec::new();
    for round in 0..70_000u64 {
        stand.now_ms += 1;
        let number = 2 + (round % 2) as u32;
        clients.take(&stand.rock(number, at(1.0, 0.0)));
        last = clients.client(1).mirror[&entity(number)].handle;
        clients.take(&stand.event(vec![Change::Destroyed { entity: entity(number) }]));
        clients.by_session.get_mut(&session(1)).unwrap().frames.clear();
        given.push((last, stand.now_ms));
    }
    assert_ne!(last, 0);
    let mut before: BTreeMap<u16, u64> = BTreeMap::new();
    for (handle, ms) in given {
        assert_ne!(handle, 0);
        if let Some(since) = before.insert(handle, ms) {
            assert!(ms - since >= HANDLE_REST_MS);
        }
    }
    // All at once: those that find no handle are seen all the same, without positions.
    let mut crowd = Stand::new();
    let mut clients = Clients::of(&crowd.player(1, at(0.0, 0.0)));
    let rocks = (2_000..67_600).map(|number| crowd.created(number, ROCK, Some(at(1.0, 0.0)))).collect();
    clients.take(&crowd.event(rocks));
    let mirror = &clients.client(1).mirror;
    // 65,600 rocks and the avatar want one; the space never has one.
    assert_eq!(mirror.values().filter(|known| known.handle == 0).count(), 65_601 - 65_535 + 1);
}
