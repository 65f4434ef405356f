//! What one bot in the chat does: comes in, talks at its rate, listens all the while, checks; and comes again under
//! another name, if its connection may get lost.

use super::check::{Checker, SaidInRoom, Violation, read_version, text_of};
use super::report::{BotResult, Sample};
use crate::play::{CallFailed, Caller, Heard, Player};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
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
    Draining(Arc<BTreeMap<String, SaidInRoom>>),
}

/// What a bot tells the swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is in its room.
    Ready,
    /// It will not come.
    Failed(String),
    /// What it has said under a name that it will not use any more.
    Said {
        /// Its room.
        room: String,
        /// Its name.
        name: String,
        /// Messages that were answered, to those that may have been said.
        said: RangeInclusive<u64>,
    },
    /// It has said all that it will.
    Silent,
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
    /// Whether it connects again when its connection is lost.
    pub comes_again: bool,
    /// Says when to probe how long an answer takes; none: not this bot's business.
    pub probing: Option<watch::Receiver<bool>>,
}

/// What the talking half brings to the checking half.
enum Answer {
    Said {
        number: u64,
        seq: u64,
    },
    Version(u64),
    Took(Sample),
    Failed(Violation),
    /// The connection has ended. Messages up to this number may have been said.
    Cut(u64),
}

/// How a session ended for a bot.
enum Life {
    /// Nobody talks any more, and this was said in its room.
    Over(SaidInRoom),
    /// The connection is lost.
    Lost,
    /// The connection has ended for good.
    Closed,
}

/// Plays a bot to the end.
pub async fn play(
    part: Part,
    player: anyhow::Result<Player>,
    told: mpsc::UnboundedSender<Told>,
    phases: watch::Receiver<Phase>,
) -> BotResult {
    let checker = Checker::new(&part.name, &part.room);
    let result = BotResult { name: part.name.clone(), ..BotResult::default() };
    let player = match player {
        Ok(player) => player,
        Err(error) => return failed(result, checker, &told, format!("{error:#}")),
    };
    let mut bot =
        Bot { part, player, checker, result, told, phases, said: 0, may_have_said: None, is_silent: false };
    let why = match tokio::time::timeout(COME_IN, bot.come_in()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("{error:#}")),
        Err(_) => Some("it did not get into its room in time".to_owned()),
    };
    if let Some(why) = why {
        return failed(bot.result, bot.checker, &bot.told, why);
    }
    let _ = bot.told.send(Told::Ready);
    let (probes, mut probed) = mpsc::unbounded_channel();
    if let Some(probing) = bot.part.probing.clone() {
        tokio::spawn(probe(bot.part.started, bot.player.caller(), probing, probes));
    }
    if let Some(said) = bot.live().await {
        bot.checker.finish(&said, bot.part.versions);
    }
    while let Ok(probed) = probed.try_recv() {
        match probed {
            Ok(sample) => bot.result.probes.push(sample),
            Err(violation) => bot.checker.violate(violation),
        }
    }
    bot.player.close().await;
    bring_home(&mut bot.result, &bot.checker);
    bot.result
}

/// A bot with a connection.
struct Bot {
    part: Part,
    player: Player,
    checker: Checker,
    result: BotResult,
    told: mpsc::UnboundedSender<Told>,
    phases: watch::Receiver<Phase>,
    /// Number of the last message that was answered under this name.
    said: u64,
    /// Number of the last one that may have been said; known when the connection cut it short.
    may_have_said: Option<u64>,
    is_silent: bool,
}

impl Bot {
    async fn come_in(&mut self) -> anyhow::Result<()> {
        self.player.own_with("login").await?;
        self.player.call_own("login", &[Value::from(self.part.name.as_str())]).await?;
        self.player.own_with("join").await?;
        self.player.call_own("join", &[Value::from(self.part.room.as_str())]).await?;
        while !self.checker.is_here() {
            match self.player.next().await {
                Heard::Closed { why } | Heard::Lost { why, .. } => anyhow::bail!("disconnected: {why}"),
                heard => self.hear(heard),
            }
        }
        Ok(())
    }

