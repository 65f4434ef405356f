//! Random events; each client must see, at each call, exactly what was committed by the event
//! of the call, and at each flush exactly what is committed by then.

use super::client::{Clients, value};
use super::*;
use crate::guest::Audience;
use everwake_protocol::attributes::{PatchReader, Slot, write_path};
use everwake_protocol::cbor;
use everwake_protocol::client::ServerFrame;
use everwake_protocol::cluster::Comparison;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Clone, Debug)]
enum Edit {
    Scalar(u32, u8),
    Reset(u32),
    Items(Vec<u8>),
    SetItem(u8, u8),
    InsertItem(u8, u8),
    RemoveItem(u8),
    Entries(u32, BTreeMap<u8, u8>),
    Entry(u32, u8, Option<u8>),
}

#[derive(Clone, Debug)]
enum Op {
    Edit(u8, Edit),
    Move(u8, i8, i8),
    Motion(u8, u8),
    Layers(u8, u32, u32),
    Spawn(u8, i8, i8),
    Call(u8, u8),
    Reply(u8, u8),
    Broadcast,
    End(u8, bool),
}

/// What is done to a client in an event: at most one thing.
#[derive(Clone, Debug)]
enum Bind {
    Attach(u8, u8),
    Detach(u8),
}

#[derive(Clone, Debug)]
enum Step {
    Event(Vec<Op>, Option<Bind>),
    Pass(u16),
}

fn edits() -> impl Strategy<Value = Edit> {
    let maps = prop_oneof![Just(BAG), Just(MARKS)];
    prop_oneof![
        4 => (prop_oneof![Just(HP), Just(GOLD), Just(PLAN)], 0..4u8).prop_map(|(id, value)| Edit::Scalar(id, value)),
        1 => (0..COUNT as u32).prop_map(Edit::Reset),
        1 => prop::collection::vec(0..4u8, 0..4).prop_map(Edit::Items),
        3 => (any::<u8>(), 0..4u8).prop_map(|(index, value)| Edit::SetItem(index, value)),
        3 => (any::<u8>(), 0..4u8).prop_map(|(index, value)| Edit::InsertItem(index, value)),
        3 => any::<u8>().prop_map(Edit::RemoveItem),
        1 => (maps.clone(), prop::collection::btree_map(0..4u8, 0..4u8, 0..4)).prop_map(|(id, map)| Edit::Entries(id, map)),
        5 => (maps, 0..6u8, prop::option::of(0..4u8)).prop_map(|(id, key, value)| Edit::Entry(id, key, value)),
    ]
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (any::<u8>(), edits()).prop_map(|(who, edit)| Op::Edit(who, edit)),
        4 => (any::<u8>(), -15..15i8, -15..15i8).prop_map(|(who, x, z)| Op::Move(who, x, z)),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(who, motion)| Op::Motion(who, motion)),
        1 => (any::<u8>(), 1..4u32, 1..4u32).prop_map(|(who, sees, seen)| Op::Layers(who, sees, seen)),
        2 => (any::<u8>(), -15..15i8, -15..15i8).prop_map(|(kind, x, z)| Op::Spawn(kind, x, z)),
        4 => (any::<u8>(), 0..3u8).prop_map(|(who, to)| Op::Call(who, to)),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(who, client)| Op::Reply(who, client)),
        1 => Just(Op::Broadcast),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(who, left)| Op::End(who, left)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bind = prop_oneof![
        3 => (any::<u8>(), 0..4u8).prop_map(|(who, client)| Bind::Attach(who, client)),
        1 => (0..4u8).prop_map(Bind::Detach),
    ];
    let event = (prop::collection::vec(ops(), 0..6), prop::option::weighted(0.2, bind));
    prop::collection::vec(
        prop_oneof![5 => event.prop_map(|(ops, bind)| Step::Event(ops, bind)), 1 => (0..150u16).prop_map(Step::Pass)],
        0..60,
    )
}

/// An entity as the space holds it.
#[derive(Clone, Debug)]
struct Real {
    type_id: u32,
    attributes: Attributes,
    pose: Option<Pose>,
    motion: Bytes,
    layers: (u32, u32),
    client: Option<u32>,
}

impl Real {
    fn new(type_id: u32, pose: Option<Pose>) -> Real {
        let (attributes, layers) = (Attributes::new(COUNT), (u32::MAX, u32::MAX));
        Real { type_id, attributes, pose, motion: Bytes::new(), layers, client: None }
    }
}

