//! A process's side of all dispatchers: chooses the one of a target, keeps what nobody has acknowledged, sends it
//! again, and reports to a dispatcher that does not know what it must.
//!
//! It does not know what envelopes say, nor what its owner has: when a report is due, it asks.

use crate::bounded::Bounded;
use crate::limits::RESEND_MS;
use crate::marks::{Marks, Taken};
use crate::share::{class_to, of_entity, of_lane};
use everwake_link::PeerName;
use everwake_protocol::cluster::{
    Ack, EntityReport, Envelope, FromDispatcher, Incarnation, Placement, Profile, ReturnReason, SpaceReport,
    Target, ToDispatcher, Weight,
};
use everwake_protocol::limits::{ACKS_MAX, MEMBERS_MAX, REPORTS_MAX};
use everwake_protocol::{EntityId, Id};
use std::collections::{BTreeMap, BTreeSet};

mod outbox;
#[cfg(test)]
mod tests;
mod values;

use outbox::{Outbox, Stream, stream};
pub use values::{MemberConfig, MemberEvent, MemberInput, MemberOutput, Say};

/// A game's or a gate's core towards its dispatchers.
#[derive(Debug)]
pub struct Member<P> {
    config: MemberConfig,
    now_ms: u64,
    /// By name.
    sides: Vec<Side<P>>,
    /// Of the lanes from this process, by the life they go to.
    counters: BTreeMap<Incarnation, u64>,
    /// What has come on lanes to this process.
    marks: Marks,
    profile: Option<Profile>,
    /// Who lives, as far as dispatchers have said.
    alive: BTreeMap<Incarnation, String>,
    dead: Bounded<Incarnation, ()>,
}

/// One dispatcher.
#[derive(Debug)]
struct Side<P> {
    name: PeerName,
    life: Option<Incarnation>,
    is_up: bool,
    /// It has been reported to; else nothing leaves.
    is_open: bool,
    outbox: Outbox<P>,
    /// Said while nothing could leave, and kept by nobody else.
    held: Vec<ToDispatcher<P>>,
    held_bytes: usize,
    /// Up to which counter a stream of somebody has arrived here.
    acks: BTreeMap<(Incarnation, Id, Target), u64>,
    /// Entities that wait for their markers.
    blocks: BTreeMap<EntityId, u32>,
    /// Streams in which something was refused: what is behind it goes once more.
    holes: BTreeSet<Stream>,
    all_again: bool,
    again_at_ms: Option<u64>,
}

/// The sender of all that one life of a process says to other processes (rule B2).
pub fn lane_sender(life: Incarnation) -> Id {
    Id::derive(&[b"lane", &life.start.to_be_bytes(), &life.random.to_be_bytes()])
}

impl<P: Weight + Clone> Member<P> {
    /// Knows no dispatcher's life yet: what is said waits.
    pub fn new(config: MemberConfig) -> Member<P> {
        let mut names = config.dispatchers.clone();
        names.sort_unstable();
        names.dedup();
        let side = |name| Side {
            name,
            life: None,
            is_up: false,
            is_open: false,
            outbox: Outbox::default(),
            held: Vec::new(),
            held_bytes: 0,
            acks: BTreeMap::new(),
            blocks: BTreeMap::new(),
            holes: BTreeSet::new(),
            all_again: false,
            again_at_ms: None,
        };
        Member {
            sides: names.into_iter().map(side).collect(),
            now_ms: 0,
            counters: BTreeMap::new(),
            marks: Marks::default(),
            profile: None,
            alive: BTreeMap::new(),
            dead: Bounded::new(REPORTS_MAX),
            config,
        }
    }

