//! Where the races take place, and the service that makes the tracks.

use crate::{Mayfly, Runner, VERSION};
use everwake::*;

/// Runners of a track.
const RUNNERS: u32 = 40;

/// What everybody at a track is told.
#[client_methods]
pub trait TrackClient {
    /// A token was handed on: by code of the version `sent_by` to code of the version `run_by`.
    fn passed(token: u32, hop: u32, sent_by: u32, run_by: u32);
    /// A timer that was due at once when `set_by` started it.
    fn timed(hop: u32, set_by: u32, run_by: u32);
    /// The answer to a call that was open for long.
    fn kept(asked_by: u32, answered_by: u32, run_by: u32);
}

/// A space with runners in a ring.
#[space(client = TrackClient)]
pub struct Track {
    runners: List<Ref<Runner>>,
}

#[methods]
impl Track {
    fn on_create(&mut self, cx: &mut Context) {
        for number in 0..RUNNERS {
            let runner = cx.spawn::<Runner>(number, Pose::at(number as f32, 0.0));
            self.runners.push(runner);
        }
        for (number, runner) in (1..).zip(&self.runners) {
            let next = self.runners[number % self.runners.len()];
            // All of them were spawned just now.
            let _ = cx.with(*runner, |runner, _| runner.next = next);
        }
    }

    /// Every token to its first runner. `stuck_from` is the score from which on the runner in the middle cannot be
    /// migrated.
    #[rpc(server)]
    fn start(&mut self, cx: &mut Context, tokens: u32, hops: u32, stuck_from: u32) -> Result<u32, Fail> {
        let middle = self.runners[self.runners.len() / 2];
        cx.with(middle, |runner, _| runner.stuck_from = stuck_from)?;
        for token in 0..tokens {
            let runner = self.runners[token as usize % self.runners.len()];
            cx.post(runner.take_over(token, 1, hops, VERSION));
        }
        Ok(VERSION)
    }

    /// So many entities that are gone soon, half of them by way of another track.
    #[rpc(server)]
    fn hatch(&mut self, cx: &mut Context, count: u32, elsewhere: Ref<Track>) {
        let mut before = Ref::nil();
        for number in 0..count {
            let mayfly = cx.spawn::<Mayfly>((number, elsewhere), Pose::at(number as f32 * 0.5, 0.0));
            cx.post(mayfly.live(before));
            before = mayfly;
        }
    }
}

/// Makes the tracks.
#[service(shards = 1)]
pub struct Starter {
    tracks: List<Ref<Track>>,
    guests: u32,
}

impl Starter {
    /// The one shard there is.
    pub fn only() -> Ref<Self> {
        Ref::shard(0).unwrap_or_default()
    }
}

#[methods]
impl Starter {
    fn on_create(&mut self, cx: &mut Context) {
        for _ in 0..2 {
            cx.call(create::<Track>((), Place::Anywhere)).then(on!(Self::on_track), ());
        }
    }

    fn on_track(&mut self, _: &mut Context, _: (), track: Result<Ref<Track>, CallError>) {
        self.tracks.extend(track.ok());
    }

    /// One guest to each track, in turn.
    #[rpc(server)]
    fn place(&mut self) -> Ref<Track> {
        self.guests += 1;
        self.tracks[(self.guests as usize - 1) % self.tracks.len()]
    }
}
