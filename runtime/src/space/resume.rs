//! What an entity waited for: answers, bounces, gatherings, deadlines, watches, timers.
//!
//! Exactly one resume for each entry; whatever comes later is dropped and counted (rule A12).

use super::agenda::Due;
use super::deliver::{Next, context_and};
use super::running::Frame;
use super::state::Space;
use crate::guest::{EventKind, Hook, Origin};
use crate::message::{Output, Pending};
use crate::versions::{MethodKey, MethodLookup};
use bytes::Bytes;
use everwake_protocol::outcome::{Outcome, code};
use everwake_protocol::{EntityId, Id, cbor};

/// The bits of a gathering's call id that number its parts.
const PART_BITS: u32 = 0x1ff;

impl Space {
    /// The answer to a pending call of an entity.
    pub(super) fn take_answer(
        &mut self,
        target: EntityId,
        call: Id,
        outcome: Outcome,
        from: Option<EntityId>,
        trace: Id,
    ) -> Next {
        let Some(entity) = self.world.by_id_mut(target) else { return Next::Done };
        if let Some(pending) = entity.body.pending.remove(&call) {
            self.agenda.remove(pending.deadline_ms, target, Due::Pending(call));
            return self.conclude(target, pending, outcome, from, trace);
        }
        let mut whole = call;
        whole.0[3] &= !PART_BITS;
        let place = (call.0[3] & PART_BITS).wrapping_sub(1) as usize;
        let Some(pending) = entity.body.pending.get_mut(&whole) else {
            self.counts.late_answers += 1;
            return Next::Done;
        };
        match pending.gather.as_mut().and_then(|parts| parts.get_mut(place)) {
            Some(part @ None) => *part = Some(outcome),
            _ => {
                self.counts.late_answers += 1;
                return Next::Done;
            }
        }
        if pending.gather.as_ref().is_some_and(|parts| parts.iter().any(Option::is_none)) {
            return Next::Done;
        }
        let Some(pending) = entity.body.pending.remove(&whole) else { return Next::Done };
        self.agenda.remove(pending.deadline_ms, target, Due::Pending(whole));
        let outcome = gathered(&pending);
        self.conclude(target, pending, outcome, None, trace)
    }

    /// A deadline has passed.
    pub(super) fn expire(&mut self, entity: EntityId, call: Id) -> Next {
        let now_ms = self.now_ms;
        let Some(owner) = self.world.by_id_mut(entity) else { return Next::Done };
        match owner.body.pending.get(&call) {
            Some(pending) if pending.deadline_ms <= now_ms => {}
            _ => return Next::Done,
        }
        let Some(pending) = owner.body.pending.remove(&call) else { return Next::Done };
        let outcome = match &pending.gather {
            Some(_) => gathered(&pending),
            None => Outcome::unknown(code::DEADLINE),
        };
        self.conclude(entity, pending, outcome, None, Id::ZERO)
    }

    pub(super) fn expire_deferred(&mut self, entity: EntityId, deferred: Id) -> Next {
        let now_ms = self.now_ms;
        let Some(owner) = self.world.by_id_mut(entity) else { return Next::Done };
        if owner.body.deferred.get(&deferred).is_some_and(|data| data.deadline_ms <= now_ms)
            && let Some(data) = owner.body.deferred.remove(&deferred)
        {
            self.answer(entity, data.answer, Outcome::unknown(code::DEADLINE));
            self.replicate();
        }
        Next::Done
    }

    fn conclude(
        &mut self,
        owner: EntityId,
        pending: Pending,
        outcome: Outcome,
        from: Option<EntityId>,
        trace: Id,
    ) -> Next {
        if pending.bounce && outcome.is_ok() {
            return Next::Done;
        }
        let args = context_and(&pending.context, |args| outcome.encode(args));
        self.continue_with(owner, pending.method, EventKind::Resume, args, from, trace)
    }

