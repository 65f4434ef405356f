//! How much one side may send before the other has taken what came: counted in payload bytes and a fixed cost a message.
//!
//! Grants are counted from the beginning of a connection, so that each says all and none can be counted twice.

use crate::limits::{CREDIT_PARTS, MESSAGE_COST_BYTES};

/// What a message with a payload of this size costs.
pub const fn cost(payload_bytes: usize) -> u64 {
    payload_bytes as u64 + MESSAGE_COST_BYTES
}

/// The sender's side of one lane.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    granted: u64,
    spent: u64,
}

impl Allowance {
    /// A connection begins with this much.
    pub(crate) fn begin(credit: u64) -> Allowance {
        Allowance { granted: credit, spent: 0 }
    }

    /// The peer grants more. A lower number than before says nothing new.
    pub(crate) fn raise(&mut self, granted: u64) {
        self.granted = self.granted.max(granted);
    }

    /// Takes `cost` from what is left, if that is enough.
    pub(crate) fn spend(&mut self, cost: u64) -> bool {
        let enough = cost <= self.granted.saturating_sub(self.spent);
        if enough {
            self.spent = self.spent.saturating_add(cost);
        }
        enough
    }
}

/// The receiver's side of one lane. Outlives connections, as what the owner has not taken does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    size: u64,
    /// Came, and was not taken by the owner; of this connection and of earlier ones.
    held: u64,
    /// Granted since the connection began.
    granted: u64,
    /// Came since the connection began.
    came: u64,
    /// Taken by the owner and not granted again.
    untold: u64,
}

impl Window {
    pub(crate) fn new(size: u64) -> Window {
        Window { size, held: 0, granted: 0, came: 0, untold: 0 }
    }

    /// A connection begins: what the peer may send at once.
    pub(crate) fn begin(&mut self) -> u64 {
        (self.granted, self.came, self.untold) = (self.size.saturating_sub(self.held), 0, 0);
        self.granted
    }

    /// A message came. False if it is more than was granted.
    pub(crate) fn take(&mut self, cost: u64) -> bool {
        let fits = cost <= self.granted.saturating_sub(self.came);
        if fits {
            self.came += cost;
            self.held += cost;
        }
        fits
    }

    /// The owner took messages of this cost.
    pub(crate) fn consumed(&mut self, cost: u64) {
        let cost = cost.min(self.held);
        self.held -= cost;
        self.untold += cost;
    }

    /// The new grant, once it is worth a frame.
    pub(crate) fn tell(&mut self) -> Option<u64> {
        if self.untold < self.size / CREDIT_PARTS {
            return None;
        }
        self.granted = self.granted.saturating_add(std::mem::take(&mut self.untold));
        Some(self.granted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_can_be_sent_once() {
        let mut allowance = Allowance::begin(100);
        assert!(allowance.spend(60) && !allowance.spend(41) && allowance.spend(40));
        allowance.raise(150);
        allowance.raise(120);
        assert!(allowance.spend(50) && !allowance.spend(1));
        allowance.raise(u64::MAX);
        assert!(allowance.spend(u64::MAX - 150) && !allowance.spend(1));
    }

    #[test]
    fn what_is_taken_is_granted_again_in_parts() {
        let mut window = Window::new(1_000);
        assert_eq!(window.begin(), 1_000);
        assert!(window.take(900) && !window.take(101) && window.take(100));
        window.consumed(249);
        assert_eq!(window.tell(), None);
        window.consumed(1);
        assert_eq!((window.tell(), window.tell()), (Some(1_250), None));
        assert!(window.take(250) && !window.take(1));
    }

    #[test]
    fn what_was_not_taken_counts_on_the_next_connection_too() {
        let mut window = Window::new(1_000);
        window.begin();
        assert!(window.take(700));
        window.consumed(100);
        assert_eq!(window.begin(), 400);
        window.consumed(u64::MAX);
        assert_eq!(window.tell(), Some(1_000));
    }
}
