//! The handlers of an avatar by hand: resident structs, CBOR, the contract, no SDK.
//!
//! It stands in for the module `avatar` in a space that runs that one, so its numbers of
//! attributes and methods are that module's; the benchmark checks them by name. It holds only what
//! its handlers need, and only errors a benchmark can survive.
#![cfg(target_arch = "wasm32")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

wit_bindgen::generate!({ path: "../../../wit", world: "module" });

use everwake::game::manifests::Manifest;
use everwake::game::types::{Error, Id};
use everwake::game::{calls, entities};
use exports::everwake::game::logic::{Event, EventKind, Guest};

struct Bare;

/// Numbers of attributes, as in the module `avatar`.
mod attribute {
    pub const HP: u8 = 0;
    pub const GOLD: u8 = 1;
    pub const PLACE: u8 = 2;
    pub const FRIEND: u8 = 3;
}

/// Numbers of methods, as in the module `avatar`.
mod method {
    pub const NOTHING: u32 = 0;
    pub const FULL: u32 = 1;
}

#[derive(Clone, Default)]
struct Avatar {
    revision: u32,
    hp: i64,
    gold: i64,
    place: [f32; 3],
    friend: [u32; 4],
}

/// Ids are random already: one of their words is a hash.
#[derive(Default)]
struct ByWord(u64);

impl Hasher for ByWord {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u32(&mut self, word: u32) {
        self.0 = self.0.rotate_left(21) ^ u64::from(word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

type Residents = HashMap<(u32, u32), Avatar, BuildHasherDefault<ByWord>>;

thread_local! {
    static RESIDENTS: RefCell<Residents> = RefCell::default();
    static BUFFERS: RefCell<(Vec<u8>, Vec<u8>)> = RefCell::default();
}

impl Guest for Bare {
    fn describe() -> Manifest {
        Manifest {
            name: "bare".into(),
            label: "bench".into(),
            sdk: "none".into(),
            types: Vec::new(),
            definitions: Vec::new(),
            event_budget_ms: 500,
            memory_bytes: 0,
            capabilities: Vec::new(),
        }
    }

    fn handle(event: Event) -> Result<(), Error> {
        match (event.kind, event.method) {
            (EventKind::Call, method::NOTHING) => {
                RESIDENTS.with_borrow_mut(|all| resident(all, &event).map(|_| ()))
            }
            (EventKind::Call, method::FULL) => RESIDENTS.with_borrow_mut(|all| full(all, &event)),
            _ => Err(Error::NotFound),
        }
    }

    fn forget(gone: Vec<Id>) {
        RESIDENTS.with_borrow_mut(|all| gone.iter().for_each(|id| drop(all.remove(&(id.c, id.d)))));
    }

    fn snapshot(_: Id) -> Option<Vec<u8>> {
        None
    }

    fn migrate(_: u32, _: u32, _: u32, _: Vec<u8>) -> Result<Vec<u8>, Error> {
        Err(Error::NotFound)
    }
}

fn resident<'a>(all: &'a mut Residents, event: &Event) -> Result<&'a mut Avatar, Error> {
    let avatar = all.entry((event.entity.c, event.entity.d)).or_default();
    if avatar.revision != event.revision {
        let state = entities::load(event.entity).ok_or(Error::NotFound)?;
        *avatar = read(&state.attributes).ok_or(Error::NotFound)?;
        avatar.revision = state.revision;
    }
    Ok(avatar)
}

fn full(all: &mut Residents, event: &Event) -> Result<(), Error> {
    let amount = Reader(&event.args).array_of_int().ok_or_else(|| Error::BadArguments("amount".into()))?;
    let avatar = resident(all, event)?;
    avatar.hp = (avatar.hp + amount) % 10_000;
    avatar.gold += amount;
    avatar.place[0] += 0.5;
    avatar.place[2] += 0.25;
    BUFFERS.with_borrow_mut(|(patch, args)| {
        patch.clear();
        patch.push(attribute::HP);
        int(patch, avatar.hp);
        patch.push(attribute::GOLD);
        int(patch, avatar.gold);
        patch.extend_from_slice(&[attribute::PLACE, 0x83]);
        for part in avatar.place {
            patch.push(0xfa);
            patch.extend_from_slice(&part.to_be_bytes());
        }
        args.clear();
        args.push(0x81);
        int(args, amount);
        let [a, b, c, d] = avatar.friend;
        calls::send(event.entity, Id { a, b, c, d }, event.type_index, method::NOTHING, args, None)?;
        entities::patch(event.entity, patch);
        Ok(())
    })
}

fn int(out: &mut Vec<u8>, value: i64) {
    let (major, size) = if value < 0 { (0x20, !value as u64) } else { (0, value as u64) };
    match size {
        0..=23 => out.push(major | size as u8),
        24..=0xff => out.extend_from_slice(&[major | 24, size as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&(size as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&(size as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&size.to_be_bytes());
        }
    }
}

fn read(state: &[u8]) -> Option<Avatar> {
    let (mut avatar, mut reader) = (Avatar::default(), Reader(state));
    while !reader.0.is_empty() {
        match reader.int()? as u8 {
            attribute::HP => avatar.hp = reader.int()?,
            attribute::GOLD => avatar.gold = reader.int()?,
            attribute::PLACE => {
                reader.take(1)?;
                for part in &mut avatar.place {
                    reader.take(1)?;
                    *part = f32::from_be_bytes(reader.take(4)?.try_into().ok()?);
                }
            }
            attribute::FRIEND => {
                reader.take(1)?;
                for word in &mut avatar.friend {
                    *word = u32::from_be_bytes(reader.take(4)?.try_into().ok()?);
                }
            }
            _ => reader.skip()?,
        }
    }
    Some(avatar)
}

/// Reads CBOR that the host has checked.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn head(&mut self) -> Option<(u8, u64)> {
        let first = *self.take(1)?.first()?;
        let argument = match first & 31 {
            small @ 0..=23 => u64::from(small),
            wide => {
                self.take(1 << (wide - 24).min(3))?.iter().fold(0, |all, byte| all << 8 | u64::from(*byte))
            }
        };
        Some((first >> 5, argument))
    }

    fn int(&mut self) -> Option<i64> {
        match self.head()? {
            (0, value) => Some(value as i64),
            (1, value) => Some(!(value as i64)),
            _ => None,
        }
    }

    fn array_of_int(&mut self) -> Option<i64> {
        self.take(1)?;
        self.int()
    }

    fn skip(&mut self) -> Option<()> {
        let mut left = 1u64;
        while left > 0 {
            left -= 1;
            match self.head()? {
                (2 | 3, length) => drop(self.take(length as usize)?),
                (4, items) => left += items,
                (5, entries) => left += entries * 2,
                _ => {}
            }
        }
        Some(())
    }
}

export!(Bare);
