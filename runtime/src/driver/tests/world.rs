//! A game in lock step.

use super::lockstep::{World, WorldSettings};
use super::*;
use crate::game::admin::{AdminAnswer, AdminRequest};
use crate::game::publish::PublishOptions;
use crate::game::report::Fact;

fn world(seed: u64) -> (World, ModelLoader, [Bytes; 3]) {
    let (loader, versions) = loader("yard");
    let settings = WorldSettings {
        config: config(),
        lives: LIVES,
        spaces: SpaceSettings::default(),
        seed,
        start_ms: 1_000_000,
        loader: Box::new(loader.clone()),
    };
    (World::new(settings), loader, versions)
}

fn publish(world: &mut World, version: &Bytes) -> crate::game::report::PublicationReport {
    world.publish(version.clone(), PublishOptions::default()).unwrap().expect("an answer")
}

/// A world with version 1 and a client.
fn playing(seed: u64) -> (World, Client, [Bytes; 3]) {
    let (mut world, _, versions) = world(seed);
    let report = publish(&mut world, &versions[0]);
    assert!(report.published, "{report:?}");
    world.from_gate(connected("yard"));
    world.settle().unwrap();
    let mut client = Client::default();
    client.take(&world.take_gate());
    (world, client, versions)
}

fn ask(world: &mut World, client: &mut Client, method: &str) -> u64 {
    let (request, to_game) = client.request(method);
    world.from_gate(to_game);
    world.advance(200).unwrap();
    client.take(&world.take_gate());
    request
}

#[test]
fn a_client_plays_through_versions_and_its_state_stays() {
    let (mut world, mut client, versions) = playing(1);
    let first = ask(&mut world, &mut client, "hit");
    assert_eq!(client.hit(first), (1, 1));
    let report = publish(&mut world, &versions[1]);
    assert_eq!((report.exit, report.generation, report.published), (0, 2, true), "{report:?}");
    let second = ask(&mut world, &mut client, "hit");
    assert_eq!(client.hit(second), (2, 2));
    world.advance(10_000).unwrap();
    assert!(world.take_facts().iter().any(|fact| matches!(fact, Fact::Passed { .. })));
    assert!(!client.closed);
}

#[test]
fn an_entity_goes_from_its_shard_into_the_room_of_a_service() {
    let (mut world, mut client, _) = playing(2);
    let spaces = world.spaces().len();
    assert_eq!(spaces, 4, "two shards, a service, its room");
    ask(&mut world, &mut client, "hit");
    ask(&mut world, &mut client, "join");
    let after = ask(&mut world, &mut client, "hit");
    assert_eq!(client.hit(after), (1, 1_002), "the hook of the room's arrival ran once");
    assert_eq!(world.game().counters().moves, 1);
    let ticket = world.ask(AdminRequest::Inspect { id: BOOT });
    let answer = world.wait_for(ticket).unwrap();
    assert!(matches!(answer, Some(AdminAnswer::View(_))), "{answer:?}");
}

#[test]
fn a_broken_version_goes_back_by_itself_and_nothing_is_lost() {
    let (mut world, mut client, versions) = playing(3);
    ask(&mut world, &mut client, "hit");
    assert!(publish(&mut world, &versions[2]).published);
    for _ in 0..3 {
        let request = ask(&mut world, &mut client, "hit");
        assert!(matches!(client.replies[&request], Outcome::Err { .. }));
    }
    let facts = world.take_facts();
    assert!(facts.iter().any(|fact| matches!(fact, Fact::Reverting { .. })), "{facts:?}");
    assert_eq!(world.take_crashes().len(), 3);
    // The client is charged for its crashes for a minute.
    world.advance(61_000).unwrap();
    let after = ask(&mut world, &mut client, "hit");
    assert_eq!(client.hit(after), (1, 2));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let (mut world, mut client, versions) = playing(seed);
        let mut said = Vec::new();
        for method in ["hit", "join", "hit", "crash", "hit"] {
            let (_, to_game) = client.request(method);
            world.from_gate(to_game);
            world.advance(50).unwrap();
            said.extend(world.take_gate());
        }
        publish(&mut world, &versions[1]);
        said.extend(world.take_gate());
        format!("{said:?}")
    };
    assert_eq!(run(7), run(7));
}

#[test]
fn a_shut_down_closes_everything() {
    let (mut world, _, _) = playing(4);
    world.shut_down().unwrap();
    assert!(world.finished());
    assert!(world.spaces().is_empty());
}

#[test]
fn versions_that_nobody_needs_are_unloaded() {
    let (mut world, loader, versions) = world(5);
    publish(&mut world, &versions[0]);
    let ticket =
        world.ask(AdminRequest::Plan { bytes: versions[1].clone(), options: PublishOptions::default() });
    let answer = world.wait_for(ticket).unwrap();
    assert!(matches!(answer, Some(AdminAnswer::Publication(report)) if report.exit == 0));
    assert_eq!(loader.loaded(), 1);
}

/// Entities that have a client, in all spaces.
fn owners(world: &mut World) -> Vec<EntityId> {
    let mut owners = Vec::new();
    for space in world.spaces() {
        let snapshot = world.with_space(space, |core| core.snapshot()).expect("a space");
        let entities = snapshot.expect("nothing waits").entities;
        owners.extend(entities.into_iter().filter(|it| it.body.client.is_some()).map(|it| it.id));
    }
    owners
}

#[test]
fn a_client_that_is_given_away_by_an_entity_that_ends_goes_on() {
    for method in ["hand", "split"] {
        for seed in 0..20 {
            let (mut world, mut client, _) = playing(seed);
            let (_, to_game) = client.request(method);
            world.from_gate(to_game);
            world.advance(200).unwrap();
            let to_gate = world.take_gate();
            client.take(&to_gate);
            assert!(!client.closed, "{method} {seed}: {to_gate:?}");
            let owner = to_gate.iter().rev().find_map(|message| match message {
                FromDispatcher::Deliver(envelope) => match &envelope.payload {
                    ToGate::View { session: SESSION, view: 2, owner, .. } => Some(*owner),
                    _ => None,
                },
                _ => None,
            });
            assert_eq!(owner.as_slice(), owners(&mut world), "{method} {seed}");
            assert_ne!(owner, Some(BOOT));
        }
    }
}

#[test]
fn a_client_that_hangs_up_while_it_is_given_away_haunts_nobody() {
    for method in ["hand", "split"] {
        for seed in 0..20 {
            let (mut world, mut client, _) = playing(seed);
            let (_, to_game) = client.request(method);
            world.from_gate(to_game);
            world.from_gate(hung_up(BOOT, 2));
            world.advance(200).unwrap();
            // Whoever took it meanwhile shows it a view, which its gate does not want.
            for message in world.take_gate() {
                if let FromDispatcher::Deliver(envelope) = message
                    && let ToGate::View { session: SESSION, view: 2, owner, .. } = envelope.payload
                {
                    world.from_gate(hung_up(owner, 3));
                }
            }
            world.advance(200).unwrap();
            assert_eq!(owners(&mut world), [], "{method} {seed}");
        }
    }
}
