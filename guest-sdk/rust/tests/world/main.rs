//! The mock keeps the contract of `wit/`: transactions, answers, bounces, timers, watches,
//! spaces, clients, ticks. Each test is a sentence of it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that gets something else has failed"
)]

mod game;

use everwake::*;
use game::*;

module! { name: "contract", types: [Body, Yard, Keeper, Purse], label: "test", budget: ms(5), memory: mib(16), capabilities: ["key-value", "broadcast"] }

type World = mock::World<Module>;

/// Runs a scenario twice: with an instance that lives, and one that is dropped after each
/// event. Nothing may differ.
fn scenario(run: impl Fn(&mut World)) {
    let (mut lives, mut dies) = (World::new(), World::new().with_drops());
    run(&mut lives);
    run(&mut dies);
    assert_eq!(lives.transcript(), dies.transcript());
}

fn body(world: &mut World, name: &str) -> Ref<Body> {
    world.create::<Body>(name.into())
}

fn log(world: &World, body: Ref<Body>) -> Vec<String> {
    world.get(body).log.iter().filter(|line| !line.starts_with("new")).cloned().collect()
}

#[test]
fn an_error_undoes_and_a_refusal_commits() {
    scenario(|world| {
        let body = body(world, "ann");
        assert_eq!(world.call(body.add(4)), Ok(4));
        let failed = world.call(body.add(40)).unwrap_err();
        assert_eq!((failed.code(), failed.is_not_run()), ("failed", true));
        assert_eq!(failed.detail().read::<String>().unwrap(), "too much");
        assert_eq!(world.get(body).count, 4);
        let refused = [0, 1, 2].map(|what| world.call(body.ask(what)).unwrap_err().refused::<Sorry>());
        assert_eq!(
            refused,
            [Some(Sorry::Full), Some(Sorry::Banned(3)), Some(Sorry::NotYet { until: Time(9) })]
        );
        assert_eq!(world.get(body).count, 7);
    });
}

#[test]
fn a_panic_undoes_and_the_world_goes_on() {
    scenario(|world| {
        let body = body(world, "ann");
        assert_eq!(world.call(body.boom()).unwrap_err().code(), "trapped");
        assert_eq!(world.call(body.add(1)), Ok(1));
    });
}

#[test]
fn an_answer_may_come_later_or_never() {
    scenario(|world| {
        let (ann, bob) = (body(world, "ann"), body(world, "bob"));
        for value in [5, 0] {
            world.call(bob.relay_later(ann)).unwrap();
            assert!(world.get(ann).parked.is_some());
            world.call(ann.now_then(value)).unwrap();
        }
        world.call(bob.relay_later(ann)).unwrap();
        world.advance(secs(3));
        world.call(bob.relay_later(ann)).unwrap();
        world.call(ann.end()).unwrap();
        let said = [
            "create",
            "late 5",
            "late refused: full",
            "late outcome unknown: deadline",
            "late outcome unknown: dropped",
        ];
        assert_eq!(log(world, bob), said);
    });
}

#[test]
fn calls_gatherings_and_bounces_come_back_once() {
    scenario(|world| {
        let (ann, bob) = (body(world, "ann"), body(world, "bob"));
        world.call(ann.relay(bob, 2)).unwrap();
        world.call(ann.relay(bob, 20)).unwrap();
        world.call(ann.mail(bob)).unwrap();
        assert_eq!(world.get(bob).count, 4);
        world.call(bob.end()).unwrap();
        world.call(ann.mail(bob)).unwrap();
        world.call(ann.ask_all(vec![ann, bob])).unwrap();
        let said = ["create", "relayed 2", "relayed not run: failed: too much", "bounced gone", "1 -"];
        assert_eq!(log(world, ann), said);
    });
}

#[test]
fn timers_fire_in_time_until_they_are_cancelled() {
    scenario(|world| {
        let body = body(world, "ann");
        world.call(body.start()).unwrap();
        world.advance(ms(499));
        assert_eq!(log(world, body), ["create"]);
        world.advance(secs(10));
        assert_eq!(log(world, body), ["create", "once", "each"]);
    });
}

