//! A game among others: its core and its side of all dispatchers, as one state machine.
//!
//! What goes to another process is bytes, and is kept until it has arrived. What comes is taken once and in order:
//! marks stand here by entity, as far as things were handed to spaces; they follow an entity that moves.

use super::debts::{Debts, Links};
use super::limits::DEBTS_MAX;
use super::listing::Listing;
use super::{GameConfig, GameCore, GameInput, GameOutput};
use crate::cargo::{Cargo, CargoError};
use crate::limits::SESSION_MARK_MS;
use bytes::Bytes;
use everwake_dispatcher::limits::PARKED_ENTITY_COUNT_MAX;
use everwake_dispatcher::member::{Member, MemberConfig, MemberEvent, MemberInput, MemberOutput, Say};
use everwake_dispatcher::{Marks, Taken};
use everwake_link::Class;
use everwake_protocol::cluster::{
    Ack, Attempt, Envelope, FromDispatcher, Incarnation, ReturnReason, Target, ToDispatcher, ToGame,
};
use everwake_protocol::{EntityId, Id};
use std::collections::{BTreeMap, VecDeque};

/// Into a joined game.
#[derive(Debug)]
pub enum JoinedInput {
    /// For the core.
    Game(GameInput),
    /// From the links, or [`MemberInput::Flush`] after a round.
    Links(MemberInput<Bytes>),
}

/// Out of a joined game.
#[derive(Debug)]
pub enum JoinedOutput {
    /// From the core; never [`GameOutput::Dispatch`].
    Game(GameOutput),
    /// To a dispatcher.
    Send {
        /// Its place among the dispatchers by name.
        dispatcher: usize,
        /// For which of its lives.
        to: Incarnation,
        /// In which class.
        class: Class,
        /// What.
        message: ToDispatcher<Bytes>,
    },
}

/// See the head of this module.
#[derive(Debug)]
pub struct Joined {
    game: GameCore,
    member: Member<Bytes>,
    listing: Listing,
    marks: BTreeMap<EntityId, Marks>,
    /// The same of what gates say in their own names: no space counts it.
    told: BTreeMap<EntityId, Marks>,
    /// Sessions that are no more, by when that was and who knows of them.
    closed: VecDeque<(u64, EntityId, Id)>,
    /// Entities whose markers have come, and what came for them since: a dispatcher that was told anew where they are
    /// holds nothing back. It goes on with them, so that it is not taken here and passed on behind what follows.
    marked: BTreeMap<EntityId, Vec<Envelope<Bytes>>>,
    debts: Debts,
    /// Entities that want to leave, once less of what they said is under way: the intents.
    in_debt: BTreeMap<EntityId, u32>,
    /// Cargo that did not decode.
    malformed: u64,
}

impl Joined {
    /// A game that knows no dispatcher's life yet.
    pub fn new(config: GameConfig, member: MemberConfig, seed: [u8; 32]) -> Joined {
        let game = GameCore::among(config, member.incarnation, seed);
        let listing = Listing::new(member.incarnation);
        let mut joined = Joined {
            game,
            debts: Debts::new(member.incarnation),
            listing,
            member: Member::new(member),
            marks: BTreeMap::new(),
            told: BTreeMap::new(),
            closed: VecDeque::new(),
            marked: BTreeMap::new(),
            in_debt: BTreeMap::new(),
            malformed: 0,
        };
        let profile = joined.game.profile();
        let mut said = Vec::new();
        joined.member.handle(0, MemberInput::Say(Say::Profile(profile)), &mut said);
        joined
    }

    /// Takes one input; appends everything that follows from it.
    pub fn handle(&mut self, now_ms: u64, input: JoinedInput, out: &mut Vec<JoinedOutput>) {
        let mut heard = Vec::new();
        match input {
            JoinedInput::Game(input) => self.play(now_ms, input, &mut heard, out),
            JoinedInput::Links(input) => {
                if let MemberInput::Heard { message: FromDispatcher::Acks(acks), .. } = &input {
                    self.arrived_elsewhere(now_ms, acks.clone(), &mut heard, out);
                }
                self.member.handle(now_ms, input, &mut heard);
                self.forget_sessions(now_ms);
            }
        }
        self.listing.tend(now_ms, &mut self.member, &mut heard);
        self.settle(now_ms, heard, out);
    }

    /// Goes on until nobody has anything to say any more.
    fn settle(&mut self, now_ms: u64, mut heard: Vec<MemberOutput<Bytes>>, out: &mut Vec<JoinedOutput>) {
        loop {
            for output in std::mem::take(&mut heard) {
                match output {
                    MemberOutput::Send { dispatcher, to, class, message } => {
                        out.push(JoinedOutput::Send { dispatcher, to, class, message });
                    }
                    MemberOutput::Event(event) => self.hear(now_ms, event, &mut heard, out),
                }
            }
            let mut links = Links { member: &mut self.member, now_ms, heard: &mut heard };
            self.debts.look(&mut links);
            self.block_those_in_debt(now_ms, &mut heard);
            if heard.is_empty() {
                return;
            }
        }
    }

