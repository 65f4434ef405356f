//! `swap`: new versions while clients call, in a space of 10,000 entities: how long it stands
//! still, and what the calls around that moment notice.

use crate::bed::Bed;
use crate::child::Server;
use crate::load::{self, Call, Calls, Kind};
use crate::modules::{self, AVATAR, Instances, Loaded};
use crate::report::{Line, Report, median, pause, percentile, thread_cpu};
use anyhow::{Context, Result, ensure};
use everwake_protocol::EntityId;
use everwake_protocol::client::Pose;
use everwake_runtime::guest::{Guest, GuestSource, Trap, TrapKind, VersionHash};
use everwake_runtime::manifest::ManifestLimits;
use everwake_runtime::message::{Input, Output};
use everwake_runtime::versions::Lineage;
use everwake_runtime::wasm::EngineConfig;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ENTITIES: u32 = 10_000;
const CLIENTS: usize = 50;
/// Calls of one client a second.
const RATE: f64 = 20.0;
const BETWEEN: Duration = Duration::from_millis(1_500);
const AROUND: Duration = Duration::from_millis(100);

pub fn run(report: &mut Report) -> Result<()> {
    alone(report)?;
    let rounds = if report.quick { 6 } else { 50 };
    let one = load::file(&AVATAR.build()?, "avatar")?;
    let two = load::file(&AVATAR.version("2").build()?, "avatar-2")?;
    let copper = load::file(&AVATAR.version("3").with("copper").build()?, "avatar-copper")?;
    report.note(&format!(
        "{ENTITIES} entities of 15 attributes, {CLIENTS} clients in the same space with {RATE} calls/s each, {rounds} publications"
    ));
    let plain = scenario(&one, &[two.clone(), one.clone()], rounds)?;
    let migrating = scenario(&one, &[copper, one.clone()], rounds)?;
    for (case, swaps, line) in [("", plain, Some(5_000.0)), ("with migrate: ", migrating, None)] {
        let Swaps { swaps, calls, ran, disconnected } = swaps;
        let mut pauses: Vec<f64> = swaps.iter().map(|swap| swap.pause).collect();
        let at_most = line.map(Line::AtMost);
        report.row(
            &format!("{case}pause of the slowest space, p50"),
            median(&mut pauses),
            "us",
            None,
            None,
            rounds,
        );
        report.row(
            &format!("{case}the same, p99"),
            percentile(&mut pauses, 0.99),
            "us",
            None,
            at_most,
            rounds,
        );
        let around =
            |call: &&Call| swaps.iter().any(|swap| call.at + AROUND > swap.at && call.at < swap.at + AROUND);
        let during = load::percentile(calls.done.iter().filter(around), 0.99);
        let healthy = load::percentile(calls.done.iter().filter(|call| !around(call)), 0.99);
        report.row(&format!("{case}calls around a swap, p99"), during, "us", Some(healthy), None, rounds);
        let lost = (calls.sent - calls.done.len()) as f64;
        report.row(
            &format!("{case}calls without an answer"),
            lost,
            "calls",
            None,
            Some(Line::AtMost(0.0)),
            calls.sent,
        );
        // Of a client that is gone nobody knows what ran: that counts as its own failure.
        let twice = (ran as f64 - calls.sent as f64).max(0.0);
        let none = || Some(Line::AtMost(0.0));
        report.row(&format!("{case}calls that ran twice"), twice, "calls", None, none(), calls.sent);
        let gone = disconnected as f64;
        report.row(&format!("{case}clients that were cut off"), gone, "clients", None, none(), CLIENTS);
    }
    Ok(())
}

