//! A native guest made of closures, with resident state like a real module has.
//!
//! It speaks to the host through the same trait as a WASM instance and is held to the same rules,
//! so spaces, replay and whole clusters can be simulated without one. Knows no particular game.

use crate::guest::{
    Event, EventKind, Guest, GuestError, GuestSource, Hook, Imports, Misuse, Trap, TrapKind, Verdict,
    VersionHash,
};
use crate::manifest::{Manifest, ManifestLimits};
use crate::versions::ModuleVersion;
use crate::versions::lineage::Lineage;
use bytes::Bytes;
use everwake_protocol::EntityId;
use everwake_protocol::attributes::PatchReader;
use everwake_protocol::cbor::{self, Reader};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How a handler of the model ends early.
#[derive(Clone, Debug, PartialEq)]
pub enum Stop {
    /// Roll back, the caller gets the error.
    Error(GuestError),
    /// Roll back, the instance dies.
    Trap(TrapKind, String),
}

impl From<GuestError> for Stop {
    fn from(error: GuestError) -> Stop {
        Stop::Error(error)
    }
}

impl From<Misuse> for Stop {
    fn from(misuse: Misuse) -> Stop {
        Stop::Trap(TrapKind::Misuse, misuse.0)
    }
}

/// A handler.
pub type Handler = Arc<dyn Fn(&mut Context<'_>) -> Result<(), Stop> + Send + Sync>;
/// `migrate`: type index, from, to, state.
pub type Migrate = Arc<dyn Fn(u32, u32, u32, &[u8]) -> Result<Vec<u8>, GuestError> + Send + Sync>;

/// The code of one version: a table of closures.
#[derive(Clone, Default)]
pub struct Model {
    handlers: BTreeMap<(u32, u8, u32), Handler>,
    migrate: Option<Migrate>,
    /// By type, the initial value of each attribute.
    initials: Vec<Vec<Bytes>>,
    /// By type, names of methods.
    methods: Vec<(String, Vec<String>)>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("handlers", &self.handlers.len()).finish_non_exhaustive()
    }
}

const METHOD: u8 = 0;
const HOOK: u8 = 1;
const TICK: u8 = 2;

impl Model {
    /// No handlers yet: every event does nothing.
    #[must_use]
    pub fn new(manifest: &Manifest) -> Model {
        let types = manifest.types.iter();
        Model {
            initials: types
                .clone()
                .map(|declared| declared.attributes.iter().map(|a| a.initial.clone()).collect())
                .collect(),
            methods: types
                .map(|declared| {
                    (declared.name.clone(), declared.methods.iter().map(|m| m.name.clone()).collect())
                })
                .collect(),
            ..Model::default()
        }
    }

