//! A version becomes head: schema to the gates, an order to every space, reports back; and what the one that leads
//! makes of the reports of all games.
//!
//! Each space swaps between two of its events. The order is handed to all spaces of a game before anything later is,
//! and an arrival from a game that has gone over already makes this one go over first, so an entity that moves never
//! meets an older version than the one it left.

use super::GameCore;
use super::limits::{PAUSES_WAIT_MS, SWAP_MS_MAX};
use super::publish::{Phase, Publication};
use super::report::{Fact, Pauses};
use crate::cargo::peer::{Peer, SiteSwap};
use crate::message::SwapReport;
use everwake_protocol::cluster::Incarnation;
use everwake_protocol::{EntityId, Id};
use std::collections::BTreeSet;

/// Failures that one game tells of.
const FAILURES_TOLD: usize = 10;

/// Spaces of this process go over to head.
#[derive(Debug)]
pub struct Rollout {
    mark: Id,
    waiting: BTreeSet<EntityId>,
    swap: SiteSwap,
    /// How many did not swap.
    failed: usize,
    /// Set when all spaces have swapped: until then it waits for pauses, UTC ms.
    settled_until_ms: Option<u64>,
}

impl Rollout {
    pub(super) fn new(mark: Id, spaces: &[EntityId]) -> Rollout {
        let swap = SiteSwap { spaces: spaces.len(), ..SiteSwap::default() };
        let waiting = spaces.iter().copied().collect();
        Rollout { mark, waiting, swap, failed: 0, settled_until_ms: None }
    }

    pub(super) fn next_wake_ms(&self) -> Option<u64> {
        self.settled_until_ms
    }

    /// Spaces have not gone over yet.
    pub(super) fn is_under_way(&self) -> bool {
        self.settled_until_ms.is_none()
    }
}

impl GameCore {
    /// A space has swapped, or not.
    pub(super) fn swapped(&mut self, space: EntityId, report: SwapReport) {
        let Some(name) = self.directory.space(space).map(|row| row.module.clone()) else { return };
        let Some(module) = self.modules.get_mut(&name) else { return };
        let head = module.head.hash;
        let Some(rollout) = &mut module.rollout else { return };
        if report.to != head || !rollout.waiting.remove(&space) {
            return;
        }
        rollout.swap.entities += report.entities;
        rollout.swap.migrated += report.migrated;
        if let Some(why) = report.failed {
            rollout.failed += 1;
            rollout.swap.failures.push(format!("space {space}: {why}"));
            rollout.swap.failures.truncate(FAILURES_TOLD);
        }
        self.swaps_done(&name);
    }

    /// A space was closed before it swapped.
    pub(super) fn rollout_lost(&mut self, space: EntityId) {
        let names: Vec<String> = self.modules.keys().cloned().collect();
        for name in names {
            if let Some(module) = self.modules.get_mut(&name)
                && let Some(rollout) = &mut module.rollout
                && rollout.waiting.remove(&space)
            {
                self.swaps_done(&name);
            }
        }
    }

    /// All spaces here have said how it went.
    pub(super) fn swaps_done(&mut self, name: &str) {
        let now_ms = self.now_ms;
        let Some(module) = self.modules.get_mut(name) else { return };
        let rollback = module.is_rollback();
        let Some(rollout) = &mut module.rollout else { return };
        if !rollout.waiting.is_empty() || !rollout.is_under_way() {
            return;
        }
        rollout.settled_until_ms = Some(now_ms + PAUSES_WAIT_MS);
        let (mark, swap, failed) = (rollout.mark, rollout.swap.clone(), rollout.failed);
        module.swap = swap.clone();
        module.mixed = failed > 0;
        module.head_swapped(swap.spaces);
        let head = module.head.clone();
        if failed == 0 {
            self.fact(Fact::Swapped {
                module: name.to_owned(),
                version: head.hash.to_string(),
                label: head.manifest.label.clone(),
                generation: head.generation,
                spaces: swap.spaces,
                migrated: swap.migrated,
                rollback,
            });
        }
        self.say_leader(Peer::Swapped { mark, swap });
        self.tell_pauses();
    }

