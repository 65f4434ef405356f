//! What the host does not allow, the mock host does not allow either.
#![allow(missing_docs, clippy::unwrap_used, reason = "a game for tests, and their helper")]

use everwake::*;

#[client_methods]
pub trait DollClient {
    fn seen();
}

#[entity(boot, client = DollClient)]
pub struct Doll {
    count: u32,
}

#[methods]
impl Doll {
    #[rpc(server)]
    fn store(&mut self, cx: &mut Context) {
        cx.call(kv::put("a", &1_u32)).then(on!(Self::on_done), ());
    }

    #[rpc(server)]
    fn shout(&mut self, cx: &mut Context) {
        cx.broadcast::<Self>(Filter::everyone()).seen();
    }

    #[rpc(server)]
    fn give_and_go(&mut self, cx: &mut Context, to: Ref<Doll>, home: Id) {
        cx.call(give_to(to)).then(on!(Self::on_done), ());
        cx.enter(home, Pose::default());
    }

    #[rpc(server)]
    fn go_and_give(&mut self, cx: &mut Context, to: Ref<Doll>, home: Id) {
        cx.enter(home, Pose::default());
        cx.call(give_to(to)).then(on!(Self::on_done), ());
    }

    fn on_done(&mut self, _: &mut Context, _: (), _: Result<(), CallError>) {
        self.count += 1;
    }
}

#[space]
pub struct Home {}

#[methods]
impl Home {}

module! { name: "dolls", types: [Doll, Home] }

type World = mock::World<Module>;

fn why(failed: Result<(), CallError>) -> String {
    failed.unwrap_err().detail().read::<String>().unwrap()
}

#[test]
fn what_the_module_did_not_ask_for_is_not_allowed() {
    let mut world = World::new();
    let doll = world.create::<Doll>(());
    assert!(why(world.call(doll.store())).contains("`key-value`"));
    assert!(why(world.call(doll.shout())).contains("`broadcast`"));
}

#[test]
fn a_view_is_given_or_moved_but_not_both() {
    let mut world = World::new();
    let (one, other) = (world.connect::<Doll>(), world.create::<Doll>(()));
    let home = world.create::<Home>(());
    let busy = Error::Busy.to_string();
    assert_eq!(why(world.call(one.give_and_go(other, home.id()))), busy);
    assert_eq!(why(world.call(one.go_and_give(other, home.id()))), busy);
}
