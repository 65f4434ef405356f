//! A link between a process and a dispatcher, as its two owners meet it: bytes that take their time, in two orders,
//! cut now and then, or half-open. It never sends again and never skips: it says whether something got lost.

use crate::dice::Dice;
use bytes::Bytes;
use everwake_link::Class;
use std::collections::VecDeque;

/// Both directions.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) up: bool,
    /// What is sent gets lost until then, and nobody knows.
    pub(crate) half_open_until_ms: Option<u64>,
    pub(crate) up_at_ms: u64,
    /// The slowest that a message is.
    pub(crate) delay_ms_max: u64,
    pub(crate) to_dispatcher: Way,
    pub(crate) to_process: Way,
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Way {
    main: VecDeque<(u64, Bytes)>,
    express: VecDeque<(u64, Bytes)>,
    /// Its receiver must be told that the link stands, before anything else.
    untold: bool,
    /// And that something got lost, or that the life is new.
    lost: bool,
}

/// What comes out of a direction.
pub(crate) enum Came {
    Up { lost: bool },
    Message(Bytes),
}

impl Link {
    /// Will come up at its time, for the first time.
    pub(crate) fn new(up_at_ms: u64) -> Link {
        let (to_dispatcher, to_process) = (Way::new(), Way::new());
        Link { up: false, half_open_until_ms: None, up_at_ms, delay_ms_max: 5, to_dispatcher, to_process }
    }

    /// Down; what is under way is lost or waits.
    pub(crate) fn cut(&mut self, up_at_ms: u64, lose: bool) {
        (self.up, self.half_open_until_ms, self.up_at_ms) = (false, None, up_at_ms);
        let lost = lose && self.to_dispatcher.clear() | self.to_process.clear();
        self.to_dispatcher.lost |= lost;
        self.to_process.lost |= lost;
        (self.to_dispatcher.untold, self.to_process.untold) = (false, false);
    }

    /// One of the ends begins a new life.
    pub(crate) fn restart(&mut self, up_at_ms: u64) {
        self.cut(up_at_ms, true);
        (self.to_dispatcher.lost, self.to_process.lost) = (true, true);
    }

    pub(crate) fn connect(&mut self) {
        self.up = true;
        (self.to_dispatcher.untold, self.to_process.untold) = (true, true);
    }

    pub(crate) fn send_to_dispatcher(&mut self, class: Class, message: Bytes, now_ms: u64, dice: &mut Dice) {
        let due_ms = now_ms + dice.roll(self.delay_ms_max + 1);
        self.lose_or(|link| link.to_dispatcher.push(class, message, due_ms));
    }

    pub(crate) fn send_to_process(&mut self, class: Class, message: Bytes, now_ms: u64, dice: &mut Dice) {
        let due_ms = now_ms + dice.roll(self.delay_ms_max + 1);
        self.lose_or(|link| link.to_process.push(class, message, due_ms));
    }

    fn lose_or(&mut self, push: impl FnOnce(&mut Link)) {
        if self.half_open_until_ms.is_some() {
            (self.to_dispatcher.lost, self.to_process.lost) = (true, true);
        } else {
            push(self);
        }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.up && self.to_dispatcher.is_empty() && self.to_process.is_empty()
    }
}

impl Way {
    fn new() -> Way {
        Way { main: VecDeque::new(), express: VecDeque::new(), untold: false, lost: true }
    }

    fn push(&mut self, class: Class, message: Bytes, due_ms: u64) {
        let queue = match class {
            Class::Express => &mut self.express,
            _ => &mut self.main,
        };
        // Nothing overtakes in its own order.
        let due_ms = queue.back().map_or(due_ms, |(last_ms, _)| due_ms.max(*last_ms));
        queue.push_back((due_ms, message));
    }

    fn clear(&mut self) -> bool {
        let some = !self.main.is_empty() || !self.express.is_empty();
        self.main.clear();
        self.express.clear();
        some
    }

    fn is_empty(&self) -> bool {
        self.main.is_empty() && self.express.is_empty() && !self.untold
    }

    pub(crate) fn pop(&mut self, now_ms: u64, dice: &mut Dice) -> Option<Came> {
        if std::mem::take(&mut self.untold) {
            return Some(Came::Up { lost: std::mem::take(&mut self.lost) });
        }
        let due = |queue: &VecDeque<(u64, Bytes)>| queue.front().is_some_and(|(due_ms, _)| *due_ms <= now_ms);
        let queue = match (due(&self.main), due(&self.express)) {
            (false, false) => return None,
            (true, true) if dice.once_in(2) => &mut self.main,
            (true, false) => &mut self.main,
            (_, true) => &mut self.express,
        };
        queue.pop_front().map(|(_, message)| Came::Message(message))
    }
}
