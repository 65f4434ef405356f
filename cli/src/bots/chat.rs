//! What one bot in the chat does: comes in, talks at its rate, listens all the while, checks.

use super::check::{Checker, Violation, read_version, text_of};
use super::report::{BotResult, Sample};
use crate::play::{Caller, Heard, Player};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// How long a bot may take to come in.
const COME_IN: Duration = Duration::from_secs(30);
/// How long the last messages may take.
const LAST_MESSAGES: Duration = Duration::from_secs(10);
/// Silence after the last message in which a doubled one would come.
const SILENCE: Duration = Duration::from_millis(500);
/// From probe to probe, whatever becomes of the ones before: 50 in a second are half of what a client may ask.
const PROBE_PAUSE: Duration = Duration::from_millis(20);
/// Every so many messages it asks for the version.
const VERSION_EVERY: u64 = 5;

/// What all bots do together.
#[derive(Clone, Debug, Default)]
pub enum Phase {
    /// Nobody talks before everybody is there.
    #[default]
    Coming,
    /// Talk.
    Talking,
    /// Talk no more; say how much you said.
    Counting,
    /// This is what was said in each room, by whom.
    Draining(Arc<BTreeMap<String, BTreeMap<String, u64>>>),
}

/// What a bot tells the swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is in its room.
    Ready,
    /// It will not come.
    Failed(String),
    /// It has stopped to talk.
    Said {
        /// Its room.
        room: String,
        /// Its name.
        name: String,
        /// Messages that were answered.
        said: u64,
    },
}

/// A bot's part in the play.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its room.
    pub room: String,
    /// From message to message.
    pub pause: Duration,
    /// When the swarm started.
    pub started: Instant,
    /// Versions that run meanwhile, the first one included; 0 = nobody counts.
    pub versions: usize,
    /// Says when to probe how long an answer takes; none: not this bot's business.
    pub probing: Option<watch::Receiver<bool>>,
}

/// What the talking half brings to the checking half.
enum Answer {
    Said { number: u64, seq: u64 },
    Version(u64),
    Took(Sample),
    Failed(Violation),
}

/// Plays a bot to the end.
pub async fn play(
    part: Part,
    player: anyhow::Result<Player>,
    told: mpsc::UnboundedSender<Told>,
    phase: watch::Receiver<Phase>,
) -> BotResult {
    let mut checker = Checker::new(&part.name, &part.room);
    let mut result = BotResult { name: part.name.clone(), ..BotResult::default() };
    let mut player = match player {
        Ok(player) => player,
        Err(error) => return failed(result, checker, &told, format!("{error:#}")),
    };
    match tokio::time::timeout(COME_IN, come_in(&part, &mut player, &mut checker, &mut result)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return failed(result, checker, &told, format!("{error:#}")),
        Err(_) => return failed(result, checker, &told, "it did not get into its room in time".to_owned()),
    }
    let _ = told.send(Told::Ready);
    let (answers, mut answered) = mpsc::unbounded_channel();
    tokio::spawn(talk(part.clone(), player.caller(), phase.clone(), answers));
    let (probes, mut probed) = mpsc::unbounded_channel();
    if let Some(probing) = part.probing.clone() {
        tokio::spawn(probe(part.started, player.caller(), probing, probes));
    }
    let mut phases = phase;
    let mut talking = true;
    let said = loop {
        tokio::select! {
            heard = player.next() => {
                let closed = matches!(heard, Heard::Closed { .. });
                look(&player, &heard, &mut checker);
                hear(&part, heard, &mut checker, &mut result);
                if closed {
                    return close(result, checker);
                }
            }
            answer = answered.recv(), if talking => match answer {
                Some(answer) => take(answer, &mut checker, &mut result),
                None => {
                    talking = false;
                    let (room, name) = (part.room.clone(), part.name.clone());
                    let _ = told.send(Told::Said { room, name, said: result.said });
                }
            },
            changed = phases.changed() => {
                if changed.is_err() {
                    return close(result, checker);
                }
                if let Phase::Draining(said) = &*phases.borrow_and_update() {
                    break said.get(&part.room).cloned().unwrap_or_default();
                }
            }
        }
    };
    drain(&part, &said, &mut player, &mut checker, &mut result).await;
    while let Ok(probed) = probed.try_recv() {
        match probed {
            Ok(sample) => result.probes.push(sample),
            Err(violation) => checker.violate(violation),
        }
    }
    checker.finish(&said, part.versions);
    player.close().await;
    close(result, checker)
}

async fn come_in(
    part: &Part,
    player: &mut Player,
    checker: &mut Checker,
    result: &mut BotResult,
) -> anyhow::Result<()> {
    player.own_with("login").await?;
    player.call_own("login", &[Value::from(part.name.as_str())]).await?;
    player.own_with("join").await?;
    player.call_own("join", &[Value::from(part.room.as_str())]).await?;
    while !checker.is_here() {
        let heard = player.next().await;
        if let Heard::Closed { why } = &heard {
            anyhow::bail!("disconnected: {why}");
        }
        look(player, &heard, checker);
        hear(part, heard, checker, result);
    }
    Ok(())
}

