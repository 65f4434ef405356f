//! Who lives for a few events, with everything that an entity can have open when it dies.

use crate::Track;
use everwake::*;

/// The answer that a mayfly owes the next one, and never gives.
pub type OwedReply = Reply<u32>;

/// Lives for a few events.
#[entity(aoi = 20.0)]
pub struct Mayfly {
    #[attr(all_clients)]
    pub number: u32,
    /// Where the ones with an even number go to die.
    elsewhere: Ref<Track>,
    owed: List<OwedReply>,
}

#[methods]
impl Mayfly {
    fn new(_: &mut Context, number: u32, elsewhere: Ref<Track>) -> Self {
        Self { number, elsewhere, ..Self::default() }
    }

    /// Opens everything there is: timers, a watch and a call that only the death of `before` will end.
    #[rpc(server)]
    fn live(&mut self, cx: &mut Context, before: Ref<Mayfly>) {
        cx.after(hours(1), on!(Self::on_timer), self.number);
        cx.every(hours(2), on!(Self::on_timer), self.number);
        cx.watch(before, on!(Self::on_gone), self.number);
        cx.watch(cx.space_id().unwrap_or_default(), on!(Self::on_gone), self.number);
        cx.call(before.owe()).within(hours(1)).then(on!(Self::on_paid), self.number);
        cx.set_motion(b"wings");
        cx.post(cx.me::<Self>().die());
    }

    #[rpc(server)]
    fn owe(&mut self, reply: OwedReply) {
        self.owed.push(reply);
    }

    #[rpc(server)]
    fn die(&mut self, cx: &mut Context) {
        if self.number.is_multiple_of(2) {
            cx.enter(self.elsewhere, Pose::at(1.0, 0.0));
        } else {
            cx.destroy_me();
        }
    }

    fn on_enter_space(&mut self, cx: &mut Context, space: Id) {
        if space == self.elsewhere.id() {
            cx.destroy_me();
        }
    }

    fn on_timer(&mut self, _: &mut Context, _: u32, _: Fired) {}

    fn on_gone(&mut self, _: &mut Context, _: u32, _: Gone) {}

    fn on_paid(&mut self, _: &mut Context, _: u32, _: Result<u32, CallError>) {}
}
