//! A client as it should be: applies every frame, and objects to every frame that does not fit.

use super::{COLUMNS, COUNT, column, gates};
use crate::replicate::ReplicaOutput;
use bytes::Bytes;
use everwake_protocol::attributes::{Attributes, PatchReader, Slot};
use everwake_protocol::client::{Pose, ServerFrame};
use everwake_protocol::cluster::ToGate;
use everwake_protocol::frame::FrameDecoder;
use everwake_protocol::{EntityId, SessionId};
use std::collections::BTreeMap;

/// What a client knows of an entity.
#[derive(Clone, Debug)]
pub struct Known {
    pub own: bool,
    pub handle: u16,
    pub pose: Pose,
    pub motion: Bytes,
    pub attributes: Attributes,
}

impl Known {
    /// The value of an attribute as the client's program sees it.
    pub fn value(&self, attribute: u32) -> Vec<u8> {
        value(&self.attributes, attribute)
    }

    /// Whether this client is told of an attribute.
    pub fn is_shown(&self, attribute: u32) -> bool {
        let flags = COLUMNS[attribute as usize].1;
        flags.all_clients || flags.client && self.own
    }
}

pub fn value(attributes: &Attributes, attribute: u32) -> Vec<u8> {
    let mut out = Vec::new();
    match attributes.slot(attribute) {
        Slot::Absent => out.extend_from_slice(COLUMNS[attribute as usize].2),
        slot => slot.encode(&mut out),
    }
    out
}

/// Something that a client's program hears, with what it saw at that moment.
#[derive(Clone, Debug)]
pub struct Heard {
    pub what: ServerFrame,
    pub mirror: BTreeMap<EntityId, Known>,
}

/// One client.
#[derive(Debug, Default)]
pub struct Client {
    pub view: u32,
    pub owner: EntityId,
    pub mirror: BTreeMap<EntityId, Known>,
    pub heard: Vec<Heard>,
    /// All frames in order.
    pub frames: Vec<ServerFrame>,
    pub datagrams: usize,
}

impl Client {
    fn patch(attributes: &mut Attributes, changes: &[u8]) {
        for change in PatchReader::new(changes) {
            let change = change.expect("well-formed");
            attributes.apply(&change, column(change.attribute), None).expect("fits the mirror");
        }
    }

    fn take(&mut self, frame: ServerFrame) {
        self.frames.push(frame.clone());
        match frame {
            ServerFrame::Create { entity, own, handle, pose, attributes, .. } => {
                let mut known = Attributes::new(COUNT);
                Client::patch(&mut known, &attributes);
                let known = Known { own, handle, pose, motion: Bytes::new(), attributes: known };
                assert_eq!(own, entity == self.owner);
                assert!(self.mirror.insert(entity, known).is_none(), "created twice");
            }
            ServerFrame::Delta { entity, changes } => {
                assert!(!changes.is_empty(), "a delta of nothing");
                let known = self.mirror.get_mut(&entity).expect("a delta of an entity in view");
                Client::patch(&mut known.attributes, &changes);
            }
            ServerFrame::Destroy { entity } => {
                self.mirror.remove(&entity).expect("it was in view");
            }
            ServerFrame::Call { entity, .. } => {
                assert!(
                    entity == EntityId::default() || self.mirror.contains_key(&entity),
                    "a call on {entity:?}, which is not in view"
                );
                self.heard.push(Heard { what: frame, mirror: self.mirror.clone() });
            }
            ServerFrame::Reply { .. } => {
                self.heard.push(Heard { what: frame, mirror: self.mirror.clone() });
            }
            other => panic!("not from a replicator: {other:?}"),
        }
    }
}

/// All clients of one gate.
#[derive(Debug, Default)]
pub struct Clients {
    pub by_session: BTreeMap<SessionId, Client>,
    pub schemas: Vec<u32>,
    pub passed: Vec<ToGate>,
}

impl Clients {
    pub fn of(out: &[ReplicaOutput]) -> Clients {
        let mut clients = Clients::default();
        clients.take(out);
        clients
    }

    pub fn take(&mut self, out: &[ReplicaOutput]) {
        for value in gates(out) {
            match value {
                ToGate::Schema { schema } => self.schemas.push(schema.generation),
                ToGate::View { session, view, owner, .. } => {
                    assert!(!self.schemas.is_empty(), "a view before the schema");
                    let client = self.by_session.entry(*session).or_default();
                    client.view = *view;
                    client.owner = *owner;
                    // The gate tells the client to begin anew.
                    client.mirror.clear();
                }
                ToGate::Frames { viewers, frames } => {
                    assert!(!viewers.is_empty());
                    for viewer in viewers {
                        let client = self.by_session.get_mut(&viewer.session).expect("it has a view");
                        assert_eq!(viewer.view, client.view, "frames of another view");
                        for frame in decoded(frames) {
                            assert!(!matches!(frame, ServerFrame::Reply { .. }), "answers are for any view");
                            client.take(frame);
                        }
                    }
                }
                ToGate::Reply { session, frame } => {
                    let frames = decoded(frame);
                    assert!(matches!(frames[..], [ServerFrame::Reply { .. }]), "{frames:?}");
                    if let Some(client) = self.by_session.get_mut(session) {
                        frames.into_iter().for_each(|frame| client.take(frame));
                    }
                }
                ToGate::Positions { session, datagram } => {
                    let mut bytes = Vec::new();
                    datagram.encode(&mut bytes);
                    assert!(bytes.len() <= everwake_protocol::limits::DATAGRAM_BYTES_MAX);
                    let client = self.by_session.get_mut(session).expect("it has a view");
                    assert_eq!(datagram.view, client.view);
                    client.datagrams += 1;
                    for placed in &datagram.placed {
                        let known = client.mirror.values_mut().find(|known| known.handle == placed.handle);
                        let known = known.expect("the handle is known");
                        known.pose = placed.pose;
                        known.motion = placed.motion.clone();
                    }
                }
                ToGate::Broadcast { frames, .. } => {
                    self.passed.push(value.clone());
                    for client in self.by_session.values_mut() {
                        for frame in decoded(frames) {
                            client.take(frame);
                        }
                    }
                }
                other => self.passed.push(other.clone()),
            }
        }
    }

    pub fn client(&self, number: u32) -> &Client {
        &self.by_session[&super::session(number)]
    }
}

pub fn decoded(frames: &Bytes) -> Vec<ServerFrame> {
    let mut decoder = FrameDecoder::of_server();
    decoder.push(frames);
    let mut all = Vec::new();
    while let Some(raw) = decoder.pop().expect("frames") {
        all.push(ServerFrame::decode(raw).expect("a frame").expect("a known kind"));
    }
    assert_eq!(decoder.buffered(), 0);
    all
}
