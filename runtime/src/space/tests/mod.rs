//! Spaces under virtual time, with native guests.

mod atomicity;
mod calls;
mod chaos;
mod clients;
mod limits;
mod order;
mod ready;
mod recorded;
mod swap;
mod ticks;
mod timers;
mod travel;

use super::model::{Context, Model, ModelSource, Stop, publish};
use super::{Chaos, SpaceConfig, SpaceCore, SpaceKind};
use crate::guest::{ClientInfo, Continuation, GuestError, Hook, Origin, Part, TrapKind};
use crate::manifest::{
    Attribute, AttributeFlags, ClientMethod, EntityType, Exposure, Manifest, Method, TypeKind,
};
use crate::message::{AnswerTo, Body, Class, Client, Input, Message, Output};
use crate::versions::{Lineage, MethodKey, ModuleVersion};
use bytes::Bytes;
use everwake_protocol::client::Pose;
use everwake_protocol::cluster::MessageId;
use everwake_protocol::outcome::Outcome;
use everwake_protocol::schema::Field;
use everwake_protocol::{EntityId, Id, SessionId, cbor};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// Every hook.
const HOOKS: u32 = (1 << 22) - 1;
/// Where virtual time begins.
const START_MS: u64 = 1_700_000_000_000;

pub(super) type Journal = Arc<Mutex<Vec<String>>>;

fn id(number: u32) -> EntityId {
    EntityId(Id([0, 0, 0, number]))
}

fn session(number: u32) -> SessionId {
    SessionId(Id([7, 7, 7, number]))
}

const SPACE: u32 = 1;
/// Someone in another space.
const STRANGER: u32 = 900;

fn attribute(name: &str, type_text: &str, initial: &[u8], flags: AttributeFlags) -> Attribute {
    let initial = Bytes::copy_from_slice(initial);
    Attribute { name: name.into(), type_text: type_text.into(), flags, initial, was: String::new() }
}

fn method(name: &str, exposure: Exposure) -> Method {
    Method {
        name: name.into(),
        exposure,
        parameters: vec![Field { name: "value".into(), type_text: "option<any>".into() }],
        returns: "any".into(),
        ..Method::default()
    }
}

fn methods() -> Vec<Method> {
    vec![
        method("act", Exposure::Server),
        method("other", Exposure::Server),
        method("own", Exposure::OwnClient),
        method("open", Exposure::AllClients),
        method("operate", Exposure::Operator),
        method("inner", Exposure::Internal),
        method("resumed", Exposure::Internal),
        method("timed", Exposure::Internal),
    ]
}

fn kind(name: &str, kind: TypeKind) -> EntityType {
    let all = AttributeFlags { all_clients: true, ..AttributeFlags::default() };
    EntityType {
        name: name.into(),
        kind,
        attributes: vec![
            attribute("a", "i64", &[0], all),
            attribute("b", "i64", &[0], AttributeFlags::default()),
            attribute("items", "list<any>", &[0x80], all),
        ],
        methods: methods(),
        hooks: HOOKS,
        ..EntityType::default()
    }
}

/// A room, avatars, mobs that tick ten times a second, clerks.
fn manifest() -> Manifest {
    let mut avatar = kind("Avatar", TypeKind::Entity);
    avatar.boot = true;
    avatar.client_methods = vec![ClientMethod {
        name: "shown".into(),
        parameters: vec![Field { name: "v".into(), type_text: "any".into() }],
    }];
    let mut mob = kind("Mob", TypeKind::Entity);
    mob.ticks_per_second = 10.0;
    mob.hooks = 0;
    let mut clerk = kind("Clerk", TypeKind::Service);
    clerk.shards = 2;
    Manifest {
        name: "yard".into(),
        label: "v1".into(),
        sdk: "model".into(),
        types: vec![kind("Room", TypeKind::Space), avatar, mob, clerk],
        capabilities: vec!["key-value".into(), "broadcast".into()],
        ..Manifest::default()
    }
}

const AVATAR: u32 = 1;
const MOB: u32 = 2;
const CLERK: u32 = 3;