    /// Takes one input. Time never goes back. Drain `out` before the next one, in its order.
    pub fn handle(&mut self, now_ms: u64, input: MemberInput<P>, out: &mut Vec<MemberOutput<P>>) {
        self.now_ms = self.now_ms.max(now_ms);
        match input {
            MemberInput::Up { dispatcher, incarnation, lost } => self.up(&dispatcher, incarnation, lost, out),
            MemberInput::Down { dispatcher } => {
                if let Some(side) = self.place_of(&dispatcher).and_then(|place| self.sides.get_mut(place)) {
                    side.is_up = false;
                }
            }
            MemberInput::Heard { dispatcher, message } => {
                if let Some(place) = self.place_of(&dispatcher) {
                    self.heard(place, message, out);
                }
            }
            MemberInput::Unsent { dispatcher, message } => {
                if let Some(place) = self.place_of(&dispatcher) {
                    self.unsent(place, message, out);
                }
            }
            MemberInput::Say(say) => self.say(say, out),
            MemberInput::Flush => self.flush(out),
        }
    }

    /// When [`MemberInput::Flush`] is due, if the owner says nothing before.
    pub fn next_wake_ms(&self) -> Option<u64> {
        self.sides.iter().filter(|side| side.is_up && side.is_open).filter_map(|side| side.again_at_ms).min()
    }

    /// The dispatcher of an entity, as its place among all of them by name.
    pub fn share(&self, entity: EntityId) -> usize {
        of_entity(entity, self.names()).unwrap_or_default()
    }

    /// Names of the dispatchers, by place.
    pub fn dispatchers(&self) -> impl Iterator<Item = &PeerName> {
        self.sides.iter().map(|side| &side.name)
    }

    /// What nobody has acknowledged: envelopes, and their bytes with [`crate::limits::OUTBOX_COST_BYTES`] for each.
    pub fn kept(&self) -> (usize, usize) {
        let sum = |of: fn(&Outbox<P>) -> usize| self.sides.iter().map(|side| of(&side.outbox)).sum();
        (sum(Outbox::len), sum(Outbox::bytes))
    }

    /// Whether something of a sender is not acknowledged yet; with a target, whether that is so of what is for it.
    pub fn keeps(&self, sender: Id, target: Option<Target>) -> bool {
        self.sides.iter().any(|side| side.outbox.keeps(sender, target))
    }

    /// Whether something of a sender for a target is not acknowledged, up to a counter.
    pub fn keeps_up_to(&self, sender: Id, target: Target, counter: u64) -> bool {
        self.sides.iter().any(|side| side.outbox.keeps_up_to(&(sender, target), counter))
    }

    /// What an author has said under one of these senders and nobody has acknowledged: to whom, under which sender,
    /// up to which counter (rule C10).
    pub fn owed(&self, senders: &[Id], by_author: impl Fn(&P) -> bool) -> Vec<(Id, Target, u64)> {
        let owed = self.sides.iter().flat_map(|side| side.outbox.owed(senders, &by_author));
        owed.map(|((sender, target), counter)| (sender, target, counter)).collect()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.sides.iter().map(|side| side.name.name())
    }

    fn place_of(&self, name: &PeerName) -> Option<usize> {
        self.sides.iter().position(|side| side.name == *name)
    }

    fn side_of(&mut self, target: Target) -> Option<(usize, &mut Side<P>)> {
        let place = match target {
            Target::Entity(entity) | Target::Arrival { entity, .. } => self.share(entity),
            Target::Process(life) => of_lane(self.config.incarnation, life, self.names())?,
        };
        self.sides.get_mut(place).map(|side| (place, side))
    }

    fn up(&mut self, name: &PeerName, life: Incarnation, lost: bool, out: &mut Vec<MemberOutput<P>>) {
        let Some(place) = self.place_of(name) else { return };
        let Some(side) = self.sides.get_mut(place) else { return };
        let known = side.life == Some(life);
        (side.life, side.is_up) = (Some(life), true);
        if lost || !known || !side.is_open {
            side.is_open = false;
            out.push(MemberOutput::Event(MemberEvent::ReportWanted { dispatcher: place }));
        }
    }

