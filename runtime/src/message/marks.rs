//! Marks: what an entity has taken from whom, and the replies that its clients may have lost
//! (rules B5 and C1). They belong to the target and go where it goes.

use crate::limits;
use bytes::Bytes;
use everwake_protocol::{Id, SessionId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// See the head of this file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Marks {
    by_sender: BTreeMap<Id, Mark>,
    /// Bytes of stored replies in all of them.
    reply_bytes: usize,
    /// Sessions that are no more, by when that was.
    closed: VecDeque<(u64, Id)>,
}

/// What a target remembers of a sender. For clients also the replies that may be lost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Last counter (or request id) taken.
    pub last: u64,
    /// Replies by request id that the client has not acknowledged; none = still running.
    pub replies: std::collections::BTreeMap<u64, Option<Bytes>>,
    /// Bytes of the stored ones, with what keeping each costs.
    pub reply_bytes: usize,
    /// UTC ms when something came from the sender last: the longest idle one makes room.
    pub used_ms: u64,
}

/// What became of a client's request so far.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// It is new, and noted.
    New,
    /// It still runs: its one answer will come.
    Running,
    /// It ran, and was answered so.
    Replied(Bytes),
    /// It ran; the answer is not kept any more.
    Done,
}

impl Marks {
    /// Takes a sender's message by its place among all of the sender's; false if it was taken before.
    pub fn advance(&mut self, sender: Id, place: u64, now_ms: u64) -> bool {
        let mark = self.of(sender, now_ms);
        if place <= mark.last {
            return false;
        }
        mark.last = place;
        true
    }

    /// Notes a client's request. `waits`: its reply is to be kept.
    pub fn begin(&mut self, session: SessionId, request: u64, waits: bool, now_ms: u64) -> Progress {
        let mark = self.of(session.0, now_ms);
        if request > mark.last {
            mark.last = request;
            if waits {
                mark.replies.insert(request, None);
            }
            return Progress::New;
        }
        match mark.replies.get(&request) {
            Some(None) => Progress::Running,
            Some(Some(reply)) => Progress::Replied(reply.clone()),
            None => Progress::Done,
        }
    }

    /// Keeps the reply to a noted request until the client has acknowledged it, within
    /// [`limits::REPLIES_PER_MARK_MAX`], [`limits::REPLY_BYTES_PER_MARK_MAX`] and
    /// [`limits::REPLY_BYTES_PER_ENTITY_MAX`].
    pub fn store_reply(&mut self, session: SessionId, request: u64, outcome: &Bytes) {
        self.change(session, |mark| mark.store(request, outcome));
        if self.reply_bytes > limits::REPLY_BYTES_PER_ENTITY_MAX {
            self.forget_replies();
        }
    }

    /// The client has all replies up to here.
    pub fn acknowledge(&mut self, session: SessionId, request: u64) {
        self.change(session, |mark| mark.trim(request));
    }

    /// The session is no more. What it has asked for is remembered for [`limits::SESSION_MARK_MS`].
    pub fn close(&mut self, session: SessionId, now_ms: u64) {
        if self.by_sender.contains_key(&session.0) {
            self.change(session, Mark::forget_all);
            self.closed.push_back((now_ms, session.0));
        }
        while let Some((at_ms, session)) = self.closed.front().copied()
            && (at_ms + limits::SESSION_MARK_MS <= now_ms || self.closed.len() > limits::MARKS_PER_ENTITY_MAX)
        {
            self.closed.pop_front();
            self.remove(session);
        }
    }

    /// What is remembered of a sender or session.
    #[must_use]
    pub fn get(&self, sender: Id) -> Option<&Mark> {
        self.by_sender.get(&sender)
    }

    /// The same for whoever hands things to the entity's space: up to where it has taken them.
    #[must_use]
    pub fn handed(&self) -> everwake_dispatcher::Marks {
        let split = |(sender, mark): (&Id, &Mark)| {
            let (epoch, counter) = crate::space::requests::split_place(mark.last);
            (*sender, epoch, counter)
        };
        self.by_sender.iter().map(split).collect()
    }

    /// How many senders and sessions are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_sender.len()
    }

    /// True if nobody is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_sender.is_empty()
    }

    /// Bytes of all stored replies, with what keeping each costs.
    #[must_use]
    pub fn reply_bytes(&self) -> usize {
        self.reply_bytes
    }

    fn of(&mut self, sender: Id, now_ms: u64) -> &mut Mark {
        if self.by_sender.len() >= limits::MARKS_PER_ENTITY_MAX && !self.by_sender.contains_key(&sender) {
            let idle = self.longest_idle();
            for sender in idle.iter().take(idle.len() / 4 + 1) {
                self.remove(*sender);
            }
        }
        let mark = self.by_sender.entry(sender).or_default();
        mark.used_ms = now_ms;
        mark
    }

    fn remove(&mut self, sender: Id) {
        if let Some(mark) = self.by_sender.remove(&sender) {
            self.reply_bytes = self.reply_bytes.saturating_sub(mark.reply_bytes);
        }
    }

    fn change(&mut self, session: SessionId, change: impl FnOnce(&mut Mark)) {
        if let Some(mark) = self.by_sender.get_mut(&session.0) {
            let others = self.reply_bytes.saturating_sub(mark.reply_bytes);
            change(mark);
            self.reply_bytes = others + mark.reply_bytes;
        }
    }

    /// Forgets replies, those of the longest idle sessions first, until a quarter of the room is free.
    fn forget_replies(&mut self) {
        for sender in self.longest_idle() {
            if self.reply_bytes <= limits::REPLY_BYTES_PER_ENTITY_MAX / 4 * 3 {
                return;
            }
            self.change(SessionId(sender), Mark::forget_all);
        }
    }

    fn longest_idle(&self) -> Vec<Id> {
        let mut ages: Vec<(u64, Id)> =
            self.by_sender.iter().map(|(sender, mark)| (mark.used_ms, *sender)).collect();
        ages.sort_unstable();
        ages.into_iter().map(|(_, sender)| sender).collect()
    }
}

