//! The entities that this instance holds as structs, by id. A cache of what the host has:
//! dropping any of it at any time between two events changes nothing.
//!
//! An entity that a handler uses is taken out of its slot, so a second borrow finds the
//! slot empty: `Busy`, without a `RefCell` and without a panic.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use crate::cbor::Malformed;
use crate::context::Context;
use crate::entity::{Adopt, Entity, Patch, Snapshot, load};
use crate::failure::Error;
use crate::host;
use crate::id::Id;
use crate::methods::{Args, Delivery, Methods};

/// One loaded entity, its type unknown.
pub(crate) trait Resident {
    /// Runs one event of it.
    fn deliver(&mut self, cx: &mut Context, delivery: Delivery, args: Args<'_>) -> Result<(), Error>;
    /// Appends what changed since the last time.
    fn patch(&mut self, patch: &mut Vec<u8>);
    /// Appends all attributes.
    fn snapshot(&mut self, out: &mut Vec<u8>);
    /// Itself, to find its type.
    fn as_any(&mut self) -> &mut dyn Any;
}

/// The struct, and what the host has of its plain attributes.
pub(crate) struct Loaded<T> {
    pub(crate) entity: T,
    marks: Vec<u8>,
    token: u32,
}

impl<T: Entity + Methods> Loaded<T> {
    /// From what the host has.
    pub(crate) fn new(state: &[u8], token: u32) -> Result<Self, Malformed> {
        let mut entity = load::<T>(state)?;
        let mut marks = Vec::new();
        entity.visit(&mut Adopt { token, marks: &mut marks });
        Ok(Self { entity, marks, token })
    }
}

impl<T: Entity + Methods> Resident for Loaded<T> {
    fn deliver(&mut self, cx: &mut Context, delivery: Delivery, args: Args<'_>) -> Result<(), Error> {
        match delivery {
            Delivery::Call(method) => self.entity.call(cx, method, args),
            Delivery::Resume(method) => self.entity.resume(cx, method, args),
            Delivery::Construct => {
                self.entity = T::construct(cx, T::read_args(args)?)?;
                Ok(())
            }
            Delivery::Hook(hook) => self.entity.hook(cx, hook, args),
        }
    }

    fn patch(&mut self, patch: &mut Vec<u8>) {
        self.entity.visit(&mut Patch { token: self.token, marks: &mut self.marks, place: 0, patch });
    }