    fn say(&mut self, say: Say<P>, out: &mut Vec<MemberOutput<P>>) {
        match say {
            Say::Carry(envelope) => self.carry(None, envelope, out),
            Say::Create { place, envelope } => self.carry(Some(place), envelope, out),
            Say::Ack { to, ack } => self.acknowledge(to, ack),
            Say::Space(report) => self.tell_each(&|| ToDispatcher::Spaces(vec![report.clone()]), out),
            Say::SpaceClosed(report) => self.tell_each(&|| ToDispatcher::SpaceClosed(report.clone()), out),
            Say::Entity(report) => self.state(report.entity, ToDispatcher::Entities(vec![report]), out),
            Say::Gone { entity, epoch } => {
                if let Some((_, side)) = self.side_of(Target::Entity(entity)) {
                    side.blocks.remove(&entity);
                }
                self.state(entity, ToDispatcher::Gone { entity, epoch }, out);
            }
            Say::Block { entity, intent } => {
                if let Some((_, side)) = self.side_of(Target::Entity(entity)) {
                    side.blocks.insert(entity, intent);
                }
                self.state(entity, ToDispatcher::Block { entity, intent }, out);
            }
            Say::Profile(profile) => {
                self.profile = Some(profile.clone());
                self.tell_each(&|| ToDispatcher::Profile(profile.clone()), out);
            }
            Say::Ask { ticket, entities } => self.ask(ticket, entities, out),
            Say::Hold { sender, target, hold } => {
                if let Some((_, side)) = self.side_of(target) {
                    side.outbox.hold((sender, target), hold);
                }
            }
            Say::LetGo { sender, target, hold } => {
                if let Some((place, side)) = self.side_of(target) {
                    let numbers = side.outbox.let_go(&(sender, target), hold);
                    side.send_kept(place, numbers, out);
                }
            }
            Say::Report { dispatcher, spaces, entities } => self.report(dispatcher, spaces, entities, out),
            Say::Leave => self.tell_each(&|| ToDispatcher::Leave, out),
        }
    }

    fn carry(&mut self, place: Option<Placement>, mut envelope: Envelope<P>, out: &mut Vec<MemberOutput<P>>) {
        let own = self.config.incarnation;
        let Some((at, side)) = self.side_of(envelope.target) else {
            return out.push(MemberOutput::Event(MemberEvent::Refused(envelope)));
        };
        // What has been handed out is somebody's already, be it this process's own.
        let mine = envelope.source == own && envelope.hops == 0;
        if envelope.refusable && mine && !side.has_room(&envelope.payload) {
            return out.push(MemberOutput::Event(MemberEvent::Refused(envelope)));
        }
        if !mine || !envelope.is_kept() {
            let message = match place {
                Some(place) => ToDispatcher::Create { place, envelope },
                None => ToDispatcher::Carry(envelope),
            };
            return side.pass_or_hold(at, message, out);
        }
        if let Target::Process(life) = envelope.target {
            let counter = self.counters.entry(life).or_default();
            *counter += 1;
            envelope.message.counter = *counter;
            (envelope.message.sender, envelope.message.epoch) = (lane_sender(own), 0);
        }
        let Some(side) = self.sides.get_mut(at) else { return };
        let number = side.outbox.push(envelope, place);
        side.send_kept(at, [number], out);
    }

    fn acknowledge(&mut self, to: Incarnation, ack: Ack) {
        if let Some((_, side)) = self.side_of(ack.target) {
            let counter = side.acks.entry((to, ack.sender, ack.target)).or_default();
            *counter = ack.counter.max(*counter);
        }
    }

    /// What a report tells as well.
    fn state(&mut self, entity: EntityId, message: ToDispatcher<P>, out: &mut Vec<MemberOutput<P>>) {
        if let Some((place, side)) = self.side_of(Target::Entity(entity)) {
            side.pass(place, message, out);
        }
    }

