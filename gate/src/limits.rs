//! The limits of one gate. Defaults are the named limits of the protocol crate.

use everwake_protocol::limits;
use std::time::Duration;

/// What one gate allows. Counted per client unless the name says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct GateLimits {
    /// Connections of the gate.
    pub connections: usize,
    /// Connections from one address: of IPv4 each, of IPv6 all of a /64.
    pub connections_per_address: usize,
    /// New connections from one address in a minute; so many may come at once.
    pub connections_per_address_per_minute: u32,
    /// Handshakes under way with addresses that have not shown to be there. Over it newcomers are asked to
    /// show it first, which costs them a round trip and the gate no memory.
    pub unproven_handshakes: usize,
    /// Until the QUIC handshake is done.
    pub handshake_timeout: Duration,
    /// From the handshake to a whole greeting, and until the game is there to play.
    pub hello_timeout: Duration,
    /// A client that takes longer for one write (128 KiB at most) is closed.
    pub write_stall: Duration,
    /// Bytes that wait for the client.
    pub queue_bytes: usize,
    /// Pieces that wait for the client.
    pub queue_pieces: usize,
    /// Over it requests are answered not-run `limit`.
    pub requests_per_second: u32,
    /// Over it the connection is closed.
    pub frames_per_second: u32,
    /// Over it the connection is closed.
    pub stream_bytes_per_second: u32,
    /// Over it the newest waits for its turn, the others are dropped.
    pub moves_per_second: u32,
    /// Over it the connection is closed.
    pub datagrams_per_second: u32,
    /// Calls of one method, where the method says nothing.
    pub method_calls_per_minute: u32,
    /// Requests that nobody has answered; over it they are answered not-run `limit`.
    pub requests_pending: usize,
    /// Bytes that wait until the game that served the client before has said its last; over it the next view
    /// begins early.
    pub view_bytes: usize,
    /// Pieces that wait so.
    pub view_pieces: usize,
    /// Until a game says that it has the client, or that it has it no more, after the other one did.
    pub handover_timeout: Duration,
    /// Until a game has made the client an entity; over it the connection is closed.
    pub boot_timeout: Duration,
    /// How often in a minute the client gets an entity in place of one that was lost; over it the connection is
    /// closed.
    pub reboots_per_minute: usize,
}

impl Default for GateLimits {
    fn default() -> GateLimits {
        GateLimits {
            connections: limits::CONNECTIONS_MAX,
            connections_per_address: limits::CONNECTIONS_PER_ADDRESS_MAX,
            connections_per_address_per_minute: limits::CONNECTIONS_PER_ADDRESS_PER_MINUTE,
            unproven_handshakes: limits::UNPROVEN_HANDSHAKES_MAX,
            handshake_timeout: Duration::from_millis(limits::HANDSHAKE_TIMEOUT_MS),
            hello_timeout: Duration::from_millis(limits::HELLO_TIMEOUT_MS),
            write_stall: Duration::from_millis(limits::WRITE_STALL_MS),
            queue_bytes: limits::CLIENT_QUEUE_BYTES_MAX,
            queue_pieces: limits::CLIENT_QUEUE_PIECES_MAX,
            requests_per_second: limits::REQUESTS_PER_SECOND,
            frames_per_second: limits::FRAMES_PER_SECOND,
            stream_bytes_per_second: limits::STREAM_BYTES_PER_SECOND,
            moves_per_second: limits::MOVES_PER_SECOND,
            datagrams_per_second: limits::DATAGRAMS_PER_SECOND,
            method_calls_per_minute: limits::METHOD_CALLS_PER_MINUTE,
            requests_pending: limits::REQUESTS_PENDING_MAX,
            view_bytes: limits::VIEW_KEPT_BYTES_MAX,
            view_pieces: limits::VIEW_KEPT_PIECES_MAX,
            handover_timeout: Duration::from_millis(limits::HANDOVER_TIMEOUT_MS),
            boot_timeout: Duration::from_millis(limits::BOOT_TIMEOUT_MS),
            reboots_per_minute: limits::REBOOTS_PER_MINUTE,
        }
    }
}

/// A token bucket: `rate` a second in the long run, at most `burst` at once after silence.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    burst: f64,
    rate: f64,
    filled: Duration,
}

impl Bucket {
    pub(crate) fn per_second(rate: u32, now: Duration) -> Bucket {
        let burst = f64::from(rate) * f64::from(limits::BURST_SECONDS);
        Bucket { tokens: burst, burst, rate: f64::from(rate), filled: now }
    }

    pub(crate) fn per_minute(rate: u32, now: Duration) -> Bucket {
        let burst = f64::from(rate);
        Bucket { tokens: burst, burst, rate: burst / 60.0, filled: now }
    }

    /// True if it was made by [`Bucket::per_minute`] with this rate.
    pub(crate) fn is_per_minute(&self, rate: u32) -> bool {
        self.burst == f64::from(rate) && self.rate == f64::from(rate) / 60.0
    }

    /// Takes `tokens`, or nothing and says false.
    pub(crate) fn take(&mut self, tokens: usize, now: Duration) -> bool {
        let enough = self.has(tokens, now);
        if enough {
            self.tokens -= tokens as f64;
        }
        enough
    }

    /// True if so many could be taken.
    pub(crate) fn has(&mut self, tokens: usize, now: Duration) -> bool {
        self.fill(now);
        self.tokens >= tokens as f64
    }

    /// True if as much is in it as if nothing was ever taken.
    pub(crate) fn is_full(&mut self, now: Duration) -> bool {
        self.fill(now);
        self.tokens >= self.burst
    }

    fn fill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.filled).as_secs_f64();
        self.filled = now;
        self.tokens = self.burst.min(self.tokens + passed * self.rate);
    }
}
