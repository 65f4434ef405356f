//! Creations: which game makes a new entity.

use super::directory::Place;
use super::parking::Waiting;
use super::processes::Process;
use super::{Router, RouterOutput};
use crate::share::{fold, mix};
use everwake_link::Role;
use everwake_protocol::EntityId;
use everwake_protocol::cluster::{Envelope, Incarnation, Placement, ReturnReason, Target, Weight};

impl<P: Weight> Router<P> {
    pub(super) fn create(
        &mut self,
        place: Placement,
        envelope: Envelope<P>,
        since_ms: u64,
        out: &mut Vec<RouterOutput<P>>,
    ) {
        let Target::Entity(entity) = envelope.target else {
            return self.give_back(envelope, ReturnReason::NoPlace, out);
        };
        let is_named = matches!(place, Placement::Named { .. } | Placement::Process(_));
        match self.directory.entity(entity).map(|row| row.place) {
            // Sent again: the game that was chosen knows whether it has made it.
            Some(Place::Making { at, by } | Place::Remaking { at, by, .. })
                if by == envelope.message && envelope.is_kept() =>
            {
                return self.make(entity, at, envelope, out);
            }
            Some(_) => return self.give_back(envelope, ReturnReason::Exists, out),
            None if !is_named && self.directory.tombstone(entity).is_some() => {
                return self.give_back(envelope, ReturnReason::Gone, out);
            }
            // It may be a creation that is sent again, of what somebody has not told yet.
            None if !self.is_complete() => {
                return self.wait(Waiting { since_ms, place: Some(place), envelope }, out);
            }
            None => {}
        }
        match self.choose(entity, &place) {
            Ok(at) => self.make(entity, at, envelope, out),
            Err(reason) => self.give_back(envelope, reason, out),
        }
    }

    fn make(
        &mut self,
        entity: EntityId,
        at: Incarnation,
        mut envelope: Envelope<P>,
        out: &mut Vec<RouterOutput<P>>,
    ) {
        // Above all that it had before, and the same if it is handed out again.
        let known = self.directory.entity(entity).map(|row| row.epoch);
        let next = || self.directory.tombstone(entity).unwrap_or_default().saturating_add(1);
        envelope.location_epoch = known.unwrap_or_else(next);
        if let Some(process) = self.processes.get_mut(at) {
            process.placed = process.placed.saturating_add(1);
        }
        self.directory.make(entity, at, envelope.message, envelope.location_epoch);
        self.forward(at, envelope, out);
        self.release(entity, out);
    }

    fn choose(&self, entity: EntityId, place: &Placement) -> Result<Incarnation, ReturnReason> {
        let of_two = |module: &str, label: Option<&str>| {
            let fits = |process: &Process| {
                let is = |list: &[String], wanted: &str| list.iter().any(|entry| entry == wanted);
                takes_new(process)
                    && (module.is_empty() || is(&process.profile.modules, module))
                    && label.is_none_or(|label| is(&process.profile.labels, label))
            };
            let games: Vec<(Incarnation, &Process)> =
                self.processes.iter().filter(|(_, process)| fits(process)).collect();
            less_loaded(entity, &games).ok_or(ReturnReason::NoPlace)
        };
        match place {
            Placement::Anywhere { module } | Placement::Named { module } => of_two(module, None),
            Placement::Labelled { module, label } => of_two(module, Some(label)),
            Placement::Space(space) => {
                self.directory.space(*space).map(|space| space.process).ok_or(ReturnReason::Gone)
            }
            Placement::Process(life) => self.processes.get(*life).map(|_| *life).ok_or(ReturnReason::NoPlace),
        }
    }
}

fn takes_new(process: &Process) -> bool {
    let there = process.joined && process.down_since_ms.is_none();
    there && process.name.role() == Role::Game && !process.profile.closed
}

/// Of two drawn by the id the one with less to do: nearly as even as the best of all, and games that are equal in
/// an old profile do not get everything.
fn less_loaded(entity: EntityId, games: &[(Incarnation, &Process)]) -> Option<Incarnation> {
    let count = games.len() as u64;
    let first_draw = fold(entity.0.to_u128());
    let first = first_draw.checked_rem(count)?;
    let second = match mix(first_draw).checked_rem(count - 1) {
        Some(draw) => (first + 1 + draw) % count,
        None => first,
    };
    let drawn = [first, second].into_iter().filter_map(|place| games.get(place as usize));
    let load = |process: &Process| u64::from(process.profile.load) + u64::from(process.placed);
    drawn.min_by_key(|(_, process)| load(process)).map(|(life, _)| *life)
}