    fn tell_each(&mut self, message: &dyn Fn() -> ToDispatcher<P>, out: &mut Vec<MemberOutput<P>>) {
        for (place, side) in self.sides.iter_mut().enumerate() {
            side.pass(place, message(), out);
        }
    }

    fn ask(&mut self, ticket: u64, entities: Vec<EntityId>, out: &mut Vec<MemberOutput<P>>) {
        let mut shares: BTreeMap<usize, Vec<EntityId>> = BTreeMap::new();
        for entity in entities {
            shares.entry(self.share(entity)).or_default().push(entity);
        }
        for (place, entities) in shares {
            let Some(side) = self.sides.get_mut(place) else { continue };
            for part in entities.chunks(REPORTS_MAX) {
                side.pass_or_hold(place, ToDispatcher::Ask { ticket, entities: part.to_vec() }, out);
            }
        }
    }

    fn report(
        &mut self,
        place: usize,
        spaces: Vec<SpaceReport>,
        entities: Vec<EntityReport>,
        out: &mut Vec<MemberOutput<P>>,
    ) {
        let profile = self.profile.clone();
        let known = ToDispatcher::Known {
            alive: self.alive.iter().map(|(life, name)| (*life, name.clone())).take(MEMBERS_MAX).collect(),
            dead: self.dead.keys().collect(),
        };
        let backwards = self.planted_backwards();
        let Some(side) = self.sides.get_mut(place).filter(|side| !side.is_open && side.life.is_some()) else {
            return;
        };
        side.is_open = true;
        side.pass(place, ToDispatcher::Report, out);
        side.pass(place, known, out);
        for part in spaces.chunks(REPORTS_MAX) {
            side.pass(place, ToDispatcher::Spaces(part.to_vec()), out);
        }
        for part in entities.chunks(REPORTS_MAX) {
            side.pass(place, ToDispatcher::Entities(part.to_vec()), out);
        }
        if let Some(profile) = profile {
            side.pass(place, ToDispatcher::Profile(profile), out);
        }
        side.pass(place, ToDispatcher::Reported, out);
        side.send_all_again(place, backwards, out);
        side.pass(place, ToDispatcher::Resent, out);
        for (entity, intent) in side.blocks.clone() {
            side.pass(place, ToDispatcher::Block { entity, intent }, out);
        }
        side.held_bytes = 0;
        for message in std::mem::take(&mut side.held) {
            side.pass(place, message, out);
        }
    }

    fn heard(&mut self, place: usize, message: FromDispatcher<P>, out: &mut Vec<MemberOutput<P>>) {
        let now_ms = self.now_ms;
        let Some(side) = self.sides.get_mut(place) else { return };
        let event = match message {
            FromDispatcher::Members(members) => {
                for member in &members {
                    if self.dead.get(&member.incarnation).is_none() && self.alive.len() < MEMBERS_MAX {
                        self.alive.insert(member.incarnation, member.name.clone());
                    }
                }
                MemberEvent::Members { dispatcher: place, members }
            }
            FromDispatcher::Dead(life) => return self.dead(place, life, out),
            FromDispatcher::Deliver(envelope) => return self.deliver(envelope, out),
            FromDispatcher::Return { envelope, reason, .. } => {
                return self.returned(place, envelope, reason, out);
            }
            FromDispatcher::Marker { entity, intent } => {
                if side.blocks.get(&entity) != Some(&intent) {
                    return;
                }
                side.blocks.remove(&entity);
                MemberEvent::Marker { entity, intent }
            }
            FromDispatcher::Acks(acks) => {
                acks.iter().for_each(|ack| side.outbox.acknowledge(ack));
                return;
            }
            FromDispatcher::SendAgain => return side.again(now_ms),
            FromDispatcher::Asked { ticket, gone } => MemberEvent::Asked { ticket, gone },
        };
        out.push(MemberOutput::Event(event));
    }

