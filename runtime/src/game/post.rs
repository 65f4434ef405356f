//! What the game says to dispatchers and hears from them. Everything for an entity goes that way, also if it is
//! here (rule C8).

use super::{GameCore, GameOutput, SpaceKind, limits};
use crate::cargo::{Cargo, home_of};
use crate::guest::VersionHash;
use crate::message::{AnswerTo, Input, Message};
use crate::versions::ModuleVersion;
use everwake_protocol::cluster::{
    Ack, EntityReport, Envelope, FromDispatcher, Incarnation, Member, MessageId, Profile, ReturnReason,
    SpaceReport, Target, ToDispatcher, ToGame, ToGate,
};
use everwake_protocol::outcome::{Outcome, code};
use everwake_protocol::{EntityId, SessionId};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// The gates that live, by the random half of their incarnations, which sessions begin with.
pub(super) type Gates = BTreeMap<u64, Incarnation>;

impl GameCore {
    pub(super) fn dispatched(&mut self, message: FromDispatcher<Cargo>) {
        match message {
            FromDispatcher::Members(members) => self.members(&members),
            FromDispatcher::Dead(incarnation) => self.died(incarnation),
            FromDispatcher::Deliver(envelope) => self.arrived(envelope),
            FromDispatcher::Return { envelope, reason, uncertain } => {
                self.came_back(envelope, reason, uncertain);
            }
            FromDispatcher::Marker { entity, intent } => self.marker(entity, intent),
            FromDispatcher::Acks(acks) => self.acknowledged(&acks),
            // What was asked, and what is sent again, is the business of who holds the links.
            FromDispatcher::Asked { .. } | FromDispatcher::SendAgain => {}
        }
    }

    /// Who is here: all spaces, and the entities that a dispatcher looks after.
    pub fn reports(&self, looks_after: impl Fn(EntityId) -> bool) -> (Vec<SpaceReport>, Vec<EntityReport>) {
        let (mut spaces, mut entities) = self.directory.report();
        for (home, epoch) in self.homes.iter().map(|(module, epoch)| (home_of(module), *epoch)) {
            spaces.push(SpaceReport { space: home, epoch });
            entities.push(EntityReport { entity: home, space: home, epoch, leaving: false });
        }
        entities.retain(|report| looks_after(report.entity));
        (spaces, entities)
    }

    /// Whether an entity is here, or is being made here.
    pub fn has(&self, entity: EntityId) -> bool {
        self.directory.location(entity).is_some_and(|at| at.leaving.is_none()) || self.is_home(entity)
    }

    /// Whether somebody here comes back under its name in another game, once this one is dead.
    pub(super) fn is_named(&self, entity: EntityId) -> bool {
        self.directory.space(entity).is_some_and(|row| row.kind == SpaceKind::Service) || self.is_home(entity)
    }

    fn is_home(&self, entity: EntityId) -> bool {
        self.homes.keys().any(|module| home_of(module) == entity)
    }

    /// Whether an entity has come under this epoch before.
    pub(super) fn has_arrived(&self, entity: EntityId, epoch: u32) -> bool {
        self.arrivals.known.contains_key(&(entity, epoch))
    }

    /// A version of a module that is loaded here.
    pub fn version(&self, module: &str, hash: VersionHash) -> Option<Arc<ModuleVersion>> {
        let head = &self.modules.get(module)?.head;
        (head.hash == hash).then(|| head.clone())
    }

    /// A version as which it was published with a generation: one of the last, or one that is ready to be the next.
    pub fn version_at(&self, module: &str, hash: VersionHash, generation: u32) -> Option<Arc<ModuleVersion>> {
        let known = self.modules.get(module).and_then(|module| module.version(hash, generation));
        known.or_else(|| self.staged_version(hash, generation))
    }

    pub(super) fn profile(&self) -> Profile {
        Profile {
            modules: self.modules.keys().cloned().collect(),
            labels: self.labels(),
            load: u32::try_from(self.directory.sizes().0).unwrap_or(u32::MAX),
            closed: self.closing.is_some() || self.drains() || !self.is_in(),
        }
    }

    pub(super) fn dispatch(&mut self, message: ToDispatcher<Cargo>) {
        self.out.push(GameOutput::Dispatch(message));
    }

    /// Sends something that is kept until it has arrived.
    pub(super) fn carry(&mut self, target: Target, message: MessageId, refusable: bool, cargo: Cargo) {
        let envelope = self.envelope(target, message, refusable, cargo);
        self.dispatch(ToDispatcher::Carry(envelope));
    }

    pub(super) fn envelope(
        &self,
        target: Target,
        message: MessageId,
        refusable: bool,
        payload: Cargo,
    ) -> Envelope<Cargo> {
        Envelope { refusable, ..Envelope::new(self.incarnation, target, message, payload) }
    }

    /// Brings a message to its target's space.
    pub(super) fn deliver(&mut self, message: Box<Message>) {
        let refusable = message.is_refusable();
        let (target, id) = (Target::Entity(message.target), message.id);
        self.carry(target, id, refusable, Cargo::Message(message));
    }

