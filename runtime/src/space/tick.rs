//! When types tick, whose members are due, and who is at fault when a tick fails. In a space its members
//! tick, and not the space; a service shard ticks itself.
//!
//! Each type ticks at its own rate with a fixed step; what is missed is left out, never made up for.
//! A tick that fails is run again in the same tick without the member that is at fault (rule A10).

use super::config::SpaceKind;
use super::entity::{Entity, Slot};
use super::running::Frame;
use super::state::Space;
use crate::guest::{EventKind, TrapKind};
use crate::limits;
use crate::versions::ModuleVersion;
use everwake_protocol::{EntityId, cbor};

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub(super) struct Ticks {
    pub(super) types: Vec<TypeTick>,
}

/// The tick of one type.
#[derive(Clone, Debug)]
pub(super) struct TypeTick {
    pub(super) type_index: u32,
    pub(super) type_id: u32,
    pub(super) step_ms: f64,
    /// UTC ms from which steps are counted; none until the first member is there.
    pub(super) base_ms: Option<u64>,
    /// Steps since then, up to the one that is next.
    pub(super) steps: u64,
    /// Most members in one event; shrinks when a tick takes too long, grows back slowly.
    pub(super) chunk: usize,
}

impl Ticks {
    pub(super) fn new(version: &ModuleVersion) -> Ticks {
        let ticking = (0u32..).zip(version.manifest.types.iter().zip(&version.types));
        let types = ticking
            .filter(|(_, (declared, _))| declared.ticks_per_second > 0.0)
            .map(|(type_index, (declared, table))| TypeTick {
                type_index,
                type_id: table.id,
                step_ms: 1_000.0 / f64::from(declared.ticks_per_second),
                base_ms: None,
                steps: 0,
                chunk: usize::MAX,
            })
            .collect();
        Ticks { types }
    }

    /// The ticks of another version; types that keep their rate keep their phase.
    pub(super) fn follow(&mut self, version: &ModuleVersion) {
        let before = std::mem::replace(self, Ticks::new(version));
        for tick in &mut self.types {
            let same = before.types.iter().find(|old| old.type_id == tick.type_id);
            if let Some(old) = same.filter(|old| old.step_ms == tick.step_ms) {
                (tick.base_ms, tick.steps, tick.chunk) = (old.base_ms, old.steps, old.chunk);
            }
        }
    }
}

impl TypeTick {
    /// UTC ms of the next tick.
    fn next_ms(&self) -> Option<u64> {
        Some(self.base_ms?.saturating_add((self.steps as f64 * self.step_ms).ceil() as u64))
    }
}

/// A tick that is due now.
#[derive(Clone, Debug)]
pub(super) struct DueTick {
    pub(super) place: usize,
    pub(super) type_index: u32,
    pub(super) step_ms: f64,
    pub(super) lag_ms: f64,
    pub(super) members: Vec<Slot>,
    pub(super) chunk: usize,
}

impl Space {
    /// When the next tick with members is due.
    pub(super) fn next_tick_ms(&self) -> Option<u64> {
        if self.config.kind == SpaceKind::Nil {
            return None;
        }
        let ticking = self.ticks.types.iter();
        ticking
            .filter(|tick| self.has_members(tick.type_index))
            .map(|tick| tick.next_ms().unwrap_or(self.now_ms))
            .min()
    }

    fn has_members(&self, type_index: u32) -> bool {
        let sleeps = self.sleeps(type_index);
        self.world
            .iter_of(Some(type_index))
            .any(|(_, member)| self.may_tick(member) && (member.watched || !sleeps))
    }

    fn may_tick(&self, member: &Entity) -> bool {
        let is_own = member.id == self.config.id;
        match self.config.kind {
            SpaceKind::Space => !is_own,
            SpaceKind::Service => is_own,
            SpaceKind::Nil => false,
        }
    }

    pub(super) fn sleeps(&self, type_index: u32) -> bool {
        let declared = self.version.manifest.types.get(type_index as usize);
        declared.is_some_and(|declared| declared.sleeps_unwatched)
    }

    /// Takes the tick of one type (by its place among those that tick), if it is due.
    pub(super) fn take_tick(&mut self, place: usize) -> Option<DueTick> {
        if self.config.kind == SpaceKind::Nil {
            return None;
        }
        let now_ms = self.now_ms;
        let type_index = self.ticks.types.get(place)?.type_index;
        if !self.has_members(type_index) {
            // The next first member begins a new count.
            self.ticks.types.get_mut(place)?.base_ms = None;
            return None;
        }
        let tick = self.ticks.types.get_mut(place)?;
        let Some(due_ms) = tick.next_ms() else {
            tick.base_ms = Some(now_ms);
            tick.steps = 1;
            return None;
        };
        if due_ms > now_ms {
            return None;
        }
        let base_ms = tick.base_ms.unwrap_or(now_ms);
        let exact_ms = base_ms as f64 + tick.steps as f64 * tick.step_ms;
        let lag_ms = (now_ms as f64 - exact_ms).max(0.0);
        let left_out = (lag_ms / tick.step_ms).floor() as u64;
        tick.steps += 1 + left_out;
        let (step_ms, chunk) = (tick.step_ms, tick.chunk);
        self.counts.ticks_left_out += left_out;
        let members = self.due_members(type_index);
        Some(DueTick { place, type_index, step_ms, lag_ms, members, chunk })
    }

