//! What a replicator holds, counted.

use super::Replicator;
use crate::tally::Tally;

impl Replicator {
    /// Adds everything that it holds.
    pub fn tally(&self, tally: &mut Tally) {
        let (places, observers, seen) = self.interest.sizes();
        tally.count("mirrors", self.roster.len());
        tally.count("places", places);
        tally.count("observers", observers);
        tally.count("sights", seen);
        tally.count("views", self.views.len());
        tally.count("entities in views", self.views.values().map(|view| view.rows().count()).sum());
        tally.count("untold", self.untold.len());
    }
}
