//! What a process has said by one dispatcher and nobody has acknowledged, in order.

use crate::limits::{OUTBOX_BYTES_MAX, OUTBOX_COST_BYTES};
use everwake_protocol::cluster::{
    Ack, Attempt, Envelope, Incarnation, MessageId, Placement, Target, ToDispatcher, Weight,
};
use everwake_protocol::{EntityId, Id};
use std::collections::{BTreeMap, VecDeque};

/// A sender and a target: within it order is kept.
pub(super) type Stream = (Id, Target);

/// Bounded for what may be refused.
#[derive(Debug)]
pub(super) struct Outbox<P> {
    items: BTreeMap<u64, Item<P>>,
    next: u64,
    streams: BTreeMap<Stream, VecDeque<u64>>,
    /// By stream, the holds on it: from which item on each of them holds.
    holds: BTreeMap<Stream, BTreeMap<u64, u64>>,
    bytes: usize,
}

#[derive(Debug)]
struct Item<P> {
    envelope: Envelope<P>,
    place: Option<Placement>,
    sent: u32,
    /// Somebody has died since it was first sent.
    in_doubt: bool,
}

impl<P> Default for Outbox<P> {
    fn default() -> Outbox<P> {
        Outbox { items: BTreeMap::new(), next: 0, streams: BTreeMap::new(), holds: BTreeMap::new(), bytes: 0 }
    }
}

