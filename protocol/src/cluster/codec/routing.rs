//! The bytes of what processes and dispatchers say to each other; `docs/dispatchers.md` has all of them.

use crate::cluster::{
    Ack, Attempt, BetweenDispatchers, EntityReport, Envelope, FromDispatcher, Incarnation, Member, MessageId,
    Placement, Profile, ReturnReason, SpaceReport, Target, ToDispatcher,
};
use crate::id::EntityId;
use crate::limits::{
    ACKS_MAX, LABEL_BYTES_MAX, MEMBERS_MAX, MODULE_NAME_BYTES_MAX, PROCESS_NAME_BYTES_MAX, PROFILE_NAMES_MAX,
    REPORTS_MAX,
};
use crate::wire::{Fields, Put, WireError};
use bytes::Bytes;

impl ToDispatcher<Bytes> {
    /// Writes it. Of lists that are longer than allowed, the end is left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ToDispatcher::Report => out.put_u8(1),
            ToDispatcher::Spaces(reports) => {
                out.put_u8(2);
                put_list(out, reports, REPORTS_MAX, put_space);
            }
            ToDispatcher::Entities(reports) => {
                out.put_u8(3);
                put_list(out, reports, REPORTS_MAX, put_entity);
            }
            ToDispatcher::Reported => out.put_u8(4),
            ToDispatcher::Resent => out.put_u8(5),
            ToDispatcher::Profile(profile) => {
                out.put_u8(6);
                put_profile(out, profile);
            }
            ToDispatcher::SpaceClosed(report) => {
                out.put_u8(7);
                put_space(out, report);
            }
            ToDispatcher::Gone { entity, epoch } => {
                out.put_u8(8);
                out.put_id(entity.0);
                out.put_u32(*epoch);
            }
            ToDispatcher::Block { entity, intent } => {
                out.put_u8(9);
                out.put_id(entity.0);
                out.put_u32(*intent);
            }
            ToDispatcher::Carry(envelope) => {
                out.put_u8(10);
                put_envelope(out, envelope);
            }
            ToDispatcher::Create { place, envelope } => {
                out.put_u8(11);
                put_placement(out, place);
                put_envelope(out, envelope);
            }
            ToDispatcher::Acks { to, acks } => {
                out.put_u8(12);
                put_life(out, to);
                put_list(out, acks, ACKS_MAX, put_ack);
            }
            ToDispatcher::Ask { ticket, entities } => {
                out.put_u8(13);
                out.put_u64(*ticket);
                put_list(out, entities, REPORTS_MAX, |out, entity| out.put_id(entity.0));
            }
            ToDispatcher::Leave => out.put_u8(14),
            ToDispatcher::Known { alive, dead } => {
                out.put_u8(15);
                put_list(out, alive, MEMBERS_MAX, |out, (life, name)| {
                    put_life(out, life);
                    out.put_text(name, PROCESS_NAME_BYTES_MAX);
                });
                put_list(out, dead, REPORTS_MAX, put_life);
            }
        }
    }

    /// Reads it.
    pub fn decode(input: Bytes) -> Result<ToDispatcher<Bytes>, WireError> {
        let mut fields = Fields::new(input);
        let message = match fields.u8()? {
            1 => ToDispatcher::Report,
            2 => ToDispatcher::Spaces(list(&mut fields, "spaces", REPORTS_MAX, space)?),
            3 => ToDispatcher::Entities(list(&mut fields, "entities", REPORTS_MAX, entity)?),
            4 => ToDispatcher::Reported,
            5 => ToDispatcher::Resent,
            6 => ToDispatcher::Profile(profile(&mut fields)?),
            7 => ToDispatcher::SpaceClosed(space(&mut fields)?),
            8 => ToDispatcher::Gone { entity: EntityId(fields.id()?), epoch: fields.u32()? },
            9 => ToDispatcher::Block { entity: EntityId(fields.id()?), intent: fields.u32()? },
            10 => ToDispatcher::Carry(envelope(&mut fields)?),
            11 => ToDispatcher::Create { place: placement(&mut fields)?, envelope: envelope(&mut fields)? },
            12 => {
                ToDispatcher::Acks { to: life(&mut fields)?, acks: list(&mut fields, "acks", ACKS_MAX, ack)? }
            }
            13 => ToDispatcher::Ask { ticket: fields.u64()?, entities: ids(&mut fields)? },
            14 => ToDispatcher::Leave,
            15 => ToDispatcher::Known {
                alive: list(&mut fields, "alive", MEMBERS_MAX, named)?,
                dead: list(&mut fields, "dead", REPORTS_MAX, life)?,
            },
            kind => return Err(WireError::Kind(kind)),
        };
        fields.end()?;
        Ok(message)
    }
}

