//! The process's clock: UTC milliseconds that never go back.

use std::time::Instant;

/// UTC as it was at the start, and a monotonic clock since: what happens to the machine's clock
/// later has no effect.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    start_ms: u64,
}

impl Clock {
    /// Reads the machine's clock once.
    #[must_use]
    pub fn start() -> Self {
        #[expect(clippy::disallowed_types, reason = "this is the driver's clock module")]
        let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
        let start_ms = since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        Self { start: Instant::now(), start_ms }
    }

    /// UTC milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.start_ms.saturating_add(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// How long until a moment; zero if it is past.
    #[must_use]
    pub fn until(&self, at_ms: u64) -> std::time::Duration {
        std::time::Duration::from_millis(at_ms.saturating_sub(self.now_ms()))
    }
}
