//! `wit/timers.wit`: timers are data.

use super::super::running::Step;
use super::super::state::Space;
use super::limit;
use crate::guest::GuestError;
use crate::limits;
use crate::message::Timer;
use bytes::Bytes;
use everwake_protocol::{EntityId, Id};

pub(super) fn start(
    space: &mut Space,
    owner: EntityId,
    method: u32,
    context: Bytes,
    times_ms: (f64, f64),
    volatile: bool,
) -> Result<Id, GuestError> {
    let (delay_ms, repeat_ms) = (whole_ms(times_ms.0)?, whole_ms(times_ms.1)?);
    if repeat_ms != 0 && times_ms.1 < limits::TIMER_REPEAT_MS_MIN {
        return Err(GuestError::BadArguments("a period below 10 ms".into()));
    }
    let method = space.continuation(owner, method, &context)?;
    let timer = space.running.mint(space.config.id);
    let start_ms = space.now_ms.saturating_add(delay_ms);
    let (slot, entity) = space.owner(owner)?;
    if entity.body.timers.len() >= limits::TIMERS_PER_ENTITY_MAX {
        return Err(limit("1,024 timers of an entity"));
    }
    let context = super::canonical(context);
    let data = Timer { method, context, start_ms, repeat_ms, next_ms: start_ms, volatile };
    entity.body.timers.insert(timer, data);
    space.running.steps.push(Step::TimerStarted { slot, timer });
    Ok(timer)
}

/// Rounded up: a timer is never early.
fn whole_ms(ms: f64) -> Result<u64, GuestError> {
    if !ms.is_finite() || ms < 0.0 {
        return Err(GuestError::BadArguments("a time that is no time".into()));
    }
    if ms > limits::TIMER_DELAY_MS_MAX {
        return Err(limit("ten years of a timer"));
    }
    Ok(ms.ceil() as u64)
}

pub(super) fn cancel(space: &mut Space, owner: EntityId, timer: Id) {
    let Ok(slot) = space.reach(owner) else { return };
    let Some(entity) = space.world.get_mut(slot) else { return };
    if let Some(old) = entity.body.timers.remove(&timer) {
        space.running.steps.push(Step::TimerCancelled { slot, timer, old: Box::new(old) });
    }
}
