//! The compiler and the allocator behind all instances of a process, and the clock that
//! interrupts them. Knows nothing of components or events.

use std::num::NonZeroUsize;
use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, WasmBacktraceDetails};

use super::bindings::Module;
use super::clock::{Ticker, Turns};
use super::limits;
use super::state::InstanceState;

/// What cuts a handler that does not end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interruption {
    /// Its CPU time: production.
    #[default]
    Epoch,
    /// The instructions it ran: simulation and replay, the same on every machine.
    Fuel,
}

/// What an operator can set.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// What cuts a handler that does not end.
    pub interruption: Interruption,
    /// Most instances at a time.
    pub instances: u32,
    /// CPU time of one event for modules that ask for nothing.
    pub event_budget_ms_default: u32,
    /// Caps what modules ask for.
    pub event_budget_ms_max: u32,
    /// Linear memory of one instance for modules that ask for nothing.
    pub memory_bytes_default: usize,
    /// Caps what modules ask for.
    pub memory_bytes_max: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            interruption: Interruption::Epoch,
            instances: limits::INSTANCES_DEFAULT,
            event_budget_ms_default: limits::EVENT_BUDGET_MS_DEFAULT,
            event_budget_ms_max: limits::EVENT_BUDGET_MS_MAX,
            memory_bytes_default: limits::MEMORY_BYTES_DEFAULT,
            memory_bytes_max: limits::MEMORY_BYTES_MAX,
        }
    }
}

impl EngineConfig {
    /// Small and exactly repeatable: for simulations and tests.
    #[must_use]
    pub fn repeatable() -> Self {
        Self { interruption: Interruption::Fuel, instances: 64, ..Self::default() }
    }
}

/// The engine could not be made: the machine lacks address space, or the configuration is wrong.
#[derive(Debug, thiserror::Error)]
#[error("the WASM engine cannot start: {0}")]
pub struct EngineError(String);

/// Compiles components and holds the pool that their instances come from.
pub struct Engine {
    pub(super) inner: wasmtime::Engine,
    pub(super) linker: Linker<InstanceState>,
    /// Who runs handlers: without any the clock rests.
    pub(super) turns: Arc<Turns>,
    config: EngineConfig,
    ticker: Option<Ticker>,
}

impl Engine {
    /// Reserves the pool, and starts the clock if time cuts handlers.
    pub fn new(config: EngineConfig) -> Result<Arc<Self>, EngineError> {
        let failed = |error: wasmtime::Error| EngineError(format!("{error:#}"));
        let inner = wasmtime::Engine::new(&wasmtime_config(&config)).map_err(failed)?;
        let mut linker = Linker::new(&inner);
        Module::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state).map_err(failed)?;
        super::imports::link(&mut linker).map_err(failed)?;
        let turns = Arc::new(Turns::default());
        let ticker = match config.interruption {
            Interruption::Epoch => {
                let ticker = Ticker::start(inner.clone(), turns.clone());
                Some(ticker.map_err(|error| EngineError(error.to_string()))?)
            }
            Interruption::Fuel => None,
        };
        Ok(Arc::new(Self { inner, linker, turns, config, ticker }))
    }

    /// What it was made with.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// CPU time that events of a module may take which asks for `asked` ms.
    #[must_use]
    pub fn event_budget_ms(&self, asked: u32) -> u32 {
        let wanted = if asked == 0 { self.config.event_budget_ms_default } else { asked };
        wanted.min(self.config.event_budget_ms_max).max(1)
    }

    /// Linear memory that an instance of a module may have which asks for `asked` bytes.
    #[must_use]
    pub fn memory_bytes(&self, asked: u32) -> usize {
        let wanted = if asked == 0 { self.config.memory_bytes_default } else { asked as usize };
        wanted.min(self.config.memory_bytes_max)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(ticker) = self.ticker.take() {
            ticker.stop();
        }
    }
}

fn wasmtime_config(config: &EngineConfig) -> Config {
    let mut wasm = Config::new();
    // On by default, and it makes every call two to three times dearer.
    wasm.concurrency_support(false);
    wasm.cranelift_opt_level(OptLevel::Speed);
    wasm.epoch_interruption(config.interruption == Interruption::Epoch);
    wasm.consume_fuel(config.interruption == Interruption::Fuel);
    wasm.max_wasm_stack(limits::WASM_STACK_BYTES);
    // Its results may differ between machines.
    wasm.wasm_relaxed_simd(false);
    // Looking lines up costs milliseconds in the trap's path: `symbols` does it later.
    wasm.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    wasm.wasm_backtrace_max_frames(NonZeroUsize::new(limits::TRAP_FRAMES_MAX));
    wasm.memory_init_cow(true);
    wasm.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config)));
    wasm
}

/// Generous per component: other languages need several memories, tables and core modules.
fn pool(config: &EngineConfig) -> PoolingAllocationConfig {
    let instances = config.instances.max(1);
    let slots = |each: u32, least: u32| instances.saturating_mul(each).max(least);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(slots(CORE_INSTANCES_PER_SLOT, limits::CORE_INSTANCES_PER_COMPONENT_MAX))
        .total_memories(slots(limits::MEMORY_SLOTS_PER_INSTANCE, limits::MEMORIES_PER_COMPONENT_MAX))
        .total_tables(slots(limits::TABLE_SLOTS_PER_INSTANCE, limits::TABLES_PER_COMPONENT_MAX))
        .max_core_instances_per_component(limits::CORE_INSTANCES_PER_COMPONENT_MAX)
        .max_memories_per_component(limits::MEMORIES_PER_COMPONENT_MAX)
        .max_tables_per_component(limits::TABLES_PER_COMPONENT_MAX)
        .max_tables_per_module(limits::TABLES_PER_COMPONENT_MAX)
        .max_memories_per_module(limits::MEMORIES_PER_COMPONENT_MAX)
        .max_component_instance_size(limits::INSTANCE_BYTES_MAX)
        .max_core_instance_size(limits::INSTANCE_BYTES_MAX)
        .max_memory_size(config.memory_bytes_max)
        .table_elements(limits::TABLE_ELEMENTS_MAX);
    pool
}

/// Core instances are counted, not reserved, so this only has to be plenty.
const CORE_INSTANCES_PER_SLOT: u32 = 8;
