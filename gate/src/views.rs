//! Who shows a client what, in which order (rule B3): the view that it has, those that wait behind it, and whether
//! anybody has it at all.
//!
//! A view begins when the one before is over: its game said so, died, or says a newer one itself. What comes for
//! it meanwhile is kept. Knows numbers and games, nothing of connections.

use crate::limits::GateLimits;
use bytes::Bytes;
use everwake_protocol::EntityId;
use everwake_protocol::client::{CloseCode, PositionDatagram};
use everwake_protocol::cluster::Incarnation;
use everwake_protocol::limits::REBOOT_VIEW_MARGIN;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// What a game says to a client, while it waits for its turn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    Frames(Bytes),
    Reply(Bytes),
    Positions(PositionDatagram),
    Filter(String, Option<String>),
    ClearFilters,
    Close(CloseCode, String),
}

impl Said {
    fn bytes(&self) -> usize {
        match self {
            Said::Frames(bytes) | Said::Reply(bytes) => bytes.len(),
            Said::Positions(datagram) => datagram.encoded_len(),
            Said::Filter(key, value) => key.len() + value.as_ref().map_or(0, String::len),
            Said::ClearFilters => 0,
            Said::Close(_, reason) => reason.len(),
        }
    }
}

/// One view of one client.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) number: u32,
    /// Who says it.
    pub(crate) game: Incarnation,
    /// The client's own entity and the small id of its type.
    pub(crate) owner: EntityId,
    pub(crate) type_id: u32,
    /// When it came.
    since: Duration,
    /// Since when its game says nothing more to it.
    over: Option<Duration>,
    /// Its game is dead, and the entity with it.
    pub(crate) lost: bool,
    said: Vec<Said>,
}

impl View {
    pub(crate) fn new(number: u32, game: Incarnation, owner: EntityId, type_id: u32, now: Duration) -> View {
        View { number, game, owner, type_id, since: now, over: None, lost: false, said: Vec::new() }
    }
}

/// An entity that was asked for.
#[derive(Clone, Copy, Debug)]
struct Boot {
    entity: EntityId,
    since: Duration,
}

/// A view that begins now.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) number: u32,
    pub(crate) owner: EntityId,
    /// The living game that served the client until now, if it was another one.
    pub(crate) released: Option<Incarnation>,
    /// What was said in it so far, in order.
    pub(crate) said: Vec<Said>,
}

/// What cannot go on as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// A view waits and nothing comes from the game before it.
    Begin,
    /// Nobody has the client.
    Lost,
    /// No game makes it an entity.
    Boot,
}

/// See the head of this module.
#[derive(Debug)]
pub(crate) struct Views {
    current: Option<View>,
    /// Numbers rise.
    waiting: VecDeque<View>,
    /// Greatest number that was heard of.
    seen: u32,
    /// Views up to here are of before an entity was lost.
    floor: u32,
    boot: Option<Boot>,
    /// A game said that nobody has the client.
    orphaned: bool,
    kept_bytes: usize,
    kept_pieces: usize,
}

impl Views {
    /// Of a client for whom an entity was asked for.
    pub(crate) fn new(boot: EntityId, now: Duration) -> Views {
        Views {
            current: None,
            waiting: VecDeque::new(),
            seen: 0,
            floor: 0,
            boot: Some(Boot { entity: boot, since: now }),
            orphaned: false,
            kept_bytes: 0,
            kept_pieces: 0,
        }
    }

    pub(crate) fn current(&self) -> Option<&View> {
        self.current.as_ref()
    }

    /// The entity that was asked for and of which nothing was heard yet.
    pub(crate) fn boot(&self) -> Option<EntityId> {
        self.boot.map(|boot| boot.entity)
    }

    /// A game has the client, in a view. False if it comes too late: who has it by that view has it no more.
    pub(crate) fn announce(&mut self, view: View) -> bool {
        let View { number, game, since, .. } = view;
        self.seen = self.seen.max(number);
        // Also if it comes too late: another game may wait for its turn.
        self.quiet(game, number, since);
        let known = self.all().any(|known| known.number == number);
        if known || number <= self.floor || self.current.as_ref().is_some_and(|it| it.number >= number) {
            return false;
        }
        let place = self.waiting.iter().position(|it| it.number > number).unwrap_or(self.waiting.len());
        self.waiting.insert(place, view);
        self.kept_pieces += 1;
        self.boot = None;
        true
    }

    /// A game says nothing more to a view of its own.
    pub(crate) fn end(&mut self, game: Incarnation, number: u32, now: Duration) {
        for view in self.all_mut().filter(|view| view.game == game && view.number == number) {
            view.over.get_or_insert(now);
        }
    }

    /// A game is dead: it says nothing more, and its entities are lost.
    pub(crate) fn died(&mut self, game: Incarnation, now: Duration) {
        for view in self.all_mut().filter(|view| view.game == game) {
            view.over.get_or_insert(now);
            view.lost = true;
        }
    }

    /// A game says that the entity that was to have the client in a view did not come to have it. Of no
    /// consequence if somebody has it in a later one.
    pub(crate) fn orphan(&mut self, game: Incarnation, number: u32, now: Duration) {
        self.seen = self.seen.max(number);
        self.quiet(game, number, now);
        if number > self.floor && self.newest().is_none_or(|view| view.number < number) {
            self.orphaned = true;
        }
    }

