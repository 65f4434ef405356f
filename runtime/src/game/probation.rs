//! A new version is watched; if it fails too often in a minute it goes back, where that loses nothing.
//!
//! What the versions before did wrong already does not count: a version is not taken back for the faults
//! that it has inherited, nor may somebody who knows an old bug take every new version back.
//!
//! All games tell each other of failures and count them all, so it does not matter where they happen, and whoever
//! leads next goes on counting. Only the one that leads judges.

use super::publish::{Asker, PublishOptions};
use super::report::{Fact, ProbationReport, PublicationReport, VersionEntry, VersionState};
use super::{GameCore, GameOutput};
use crate::cargo::peer::{Fault, Order, Peer};
use crate::guest::{TrapKind, VersionHash};
use crate::message::Crash;
use everwake_protocol::{EntityId, Id};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

const MINUTE_MS: u64 = 60_000;

/// Head is watched.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Probation {
    /// When it has passed, UTC ms.
    pub until_ms: u64,
    /// New failures so far.
    failures: u32,
    /// UTC ms of those of the last minute.
    recent: VecDeque<u64>,
    /// Since when, and how many failures here others were told of.
    told: (u64, u32),
    /// From head to the version before it nothing is lost.
    reversible: bool,
    /// Nor from that one to the last that passed.
    chain: bool,
    /// Head is an earlier version.
    rollback: bool,
    /// The last version that passed.
    passed: Option<VersionHash>,
    /// Head is that one.
    is_passed: bool,
    /// It has failed and nothing can be done: said once.
    halted: bool,
}

impl Probation {
    /// Whether going back from head to the version before it loses nothing.
    pub(super) fn is_reversible(&self) -> bool {
        self.reversible
    }

    /// What all games have found out about going back.
    pub(super) fn reversible_is(&mut self, reversible: bool) {
        self.reversible = reversible;
    }

    /// From here to the last version that passed nothing is lost.
    fn returns(&self) -> bool {
        self.is_passed || (self.reversible && self.chain)
    }

    /// The version to go back to by itself.
    fn back_to(&self) -> Option<VersionHash> {
        self.passed.filter(|_| self.returns() && !self.is_passed && !self.rollback)
    }

    /// Whether others hear of one more failure here: more than are allowed in a minute say nothing new.
    fn tells(&mut self, now_ms: u64, allowed: u32) -> bool {
        if now_ms.saturating_sub(self.told.0) >= MINUTE_MS {
            self.told = (now_ms, 0);
        }
        self.told.1 = self.told.1.saturating_add(1);
        self.told.1 <= allowed.saturating_add(1)
    }
}

impl GameCore {
    /// The first space goes over to head: watch it.
    pub(super) fn begin_probation(&mut self, name: &str, reversible: bool, rollback: bool) {
        let until_ms = self.now_ms + self.config.probation_ms;
        let Some(module) = self.modules.get_mut(name) else { return };
        let passed = module.passed;
        // Over a superseded version: back past it only if that one could have gone back too.
        let chain = module.probation.take().is_none_or(|former| former.returns() && !former.halted);
        module.probation = Some(Probation {
            until_ms,
            failures: 0,
            recent: VecDeque::new(),
            told: (0, 0),
            reversible,
            chain,
            rollback,
            passed,
            is_passed: passed == Some(module.head.hash),
            halted: false,
        });
    }

    /// The last space went over to head: the time counts from here.
    pub(super) fn all_on_probation(&mut self, name: &str) {
        let until_ms = self.now_ms + self.config.probation_ms;
        let Some(module) = self.modules.get_mut(name) else { return };
        if let Some(probation) = module.probation.as_mut() {
            probation.until_ms = until_ms;
            let state = if probation.halted { VersionState::Halted } else { VersionState::Probation };
            module.head_is(state);
        }
    }

    /// A handler failed badly somewhere.
    pub(super) fn crashed(&mut self, crash: Box<Crash>) {
        self.counters.crashes += 1;
        let log = self.crash_line(&crash);
        let (name, version) = (crash.module.clone(), crash.version);
        // Of no room for an instance no version is guilty.
        let fault = (crash.kind != TrapKind::NoRoom).then(|| (crash.handler.clone(), Some(crash.kind)));
        self.out.push(GameOutput::Crash { crash, log });
        if let Some(module) = self.modules.get_mut(&name) {
            module.crashed(version);
        }
        if let Some(fault) = fault {
            self.strike(&name, version, fault);
        }
    }

