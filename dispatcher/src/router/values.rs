//! What goes into a router and what comes out of it.

use everwake_link::{PeerName, Role};
use everwake_protocol::EntityId;
use everwake_protocol::cluster::{BetweenDispatchers, FromDispatcher, Incarnation, ToDispatcher};

/// Who a router is, and whom it expects.
#[derive(Clone, Debug)]
pub struct RouterConfig {
    /// This life of the dispatcher.
    pub incarnation: Incarnation,
    /// Its name.
    pub name: PeerName,
    /// All games of the cluster, by name. Nothing is said to be gone before they were heard.
    pub games: Vec<PeerName>,
    /// All other dispatchers of the cluster.
    pub dispatchers: Vec<PeerName>,
    /// In one process with its only game: nobody is waited for.
    pub alone: bool,
    #[cfg(test)]
    pub(crate) plant: Option<crate::simulation::Plant>,
}

/// What a router reacts to.
#[derive(Clone, Debug)]
pub enum RouterInput<P> {
    /// A link stands.
    Up {
        /// With whom.
        peer: PeerName,
        /// Which of its lives.
        incarnation: Incarnation,
        /// The life is new, or messages of either direction got lost: nothing of it is taken until it reports.
        lost: bool,
    },
    /// A link is cut. That is no death.
    Down {
        /// With whom.
        peer: PeerName,
        /// Which of its lives.
        incarnation: Incarnation,
    },
    /// A game or a gate says something.
    From {
        /// Who.
        incarnation: Incarnation,
        /// What.
        message: ToDispatcher<P>,
    },
    /// Another dispatcher says something.
    FromPeer {
        /// Who.
        incarnation: Incarnation,
        /// What.
        message: BetweenDispatchers,
    },
    /// A link gave a message back that it will not send.
    Unsent {
        /// For whom it was.
        to: Incarnation,
        /// As it was given out.
        message: FromDispatcher<P>,
        /// Too much waits. Otherwise the life it was for is not there.
        overloaded: bool,
    },
    /// Time went on, see [`crate::Router::next_wake_ms`].
    Wake,
}

/// What a router wants.
#[derive(Clone, Debug, PartialEq)]
pub enum RouterOutput<P> {
    /// Say something to a game or a gate, in the class of [`crate::share::class_of`].
    Send {
        /// To whom.
        to: Incarnation,
        /// What.
        message: FromDispatcher<P>,
    },
    /// Say something to another dispatcher, in a reserved class.
    Peer {
        /// To whom.
        to: Incarnation,
        /// What.
        message: BetweenDispatchers,
    },
    /// For the log.
    Fact(Fact),
}

/// What an operator wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A process has reported for the first time.
    Joined {
        /// Its name.
        name: PeerName,
        /// Its life.
        incarnation: Incarnation,
    },
    /// A life is over.
    Dead {
        /// Its name, if it was ever met.
        name: Option<PeerName>,
        /// Which life.
        incarnation: Incarnation,
        /// Why.
        why: Death,
    },
    /// A life that is over wanted to be taken again.
    Refused {
        /// Its name.
        name: PeerName,
        /// Which life.
        incarnation: Incarnation,
    },
    /// Messages to or from a process got lost: all are asked to send again.
    Lost {
        /// Its name.
        name: PeerName,
    },
    /// Every game has been heard, or is dead or absent: what is unknown is gone from here on.
    Complete,
    /// A game is missing again: what is unknown waits.
    Incomplete,
    /// A report that contradicts a newer one, and does not count.
    Stale {
        /// Who.
        from: Incarnation,
        /// About what.
        entity: EntityId,
    },
}

/// Why a life is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// It was not to be reached for [`crate::limits::DEATH_MS`].
    Silent,
    /// A younger life of the same name is there.
    Replaced,
    /// It said so.
    Left,
    /// Another dispatcher said so, or a game.
    Told,
}

impl RouterConfig {
    /// A dispatcher among others.
    pub fn new(
        incarnation: Incarnation,
        name: PeerName,
        games: Vec<PeerName>,
        dispatchers: Vec<PeerName>,
    ) -> RouterConfig {
        RouterConfig {
            incarnation,
            name,
            games,
            dispatchers,
            alone: false,
            #[cfg(test)]
            plant: None,
        }
    }

    /// The dispatcher inside of a lone process: it knows everything as soon as its game has reported, and there is
    /// nobody else to be told of deaths.
    pub fn alone(incarnation: Incarnation, name: PeerName, game: PeerName) -> RouterConfig {
        let config = RouterConfig::new(incarnation, name, vec![game], Vec::new());
        RouterConfig { alone: true, ..config }
    }

    /// The names of games, those of other roles left out.
    pub(crate) fn games(&self) -> impl Iterator<Item = &PeerName> {
        self.games.iter().filter(|name| name.role() == Role::Game)
    }
}
