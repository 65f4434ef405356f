//! Running a recording again, on its version or on another one.
//!
//! Time, inputs and chance come from the recording; so do verdicts that came from real time or from what
//! else the process did: an event that was cut, or found no room for an instance, is not run, but ends again
//! as it did. The space is a fresh [`SpaceCore`].

use super::entry::{Entry, Start};
use super::format::{RecordingError, RecordingReader};
use super::mask::{Masker, takes_secrets};
use super::report::{ReplayReport, compare, crashed, version_text};
use crate::guest::{Event, Guest, GuestError, GuestSource, Imports, Trap, TrapKind, Verdict, VersionHash};
use crate::message::Input;
use crate::replicate::Intervals;
use crate::space::{
    Commit, CommitVerdict, DropReason, InstanceChange, Recorder, RestoreError, SpaceConfig, SpaceCore,
};
use crate::versions::ModuleVersion;
use bytes::Bytes;
use everwake_protocol::EntityId;
use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

/// How to replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// Run this version instead of the recorded ones; swaps in the recording are left out. The
    /// recorded version's tables are needed nevertheless.
    pub on: Option<Arc<ModuleVersion>>,
    /// Differences that are reported in full.
    pub differences_max: usize,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        ReplayOptions { on: None, differences_max: 10 }
    }
}

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be read.
    #[error("{0}")]
    Recording(#[from] RecordingError),
    /// A version that is not at hand.
    #[error("version {0} of the module is not at hand; modules are not part of recordings")]
    UnknownVersion(VersionHash),
    /// The snapshot does not fit the version.
    #[error("{0}")]
    Restore(#[from] RestoreError),
    /// The other version could not take over where the recording begins.
    #[error("the version cannot take over: {0}")]
    Swap(String),
}

/// Replays a recording. `versions` has the tables of versions by hash, `guests` their instances.
pub fn replay<R: Read>(
    mut reader: RecordingReader<R>,
    versions: &dyn Fn(VersionHash) -> Option<Arc<ModuleVersion>>,
    guests: &mut dyn GuestSource,
    options: &ReplayOptions,
) -> Result<ReplayReport, ReplayError> {
    let start = reader.start().clone();
    let recorded = versions(start.version).ok_or(ReplayError::UnknownVersion(start.version))?;
    let mut player = Player::new(start, recorded, options, guests)?;
    loop {
        match reader.next_entry() {
            Ok(Some(Entry::Drain { now_ms })) => {
                player.play(guests);
                player.turn = Some(Turn { now_ms, ..Turn::default() });
            }
            Ok(Some(entry)) => player.take(entry, versions)?,
            Ok(None) => break,
            Err(error @ RecordingError::Truncated { .. }) => {
                // The turn that was cut would seem to differ.
                player.turn = None;
                player.report.cut_short = Some(error.to_string());
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }
    player.play(guests);
    Ok(player.report)
}

/// What the recording has of one drain.
#[derive(Default)]
struct Turn {
    now_ms: u64,
    inputs: VecDeque<Input>,
    commits: Vec<Commit>,
    /// It was looked at who sees whom.
    looks: bool,
    /// The instance rested before the next drain.
    rests: bool,
}

struct Player {
    core: SpaceCore,
    /// Commits of the drain that runs.
    heard: Arc<Mutex<Vec<Commit>>>,
    cut: Cut,
    turn: Option<Turn>,
    recording: Masker,
    replayed: Masker,
    on_other: bool,
    differences_max: usize,
    report: ReplayReport,
}

impl Player {
    fn new(
        start: Start,
        recorded: Arc<ModuleVersion>,
        options: &ReplayOptions,
        guests: &mut dyn GuestSource,
    ) -> Result<Player, ReplayError> {
        let mut config = SpaceConfig::new(start.space, start.kind, [0; 32]);
        config.epoch = start.epoch;
        config.events_per_drain = start.events_per_drain;
        let (attributes_ms, positions_ms) = start.intervals_ms;
        config.intervals = Intervals { attributes_ms, positions_ms };
        config.keeps_past = false;
        config.sender = start.sender;
        config.ready = start.ready;
        let running = options.on.clone().unwrap_or_else(|| recorded.clone());
        let report = ReplayReport {
            module: start.module.clone(),
            recorded: version_text(&start.label, start.version),
            replayed: version_text(&running.manifest.label, running.hash),
            is_past: start.is_past,
            ..ReplayReport::default()
        };
        let mut recording = Masker::new(recorded.clone());
        let core = match &start.snapshot {
            Some(snapshot) => {
                let now_ms = snapshot.now_ms;
                let mut core = SpaceCore::restore(config, recorded.clone(), snapshot.clone())?;
                if running.hash != recorded.hash {
                    take_over(&mut core, now_ms, &running, guests)?;
                }
                core
            }
            None => SpaceCore::new(config, running.clone()),
        };
        recording.mask(&mut Entry::Start(Box::new(start)), &|_| None);
        let mut replayed = recording.clone();
        replayed.follow(running);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut core = core;
        core.record(Some(Box::new(Ear { heard: heard.clone() })));
        Ok(Player {
            core,
            heard,
            cut: Cut::default(),
            turn: None,
            recording,
            replayed,
            on_other: options.on.is_some(),
            differences_max: options.differences_max,
            report,
        })
    }

    /// Takes what belongs to the present turn.
    fn take(
        &mut self,
        entry: Entry,
        versions: &dyn Fn(VersionHash) -> Option<Arc<ModuleVersion>>,
    ) -> Result<(), ReplayError> {
        let Some(turn) = &mut self.turn else { return Ok(()) };
        match entry {
            Entry::Input(input) => {
                let input = input.into_input(versions).map_err(ReplayError::UnknownVersion)?;
                turn.inputs.push_back(input);
            }
            Entry::Commit(commit) => turn.commits.push(*commit),
            Entry::Look => turn.looks = true,
            Entry::Instance(InstanceChange::Dropped(DropReason::Idle)) => turn.rests = true,
            Entry::Instance(_) | Entry::Drain { .. } | Entry::Start(_) => {}
        }
        Ok(())
    }

    /// Runs the present turn and compares.
    fn play(&mut self, guests: &mut dyn GuestSource) {
        let Some(mut turn) = self.turn.take() else { return };
        self.report.drains += 1;
        self.report.inputs += turn.inputs.len() as u64;
        for input in &turn.inputs {
            self.learn(input);
        }
        if self.on_other {
            turn.inputs.retain(|input| !matches!(input, Input::Swap(_)));
        }
        self.core.replay_seeds(turn.commits.iter().map(|commit| commit.seed));
        let ends = turn.commits.iter().filter_map(|commit| Some((commit.seed, Ended::of(commit)?)));
        let ends: BTreeMap<_, _> = ends.collect();
        self.report.timed_out += ends.values().filter(|end| end.kind == TrapKind::TimedOut).count() as u64;
        self.cut.replace(ends);
        if !self.on_other {
            self.core.replay_look(turn.looks);
        }
        let mut scripted = Scripted { guests, cut: self.cut.clone() };
        self.core.drain(turn.now_ms, &mut turn.inputs, &mut scripted, &mut Vec::new());
        if turn.rests {
            self.core.rest();
        }
        let replayed = std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner));
        self.compare(&turn.commits, replayed);
    }

    /// Both sides learn from an input which entities there are, and follow swaps.
    fn learn(&mut self, input: &Input) {
        let swap = match input {
            Input::Swap(version) => Some(version.clone()),
            _ => None,
        };
        let mut entry = Entry::Input(Box::new(super::entry::RecordedInput::of(input)));
        self.recording.mask(&mut entry, &|_| swap.clone());
        let followed = if self.on_other { None } else { swap };
        self.replayed.mask(&mut entry, &|_| followed.clone());
    }

    fn compare(&mut self, recorded: &[Commit], mut replayed: Vec<Commit>) {
        for commit in &mut replayed {
            self.replayed.commit(commit);
        }
        for place in 0..recorded.len().max(replayed.len()) {
            let (old, new) = (recorded.get(place), replayed.get(place));
            let mut old = old.cloned();
            if let Some(old) = &mut old {
                // It is masked; its entities are to be learnt.
                self.recording.commit(old);
                self.report.commits += 1;
                self.report.masked += u64::from(self.lacks_secrets(old));
            }
            match compare(old.as_ref(), new, &self.recording, &self.replayed) {
                None => {
                    self.report.equal += 1;
                    if let Some(new) = new.filter(|new| matches!(new.verdict, CommitVerdict::Trapped(_)))
                        && self.report.crashed_again.len() < self.differences_max
                    {
                        self.report.crashed_again.push(crashed(new, &self.recording));
                    }
                }
                Some(difference) => {
                    self.report.different += 1;
                    if self.report.differences.len() < self.differences_max {
                        self.report.differences.push(difference);
                    }
                }
            }
        }
    }

    fn lacks_secrets(&self, commit: &Commit) -> bool {
        let table = self.recording.version().type_of(commit.type_id);
        let method = table.zip(commit.method).and_then(|(table, key)| {
            let place = *table.method_by_key.get(&key)? as usize;
            table.methods.get(place)
        });
        method.is_some_and(takes_secrets)
    }
}

/// Brings another version into the space before anything is compared.
fn take_over(
    core: &mut SpaceCore,
    now_ms: u64,
    version: &Arc<ModuleVersion>,
    guests: &mut dyn GuestSource,
) -> Result<(), ReplayError> {
    let mut inputs = VecDeque::from([Input::Swap(version.clone())]);
    let mut out = Vec::new();
    core.drain(now_ms, &mut inputs, guests, &mut out);
    let failed = out.iter().find_map(|output| match output {
        crate::message::Output::Swapped(report) => report.failed.clone(),
        _ => None,
    });
    match failed {
        Some(why) => Err(ReplayError::Swap(why)),
        None if core.version().hash != version.hash => Err(ReplayError::Swap("it did not".to_owned())),
        None => Ok(()),
    }
}

/// Hears the commits of a space.
struct Ear {
    heard: Arc<Mutex<Vec<Commit>>>,
}

impl Recorder for Ear {
    fn drain(&mut self, _: u64) {}

    fn input(&mut self, _: &Input) {}

    fn commit(&mut self, commit: &Commit) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(commit.clone());
    }

    fn look(&mut self) {}

    fn instance(&mut self, _: InstanceChange) {}
}