/// One message after the other, each after the answer to the one before.
async fn talk(
    part: Part,
    caller: Caller,
    mut phase: watch::Receiver<Phase>,
    answers: mpsc::UnboundedSender<Answer>,
) {
    if phase.wait_for(|phase| !matches!(phase, Phase::Coming)).await.is_err() {
        return;
    }
    let mut ticks = tokio::time::interval(part.pause);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut number = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = phase.wait_for(|phase| !matches!(phase, Phase::Talking)) => return,
        }
        let next = number + 1;
        match timed(&part, &answers, caller.call_own("say", &[Value::from(text_of(next))])).await {
            Ok(seq) => {
                number = next;
                let _ = answers.send(Answer::Said { number, seq: seq.as_u64().unwrap_or(0) });
            }
            Err(error) => {
                // It may have been said.
                number = if error.surely_not_run() { number } else { next };
                let _ = answers
                    .send(Answer::Failed(Violation::CallFailed { method: "say", why: error.to_string() }));
            }
        }
        if number % VERSION_EVERY == 1 {
            let answer = match timed(&part, &answers, caller.call_own("version", &[])).await {
                Ok(version) => match version.as_str().and_then(read_version) {
                    Some(version) => Answer::Version(version),
                    None => Answer::Failed(Violation::Unreadable { text: version.to_string() }),
                },
                Err(error) => {
                    Answer::Failed(Violation::CallFailed { method: "version", why: error.to_string() })
                }
            };
            let _ = answers.send(answer);
        }
    }
}

/// While it is wanted, calls at a steady rate without waiting for answers: a server that pauses cannot make fewer
/// calls feel the pause.
async fn probe(
    started: Instant,
    caller: Caller,
    mut probing: watch::Receiver<bool>,
    probes: mpsc::UnboundedSender<Result<Sample, Violation>>,
) {
    while probing.wait_for(|wanted| *wanted).await.is_ok() {
        let mut ticks = tokio::time::interval(PROBE_PAUSE);
        while *probing.borrow() {
            ticks.tick().await;
            let (caller, probes) = (caller.clone(), probes.clone());
            tokio::spawn(async move {
                let before = Instant::now();
                let answer = caller.call_own("version", &[]).await;
                let took_us = u64::try_from(before.elapsed().as_micros()).unwrap_or(u64::MAX);
                let sample = Sample { at_ms: since_ms(started), took_us };
                let failed = |error: crate::play::CallFailed| Violation::CallFailed {
                    method: "version",
                    why: error.to_string(),
                };
                let _ = probes.send(answer.map(|_| sample).map_err(failed));
            });
        }
    }
}

async fn timed<T>(part: &Part, answers: &mpsc::UnboundedSender<Answer>, call: impl Future<Output = T>) -> T {
    let before = Instant::now();
    let answer = call.await;
    let took_us = u64::try_from(before.elapsed().as_micros()).unwrap_or(u64::MAX);
    let _ = answers.send(Answer::Took(Sample { at_ms: since_ms(part.started), took_us }));
    answer
}

/// What became of the own mirror.
fn look(player: &Player, heard: &Heard, checker: &mut Checker) {
    let (entity, changed) = match heard {
        Heard::Created(entity) => (*entity, None),
        Heard::Changed(entity, names) => (*entity, Some(names)),
        _ => return,
    };
    let Some(own) = player.own().filter(|own| own.id == entity) else { return };
    let told = own.values.iter().filter(|(name, _)| changed.is_none_or(|changed| changed.contains(name)));
    for (name, value) in told {
        checker.mirrored(name, value.as_str().unwrap_or_default());
    }
}

fn hear(part: &Part, heard: Heard, checker: &mut Checker, result: &mut BotResult) {
    match heard {
        Heard::Called { name, args, .. } if name == "said" => {
            let seq = args.get(3).and_then(Value::as_u64).unwrap_or(0);
            checker.told(text(&args, 0), text(&args, 1), text(&args, 2), seq);
        }
        Heard::Called { name, args, .. } if name == "joined" => {
            checker.joined(text(&args, 0), text(&args, 1));
        }
        Heard::Version { generation, .. } => {
            checker.saw_generation(generation);
            result.announced.push((generation, since_ms(part.started)));
        }
        Heard::Closed { why } => checker.violate(Violation::Disconnected { why }),
        Heard::Strange(text) => checker.violate(Violation::Unreadable { text }),
        _ => {}
    }
}

fn take(answer: Answer, checker: &mut Checker, result: &mut BotResult) {
    match answer {
        Answer::Said { number, seq } => {
            result.said = number;
            checker.answered(number, seq);
        }
        Answer::Version(version) => checker.saw_version(version),
        Answer::Took(sample) => result.samples.push(sample),
        Answer::Failed(violation) => checker.violate(violation),
    }
}

/// Listens until all that was said has come, and a while longer.
async fn drain(
    part: &Part,
    said: &BTreeMap<String, u64>,
    player: &mut Player,
    checker: &mut Checker,
    result: &mut BotResult,
) {
    let last = Instant::now() + LAST_MESSAGES;
    let mut until = if checker.has_all(said) { Instant::now() + SILENCE } else { last };
    while let Ok(heard) = tokio::time::timeout_at(until.into(), player.next()).await {
        look(player, &heard, checker);
        if matches!(heard, Heard::Closed { .. }) {
            hear(part, heard, checker, result);
            return;
        }
        hear(part, heard, checker, result);
        if checker.has_all(said) && until == last {
            until = Instant::now() + SILENCE;
        }
    }
}

fn failed(
    result: BotResult,
    mut checker: Checker,
    told: &mpsc::UnboundedSender<Told>,
    why: String,
) -> BotResult {
    checker.violate(Violation::Disconnected { why: why.clone() });
    let _ = told.send(Told::Failed(why));
    close(result, checker)
}

fn close(mut result: BotResult, checker: Checker) -> BotResult {
    result.told = checker.told;
    result.versions = checker.versions().len();
    result.violations.extend(checker.violations);
    result.counts = checker.counts;
    result
}

fn text(args: &[Value], place: usize) -> &str {
    args.get(place).and_then(Value::as_str).unwrap_or_default()
}

fn since_ms(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}
