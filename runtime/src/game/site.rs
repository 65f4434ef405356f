//! What one game does for a publication: gets it ready, says what it would do here, and goes over when all are ready.
//!
//! A game that has said that it is ready stays so until it is told to go or to drop it. Whoever then sees the version
//! at work elsewhere knows that it was announced, and goes over at once.

use super::GameCore;
use super::limits::{MODULES_MAX, REHEARSAL_MS_MAX};
use super::modules::{Module, Next};
use super::publish::Shelved;
use super::report::VersionState;
use super::rollout::Rollout;
use crate::cargo::peer::{Blob, Findings, Order, Peer, SiteSwap};
use crate::guest::VersionHash;
use crate::message::{Input, Parked, Rehearsal};
use crate::versions::{Lineage, ModuleVersion};
use everwake_protocol::cluster::{Incarnation, ToGate};
use everwake_protocol::{EntityId, Id};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A publication that this game gets ready, or has ready.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) order: Order,
    /// Who wants to know: the one that leads.
    owner: Incarnation,
    /// None before its component is here.
    next: Option<Next>,
    /// Spaces that have not said yet what it would do to them.
    waiting: BTreeSet<EntityId>,
    found: Findings,
    is_ready: bool,
    /// After this time nobody waits for spaces, UTC ms.
    pub(super) until_ms: Option<u64>,
}

impl GameCore {
    /// The one that leads wants something to be got ready.
    pub(super) fn stage(&mut self, owner: Incarnation, order: Order) {
        let mark = order.mark;
        if let Some(staged) = self.staged.values_mut().find(|staged| staged.order.mark == mark) {
            staged.owner = owner;
            return;
        }
        if order.revert {
            self.drop_module(&order.module, "the running version is going back");
        }
        if let Some(why) = self.cannot_stage(&order) {
            return self.say(owner, Peer::Staged { mark, found: Err(vec![why]) });
        }
        let version = order.version;
        let (waiting, found) = (BTreeSet::new(), Findings::default());
        let staged = Staged { order, owner, next: None, waiting, found, is_ready: false, until_ms: None };
        let ticket = self.mint();
        self.staged.insert(ticket, staged);
        match self.shelf.contains_key(&version) {
            true => self.rehearse(ticket),
            false => self.fetch(owner, Blob::Component(version)),
        }
    }

    fn cannot_stage(&self, order: &Order) -> Option<String> {
        if order.plan {
            return None;
        }
        let mut others = self.staged.values().filter(|staged| !staged.order.plan);
        if others.any(|staged| staged.order.module == order.module) {
            return Some("another publication of this module is under way".to_owned());
        }
        let is_full = self.modules.len() >= MODULES_MAX && !self.modules.contains_key(&order.module);
        is_full.then(|| format!("this process runs {MODULES_MAX} modules already"))
    }

    /// A component that was fetched is here, or will not come.
    pub(super) fn staged_component(&mut self, version: VersionHash, result: Result<(), &str>) {
        let waiting = self.staged.iter();
        let waiting = waiting.filter(|(_, staged)| staged.next.is_none() && staged.order.version == version);
        for ticket in waiting.map(|(ticket, _)| *ticket).collect::<Vec<_>>() {
            match result {
                Ok(()) => self.rehearse(ticket),
                Err(why) => self.refuse_staged(ticket, why.to_owned()),
            }
        }
    }

    /// Gives out its ids, and asks all spaces of the module what it would do.
    fn rehearse(&mut self, ticket: u64) {
        let next = match self.next_of(ticket) {
            Ok(next) => next,
            Err(why) => return self.refuse_staged(ticket, why),
        };
        let Some(staged) = self.staged.get_mut(&ticket) else { return };
        let name = staged.order.module.clone();
        let version = next.version.clone();
        staged.found = Findings {
            rehearsal: Rehearsal { reversible: true, ..Rehearsal::default() },
            table: next.table(),
            ..Findings::default()
        };
        staged.next = Some(next);
        let spaces = self.directory.spaces_of(&name);
        if !staged.order.revert && self.modules.contains_key(&name) {
            staged.found.spaces = spaces.len();
            staged.waiting = spaces.iter().copied().collect();
            staged.until_ms = Some(self.now_ms + REHEARSAL_MS_MAX);
            for space in spaces {
                self.hand(space, Input::Rehearse { ticket, version: version.clone() });
            }
        }
        self.rehearsal_done(ticket);
    }

