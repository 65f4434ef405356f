//! The game core alone: the tests play spaces, gate, loader and clock.

mod clients;
mod moves;
mod publications;

use super::*;
use crate::game::admin::AdminRequest;
use crate::game::node::{Lives, Node, NodeInput, NodeOutput};
use crate::game::publish::PublishOptions;
use crate::game::report::PublicationReport;
use crate::manifest::{EntityType, Exposure, Manifest, Method, TypeKind};
use crate::message::{Body, Class, Rehearsal, SwapReport, service_shard};
use crate::versions::MethodKey;
use crate::versions::samples::{attribute, checked};
use everwake_protocol::SessionId;
use everwake_protocol::cluster::{Envelope, Placement, ReturnReason, Target, ToGame, ToGate};

pub(super) const NOW_MS: u64 = 1_000_000;
pub(super) const LIVES: Lives =
    Lives { game: Incarnation { start: 1, random: 1 }, gate: Incarnation { start: 1, random: 2 } };

pub(super) fn nil_shard(module: &str, shard: u32) -> EntityId {
    crate::message::nil_shard(LIVES.game, module, shard)
}

/// A module with a boot type, an entity type, a space type and a service of two shards.
pub(super) fn manifest(name: &str, label: &str) -> Manifest {
    let kind = |name: &str, kind: TypeKind| EntityType { name: name.into(), kind, ..EntityType::default() };
    let poke = Method {
        name: "poke".into(),
        exposure: Exposure::Operator,
        returns: "u32".into(),
        ..Method::default()
    };
    let counter = attribute("count", "u32", &[0]);
    Manifest {
        name: name.into(),
        label: label.into(),
        sdk: "none".into(),
        types: vec![
            EntityType {
                boot: true,
                methods: vec![poke],
                attributes: vec![counter],
                ..kind("Account", TypeKind::Entity)
            },
            kind("Avatar", TypeKind::Entity),
            kind("Room", TypeKind::Space),
            EntityType { shards: 2, ..kind("Lobby", TypeKind::Service) },
        ],
        ..Manifest::default()
    }
}

/// A core whose surroundings are the test.
pub(super) struct Stage {
    pub node: Node,
    pub now_ms: u64,
    /// What the gate was told by the last input.
    pub gate: Vec<ToGate>,
    /// What of the gate's came back by the last input.
    pub returned: Vec<ReturnReason>,
    ticket: u64,
    counter: u64,
}

impl Stage {
    pub fn new(config: GameConfig) -> Self {
        let node = Node::new(config, LIVES, [7; 32]);
        Self { node, now_ms: NOW_MS, gate: Vec::new(), returned: Vec::new(), ticket: 0, counter: 0 }
    }

    /// With one running module, `yard`; what that said is thrown away.
    pub fn running() -> Self {
        Self::running_with(config())
    }

    pub fn running_with(config: GameConfig) -> Self {
        let mut stage = Self::new(config);
        stage.publish(manifest("yard", "1"), PublishOptions::default());
        stage
    }

    pub fn core(&self) -> &GameCore {
        self.node.game()
    }

    pub fn handle(&mut self, input: GameInput) -> Vec<GameOutput> {
        self.take(NodeInput::Game(input))
    }

    /// The gate says something about its client to an entity.
    pub fn client(&mut self, target: EntityId, to_game: ToGame) -> Vec<GameOutput> {
        self.counter += 1;
        let sender = Id([3, 3, 3, 3]);
        let message = MessageId { sender, epoch: 1, counter: self.counter };
        let envelope = Envelope::new(LIVES.gate, Target::Entity(target), message, to_game);
        let refusable = !matches!(envelope.payload, ToGame::Detach { .. } | ToGame::Forget { .. });
        let envelope = Envelope { refusable, ..envelope };
        let module = match &envelope.payload {
            ToGame::Connected { module, .. } => Some(module.clone()),
            _ => None,
        };
        self.take(NodeInput::Gate(match module {
            Some(module) => ToDispatcher::Create { place: Placement::Anywhere { module }, envelope },
            None => ToDispatcher::Carry(envelope),
        }))
    }

    fn take(&mut self, input: NodeInput) -> Vec<GameOutput> {
        let (mut said, mut out) = (Vec::new(), Vec::new());
        self.gate.clear();
        self.returned.clear();
        self.node.handle(self.now_ms, input, &mut said);
        for output in said {
            match output {
                NodeOutput::Game(output) => out.push(output),
                NodeOutput::Gate(FromDispatcher::Deliver(envelope)) => self.gate.push(envelope.payload),
                NodeOutput::Gate(FromDispatcher::Return { reason, .. }) => self.returned.push(reason),
                NodeOutput::Gate(_) => {}
            }
        }
        out
    }

