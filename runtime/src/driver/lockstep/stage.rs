//! The spaces of one game in one thread, and what its core wants of a driver: shared by games that are alone and
//! games among others.

use crate::driver::cell::{Cell, SpaceSettings};
use crate::driver::loader::ModuleLoader;
use crate::game::admin::{AdminAnswer, AdminRequest};
use crate::game::report::Fact;
use crate::game::{GameInput, GameOutput};
use crate::guest::GuestSource;
use crate::message::{Crash, Input, LogLine};
use crate::space::SpaceCore;
use crate::tally::Tally;
use everwake_protocol::EntityId;
use std::collections::{BTreeMap, VecDeque};

/// `I` is what the core takes.
pub(super) struct Stage<I> {
    cells: BTreeMap<EntityId, StagedCell>,
    /// For the core, in order.
    pub(super) inputs: VecDeque<I>,
    loader: Box<dyn ModuleLoader>,
    source: Box<dyn GuestSource>,
    settings: SpaceSettings,
    chance: u64,
    last_ticket: u64,
    pub(super) answers: BTreeMap<u64, AdminAnswer>,
    pub(super) facts: Vec<Fact>,
    pub(super) crashes: Vec<Crash>,
    pub(super) log: Vec<LogLine>,
    pub(super) finished: bool,
    /// The core was told that its life is over.
    pub(super) outlived: bool,
}

struct StagedCell {
    core: Cell,
    /// When it wants to run.
    wake_ms: Option<u64>,
    waiting: bool,
}

impl StagedCell {
    fn is_ready(&self, now_ms: u64) -> bool {
        self.waiting || self.wake_ms.is_some_and(|wake_ms| wake_ms <= now_ms)
    }
}

impl<I: From<GameInput>> Stage<I> {
    /// Without spaces.
    pub(super) fn new(loader: Box<dyn ModuleLoader>, settings: SpaceSettings, seed: u64) -> Stage<I> {
        Stage {
            cells: BTreeMap::new(),
            inputs: VecDeque::new(),
            source: loader.source(),
            loader,
            settings,
            chance: seed,
            last_ticket: 0,
            answers: BTreeMap::new(),
            facts: Vec::new(),
            crashes: Vec::new(),
            log: Vec::new(),
            finished: false,
            outlived: false,
        }
    }

    pub(super) fn push(&mut self, input: GameInput) {
        self.inputs.push_back(input.into());
    }

    /// Asks as an operator; answers the ticket.
    pub(super) fn ask(&mut self, request: AdminRequest) -> u64 {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.push(GameInput::Admin { ticket, request });
        ticket
    }

    /// Does what the core wants.
    pub(super) fn follow(&mut self, output: GameOutput) {
        match output {
            GameOutput::MakeSpace(spec) => {
                let core = self.settings.make(&spec);
                self.cells.insert(spec.id, StagedCell { core, wake_ms: None, waiting: false });
            }
            GameOutput::DropSpace(space) => {
                let inputs = self.cells.remove(&space).map(|cell| cell.core.drop_inputs());
                let inputs: Vec<Input> = inputs.unwrap_or_default();
                if !inputs.is_empty() {
                    self.push(GameInput::Returned { space, inputs });
                }
            }
            GameOutput::ToSpace(space, input) => match self.cells.get_mut(&space) {
                Some(cell) => {
                    cell.core.push(input);
                    cell.waiting = true;
                }
                None => self.push(GameInput::Returned { space, inputs: vec![input] }),
            },
            // Whoever holds the core has brought it to a dispatcher already.
            GameOutput::Dispatch(_) => {}
            GameOutput::Outlived => self.outlived = true,
            GameOutput::Admin { ticket, answer } => drop(self.answers.insert(ticket, *answer)),
            GameOutput::Load { job, bytes } => {
                let result = self.loader.load(bytes);
                self.push(GameInput::Loaded { job, result });
            }
            // Nothing is recorded here that would be replayed with it.
            GameOutput::Live { .. } => {}
            GameOutput::Forget(version) => self.loader.forget(version),
            GameOutput::Fact(fact) => self.facts.push(fact),
            GameOutput::Crash { crash, log: _ } => self.crashes.push(*crash),
            GameOutput::Log(line) => self.log.push(*line),
            GameOutput::Finished => self.finished = true,
        }
    }

    /// Runs one of the spaces that have something to do; false if none has.
    pub(super) fn run_one_space(&mut self, now_ms: u64) -> bool {
        let count = self.cells.values().filter(|cell| cell.is_ready(now_ms)).count();
        if count == 0 {
            return false;
        }
        let chosen = usize::try_from(self.draw() % count as u64).unwrap_or_default();
        let mut ready = self.cells.values_mut().filter(|cell| cell.is_ready(now_ms));
        let Some(cell) = ready.nth(chosen) else { return false };
        let drained = cell.core.drain(now_ms, self.source.as_mut());
        cell.waiting = false;
        cell.wake_ms = cell.core.core().next_wake_ms();
        // Pauses are wall time: in a world without any they would say nothing.
        let inputs = drained.inputs.into_iter().filter(|input| !matches!(input, GameInput::Paused { .. }));
        self.inputs.extend(inputs.map(I::from));
        true
    }

    /// When a space wants to run next.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.cells.values().filter_map(|cell| cell.wake_ms).min()
    }

    /// Whether something was handed to a space that has not run since.
    pub(super) fn is_anybody_waiting(&self) -> bool {
        self.cells.values().any(|cell| cell.waiting)
    }

    /// By id.
    pub(super) fn spaces(&self) -> Vec<EntityId> {
        self.cells.keys().copied().collect()
    }

    pub(super) fn with_space<T>(&self, space: EntityId, look: impl FnOnce(&mut SpaceCore) -> T) -> Option<T> {
        self.cells.get(&space).map(|cell| look(&mut cell.core.core()))
    }

    pub(super) fn tally(&self, tally: &mut Tally) {
        self.cells.values().for_each(|cell| cell.core.core().tally(tally));
        tally.count("answers to operators", self.answers.len());
    }

    fn draw(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.chance ^ (self.chance >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
