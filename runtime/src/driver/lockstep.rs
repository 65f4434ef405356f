//! A whole game in one thread under virtual time: the same cores, another driver.
//!
//! The same seed, inputs and components give the same run, event by event: which space runs next
//! is drawn from the seed, time passes only when asked to. For tests, simulation, replay and the
//! testkit.

use super::cell::{Cell, SpaceSettings};
use super::loader::ModuleLoader;
use crate::game::admin::{AdminAnswer, AdminRequest};
use crate::game::node::{Lives, Node, NodeInput, NodeOutput};
use crate::game::publish::PublishOptions;
use crate::game::report::{Fact, PublicationReport};
use crate::game::{GameConfig, GameCore, GameInput, GameOutput};
use crate::guest::GuestSource;
use crate::message::{Crash, Input, LogLine};
use crate::space::SpaceCore;
use crate::tally::Tally;
use bytes::Bytes;
use everwake_protocol::EntityId;
use everwake_protocol::cluster::{FromDispatcher, ToDispatcher, ToGame, ToGate};
use std::collections::{BTreeMap, VecDeque};

/// Drains in a row without any time passing, after which a world counts as restless.
const DRAINS_MAX: usize = 1_000_000;

/// What a world is made of.
pub struct WorldSettings {
    /// Of the core.
    pub config: GameConfig,
    /// Of each space.
    pub spaces: SpaceSettings,
    /// The lives of the game and of its gate.
    pub lives: Lives,
    /// All chance comes from it.
    pub seed: u64,
    /// UTC ms at the start.
    pub start_ms: u64,
    /// Turns bytes into instances.
    pub loader: Box<dyn ModuleLoader>,
}

/// Spaces keep each other busy for ever: nothing would ever be idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the world does not come to rest: more than {DRAINS_MAX} drains at {now_ms} ms")]
pub struct Restless {
    /// When.
    pub now_ms: u64,
}

/// A game in one thread.
pub struct World {
    core: Node,
    cells: BTreeMap<EntityId, WorldCell>,
    inputs: VecDeque<NodeInput>,
    loader: Box<dyn ModuleLoader>,
    source: Box<dyn GuestSource>,
    settings: SpaceSettings,
    chance: u64,
    now_ms: u64,
    last_ticket: u64,
    answers: BTreeMap<u64, AdminAnswer>,
    gate: Vec<FromDispatcher<ToGate, ToGame>>,
    facts: Vec<Fact>,
    crashes: Vec<Crash>,
    log: Vec<LogLine>,
    finished: bool,
}

struct WorldCell {
    core: Cell,
    /// When it wants to run.
    wake_ms: Option<u64>,
    waiting: bool,
}

impl World {
    /// An empty game.
    #[must_use]
    pub fn new(settings: WorldSettings) -> Self {
        let WorldSettings { config, spaces, lives, seed, start_ms, loader } = settings;
        let core_seed = *blake3::hash(&seed.to_be_bytes()).as_bytes();
        Self {
            core: Node::new(config, lives, core_seed),
            cells: BTreeMap::new(),
            inputs: VecDeque::new(),
            source: loader.source(),
            loader,
            settings: spaces,
            chance: seed,
            now_ms: start_ms,
            last_ticket: 0,
            answers: BTreeMap::new(),
            gate: Vec::new(),
            facts: Vec::new(),
            crashes: Vec::new(),
            log: Vec::new(),
            finished: false,
        }
    }

    /// Something from the gate. Nothing runs before [`World::settle`] or [`World::advance`].
    pub fn from_gate(&mut self, message: ToDispatcher<ToGame>) {
        self.inputs.push_back(NodeInput::Gate(message));
    }

    fn push(&mut self, input: GameInput) {
        self.inputs.push_back(NodeInput::Game(input));
    }

    /// Asks as an operator; the ticket is for [`World::answer`].
    pub fn ask(&mut self, request: AdminRequest) -> u64 {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.push(GameInput::Admin { ticket, request });
        ticket
    }

    /// The answer to a ticket, once.
    pub fn answer(&mut self, ticket: u64) -> Option<AdminAnswer> {
        self.answers.remove(&ticket)
    }

    /// Publishes a component, and lets time pass until that is answered; none if it never is.
    pub fn publish(
        &mut self,
        bytes: Bytes,
        options: PublishOptions,
    ) -> Result<Option<PublicationReport>, Restless> {
        let ticket = self.ask(AdminRequest::Publish { bytes, note: String::new(), options });
        Ok(self.wait_for(ticket)?.and_then(|answer| match answer {
            AdminAnswer::Publication(report) => Some(*report),
            _ => None,
        }))
    }

    /// Lets time pass, a minute at most, until a request is answered.
    pub fn wait_for(&mut self, ticket: u64) -> Result<Option<AdminAnswer>, Restless> {
        let until_ms = self.now_ms + 60_000;
        self.settle()?;
        while !self.answers.contains_key(&ticket) {
            match self.next_ms() {
                Some(at_ms) if at_ms <= until_ms => self.advance_to(at_ms)?,
                _ => break,
            }
        }
        Ok(self.answers.remove(&ticket))
    }

    /// Runs everything that is due, until nothing is. No time passes.
    pub fn settle(&mut self) -> Result<(), Restless> {
        for _ in 0..DRAINS_MAX {
            self.run_core();
            if !self.run_one_space() {
                return Ok(());
            }
        }
        Err(Restless { now_ms: self.now_ms })
    }