#[test]
fn a_watch_tells_once() {
    scenario(|world| {
        let (ann, bob) = (body(world, "ann"), body(world, "bob"));
        world.call(ann.mind(bob)).unwrap();
        world.call(bob.end()).unwrap();
        world.call(ann.mind(bob)).unwrap();
        assert_eq!(log(world, ann), ["create", "Destroyed 5", "Destroyed 5"]);
    });
}

#[test]
fn others_are_borrowed_once_and_undone_together() {
    scenario(|world| {
        let yard = world.create::<Yard>(());
        let all = ["a", "b", "c"].map(|name| world.create_in::<Body>(yard, name.into(), Pose::default()));
        let [a, b, c] = all;
        assert_eq!(world.call(a.shove(b, c)), Ok(2));
        assert_eq!(world.call(a.shove(b, c)), Ok(4));
        assert_eq!(world.call(a.shove(b, c)).unwrap_err().code(), "failed");
        assert_eq!(all.map(|body| world.get(body).count), [6, 2, 2]);
        let alone = body(world, "alone");
        assert_eq!(world.call(a.shove(b, alone)).unwrap_err().code(), "failed");
        assert_eq!(all.map(|body| world.get(body).count), [6, 2, 2]);
    });
}

#[test]
fn what_is_spawned_is_there_at_once_or_never() {
    scenario(|world| {
        let yard = world.create::<Yard>(());
        let mother = world.create_in::<Body>(yard, "mother".into(), Pose::at(100.0, 0.0));
        let child = world.call(mother.breed(false)).unwrap();
        assert_eq!(world.get(child).count, 8);
        assert_eq!(log(world, child), ["create", "enter true", "sees"]);
        let before = world.get(yard).people;
        assert!(world.call(mother.breed(true)).is_err());
        assert_eq!((before, world.get(yard).people), (2, 2));
    });
}

#[test]
fn entities_move_between_spaces() {
    scenario(|world| {
        let (one, two) = (world.create::<Yard>(()), world.create::<Yard>(()));
        let ann = world.create_in::<Body>(one, "ann".into(), Pose::default());
        world.call(ann.go(two.id())).unwrap();
        assert_eq!((world.space_of(ann), world.pose_of(ann)), (Some(two.id()), Pose::at(1.0, 1.0)));
        assert_eq!((world.get(one).people, world.get(two).people), (0, 1));
        world.call(ann.go(ann.id())).unwrap();
        assert_eq!(log(world, ann), ["create", "enter true", "leave", "enter true", "not-found"]);
    });
}

#[test]
fn clients_see_what_is_near_and_nothing_else() {
    scenario(|world| {
        let yard = world.create::<Yard>(());
        let mut make = |x: f32| {
            let body = world.create_in::<Body>(yard, "x".into(), Pose::at(x, 0.0));
            world.attach(body);
            body
        };
        let (near, there, far) = (make(0.0), make(6.0), make(60.0));
        world.client_call(near.ping()).unwrap();
        assert_eq!(world.received(there)[0].args::<(String, u32)>(), ("x".into(), 1));
        assert_eq!(world.received(near).len(), 1);
        assert_eq!(world.received(far).len(), 0);
        assert_eq!(world.client_call_by(there, near.ask(5)), Ok(5));
        assert_eq!(world.client_call_by(far, near.ask(5)).unwrap_err().code(), "not-exposed");
        assert_eq!(world.client_call_by(there, near.add(5)).unwrap_err().code(), "not-exposed");
        assert_eq!(world.client_call(near.mail(far)).unwrap_err().code(), "not-exposed");
        world.call(far.shout()).unwrap();
        assert_eq!((world.received(near).len(), world.received(there).len()), (1, 0));
    });
}

#[test]
fn a_client_is_handed_over() {
    scenario(|world| {
        let boot = world.connect::<Body>();
        assert_eq!(world.get(boot).name, "guest");
        let taker = body(world, "taker");
        world.client_call(boot.hand_over(taker)).unwrap();
        assert!(world.has_client(taker) && !world.has_client(boot));
        assert_eq!(log(world, boot), ["create", "lost 2", "given true"]);
        world.disconnect(taker);
        assert_eq!(log(world, taker), ["create", "lost 0"]);
    });
}