/// A space in its bed, with time and a journal of what handlers saw.
struct Bed {
    core: SpaceCore,
    guests: ModelSource,
    lineage: Lineage,
    version: Arc<ModuleVersion>,
    now: u64,
    out: Vec<Output>,
    inputs: VecDeque<Input>,
    journal: Journal,
    tickets: u64,
}

fn note(journal: &Journal, line: impl Into<String>) {
    journal.lock().unwrap().push(line.into());
}

impl Bed {
    /// A space with an avatar for each of `avatars`. `build` adds the handlers.
    fn new(avatars: &[u32], build: impl FnOnce(Model, &Journal) -> Model) -> Bed {
        let mut bed = Bed::empty(SpaceKind::Space, Chaos::default(), manifest(), build);
        bed.make(SPACE, "Room");
        for avatar in avatars {
            bed.make(*avatar, "Avatar");
        }
        bed.run();
        bed.out.clear();
        bed.journal.lock().unwrap().clear();
        bed
    }

    fn empty(
        kind: SpaceKind,
        chaos: Chaos,
        manifest: Manifest,
        build: impl FnOnce(Model, &Journal) -> Model,
    ) -> Bed {
        let journal = Journal::default();
        let model = build(Model::new(&manifest), &journal);
        let (lineage, version) = publish(&Lineage::new("yard"), manifest, "v1").unwrap();
        let mut guests = ModelSource::default();
        guests.add(&version, model);
        let mut config = SpaceConfig::new(id(SPACE), kind, [7; 32]);
        config.chaos = chaos;
        let core = SpaceCore::new(config, version.clone());
        Bed {
            core,
            guests,
            lineage,
            version,
            now: START_MS,
            out: Vec::new(),
            inputs: VecDeque::new(),
            journal,
            tickets: 0,
        }
    }

    fn make(&mut self, number: u32, type_name: &str) {
        self.inputs.push_back(Input::Create {
            entity: id(number),
            type_name: type_name.into(),
            args: Bytes::new(),
            pose: Pose { x: number as f32, ..Pose::default() },
            answer: AnswerTo::Nobody,
            client: None,
        });
    }

    /// Drains until nothing waits at this time.
    fn run(&mut self) {
        for _ in 0..1_000 {
            self.core.drain(self.now, &mut self.inputs, &mut self.guests, &mut self.out);
            if self.core.queued() == 0 && self.core.next_wake_ms().is_none_or(|wake| wake > self.now) {
                return;
            }
        }
        panic!("the space does not come to rest");
    }

