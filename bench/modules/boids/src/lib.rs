//! Ticks: a flock that moves in one bulk tick, and monsters that look at players one by one.

use everwake::*;

pub mod flock;

use flock::{Bird, Flock};

/// How far a bird sees, in metres.
const SIGHT: f32 = 4.0;
/// Metres a second.
const SPEED: f32 = 6.0;
/// The field is this wide and deep.
const FIELD: f32 = 400.0;
/// How far a monster sees: everywhere.
const MONSTER_SIGHT: f32 = 10_000.0;

/// A bird: where it is and where it looks is all it has.
#[entity(tick = "20 Hz")]
pub struct Boid {}

#[methods]
impl Boid {
    #[tick(bulk)]
    fn step(cx: &mut BulkTick) {
        let dt = cx.dt();
        let birds = cx.poses().iter().map(|pose| Bird { x: pose.x, z: pose.z, yaw: pose.yaw }).collect();
        let mut flock = Flock::new(birds, SIGHT, FIELD);
        flock.step(SPEED * dt);
        for (pose, bird) in cx.poses_mut().iter_mut().zip(flock.birds()) {
            (pose.x, pose.z, pose.yaw) = (bird.x, bird.z, bird.yaw);
        }
    }
}

/// Somebody to look at.
#[entity]
pub struct Player {
    hp: i64,
}

#[methods]
impl Player {
    fn new(hp: i64) -> Self {
        Self { hp }
    }
}

/// Looks at every player in each tick and goes for the weakest.
#[entity(tick = "10 Hz")]
pub struct Monster {
    angry: i64,
}

#[methods]
impl Monster {
    #[tick]
    fn think(&mut self, cx: &mut Tick) -> Result<(), Fail> {
        let players: Vec<_> = cx.neighbours::<Player>(MONSTER_SIGHT).collect();
        let mut weakest: Option<(i64, Pose)> = None;
        for (player, at) in players {
            let hp = cx.read(player, |player| player.hp)?;
            if weakest.is_none_or(|(least, _)| hp < least) {
                weakest = Some((hp, at));
            }
        }
        if let Some((hp, at)) = weakest {
            self.angry += hp;
            cx.step_towards(at.place(), 1.0);
        }
        Ok(())
    }
}

module! {
    name: "flock",
    label: "bench",
    types: [Boid, Player, Monster],
    budget: ms(500),
}