    /// Something that waited named a method that the version lacks.
    pub(super) fn unhandled(&mut self, space: EntityId, version: VersionHash, method: String) {
        self.counters.unhandled += 1;
        let Some(name) = self.directory.space(space).map(|row| row.module.clone()) else { return };
        let now_ms = self.now_ms;
        if self.modules.get_mut(&name).is_some_and(|module| module.crash_lines.take(now_ms)) {
            let (module, version, method) = (name.clone(), version.to_string(), method.clone());
            self.fact(Fact::Unhandled { module, version, method });
        }
        self.strike(&name, version, (method, None));
    }

    /// A failure here: all games hear of it, if it may count or if it is one more that does not.
    fn strike(&mut self, name: &str, version: VersionHash, fault: Fault) {
        let (now_ms, allowed) = (self.now_ms, self.config.probation_traps_max);
        let Some(module) = self.modules.get_mut(name) else { return };
        let module_name = name.to_owned();
        let known = module.knows_fault(&fault);
        match module.probation.as_mut().filter(|_| module.head.hash == version) {
            Some(_) if known => return,
            Some(probation) => {
                if probation.tells(now_ms, allowed) {
                    let fault = fault.clone();
                    self.say_others(&Peer::Strike { module: module_name, version, fault });
                }
            }
            None => {
                if module.learn_fault(fault.clone()) {
                    self.say_others(&Peer::Known { module: module_name, fault });
                }
                return;
            }
        }
        self.count_strike(name, version, &fault);
    }

    /// A former version has failed so, in some game.
    pub(super) fn learn(&mut self, name: &str, fault: Fault) {
        if let Some(module) = self.modules.get_mut(name) {
            module.learn_fault(fault);
        }
    }

    /// Counts a failure against the version that is watched, unless it is an old one.
    pub(super) fn count_strike(&mut self, name: &str, version: VersionHash, fault: &Fault) {
        let (now_ms, most) = (self.now_ms, self.config.probation_traps_max as usize);
        let leads = self.peers.leads();
        let Some(module) = self.modules.get_mut(name) else { return };
        if module.head.hash != version || module.knows_fault(fault) {
            return;
        }
        let Some(probation) = module.probation.as_mut() else { return };
        probation.failures += 1;
        probation.recent.push_back(now_ms);
        while probation.recent.front().is_some_and(|at| at + MINUTE_MS <= now_ms) {
            probation.recent.pop_front();
        }
        let (failures, recent) = (probation.failures, probation.recent.len());
        let failed = leads && recent > most && !probation.halted;
        module.head_trapped(failures);
        if failed {
            let reason = format!("{recent} new failures within a minute of probation, {most} are allowed");
            self.fail_head(name, &reason, true);
        }
    }

    /// Head is no good: go back if that loses nothing (`may_revert`), else say so.
    pub(super) fn fail_head(&mut self, name: &str, reason: &str, may_revert: bool) {
        let Some(module) = self.modules.get_mut(name) else { return };
        let version = module.head.hash.to_string();
        let back_to = module.probation.as_ref().and_then(Probation::back_to);
        let target = back_to.filter(|_| may_revert);
        let Some(target) = target else {
            return self.halt(name, reason.to_owned());
        };
        self.fact(Fact::Reverting {
            module: name.to_owned(),
            version,
            back_to: target.to_string(),
            reason: reason.to_owned(),
        });
        self.revert(name, target, reason);
    }

    fn revert(&mut self, name: &str, target: VersionHash, reason: &str) {
        // Whoever published, or is about to, is told now.
        self.settle_now(name);
        self.interrupt_publications(name, reason);
        let mut report = PublicationReport { module: name.to_owned(), ..Default::default() };
        let options = PublishOptions { supersede: true, ..Default::default() };
        let Some(checked) = self.shelf.get(&target).map(|shelved| shelved.checked.clone()) else { return };
        let order = self.order(target, format!("reverted: {reason}"), options);
        let Some(module) = self.modules.get_mut(name) else { return };
        module.probation = None;
        match module.compare(target, checked, &mut report) {
            Ok(candidate) => {
                // It was looked at when head was published: what stands against it now does not count.
                report.refusals.clear();
                let order = Order { rollback: true, revert: true, ..order };
                self.begin(Asker::Nobody, order, candidate, report);
            }
            Err(reason) => self.halt(name, reason),
        }
    }

