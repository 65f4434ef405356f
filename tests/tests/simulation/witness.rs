//! What must hold, as handlers and clients see it. Knows nothing of how anything travels.

use crate::dice::mix;
use everwake_protocol::EntityId;
use everwake_protocol::cluster::Incarnation;
use std::collections::{BTreeMap, BTreeSet};

/// A message: sender, target, counter.
pub(crate) type Key = (EntityId, EntityId, i64);

#[derive(Debug, Default)]
pub(crate) struct Witness {
    /// Whose spaces run now.
    pub(crate) at: Incarnation,
    pub(crate) now_ms: u64,
    /// Nobody does anything by himself any more.
    pub(crate) quiet: bool,
    pub(crate) pawns: BTreeMap<EntityId, Incarnation>,
    pub(crate) rooms: BTreeMap<EntityId, Incarnation>,
    /// Lives that are over for others: what they do is void.
    void: BTreeSet<Incarnation>,
    /// When each life ended.
    died_ms: Vec<u64>,
    messages: BTreeMap<Key, Fate>,
    /// The last message that somebody heard of somebody: its counter, who heard it, and where it was said.
    last: BTreeMap<(EntityId, EntityId), (i64, Incarnation, Option<Incarnation>)>,
    /// Requests that ran, by a number that only one of them has, and where.
    ran: BTreeMap<i64, Incarnation>,
    pub(crate) wrong: Option<String>,
    pub(crate) counts: Counts,
    hash: u64,
}

/// How much happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) heard: u64,
    pub(crate) bounced: u64,
    pub(crate) entered: u64,
    pub(crate) given: u64,
    pub(crate) asked: u64,
    pub(crate) told: u64,
    pub(crate) ran: u64,
}

#[derive(Debug)]
struct Fate {
    by: Incarnation,
    sent_ms: u64,
    heard: Option<Incarnation>,
    /// With whether that was certain.
    bounced: Option<bool>,
}

impl Witness {
    fn is_void(&self) -> bool {
        self.void.contains(&self.at)
    }

    pub(crate) fn fail(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    pub(crate) fn mix(&mut self, value: u64) {
        self.hash = mix(self.hash ^ value ^ self.now_ms.rotate_left(32));
    }

    pub(crate) fn mix_id(&mut self, id: EntityId, value: u64) {
        self.mix(mix(id.0.to_u128() as u64) ^ value);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn is_here(&mut self, pawn: EntityId) {
        if !self.is_void() {
            self.pawns.insert(pawn, self.at);
        }
        self.mix_id(pawn, 1);
    }

    pub(crate) fn is_gone(&mut self, pawn: EntityId) {
        if !self.is_void() {
            self.pawns.remove(&pawn);
            // Nobody can tell it any more what became of what it said and nobody heard.
            self.messages.retain(|(sender, ..), fate| *sender != pawn || fate.heard.is_some());
        }
        self.mix_id(pawn, 2);
    }

    pub(crate) fn room(&mut self, room: EntityId) {
        self.rooms.insert(room, self.at);
        self.mix_id(room, 3);
    }

    pub(crate) fn sent(&mut self, key: Key) {
        if !self.is_void() {
            let fate = Fate { by: self.at, sent_ms: self.now_ms, heard: None, bounced: None };
            self.messages.insert(key, fate);
        }
        self.mix_id(key.0, 4);
    }

    pub(crate) fn heard(&mut self, key: Key) {
        self.mix_id(key.1, mix(key.2 as u64) ^ 5);
        if self.is_void() {
            return;
        }
        self.counts.heard += 1;
        let (at, now_ms) = (self.at, self.now_ms);
        let (sender, target, counter) = key;
        if let Some((last, by, _)) = self.last.get(&(sender, target)).copied()
            && counter <= last
            && !self.void.contains(&by)
        {
            self.fail(format!("{now_ms}: message {counter} of {sender} comes to {target} behind {last}"));
        }
        let said_by = self.messages.get(&key).map(|fate| fate.by);
        self.last.insert((sender, target), (counter, at, said_by));
        let Some(fate) = self.messages.get_mut(&key) else { return };
        let before = fate.heard.replace(at);
        let (bounced, sent_ms) = (fate.bounced, fate.sent_ms);
        if before.is_some_and(|by| !self.void.contains(&by)) {
            self.fail(format!("{now_ms}: message {key:?} of {sent_ms} comes twice"));
        }
        if bounced == Some(true) {
            self.fail(format!("{now_ms}: message {key:?} comes though it surely did not"));
        }
    }

    pub(crate) fn bounced(&mut self, key: Key, certain: bool) {
        self.mix_id(key.0, 6);
        if self.is_void() {
            return;
        }
        self.counts.bounced += 1;
        let now_ms = self.now_ms;
        let Some(fate) = self.messages.get_mut(&key) else { return };
        let twice = fate.bounced.replace(certain).is_some();
        let heard = fate.heard;
        if twice {
            self.fail(format!("{now_ms}: message {key:?} bounces twice"));
        }
        if certain && heard.is_some_and(|by| !self.void.contains(&by)) {
            self.fail(format!("{now_ms}: message {key:?} bounces for certain though it came"));
        }
    }

    pub(crate) fn ran(&mut self, request: i64) {
        self.mix(mix(request as u64));
        if self.is_void() {
            return;
        }
        self.counts.ran += 1;
        let (at, now_ms) = (self.at, self.now_ms);
        if let Some(before) = self.ran.insert(request, at)
            && !self.void.contains(&before)
        {
            self.fail(format!("{now_ms}: request {request} runs twice"));
        }
    }

    /// A life is over, and may not know it yet.
    pub(crate) fn died(&mut self, life: Incarnation) {
        if !self.void.insert(life) {
            return;
        }
        self.died_ms.push(self.now_ms);
        self.pawns.retain(|_, at| *at != life);
        self.rooms.retain(|_, at| *at != life);
        self.messages.retain(|_, fate| fate.by != life);
        // Whoever said it may be back as he was before.
        self.last.retain(|_, (_, _, said_by)| *said_by != Some(life));
        self.mix(life.random ^ 7);
    }

    /// All is settled: whatever was said by somebody who lives has arrived or came back. When a process has died
    /// since, it may have taken what it had handed to its spaces along.
    pub(crate) fn end(&mut self) {
        let deaths = &self.died_ms;
        let died_since = |sent_ms: u64| deaths.iter().any(|died_ms| *died_ms + 5_000 >= sent_ms);
        let lost = self
            .messages
            .iter()
            .find(|(_, fate)| fate.heard.is_none() && fate.bounced.is_none() && !died_since(fate.sent_ms));
        if let Some((key, fate)) = lost {
            let what = format!("message {key:?} of {} is lost", fate.sent_ms);
            self.fail(what);
        }
    }
}
