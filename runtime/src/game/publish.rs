//! From bytes to a version that may be swapped in: load, allot ids, compare, rehearse.
//!
//! Nothing here changes a running game; that is [`super::rollout`]'s.

use super::limits::{MODULES_MAX, REHEARSAL_MS_MAX};
use super::modules::{Module, Next};
use super::report::{Fact, Pauses, PublicationReport, VersionState, full_hash};
use super::rollout::Rollout;
use super::{GameCore, GameOutput, LoadedModule};
use crate::guest::VersionHash;
use crate::message::{Input, Parked, Rehearsal};
use crate::versions::Lineage;
use crate::versions::diff::{Change, Diff, Weight, diff};
use bytes::Bytes;
use everwake_protocol::EntityId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a publisher agrees to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PublishOptions {
    /// End the probation of the version before; always so in development.
    pub supersede: bool,
    /// What is not held against it.
    pub agreed: Agreed,
}

/// How much a publisher puts up with. Each one includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Agreed {
    /// Nothing: it loses nothing, and going back loses nothing.
    #[default]
    Nothing,
    /// Going back would lose changes, or is not proven to work.
    NoWayBack,
    /// Values that live entities hold go out of use.
    Loss,
}

/// A component on its way through the loader.
#[derive(Debug)]
pub(super) struct Job {
    admin: u64,
    options: PublishOptions,
    note: String,
    plan: bool,
}

/// What a module's publication is doing.
#[derive(Debug, Default)]
pub enum Stage {
    /// Nothing.
    #[default]
    Idle,
    /// Spaces rehearse it.
    Rehearsing,
    /// Spaces go over.
    Swapping(Box<Rollout>),
}

impl Stage {
    pub(super) fn next_wake_ms(&self) -> Option<u64> {
        match self {
            Stage::Swapping(rollout) => Some(rollout.wake_ms),
            Stage::Idle | Stage::Rehearsing => None,
        }
    }
}

/// A version that may become head.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Who asked; none if the host goes back by itself.
    pub admin: Option<u64>,
    pub next: Next,
    pub options: PublishOptions,
    pub note: String,
    pub rollback: bool,
    /// True if going back from it to the version before it loses nothing, as far as is known.
    pub reversible: bool,
    /// True if going back would forget something that was written after, whatever `migrate` does.
    pub forgets: bool,
    /// True if values that live entities hold go out of use.
    pub loses: bool,
    pub report: PublicationReport,
}

/// Spaces are asked what a swap would do.
#[derive(Debug)]
pub(super) struct RehearsalRun {
    candidate: Candidate,
    plan: bool,
    waiting: BTreeSet<EntityId>,
    found: Rehearsal,
    pub until_ms: u64,
}

impl GameCore {
    /// `publish` and `plan`: to the loader first.
    pub(super) fn publish(
        &mut self,
        admin: u64,
        bytes: Bytes,
        note: String,
        options: PublishOptions,
        plan: bool,
    ) {
        let job = self.mint();
        self.jobs.insert(job, Job { admin, options, note, plan });
        self.out.push(GameOutput::Load { job, bytes });
    }

    /// The loader is done.
    pub(super) fn loaded(&mut self, job: u64, result: Result<LoadedModule, String>) {
        let Some(job) = self.jobs.remove(&job) else { return };
        match result {
            Ok(loaded) => self.consider(job, loaded),
            Err(reason) => {
                let report = PublicationReport { refusals: vec![reason], ..Default::default() };
                self.refuse_publication(Some(job.admin), report, job.plan);
            }
        }
    }

    /// `rollback`: an earlier version becomes a new generation.
    pub(super) fn rollback(&mut self, admin: u64, name: &str, to: Option<&str>, irreversible: bool) {
        let found = self.modules.get(name).and_then(|module| module.find(to));
        let Some(loaded) = found else {
            let why = self.no_way_back(name, to);
            let report =
                PublicationReport { module: name.to_owned(), refusals: vec![why], ..Default::default() };
            return self.refuse_publication(Some(admin), report, false);
        };
        let agreed = if irreversible { Agreed::Loss } else { Agreed::Nothing };
        let options = PublishOptions { supersede: true, agreed };
        self.weigh(Some(admin), loaded, options, "rollback".to_owned(), true, false);
    }

