//! A version becomes head: schema to the gates, an order to every space, reports back.
//!
//! Each space swaps between two of its events. The order is handed to all spaces before anything
//! later is, so an entity that moves never meets an older version than the one it left.

use super::limits::{PAUSES_WAIT_MS, SWAP_MS_MAX};
use super::publish::{Candidate, Stage};
use super::report::{Fact, PublicationReport, VersionState};
use super::{GameCore, admin::AdminAnswer};
use crate::message::{Input, SwapReport};
use everwake_protocol::EntityId;
use everwake_protocol::cluster::ToGate;
use std::collections::BTreeSet;

/// Spaces go over to head.
#[derive(Debug)]
pub struct Rollout {
    admin: Option<u64>,
    report: PublicationReport,
    reversible: bool,
    rollback: bool,
    waiting: BTreeSet<EntityId>,
    spaces: usize,
    entities: usize,
    migrated: usize,
    failures: Vec<String>,
    /// When to look again: for slow spaces, then for pauses.
    pub(super) wake_ms: u64,
    /// All spaces have swapped; the answer waits for pauses.
    settled: bool,
}

impl Rollout {
    /// All spaces have said how it went.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }
}

impl GameCore {
    /// The point of no return of a publication.
    pub(super) fn roll_out(&mut self, candidate: Candidate) {
        let name = candidate.report.module.clone();
        let spaces = self.directory.spaces_of(&name);
        let now_ms = self.now_ms;
        let Some(module) = self.modules.get_mut(&name) else { return };
        if matches!(module.head_state(), Some(VersionState::Probation)) {
            module.head_is(VersionState::Superseded);
        }
        let version = candidate.next.version.clone();
        module.install(candidate.next, &candidate.note, now_ms, candidate.rollback);
        let mut report = candidate.report;
        report.generation = version.generation;
        report.spaces = spaces.len();
        module.stage = Stage::Swapping(Box::new(Rollout {
            admin: candidate.admin,
            report,
            reversible: candidate.reversible,
            rollback: candidate.rollback,
            waiting: spaces.iter().copied().collect(),
            spaces: spaces.len(),
            entities: 0,
            migrated: 0,
            failures: Vec::new(),
            wake_ms: now_ms + SWAP_MS_MAX,
            settled: false,
        }));
        self.begin_probation(&name, candidate.reversible, candidate.rollback);
        self.send_gate(ToGate::Schema { schema: version.schema.clone() });
        for space in spaces {
            self.hand(space, Input::Swap(version.clone()));
        }
        self.swaps_done(&name);
    }

    /// A space has swapped, or not.
    pub(super) fn swapped(&mut self, space: EntityId, report: SwapReport) {
        let Some(name) = self.directory.space(space).map(|row| row.module.clone()) else { return };
        let Some(module) = self.modules.get_mut(&name) else { return };
        let head = module.head.hash;
        let Stage::Swapping(rollout) = &mut module.stage else { return };
        if report.to != head || !rollout.waiting.remove(&space) {
            return;
        }
        rollout.entities += report.entities;
        rollout.migrated += report.migrated;
        if let Some(why) = report.failed {
            rollout.failures.push(format!("space {space}: {why}"));
        }
        self.swaps_done(&name);
    }

    /// A space was closed before it swapped.
    pub(super) fn rollout_lost(&mut self, space: EntityId) {
        let names: Vec<String> = self.modules.keys().cloned().collect();
        for name in names {
            if let Some(module) = self.modules.get_mut(&name)
                && let Stage::Swapping(rollout) = &mut module.stage
                && rollout.waiting.remove(&space)
            {
                self.swaps_done(&name);
            }
        }
    }

    fn swaps_done(&mut self, name: &str) {
        let now_ms = self.now_ms;
        let Some(module) = self.modules.get_mut(name) else { return };
        let Stage::Swapping(rollout) = &mut module.stage else { return };
        if !rollout.waiting.is_empty() || rollout.settled {
            return;
        }
        rollout.settled = true;
        if !rollout.failures.is_empty() {
            return self.swap_failed(name);
        }
        rollout.wake_ms = now_ms + PAUSES_WAIT_MS;
        let (rollback, spaces) = (rollout.rollback, rollout.spaces);
        let (entities, migrated) = (rollout.entities, rollout.migrated);
        rollout.report.entities = entities;
        rollout.report.migrated = migrated;
        module.mixed = false;
        module.head_swapped(spaces);
        let head = module.head.clone();
        self.all_on_probation(name);
        self.start_services(name);
        self.forget_old_versions(name);
        self.fact(Fact::Swapped {
            module: name.to_owned(),
            version: head.hash.to_string(),
            label: head.manifest.label.clone(),
            generation: head.generation,
            spaces,
            migrated,
            rollback,
        });
        self.settle_answers();
    }

