//! How long to wait before the next attempt: doubling, capped, with chance from a seed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

#[derive(Debug)]
pub(crate) struct Backoff {
    min_ms: u64,
    max_ms: u64,
    failures: u32,
    chance: ChaCha8Rng,
}

impl Backoff {
    pub(crate) fn new(min_ms: u64, max_ms: u64, seed: u64) -> Backoff {
        Backoff { min_ms, max_ms, failures: 0, chance: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// The next wait: from half of the doubled time to all of it, so that a thousand links that were cut at
    /// one moment do not come back at one moment.
    pub(crate) fn next_ms(&mut self) -> u64 {
        let factor = 1u64.checked_shl(self.failures).unwrap_or(u64::MAX);
        let whole = self.min_ms.saturating_mul(factor).min(self.max_ms);
        self.failures = self.failures.saturating_add(1).min(63);
        let half = whole / 2;
        half + self.chance.next_u64() % (whole - half + 1)
    }

    /// It went well: the next wait is short again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_cap_and_differ_by_seed() {
        let waits = |seed| {
            let mut backoff = Backoff::new(50, 5_000, seed);
            (0..80).map(|_| backoff.next_ms()).collect::<Vec<u64>>()
        };
        for seed in 0..50 {
            for (attempt, wait) in (0u32..).zip(waits(seed)) {
                let whole = (50 << attempt.min(10)).min(5_000);
                assert!((whole / 2..=whole).contains(&wait), "attempt {attempt} waits {wait}");
            }
        }
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
        let mut backoff = Backoff::new(50, 5_000, 3);
        assert!((0..9).map(|_| backoff.next_ms()).sum::<u64>() > 5_000);
        backoff.reset();
        assert!(backoff.next_ms() <= 50);
    }
}
