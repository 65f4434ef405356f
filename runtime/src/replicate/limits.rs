//! Limits of a replicator, with the failure that each stops.

use everwake_protocol::limits::{DATAGRAM_BYTES_MAX, FRAME_BYTES_MAX, VALUE_BYTES_MAX};

/// Most changes of one list attribute that wait for a flush; more send the whole list. Stops a
/// list that is rewritten in a loop from filling memory.
pub const LIST_CHANGES_MAX: usize = 64;
/// How many more entries of a map may wait than the map has. Stops keys that come and go from
/// filling memory.
pub const MAP_CHANGES_SLACK: usize = 64;
/// Bytes of attributes in one frame; what a frame has besides them is less than the rest.
pub const PATCH_BYTES_MAX: usize = FRAME_BYTES_MAX - 256;
/// Frames for the same clients go together up to here. Stops one value from growing with a view.
pub const BATCH_BYTES_MAX: usize = FRAME_BYTES_MAX;
/// Bytes of positions for one client in one flush; the rest waits and gains priority. Stops a
/// crowd from taking a player's line.
pub const POSITION_BYTES_PER_FLUSH_MAX: usize = 3 * DATAGRAM_BYTES_MAX;
/// A handle that was given up rests so long: a late datagram must not move another entity.
pub const HANDLE_REST_MS: u64 = 30_000;
/// When the last position of an entity that stopped is sent again, after it was sent before. A
/// lost datagram is repaired by one of these.
pub const REPEAT_AFTER_MS: [u64; 4] = [100, 200, 500, 1_500];
/// Distance at which an entity's positions are half as urgent as beside the observer.
pub const HALF_URGENCY_METRES: f64 = 20.0;
/// A move of more than this in one event is a teleport: who sees whom is looked at at once.
pub const TELEPORT_METRES: f64 = 20.0;
/// Leaving takes more distance than entering, or borders flicker: by this factor ...
pub const LEAVE_FACTOR: f64 = 1.1;
/// ... and this many metres.
pub const LEAVE_METRES: f64 = 1.0;

const _: () = assert!(VALUE_BYTES_MAX + 32 <= PATCH_BYTES_MAX, "an entry fits a patch");
