//! What a space holds, counted.

use super::core::SpaceCore;
use crate::tally::Tally;

impl SpaceCore {
    /// Adds everything that the space holds.
    pub fn tally(&self, tally: &mut Tally) {
        let space = self.shared();
        let [by_id, by_order, by_type] = space.world.sizes();
        tally.count("entities", space.world.len());
        tally.count("entities by id", by_id);
        tally.count("entities in order", by_order);
        tally.count("entities by type", by_type);
        tally.count("clients of entities", space.world.sessions.len());
        tally.count("mailbox", space.mailbox.items().len() + space.mailbox.facts.len());
        tally.count("agenda", space.agenda.len());
        tally.count("outputs", space.fifo.len() + space.free.len());
        tally.count("changes for clients", space.changes.len());
        tally.count("to be forgotten", space.forget.len());
        tally.count("charges", space.charges.len());
        for (_, entity) in space.world.iter() {
            let body = &entity.body;
            tally.count("timers", body.timers.len());
            tally.count("open calls", body.pending.len());
            tally.count("deferred answers", body.deferred.len());
            tally.count("watches", body.watches.len());
            tally.count("watchers", body.watchers.len());
            tally.count("marks", body.marks.len());
            tally.count("filters", body.filters.len());
            tally.count("queued for entities", entity.queued as usize);
        }
        space.replicator.tally(tally);
    }
}
