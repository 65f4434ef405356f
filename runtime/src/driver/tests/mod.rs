//! Whole games: the cores together, under both drivers, with native models.

mod cluster;
mod threads;
mod world;

use super::*;
use crate::game::GameConfig;
use crate::game::node::Lives;
use crate::guest::{Continuation, Hook, Part, Place};
use crate::manifest::{AttributeFlags, EntityType, Exposure, Manifest, Method, TypeKind};
use crate::space::model::{Model, Stop};
use crate::versions::samples::{attribute, fields};
use bytes::Bytes;
use everwake_protocol::client::ServerFrame;
use everwake_protocol::cluster::{
    Envelope, FromDispatcher, Incarnation, MessageId, Placement, Target, ToDispatcher, ToGame, ToGate,
};
use everwake_protocol::frame::FrameDecoder;
use everwake_protocol::outcome::Outcome;
use everwake_protocol::{EntityId, Id, SessionId, cbor};
use std::collections::BTreeMap;

/// `Account.hit() -> list<i64>` answers [version, hits so far]; `Account.join()` sends itself into
/// the one room that the service has made; `Account.crash()` traps; `Account.hand()` gives its client to the
/// service and `Account.split()` to a new account, then each ends itself.
pub(super) fn manifest(name: &str, label: &str) -> Manifest {
    let method = |name: &str, exposure: Exposure, returns: &str| Method {
        name: name.into(),
        exposure,
        returns: returns.into(),
        ..Method::default()
    };
    let own = Exposure::OwnClient;
    let mut room = attribute("room", "option<id>", &[cbor::NULL]);
    room.flags = AttributeFlags::default();
    let mut hits = attribute("hits", "i64", &[0]);
    hits.flags = AttributeFlags::default();
    let told = Method {
        parameters: fields(&[("context", "any"), ("outcome", "any")]),
        ..method("told", Exposure::Internal, "unit")
    };
    Manifest {
        name: name.into(),
        label: label.into(),
        sdk: "model".into(),
        types: vec![
            EntityType {
                name: "Account".into(),
                kind: TypeKind::Entity,
                boot: true,
                attributes: vec![hits],
                methods: vec![
                    method("hit", own, "list<i64>"),
                    method("join", own, "unit"),
                    method("crash", own, "unit"),
                    method("hand", own, "unit"),
                    method("split", own, "unit"),
                    told.clone(),
                ],
                hooks: 1 << Hook::EnterSpace as u32,
                ..EntityType::default()
            },
            EntityType { name: "Room".into(), kind: TypeKind::Space, ..EntityType::default() },
            EntityType {
                name: "Lobby".into(),
                kind: TypeKind::Service,
                shards: 1,
                attributes: vec![room],
                methods: vec![method("room", Exposure::Server, "option<id>"), told],
                hooks: 1 << Hook::Ready as u32,
                ..EntityType::default()
            },
        ],
        ..Manifest::default()
    }
}

/// The code of version `number`; one that is `broken` traps whenever it is hit.
pub(super) fn model(manifest: &Manifest, number: i64, broken: bool) -> Model {
    lobby(account(Model::new(manifest), number, broken))
}

fn then(owner: EntityId, method: u32) -> Continuation {
    Continuation { owner, method, deadline_ms: 0, context: Bytes::from_static(&[cbor::NULL]) }
}