    fn deliver(&mut self, envelope: Envelope<P>, out: &mut Vec<MemberOutput<P>>) {
        if let Target::Process(_) = envelope.target {
            let taken = self.marks.take(&envelope);
            if envelope.is_kept() && taken != Taken::Hole {
                let sender = envelope.message.sender;
                let ack = Ack { sender, target: envelope.target, counter: self.marks.counter(sender) };
                self.acknowledge_lane(envelope.source, ack);
            }
            if taken != Taken::New {
                return;
            }
        }
        out.push(MemberOutput::Event(MemberEvent::Deliver(envelope)));
    }

    /// By the dispatcher that the lane goes by: its other end keeps it there.
    fn acknowledge_lane(&mut self, from: Incarnation, ack: Ack) {
        let place = of_lane(from, self.config.incarnation, self.names()).unwrap_or_default();
        if let Some(side) = self.sides.get_mut(place) {
            side.acks.insert((from, ack.sender, ack.target), ack.counter);
        }
    }

    fn returned(
        &mut self,
        place: usize,
        envelope: Envelope<P>,
        reason: ReturnReason,
        out: &mut Vec<MemberOutput<P>>,
    ) {
        let now_ms = self.now_ms;
        let Some(side) = self.sides.get_mut(place) else { return };
        if !envelope.is_kept() {
            let event = MemberEvent::Returned { envelope, reason, uncertain: false };
            return out.push(MemberOutput::Event(event));
        }
        let key = stream(&envelope);
        let is_lane = matches!(envelope.target, Target::Process(_));
        // A lane has no holes: what was refused for now goes again.
        if !(is_lane && reason != ReturnReason::Gone) {
            let Some((envelope, uncertain)) = side.outbox.take(envelope.target, envelope.message) else {
                return;
            };
            out.push(MemberOutput::Event(MemberEvent::Returned { envelope, reason, uncertain }));
        }
        if !side.outbox.of(&key).is_empty() {
            side.holes.insert(key);
            side.again_at_ms.get_or_insert(now_ms.saturating_add(RESEND_MS));
        }
    }

    fn dead(&mut self, place: usize, life: Incarnation, out: &mut Vec<MemberOutput<P>>) {
        let now_ms = self.now_ms;
        self.alive.remove(&life);
        // The numbers of its lanes stay for a while: a death of which only gates have heard may be void.
        if let Some(old) = self.dead.insert(life, ()) {
            self.counters.remove(&old);
            self.marks.forget(lane_sender(old));
        }
        for side in &mut self.sides {
            side.acks.retain(|(to, ..), _| *to != life);
            side.outbox.doubt();
            for (envelope, uncertain) in side.outbox.take_lane(life) {
                let reason = ReturnReason::Gone;
                out.push(MemberOutput::Event(MemberEvent::Returned { envelope, reason, uncertain }));
            }
        }
        out.push(MemberOutput::Event(MemberEvent::Dead { life, dispatcher: place }));
        // What was for somebody in there comes back now, what was for others is dropped as a double.
        if let Some(side) = self.sides.get_mut(place) {
            // Behind what was said before it was heard.
            side.pass(place, ToDispatcher::Known { alive: Vec::new(), dead: vec![life] }, out);
            side.again(now_ms);
        }
    }

    fn unsent(&mut self, place: usize, message: ToDispatcher<P>, out: &mut Vec<MemberOutput<P>>) {
        let (now_ms, own) = (self.now_ms, self.config.incarnation);
        let Some(side) = self.sides.get_mut(place) else { return };
        match message {
            ToDispatcher::Carry(envelope) | ToDispatcher::Create { envelope, .. } => {
                if envelope.is_kept() && envelope.source == own && envelope.hops == 0 {
                    side.holes.insert(stream(&envelope));
                    side.again_at_ms.get_or_insert(now_ms.saturating_add(RESEND_MS));
                } else if envelope.source == own {
                    let (reason, uncertain) = (ReturnReason::Overloaded, false);
                    out.push(MemberOutput::Event(MemberEvent::Returned { envelope, reason, uncertain }));
                }
            }
            ToDispatcher::Acks { to, acks } => {
                for Ack { sender, target, counter } in acks {
                    let known = side.acks.entry((to, sender, target)).or_default();
                    *known = counter.max(*known);
                }
            }
            message => {
                if let ToDispatcher::Ask { .. } = message {
                    side.held.push(message);
                }
                // It does not know what it should.
                if std::mem::replace(&mut side.is_open, false) {
                    out.push(MemberOutput::Event(MemberEvent::ReportWanted { dispatcher: place }));
                }
            }
        }
    }

