//! Newcomers: a game that joins takes what runs, not its file, before it is given work.
//!
//! What it takes of a module is a record: the small ids before head, head's component, and what became of all
//! generations so far. From these it makes head itself, as all others did when it was published.

use super::GameCore;
use super::modules::{Generation, Module, Next};
use super::peers::Lead;
use super::probation::Probation;
use super::report::{Fact, VersionEntry};
use super::rollout::Rollout;
use crate::cargo::peer::{Blob, Fault, HeadMark, Offer, Peer};
use crate::guest::VersionHash;
use crate::message::Input;
use crate::versions::Lineage;
use bytes::Bytes;
use everwake_protocol::Id;
use everwake_protocol::cluster::{Incarnation, ToGate};
use serde::{Deserialize, Serialize};

/// Everything of a module that all games have alike.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ModuleRecord {
    before: Lineage,
    head: VersionHash,
    /// Oldest first, the last one is head's.
    history: Vec<(VersionEntry, VersionHash, Id)>,
    /// Versions that can come back, oldest first.
    loaded: Vec<VersionHash>,
    passed: Option<VersionHash>,
    probation: Option<Probation>,
    faults: Vec<Fault>,
}

/// A game takes what it has missed.
#[derive(Debug)]
pub(super) struct Joining {
    from: Incarnation,
    /// In the order in which the modules were started.
    offers: Vec<(Offer, Option<ModuleRecord>)>,
}

impl Joining {
    /// Components that it needs.
    pub(super) fn versions(&self) -> impl Iterator<Item = VersionHash> {
        self.offers.iter().filter_map(|(_, record)| record.as_ref()).flat_map(|it| it.loaded.iter().copied())
    }

    pub(super) fn wants(&self, version: VersionHash) -> bool {
        self.versions().any(|wanted| wanted == version)
    }
}

impl GameCore {
    /// Another game wants to be let in, or has missed something.
    pub(super) fn join_asked(&mut self, from: Incarnation, heads: Vec<HeadMark>) {
        let Some(row) = self.peers.known.get_mut(&from) else { return };
        if row.rank().is_some() {
            let offers = self.offers(from, &heads);
            if !offers.is_empty() {
                self.say(from, Peer::Take(offers));
            }
        } else if self.peers.lead != Lead::No {
            row.join = Some(heads);
            self.let_in();
        }
    }

    /// Lets in those who have everything; the others are given it. While something is published nobody comes in.
    pub(super) fn let_in(&mut self) {
        if !self.peers.leads() || self.publications.values().any(|it| it.is_under_way()) {
            return;
        }
        let waiting = self.peers.known.iter_mut();
        let waiting = waiting.filter_map(|(life, row)| Some((*life, row.join.take()?)));
        for (life, heads) in waiting.collect::<Vec<_>>() {
            let offers = self.offers(life, &heads);
            if !offers.is_empty() {
                self.say(life, Peer::Take(offers));
                continue;
            }
            let ranks = self.peers.known.values().filter_map(super::peers::Row::rank);
            let rank = ranks.chain(self.peers.rank).max().unwrap_or_default().saturating_add(1);
            if let Some(row) = self.peers.known.get_mut(&life) {
                row.standing.get_or_insert_default().rank = Some(rank);
            }
            self.records.retain(|_, (reader, _)| *reader != life);
            self.say(life, Peer::Welcome { rank });
        }
        self.flush_early();
    }

    /// Records of the modules of which somebody does not have what runs here.
    fn offers(&mut self, reader: Incarnation, heads: &[HeadMark]) -> Vec<Offer> {
        self.records.retain(|_, (old, _)| *old != reader);
        let mut offers = Vec::new();
        for own in self.head_marks() {
            let theirs = heads.iter().find(|theirs| theirs.module == own.module);
            let has = theirs.is_some_and(|theirs| {
                *theirs == own || (theirs.generation >= own.generation && !self.peers.leads())
            });
            if has {
                continue;
            }
            let Some(record) = self.modules.get(&own.module).map(Module::record) else { continue };
            let mut bytes = Vec::new();
            let written = ciborium::into_writer(&record, &mut bytes);
            debug_assert!(written.is_ok(), "memory takes everything");
            let id = self.mint_id(b"record");
            self.records.insert(id, (reader, bytes.into()));
            offers.push(Offer { module: own.module, record: id });
        }
        offers
    }

    /// Let in by the one that leads.
    pub(super) fn welcomed(&mut self, from: Incarnation, rank: u32) {
        if self.peers.following == Some(from) && !self.is_in() {
            self.enter(rank);
            self.flush_early();
        }
    }

    /// There is something that this game has not got.
    pub(super) fn take_first(&mut self, from: Incarnation, offers: Vec<Offer>) {
        let expected = self.is_in() || self.peers.asked == Some(from);
        if self.joining.is_some() || !expected || offers.len() > super::limits::MODULES_MAX {
            return;
        }
        let records: Vec<Blob> = offers.iter().map(|offer| Blob::Record(offer.record)).collect();
        let offers = offers.into_iter().map(|offer| (offer, None)).collect();
        self.joining = Some(Joining { from, offers });
        for record in records {
            self.fetch(from, record);
        }
    }

