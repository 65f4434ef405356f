//! The modules that a process runs: which version is head, what was before, and its shards.

use super::key_value::KeyValueMap;
use super::limits::{CRASH_LINES_MAX, CRASH_LINES_MS, FAULTS_MAX, HISTORY_MAX, PAUSES_MAX};
use super::probation::Probation;
use super::report::{Fact, Pauses, VersionEntry, VersionState, full_hash};
use super::rollout::Rollout;
use super::{GameCore, GameOutput, SpaceKind, Ticket};
use crate::cargo::peer::{Fault, HeadMark, Order, SiteSwap};
use crate::cargo::{Cargo, home_of};
use crate::guest::VersionHash;
use crate::manifest::{Checked, TypeKind};
use crate::message::{Input, nil_shard, service_shard};
use crate::versions::{Lineage, ModuleVersion};
use bytes::Bytes;
use everwake_protocol::client::Pose;
use everwake_protocol::cluster::{EntityReport, Placement, SpaceReport, Target, ToDispatcher, ToGate};
use everwake_protocol::limits::SCHEMA_BYTES_MAX;
use everwake_protocol::outcome::Outcome;
use everwake_protocol::{EntityId, Id};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An empty CBOR array.
const NO_ARGS: Bytes = Bytes::from_static(&[0x80]);
/// Component versions that are kept loaded beside head and the last one that passed.
const VERSIONS_KEPT: usize = 8;

/// One module of a process.
#[derive(Debug)]
pub struct Module {
    /// Small ids of all versions so far.
    pub lineage: Lineage,
    /// The same before head: who comes later gives out head's ids once more.
    pub(super) before: Lineage,
    /// What new spaces begin with, and all spaces run unless a swap is under way.
    pub head: Arc<ModuleVersion>,
    /// The last version that passed its probation.
    pub passed: Option<VersionHash>,
    /// Its key-value map.
    pub key_value: KeyValueMap,
    /// Spaces of this process go over to head.
    pub rollout: Option<Rollout>,
    /// How they went over to head.
    pub(super) swap: SiteSwap,
    /// All games run head: no spaces of two versions exist.
    pub done: bool,
    /// Head is watched.
    pub probation: Option<Probation>,
    /// True if a swap went wrong half-way: spaces of two versions exist.
    pub mixed: bool,
    /// Generations, oldest first.
    pub(super) history: Vec<Generation>,
    /// The versions that can come back, oldest first.
    pub(super) loaded: Vec<VersionHash>,
    /// The last generations with their tables, oldest first: entities may still come from spaces that run them.
    versions: Vec<Arc<ModuleVersion>>,
    /// What versions did wrong that nobody watched.
    pub(super) faults: BTreeSet<Fault>,
    /// Shards of services whose constructor failed: by type name and number.
    failed_shards: BTreeSet<(String, u32)>,
    /// Lines about crashes that may be written.
    pub(super) crash_lines: LineBudget,
    /// Crashes since the start.
    pub(super) crashes: u64,
}

/// A version that follows the lineage so far, and the lineage with it.
#[derive(Debug)]
pub struct Next {
    /// With the version at its end.
    pub lineage: Lineage,
    /// As spaces use it.
    pub version: Arc<ModuleVersion>,
}

impl Next {
    /// A version behind all that a lineage has.
    pub fn after(lineage: &Lineage, hash: VersionHash, checked: Checked) -> Result<Self, String> {
        let generation = lineage.generation() + 1;
        let (lineage, version) =
            lineage.publish(checked, hash, generation).map_err(|error| error.to_string())?;
        // Gates would not take it: its clients would go on with the schema before.
        let bytes = version.schema.encode().len();
        if bytes > SCHEMA_BYTES_MAX {
            return Err(format!(
                "the schema for clients would have {bytes} bytes, and `SCHEMA_BYTES_MAX` is {SCHEMA_BYTES_MAX}\n\
                 hint: it holds the names and types of all versions so far; use fewer and shorter ones, or \
                 publish under another name"
            ));
        }
        Ok(Self { lineage, version: Arc::new(version) })
    }

