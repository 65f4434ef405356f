//! Every limit of a link, with the failure that it stops.

/// Version of what two ends of a link say to each other; others are refused with both numbers.
pub const LINK_VERSION: u16 = 1;

/// Payload of one message. An entity that moves (1 MiB of attributes and what goes with it) fits.
/// Stops a length prefix from reserving memory.
pub const MESSAGE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Payload of one express message. Stops an acknowledgement from waiting for a large neighbour.
pub const EXPRESS_BYTES_MAX: usize = 64 * 1024;
/// What a frame's length may say: kind, sequence and the largest payload.
pub const FRAME_BYTES_MAX: usize = 1 + 8 + MESSAGE_BYTES_MAX;
/// The same before the greeting was taken. Stops strangers from filling memory.
pub const GREETING_BYTES_MAX: usize = 512;
/// Bytes of a process's name.
pub const NAME_BYTES_MAX: usize = 64;
/// Bytes of the text in a refusal.
pub const REFUSAL_TEXT_BYTES_MAX: usize = 256;
/// The highest sequence. Never reached; stops arithmetic on a hostile number from overflowing.
pub const SEQUENCE_MAX: u64 = u64::MAX / 4;

/// What a message costs in credit besides its payload's bytes. Turns a limit in bytes into one in
/// messages too: stops a million empty messages from being free.
pub const MESSAGE_COST_BYTES: u64 = 64;
/// Credit for the main lane: payload bytes and costs that the peer may have sent and this side's owner has
/// not taken. Bounds what a link holds for an owner that is slow.
pub const MAIN_WINDOW_BYTES: u64 = 8 * 1024 * 1024;
/// The same for the express lane.
pub const EXPRESS_WINDOW_BYTES: u64 = 1024 * 1024;
/// A credit is told when a window's part of this size was taken: 4 = a quarter. Stops a credit for each message.
pub const CREDIT_PARTS: u64 = 4;

/// Bytes of ordinary messages that wait to be sent. Stops a peer that is slow or gone from filling memory.
pub const ORDINARY_QUEUE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Ordinary messages that wait to be sent.
pub const ORDINARY_QUEUE_COUNT_MAX: usize = 64 * 1024;
/// Bytes of reserved messages that wait to be sent, beside the ordinary ones. Stops replies, markers and
/// notices of ownership from being refused because calls fill the queue.
pub const RESERVED_QUEUE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Reserved messages that wait to be sent.
pub const RESERVED_QUEUE_COUNT_MAX: usize = 64 * 1024;
/// Bytes of express messages that wait to be sent.
pub const EXPRESS_QUEUE_BYTES_MAX: usize = 1024 * 1024;
/// Express messages that wait to be sent.
pub const EXPRESS_QUEUE_COUNT_MAX: usize = 16 * 1024;

/// Bytes of one write, after which no further message is added. Bounds what is in flight at a cut.
pub const WRITE_BYTES_MAX: usize = 256 * 1024;
/// Frames of one write.
pub const WRITE_FRAMES_MAX: usize = 4 * 1024;

/// A side that wrote nothing for this time says that it is there, in milliseconds.
pub const HEARTBEAT_MS: u64 = 1_000;
/// A peer that says nothing for this time is lost.
pub const SILENCE_MS: u64 = 3_000;
/// A write that the peer does not take in this time ends the connection.
pub const STALL_MS: u64 = 10_000;
/// Until a connection stands. Stops an address that answers nothing from being waited for.
pub const CONNECT_MS: u64 = 5_000;
/// From the connection to the peer's greeting, TLS included. Stops silent connections from staying.
pub const GREETING_MS: u64 = 5_000;
/// The first wait before a new attempt to connect; it doubles with each failure.
pub const BACKOFF_MIN_MS: u64 = 50;
/// The longest wait before a new attempt. Stops a restart from being noticed late.
pub const BACKOFF_MAX_MS: u64 = 5_000;
/// How long a link that closes may still send what waits.
pub const CLOSE_MS: u64 = 1_000;

/// Connections of a listener that have not greeted. Stops strangers from taking memory and sockets.
pub const STRANGERS_MAX: usize = 64;
/// Peers that a listener remembers. Stops invented names from filling memory.
pub const PEERS_MAX: usize = 1_024;
/// Bytes read at once.
pub const READ_BYTES: usize = 128 * 1024;
/// Batches of events that wait for a link's owner. Messages in them are bounded by credit and refusals by the
/// shares of the queue; an owner that leaves more of the rest than this is gone, and its link ends.
pub const EVENTS_MAX: usize = 256 * 1024;
/// Commands that a link's task takes at once.
pub const COMMANDS_AT_ONCE: usize = 4 * 1024;
/// Days that the certificate of a development authority is valid.
pub const AUTHORITY_DAYS: i64 = 3_650;
/// Days that the certificate of a process is valid.
pub const PROCESS_DAYS: i64 = 365;

/// What may wait to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Payload bytes.
    pub bytes_max: usize,
    /// Messages.
    pub count_max: usize,
}

