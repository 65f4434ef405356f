//! Everything that a mock world is, as plain data: undoing an event is going back to a copy.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use super::attributes::Attributes;
use crate::bindings::everwake::game::manifests::{EntityType, Manifest, TypeKind};
use crate::cbor;
use crate::clients::ClientInfo;
use crate::id::Id;
use crate::types::Pose;
use crate::value::Value;

/// The hooks by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[expect(dead_code, reason = "the place is the number; a mock world has no store and no processes")]
pub(crate) enum Hook {
    Construct,
    Create,
    Load,
    Ready,
    EnterSpace,
    LeaveSpace,
    EnterFailed,
    MemberEnter,
    MemberLeave,
    EnterAoi,
    LeaveAoi,
    Watched,
    Unwatched,
    Client,
    ClientLost,
    GiveFailed,
    MovedGame,
    Swapped,
    Data,
    Reset,
    Unhandled,
    Destroy,
}

/// One entity, space or service shard.
#[derive(Clone, Debug)]
pub(crate) struct Entity {
    pub(crate) type_index: u32,
    pub(crate) revision: u32,
    pub(crate) attributes: Attributes,
    /// Where it is; a space is in itself.
    pub(crate) space: Option<Id>,
    pub(crate) pose: Pose,
    pub(crate) motion: Vec<u8>,
    pub(crate) layers: (u32, u32),
    pub(crate) client_moves: bool,
    pub(crate) client: Option<Client>,
    pub(crate) dying: bool,
    /// When it entered, among all.
    pub(crate) order: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) info: ClientInfo,
    pub(crate) filters: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Timer {
    pub(crate) owner: Id,
    pub(crate) method: u32,
    pub(crate) context: Vec<u8>,
    pub(crate) next: u64,
    pub(crate) repeat: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) owner: Id,
    pub(crate) target: Id,
    pub(crate) method: u32,
    pub(crate) context: Vec<u8>,
}

/// Who gets an answer.
#[derive(Clone, Debug)]
pub(crate) struct Then {
    /// Nil: the test itself.
    pub(crate) owner: Id,
    pub(crate) method: u32,
    pub(crate) context: Vec<u8>,
    pub(crate) deadline: u64,
    /// Of a gathering: the answers so far.
    pub(crate) parts: Option<Vec<Option<Vec<u8>>>>,
}

/// One place for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) then: u64,
    pub(crate) part: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) target: Id,
    pub(crate) type_index: u32,
    pub(crate) method: u32,
    pub(crate) args: Vec<u8>,
    pub(crate) origin: u32,
    pub(crate) caller: Option<Id>,
    pub(crate) reply: Option<Slot>,
    /// Who gets it back.
    pub(crate) bounce: Option<(Id, u32, Vec<u8>)>,
}

/// What waits to be delivered.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Call(Call),
    Resume {
        owner: Id,
        method: u32,
        context: Vec<u8>,
        outcome: Vec<u8>,
    },
    Watch {
        watch: Id,
        reason: u32,
    },
    Timer {
        timer: Id,
        missed: u32,
    },
    Create {
        id: Id,
        type_index: u32,
        args: Vec<u8>,
        space: Option<Id>,
        at: Pose,
        reply: Option<Slot>,
        client: bool,
    },
    Tick {
        space: Id,
        type_index: u32,
    },
    Enter {
        entity: Id,
        to: Option<Id>,
        at: Pose,
    },
}

/// What has happened already: before anything that waits.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    Hook { entity: Id, hook: Hook, args: Vec<u8> },
    Moved { entity: Id, to: Option<Id>, at: Pose },
    Gone { entity: Id },
}

/// A mock world.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) manifest: Rc<Manifest>,
    pub(crate) now: u64,
    pub(crate) seed: u64,
    pub(crate) entities: BTreeMap<Id, Entity>,
    pub(crate) shards: BTreeMap<(u32, u32), Id>,
    pub(crate) timers: BTreeMap<Id, Timer>,
    pub(crate) watches: BTreeMap<Id, Watch>,
    pub(crate) waiting: BTreeMap<u64, Then>,
    pub(crate) deferred: BTreeMap<Id, (Id, Slot)>,
    pub(crate) store: BTreeMap<String, Vec<u8>>,
    pub(crate) facts: VecDeque<Fact>,
    pub(crate) items: VecDeque<Item>,
    pub(crate) received: BTreeMap<Id, Vec<super::ClientCall>>,
    pub(crate) sights: BTreeMap<Id, BTreeSet<Id>>,
    pub(crate) watched: BTreeSet<Id>,
    pub(crate) answers: BTreeMap<u64, Vec<u8>>,
    pub(crate) next_tick: BTreeMap<(Id, u32), u64>,
    pub(crate) transcript: Vec<String>,
    /// The module forgets everything after each event.
    pub(crate) drops: bool,
    pub(crate) ids: u32,
    pub(crate) count: u64,
}

impl State {
    pub(crate) fn new(manifest: Manifest) -> Self {
        Self {
            manifest: Rc::new(manifest),
            now: 1_000_000_000_000,
            seed: 0,
            entities: BTreeMap::new(),
            shards: BTreeMap::new(),
            timers: BTreeMap::new(),
            watches: BTreeMap::new(),
            waiting: BTreeMap::new(),
            deferred: BTreeMap::new(),
            store: BTreeMap::new(),
            facts: VecDeque::new(),
            items: VecDeque::new(),
            received: BTreeMap::new(),
            sights: BTreeMap::new(),
            watched: BTreeSet::new(),
            answers: BTreeMap::new(),
            next_tick: BTreeMap::new(),
            transcript: Vec::new(),
            drops: false,
            ids: 0,
            count: 0,
        }
    }