    /// Anything for a gate. What is for several clients is parted by their gates.
    pub(super) fn send_gate(&mut self, to_gate: ToGate) {
        match to_gate {
            ToGate::Schema { .. } | ToGate::Broadcast { .. } => {
                for gate in self.gates.values().copied().collect::<Vec<_>>() {
                    self.tell_gate(gate, to_gate.clone());
                }
            }
            ToGate::Frames { viewers, frames } => {
                let Some(first) = viewers.first().map(|viewer| viewer.session.gate_random()) else { return };
                if viewers.iter().all(|viewer| viewer.session.gate_random() == first) {
                    return self.tell_gate_of(first, ToGate::Frames { viewers, frames });
                }
                let mut parts = BTreeMap::<u64, smallvec::SmallVec<_>>::new();
                for viewer in viewers {
                    parts.entry(viewer.session.gate_random()).or_default().push(viewer);
                }
                for (gate, viewers) in parts {
                    self.tell_gate_of(gate, ToGate::Frames { viewers, frames: frames.clone() });
                }
            }
            to_gate => {
                let Some(session) = to_gate.session() else { return };
                if let ToGate::View { view, .. } = &to_gate
                    && let Some(known) = self.sessions.find_mut(session)
                {
                    known.view = *view;
                }
                self.tell_gate_of(session.gate_random(), to_gate);
            }
        }
    }

    fn tell_gate_of(&mut self, gate_random: u64, to_gate: ToGate) {
        match self.gates.get(&gate_random).copied() {
            Some(gate) => self.tell_gate(gate, to_gate),
            // It died, and its clients with it.
            None => self.counters.dropped += 1,
        }
    }

    fn tell_gate(&mut self, gate: Incarnation, to_gate: ToGate) {
        // Whoever holds the links numbers what goes to a process; positions are not worth keeping.
        let counter = u64::from(!matches!(to_gate, ToGate::Positions { .. }));
        let message = MessageId { counter, ..MessageId::default() };
        self.carry(Target::Process(gate), message, false, Cargo::Gate(to_gate));
    }

    fn members(&mut self, members: &[Member]) {
        self.games_are(members);
        let mut gates: Gates = BTreeMap::new();
        for member in members.iter().filter(|member| member.name.starts_with("gate/")) {
            gates.insert(member.incarnation.random, member.incarnation);
        }
        let new: Vec<Incarnation> =
            gates.values().filter(|gate| !self.gates.contains_key(&gate.random)).copied().collect();
        // Another dispatcher may know a gate that this one has not heard of yet: only death ends one.
        self.gates.extend(gates);
        self.consider_ready();
        // Clients come once there is a game for them.
        let heads = self.modules.values().filter(|_| self.is_in());
        let schemas: Vec<_> = heads.map(|module| module.head.schema.clone()).collect();
        for gate in new {
            for schema in &schemas {
                self.tell_gate(gate, ToGate::Schema { schema: schema.clone() });
            }
        }
    }

    /// A life of a process is over: its clients are gone, its shards may be made here.
    fn died(&mut self, incarnation: Incarnation) {
        if incarnation == self.incarnation {
            return self.out.push(GameOutput::Outlived);
        }
        if self.gates.remove(&incarnation.random).is_some() {
            for session in self.sessions.of_gate(incarnation.random) {
                self.session_lost(session);
            }
            return;
        }
        self.game_died(incarnation);
        self.last_death_ms = Some(self.now_ms);
        for space in self.directory.spaces().map(|(space, _)| space).collect::<Vec<_>>() {
            self.hand(space, Input::GameDied);
        }
        self.begin_all_services();
    }

    fn begin_all_services(&mut self) {
        for module in self.modules.keys().cloned().collect::<Vec<_>>() {
            self.begin_services(&module);
        }
    }

    /// Asks once more for what nobody could take.
    pub(super) fn tend_services(&mut self) {
        if self.services_again_ms.is_some_and(|at_ms| at_ms <= self.now_ms) {
            self.services_again_ms = None;
            self.begin_all_services();
        }
    }

    fn session_lost(&mut self, session: SessionId) {
        if let Some(own) = self.sessions.find(session).map(|known| known.own) {
            self.detach(session, own, u32::MAX, super::gate::TIMED_OUT);
        }
    }

    /// Something for somebody here.
    fn arrived(&mut self, envelope: Envelope<Cargo>) {
        match envelope.target {
            Target::Process(_) => self.for_process(envelope.source, envelope.payload),
            Target::Arrival { space, .. } => {
                if let Cargo::Install(traveller) = envelope.payload {
                    self.install(space, traveller);
                }
            }
            Target::Entity(entity) => match &envelope.payload {
                Cargo::Create(_) | Cargo::Service { .. } | Cargo::Home { .. } => {
                    self.make(entity, envelope.payload, envelope.location_epoch);
                }
                Cargo::Client(ToGame::Connected { .. }) => self.make(entity, envelope.payload, 0),
                _ => self.for_entity(entity, envelope),
            },
        }
    }

