//! Every limit that a guest's requests run into, with the attack or the failure it stops.
//!
//! What an instance may use (memory, stack, time) is in [`crate::wasm`]; what a peer may send is in
//! `everwake_protocol::limits`.

use everwake_protocol::limits::{ARGS_BYTES_MAX, CONTEXT_BYTES_MAX};

/// Entities of one space. Stops a spawn loop from filling memory.
pub const ENTITIES_MAX: usize = 100_000;
/// Spawns of one event. Stops one event from making a commit that takes seconds.
pub const SPAWNS_PER_EVENT_MAX: usize = 4_096;
/// Messages, client calls, creations and key-value operations of one event. The same.
pub const MESSAGES_PER_EVENT_MAX: usize = 4_096;
/// Bytes in them. Stops one event from filling what a space may keep waiting.
pub const MESSAGE_BYTES_PER_EVENT_MAX: usize = 16 * 1024 * 1024;
/// Calls of one entity that wait for an answer. Stops waiting from being a memory leak.
pub const PENDING_PER_ENTITY_MAX: usize = 256;
/// Calls in one gathering.
pub const GATHER_PARTS_MAX: usize = 256;
/// Answers that one entity has taken over. Stops clients that ask for ever from filling memory.
pub const DEFERRED_PER_ENTITY_MAX: usize = 4_096;
/// Timers of one entity.
pub const TIMERS_PER_ENTITY_MAX: usize = 1_024;
/// Shortest period of a timer. Stops a timer from taking all of a space's time.
pub const TIMER_REPEAT_MS_MIN: f64 = 10.0;
/// Longest delay and period of a timer: ten years.
pub const TIMER_DELAY_MS_MAX: f64 = 10.0 * 366.0 * 86_400_000.0;
/// Watches of one owner.
pub const WATCHES_PER_ENTITY_MAX: usize = 10_000;
/// Deadline of a call that does not say one.
pub const DEADLINE_MS_DEFAULT: u32 = 5_000;
/// Longest deadline of a call. Stops a caller from holding its entry for ever.
pub const DEADLINE_MS_MAX: u32 = 3_600_000;
/// Found by one `near`. Stops a quadratic answer.
pub const NEAR_FOUND_MAX: usize = 4_096;
/// Found by one `neighbours`, over all due entities. The same.
pub const NEIGHBOURS_FOUND_MAX: usize = 262_144;
/// Text of a kick.
pub const KICK_REASON_BYTES_MAX: usize = 256;
/// Filter texts of one client.
pub const FILTERS_PER_CLIENT_MAX: usize = 16;
/// Key of a filter text.
pub const FILTER_KEY_BYTES_MAX: usize = 64;
/// Value of a filter text.
pub const FILTER_VALUE_BYTES_MAX: usize = 256;
/// Key of the key-value map.
pub const KV_KEY_BYTES_MAX: usize = 512;
/// Value of the key-value map.
pub const KV_VALUE_BYTES_MAX: usize = 64 * 1024;
/// Rows of one range.
pub const KV_RANGE_ROWS_MAX: u32 = 1_000;
/// One log line.
pub const LOG_LINE_BYTES_MAX: usize = 4 * 1024;
/// Log lines of one event. Stops a loop from filling the log.
pub const LOG_LINES_PER_EVENT_MAX: usize = 100;
/// Code of a refusal.
pub const CODE_BYTES_MAX: usize = 256;
/// Text of a handler's error, as its caller gets it.
pub const ERROR_TEXT_BYTES_MAX: usize = 1024;

/// Messages that wait in one space; more are refused to their author as `overloaded`. Answers,
/// facts and markers come in on top of it. Stops a slow space from filling memory.
pub const MAILBOX_MAX: usize = 65_536;
/// Bytes that wait in a space, each input and 128 bytes beside its arguments. The same.
pub const MAILBOX_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Senders and sessions that one entity remembers for dedupe; the longest idle ones make room.
pub const MARKS_PER_ENTITY_MAX: usize = 4_096;
/// How long it is remembered of a session that is no more. Stops a copy of one of its requests, which may wait on its
/// way for half of that, from running a second time.
pub const SESSION_MARK_MS: u64 = 60_000;
/// Bytes of stored replies that one entity holds for one session; the oldest make room.
pub const REPLY_BYTES_PER_MARK_MAX: usize = 256 * 1024;
/// Stored replies that one entity holds for one session. The same.
pub const REPLIES_PER_MARK_MAX: usize = 256;
/// Bytes of stored replies that one entity holds for all sessions; those of the longest idle make
/// room. Stops many clients from filling memory through one entity.
pub const REPLY_BYTES_PER_ENTITY_MAX: usize = 4 * 1024 * 1024;
/// What a stored reply counts beside its bytes. Stops many small ones from doing the same.
pub const REPLY_OVERHEAD_BYTES: usize = 64;

