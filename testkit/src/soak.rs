//! Lives that begin, go elsewhere and end while versions and clients come and go, for as long as one likes: what is
//! there afterwards must be what was there before. Drives the module `relay` of Everwake's own tests.

use crate::{Component, EntityId, Player, World, WorldBuilder};
use everwake_runtime::game::admin::{AdminAnswer, AdminRequest};
use everwake_runtime::game::publish::PublishOptions;
use std::time::Duration;

/// Entities that hatch on each track in a cycle; each lives for about seven events.
const HATCH: u32 = 200;
/// Name of the module.
const MODULE: &str = "relay";

/// A world with two tracks, and a client that watches each.
pub struct Soak {
    /// For looking into it.
    pub world: World,
    tracks: [EntityId; 2],
    versions: [Component; 2],
    players: [Player; 2],
}

impl Soak {
    /// In a world that has no module yet. `versions` come and go.
    #[must_use]
    pub fn new(world: WorldBuilder, versions: [Component; 2]) -> Self {
        let mut world = world.module(&versions[0]).start();
        let players = [0, 1].map(|_| {
            let player = world.connect(MODULE);
            world.advance(Duration::from_millis(100));
            player
        });
        let tracks = players.map(|player| match world.seen(player, "Track").first() {
            Some(track) => track.id,
            None => panic!("a client of `{MODULE}` sees no track"),
        });
        let mut soak = Self { world, tracks, versions, players };
        soak.rest();
        soak
    }

    /// Passes ten minutes: what is open only until a deadline is over then, too.
    pub fn rest(&mut self) {
        self.world.advance(Duration::from_secs(600));
        self.world.check();
        for player in self.players {
            assert_eq!(self.world.closed(player), None, "nobody is sent away");
        }
        self.forget();
    }

    /// One second: lives on both tracks, and a guest; in every fourth cycle another version in the midst of them.
    pub fn cycle(&mut self, number: usize) {
        let guest = self.world.connect(MODULE);
        let [one, other] = self.tracks;
        let mut tickets = Vec::new();
        for (entity, elsewhere) in [(one, other), (other, one)] {
            let args = serde_json::json!([HATCH, elsewhere.to_string()]);
            let (who, method) = ("soak".into(), "hatch".into());
            tickets.push(self.world.game().ask(AdminRequest::Call { who, entity, method, args }));
        }
        if number % 4 == 1 {
            let [first, second] = &self.versions;
            let bytes = if (number / 4).is_multiple_of(2) { second } else { first }.0.clone();
            let options = PublishOptions { supersede: true, ..PublishOptions::default() };
            let publish = AdminRequest::Publish { bytes, note: String::new(), options };
            tickets.push(self.world.game().ask(publish));
        }
        self.world.advance(Duration::from_millis(150));
        self.world.forget(guest);
        self.world.advance(Duration::from_millis(850));
        for ticket in tickets {
            match self.world.game().answer(ticket) {
                Some(AdminAnswer::Value(_)) => {}
                Some(AdminAnswer::Publication(report)) => assert!(report.published, "{report:?}"),
                other => panic!("an operator is answered by {other:?}"),
            }
        }
        self.forget();
        let crashes = self.world.take_crashes();
        assert!(crashes.is_empty(), "{:?}", crashes.first());
    }

    /// Events of all spaces since the start.
    pub fn events(&mut self) -> u64 {
        let spaces = self.world.game().spaces();
        let views = spaces.into_iter().map(|space| self.world.inspect(space));
        // A service's shard shows its entity instead, which counts none.
        views.filter_map(|view| view.get("events")?.as_u64()).sum()
    }

    /// What was told so far: it is not what this looks at, and it only grows.
    fn forget(&mut self) {
        for player in self.players {
            self.world.take_events(player);
            self.world.take_calls(player);
        }
        self.world.take_log();
        self.world.take_facts();
    }
}
