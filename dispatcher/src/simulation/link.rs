//! A link between a game and a dispatcher, as its two owners meet it.

use everwake_link::Class;
use everwake_protocol::cluster::{FromDispatcher, ToDispatcher};
use std::collections::VecDeque;

use super::Dice;
use super::game::Say;

/// Both directions.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) up: bool,
    /// What is sent gets lost until then, and nobody knows.
    pub(super) half_open_until_ms: Option<u64>,
    pub(super) up_at_ms: u64,
    pub(super) to_router: Way<ToDispatcher<Say>>,
    pub(super) to_game: Way<FromDispatcher<Say>>,
}

/// One direction: two lanes.
#[derive(Debug)]
pub(super) struct Way<M> {
    main: VecDeque<M>,
    express: VecDeque<M>,
    /// Its receiver must be told that the link stands, before anything else.
    untold: bool,
    /// And that something got lost, or that the life is new.
    lost: bool,
}

/// What comes out of a direction.
pub(super) enum Came<M> {
    Up { lost: bool },
    Message(M),
}

impl Link {
    pub(super) fn new() -> Link {
        Link { up: false, half_open_until_ms: None, up_at_ms: 0, to_router: Way::new(), to_game: Way::new() }
    }

    /// Down; what is under way is lost or waits.
    pub(super) fn cut(&mut self, up_at_ms: u64, lose: bool) {
        (self.up, self.half_open_until_ms, self.up_at_ms) = (false, None, up_at_ms);
        let lost = lose && self.to_router.clear() | self.to_game.clear();
        self.to_router.lost |= lost;
        self.to_game.lost |= lost;
        (self.to_router.untold, self.to_game.untold) = (false, false);
    }

    /// One of the ends begins a new life.
    pub(super) fn restart(&mut self, up_at_ms: u64) {
        self.cut(up_at_ms, true);
        (self.to_router.lost, self.to_game.lost) = (true, true);
    }

    pub(super) fn connect(&mut self) {
        self.up = true;
        (self.to_router.untold, self.to_game.untold) = (true, true);
    }

    pub(super) fn send_to_router(&mut self, message: ToDispatcher<Say>) {
        if self.half_open_until_ms.is_some() {
            (self.to_router.lost, self.to_game.lost) = (true, true);
        } else {
            self.to_router.push(crate::share::class_to(&message), message);
        }
    }

    pub(super) fn send_to_game(&mut self, message: FromDispatcher<Say>) {
        if self.half_open_until_ms.is_some() {
            (self.to_router.lost, self.to_game.lost) = (true, true);
        } else {
            self.to_game.push(crate::share::class_of(&message), message);
        }
    }
}

impl<M> Way<M> {
    fn new() -> Way<M> {
        Way { main: VecDeque::new(), express: VecDeque::new(), untold: false, lost: true }
    }

    fn push(&mut self, class: Class, message: M) {
        match class {
            Class::Express => self.express.push_back(message),
            _ => self.main.push_back(message),
        }
    }

    fn clear(&mut self) -> bool {
        let some = !self.main.is_empty() || !self.express.is_empty();
        self.main.clear();
        self.express.clear();
        some
    }

    pub(super) fn is_empty(&self) -> bool {
        self.main.is_empty() && self.express.is_empty()
    }

    pub(super) fn pop(&mut self, dice: &mut Dice) -> Option<Came<M>> {
        if std::mem::take(&mut self.untold) {
            return Some(Came::Up { lost: std::mem::take(&mut self.lost) });
        }
        let message = match dice.once_in(2) {
            true => self.express.pop_front().or_else(|| self.main.pop_front()),
            false => self.main.pop_front().or_else(|| self.express.pop_front()),
        };
        message.map(Came::Message)
    }
}