    /// BLAKE3 of the lineage: the same for all who gave out the same ids.
    pub fn table(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        // A hasher takes everything.
        drop(ciborium::into_writer(&self.lineage, &mut hasher));
        *hasher.finalize().as_bytes()
    }
}

/// So many lines in so much time.
#[derive(Debug, Default)]
pub struct LineBudget {
    since_ms: u64,
    written: u32,
}

impl LineBudget {
    /// Whether one more line may be written now.
    pub fn take(&mut self, now_ms: u64) -> bool {
        if now_ms.saturating_sub(self.since_ms) >= CRASH_LINES_MS {
            *self = Self { since_ms: now_ms, written: 0 };
        }
        self.written += 1;
        self.written <= CRASH_LINES_MAX
    }
}

/// One generation, with what is measured of it here.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) entry: VersionEntry,
    pub(super) hash: VersionHash,
    /// The publication.
    pub(super) mark: Id,
    pub(super) pauses: Vec<u64>,
}

impl Module {
    /// A module whose first version is this.
    pub(super) fn first(next: Next, order: &Order, key_value_bytes_max: usize) -> Self {
        let (before, head) = (Lineage::new(&order.module), next.version.clone());
        let mut module = Self::new(before, next, key_value_bytes_max);
        module.note(&head, order);
        module.head_is(VersionState::Passed);
        // There is nothing to go back to, and nothing that it could have broken.
        module.passed = Some(head.hash);
        module
    }

    /// A module with this head, of whose history nothing is noted yet.
    pub(super) fn new(before: Lineage, next: Next, key_value_bytes_max: usize) -> Self {
        Self {
            lineage: next.lineage,
            before,
            versions: vec![next.version.clone()],
            head: next.version,
            passed: None,
            key_value: KeyValueMap::new(key_value_bytes_max),
            rollout: None,
            swap: SiteSwap::default(),
            done: false,
            probation: None,
            mixed: false,
            history: Vec::new(),
            loaded: Vec::new(),
            faults: BTreeSet::new(),
            failed_shards: BTreeSet::new(),
            crash_lines: LineBudget::default(),
            crashes: 0,
        }
    }

    /// A version becomes head.
    pub(super) fn install(&mut self, next: Next, order: &Order) {
        self.before = std::mem::replace(&mut self.lineage, next.lineage);
        self.set_head(next.version.clone());
        self.note(&next.version, order);
        self.done = false;
    }

    pub(super) fn set_head(&mut self, head: Arc<ModuleVersion>) {
        self.versions.retain(|version| version.generation != head.generation);
        self.versions.push(head.clone());
        if self.versions.len() > VERSIONS_KEPT {
            self.versions.remove(0);
        }
        self.head = head;
    }

    fn note(&mut self, head: &ModuleVersion, order: &Order) {
        self.loaded.retain(|loaded| *loaded != head.hash);
        self.loaded.push(head.hash);
        let entry = VersionEntry {
            module: head.manifest.name.clone(),
            generation: head.generation,
            version: full_hash(head.hash),
            label: head.manifest.label.clone(),
            note: order.note.clone(),
            at_ms: order.at_ms,
            rollback: order.rollback,
            state: VersionState::Swapping,
            traps: 0,
            crashes: 0,
            probation: None,
            rolls_back_to: None,
            spaces: 0,
            pause: None,
            games: Vec::new(),
        };
        self.history.push(Generation { entry, hash: head.hash, mark: order.mark, pauses: Vec::new() });
        if self.history.len() > HISTORY_MAX {
            self.history.remove(0);
        }
    }

    /// The publication that made head.
    pub(super) fn mark(&self) -> Id {
        self.history.last().map_or(Id::ZERO, |last| last.mark)
    }

