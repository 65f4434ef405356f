//! The mock keeps the contract of `wit/`: transactions, answers, bounces, timers, watches,
//! spaces, clients, ticks. Each test is a sentence of it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that gets something else has failed"
)]

use everwake::*;

#[attr_type]
enum Sorry {
    Full,
    Banned(u32),
    NotYet { until: Time },
}

type LaterReply = Reply<u32, Sorry>;

#[client_methods]
trait BodyClient {
    fn pinged(from: String, count: u32);
}

#[entity(persistent, boot, aoi = 10.0, tick = "10 Hz", client = BodyClient)]
struct Body {
    #[attr(client, default = "nobody")]
    name: String,
    count: u32,
    log: List<String>,
    parked: Option<LaterReply>,
    timer: Option<TimerId>,
    watch: WatchId,
}

#[methods]
impl Body {
    fn new(cx: &mut Context, name: String) -> Result<Self, Fail> {
        if name == "nobody at all" {
            return Err("a name, please".into());
        }
        let name = if name.is_empty() { "guest".to_owned() } else { name };
        Ok(Self { log: List::from([format!("new at {}", cx.now().0)]), name, ..Self::default() })
    }

    #[rpc(own_client)]
    fn add(&mut self, amount: u32) -> Result<u32, Fail> {
        self.count += amount;
        if self.count > 10 {
            return Err("too much".into());
        }
        Ok(self.count)
    }

    #[rpc(all_clients)]
    fn ask(&mut self, what: u32) -> Result<u32, Refused<Sorry>> {
        self.count += 1;
        match what {
            0 => Err(Refused(Sorry::Full)),
            1 => Err(Refused(Sorry::Banned(3))),
            2 => Err(Refused(Sorry::NotYet { until: Time(9) })),
            _ => Ok(what),
        }
    }

    #[rpc(server)]
    fn later(&mut self, reply: LaterReply) {
        self.parked = Some(reply);
    }

    #[rpc(server)]
    fn now_then(&mut self, cx: &mut Context, value: u32) {
        if let Some(reply) = self.parked.take() {
            if value == 0 { reply.err(cx, Sorry::Full) } else { reply.ok(cx, value) }
        }
    }

    #[rpc(server)]
    fn boom(&mut self) {
        self.count = 99;
        panic!("boom");
    }

    #[rpc(server)]
    fn relay(&mut self, cx: &mut Context, to: Ref<Body>, amount: u32) {
        cx.call(to.add(amount)).within(secs(2)).then(on!(Self::on_added), "relayed".to_string());
    }

    #[rpc(server)]
    fn relay_later(&mut self, cx: &mut Context, to: Ref<Body>) {
        cx.call(to.later()).within(secs(2)).then(on!(Self::on_added), "late".to_string());
    }

    fn on_added(&mut self, _: &mut Context, what: String, answer: Result<u32, CallError>) {
        self.log.push(match answer {
            Ok(count) => format!("{what} {count}"),
            Err(error) => format!("{what} {error}"),
        });
    }

    #[rpc(server)]
    fn ask_all(&mut self, cx: &mut Context, all: Vec<Ref<Body>>) {
        cx.gather(all.iter().map(|body| body.add(1))).then(on!(Self::on_all), ());
    }

    fn on_all(&mut self, _: &mut Context, _: (), answers: Vec<Result<u32, CallError>>) {
        let texts: Vec<String> =
            answers.iter().map(|answer| answer.as_ref().map_or("-".into(), u32::to_string)).collect();
        self.log.push(texts.join(" "));
    }

    #[rpc(server)]
    fn mail(&mut self, cx: &mut Context, to: Ref<Body>) {
        cx.send(to.add(1)).or_bounce(on!(Self::on_bounce), to);
        cx.post(to.add(1));
    }

    fn on_bounce(&mut self, _: &mut Context, _: Ref<Body>, why: CallError) {
        self.log.push(format!("bounced {}", why.code()));
    }

    #[rpc(server)]
    fn start(&mut self, cx: &mut Context) {
        cx.after(ms(500), on!(Self::on_timer), "once".to_string());
        self.timer = Some(cx.every(secs(1), on!(Self::on_timer), "each".to_string()));
    }

    fn on_timer(&mut self, cx: &mut Context, what: String, _: Fired) {
        self.log.push(what);
        if self.log.len() > 3
            && let Some(timer) = self.timer.take()
        {
            cx.cancel(timer);
        }
    }

    #[rpc(server)]
    fn mind(&mut self, cx: &mut Context, whom: Ref<Body>) {
        self.watch = cx.watch(whom, on!(Self::on_gone), 5);
    }

    fn on_gone(&mut self, _: &mut Context, context: u32, gone: Gone) {
        self.log.push(format!("{gone:?} {context}"));
    }

    #[rpc(server)]
    fn shove(&mut self, cx: &mut Context, other: Ref<Body>, third: Ref<Body>) -> Result<u32, Fail> {
        let me = cx.me::<Self>();
        assert_eq!(cx.with(me, |_, _| ()), Err(Error::Busy));
        let sum = cx.with2(other, third, |other, third, cx| {
            assert_eq!(cx.me::<Body>().id(), cx.id());
            other.count += 1;
            third.count += 1;
            assert_eq!(cx.with(me, |_, _| ()), Err(Error::Busy));
            other.count + third.count
        })?;
        self.count += sum;
        if sum > 4 {
            return Err("enough".into());
        }
        Ok(sum)
    }

