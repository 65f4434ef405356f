//! One instance of a component, as a [`Guest`].
//!
//! Whatever ends a call with a trap ends the instance: it is dropped at once, and every later
//! call says so. Making another one is the owner's business.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use everwake_protocol::EntityId;
use wasmtime::Store;

use super::bindings::everwake::game::manifests;
use super::bindings::exports::everwake::game::logic;
use super::bindings::{Module, ModulePre};
use super::convert;
use super::engine::{Engine, Interruption};
use super::limits::{FUEL_PER_MS, HOUSEKEEPING_BUDGET_MS, IMPORT_BYTES_MAX, MIGRATIONS_BUDGET_MS_MAX};
use super::load::LoadedVersion;
use super::state::{InstanceState, Phase, ticks};
use super::{cpu, trap};
use crate::guest::{Event, Guest, GuestError, Imports, Trap, TrapKind, Verdict};

/// An instance of a module.
pub struct WasmGuest {
    version: Arc<LoadedVersion>,
    interruption: Interruption,
    /// Gone after a trap.
    live: Option<Live>,
    fuel_used: Option<u64>,
    migrations: Migrations,
}

/// What `migrate` may still take of one instance.
struct Migrations {
    /// CPU time, or its worth of fuel.
    left: Duration,
    /// When CPU time was read last, by both clocks. Reading it costs as much as a short `migrate`, and it
    /// never runs faster than the wall's: so it is read once that has gone on for [`CPU_READ_AFTER`].
    read: Option<(Instant, Duration)>,
}

/// How much later than allowed a module may be told that its migrations take too long.
const CPU_READ_AFTER: Duration = Duration::from_millis(1);

struct Live {
    store: Store<InstanceState>,
    module: Module,
}

/// What an instance is made of.
pub(super) struct Making<'a> {
    pub(super) engine: &'a Engine,
    pub(super) pre: &'a ModulePre<InstanceState>,
    pub(super) modules: &'a [Range<usize>],
    pub(super) memory_bytes_max: usize,
    pub(super) budget_ms: u32,
}

impl WasmGuest {
    pub(super) fn new(version: Arc<LoadedVersion>) -> Result<Self, Trap> {
        let making = version.making();
        let interruption = making.engine.config().interruption;
        let live = make(&making)?;
        let left = Duration::from_millis(u64::from(MIGRATIONS_BUDGET_MS_MAX));
        let migrations = Migrations { left, read: None };
        Ok(Self { live: Some(live), interruption, fuel_used: None, migrations, version })
    }

    /// Asks a scratch instance what the module is.
    pub(super) fn describe(making: &Making<'_>) -> Result<manifests::Manifest, Trap> {
        let mut live = make(making)?;
        live.store.data_mut().phase = Phase::Housekeeping;
        start(&mut live.store, making.engine.config().interruption, making.budget_ms);
        let described = live.module.everwake_game_logic().call_describe(&mut live.store);
        described.map_err(|error| trap::classify(&error, live.store.data(), making.modules))
    }

    /// The version that it is an instance of.
    #[must_use]
    pub fn version(&self) -> &Arc<LoadedVersion> {
        &self.version
    }

    /// Fuel that the last call used, where fuel replaces time: the same on every machine.
    #[must_use]
    pub fn fuel_used(&self) -> Option<u64> {
        self.fuel_used
    }

    /// Makes one call under the instance's limits. A trap drops the instance.
    fn call<R>(
        &mut self,
        phase: Phase,
        budget_ms: u32,
        call: impl FnOnce(&mut Store<InstanceState>, &logic::Guest) -> wasmtime::Result<R>,
    ) -> Result<R, Trap> {
        let Some(live) = &mut self.live else { return Err(gone()) };
        live.store.data_mut().phase = phase;
        let fuel = start(&mut live.store, self.interruption, budget_ms);
        let result = call(&mut live.store, live.module.everwake_game_logic());
        self.fuel_used = fuel.map(|given| given - live.store.get_fuel().unwrap_or(0));
        live.store.data_mut().phase = Phase::Idle;
        match result {
            Ok(value) => Ok(value),
            Err(error) => {
                let trap = trap::classify(&error, live.store.data(), self.version.modules());
                self.live = None;
                Err(trap)
            }
        }
    }
}

impl Guest for WasmGuest {
    fn handle(&mut self, event: &Event, host: Box<dyn Imports>) -> (Box<dyn Imports>, Verdict) {
        let mut lent = Some(host);
        let budget_ms = self.version.budget_ms();
        let outcome = self.call(Phase::Running, budget_ms, |store, logic| {
            store.data_mut().host = lent.take();
            let outcome = logic.call_handle(&mut *store, convert::event_out(event));
            lent = store.data_mut().host.take();
            outcome
        });
        let verdict = match outcome {
            Ok(Ok(())) => Verdict::Done,
            Ok(Err(error)) => Verdict::Failed(convert::error(error)),
            Err(trap) => Verdict::Trapped(trap),
        };
        #[expect(clippy::expect_used, reason = "only this function takes it, and it puts it back above")]
        let host = lent.expect("the transaction comes back");
        (host, verdict)
    }

