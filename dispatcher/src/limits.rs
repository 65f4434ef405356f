//! Every limit of dispatchers and of processes towards them, with the failure that it stops.

/// How often a dispatcher hands one envelope out. Stops what nobody wants to have from going in circles.
pub const HOPS_MAX: u8 = 4;

/// Payload bytes that wait for one entity; what may be refused is refused beyond. Stops one entity that does not
/// arrive from filling the dispatcher.
pub const PARKED_ENTITY_BYTES_MAX: usize = 1024 * 1024;
/// Envelopes that wait for one entity.
pub const PARKED_ENTITY_COUNT_MAX: usize = 1_024;
/// Payload bytes that wait in one dispatcher. Stops many entities that do not arrive from filling it.
pub const PARKED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What an envelope that waits costs besides its payload. Stops a million empty ones from being free.
pub const PARKED_COST_BYTES: usize = 128;
/// How long something that may be refused waits. Stops a caller from waiting for ever.
pub const PARKED_MS_MAX: u64 = 30_000;
/// How often it is looked at what waits too long.
pub const SWEEP_MS: u64 = 1_000;

/// From the loss of a process's link to its death, if it does not come back. Stops a cut from being a death.
pub const DEATH_MS: u64 = 3_000;
/// A dispatcher that is younger declares nobody dead. Stops one that nobody has reached yet from killing all.
pub const YOUNG_MS: u64 = 5_000;
/// A configured game, or any process, that a dispatcher has not met in this time since its start is absent.
/// Stops a game that was never started from keeping everybody waiting.
pub const ABSENT_MS: u64 = 10_000;
/// Lives that are known to be over. Stops a process that is started again and again from filling memory.
pub const DEAD_MAX: usize = 4_096;
/// Entities that are known to be no more. Stops the destroyed from filling memory; a late arrival of an older
/// one is dropped by the marks of its space.
pub const TOMBSTONES_MAX: usize = 64 * 1024;
/// The list of members is told at most so often. Stops profiles from becoming a flood.
pub const MEMBERS_MS: u64 = 100;
/// When what a full link gave back is tried again.
pub const RETRY_MS: u64 = 100;

/// Payload bytes that a process keeps for one dispatcher until they are acknowledged; what may be refused is
/// refused beyond. Stops a dispatcher that is gone from filling memory.
pub const OUTBOX_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What an envelope in an outbox costs besides its payload.
pub const OUTBOX_COST_BYTES: usize = 128;
/// From an envelope that came back to sending again what is behind it. Stops a burst of refusals from sending
/// the same again for each of them.
pub const RESEND_MS: u64 = 50;

const _: () = assert!(DEATH_MS < PARKED_MS_MAX, "a death is known before callers give up");
const _: () = assert!(YOUNG_MS < ABSENT_MS, "absence takes longer than youth");
const _: () = assert!(SWEEP_MS * 2 < PARKED_MS_MAX, "a wait is ended about when it should be");
const _: () = assert!(PARKED_ENTITY_BYTES_MAX < PARKED_BYTES_MAX, "one entity does not take all of it");
