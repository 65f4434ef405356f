//! A vandal's client, a client beside it in the same space, and one in the space next door.

use everwake_testkit::{Component, Kit, Outcome, Player, Value, World};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

/// One engine for all worlds.
pub(crate) fn kit() -> &'static Kit {
    static KIT: OnceLock<Kit> = OnceLock::new();
    KIT.get_or_init(Kit::new)
}

/// The hostile module.
pub(crate) fn hostile() -> &'static Component {
    static BUILT: OnceLock<Component> = OnceLock::new();
    BUILT.get_or_init(|| build("1"))
}

/// Another version of it.
pub(crate) fn build(version: &str) -> Component {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("modules/hostile");
    kit().build_with(folder, &[], &[("HOSTILE_VERSION", version)])
}

/// Who breaks things, and who must not notice.
pub(crate) struct Block {
    pub(crate) world: World,
    pub(crate) vandal: Player,
    next_door: Player,
    pub(crate) beside: Player,
    greeted: i128,
}

impl Block {
    pub(crate) fn new() -> Self {
        let mut world = World::new(kit()).seed(9).module(hostile()).start();
        let mut come = || {
            let player = world.connect("hostile");
            world.advance(Duration::from_millis(100));
            player
        };
        // The warden gives the two lots in turns.
        let (vandal, next_door, beside) = (come(), come(), come());
        assert_eq!(world.seen(beside, "Vandal").len(), 2, "the vandal has company");
        assert_eq!(world.seen(next_door, "Vandal").len(), 1);
        Self { world, vandal, next_door, beside, greeted: 0 }
    }

    /// The vandal's client calls something.
    #[track_caller]
    pub(crate) fn call(&mut self, method: &str, args: &[Value]) -> Result<Value, Outcome> {
        self.world.call(self.vandal, method, args)
    }

    /// The others are answered, and their mirrors say the same as their entities.
    #[track_caller]
    pub(crate) fn others_live(&mut self, after: &str) {
        self.live(&[self.next_door, self.beside], after);
    }

    /// The same, if nobody else is left.
    #[track_caller]
    pub(crate) fn next_door_lives(&mut self, after: &str) {
        self.live(&[self.next_door], after);
    }

    #[track_caller]
    fn live(&mut self, players: &[Player], after: &str) {
        self.greeted += 1;
        for player in players.iter().copied() {
            let answer = self.world.call(player, "hello", &[]);
            assert_eq!(answer, Ok(Value::Int(self.greeted)), "{player:?} after {after}");
            self.world.advance(Duration::from_millis(100));
            assert_eq!(
                self.world.attribute(player, "greeted"),
                Value::Int(self.greeted),
                "the mirror after {after}"
            );
            assert!(self.world.closed(player).is_none());
        }
        self.world.check();
    }

    /// The vandal's own entity is as if it had done nothing.
    #[track_caller]
    pub(crate) fn nothing_is_left(&mut self, after: &str) {
        let own = self.world.own(self.vandal);
        let view = self.world.inspect(own);
        assert_eq!(
            view.pointer("/attributes/greeted").and_then(|v| v.as_str()),
            Some("0"),
            "after {after}: {view:#}"
        );
        assert_eq!(view.get("timers"), Some(&0.into()), "after {after}: {view:#}");
        assert_eq!(
            view.pointer("/attributes/blob").and_then(|v| v.as_str()),
            Some("\"\""),
            "after {after}: {view:#}"
        );
        assert_eq!(self.world.seen(self.beside, "Vandal").len(), 2, "after {after} somebody is there");
    }
}
