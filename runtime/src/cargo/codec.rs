//! The bytes of [`Cargo`]: its kind as u8; what gates read and write as in `everwake_protocol::cluster`, the rest,
//! which only games read, as one CBOR item.

use super::peer::Peer;
use super::{Cargo, Creation, KeyValueAsk};
use crate::guest::VersionHash;
use crate::message::{AnswerTo, Message};
use crate::record::entry::RecordedTraveller;
use crate::versions::ModuleVersion;
use bytes::Bytes;
use everwake_protocol::EntityId;
use everwake_protocol::cluster::{CARGO_CLIENT, CARGO_GATE, ToGame, ToGate};
use everwake_protocol::wire::WireError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const MESSAGE: u8 = 1;
const CLIENT: u8 = CARGO_CLIENT;
const GATE: u8 = CARGO_GATE;
const CREATE: u8 = 4;
const SERVICE: u8 = 5;
const HOME: u8 = 6;
const INSTALL: u8 = 7;
const KEY_VALUE: u8 = 8;
const DEBTS: u8 = 10;
const SETTLED: u8 = 11;
const PEER: u8 = 9;

/// Bytes that are no cargo.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CargoError {
    /// No bytes at all.
    #[error("the cargo is empty")]
    Empty,
    /// Of another release.
    #[error("cargo of kind {0} is not known; hint: run the same release everywhere")]
    Kind(u8),
    /// Of a gate's or for one.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Of a game's.
    #[error("the cargo does not decode: {0}")]
    Malformed(String),
    /// An entity of a version that this game has not got.
    #[error("version {0} is not here; hint: publish it before its entities come")]
    Version(VersionHash),
}

/// A traveller with the module that its version belongs to.
#[derive(Serialize, Deserialize)]
struct Packed {
    module: String,
    generation: u32,
    traveller: RecordedTraveller,
}

/// Whose words something is; the rest of it is skipped.
#[derive(Deserialize)]
struct Words {
    from: Option<EntityId>,
}
#[derive(Deserialize)]
struct Owned {
    owner: EntityId,
}
#[derive(Deserialize)]
struct Asked {
    answer: AnswerTo,
}

/// Finds a version of a module.
pub type FindVersion<'a> = &'a dyn Fn(&str, VersionHash) -> Option<Arc<ModuleVersion>>;

/// Finds a version of a module as which it was published with a generation: a roll-back gives an old one a new number.
pub type FindGeneration<'a> = &'a dyn Fn(&str, VersionHash, u32) -> Option<Arc<ModuleVersion>>;

impl Cargo {
    /// As bytes.
    pub fn encode(self) -> Bytes {
        let mut out = Vec::new();
        match self {
            Cargo::Client(to_game) => {
                out.push(CLIENT);
                to_game.encode(&mut out);
            }
            Cargo::Gate(to_gate) => {
                out.push(GATE);
                to_gate.encode(&mut out);
            }
            Cargo::Message(message) => item(&mut out, MESSAGE, &message),
            Cargo::Create(creation) => item(&mut out, CREATE, &creation),
            Cargo::Service { module, type_name, shard } => {
                item(&mut out, SERVICE, &(module, type_name, shard));
            }
            Cargo::Home { module } => item(&mut out, HOME, &module),
            Cargo::Install(traveller) => {
                let module = traveller.version.manifest.name.clone();
                let generation = traveller.version.generation;
                let packed = Packed { module, generation, traveller: RecordedTraveller::of(*traveller) };
                item(&mut out, INSTALL, &packed);
            }
            Cargo::KeyValue(ask) => item(&mut out, KEY_VALUE, &ask),
            Cargo::Debts(debts) => item(&mut out, DEBTS, &debts),
            Cargo::Settled(debts) => item(&mut out, SETTLED, &debts),
            Cargo::Peer(peer) => item(&mut out, PEER, &peer),
        }
        out.into()
    }

    /// Whether these bytes want their target to be made.
    pub fn makes(bytes: &[u8]) -> bool {
        matches!(bytes, [CREATE | SERVICE | HOME, ..] | [CLIENT, ToGame::CONNECTED, ..])
    }

    /// The entity whose handler said this, if one did.
    pub fn author(bytes: &[u8]) -> Option<EntityId> {
        let (kind, body) = bytes.split_first()?;
        match *kind {
            MESSAGE => ciborium::from_reader::<Words, _>(body).ok()?.from,
            KEY_VALUE => Some(ciborium::from_reader::<Owned, _>(body).ok()?.owner),
            CREATE => match ciborium::from_reader::<Asked, _>(body).ok()?.answer {
                AnswerTo::Entity { entity, .. } => Some(entity),
                AnswerTo::Nobody | AnswerTo::Client { .. } | AnswerTo::Operator { .. } => None,
            },
            _ => None,
        }
    }

    /// Whether a gate says this in its own name, not in that of a session.
    pub fn is_of_gate(bytes: &[u8]) -> bool {
        matches!(bytes, [CLIENT, ToGame::CONNECTED | ToGame::DETACH, ..])
    }

    /// From bytes.
    pub fn decode(bytes: Bytes, versions: FindVersion<'_>) -> Result<Cargo, CargoError> {
        Cargo::decode_with(bytes, &|module, hash, _| versions(module, hash))
    }

    /// The same, where versions are told apart by their generations too.
    pub fn decode_with(mut bytes: Bytes, versions: FindGeneration<'_>) -> Result<Cargo, CargoError> {
        if bytes.is_empty() {
            return Err(CargoError::Empty);
        }
        let body = bytes.split_off(1);
        let kind = bytes.first().copied().unwrap_or_default();
        Ok(match kind {
            CLIENT => Cargo::Client(ToGame::decode(body)?),
            GATE => Cargo::Gate(ToGate::decode(body)?),
            MESSAGE => Cargo::Message(Box::new(read::<Message>(&body)?)),
            CREATE => Cargo::Create(Box::new(read::<Creation>(&body)?)),
            SERVICE => {
                let (module, type_name, shard) = read(&body)?;
                Cargo::Service { module, type_name, shard }
            }
            HOME => Cargo::Home { module: read(&body)? },
            INSTALL => {
                let Packed { module, generation, traveller } = read(&body)?;
                let hash = traveller.version;
                let version = versions(&module, hash, generation).ok_or(CargoError::Version(hash))?;
                Cargo::Install(Box::new(traveller.into_traveller(version)))
            }
            KEY_VALUE => Cargo::KeyValue(Box::new(read::<KeyValueAsk>(&body)?)),
            DEBTS => Cargo::Debts(read(&body)?),
            SETTLED => Cargo::Settled(read(&body)?),
            PEER => Cargo::Peer(Box::new(read::<Peer>(&body)?)),
            other => return Err(CargoError::Kind(other)),
        })
    }
}

fn item<T: Serialize>(out: &mut Vec<u8>, kind: u8, value: &T) {
    out.push(kind);
    let written = ciborium::into_writer(value, out);
    debug_assert!(written.is_ok(), "memory takes everything, and nothing refuses to be written");
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, CargoError> {
    let mut rest: &[u8] = body;
    let value = ciborium::from_reader(&mut rest).map_err(|error| CargoError::Malformed(error.to_string()))?;
    if rest.is_empty() { Ok(value) } else { Err(CargoError::Malformed("bytes behind it".to_owned())) }
}

#[cfg(test)]
mod tests;