    fn flush(&mut self, out: &mut Vec<MemberOutput<P>>) {
        let (now_ms, backwards) = (self.now_ms, self.planted_backwards());
        for (place, side) in self.sides.iter_mut().enumerate().filter(|(_, side)| side.is_open) {
            if side.is_up && side.again_at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
                if side.all_again {
                    side.send_all_again(place, backwards, out);
                } else {
                    side.again_at_ms = None;
                    for stream in std::mem::take(&mut side.holes) {
                        let numbers = side.outbox.of(&stream);
                        side.send_kept(place, numbers, out);
                    }
                }
            }
            let mut by_source: BTreeMap<Incarnation, Vec<Ack>> = BTreeMap::new();
            for ((to, sender, target), counter) in std::mem::take(&mut side.acks) {
                by_source.entry(to).or_default().push(Ack { sender, target, counter });
            }
            for (to, acks) in by_source {
                for part in acks.chunks(ACKS_MAX) {
                    side.pass(place, ToDispatcher::Acks { to, acks: part.to_vec() }, out);
                }
            }
        }
    }

    #[cfg(test)]
    fn planted_backwards(&self) -> bool {
        self.config.plant == Some(crate::simulation::Plant::SentAgainBackwards)
    }

    #[cfg(not(test))]
    fn planted_backwards(&self) -> bool {
        false
    }
}

impl<P: Weight + Clone> Side<P> {
    fn has_room(&self, payload: &P) -> bool {
        self.held_bytes <= crate::limits::OUTBOX_BYTES_MAX && self.outbox.has_room(payload)
    }

    /// All that is kept, at the next flush.
    fn again(&mut self, now_ms: u64) {
        self.all_again = true;
        self.again_at_ms = Some(now_ms);
    }

    fn send_all_again(&mut self, place: usize, backwards: bool, out: &mut Vec<MemberOutput<P>>) {
        (self.all_again, self.again_at_ms) = (false, None);
        self.holes.clear();
        let mut numbers = self.outbox.all();
        if backwards {
            numbers.reverse();
        }
        self.send_kept(place, numbers, out);
    }

    /// What cannot leave now is sent behind the next report.
    fn send_kept(
        &mut self,
        place: usize,
        numbers: impl IntoIterator<Item = u64>,
        out: &mut Vec<MemberOutput<P>>,
    ) {
        if self.is_open {
            for number in numbers {
                if let Some(message) = self.outbox.send(number) {
                    self.pass(place, message, out);
                }
            }
        }
    }

    /// Sends it, or drops what the next report tells.
    fn pass(&mut self, dispatcher: usize, message: ToDispatcher<P>, out: &mut Vec<MemberOutput<P>>) {
        if let Some(to) = self.life.filter(|_| self.is_open) {
            out.push(MemberOutput::Send { dispatcher, to, class: class_to(&message), message });
        }
    }

    fn pass_or_hold(&mut self, place: usize, message: ToDispatcher<P>, out: &mut Vec<MemberOutput<P>>) {
        if self.is_open {
            return self.pass(place, message, out);
        }
        if let ToDispatcher::Carry(envelope) | ToDispatcher::Create { envelope, .. } = &message {
            self.held_bytes = self.held_bytes.saturating_add(envelope.payload.bytes());
        }
        self.held.push(message);
    }
}
