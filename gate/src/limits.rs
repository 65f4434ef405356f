//! The limits of one gate. Defaults are the named limits of the protocol crate.

use everwake_protocol::limits;
use std::time::Duration;

/// What one gate allows. Counted per client unless the name says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct GateLimits {
    /// Connections of the gate.
    pub connections: usize,
    /// Connections from one IP address.
    pub connections_per_address: usize,
    /// Until the QUIC handshake is done.
    pub handshake_timeout: Duration,
    /// From the handshake to a whole greeting, and until the game is there to play.
    pub hello_timeout: Duration,
    /// A write that takes longer ends the connection.
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
    /// Over it moves are dropped.
    pub moves_per_second: u32,
    /// Over it the connection is closed.
    pub datagrams_per_second: u32,
    /// Calls of one method, where the method says nothing.
    pub method_calls_per_minute: u32,
}

impl Default for GateLimits {
    fn default() -> GateLimits {
        GateLimits {
            connections: limits::CONNECTIONS_MAX,
            connections_per_address: limits::CONNECTIONS_PER_ADDRESS_MAX,
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

    /// Takes `tokens`, or nothing and says false.
    pub(crate) fn take(&mut self, tokens: usize, now: Duration) -> bool {
        let passed = now.saturating_sub(self.filled).as_secs_f64();
        self.filled = now;
        self.tokens = self.burst.min(self.tokens + passed * self.rate);
        if self.tokens < tokens as f64 {
            return false;
        }
        self.tokens -= tokens as f64;
        true
    }
}
