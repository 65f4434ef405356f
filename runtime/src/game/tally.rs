//! What the core of a process holds, counted.

use super::GameCore;
use crate::tally::Tally;

impl GameCore {
    /// Adds everything that the core holds.
    pub fn tally(&self, tally: &mut Tally) {
        let (entities, spaces) = self.directory.sizes();
        let (leaving, backlog) = self.directory.waiting();
        tally.count("directory", entities);
        tally.count("spaces", spaces);
        tally.count("between spaces", leaving);
        tally.count("handed to spaces", backlog);
        let (sessions, own) = self.sessions.sizes();
        tally.count("sessions", sessions);
        tally.count("sessions by entity", own);
        tally.count("tickets", self.tickets.len());
        tally.count("jobs", self.jobs.len() + self.staged.len() + self.publications.len());
        tally.count("questions between games", self.asks.len() + self.looks.len() + self.fetches.len());
        for module in self.modules.values() {
            tally.count("rows", module.key_value.len());
        }
    }
}
