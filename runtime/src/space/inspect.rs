//! What people may see of a space: plain data, secrets left out.

use super::core::SpaceCore;
use super::entity::Entity;
use super::state::Space;
use crate::limits;
use crate::versions::{MethodKey, describe_value};
use everwake_protocol::EntityId;
use everwake_protocol::attributes::Slot as Value;
use serde_json::{Map, Value as Json, json};
use std::ops::RangeInclusive;

impl SpaceCore {
    /// Entities here with such ids: for people who type the start of one.
    #[must_use]
    pub fn entities_within(&self, ids: &RangeInclusive<EntityId>) -> Vec<EntityId> {
        self.shared().world.iter().map(|(_, entity)| entity.id).filter(|id| ids.contains(id)).collect()
    }
}

impl Space {
    /// One entity, or the space's summary and members.
    pub(super) fn inspect(&self, entity: Option<EntityId>) -> Json {
        match entity {
            Some(id) => self.world.by_id(id).map_or(Json::Null, |entity| self.inspect_entity(entity)),
            None => self.inspect_space(),
        }
    }

    fn inspect_space(&self) -> Json {
        let members: Vec<Json> = self
            .world
            .iter()
            .take(limits::INSPECT_MEMBERS_MAX)
            .map(|(_, entity)| {
                json!({
                    "id": entity.id.to_string(),
                    "type": self.type_name(entity.type_index),
                    "client": entity.body.client.as_ref().map(|client| client.session.to_string()),
                    "pose": self.is_real().then(|| pose(entity)),
                })
            })
            .collect();
        let counts = self.counts;
        json!({
            "id": self.config.id.to_string(),
            "kind": format!("{:?}", self.config.kind).to_lowercase(),
            "module": self.version.manifest.name,
            "label": self.version.manifest.label,
            "version": self.version.hash.to_string(),
            "generation": self.version.generation,
            "entities": self.world.len(),
            "queued": self.mailbox.items().len(),
            "held": self.fifo.len(),
            "waiting": self.agenda.len(),
            "events": self.commits.sequence(),
            "late_answers": counts.late_answers,
            "duplicates": counts.duplicates,
            "overloaded": counts.overloaded,
            "unhandled": counts.unhandled,
            "ticks_left_out": counts.ticks_left_out,
            "disagreements": counts.disagreements,
            "members": members,
        })
    }

    fn inspect_entity(&self, entity: &Entity) -> Json {
        let body = &entity.body;
        let (attributes, types, unknown) = self.attributes_of(entity);
        let paused = entity.pause_until_ms.saturating_sub(self.now_ms);
        json!({
            "id": entity.id.to_string(),
            "type": self.type_name(entity.type_index),
            "space": self.config.id.to_string(),
            "schema": body.schema,
            "epoch": entity.epoch,
            "pose": self.is_real().then(|| pose(entity)),
            "attributes": attributes,
            "attribute_types": types,
            "carried_attributes": unknown,
            "client": body.client.as_ref().map(|client| json!({
                "session": client.session.to_string(),
                "address": client.info.address,
                "round_trip_ms": client.info.round_trip_ms,
            })),
            "filters": body.filters,
            "timers": body.timers.len(),
            "timer_list": self.timers_of(entity),
            "pending": body.pending.len(),
            "pending_list": self.pending_of(entity),
            "deferred": body.deferred.len(),
            "watches": body.watches.len(),
            "watchers": body.watchers.len(),
            "marks": body.marks.len(),
            "layers": [body.layers.0, body.layers.1],
            "watched": entity.watched,
            "ticks_paused_ms": paused,
        })
    }

    /// Values and types by name, and how many there are that the running version does not know.
    fn attributes_of(&self, entity: &Entity) -> (Map<String, Json>, Map<String, Json>, usize) {
        let (mut values, mut types, mut unknown) = (Map::new(), Map::new(), 0);
        let declared = self.version.manifest.types.get(entity.type_index as usize);
        for declared in declared.iter().flat_map(|declared| &declared.attributes) {
            types.insert(declared.name.clone(), Json::String(declared.type_text.clone()));
        }
        for (id, value) in (0u32..).zip(entity.body.attributes.slots()) {
            let Some((name, table)) = self.attribute(entity.type_index, id) else {
                unknown += usize::from(!value.is_absent());
                continue;
            };
            let text = if table.flags.secret {
                "(secret)".to_owned()
            } else {
                let mut bytes = Vec::new();
                match value {
                    Value::Absent => bytes.extend_from_slice(&table.initial),
                    value => value.encode(&mut bytes),
                }
                describe_value(&table.structure, &bytes, limits::CRASH_TEXT_BYTES_MAX)
            };
            values.insert(name.to_owned(), Json::String(text));
        }
        (values, types, unknown)
    }

    /// By when they fire.
    fn timers_of(&self, entity: &Entity) -> Vec<Json> {
        let mut timers: Vec<_> = entity.body.timers.values().collect();
        timers.sort_by_key(|timer| timer.next_ms);
        let shown = timers.into_iter().take(limits::INSPECT_MEMBERS_MAX);
        shown
            .map(|timer| {
                json!({
                    "method": self.method_name(entity.type_index, timer.method),
                    "in_ms": timer.next_ms.saturating_sub(self.now_ms),
                    "repeat_ms": timer.repeat_ms,
                })
            })
            .collect()
    }

    /// Calls that wait for an answer, by when they stop to wait. Bounces wait without end.
    fn pending_of(&self, entity: &Entity) -> Vec<Json> {
        let mut pending: Vec<_> = entity.body.pending.values().collect();
        pending.sort_by_key(|pending| pending.deadline_ms);
        let shown = pending.into_iter().take(limits::INSPECT_MEMBERS_MAX);
        shown
            .map(|pending| {
                let left_ms = pending.deadline_ms.saturating_sub(self.now_ms);
                let missing = pending
                    .gather
                    .as_ref()
                    .map_or(1, |parts| parts.iter().filter(|outcome| outcome.is_none()).count());
                json!({
                    "resumes": self.method_name(entity.type_index, pending.method),
                    "left_ms": (pending.deadline_ms != u64::MAX).then_some(left_ms),
                    "missing_answers": missing,
                    "bounce": pending.bounce,
                })
            })
            .collect()
    }

    /// Name of a method of the running version, or of the one that named it.
    fn method_name(&self, type_index: u32, method: MethodKey) -> String {
        let index = self.version.types.get(type_index as usize).and_then(|it| it.method_by_key.get(&method));
        let declared = self.version.manifest.types.get(type_index as usize);
        let found = index.zip(declared).and_then(|(index, declared)| declared.methods.get(*index as usize));
        match found {
            Some(found) => found.name.clone(),
            None => self.former_names.get(&method.name).cloned().unwrap_or_else(|| "?".to_owned()),
        }
    }

    fn type_name(&self, type_index: u32) -> &str {
        self.version.manifest.types.get(type_index as usize).map_or("?", |declared| &declared.name)
    }
}

fn pose(entity: &Entity) -> Json {
    json!([entity.pose.x, entity.pose.y, entity.pose.z, entity.pose.yaw])
}