    /// Head has failed, and nothing can be taken back.
    pub(super) fn halt(&mut self, name: &str, reason: String) {
        let Some(module) = self.modules.get_mut(name) else { return };
        if let Some(probation) = module.probation.as_mut() {
            probation.halted = true;
        }
        module.head_is(VersionState::Halted);
        let (version, mark) = (module.head.hash.to_string(), module.mark());
        let judged = Peer::Judged { module: name.to_owned(), mark, state: VersionState::Halted };
        self.say_others(&judged);
        self.fact(Fact::Halted { module: name.to_owned(), version, reason });
    }

    /// Time has passed: probations end, slow swaps are named, answers are settled.
    pub(super) fn tend_modules(&mut self) {
        let now_ms = self.now_ms;
        let mut over = Vec::new();
        for (name, module) in self.modules.iter().filter(|(_, module)| self.peers.leads() && module.done) {
            if let Some(probation) = module.probation.as_ref().filter(|it| it.until_ms <= now_ms) {
                let state = if probation.halted { VersionState::Halted } else { VersionState::Passed };
                over.push(Peer::Judged { module: name.clone(), mark: module.mark(), state });
            }
        }
        for judged in over {
            for site in self.sites() {
                self.say(site, judged.clone());
            }
        }
        self.tell_pauses();
        self.tend_publications();
    }

    /// What the one that leads makes of head.
    pub(super) fn judged(&mut self, name: &str, mark: Id, state: VersionState) {
        let now_ms = self.now_ms;
        let Some(module) = self.modules.get_mut(name).filter(|module| module.mark() == mark) else { return };
        module.head_is(state);
        if state == VersionState::Passed {
            module.probation = None;
            module.passed = Some(module.head.hash);
            let version = module.head.hash.to_string();
            return self.fact(Fact::Passed { module: name.to_owned(), version });
        }
        if let Some(probation) = module.probation.as_mut() {
            probation.halted = true;
            if probation.until_ms <= now_ms {
                module.probation = None;
            }
        }
    }

    /// How head stands, if it is watched.
    pub(super) fn probation_of(&self, name: &str) -> Option<ProbationReport> {
        let module = self.modules.get(name)?;
        let probation = module.probation.as_ref()?;
        let within = probation.recent.iter().filter(|at| **at + MINUTE_MS > self.now_ms);
        let back_to = probation.back_to().filter(|_| !probation.halted);
        let stays = match (back_to, module.passed) {
            (Some(_), _) => "",
            _ if probation.halted => "it has failed already, and could not go back",
            (None, None) => "no version before it has passed",
            (None, Some(passed)) if passed == module.head.hash => "it has passed before",
            _ if module.is_rollback() => "it is a roll-back itself",
            _ => "going back would lose changes",
        };
        Some(ProbationReport {
            left_ms: probation.until_ms.saturating_sub(self.now_ms),
            counted: within.count(),
            allowed: self.config.probation_traps_max,
            back_to: back_to.map(|version| module.title(version)),
            stays: stays.to_owned(),
        })
    }

    /// The generations of a module, newest first, and how the first of them stands.
    pub(super) fn versions_of(&self, name: &str) -> Vec<VersionEntry> {
        let Some(module) = self.modules.get(name) else { return Vec::new() };
        let mut versions = module.versions();
        if let Some(head) = versions.first_mut() {
            head.probation = self.probation_of(name);
            head.rolls_back_to = module.find(None).map(|version| module.title(version));
        }
        versions
    }

    /// Whether one more line about crashes may be written now.
    fn crash_line(&mut self, crash: &Crash) -> bool {
        let now_ms = self.now_ms;
        self.modules.get_mut(&crash.module).is_none_or(|module| module.crash_lines.take(now_ms))
    }
}
