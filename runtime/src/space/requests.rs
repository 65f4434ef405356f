//! What clients ask of entities beside their methods: once each, acknowledged, moved.

use super::state::Space;
use crate::message::{AnswerTo, Progress};
use crate::replicate::Change;
use bytes::Bytes;
use everwake_protocol::client::Pose;
use everwake_protocol::cluster::MessageId;
use everwake_protocol::limits::MOTION_BYTES_MAX;
use everwake_protocol::outcome::{Outcome, code};
use everwake_protocol::{EntityId, SessionId};

/// Bits of a message's counter; the epoch of its sender is above them.
const COUNTER_BITS: u32 = 44;

/// A message's place among all of its sender's.
pub(super) fn place(id: MessageId) -> u64 {
    u64::from(id.epoch) << COUNTER_BITS | id.counter & ((1 << COUNTER_BITS) - 1)
}

/// Epoch and counter of a place.
pub(crate) fn split_place(place: u64) -> (u32, u64) {
    (u32::try_from(place >> COUNTER_BITS).unwrap_or(u32::MAX), place & ((1 << COUNTER_BITS) - 1))
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
        let marks = &mut self.world.by_id_mut(target)?.body.marks;
        marks.acknowledge(session, acknowledged);
        let progress = marks.begin(session, request, waits, now_ms);
        if progress == Progress::New {
            return Some(true);
        }
        self.counts.duplicates += 1;
        let outcome = match progress {
            Progress::Replied(reply) => reply,
            Progress::Done => Outcome::unknown(code::ALREADY_DONE).to_bytes(),
            Progress::New | Progress::Running => return Some(false),
        };
        if waits {
            self.changes.push(Change::Reply { session, entity: target, request, outcome });
            self.replicate();
        }
        Some(false)
    }

    pub(super) fn acknowledged(&mut self, session: SessionId, target: EntityId, request: u64) {
        if let Some(entity) = self.world.by_id_mut(target) {
            entity.body.marks.acknowledge(session, request);
        }
    }

    /// A session is no more: it asks for nothing a second time.
    pub(super) fn session_closed(&mut self, session: SessionId, target: EntityId) {
        let now_ms = self.now_ms;
        if let Some(entity) = self.world.by_id_mut(target) {
            entity.body.marks.close(session, now_ms);
        }
    }

    /// A client moved its entity, if it may; else it is told where that is.
    pub(super) fn moved(&mut self, session: SessionId, target: EntityId, pose: Pose, motion: Bytes) {
        if !self.is_real() || target == self.config.id || motion.len() > MOTION_BYTES_MAX {
            return;
        }
        let Some(entity) = self.world.by_id_mut(target) else { return };
        let own = entity.body.client.as_ref().is_some_and(|client| client.session == session);
        if !own || entity.dying || entity.leaving {
            return;
        }
        let pose = super::transaction::checked_pose(pose).ok().filter(|_| entity.body.client_moves);
        let Some(pose) = pose else {
            // Its client has moved the mirror already.
            self.changes.push(Change::Misplaced { entity: target });
            return self.replicate();
        };
        entity.pose = pose;
        self.changes.push(Change::Moved { moves: smallvec::smallvec![(target, pose)], by_client: true });
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
