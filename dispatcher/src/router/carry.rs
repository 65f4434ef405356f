//! Forwarding: what is for an entity goes to the process of its space, waits in order, or goes back.

use super::directory::{Heard, Place};
use super::parking::Waiting;
use super::{Fact, Router, RouterOutput};
use crate::limits::HOPS_MAX;
use everwake_protocol::EntityId;
use everwake_protocol::cluster::{
    EntityReport, Envelope, FromDispatcher, Incarnation, ReturnReason, SpaceReport, Target, Weight,
};

/// What is to be done with something for an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Forward(Incarnation),
    Wait,
    Gone,
}

impl<P: Weight> Router<P> {
    pub(super) fn carry(&mut self, envelope: Envelope<P>, since_ms: u64, out: &mut Vec<RouterOutput<P>>) {
        match envelope.target {
            Target::Entity(entity) => self.carry_to_entity(entity, envelope, since_ms, out),
            Target::Arrival { entity, space } => self.carry_arrival(entity, space, envelope, since_ms, out),
            Target::Process(life) => self.carry_to_process(life, envelope, since_ms, out),
        }
    }

    /// Keeps something that must know more of the directory.
    pub(super) fn wait(&mut self, waiting: Waiting<P>, out: &mut Vec<RouterOutput<P>>) {
        if let Err(envelope) = self.parking.wait(waiting) {
            self.give_back(envelope, ReturnReason::Overloaded, out);
        }
    }

    /// Tries all that waits for the directory again, in order.
    pub(super) fn retry_waiting(&mut self, out: &mut Vec<RouterOutput<P>>) {
        for Waiting { since_ms, place, envelope } in self.parking.take_waiting() {
            match place {
                Some(place) => self.create(place, envelope, since_ms, out),
                None => self.carry(envelope, since_ms, out),
            }
        }
    }

    /// Lets go what waits for an entity, if it needs not wait.
    pub(super) fn release(&mut self, entity: EntityId, out: &mut Vec<RouterOutput<P>>) {
        let way = self.way(entity);
        if way == Way::Wait || !self.parking.holds(entity) {
            return;
        }
        for (_, envelope) in self.parking.take(entity) {
            match way {
                Way::Forward(to) => self.forward(to, envelope, out),
                Way::Gone | Way::Wait => self.give_back(envelope, ReturnReason::Gone, out),
            }
        }
    }

    /// Whether an entity is no more.
    pub(super) fn is_gone(&self, entity: EntityId) -> bool {
        self.way(entity) == Way::Gone
    }

    pub(super) fn spaces_are(&mut self, from: Incarnation, reports: Vec<SpaceReport>) {
        let report = self.report_of(from);
        for told in reports {
            self.changed |= self.directory.hear_space(from, &told, report);
        }
    }

    pub(super) fn entities_are(
        &mut self,
        from: Incarnation,
        reports: Vec<EntityReport>,
        out: &mut Vec<RouterOutput<P>>,
    ) {
        let (report, latest) = (self.report_of(from), self.planted_latest());
        for told in reports {
            match self.directory.hear_entity(from, &told, report, latest) {
                Heard::New => self.release(told.entity, out),
                Heard::Same => {}
                Heard::Stale => out.push(RouterOutput::Fact(Fact::Stale { from, entity: told.entity })),
            }
        }
        // An arrival that waits may have been told.
        self.changed |= self.parking.has_any_waiting();
    }

    pub(super) fn entity_gone(&mut self, from: Incarnation, entity: EntityId, epoch: u32) {
        self.changed |= self.directory.hear_gone(from, entity, epoch) && self.parking.holds(entity);
    }

    pub(super) fn space_closed(&mut self, from: Incarnation, told: &SpaceReport) {
        self.changed |= self.directory.hear_closed(from, told);
    }

    /// From here on what comes for the entity waits; the marker goes behind what came before.
    pub(super) fn block(
        &mut self,
        from: Incarnation,
        entity: EntityId,
        intent: u32,
        out: &mut Vec<RouterOutput<P>>,
    ) {
        let Some(row) = self.directory.entity(entity) else { return };
        let (Place::Here { space } | Place::Blocked { space }) = row.place else { return };
        if self.directory.space(space).is_some_and(|space| space.process == from) {
            if !self.planted_overtaking() {
                self.directory.set_place(entity, Place::Blocked { space });
            }
            self.send(from, FromDispatcher::Marker { entity, intent }, out);
        }
    }

