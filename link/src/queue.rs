//! What waits to be sent: one order for each lane, one share for each class.
//!
//! A full share refuses; nothing blocks and nothing is dropped.

use crate::credit::cost;
use crate::frame::{Class, Lane};
use crate::limits::{Limits, Share};
use bytes::Bytes;
use std::collections::VecDeque;

impl Limits {
    /// What may wait of one class.
    pub fn share(&self, class: Class) -> Share {
        match class {
            Class::Ordinary => self.ordinary,
            Class::Reserved => self.reserved,
            Class::Express => self.express,
        }
    }
}

/// What waits of one class, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Payload bytes.
    pub bytes: usize,
    /// Messages.
    pub count: usize,
}

impl Waiting {
    /// True if a payload of this size fits into the share beside what waits.
    pub(crate) fn has_room(self, payload_bytes: usize, share: Share) -> bool {
        self.count < share.count_max && self.bytes.saturating_add(payload_bytes) <= share.bytes_max
    }
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    main: VecDeque<(Class, Bytes)>,
    express: VecDeque<(Class, Bytes)>,
    ordinary_waiting: Waiting,
    reserved_waiting: Waiting,
    express_waiting: Waiting,
}

impl Queue {
    /// Puts a message behind the others of its lane, or gives it back.
    pub(crate) fn offer(&mut self, class: Class, payload: Bytes, limits: &Limits) -> Result<(), Bytes> {
        let waiting = self.waiting_mut(class);
        if !waiting.has_room(payload.len(), limits.share(class)) {
            return Err(payload);
        }
        waiting.count += 1;
        waiting.bytes += payload.len();
        self.lane_mut(class.lane()).push_back((class, payload));
        Ok(())
    }

    /// What the next message of a lane costs.
    pub(crate) fn next_cost(&self, lane: Lane) -> Option<u64> {
        let queue = match lane {
            Lane::Main => &self.main,
            Lane::Express => &self.express,
        };
        queue.front().map(|(_, payload)| cost(payload.len()))
    }

    /// Takes the next message of a lane.
    pub(crate) fn pop(&mut self, lane: Lane) -> Option<(Class, Bytes)> {
        let (class, payload) = self.lane_mut(lane).pop_front()?;
        let waiting = self.waiting_mut(class);
        waiting.count = waiting.count.saturating_sub(1);
        waiting.bytes = waiting.bytes.saturating_sub(payload.len());
        Some((class, payload))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.main.is_empty() && self.express.is_empty()
    }

    /// What waits of a class.
    pub(crate) fn waiting(&self, class: Class) -> Waiting {
        match class {
            Class::Ordinary => self.ordinary_waiting,
            Class::Reserved => self.reserved_waiting,
            Class::Express => self.express_waiting,
        }
    }

    fn waiting_mut(&mut self, class: Class) -> &mut Waiting {
        match class {
            Class::Ordinary => &mut self.ordinary_waiting,
            Class::Reserved => &mut self.reserved_waiting,
            Class::Express => &mut self.express_waiting,
        }
    }

    fn lane_mut(&mut self, lane: Lane) -> &mut VecDeque<(Class, Bytes)> {
        match lane {
            Lane::Main => &mut self.main,
            Lane::Express => &mut self.express,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_own_share_and_the_lane_one_order() {
        let share = Share { bytes_max: 10, count_max: 2 };
        let limits = Limits { ordinary: share, reserved: share, express: share, ..Limits::default() };
        let mut queue = Queue::default();
        let mut offer = |class, text: &'static str| queue.offer(class, text.into(), &limits).is_ok();
        assert!(offer(Class::Ordinary, "a") && offer(Class::Ordinary, "b") && !offer(Class::Ordinary, ""));
        assert!(!offer(Class::Reserved, "eleven byte"), "too many bytes");
        assert!(offer(Class::Reserved, "ten bytes!") && !offer(Class::Reserved, "c"));
        assert!(offer(Class::Express, "x"));
        assert_eq!(queue.pop(Lane::Main), Some((Class::Ordinary, "a".into())));
        assert!(queue.offer(Class::Ordinary, "d".into(), &limits).is_ok());
        let order: Vec<Bytes> = std::iter::from_fn(|| queue.pop(Lane::Main)).map(|(_, text)| text).collect();
        assert_eq!(order, ["b", "ten bytes!", "d"]);
        assert_eq!(queue.waiting(Class::Express), Waiting { bytes: 1, count: 1 });
        assert_eq!(queue.waiting(Class::Reserved), Waiting::default());
    }
}
