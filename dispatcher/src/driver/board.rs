//! Which links stand, for whoever asks.

use everwake_link::{Event, PeerName};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The links of a process; all copies show the same.
#[derive(Clone, Debug, Default)]
pub struct LinkBoard {
    links: Arc<Mutex<BTreeMap<PeerName, bool>>>,
}

impl LinkBoard {
    /// Every peer that is dialled or was ever linked, and whether its link stands now.
    pub fn all(&self) -> Vec<(PeerName, bool)> {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.iter().map(|(peer, stands)| (peer.clone(), *stands)).collect()
    }

    pub(super) fn expect(&self, peer: &PeerName) {
        self.set(peer, false);
    }

    pub(super) fn heard(&self, peer: &PeerName, event: &Event) {
        match event {
            Event::Up(_) => self.set(peer, true),
            Event::Down(_) | Event::Failed(_) | Event::Closed => self.set(peer, false),
            Event::Message { .. } | Event::Refused { .. } => {}
        }
    }

    fn set(&self, peer: &PeerName, stands: bool) {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).insert(peer.clone(), stands);
    }
}