impl FromDispatcher<Bytes> {
    /// Writes it. Of lists that are longer than allowed, the end is left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            FromDispatcher::Members(members) => {
                out.put_u8(1);
                put_list(out, members, MEMBERS_MAX, |out, member| {
                    put_life(out, &member.incarnation);
                    out.put_text(&member.name, PROCESS_NAME_BYTES_MAX);
                    put_profile(out, &member.profile);
                });
            }
            FromDispatcher::Dead(life) => {
                out.put_u8(2);
                put_life(out, life);
            }
            FromDispatcher::Deliver(envelope) => {
                out.put_u8(3);
                put_envelope(out, envelope);
            }
            // Only its sender knows whether it went more than once.
            FromDispatcher::Return { envelope, reason, uncertain: _ } => {
                out.put_u8(4);
                out.put_u8(*reason as u8);
                put_envelope(out, envelope);
            }
            FromDispatcher::Marker { entity, intent } => {
                out.put_u8(5);
                out.put_id(entity.0);
                out.put_u32(*intent);
            }
            FromDispatcher::Acks(acks) => {
                out.put_u8(6);
                put_list(out, acks, ACKS_MAX, put_ack);
            }
            FromDispatcher::SendAgain => out.put_u8(7),
            FromDispatcher::Asked { ticket, gone } => {
                out.put_u8(8);
                out.put_u64(*ticket);
                put_list(out, gone, REPORTS_MAX, |out, entity| out.put_id(entity.0));
            }
        }
    }

    /// Reads it.
    pub fn decode(input: Bytes) -> Result<FromDispatcher<Bytes>, WireError> {
        let mut fields = Fields::new(input);
        let message = match fields.u8()? {
            1 => FromDispatcher::Members(list(&mut fields, "members", MEMBERS_MAX, member)?),
            2 => FromDispatcher::Dead(life(&mut fields)?),
            3 => FromDispatcher::Deliver(envelope(&mut fields)?),
            4 => {
                let reason = ReturnReason::ALL.get(usize::from(fields.u8()?)).copied();
                let reason = reason.ok_or(WireError::Unused("reason"))?;
                FromDispatcher::Return { envelope: envelope(&mut fields)?, reason, uncertain: false }
            }
            5 => FromDispatcher::Marker { entity: EntityId(fields.id()?), intent: fields.u32()? },
            6 => FromDispatcher::Acks(list(&mut fields, "acks", ACKS_MAX, ack)?),
            7 => FromDispatcher::SendAgain,
            8 => FromDispatcher::Asked { ticket: fields.u64()?, gone: ids(&mut fields)? },
            kind => return Err(WireError::Kind(kind)),
        };
        fields.end()?;
        Ok(message)
    }
}

impl BetweenDispatchers {
    /// Writes it. Of a list that is longer than allowed, the end is left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let BetweenDispatchers::Dead(lives) = self;
        out.put_u8(1);
        put_list(out, lives, REPORTS_MAX, put_life);
    }

    /// Reads it.
    pub fn decode(input: Bytes) -> Result<BetweenDispatchers, WireError> {
        let mut fields = Fields::new(input);
        let message = match fields.u8()? {
            1 => BetweenDispatchers::Dead(list(&mut fields, "dead", REPORTS_MAX, life)?),
            kind => return Err(WireError::Kind(kind)),
        };
        fields.end()?;
        Ok(message)
    }
}

