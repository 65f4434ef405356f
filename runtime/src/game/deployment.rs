//! When the deployment is ready: all processes that it consists of are there for the first time.
//!
//! Whoever sees that says so to the other games, and a game that comes later hears it before it is let in: a gate that
//! dies meanwhile takes nothing back, and each space and service hears it once.

use super::report::Fact;
use super::{GameCore, SpaceKind};
use crate::cargo::peer::Peer;
use crate::message::Input;
use everwake_protocol::EntityId;

impl GameCore {
    /// Labels by which `entities.create` may ask for this process: its own name is one.
    pub(super) fn labels(&self) -> Vec<String> {
        let own = format!("game/{}", self.config.name);
        self.config.labels.iter().cloned().chain([own]).collect()
    }

    /// Something has changed: are all there?
    pub(super) fn consider_ready(&mut self) {
        let (games, gates) = (1 + self.peers.known.len(), self.gates.len());
        if games >= self.config.games && gates >= self.config.gates {
            self.become_ready();
        }
    }

    /// All are there, or were.
    pub(super) fn become_ready(&mut self) {
        if std::mem::replace(&mut self.ready, true) {
            return;
        }
        let has_hook = |kind| matches!(kind, SpaceKind::Space | SpaceKind::Service);
        let spaces = self.directory.spaces().filter(|(_, row)| has_hook(row.kind));
        for space in spaces.map(|(id, _)| id).collect::<Vec<EntityId>>() {
            self.hand(space, Input::Ready);
        }
        let standing = self.standing(false);
        self.say_others(&Peer::Standing(standing));
        self.fact(Fact::Ready { games: self.config.games, gates: self.config.gates });
    }
}