    /// Tells the pauses of swaps that are over, once all are known or late.
    pub(super) fn tell_pauses(&mut self) {
        let now_ms = self.now_ms;
        let mut told = Vec::new();
        for module in self.modules.values_mut() {
            let (measured, pause) = module.head_pauses();
            let Some(rollout) = &module.rollout else { continue };
            let Some(until_ms) = rollout.settled_until_ms else { continue };
            if measured >= rollout.swap.spaces || until_ms <= now_ms {
                told.push(Peer::Paused { mark: rollout.mark, pause });
                module.rollout = None;
            }
        }
        told.into_iter().for_each(|paused| self.say_leader(paused));
    }

    /// All have it ready: from here on there is no way back but a publication of its own.
    pub(super) fn roll_out(&mut self, mark: Id) {
        let (now_ms, sites) = (self.now_ms, self.sites());
        let Some(publication) = self.publications.get_mut(&mark) else { return };
        publication.phase = Phase::Swapping;
        publication.waiting.clone_from(&sites);
        publication.until_ms = now_ms + SWAP_MS_MAX;
        let reversible = publication.candidate.reversible;
        for site in sites {
            self.say(site, Peer::Go { mark, reversible });
        }
    }

    /// All spaces of a game have said how it went.
    pub(super) fn site_swapped(&mut self, from: Incarnation, mark: Id, swap: SiteSwap) {
        let name = self.game_name(from);
        let Some(publication) = self.publications.get_mut(&mark) else { return };
        if publication.phase != Phase::Swapping || !publication.waiting.remove(&from) {
            return;
        }
        let told = |why: &String| if self.peers.among { format!("`{name}`: {why}") } else { why.clone() };
        publication.failures.extend(swap.failures.iter().map(told));
        let site = publication.sites.entry(from).or_default();
        (site.game, site.spaces) = (name, swap.spaces);
        (site.entities, site.migrated) = (swap.entities, swap.migrated);
        self.all_swapped(mark);
    }

    fn all_swapped(&mut self, mark: Id) {
        let (now_ms, sites) = (self.now_ms, self.sites());
        let Some(publication) = self.publications.get_mut(&mark) else { return };
        if publication.phase != Phase::Swapping || !publication.waiting.is_empty() {
            return;
        }
        if !publication.failures.is_empty() {
            return self.swap_failed(mark);
        }
        publication.phase = Phase::Settled;
        publication.waiting = sites.difference(&publication.paused).copied().collect();
        // Those that have just come over count their wait from there.
        publication.until_ms = now_ms + PAUSES_WAIT_MS * 2;
        let module = publication.order.module.clone();
        for site in sites {
            self.say(site, Peer::Done { module: module.clone(), mark });
        }
        self.settle(mark);
    }

    /// All games run head.
    pub(super) fn done(&mut self, name: &str, mark: Id) {
        let undone = |module: &&mut super::modules::Module| module.mark() == mark && !module.done;
        let Some(module) = self.modules.get_mut(name).filter(undone) else { return };
        module.done = true;
        module.forget_old();
        self.untidy = true;
        self.all_on_probation(name);
        self.begin_services(name);
    }

    /// Some spaces could not go over: the others go back if that loses nothing.
    fn swap_failed(&mut self, mark: Id) {
        let Some(publication) = self.publications.remove(&mark) else { return };
        let spaces: usize = publication.sites.values().map(|site| site.spaces).sum();
        let reason = format!("{} of {spaces} spaces did not swap", publication.failures.len());
        let Publication { asker, candidate, order, mut report, failures, .. } = publication;
        report.refusals = failures;
        report.refusals.truncate(FAILURES_TOLD);
        report.summary.clone_from(&reason);
        report.exit = 2;
        self.answer_publication(asker, report);
        self.fail_head(&order.module, &reason, candidate.reversible && !order.rollback);
        self.let_in();
    }

    /// A game has told its pauses.
    pub(super) fn site_paused(&mut self, from: Incarnation, mark: Id, pause: Option<Pauses>) {
        let Some(publication) = self.publications.get_mut(&mark) else { return };
        publication.sites.entry(from).or_default().pause = pause;
        publication.paused.insert(from);
        if publication.phase == Phase::Settled {
            publication.waiting.remove(&from);
            self.settle(mark);
        }
    }

