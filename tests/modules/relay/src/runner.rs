//! Who hands tokens on, counts them, and keeps a promise.

use crate::{Track, UNIT, VERSION};
use everwake::*;

/// The answer of [`Runner::promise`], which comes when the test wants it.
pub type LaterReply = Reply<u32>;

#[cfg_attr(not(feature = "v2"), entity)]
#[cfg_attr(feature = "v2", entity(schema = 2))]
pub struct Runner {
    pub number: u32,
    pub next: Ref<Runner>,
    /// What it has handed on, in the version's own unit.
    pub score: u32,
    /// The score, in the first version's unit, from which on it cannot be migrated.
    #[attr(default = u32::MAX)]
    pub stuck_from: u32,
    promise: Option<LaterReply>,
}

#[methods]
impl Runner {
    fn new(_: &mut Context, number: u32) -> Self {
        Self { number, ..Self::default() }
    }

    #[cfg(feature = "v2")]
    #[migrate]
    fn migrate(_: u32, to: u32, state: &mut State) -> Result<(), Fail> {
        let score: u32 = state.get("score")?;
        let stuck_from: u32 = state.get("stuck_from")?;
        if to == 2 && score >= stuck_from {
            return Err(Fail::new(format!("a score of {score} is too high")));
        }
        state.set("score", &if to == 2 { score * UNIT } else { score / UNIT });
        Ok(())
    }

    /// The token is here: it goes to the next runner, unless this was its last hop.
    #[rpc(server)]
    fn take_over(
        &mut self,
        cx: &mut Context,
        token: u32,
        hop: u32,
        hops: u32,
        sent_by: u32,
    ) -> Result<(), Fail> {
        self.score += UNIT;
        cx.space(|track: &mut Track, cx| cx.all_clients(track).passed(token, hop, sent_by, VERSION))?;
        if token == 0 {
            cx.after(ms(0), on!(Self::on_timer), (hop, VERSION));
        }
        if hop < hops {
            cx.post(self.next.take_over(token, hop + 1, hops, VERSION));
        }
        Ok(())
    }

    fn on_timer(&mut self, cx: &mut Context, set: (u32, u32), _: Fired) -> Result<(), Fail> {
        let (hop, set_by) = set;
        cx.space(|track: &mut Track, cx| cx.all_clients(track).timed(hop, set_by, VERSION))?;
        Ok(())
    }

    #[rpc(server)]
    fn promise(&mut self, reply: LaterReply) {
        self.promise = Some(reply);
    }

    /// Answers what it has promised, with the version that does.
    #[rpc(server)]
    fn keep(&mut self, cx: &mut Context) {
        if let Some(promise) = self.promise.take() {
            promise.ok(cx, VERSION);
        }
    }
}
