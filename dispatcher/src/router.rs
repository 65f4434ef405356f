//! A dispatcher: knows where its entities live, forwards what is for them, and decides who is dead.
//!
//! It keeps nothing that cannot be told again: after a restart the processes report, and send again what nobody
//! has acknowledged. It does not know what envelopes say, and acknowledges nothing by itself but arrivals that it
//! knows to be over.

use crate::limits::{ABSENT_MS, MEMBERS_MS, PARKED_MS_MAX, RETRY_MS, SWEEP_MS};
use everwake_protocol::cluster::{
    Ack, BetweenDispatchers, Envelope, FromDispatcher, Incarnation, Member, ReturnReason, ToDispatcher,
    Weight,
};
use std::collections::BTreeSet;

mod carry;
mod create;
mod directory;
mod parking;
mod processes;
#[cfg(test)]
mod tests;
mod values;

use directory::Directory;
use parking::Parking;
use processes::{Peer, Processes, Standing};
pub use values::{Death, Fact, RouterConfig, RouterInput, RouterOutput};

/// The dispatcher's core.
#[derive(Debug)]
pub struct Router<P> {
    config: RouterConfig,
    now_ms: u64,
    /// When the first input came.
    started_ms: Option<u64>,
    processes: Processes,
    directory: Directory,
    parking: Parking<P>,
    /// What a full link gave back and nobody else can say again, and when.
    retries: Vec<(Incarnation, FromDispatcher<P>)>,
    retry_at_ms: Option<u64>,
    /// Those who are to send again what a full link gave back.
    again: BTreeSet<Incarnation>,
    members_dirty: bool,
    members_at_ms: u64,
    swept_ms: u64,
    was_complete: bool,
    /// Something that others wait for has changed.
    changed: bool,
}

impl<P: Weight> Router<P> {
    /// Knows nobody. The time of its first input is the time of its start.
    pub fn new(config: RouterConfig) -> Router<P> {
        let dispatchers = config.dispatchers.iter().map(|name| (name.clone(), Peer::default())).collect();
        Router {
            now_ms: 0,
            started_ms: None,
            processes: Processes::new(dispatchers),
            directory: Directory::default(),
            parking: Parking::default(),
            retries: Vec::new(),
            retry_at_ms: None,
            again: BTreeSet::new(),
            members_dirty: false,
            members_at_ms: 0,
            swept_ms: 0,
            was_complete: false,
            changed: false,
            config,
        }
    }

    /// Takes one input. Time never goes back. Drain `out` before the next one, in its order.
    pub fn handle(&mut self, now_ms: u64, input: RouterInput<P>, out: &mut Vec<RouterOutput<P>>) {
        self.now_ms = self.now_ms.max(now_ms);
        if self.started_ms.is_none() {
            (self.started_ms, self.swept_ms) = (Some(self.now_ms), self.now_ms);
        }
        match input {
            RouterInput::Up { peer, incarnation, lost } => self.up(peer, incarnation, lost, out),
            RouterInput::Down { peer, incarnation } => self.down(&peer, incarnation),
            RouterInput::From { incarnation, message } => self.said(incarnation, message, out),
            RouterInput::FromPeer { message: BetweenDispatchers::Dead(lives), .. } => {
                for life in lives {
                    self.declare_dead(life, Death::Told, out);
                }
            }
            RouterInput::Unsent { to, message, overloaded } => self.unsent(to, message, overloaded, out),
            RouterInput::Wake => self.wake(out),
        }
        self.settle(out);
        self.tell_members(out);
    }