    fn snapshot(&mut self, out: &mut Vec<u8>) {
        self.entity.visit(&mut Snapshot { out });
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// One entity's place in the table.
pub(crate) struct Slot {
    id: Id,
    pub(crate) type_index: u32,
    pub(crate) revision: u32,
    /// Where it was loaded: only from there it may be touched directly.
    pub(crate) space: Option<Id>,
    /// Whether the running event has it, or had it, to change.
    touched: bool,
    /// None while a handler has it.
    pub(crate) loaded: Option<Box<dyn Resident>>,
}

impl Slot {
    fn touch(&mut self, place: usize, touched: &mut Vec<usize>) {
        if !std::mem::replace(&mut self.touched, true) {
            touched.push(place);
        }
    }
}

/// Ids are hashes already: their last words are as good as any.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    #[inline]
    fn write_u64(&mut self, words: u64) {
        let mixed = (self.0 ^ words).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
}

/// An entity that was taken out.
pub(crate) struct Taken {
    pub(crate) loaded: Box<dyn Resident>,
    /// Index of its type.
    pub(crate) type_index: u32,
    /// Where it goes back to.
    pub(crate) place: usize,
}

/// Finds the loader of a type by its index.
pub(crate) type LoaderOf = fn(u32) -> Option<Loader>;

/// How a type is loaded, by its index.
pub(crate) type Loader = fn(&[u8], u32) -> Result<Box<dyn Resident>, Malformed>;

/// All that is loaded. Kept between events; lent to the [`Context`] of the running one.
#[derive(Default)]
pub(crate) struct Residents {
    /// Places in `slots`: who is handed out is looked up once in an event.
    places: HashMap<Id, usize, BuildHasherDefault<IdHasher>>,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    tokens: u32,
    /// Places of entities handed out in the running event to be changed, in order.
    touched: Vec<usize>,
    /// Of entities loaded in the running event: perhaps born in it.
    fresh: Vec<usize>,
    /// Memory of the contexts' frames.
    pub(crate) frames: Vec<(Id, u32)>,
    patch: Vec<u8>,
    /// What was computed for a space, by its type.
    pub(crate) caches: HashMap<(Option<Id>, TypeId), Rc<dyn Any>>,
}

impl Residents {
    /// Takes the entity that the event is for out, loading it if it is not here or is not the
    /// one that the host has now.
    pub(crate) fn take_own(&mut self, id: Id, revision: u32, loader: LoaderOf) -> Result<Taken, Error> {
        if let Some((place, slot)) = Self::find(&self.places, &mut self.slots, id)
            && slot.revision == revision
        {
            let loaded = slot.loaded.take().ok_or(Error::Busy)?;
            slot.touch(place, &mut self.touched);
            return Ok(Taken { loaded, type_index: slot.type_index, place });
        }
        self.load(id, (host::spaces::current().map(Id::from), true), loader)
    }

    /// Takes another entity of a space out, to look at or to change, loading it if it is not here.
    pub(crate) fn take_other(
        &mut self,
        id: Id,
        (space, changes): (Option<Id>, bool),
        loader: LoaderOf,
    ) -> Result<Taken, Error> {
        if let Some((place, slot)) = Self::find(&self.places, &mut self.slots, id)
            && (slot.loaded.is_none() || space.is_some() && slot.space == space)
        {
            let loaded = slot.loaded.take().ok_or(Error::Busy)?;
            if changes {
                slot.touch(place, &mut self.touched);
            }
            return Ok(Taken { loaded, type_index: slot.type_index, place });
        }
        // Whether it may be reached from here is for the host to say.
        self.load(id, (space, changes), loader)
    }

    fn load(
        &mut self,
        id: Id,
        (space, changes): (Option<Id>, bool),
        loader: LoaderOf,
    ) -> Result<Taken, Error> {
        let state = host::entities::load(id.into()).ok_or(Error::NotFound)?;
        let loader = loader(state.type_index).ok_or(Error::NotFound)?;
        self.tokens = self.tokens.wrapping_add(1).max(1);
        let loaded = loader(&state.attributes, self.tokens)
            .map_err(|bad| Error::Other(format!("state of {id}: {bad}")))?;
        let (type_index, revision) = (state.type_index, state.revision);
        let mut slot = Slot { id, type_index, revision, space, touched: false, loaded: None };
        let place = self.place_of(id);
        if changes {
            slot.touch(place, &mut self.touched);
        }
        if let Some(there) = self.slots.get_mut(place) {
            *there = Some(slot);
        }
        self.fresh.push(place);
        Ok(Taken { loaded, type_index, place })
    }

    /// The place of an entity, or one for it.
    fn place_of(&mut self, id: Id) -> usize {
        let Self { places, slots, free, .. } = self;
        *places.entry(id).or_insert_with(|| {
            free.pop().unwrap_or_else(|| {
                slots.push(None);
                slots.len() - 1
            })
        })
    }

    fn find<'s>(
        places: &HashMap<Id, usize, BuildHasherDefault<IdHasher>>,
        slots: &'s mut [Option<Slot>],
        id: Id,
    ) -> Option<(usize, &'s mut Slot)> {
        let place = *places.get(&id)?;
        Some((place, slots.get_mut(place)?.as_mut()?))
    }

    fn remove(&mut self, place: usize) {
        if let Some(slot) = self.slots.get_mut(place).and_then(Option::take) {
            self.places.remove(&slot.id);
            self.free.push(place);
        }
    }

    /// Puts an entity back.
    pub(crate) fn put(&mut self, place: usize, loaded: Box<dyn Resident>) {
        if let Some(Some(slot)) = self.slots.get_mut(place) {
            slot.loaded = Some(loaded);
        }
    }

    /// Tells the host what the running event changed.
    pub(crate) fn commit(&mut self) {
        let touched = std::mem::take(&mut self.touched);
        for place in &touched {
            let Some(Some(slot)) = self.slots.get_mut(*place) else { continue };
            slot.touched = false;
            let Some(loaded) = &mut slot.loaded else { continue };
            self.patch.clear();
            loaded.patch(&mut self.patch);
            if !self.patch.is_empty() {
                host::entities::patch(slot.id.into(), &self.patch);
            }
        }
        self.touched = touched;
        self.touched.clear();
        self.fresh.clear();
    }

    /// Forgets all that the running event handed out or loaded: the host undoes it.
    pub(crate) fn roll_back(&mut self) {
        while let Some(place) = self.touched.pop().or_else(|| self.fresh.pop()) {
            self.remove(place);
        }
    }

    /// Forgets an entity.
    pub(crate) fn forget(&mut self, id: Id) {
        if let Some(place) = self.places.get(&id).copied() {
            self.remove(place);
        }
    }

    /// All attributes of an entity, if it is here.
    pub(crate) fn snapshot(&mut self, id: Id) -> Option<Vec<u8>> {
        let (_, slot) = Self::find(&self.places, &mut self.slots, id)?;
        let mut out = Vec::new();
        slot.loaded.as_mut()?.snapshot(&mut out);
        Some(out)
    }
}