    fn next_of(&self, ticket: u64) -> Result<Next, String> {
        let order = &self.staged.get(&ticket).ok_or("it was dropped")?.order;
        let Shelved { checked, .. } = self.shelf.get(&order.version).ok_or("its component is not here")?;
        let first = Lineage::new(&order.module);
        let lineage = self.modules.get(&order.module).map_or(&first, |module| &module.lineage);
        let expected = lineage.generation() + 1;
        if expected != order.generation {
            let generation = lineage.generation();
            return Err(format!(
                "generation {generation} runs here: {} does not follow it",
                order.generation
            ));
        }
        Next::after(lineage, order.version, checked.clone())
    }

    /// A space has looked.
    pub(super) fn rehearsed(&mut self, space: EntityId, ticket: u64, rehearsal: Rehearsal) {
        let Some(staged) = self.staged.get_mut(&ticket) else { return };
        if staged.waiting.remove(&space) {
            staged.found.rehearsal.merge(rehearsal);
            self.rehearsal_done(ticket);
        }
    }

    /// A space was closed before it answered.
    pub(super) fn rehearsal_lost(&mut self, space: EntityId) {
        let tickets: Vec<u64> = self.staged.keys().copied().collect();
        for ticket in tickets {
            if self.staged.get_mut(&ticket).is_some_and(|staged| staged.waiting.remove(&space)) {
                self.rehearsal_done(ticket);
            }
        }
    }

    pub(super) fn expire_rehearsals(&mut self) {
        let late =
            self.staged.iter().filter(|(_, staged)| staged.until_ms.is_some_and(|at| at <= self.now_ms));
        let late: Vec<(u64, usize)> = late.map(|(ticket, staged)| (*ticket, staged.waiting.len())).collect();
        for (ticket, spaces) in late {
            self.refuse_staged(ticket, format!("{spaces} spaces did not answer in time"));
        }
    }

    fn rehearsal_done(&mut self, ticket: u64) {
        let Some(staged) = self.staged.get_mut(&ticket) else { return };
        let Some(next) = staged.next.as_ref().filter(|_| staged.waiting.is_empty() && !staged.is_ready)
        else {
            return;
        };
        let (version, module) = (next.version.clone(), staged.order.module.clone());
        (staged.is_ready, staged.until_ms) = (true, None);
        let refusals = self.lacking(&module, &version);
        let Some(staged) = self.staged.get_mut(&ticket) else { return };
        staged.found.refusals = refusals;
        let (owner, said) = (staged.owner, staged.said());
        self.say(owner, said);
    }

    /// Types with live entities that a version does not have.
    fn lacking(&self, module: &str, version: &ModuleVersion) -> Vec<String> {
        let census: BTreeMap<u32, usize> = self.directory.census(module);
        let lacking = census.iter().filter(|(id, count)| **count > 0 && !version.type_by_id.contains_key(id));
        lacking
            .map(|(_, count)| format!("{count} entities live of a type that the new version lacks"))
            .collect()
    }

    fn refuse_staged(&mut self, ticket: u64, why: String) {
        if let Some(staged) = self.staged.remove(&ticket) {
            self.untidy = true;
            self.say(staged.owner, Peer::Staged { mark: staged.order.mark, found: Err(vec![why]) });
        }
    }

    fn drop_module(&mut self, module: &str, why: &str) {
        let of_module = self.staged.iter().filter(|(_, staged)| staged.order.module == module);
        for ticket in of_module.map(|(ticket, _)| *ticket).collect::<Vec<_>>() {
            self.refuse_staged(ticket, why.to_owned());
        }
    }

    /// It does not happen.
    pub(super) fn drop_staged(&mut self, mark: Id) {
        self.untidy = true;
        self.staged.retain(|_, staged| staged.order.mark != mark);
    }

    /// Another game leads from now on: what is ready is ready for that one. What is still fetched came from the one
    /// before.
    pub(super) fn owner_is(&mut self, leader: Incarnation) {
        self.staged.retain(|_, staged| !staged.order.plan);
        self.untidy = true;
        let mut said = Vec::new();
        for staged in self.staged.values_mut() {
            staged.owner = leader;
            if staged.is_ready {
                said.push(staged.said());
            }
        }
        for said in said {
            self.say(leader, said);
        }
    }