impl ReturnReason {
    /// All of them, by number.
    pub const ALL: [ReturnReason; 6] = [
        ReturnReason::Gone,
        ReturnReason::Overloaded,
        ReturnReason::Unavailable,
        ReturnReason::Exists,
        ReturnReason::NoPlace,
        ReturnReason::Hops,
    ];
}

fn put_list<T>(out: &mut Vec<u8>, list: &[T], count_max: usize, put: impl Fn(&mut Vec<u8>, &T)) {
    let list = list.get(..count_max).unwrap_or(list);
    out.put_u16(list.len() as u16);
    list.iter().for_each(|entry| put(out, entry));
}

/// Takes no memory beyond what has come.
fn list<T>(
    fields: &mut Fields,
    name: &'static str,
    count_max: usize,
    take: impl Fn(&mut Fields) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    let count = usize::from(fields.u16()?);
    if count > count_max {
        return Err(WireError::TooLong(name, count_max));
    }
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(take(fields)?);
    }
    Ok(entries)
}

fn named(fields: &mut Fields) -> Result<(Incarnation, String), WireError> {
    Ok((life(fields)?, fields.text("name", PROCESS_NAME_BYTES_MAX)?))
}

fn ids(fields: &mut Fields) -> Result<Vec<EntityId>, WireError> {
    list(fields, "entities", REPORTS_MAX, |fields| fields.id().map(EntityId))
}

fn put_life(out: &mut Vec<u8>, life: &Incarnation) {
    out.put_u32(life.start);
    out.put_u64(life.random);
}

fn life(fields: &mut Fields) -> Result<Incarnation, WireError> {
    Ok(Incarnation { start: fields.u32()?, random: fields.u64()? })
}

fn put_target(out: &mut Vec<u8>, target: &Target) {
    match target {
        Target::Entity(entity) => {
            out.put_u8(1);
            out.put_id(entity.0);
        }
        Target::Arrival { entity, space } => {
            out.put_u8(2);
            out.put_id(entity.0);
            out.put_id(space.0);
        }
        Target::Process(life) => {
            out.put_u8(3);
            put_life(out, life);
        }
    }
}

fn target(fields: &mut Fields) -> Result<Target, WireError> {
    match fields.u8()? {
        1 => Ok(Target::Entity(EntityId(fields.id()?))),
        2 => Ok(Target::Arrival { entity: EntityId(fields.id()?), space: EntityId(fields.id()?) }),
        3 => Ok(Target::Process(life(fields)?)),
        _ => Err(WireError::Unused("target")),
    }
}

fn put_envelope(out: &mut Vec<u8>, envelope: &Envelope<Bytes>) {
    put_life(out, &envelope.source);
    put_target(out, &envelope.target);
    out.put_id(envelope.message.sender);
    out.put_u32(envelope.message.epoch);
    out.put_u64(envelope.message.counter);
    out.put_u64(envelope.after);
    out.put_u32(envelope.location_epoch);
    out.put_u8(envelope.hops);
    out.put_u8(u8::from(envelope.refusable));
    out.put_u8(envelope.attempt as u8);
    out.extend_from_slice(&envelope.payload);
}

fn envelope(fields: &mut Fields) -> Result<Envelope<Bytes>, WireError> {
    Ok(Envelope {
        source: life(fields)?,
        target: target(fields)?,
        message: MessageId { sender: fields.id()?, epoch: fields.u32()?, counter: fields.u64()? },
        after: fields.u64()?,
        location_epoch: fields.u32()?,
        hops: fields.u8()?,
        refusable: fields.flag("refusable")?,
        attempt: attempt(fields)?,
        payload: fields.rest(),
    })
}

fn attempt(fields: &mut Fields) -> Result<Attempt, WireError> {
    let known = [Attempt::First, Attempt::Again, Attempt::Doubtful];
    known.get(usize::from(fields.u8()?)).copied().ok_or(WireError::Unused("attempt"))
}