/// The swap itself, in a space of this thread that does nothing else: thread CPU time.
fn alone(report: &mut Report) -> Result<()> {
    let engine = modules::engine(EngineConfig::default())?;
    let Loaded { mut guests, version } = AVATAR.load(&engine)?;
    let mut bed = Bed::new(&version, 0);
    let place = |number| Pose { x: number as f32, ..Pose::default() };
    bed.populate("Avatar", ENTITIES, &[7], place, &mut guests);
    let mut lineage = Lineage::new(version.manifest.name.clone());
    let mut both = Both(vec![guests]);
    let mut versions = Vec::new();
    for (generation, source) in (1..).zip([AVATAR, AVATAR.version("2"), AVATAR.version("3").with("copper")]) {
        let loaded = source.load_only(&engine)?;
        let checked = loaded.manifest().clone().check(&ManifestLimits::default());
        let checked = checked.map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
        let (next, version) = lineage
            .publish(checked, loaded.hash(), generation)
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        lineage = next;
        versions.push(std::sync::Arc::new(version));
        both.0.push(Instances(loaded));
    }
    let runs = if report.quick { 6 } else { 30 };
    for (case, other, migrated) in [("", 1, 0), ("with migrate: ", 2, ENTITIES as usize)] {
        let mut times = Vec::new();
        for round in 0..=runs {
            let to = versions.get(if round % 2 == 0 { other } else { 0 }).context("no version")?;
            bed.now_ms += 1_500;
            bed.inputs.push_back(Input::Swap(to.clone()));
            let begin = thread_cpu();
            bed.core.drain(bed.now_ms, &mut bed.inputs, &mut both, &mut bed.out);
            times.push((thread_cpu() - begin).as_secs_f64() * 1e6);
            let told = bed.out.drain(..).find_map(|output| match output {
                Output::Swapped(told) => Some(told),
                _ => None,
            });
            let told = told.context("no swap")?;
            ensure!(told.failed.is_none() && told.migrated == migrated, "{told:?}");
        }
        times.remove(0);
        report.row(&format!("{case}the space alone, CPU time"), median(&mut times), "us", None, None, runs);
    }
    Ok(())
}

/// Instances of several components, by their hashes.
struct Both(Vec<Instances>);

impl GuestSource for Both {
    fn instantiate(&mut self, version: VersionHash) -> Result<Box<dyn Guest>, Trap> {
        let place = self.0.iter().position(|instances| instances.0.hash() == version).unwrap_or(0);
        self.0.swap(0, place);
        let Some(instances) = self.0.first_mut() else {
            return Err(Trap {
                kind: TrapKind::Instantiate,
                message: "no version".into(),
                frames: Vec::new(),
            });
        };
        instances.instantiate(version)
    }
}

/// One publication.
struct Swap {
    /// Of the space that paused longest, in us.
    pause: f64,
    /// When all spaces were through, by the monotonic clock.
    at: Duration,
}

struct Swaps {
    swaps: Vec<Swap>,
    calls: Calls,
    /// How many calls the server ran for the clients that are still there.
    ran: u64,
    disconnected: usize,
}

fn scenario(first: &Path, others: &[PathBuf], rounds: usize) -> Result<Swaps> {
    let mut server = Server::game(first)?;
    // Compiled once, so that compiling does not take the machine from the calls.
    for path in others {
        publish(&mut server, path)?;
    }
    let field = server.ask(&format!("open {ENTITIES}"))?;
    let field: EntityId = field.as_str().context("no field")?.parse().ok().context("no id")?;
    let address = server.address;
    load::runtime()?.block_on(async move {
        let peers = load::connect(Kind::Game, address, CLIENTS).await?;
        for peer in &peers {
            peer.visit(field).await?;
        }
        let time = BETWEEN.mul_f64(rounds as f64 + 2.0);
        let load = tokio::spawn(async move {
            let calls = load::run(&peers, RATE, time).await;
            let (mut ran, mut disconnected) = (0, 0);
            for peer in &peers {
                match peer.ran().await {
                    Some(count) => ran += count,
                    None => disconnected += 1,
                }
            }
            (calls, ran, disconnected)
        });
        let publishing = tokio::task::spawn_blocking({
            let others = others.to_vec();
            move || -> Result<Vec<Swap>> {
                let mut swaps = Vec::new();
                for path in others.iter().cycle().take(rounds) {
                    pause(BETWEEN.mul_f64(0.9));
                    swaps.push(publish(&mut server, path)?);
                }
                // The server must outlive the load.
                pause(BETWEEN * 3);
                Ok(swaps)
            }
        });
        let (calls, ran, disconnected) = load.await?;
        Ok(Swaps { swaps: publishing.await??, calls, ran, disconnected })
    })
}

fn publish(server: &mut Server, path: &Path) -> Result<Swap> {
    let answer = server.ask(&format!("publish {}", path.display()))?;
    let micros = |place: &str| answer.pointer(place).and_then(Value::as_f64);
    let at = micros("/at_us").context("nobody heard of the swap")?;
    Ok(Swap { pause: micros("/report/pause/max_us").unwrap_or(0.0), at: Duration::from_secs_f64(at / 1e6) })
}