    /// Why there is nothing to go back to.
    fn no_way_back(&self, name: &str, to: Option<&str>) -> String {
        let Some(module) = self.modules.get(name) else {
            let names: Vec<String> = self.modules.keys().map(|name| format!("`{name}`")).collect();
            return match (name, names.as_slice()) {
                (_, []) => "no module runs".to_owned(),
                ("", _) => {
                    format!("several modules run: {}\nhint: name one with `--module`", names.join(", "))
                }
                _ => format!("there is no module `{name}`\nhint: these run: {}", names.join(", ")),
            };
        };
        match (to, module.titles().as_slice()) {
            (None, []) => {
                let only = module.title(module.head.hash);
                format!("`{name}` has no version to go back to: {only} is the only one that is loaded")
            }
            (Some(to), []) => {
                format!(
                    "`{name}` has no version `{to}`\nhint: the running one is the only one that is loaded"
                )
            }
            (to, titles) => format!(
                "`{name}` has no version `{}` that is still loaded\nhint: it can go back to {}",
                to.unwrap_or_default(),
                titles.join(", ")
            ),
        }
    }

    fn consider(&mut self, job: Job, loaded: LoadedModule) {
        self.weigh(Some(job.admin), loaded, job.options, job.note, false, job.plan);
    }

    fn weigh(
        &mut self,
        admin: Option<u64>,
        loaded: LoadedModule,
        options: PublishOptions,
        note: String,
        rollback: bool,
        plan: bool,
    ) {
        let manifest = loaded.checked.manifest();
        let name = manifest.name.clone();
        let mut report = PublicationReport {
            module: name.clone(),
            version: full_hash(loaded.hash),
            label: manifest.label.clone(),
            ..Default::default()
        };
        self.settle_now(&name);
        let hash = loaded.hash;
        report.refusals = self.objections(&loaded, options, plan);
        if !report.refusals.is_empty() {
            self.refuse_publication(admin, report, plan);
            return self.unload(&name, hash);
        }
        let Some(module) = self.modules.get(&name) else {
            return self.first_version(admin, loaded, note, report, plan);
        };
        report.from = full_hash(module.head.hash);
        if module.head.hash == loaded.hash && !module.mixed {
            report.generation = module.head.generation;
            report.summary = "this version is head already: nothing to do".to_owned();
            report.published = !plan;
            return self.answer_publication(admin, report);
        }
        let candidate = match module.candidate(admin, loaded, options, note, rollback, report) {
            Ok(candidate) => candidate,
            Err(report) => {
                self.refuse_publication(admin, *report, plan);
                return self.unload(&name, hash);
            }
        };
        self.rehearse(candidate, plan);
    }

    /// What stands against a publication whatever is in it.
    fn objections(&self, loaded: &LoadedModule, options: PublishOptions, plan: bool) -> Vec<String> {
        let mut objections = Vec::new();
        if self.closing.is_some() {
            objections.push("the server is shutting down".to_owned());
        }
        let manifest = loaded.checked.manifest();
        let Some(module) = self.modules.get(&manifest.name) else {
            if self.modules.len() >= MODULES_MAX {
                objections.push(format!("this process runs {MODULES_MAX} modules already"));
            }
            return objections;
        };
        if plan {
            return objections;
        }
        if !matches!(module.stage, Stage::Idle) {
            objections
                .push("another publication of this module is under way: spaces of two versions exist".into());
        }
        if module.probation.is_some() && !options.supersede && !self.config.dev {
            objections.push(format!(
                "version {} is on probation\nhint: wait, or publish with `--supersede`",
                module.head.hash
            ));
        }
        objections
    }

    fn first_version(
        &mut self,
        admin: Option<u64>,
        loaded: LoadedModule,
        note: String,
        mut report: PublicationReport,
        plan: bool,
    ) {
        let (name, hash) = (report.module.clone(), loaded.hash);
        let lineage = Lineage::new(&name);
        let first = match Next::after(&lineage, loaded) {
            Ok(first) => first,
            Err(reason) => {
                report.refusals.push(reason);
                self.refuse_publication(admin, report, plan);
                return self.unload(&name, hash);
            }
        };
        report.reversible = true;
        report.generation = first.version.generation;
        report.summary = "the module starts".to_owned();
        if !plan {
            report.published = true;
            self.start_module(first, &note);
            if let Some(module) = self.modules.get_mut(&name) {
                // There is nothing to go back to, and nothing that it could have broken.
                module.head_is(VersionState::Passed);
                module.passed = Some(module.head.clone());
            }
        }
        self.answer_publication(admin, report);
        self.unload(&name, hash);
    }

    /// Asks all spaces of the module what the swap would do.
    fn rehearse(&mut self, candidate: Candidate, plan: bool) {
        let name = candidate.report.module.clone();
        let ticket = self.mint();
        let spaces = self.directory.spaces_of(&name);
        let version = candidate.next.version.clone();
        let until_ms = self.now_ms + REHEARSAL_MS_MAX;
        if !plan && let Some(module) = self.modules.get_mut(&name) {
            module.stage = Stage::Rehearsing;
        }
        let waiting = spaces.iter().copied().collect();
        let found = Rehearsal { reversible: true, ..Default::default() };
        self.rehearsals.insert(ticket, RehearsalRun { candidate, plan, waiting, found, until_ms });
        for space in spaces {
            self.hand(space, Input::Rehearse { ticket, version: version.clone() });
        }
        self.rehearsal_done(ticket);
    }

