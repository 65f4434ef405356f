//! A space in this thread under virtual time, and messages for it.

use anyhow::{Context, Result};
use bytes::Bytes;
use everwake_protocol::client::Pose;
use everwake_protocol::cluster::MessageId;
use everwake_protocol::{EntityId, Id, cbor};
use everwake_runtime::guest::{GuestSource, Origin};
use everwake_runtime::message::{AnswerTo, Body, Class, Input, Message, Output};
use everwake_runtime::space::{Chaos, SpaceConfig, SpaceCore, SpaceKind};
use everwake_runtime::versions::{MethodKey, ModuleVersion};
use std::collections::VecDeque;
use std::sync::Arc;

use crate::report::thread_cpu;

const START_MS: u64 = 1_800_000_000_000;
/// Messages that wait at a time: as many as one drain takes.
const BATCH: usize = 1_000;

/// See the head of this file.
pub struct Bed {
    pub core: SpaceCore,
    pub now_ms: u64,
    pub inputs: VecDeque<Input>,
    pub out: Vec<Output>,
    version: Arc<ModuleVersion>,
    entities: Vec<EntityId>,
    chance: u64,
}

/// The id of an entity that a bed made.
fn entity(number: u32) -> EntityId {
    EntityId(Id::derive(&[b"bench", &number.to_be_bytes()]))
}

impl Bed {
    /// An empty space, the `number`th of its kind.
    pub fn new(version: &Arc<ModuleVersion>, number: u32) -> Bed {
        let id = entity(u32::MAX - number);
        let mut config = SpaceConfig::new(id, SpaceKind::Space, [7; 32]);
        config.chaos = Chaos::default();
        Bed {
            core: SpaceCore::new(config, version.clone()),
            now_ms: START_MS,
            inputs: VecDeque::new(),
            out: Vec::new(),
            version: version.clone(),
            entities: Vec::new(),
            chance: 0,
        }
    }

    /// The space's own entity.
    pub fn own(&mut self, type_name: &str, args: &[i64], guests: &mut dyn GuestSource) -> EntityId {
        let id = self.core.id();
        self.create(id, type_name, args, Pose::default());
        self.run(guests);
        id
    }

    /// So many entities of a type.
    pub fn populate(
        &mut self,
        type_name: &str,
        count: u32,
        args: &[i64],
        place: impl Fn(u32) -> Pose,
        guests: &mut dyn GuestSource,
    ) {
        for number in 0..count {
            let id = entity(u32::try_from(self.entities.len()).unwrap_or(u32::MAX));
            self.entities.push(id);
            self.create(id, type_name, args, place(number));
            if self.inputs.len() >= BATCH {
                self.run(guests);
            }
        }
        self.run(guests);
    }

    fn create(&mut self, entity: EntityId, type_name: &str, args: &[i64], pose: Pose) {
        self.inputs.push_back(Input::Create {
            entity,
            type_name: type_name.into(),
            args: integers(args),
            pose,
            answer: AnswerTo::Nobody,
            client: None,
        });
    }

    /// Runs what is due now; what comes out is forgotten. How many events that were.
    pub fn run(&mut self, guests: &mut dyn GuestSource) -> usize {
        let mut events = 0;
        loop {
            events += self.core.drain(self.now_ms, &mut self.inputs, guests, &mut self.out);
            self.out.clear();
            let waits = self.core.next_wake_ms().is_some_and(|wake_ms| wake_ms <= self.now_ms);
            if !waits && self.core.queued() == 0 {
                return events;
            }
        }
    }

    /// Goes to the next moment at which the space wants to run, and runs it: CPU time in us.
    pub fn next_moment(&mut self, guests: &mut dyn GuestSource) -> f64 {
        self.now_ms = self.core.next_wake_ms().unwrap_or(self.now_ms + 1).max(self.now_ms + 1);
        let begin = thread_cpu();
        self.run(guests);
        (thread_cpu() - begin).as_secs_f64() * 1e6
    }

    /// A method of a type, by name.
    pub fn method(&self, type_name: &str, method: &str) -> Result<MethodKey> {
        let place = self.place_of(type_name, method)?;
        let table =
            self.version.type_by_name.get(type_name).and_then(|at| self.version.types.get(*at as usize));
        Ok(table.and_then(|table| table.methods.get(place)).context("no table")?.key)
    }

    /// Its number in the manifest.
    pub fn place_of(&self, type_name: &str, method: &str) -> Result<usize> {
        let declared = self.version.manifest.types.iter().find(|declared| declared.name == type_name);
        let methods = &declared.with_context(|| format!("no type {type_name}"))?.methods;
        methods.iter().position(|it| it.name == method).with_context(|| format!("no method {method}"))
    }

    /// Puts a call into the mailbox, as another entity of the space sends it.
    pub fn call(&mut self, target: EntityId, method: MethodKey, args: &Bytes) {
        self.inputs.push_back(Input::Message(Box::new(Message {
            id: MessageId::default(),
            from: Some(target),
            target,
            class: Class::Volatile,
            trace: Id::ZERO,
            body: Body::Call {
                method,
                args: args.clone(),
                origin: Origin::Entity,
                answer: AnswerTo::Nobody,
                deadline_ms: u64::MAX,
                bounce: None,
            },
        })));
    }

    /// Calls entities in no particular order, `events` in all: CPU time of one event in ns.
    pub fn cost(
        &mut self,
        method: MethodKey,
        args: &Bytes,
        events: usize,
        guests: &mut dyn GuestSource,
    ) -> f64 {
        let (mut nanoseconds, mut left) = (0.0, events);
        while left > 0 {
            let batch = left.min(BATCH);
            left -= batch;
            for _ in 0..batch {
                self.chance = self
                    .chance
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let at = usize::try_from(self.chance >> 33).unwrap_or(0) % self.entities.len().max(1);
                if let Some(target) = self.entities.get(at).copied() {
                    self.call(target, method, args);
                }
            }
            let begin = thread_cpu();
            self.run(guests);
            nanoseconds += (thread_cpu() - begin).as_secs_f64() * 1e9;
        }
        nanoseconds / events.max(1) as f64
    }
}

/// Arguments: an array of integers.
pub fn integers(values: &[i64]) -> Bytes {
    let mut args = Vec::new();
    cbor::array(&mut args, values.len());
    values.iter().for_each(|value| cbor::int(&mut args, *value));
    args.into()
}