    /// Talks and listens, in one session after the other. What was said in its room, if it heard the end of it.
    async fn live(&mut self) -> Option<SaidInRoom> {
        let name = self.part.name.clone();
        loop {
            let over = match self.talk_and_listen().await {
                Life::Over(said) => {
                    self.drain(&said).await;
                    return Some(said);
                }
                Life::Lost => !self.come_again(&name).await,
                Life::Closed => true,
            };
            if over {
                self.fall_silent();
                return None;
            }
        }
    }

    async fn talk_and_listen(&mut self) -> Life {
        let (answers, mut answered) = mpsc::unbounded_channel();
        // Dropped at the end of the session: nothing that was begun in it is said in the next one.
        let (life, lives) = watch::channel(());
        tokio::spawn(talk(self.part.clone(), self.player.caller(), self.phases.clone(), lives, answers));
        let mut talking = true;
        let ended = loop {
            tokio::select! {
                heard = self.player.next() => match heard {
                    Heard::Lost { .. } => break Life::Lost,
                    heard => {
                        let closed = matches!(heard, Heard::Closed { .. });
                        self.hear(heard);
                        if closed {
                            break Life::Closed;
                        }
                    }
                },
                answer = answered.recv(), if talking => match answer {
                    Some(answer) => self.take(answer),
                    None => {
                        talking = false;
                        self.tell_what_was_said();
                        if self.may_have_said.is_none() {
                            self.fall_silent();
                        }
                    }
                },
                changed = self.phases.changed() => {
                    if changed.is_err() {
                        break Life::Closed;
                    }
                    if let Phase::Draining(said) = &*self.phases.borrow_and_update() {
                        break Life::Over(said.get(&self.part.room).cloned().unwrap_or_default());
                    }
                }
            }
        };
        drop(life);
        if talking && !matches!(ended, Life::Over(_)) {
            while let Some(answer) = answered.recv().await {
                self.take(answer);
            }
            self.tell_what_was_said();
        }
        ended
    }

    fn tell_what_was_said(&self) {
        let (room, name) = (self.part.room.clone(), self.part.name.clone());
        let said = self.said..=self.may_have_said.unwrap_or(self.said);
        let _ = self.told.send(Told::Said { room, name, said });
    }

    /// Tells so once.
    fn fall_silent(&mut self) {
        if !std::mem::replace(&mut self.is_silent, true) {
            let _ = self.told.send(Told::Silent);
        }
    }

    /// Waits until it is connected again, and comes in under another name; false if it will not, or need not.
    async fn come_again(&mut self, name: &str) -> bool {
        self.lose();
        loop {
            let heard = tokio::select! {
                heard = self.player.next() => heard,
                // The others go home; nobody waits for this one.
                _ = self.phases.wait_for(|phase| matches!(phase, Phase::Counting | Phase::Draining(_))) => return false,
            };
            match heard {
                Heard::Back { .. } => self.begin_again(name),
                Heard::Closed { why } => return self.fail(why),
                _ => continue,
            }
            match tokio::time::timeout(COME_IN, self.come_in()).await {
                Ok(Ok(())) => return true,
                // Lost once more, before it was in.
                _ if !self.player.is_connected() => self.lose(),
                Ok(Err(error)) => return self.fail(format!("{error:#}")),
                Err(_) => return self.fail("it did not get into its room in time".to_owned()),
            }
        }
    }

    /// An end for good is told by itself.
    fn lose(&mut self) {
        self.result.lost += u64::from(self.part.comes_again);
    }

    /// What comes is for another one with the same past.
    fn begin_again(&mut self, name: &str) {
        self.part.name = format!("{name}-{}", self.result.lost + 1);
        let next = self.checker.again(&self.part.name);
        bring_home(&mut self.result, &self.checker);
        self.checker = next;
        (self.said, self.may_have_said) = (0, None);
    }

    fn fail(&mut self, why: String) -> bool {
        self.checker.violate(Violation::Disconnected { why });
        false
    }

    /// Listens until all that was said has come, and a while longer.
    async fn drain(&mut self, said: &SaidInRoom) {
        let last = Instant::now() + LAST_MESSAGES;
        let mut until = if self.checker.has_all(said) { Instant::now() + SILENCE } else { last };
        while let Ok(heard) = tokio::time::timeout_at(until.into(), self.player.next()).await {
            let over = matches!(heard, Heard::Closed { .. });
            self.hear(heard);
            if over {
                return;
            }
            if self.checker.has_all(said) && until == last {
                until = Instant::now() + SILENCE;
            }
        }
    }