/// One event, for looking back.
struct Past {
    /// All attributes as they were before the event's ends.
    committed: BTreeMap<EntityId, Attributes>,
    /// What it patched.
    changed: BTreeSet<EntityId>,
    /// For which entities its replies were.
    replies: Vec<EntityId>,
}

/// The space, its history, and what its clients made of it.
struct Trial {
    stand: Stand,
    real: BTreeMap<EntityId, Real>,
    history: Vec<Past>,
    clients: Clients,
    /// What wolves were told, as pairs.
    told: BTreeSet<(EntityId, EntityId)>,
    watched: BTreeSet<EntityId>,
    born: u32,
    views: u32,
}

impl Trial {
    fn new() -> Trial {
        Trial {
            stand: Stand::new(),
            real: BTreeMap::from([(entity(SPACE), Real::new(ROOM, None))]),
            history: Vec::new(),
            clients: Clients::default(),
            told: BTreeSet::new(),
            watched: BTreeSet::new(),
            born: 0,
            views: 0,
        }
    }

    fn pick(&self, who: u8) -> EntityId {
        *self.real.keys().nth(usize::from(who) % self.real.len()).unwrap()
    }

    fn edit(&mut self, who: u8, edit: &Edit) -> Option<Change> {
        let entity = self.pick(who);
        let real = self.real.get_mut(&entity).unwrap();
        let mut patch = Vec::new();
        let items = match real.attributes.slot(ITEMS) {
            Slot::List(items) => items.len(),
            _ => 2,
        };
        let index = |index: u8, len: usize| (usize::from(index) % len.max(1)) as u8;
        match edit {
            Edit::Scalar(id, value) => {
                write_path(*id, None, false, &mut patch);
                patch.push(*value);
            }
            Edit::Reset(id) => {
                write_path(*id, None, false, &mut patch);
                cbor::undefined(&mut patch);
            }
            Edit::Items(items) => {
                write_path(ITEMS, None, false, &mut patch);
                cbor::array(&mut patch, items.len());
                patch.extend(items);
            }
            Edit::SetItem(at, value) => {
                write_path(ITEMS, Some(&[index(*at, items + 1)]), false, &mut patch);
                patch.push(*value);
            }
            Edit::InsertItem(at, value) => {
                write_path(ITEMS, Some(&[index(*at, items + 1)]), true, &mut patch);
                patch.push(*value);
            }
            Edit::RemoveItem(at) => {
                write_path(ITEMS, Some(&[index(*at, items)]), false, &mut patch);
                cbor::undefined(&mut patch);
            }
            Edit::Entries(id, entries) => {
                write_path(*id, None, false, &mut patch);
                cbor::map(&mut patch, entries.len());
                entries.iter().for_each(|(key, value)| patch.extend([*key, *value]));
            }
            Edit::Entry(id, key, value) => {
                write_path(*id, Some(&[*key]), false, &mut patch);
                patch.push(value.unwrap_or(cbor::UNDEFINED));
            }
        }
        let change = PatchReader::new(&patch).next()?.unwrap();
        // Lists may be full or empty by now: then there is nothing to do.
        let applied = items < 20 && {
            let applied = real.attributes.apply(&change, column(change.attribute), None);
            applied.is_ok_and(|applied| applied.changed)
        };
        applied.then(|| Change::Patched { entity, changes: patch.into() })
    }

    fn op(&mut self, op: &Op, changes: &mut Vec<Change>, ends: &mut BTreeSet<EntityId>) {
        match op {
            Op::Edit(who, edit) => changes.extend(self.edit(*who, edit)),
            Op::Move(who, x, z) => {
                let entity = self.pick(*who);
                let pose = at(f32::from(*x), f32::from(*z));
                let real = self.real.get_mut(&entity).unwrap();
                if real.pose.is_some() {
                    real.pose = Some(pose);
                    changes.push(moved(entity, pose, false));
                }
            }
            Op::Motion(who, motion) => {
                let entity = self.pick(*who);
                let motion = Bytes::from(vec![*motion]);
                self.real.get_mut(&entity).unwrap().motion = motion.clone();
                changes.push(Change::Motion { entity, motion });
            }
            Op::Layers(who, sees, seen_by) => {
                let entity = self.pick(*who);
                self.real.get_mut(&entity).unwrap().layers = (*sees, *seen_by);
                changes.push(Change::Layers { entity, sees: *sees, seen_by: *seen_by });
            }
            Op::Spawn(kind, x, z) => {
                self.born += 1;
                let type_id = [AVATAR, ROCK, WOLF][usize::from(*kind) % 3];
                let pose = Some(at(f32::from(*x), f32::from(*z)));
                changes.push(self.stand.created(self.born, type_id, pose));
                self.real.insert(entity(self.born), Real::new(type_id, pose));
            }
            Op::End(who, left) => {
                let entity = self.pick(*who);
                if entity != super::entity(SPACE) && ends.insert(entity) {
                    changes.push(match left {
                        true => Change::Left { entity },
                        false => Change::Destroyed { entity },
                    });
                }
            }
            Op::Call(..) | Op::Reply(..) | Op::Broadcast => self.say(op, changes),
        }
    }

