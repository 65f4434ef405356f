//! Whoever connects: stands in the middle and sees everything.

use crate::{DEPTH, Keeper, VERSION, Visitor, WIDTH, Yard};
use everwake::*;

/// Answers with the visitor that has the client now.
type PlayReply = Reply<Ref<Visitor>>;

/// Whoever connects.
#[entity(boot, aoi = 300.0)]
pub struct Spectator {}

#[methods]
impl Spectator {
    fn on_client(&mut self, cx: &mut Context) {
        cx.call(Keeper::only().yard(String::new())).within(secs(10)).then(on!(Self::on_yard), ());
    }

    #[rpc(own_client)]
    fn version(&mut self) -> String {
        VERSION.into()
    }

    /// Plays along: its client gets a visitor, which is answered, in its place.
    #[rpc(own_client)]
    fn play(&mut self, cx: &mut Context, name: String, reply: PlayReply) {
        let visitor = cx.spawn::<Visitor>(name, cx.pose());
        cx.call(give_to(visitor)).then(on!(Self::on_given), (visitor, reply));
    }

    fn on_given(
        &mut self,
        cx: &mut Context,
        (visitor, reply): (Ref<Visitor>, PlayReply),
        given: Result<(), CallError>,
    ) {
        match given {
            Ok(()) => reply.ok(cx, visitor),
            Err(error) => {
                cx.send(visitor.vanish());
                reply.err(cx, error.to_string());
            }
        }
        cx.destroy_me();
    }

    fn on_yard(&mut self, cx: &mut Context, _: (), yard: Result<Ref<Yard>, CallError>) {
        match yard {
            Ok(yard) => cx.enter(yard, Pose::at(WIDTH / 2.0, DEPTH / 2.0)),
            Err(_) => cx.kick(self, "there is no yard"),
        }
    }

    fn on_client_lost(&mut self, cx: &mut Context, reason: u32) {
        // Given away (2) is the good end: `on_given` answers first.
        if reason != 2 {
            cx.destroy_me();
        }
    }
}