    /// Which publication is head.
    pub(super) fn head_mark(&self) -> HeadMark {
        let module = self.head.manifest.name.clone();
        HeadMark { module, generation: self.head.generation, mark: self.mark() }
    }

    /// A version as which it was published with a generation.
    pub(super) fn version(&self, hash: VersionHash, generation: u32) -> Option<Arc<ModuleVersion>> {
        let is = |version: &&Arc<ModuleVersion>| version.hash == hash && version.generation == generation;
        self.versions.iter().rev().find(is).cloned()
    }

    /// Notes what became of head; what it was is overwritten.
    pub fn head_is(&mut self, state: VersionState) {
        if let Some(last) = self.history.last_mut() {
            last.entry.state = state;
        }
    }

    /// Head swapped in so many spaces.
    pub fn head_swapped(&mut self, spaces: usize) {
        if let Some(last) = self.history.last_mut() {
            last.entry.spaces = spaces;
        }
    }

    /// Head has trapped so often while it was watched.
    pub fn head_trapped(&mut self, traps: u32) {
        if let Some(last) = self.history.last_mut() {
            last.entry.traps = traps;
        }
    }

    /// A handler of a version crashed, which belongs to its newest generation.
    pub fn crashed(&mut self, version: VersionHash) {
        self.crashes += 1;
        let newest = self.history.iter_mut().rev().find(|generation| generation.hash == version);
        if let Some(generation) = newest {
            generation.entry.crashes += 1;
        }
    }

    /// The newest generation of a version, for people.
    pub fn title(&self, version: VersionHash) -> String {
        let newest = self.history.iter().rev().find(|generation| generation.hash == version);
        newest.map_or_else(
            || format!("version `{version}`"),
            |it| format!("generation {} `{}` (`{version}`)", it.entry.generation, it.entry.label),
        )
    }

    /// The versions that can come back and are not head, newest first, for people.
    pub fn titles(&self) -> Vec<String> {
        let others = self.loaded.iter().rev().filter(|loaded| **loaded != self.head.hash);
        others.map(|loaded| self.title(*loaded)).collect()
    }

    /// Whether head went back to an earlier version.
    pub fn is_rollback(&self) -> bool {
        self.history.last().is_some_and(|last| last.entry.rollback)
    }

    /// A pause was measured for a version: it belongs to its newest generation.
    pub fn paused(&mut self, version: VersionHash, micros: u64) -> bool {
        let newest = self.history.iter_mut().rev().find(|generation| generation.hash == version);
        let Some(generation) = newest else { return false };
        if generation.pauses.len() < PAUSES_MAX {
            generation.pauses.push(micros);
        }
        true
    }

    /// The pauses of head so far.
    pub fn head_pauses(&self) -> (usize, Option<Pauses>) {
        let pauses = self.history.last().map(|last| last.pauses.as_slice()).unwrap_or_default();
        (pauses.len(), Pauses::of(pauses))
    }

    /// Generations, newest first.
    pub fn versions(&self) -> Vec<VersionEntry> {
        self.history
            .iter()
            .rev()
            .map(|generation| VersionEntry {
                pause: Pauses::of(&generation.pauses),
                ..generation.entry.clone()
            })
            .collect()
    }

    /// What became of head so far.
    pub fn head_state(&self) -> Option<VersionState> {
        self.history.last().map(|last| last.entry.state)
    }

    /// A version that can come back: by the beginning of its hash, its label or generation; with
    /// none, the newest one that passed and is not head, else the one before head.
    pub fn find(&self, wanted: Option<&str>) -> Option<VersionHash> {
        let other = |generation: &&Generation| generation.hash != self.head.hash;
        let hash = match wanted {
            Some(wanted) => {
                // A number is a generation, though a hash may begin so too.
                let named = |generation: &&Generation| {
                    generation.entry.generation.to_string() == wanted || generation.entry.label == wanted
                };
                let hashed = |generation: &&Generation| generation.entry.version.starts_with(wanted);
                let newest = || self.history.iter().rev();
                newest().find(named).or_else(|| newest().find(hashed))?
            }
            None => {
                let newest = || self.history.iter().rev().filter(other);
                newest()
                    .find(|generation| generation.entry.state == VersionState::Passed)
                    .or_else(|| newest().next())?
            }
        }
        .hash;
        self.has(hash).then_some(hash)
    }