    fn say(&mut self, op: &Op, changes: &mut Vec<Change>) {
        let number = self.history.len() as u64;
        let mut args = Vec::new();
        cbor::uint(&mut args, number);
        let args = Bytes::from(args);
        match op {
            Op::Call(who, to) => {
                let entity = self.pick(*who);
                let to = usize::from(*to);
                let audience = [Audience::OwnClient, Audience::AllClients, Audience::OtherClients][to];
                changes.push(Change::ClientCall { entity, audience, method: to as u32, args });
            }
            Op::Reply(who, client) => {
                let entity = self.pick(*who);
                let session = session(u32::from(*client) % 4);
                let request = number << 8 | changes.len() as u64;
                changes.push(Change::Reply {
                    session,
                    entity,
                    request,
                    outcome: Bytes::from_static(&[0xf6]),
                });
            }
            Op::Broadcast => {
                let (key, value, compare) = (String::new(), String::new(), Comparison::Equal);
                changes.push(Change::Broadcast { key, compare, value, type_id: AVATAR, method: 9, args });
            }
            _ => {}
        }
    }

    fn bind(&mut self, bind: &Bind, changes: &mut Vec<Change>) {
        match bind {
            Bind::Attach(who, client) => {
                let entity = self.pick(*who);
                let client = u32::from(*client);
                if entity == super::entity(SPACE) {
                    return;
                }
                self.detach(client);
                self.real.get_mut(&entity).unwrap().client = Some(client);
                self.views += 1;
                changes.push(Change::Attached { entity, session: session(client), view: self.views });
            }
            Bind::Detach(client) => {
                self.detach(u32::from(*client));
                changes.push(Change::Detached { session: session(u32::from(*client)) });
            }
        }
    }

    fn detach(&mut self, client: u32) {
        for real in self.real.values_mut() {
            real.client = real.client.filter(|other| *other != client);
        }
    }

    fn forget_detached(&mut self) {
        let attached: BTreeSet<SessionId> =
            self.real.values().filter_map(|real| real.client.map(session)).collect();
        self.clients.by_session.retain(|session, _| attached.contains(session));
    }

    fn event(&mut self, ops: &[Op], bind: Option<&Bind>) {
        let (mut changes, mut ends) = (Vec::new(), BTreeSet::new());
        ops.iter().for_each(|op| self.op(op, &mut changes, &mut ends));
        if let Some(bind) = bind {
            self.bind(bind, &mut changes);
        }
        let mut past = Past { committed: BTreeMap::new(), changed: BTreeSet::new(), replies: Vec::new() };
        let mut own_calls = Vec::new();
        past.committed.extend(self.real.iter().map(|(entity, real)| (*entity, real.attributes.clone())));
        for change in &changes {
            match change {
                Change::Patched { entity, .. } => drop(past.changed.insert(*entity)),
                Change::Reply { entity, .. } => past.replies.push(*entity),
                Change::ClientCall { entity, audience: Audience::OwnClient, .. } => {
                    own_calls.extend(self.real[entity].client.map(|client| (session(client), *entity)));
                }
                _ => {}
            }
        }
        self.history.push(past);
        // Who lost its view in this event gets nothing more of it.
        self.forget_detached();
        let out = self.stand.event(changes);
        ends.iter().for_each(|entity| drop(self.real.remove(entity)));
        let mut heard = self.take(&out);
        own_calls.sort();
        heard.sort();
        assert_eq!(heard, own_calls, "calls to own clients");
        self.forget_detached();
    }

