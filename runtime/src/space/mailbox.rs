//! What waits to happen in a space: facts first, then the mailbox, both first in, first out.
//!
//! Facts are hooks and the steps between them (gone, departed): they follow from what is committed
//! already, so nothing may come between. Everything else waits its turn.

use super::entity::Slot;
use crate::guest::Hook;
use crate::limits;
use crate::message::{Client, Input};
use bytes::Bytes;
use everwake_protocol::{EntityId, Id};
use std::collections::VecDeque;

/// Something in the mailbox.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// From outside, or a message from here to here.
    Input(Input),
    /// A timer is due.
    Timer { entity: EntityId, timer: Id },
    /// A call's deadline has passed.
    Expired { entity: EntityId, call: Id },
    /// Nobody waits any more for a deferred answer.
    DeferredExpired { entity: EntityId, deferred: Id },
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Item::Input(input) => input.bytes(),
            _ => 0,
        }
    }

    /// The entity that it is addressed to and would have to follow, if there is one.
    pub(super) fn addressee(&self) -> Option<EntityId> {
        match self {
            Item::Input(Input::Message(message)) => Some(message.target),
            Item::Input(
                Input::Request { target, .. }
                | Input::Acknowledged { target, .. }
                | Input::SessionClosed { target, .. }
                | Input::Moved { target, .. }
                | Input::RoundTrip { target, .. },
            ) => Some(*target),
            Item::Input(_) => None,
            Item::Timer { entity, .. }
            | Item::Expired { entity, .. }
            | Item::DeferredExpired { entity, .. } => Some(*entity),
        }
    }
}

/// A fact, or a step between facts.
#[derive(Clone, Debug)]
pub(super) enum Fact {
    /// Tell the entity, if its type wants to know.
    Hook { entity: EntityId, hook: Hook, args: Bytes },
    /// Bind a client, then tell.
    Attach { entity: EntityId, client: Box<Client> },
    /// Its hooks have run: remove it.
    Gone { entity: EntityId },
    /// Its leave hooks have run: it departs.
    Depart { entity: EntityId },
    /// All that lived in a space without an entity of its own is gone.
    Closed,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    pub(super) facts: VecDeque<Fact>,
    items: VecDeque<Waiting>,
    bytes: usize,
}

/// An item, and where its addressee lay when it came.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) slot: Option<Slot>,
    pub(super) item: Item,
}

impl Mailbox {
    pub(super) fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.items.is_empty()
    }

    pub(super) fn push(&mut self, slot: Option<Slot>, item: Item) {
        self.bytes += item.bytes();
        self.items.push_back(Waiting { slot, item });
    }

    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.items.pop_front()?;
        self.bytes -= waiting.item.bytes();
        Some(waiting)
    }

    /// In order.
    pub(super) fn items(&self) -> impl ExactSizeIterator<Item = &Item> {
        self.items.iter().map(|waiting| &waiting.item)
    }

    /// True if what can be refused must be.
    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= limits::MAILBOX_MAX || self.bytes >= limits::MAILBOX_BYTES_MAX
    }

    /// Takes out what is addressed to an entity, in order.
    pub(super) fn extract(&mut self, entity: EntityId) -> Vec<Item> {
        let mut taken = Vec::new();
        let mut rest = VecDeque::with_capacity(self.items.len());
        for waiting in self.items.drain(..) {
            if waiting.item.addressee() == Some(entity) {
                self.bytes -= waiting.item.bytes();
                taken.push(waiting.item);
            } else {
                rest.push_back(waiting);
            }
        }
        self.items = rest;
        taken
    }
}