impl Mark {
    fn store(&mut self, request: u64, outcome: &Bytes) {
        let Some(reply) = self.replies.get_mut(&request) else { return };
        if reply.is_none() {
            *reply = Some(outcome.clone());
            self.reply_bytes += cost(outcome);
        }
        while self.reply_bytes > limits::REPLY_BYTES_PER_MARK_MAX
            || self.replies.len() > limits::REPLIES_PER_MARK_MAX
        {
            let oldest = self.replies.iter().find(|(_, reply)| reply.is_some()).map(|(request, _)| *request);
            match oldest {
                Some(oldest) => self.forget(oldest),
                None => break,
            }
        }
    }

    fn forget(&mut self, request: u64) {
        if let Some(Some(reply)) = self.replies.remove(&request) {
            self.reply_bytes = self.reply_bytes.saturating_sub(cost(&reply));
        }
    }

    /// All that are stored; what still runs stays.
    fn forget_all(&mut self) {
        self.replies.retain(|_, reply| reply.is_none());
        self.reply_bytes = 0;
    }

    fn trim(&mut self, acknowledged: u64) {
        while let Some((&request, reply)) = self.replies.first_key_value() {
            if request > acknowledged || reply.is_none() {
                return;
            }
            self.forget(request);
        }
    }
}

/// Bytes that a stored reply takes.
fn cost(reply: &Bytes) -> usize {
    reply.len() + limits::REPLY_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(number: u32) -> SessionId {
        SessionId(Id([7, 7, 7, number]))
    }

    fn answered(marks: &mut Marks, from: u32, request: u64, bytes: usize) {
        assert_eq!(marks.begin(session(from), request, true, request), Progress::New);
        marks.store_reply(session(from), request, &Bytes::from(vec![0; bytes]));
    }

    fn counted(marks: &Marks) -> usize {
        let replies = marks.by_sender.values().flat_map(|mark| mark.replies.values().flatten());
        replies.map(cost).sum()
    }

    #[test]
    fn replies_of_many_sessions_stay_within_the_entitys_room() {
        let mut marks = Marks::default();
        for from in 0..100 {
            answered(&mut marks, from, u64::from(from) + 1, 200 * 1024);
            assert!(marks.reply_bytes() <= limits::REPLY_BYTES_PER_ENTITY_MAX);
            assert_eq!(marks.reply_bytes(), counted(&marks));
        }
        let last = marks.begin(session(99), 100, true, 200);
        assert!(matches!(last, Progress::Replied(_)), "the newest is kept");
        assert_eq!(marks.begin(session(0), 1, true, 200), Progress::Done, "and never runs again");
    }

    #[test]
    fn small_replies_are_bounded_in_number() {
        let mut marks = Marks::default();
        for from in 0..2_000 {
            for request in 1..=100 {
                answered(&mut marks, from, request, 1);
            }
        }
        let stored: usize = marks.by_sender.values().map(|mark| mark.replies.len()).sum();
        assert!(stored * limits::REPLY_OVERHEAD_BYTES <= limits::REPLY_BYTES_PER_ENTITY_MAX, "{stored}");
        assert_eq!(marks.reply_bytes(), counted(&marks));
    }

    #[test]
    fn a_session_that_ends_leaves_what_keeps_its_requests_from_running_twice_and_then_nothing() {
        let mut marks = Marks::default();
        answered(&mut marks, 1, 1, 10);
        assert_eq!(marks.begin(session(1), 2, true, 2), Progress::New);
        marks.close(session(1), 100);
        assert_eq!(marks.reply_bytes(), 0);
        assert_eq!(marks.begin(session(1), 1, true, 110), Progress::Done);
        marks.close(session(9), 100 + limits::SESSION_MARK_MS - 1);
        assert_eq!(marks.len(), 1);
        marks.close(session(9), 100 + limits::SESSION_MARK_MS);
        assert_eq!(marks, Marks::default());
        // An answer that comes later finds nobody.
        marks.store_reply(session(1), 2, &Bytes::from_static(&[1]));
        assert_eq!(marks, Marks::default());
    }

    #[test]
    fn room_for_new_senders_is_counted() {
        let mut marks = Marks::default();
        for from in 0..=limits::MARKS_PER_ENTITY_MAX as u32 {
            answered(&mut marks, from, u64::from(from) + 1, 1);
        }
        assert!(marks.len() < limits::MARKS_PER_ENTITY_MAX);
        assert_eq!(marks.reply_bytes(), counted(&marks));
        marks.acknowledge(session(4_000), 4_001);
        assert_eq!(marks.reply_bytes(), counted(&marks));
    }
}