    /// Lets so many milliseconds pass, with everything that becomes due on the way.
    pub fn advance(&mut self, ms: u64) -> Result<(), Restless> {
        let until_ms = self.now_ms + ms;
        self.settle()?;
        while let Some(at_ms) = self.next_ms().filter(|at_ms| *at_ms <= until_ms) {
            self.advance_to(at_ms)?;
        }
        self.now_ms = until_ms;
        self.settle()
    }

    /// What went to the gate since the last time.
    pub fn take_gate(&mut self) -> Vec<FromDispatcher<ToGate, ToGame>> {
        std::mem::take(&mut self.gate)
    }

    /// What happened since the last time.
    pub fn take_facts(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.facts)
    }

    /// What crashed since the last time.
    pub fn take_crashes(&mut self) -> Vec<Crash> {
        std::mem::take(&mut self.crashes)
    }

    /// What guests logged since the last time.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.log)
    }

    /// UTC ms.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// True after a shutdown that closed everything.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// The game core.
    #[must_use]
    pub fn game(&self) -> &GameCore {
        self.core.game()
    }

    /// The spaces, by id.
    #[must_use]
    pub fn spaces(&self) -> Vec<EntityId> {
        self.cells.keys().copied().collect()
    }

    /// Looks at one space's core, or does something to it between two events.
    pub fn with_space<T>(&mut self, space: EntityId, look: impl FnOnce(&mut SpaceCore) -> T) -> Option<T> {
        self.cells.get(&space).map(|cell| look(&mut cell.core.core()))
    }

    /// How much there is of everything that comes and goes.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.core.game().tally(&mut tally);
        let (known, parked) = self.core.routed();
        tally.count("dispatcher", known);
        tally.count("parked", parked);
        self.cells.values().for_each(|cell| cell.core.core().tally(&mut tally));
        tally.count("answers to operators", self.answers.len());
        tally
    }

    /// Destroys everything in order; see [`World::finished`].
    pub fn shut_down(&mut self) -> Result<(), Restless> {
        self.push(GameInput::Shutdown);
        self.settle()
    }

    fn advance_to(&mut self, at_ms: u64) -> Result<(), Restless> {
        // A space that is behind says a past time: time never goes back for that.
        self.now_ms = self.now_ms.max(at_ms);
        if self.core.next_wake_ms().is_some_and(|wake_ms| wake_ms <= self.now_ms) {
            self.push(GameInput::Wake);
        }
        self.settle()
    }

    /// When something becomes due next, if anything ever does.
    #[must_use]
    pub fn next_ms(&self) -> Option<u64> {
        let spaces = self.cells.values().filter_map(|cell| cell.wake_ms);
        spaces.chain(self.core.next_wake_ms()).min()
    }

    fn run_core(&mut self) {
        let mut outputs = Vec::new();
        while let Some(input) = self.inputs.pop_front() {
            self.core.handle(self.now_ms, input, &mut outputs);
            for output in outputs.drain(..) {
                match output {
                    NodeOutput::Game(output) => self.follow(output),
                    NodeOutput::Gate(message) => self.gate.push(message),
                }
            }
        }
    }

    fn follow(&mut self, output: GameOutput) {
        match output {
            GameOutput::MakeSpace(spec) => {
                let core = self.settings.make(&spec);
                self.cells.insert(spec.id, WorldCell { core, wake_ms: None, waiting: false });
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
            // The node has its own dispatcher, which declares nobody dead.
            GameOutput::Dispatch(_) | GameOutput::Outlived => {}
            GameOutput::Admin { ticket, answer } => drop(self.answers.insert(ticket, *answer)),
            GameOutput::Load { job, bytes } => {
                let result = self.loader.load(bytes);
                self.push(GameInput::Loaded { job, result });
            }
            GameOutput::Forget(version) => self.loader.forget(version),
            GameOutput::Fact(fact) => self.facts.push(fact),
            GameOutput::Crash { crash, log: _ } => self.crashes.push(*crash),
            GameOutput::Log(line) => self.log.push(*line),
            GameOutput::Finished => self.finished = true,
        }
    }

    /// Runs one of the spaces that have something to do; false if none has.
    fn run_one_space(&mut self) -> bool {
        let now_ms = self.now_ms;
        let ready = |cell: &WorldCell| cell.waiting || cell.wake_ms.is_some_and(|wake_ms| wake_ms <= now_ms);
        let count = self.cells.values().filter(|cell| ready(cell)).count();
        if count == 0 {
            return false;
        }
        let chosen = usize::try_from(self.draw() % count as u64).unwrap_or_default();
        let Some(cell) = self.cells.values_mut().filter(|cell| ready(cell)).nth(chosen) else { return false };
        let drained = cell.core.drain(now_ms, self.source.as_mut());
        cell.waiting = false;
        cell.wake_ms = cell.core.core().next_wake_ms();
        // Pauses are wall time: in a world without any they would say nothing.
        let inputs = drained.inputs.into_iter().filter(|input| !matches!(input, GameInput::Paused { .. }));
        self.inputs.extend(inputs.map(NodeInput::Game));
        true
    }

    fn draw(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.chance ^ (self.chance >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
