//! What waits to happen in a space: facts first, then the mailbox, both first in, first out.
//!
//! Facts are hooks and the steps between them (gone, departed): they follow from what is committed
//! already, so nothing may come between. Everything else waits its turn.

use super::entity::Slot;
use crate::guest::Hook;
use crate::limits;
use crate::message::{Client, Input, Message};
use bytes::Bytes;
use everwake_protocol::{EntityId, Id};
use std::collections::VecDeque;

/// Something in the mailbox.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// From outside, or from here to here.
    Message(Box<Message>),
    /// Anything else from outside. Boxed: a mailbox is full of messages, which it moves about.
    Input(Box<Input>),
    /// A timer is due.
    Timer { entity: EntityId, timer: Id },
    /// A call's deadline has passed.
    Expired { entity: EntityId, call: Id },
    /// Nobody waits any more for a deferred answer.
    DeferredExpired { entity: EntityId, deferred: Id },
}

const _: () = assert!(size_of::<Waiting>() <= 48);

impl From<Input> for Item {
    #[inline]
    fn from(input: Input) -> Item {
        match input {
            Input::Message(message) => Item::Message(message),
            input => Item::Input(Box::new(input)),
        }
    }
}

impl Item {
    /// See [`Input::is_refusable`].
    pub(super) fn is_refusable(&self) -> bool {
        match self {
            Item::Message(message) => message.is_refusable(),
            Item::Input(input) => input.is_refusable(),
            _ => false,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Item::Message(message) => message.bytes(),
            Item::Input(input) => input.bytes(),
            _ => 0,
        }
    }

    /// The entity that it is addressed to and would have to follow, if there is one.
    pub(super) fn addressee(&self) -> Option<EntityId> {
        match self {
            Item::Message(message) => Some(message.target),
            Item::Input(input) => match &**input {
                Input::Message(message) => Some(message.target),
                Input::Request { target, .. }
                | Input::Acknowledged { target, .. }
                | Input::SessionClosed { target, .. }
                | Input::Moved { target, .. }
                | Input::RoundTrip { target, .. } => Some(*target),
                _ => None,
            },
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
