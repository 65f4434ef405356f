//! Whether a game knows all others that were there before it: it asks dispatchers until more than half of them are
//! complete.
//!
//! A dispatcher says of an id that it is no more only when every configured game has told it all that it knows, is
//! dead or absent, and whoever asks it has heard its members before. So an id that nobody ever had is a question
//! whether its list is whole. Any two games ask one dispatcher in common, so the later one knows of the earlier.

use bytes::Bytes;
use everwake_dispatcher::member::{Member, MemberInput, MemberOutput, Say};
use everwake_protocol::cluster::Incarnation;
use everwake_protocol::{EntityId, Id};
use std::collections::{BTreeMap, BTreeSet};

/// How long one that is not complete, or does not answer, is left alone, in ms.
const AGAIN_MS: u64 = 300;

/// See the head of this module.
#[derive(Debug)]
pub(super) struct Listing {
    life: Incarnation,
    /// An id for each dispatcher, that nobody has; empty before the first time.
    ids: Vec<EntityId>,
    /// Who was asked, by ticket.
    asked: BTreeMap<u64, usize>,
    complete: BTreeSet<usize>,
    tickets: u64,
    again_ms: u64,
    is_over: bool,
}

impl Listing {
    pub(super) fn new(life: Incarnation) -> Listing {
        let (asked, complete) = (BTreeMap::new(), BTreeSet::new());
        Listing { life, ids: Vec::new(), asked, complete, tickets: 0, again_ms: 0, is_over: false }
    }

    pub(super) fn next_wake_ms(&self) -> Option<u64> {
        (!self.is_over).then_some(self.again_ms)
    }

    /// Asks those that have not said yet that they are complete.
    pub(super) fn tend(
        &mut self,
        now_ms: u64,
        member: &mut Member<Bytes>,
        out: &mut Vec<MemberOutput<Bytes>>,
    ) {
        if self.is_over || now_ms < self.again_ms {
            return;
        }
        self.again_ms = now_ms + AGAIN_MS;
        if self.ids.is_empty() {
            self.ids = self.draw(member);
        }
        self.asked.clear();
        for (dispatcher, id) in self.ids.iter().enumerate().filter(|(at, _)| !self.complete.contains(at)) {
            self.tickets += 1;
            self.asked.insert(self.tickets, dispatcher);
            let say = Say::Ask { ticket: self.tickets, entities: vec![*id] };
            member.handle(now_ms, MemberInput::Say(say), out);
        }
    }

    /// A dispatcher has answered; true, once, if enough of them are complete now.
    pub(super) fn answered(&mut self, ticket: u64, gone: &[EntityId]) -> bool {
        let Some(dispatcher) = self.asked.remove(&ticket) else { return false };
        if !gone.is_empty() {
            self.complete.insert(dispatcher);
        }
        let is_enough = self.complete.len() * 2 > self.ids.len();
        is_enough && !std::mem::replace(&mut self.is_over, true)
    }

    /// An id for each dispatcher that belongs to it.
    fn draw(&self, member: &Member<Bytes>) -> Vec<EntityId> {
        let Incarnation { start, random } = self.life;
        let mut found = BTreeMap::new();
        let count = member.dispatchers().count();
        let mut attempt = 0u64;
        while found.len() < count {
            attempt += 1;
            let parts: [&[u8]; 4] =
                [b"listing", &start.to_be_bytes(), &random.to_be_bytes(), &attempt.to_be_bytes()];
            let id = EntityId(Id::derive(&parts));
            found.entry(member.share(id)).or_insert(id);
        }
        found.into_values().collect()
    }
}
