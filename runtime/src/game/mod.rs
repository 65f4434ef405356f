//! The game core: everything of a game process that is not inside of one space.
//!
//! A plain state machine: one [`GameInput`] in, all its [`GameOutput`]s out, next input. No
//! clock, no randomness, no threads: a driver (`crate::driver`) brings time, seeds and workers.
//! It knows where entities are and which version runs, never what an entity's state is.
//!
//! # Layout
//! - [`config`], [`limits`]: what may be decided, and what may not.
//! - [`directory`]: who is here.
//! - [`delivery`]: messages to entities, and what happens if they cannot be delivered.
//! - `post`: what goes to dispatchers and comes from them. `peers`: the other games, and who leads. `fetch`: what one takes
//!   from another. `handover`: what a newcomer takes. `asks`, `glance`: what operators ask of several games.
//! - [`node`]: a game with its own dispatcher; [`joined`]: a game among others.
//! - [`moves`]: entities that are born, leave, arrive and go. `drain`: all that can go, before the process stops.
//! - `deployment`: when all processes are there.
//! - [`sessions`], [`gate`]: clients.
//! - [`key_value`]: the ordered map of a module.
//! - [`modules`]: what runs: shards, services, versions and their history.
//! - [`publish`], `judge`, `site`, [`rollout`], [`probation`]: from bytes to a version that is trusted. `takeover`: if the one that
//!   leads dies meanwhile.
//! - [`admin`], [`report`], [`json`]: what operators ask, and what they are told. `tally`: what there is.

pub mod admin;
mod asks;
pub mod config;
pub mod debts;
mod delivery;
mod deployment;
pub mod directory;
mod drain;
mod fetch;
pub mod gate;
mod glance;
mod handover;
pub mod joined;
pub mod json;
mod judge;
pub mod key_value;
pub mod limits;
mod listing;
pub mod modules;
pub mod moves;
pub mod node;
mod peers;
mod post;
pub mod probation;
pub mod publish;
pub mod report;
pub mod rollout;
pub mod sessions;
mod site;
mod takeover;
mod tally;
#[cfg(test)]
pub(crate) mod tests;

pub use crate::space::SpaceKind;
pub use config::GameConfig;

use crate::cargo::Cargo;
use crate::cargo::peer::Blob;
use crate::guest::VersionHash;
use crate::manifest::Checked;
use crate::message::{AnswerTo, Crash, Input, LogLine, Message, Output};
use crate::versions::{ModuleVersion, Structure};
use admin::{AdminAnswer, AdminRequest};
use bytes::Bytes;
use directory::Directory;
use everwake_protocol::cluster::{FromDispatcher, Incarnation, MessageId, SpaceReport, ToDispatcher};
use everwake_protocol::{EntityId, Id, SessionId};
use indexmap::IndexMap;
use peers::Peers;
use post::{Arrivals, Gates};
use report::Fact;
use sessions::Sessions;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Into the core.
#[derive(Debug)]
pub enum GameInput {
    /// From the dispatchers.
    Dispatched(FromDispatcher<Cargo>),
    /// A space has run: how many of its inputs it took, and what came out.
    Space {
        /// Which one.
        space: EntityId,
        /// Inputs taken since the last time.
        taken: usize,
        /// What came out, in order.
        outputs: Vec<Output>,
    },
    /// What a closed space had not taken yet.
    Returned {
        /// Which one.
        space: EntityId,
        /// Its inputs, in order.
        inputs: Vec<Input>,
    },
    /// An operator asks; answered by [`GameOutput::Admin`] with the same ticket.
    Admin {
        /// The driver's.
        ticket: u64,
        /// What.
        request: AdminRequest,
    },
    /// A component was loaded, or refused; answers [`GameOutput::Load`].
    Loaded {
        /// The core's.
        job: u64,
        /// Hash and checked manifest; or why not, for people.
        result: Result<LoadedModule, String>,
    },
    /// A pause was measured: from the end of the last event on the old version to the end of the
    /// first one on the new.
    Paused {
        /// Which space.
        space: EntityId,
        /// The version that runs now.
        version: VersionHash,
        /// How long, in microseconds.
        micros: u64,
    },
    /// Most dispatchers have named all games that were there before this one; see [`joined`].
    Listed,
    /// Time has passed; see [`GameCore::next_wake_ms`].
    Wake,
    /// Close all spaces; [`GameOutput::Finished`] follows.
    Shutdown,
}

/// A component that can be instantiated by its hash from now on.
#[derive(Clone, Debug)]
pub struct LoadedModule {
    /// BLAKE3 of the component.
    pub hash: VersionHash,
    /// What it says about itself, checked.
    pub checked: Checked,
}