    /// What a method does, whether it is called, resumed, or named by a timer. Unknown names are
    /// left out.
    #[must_use]
    pub fn on(
        mut self,
        type_name: &str,
        method: &str,
        handler: impl Fn(&mut Context<'_>) -> Result<(), Stop> + Send + Sync + 'static,
    ) -> Model {
        if let Some(type_index) = self.type_index(type_name)
            && let Some(method) = self.method_index(type_index, method)
        {
            self.handlers.insert((type_index, METHOD, method), Arc::new(handler));
        }
        self
    }

    /// What a hook does.
    #[must_use]
    pub fn hook(
        mut self,
        type_name: &str,
        hook: Hook,
        handler: impl Fn(&mut Context<'_>) -> Result<(), Stop> + Send + Sync + 'static,
    ) -> Model {
        if let Some(type_index) = self.type_index(type_name) {
            self.handlers.insert((type_index, HOOK, hook as u32), Arc::new(handler));
        }
        self
    }

    /// What the tick of a type does.
    #[must_use]
    pub fn tick(
        mut self,
        type_name: &str,
        handler: impl Fn(&mut Context<'_>) -> Result<(), Stop> + Send + Sync + 'static,
    ) -> Model {
        if let Some(type_index) = self.type_index(type_name) {
            self.handlers.insert((type_index, TICK, 0), Arc::new(handler));
        }
        self
    }

    /// How states change between schema numbers.
    #[must_use]
    pub fn migrate(
        mut self,
        migrate: impl Fn(u32, u32, u32, &[u8]) -> Result<Vec<u8>, GuestError> + Send + Sync + 'static,
    ) -> Model {
        self.migrate = Some(Arc::new(migrate));
        self
    }

    /// Index of a type.
    #[must_use]
    pub fn type_index(&self, name: &str) -> Option<u32> {
        let place = self.methods.iter().position(|(type_name, _)| type_name == name)?;
        u32::try_from(place).ok()
    }

    /// Index of a method.
    #[must_use]
    pub fn method_index(&self, type_index: u32, name: &str) -> Option<u32> {
        let (_, methods) = self.methods.get(type_index as usize)?;
        u32::try_from(methods.iter().position(|method| method == name)?).ok()
    }
}

/// Checks a manifest and puts it at the end of a lineage, as a publication does. The hash is that of
/// `name`. Errors are for people.
pub fn publish(
    lineage: &Lineage,
    manifest: Manifest,
    name: &str,
) -> Result<(Lineage, Arc<ModuleVersion>), String> {
    let checked = manifest
        .check(&ManifestLimits::default())
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let hash = VersionHash(*blake3::hash(name.as_bytes()).as_bytes());
    let (lineage, version) =
        lineage.publish(checked, hash, lineage.generation() + 1).map_err(|error| error.to_string())?;
    Ok((lineage, Arc::new(version)))
}

/// Makes model guests by version.
#[derive(Clone, Debug, Default)]
pub struct ModelSource {
    /// The code of each version.
    pub models: BTreeMap<VersionHash, Arc<Model>>,
    /// How many instances were made.
    pub made: usize,
}

impl ModelSource {
    /// Adds the code of a version.
    pub fn add(&mut self, version: &ModuleVersion, model: Model) {
        self.models.insert(version.hash, Arc::new(model));
    }
}

impl GuestSource for ModelSource {
    fn instantiate(&mut self, version: VersionHash) -> Result<Box<dyn Guest>, Trap> {
        let Some(model) = self.models.get(&version) else {
            return Err(Trap {
                kind: TrapKind::Instantiate,
                message: format!("no model of version {version}"),
                frames: Vec::new(),
            });
        };
        self.made += 1;
        Ok(Box::new(ModelGuest { model: model.clone(), residents: BTreeMap::new(), hidden: BTreeMap::new() }))
    }
}

/// An instance of a [`Model`].
#[derive(Debug)]
pub struct ModelGuest {
    model: Arc<Model>,
    residents: BTreeMap<EntityId, Resident>,
    hidden: BTreeMap<String, u64>,
}

/// An instance's copy of an entity.
#[derive(Clone, Debug)]
struct Resident {
    revision: u32,
    values: Vec<Bytes>,
}

/// What a handler has to do with.
pub struct Context<'a> {
    /// The event.
    pub event: &'a Event,
    /// The host.
    pub host: &'a mut dyn Imports,
    /// Memory of the instance that is no state: whoever lets behaviour depend on it breaks a rule,
    /// as tests of chaos and twin mode do.
    pub hidden: &'a mut BTreeMap<String, u64>,
    model: &'a Model,
    residents: &'a mut BTreeMap<EntityId, Resident>,
    /// Entities and attributes that the handler changed.
    touched: BTreeSet<(EntityId, u32)>,
    /// Entities that the handler reached.
    reached: BTreeSet<EntityId>,
}

impl Context<'_> {
    /// The event's entity.
    #[must_use]
    pub fn me(&self) -> EntityId {
        self.event.entity
    }

    /// Arguments of the event, one reader over its items: inside of the array for calls, hooks and
    /// ticks, over the sequence for continuations.
    #[must_use]
    pub fn args(&self) -> Reader<'_> {
        let mut reader = Reader::new(&self.event.args);
        if !matches!(self.event.kind, EventKind::Resume | EventKind::Timer) {
            // An array it is: the host has checked it.
            let _ = reader.array();
        }
        reader
    }

    /// One attribute of an entity, as encoded.
    pub fn read(&mut self, entity: EntityId, attribute: u32) -> Result<Bytes, Stop> {
        let resident = self.resident(entity)?;
        resident.values.get(attribute as usize).cloned().ok_or(Stop::Error(GuestError::NotFound))
    }

    /// The same as an integer.
    pub fn number(&mut self, entity: EntityId, attribute: u32) -> Result<i64, Stop> {
        let value = self.read(entity, attribute)?;
        Reader::new(&value).i64().map_err(|error| Stop::Error(GuestError::BadArguments(error.to_string())))
    }

    /// Sets one attribute; the host learns it when the handler is done.
    pub fn write(&mut self, entity: EntityId, attribute: u32, value: Bytes) -> Result<(), Stop> {
        let resident = self.resident(entity)?;
        let Some(place) = resident.values.get_mut(attribute as usize) else {
            return Err(Stop::Error(GuestError::NotFound));
        };
        *place = value;
        self.touched.insert((entity, attribute));
        Ok(())
    }

    /// The same with an integer.
    pub fn set(&mut self, entity: EntityId, attribute: u32, value: i64) -> Result<(), Stop> {
        let mut bytes = Vec::new();
        cbor::int(&mut bytes, value);
        self.write(entity, attribute, bytes.into())
    }