    /// Lets the clients take everything; returns who heard a call to its own entity.
    fn take(&mut self, out: &[ReplicaOutput]) -> Vec<(SessionId, EntityId)> {
        self.clients.take(out);
        for fact in facts(out) {
            match fact {
                Fact::EnterAoi { observer, subject } => assert!(self.told.insert((observer, subject))),
                Fact::LeaveAoi { observer, subject } => assert!(self.told.remove(&(observer, subject))),
                Fact::Watched { entity } => assert!(self.watched.insert(entity)),
                Fact::Unwatched { entity } => assert!(self.watched.remove(&entity)),
            }
        }
        self.watched.retain(|entity| self.real.contains_key(entity));
        self.told.retain(|(observer, _)| self.real.contains_key(observer));
        let mut own = Vec::new();
        for (session, client) in &mut self.clients.by_session {
            for heard in client.heard.drain(..) {
                let (number, about) = match &heard.what {
                    ServerFrame::Call { entity, method, args } => {
                        if *method == 0 {
                            own.push((*session, *entity));
                        }
                        let about = if *method == 9 { client.owner } else { *entity };
                        (cbor::Reader::new(args).uint().unwrap(), vec![about])
                    }
                    ServerFrame::Reply { request, .. } => (request >> 8, Vec::new()),
                    other => panic!("{other:?}"),
                };
                let past = &self.history[number as usize];
                let about = if about.is_empty() { past.replies.clone() } else { about };
                for (entity, known) in &heard.mirror {
                    if past.changed.contains(entity) || about.contains(entity) && past.replies.len() < 2 {
                        agree(*entity, known, &past.committed[entity]);
                    }
                }
            }
        }
        own
    }

    /// Everything was flushed: clients know all that they should, and nothing else.
    fn check_settled(&self) {
        for real in self.real.values() {
            if let Some(client) = real.client {
                let client = self.clients.client(client);
                assert_eq!(self.real[&client.owner].client, real.client);
                for (entity, known) in &client.mirror {
                    let there = &self.real[entity];
                    agree(*entity, known, &there.attributes);
                    assert_eq!(known.handle != 0, there.pose.is_some());
                    assert_eq!(known.pose, there.pose.unwrap_or_default(), "pose of {entity:?}");
                    assert!(known.handle == 0 || known.motion == there.motion, "motion of {entity:?}");
                }
                let sees = |entity: &EntityId| client.mirror.contains_key(entity);
                assert!(sees(&client.owner) && sees(&entity(SPACE)));
                self.check_sight(client.owner, |subject| sees(&subject));
            }
        }
        assert!(self.told.iter().all(|(_, subject)| self.real.contains_key(subject)));
        for (entity, real) in &self.real {
            if real.type_id == WOLF {
                self.check_sight(*entity, |subject| self.told.contains(&(*entity, subject)));
            }
            if real.type_id == ROCK {
                let watched =
                    self.clients.by_session.values().any(|client| client.mirror.contains_key(entity));
                assert_eq!(self.watched.contains(entity), watched);
            }
        }
    }

    /// Whoever is inside of the radius is seen, whoever is outside of its margin is not.
    fn check_sight(&self, observer: EntityId, sees: impl Fn(EntityId) -> bool) {
        let here = &self.real[&observer];
        let Some(eye) = here.pose else { return };
        for (entity, there) in self.real.iter().filter(|(entity, _)| **entity != observer) {
            let Some(pose) = there.pose else { continue };
            let distance = ((pose.x - eye.x).powi(2) + (pose.z - eye.z).powi(2)).sqrt();
            let can = here.type_id != ROCK && here.layers.0 & there.layers.1 != 0;
            if can && distance <= RADIUS {
                assert!(sees(*entity), "{observer:?} should see {entity:?}");
            }
            if !can || distance > RADIUS * 1.1 + 1.01 {
                assert!(!sees(*entity), "{observer:?} should not see {entity:?}");
            }
        }
    }
}

fn agree(entity: EntityId, known: &super::client::Known, committed: &Attributes) {
    for attribute in 0..COUNT as u32 {
        let wanted = match known.is_shown(attribute) {
            true => value(committed, attribute),
            false => COLUMNS[attribute as usize].2.to_vec(),
        };
        assert_eq!(known.value(attribute), wanted, "attribute {attribute} of {entity:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn clients_see_what_was_committed(steps in steps()) {
        let mut trial = Trial::new();
        for step in &steps {
            match step {
                Step::Event(ops, bind) => trial.event(ops, bind.as_ref()),
                Step::Pass(ms) => {
                    let out = trial.stand.pass(u64::from(*ms));
                    trial.take(&out);
                    if *ms >= 100 {
                        trial.check_settled();
                    }
                }
            }
        }
        let out = trial.stand.pass(10_000);
        trial.take(&out);
        trial.check_settled();
        prop_assert_eq!(trial.stand.replicator.faults(), Default::default());
        prop_assert_eq!(trial.stand.replicator.next_ms(), None, "it comes to rest");
    }
}
