//! Every bound on what a component or an instance may use, with what it stops.
//!
//! What the game's own requests may use (messages, spawns, timers) is the space's business.

/// Largest component that is looked at. Stops an upload from filling memory; the largest known
/// toolchain (a JavaScript engine) makes 12 MiB, with symbols a few times that.
pub const COMPONENT_BYTES_MAX: usize = 96 * 1024 * 1024;
/// Components inside of components. Stops the stripper's recursion.
pub const COMPONENT_DEPTH_MAX: usize = 8;

/// CPU time of one event, if neither module nor operator says anything.
pub const EVENT_BUDGET_MS_DEFAULT: u32 = 10;
/// Most CPU time of one event that a module can ask for, if the operator says nothing.
pub const EVENT_BUDGET_MS_MAX: u32 = 1_000;
/// CPU time of `describe`, and of making an instance. Stops a component that hangs while loading.
pub const DESCRIBE_BUDGET_MS: u32 = 2_000;
/// CPU time of `forget`, `snapshot` and `migrate`, at least.
pub const HOUSEKEEPING_BUDGET_MS: u32 = 100;
/// CPU time of all `migrate` calls of one instance: what one space may stand still for a swap or a
/// rehearsal, each way. Stops a `plan` from holding a live space.
pub const MIGRATIONS_BUDGET_MS_MAX: u32 = 2_000;
/// Fuel for each millisecond of budget, where fuel replaces time: about what a plain loop burns.
pub const FUEL_PER_MS: u64 = 1_000_000;
/// How often running code can be interrupted.
pub const EPOCH_TICK_MS: u64 = 1;
/// The same while nothing seems to run: by so much later is a handler cut that does not end and began then. A
/// process without events wakes a tenth as often for it.
pub const EPOCH_REST_MS: u64 = 10;

/// Linear memory of one instance, over all its memories, if the module asks for nothing.
pub const MEMORY_BYTES_DEFAULT: usize = 64 * 1024 * 1024;
/// Most linear memory that a module can ask for, if the operator says nothing.
pub const MEMORY_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Entries of one table. Scripting engines compiled to WASM have 5,000 to 8,000.
pub const TABLE_ELEMENTS_MAX: usize = 100_000;
/// Stack of a handler. Stops recursion well before the thread's own stack ends.
pub const WASM_STACK_BYTES: usize = 512 * 1024;
/// Frames that a trap records. Stops a deep recursion from making a long report.
pub const TRAP_FRAMES_MAX: usize = 48;
/// Bytes that one import call may copy out of an instance. Stops lists that all point at the
/// same memory from multiplying it; a full `gather` is 16 MiB.
pub const IMPORT_BYTES_MAX: usize = 24 * 1024 * 1024;
/// A guest's last words.
pub const PANIC_BYTES_MAX: usize = 4 * 1024;

/// Instances that a process can have at a time, if the operator says nothing.
pub const INSTANCES_DEFAULT: u32 = 2_048;
/// Core modules in one component. Scripting engines need dozens.
pub const CORE_INSTANCES_PER_COMPONENT_MAX: u32 = 64;
/// Memories in one component; each slot reserves 4 GiB of addresses.
pub const MEMORIES_PER_COMPONENT_MAX: u32 = 4;
/// Memory slots for each instance of the pool: most components have one memory.
pub const MEMORY_SLOTS_PER_INSTANCE: u32 = 2;
/// Tables in one component.
pub const TABLES_PER_COMPONENT_MAX: u32 = 40;
/// Table slots for each instance of the pool.
pub const TABLE_SLOTS_PER_INSTANCE: u32 = 4;
/// Host-side bookkeeping of one instance.
pub const INSTANCE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Versions whose compiled code and symbols are kept on disk.
pub const CACHED_VERSIONS_MAX: usize = 64;

/// Fingerprints that a crash book holds; the one seen longest ago makes room.
pub const CRASH_FINGERPRINTS_MAX: usize = 256;
/// Versions of which a crash book counts a fingerprint apart; the one seen longest ago makes room.
pub const CRASH_VERSIONS_MAX: usize = 8;
/// Recordings of crashes that one process writes. Stops crashes from filling the disk.
pub const CRASH_RECORDINGS_MAX: usize = 64;
/// Log lines that a crash report keeps: the last ones of the event.
pub const CRASH_LOG_LINES_MAX: usize = 40;
/// Names of different functions that a fingerprint looks at, innermost first.
pub const CRASH_FINGERPRINT_FRAMES: usize = 6;

const _: () = assert!(EVENT_BUDGET_MS_DEFAULT <= EVENT_BUDGET_MS_MAX, "the default is allowed");
const _: () = assert!(MEMORY_BYTES_DEFAULT <= MEMORY_BYTES_MAX, "the default is allowed");
const _: () =
    assert!(MEMORY_SLOTS_PER_INSTANCE <= MEMORIES_PER_COMPONENT_MAX, "slots are for the usual case");