    /// Whether a version can come back.
    pub(super) fn has(&self, hash: VersionHash) -> bool {
        self.loaded.contains(&hash)
    }

    /// Notes what a version did wrong while nobody watched it. False if that was known, or too much is.
    pub(super) fn learn_fault(&mut self, fault: Fault) -> bool {
        self.faults.len() < FAULTS_MAX && self.faults.insert(fault)
    }

    /// Whether a version before did that, too.
    pub(super) fn knows_fault(&self, fault: &Fault) -> bool {
        self.faults.contains(fault)
    }

    /// Lets go of versions that nobody will go back to.
    pub(super) fn forget_old(&mut self) {
        while self.loaded.len() > VERSIONS_KEPT {
            let free = |loaded: &VersionHash| *loaded != self.head.hash && Some(*loaded) != self.passed;
            let Some(old) = self.loaded.iter().position(free) else { break };
            self.loaded.remove(old);
        }
    }

    /// When it wants to be looked after; `judges`: probations end here.
    pub(super) fn next_wake_ms(&self, judges: bool) -> Option<u64> {
        let watched = self.probation.as_ref().filter(|_| judges && self.done);
        let pauses = self.rollout.as_ref().and_then(Rollout::next_wake_ms);
        [watched.map(|probation| probation.until_ms), pauses].into_iter().flatten().min()
    }
}

impl GameCore {
    /// A module runs here for the first time: gates hear of it, and its shards are made. Its services begin when all
    /// games have it.
    pub(super) fn start_module(&mut self, module: Module) {
        let head = module.head.clone();
        let name = head.manifest.name.clone();
        self.modules.insert(name.clone(), module);
        if self.is_in() {
            self.send_gate(ToGate::Schema { schema: head.schema.clone() });
        }
        self.dispatch(ToDispatcher::Profile(self.profile()));
        self.announce(&name);
        for shard in 0..self.config.nil_shards.max(1) {
            self.make_space(nil_shard(self.incarnation, &name, shard), &name, SpaceKind::Nil, 0);
        }
        self.fact(Fact::Started {
            module: name,
            version: head.hash.to_string(),
            label: head.manifest.label.clone(),
        });
    }

    /// Tells whoever keeps components that this one is head.
    pub(super) fn announce(&mut self, name: &str) {
        let Some(head) = self.modules.get(name).map(|module| module.head.clone()) else { return };
        if self.peers.among
            && let Some(bytes) = self.shelf.get(&head.hash).map(|shelved| shelved.bytes.clone())
        {
            let (module, generation, version) = (name.to_owned(), head.generation, head.hash);
            self.out.push(GameOutput::Live { module, generation, version, bytes });
        }
    }

    /// All games run a module's head: its home and the services that it has not got yet begin.
    pub(super) fn begin_services(&mut self, name: &str) {
        if self.is_in() && self.modules.get(name).is_some_and(|module| module.done) {
            if !self.homes.contains_key(name) {
                self.claim_home(name);
            }
            self.start_services(name);
        }
    }

    /// Asks to be the home of a module; the first one that asks is.
    fn claim_home(&mut self, name: &str) {
        let (target, id) = (Target::Entity(home_of(name)), self.message_id());
        let envelope = self.envelope(target, id, false, Cargo::Home { module: name.to_owned() });
        let place = Placement::Process(self.incarnation);
        self.dispatch(ToDispatcher::Create { place, envelope });
    }