    /// Some spaces could not go over: the others go back if that loses nothing.
    fn swap_failed(&mut self, name: &str) {
        let Some(module) = self.modules.get_mut(name) else { return };
        let Stage::Swapping(rollout) = std::mem::take(&mut module.stage) else { return };
        module.mixed = true;
        let mut report = rollout.report;
        let reason = format!("{} of {} spaces did not swap", rollout.failures.len(), rollout.spaces);
        report.refusals = rollout.failures;
        report.refusals.truncate(10);
        report.summary = reason.clone();
        report.exit = 2;
        self.answer_publication(rollout.admin, report);
        self.fail_head(name, &reason, rollout.reversible && !rollout.rollback);
    }

    /// Answers publications whose spaces have all swapped, once their pauses are known or late.
    pub(super) fn settle_answers(&mut self) {
        let mut done = Vec::new();
        for (name, module) in &mut self.modules {
            let (measured, pause) = module.head_pauses();
            let Stage::Swapping(rollout) = &mut module.stage else { continue };
            if !rollout.settled || (measured < rollout.spaces && rollout.wake_ms > self.now_ms) {
                continue;
            }
            let mut report = std::mem::take(&mut rollout.report);
            report.pause = pause;
            report.published = true;
            report.summary = format!("{} spaces run version {}", rollout.spaces, report.version);
            done.push((name.clone(), rollout.admin, report));
        }
        for (name, admin, mut report) in done {
            report.probation = self.probation_of(&name);
            report.probation_ms = report.probation.as_ref().map_or(0, |probation| probation.left_ms);
            if let Some(module) = self.modules.get_mut(&name) {
                module.stage = Stage::Idle;
            }
            self.answer_publication(admin, report);
        }
    }

    /// Answers whoever published a module, whatever is known of its pauses; nothing is under way then.
    pub(super) fn settle_now(&mut self, name: &str) {
        if let Some(module) = self.modules.get_mut(name)
            && let Stage::Swapping(rollout) = &mut module.stage
            && rollout.settled
        {
            rollout.wake_ms = self.now_ms;
            self.settle_answers();
        }
    }

    /// A swap under way is overtaken by another one: whoever published is told.
    pub(super) fn interrupt_rollout(&mut self, name: &str, reason: &str) {
        let Some(module) = self.modules.get_mut(name) else { return };
        if let Stage::Swapping(rollout) = std::mem::take(&mut module.stage) {
            let mut report = rollout.report;
            report.exit = 2;
            report.summary = format!("the version goes back: {reason}");
            self.answer_publication(rollout.admin, report);
        }
    }

    /// Spaces that take too long are named, and waited for.
    pub(super) fn slow_swaps(&mut self) {
        let now_ms = self.now_ms;
        let mut late = Vec::new();
        for (name, module) in &mut self.modules {
            let Stage::Swapping(rollout) = &mut module.stage else { continue };
            if rollout.settled || rollout.wake_ms > now_ms {
                continue;
            }
            rollout.wake_ms = now_ms + SWAP_MS_MAX;
            let why = format!("{} spaces have not swapped yet", rollout.waiting.len());
            late.push((
                name.clone(),
                module.head.hash.to_string(),
                why,
                rollout.admin.take(),
                rollout.report.clone(),
            ));
        }
        for (module, version, reason, admin, mut report) in late {
            report.exit = 2;
            report.summary = reason.clone();
            self.answer_publication(admin, report);
            self.fact(Fact::Halted { module, version, reason });
        }
    }

    /// Tells whoever published.
    pub(super) fn answer_publication(&mut self, admin: Option<u64>, report: PublicationReport) {
        if let Some(admin) = admin {
            self.answer_admin(admin, AdminAnswer::Publication(Box::new(report)));
        }
    }
}