    /// Index of a method of a type, by names.
    pub fn method(&self, type_name: &str, method: &str) -> Result<(u32, u32), Stop> {
        let missing = Stop::Error(GuestError::NotFound);
        let type_index = self.model.type_index(type_name).ok_or(missing.clone())?;
        let method = self.model.method_index(type_index, method).ok_or(missing)?;
        Ok((type_index, method))
    }

    fn resident(&mut self, entity: EntityId) -> Result<&mut Resident, Stop> {
        let known = self.residents.get(&entity).map(|resident| resident.revision);
        let first = self.reached.insert(entity);
        // The event tells the revision of its own entity; others are asked for, once an event.
        let fresh = match known {
            Some(revision) if entity == self.event.entity && self.event.kind != EventKind::Tick => {
                revision == self.event.revision
            }
            Some(_) => !first,
            None => false,
        };
        if !fresh {
            let Some(state) = self.host.load(entity) else { return Err(Stop::Error(GuestError::NotFound)) };
            if known != Some(state.revision) {
                let initials = self.model.initials.get(state.type_index as usize);
                let mut values = initials.cloned().unwrap_or_default();
                read_state(&state.attributes, &mut values);
                self.residents.insert(entity, Resident { revision: state.revision, values });
            }
        }
        self.residents.get_mut(&entity).ok_or(Stop::Error(GuestError::NotFound))
    }

    fn flush(&mut self) -> Result<(), Stop> {
        let entities: BTreeSet<EntityId> = self.touched.iter().map(|(entity, _)| *entity).collect();
        for entity in entities {
            let mut changes = Vec::new();
            let Some(resident) = self.residents.get(&entity) else { continue };
            for (_, attribute) in self.touched.iter().filter(|(touched, _)| *touched == entity) {
                cbor::uint(&mut changes, u64::from(*attribute));
                changes.extend_from_slice(resident.values.get(*attribute as usize).map_or(&[], |v| v));
            }
            self.host.patch(entity, &changes)?;
        }
        Ok(())
    }
}

fn read_state(attributes: &[u8], values: &mut [Bytes]) {
    for change in PatchReader::new(attributes).flatten() {
        if let (Some(place), Some(value)) = (values.get_mut(change.attribute as usize), change.value) {
            *place = Bytes::copy_from_slice(value);
        }
    }
}

impl Guest for ModelGuest {
    fn handle(&mut self, event: &Event, mut host: Box<dyn Imports>) -> (Box<dyn Imports>, Verdict) {
        let key = match event.kind {
            EventKind::Call | EventKind::Resume | EventKind::Timer => {
                (event.type_index, METHOD, event.method)
            }
            EventKind::Hook => (event.type_index, HOOK, event.method),
            EventKind::Tick => (event.type_index, TICK, 0),
        };
        let model = self.model.clone();
        let Some(handler) = model.handlers.get(&key) else { return (host, Verdict::Done) };
        let mut context = Context {
            event,
            host: host.as_mut(),
            hidden: &mut self.hidden,
            model: &model,
            residents: &mut self.residents,
            touched: BTreeSet::new(),
            reached: BTreeSet::new(),
        };
        let done = handler(&mut context).and_then(|()| context.flush());
        let verdict = match done {
            Ok(()) => Verdict::Done,
            Err(Stop::Error(error)) => {
                let changed: BTreeSet<EntityId> = context.touched.iter().map(|(entity, _)| *entity).collect();
                for entity in changed {
                    self.residents.remove(&entity);
                }
                Verdict::Failed(error)
            }
            Err(Stop::Trap(kind, message)) => Verdict::Trapped(Trap { kind, message, frames: Vec::new() }),
        };
        (host, verdict)
    }

    fn forget(&mut self, entities: &[EntityId]) -> Result<(), Trap> {
        for entity in entities {
            self.residents.remove(entity);
        }
        Ok(())
    }

    fn snapshot(&mut self, entity: EntityId) -> Result<Option<Bytes>, Trap> {
        let Some(resident) = self.residents.get(&entity) else { return Ok(None) };
        let mut state = Vec::new();
        for (index, value) in (0u64..).zip(&resident.values) {
            cbor::uint(&mut state, index);
            state.extend_from_slice(value);
        }
        Ok(Some(state.into()))
    }

    fn migrate(
        &mut self,
        type_index: u32,
        from: u32,
        to: u32,
        state: &[u8],
    ) -> Result<Result<Bytes, GuestError>, Trap> {
        match &self.model.migrate {
            Some(migrate) => Ok(migrate(type_index, from, to, state).map(Bytes::from)),
            None => Ok(Err(GuestError::Other("the module has no `migrate`".into()))),
        }
    }

    fn memory_bytes(&self) -> (usize, usize) {
        (0, 0)
    }
}