    /// Answers a publication whose spaces have all swapped, once their pauses are known or late.
    pub(super) fn settle(&mut self, mark: Id) {
        let is_settled = self.publications.get(&mark).is_some_and(|it| {
            it.phase == Phase::Settled && (it.waiting.is_empty() || it.until_ms <= self.now_ms)
        });
        let publication = if is_settled { self.publications.remove(&mark) } else { None };
        let Some(Publication { asker, order, report, sites, .. }) = publication else { return };
        let mut report = *report;
        report.published = true;
        report.generation = order.generation;
        report.pause = Pauses::slowest(sites.values().filter_map(|site| site.pause));
        if report.from.is_empty() {
            report.summary = "the module starts".to_owned();
        } else {
            report.spaces = sites.values().map(|site| site.spaces).sum();
            report.entities = sites.values().map(|site| site.entities).sum();
            report.migrated = sites.values().map(|site| site.migrated).sum();
            report.summary = format!("{} spaces run version {}", report.spaces, report.version);
            report.probation = self.probation_of(&order.module);
            report.probation_ms = report.probation.as_ref().map_or(0, |probation| probation.left_ms);
        }
        if self.peers.among {
            report.games = sites.into_values().collect();
            report.games.sort_by(|one, other| one.game.cmp(&other.game));
        }
        self.answer_publication(asker, Box::new(report));
        self.let_in();
    }

    /// Answers whoever published a module, whatever is known of its pauses; nothing is under way then.
    pub(super) fn settle_now(&mut self, name: &str) {
        let now_ms = self.now_ms;
        let settled = self.publications.iter_mut();
        let settled = settled.filter(|(_, it)| it.order.module == name && it.phase == Phase::Settled);
        let marks = settled.map(|(mark, publication)| {
            publication.until_ms = now_ms;
            *mark
        });
        for mark in marks.collect::<Vec<_>>() {
            self.settle(mark);
        }
    }

    /// Time has passed: games that take too long are named, and waited for.
    pub(super) fn tend_publications(&mut self) {
        let late = self.publications.iter().filter(|(_, it)| it.until_ms <= self.now_ms);
        let late: Vec<(Id, Phase)> = late.map(|(mark, it)| (*mark, it.phase)).collect();
        for (mark, phase) in late {
            match phase {
                Phase::Staging => self.staging_late(mark),
                Phase::Swapping => self.swapping_late(mark),
                Phase::Settled => self.settle(mark),
            }
        }
    }

    fn swapping_late(&mut self, mark: Id) {
        let names = self.names_of_waiting(mark);
        let now_ms = self.now_ms;
        let Some(publication) = self.publications.get_mut(&mark) else { return };
        publication.until_ms = now_ms + SWAP_MS_MAX;
        let reason = match self.peers.among {
            true => format!("spaces of {names} have not swapped yet"),
            false => "some spaces have not swapped yet".to_owned(),
        };
        let mut report = publication.report.clone();
        let asker = publication.asker.take();
        let (module, version) = (publication.order.module.clone(), publication.order.version.to_string());
        report.exit = 2;
        report.summary.clone_from(&reason);
        self.answer_publication(asker, report);
        self.fact(Fact::Halted { module, version, reason });
    }

    /// Those that a publication waits for, for people.
    pub(super) fn names_of_waiting(&self, mark: Id) -> String {
        let waiting = self.publications.get(&mark).map(|publication| &publication.waiting);
        let names = waiting.into_iter().flatten().map(|life| format!("`{}`", self.game_name(*life)));
        names.collect::<Vec<_>>().join(", ")
    }

    /// A game is dead: nobody waits for it.
    pub(super) fn site_lost(&mut self, life: Incarnation) {
        let marks: Vec<Id> = self.publications.keys().copied().collect();
        for mark in marks {
            let Some(publication) = self.publications.get_mut(&mark) else { continue };
            if publication.waiting.remove(&life) {
                match publication.phase {
                    Phase::Staging => self.all_staged(mark),
                    Phase::Swapping => self.all_swapped(mark),
                    Phase::Settled => self.settle(mark),
                }
            }
        }
    }
}