    /// A space has looked.
    pub(super) fn rehearsed(&mut self, space: EntityId, ticket: u64, rehearsal: Rehearsal) {
        let Some(run) = self.rehearsals.get_mut(&ticket) else { return };
        if run.waiting.remove(&space) {
            run.found.merge(rehearsal);
        }
        self.rehearsal_done(ticket);
    }

    /// A space was closed before it answered.
    pub(super) fn rehearsal_lost(&mut self, space: EntityId) {
        let tickets: Vec<u64> = self.rehearsals.keys().copied().collect();
        for ticket in tickets {
            if self.rehearsals.get_mut(&ticket).is_some_and(|run| run.waiting.remove(&space)) {
                self.rehearsal_done(ticket);
            }
        }
    }

    pub(super) fn expire_rehearsals(&mut self) {
        let now_ms = self.now_ms;
        let late = self.rehearsals.extract_if(.., |_, run| run.until_ms <= now_ms);
        let late: Vec<RehearsalRun> = late.map(|(_, run)| run).collect();
        for run in late {
            let why = format!("{} spaces did not answer in time", run.waiting.len());
            self.give_up(run, why);
        }
    }

    /// Something came between: what was rehearsed does not happen.
    pub(super) fn interrupt_rehearsals(&mut self, name: &str, why: &str) {
        let of_module = |run: &mut RehearsalRun| run.candidate.report.module == name;
        let runs = self.rehearsals.extract_if(.., |_, run| of_module(run));
        let runs: Vec<RehearsalRun> = runs.map(|(_, run)| run).collect();
        for run in runs {
            self.give_up(run, why.to_owned());
        }
    }

    fn give_up(&mut self, run: RehearsalRun, why: String) {
        let (name, hash) = (run.candidate.report.module.clone(), run.candidate.next.version.hash);
        let mut report = run.candidate.report;
        report.refusals.push(why);
        self.refuse_publication(run.candidate.admin, report, run.plan);
        self.unload(&name, hash);
    }

    /// Lets go of a version that did not become head, unless it can come back.
    fn unload(&mut self, name: &str, hash: VersionHash) {
        let kept = self.modules.get(name).is_some_and(|module| module.loaded(hash).is_some());
        let rehearsed = self.rehearsals.values().any(|run| run.candidate.next.version.hash == hash);
        if !kept && !rehearsed {
            self.out.push(GameOutput::Forget(hash));
        }
    }

    fn rehearsal_done(&mut self, ticket: u64) {
        if self.rehearsals.get(&ticket).is_none_or(|run| !run.waiting.is_empty()) {
            return;
        }
        let Some(run) = self.rehearsals.remove(&ticket) else { return };
        let census = self.census(&run.candidate.report.module);
        let spaces = self.directory.spaces_of(&run.candidate.report.module).len();
        let candidate = run.candidate.judged(&run.found, &census, spaces, run.plan);
        if candidate.report.exit == 2 || (candidate.report.exit == 1 && !run.plan) {
            let (name, hash) = (candidate.report.module.clone(), candidate.next.version.hash);
            self.refuse_publication(candidate.admin, candidate.report, run.plan);
            return self.unload(&name, hash);
        }
        if run.plan {
            let (name, hash) = (candidate.report.module.clone(), candidate.next.version.hash);
            self.answer_publication(candidate.admin, candidate.report);
            return self.unload(&name, hash);
        }
        self.roll_out(candidate);
    }

    /// It does not happen.
    pub(super) fn refuse_publication(
        &mut self,
        admin: Option<u64>,
        mut report: PublicationReport,
        plan: bool,
    ) {
        report.exit = report.exit.max(if report.refusals.is_empty() { 1 } else { 2 });
        report.published = false;
        if report.summary.is_empty() {
            report.summary = "refused".to_owned();
        }
        if !plan {
            // A refusal by reason of another publication must not end that one.
            let rehearsing =
                self.rehearsals.values().any(|run| !run.plan && run.candidate.report.module == report.module);
            if let Some(module) = self.modules.get_mut(&report.module)
                && matches!(module.stage, Stage::Rehearsing)
                && !rehearsing
            {
                module.stage = Stage::Idle;
            }
            let reasons = report.refusals.clone();
            self.fact(Fact::Refused { module: report.module.clone(), reasons });
        }
        self.answer_publication(admin, report);
    }
}

