//! A whole game in one thread under virtual time: the same cores, another driver.
//!
//! The same seed, inputs and components give the same run, event by event: which space runs next
//! is drawn from the seed, time passes only when asked to. For tests, simulation, replay and the
//! testkit.

use super::cell::SpaceSettings;
use super::loader::ModuleLoader;
use crate::game::admin::{AdminAnswer, AdminRequest};
use crate::game::joined::JoinedInput;
use crate::game::node::{Lives, Node, NodeInput, NodeOutput};
use crate::game::publish::PublishOptions;
use crate::game::report::{Fact, PublicationReport};
use crate::game::{GameConfig, GameCore, GameInput};
use crate::message::{Crash, LogLine};
use crate::space::SpaceCore;
use crate::tally::Tally;
use bytes::Bytes;
use everwake_protocol::EntityId;
use everwake_protocol::cluster::{FromDispatcher, ToDispatcher, ToGame, ToGate};

mod among;
mod stage;

pub use among::{Among, AmongSettings, Sent};
use stage::Stage;

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

/// A game in one thread, with its own dispatcher.
pub struct World {
    core: Node,
    stage: Stage<NodeInput>,
    now_ms: u64,
    gate: Vec<FromDispatcher<ToGate, ToGame>>,
}

impl From<GameInput> for NodeInput {
    fn from(input: GameInput) -> NodeInput {
        NodeInput::Game(input)
    }
}

impl From<GameInput> for JoinedInput {
    fn from(input: GameInput) -> JoinedInput {
        JoinedInput::Game(input)
    }
}

impl World {
    /// An empty game.
    #[must_use]
    pub fn new(settings: WorldSettings) -> Self {
        let WorldSettings { config, spaces, lives, seed, start_ms, loader } = settings;
        let core_seed = *blake3::hash(&seed.to_be_bytes()).as_bytes();
        Self {
            core: Node::new(config, lives, core_seed),
            stage: Stage::new(loader, spaces, seed),
            now_ms: start_ms,
            gate: Vec::new(),
        }
    }

    /// Something from the gate. Nothing runs before [`World::settle`] or [`World::advance`].
    pub fn from_gate(&mut self, message: ToDispatcher<ToGame>) {
        self.stage.inputs.push_back(NodeInput::Gate(message));
    }

    /// Asks as an operator; the ticket is for [`World::answer`].
    pub fn ask(&mut self, request: AdminRequest) -> u64 {
        self.stage.ask(request)
    }

    /// The answer to a ticket, once.
    pub fn answer(&mut self, ticket: u64) -> Option<AdminAnswer> {
        self.stage.answers.remove(&ticket)
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
        while !self.stage.answers.contains_key(&ticket) {
            match self.next_ms() {
                Some(at_ms) if at_ms <= until_ms => self.advance_to(at_ms)?,
                _ => break,
            }
        }
        Ok(self.stage.answers.remove(&ticket))
    }

    /// Runs everything that is due, until nothing is. No time passes.
    pub fn settle(&mut self) -> Result<(), Restless> {
        for _ in 0..DRAINS_MAX {
            self.run_core();
            if !self.stage.run_one_space(self.now_ms) {
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
        std::mem::take(&mut self.stage.facts)
    }

    /// What crashed since the last time.
    pub fn take_crashes(&mut self) -> Vec<Crash> {
        std::mem::take(&mut self.stage.crashes)
    }

    /// What guests logged since the last time.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.stage.log)
    }

    /// UTC ms.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// True after a shutdown that closed everything.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.stage.finished
    }

    /// The game core.
    #[must_use]
    pub fn game(&self) -> &GameCore {
        self.core.game()
    }

    /// The spaces, by id.
    #[must_use]
    pub fn spaces(&self) -> Vec<EntityId> {
        self.stage.spaces()
    }

    /// Looks at one space's core, or does something to it between two events.
    pub fn with_space<T>(&mut self, space: EntityId, look: impl FnOnce(&mut SpaceCore) -> T) -> Option<T> {
        self.stage.with_space(space, look)
    }

    /// How much there is of everything that comes and goes.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        self.core.game().tally(&mut tally);
        let (known, parked) = self.core.routed();
        tally.count("dispatcher", known);
        tally.count("parked", parked);
        self.stage.tally(&mut tally);
        tally
    }

    /// Destroys everything in order; see [`World::finished`].
    pub fn shut_down(&mut self) -> Result<(), Restless> {
        self.stage.push(GameInput::Shutdown);
        self.settle()
    }

    fn advance_to(&mut self, at_ms: u64) -> Result<(), Restless> {
        // A space that is behind says a past time: time never goes back for that.
        self.now_ms = self.now_ms.max(at_ms);
        if self.core.next_wake_ms().is_some_and(|wake_ms| wake_ms <= self.now_ms) {
            self.stage.push(GameInput::Wake);
        }
        self.settle()
    }

    /// When something becomes due next, if anything ever does.
    #[must_use]
    pub fn next_ms(&self) -> Option<u64> {
        [self.stage.next_ms(), self.core.next_wake_ms()].into_iter().flatten().min()
    }

    fn run_core(&mut self) {
        let mut outputs = Vec::new();
        while let Some(input) = self.stage.inputs.pop_front() {
            self.core.handle(self.now_ms, input, &mut outputs);
            for output in outputs.drain(..) {
                match output {
                    NodeOutput::Game(output) => self.stage.follow(output),
                    NodeOutput::Gate(message) => self.gate.push(message),
                }
            }
        }
    }
}
