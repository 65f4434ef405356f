//! Where the bytes of messages lie: many in one allocation.
//!
//! Arguments are small, live shortly, and are held in two places (the message and the record of the
//! event that sent it). An allocation and a counter for each would cost more than copying them.

use bytes::{Bytes, BytesMut};

/// Bytes of one allocation. What outlives its neighbours keeps all of it.
const BLOCK_BYTES: usize = 4 * 1024;
/// Longer values have an allocation of their own.
const SHARED_BYTES_MAX: usize = 256;

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    block: BytesMut,
}

impl Arena {
    /// A copy of a value.
    pub(crate) fn copy(&mut self, value: &[u8]) -> Bytes {
        if value.len() > SHARED_BYTES_MAX {
            return Bytes::copy_from_slice(value);
        }
        if self.block.capacity() - self.block.len() < value.len() {
            self.block = BytesMut::with_capacity(BLOCK_BYTES);
        }
        self.block.extend_from_slice(value);
        self.block.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_bytes_and_share_allocations() {
        let mut arena = Arena::default();
        let values: Vec<Bytes> = (0..1_000u32).map(|at| vec![at as u8; at as usize % 300].into()).collect();
        let kept: Vec<Bytes> = values.iter().map(|value| arena.copy(value)).collect();
        assert_eq!(kept, values);
        let (first, second) = (arena.copy(&[1; 8]), arena.copy(&[2; 8]));
        assert_eq!(second.as_ptr() as usize - first.as_ptr() as usize, 8, "they lie side by side");
    }
}
