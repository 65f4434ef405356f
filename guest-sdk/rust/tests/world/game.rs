//! The game that the scenarios play: each method does one thing of the contract.
#![allow(missing_docs, clippy::panic, reason = "a game for tests")]

use everwake::*;

#[attr_type]
pub enum Sorry {
    Full,
    Banned(u32),
    NotYet { until: Time },
}

pub type LaterReply = Reply<u32, Sorry>;

#[client_methods]
pub trait BodyClient {
    fn pinged(from: String, count: u32);
}

#[entity(persistent, boot, aoi = 10.0, tick = "10 Hz", client = BodyClient)]
pub struct Body {
    #[attr(client, default = "nobody")]
    pub name: String,
    pub count: u32,
    pub log: List<String>,
    pub parked: Option<LaterReply>,
    pub timer: Option<TimerId>,
    pub watch: WatchId,
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

    fn on_kept(&mut self, _: &mut Context, _: (), kept: Result<(u32, bool), CallError>) {
        self.log.push(format!("{kept:?}"));
    }

    fn on_swapped_value(&mut self, _: &mut Context, _: (), now: Result<(bool, Option<u32>), CallError>) {
        self.log.push(format!("{now:?}"));
    }

    fn on_range(&mut self, _: &mut Context, _: (), rows: Result<Vec<(String, u32)>, CallError>) {
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
pub struct Purse {
    pub gold: u32,
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
pub struct Yard {
    pub people: u32,
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
pub struct Keeper {
    pub yards: List<Ref<Yard>>,
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