fn account(model: Model, number: i64, broken: bool) -> Model {
    model
        .on("Account", "hit", move |cx| {
            if broken {
                return Err(Stop::Trap(crate::guest::TrapKind::Fault, "no sword".into()));
            }
            let me = cx.me();
            let hits = cx.number(me, 0)? + 1;
            cx.set(me, 0, hits)?;
            let mut answer = Vec::new();
            cbor::array(&mut answer, 2);
            cbor::int(&mut answer, number);
            cbor::int(&mut answer, hits);
            cx.host.answer(answer.into())?;
            Ok(())
        })
        .on("Account", "crash", |_| Err(Stop::Trap(crate::guest::TrapKind::Fault, "on purpose".into())))
        .on("Account", "hand", move |cx| {
            let (me, (_, told)) = (cx.me(), cx.method("Account", "told")?);
            let (lobby, _) = cx.method("Lobby", "room")?;
            let taker = cx.host.service_by_number(lobby, 0)?;
            cx.host.give(me, taker, false, then(me, told))?;
            Ok(cx.host.destroy(me)?)
        })
        .on("Account", "split", move |cx| {
            let (me, (account, told)) = (cx.me(), cx.method("Account", "told")?);
            let taker = cx.host.spawn(account, &[], Default::default())??;
            cx.host.give(me, taker, false, then(me, told))?;
            Ok(cx.host.destroy(me)?)
        })
        .on("Account", "join", move |cx| {
            let (me, (_, told)) = (cx.me(), cx.method("Account", "told")?);
            let (lobby, method) = cx.method("Lobby", "room")?;
            let target = cx.host.service_by_number(lobby, 0)?;
            let args = Bytes::from_static(&[0x80]);
            cx.host.call(Part { target, type_index: lobby, method, args }, then(me, told))?;
            Ok(())
        })
        .on("Account", "told", |cx| {
            let me = cx.me();
            let Some(room) = outcome_id(&cx.event.args) else { return Ok(()) };
            cx.host.enter(me, room, Default::default())?;
            Ok(())
        })
        .hook("Account", Hook::EnterSpace, |cx| {
            let me = cx.me();
            let hits = cx.number(me, 0)? + 1_000;
            cx.set(me, 0, hits)
        })
}

fn lobby(model: Model) -> Model {
    model
        .hook("Lobby", Hook::Ready, move |cx| {
            let (me, (_, told)) = (cx.me(), cx.method("Lobby", "told")?);
            cx.host.create(1, Bytes::from_static(&[0x80]), Place::Anywhere, then(me, told))?;
            Ok(())
        })
        .on("Lobby", "told", |cx| {
            let me = cx.me();
            if let Some(room) = outcome_id(&cx.event.args) {
                let mut value = Vec::new();
                cbor::id(&mut value, room.0);
                cx.write(me, 0, value.into())?;
            }
            Ok(())
        })
        .on("Lobby", "room", |cx| {
            let me = cx.me();
            let room = cx.read(me, 0)?;
            cx.host.answer(room)?;
            Ok(())
        })
}

/// The id in a good outcome behind a context.
fn outcome_id(args: &Bytes) -> Option<EntityId> {
    let mut reader = cbor::Reader::new(args);
    reader.skip().ok()?;
    let outcome = Outcome::decode(&Bytes::copy_from_slice(reader.item().ok()?)).ok()?;
    match outcome {
        Outcome::Ok(value) => cbor::Reader::new(&value).id().ok().map(EntityId),
        Outcome::Err { .. } => None,
    }
}

/// A loader with versions 1, 2 and 3 of `yard`; 3 is broken.
pub(super) fn loader(name: &str) -> (ModelLoader, [Bytes; 3]) {
    let loader = ModelLoader::default();
    let add = |number: i64| {
        let manifest = manifest(name, &number.to_string());
        let model = model(&manifest, number, number == 3);
        loader.add(&format!("{name}-{number}"), manifest, model)
    };
    let versions = [add(1), add(2), add(3)];
    (loader, versions)
}

pub(super) fn config() -> GameConfig {
    GameConfig { nil_shards: 2, probation_traps_max: 2, probation_ms: 5_000, ..GameConfig::dev(2) }
}

pub(super) const SESSION: SessionId = SessionId(Id([0, 2, 0, 8]));
pub(super) const BOOT: EntityId = EntityId(Id([5, 0, 0, 5]));

pub(super) const LIVES: Lives =
    Lives { game: Incarnation { start: 1, random: 1 }, gate: Incarnation { start: 1, random: 2 } };