    pub(super) fn watch_fired(&mut self, owner: EntityId, watch: Id, reason: u32, trace: Id) -> Next {
        let Some(entity) = self.world.by_id_mut(owner) else { return Next::Done };
        let Some(data) = entity.body.watches.remove(&watch) else { return Next::Done };
        let args = context_and(&data.context, |args| {
            cbor::array(args, 2);
            cbor::uint(args, 0);
            cbor::uint(args, u64::from(reason));
        });
        self.continue_with(owner, data.method, EventKind::Resume, args, None, trace)
    }

    /// A timer is due. It is consumed, or armed again, whatever its handler does.
    pub(super) fn fire(&mut self, owner: EntityId, timer: Id) -> Next {
        let now_ms = self.now_ms;
        let Some(entity) = self.world.by_id_mut(owner) else { return Next::Done };
        let Some(data) = entity.body.timers.get_mut(&timer) else { return Next::Done };
        if data.next_ms > now_ms {
            return Next::Done;
        }
        let (method, context) = (data.method, data.context.clone());
        let missed = match (now_ms - data.next_ms).checked_div(data.repeat_ms) {
            None => {
                entity.body.timers.remove(&timer);
                0
            }
            Some(missed) => {
                // A multiple of the period after the start, however late this is: no drift.
                data.next_ms += (missed + 1) * data.repeat_ms;
                self.agenda.add(data.next_ms, owner, Due::Timer(timer));
                missed
            }
        };
        let args = context_and(&context, |args| cbor::uint(args, missed));
        self.continue_with(owner, method, EventKind::Timer, args, None, Id::ZERO)
    }

    /// Timers that came due while the entity slept fire now, once.
    pub(super) fn wake_timers(&mut self, entity: EntityId) {
        let Some(sleeper) = self.world.by_id(entity) else { return };
        for (timer, data) in &sleeper.body.timers {
            self.agenda.add(data.next_ms, entity, Due::Timer(*timer));
        }
    }

    /// Runs a method that the host kept as data, or says that the version lacks it.
    fn continue_with(
        &mut self,
        owner: EntityId,
        method: MethodKey,
        kind: EventKind,
        args: Bytes,
        caller: Option<EntityId>,
        trace: Id,
    ) -> Next {
        let Some(slot) = self.world.slot(owner) else { return Next::Done };
        let Some(type_index) = self.world.get(slot).map(|entity| entity.type_index) else {
            return Next::Done;
        };
        let table = self.version.types.get(type_index as usize);
        let Some(MethodLookup::Found(method)) = table.map(|table| table.method(method)) else {
            self.counts.unhandled += 1;
            let name = self.former_name(method);
            let version = self.version.hash;
            self.fifo.push(Output::Unhandled { version, method: name.clone() });
            let mut unhandled = Vec::new();
            cbor::array(&mut unhandled, 2);
            cbor::text(&mut unhandled, &name);
            cbor::bytes(&mut unhandled, &args);
            return self.hook(owner, Hook::Unhandled, unhandled.into());
        };
        self.prepare(Frame {
            kind,
            entity: owner,
            slot: Some(slot),
            type_index,
            method,
            origin: Origin::Host,
            caller,
            trace,
            args,
            ..Frame::default()
        })
    }

    fn former_name(&self, method: MethodKey) -> String {
        let known = self.former_names.get(&method.name).cloned();
        known.unwrap_or_else(|| format!("{:016x}", method.name))
    }
}

/// `[0, [outcome, ...]]`; what is missing is unknown.
fn gathered(pending: &Pending) -> Outcome {
    let parts = pending.gather.as_deref().unwrap_or_default();
    let mut list = Vec::new();
    cbor::array(&mut list, parts.len());
    for part in parts {
        match part {
            Some(outcome) => outcome.encode(&mut list),
            None => Outcome::unknown(code::DEADLINE).encode(&mut list),
        }
    }
    Outcome::Ok(list.into())
}
