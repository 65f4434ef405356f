//! Whose client looks on.

use crate::{Runner, Starter, Track, UNIT, VERSION};
use everwake::*;

#[entity(boot, aoi = 500.0)]
pub struct Visitor {
    /// Empty, or what went wrong.
    #[attr(client)]
    wrong: String,
}

#[methods]
impl Visitor {
    fn on_client(&mut self, cx: &mut Context) {
        cx.call(Starter::only().place()).then(on!(Self::on_place), ());
    }

    fn on_client_lost(&mut self, cx: &mut Context, _: u32) {
        cx.destroy_me();
    }

    fn on_place(&mut self, cx: &mut Context, _: (), track: Result<Ref<Track>, CallError>) {
        match track {
            Ok(track) => cx.enter(track, Pose::at(0.0, 5.0)),
            Err(error) => self.wrong = format!("{error:?}"),
        }
    }

    /// A question that nobody answers yet.
    #[rpc(own_client)]
    fn begin(&mut self, cx: &mut Context) {
        for runner in cx.members::<Runner>().into_iter().take(1) {
            cx.call(runner.promise()).within(secs(60)).then(on!(Self::on_kept), VERSION);
        }
    }

    /// Answers it.
    #[rpc(own_client)]
    fn end(&mut self, cx: &mut Context) {
        for runner in cx.members::<Runner>() {
            cx.post(runner.keep());
        }
    }

    fn on_kept(&mut self, cx: &mut Context, asked_by: u32, kept: Result<u32, CallError>) -> Result<(), Fail> {
        let answered_by = kept.unwrap_or_default();
        cx.space(|track: &mut Track, cx| cx.all_clients(track).kept(asked_by, answered_by, VERSION))?;
        Ok(())
    }

    /// The scores of the runners here as they are kept, and the unit of whoever tells.
    #[rpc(own_client)]
    fn scores(&mut self, cx: &mut Context) -> Result<(u32, Vec<u32>), Fail> {
        let mut scores = Vec::new();
        for runner in cx.members::<Runner>() {
            scores.push(cx.read(runner, |runner: &Runner| runner.score)?);
        }
        Ok((UNIT, scores))
    }
}
