//! Chance: ChaCha20 keyed by the event's seed, so that the same event has the same luck, and
//! nobody outside can predict it.

use std::cell::RefCell;
use std::ops::{Bound, RangeBounds};

/// The chance of one event.
pub struct Rng {
    inner: RefCell<Stream>,
}

struct Stream {
    seed: [u32; 4],
    block: u64,
    words: [u32; 16],
    used: usize,
}

impl Rng {
    /// From the four words of an event.
    pub fn new(seed: [u32; 4]) -> Self {
        Self { inner: RefCell::new(Stream { seed, block: 0, words: [0; 16], used: 16 }) }
    }

    /// Any 32 bits.
    pub fn u32(&self) -> u32 {
        let mut stream = self.inner.borrow_mut();
        if stream.used == 16 {
            stream.words = block(stream.seed, stream.block);
            stream.block += 1;
            stream.used = 0;
        }
        let word = stream.words.get(stream.used).copied().unwrap_or_default();
        stream.used += 1;
        word
    }

    /// Any 64 bits.
    pub fn u64(&self) -> u64 {
        u64::from(self.u32()) << 32 | u64::from(self.u32())
    }

    /// A number below `end`, each as likely as the others; 0 if `end` is 0.
    pub fn below(&self, end: u64) -> u64 {
        if end == 0 {
            return 0;
        }
        let reject = u64::MAX - (u64::MAX % end + 1) % end;
        loop {
            let number = self.u64();
            if number <= reject {
                return number % end;
            }
        }
    }

    /// A number of a range; of an empty one its beginning.
    pub fn range(&self, range: impl RangeBounds<i64>) -> i64 {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(from) => from.saturating_add(1),
            Bound::Unbounded => i64::MIN,
        };
        let to = match range.end_bound() {
            Bound::Included(to) => *to,
            Bound::Excluded(to) => match to.checked_sub(1) {
                Some(to) => to,
                None => return from,
            },
            Bound::Unbounded => i64::MAX,
        };
        if to <= from {
            return from;
        }
        match (to.wrapping_sub(from) as u64).checked_add(1) {
            Some(count) => from.wrapping_add(self.below(count) as i64),
            None => self.u64() as i64,
        }
    }

    /// A number from 0 up to, but not, 1.
    pub fn unit(&self) -> f64 {
        (self.u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True that often: 0.25 is one time in four.
    pub fn chance(&self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of the items.
    pub fn pick<'a, T>(&self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u64) as usize)
    }

    /// Puts the items in any order.
    pub fn shuffle<T>(&self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

fn block(seed: [u32; 4], number: u64) -> [u32; 16] {
    // The constants of a 16-byte key: "expand 16-byte k".
    let [a, b, c, d] = seed;
    let (low, high) = (number as u32, (number >> 32) as u32);
    let start = [0x6170_7865, 0x3120_646e, 0x7962_2d36, 0x6b20_6574, a, b, c, d, a, b, c, d, low, high, 0, 0];
    let mut x = start;
    for _ in 0..10 {
        quarter(&mut x, [0, 4, 8, 12]);
        quarter(&mut x, [1, 5, 9, 13]);
        quarter(&mut x, [2, 6, 10, 14]);
        quarter(&mut x, [3, 7, 11, 15]);
        quarter(&mut x, [0, 5, 10, 15]);
        quarter(&mut x, [1, 6, 11, 12]);
        quarter(&mut x, [2, 7, 8, 13]);
        quarter(&mut x, [3, 4, 9, 14]);
    }
    x.iter_mut().zip(start).for_each(|(word, start)| *word = word.wrapping_add(start));
    x
}

#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "four constants below 16")]
fn quarter(x: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    x[a] = x[a].wrapping_add(x[b]);
    x[d] = (x[d] ^ x[a]).rotate_left(16);
    x[c] = x[c].wrapping_add(x[d]);
    x[b] = (x[b] ^ x[c]).rotate_left(12);
    x[a] = x[a].wrapping_add(x[b]);
    x[d] = (x[d] ^ x[a]).rotate_left(8);
    x[c] = x[c].wrapping_add(x[d]);
    x[b] = (x[b] ^ x[c]).rotate_left(7);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zero_key_gives_the_published_stream() {
        let rng = Rng::new([0; 4]);
        let bytes: Vec<u8> = (0..4).flat_map(|_| rng.u32().to_le_bytes()).collect();
        assert_eq!(
            bytes,
            [0x89, 0x67, 0x09, 0x52, 0x60, 0x83, 0x64, 0xfd, 0x00, 0xb2, 0xf9, 0x09, 0x36, 0xf0, 0x31, 0xc8]
        );
    }

    #[test]
    fn ranges_are_kept_and_reached() {
        let rng = Rng::new([1, 2, 3, 4]);
        let mut seen = [false; 6];
        for _ in 0..1_000 {
            let rolled = rng.range(1..=6);
            seen[(rolled - 1) as usize] = true;
        }
        assert_eq!(seen, [true; 6]);
        assert_eq!(rng.range(5..5), 5);
        let _ = rng.range(..);
    }
}
