//! The modules that a process runs: which version is head, what was before, and its shards.

use super::key_value::KeyValueMap;
use super::limits::{CRASH_LINES_MAX, CRASH_LINES_MS, FAULTS_MAX, HISTORY_MAX, PAUSES_MAX};
use super::probation::Probation;
use super::publish::Stage;
use super::report::{Fact, Pauses, VersionEntry, VersionState, full_hash};
use super::{GameCore, GameOutput, LoadedModule, SpaceKind, Ticket};
use crate::cargo::{Cargo, home_of};
use crate::guest::{TrapKind, VersionHash};
use crate::manifest::{Checked, TypeKind};
use crate::message::{Input, nil_shard, service_shard};
use crate::versions::{Lineage, ModuleVersion};
use bytes::Bytes;
use everwake_protocol::EntityId;
use everwake_protocol::client::Pose;
use everwake_protocol::cluster::{EntityReport, Placement, SpaceReport, Target, ToDispatcher, ToGate};
use everwake_protocol::limits::SCHEMA_BYTES_MAX;
use everwake_protocol::outcome::Outcome;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An empty CBOR array.
const NO_ARGS: Bytes = Bytes::from_static(&[0x80]);
/// Component versions that are kept loaded beside head and the last one that passed.
const VERSIONS_KEPT: usize = 8;

/// What went wrong: the handler, and how it died; none if the version lacks it.
pub(super) type Fault = (String, Option<TrapKind>);

/// One module of a process.
#[derive(Debug)]
pub struct Module {
    /// Small ids of all versions so far.
    pub lineage: Lineage,
    /// What new spaces begin with, and all spaces run unless a swap is under way.
    pub head: Arc<ModuleVersion>,
    /// The last version that passed its probation.
    pub passed: Option<Arc<ModuleVersion>>,
    /// Its key-value map.
    pub key_value: KeyValueMap,
    /// A publication under way.
    pub stage: Stage,
    /// Head is watched.
    pub probation: Option<Probation>,
    /// True if a swap went wrong half-way: spaces of two versions exist.
    pub mixed: bool,
    /// Generations, oldest first.
    history: Vec<Generation>,
    /// The versions that can come back, oldest first.
    loaded: Vec<LoadedModule>,
    /// What versions did wrong that nobody watched.
    faults: BTreeSet<Fault>,
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
    /// For coming back.
    pub checked: Checked,
}

