//! Whoever connects: stands in the middle and sees everything.

use crate::{DEPTH, Keeper, VERSION, WIDTH, Yard};
use everwake::*;

/// Whoever connects.
#[entity(boot, aoi = 300.0)]
pub struct Spectator {}

#[methods]
impl Spectator {
    fn on_client(&mut self, cx: &mut Context) {
        cx.call(Keeper::only().yard()).within(secs(10)).then(on!(Self::on_yard), ());
    }

    #[rpc(own_client)]
    fn version(&mut self) -> String {
        VERSION.into()
    }

    fn on_yard(&mut self, cx: &mut Context, _: (), yard: Result<Ref<Yard>, CallError>) {
        match yard {
            Ok(yard) => cx.enter(yard, Pose::at(WIDTH / 2.0, DEPTH / 2.0)),
            Err(_) => cx.kick(self, "there is no yard"),
        }
    }

    fn on_client_lost(&mut self, cx: &mut Context) {
        cx.destroy_me();
    }
}