/// Instances that one tick may cost. Stops a type whose every member traps from stopping a space.
pub const TICK_TRAPS_MAX: u32 = 32;
/// First pause of a member whose tick failed.
pub const TICK_PAUSE_MS_MIN: u64 = 1_000;
/// Longest pause of a member whose tick fails again and again.
pub const TICK_PAUSE_MS_MAX: u64 = 60_000;

/// Crashes of one method that one client may cause in [`CHARGE_WINDOW_MS`] before it is refused.
pub const CHARGE_CRASHES_MAX: u32 = 3;
/// Refused calls of that kind before the client is kicked.
pub const CHARGE_REFUSALS_MAX: u32 = 10;
/// A minute.
pub const CHARGE_WINDOW_MS: u64 = 60_000;
/// Clients and methods that are charged at a time; the oldest make room.
pub const CHARGES_MAX: usize = 1_024;

/// Failures that a rehearsal quotes.
pub const REHEARSAL_FAILURES_MAX: usize = 5;
/// Text of arguments or a patch in a crash report.
pub const CRASH_TEXT_BYTES_MAX: usize = 2 * 1024;
/// Members that a look at a space lists. Stops a curious operator from stopping it.
pub const INSPECT_MEMBERS_MAX: usize = 1_000;

/// Events of one drain, if the configuration says nothing: after that others get their turn.
pub const EVENTS_PER_DRAIN: usize = 1_024;
/// Commit records that a space keeps, if the configuration says nothing.
pub const COMMITS_KEPT: usize = 128;
/// Bytes of the records that a space keeps. The last one is kept whatever it weighs.
pub const COMMITS_KEPT_BYTES: usize = 512 * 1024;
/// What happened in a space is at hand for so long afterwards, unless it was too much.
pub const RECENT_MS: u64 = 10_000;
/// After so long a new period begins, so that an old one can go. Each costs a copy of what it changes.
pub const RECENT_PERIOD_MS: u64 = 5_000;
/// Inputs, records and drains of a space's last seconds. Stops a busy space from filling memory.
pub const RECENT_ENTRIES_MAX: usize = 32_768;
/// Bytes of a space's last seconds. The same.
pub const RECENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of the last seconds of all spaces of a process together. Stops many spaces from filling memory.
pub const RECENT_BYTES_PER_PROCESS_MAX: usize = 512 * 1024 * 1024;
/// A space whose last seconds are too much tries again after so long. Stops it from copying in vain.
pub const RECENT_REST_MS: u64 = 60_000;
/// Entities that the guest may hold though they are gone, before it is told in between.
pub const FORGET_BATCH: usize = 1_024;
/// An instance that uses more than this share of its memory is replaced between two events.
pub const RECYCLE_MEMORY_PERCENT: usize = 75;

const _: () = assert!(GATHER_PARTS_MAX <= MESSAGES_PER_EVENT_MAX, "a gathering fits an event");
const _: () = assert!(CONTEXT_BYTES_MAX < ARGS_BYTES_MAX, "a context fits beside an answer");
const _: () =
    assert!(REPLY_BYTES_PER_MARK_MAX <= REPLY_BYTES_PER_ENTITY_MAX / 4, "one session fits an entity");
const _: () = assert!(TICK_PAUSE_MS_MIN <= TICK_PAUSE_MS_MAX, "a pause grows");
const _: () = assert!(RECENT_PERIOD_MS <= RECENT_MS, "periods overlap what is kept");
const _: () = assert!(MESSAGES_PER_EVENT_MAX <= MAILBOX_MAX, "an event's messages fit a mailbox");
const _: () = assert!(MESSAGE_BYTES_PER_EVENT_MAX <= MAILBOX_BYTES_MAX / 2, "so do their bytes");

#[cfg(test)]
mod tests;
