//! The one way out of a space: first in, first out, each output not before the journal has
//! confirmed what it may depend on (rule A1).

use crate::message::Output;
use std::collections::VecDeque;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Fifo {
    /// What waits for nothing; nothing waits before it.
    ready: Vec<Output>,
    entries: VecDeque<(u64, Output)>,
    /// Highest journal sequence that the space has assigned; 0 while there is no store.
    hold: u64,
    /// The store has everything up to here.
    confirmed: u64,
}

impl Fifo {
    /// What is pushed from now on waits for this journal sequence, too.
    pub(super) fn assign(&mut self, sequence: u64) {
        self.hold = self.hold.max(sequence);
    }

    /// Inlined, so that what is small is not moved as something large.
    #[inline]
    pub(super) fn push(&mut self, output: Output) {
        if self.hold <= self.confirmed && self.entries.is_empty() {
            self.ready.push(output);
        } else {
            self.entries.push_back((self.hold, output));
        }
    }

    /// The store has everything up to `sequence`.
    pub(super) fn confirm(&mut self, sequence: u64) {
        self.confirmed = self.confirmed.max(sequence);
    }

    /// Moves what may leave to `out`.
    pub(super) fn release(&mut self, out: &mut Vec<Output>) {
        out.append(&mut self.ready);
        while let Some((hold, _)) = self.entries.front() {
            if *hold > self.confirmed {
                return;
            }
            if let Some((_, output)) = self.entries.pop_front() {
                out.push(output);
            }
        }
    }

    /// How many outputs wait.
    pub(super) fn len(&self) -> usize {
        self.ready.len() + self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspected(ticket: u64) -> Output {
        Output::Inspected { ticket, view: serde_json::Value::Null }
    }

    fn tickets(out: &[Output]) -> Vec<u64> {
        out.iter()
            .map(|output| match output {
                Output::Inspected { ticket, .. } => *ticket,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn nothing_waits_without_a_store() {
        let mut fifo = Fifo::default();
        let mut out = Vec::new();
        fifo.push(inspected(1));
        fifo.push(inspected(2));
        fifo.release(&mut out);
        assert_eq!(tickets(&out), [1, 2]);
    }

    #[test]
    fn outputs_wait_for_the_journal_and_keep_their_order() {
        let mut fifo = Fifo::default();
        let mut out = Vec::new();
        fifo.push(inspected(1));
        fifo.assign(10);
        fifo.push(inspected(2));
        fifo.push(inspected(3));
        fifo.assign(11);
        fifo.push(inspected(4));
        fifo.release(&mut out);
        assert_eq!(tickets(&out), [1]);
        fifo.confirm(9);
        fifo.release(&mut out);
        assert_eq!(tickets(&out), [1]);
        fifo.confirm(10);
        fifo.release(&mut out);
        assert_eq!(tickets(&out), [1, 2, 3]);
        assert_eq!(fifo.len(), 1);
        fifo.confirm(11);
        fifo.release(&mut out);
        assert_eq!(tickets(&out), [1, 2, 3, 4]);
    }
}
