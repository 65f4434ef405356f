//! The handlers of an avatar in the host's own language: the baseline of `call`. It speaks to the
//! space through the same trait, with the same events and the same patch bytes as a module.

use bytes::{Bytes, BytesMut};
use everwake_protocol::attributes::PatchReader;
use everwake_protocol::cbor::{self, Reader};
use everwake_protocol::{EntityId, Id};
use everwake_runtime::guest::{
    Event, EventKind, Guest, GuestError, GuestSource, Imports, Part, Trap, TrapKind, Verdict, VersionHash,
};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Makes native avatars.
pub struct NativeSource;

impl GuestSource for NativeSource {
    fn instantiate(&mut self, _: VersionHash) -> Result<Box<dyn Guest>, Trap> {
        Ok(Box::<Native>::default())
    }
}

/// Bytes of messages that lie in one allocation.
const BLOCK_BYTES: usize = 4 * 1024;
/// Methods that it knows, by their numbers in the module `avatar`.
pub const METHODS: [&str; 2] = ["nothing", "full"];
/// Attributes that it knows, by their numbers in the module `avatar`.
pub const ATTRIBUTES: [&str; 4] = ["hp", "gold", "place", "friend"];

#[derive(Default)]
struct Native {
    residents: HashMap<EntityId, Avatar, BuildHasherDefault<ByWord>>,
    patch: Vec<u8>,
    args: Vec<u8>,
    /// As an instance does it: the bytes of many messages lie in one allocation.
    block: BytesMut,
}

#[derive(Default)]
struct Avatar {
    revision: u32,
    hp: i64,
    gold: i64,
    place: [f32; 3],
    friend: EntityId,
}

/// Ids are random already: a cheap mix of their words does.
#[derive(Default)]
struct ByWord(u64);

impl Hasher for ByWord {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.as_chunks::<8>().0 {
            self.0 = self.0.rotate_left(21) ^ u64::from_le_bytes(*word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
    fn write_usize(&mut self, _: usize) {}
}

impl Native {
    fn resident(&mut self, event: &Event, host: &mut dyn Imports) -> Result<&mut Avatar, GuestError> {
        let avatar = self.residents.entry(event.entity).or_default();
        if avatar.revision != event.revision {
            let state = host.load(event.entity).ok_or(GuestError::NotFound)?;
            read(&state.attributes, avatar).ok_or(GuestError::NotFound)?;
            avatar.revision = state.revision;
        }
        Ok(avatar)
    }

    fn full(&mut self, event: &Event, host: &mut dyn Imports) -> Result<(), GuestError> {
        let mut reader = Reader::new(&event.args);
        let amount = reader
            .array()
            .and_then(|_| reader.i64())
            .map_err(|error| GuestError::BadArguments(error.to_string()))?;
        let avatar = self.resident(event, host)?;
        avatar.hp = (avatar.hp + amount) % 10_000;
        avatar.gold += amount;
        let [x, _, z] = &mut avatar.place;
        *x += 0.5;
        *z += 0.25;
        let (hp, gold, place, friend) = (avatar.hp, avatar.gold, avatar.place, avatar.friend);
        self.args.clear();
        cbor::array(&mut self.args, 1);
        cbor::int(&mut self.args, amount);
        if self.block.capacity() < self.args.len() {
            self.block = BytesMut::with_capacity(BLOCK_BYTES);
        }
        self.block.extend_from_slice(&self.args);
        let args = self.block.split().freeze();
        host.send(
            event.entity,
            Part { target: friend, type_index: event.type_index, method: 0, args },
            None,
        )?;
        self.patch.clear();
        cbor::uint(&mut self.patch, 0);
        cbor::int(&mut self.patch, hp);
        cbor::uint(&mut self.patch, 1);
        cbor::int(&mut self.patch, gold);
        cbor::uint(&mut self.patch, 2);
        cbor::array(&mut self.patch, 3);
        place.iter().for_each(|part| cbor::f32(&mut self.patch, *part));
        host.patch(event.entity, &self.patch).map_err(|misuse| GuestError::Other(misuse.0))
    }
}

fn read(state: &[u8], avatar: &mut Avatar) -> Option<()> {
    for change in PatchReader::new(state) {
        let change = change.ok()?;
        let mut value = Reader::new(change.value?);
        match change.attribute {
            0 => avatar.hp = value.i64().ok()?,
            1 => avatar.gold = value.i64().ok()?,
            2 => {
                value.array().ok()?;
                for part in &mut avatar.place {
                    *part = value.f32().ok()?;
                }
            }
            3 => avatar.friend = EntityId(value.id().unwrap_or(Id::ZERO)),
            _ => {}
        }
    }
    Some(())
}

impl Guest for Native {
    fn handle(&mut self, event: &Event, mut host: Box<dyn Imports>) -> (Box<dyn Imports>, Verdict) {
        let done = match (event.kind, event.method) {
            (EventKind::Call, 0) => self.resident(event, host.as_mut()).map(|_| ()),
            (EventKind::Call, 1) => self.full(event, host.as_mut()),
            _ => Err(GuestError::NotFound),
        };
        let verdict = done.map_or_else(Verdict::Failed, |()| Verdict::Done);
        (host, verdict)
    }

    fn forget(&mut self, entities: &[EntityId]) -> Result<(), Trap> {
        for entity in entities {
            self.residents.remove(entity);
        }
        Ok(())
    }

    fn snapshot(&mut self, _: EntityId) -> Result<Option<Bytes>, Trap> {
        Ok(None)
    }

    fn migrate(&mut self, _: u32, _: u32, _: u32, _: &[u8]) -> Result<Result<Bytes, GuestError>, Trap> {
        Err(Trap { kind: TrapKind::Fault, message: "nothing to migrate".into(), frames: Vec::new() })
    }

    fn memory_bytes(&self) -> (usize, usize) {
        (0, 0)
    }
}