    pub(super) fn record_came(&mut self, id: Id, bytes: &Bytes) {
        let Some(joining) = &mut self.joining else { return };
        let Some((_, record)) = joining.offers.iter_mut().find(|(offer, _)| offer.record == id) else {
            return;
        };
        match ciborium::from_reader::<ModuleRecord, _>(&mut bytes.as_ref()) {
            Ok(read) => *record = Some(read),
            Err(error) => return self.joining_failed(&format!("a module's record does not decode: {error}")),
        }
        let from = joining.from;
        let missing = joining.versions().filter(|version| !self.shelf.contains_key(version));
        for version in missing.collect::<Vec<_>>() {
            self.fetch(from, Blob::Component(version));
        }
        self.advance_joining();
    }

    /// Takes all of it, once all of it is here.
    pub(super) fn advance_joining(&mut self) {
        let Some(joining) = &self.joining else { return };
        let is_here = joining.offers.iter().all(|(_, record)| record.is_some())
            && joining.versions().all(|version| self.shelf.contains_key(&version));
        if !is_here {
            return;
        }
        let Some(joining) = self.joining.take() else { return };
        self.untidy = true;
        for (offer, record) in joining.offers {
            let Some(record) = record else { continue };
            if let Err(why) = self.adopt(&offer.module, record) {
                return self.joining_failed(&format!("`{}`: {why}", offer.module));
            }
        }
        self.peers.asked = None;
        self.consider_peers();
    }

    /// Nothing of it is taken; it is tried again after a while.
    pub(super) fn joining_failed(&mut self, why: &str) {
        self.untidy = true;
        self.joining = None;
        self.peers.asked = None;
        self.fetches.retain(|blob, _| !matches!(blob, Blob::Record(_)));
        if !self.is_in() {
            self.fact(Fact::NotJoined { reason: why.to_owned() });
        }
        self.peers_again();
    }

    /// A module is from now on what its record says.
    fn adopt(&mut self, name: &str, record: ModuleRecord) -> Result<(), String> {
        let checked = self.shelf.get(&record.head).map(|shelved| shelved.checked.clone());
        let next = Next::after(&record.before, record.head, checked.ok_or("its head is not here")?)?;
        let head = next.version.clone();
        if head.manifest.name != name
            || record.history.last().is_none_or(|(last, ..)| last.generation != head.generation)
        {
            return Err("its record does not fit its head".to_owned());
        }
        let Some(module) = self.modules.get_mut(name) else {
            let mut module = Module::new(record.before.clone(), next, self.config.key_value_bytes_max);
            module.take(record);
            self.start_module(module);
            self.begin_services(name);
            return Ok(());
        };
        let own = module.head_mark();
        if self.peers.rank.is_some() && !record.has(&own) {
            self.outlived(name);
            return Ok(());
        }
        module.lineage = next.lineage;
        module.before.clone_from(&record.before);
        module.set_head(next.version);
        module.take(record);
        let mark = module.mark();
        let spaces = self.directory.spaces_of(name);
        if let Some(module) = self.modules.get_mut(name) {
            module.rollout = Some(Rollout::new(mark, &spaces));
        }
        self.announce(name);
        self.send_gate(ToGate::Schema { schema: head.schema.clone() });
        for space in spaces {
            self.hand(space, Input::Swap(head.clone()));
        }
        self.swaps_done(name);
        Ok(())
    }
}

impl ModuleRecord {
    /// Whether a publication is part of this history, as far as that is remembered.
    fn has(&self, head: &HeadMark) -> bool {
        let first = self.history.first().map_or(0, |(first, ..)| first.generation);
        head.generation < first
            || self
                .history
                .iter()
                .any(|(entry, _, mark)| entry.generation == head.generation && *mark == head.mark)
    }
}

impl Module {
    fn record(&self) -> ModuleRecord {
        let history = self.history.iter().map(|it| (it.entry.clone(), it.hash, it.mark));
        ModuleRecord {
            before: self.before.clone(),
            head: self.head.hash,
            history: history.collect(),
            loaded: self.loaded.clone(),
            passed: self.passed,
            probation: self.probation.clone(),
            faults: self.faults.iter().cloned().collect(),
        }
    }

    fn take(&mut self, record: ModuleRecord) {
        let known = std::mem::take(&mut self.history);
        let measured = |mark: Id| known.iter().find(|it| it.mark == mark);
        self.history = record
            .history
            .into_iter()
            .map(|(entry, hash, mark)| {
                let here = measured(mark);
                let (spaces, crashes) = here.map_or((0, 0), |here| (here.entry.spaces, here.entry.crashes));
                let entry = VersionEntry { spaces, crashes, games: Vec::new(), ..entry };
                let pauses = here.map(|here| here.pauses.clone()).unwrap_or_default();
                Generation { entry, hash, mark, pauses }
            })
            .collect();
        self.loaded = record.loaded;
        self.passed = record.passed;
        self.probation = record.probation;
        self.faults = record.faults.into_iter().collect();
        self.done = true;
    }
}