    /// A fresh id.
    pub(crate) fn mint(&mut self) -> Id {
        self.ids += 1;
        Id([0, 0, 0, self.ids])
    }

    /// A fresh number, for order.
    pub(crate) fn count(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// The chance of the next event: a step of splitmix64 for each word.
    pub(crate) fn draw(&mut self) -> [u32; 4] {
        [(); 4].map(|()| {
            self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.seed ^ self.seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) as u32
        })
    }

    pub(crate) fn type_of(&self, type_index: u32) -> Option<&EntityType> {
        self.manifest.types.get(type_index as usize)
    }

    pub(crate) fn kind_of(&self, type_index: u32) -> Option<TypeKind> {
        self.type_of(type_index).map(|about| about.kind)
    }

    /// An entity with its initial attributes, known from now on.
    pub(crate) fn insert(&mut self, id: Id, type_index: u32, space: Option<Id>, pose: Pose) {
        let manifest = Rc::clone(&self.manifest);
        let Some(about) = manifest.types.get(type_index as usize) else { panic!("no type {type_index}") };
        let attributes = Attributes::initial(&about.attributes)
            .unwrap_or_else(|bad| panic!("initial values of {}: {bad}", about.name));
        let (order, layers) = (self.count(), (u32::MAX, u32::MAX));
        let space = if about.kind == TypeKind::Space { Some(id) } else { space };
        let motion = Vec::new();
        let entity = Entity {
            type_index,
            revision: 1,
            attributes,
            space,
            pose,
            motion,
            layers,
            client_moves: false,
            client: None,
            dying: false,
            order,
        };
        self.entities.insert(id, entity);
    }

    /// The members of a space in the order they entered, without the space itself.
    pub(crate) fn members(&self, space: Id) -> Vec<Id> {
        let mut members: Vec<(u64, Id)> = self
            .entities
            .iter()
            .filter(|(id, entity)| entity.space == Some(space) && **id != space)
            .map(|(id, entity)| (entity.order, *id))
            .collect();
        members.sort_unstable();
        members.into_iter().map(|(_, id)| id).collect()
    }

    /// Queues a hook, if the type has it.
    pub(crate) fn tell(&mut self, entity: Id, hook: Hook, args: Vec<u8>) {
        let type_index = self.entities.get(&entity).map(|entity| entity.type_index);
        let has = type_index
            .and_then(|index| self.type_of(index))
            .is_some_and(|about| about.hooks.contains(&(hook as u32)));
        if has {
            self.facts.push_back(Fact::Hook { entity, hook, args });
        }
    }

    /// Gives an answer to whoever waits for it.
    pub(crate) fn resolve(&mut self, slot: Slot, outcome: Vec<u8>) {
        let Some(then) = self.waiting.get_mut(&slot.then) else { return };
        let outcome = match &mut then.parts {
            None => outcome,
            Some(parts) => {
                if let Some(part @ None) = parts.get_mut(slot.part) {
                    *part = Some(outcome);
                }
                if parts.iter().any(Option::is_none) {
                    return;
                }
                gathered(parts)
            }
        };
        let Some(Then { owner, method, context, .. }) = self.waiting.remove(&slot.then) else { return };
        if owner.is_nil() {
            self.answers.insert(slot.then, outcome);
        } else {
            self.items.push_back(Item::Resume { owner, method, context, outcome });
        }
    }
}

fn gathered(parts: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut out = Vec::new();
    cbor::array(&mut out, 2);
    cbor::unsigned(&mut out, 0);
    cbor::array(&mut out, parts.len());
    parts.iter().flatten().for_each(|part| out.extend_from_slice(part));
    out
}

/// `[0, value]`.
pub(crate) fn done(value: &[u8]) -> Vec<u8> {
    let mut out = vec![0x82, 0];
    out.extend_from_slice(value);
    out
}

/// `[1, certainty, code, detail]`.
pub(crate) fn failed(certainty: u64, code: &str, detail: &[u8]) -> Vec<u8> {
    let mut out = vec![0x84, 1];
    cbor::unsigned(&mut out, certainty);
    cbor::text(&mut out, code);
    out.extend_from_slice(if detail.is_empty() { &[cbor::NULL] } else { detail });
    out
}

/// Surely did not happen, with a text.
pub(crate) fn not_run(code: &str, text: &str) -> Vec<u8> {
    let mut detail = Vec::new();
    if !text.is_empty() {
        cbor::text(&mut detail, text);
    }
    failed(0, code, &detail)
}

/// `[a, b]`.
pub(crate) fn list(items: &[&dyn Encode]) -> Vec<u8> {
    let mut out = Vec::new();
    cbor::array(&mut out, items.len());
    items.iter().for_each(|item| item.write(&mut out));
    out
}

/// A value that is not generic, for [`list`].
pub(crate) trait Encode {
    fn write(&self, out: &mut Vec<u8>);
}

impl<T: Value> Encode for T {
    fn write(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }
}
