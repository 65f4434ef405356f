//! Between the types that `wit/` makes and the host's own. The only place where one becomes the
//! other.

use bytes::Bytes;
use everwake_protocol::client::Pose;
use everwake_protocol::cluster::Comparison;
use everwake_protocol::{EntityId, Id};

use super::bindings::everwake::game::{calls, clients, entities, log, ticks, types};
use super::bindings::exports::everwake::game::logic;
use crate::guest;

pub(super) fn id(id: types::Id) -> Id {
    Id([id.a, id.b, id.c, id.d])
}

pub(super) fn entity(entity: types::Id) -> EntityId {
    EntityId(id(entity))
}

pub(super) fn id_out(Id([a, b, c, d]): Id) -> types::Id {
    types::Id { a, b, c, d }
}

pub(super) fn entity_out(entity: EntityId) -> types::Id {
    id_out(entity.0)
}

pub(super) fn pose(types::Pose { x, y, z, yaw }: types::Pose) -> Pose {
    Pose { x, y, z, yaw }
}

pub(super) fn pose_out(Pose { x, y, z, yaw }: Pose) -> types::Pose {
    types::Pose { x, y, z, yaw }
}

pub(super) fn continuation(then: types::Continuation) -> guest::Continuation {
    guest::Continuation {
        owner: entity(then.owner),
        method: then.method,
        deadline_ms: then.deadline_ms,
        context: Bytes::from(then.context),
    }
}

pub(super) fn place(place: entities::Place) -> guest::Place {
    match place {
        entities::Place::Anywhere => guest::Place::Anywhere,
        entities::Place::Labelled(label) => guest::Place::Labelled(label),
        entities::Place::InSpace(space) => guest::Place::InSpace(entity(space)),
    }
}

pub(super) fn part(part: calls::Part) -> guest::Part {
    guest::Part {
        target: entity(part.target),
        type_index: part.type_index,
        method: part.method,
        args: Bytes::from(part.args),
    }
}

pub(super) fn state_out(state: guest::LoadedState) -> entities::State {
    entities::State {
        revision: state.revision,
        type_index: state.type_index,
        attributes: state.attributes.into(),
    }
}

pub(super) fn member_out(member: guest::Member) -> ticks::Member {
    ticks::Member { entity: entity_out(member.entity), revision: member.revision }
}

pub(super) fn neighbour_out(neighbour: guest::Neighbour) -> ticks::Neighbour {
    ticks::Neighbour {
        entity: entity_out(neighbour.entity),
        type_index: neighbour.type_index,
        pose: pose_out(neighbour.pose),
    }
}

pub(super) fn client_out(info: guest::ClientInfo) -> clients::Info {
    clients::Info {
        session: id_out(info.session),
        address: info.address,
        token: info.token,
        version: info.version,
        locale: info.locale,
        round_trip_ms: info.round_trip_ms,
    }
}

pub(super) fn audience(audience: clients::Audience) -> guest::Audience {
    match audience {
        clients::Audience::OwnClient => guest::Audience::OwnClient,
        clients::Audience::AllClients => guest::Audience::AllClients,
        clients::Audience::OtherClients => guest::Audience::OtherClients,
    }
}

pub(super) fn comparison(comparison: clients::Comparison) -> Comparison {
    match comparison {
        clients::Comparison::Equal => Comparison::Equal,
        clients::Comparison::NotEqual => Comparison::NotEqual,
        clients::Comparison::Less => Comparison::Less,
        clients::Comparison::LessOrEqual => Comparison::LessOrEqual,
        clients::Comparison::Greater => Comparison::Greater,
        clients::Comparison::GreaterOrEqual => Comparison::GreaterOrEqual,
    }
}

pub(super) fn level(level: log::Level) -> guest::LogLevel {
    match level {
        log::Level::Trace => guest::LogLevel::Trace,
        log::Level::Debug => guest::LogLevel::Debug,
        log::Level::Info => guest::LogLevel::Info,
        log::Level::Warn => guest::LogLevel::Warn,
        log::Level::Error => guest::LogLevel::Error,
    }
}

pub(super) fn error(error: types::Error) -> guest::GuestError {
    match error {
        types::Error::Refused(text) => guest::GuestError::Refused(text),
        types::Error::NotFound => guest::GuestError::NotFound,
        types::Error::BadArguments(text) => guest::GuestError::BadArguments(text),
        types::Error::Limit(text) => guest::GuestError::Limit(text),
        types::Error::Busy => guest::GuestError::Busy,
        types::Error::NotAllowed(text) => guest::GuestError::NotAllowed(text),
        types::Error::Other(text) => guest::GuestError::Other(text),
    }
}

pub(super) fn error_out(error: guest::GuestError) -> types::Error {
    match error {
        guest::GuestError::Refused(text) => types::Error::Refused(text),
        guest::GuestError::NotFound => types::Error::NotFound,
        guest::GuestError::BadArguments(text) => types::Error::BadArguments(text),
        guest::GuestError::Limit(text) => types::Error::Limit(text),
        guest::GuestError::Busy => types::Error::Busy,
        guest::GuestError::NotAllowed(text) => types::Error::NotAllowed(text),
        guest::GuestError::Other(text) => types::Error::Other(text),
    }
}

/// An event as the guest gets it; `args` is lent, everything else travels in registers.
pub(super) fn event_out(event: &guest::Event) -> logic::Event<'_> {
    let [seed_a, seed_b, seed_c, seed_d] = event.seed;
    logic::Event {
        kind: match event.kind {
            guest::EventKind::Call => logic::EventKind::Call,
            guest::EventKind::Resume => logic::EventKind::Resume,
            guest::EventKind::Timer => logic::EventKind::Timer,
            guest::EventKind::Hook => logic::EventKind::Hook,
            guest::EventKind::Tick => logic::EventKind::Tick,
        },
        entity: entity_out(event.entity),
        type_index: event.type_index,
        method: event.method,
        origin: event.origin as u32,
        revision: event.revision,
        // Whole milliseconds: exact for the next 285,000 years.
        now: event.now_ms as f64,
        seed_a,
        seed_b,
        seed_c,
        seed_d,
        args: &event.args,
    }
}
