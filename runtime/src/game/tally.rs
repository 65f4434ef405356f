//! What the core of a process holds, counted.

use super::GameCore;
use crate::tally::Tally;

impl GameCore {
    /// Adds everything that the core holds.
    pub fn tally(&self, tally: &mut Tally) {
        let (entities, spaces, parked) = self.directory.sizes();
        let (blocked, backlog) = self.directory.waiting();
        tally.count("directory", entities);
        tally.count("spaces", spaces);
        tally.count("parked", parked);
        tally.count("between spaces", blocked);
        tally.count("handed to spaces", backlog);
        let (sessions, own, targets) = self.sessions.sizes();
        tally.count("sessions", sessions);
        tally.count("sessions by entity", own);
        tally.count("targets of sessions", targets);
        tally.count("tickets", self.tickets.len());
        tally.count("jobs", self.jobs.len() + self.rehearsals.len());
        for module in self.modules.values() {
            tally.count("rows", module.key_value.len());
        }
    }
}