    fn forget(&mut self, entities: &[EntityId]) -> Result<(), Trap> {
        let entities: Vec<_> = entities.iter().copied().map(convert::entity_out).collect();
        self.call(Phase::Housekeeping, self.housekeeping_ms(), |store, logic| {
            logic.call_forget(store, &entities)
        })
    }

    fn snapshot(&mut self, entity: EntityId) -> Result<Option<Bytes>, Trap> {
        let entity = convert::entity_out(entity);
        let held = self.call(Phase::Housekeeping, self.housekeeping_ms(), |store, logic| {
            logic.call_snapshot(store, entity)
        });
        Ok(held?.map(Bytes::from))
    }

    fn migrate(
        &mut self,
        type_index: u32,
        from: u32,
        to: u32,
        state: &[u8],
    ) -> Result<Result<Bytes, GuestError>, Trap> {
        let Some(left_ms) = self.migrations.begin() else { return Err(too_many_migrations()) };
        let migrated = self.call(Phase::Housekeeping, self.housekeeping_ms().min(left_ms), |store, logic| {
            logic.call_migrate(store, type_index, from, to, state)
        });
        self.migrations.end(self.fuel_used);
        Ok(migrated?.map(Bytes::from).map_err(convert::error))
    }

    fn memory_bytes(&self) -> (usize, usize) {
        let used = self.live.as_ref().map_or(0, |live| live.store.data().memory.bytes);
        (used, self.version.memory_bytes_max())
    }
}

impl Migrations {
    /// One begins: milliseconds that are left, none if that is nothing.
    fn begin(&mut self) -> Option<u32> {
        self.read.get_or_insert_with(|| (Instant::now(), cpu::thread_time()));
        u32::try_from(self.left.as_millis()).ok().filter(|left_ms| *left_ms > 0)
    }

    /// One is over. What the host does between two of them counts too.
    fn end(&mut self, fuel_used: Option<u64>) {
        let used = match (fuel_used, self.read) {
            (Some(fuel), _) => Duration::from_nanos(fuel.saturating_mul(1_000_000) / FUEL_PER_MS),
            (None, Some((wall, cpu))) => {
                let passed = wall.elapsed();
                if passed < CPU_READ_AFTER {
                    return;
                }
                self.read = None;
                // Should another thread have gone on with the instance, its clock has nothing to do with ours.
                cpu::thread_time().saturating_sub(cpu).min(passed)
            }
            (None, None) => return,
        };
        self.left = self.left.saturating_sub(used);
    }
}

impl WasmGuest {
    fn housekeeping_ms(&self) -> u32 {
        self.version.budget_ms().max(HOUSEKEEPING_BUDGET_MS)
    }
}

fn make(making: &Making<'_>) -> Result<Live, Trap> {
    let mut store = Store::new(&making.engine.inner, InstanceState::new(making.memory_bytes_max));
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(IMPORT_BYTES_MAX);
    let interruption = making.engine.config().interruption;
    if interruption == Interruption::Epoch {
        store.epoch_deadline_callback(|mut context| Ok(context.data_mut().deadline.passed()));
    }
    start(&mut store, interruption, making.budget_ms);
    match making.pre.instantiate(&mut store) {
        Ok(module) => Ok(Live { store, module }),
        Err(error) => {
            let trap = trap::classify(&error, store.data(), making.modules);
            let full = error.is::<wasmtime::PoolConcurrencyLimitError>();
            Err(Trap { kind: if full { TrapKind::NoRoom } else { TrapKind::Instantiate }, ..trap })
        }
    }
}

/// Opens a call's budget; tells the fuel that was given, if fuel is what is counted.
fn start(store: &mut Store<InstanceState>, interruption: Interruption, budget_ms: u32) -> Option<u64> {
    let state = store.data_mut();
    state.memory.denied = false;
    state.last_words = None;
    match interruption {
        Interruption::Epoch => {
            state.deadline.start(budget_ms);
            store.set_epoch_deadline(ticks(Duration::from_millis(u64::from(budget_ms))));
            None
        }
        Interruption::Fuel => {
            let fuel = u64::from(budget_ms).saturating_mul(FUEL_PER_MS);
            // Fails only where fuel is off.
            store.set_fuel(fuel).ok()?;
            Some(fuel)
        }
    }
}

fn too_many_migrations() -> Trap {
    let message =
        format!("the migrations of one space take longer than {MIGRATIONS_BUDGET_MS_MAX} ms of CPU time");
    Trap { kind: TrapKind::TimedOut, message, frames: Vec::new() }
}

fn gone() -> Trap {
    Trap {
        kind: TrapKind::Fault,
        message: "the instance died in an earlier event".into(),
        frames: Vec::new(),
    }
}