fn put_placement(out: &mut Vec<u8>, place: &Placement) {
    match place {
        Placement::Anywhere { module } => {
            out.put_u8(1);
            out.put_text(module, MODULE_NAME_BYTES_MAX);
        }
        Placement::Labelled { module, label } => {
            out.put_u8(2);
            out.put_text(module, MODULE_NAME_BYTES_MAX);
            out.put_text(label, LABEL_BYTES_MAX);
        }
        Placement::Space(space) => {
            out.put_u8(3);
            out.put_id(space.0);
        }
        Placement::Process(life) => {
            out.put_u8(4);
            put_life(out, life);
        }
        Placement::Named { module } => {
            out.put_u8(5);
            out.put_text(module, MODULE_NAME_BYTES_MAX);
        }
    }
}

fn placement(fields: &mut Fields) -> Result<Placement, WireError> {
    Ok(match fields.u8()? {
        1 => Placement::Anywhere { module: fields.text("module", MODULE_NAME_BYTES_MAX)? },
        2 => Placement::Labelled {
            module: fields.text("module", MODULE_NAME_BYTES_MAX)?,
            label: fields.text("label", LABEL_BYTES_MAX)?,
        },
        3 => Placement::Space(EntityId(fields.id()?)),
        4 => Placement::Process(life(fields)?),
        5 => Placement::Named { module: fields.text("module", MODULE_NAME_BYTES_MAX)? },
        _ => return Err(WireError::Unused("place")),
    })
}

fn put_space(out: &mut Vec<u8>, report: &SpaceReport) {
    out.put_id(report.space.0);
    out.put_u32(report.epoch);
}

fn space(fields: &mut Fields) -> Result<SpaceReport, WireError> {
    Ok(SpaceReport { space: EntityId(fields.id()?), epoch: fields.u32()? })
}

fn put_entity(out: &mut Vec<u8>, report: &EntityReport) {
    out.put_id(report.entity.0);
    out.put_id(report.space.0);
    out.put_u32(report.epoch);
    out.put_u8(u8::from(report.leaving));
}

fn entity(fields: &mut Fields) -> Result<EntityReport, WireError> {
    Ok(EntityReport {
        entity: EntityId(fields.id()?),
        space: EntityId(fields.id()?),
        epoch: fields.u32()?,
        leaving: fields.flag("leaving")?,
    })
}

fn put_ack(out: &mut Vec<u8>, ack: &Ack) {
    out.put_id(ack.sender);
    put_target(out, &ack.target);
    out.put_u64(ack.counter);
}

fn ack(fields: &mut Fields) -> Result<Ack, WireError> {
    Ok(Ack { sender: fields.id()?, target: target(fields)?, counter: fields.u64()? })
}

fn put_profile(out: &mut Vec<u8>, profile: &Profile) {
    put_list(out, &profile.modules, PROFILE_NAMES_MAX, |out, name| out.put_text(name, MODULE_NAME_BYTES_MAX));
    put_list(out, &profile.labels, PROFILE_NAMES_MAX, |out, name| out.put_text(name, LABEL_BYTES_MAX));
    out.put_u32(profile.load);
    out.put_u8(u8::from(profile.closed));
}

fn profile(fields: &mut Fields) -> Result<Profile, WireError> {
    Ok(Profile {
        modules: list(fields, "modules", PROFILE_NAMES_MAX, |fields| {
            fields.text("module", MODULE_NAME_BYTES_MAX)
        })?,
        labels: list(fields, "labels", PROFILE_NAMES_MAX, |fields| fields.text("label", LABEL_BYTES_MAX))?,
        load: fields.u32()?,
        closed: fields.flag("closed")?,
    })
}

fn member(fields: &mut Fields) -> Result<Member, WireError> {
    Ok(Member {
        incarnation: life(fields)?,
        name: fields.text("name", PROCESS_NAME_BYTES_MAX)?,
        profile: profile(fields)?,
    })
}

#[cfg(test)]
mod tests;
