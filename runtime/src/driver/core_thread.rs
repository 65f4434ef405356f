//! The one thread of the game core: an input, all its outputs, the next input.

use super::ask::Ask;
use super::cell::SpaceSettings;
use super::clock::Clock;
use super::handle::{GateSink, LinkSink, LiveSink, LiveVersion, OverSink};
use super::loader::ModuleLoader;
use super::pool::Pool;
use super::reporter::{Item, Reporter};
use super::traffic::{CoreInbox, CoreMessage, CoreOutbox};
use crate::game::admin::AdminAnswer;
use crate::game::joined::{Joined, JoinedInput, JoinedOutput};
use crate::game::node::{Node, NodeInput, NodeOutput};
use crate::game::{GameInput, GameOutput};
use bytes::Bytes;
use everwake_dispatcher::{MemberInput, Say};
use everwake_protocol::cluster::{FromDispatcher, ToDispatcher, ToGame, ToGate};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender};

/// Inputs that are handled before what is for the gate leaves.
const BATCH: usize = 256;

/// A component for the loader's thread.
pub(super) struct LoadJob {
    pub(super) job: u64,
    pub(super) bytes: Bytes,
}

/// The game core, and how it reaches entities elsewhere and clients.
pub(super) enum Core {
    /// With its gate in this process.
    Alone(Box<Node>, GateSink),
    /// By links to dispatchers.
    Joined(Box<Joined>, Sinks),
}

/// Where it goes what a game among others says besides.
pub(super) struct Sinks {
    pub(super) links: LinkSink,
    pub(super) over: OverSink,
    pub(super) live: LiveSink,
}

/// Everything that the thread owns.
pub(super) struct CoreThread {
    pub(super) core: Core,
    pub(super) clock: Clock,
    pub(super) inbox: Arc<CoreInbox>,
    pub(super) outbox: CoreOutbox,
    pub(super) pool: Arc<Pool>,
    pub(super) loads: Sender<LoadJob>,
    pub(super) loader: Box<dyn ModuleLoader>,
    pub(super) reporter: Reporter,
    pub(super) spaces: SpaceSettings,
}

/// What changes from input to input.
#[derive(Default)]
struct Work {
    node: Vec<NodeOutput>,
    joined: Vec<JoinedOutput>,
    to_gate: Vec<FromDispatcher<ToGate, ToGame>>,
    asks: BTreeMap<u64, SyncSender<AdminAnswer>>,
    last_ticket: u64,
    finished: bool,
}

impl Core {
    fn next_wake_ms(&self) -> Option<u64> {
        match self {
            Core::Alone(node, _) => node.next_wake_ms(),
            Core::Joined(joined, ..) => joined.next_wake_ms(),
        }
    }
}

impl CoreThread {
    /// Returns when all spaces are closed.
    pub(super) fn run(mut self) {
        let mut work = Work::default();
        while !work.finished {
            let wake = self.core.next_wake_ms().map(|at| self.clock.until(at));
            match self.outbox.next(wake) {
                Some(message) => self.take(message, &mut work),
                None => self.play(GameInput::Wake, &mut work),
            }
            for _ in 1..BATCH {
                let Some(message) = self.outbox.try_next() else { break };
                self.take(message, &mut work);
            }
            // Acknowledgements of a round leave together, and what is due to go again.
            self.links(MemberInput::Flush, &mut work);
            if self.core.next_wake_ms().is_some_and(|at| at <= self.clock.now_ms()) {
                self.play(GameInput::Wake, &mut work);
            }
            if !work.to_gate.is_empty()
                && let Core::Alone(_, gate) = &mut self.core
            {
                gate(std::mem::take(&mut work.to_gate));
            }
        }
        // Nobody waits for its death.
        self.links(MemberInput::Flush, &mut work);
        self.links(MemberInput::Say(Say::Leave), &mut work);
    }