/// The limits of one link. The defaults are the constants of this module; tests take smaller ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Ordinary messages that wait.
    pub ordinary: Share,
    /// Reserved messages that wait.
    pub reserved: Share,
    /// Express messages that wait.
    pub express: Share,
    /// Credit for the main lane, in payload bytes and costs.
    pub main_window_bytes: u64,
    /// Credit for the express lane.
    pub express_window_bytes: u64,
    /// See [`WRITE_BYTES_MAX`].
    pub write_bytes_max: usize,
    /// See [`HEARTBEAT_MS`].
    pub heartbeat_ms: u64,
    /// See [`SILENCE_MS`].
    pub silence_ms: u64,
    /// See [`STALL_MS`].
    pub stall_ms: u64,
    /// See [`CONNECT_MS`].
    pub connect_ms: u64,
    /// See [`GREETING_MS`].
    pub greeting_ms: u64,
    /// See [`BACKOFF_MIN_MS`].
    pub backoff_min_ms: u64,
    /// See [`BACKOFF_MAX_MS`].
    pub backoff_max_ms: u64,
    /// See [`CLOSE_MS`].
    pub close_ms: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            ordinary: Share { bytes_max: ORDINARY_QUEUE_BYTES_MAX, count_max: ORDINARY_QUEUE_COUNT_MAX },
            reserved: Share { bytes_max: RESERVED_QUEUE_BYTES_MAX, count_max: RESERVED_QUEUE_COUNT_MAX },
            express: Share { bytes_max: EXPRESS_QUEUE_BYTES_MAX, count_max: EXPRESS_QUEUE_COUNT_MAX },
            main_window_bytes: MAIN_WINDOW_BYTES,
            express_window_bytes: EXPRESS_WINDOW_BYTES,
            write_bytes_max: WRITE_BYTES_MAX,
            heartbeat_ms: HEARTBEAT_MS,
            silence_ms: SILENCE_MS,
            stall_ms: STALL_MS,
            connect_ms: CONNECT_MS,
            greeting_ms: GREETING_MS,
            backoff_min_ms: BACKOFF_MIN_MS,
            backoff_max_ms: BACKOFF_MAX_MS,
            close_ms: CLOSE_MS,
        }
    }
}

/// Limits that no link can live with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit `{name}` is {is} and must be at least {least}; hint: leave it at its default")]
pub struct LimitsError {
    /// Which.
    pub name: &'static str,
    /// What it is.
    pub is: u64,
    /// What it must be.
    pub least: u64,
}

impl Limits {
    /// Checks that the largest message always gets through in the end, and that silence is told apart from absence.
    pub fn check(&self) -> Result<(), LimitsError> {
        let rules = [
            ("main_window_bytes", self.main_window_bytes, window_bytes_min(MESSAGE_BYTES_MAX)),
            ("express_window_bytes", self.express_window_bytes, window_bytes_min(EXPRESS_BYTES_MAX)),
            ("silence_ms", self.silence_ms, self.heartbeat_ms.saturating_mul(2)),
            ("backoff_min_ms", self.backoff_min_ms, 1),
            ("backoff_max_ms", self.backoff_max_ms, self.backoff_min_ms),
        ];
        match rules.into_iter().find(|(_, is, least)| is < least) {
            Some((name, is, least)) => Err(LimitsError { name, is, least }),
            None => Ok(()),
        }
    }
}

/// The least window for messages of this size: with all but an untold part of it given back, the largest fits.
const fn window_bytes_min(payload_bytes_max: usize) -> u64 {
    2 * (payload_bytes_max as u64 + MESSAGE_COST_BYTES)
}

const _: () = assert!(MAIN_WINDOW_BYTES >= window_bytes_min(MESSAGE_BYTES_MAX), "the largest message fits");
const _: () = assert!(EXPRESS_WINDOW_BYTES >= window_bytes_min(EXPRESS_BYTES_MAX), "here too");
const _: () = assert!(
    (MAIN_WINDOW_BYTES + EXPRESS_WINDOW_BYTES) / MESSAGE_COST_BYTES + 1024 <= EVENTS_MAX as u64,
    "messages within their credit always find a place, one a batch"
);
const _: () = assert!(CREDIT_PARTS >= 2, "half of a window is told at the latest");
const _: () = assert!(ORDINARY_QUEUE_BYTES_MAX >= MESSAGE_BYTES_MAX, "the largest message may wait");
const _: () = assert!(RESERVED_QUEUE_BYTES_MAX >= MESSAGE_BYTES_MAX, "here too");
const _: () = assert!(EXPRESS_QUEUE_BYTES_MAX >= EXPRESS_BYTES_MAX, "here too");
const _: () = assert!(FRAME_BYTES_MAX <= u32::MAX as usize, "a length is 32 bits");
const _: () = assert!(HEARTBEAT_MS * 2 < SILENCE_MS, "one late heartbeat is no silence");
const _: () = assert!(SILENCE_MS < STALL_MS, "a peer that is gone is silent first");
const _: () = assert!(BACKOFF_MIN_MS < BACKOFF_MAX_MS, "a wait can grow");
const _: () = assert!(
    4 * NAME_BYTES_MAX + 128 <= GREETING_BYTES_MAX,
    "a greeting fits, with two names and all numbers"
);
const _: () = assert!(REFUSAL_TEXT_BYTES_MAX + 16 <= GREETING_BYTES_MAX, "a refusal fits");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_would_stall_a_link_are_told() {
        assert_eq!(Limits::default().check(), Ok(()));
        let small = Limits { main_window_bytes: 1_000, ..Limits::default() };
        assert_eq!(small.check().map_err(|error| error.name), Err("main_window_bytes"));
        let hasty = Limits { silence_ms: 1_500, ..Limits::default() };
        assert_eq!(hasty.check().map_err(|error| error.least), Err(2_000));
    }
}
