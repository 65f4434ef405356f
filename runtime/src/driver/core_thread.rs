//! The one thread of the game core: an input, all its outputs, the next input.

use super::ask::Ask;
use super::cell::SpaceSettings;
use super::clock::Clock;
use super::handle::GateSink;
use super::loader::ModuleLoader;
use super::pool::Pool;
use super::reporter::{Item, Reporter};
use super::traffic::{CoreInbox, CoreMessage, CoreOutbox};
use crate::game::admin::AdminAnswer;
use crate::game::node::{Node, NodeInput, NodeOutput};
use crate::game::{GameInput, GameOutput};
use bytes::Bytes;
use everwake_protocol::cluster::{FromDispatcher, ToGame, ToGate};
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

/// Everything that the thread owns.
pub(super) struct CoreThread {
    pub(super) core: Node,
    pub(super) clock: Clock,
    pub(super) inbox: Arc<CoreInbox>,
    pub(super) outbox: CoreOutbox,
    pub(super) pool: Arc<Pool>,
    pub(super) gate: GateSink,
    pub(super) loads: Sender<LoadJob>,
    pub(super) loader: Box<dyn ModuleLoader>,
    pub(super) reporter: Reporter,
    pub(super) spaces: SpaceSettings,
}

/// What changes from input to input.
#[derive(Default)]
struct Work {
    outputs: Vec<NodeOutput>,
    to_gate: Vec<FromDispatcher<ToGate, ToGame>>,
    asks: BTreeMap<u64, SyncSender<AdminAnswer>>,
    last_ticket: u64,
    finished: bool,
}

impl CoreThread {
    /// Returns when all spaces are closed.
    pub(super) fn run(mut self) {
        let mut work = Work::default();
        while !work.finished {
            let wake = self.core.next_wake_ms().map(|at| self.clock.until(at));
            match self.outbox.next(wake) {
                Some(message) => self.take(message, &mut work),
                None => self.handle(NodeInput::Game(GameInput::Wake), &mut work),
            }
            for _ in 1..BATCH {
                let Some(message) = self.outbox.try_next() else { break };
                self.take(message, &mut work);
            }
            if self.core.next_wake_ms().is_some_and(|at| at <= self.clock.now_ms()) {
                self.handle(NodeInput::Game(GameInput::Wake), &mut work);
            }
            if !work.to_gate.is_empty() {
                (self.gate)(std::mem::take(&mut work.to_gate));
            }
        }
    }

    fn take(&mut self, message: CoreMessage, work: &mut Work) {
        self.inbox.taken();
        match message {
            CoreMessage::Input(input) => self.handle(NodeInput::Game(input), work),
            CoreMessage::Gate(message) => self.handle(NodeInput::Gate(message), work),
            CoreMessage::Ask(Ask { request, answer }) => {
                work.last_ticket += 1;
                let ticket = work.last_ticket;
                work.asks.insert(ticket, answer);
                self.handle(NodeInput::Game(GameInput::Admin { ticket, request }), work);
            }
        }
    }

    fn handle(&mut self, input: NodeInput, work: &mut Work) {
        let mut outputs = std::mem::take(&mut work.outputs);
        self.core.handle(self.clock.now_ms(), input, &mut outputs);
        for output in outputs.drain(..) {
            match output {
                NodeOutput::Game(output) => self.follow(output, work),
                NodeOutput::Gate(message) => work.to_gate.push(message),
            }
        }
        work.outputs = outputs;
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
            // The node has its own dispatcher, which declares nobody dead.
            GameOutput::Dispatch(_) | GameOutput::Outlived => {}
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
            GameOutput::Forget(version) => self.loader.forget(version),
            GameOutput::Fact(fact) => self.reporter.tell(Item::Fact(fact)),
            GameOutput::Crash { crash, log } => self.reporter.tell(Item::Crash(crash, log)),
            GameOutput::Log(line) => self.reporter.tell(Item::Line(line)),
            GameOutput::Finished => work.finished = true,
        }
    }
}