impl<P: Weight + Clone> Outbox<P> {
    /// Whether something that may be refused has room.
    pub(super) fn has_room(&self, payload: &P) -> bool {
        self.bytes.saturating_add(cost(payload)) <= OUTBOX_BYTES_MAX
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn keeps(&self, sender: Id, target: Option<Target>) -> bool {
        let first = (sender, Target::Entity(EntityId::default()));
        let mut streams = self.streams.range(first..).take_while(|((of, _), _)| *of == sender);
        streams.any(|((_, to), _)| target.is_none_or(|target| target == *to))
    }

    /// The last counters of what some author has said under one of these senders, by stream.
    pub(super) fn owed(&self, senders: &[Id], by_author: &dyn Fn(&P) -> bool) -> Vec<(Stream, u64)> {
        let mut owed = Vec::new();
        for sender in senders {
            let first = (*sender, Target::Entity(EntityId::default()));
            for (stream, queue) in self.streams.range(first..).take_while(|((of, _), _)| of == sender) {
                let items = queue.iter().rev().filter_map(|number| self.items.get(number));
                let last = items.map(|item| &item.envelope).find(|envelope| by_author(&envelope.payload));
                owed.extend(last.map(|envelope| (*stream, envelope.message.counter)));
            }
        }
        owed
    }

    /// Whether something of a stream is kept up to a counter.
    pub(super) fn keeps_up_to(&self, stream: &Stream, counter: u64) -> bool {
        let first = self.streams.get(stream).and_then(|queue| self.items.get(queue.front()?));
        first.is_some_and(|item| item.envelope.message.counter <= counter)
    }

    /// What is pushed to a stream from now on is not sent.
    pub(super) fn hold(&mut self, stream: Stream, hold: u64) {
        self.holds.entry(stream).or_default().entry(hold).or_insert(self.next);
    }

    /// Ends a hold: what may be sent now that could not before, in order.
    pub(super) fn let_go(&mut self, stream: &Stream, hold: u64) -> Vec<u64> {
        let Some(holds) = self.holds.get_mut(stream) else { return Vec::new() };
        let before = holds.values().min().copied().unwrap_or(u64::MAX);
        holds.remove(&hold);
        let after = holds.values().min().copied().unwrap_or(u64::MAX);
        if holds.is_empty() {
            self.holds.remove(stream);
        }
        self.of(stream).into_iter().filter(|number| (before..after).contains(number)).collect()
    }

    fn is_held(&self, stream: &Stream, number: u64) -> bool {
        self.holds.get(stream).is_some_and(|holds| holds.values().any(|from| *from <= number))
    }

    /// Keeps it, as the last of its stream.
    pub(super) fn push(&mut self, envelope: Envelope<P>, place: Option<Placement>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.bytes += cost(&envelope.payload);
        self.streams.entry(stream(&envelope)).or_default().push_back(number);
        self.items.insert(number, Item { envelope, place, sent: 0, in_doubt: false });
        number
    }

    /// What is to be sent for an item, once more. None if it is held.
    pub(super) fn send(&mut self, number: u64) -> Option<ToDispatcher<P>> {
        let item = self.items.get(&number)?;
        let key = stream(&item.envelope);
        if self.is_held(&key, number) {
            return None;
        }
        let queue = self.streams.get(&key)?;
        let place = queue.binary_search(&number).ok()?;
        let before = place.checked_sub(1).and_then(|place| self.items.get(queue.get(place)?));
        let epoch = item.envelope.message.epoch;
        let after = before
            .map(|before| before.envelope.message)
            .filter(|message| message.epoch == epoch)
            .map_or(0, |message| message.counter);
        let item = self.items.get_mut(&number)?;
        item.envelope.attempt = match item.sent {
            0 => Attempt::First,
            _ if item.in_doubt => Attempt::Doubtful,
            _ => Attempt::Again,
        };
        item.sent = item.sent.saturating_add(1);
        item.envelope.after = after;
        let envelope = item.envelope.clone();
        Some(match item.place.clone() {
            Some(place) => ToDispatcher::Create { place, envelope },
            None => ToDispatcher::Carry(envelope),
        })
    }

    /// Somebody has died: whoever took what was sent before may be no more, and another be there under its name.
    pub(super) fn doubt(&mut self) {
        self.items.values_mut().for_each(|item| item.in_doubt |= item.sent > 0);
    }

    /// All items, in order.
    pub(super) fn all(&self) -> Vec<u64> {
        self.items.keys().copied().collect()
    }

    /// Those of a stream, in order.
    pub(super) fn of(&self, stream: &Stream) -> Vec<u64> {
        self.streams.get(stream).map_or_else(Vec::new, |queue| queue.iter().copied().collect())
    }

    /// They have arrived.
    pub(super) fn acknowledge(&mut self, ack: &Ack) {
        let key = (ack.sender, ack.target);
        while let Some(first) = self.streams.get(&key).and_then(|queue| queue.front().copied()) {
            let arrived =
                self.items.get(&first).is_none_or(|item| item.envelope.message.counter <= ack.counter);
            if !arrived {
                return;
            }
            self.remove(&key, first);
        }
    }

    /// Takes one out that came back; with whether it was sent more than once. None if it is not here any more.
    pub(super) fn take(&mut self, target: Target, message: MessageId) -> Option<(Envelope<P>, bool)> {
        let key = (message.sender, target);
        let is = |number: &&u64| self.items.get(number).is_some_and(|item| item.envelope.message == message);
        let number = self.streams.get(&key)?.iter().find(is).copied()?;
        self.remove(&key, number).map(|item| (item.envelope, item.sent > 1))
    }

    /// Takes out all that is for one life of a process.
    pub(super) fn take_lane(&mut self, life: Incarnation) -> Vec<(Envelope<P>, bool)> {
        let keys: Vec<Stream> =
            self.streams.keys().filter(|(_, target)| *target == Target::Process(life)).copied().collect();
        let mut taken = Vec::new();
        for key in keys {
            for number in self.of(&key) {
                taken.extend(self.remove(&key, number).map(|item| (item.envelope, item.sent > 0)));
            }
        }
        taken
    }

    fn remove(&mut self, key: &Stream, number: u64) -> Option<Item<P>> {
        let item = self.items.remove(&number);
        self.bytes -= item.as_ref().map_or(0, |item| cost(&item.envelope.payload));
        if let Some(queue) = self.streams.get_mut(key) {
            // Nearly always the first.
            if let Ok(place) = queue.binary_search(&number) {
                queue.remove(place);
            }
            if queue.is_empty() {
                self.streams.remove(key);
            }
        }
        item
    }
}

pub(super) fn stream<P>(envelope: &Envelope<P>) -> Stream {
    (envelope.message.sender, envelope.target)
}

fn cost<P: Weight>(payload: &P) -> usize {
    payload.bytes().saturating_add(OUTBOX_COST_BYTES)
}