    /// True if nobody has the client and nobody was asked to take it.
    pub(crate) fn is_lost(&self) -> bool {
        self.orphaned || self.boot.is_none() && self.newest().is_none_or(|view| view.lost)
    }

    /// A new entity is asked for: gives the number behind which its view begins.
    pub(crate) fn reboot(&mut self, entity: EntityId, now: Duration) -> u32 {
        self.floor = self.seen.saturating_add(REBOOT_VIEW_MARGIN);
        self.seen = self.floor;
        self.boot = Some(Boot { entity, since: now });
        self.orphaned = false;
        self.floor
    }

    /// The next view, if one may begin.
    pub(crate) fn advance(&mut self) -> Option<Begun> {
        if self.current.as_ref().is_some_and(|view| view.over.is_none()) {
            return None;
        }
        let mut next = self.waiting.pop_front()?;
        let said = std::mem::take(&mut next.said);
        self.kept_pieces -= 1 + said.len();
        self.kept_bytes -= said.iter().map(Said::bytes).sum::<usize>();
        let begun = (next.number, next.owner, next.game);
        let before = self.current.replace(next);
        let (number, owner, game) = begun;
        let released = before.filter(|view| view.game != game && !view.lost).map(|view| view.game);
        Some(Begun { number, owner, released, said })
    }

    /// Keeps what is for a view that has not begun; gives back what is not. Without a number: for the newest of
    /// that game.
    pub(crate) fn keep(&mut self, game: Incarnation, number: Option<u32>, said: Said) -> Option<Said> {
        let wanted =
            |view: &&mut View| view.game == game && number.is_none_or(|number| number == view.number);
        let Some(view) = self.waiting.iter_mut().rev().find(wanted) else { return Some(said) };
        self.kept_bytes += said.bytes();
        self.kept_pieces += 1;
        view.said.push(said);
        None
    }

    /// True if more waits than may.
    pub(crate) fn is_over(&self, limits: &GateLimits) -> bool {
        !self.waiting.is_empty()
            && (self.kept_bytes > limits.view_bytes || self.kept_pieces > limits.view_pieces)
    }

    /// The next view may begin, whatever the game of this one still has to say.
    pub(crate) fn force(&mut self, now: Duration) {
        if let Some(view) = &mut self.current {
            view.over.get_or_insert(now);
        }
    }

    /// Nobody has the client: as if a game had said so.
    pub(crate) fn give_up(&mut self) {
        self.orphaned = true;
    }

    /// The entity that was asked for will not be made.
    pub(crate) fn not_booted(&mut self) {
        self.boot = None;
    }

    /// Whether a game has something to say that is not of a view: it serves the client, or nobody does yet.
    pub(crate) fn speaks(&self, game: Incarnation) -> bool {
        let between = self.newest().is_none_or(|view| view.over.is_some());
        between || self.current.as_ref().is_some_and(|view| view.game == game)
    }

    /// Whether an entity that lives has the client, or will have it.
    pub(crate) fn has(&self, entity: EntityId) -> bool {
        self.all().any(|view| view.owner == entity && !view.lost)
    }

    /// The same by this view or a later one.
    pub(crate) fn has_since(&self, entity: EntityId, number: u32) -> bool {
        self.all().any(|view| view.owner == entity && !view.lost && view.number >= number)
    }

    /// Whether an entity that has or had the client died with this game; none if it was not seen there.
    pub(crate) fn died_with(&self, entity: EntityId, game: Incarnation) -> Option<bool> {
        if self.has(entity) {
            return Some(false);
        }
        self.all().any(|view| view.owner == entity && view.game == game && view.lost).then_some(true)
    }

    /// Entities that believe to have the client, in order.
    pub(crate) fn owners(&self) -> BTreeSet<EntityId> {
        let owners = self.all().filter(|view| !view.lost).map(|view| view.owner);
        owners.chain(self.boot()).collect()
    }

    /// What has taken too long.
    pub(crate) fn overdue(&self, now: Duration, limits: &GateLimits) -> Option<Overdue> {
        let passed = |since, limit| now.saturating_sub(since) > limit;
        if self.waiting.front().is_some_and(|view| passed(view.since, limits.handover_timeout)) {
            return Some(Overdue::Begin);
        }
        if let Some(boot) = self.boot {
            return passed(boot.since, limits.boot_timeout).then_some(Overdue::Boot);
        }
        let over = self.newest().and_then(|view| view.over);
        over.is_some_and(|since| passed(since, limits.handover_timeout)).then_some(Overdue::Lost)
    }

    /// A lane is in order: what its game said to views before `number` is said.
    fn quiet(&mut self, game: Incarnation, number: u32, now: Duration) {
        for view in self.all_mut().filter(|view| view.game == game && view.number < number) {
            view.over.get_or_insert(now);
        }
    }

    fn newest(&self) -> Option<&View> {
        self.waiting.back().or(self.current.as_ref())
    }

    fn all(&self) -> impl Iterator<Item = &View> {
        self.current.iter().chain(&self.waiting)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut View> {
        self.current.iter_mut().chain(&mut self.waiting)
    }
}