    fn hear(&mut self, heard: Heard) {
        look(&self.player, &heard, &mut self.checker);
        match heard {
            Heard::Called { name, args, .. } if name == "said" => {
                let seq = args.get(3).and_then(Value::as_u64).unwrap_or(0);
                self.checker.told(text(&args, 0), text(&args, 1), text(&args, 2), seq);
            }
            Heard::Called { name, args, .. } if name == "joined" => {
                self.checker.joined(text(&args, 0), text(&args, 1));
            }
            Heard::Version { generation, .. } => {
                self.checker.saw_generation(generation);
                self.result.announced.push((generation, since_ms(self.part.started)));
            }
            Heard::Closed { why } => self.checker.violate(Violation::Disconnected { why }),
            Heard::Strange(text) => self.checker.violate(Violation::Unreadable { text }),
            // After the last word: what it misses now it is told of when it is counted.
            Heard::Lost { .. } => self.lose(),
            _ => {}
        }
    }

    fn take(&mut self, answer: Answer) {
        match answer {
            Answer::Said { number, seq } => {
                self.result.said += 1;
                self.said = number;
                self.checker.answered(number, seq);
            }
            Answer::Version(version) => self.checker.saw_version(version),
            Answer::Took(sample) => self.result.samples.push(sample),
            Answer::Failed(violation) => self.checker.violate(violation),
            Answer::Cut(number) => self.may_have_said = Some(number),
        }
    }
}

/// One message after the other, each after the answer to the one before.
async fn talk(
    part: Part,
    caller: Caller,
    mut phase: watch::Receiver<Phase>,
    mut life: watch::Receiver<()>,
    answers: mpsc::UnboundedSender<Answer>,
) {
    tokio::select! {
        talking = phase.wait_for(|phase| !matches!(phase, Phase::Coming)) => if talking.is_err() { return },
        _ = life.changed() => return,
    }
    let mut ticks = tokio::time::interval(part.pause);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut number = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = phase.wait_for(|phase| !matches!(phase, Phase::Talking)) => return,
            _ = life.changed() => return,
        }
        let next = number + 1;
        match timed(&part, &answers, caller.call_own("say", &[Value::from(text_of(next))])).await {
            Ok(seq) => {
                number = next;
                let _ = answers.send(Answer::Said { number, seq: seq.as_u64().unwrap_or(0) });
            }
            Err(error) if error.is_disconnected() => {
                let last = if error.surely_not_run() { number } else { next };
                let _ = answers.send(Answer::Cut(last));
                return;
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
                Err(error) if error.is_disconnected() => Answer::Cut(number),
                Err(error) => {
                    Answer::Failed(Violation::CallFailed { method: "version", why: error.to_string() })
                }
            };
            let cut = matches!(answer, Answer::Cut(_));
            let _ = answers.send(answer);
            if cut {
                return;
            }
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
                if answer.as_ref().is_err_and(CallFailed::is_disconnected) {
                    return;
                }
                let took_us = u64::try_from(before.elapsed().as_micros()).unwrap_or(u64::MAX);
                let sample = Sample { at_ms: since_ms(started), took_us };
                let failed =
                    |error: CallFailed| Violation::CallFailed { method: "version", why: error.to_string() };
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

fn failed(
    mut result: BotResult,
    mut checker: Checker,
    told: &mpsc::UnboundedSender<Told>,
    why: String,
) -> BotResult {
    checker.violate(Violation::Disconnected { why: why.clone() });
    let _ = told.send(Told::Failed(why));
    bring_home(&mut result, &checker);
    result
}

/// Adds what was checked under one name.
fn bring_home(result: &mut BotResult, checker: &Checker) {
    result.told += checker.told;
    // Those of the names before are among them.
    result.versions = checker.versions().len();
    result.violations.extend(checker.violations.iter().cloned());
    for (name, count) in &checker.counts {
        *result.counts.entry(name).or_default() += count;
    }
}

fn text(args: &[Value], place: usize) -> &str {
    args.get(place).and_then(Value::as_str).unwrap_or_default()
}

fn since_ms(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}
