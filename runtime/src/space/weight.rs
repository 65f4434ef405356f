//! How many bytes of memory entities and records hold, about: for limits, which need no more. What messages
//! weigh is in [`crate::message`].

use super::commit::{ClientEffect, Commit, Effect};
use super::entity::Entity;
use super::snapshot::EntitySnapshot;
use crate::message::Message;
use everwake_protocol::EntityId;

/// What one entry of a map costs beside its value.
const ENTRY_BYTES: usize = 64;

/// A copy of an entity.
pub(super) fn entity(entity: &Entity) -> usize {
    let body = &entity.body;
    let texts: usize = body.filters.iter().map(|(key, value)| key.len() + value.len() + ENTRY_BYTES).sum();
    // Contexts and replies are shared, not copied; but the copy may be the last to hold them.
    let timers: usize = body.timers.values().map(|timer| timer.context.len() + 2 * ENTRY_BYTES).sum();
    let pending: usize = body.pending.values().map(|pending| pending.context.len() + 3 * ENTRY_BYTES).sum();
    let watches: usize = body.watches.values().map(|watch| watch.context.len() + 2 * ENTRY_BYTES).sum();
    let others = (body.deferred.len() + body.watchers.len() + 2 * body.marks.len()) * ENTRY_BYTES;
    let fixed = size_of::<EntitySnapshot>() + size_of::<EntityId>() + ENTRY_BYTES;
    fixed + body.bytes() + texts + timers + pending + watches + others
}

/// A record of an event.
pub(super) fn commit(commit: &Commit) -> usize {
    let messages: usize = commit.outbox.iter().map(Message::bytes).sum();
    let effects: usize = commit.effects.iter().map(effect).sum();
    let (deltas, moves) = (size_of_val(commit.deltas.as_slice()), size_of_val(commit.moves.as_slice()));
    size_of::<Commit>() + commit.delta_bytes.len() + deltas + moves + messages + effects
}

fn effect(effect: &Effect) -> usize {
    let kept = match effect {
        Effect::Client { what, .. } => match what {
            ClientEffect::Called { args, .. } | ClientEffect::Broadcast { args, .. } => args.len(),
            ClientEffect::Replied { outcome, .. } => outcome.len(),
            _ => 0,
        },
        _ => 0,
    };
    size_of::<Effect>() + kept
}
