//! From bytes to a version that may be swapped in: load, compare, let all games get it ready, judge what they found.
//!
//! Nothing here changes a running game; that is [`super::rollout`]'s. It runs in the game that leads, be it the only
//! one: one at a time for each module, each one more than the generation that all have.

use super::judge::Candidate;
use super::limits::STAGING_MS_MAX;
use super::modules::Next;
use super::report::{Fact, PublicationReport, SiteReport, full_hash};
use super::{GameCore, GameOutput, LoadedModule};
use crate::cargo::peer::{Findings, Order, Peer};
use crate::guest::VersionHash;
use crate::manifest::Checked;
use crate::message::Rehearsal;
use crate::versions::Lineage;
use bytes::Bytes;
use everwake_protocol::Id;
use everwake_protocol::cluster::Incarnation;
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
    /// Only if no version of the module runs yet; else nothing is done, and that is no failure.
    pub first: bool,
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

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Asker {
    /// The host goes back by itself, or whoever asked has been answered.
    #[default]
    Nobody,
    /// An operator at this game.
    Operator(u64),
    /// One at another game, by that game's ticket.
    Peer(Incarnation, u64),
}

/// A loaded component.
#[derive(Debug)]
pub(super) struct Shelved {
    pub(super) checked: Checked,
    /// Of the component; empty if nobody else can want it.
    pub(super) bytes: Bytes,
}

/// A component on its way through the loader.
#[derive(Debug)]
pub(super) struct Loading {
    job: Job,
    bytes: Bytes,
    /// Versions that were let go of meanwhile.
    pub(super) forgotten: BTreeSet<VersionHash>,
}

#[derive(Debug)]
enum Job {
    /// An operator gave it.
    Given { admin: u64, options: PublishOptions, note: String, plan: bool },
    /// It came from another game.
    Fetched(VersionHash),
}

/// How far a publication is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Games get it ready.
    Staging,
    /// Games go over.
    Swapping,
    /// All run it; its answer waits for pauses.
    Settled,
}

/// A publication, as the one that leads sees it.
#[derive(Debug)]
pub(super) struct Publication {
    pub(super) asker: Asker,
    pub(super) order: Order,
    pub(super) candidate: Candidate,
    pub(super) report: Box<PublicationReport>,
    pub(super) phase: Phase,
    /// Games that have not said what this phase waits for.
    pub(super) waiting: BTreeSet<Incarnation>,
    /// Games that have said what they found.
    pub(super) heard: BTreeSet<Incarnation>,
    pub(super) found: Findings,
    pub(super) failures: Vec<String>,
    pub(super) sites: BTreeMap<Incarnation, SiteReport>,
    /// Games that have told their pauses.
    pub(super) paused: BTreeSet<Incarnation>,
    /// When to look again, UTC ms.
    pub(super) until_ms: u64,
}

impl Asker {
    /// Who it was; nobody from now on.
    pub(super) fn take(&mut self) -> Asker {
        std::mem::take(self)
    }
}

impl Publication {
    pub(super) fn new(
        asker: Asker,
        order: Order,
        candidate: Candidate,
        report: PublicationReport,
        sites: BTreeSet<Incarnation>,
        now_ms: u64,
    ) -> Publication {
        let rehearsal = Rehearsal { reversible: true, ..Rehearsal::default() };
        Publication {
            asker,
            order,
            candidate,
            report: Box::new(report),
            phase: Phase::Staging,
            waiting: sites,
            heard: BTreeSet::new(),
            found: Findings { rehearsal, ..Findings::default() },
            failures: Vec::new(),
            sites: BTreeMap::new(),
            paused: BTreeSet::new(),
            until_ms: now_ms + STAGING_MS_MAX,
        }
    }