/// Out of the core.
#[derive(Debug)]
pub enum GameOutput {
    /// Make a space; inputs for it follow.
    MakeSpace(Box<SpaceSpec>),
    /// The space is closed: forget it, and return what it had not taken.
    DropSpace(EntityId),
    /// To a space, in order.
    ToSpace(EntityId, Input),
    /// To the dispatchers, in order.
    Dispatch(ToDispatcher<Cargo>),
    /// This life of the process counts as over: it must stop, whatever it does.
    Outlived,
    /// For an operator.
    Admin {
        /// The driver's.
        ticket: u64,
        /// The answer.
        answer: Box<AdminAnswer>,
    },
    /// Verify and compile a component, off the hot path.
    Load {
        /// Given back.
        job: u64,
        /// The component.
        bytes: Bytes,
    },
    /// A version is head here from now on. Only of a game among others: alone, whoever publishes has it.
    Live {
        /// Name of the module.
        module: String,
        /// Its generation.
        generation: u32,
        /// Which version.
        version: VersionHash,
        /// The component.
        bytes: Bytes,
    },
    /// No space runs this version any more, and none will go back to it.
    Forget(VersionHash),
    /// Something that people want to know.
    Fact(Fact),
    /// A handler failed badly: symbolise it, put it into the crash book, and log it if `log`.
    Crash {
        /// What is known.
        crash: Box<Crash>,
        /// False if there were too many lines lately.
        log: bool,
    },
    /// A guest's log line.
    Log(Box<LogLine>),
    /// All spaces are closed.
    Finished,
}

/// What a driver must know to make a space.
#[derive(Clone, Debug)]
pub struct SpaceSpec {
    /// Its id; that of the space's own entity, or of the shard.
    pub id: EntityId,
    /// What for.
    pub kind: SpaceKind,
    /// Epoch of the space.
    pub epoch: u32,
    /// Under which sender its messages go.
    pub sender: Id,
    /// The version that it starts with.
    pub version: Arc<ModuleVersion>,
    /// The source of all chance in it.
    pub seed: [u8; 32],
    /// The deployment is ready.
    pub ready: bool,
}

/// What the core has counted since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Messages handed to spaces.
    pub delivered: u64,
    /// Requests of clients handed to spaces.
    pub requests: u64,
    /// Refused because there was no such entity.
    pub gone: u64,
    /// Refused because too much was waiting.
    pub overloaded: u64,
    /// For entities that were not where they should have been.
    pub circled: u64,
    /// Answers and the like for entities that are gone.
    pub dropped: u64,
    /// Entities that changed spaces.
    pub moves: u64,
    /// Moves that did not happen.
    pub moves_failed: u64,
    /// Key-value operations.
    pub key_values: u64,
    /// Crashes of guests.
    pub crashes: u64,
    /// Timers, answers and watches for methods that the version lacks.
    pub unhandled: u64,
}

/// The core of one game process.
#[derive(Debug)]
pub struct GameCore {
    config: GameConfig,
    /// This life of the process.
    incarnation: Incarnation,
    pub(crate) directory: Directory,
    sessions: Sessions,
    gates: Gates,
    arrivals: Arrivals,
    /// In the order in which they were started: the first one is played by clients that name none.
    modules: IndexMap<String, modules::Module>,
    tickets: BTreeMap<u64, Ticket>,
    jobs: BTreeMap<u64, publish::Loading>,
    /// Components that can be instantiated here.
    shelf: BTreeMap<VersionHash, publish::Shelved>,
    /// Something on the shelf may not be needed any more.
    untidy: bool,
    /// The other games.
    peers: Peers,
    /// What this game takes from another before it is let in, or because it has missed it.
    joining: Option<handover::Joining>,
    /// What comes from other games in parts.
    fetches: BTreeMap<Blob, fetch::Fetch>,
    /// Records of modules, for the games that were offered them.
    records: BTreeMap<Id, (Incarnation, Bytes)>,
    asks: asks::Asks,
    looks: BTreeMap<u64, glance::Look>,
    /// Publications that this game gets ready, by the ticket that spaces answer to.
    staged: BTreeMap<u64, site::Staged>,
    /// Publications that go by this game.
    publications: BTreeMap<Id, publish::Publication>,
    counters: Counters,
    /// Modules whose key-value map is kept here.
    homes: BTreeMap<String, u32>,
    /// How often each shard was made.
    shard_epochs: BTreeMap<EntityId, u32>,
    /// When the last death of a game was heard, UTC ms.
    last_death_ms: Option<u64>,
    /// When to ask again for services that nobody could take.
    services_again_ms: Option<u64>,
    seed: [u8; 32],
    /// Who says what the core itself says.
    sender: Id,
    /// Ids, seeds, tickets and messages given out so far.
    minted: u64,
    now_ms: u64,
    /// UTC ms after which nobody waits for spaces to close.
    closing: Option<u64>,
    finished: bool,
    /// The deployment was complete once.
    ready: bool,
    /// It takes nothing new, and lets go what can go.
    draining: Option<drain::Draining>,
    out: Vec<GameOutput>,
}

