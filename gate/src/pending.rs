//! Requests that a client waits for: each gets one answer, from whomever it comes first.

use everwake_protocol::EntityId;
use everwake_protocol::cluster::Incarnation;
use std::collections::BTreeMap;
use std::time::Duration;

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    target: EntityId,
    /// The game that served the client when it asked: what a client sees and can call lives there.
    game: Option<Incarnation>,
    /// The client has given up by then.
    until: Duration,
}

/// See the head of this module. In the order of their ids.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    requests: BTreeMap<u64, Waiting>,
}

impl Pending {
    /// Whether one more may wait, of at most `max`. Those that nobody waits for any more make room.
    pub(crate) fn has_room(&mut self, max: usize, now: Duration) -> bool {
        if self.requests.len() >= max {
            self.requests.retain(|_, waiting| waiting.until > now);
        }
        self.requests.len() < max
    }

    /// One more waits.
    pub(crate) fn add(&mut self, request: u64, target: EntityId, game: Option<Incarnation>, until: Duration) {
        self.requests.insert(request, Waiting { target, game, until });
    }

    /// It is answered; false if it was before, or if nobody waits for it.
    pub(crate) fn answer(&mut self, request: u64) -> bool {
        self.requests.remove(&request).is_some()
    }

    /// Nobody waits for those up to here.
    pub(crate) fn acknowledged(&mut self, request: u64) {
        if self.requests.first_key_value().is_some_and(|(first, _)| *first <= request) {
            self.requests = self.requests.split_off(&request.saturating_add(1));
        }
    }

    /// Takes out those that a dead game may have had: `fate` says of a target whether it died with the game; none:
    /// nothing is known of it, and it was where the client was.
    pub(crate) fn died(&mut self, game: Incarnation, fate: impl Fn(EntityId) -> Option<bool>) -> Vec<u64> {
        let mut lost = Vec::new();
        self.requests.retain(|request, waiting| {
            let stays = !fate(waiting.target).unwrap_or(waiting.game == Some(game));
            if !stays {
                lost.push(*request);
            }
            stays
        });
        lost
    }
}
