//! A game among others in one thread: its core over its side of all dispatchers. Whoever holds it is the network.

use super::stage::Stage;
use crate::driver::cell::SpaceSettings;
use crate::driver::loader::ModuleLoader;
use crate::game::admin::{AdminAnswer, AdminRequest};
use crate::game::joined::{Joined, JoinedInput, JoinedOutput};
use crate::game::report::Fact;
use crate::game::{GameConfig, GameCore, GameInput};
use crate::message::{Crash, LogLine};
use crate::space::SpaceCore;
use bytes::Bytes;
use everwake_dispatcher::{MemberConfig, MemberInput};
use everwake_link::Class;
use everwake_protocol::EntityId;
use everwake_protocol::cluster::{Incarnation, ToDispatcher};

/// What it is made of.
pub struct AmongSettings {
    /// Of the core.
    pub config: GameConfig,
    /// Of each space.
    pub spaces: SpaceSettings,
    /// This life, and all dispatchers.
    pub member: MemberConfig,
    /// All chance comes from it.
    pub seed: u64,
    /// UTC ms at the start.
    pub start_ms: u64,
    /// Turns bytes into instances.
    pub loader: Box<dyn ModuleLoader>,
}

/// Something for a dispatcher.
#[derive(Debug)]
pub struct Sent {
    /// Its place among the dispatchers by name.
    pub dispatcher: usize,
    /// For which of its lives.
    pub to: Incarnation,
    /// In which class.
    pub class: Class,
    /// What.
    pub message: ToDispatcher<Bytes>,
}

/// See the head of this module.
pub struct Among {
    core: Joined,
    stage: Stage<JoinedInput>,
    now_ms: u64,
    sent: Vec<Sent>,
}

impl Among {
    /// A game that has met no dispatcher yet.
    #[must_use]
    pub fn new(settings: AmongSettings) -> Among {
        let AmongSettings { config, spaces, member, seed, start_ms, loader } = settings;
        let core_seed = *blake3::hash(&seed.to_be_bytes()).as_bytes();
        Among {
            core: Joined::new(config, member, core_seed),
            stage: Stage::new(loader, spaces, seed),
            now_ms: start_ms,
            sent: Vec::new(),
        }
    }

    /// Something from the links. Nothing runs before [`Among::run`].
    pub fn from_links(&mut self, input: MemberInput<Bytes>) {
        self.stage.inputs.push_back(JoinedInput::Links(input));
    }

    /// Asks as an operator; the ticket is for [`Among::answer`].
    pub fn ask(&mut self, request: AdminRequest) -> u64 {
        self.stage.ask(request)
    }

    /// The answer to a ticket, once.
    pub fn answer(&mut self, ticket: u64) -> Option<AdminAnswer> {
        self.stage.answers.remove(&ticket)
    }

    /// Lets the core take all that waits for it, and so many spaces run, one after the other; true if there is more
    /// to do at this time.
    pub fn run(&mut self, now_ms: u64, spaces: usize) -> bool {
        self.now_ms = self.now_ms.max(now_ms);
        if self.core.next_wake_ms().is_some_and(|wake_ms| wake_ms <= self.now_ms) {
            self.stage.push(GameInput::Wake);
        }
        self.run_core();
        for _ in 0..spaces {
            if !self.stage.run_one_space(self.now_ms) {
                break;
            }
            self.run_core();
        }
        self.stage.inputs.push_back(JoinedInput::Links(MemberInput::Flush));
        self.run_core();
        self.stage.next_ms().is_some_and(|at_ms| at_ms <= self.now_ms) || self.stage.is_anybody_waiting()
    }

    fn run_core(&mut self) {
        let mut outputs = Vec::new();
        while let Some(input) = self.stage.inputs.pop_front() {
            self.core.handle(self.now_ms, input, &mut outputs);
            for output in outputs.drain(..) {
                match output {
                    JoinedOutput::Game(output) => self.stage.follow(output),
                    JoinedOutput::Send { dispatcher, to, class, message } => {
                        self.sent.push(Sent { dispatcher, to, class, message });
                    }
                }
            }
        }
    }

    /// What is for dispatchers since the last time.
    pub fn take_sent(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
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

    /// It was told that its life is over: it must be dropped.
    #[must_use]
    pub fn is_outlived(&self) -> bool {
        self.stage.outlived
    }

    /// The game core.
    #[must_use]
    pub fn game(&self) -> &GameCore {
        self.core.game()
    }

    /// Envelopes that nobody has acknowledged, and cargo that did not decode so far.
    #[must_use]
    pub fn kept(&self) -> (usize, u64) {
        self.core.kept()
    }

    /// The spaces, by id.
    #[must_use]
    pub fn spaces(&self) -> Vec<EntityId> {
        self.stage.spaces()
    }

    /// Looks at one space's core between two events.
    pub fn with_space<T>(&self, space: EntityId, look: impl FnOnce(&mut SpaceCore) -> T) -> Option<T> {
        self.stage.with_space(space, look)
    }
}