/// Who waits for an answer that spaces address to an operator's ticket.
#[derive(Debug)]
enum Ticket {
    /// The boot entity of a session.
    Boot { session: SessionId, boot: EntityId },
    /// A shard of a service.
    Service { module: String, type_name: String, shard: u32 },
    /// An entity that another one asked for.
    Create { entity: EntityId, answer: AnswerTo },
    /// An operator's call or look.
    Operator { admin: u64, until_ms: u64, returns: Option<Arc<Structure>> },
}

impl GameCore {
    /// An empty process that nobody else can join: no module runs. All chance comes from `seed`.
    pub fn new(config: GameConfig, incarnation: Incarnation, seed: [u8; 32]) -> Self {
        Self::with(config, incarnation, seed, Peers::alone(incarnation))
    }

    /// The same of a cluster: it is given no work before it runs what the others do.
    pub fn among(config: GameConfig, incarnation: Incarnation, seed: [u8; 32]) -> Self {
        Self::with(config, incarnation, seed, Peers::among())
    }

    fn with(config: GameConfig, incarnation: Incarnation, seed: [u8; 32], peers: Peers) -> Self {
        let ready = config.games <= 1 && config.gates == 0;
        Self {
            ready,
            config,
            incarnation,
            gates: BTreeMap::new(),
            arrivals: Arrivals::default(),
            directory: Directory::default(),
            sessions: Sessions::default(),
            modules: IndexMap::new(),
            tickets: BTreeMap::new(),
            jobs: BTreeMap::new(),
            shelf: BTreeMap::new(),
            untidy: false,
            peers,
            joining: None,
            fetches: BTreeMap::new(),
            records: BTreeMap::new(),
            asks: asks::Asks::default(),
            looks: BTreeMap::new(),
            staged: BTreeMap::new(),
            publications: BTreeMap::new(),
            counters: Counters::default(),
            homes: BTreeMap::new(),
            shard_epochs: BTreeMap::new(),
            last_death_ms: None,
            services_again_ms: None,
            seed,
            sender: Id::derive(&[b"core", &seed]),
            minted: 0,
            now_ms: 0,
            closing: None,
            finished: false,
            draining: None,
            out: Vec::new(),
        }
    }

    /// Takes one input; appends everything that follows from it.
    pub fn handle(&mut self, now_ms: u64, input: GameInput, out: &mut Vec<GameOutput>) {
        self.now_ms = self.now_ms.max(now_ms);
        std::mem::swap(&mut self.out, out);
        match input {
            GameInput::Dispatched(message) => self.dispatched(message),
            GameInput::Space { space, taken, outputs } => {
                self.directory.taken(space, taken);
                for output in outputs {
                    self.handle_space(space, output);
                }
            }
            GameInput::Returned { space: _, inputs } => self.returned(inputs),
            GameInput::Admin { ticket, request } => self.admin(ticket, request),
            GameInput::Loaded { job, result } => self.loaded(job, result),
            GameInput::Paused { space: _, version, micros } => self.paused(version, micros),
            GameInput::Listed => self.listed(),
            GameInput::Wake => self.wake(),
            GameInput::Shutdown => self.shutdown(),
        }
        self.hear_own();
        self.tidy_shelf();
        std::mem::swap(&mut self.out, out);
    }