    fn due_members(&self, type_index: u32) -> Vec<Slot> {
        let sleeps = self.sleeps(type_index);
        let members = self.world.iter_of(Some(type_index)).filter(|(_, member)| {
            self.may_tick(member)
                && !member.dying
                && !member.leaving
                && (member.watched || !sleeps)
                && member.pause_until_ms <= self.now_ms
        });
        members.map(|(slot, _)| slot).collect()
    }

    /// Prepares the event for some of a tick's members; false if none of them is left.
    pub(super) fn prepare_tick(&mut self, tick: &DueTick, members: &[Slot]) -> bool {
        let mut due = std::mem::take(&mut self.running.due);
        due.clear();
        let mut struck = false;
        // A member may have been destroyed by the part of the tick that ran before.
        due.extend(members.iter().copied().filter(|slot| {
            self.world.get(*slot).is_some_and(|member| {
                struck |= member.strikes > 0;
                member.type_index == tick.type_index && !member.dying && !member.leaving
            })
        }));
        let some = !due.is_empty();
        self.running.due = due;
        self.running.due_struck = struck;
        let mut args = Vec::with_capacity(24);
        cbor::array(&mut args, 2);
        cbor::f64(&mut args, tick.step_ms);
        cbor::f64(&mut args, tick.lag_ms);
        let entity = self.config.id;
        self.running.frame = Frame {
            kind: EventKind::Tick,
            entity,
            slot: self.world.slot(entity),
            type_index: tick.type_index,
            args: args.into(),
            ..Frame::default()
        };
        some
    }

    /// The members of a tick that went well.
    pub(super) fn tick_went_well(&mut self) {
        if !self.running.due_struck {
            return;
        }
        for slot in &self.running.due {
            if let Some(member) = self.world.get_mut(*slot)
                && member.strikes > 0
            {
                (member.strikes, member.pause_until_ms) = (0, 0);
            }
        }
    }

    /// A member's ticks pause, longer with each failure in a row.
    pub(super) fn pause_ticks(&mut self, slot: Slot) -> Option<EntityId> {
        let now_ms = self.now_ms;
        let member = self.world.get_mut(slot)?;
        let pause = limits::TICK_PAUSE_MS_MIN << member.strikes.min(16);
        member.pause_until_ms = now_ms + pause.min(limits::TICK_PAUSE_MS_MAX);
        member.strikes = member.strikes.saturating_add(1);
        Some(member.id)
    }
}

/// What to do after some members of a tick failed together.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// It is this one; the others run again.
    One { culprit: Slot, others: Vec<Slot> },
    /// Try these one after the other.
    Split(Vec<Vec<Slot>>),
}

/// Who is at fault. `hint`: the member that the guest said it was working on.
pub(super) fn blame(due: &[Slot], hint: Option<u32>, kind: Option<TrapKind>) -> Blame {
    let hinted = hint.map(|index| index as usize).filter(|index| *index < due.len());
    match (due, hinted) {
        ([only], _) => Blame::One { culprit: *only, others: Vec::new() },
        // The clock ran out: who was at work then may be innocent, so it is tried alone.
        (_, Some(index)) if kind == Some(TrapKind::TimedOut) => {
            let (before, rest) = due.split_at(index);
            let (suspect, after) = rest.split_at(1);
            let parts = [before, suspect, after].into_iter().filter(|part| !part.is_empty());
            Blame::Split(parts.map(<[Slot]>::to_vec).collect())
        }
        (_, Some(index)) => {
            let mut others = due.to_vec();
            let culprit = others.remove(index);
            Blame::One { culprit, others }
        }
        (_, None) => {
            let (first, second) = due.split_at(due.len() / 2);
            let parts = [first, second].into_iter().filter(|part| !part.is_empty());
            Blame::Split(parts.map(<[Slot]>::to_vec).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(numbers: &[u32]) -> Vec<Slot> {
        numbers.iter().map(|number| Slot(*number)).collect()
    }

    #[test]
    fn a_hint_names_the_culprit_and_without_one_the_host_halves() {
        let due = slots(&[1, 2, 3, 4]);
        assert_eq!(
            blame(&due, Some(2), Some(TrapKind::Fault)),
            Blame::One { culprit: Slot(3), others: slots(&[1, 2, 4]) }
        );
        assert_eq!(
            blame(&due, None, Some(TrapKind::Fault)),
            Blame::Split(vec![slots(&[1, 2]), slots(&[3, 4])])
        );
        assert_eq!(
            blame(&due, Some(0), Some(TrapKind::TimedOut)),
            Blame::Split(vec![slots(&[1]), slots(&[2, 3, 4])])
        );
        assert_eq!(blame(&slots(&[9]), None, None), Blame::One { culprit: Slot(9), others: Vec::new() });
    }
}