    /// Nothing else may begin before it ends.
    pub(super) fn is_under_way(&self) -> bool {
        !self.order.plan && self.phase != Phase::Settled
    }
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
        self.load(Job::Given { admin, options, note, plan }, bytes);
    }

    /// A component has come from another game.
    pub(super) fn load_fetched(&mut self, version: VersionHash, bytes: Bytes) {
        self.load(Job::Fetched(version), bytes);
    }

    fn load(&mut self, job: Job, bytes: Bytes) {
        let number = self.mint();
        let loading = Loading { job, bytes: bytes.clone(), forgotten: BTreeSet::new() };
        self.jobs.insert(number, loading);
        self.out.push(GameOutput::Load { job: number, bytes });
    }

    /// The loader is done.
    pub(super) fn loaded(&mut self, number: u64, result: Result<LoadedModule, String>) {
        let Some(Loading { job, bytes, forgotten }) = self.jobs.remove(&number) else { return };
        match (job, result) {
            (job, Ok(loaded)) if forgotten.contains(&loaded.hash) => self.load(job, bytes),
            (Job::Fetched(version), Ok(loaded)) if loaded.hash != version => {
                self.component_missing(version, "what came is another component");
            }
            (job, Ok(LoadedModule { hash, checked })) => {
                let bytes = if self.peers.among { bytes } else { Bytes::new() };
                self.shelf.insert(hash, Shelved { checked, bytes });
                self.untidy = true;
                match job {
                    Job::Given { admin, options, note, plan } => {
                        self.ask_to_publish(admin, hash, note, options, plan);
                    }
                    Job::Fetched(version) => self.component_here(version),
                }
            }
            (Job::Given { admin, plan, .. }, Err(reason)) => {
                let report = PublicationReport { refusals: vec![reason], ..Default::default() };
                self.refuse_publication(Asker::Operator(admin), report, plan);
            }
            (Job::Fetched(version), Err(reason)) => self.component_missing(version, &reason),
        }
    }

    /// `rollback`: an earlier version becomes a new generation.
    pub(super) fn rollback(
        &mut self,
        asker: Asker,
        name: Option<String>,
        to: Option<&str>,
        irreversible: bool,
    ) {
        let only = || self.modules.first().filter(|_| self.modules.len() == 1).map(|(name, _)| name.clone());
        let name = name.or_else(only).unwrap_or_default();
        let found = self.modules.get(&name).and_then(|module| module.find(to));
        let Some(version) = found.filter(|version| self.shelf.contains_key(version)) else {
            let why = self.no_way_back(&name, to);
            let report = PublicationReport { module: name, refusals: vec![why], ..Default::default() };
            return self.refuse_publication(asker, report, false);
        };
        let agreed = if irreversible { Agreed::Loss } else { Agreed::Nothing };
        let options = PublishOptions { supersede: true, agreed, ..PublishOptions::default() };
        let order = self.order(version, "rollback".to_owned(), options);
        self.weigh(asker, Order { rollback: true, ..order });
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

    /// Something to publish; the rest follows from its component.
    pub(super) fn order(&mut self, version: VersionHash, note: String, options: PublishOptions) -> Order {
        let shelved = self.shelf.get(&version);
        let module = shelved.map(|it| it.checked.manifest().name.clone()).unwrap_or_default();
        let generation = self.modules.get(&module).map_or(0, |module| module.lineage.generation()) + 1;
        // The same file is the same first version wherever it begins.
        let mark = match generation {
            1 => Id::derive(&[b"first", module.as_bytes(), &version.0]),
            _ => self.mint_id(b"publication"),
        };
        let at_ms = self.now_ms;
        let (rollback, revert, plan) = (false, false, false);
        Order { module, mark, generation, version, note, options, at_ms, rollback, revert, plan }
    }

    /// Looks at what is to be published, and lets all games get it ready.
    pub(super) fn weigh(&mut self, asker: Asker, order: Order) {
        let (name, plan) = (order.module.clone(), order.plan);
        let mut report = PublicationReport { module: name.clone(), ..Default::default() };
        report.version = full_hash(order.version);
        let Some(Shelved { checked, .. }) = self.shelf.get(&order.version) else {
            report.refusals.push("its component is here no more".to_owned());
            return self.refuse_publication(asker, report, plan);
        };
        let checked = checked.clone();
        report.label.clone_from(&checked.manifest().label);
        self.untidy = true;
        self.settle_now(&name);
        if let Some(module) = self.modules.get(&name).filter(|_| order.options.first) {
            report.generation = module.head.generation;
            report.from = full_hash(module.head.hash);
            report.summary = format!("{} runs: it counts", module.title(module.head.hash));
            return self.answer_publication(asker, Box::new(report));
        }
        report.refusals = self.objections(&order);
        if !report.refusals.is_empty() {
            return self.refuse_publication(asker, report, plan);
        }
        let compared = match self.modules.get(&name) {
            Some(module) if module.head.hash == order.version && !module.mixed => {
                report.from = full_hash(module.head.hash);
                report.generation = module.head.generation;
                report.summary = "this version is head already: nothing to do".to_owned();
                report.published = !plan;
                return self.answer_publication(asker, Box::new(report));
            }
            Some(module) => module.compare(order.version, checked, &mut report),
            None => {
                report.generation = order.generation;
                let next = Next::after(&Lineage::new(&name), order.version, checked);
                next.map(|_| Candidate { reversible: true, ..Candidate::default() })
            }
        };
        match compared {
            Ok(candidate) => self.begin(asker, order, candidate, report),
            Err(reason) => {
                report.refusals.push(reason);
                self.refuse_publication(asker, report, plan);
            }
        }
    }

    /// A publication of a module is under way.
    pub(super) fn is_publishing(&self, module: &str) -> bool {
        self.publications.values().any(|it| it.is_under_way() && it.order.module == module)
    }

    /// What stands against a publication whatever is in it.
    fn objections(&self, order: &Order) -> Vec<String> {
        let mut objections = Vec::new();
        if self.closing.is_some() {
            objections.push("the server is shutting down".to_owned());
        }
        if order.plan {
            return objections;
        }
        if self.is_publishing(&order.module) {
            objections
                .push("another publication of this module is under way: spaces of two versions exist".into());
        }
        if let Some(module) = self.modules.get(&order.module)
            && module.probation.is_some()
            && !order.options.supersede
            && !self.config.dev
        {
            objections.push(format!(
                "version {} is on probation\nhint: wait, or publish with `--supersede`",
                module.head.hash
            ));
        }
        objections
    }

    /// All games get it ready.
    pub(super) fn begin(
        &mut self,
        asker: Asker,
        order: Order,
        candidate: Candidate,
        report: PublicationReport,
    ) {
        let (mark, sites) = (order.mark, self.sites());
        let publication =
            Publication::new(asker, order.clone(), candidate, report, sites.clone(), self.now_ms);
        self.publications.insert(mark, publication);
        for site in sites {
            self.say(site, Peer::Stage(Box::new(order.clone())));
        }
    }

    /// A game has said what it found, or why it cannot.
    pub(super) fn site_staged(&mut self, from: Incarnation, mark: Id, found: Result<Findings, Vec<String>>) {
        let name = self.game_name(from);
        let Some(publication) = self.publications.get_mut(&mark) else { return };
        if publication.phase != Phase::Staging || !publication.heard.insert(from) {
            return;
        }
        publication.waiting.remove(&from);
        let refusals = match found {
            Ok(found) => publication.found.merge(found),
            Err(reasons) => reasons,
        };
        let told = |why: String| if self.peers.among { format!("`{name}`: {why}") } else { why };
        publication.found.refusals.extend(refusals.into_iter().map(told));
        self.all_staged(mark);
    }

    /// A game cannot be reached, and is not known to be dead.
    pub(super) fn site_unreached(&mut self, life: Incarnation) {
        let waiting = self
            .publications
            .iter()
            .filter(|(_, it)| it.phase == Phase::Staging && it.waiting.contains(&life));
        for mark in waiting.map(|(mark, _)| *mark).collect::<Vec<_>>() {
            self.site_staged(life, mark, Err(vec!["it cannot be reached".to_owned()]));
        }
    }

    /// All have said something: it goes on or it does not.
    pub(super) fn all_staged(&mut self, mark: Id) {
        // Before a new leader knows how all stand it decides nothing.
        let leads = self.peers.leads();
        let Some(publication) = self.publications.get_mut(&mark) else { return };
        if publication.phase != Phase::Staging || !publication.waiting.is_empty() || !leads {
            return;
        }
        publication.judge();
        let (plan, exit) = (publication.order.plan, publication.report.exit);
        if !plan && exit == 0 {
            return self.roll_out(mark);
        }
        let Some(publication) = self.drop_publication(mark) else { return };
        let reasons = publication.report.refusals.join("; ");
        match exit {
            0 | 1 if plan => self.answer_publication(publication.asker, publication.report),
            _ => self.refuse_publication(publication.asker, *publication.report, plan),
        }
        if publication.order.revert {
            self.halt(&publication.order.module, reasons);
        }
        self.let_in();
    }

    pub(super) fn staging_late(&mut self, mark: Id) {
        let names = self.names_of_waiting(mark);
        self.give_up(mark, &format!("not ready in time: {names}"));
    }

    /// Something came between: what games get ready does not happen.
    pub(super) fn interrupt_publications(&mut self, name: &str, why: &str) {
        let of_module = self.publications.iter().filter(|(_, it)| it.order.module == name);
        for (mark, phase) in of_module.map(|(mark, it)| (*mark, it.phase)).collect::<Vec<_>>() {
            if phase == Phase::Staging {
                self.give_up(mark, "the running version is going back");
            } else if let Some(mut publication) = self.publications.remove(&mark) {
                publication.report.exit = 2;
                publication.report.summary = format!("the version goes back: {why}");
                self.answer_publication(publication.asker, publication.report);
            }
        }
    }

    fn give_up(&mut self, mark: Id, why: &str) {
        if let Some(mut publication) = self.drop_publication(mark) {
            publication.report.refusals.push(why.to_owned());
            self.refuse_publication(publication.asker, *publication.report, publication.order.plan);
            self.let_in();
        }
    }

    fn drop_publication(&mut self, mark: Id) -> Option<Publication> {
        let publication = self.publications.remove(&mark)?;
        self.untidy = true;
        for site in self.sites() {
            self.say(site, Peer::Drop { mark });
        }
        Some(publication)
    }

    /// It does not happen.
    pub(super) fn refuse_publication(&mut self, asker: Asker, mut report: PublicationReport, plan: bool) {
        report.exit = report.exit.max(if report.refusals.is_empty() { 1 } else { 2 });
        report.published = false;
        if report.summary.is_empty() {
            report.summary = "refused".to_owned();
        }
        if !plan {
            let reasons = report.refusals.clone();
            self.fact(Fact::Refused { module: report.module.clone(), reasons });
        }
        self.answer_publication(asker, Box::new(report));
    }
}
