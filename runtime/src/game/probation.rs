//! A new version is watched; if it traps too often it goes back, where that loses nothing.

use super::publish::PublishOptions;
use super::report::{Fact, PublicationReport, VersionState};
use super::{GameCore, GameOutput};
use crate::message::Crash;
use crate::versions::ModuleVersion;
use std::sync::Arc;

/// Head is watched.
#[derive(Debug)]
pub struct Probation {
    /// When it has passed, UTC ms.
    pub until_ms: u64,
    traps: u32,
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
        module.probation = Some(Probation { until_ms, traps: 0, returns, back_to, halted: false });
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
        self.out.push(GameOutput::Crash { crash, log });
        let most = self.config.probation_traps_max;
        let Some(module) = self.modules.get_mut(&name) else { return };
        module.crashes += 1;
        if module.head.hash != version {
            return;
        }
        let Some(probation) = module.probation.as_mut() else { return };
        probation.traps += 1;
        let traps = probation.traps;
        let failed = traps > most && !probation.halted;
        module.head_trapped(traps);
        if failed {
            self.fail_head(&name, &format!("{traps} traps during probation"), true);
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

    /// Whether one more line about crashes may be written now.
    fn crash_line(&mut self, crash: &Crash) -> bool {
        let now_ms = self.now_ms;
        self.modules.get_mut(&crash.module).is_none_or(|module| module.crash_lines.take(now_ms))
    }
}
