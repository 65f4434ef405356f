//! Who acts: a client's entity, its friend without a client, and the victim that somebody will destroy.

use crate::desk::Places;
use crate::{Desk, Hall, Runner};
use everwake::*;

/// What an actor's client is told.
#[client_methods]
pub trait ActorClient {
    fn heard(what: String);
}

/// The answer of [`Actor::promise`], which comes when the test wants it.
pub type LaterReply = Reply<u32>;

/// Who acts.
#[entity(boot, aoi = 500.0, client = ActorClient)]
pub struct Actor {
    #[attr(all_clients)]
    pub name: String,
    #[attr(all_clients)]
    pub value: i32,
    /// Everything that came to it.
    #[attr(all_clients)]
    pub notes: List<String>,
    #[attr(all_clients)]
    pub table: Map<String, i32>,
    pub friend: Ref<Actor>,
    pub victim: Ref<Actor>,
    pub other_hall: Ref<Hall>,
    /// From before the act, to be undone by it.
    pub timer: TimerId,
    pub watch: WatchId,
    pub waiting: LaterReply,
    pub taken: Option<LaterReply>,
}

#[methods]
impl Actor {
    fn new(_: &mut Context, name: String) -> Self {
        Self { name, ..Self::default() }
    }

    fn on_client(&mut self, cx: &mut Context) {
        if self.name.is_empty() {
            cx.call(Desk::only().places()).then(on!(Self::on_places), ());
        } else {
            self.notes.push("a client came".into());
        }
    }

    fn on_client_lost(&mut self, reason: u32) {
        self.notes.push(format!("the client left: {reason}"));
    }

    fn on_places(&mut self, cx: &mut Context, _: (), places: Result<Places, CallError>) {
        let Ok((number, hall, other)) = places else { return cx.kick(self, "there is no hall") };
        self.name = format!("guest {number}");
        self.other_hall = other;
        cx.enter(hall, Pose::at(number as f32, 0.0));
    }

    /// Sets the stage: what some acts then end, answer or stop.
    #[rpc(own_client)]
    fn prepare(&mut self, cx: &mut Context) -> Result<(), Fail> {
        self.friend = named(cx, "friend").ok_or("no friend")?;
        self.victim = named(cx, "victim").ok_or("no victim")?;
        self.timer = cx.after(ms(1_500), on!(Self::on_timer), "old timer".to_owned());
        self.watch = cx.watch(self.victim, on!(Self::on_gone), "old watch".to_owned());
        cx.call(kv::put("old", &1_u32)).then(on!(Self::on_put), "old".to_owned());
        cx.send(self.friend.ask(cx.me::<Self>()));
        Ok(())
    }

    /// Does `what`, and ends as `end` says.
    #[rpc(own_client)]
    fn probe(&mut self, cx: &mut Context, what: String, end: String) -> Result<(), Fail> {
        self.act(cx, &what)?;
        match end.as_str() {
            "err" => Err("it was told to fail".into()),
            "trap" => panic!("it was told to trap"),
            "refuse" => Ok(everwake::sdk::finish(Err::<(), _>(Refused("it was told to refuse".to_owned())))?),
            _ => Ok(()),
        }
    }

    /// Tells the armed runner how its ticks shall end.
    #[rpc(own_client)]
    fn arm(&mut self, cx: &mut Context, end: String) -> Result<(), Fail> {
        for runner in cx.members::<Runner>() {
            cx.with(runner, |runner, _| {
                if runner.name == "armed" {
                    runner.end = end.clone();
                }
            })?;
        }
        Ok(())
    }

    /// Looks at what only shows when somebody asks: filters, the store, watches.
    #[rpc(own_client)]
    fn look(&mut self, cx: &mut Context) {
        cx.broadcast::<Self>(Filter::equal("team", "red")).heard("to the red team".into());
        cx.call(kv::range::<u32>("", "", 100)).then(on!(Self::on_rows), "looked".to_owned());
        if let Some(victim) = named(cx, "victim") {
            cx.destroy(victim);
        }
    }

    /// Calls `asker` for something that it will answer when it wants to.
    #[rpc(server)]
    fn ask(&mut self, cx: &mut Context, asker: Ref<Actor>) {
        cx.call(asker.promise()).within(secs(60)).then(on!(Self::on_value), "promised".to_owned());
    }

    #[rpc(server)]
    fn promise(&mut self, reply: LaterReply) {
        self.waiting = reply;
    }

    #[rpc(server)]
    fn poke(&mut self, what: String) -> u32 {
        self.notes.push(what);
        self.notes.len() as u32
    }

    pub(crate) fn on_timer(&mut self, _: &mut Context, what: String, _: Fired) {
        self.notes.push(what);
    }

    pub(crate) fn on_gone(&mut self, _: &mut Context, what: String, why: Gone) {
        self.notes.push(format!("{what}: {why:?}"));
    }

    pub(crate) fn on_put(&mut self, _: &mut Context, what: String, put: Result<(), CallError>) {
        self.notes.push(format!("{what}: {put:?}"));
    }

    pub(crate) fn on_value(&mut self, _: &mut Context, what: String, value: Result<u32, CallError>) {
        self.notes.push(format!("{what}: {value:?}"));
    }

    pub(crate) fn on_values(&mut self, _: &mut Context, what: String, values: Vec<Result<u32, CallError>>) {
        self.notes.push(format!("{what}: {values:?}"));
    }

    pub(crate) fn on_made(&mut self, _: &mut Context, what: String, made: Result<Ref<Actor>, CallError>) {
        self.notes.push(format!("{what}: {}", made.is_ok()));
    }

    pub(crate) fn on_bounced(&mut self, _: &mut Context, what: String, why: CallError) {
        self.notes.push(format!("{what}: {}", why.code()));
    }

    pub(crate) fn on_found(&mut self, _: &mut Context, what: String, found: Result<Option<u32>, CallError>) {
        self.notes.push(format!("{what}: {found:?}"));
    }

    pub(crate) fn on_kept(&mut self, _: &mut Context, what: String, kept: Result<(u32, bool), CallError>) {
        self.notes.push(format!("{what}: {kept:?}"));
    }

    pub(crate) fn on_swapped_in(
        &mut self,
        _: &mut Context,
        what: String,
        done: Result<(bool, Option<u32>), CallError>,
    ) {
        self.notes.push(format!("{what}: {done:?}"));
    }

    pub(crate) fn on_rows(
        &mut self,
        _: &mut Context,
        what: String,
        rows: Result<Vec<(String, u32)>, CallError>,
    ) {
        self.notes.push(format!("{what}: {rows:?}"));
    }
}

/// The actor of this space that has a name.
fn named(cx: &mut Context, name: &str) -> Option<Ref<Actor>> {
    let all = cx.members::<Actor>();
    all.into_iter().find(|actor| cx.read(*actor, |actor: &Actor| actor.name == name).unwrap_or(false))
}
