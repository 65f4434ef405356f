//! Marks: what an entity has taken from whom, and the replies that its clients may have lost
//! (rules B5 and C1).

use super::state::Space;
use crate::limits;
use crate::message::{AnswerTo, Mark};
use crate::replicate::Change;
use bytes::Bytes;
use everwake_protocol::client::Pose;
use everwake_protocol::cluster::MessageId;
use everwake_protocol::limits::MOTION_BYTES_MAX;
use everwake_protocol::outcome::{Outcome, code};
use everwake_protocol::{EntityId, Id, SessionId};
use std::collections::BTreeMap;

/// Bits of a message's counter; the epoch of its sender is above them.
const COUNTER_BITS: u32 = 44;

/// A message's place among all of its sender's.
pub(super) fn place(id: MessageId) -> u64 {
    u64::from(id.epoch) << COUNTER_BITS | id.counter & ((1 << COUNTER_BITS) - 1)
}

/// Takes a sender's message; false if it was taken before.
pub(super) fn advance(marks: &mut BTreeMap<Id, Mark>, sender: Id, place: u64, now_ms: u64) -> bool {
    let mark = mark_of(marks, sender, now_ms);
    if place <= mark.last {
        return false;
    }
    mark.last = place;
    true
}

fn mark_of(marks: &mut BTreeMap<Id, Mark>, sender: Id, now_ms: u64) -> &mut Mark {
    if marks.len() >= limits::MARKS_PER_ENTITY_MAX && !marks.contains_key(&sender) {
        make_room(marks);
    }
    let mark = marks.entry(sender).or_default();
    mark.used_ms = now_ms;
    mark
}

/// Drops the quarter that was idle longest.
fn make_room(marks: &mut BTreeMap<Id, Mark>) {
    let mut ages: Vec<(u64, Id)> = marks.iter().map(|(sender, mark)| (mark.used_ms, *sender)).collect();
    ages.sort_unstable();
    for (_, sender) in ages.iter().take(marks.len() / 4 + 1) {
        marks.remove(sender);
    }
}

/// Keeps a reply until the client has acknowledged it, within limits.
pub(super) fn store_reply(mark: &mut Mark, request: u64, outcome: &Bytes) {
    let Some(reply) = mark.replies.get_mut(&request) else { return };
    if reply.is_none() {
        *reply = Some(outcome.clone());
        mark.reply_bytes += outcome.len();
    }
    while mark.reply_bytes > limits::REPLY_BYTES_PER_MARK_MAX
        || mark.replies.len() > limits::REPLIES_PER_MARK_MAX
    {
        let oldest = mark.replies.iter().find(|(_, reply)| reply.is_some()).map(|(request, _)| *request);
        match oldest {
            Some(oldest) => forget_reply(mark, oldest),
            None => break,
        }
    }
}

fn forget_reply(mark: &mut Mark, request: u64) {
    if let Some(Some(reply)) = mark.replies.remove(&request) {
        mark.reply_bytes = mark.reply_bytes.saturating_sub(reply.len());
    }
}

fn trim(mark: &mut Mark, acknowledged: u64) {
    while let Some((&request, reply)) = mark.replies.first_key_value() {
        if request > acknowledged || reply.is_none() {
            return;
        }
        forget_reply(mark, request);
    }
}

impl Space {
    /// Notes a client's request at its target: true if it is to run. One that ran before gets its
    /// stored reply, or `already-done`.
    pub(super) fn begin_request(
        &mut self,
        session: SessionId,
        request: u64,
        acknowledged: u64,
        target: EntityId,
        waits: bool,
    ) -> Option<bool> {
        let now_ms = self.now_ms;
        let entity = self.world.by_id_mut(target)?;
        let mark = mark_of(&mut entity.body.marks, session.0, now_ms);
        trim(mark, acknowledged);
        if request > mark.last {
            mark.last = request;
            if waits {
                mark.replies.insert(request, None);
            }
            return Some(true);
        }
        self.counts.duplicates += 1;
        if waits {
            let stored = mark.replies.get(&request).cloned();
            let outcome = match stored {
                // It still runs: its one answer will come.
                Some(None) => return Some(false),
                Some(Some(reply)) => reply,
                None => Outcome::unknown(code::ALREADY_DONE).to_bytes(),
            };
            self.changes.push(Change::Reply { session, entity: target, request, outcome });
            self.replicate();
        }
        Some(false)
    }

    pub(super) fn acknowledged(&mut self, session: SessionId, target: EntityId, request: u64) {
        if let Some(entity) = self.world.by_id_mut(target)
            && let Some(mark) = entity.body.marks.get_mut(&session.0)
        {
            trim(mark, request);
        }
    }

    /// A client moved its entity, if it may.
    pub(super) fn moved(&mut self, session: SessionId, target: EntityId, pose: Pose, motion: Bytes) {
        if !self.is_real() || target == self.config.id || motion.len() > MOTION_BYTES_MAX {
            return;
        }
        let Ok(pose) = super::transaction::checked_pose(pose) else { return };
        let Some(entity) = self.world.by_id_mut(target) else { return };
        let own = entity.body.client.as_ref().is_some_and(|client| client.session == session);
        if !own || !entity.body.client_moves || entity.dying || entity.leaving {
            return;
        }
        entity.pose = pose;
        self.changes.push(Change::Moved { entity: target, pose, by_client: true });
        if entity.body.motion != motion {
            entity.body.motion = motion.clone();
            self.changes.push(Change::Motion { entity: target, motion });
        }
        self.replicate();
    }

    pub(super) fn round_trip(&mut self, session: SessionId, target: EntityId, ms: f32) {
        if let Some(client) = self.world.by_id_mut(target).and_then(|entity| entity.body.client.as_mut())
            && client.session == session
            && ms.is_finite()
        {
            client.info.round_trip_ms = ms;
        }
    }

    /// Whoever waits at an entity that is no more.
    pub(super) fn drop_deferred(&mut self, owner: EntityId, answer: AnswerTo) {
        self.answer(owner, answer, Outcome::unknown(code::DROPPED));
    }
}