#[test]
fn a_tick_goes_on_without_the_one_that_fails() {
    scenario(|world| {
        let yard = world.create::<Yard>(());
        let make = |world: &mut World, name: &str, x: f32| {
            world.create_in::<Body>(yard, name.into(), Pose::at(x, 0.0))
        };
        let (a, _broken, b) = (make(world, "a", 0.0), make(world, "broken", 50.0), make(world, "b", 4.0));
        world.advance(secs(1));
        assert!(world.pose_of(a).x > 0.9 && world.pose_of(b).x < 3.1);
    });
}

#[test]
fn the_store_answers_with_the_state_right_after() {
    scenario(|world| {
        let body = body(world, "ann");
        world.call(body.add(3)).unwrap();
        world.call(body.keep()).unwrap();
        assert_eq!(world.stored::<u32>("best"), Some(50));
        let said = ["create", "Ok((3, true))", "Ok((true, Some(50)))", "Ok([(\"best\", 50)])"];
        assert_eq!(log(world, body), said);
    });
}

#[test]
fn services_are_there_from_the_start() {
    scenario(|world| {
        let keeper = world.shard::<Keeper>(2);
        assert_eq!(world.get(keeper).yards.len(), 1);
        assert_eq!(world.call(keeper.same_shard("key".into())), Ok(true));
    });
}

#[test]
fn stored_attributes_are_migrated_up_and_down() {
    use everwake::sdk::migrate;
    let old = b"\xa2\x65coins\x04\x65other\xf5";
    let new = migrate::<Module>(3, 1, 2, old).unwrap();
    assert_eq!(new, b"\xa2\x64gold\x18\x28\x65other\xf5");
    assert_eq!(migrate::<Module>(3, 2, 1, &new).unwrap(), old);
    assert!(migrate::<Module>(3, 1, 3, old).is_err());
    assert!(migrate::<Module>(3, 1, 2, b"\xff").is_err());
}

#[test]
fn a_constructor_may_refuse() {
    let mut world = World::new();
    let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        world.create::<Body>("nobody at all".into())
    }));
    assert!(made.is_err());
}

#[test]
fn arguments_of_another_version_are_read() {
    use everwake::sdk::Value;
    // One argument too few is the initial value; one too many is ignored.
    let mut few = everwake::cbor::Reader::new(&[0x80]);
    assert_eq!(<(u32, bool)>::decode(&mut few), Ok((0, false)));
    let mut many = everwake::cbor::Reader::new(&[0x83, 0x07, 0xf5, 0x61, b'x']);
    assert_eq!(<(u32, bool)>::decode(&mut many), Ok((7, true)));
}

#[test]
fn the_manifest_says_everything() {
    let manifest = everwake::sdk::describe_module::<Module>();
    assert_eq!(
        (manifest.name.as_str(), manifest.event_budget_ms, manifest.memory_bytes),
        ("contract", 5, 16 << 20)
    );
    let body = &manifest.types[0];
    assert!(body.boot && body.persistent && body.aoi_radius == Some(10.0) && body.ticks_per_second == 10.0);
    let attributes: Vec<_> =
        body.attributes.iter().map(|a| (a.name.as_str(), a.type_text.as_str())).collect();
    assert_eq!(
        attributes,
        [
            ("name", "string"),
            ("count", "u32"),
            ("log", "list<string>"),
            ("parked", "option<tuple<id, id>>"),
            ("timer", "option<id>"),
            ("watch", "id"),
        ]
    );
    assert_eq!(body.attributes[0].initial, b"\x66nobody");
    let add = body.methods.iter().find(|method| method.name == "add").unwrap();
    assert_eq!((add.parameters[0].name.as_str(), add.returns.as_str()), ("amount", "u32"));
    let later = body.methods.iter().find(|method| method.name == "later").unwrap();
    assert_eq!((later.parameters.len(), later.returns.as_str()), (0, "u32"));
    assert_eq!(body.hooks, [0, 1, 4, 5, 6, 9, 14]);
    assert_eq!(body.client_methods[0].parameters.len(), 2);
    assert_eq!(manifest.types[2].shards, 3);
}
