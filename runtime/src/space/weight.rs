//! How many bytes of memory things hold, about: for limits, which need no more.

use super::commit::{ClientEffect, Commit, Effect};
use super::entity::Entity;
use super::snapshot::EntitySnapshot;
use crate::message::{Input, Message};
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
    let attributes = size_of_val(body.attributes.slots()) + body.attributes.bytes();
    let fixed = size_of::<EntitySnapshot>() + size_of::<EntityId>() + ENTRY_BYTES;
    fixed + attributes + texts + timers + pending + watches + others + body.marks.reply_bytes()
}

/// A record of an event.
pub(super) fn commit(commit: &Commit) -> usize {
    let messages: usize = commit.outbox.iter().map(message).sum();
    let effects: usize = commit.effects.iter().map(effect).sum();
    let (deltas, moves) = (size_of_val(commit.deltas.as_slice()), size_of_val(commit.moves.as_slice()));
    size_of::<Commit>() + commit.delta_bytes.len() + deltas + moves + messages + effects
}

/// Something that came in.
pub(super) fn input(input: &Input) -> usize {
    let kept = match input {
        Input::Message(carried) => message(carried),
        Input::Request { args, .. } | Input::Create { args, .. } => args.len(),
        Input::Moved { motion, .. } => motion.len(),
        Input::Install(traveller) => {
            let body = &traveller.body;
            size_of_val(body.attributes.slots()) + body.attributes.bytes() + body.marks.reply_bytes()
        }
        _ => 0,
    };
    size_of::<Input>() + kept
}

fn message(message: &Message) -> usize {
    size_of::<Message>() + message.body.bytes()
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
