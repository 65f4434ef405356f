//! The module as the host sees it: its five exports over the list of its types.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::bindings::everwake::game::types as wit;
use crate::bindings::exports::everwake::game::logic::{Event, EventKind};
use crate::cbor::Malformed;
use crate::context::Context;
use crate::entity::InModule;
use crate::failure::Error;
use crate::host;
use crate::id::Id;
use crate::manifest::{Definitions, Manifest, describe};
use crate::methods::{Args, Delivery};
use crate::migrate::State;
use crate::poison;
use crate::resident::{Loaded, Loader, Resident, Residents, Taken};

/// A game: a name and a list of types. `module!` makes one.
pub trait Module: 'static {
    /// Name of the module, constant over its versions.
    const NAME: &'static str;
    /// Author's label of this version.
    const LABEL: &'static str;
    /// Its types, in the order of their indexes.
    const TYPES: &'static [TypeEntry];
    /// Most CPU time one event may take; zero means the host's default.
    const BUDGET: Duration;
    /// Most linear memory; zero means the host's default.
    const MEMORY: u32;
    /// What it wants to be allowed.
    const CAPABILITIES: &'static [&'static str];
}

/// What the module knows about one of its types.
pub struct TypeEntry {
    load: Loader,
    tick: fn(&mut Context, Args<'_>) -> Result<(), Error>,
    migrate: fn(u32, u32, &mut State) -> Result<(), Error>,
    describe: fn(&mut Definitions) -> crate::bindings::everwake::game::manifests::EntityType,
}

impl TypeEntry {
    /// Of a type.
    pub const fn of<T: InModule>() -> Self {
        Self {
            load: load_boxed::<T>,
            tick: crate::tick::run::<T>,
            migrate: T::migrate,
            describe: describe::<T>,
        }
    }
}

fn load_boxed<T: InModule>(state: &[u8], token: u32) -> Result<Box<dyn Resident>, Malformed> {
    Ok(Box::new(Loaded::<T>::new(state, token)?))
}

fn loader_of<M: Module>(type_index: u32) -> Option<Loader> {
    M::TYPES.get(type_index as usize).map(|entry| entry.load)
}

thread_local! {
    /// A cache: what is loaded may be dropped between any two events.
    static RESIDENTS: RefCell<Option<Box<Residents>>> = const { RefCell::new(None) };
    static HOOKED: Cell<bool> = const { Cell::new(false) };
}

/// `logic.describe`.
pub fn describe_module<M: Module>() -> Manifest {
    let mut definitions = Definitions::default();
    let types = M::TYPES.iter().map(|entry| (entry.describe)(&mut definitions)).collect();
    Manifest {
        name: M::NAME.into(),
        label: M::LABEL.into(),
        sdk: concat!("everwake-rust ", env!("CARGO_PKG_VERSION")).into(),
        types,
        definitions: definitions.into_list(),
        event_budget_ms: u32::try_from(M::BUDGET.as_millis()).unwrap_or(u32::MAX),
        memory_bytes: M::MEMORY,
        capabilities: M::CAPABILITIES.iter().map(|name| (*name).into()).collect(),
    }
}

/// `logic.handle`.
pub fn handle<M: Module>(event: Event) -> Result<(), wit::Error> {
    handle_with::<M, ()>(&event, |cx| run::<M>(cx, &event)).map_err(wit::Error::from)
}

/// Runs `act` as the handler of an event: patches if it is well, else forgets.
pub(crate) fn handle_with<M: Module, R>(
    event: &Event,
    act: impl FnOnce(&mut Context) -> Result<R, Error>,
) -> Result<R, Error> {
    install_panic_hook();
    let _ = poison::take();
    let residents = RESIDENTS.take().unwrap_or_default();
    let mut cx = Context::new(event, residents, loader_of::<M>);
    let result = act(&mut cx);
    let result = match poison::take() {
        Some(error) => result.and(Err(error)),
        None => result,
    };
    let mut residents = cx.close();
    if result.is_ok() {
        residents.commit();
    } else {
        residents.roll_back();
    }
    RESIDENTS.set(Some(residents));
    result
}

fn run<M: Module>(cx: &mut Context, event: &Event) -> Result<(), Error> {
    let args = Args { bytes: &event.args };
    let delivery = match event.kind {
        EventKind::Call => Delivery::Call(event.method),
        EventKind::Resume | EventKind::Timer => Delivery::Resume(event.method),
        EventKind::Hook if event.method == 0 => Delivery::Construct,
        EventKind::Hook => Delivery::Hook(event.method),
        EventKind::Tick => {
            let entry = M::TYPES.get(event.type_index as usize).ok_or(Error::NotFound)?;
            return (entry.tick)(cx, args);
        }
    };
    let id = Id::from(event.entity);
    let Taken { loaded: mut resident, place, .. } = cx.take_own(id, event.revision)?;
    let result = resident.deliver(cx, delivery, args);
    cx.residents.put(place, resident);
    result
}

/// `logic.forget`.
pub fn forget(entities: &[wit::Id]) {
    RESIDENTS.with_borrow_mut(|residents| {
        let residents = residents.get_or_insert_default();
        entities.iter().for_each(|id| residents.forget((*id).into()));
    });
}

/// Drops all that is loaded, as a fresh instance would have it.
pub fn forget_all() {
    RESIDENTS.take();
}

/// `logic.snapshot`.
pub fn snapshot(entity: wit::Id) -> Option<Vec<u8>> {
    RESIDENTS.with_borrow_mut(|residents| residents.as_mut()?.snapshot(entity.into()))
}

/// `logic.migrate`.
pub fn migrate<M: Module>(type_index: u32, from: u32, to: u32, state: &[u8]) -> Result<Vec<u8>, wit::Error> {
    let migrated = || {
        let entry = M::TYPES.get(type_index as usize).ok_or(Error::NotFound)?;
        let mut state = State::read(state)?;
        (entry.migrate)(from, to, &mut state)?;
        Ok::<_, Error>(state.write())
    };
    migrated().map_err(wit::Error::from)
}

/// The message and the place of a panic reach the log before the trap.
fn install_panic_hook() {
    if cfg!(target_arch = "wasm32") && !HOOKED.replace(true) {
        std::panic::set_hook(Box::new(|panic| host::log::panicked(&panic.to_string())));
    }
}