/// Makes guests that end the events that were cut as they ended.
struct Scripted<'g> {
    guests: &'g mut dyn GuestSource,
    cut: Cut,
}

/// How events of this drain ended that would not end so again by themselves, by seed. Instances outlive
/// drains and share it.
#[derive(Clone, Debug, Default)]
struct Cut {
    ends: Arc<Mutex<BTreeMap<[u32; 4], Ended>>>,
}

/// The end of an event that the replay does not run.
#[derive(Clone, Copy, Debug)]
struct Ended {
    kind: TrapKind,
    /// The member that a tick was working on: who runs again, and with whom, follows from it.
    working_on: Option<u32>,
}

impl Ended {
    fn of(commit: &Commit) -> Option<Ended> {
        let CommitVerdict::Trapped(kind) = commit.verdict else { return None };
        let by_chance = matches!(kind, TrapKind::TimedOut | TrapKind::NoRoom | TrapKind::Instantiate);
        by_chance.then_some(Ended { kind, working_on: commit.working_on })
    }
}

impl Cut {
    fn replace(&self, ends: BTreeMap<[u32; 4], Ended>) {
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner) = ends;
    }

    fn end_of(&self, seed: &[u32; 4]) -> Option<Ended> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).get(seed).copied()
    }
}

impl GuestSource for Scripted<'_> {
    fn instantiate(&mut self, version: VersionHash) -> Result<Box<dyn Guest>, Trap> {
        let guest = self.guests.instantiate(version)?;
        Ok(Box::new(ScriptedGuest { guest, cut: self.cut.clone() }))
    }
}

struct ScriptedGuest {
    guest: Box<dyn Guest>,
    cut: Cut,
}

impl Guest for ScriptedGuest {
    fn handle(&mut self, event: &Event, mut host: Box<dyn Imports>) -> (Box<dyn Imports>, Verdict) {
        if let Some(Ended { kind, working_on }) = self.cut.end_of(&event.seed) {
            if let Some(index) = working_on {
                host.working_on(index);
            }
            let message = "it ended so in the recording".to_owned();
            return (host, Verdict::Trapped(Trap { kind, message, frames: Vec::new() }));
        }
        self.guest.handle(event, host)
    }

    fn forget(&mut self, entities: &[EntityId]) -> Result<(), Trap> {
        self.guest.forget(entities)
    }

    fn snapshot(&mut self, entity: EntityId) -> Result<Option<Bytes>, Trap> {
        self.guest.snapshot(entity)
    }

    fn migrate(
        &mut self,
        type_index: u32,
        from: u32,
        to: u32,
        state: &[u8],
    ) -> Result<Result<Bytes, GuestError>, Trap> {
        self.guest.migrate(type_index, from, to, state)
    }

    fn memory_bytes(&self) -> (usize, usize) {
        self.guest.memory_bytes()
    }
}
