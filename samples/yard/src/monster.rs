//! A monster: it looks about, chases the nearest walker it sees, strikes, and goes home.

use crate::{VERSION, Walker};
use everwake::*;

const SIGHT: f32 = 15.0;
const REACH: f32 = 1.5;
/// Metres a second.
const SPEED: f32 = 4.0;
/// Degrees a second that it turns while it looks about.
const LOOK: f32 = 45.0;
const SWING: std::time::Duration = ms(800);
const REST: std::time::Duration = secs(5);
const HP: i32 = 30;

/// What a monster is doing.
#[attr_type]
pub enum Mode {
    Idle,
    Chase { target: Ref<Walker>, ready: Time },
    Home,
    Dead { until: Time },
}

/// A monster.
#[entity(tick = "10 Hz")]
pub struct Monster {
    #[attr(all_clients)]
    hp: i32,
    #[attr(all_clients)]
    pub(crate) mode: Mode,
    number: u32,
    home: Vec3,
}

#[methods]
impl Monster {
    fn new((number, home): (u32, Vec3)) -> Self {
        Self { hp: HP, mode: Mode::Idle, number, home }
    }

    #[tick]
    fn think(&mut self, cx: &mut Tick) -> Result<(), Fail> {
        #[cfg(feature = "trouble")]
        assert!(self.number != 42, "monster 42 has had enough");
        match self.mode.clone() {
            Mode::Idle => {
                if let Some((target, _)) = cx.nearest::<Walker>(SIGHT) {
                    self.mode = Mode::Chase { target, ready: cx.now() };
                } else {
                    let pose = cx.pose();
                    cx.move_to(Pose { yaw: (pose.yaw + LOOK * cx.dt()) % 360.0, ..pose });
                }
            }
            Mode::Chase { target, ready } => self.chase(cx, target, ready)?,
            Mode::Home => {
                if cx.step_towards(self.home, SPEED).distance(self.home) < 1.0 {
                    self.mode = Mode::Idle;
                }
            }
            Mode::Dead { until } => {
                if cx.now() >= until {
                    (self.hp, self.mode) = (HP, Mode::Idle);
                    cx.move_to(Pose::at(self.home.x, self.home.z));
                }
            }
        }
        Ok(())
    }
}

impl Monster {
    fn chase(&mut self, cx: &mut Tick, target: Ref<Walker>, ready: Time) -> Result<(), Fail> {
        let seen = cx.pose_of(target).map(Pose::place).filter(|at| at.distance(cx.position()) < SIGHT * 1.5);
        let Some(at) = seen else {
            self.mode = Mode::Home;
            return Ok(());
        };
        if VERSION != "1" {
            let away = cx.position() + (cx.position() - at).unit();
            cx.step_towards(away, SPEED);
            return Ok(());
        }
        if at.distance(cx.position()) > REACH {
            cx.step_towards(at, SPEED);
            return Ok(());
        }
        if cx.now() < ready {
            return Ok(());
        }
        self.mode = Mode::Chase { target, ready: cx.now() + SWING };
        let damage = cx.roll(4..=9) as i32;
        let answer = cx.with(target, |walker, cx| walker.take_damage(cx, damage))?;
        self.hp -= answer;
        if self.hp <= 0 {
            (self.hp, self.mode) = (0, Mode::Dead { until: cx.now() + REST });
        }
        Ok(())
    }
}
