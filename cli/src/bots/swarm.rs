//! All bots together: everybody comes in, then everybody talks, then everybody counts.

use super::ChatBots;
use super::chat::{Part, Phase, Told, play};
use super::check::SaidInRoom;
use super::report::{BotResult, Report, Swap};
use crate::admin::client::AdminClient;
use crate::admin::types::{Pauses, PublishQuery, VersionEntry};
use crate::commands::publish::describe;
use crate::failure::{FAULT, HintExt as _, hinted};
use crate::play::Endpoint;
use crate::terminal::Terminal;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Bots that connect at once: a crowd, not a flood.
const CONNECTING_MAX: usize = 16;
/// Bots that probe how long answers take around publications: 1,000 calls in a second together, so that the 100 ms
/// on each side of one publication have a p99.
const PROBING_MAX: usize = 20;
/// They begin so long before a publication, and end so long after it.
const PROBING_AROUND: Duration = Duration::from_millis(200);
/// How long bots may take to stop talking.
const COUNTING: Duration = Duration::from_secs(15);

/// Runs a swarm to its end.
pub async fn run(bots: &ChatBots, terminal: &Terminal) -> anyhow::Result<Report> {
    let components = read_components(&bots.publish)?;
    let admin = match components.is_empty() {
        true => None,
        false => Some(Arc::new(AdminClient::find(&bots.admin)?)),
    };
    let started = Instant::now();
    let (phase, phases) = watch::channel(Phase::default());
    let (tell, mut told) = mpsc::unbounded_channel();
    let (probe, probing) = watch::channel(false);
    let playing = begin(bots, components.len(), started, &tell, (&phases, &probing)).await?;
    drop(tell);
    await_all(&playing, &mut told).await?;
    terminal.say(format!(
        "{} bots are in {} rooms; they talk for {} s.",
        bots.count,
        rooms(bots).len(),
        bots.duration.as_secs_f32()
    ));
    let talking = Instant::now();
    phase.send_replace(Phase::Talking);
    let publishing =
        admin.clone().map(|admin| tokio::spawn(publish_all(admin, components, bots.every, started, probe)));
    tokio::time::sleep(bots.duration).await;
    let (swaps, swaps_failed) = match publishing {
        Some(publishing) => publishing.await?,
        None => (Vec::new(), Vec::new()),
    };
    let duration = talking.elapsed();
    phase.send_replace(Phase::Counting);
    let said = count(&mut told, playing.len()).await;
    phase.send_replace(Phase::Draining(Arc::new(said)));
    let mut results = Vec::new();
    for bot in playing {
        results.push(bot.await?);
    }
    let swaps = refine(swaps, &results, admin, &bots.module).await;
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Ok(Report::new((rooms(bots).len(), bots.losses), duration_ms, &results, swaps, swaps_failed))
}

fn rooms(bots: &ChatBots) -> BTreeSet<String> {
    (0..bots.count).map(|bot| room(bot, bots.rooms)).collect()
}

fn room(bot: usize, rooms: usize) -> String {
    format!("bots-{}", bot % rooms)
}

fn read_components(files: &[PathBuf]) -> anyhow::Result<Vec<Vec<u8>>> {
    let read = |file: &PathBuf| {
        std::fs::read(file).hint(
            format!("The component `{}` cannot be read.", file.display()),
            "Make it with `everwake build DIR --out FILE`.",
        )
    };
    files.iter().map(read).collect()
}

async fn begin(
    bots: &ChatBots,
    published: usize,
    started: Instant,
    tell: &mpsc::UnboundedSender<Told>,
    (phases, probing): (&watch::Receiver<Phase>, &watch::Receiver<bool>),
) -> anyhow::Result<Vec<JoinHandle<BotResult>>> {
    let endpoint = Endpoint::open(&bots.gate)?;
    let endpoint = if bots.losses == 0 { endpoint.once() } else { endpoint };
    let versions = if published > 0 { published + 1 } else { bots.versions };
    // Names differ from run to run: the last ones may still be on their way out.
    let run = std::process::id();
    let door = Arc::new(tokio::sync::Semaphore::new(CONNECTING_MAX));
    let mut playing = Vec::new();
    for bot in 0..bots.count {
        let part = Part {
            name: format!("bot-{run}-{bot:03}"),
            room: room(bot, bots.rooms),
            pause: Duration::from_secs_f64(1.0 / bots.rate),
            started,
            versions,
            comes_again: bots.losses > 0,
            probing: (published > 0 && bot < PROBING_MAX).then(|| probing.clone()),
        };
        let (endpoint, module, door) = (endpoint.clone(), bots.module.clone(), door.clone());
        let (tell, phases) = (tell.clone(), phases.clone());
        playing.push(tokio::spawn(async move {
            let pass = door.acquire().await;
            let player = endpoint.connect(&module).await;
            drop(pass);
            play(part, player, tell, phases).await
        }));
    }
    Ok(playing)
}

async fn await_all(
    playing: &[JoinHandle<BotResult>],
    told: &mut mpsc::UnboundedReceiver<Told>,
) -> anyhow::Result<()> {
    for _ in playing {
        match told.recv().await {
            Some(Told::Ready | Told::Said { .. } | Told::Silent) => {}
            Some(Told::Failed(why)) => {
                playing.iter().for_each(JoinHandle::abort);
                return Err(hinted(
                    format!("A bot does not get in: {why}"),
                    "`everwake status` says whether the chat runs, `everwake crashes` what failed.",
                ));
            }
            None => return Err(hinted("The bots ended before they began.", FAULT)),
        }
    }
    Ok(())
}

