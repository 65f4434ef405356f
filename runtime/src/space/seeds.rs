//! Where events get their chance from: a stream of the space's own, or a record of one.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::collections::VecDeque;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Seeds {
    stream: ChaCha12Rng,
    recorded: VecDeque<[u32; 4]>,
}

impl Seeds {
    pub(super) fn new(seed: [u8; 32]) -> Seeds {
        Seeds { stream: ChaCha12Rng::from_seed(seed), recorded: VecDeque::new() }
    }

    /// The next events get these, and not what is left of former ones.
    pub(super) fn replay(&mut self, seeds: impl IntoIterator<Item = [u32; 4]>) {
        self.recorded = seeds.into_iter().collect();
    }

    pub(super) fn next(&mut self) -> [u32; 4] {
        match self.recorded.pop_front() {
            Some(seed) => seed,
            None => std::array::from_fn(|_| self.stream.next_u32()),
        }
    }
}
