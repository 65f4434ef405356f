//! What a game puts into envelopes, and finds in them.

use crate::guest::Place;
use crate::message::{AnswerTo, Debt, KeyValueOperation, Message, Traveller};
use bytes::Bytes;
use everwake_protocol::cluster::{ToGame, ToGate, Weight};
use everwake_protocol::{EntityId, Id};
use serde::{Deserialize, Serialize};

mod codec;
pub mod peer;

pub use codec::{CargoError, FindGeneration, FindVersion};
use peer::Peer;

/// What travels between games, gates and dispatchers, as a value.
#[derive(Clone, Debug)]
pub enum Cargo {
    /// From an entity, or a core, to an entity.
    Message(Box<Message>),
    /// From a gate.
    Client(ToGame),
    /// To a gate.
    Gate(ToGate),
    /// Make the target.
    Create(Box<Creation>),
    /// Make the target, a shard of a service.
    Service {
        /// Whose.
        module: String,
        /// The service.
        type_name: String,
        /// Number of the shard.
        shard: u32,
    },
    /// Be the home of a module: keep its key-value map.
    Home {
        /// Which.
        module: String,
    },
    /// An entity comes.
    Install(Box<Traveller>),
    /// An operation on the key-value map whose home is the target.
    KeyValue(Box<KeyValueAsk>),
    /// From the game where an author is, to the one where he was: say when these are settled.
    Debts(Vec<Debt>),
    /// Answers [`Cargo::Debts`], as soon as it is true.
    Settled(Vec<Debt>),
    /// From one game to another.
    Peer(Box<Peer>),
}

/// `entities.create`, on its way to the game that makes the entity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Creation {
    /// The asker's module.
    pub module: String,
    /// Generation of the module that was head where the asker is: it is made by no older one.
    pub generation: u32,
    /// Name of the entity's type.
    pub type_name: String,
    /// For its constructor.
    pub args: Bytes,
    /// As asked.
    pub place: Place,
    /// Who gets the id, or not-run.
    pub answer: AnswerTo,
}

/// An operation on a key-value map.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyValueAsk {
    /// Whose map.
    pub module: String,
    /// Who gets the answer.
    pub owner: EntityId,
    /// The owner's pending entry.
    pub call: Id,
    /// What to do.
    pub operation: KeyValueOperation,
}

/// The name under which dispatchers know the home of a module.
pub fn home_of(module: &str) -> EntityId {
    EntityId(Id::derive(&[b"home", module.as_bytes()]))
}

impl Weight for Cargo {
    fn bytes(&self) -> usize {
        const OVERHEAD: usize = 128;
        OVERHEAD
            + match self {
                Cargo::Message(message) => message.body.bytes(),
                Cargo::Client(ToGame::Request { args, .. }) => args.len(),
                Cargo::Gate(ToGate::Frames { frames, .. } | ToGate::Broadcast { frames, .. }) => frames.len(),
                Cargo::Gate(ToGate::Reply { frame, .. }) => frame.len(),
                Cargo::Create(creation) => creation.args.len(),
                Cargo::Install(traveller) => {
                    traveller.body.attributes.bytes() + size_of_val(traveller.debts.as_slice())
                }
                Cargo::Debts(debts) | Cargo::Settled(debts) => size_of_val(debts.as_slice()),
                Cargo::KeyValue(ask) => ask.operation.bytes(),
                Cargo::Peer(peer) => peer.bytes(),
                Cargo::Client(_) | Cargo::Gate(_) | Cargo::Service { .. } | Cargo::Home { .. } => 0,
            }
    }
}
