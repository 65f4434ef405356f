//! Limits of the game core, with the failure that each one stops.

/// Creations and arrivals that are remembered, so that one which is sent again is not done again. Sources send again
/// only what was not acknowledged: far fewer.
pub const ARRIVALS_REMEMBERED: usize = 16_384;
/// Longest time that a client's request may wait, in ms.
pub const REQUEST_DEADLINE_MS_MAX: u64 = 3_600_000;
/// Bytes of one range's answer; fewer rows than asked for are then answered.
pub const RANGE_BYTES_MAX: usize = 1024 * 1024;
/// Modules of one process.
pub const MODULES_MAX: usize = 16;
/// Spaces of one process. Stops `entities.create` in a loop.
pub const SPACES_MAX: usize = 100_000;
/// Versions of a module that are remembered for people.
pub const HISTORY_MAX: usize = 200;
/// Pauses that are kept for one version's percentiles.
pub const PAUSES_MAX: usize = 100_000;
/// How long a publication waits for the spaces' rehearsals, in ms.
pub const REHEARSAL_MS_MAX: u64 = 30_000;
/// How long a publication waits for the spaces' swaps before it says so, in ms.
pub const SWAP_MS_MAX: u64 = 30_000;
/// How long all games of a cluster together may take to get a publication ready, fetching and compiling included, in ms.
pub const STAGING_MS_MAX: u64 = 120_000;
/// Bytes of one part of what one game fetches from another: a component, or a module's record. Stops a component from
/// holding up what shares its way.
pub const PART_BYTES_MAX: usize = 128 * 1024;
/// Parts that are asked for and have not come. Stops one that fetches from filling the one that gives.
pub const PARTS_MAX: usize = 4;
/// Bytes of a module's record: small ids of all its versions so far, and their history.
pub const RECORD_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Games that are known to be dead. Stops a game that is started again and again from filling memory.
pub const DEAD_GAMES_MAX: usize = 4_096;
/// How long a game that cannot join, or could not be reached, is left alone, in ms.
pub const JOIN_AGAIN_MS: u64 = 2_000;
/// How long the first game of a cluster waits for others that are about to join before it publishes its files, in ms. Stops
/// services from beginning all in one game.
pub const FOUNDING_MS_MAX: u64 = 3_000;
/// How long a look at all games of a cluster waits for those that do not answer, in ms.
pub const GLANCE_MS_MAX: u64 = 2_000;
/// Generations of a module that one game tells another of at a look.
pub const VERSIONS_TOLD_MAX: usize = 32;
/// How long an answer to `publish` is held for pauses that are not known yet, in ms.
pub const PAUSES_WAIT_MS: u64 = 300;
/// Entities of a game that is drained which are asked to go and have not gone. Stops a drain from filling links.
pub const EVICTIONS_MAX: usize = 256;
/// How often it is looked who still has to go, in ms.
pub const DRAIN_AGAIN_MS: u64 = 50;
/// How long an operator's call or look may take, in ms.
pub const OPERATOR_MS_MAX: u64 = 10_000;
/// Open requests of operators.
pub const OPERATORS_MAX: usize = 1_024;
/// How long a shutdown waits for spaces to close, in ms. Stops a stuck space from stopping that.
pub const CLOSING_MS_MAX: u64 = 10_000;
/// Crash log lines of one module in `CRASH_LINES_MS`. Stops a crash loop from filling disks.
pub const CRASH_LINES_MAX: u32 = 20;
/// Faults of former versions that are remembered, so that a new version is not blamed for them.
pub const FAULTS_MAX: usize = 1_024;
/// Window of [`CRASH_LINES_MAX`], in ms.
pub const CRASH_LINES_MS: u64 = 10_000;
/// To how many an entity may have said something that has not arrived, when it leaves a game; with more it leaves a
/// little later. Stops one that speaks to thousands from taking them all along.
pub const DEBTS_MAX: usize = 1_024;
/// How long a service that no game could take is left alone, in ms. Stops games that are all being emptied from asking
/// without end.
pub const SERVICES_AGAIN_MS: u64 = 1_000;
/// Up to how long after a death somebody arrives who was under way when it was heard, in ms.
pub const DEATH_HEARD_MS: u64 = 10_000;