    #[rpc(own_client)]
    fn ping(&mut self, cx: &mut Context) {
        self.count += 1;
        cx.all_clients(self).pinged(self.name.clone(), self.count);
        cx.set_filter(self, "team", Some("red"));
    }

    #[rpc(server)]
    fn shout(&mut self, cx: &mut Context) {
        cx.broadcast::<Body>(Filter::equal("team", "red")).pinged("all".into(), 1);
    }

    #[rpc(own_client)]
    fn hand_over(&mut self, cx: &mut Context, to: Ref<Body>) {
        cx.call(give_to(to)).then(on!(Self::on_given), ());
    }

    fn on_given(&mut self, _: &mut Context, _: (), given: Result<(), CallError>) {
        self.log.push(format!("given {}", given.is_ok()));
    }

    #[rpc(server)]
    fn go(&mut self, cx: &mut Context, to: Id) {
        cx.enter(to, Pose::at(1.0, 1.0));
    }

    #[rpc(server)]
    fn end(&mut self, cx: &mut Context) {
        cx.destroy_me();
    }

    #[rpc(server)]
    fn breed(&mut self, cx: &mut Context, fails: bool) -> Result<Ref<Body>, Fail> {
        let child = cx.spawn::<Body>("child".into(), cx.pose());
        cx.with(child, |child, _| child.count = 7)?;
        cx.post(child.add(1));
        if fails { Err("no".into()) } else { Ok(child) }
    }

    #[rpc(server)]
    fn keep(&mut self, cx: &mut Context) {
        cx.call(kv::get_or_put("best", &self.count)).then(on!(Self::on_kept), ());
        cx.call(kv::compare_and_set("best", Some(&self.count), Some(&50)))
            .then(on!(Self::on_swapped_value), ());
        cx.call(kv::range::<u32>("a", "", 10)).then(on!(Self::on_range), ());
    }

    fn on_kept(&mut self, _: &mut Context, _: (), kept: Result<(kv::Stored<u32>, bool), CallError>) {
        self.log.push(format!("{kept:?}"));
    }

    fn on_swapped_value(
        &mut self,
        _: &mut Context,
        _: (),
        now: Result<(bool, Option<kv::Stored<u32>>), CallError>,
    ) {
        self.log.push(format!("{now:?}"));
    }

    fn on_range(&mut self, _: &mut Context, _: (), rows: Result<Vec<(String, kv::Stored<u32>)>, CallError>) {
        self.log.push(format!("{rows:?}"));
    }

    #[tick]
    fn think(&mut self, cx: &mut Tick) -> Result<(), Fail> {
        assert_eq!(cx.dt(), 0.1);
        if self.name == "broken" {
            return Err("cannot think".into());
        }
        if let Some((_, at)) = cx.nearest::<Body>(5.0) {
            cx.step_towards(at.place(), 1.0);
        }
        Ok(())
    }

    fn on_create(&mut self) {
        self.log.push("create".into());
    }

    fn on_enter_space(&mut self, _: &mut Context, space: Id) {
        self.log.push(format!("enter {}", !space.is_nil()));
    }

    fn on_leave_space(&mut self) {
        self.log.push("leave".into());
    }

    fn on_enter_failed(&mut self, _: &mut Context, _: Id, why: String) {
        self.log.push(why);
    }

    fn on_enter_aoi(&mut self, _: &mut Context, _: Id) {
        self.log.push("sees".into());
    }

    fn on_client_lost(&mut self, _: &mut Context, reason: u32) {
        self.log.push(format!("lost {reason}"));
    }
}

/// Its stored `gold` was called `coins` in schema 1, and counted tens.
#[entity(persistent, schema = 2)]
struct Purse {
    gold: u32,
}

#[methods]
impl Purse {
    #[migrate]
    fn migrate(from: u32, to: u32, state: &mut State) -> Result<(), Fail> {
        match (from, to) {
            (1, 2) => {
                let coins: u32 = state.take("coins")?;
                state.set("gold", &(coins * 10));
            }
            (2, 1) => {
                let gold: u32 = state.take("gold")?;
                state.set("coins", &(gold / 10));
            }
            _ => return Err(format!("no way from {from} to {to}").into()),
        }
        Ok(())
    }
}

#[space]
struct Yard {
    people: u32,
}

#[methods]
impl Yard {
    fn on_member_enter(&mut self, _: &mut Context, _: Ref<Body>) {
        self.people += 1;
    }

    fn on_member_leave(&mut self) {
        self.people -= 1;
    }
}

#[service(shards = 3)]
struct Keeper {
    yards: List<Ref<Yard>>,
}

#[methods]
impl Keeper {
    fn on_ready(&mut self, cx: &mut Context) {
        cx.call(create::<Yard>((), Place::Anywhere)).then(on!(Self::on_yard), ());
    }

    fn on_yard(&mut self, _: &mut Context, _: (), yard: Result<Ref<Yard>, CallError>) {
        self.yards.extend(yard.ok());
    }

    #[rpc(server)]
    fn same_shard(&mut self, cx: &mut Context, key: String) -> bool {
        Ref::<Self>::shard_for(&key) == Ref::shard_for(&key)
            && Ref::<Self>::shard(0).is_ok()
            && cx.space_id().is_none()
    }
}

module! { name: "contract", types: [Body, Yard, Keeper, Purse], label: "test", budget: ms(5), memory: mib(16), capabilities: ["key-value"] }

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
        let said = [
            "create",
            "Ok((Stored(3), true))",
            "Ok((true, Some(Stored(50))))",
            "Ok([(\"best\", Stored(50))])",
        ];
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
