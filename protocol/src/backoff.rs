//! How long to wait before the next attempt: doubling, capped, and spread. Chance comes from outside.

/// Waits of one party that tries again and again.
#[derive(Clone, Debug)]
pub struct Backoff {
    min_ms: u64,
    max_ms: u64,
    failures: u32,
}

impl Backoff {
    /// The first wait is at most `min_ms` ms, none is longer than `max_ms` ms.
    pub fn new(min_ms: u64, max_ms: u64) -> Backoff {
        Backoff { min_ms, max_ms, failures: 0 }
    }

    /// The next wait, ms: from half of the doubled time to all of it, so that a thousand parties that were cut off
    /// at one moment do not come back at one moment. `chance` is any number of a random source.
    pub fn next_ms(&mut self, chance: u64) -> u64 {
        let factor = 1u64.checked_shl(self.failures).unwrap_or(u64::MAX);
        let whole = self.min_ms.saturating_mul(factor).min(self.max_ms);
        self.failures = self.failures.saturating_add(1).min(63);
        let half = whole / 2;
        half + chance % (whole - half + 1)
    }

    /// It went well: the next wait is short again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_cap_and_are_spread() {
        for chance in [0, 1, 7, u64::MAX / 3, u64::MAX] {
            let mut backoff = Backoff::new(50, 5_000);
            for attempt in 0u32..80 {
                let whole = (50 << attempt.min(10)).min(5_000);
                let wait = backoff.next_ms(chance);
                assert!((whole / 2..=whole).contains(&wait), "attempt {attempt} waits {wait}");
            }
        }
        let first = |chance| Backoff::new(50, 5_000).next_ms(chance);
        assert_eq!((first(0), first(25), first(26)), (25, 50, 25));
        let mut backoff = Backoff::new(50, 5_000);
        assert!((0..9).map(|_| backoff.next_ms(25)).sum::<u64>() > 5_000);
        backoff.reset();
        assert!(backoff.next_ms(25) <= 50);
    }
}
