//! Hash tables by id, for finding only: their order reaches nobody.
//!
//! Whoever is a key was minted here, by hash; what clients name is only looked up. So nobody can choose
//! keys that collide.

use std::hash::Hasher;

/// Ids are hashes already: folding their words is enough.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((chunk, behind)) = rest.split_first_chunk::<8>() {
            self.fold(u64::from_ne_bytes(*chunk));
            rest = behind;
        }
        let word = rest.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        if !rest.is_empty() {
            self.fold(word);
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.fold(u64::from(value));
    }

    // The length of the word array, the same for all.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

impl IdHasher {
    fn fold(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}