    pub fn says(&mut self, space: EntityId, outputs: Vec<Output>) -> Vec<GameOutput> {
        self.handle(GameInput::Space { space, taken: 0, outputs })
    }

    pub fn ask(&mut self, request: AdminRequest) -> (u64, Vec<GameOutput>) {
        self.ticket += 1;
        let ticket = self.ticket;
        (ticket, self.handle(GameInput::Admin { ticket, request }))
    }

    /// Publishes as far as the loader's answer.
    pub fn publish(&mut self, manifest: Manifest, options: PublishOptions) -> Vec<GameOutput> {
        let bytes = Bytes::from(manifest.label.clone());
        let (_, out) = self.ask(AdminRequest::Publish { bytes, note: String::new(), options });
        self.load(manifest, &out)
    }

    pub fn load(&mut self, manifest: Manifest, out: &[GameOutput]) -> Vec<GameOutput> {
        let job = out
            .iter()
            .find_map(|output| match output {
                GameOutput::Load { job, .. } => Some(*job),
                _ => None,
            })
            .expect("a load job");
        let hash = hash_of(&manifest.label);
        self.handle(GameInput::Loaded { job, result: Ok(LoadedModule { hash, checked: checked(manifest) }) })
    }

    pub fn pass(&mut self, ms: u64) -> Vec<GameOutput> {
        self.now_ms += ms;
        self.handle(GameInput::Wake)
    }

    /// A call from one entity to another, as a space sends it.
    pub fn call(&mut self, from: EntityId, target: EntityId) -> Box<Message> {
        self.counter += 1;
        let answer = AnswerTo::Entity { entity: from, call: Id([9, 9, 9, self.counter as u32]) };
        Box::new(Message {
            id: MessageId { sender: from.0, epoch: 1, counter: self.counter },
            from: Some(from),
            target,
            class: Class::Volatile,
            trace: Id::ZERO,
            body: Body::Call {
                method: MethodKey { name: 1, signature: 2 },
                args: Bytes::from_static(&[0x80]),
                origin: crate::guest::Origin::Entity,
                answer,
                deadline_ms: u64::MAX,
                bounce: None,
            },
        })
    }
}

pub(super) fn config() -> GameConfig {
    GameConfig { nil_shards: 2, probation_ms: 10_000, probation_traps_max: 2, ..GameConfig::default() }
}

pub(super) fn hash_of(label: &str) -> VersionHash {
    VersionHash(*blake3::hash(label.as_bytes()).as_bytes())
}

pub(super) fn id(number: u32) -> EntityId {
    EntityId(Id([number, 0, 0, 1]))
}

/// What goes to a space, in order.
pub(super) fn to_space(out: &[GameOutput], space: EntityId) -> Vec<&Input> {
    out.iter()
        .filter_map(|output| match output {
            GameOutput::ToSpace(to, input) if *to == space => Some(input),
            _ => None,
        })
        .collect()
}

/// Counters of the messages that go to a space, in order.
pub(super) fn counters(out: &[GameOutput], space: EntityId) -> Vec<u64> {
    to_space(out, space)
        .into_iter()
        .filter_map(|input| match input {
            Input::Message(message) => Some(message.id.counter),
            _ => None,
        })
        .collect()
}

/// The answers that go to a space: who gets them, and their codes; an empty one is good.
pub(super) fn answers(out: &[GameOutput], space: EntityId) -> Vec<(EntityId, String)> {
    to_space(out, space)
        .into_iter()
        .filter_map(|input| match input {
            Input::Message(message) => match &message.body {
                Body::Answer { outcome, .. } => Some((message.target, code_of(outcome))),
                _ => None,
            },
            _ => None,
        })
        .collect()
}

pub(super) fn code_of(outcome: &everwake_protocol::outcome::Outcome) -> String {
    match outcome {
        everwake_protocol::outcome::Outcome::Ok(_) => String::new(),
        everwake_protocol::outcome::Outcome::Err { code, .. } => code.clone(),
    }
}

pub(super) fn facts(out: &[GameOutput]) -> Vec<&Fact> {
    out.iter()
        .filter_map(|output| match output {
            GameOutput::Fact(fact) => Some(fact),
            _ => None,
        })
        .collect()
}

pub(super) fn reports(out: &[GameOutput]) -> Vec<&PublicationReport> {
    out.iter()
        .filter_map(|output| match output {
            GameOutput::Admin { answer, .. } => match answer.as_ref() {
                AdminAnswer::Publication(report) => Some(report.as_ref()),
                _ => None,
            },
            _ => None,
        })
        .collect()
}

/// Registers an entity in a space.
pub(super) fn registered(entity: EntityId, epoch: u32) -> Output {
    Output::Registered { entity, type_id: 1, epoch }
}
