//! What each frame of the server does to the client.

use super::{BrokenStream, ClientCore, ClientEvent};
use crate::mirror::Entity;
use crate::tables::Tables;
use bytes::Bytes;
use everwake_protocol::EntityId;
use everwake_protocol::attributes::{PatchError, PatchReader};
use everwake_protocol::client::{Pose, ServerFrame};
use everwake_protocol::outcome::Outcome;
use everwake_protocol::schema::Schema;
use std::collections::{BTreeMap, BTreeSet};

impl ClientCore {
    pub(super) fn frame(&mut self, frame: ServerFrame) -> Result<(), BrokenStream> {
        if self.session.is_none() && !matches!(frame, ServerFrame::Welcome { .. }) {
            return Err(BrokenStream("the welcome must come first".to_owned()));
        }
        match frame {
            ServerFrame::Welcome { session, module } => {
                if self.session.replace(session).is_some() {
                    return Err(BrokenStream("a second welcome".to_owned()));
                }
                self.events.push_back(ClientEvent::Welcome { session, module });
            }
            ServerFrame::Schema { schema } => {
                let schema =
                    Schema::decode(&schema).map_err(|error| BrokenStream(format!("schema: {error}")))?;
                self.take_schema(schema);
            }
            ServerFrame::Resync { view } => self.resync(view),
            ServerFrame::Create { entity, type_id, own, handle, pose, attributes } => {
                self.create(entity, type_id, own, handle, pose, &attributes);
            }
            ServerFrame::Delta { entity, changes } => {
                let changed = self.apply(entity, &changes);
                if !changed.is_empty() {
                    let attributes = changed.into_iter().collect();
                    self.events.push_back(ClientEvent::Changed { entity, attributes });
                }
            }
            ServerFrame::Destroy { entity } => self.destroy(entity),
            ServerFrame::Call { entity, method, args } => self.called(entity, method, args),
            ServerFrame::Reply { request, outcome } => self.replied(request, &outcome)?,
            ServerFrame::Pong { nonce } => self.events.push_back(ClientEvent::Pong { nonce }),
        }
        Ok(())
    }

    fn take_schema(&mut self, schema: Schema) {
        if schema.generation < self.tables.schema.generation {
            self.inconsistent(format!(
                "schema {} after {}",
                schema.generation, self.tables.schema.generation
            ));
        }
        let generation = schema.generation;
        self.tables = Tables::new(schema);
        self.events.push_back(ClientEvent::Schema { generation });
    }

    fn resync(&mut self, view: u32) {
        if self.view.is_some_and(|known| view <= known) {
            self.inconsistent(format!("view {view} after {:?}", self.view));
        }
        self.view = Some(view);
        self.entities.clear();
        self.handles.clear();
        self.own = None;
        self.events.push_back(ClientEvent::Resync { view });
    }

    fn create(&mut self, id: EntityId, type_id: u32, own: bool, handle: u16, pose: Pose, attributes: &[u8]) {
        let Some(kind) = self.tables.kind(type_id) else {
            return self.inconsistent(format!("`{id}` is of unknown type {type_id}"));
        };
        if self.view.is_none() {
            self.inconsistent(format!("`{id}` created before the first view"));
            return;
        }
        let entity = Entity {
            id,
            type_id,
            type_name: kind.name.clone(),
            own,
            handle,
            pose,
            motion: Bytes::new(),
            attributes: BTreeMap::new(),
        };
        if let Some(known) = self.entities.insert(id, entity) {
            self.handles.remove(&known.handle);
            self.inconsistent(format!("`{id}` created twice"));
        }
        if handle != 0 && self.handles.insert(handle, id).is_some() {
            self.inconsistent(format!("handle {handle} names two entities"));
        }
        if own && self.own.replace(id).is_some_and(|known| known != id) {
            self.inconsistent(format!("`{id}` is a second own entity in one view"));
        }
        self.apply(id, attributes);
        self.events.push_back(ClientEvent::Created { entity: id, own });
    }

    /// Applies a patch as far as it fits; returns the names of what changed.
    fn apply(&mut self, id: EntityId, patch: &[u8]) -> BTreeSet<String> {
        let mut changed = BTreeSet::new();
        let Some(entity) = self.entities.get_mut(&id) else {
            self.inconsistent(format!("changes of `{id}`, which is not in view"));
            return changed;
        };
        let mut faults = Vec::new();
        if let Some(kind) = self.tables.kind(entity.type_id) {
            for change in PatchReader::new(patch) {
                let applied = change.and_then(|change| match kind.column(change.attribute) {
                    Some(column) => entity.apply(&change, column).map(|it| (change.attribute, it)),
                    None => Err(PatchError::UnknownAttribute(change.attribute)),
                });
                match applied {
                    Ok((attribute, applied)) if applied.changed => {
                        changed.extend(kind.attribute(attribute).map(|it| it.name.clone()));
                    }
                    Ok(_) => {}
                    Err(error) => faults.push(format!("`{id}`: {error}")),
                }
            }
        }
        faults.into_iter().for_each(|fault| self.inconsistent(fault));
        changed
    }

    fn destroy(&mut self, id: EntityId) {
        match self.entities.remove(&id) {
            Some(entity) => {
                if self.handles.get(&entity.handle) == Some(&id) {
                    self.handles.remove(&entity.handle);
                }
                if self.own == Some(id) {
                    self.own = None;
                }
                self.events.push_back(ClientEvent::Destroyed { entity: id });
            }
            None => self.inconsistent(format!("`{id}` destroyed, which is not in view")),
        }
    }

    fn called(&mut self, entity: EntityId, method: u32, args: Bytes) {
        let target = if entity.0.is_zero() { self.own } else { Some(entity) };
        let Some(found) = target.and_then(|target| self.entities.get(&target)) else {
            // A broadcast may find a client between two own entities.
            if !entity.0.is_zero() {
                self.inconsistent(format!("client method {method} of `{entity}`, which is not in view"));
            }
            return;
        };
        let kind = self.tables.kind(found.type_id);
        match kind.and_then(|kind| kind.client_method(method)) {
            Some(schema) => {
                let (entity, method) = (found.id, schema.name.clone());
                self.events.push_back(ClientEvent::Called { entity, method, args });
            }
            None => self.inconsistent(format!("unknown client method {method} of `{}`", found.id)),
        }
    }

    fn replied(&mut self, request: u64, outcome: &Bytes) -> Result<(), BrokenStream> {
        let outcome =
            Outcome::decode(outcome).map_err(|error| BrokenStream(format!("reply {request}: {error}")))?;
        if self.pending.remove(&request).is_some() {
            self.events.push_back(ClientEvent::Replied { request, outcome });
        } else if !self.abandoned.remove(&request) {
            self.inconsistent(format!("reply {request} a second time, or to nothing"));
        }
        Ok(())
    }
}
