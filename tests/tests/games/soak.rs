//! A hundred thousand events of lives that begin, go elsewhere and end while versions and clients come and go: at
//! the end there is as much of everything as there was at the start.

use crate::built::kit;
use crate::relay::relay;
use everwake_runtime::game::admin::{AdminAnswer, AdminRequest};
use everwake_runtime::game::publish::PublishOptions;
use everwake_testkit::{Component, EntityId, Player, World};
use std::time::Duration;

const WARM: usize = 8;
const CYCLES: usize = 48;
/// Entities that hatch on each track in a cycle; each lives for about seven events.
const HATCH: u32 = 200;

struct Soak {
    world: World,
    tracks: [EntityId; 2],
    versions: [Component; 2],
    players: [Player; 2],
}

impl Soak {
    fn new() -> Self {
        let versions = [relay(&[]), relay(&["v2"])];
        let mut world = World::new(kit()).seed(8).events_per_drain(64).module(&versions[0]).start();
        let players = [0, 1].map(|_| {
            let player = world.connect("relay");
            world.advance(Duration::from_millis(100));
            player
        });
        let tracks = players.map(|player| world.seen(player, "Track").first().unwrap().id);
        let mut soak = Self { world, tracks, versions, players };
        soak.rest();
        soak
    }

    /// What is open only until a deadline is over, too.
    fn rest(&mut self) {
        self.world.advance(Duration::from_secs(600));
        self.world.check();
        for player in self.players {
            assert_eq!(self.world.closed(player), None);
            self.world.take_events(player);
        }
    }

    /// Lives on both tracks, every few cycles with another version in the midst of them, and a guest.
    fn cycle(&mut self, number: usize) {
        let guest = self.world.connect("relay");
        let [a, b] = self.tracks;
        let mut tickets = Vec::new();
        for (track, elsewhere) in [(a, b), (b, a)] {
            let args = serde_json::json!([HATCH, elsewhere.to_string()]);
            let (who, method) = ("a test".into(), "hatch".into());
            tickets.push(self.world.game().ask(AdminRequest::Call { who, entity: track, method, args }));
        }
        if number % 4 == 1 {
            let bytes = self.versions[(number / 4 % 2) ^ 1].0.clone();
            let options = PublishOptions { supersede: true, ..PublishOptions::default() };
            tickets.push(self.world.game().ask(AdminRequest::Publish {
                bytes,
                note: String::new(),
                options,
            }));
        }
        self.world.advance(Duration::from_millis(150));
        self.world.disconnect(guest);
        self.world.advance(Duration::from_millis(850));
        for ticket in tickets {
            match self.world.game().answer(ticket) {
                Some(AdminAnswer::Value(_)) => {}
                Some(AdminAnswer::Publication(report)) => assert!(report.published, "{report:?}"),
                other => panic!("answered by {other:?}"),
            }
        }
        for player in self.players {
            self.world.take_events(player);
            self.world.take_calls(player);
        }
        assert!(self.world.take_crashes().is_empty());
    }

    fn events(&mut self) -> u64 {
        let views = self.world.inspect_all();
        views.iter().filter_map(|view| view["events"].as_u64()).sum()
    }
}

#[test]
fn what_comes_and_goes_leaves_nothing_behind() {
    let mut soak = Soak::new();
    // Everybody has heard from everybody once: that is remembered.
    (0..WARM).for_each(|number| soak.cycle(number));
    soak.rest();
    let (before, events) = (soak.world.tally(), soak.events());
    assert!(before.of("mirrors") > 80 && before.of("directory") > 80, "{before}");
    (WARM..CYCLES).for_each(|number| soak.cycle(number));
    soak.rest();
    let (after, events) = (soak.world.tally(), soak.events() - events);
    assert!(events > 100_000, "{events} events are too few");
    assert_eq!(after.difference(&before), [], "more or less than before: what, after, before");
}
