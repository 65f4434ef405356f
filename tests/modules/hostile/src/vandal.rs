//! Who does it.

use crate::{Lot, VERSION, Warden};
use everwake::bindings::everwake::game as raw;
use everwake::*;
use std::hint::black_box;

/// More of anything than anybody may ask for.
const MANY: u32 = 1_000_000;

/// Who does what it must not.
#[entity(boot, aoi = 100.0)]
pub struct Vandal {
    #[attr(all_clients)]
    pub greeted: u32,
    #[attr(all_clients)]
    pub blob: String,
    /// The hook that panics.
    #[attr(all_clients)]
    pub mine: String,
    other: Ref<Lot>,
    bomb: Ref<Vandal>,
    notes: List<String>,
    /// What must not matter, and does.
    #[cache]
    grudge: Cache<u32>,
}

impl Vandal {
    fn step(&self, hook: &str) {
        assert!(self.mine != hook, "the mine in {hook}");
    }
}

#[methods]
impl Vandal {
    fn new(_: &mut Context, mine: String) -> Self {
        assert!(mine != "construct", "the mine in construct");
        Self { mine, ..Self::default() }
    }

    fn on_create(&mut self) {
        self.step("create");
    }

    fn on_enter_space(&mut self) {
        self.step("enter-space");
    }

    fn on_leave_space(&mut self) {
        self.step("leave-space");
    }

    fn on_enter_aoi(&mut self, _: Ref<Vandal>) {
        self.step("enter-aoi");
    }

    fn on_leave_aoi(&mut self, _: Ref<Vandal>) {
        self.step("leave-aoi");
    }

    fn on_watched(&mut self) {
        self.step("watched");
    }

    fn on_unwatched(&mut self) {
        self.step("unwatched");
    }

    fn on_client(&mut self, cx: &mut Context) {
        self.step("client");
        if self.mine.is_empty() {
            cx.call(Warden::only().lot()).then(on!(Self::on_lot), ());
        }
    }

    fn on_client_lost(&mut self) {
        self.step("client-lost");
    }

    fn on_swapped(&mut self) {
        self.step("swapped");
    }

    fn on_destroy(&mut self) {
        self.step("destroy");
    }

    fn on_lot(&mut self, cx: &mut Context, _: (), lot: Result<(Ref<Lot>, Ref<Lot>), CallError>) {
        let Ok((lot, other)) = lot else { return cx.kick(self, "no lot") };
        self.other = other;
        cx.enter(lot, Pose::default());
    }

    /// What a good entity does.
    #[rpc(own_client)]
    fn hello(&mut self) -> u32 {
        self.greeted += 1;
        self.greeted
    }

    /// How often it was asked, as far as this instance knows.
    #[rpc(own_client)]
    fn bear_a_grudge(&mut self) -> u32 {
        let asked = self.grudge.get_or(|| 0);
        *asked += 1;
        *asked
    }

    #[rpc(own_client)]
    fn version(&mut self) -> String {
        VERSION.into()
    }

    #[rpc(own_client)]
    fn notes(&mut self) -> Vec<String> {
        self.notes.iter().cloned().collect()
    }

