//! Whoever ticks: one is told to go wrong, the other one goes on.

use everwake::*;

/// One that ticks.
#[entity(tick = "10 Hz")]
pub struct Runner {
    #[attr(all_clients)]
    pub name: String,
    /// Empty, or how its ticks end.
    #[attr(all_clients)]
    pub end: String,
    #[attr(all_clients)]
    pub ticks: u32,
}

#[methods]
impl Runner {
    fn new(_: &mut Context, name: String) -> Self {
        Self { name, ..Self::default() }
    }

    #[tick]
    fn run(&mut self, cx: &mut Tick) -> Result<(), Fail> {
        if self.name == "steady" {
            self.ticks += 1;
            let to = cx.pose().place() + Vec3::new(1.0, 0.0, 0.0);
            cx.move_to(Pose::at(to.x, to.z));
            return Ok(());
        }
        if self.end.is_empty() || self.end == "nothing" {
            return Ok(());
        }
        self.ticks += 1;
        cx.move_to(Pose::at(50.0, 50.0));
        cx.set_motion(b"ran");
        match self.end.as_str() {
            "err" => Err("the tick was told to fail".into()),
            "trap" => panic!("the tick was told to trap"),
            _ => Ok(()),
        }
    }
}