    /// The version of a publication that is ready here.
    pub(super) fn staged_version(&self, hash: VersionHash, generation: u32) -> Option<Arc<ModuleVersion>> {
        let ready = self.staged.values().filter(|staged| staged.is_ready && !staged.order.plan);
        let mut versions = ready.filter_map(|staged| staged.next.as_ref()).map(|next| &next.version);
        versions.find(|version| version.hash == hash && version.generation == generation).cloned()
    }

    /// A publication is at work somewhere: if it is ready here it was announced. True if it is head here now.
    pub(super) fn commit_on_sight(&mut self, mark: Id) -> bool {
        let is_it = |staged: &Staged| staged.order.mark == mark && staged.is_ready && !staged.order.plan;
        let is_staged = self.staged.values().any(is_it);
        if is_staged {
            self.go(mark, None);
        }
        is_staged
    }

    /// The same, of something that only tells its generation.
    pub(super) fn seen_at_work(&mut self, module: &str, generation: u32) {
        let is_it = |staged: &&Staged| staged.order.module == module && staged.order.generation == generation;
        let mark = self.staged.values().find(is_it).map(|staged| staged.order.mark);
        if let Some(mark) = mark {
            self.commit_on_sight(mark);
        }
    }

    /// All have it: it is head from now on. `reversible`: going back loses nothing, if that is known.
    pub(super) fn go(&mut self, mark: Id, reversible: Option<bool>) {
        let staged =
            self.staged.iter().find(|(_, it)| it.order.mark == mark && it.is_ready && !it.order.plan);
        let Some(ticket) = staged.map(|(ticket, _)| *ticket) else {
            return self.gone_already(mark, reversible);
        };
        self.untidy = true;
        let Some(Staged { order, next: Some(next), .. }) = self.staged.remove(&ticket) else { return };
        match self.modules.contains_key(&order.module) {
            true => self.commit(&order, next, reversible),
            false => {
                let module = Module::first(next, &order, self.config.key_value_bytes_max);
                self.start_module(module);
                self.say_leader(Peer::Swapped { mark, swap: SiteSwap::default() });
                self.say_leader(Peer::Paused { mark, pause: None });
            }
        }
    }

    /// It is head already, by sight or by the one that led before.
    fn gone_already(&mut self, mark: Id, reversible: Option<bool>) {
        let module = self.modules.values_mut().find(|module| module.mark() == mark);
        let Some(module) = module else { return };
        if let (Some(probation), Some(reversible)) = (&mut module.probation, reversible) {
            probation.reversible_is(reversible);
        }
        let (rollout, swap, (_, pause)) =
            (module.rollout.as_ref(), module.swap.clone(), module.head_pauses());
        // Spaces that go over yet, and pauses that are not known yet, are told when they are.
        let (is_over, is_measured) = (rollout.is_none_or(|it| !it.is_under_way()), rollout.is_none());
        if is_over {
            self.say_leader(Peer::Swapped { mark, swap });
        }
        if is_measured {
            self.say_leader(Peer::Paused { mark, pause });
        }
    }

    /// The point of no return.
    fn commit(&mut self, order: &Order, next: Next, reversible: Option<bool>) {
        let spaces = self.directory.spaces_of(&order.module);
        let Some(module) = self.modules.get_mut(&order.module) else { return };
        if order.revert {
            module.probation = None;
            module.head_is(VersionState::Reverted);
        } else if matches!(module.head_state(), Some(VersionState::Probation)) {
            module.head_is(VersionState::Superseded);
        }
        let version = next.version.clone();
        module.install(next, order);
        module.rollout = Some(Rollout::new(order.mark, &spaces));
        self.announce(&order.module);
        self.begin_probation(&order.module, reversible.unwrap_or_default(), order.rollback);
        self.send_gate(ToGate::Schema { schema: version.schema.clone() });
        for space in spaces {
            self.hand(space, Input::Swap(version.clone()));
        }
        self.swaps_done(&order.module);
    }
}

impl Staged {
    fn said(&self) -> Peer {
        Peer::Staged { mark: self.order.mark, found: Ok(Box::new(self.found.clone())) }
    }
}

impl Rehearsal {
    /// Adds what another space or game has found.
    pub(super) fn merge(&mut self, other: Rehearsal) {
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
                (&known.type_name, &known.method, &known.kind)
                    == (&parked.type_name, &parked.method, &parked.kind)
            };
            match self.parked.iter_mut().find(same) {
                Some(known) => known.count += parked.count,
                None => self.parked.push(parked),
            }
        }
    }
}