    fn take(&mut self, message: CoreMessage, work: &mut Work) {
        self.inbox.taken();
        match message {
            CoreMessage::Input(input) => self.play(input, work),
            CoreMessage::Gate(message) => self.gate(message, work),
            CoreMessage::Links(inputs) => inputs.into_iter().for_each(|input| self.links(input, work)),
            CoreMessage::Ask(Ask { request, answer }) => {
                work.last_ticket += 1;
                let ticket = work.last_ticket;
                work.asks.insert(ticket, answer);
                self.play(GameInput::Admin { ticket, request }, work);
            }
        }
    }

    fn play(&mut self, input: GameInput, work: &mut Work) {
        match self.core {
            Core::Alone(..) => self.node(NodeInput::Game(input), work),
            Core::Joined(..) => self.joined(JoinedInput::Game(input), work),
        }
    }

    /// A gate in this process. One that is elsewhere speaks by dispatchers.
    fn gate(&mut self, message: ToDispatcher<ToGame>, work: &mut Work) {
        if let Core::Alone(..) = self.core {
            self.node(NodeInput::Gate(message), work);
        }
    }

    fn links(&mut self, input: MemberInput<Bytes>, work: &mut Work) {
        if let Core::Joined(..) = self.core {
            self.joined(JoinedInput::Links(input), work);
        }
    }

    fn node(&mut self, input: NodeInput, work: &mut Work) {
        let mut outputs = std::mem::take(&mut work.node);
        if let Core::Alone(node, _) = &mut self.core {
            node.handle(self.clock.now_ms(), input, &mut outputs);
        }
        for output in outputs.drain(..) {
            match output {
                NodeOutput::Game(output) => self.follow(output, work),
                NodeOutput::Gate(message) => work.to_gate.push(message),
            }
        }
        work.node = outputs;
    }

    fn joined(&mut self, input: JoinedInput, work: &mut Work) {
        let mut outputs = std::mem::take(&mut work.joined);
        if let Core::Joined(joined, ..) = &mut self.core {
            joined.handle(self.clock.now_ms(), input, &mut outputs);
        }
        for output in outputs.drain(..) {
            match output {
                JoinedOutput::Game(output) => self.follow(output, work),
                JoinedOutput::Send { dispatcher, to, message, .. } => {
                    if let Core::Joined(_, sinks) = &mut self.core {
                        (sinks.links)(dispatcher, to, message);
                    }
                }
            }
        }
        work.joined = outputs;
    }

    fn follow(&mut self, output: GameOutput, work: &mut Work) {
        match output {
            GameOutput::MakeSpace(spec) => {
                self.pool.add(self.spaces.make(&spec));
            }
            GameOutput::DropSpace(space) => {
                let inputs = self.pool.remove(space);
                if !inputs.is_empty() {
                    self.inbox.push(GameInput::Returned { space, inputs });
                }
            }
            GameOutput::ToSpace(space, input) => {
                if let Some(input) = self.pool.push(space, input) {
                    self.inbox.push(GameInput::Returned { space, inputs: vec![input] });
                }
            }
            // Taken by what is around the game.
            GameOutput::Dispatch(_) => {}
            GameOutput::Outlived => {
                // The dispatcher of a node declares nobody dead.
                if let Core::Joined(_, sinks) = &mut self.core {
                    (sinks.over)();
                }
            }
            GameOutput::Admin { ticket, answer } => {
                if let Some(asker) = work.asks.remove(&ticket) {
                    // Whoever asked may have given up.
                    drop(asker.try_send(*answer));
                }
            }
            GameOutput::Load { job, bytes } => {
                if self.loads.send(LoadJob { job, bytes }).is_err() {
                    let result = Err("the loader is gone".to_owned());
                    self.inbox.push(GameInput::Loaded { job, result });
                }
            }
            GameOutput::Live { module, generation, version, bytes } => {
                if let Core::Joined(_, sinks) = &mut self.core {
                    (sinks.live)(LiveVersion { module, generation, version, bytes });
                }
            }
            GameOutput::Forget(version) => self.loader.forget(version),
            GameOutput::Fact(fact) => self.reporter.tell(Item::Fact(fact)),
            GameOutput::Crash { crash, log } => self.reporter.tell(Item::Crash(crash, log)),
            GameOutput::Log(line) => self.reporter.tell(Item::Line(line)),
            GameOutput::Finished => work.finished = true,
        }
    }
}