/// What the gate says about its client to an entity.
pub(super) fn from_gate(entity: EntityId, counter: u64, to_game: ToGame) -> ToDispatcher<ToGame> {
    let sender = match &to_game {
        ToGame::Request { session, .. } => session.0,
        _ => Id([3; 4]),
    };
    let message = MessageId { sender, epoch: 1, counter };
    let envelope = Envelope::new(LIVES.gate, Target::Entity(entity), message, to_game);
    match &envelope.payload {
        ToGame::Connected { module, .. } => {
            ToDispatcher::Create { place: Placement::Anywhere { module: module.clone() }, envelope }
        }
        _ => ToDispatcher::Carry(envelope),
    }
}

/// A client that hangs up, or has hung up before.
pub(super) fn hung_up(entity: EntityId, counter: u64) -> ToDispatcher<ToGame> {
    from_gate(entity, counter, ToGame::Detach { session: SESSION, view: u32::MAX, reason: 0 })
}

pub(super) fn connected(module: &str) -> ToDispatcher<ToGame> {
    from_gate(BOOT, 1, greeting(module))
}

fn greeting(module: &str) -> ToGame {
    ToGame::Connected {
        session: SESSION,
        view: 0,
        module: module.into(),
        address: "127.0.0.1:5".into(),
        token: String::new(),
        version: String::new(),
        locale: String::new(),
    }
}

/// What a client makes of what the gate gets.
#[derive(Default)]
pub(super) struct Client {
    pub module: String,
    pub methods: BTreeMap<String, u32>,
    pub replies: BTreeMap<u64, Outcome>,
    pub order: Vec<u64>,
    pub closed: bool,
    requests: u64,
}

impl Client {
    pub fn take(&mut self, to_gate: &[FromDispatcher<ToGate, ToGame>]) {
        for message in to_gate {
            let FromDispatcher::Deliver(envelope) = message else { continue };
            match &envelope.payload {
                ToGate::Schema { schema } => {
                    self.module = schema.module.clone();
                    let methods = schema.types.iter().flat_map(|kind| &kind.methods);
                    self.methods.extend(methods.map(|method| (method.name.clone(), method.id)));
                }
                ToGate::Reply { session: SESSION, frame } => self.frames(frame),
                ToGate::Close { session: SESSION, .. } => self.closed = true,
                _ => {}
            }
        }
    }

    fn frames(&mut self, frames: &Bytes) {
        let mut decoder = FrameDecoder::of_server();
        decoder.push(frames);
        while let Some(raw) = decoder.pop().expect("frames") {
            if let Some(ServerFrame::Reply { request, outcome }) = ServerFrame::decode(raw).expect("a frame")
            {
                let outcome = Outcome::decode(&outcome).expect("an outcome");
                let before = self.replies.insert(request, outcome);
                assert!(before.is_none(), "request {request} was answered twice");
                self.order.push(request);
            }
        }
    }

    pub fn request(&mut self, method: &str) -> (u64, ToDispatcher<ToGame>) {
        self.requests += 1;
        let to_game = ToGame::Request {
            session: SESSION,
            request: self.requests,
            acknowledged: self.requests - 1,
            module: self.module.as_str().into(),
            method: self.methods[method],
            deadline_ms: 60_000,
            args: Bytes::from_static(&[0x80]),
        };
        (self.requests, from_gate(BOOT, self.requests, to_game))
    }

    /// Version and hits that a reply to `hit` says.
    pub fn hit(&self, request: u64) -> (i64, i64) {
        let Some(Outcome::Ok(value)) = self.replies.get(&request) else {
            panic!("request {request}: {:?}", self.replies.get(&request));
        };
        let mut reader = cbor::Reader::new(value);
        assert_eq!(reader.array().unwrap(), 2);
        (reader.i64().unwrap(), reader.i64().unwrap())
    }
}