    /// This game is the home of a module from now on.
    pub(super) fn make_home(&mut self, home: EntityId, name: &str, epoch: u32) {
        if self.modules.contains_key(name) {
            let (space, epoch) = (home, epoch.max(1));
            self.homes.insert(name.to_owned(), epoch);
            self.dispatch(ToDispatcher::Spaces(vec![SpaceReport { space, epoch }]));
            let report = EntityReport { entity: home, space, epoch, leaving: false };
            self.dispatch(ToDispatcher::Entities(vec![report]));
        }
    }

    /// Asks for the shards of services: those that exist stay. Those whose constructor failed here are made once more.
    fn start_services(&mut self, name: &str) {
        let Some(module) = self.modules.get_mut(name) else { return };
        let (head, failed) = (module.head.clone(), std::mem::take(&mut module.failed_shards));
        for kind in head.manifest.types.iter().filter(|kind| kind.kind == TypeKind::Service) {
            for shard in 0..kind.shards {
                let id = service_shard(name, &kind.name, shard);
                let (module, type_name) = (name.to_owned(), kind.name.clone());
                match self.directory.space(id) {
                    Some(_) if failed.contains(&(type_name.clone(), shard)) => {
                        self.construct_service(id, module, type_name, shard);
                    }
                    Some(_) => {}
                    None => {
                        let (target, message) = (Target::Entity(id), self.message_id());
                        let place = Placement::Named { module: module.clone() };
                        let cargo = Cargo::Service { module, type_name, shard };
                        let envelope = self.envelope(target, message, false, cargo);
                        self.dispatch(ToDispatcher::Create { place, envelope });
                    }
                }
            }
        }
    }

    /// A shard of a service is to be here, under this epoch or a higher one.
    pub(super) fn make_service(
        &mut self,
        id: EntityId,
        module: String,
        type_name: String,
        shard: u32,
        epoch: u32,
    ) {
        if !self.modules.contains_key(&module) || self.closing.is_some() {
            return self.gone(id);
        }
        self.make_space(id, &module, SpaceKind::Service, epoch);
        self.construct_service(id, module, type_name, shard);
    }

    /// A shard of a service that ended here begins anew, at once and in the same place.
    pub(super) fn remake_service(&mut self, id: EntityId, name: &str) {
        let Some(head) = self.modules.get(name).map(|module| module.head.clone()) else { return };
        for kind in head.manifest.types.iter().filter(|kind| kind.kind == TypeKind::Service) {
            let shard = (0..kind.shards).find(|shard| service_shard(name, &kind.name, *shard) == id);
            if let Some(shard) = shard {
                return self.make_service(id, name.to_owned(), kind.name.clone(), shard, 0);
            }
        }
        // The version has no such service any more.
        self.gone(id);
    }

    fn construct_service(&mut self, id: EntityId, module: String, type_name: String, shard: u32) {
        self.directory.place(id, id, None, 0);
        let answer = self.ticket(Ticket::Service { module, type_name: type_name.clone(), shard });
        let (args, pose) = (NO_ARGS, Pose::default());
        self.hand(id, Input::Create { entity: id, type_name, args, pose, answer, client: None });
    }

    pub(super) fn service_made(&mut self, module: String, service: String, shard: u32, outcome: &Outcome) {
        let Outcome::Err { code, .. } = outcome else { return };
        let known = self.modules.get_mut(&module);
        let version = known.map(|known| {
            known.failed_shards.insert((service.clone(), shard));
            known.head.hash.to_string()
        });
        self.fact(Fact::ServiceFailed {
            module,
            version: version.unwrap_or_default(),
            service,
            shard,
            reason: code.clone(),
        });
    }

    /// A pause was measured.
    pub(super) fn paused(&mut self, version: VersionHash, micros: u64) {
        // Hashes are a module's own: its name is in the component.
        for module in self.modules.values_mut() {
            if module.paused(version, micros) {
                break;
            }
        }
        self.tell_pauses();
    }

    /// Small ids of types with live entities, and how many there are.
    pub(super) fn census(&self, name: &str) -> BTreeMap<u32, usize> {
        self.directory.census(name)
    }
}
