//! A new version is watched; if it fails too often in a minute it goes back, where that loses nothing.
//!
//! What the versions before did wrong already does not count: a version is not taken back for the faults
//! that it has inherited, nor may somebody who knows an old bug take every new version back.

use super::modules::Fault;
use super::publish::PublishOptions;
use super::report::{Fact, ProbationReport, PublicationReport, VersionEntry, VersionState};
use super::{GameCore, GameOutput};
use crate::guest::{TrapKind, VersionHash};
use crate::message::Crash;
use crate::versions::ModuleVersion;
use everwake_protocol::EntityId;
use std::collections::VecDeque;
use std::sync::Arc;

const MINUTE_MS: u64 = 60_000;

/// Head is watched.
#[derive(Debug)]
pub struct Probation {
    /// When it has passed, UTC ms.
    pub until_ms: u64,
    /// New failures so far.
    failures: u32,
    /// UTC ms of those of the last minute.
    recent: VecDeque<u64>,
    /// From here to the last version that passed nothing is lost.
    returns: bool,
    /// The version to go back to by itself.
    back_to: Option<Arc<ModuleVersion>>,
    /// It has failed and nothing can be done: said once.
    halted: bool,
}

impl GameCore {
    /// The first space goes over to head: watch it.
    pub(super) fn begin_probation(&mut self, name: &str, reversible: bool, rollback: bool) {
        let until_ms = self.now_ms + self.config.probation_ms;
        let Some(module) = self.modules.get_mut(name) else { return };
        let passed = module.passed.clone();
        let is_passed = passed.as_ref().is_some_and(|passed| passed.hash == module.head.hash);
        // Over a superseded version: back past it only if that one could have gone back too.
        let chain = module.probation.take().is_none_or(|former| former.returns && !former.halted);
        let returns = is_passed || (reversible && chain);
        let back_to = passed.filter(|_| returns && !is_passed && !rollback);
        module.probation = Some(Probation {
            until_ms,
            failures: 0,
            recent: VecDeque::new(),
            returns,
            back_to,
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

    /// Counts a failure against the version that is watched, unless it is an old one.
    fn strike(&mut self, name: &str, version: VersionHash, fault: Fault) {
        let (now_ms, most) = (self.now_ms, self.config.probation_traps_max as usize);
        let Some(module) = self.modules.get_mut(name) else { return };
        let on_trial = module.head.hash == version && module.probation.is_some();
        if !on_trial {
            return module.learn_fault(fault);
        }
        if module.knows_fault(&fault) {
            return;
        }
        let Some(probation) = module.probation.as_mut() else { return };
        probation.failures += 1;
        probation.recent.push_back(now_ms);
        while probation.recent.front().is_some_and(|at| at + MINUTE_MS <= now_ms) {
            probation.recent.pop_front();
        }
        let (failures, recent) = (probation.failures, probation.recent.len());
        let failed = recent > most && !probation.halted;
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
        let back_to = module.probation.as_ref().and_then(|probation| probation.back_to.clone());
        let target = back_to.filter(|_| may_revert);
        let Some(target) = target else {
            if let Some(probation) = module.probation.as_mut() {
                probation.halted = true;
            }
            module.head_is(VersionState::Halted);
            let reason = reason.to_owned();
            return self.fact(Fact::Halted { module: name.to_owned(), version, reason });
        };
        self.fact(Fact::Reverting {
            module: name.to_owned(),
            version,
            back_to: target.hash.to_string(),
            reason: reason.to_owned(),
        });
        self.revert(name, &target, reason);
    }

    fn revert(&mut self, name: &str, target: &ModuleVersion, reason: &str) {
        // Whoever published, or is about to, is told now.
        self.settle_now(name);
        self.interrupt_rollout(name, reason);
        self.interrupt_rehearsals(name, "the running version is going back");
        let report = PublicationReport { module: name.to_owned(), ..Default::default() };
        let options = PublishOptions { supersede: true, ..Default::default() };
        let note = format!("reverted: {reason}");
        let Some(module) = self.modules.get_mut(name) else { return };
        let Some(loaded) = module.loaded(target.hash) else { return };
        module.probation = None;
        match module.candidate(None, loaded, options, note, true, report) {
            Ok(candidate) => {
                module.head_is(VersionState::Reverted);
                self.roll_out(candidate);
            }
            Err(report) => {
                let version = module.head.hash.to_string();
                module.head_is(VersionState::Halted);
                let reason = report.refusals.join("; ");
                self.fact(Fact::Halted { module: name.to_owned(), version, reason });
            }
        }
    }

    /// Time has passed: probations end, slow swaps are named, answers are settled.
    pub(super) fn tend_modules(&mut self) {
        let now_ms = self.now_ms;
        let mut facts = Vec::new();
        for (name, module) in &mut self.modules {
            let over = module.probation.as_ref().is_some_and(|probation| probation.until_ms <= now_ms);
            if !over || module.is_swapping() {
                continue;
            }
            let halted = module.probation.take().is_some_and(|probation| probation.halted);
            if halted {
                continue;
            }
            module.passed = Some(module.head.clone());
            module.head_is(VersionState::Passed);
            facts.push(Fact::Passed { module: name.clone(), version: module.head.hash.to_string() });
        }
        facts.into_iter().for_each(|fact| self.fact(fact));
        self.slow_swaps();
        self.settle_answers();
    }

    /// How head stands, if it is watched.
    pub(super) fn probation_of(&self, name: &str) -> Option<ProbationReport> {
        let module = self.modules.get(name)?;
        let probation = module.probation.as_ref()?;
        let within = probation.recent.iter().filter(|at| **at + MINUTE_MS > self.now_ms);
        let back_to = probation.back_to.as_ref().filter(|_| !probation.halted);
        let stays = match (&back_to, &module.passed) {
            (Some(_), _) => "",
            _ if probation.halted => "it has failed already, and could not go back",
            (None, None) => "no version before it has passed",
            (None, Some(passed)) if passed.hash == module.head.hash => "it has passed before",
            _ if module.is_rollback() => "it is a roll-back itself",
            _ => "going back would lose changes",
        };
        Some(ProbationReport {
            left_ms: probation.until_ms.saturating_sub(self.now_ms),
            counted: within.count(),
            allowed: self.config.probation_traps_max,
            back_to: back_to.map(|version| module.title(version.hash)),
            stays: stays.to_owned(),
        })
    }

    /// The generations of a module, newest first, and how the first of them stands.
    pub(super) fn versions_of(&self, name: &str) -> Vec<VersionEntry> {
        let Some(module) = self.modules.get(name) else { return Vec::new() };
        let mut versions = module.versions();
        if let Some(head) = versions.first_mut() {
            head.probation = self.probation_of(name);
            head.rolls_back_to = module.find(None).map(|loaded| module.title(loaded.hash));
        }
        versions
    }

    /// Whether one more line about crashes may be written now.
    fn crash_line(&mut self, crash: &Crash) -> bool {
        let now_ms = self.now_ms;
        self.modules.get_mut(&crash.module).is_none_or(|module| module.crash_lines.take(now_ms))
    }
}
