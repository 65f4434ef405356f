//! What the last seconds of all spaces of a process may weigh together: one number, shared.
//!
//! A space knows its own part only, and lets go of its own oldest when there is no more: none takes from another.

use crate::limits::RECENT_BYTES_PER_PROCESS_MAX;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A part grows and shrinks by so much, so that the shared number is not touched at each event.
const STEP: usize = 4 * 1024;

/// See the head of this file. All clones are one.
#[derive(Clone, Debug)]
pub struct PastBudget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    used: AtomicUsize,
    bytes_max: usize,
}

impl PastBudget {
    /// Of so many bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        PastBudget { shared: Arc::new(Shared { used: AtomicUsize::new(0), bytes_max }) }
    }

    /// What all parts come to.
    #[must_use]
    pub fn used(&self) -> usize {
        self.shared.used.load(Ordering::Relaxed)
    }
}

impl Default for PastBudget {
    fn default() -> Self {
        PastBudget::new(RECENT_BYTES_PER_PROCESS_MAX)
    }
}

/// The part of one space; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: PastBudget,
    bytes: usize,
}

impl Share {
    pub(super) fn of(budget: PastBudget) -> Self {
        Share { budget, bytes: 0 }
    }

    /// Asks for a part of so many bytes. False if there is no more: then the part is what it was.
    pub(super) fn resize(&mut self, bytes: usize) -> bool {
        let bytes = bytes.next_multiple_of(STEP);
        let shared = &self.budget.shared;
        if bytes <= self.bytes {
            if bytes < self.bytes {
                shared.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            }
        } else {
            let more = bytes - self.bytes;
            // It orders nothing else: a number that is right at each moment is all there is to it.
            let grown = shared.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(more).filter(|used| *used <= shared.bytes_max)
            });
            if grown.is_err() {
                return false;
            }
        }
        self.bytes = bytes;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_to_no_more_than_the_budget_and_are_given_back() {
        let budget = PastBudget::new(10 * STEP);
        let (mut one, mut two) = (Share::of(budget.clone()), Share::of(budget.clone()));
        assert!(one.resize(6 * STEP - 1) && two.resize(4 * STEP));
        assert_eq!(budget.used(), 10 * STEP);
        assert!(!two.resize(4 * STEP + 1), "no more is there");
        assert_eq!(budget.used(), 10 * STEP, "and the part is what it was");
        assert!(one.resize(STEP) && two.resize(9 * STEP));
        drop(two);
        assert_eq!(budget.used(), STEP);
        drop(one);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn many_threads_never_take_more_than_there_is() {
        let budget = PastBudget::new(64 * STEP);
        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                let budget = &budget;
                scope.spawn(move || {
                    let mut share = Share::of(budget.clone());
                    for round in 0..2_000_usize {
                        share.resize((round * 7 + thread) % 40 * STEP);
                        assert!(budget.used() <= 64 * STEP);
                    }
                });
            }
        });
        assert_eq!(budget.used(), 0);
    }
}