    /// When the game wants a [`GameInput::Wake`] or the member a [`MemberInput::Flush`], UTC ms.
    pub fn next_wake_ms(&self) -> Option<u64> {
        [self.game.next_wake_ms(), self.member.next_wake_ms(), self.listing.next_wake_ms()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The game.
    pub fn game(&self) -> &GameCore {
        &self.game
    }

    /// Things that were said before a move and that somebody waits for.
    pub fn debts(&self) -> usize {
        self.debts.len()
    }

    /// Envelopes that nobody has acknowledged, and cargo that did not decode so far.
    pub fn kept(&self) -> (usize, u64) {
        (self.member.kept().0, self.malformed)
    }

    fn play(
        &mut self,
        now_ms: u64,
        input: GameInput,
        heard: &mut Vec<MemberOutput<Bytes>>,
        out: &mut Vec<JoinedOutput>,
    ) {
        let mut outputs = Vec::new();
        self.game.handle(now_ms, input, &mut outputs);
        for output in outputs {
            match output {
                GameOutput::Dispatch(message) => self.say(now_ms, message, heard),
                output => out.push(JoinedOutput::Game(output)),
            }
        }
    }

    fn say(&mut self, now_ms: u64, message: ToDispatcher<Cargo>, heard: &mut Vec<MemberOutput<Bytes>>) {
        let message = match message {
            ToDispatcher::Carry(envelope) => ToDispatcher::Carry(self.with_debts(envelope)),
            message => message,
        };
        let moved = match &message {
            ToDispatcher::Carry(Envelope { target: Target::Arrival { entity, .. }, .. })
            | ToDispatcher::Gone { entity, .. } => self.marked.remove(entity),
            _ => None,
        };
        let mut say = |say| self.member.handle(now_ms, MemberInput::Say(say), heard);
        match message {
            ToDispatcher::Carry(envelope) => say(Say::Carry(envelope.map(Cargo::encode))),
            ToDispatcher::Create { place, envelope } => {
                say(Say::Create { place, envelope: envelope.map(Cargo::encode) });
            }
            ToDispatcher::Spaces(reports) => reports.into_iter().for_each(|report| say(Say::Space(report))),
            ToDispatcher::Entities(reports) => {
                reports.into_iter().for_each(|report| say(Say::Entity(report)));
            }
            ToDispatcher::SpaceClosed(report) => say(Say::SpaceClosed(report)),
            ToDispatcher::Gone { entity, epoch } => {
                say(Say::Gone { entity, epoch });
                self.marks.remove(&entity);
                self.told.remove(&entity);
                self.in_debt.remove(&entity);
                self.debts.forget(entity);
            }
            ToDispatcher::Block { entity, intent } => self.block(now_ms, entity, intent, heard),
            ToDispatcher::Profile(profile) => say(Say::Profile(profile)),
            ToDispatcher::Ask { ticket, entities } => say(Say::Ask { ticket, entities }),
            ToDispatcher::Leave => say(Say::Leave),
            // The member reports and acknowledges by itself.
            ToDispatcher::Report
            | ToDispatcher::Known { .. }
            | ToDispatcher::Reported
            | ToDispatcher::Resent
            | ToDispatcher::Acks { .. } => {}
        }
        // Behind what says where it is now.
        for envelope in moved.into_iter().flatten() {
            self.member.handle(now_ms, MemberInput::Say(Say::Carry(envelope)), heard);
        }
    }

    /// A traveller takes its debts along.
    fn with_debts(&mut self, mut envelope: Envelope<Cargo>) -> Envelope<Cargo> {
        if let Target::Arrival { entity, .. } = envelope.target
            && let Cargo::Install(traveller) = &mut envelope.payload
        {
            self.marks.remove(&entity);
            // One that was refused is sent again as it came.
            if let Some(told) = self.told.remove(&entity) {
                traveller.told = told.iter().collect();
            }
            self.in_debt.remove(&entity);
            let senders = self.senders(entity);
            traveller.debts = self.debts.leaves(&self.member, entity, &senders);
        }
        envelope
    }

    /// Under which senders goes what an entity says here.
    fn senders(&self, entity: EntityId) -> Vec<Id> {
        let space = self.game.directory.location(entity).map(|at| self.game.sender_of(at.space));
        space.into_iter().chain([self.game.sender]).collect()
    }

    /// An entity wants to leave: what comes for it waits at its dispatcher. Whoever has said too much lately goes a
    /// little later, for all of it has to be waited for at the new place.
    fn block(&mut self, now_ms: u64, entity: EntityId, intent: u32, heard: &mut Vec<MemberOutput<Bytes>>) {
        // The marker that came was for an ask that counts no more.
        let since = self.marked.remove(&entity).into_iter().flatten();
        heard.extend(since.map(|envelope| MemberOutput::Event(MemberEvent::Deliver(envelope))));
        match self.debts.owed(&self.member, entity, &self.senders(entity)).len() > DEBTS_MAX {
            true => drop(self.in_debt.insert(entity, intent)),
            false => {
                self.in_debt.remove(&entity);
                self.member.handle(now_ms, MemberInput::Say(Say::Block { entity, intent }), heard);
            }
        }
    }

    fn block_those_in_debt(&mut self, now_ms: u64, heard: &mut Vec<MemberOutput<Bytes>>) {
        for (entity, intent) in std::mem::take(&mut self.in_debt) {
            self.block(now_ms, entity, intent, heard);
        }
    }

    fn hear(
        &mut self,
        now_ms: u64,
        event: MemberEvent<Bytes>,
        heard: &mut Vec<MemberOutput<Bytes>>,
        out: &mut Vec<JoinedOutput>,
    ) {
        let input = match event {
            MemberEvent::ReportWanted { dispatcher } => {
                let (spaces, entities) = self.game.reports(|entity| self.member.share(entity) == dispatcher);
                let say = Say::Report { dispatcher, spaces, entities };
                return self.member.handle(now_ms, MemberInput::Say(say), heard);
            }
            MemberEvent::Deliver(envelope) => match self.take(now_ms, envelope, heard) {
                Some(Envelope { source, payload: Cargo::Debts(debts), .. }) => {
                    return self.debts.asked(source, debts);
                }
                Some(Envelope { payload: Cargo::Settled(debts), .. }) => {
                    let mut links = Links { member: &mut self.member, now_ms, heard };
                    return self.debts.settled(&mut links, |debt| debts.contains(debt));
                }
                Some(envelope) => GameInput::Dispatched(FromDispatcher::Deliver(envelope)),
                None => return,
            },
            MemberEvent::Returned { envelope, reason, uncertain } => {
                match self.open(envelope) {
                    // Who kept it is dead, so it comes no more; or who asked is.
                    Ok(Envelope { payload: Cargo::Debts(debts), .. }) => {
                        let mut links = Links { member: &mut self.member, now_ms, heard };
                        return self.debts.settled(&mut links, |debt| debts.contains(debt));
                    }
                    Ok(Envelope { payload: Cargo::Settled(_), .. }) => return,
                    Ok(envelope) => {
                        GameInput::Dispatched(FromDispatcher::Return { envelope, reason, uncertain })
                    }
                    // It was ours: it decodes.
                    Err(_) => return,
                }
            }
            MemberEvent::Refused(envelope) => match self.open(envelope) {
                Ok(envelope) => {
                    let (reason, uncertain) = (ReturnReason::Overloaded, false);
                    GameInput::Dispatched(FromDispatcher::Return { envelope, reason, uncertain })
                }
                Err(_) => return,
            },
            MemberEvent::Marker { entity, intent } => {
                self.marked.entry(entity).or_default();
                GameInput::Dispatched(FromDispatcher::Marker { entity, intent })
            }
            MemberEvent::Dead { life, .. } => {
                self.debts.died(&mut Links { member: &mut self.member, now_ms, heard }, life);
                GameInput::Dispatched(FromDispatcher::Dead(life))
            }
            MemberEvent::Members { members, .. } => GameInput::Dispatched(FromDispatcher::Members(members)),
            MemberEvent::Asked { ticket, gone } => match self.listing.answered(ticket, &gone) {
                true => GameInput::Listed,
                false => return,
            },
        };
        self.play(now_ms, input, heard, out);
    }

    /// Whether something is new and next: then it is acknowledged and opened.
    fn take(
        &mut self,
        now_ms: u64,
        envelope: Envelope<Bytes>,
        heard: &mut Vec<MemberOutput<Bytes>>,
    ) -> Option<Envelope<Cargo>> {
        let envelope = self.unless_marked(envelope)?;
        let (source, target, message) = (envelope.source, envelope.target, envelope.message);
        let kept = envelope.is_kept() && !matches!(target, Target::Process(_));
        // Whoever is not here and is not to be made is somewhere else: it is not taken.
        let mine = match target {
            Target::Entity(entity) => self.game.has(entity) || Cargo::makes(&envelope.payload),
            Target::Arrival { .. } | Target::Process(_) => true,
        };
        if kept && mine {
            let taken = match target {
                Target::Entity(entity) => {
                    let is_of_gate = Cargo::is_of_gate(&envelope.payload);
                    let is_named = self.game.is_named(entity);
                    let marks = if is_of_gate { &mut self.told } else { &mut self.marks };
                    let marks = marks.entry(entity).or_default();
                    if is_named && envelope.attempt == Attempt::Doubtful && !marks.knows(message.sender) {
                        // Who had this name before may have taken it: it goes round until it is returned.
                        self.member.handle(now_ms, MemberInput::Say(Say::Carry(envelope)), heard);
                        return None;
                    }
                    marks.take(&envelope)
                }
                // The core remembers arrivals.
                _ => Taken::New,
            };
            if taken == Taken::Hole {
                return None;
            }
            if taken == Taken::Double {
                self.acknowledge(
                    now_ms,
                    source,
                    Ack { sender: message.sender, target, counter: message.counter },
                    heard,
                );
                return None;
            }
        }
        let mut opened = match self.open(envelope) {
            Ok(opened) => opened,
            Err(passed_on) => {
                // Nothing of it is here: it goes round until it is returned to its source.
                let say = Say::Carry(*passed_on);
                self.member.handle(now_ms, MemberInput::Say(say), heard);
                return None;
            }
        };
        self.note(now_ms, target, &mut opened.payload, heard);
        if kept && mine {
            self.acknowledge(
                now_ms,
                source,
                Ack { sender: message.sender, target, counter: message.counter },
                heard,
            );
        }
        Some(opened)
    }

    fn unless_marked(&mut self, envelope: Envelope<Bytes>) -> Option<Envelope<Bytes>> {
        match envelope.target {
            Target::Entity(entity) => match self.marked.get_mut(&entity) {
                Some(since) if since.len() < PARKED_ENTITY_COUNT_MAX => {
                    since.push(envelope);
                    None
                }
                _ => Some(envelope),
            },
            Target::Arrival { .. } | Target::Process(_) => Some(envelope),
        }
    }

    /// What is to be known here of something that comes in.
    fn note(&mut self, now_ms: u64, target: Target, cargo: &mut Cargo, heard: &mut Vec<MemberOutput<Bytes>>) {
        match (target, cargo) {
            (Target::Arrival { entity, space }, Cargo::Install(traveller))
                if !self.game.has_arrived(entity, traveller.epoch) =>
            {
                self.marks.insert(entity, traveller.body.marks.handed());
                if !traveller.told.is_empty() {
                    self.told.insert(entity, traveller.told.iter().copied().collect());
                }
                let senders = [self.game.sender_of(space), self.game.sender];
                let mut links = Links { member: &mut self.member, now_ms, heard };
                self.debts.comes(&mut links, entity, &senders, &mut traveller.debts);
            }
            (Target::Entity(entity), Cargo::Client(ToGame::Forget { session })) => {
                self.closed.push_back((now_ms, entity, session.0));
            }
            _ => {}
        }
    }

    /// Marks of sessions that ended long enough ago.
    fn forget_sessions(&mut self, now_ms: u64) {
        while let Some((at_ms, entity, session)) = self.closed.front().copied()
            && at_ms + SESSION_MARK_MS <= now_ms
        {
            self.closed.pop_front();
            if let Some(marks) = self.marks.get_mut(&entity) {
                marks.forget(session);
            }
        }
    }

    fn acknowledge(&mut self, now_ms: u64, to: Incarnation, ack: Ack, heard: &mut Vec<MemberOutput<Bytes>>) {
        self.member.handle(now_ms, MemberInput::Say(Say::Ack { to, ack }), heard);
    }

    fn open(&mut self, envelope: Envelope<Bytes>) -> Result<Envelope<Cargo>, Box<Envelope<Bytes>>> {
        let find = |module: &str, hash, generation| self.game.version_at(module, hash, generation);
        match Cargo::decode_with(envelope.payload.clone(), &find) {
            Ok(cargo) => Ok(envelope.map(|_| cargo)),
            Err(error) => {
                self.malformed += u64::from(!matches!(error, CargoError::Version(_)));
                Err(Box::new(envelope))
            }
        }
    }

    fn arrived_elsewhere(
        &mut self,
        now_ms: u64,
        acks: Vec<Ack>,
        heard: &mut Vec<MemberOutput<Bytes>>,
        out: &mut Vec<JoinedOutput>,
    ) {
        let arrived = |ack: &Ack| match ack.target {
            Target::Arrival { entity, space } => Some((entity, space)),
            Target::Entity(_) | Target::Process(_) => None,
        };
        let arrived: Vec<(EntityId, EntityId)> = acks.iter().filter_map(arrived).collect();
        if !arrived.is_empty() {
            self.play(now_ms, GameInput::Dispatched(FromDispatcher::Acks(acks)), heard, out);
        }
        for (entity, space) in arrived {
            // Its new space may be here, and not have said so yet.
            let is_elsewhere = self.game.directory.space(space).is_none();
            if is_elsewhere && self.game.directory.location(entity).is_none() {
                self.debts.forget(entity);
            }
        }
    }
}