impl Next {
    /// A version behind all that a lineage has.
    pub fn after(lineage: &Lineage, loaded: LoadedModule) -> Result<Self, String> {
        let LoadedModule { hash, checked } = loaded;
        let generation = lineage.generation() + 1;
        let (lineage, version) =
            lineage.publish(checked.clone(), hash, generation).map_err(|error| error.to_string())?;
        // Gates would not take it: its clients would go on with the schema before.
        let bytes = version.schema.encode().len();
        if bytes > SCHEMA_BYTES_MAX {
            return Err(format!(
                "the schema for clients would have {bytes} bytes, and `SCHEMA_BYTES_MAX` is {SCHEMA_BYTES_MAX}\n\
                 hint: it holds the names and types of all versions so far; use fewer and shorter ones, or \
                 publish under another name"
            ));
        }
        Ok(Self { lineage, version: Arc::new(version), checked })
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

/// One generation, with what is measured of it.
#[derive(Debug)]
struct Generation {
    entry: VersionEntry,
    hash: VersionHash,
    pauses: Vec<u64>,
}

impl Module {
    /// A module whose first version is this.
    pub fn new(lineage: Lineage, head: Arc<ModuleVersion>, key_value_bytes_max: usize) -> Self {
        Self {
            lineage,
            head,
            passed: None,
            key_value: KeyValueMap::new(key_value_bytes_max),
            stage: Stage::Idle,
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
    pub fn install(&mut self, next: Next, note: &str, at_ms: u64, rollback: bool) {
        let Next { lineage, version: head, checked } = next;
        self.loaded.retain(|loaded| loaded.hash != head.hash);
        self.loaded.push(LoadedModule { hash: head.hash, checked });
        let entry = VersionEntry {
            module: head.manifest.name.clone(),
            generation: head.generation,
            version: full_hash(head.hash),
            label: head.manifest.label.clone(),
            note: note.to_owned(),
            at_ms,
            rollback,
            state: VersionState::Swapping,
            traps: 0,
            spaces: 0,
            pause: None,
        };
        self.history.push(Generation { entry, hash: head.hash, pauses: Vec::new() });
        if self.history.len() > HISTORY_MAX {
            self.history.remove(0);
        }
        self.lineage = lineage;
        self.head = head;
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
    pub fn find(&self, wanted: Option<&str>) -> Option<LoadedModule> {
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
        self.loaded(hash)
    }

    /// A version that can come back.
    pub fn loaded(&self, hash: VersionHash) -> Option<LoadedModule> {
        self.loaded.iter().find(|loaded| loaded.hash == hash).cloned()
    }

    /// Notes what a version did wrong while nobody watched it.
    pub(super) fn learn_fault(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.insert(fault);
        }
    }

    /// Whether a version before did that, too.
    pub(super) fn knows_fault(&self, fault: &Fault) -> bool {
        self.faults.contains(fault)
    }

    /// Lets go of versions that nobody will go back to; answers which.
    pub fn forget_old(&mut self) -> Vec<VersionHash> {
        let passed = self.passed.as_ref().map(|passed| passed.hash);
        let mut forgotten = Vec::new();
        while self.loaded.len() > VERSIONS_KEPT {
            let old = self
                .loaded
                .iter()
                .position(|loaded| loaded.hash != self.head.hash && Some(loaded.hash) != passed);
            let Some(old) = old else { break };
            forgotten.push(self.loaded.remove(old).hash);
        }
        forgotten
    }

    /// True while spaces of two versions exist because of a swap.
    pub fn is_swapping(&self) -> bool {
        matches!(&self.stage, Stage::Swapping(rollout) if !rollout.is_settled())
    }

    /// When it wants to be looked after.
    pub fn next_wake_ms(&self) -> Option<u64> {
        let probation =
            self.probation.as_ref().filter(|_| !self.is_swapping()).map(|probation| probation.until_ms);
        [probation, self.stage.next_wake_ms()].into_iter().flatten().min()
    }
}

impl GameCore {
    /// A module runs for the first time: its shards are made, its services begin.
    pub(super) fn start_module(&mut self, first: Next, note: &str) {
        let head = first.version.clone();
        let name = head.manifest.name.clone();
        let mut module = Module::new(first.lineage.clone(), head.clone(), self.config.key_value_bytes_max);
        module.install(first, note, self.now_ms, false);
        self.modules.insert(name.clone(), module);
        self.send_gate(ToGate::Schema { schema: head.schema.clone() });
        self.dispatch(ToDispatcher::Profile(self.profile()));
        for shard in 0..self.config.nil_shards.max(1) {
            self.make_space(nil_shard(self.incarnation, &name, shard), &name, SpaceKind::Nil);
        }
        self.claim_home(&name);
        self.start_services(&name);
        self.fact(Fact::Started {
            module: name,
            version: head.hash.to_string(),
            label: head.manifest.label.clone(),
        });
    }

    /// Asks to be the home of a module; the first one that asks is.
    pub(super) fn claim_home(&mut self, name: &str) {
        let (target, id) = (Target::Entity(home_of(name)), self.message_id());
        let envelope = self.envelope(target, id, false, Cargo::Home { module: name.to_owned() });
        let place = Placement::Process(self.incarnation);
        self.dispatch(ToDispatcher::Create { place, envelope });
    }

    /// This game is the home of a module from now on.
    pub(super) fn make_home(&mut self, home: EntityId, name: &str) {
        if self.modules.contains_key(name) {
            let (space, epoch) = (home, 1);
            self.dispatch(ToDispatcher::Spaces(vec![SpaceReport { space, epoch }]));
            let report = EntityReport { entity: home, space, epoch, leaving: false };
            self.dispatch(ToDispatcher::Entities(vec![report]));
        }
    }

    /// Asks for the shards of services: those that exist stay. Those whose constructor failed here are made once more.
    pub(super) fn start_services(&mut self, name: &str) {
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
                        let place = Placement::Anywhere { module: module.clone() };
                        let cargo = Cargo::Service { module, type_name, shard };
                        let envelope = self.envelope(target, message, false, cargo);
                        self.dispatch(ToDispatcher::Create { place, envelope });
                    }
                }
            }
        }
    }

    /// A shard of a service is to be here.
    pub(super) fn make_service(&mut self, id: EntityId, module: String, type_name: String, shard: u32) {
        if !self.modules.contains_key(&module) || self.closing.is_some() {
            return self.gone(id);
        }
        self.make_space(id, &module, SpaceKind::Service);
        self.construct_service(id, module, type_name, shard);
    }

    /// A shard of a service that ended here begins anew, at once and in the same place.
    pub(super) fn remake_service(&mut self, id: EntityId, name: &str) {
        let Some(head) = self.modules.get(name).map(|module| module.head.clone()) else { return };
        for kind in head.manifest.types.iter().filter(|kind| kind.kind == TypeKind::Service) {
            let shard = (0..kind.shards).find(|shard| service_shard(name, &kind.name, *shard) == id);
            if let Some(shard) = shard {
                return self.make_service(id, name.to_owned(), kind.name.clone(), shard);
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
        self.settle_answers();
    }

    pub(super) fn forget_old_versions(&mut self, name: &str) {
        let forgotten = self.modules.get_mut(name).map(Module::forget_old).unwrap_or_default();
        self.out.extend(forgotten.into_iter().map(GameOutput::Forget));
    }

    /// Small ids of types with live entities, and how many there are.
    pub(super) fn census(&self, name: &str) -> BTreeMap<u32, usize> {
        self.directory.census(name)
    }
}