    fn for_process(&mut self, source: Incarnation, cargo: Cargo) {
        match cargo {
            Cargo::Peer(peer) => self.heard(source, *peer),
            Cargo::Client(to_game) => self.released(&to_game),
            _ => self.counters.dropped += 1,
        }
    }

    fn for_entity(&mut self, entity: EntityId, envelope: Envelope<Cargo>) {
        let here = self.directory.location(entity).filter(|at| at.leaving.is_none()).map(|at| at.space);
        let Envelope { source, target, message, after, location_epoch, hops, refusable, attempt, payload } =
            envelope;
        match (here, payload) {
            (_, Cargo::KeyValue(ask)) => self.key_value(*ask),
            // Whoever sent it here did not know yet that the entity has gone on. Its source still answers for it.
            (None, payload) => {
                #[rustfmt::skip]
                let envelope = Envelope {
                    source, target, message, after, location_epoch, hops, refusable, attempt, payload,
                };
                self.dispatch(ToDispatcher::Carry(envelope));
            }
            (Some(space), Cargo::Message(message)) => self.hand_message(space, message),
            (Some(space), Cargo::Client(to_game)) => self.client_says(space, entity, to_game),
            (Some(_), _) => self.counters.dropped += 1,
        }
    }

    /// Something of this process could not be delivered.
    fn came_back(&mut self, envelope: Envelope<Cargo>, reason: ReturnReason, uncertain: bool) {
        let code = match reason {
            ReturnReason::Gone | ReturnReason::Hops => code::GONE,
            ReturnReason::Overloaded => code::OVERLOADED,
            ReturnReason::Unavailable | ReturnReason::NoPlace => code::UNAVAILABLE,
            ReturnReason::Exists => code::ALREADY_DONE,
        };
        self.counters.circled += u64::from(reason == ReturnReason::Hops);
        // Another copy of it may have arrived, and run.
        let outcome = if uncertain { Outcome::unknown(code) } else { Outcome::not_run(code) };
        match envelope.payload {
            Cargo::Message(message) => self.returned_message(message, code, outcome),
            // It was made, and whoever made it answers.
            Cargo::Create(_) if uncertain && reason == ReturnReason::Exists => {}
            Cargo::Install(traveller) => self.arrival_refused(traveller, code),
            Cargo::Create(creation) => self.answer(creation.answer, outcome),
            Cargo::KeyValue(ask) => {
                self.answer(AnswerTo::Entity { entity: ask.owner, call: ask.call }, outcome);
            }
            // Somebody else has it.
            Cargo::Service { .. } | Cargo::Home { .. } if reason == ReturnReason::Exists => {}
            Cargo::Service { .. } | Cargo::Home { .. } => {
                let again_ms = self.now_ms.saturating_add(limits::SERVICES_AGAIN_MS);
                self.services_again_ms.get_or_insert(again_ms);
            }
            Cargo::Peer(peer) => {
                if let Target::Process(life) = envelope.target {
                    self.unreached(life, &peer);
                }
            }
            Cargo::Client(_) | Cargo::Gate(_) | Cargo::Debts(_) | Cargo::Settled(_) => {
                self.counters.dropped += 1;
            }
        }
    }

    /// Travellers have arrived elsewhere: this process does not answer for them any more.
    fn acknowledged(&mut self, acks: &[Ack]) {
        for ack in acks {
            if let Target::Arrival { entity, space } = ack.target
                && self
                    .directory
                    .location(entity)
                    .is_some_and(|at| at.leaving.is_some_and(|(to, _)| to == space))
            {
                self.directory.remove(entity);
            }
        }
    }
}

/// What has arrived lately, so that a second copy of it is not taken: sources send again what was not acknowledged.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    order: VecDeque<(EntityId, u32)>,
    /// With whether that was its end: it was destroyed under this epoch.
    known: HashMap<(EntityId, u32), bool>,
}

impl Arrivals {
    /// False if this entity has come under this epoch before.
    pub(super) fn take(&mut self, entity: EntityId, epoch: u32) -> bool {
        if self.known.contains_key(&(entity, epoch)) {
            return false;
        }
        self.known.insert((entity, epoch), false);
        self.order.push_back((entity, epoch));
        if self.order.len() > limits::ARRIVALS_REMEMBERED
            && let Some(old) = self.order.pop_front()
        {
            self.known.remove(&old);
        }
        true
    }

    /// It is no more.
    pub(super) fn end(&mut self, entity: EntityId, epoch: u32) {
        if let Some(ended) = self.known.get_mut(&(entity, epoch)) {
            *ended = true;
        }
    }

    /// Whether it came under this epoch, and was destroyed under it.
    pub(super) fn has_ended(&self, entity: EntityId, epoch: u32) -> bool {
        self.known.get(&(entity, epoch)).copied().unwrap_or_default()
    }
}
