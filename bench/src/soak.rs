//! `soak`: lives that begin, go elsewhere and end while versions and clients come and go, under virtual time.
//! At the end there must be as much of everything as before, and the process must not have grown.

use crate::modules::root;
use crate::report::{Line, Report, resident_bytes, thread_cpu};
use anyhow::{Context, Result, ensure};
use everwake_runtime::game::admin::{AdminAnswer, AdminRequest};
use everwake_runtime::game::publish::PublishOptions;
use everwake_testkit::{Component, EntityId, Kit, Player, World};
use std::time::Duration;

/// Entities that hatch on each track in a cycle.
const HATCH: u32 = 200;
/// Cycles after which pools and rings are as full as they get: memory is compared from here on.
const WARM: usize = 100;
const MIB: f64 = 1024.0 * 1024.0;

pub fn run(report: &mut Report) -> Result<()> {
    let least: u64 = if report.quick { 100_000 } else { 1_000_000 };
    let mut soak = Soak::new()?;
    let start = soak.world.tally();
    for number in 0..WARM {
        soak.cycle(number)?;
    }
    let (events, memory, begin) = (soak.events()?, resident_bytes(), thread_cpu());
    let mut number = WARM;
    let ran = loop {
        soak.cycle(number)?;
        number += 1;
        let ran = soak.events()? - events;
        if ran >= least {
            break ran;
        }
    };
    let (spent, after) = ((thread_cpu() - begin).as_secs_f64(), resident_bytes());
    soak.rest();
    let left = soak.world.tally().difference(&start);
    ensure!(left.is_empty(), "more or less than at the start (what, after, before): {left:?}");
    report.note(&format!("{ran} events in {} cycles, a swap in every fourth, by the testkit", number - WARM));
    report.note(&format!("left at the end: {}", soak.world.tally()));
    let most = Some(Line::RatioAtMost(1.05));
    report.row("memory after it", after / MIB, "MiB", Some(memory / MIB), most, 1);
    report.row("events", ran as f64 / spent, "1/s", None, None, 1);
    Ok(())
}

struct Soak {
    world: World,
    tracks: Vec<EntityId>,
    versions: [Component; 2],
    players: Vec<Player>,
}

impl Soak {
    fn new() -> Result<Self> {
        let kit = Kit::new();
        let folder = root().join("tests/modules/relay");
        let versions = [kit.build(&folder), kit.build_with(&folder, &["v2"], &[])];
        let mut world = World::new(&kit).seed(8).module(&versions[0]).start();
        let (mut players, mut tracks) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let player = world.connect("relay");
            world.advance(Duration::from_millis(100));
            tracks.push(world.seen(player, "Track").first().context("no track")?.id);
            players.push(player);
        }
        let mut soak = Self { world, tracks, versions, players };
        soak.rest();
        Ok(soak)
    }

    fn rest(&mut self) {
        self.world.advance(Duration::from_secs(600));
        self.forget();
    }

    /// What the clients were told.
    fn forget(&mut self) {
        for player in &self.players {
            self.world.take_events(*player);
            self.world.take_calls(*player);
        }
        self.world.take_log();
        self.world.take_facts();
    }

    /// Lives on both tracks, and a guest; in every fourth cycle another version in the midst of them.
    fn cycle(&mut self, number: usize) -> Result<()> {
        let guest = self.world.connect("relay");
        let mut tickets = Vec::new();
        for (track, elsewhere) in self.tracks.iter().zip(self.tracks.iter().rev()) {
            let args = serde_json::json!([HATCH, elsewhere.to_string()]);
            let (who, method) = ("bench".into(), "hatch".into());
            tickets.push(self.world.game().ask(AdminRequest::Call { who, entity: *track, method, args }));
        }
        if number % 4 == 1 {
            let [first, second] = &self.versions;
            let bytes = if (number / 4).is_multiple_of(2) { second } else { first }.0.clone();
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
                Some(AdminAnswer::Publication(report)) => ensure!(report.published, "{report:?}"),
                other => anyhow::bail!("answered by {other:?}"),
            }
        }
        self.forget();
        let crashes = self.world.take_crashes();
        ensure!(crashes.is_empty(), "{:?}", crashes.first());
        Ok(())
    }

    fn events(&mut self) -> Result<u64> {
        let mut events = 0;
        for space in self.world.game().spaces() {
            let view = self.world.inspect(space);
            events += view
                .get("events")
                .and_then(serde_json::Value::as_u64)
                .context("a space without a number of events")?;
        }
        Ok(events)
    }
}