    /// Does `what`.
    #[rpc(own_client)]
    fn wreck(&mut self, cx: &mut Context, what: String) -> Result<(), Fail> {
        self.greeted += 1_000;
        match what.as_str() {
            "spin" => loop {
                black_box(&what);
            },
            "memory" => {
                let mut eaten = Vec::new();
                loop {
                    eaten.push(black_box(vec![1_u8; 1 << 20]));
                }
            }
            "recursion" => self.greeted += deeper(1) as u32,
            "garbage" => raw::entities::patch(cx.id().into(), &[0xff, 0x00, 0x1b]),
            "wrong type" => raw::entities::patch(cx.id().into(), &[0x00, 0x61, b'x']),
            "wrong attribute" => raw::entities::patch(cx.id().into(), &[0x18, 0x63, 0x00]),
            "nobody" => raw::entities::patch(Id::default().into(), &[0x00, 0x01]),
            "timers" => self.until_refused(|vandal, cx| vandal.timer(cx), cx),
            "spawns" => {
                self.until_refused(|_, cx| !cx.spawn::<Vandal>("quiet".into(), Pose::default()).is_nil(), cx)
            }
            "posts" => return flood(cx.id()),
            "big attribute" => self.blob = "x".repeat(100 * 1024),
            "huge attribute" => self.blob = "x".repeat(100 << 20),
            "context" => drop(cx.after(secs(1), on!(Self::on_timer), "x".repeat(1 << 20))),
            "nowhere" => cx.move_to(Pose { x: f32::NAN, ..Pose::default() }),
            _ => return Err(Fail::new(format!("it does not know how to {what}"))),
        }
        Ok(())
    }

    #[rpc(server)]
    fn noted(&mut self, what: String) {
        self.notes.push(what);
    }

    fn on_timer(&mut self, _: &mut Context, what: String, _: Fired) {
        self.notes.push(what);
    }

    /// Makes a vandal whose hook will panic, here, by `spawn`.
    #[rpc(own_client)]
    fn plant(&mut self, cx: &mut Context, mine: String) {
        self.bomb = cx.spawn::<Vandal>(mine, Pose::at(2.0, 2.0));
    }

    /// Makes one elsewhere, by `construct`.
    #[rpc(own_client)]
    fn construct(&mut self, cx: &mut Context, mine: String) {
        cx.call(create::<Vandal>(mine, Place::Anywhere)).then(on!(Self::on_made), ());
    }

    fn on_made(&mut self, _: &mut Context, _: (), made: Result<Ref<Vandal>, CallError>) {
        self.notes.push(if made.is_ok() { "made" } else { "not made" }.into());
    }

    /// Lays a mine in the space.
    #[rpc(own_client)]
    fn mine_space(&mut self, cx: &mut Context, mine: String) -> Result<(), Fail> {
        Ok(cx.space(|lot: &mut Lot, _| lot.mine = mine)?)
    }

    /// Lays one in itself.
    #[rpc(own_client)]
    fn mine_me(&mut self, mine: String) {
        self.mine = mine;
    }

    #[rpc(own_client)]
    fn move_bomb(&mut self, cx: &mut Context) -> Result<(), Fail> {
        let other = self.other;
        Ok(cx.with(self.bomb, |_, cx| cx.enter(other, Pose::at(2.0, 2.0)))?)
    }

    #[rpc(own_client)]
    fn destroy_bomb(&mut self, cx: &mut Context) {
        cx.destroy(self.bomb);
    }

    #[rpc(own_client)]
    fn give_to_bomb(&mut self, cx: &mut Context) {
        cx.call(give_to(self.bomb)).then(on!(Self::on_given), ());
    }

    fn on_given(&mut self, _: &mut Context, _: (), _: Result<(), CallError>) {}
}

impl Vandal {
    fn timer(&mut self, cx: &mut Context) -> bool {
        cx.after(ms(10), on!(Self::on_timer), String::new()) != TimerId::default()
    }

    fn until_refused(&mut self, mut act: impl FnMut(&mut Self, &mut Context) -> bool, cx: &mut Context) {
        for _ in 0..MANY {
            if !act(self, cx) {
                return;
            }
        }
    }
}

/// Sends messages to itself until it may not.
fn flood(me: Id) -> Result<(), Fail> {
    for _ in 0..MANY {
        if let Err(refused) = raw::calls::post(me.into(), me.into(), 0, 0, &[0x80]) {
            return Err(Fail::new(format!("{refused:?}")));
        }
    }
    Ok(())
}

/// Recurses until something stops it.
fn deeper(depth: u64) -> u64 {
    if black_box(depth) == 0 {
        return 0;
    }
    deeper(depth + 1).rotate_left(7) ^ depth
}
