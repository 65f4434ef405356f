//! A walker: it wanders, hits back, dies and comes back somewhere else.

use crate::somewhere;
use everwake::*;

/// Metres a second.
const SPEED: f32 = 2.5;
const HP: i32 = 100;

/// A walker.
#[entity(tick = "10 Hz")]
pub struct Walker {
    #[attr(all_clients)]
    name: String,
    #[attr(all_clients)]
    pub(crate) hp: i32,
    #[attr(all_clients)]
    pub(crate) deaths: u32,
    goal: Vec3,
}

#[methods]
impl Walker {
    fn new(cx: &mut Context, name: String) -> Self {
        Self { name, hp: HP, deaths: 0, goal: somewhere(cx) }
    }

    #[tick]
    fn wander(&mut self, cx: &mut Tick) {
        if cx.step_towards(self.goal, SPEED).distance(self.goal) < 1.0 {
            self.goal = somewhere(cx);
        }
    }
}

impl Walker {
    /// Somebody struck; answers how hard it hits back.
    pub fn take_damage(&mut self, cx: &mut Context, damage: i32) -> i32 {
        self.hp -= damage;
        if self.hp <= 0 {
            self.hp = HP;
            self.deaths += 1;
            let place = somewhere(cx);
            cx.set_pose_of(cx.id(), Pose::at(place.x, place.z));
        }
        cx.roll(0..=6) as i32
    }
}