    /// When [`RouterInput::Wake`] is due, if nothing else happens before.
    pub fn next_wake_ms(&self) -> Option<u64> {
        let Some(started_ms) = self.started_ms else { return Some(0) };
        let absent_ms = started_ms.saturating_add(ABSENT_MS);
        let waits = !self.parking.is_empty() || self.directory.has_limits();
        [
            self.next_death_ms(),
            self.retry_at_ms,
            waits.then_some(self.swept_ms.saturating_add(SWEEP_MS)),
            self.members_dirty.then_some(self.members_at_ms),
            (!self.config.alone && self.now_ms < absent_ms).then_some(absent_ms),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether an id that is unknown is gone: every configured game has told all that it knows, is dead, or was
    /// absent since the start (rule C6).
    pub fn is_complete(&self) -> bool {
        let absent = self.is_after_absence();
        self.planted_gone_early()
            || self.config.games().all(|name| match self.processes.life_of(name) {
                Some(process) => process.standing == Standing::Told && process.down_since_ms.is_none(),
                None => absent || self.processes.has_died(name),
            })
    }

    /// How many entities are known.
    pub fn entity_count(&self) -> usize {
        self.directory.entity_count()
    }

    /// How much waits: envelopes, and their bytes with [`crate::limits::PARKED_COST_BYTES`] for each.
    pub fn parked(&self) -> (usize, usize) {
        (self.parking.count(), self.parking.bytes())
    }

    fn is_after_absence(&self) -> bool {
        self.started_ms.is_some_and(|started_ms| self.now_ms >= started_ms.saturating_add(ABSENT_MS))
    }

    fn said(&mut self, from: Incarnation, message: ToDispatcher<P>, out: &mut Vec<RouterOutput<P>>) {
        let Some(process) = self.processes.get(from) else { return };
        let counts = match message {
            ToDispatcher::Report | ToDispatcher::Leave | ToDispatcher::Acks { .. } => true,
            _ => process.standing != Standing::Unheard,
        };
        if !counts {
            return;
        }
        match message {
            ToDispatcher::Report => self.report_begins(from),
            ToDispatcher::Known { alive, dead } => self.known(from, alive, dead, out),
            ToDispatcher::Spaces(reports) => self.spaces_are(from, reports),
            ToDispatcher::Entities(reports) => self.entities_are(from, reports, out),
            ToDispatcher::Reported => self.report_ends(from, out),
            ToDispatcher::Resent => self.told(from),
            ToDispatcher::Profile(profile) => self.profile_is(from, profile),
            ToDispatcher::SpaceClosed(report) => self.space_closed(from, &report),
            ToDispatcher::Gone { entity, epoch } => self.entity_gone(from, entity, epoch),
            ToDispatcher::Block { entity, intent } => self.block(from, entity, intent, out),
            ToDispatcher::Carry(envelope) => {
                let envelope = self.in_doubt(from, envelope);
                self.carry(envelope, self.now_ms, out);
            }
            ToDispatcher::Create { place, envelope } => self.create(place, envelope, self.now_ms, out),
            ToDispatcher::Acks { to, acks } => self.send(to, FromDispatcher::Acks(acks), out),
            ToDispatcher::Ask { ticket, entities } => {
                // Whoever hears what is gone has heard of all who say so.
                self.members_at_ms = self.members_at_ms.min(self.now_ms);
                self.tell_members(out);
                let gone = entities.into_iter().filter(|entity| self.is_gone(*entity)).collect();
                self.send(from, FromDispatcher::Asked { ticket, gone }, out);
            }
            ToDispatcher::Leave => self.declare_dead(from, Death::Left, out),
        }
    }

    fn wake(&mut self, out: &mut Vec<RouterOutput<P>>) {
        self.declare_silent_dead(out);
        if self.retry_at_ms.is_some_and(|at_ms| at_ms <= self.now_ms) {
            self.retry_at_ms = None;
            for (to, message) in std::mem::take(&mut self.retries) {
                self.send(to, message, out);
            }
            for to in std::mem::take(&mut self.again) {
                self.send(to, FromDispatcher::SendAgain, out);
            }
        }
        if self.swept_ms.saturating_add(SWEEP_MS) <= self.now_ms {
            self.swept_ms = self.now_ms;
            self.changed |= self.directory.expire(self.now_ms);
            for envelope in self.parking.expire(self.now_ms, PARKED_MS_MAX) {
                self.give_back(envelope, ReturnReason::Unavailable, out);
            }
        }
        // Somebody may be absent from now on.
        self.changed |= self.is_after_absence() && self.parking.has_any_waiting();
    }

    /// Lets go whatever needs not wait any more.
    fn settle(&mut self, out: &mut Vec<RouterOutput<P>>) {
        let complete = self.is_complete();
        if complete != self.was_complete {
            (self.was_complete, self.changed) = (complete, true);
            out.push(RouterOutput::Fact(if complete { Fact::Complete } else { Fact::Incomplete }));
        }
        if std::mem::take(&mut self.changed) {
            self.retry_waiting(out);
            for entity in self.parking.entities() {
                self.release(entity, out);
            }
        }
    }

    fn tell_members(&mut self, out: &mut Vec<RouterOutput<P>>) {
        if !self.members_dirty || self.now_ms < self.members_at_ms {
            return;
        }
        (self.members_dirty, self.members_at_ms) = (false, self.now_ms.saturating_add(MEMBERS_MS));
        let heard = || self.processes.iter().filter(|(_, process)| process.joined);
        let members: Vec<Member> = heard()
            .map(|(incarnation, process)| Member {
                incarnation,
                name: process.name.to_string(),
                profile: process.profile.clone(),
            })
            .collect();
        for (to, _) in heard() {
            out.push(RouterOutput::Send { to, message: FromDispatcher::Members(members.clone()) });
        }
    }

    /// Says it, if that life is there.
    fn send(&self, to: Incarnation, message: FromDispatcher<P>, out: &mut Vec<RouterOutput<P>>) {
        if self.processes.get(to).is_some() {
            out.push(RouterOutput::Send { to, message });
        }
    }

    fn give_back(&self, envelope: Envelope<P>, reason: ReturnReason, out: &mut Vec<RouterOutput<P>>) {
        self.send(envelope.source, FromDispatcher::Return { envelope, reason, uncertain: false }, out);
    }

    fn acknowledge(&self, envelope: &Envelope<P>, out: &mut Vec<RouterOutput<P>>) {
        if envelope.is_kept() {
            let ack = Ack {
                sender: envelope.message.sender,
                target: envelope.target,
                counter: envelope.message.counter,
            };
            self.send(envelope.source, FromDispatcher::Acks(vec![ack]), out);
        }
    }

    /// What a link gives back may leave a hole for its receiver, which takes nothing behind it: whoever can say
    /// it again is asked to.
    fn unsent(
        &mut self,
        to: Incarnation,
        message: FromDispatcher<P>,
        overloaded: bool,
        out: &mut Vec<RouterOutput<P>>,
    ) {
        let lives = self.processes.get(to).is_some();
        if let FromDispatcher::Deliver(envelope) = &message {
            self.directory.unmake(envelope.target.key(), envelope.message);
        }
        match message {
            FromDispatcher::Deliver(envelope) if !lives => self.give_back(envelope, ReturnReason::Gone, out),
            FromDispatcher::Deliver(envelope) if envelope.refusable || !overloaded || !envelope.is_kept() => {
                let reason = if overloaded { ReturnReason::Overloaded } else { ReturnReason::Unavailable };
                self.give_back(envelope, reason, out);
            }
            _ if !lives || !overloaded => {}
            FromDispatcher::Deliver(envelope) => {
                self.again.insert(envelope.source);
                self.retry_later();
            }
            FromDispatcher::Return { .. } | FromDispatcher::Acks(_) | FromDispatcher::SendAgain => {
                self.again.insert(to);
                self.retry_later();
            }
            FromDispatcher::Members(_) => {
                (self.members_dirty, self.members_at_ms) = (true, self.now_ms.saturating_add(RETRY_MS));
            }
            FromDispatcher::Dead(_) | FromDispatcher::Marker { .. } | FromDispatcher::Asked { .. } => {
                self.retries.push((to, message));
                self.retry_later();
            }
        }
    }

    fn retry_later(&mut self) {
        self.retry_at_ms.get_or_insert(self.now_ms.saturating_add(RETRY_MS));
    }
}

/// What makes a router wrong on purpose, for tests of the tests.
#[cfg(test)]
impl<P> Router<P> {
    fn planted(&self, plant: crate::simulation::Plant) -> bool {
        self.config.plant == Some(plant)
    }

    fn planted_gone_early(&self) -> bool {
        self.planted(crate::simulation::Plant::GoneBeforeComplete)
    }
}

#[cfg(not(test))]
impl<P> Router<P> {
    fn planted_gone_early(&self) -> bool {
        false
    }
}