    /// Runs everything up to a later time.
    fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        self.run();
        while let Some(wake) = self.core.next_wake_ms().filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            self.run();
        }
        self.now = end;
        self.run();
    }

    fn key(&self, type_index: u32, method: &str) -> MethodKey {
        let declared = &self.version.manifest.types[type_index as usize];
        let index = declared.methods.iter().position(|m| m.name == method).unwrap();
        self.version.types[type_index as usize].methods[index].key
    }

    fn small_id(&self, type_index: u32, method: &str) -> u32 {
        let declared = &self.version.manifest.types[type_index as usize];
        let index = declared.methods.iter().position(|m| m.name == method).unwrap();
        self.version.types[type_index as usize].methods[index].id
    }

    /// A call by an operator; its answer has the ticket that is returned.
    fn push_call(&mut self, target: u32, method: &str) -> u64 {
        self.tickets += 1;
        let ticket = self.tickets;
        let body = Body::Call {
            method: self.key(AVATAR, method),
            args: args(&[]),
            origin: Origin::Operator,
            answer: AnswerTo::Operator { ticket },
            deadline_ms: u64::MAX,
            bounce: None,
        };
        self.push_message(None, target, body);
        ticket
    }

    fn push_message(&mut self, from: Option<EntityId>, target: u32, body: Body) {
        self.inputs.push_back(Input::Message(Box::new(Message {
            id: MessageId::default(),
            from,
            target: id(target),
            class: Class::Volatile,
            trace: Id::ZERO,
            body,
        })));
    }

    /// The same, and what came of it.
    fn call(&mut self, target: u32, method: &str) -> Option<Outcome> {
        let ticket = self.push_call(target, method);
        self.run();
        self.answer(ticket)
    }

    fn answer(&self, ticket: u64) -> Option<Outcome> {
        self.out.iter().find_map(|output| match output {
            Output::Operator { ticket: own, outcome } if *own == ticket => Some(outcome.clone()),
            _ => None,
        })
    }

    /// What handlers noted since the last time.
    fn noted(&self) -> Vec<String> {
        std::mem::take(&mut *self.journal.lock().unwrap())
    }

    /// Messages that left since the last time; flushes of arrivals are left out.
    fn sent(&self) -> Vec<&Message> {
        let messages = self.out.iter().filter_map(|output| match output {
            Output::Message(message) => Some(&**message),
            _ => None,
        });
        messages.filter(|message| !matches!(message.body, Body::Flush { .. })).collect()
    }

    fn crashes(&self) -> Vec<&crate::message::Crash> {
        let crashes = self.out.iter().filter_map(|output| match output {
            Output::Crashed(crash) => Some(&**crash),
            _ => None,
        });
        crashes.collect()
    }

    /// All that is state, without what every input moves.
    fn state(&self) -> String {
        let mut snapshot = self.core.snapshot().expect("nothing waits");
        for entity in &mut snapshot.entities {
            entity.body.marks = Default::default();
        }
        format!("{:#?}", snapshot.entities)
    }

    fn number(&self, entity: u32, attribute: u32) -> i64 {
        let snapshot = self.core.snapshot().unwrap();
        let entity = snapshot.entities.iter().find(|other| other.id == id(entity)).expect("it is here");
        match entity.body.attributes.slot(attribute) {
            everwake_protocol::attributes::Slot::Scalar(span) => cbor::Reader::new(span).i64().unwrap(),
            _ => 0,
        }
    }

    fn attach(&mut self, target: u32, session_number: u32) {
        let body = Body::Attach {
            client: Box::new(client(session_number)),
            view: 1,
            replace: false,
            answer: AnswerTo::Nobody,
        };
        self.push_message(None, target, body);
        self.run();
    }

    fn request(&mut self, session_number: u32, request: u64, target: u32, method: &str) {
        self.inputs.push_back(Input::Request {
            session: session(session_number),
            request,
            acknowledged: 0,
            target: id(target),
            method: self.small_id(AVATAR, method),
            deadline_ms: u64::MAX,
            args: args(&[]),
        });
    }
}

fn client(number: u32) -> Client {
    let info = ClientInfo {
        session: session(number).0,
        address: "10.0.0.1".into(),
        token: String::new(),
        version: String::new(),
        locale: String::new(),
        round_trip_ms: 0.0,
    };
    Client { session: session(number), module: "game".into(), info, view: 0 }
}

/// An argument list of integers.
fn args(values: &[i64]) -> Bytes {
    let mut args = Vec::new();
    cbor::array(&mut args, values.len());
    for value in values {
        cbor::int(&mut args, *value);
    }
    args.into()
}

fn int(value: i64) -> Bytes {
    let mut bytes = Vec::new();
    cbor::int(&mut bytes, value);
    bytes.into()
}

fn then(owner: EntityId, method: u32) -> Continuation {
    Continuation { owner, method, deadline_ms: 0, context: int(42) }
}

/// `resumed` of an avatar.
fn resumed(cx: &Context<'_>, owner: EntityId) -> Continuation {
    then(owner, cx.method("Avatar", "resumed").unwrap().1)
}

fn part(cx: &Context<'_>, target: EntityId, method: &str) -> Part {
    let (type_index, method) = cx.method("Avatar", method).unwrap();
    Part { target, type_index, method, args: args(&[]) }
}

fn refused() -> Stop {
    Stop::Error(GuestError::Refused("no".into()))
}

fn trap() -> Stop {
    Stop::Trap(TrapKind::Fault, "boom".into())
}