impl Module {
    /// What would come next, beside what is.
    pub(super) fn candidate(
        &self,
        admin: Option<u64>,
        loaded: LoadedModule,
        options: PublishOptions,
        note: String,
        rollback: bool,
        mut report: PublicationReport,
    ) -> Result<Candidate, Box<PublicationReport>> {
        let next = match Next::after(&self.lineage, loaded) {
            Ok(next) => next,
            Err(reason) => {
                report.refusals.push(reason);
                return Err(Box::new(report));
            }
        };
        let diff = diff(&self.head, &next.version);
        let additive = diff.is_additive();
        let forgets = diff.losses().next().is_some();
        // What a roll-back takes out of use comes back with the next version.
        let loses = if rollback { forgets } else { diff.loses() };
        report.changes = changes(&diff);
        for change in diff.types.iter().flat_map(|changed| &changed.changes) {
            match change.weight {
                Weight::Fine => {}
                Weight::Attention | Weight::Loss => report.warnings.push(said(change)),
                Weight::Refused => report.refusals.push(said(change)),
            }
        }
        let reversible = additive;
        Ok(Candidate { admin, next, options, note, rollback, reversible, forgets, loses, report })
    }
}

impl Candidate {
    /// With what the spaces have found.
    fn judged(mut self, found: &Rehearsal, census: &BTreeMap<u32, usize>, spaces: usize, plan: bool) -> Self {
        let report = &mut self.report;
        report.spaces = spaces;
        report.entities = found.entities;
        report.migrated = found.migrated;
        report.expected_pause = Pauses::of(&found.pause_micros).filter(|_| plan);
        for Parked { type_name, method, kind, count } in &found.parked {
            report.refusals.push(format!(
                "{count} x {kind}: `{type_name}::{method}` is waited for, and the new version lacks it\n\
                 hint: keep the method, or name its successor with `was`"
            ));
        }
        if found.failed > 0 {
            let examples = found.failures.join("; ");
            report.refusals.push(format!("`migrate` fails for {} entities: {examples}", found.failed));
        }
        for (type_id, count) in census {
            if *count > 0 && !self.next.version.type_by_id.contains_key(type_id) {
                report.refusals.push(format!("{count} entities live of a type that the new version lacks"));
            }
        }
        self.reversible = !self.forgets && found.reversible;
        report.reversible = self.reversible;
        let no_way_back =
            "going back would lose changes, or `migrate` down does not give back what was there";
        let lost_by_going =
            "this loses what the running version has changed, or `migrate` cannot carry it there and back";
        let (needed, why) = match (self.rollback, self.loses, self.reversible) {
            (true, false, true) | (false, false, true) => (Agreed::Nothing, ""),
            (true, ..) => (Agreed::Loss, lost_by_going),
            (false, true, _) => (Agreed::Loss, "values that live entities hold would go out of use"),
            (false, false, false) => (Agreed::NoWayBack, no_way_back),
        };
        if needed > self.options.agreed {
            report.exit = 1;
            report.summary = why.to_owned();
        } else if !self.reversible {
            report.warnings.push(if self.rollback { lost_by_going } else { no_way_back }.to_owned());
        }
        if !report.refusals.is_empty() {
            report.exit = 2;
        } else if plan && report.exit == 0 {
            report.summary = format!("{spaces} spaces would swap; {} entities migrate", found.migrated);
        }
        self
    }
}

impl Rehearsal {
    /// Adds what another space has found.
    fn merge(&mut self, other: Rehearsal) {
        const FAILURES_SHOWN: usize = 5;
        self.entities += other.entities;
        self.migrated += other.migrated;
        self.failed += other.failed;
        self.reversible &= other.reversible;
        self.failures.extend(other.failures);
        self.failures.truncate(FAILURES_SHOWN);
        self.pause_micros.extend(other.pause_micros);
        for parked in other.parked {
            let same = |known: &&mut Parked| {
                (&known.type_name, &known.method, known.kind)
                    == (&parked.type_name, &parked.method, parked.kind)
            };
            match self.parked.iter_mut().find(same) {
                Some(known) => known.count += parked.count,
                None => self.parked.push(parked),
            }
        }
    }
}

/// A line for each change.
fn changes(diff: &Diff) -> Vec<String> {
    let mut lines = Vec::new();
    for changed in &diff.types {
        if let Some((from, to)) = changed.migrate {
            lines.push(format!("{}: schema {from} -> {to}, its entities go through `migrate`", changed.name));
        }
        lines.extend(changed.changes.iter().map(|change| format!("{}: {}", changed.name, change.text)));
    }
    lines
}

fn said(change: &Change) -> String {
    match change.hint.as_str() {
        "" => change.text.clone(),
        hint => format!("{}\nhint: {hint}", change.text),
    }
}
