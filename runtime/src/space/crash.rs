//! What is known of a handler that failed badly, for people: secrets stay out of it.

use super::state::Space;
use crate::guest::{EventKind, Hook, LogLevel, Trap};
use crate::limits;
use crate::message::{Crash, LogLine, Output};
use crate::versions::{AttributeTable, describe_args, describe_value};
use everwake_protocol::attributes::PatchReader;
use everwake_protocol::cbor::{self, Reader};

impl Space {
    /// `Type::method`, `Type hook create`, `Type tick`.
    pub(super) fn handler_name(&self) -> String {
        let frame = &self.running.frame;
        let declared = self.version.manifest.types.get(frame.type_index as usize);
        let type_name = declared.map_or("?", |declared| declared.name.as_str());
        match frame.kind {
            EventKind::Tick => format!("{type_name} tick"),
            EventKind::Hook => {
                let hook = HOOKS.get(frame.method as usize).map_or("?", |hook| hook.1);
                format!("{type_name} hook {hook}")
            }
            EventKind::Call | EventKind::Resume | EventKind::Timer => {
                let method = declared.and_then(|declared| declared.methods.get(frame.method as usize));
                format!("{type_name}::{}", method.map_or("?", |method| method.name.as_str()))
            }
        }
    }

    /// Writes down a crash; to be called before the event is rolled back.
    pub(super) fn crash(&self, trap: &Trap) -> Box<Crash> {
        let culprit = self.tick_culprit(trap.kind);
        let frame = &self.running.frame;
        let message = match &self.running.last_words {
            Some(words) => words.clone(),
            None => trap.message.clone(),
        };
        Box::new(Crash {
            at_ms: self.now_ms,
            module: self.version.manifest.name.clone(),
            label: self.version.manifest.label.clone(),
            version: self.version.hash,
            handler: self.handler_name(),
            entity: culprit.unwrap_or(frame.entity),
            space: self.config.id,
            origin: frame.origin,
            caller: frame.caller,
            session: frame.session,
            args: self.describe_event_args(),
            kind: trap.kind,
            message,
            frames: trap.frames.clone(),
            log: self.running.log.iter().map(|(_, line)| line.clone()).collect(),
            patch: self.describe_patch(),
        })
    }

    fn describe_event_args(&self) -> String {
        let frame = &self.running.frame;
        let table = self.version.types.get(frame.type_index as usize);
        match (frame.kind, table.and_then(|table| table.methods.get(frame.method as usize))) {
            (EventKind::Call, Some(method)) => {
                describe_args(&method.parameters, &frame.args, limits::CRASH_TEXT_BYTES_MAX)
            }
            // A continuation's context is the guest's own: it may hold a secret under any type.
            (EventKind::Resume | EventKind::Timer, Some(method))
                if method.parameters.iter().any(|parameter| parameter.structure.has_secret()) =>
            {
                "(secret)".to_owned()
            }
            _ => {
                let mut text = String::new();
                let mut reader = Reader::new(&frame.args);
                while let Ok(item) = reader.item() {
                    if !text.is_empty() {
                        text.push(' ');
                    }
                    text.push_str(&cbor::diagnostic(item));
                }
                crate::versions::value::cut(text, limits::CRASH_TEXT_BYTES_MAX)
            }
        }
    }

    fn describe_patch(&self) -> String {
        let mut text = String::new();
        for (slot, start, end) in &self.running.deltas {
            let Some(entity) = self.world.get(*slot) else { continue };
            let bytes = self.running.delta_bytes.get(*start as usize..*end as usize).unwrap_or_default();
            for change in PatchReader::new(bytes).flatten() {
                let Some((name, attribute)) = self.attribute(entity.type_index, change.attribute) else {
                    continue;
                };
                let value = match change.value {
                    None => "undefined".to_owned(),
                    Some(_) if attribute.flags.secret || attribute.structure.has_secret() => {
                        "(secret)".to_owned()
                    }
                    Some(value) if change.key.is_none() => {
                        describe_value(&attribute.structure, value, limits::CRASH_TEXT_BYTES_MAX)
                    }
                    Some(value) => cbor::diagnostic(value),
                };
                let key = change.key.map(|key| format!("[{}]", cbor::diagnostic(key))).unwrap_or_default();
                text.push_str(&format!("{}.{name}{key} = {value}\n", entity.id));
                if text.len() > limits::CRASH_TEXT_BYTES_MAX {
                    return crate::versions::value::cut(text, limits::CRASH_TEXT_BYTES_MAX);
                }
            }
        }
        text
    }

    /// Name and table of an attribute by its small id.
    pub(super) fn attribute(&self, type_index: u32, id: u32) -> Option<(&str, &AttributeTable)> {
        let table = self.version.types.get(type_index as usize)?;
        let index = *table.attribute_by_id.get(&id)? as usize;
        let declared = self.version.manifest.types.get(type_index as usize)?.attributes.get(index)?;
        Some((&declared.name, table.attributes.get(index)?))
    }

    /// The event's log lines leave at once, whatever becomes of it.
    pub(super) fn emit_log(&mut self) {
        if self.running.log.is_empty() && self.running.log_left_out == 0 {
            return;
        }
        let handler = self.handler_name();
        let left_out = std::mem::take(&mut self.running.log_left_out);
        let mut lines: Vec<(LogLevel, String)> = self.running.log.clone();
        if left_out > 0 {
            lines.push((LogLevel::Warn, format!("{left_out} more lines of this event were left out")));
        }
        for (level, message) in lines {
            self.free.push(Output::Log(Box::new(LogLine {
                level,
                message,
                module: self.version.manifest.name.clone(),
                version: self.version.hash,
                handler: handler.clone(),
                entity: self.running.frame.entity,
                space: self.config.id,
            })));
        }
    }
}

/// The hooks by number, with their names.
pub(super) const HOOKS: [(Hook, &str); 22] = [
    (Hook::Construct, "construct"),
    (Hook::Create, "create"),
    (Hook::Load, "load"),
    (Hook::Ready, "ready"),
    (Hook::EnterSpace, "enter-space"),
    (Hook::LeaveSpace, "leave-space"),
    (Hook::EnterFailed, "enter-failed"),
    (Hook::MemberEnter, "member-enter"),
    (Hook::MemberLeave, "member-leave"),
    (Hook::EnterAoi, "enter-aoi"),
    (Hook::LeaveAoi, "leave-aoi"),
    (Hook::Watched, "watched"),
    (Hook::Unwatched, "unwatched"),
    (Hook::Client, "client"),
    (Hook::ClientLost, "client-lost"),
    (Hook::GiveFailed, "give-failed"),
    (Hook::MovedGame, "moved-game"),
    (Hook::Swapped, "swapped"),
    (Hook::Data, "data"),
    (Hook::Reset, "reset"),
    (Hook::Unhandled, "unhandled"),
    (Hook::Destroy, "destroy"),
];
