//! A new leader takes up what the one before had begun.
//!
//! A version is announced only when all games have it ready. So if one that lives does not, nobody was told to run
//! it, and it is given up; if all do, it may have been announced, and is finished. Nothing stays half-live.

use super::GameCore;
use super::judge::Candidate;
use super::modules::Module;
use super::publish::{Asker, Phase, Publication, PublishOptions};
use super::report::{PublicationReport, full_hash};
use crate::cargo::peer::{HeadMark, Order, Peer};
use everwake_protocol::Id;
use everwake_protocol::cluster::Incarnation;

impl GameCore {
    /// Takes up what the one that led before had begun, as far as this game has it ready or runs it.
    pub(super) fn resume_publications(&mut self) {
        let (now_ms, sites) = (self.now_ms, self.sites());
        let staged = self.staged.values().filter(|staged| !staged.order.plan);
        for order in staged.map(|staged| staged.order.clone()).collect::<Vec<_>>() {
            let mut report = PublicationReport { module: order.module.clone(), ..Default::default() };
            report.version = full_hash(order.version);
            let checked = self.shelf.get(&order.version).map(|shelved| shelved.checked.clone());
            let compared = match (self.modules.get(&order.module), checked) {
                (Some(module), Some(checked)) => {
                    module.compare(order.version, checked, &mut report).unwrap_or_default()
                }
                _ => Candidate { reversible: true, ..Candidate::default() },
            };
            let (asker, sites) = (Asker::Nobody, sites.clone());
            let publication = Publication::new(asker, order, compared, report, sites, now_ms);
            self.publications.insert(publication.order.mark, publication);
        }
        for module in self.modules.values().filter(|module| !module.done) {
            let Some(order) = module.order_of_head() else { continue };
            let report = PublicationReport { module: order.module.clone(), ..Default::default() };
            let reversible = module.probation.as_ref().is_some_and(|probation| probation.is_reversible());
            let candidate = Candidate { reversible, ..Candidate::default() };
            let (asker, sites) = (Asker::Nobody, sites.clone());
            let mut publication = Publication::new(asker, order, candidate, report, sites, now_ms);
            publication.phase = Phase::Swapping;
            self.publications.insert(publication.order.mark, publication);
        }
    }

    /// A game has said how it stands, while this one takes over.
    pub(super) fn site_stands(&mut self, from: Incarnation, heads: &[HeadMark], staged: &[Id]) {
        let name = self.game_name(from);
        for publication in self.publications.values_mut().filter(|it| !it.order.plan) {
            let mark = publication.order.mark;
            let runs = heads.iter().any(|head| head.mark == mark);
            if publication.phase == Phase::Swapping || runs || staged.contains(&mark) {
                if !publication.heard.contains(&from) {
                    publication.waiting.insert(from);
                }
            } else {
                publication.waiting.remove(&from);
                publication.found.refusals.push(format!("`{name}` was not ready when the leader died"));
            }
        }
        // What this game has not got ready nobody has been told to run.
        for mark in staged {
            if !self.publications.contains_key(mark) {
                self.say(from, Peer::Drop { mark: *mark });
            }
        }
    }

    /// All have said how they stand: what all have ready may have been announced, and is finished; the rest was not,
    /// and is given up.
    pub(super) fn resolve_publications(&mut self) {
        let done = self.modules.iter().filter(|(_, module)| module.done);
        let done = done.map(|(name, module)| Peer::Done { module: name.clone(), mark: module.mark() });
        for done in done.collect::<Vec<_>>() {
            // Those that the one before did not come to tell.
            self.say_others(&done);
        }
        for mark in self.publications.keys().copied().collect::<Vec<_>>() {
            let runs = self.modules.values().any(|module| module.mark() == mark);
            match self.publications.get(&mark).map(|publication| publication.phase) {
                Some(Phase::Staging) if !runs => self.all_staged(mark),
                Some(_) => self.roll_out(mark),
                None => {}
            }
        }
    }
}

impl Module {
    fn order_of_head(&self) -> Option<Order> {
        let last = self.history.last()?;
        Some(Order {
            module: last.entry.module.clone(),
            mark: last.mark,
            generation: last.entry.generation,
            version: last.hash,
            note: last.entry.note.clone(),
            options: PublishOptions::default(),
            at_ms: last.entry.at_ms,
            rollback: last.entry.rollback,
            revert: false,
            plan: false,
        })
    }
}