/// What was said in each room, by whom. Whoever was lost on the way has said something under each of its names.
async fn count(told: &mut mpsc::UnboundedReceiver<Told>, bots: usize) -> BTreeMap<String, SaidInRoom> {
    let mut all: BTreeMap<String, SaidInRoom> = BTreeMap::new();
    let mut talking = bots;
    let until = Instant::now() + COUNTING;
    while talking > 0 {
        match tokio::time::timeout_at(until.into(), told.recv()).await {
            Ok(Some(Told::Said { room, name, said })) => {
                all.entry(room).or_default().insert(name, said);
            }
            Ok(Some(Told::Silent)) => talking -= 1,
            Ok(Some(Told::Ready | Told::Failed(_))) => {}
            Ok(None) | Err(_) => break,
        }
    }
    all
}

/// One component after the other. What failed is told in words.
async fn publish_all(
    admin: Arc<AdminClient>,
    components: Vec<Vec<u8>>,
    every: Duration,
    started: Instant,
    probe: watch::Sender<bool>,
) -> (Vec<Swap>, Vec<String>) {
    let (mut swaps, mut failed) = (Vec::new(), Vec::new());
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    for component in components {
        ticks.tick().await;
        probe.send_replace(true);
        tokio::time::sleep(PROBING_AROUND).await;
        let admin = admin.clone();
        let query = PublishQuery { note: "bots".to_owned(), irreversible: false, supersede: true };
        let published = tokio::task::spawn_blocking(move || admin.publish(&component, &query)).await;
        let at_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match published {
            Ok(Ok(report)) if report.published => swaps.push(swap(at_ms, report.generation, report.pause)),
            Ok(Ok(report)) => failed.push(describe(&report)),
            Ok(Err(error)) => failed.push(format!("{error:#}")),
            Err(error) => failed.push(error.to_string()),
        }
        tokio::time::sleep(PROBING_AROUND).await;
        probe.send_replace(false);
    }
    (swaps, failed)
}

fn swap(at_ms: u64, generation: u32, pause: Option<Pauses>) -> Swap {
    let pause = pause.unwrap_or_default();
    let ms = |micros: u64| micros as f64 / 1000.0;
    Swap {
        at_ms,
        generation,
        pause_p50_ms: ms(pause.p50_us),
        pause_p99_ms: ms(pause.p99_us),
        pause_max_ms: ms(pause.max_us),
    }
}

/// Sharpens what the answers to the publications said: a swap is when the first bot heard of it, and
/// pauses are complete only later.
async fn refine(
    swaps: Vec<Swap>,
    results: &[BotResult],
    admin: Option<Arc<AdminClient>>,
    module: &str,
) -> Vec<Swap> {
    let versions = match admin {
        Some(admin) => tokio::task::spawn_blocking(move || admin.versions())
            .await
            .ok()
            .and_then(Result::ok)
            .unwrap_or_default(),
        None => Vec::new(),
    };
    let announced: Vec<(u32, u64)> = results.iter().flat_map(|it| it.announced.iter().copied()).collect();
    swaps.into_iter().map(|it| refined(&it, &announced, &versions, module)).collect()
}

fn refined(before: &Swap, announced: &[(u32, u64)], versions: &[VersionEntry], module: &str) -> Swap {
    let heard = announced
        .iter()
        .filter(|(generation, _)| *generation == before.generation)
        .map(|(_, at_ms)| *at_ms)
        .min();
    let entry = versions.iter().find(|it| it.module == module && it.generation == before.generation);
    let at_ms = heard.unwrap_or(before.at_ms);
    match entry.and_then(|it| it.pause) {
        Some(pause) => swap(at_ms, before.generation, Some(pause)),
        None => Swap { at_ms, ..before.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::types::VersionState;

    #[test]
    fn a_swap_is_when_the_first_bot_heard_of_it() {
        let before = swap(500, 2, None);
        let pause = Pauses { spaces: 3, p50_us: 100, p99_us: 400, max_us: 500 };
        let version = VersionEntry {
            module: "chat".into(),
            generation: 2,
            version: String::new(),
            label: String::new(),
            note: String::new(),
            at_ms: 0,
            rollback: false,
            state: VersionState::Passed,
            traps: 0,
            crashes: 0,
            probation: None,
            rolls_back_to: None,
            spaces: 3,
            pause: Some(pause),
            games: Vec::new(),
        };
        let refined = refined(&before, &[(2, 480), (2, 470), (3, 1)], &[version], "chat");
        assert_eq!(
            refined,
            Swap { at_ms: 470, generation: 2, pause_p50_ms: 0.1, pause_p99_ms: 0.4, pause_max_ms: 0.5 }
        );
    }

    #[test]
    fn what_nobody_heard_keeps_the_time_of_its_answer() {
        assert_eq!(refined(&swap(500, 2, None), &[], &[], "chat").at_ms, 500);
    }

    #[tokio::test]
    async fn all_who_said_something_are_counted_by_room() {
        let (tell, mut told) = mpsc::unbounded_channel();
        for (names, said) in [(vec!["a", "a-2"], 3..=4), (vec!["b"], 4..=4)] {
            tell.send(Told::Ready).unwrap();
            for name in names {
                tell.send(Told::Said { room: "r".into(), name: name.into(), said: said.clone() }).unwrap();
            }
            tell.send(Told::Silent).unwrap();
        }
        let counted = count(&mut told, 2).await;
        let each = [("a", 3..=4), ("a-2", 3..=4), ("b", 4..=4)];
        assert_eq!(counted["r"], each.map(|(name, said)| (name.to_owned(), said)).into());
    }
}