    fn carry_to_entity(
        &mut self,
        entity: EntityId,
        envelope: Envelope<P>,
        since_ms: u64,
        out: &mut Vec<RouterOutput<P>>,
    ) {
        match self.way(entity) {
            Way::Forward(to) => self.forward(to, envelope, out),
            Way::Gone => self.give_back(envelope, ReturnReason::Gone, out),
            Way::Wait => {
                if let Err(envelope) = self.parking.park(entity, since_ms, envelope) {
                    self.give_back(envelope, ReturnReason::Overloaded, out);
                }
            }
        }
    }

    /// An entity that moves. Whoever has it already, or had it and is done, is not given it again.
    fn carry_arrival(
        &mut self,
        entity: EntityId,
        space: EntityId,
        envelope: Envelope<P>,
        since_ms: u64,
        out: &mut Vec<RouterOutput<P>>,
    ) {
        let epoch = envelope.location_epoch;
        let buried = self.directory.tombstone(entity).is_some_and(|last| last >= epoch);
        let row = self.directory.entity(entity).copied();
        let over = buried
            || row.is_some_and(|row| match row.place {
                Place::Here { .. } | Place::Blocked { .. } => row.epoch >= epoch,
                Place::Leaving { .. } | Place::Orphan { .. } => row.epoch > epoch,
                Place::Making { .. } | Place::Remaking { .. } => false,
            });
        if over && !self.planted_second_life() {
            return self.acknowledge(&envelope, out);
        }
        let complete = self.is_complete();
        let to = match self.directory.space(space) {
            // Unknown, it may be further than this already.
            Some(to) if row.is_some() || complete => to.process,
            _ if !complete => return self.wait(Waiting { since_ms, place: None, envelope }, out),
            _ => return self.give_back(envelope, ReturnReason::Gone, out),
        };
        if envelope.hops < HOPS_MAX {
            self.directory.arrives(entity, epoch, to, self.now_ms);
        }
        self.forward(to, envelope, out);
    }

    fn carry_to_process(
        &mut self,
        life: Incarnation,
        envelope: Envelope<P>,
        since_ms: u64,
        out: &mut Vec<RouterOutput<P>>,
    ) {
        if self.processes.get(life).is_some() {
            self.forward(life, envelope, out);
        } else if self.config.alone || self.processes.is_dead(life) || self.is_after_absence() {
            self.give_back(envelope, ReturnReason::Gone, out);
        } else {
            self.wait(Waiting { since_ms, place: None, envelope }, out);
        }
    }

    pub(super) fn forward(
        &mut self,
        to: Incarnation,
        mut envelope: Envelope<P>,
        out: &mut Vec<RouterOutput<P>>,
    ) {
        if envelope.hops >= HOPS_MAX {
            return self.give_back(envelope, ReturnReason::Hops, out);
        }
        envelope.hops += 1;
        if self.planted_hop_ack() {
            self.acknowledge(&envelope, out);
        }
        self.send(to, FromDispatcher::Deliver(envelope), out);
    }

    fn way(&self, entity: EntityId) -> Way {
        let unknown = || if self.is_complete() { Way::Gone } else { Way::Wait };
        match self.directory.entity(entity).map(|row| row.place) {
            Some(Place::Making { at, .. }) => Way::Forward(at),
            Some(Place::Here { space }) => match self.directory.space(space) {
                Some(space) => Way::Forward(space.process),
                None => unknown(),
            },
            Some(_) => Way::Wait,
            None if self.directory.tombstone(entity).is_some() => Way::Gone,
            None => unknown(),
        }
    }

    fn report_of(&self, from: Incarnation) -> u64 {
        self.processes.get(from).map_or(0, |process| process.report)
    }
}

#[cfg(test)]
mod planted {
    use super::Router;
    use crate::simulation::Plant;

    impl<P> Router<P> {
        pub(super) fn planted_latest(&self) -> bool {
            self.planted(Plant::StaleEpochWins)
        }

        pub(super) fn planted_overtaking(&self) -> bool {
            self.planted(Plant::MarkerWithoutBlock)
        }

        pub(super) fn planted_second_life(&self) -> bool {
            self.planted(Plant::SecondLife)
        }

        pub(super) fn planted_hop_ack(&self) -> bool {
            self.planted(Plant::HopAck)
        }
    }
}

#[cfg(not(test))]
mod planted {
    use super::Router;

    impl<P> Router<P> {
        pub(super) fn planted_latest(&self) -> bool {
            false
        }

        pub(super) fn planted_overtaking(&self) -> bool {
            false
        }

        pub(super) fn planted_second_life(&self) -> bool {
            false
        }

        pub(super) fn planted_hop_ack(&self) -> bool {
            false
        }
    }
}