    /// When the core wants a [`GameInput::Wake`], UTC ms.
    pub fn next_wake_ms(&self) -> Option<u64> {
        let rehearsals = self.staged.values().filter_map(|staged| staged.until_ms).min();
        let publications = self.publications.values().map(|it| it.until_ms).min();
        let looks = self.looks.values().map(|look| look.until_ms).min();
        let tickets = self
            .tickets
            .values()
            .filter_map(|ticket| match ticket {
                Ticket::Operator { until_ms, .. } => Some(*until_ms),
                Ticket::Boot { .. } | Ticket::Service { .. } | Ticket::Create { .. } => None,
            })
            .min();
        let judges = self.peers.leads();
        let modules = self.modules.values().filter_map(|module| module.next_wake_ms(judges)).min();
        let closing = self.closing.filter(|_| !self.finished);
        let peers = self.peers.next_wake_ms();
        let drain = self.draining.as_ref().map(|draining| draining.again_ms);
        let services = self.services_again_ms;
        [drain, services, rehearsals, publications, looks, tickets, modules, closing, peers]
            .into_iter()
            .flatten()
            .min()
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn handle_space(&mut self, space: EntityId, output: Output) {
        match output {
            Output::Message(message) => self.deliver(message),
            Output::NotHere(message) => self.not_here(space, message),
            Output::Gate(to_gate) => self.send_gate(to_gate),
            Output::Operator { ticket, outcome } => self.ticket_answered(ticket, outcome),
            Output::KeyValue { owner, call, operation } => self.ask_key_value(space, owner, call, operation),
            Output::Create { entity, type_name, args, place, answer } => {
                self.create(space, entity, type_name, args, place, answer);
            }
            Output::Registered { entity, type_id, epoch } => self.registered(space, entity, type_id, epoch),
            Output::Unregistered { entity, epoch } => self.unregistered(space, entity, epoch),
            Output::EnterAsked { entity, space: _, intent } => self.enter_asked(space, entity, intent),
            Output::Departed(traveller) => self.departed(traveller),
            Output::Refused(traveller, code) => self.arrival_refused(traveller, code),
            Output::ClientOffered { session, taker } => self.sessions.offer(session, taker),
            Output::ClientRefused { client, taker, answer, code } => {
                self.attach_failed(*client, taker, answer, code);
            }
            Output::ClientBound { session, entity } => self.client_bound(space, session, entity),
            Output::Swapped(report) => self.swapped(space, report),
            Output::Rehearsed { ticket, rehearsal } => self.rehearsed(space, ticket, *rehearsal),
            Output::Crashed(crash) => self.crashed(crash),
            Output::Unhandled { version, method } => self.unhandled(space, version, method),
            Output::Log(line) => self.out.push(GameOutput::Log(line)),
            Output::Inspected { ticket, view } => self.inspected(ticket, view),
            Output::Closed => self.space_closed(space),
        }
    }

    fn wake(&mut self) {
        self.expire_tickets();
        self.expire_rehearsals();
        self.tend_modules();
        self.tend_looks();
        self.tend_peers();
        self.tend_drain();
        self.tend_services();
        self.finish();
    }

    fn shutdown(&mut self) {
        self.closing = Some(self.now_ms + limits::CLOSING_MS_MAX);
        let spaces: Vec<EntityId> = self.directory.spaces().map(|(id, _)| id).collect();
        for space in spaces {
            self.hand(space, Input::Close);
        }
        self.finish();
    }

    /// Says that everything is over, once it is, or once it has taken too long.
    fn finish(&mut self) {
        let late = self.closing.is_some_and(|until_ms| until_ms <= self.now_ms);
        let closed = self.closing.is_some() && self.directory.spaces().next().is_none();
        if (late || closed) && !self.finished {
            self.finished = true;
            self.out.push(GameOutput::Finished);
        }
    }

    fn space_closed(&mut self, space: EntityId) {
        let Some((row, entities)) = self.directory.remove_space(space) else { return };
        // A space that ended in order has none left; one that broke takes them along.
        for entity in entities {
            // A service's shard comes back under the same name.
            if entity != space || row.kind != SpaceKind::Service {
                self.gone(entity);
            }
            self.own_entity_gone(entity);
        }
        self.rollout_lost(space);
        self.rehearsal_lost(space);
        self.dispatch(ToDispatcher::SpaceClosed(SpaceReport { space, epoch: row.epoch }));
        self.out.push(GameOutput::DropSpace(space));
        if self.closing.is_some() {
            return self.finish();
        }
        // Shards are always there.
        match row.kind {
            SpaceKind::Nil => self.make_space(space, &row.module, SpaceKind::Nil, 0),
            SpaceKind::Service => self.remake_service(space, &row.module),
            SpaceKind::Space => {}
        }
    }

    fn fact(&mut self, fact: Fact) {
        self.out.push(GameOutput::Fact(fact));
    }

    /// A number that was never given out before.
    fn mint(&mut self) -> u64 {
        self.minted += 1;
        self.minted
    }

    fn mint_seed(&mut self) -> [u8; 32] {
        let counter = self.mint();
        let mut hasher = blake3::Hasher::new_keyed(&self.seed);
        hasher.update(&counter.to_be_bytes());
        *hasher.finalize().as_bytes()
    }

    /// The identity of something that the core itself says.
    fn message_id(&mut self) -> MessageId {
        MessageId { sender: self.sender, epoch: 1, counter: self.mint() }
    }

    /// A message of the core's own.
    fn message(&mut self, target: EntityId, body: crate::message::Body) -> Box<Message> {
        let id = self.message_id();
        let class = crate::message::Class::Volatile;
        Box::new(Message { id, from: None, target, class, trace: Id::ZERO, body })
    }

    /// A ticket for an answer to the core itself.
    fn ticket(&mut self, ticket: Ticket) -> AnswerTo {
        let number = self.mint();
        self.tickets.insert(number, ticket);
        AnswerTo::Operator { ticket: number }
    }
}
