//! What people may see of a space: plain data, secrets left out.

use super::entity::Entity;
use super::state::Space;
use crate::limits;
use crate::versions::describe_value;
use everwake_protocol::EntityId;
use everwake_protocol::attributes::Slot as Value;
use serde_json::{Map, Value as Json, json};

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
        let mut attributes = Map::new();
        let mut unknown = 0;
        for (id, value) in (0u32..).zip(body.attributes.slots()) {
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
            attributes.insert(name.to_owned(), Json::String(text));
        }
        let paused = entity.pause_until_ms.saturating_sub(self.now_ms);
        json!({
            "id": entity.id.to_string(),
            "type": self.type_name(entity.type_index),
            "schema": body.schema,
            "epoch": entity.epoch,
            "pose": self.is_real().then(|| pose(entity)),
            "attributes": attributes,
            "carried_attributes": unknown,
            "client": body.client.as_ref().map(|client| json!({
                "session": client.session.to_string(),
                "address": client.info.address,
                "round_trip_ms": client.info.round_trip_ms,
            })),
            "filters": body.filters,
            "timers": body.timers.len(),
            "pending": body.pending.len(),
            "deferred": body.deferred.len(),
            "watches": body.watches.len(),
            "watchers": body.watchers.len(),
            "marks": body.marks.len(),
            "layers": [body.layers.0, body.layers.1],
            "watched": entity.watched,
            "ticks_paused_ms": paused,
        })
    }

    fn type_name(&self, type_index: u32) -> &str {
        self.version.manifest.types.get(type_index as usize).map_or("?", |declared| &declared.name)
    }
}

fn pose(entity: &Entity) -> Json {
    json!([entity.pose.x, entity.pose.y, entity.pose.z, entity.pose.yaw])
}
