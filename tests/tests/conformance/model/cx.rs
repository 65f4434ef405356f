//! What the handlers of the model have at hand: values instead of bytes, names instead of numbers.

use bytes::Bytes;
use everwake_protocol::client::Pose;
use everwake_protocol::{EntityId, Id};
use everwake_runtime::guest::{Continuation, EventKind, GuestError, Part};
use everwake_runtime::space::model::{Context, Stop};
use everwake_testkit::Value;

/// How a handler ends.
pub(crate) type Ended = Result<(), Stop>;

/// Attributes of an actor, in the order of its struct.
pub(crate) mod actor {
    pub(crate) const NAME: u32 = 0;
    pub(crate) const VALUE: u32 = 1;
    pub(crate) const NOTES: u32 = 2;
    pub(crate) const TABLE: u32 = 3;
    pub(crate) const FRIEND: u32 = 4;
    pub(crate) const VICTIM: u32 = 5;
    pub(crate) const OTHER_HALL: u32 = 6;
    pub(crate) const TIMER: u32 = 7;
    pub(crate) const WATCH: u32 = 8;
    pub(crate) const WAITING: u32 = 9;
    pub(crate) const TAKEN: u32 = 10;
}

/// A value as bytes.
pub(crate) fn bytes(value: impl Into<Value>) -> Bytes {
    let mut out = Vec::new();
    value.into().encode(&mut out);
    out.into()
}

/// One text as arguments.
pub(crate) fn one(text: &str) -> Bytes {
    bytes(Value::List(vec![text.into()]))
}

/// A place on the ground.
pub(crate) fn at(x: f32, z: f32) -> Pose {
    Pose { x, y: 0.0, z, yaw: 0.0 }
}

/// A failure with a text.
pub(crate) fn fail(text: &str) -> Stop {
    Stop::Error(GuestError::Refused(text.into()))
}

/// What a handler got: arguments, or context and outcome.
pub(crate) fn given(cx: &Context<'_>) -> Vec<Value> {
    match cx.event.kind {
        EventKind::Resume | EventKind::Timer => {
            let sequence = [&[0x82], cx.event.args.as_ref()].concat();
            Value::decode_list(&sequence).unwrap()
        }
        _ => Value::decode_list(&cx.event.args).unwrap(),
    }
}

pub(crate) fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::Text(text)) => text.clone(),
        None => String::new(),
        other => panic!("no text: {other:?}"),
    }
}

pub(crate) fn id(value: &Value) -> Id {
    match value {
        Value::Id(id) => *id,
        other => panic!("no id: {other:?}"),
    }
}

/// An attribute as a value.
pub(crate) fn get(cx: &mut Context<'_>, entity: EntityId, attribute: u32) -> Result<Value, Stop> {
    Ok(Value::decode(&cx.read(entity, attribute)?).unwrap())
}

/// Who an attribute names.
pub(crate) fn named_by(cx: &mut Context<'_>, attribute: u32) -> Result<EntityId, Stop> {
    let me = cx.me();
    Ok(EntityId(id(&get(cx, me, attribute)?)))
}

pub(crate) fn set(cx: &mut Context<'_>, entity: EntityId, attribute: u32, value: impl Into<Value>) -> Ended {
    cx.write(entity, attribute, bytes(value))
}

/// Appends to a list of an entity; how long it is now.
pub(crate) fn push(
    cx: &mut Context<'_>,
    entity: EntityId,
    attribute: u32,
    value: impl Into<Value>,
) -> Result<usize, Stop> {
    let Value::List(mut all) = get(cx, entity, attribute)? else { panic!("no list") };
    all.push(value.into());
    let count = all.len();
    set(cx, entity, attribute, Value::List(all))?;
    Ok(count)
}

/// Sets an entry of a map of texts.
pub(crate) fn insert(cx: &mut Context<'_>, entity: EntityId, attribute: u32, key: &str, value: i64) -> Ended {
    set(cx, entity, attribute, Value::Map(vec![(key.into(), value.into())]))
}

/// A line in the actor's own notes.
pub(crate) fn note(cx: &mut Context<'_>, line: impl Into<String>) -> Ended {
    let me = cx.me();
    push(cx, me, actor::NOTES, line.into()).map(drop)
}

/// A method of the event's own type that takes an answer, with a context.
pub(crate) fn then(
    cx: &Context<'_>,
    type_name: &str,
    method: &str,
    context: impl Into<Value>,
) -> Result<Continuation, Stop> {
    let (_, method) = cx.method(type_name, method)?;
    Ok(Continuation { owner: cx.me(), method, deadline_ms: 0, context: bytes(context) })
}

/// A call of a method of somebody's.
pub(crate) fn part(
    cx: &Context<'_>,
    target: EntityId,
    type_name: &str,
    method: &str,
    args: Bytes,
) -> Result<Part, Stop> {
    let (type_index, method) = cx.method(type_name, method)?;
    Ok(Part { target, type_index, method, args })
}

/// The one desk.
pub(crate) fn desk(cx: &mut Context<'_>) -> Result<EntityId, Stop> {
    let (type_index, _) = cx.method("Desk", "note")?;
    Ok(cx.host.service_by_number(type_index, 0)?)
}

/// The actor of this space that has a name.
pub(crate) fn named(cx: &mut Context<'_>, name: &str) -> Result<Option<EntityId>, Stop> {
    for member in cx.host.members(Some(0)) {
        if get(cx, member, actor::NAME)? == name.into() {
            return Ok(Some(member));
        }
    }
    Ok(None)
}

/// An outcome as Rust prints it, with a way to print its value.
pub(crate) fn outcome(value: &Value, show: &dyn Fn(&Value) -> String) -> String {
    match value {
        Value::List(parts) => match parts.as_slice() {
            [Value::Int(0), value] => format!("Ok({})", show(value)),
            [Value::Int(1), Value::Int(certainty), Value::Text(code), _] => {
                let names = ["NotRun", "Unknown", "Refused"];
                format!("Err({}({code}))", names[*certainty as usize])
            }
            other => panic!("no outcome: {other:?}"),
        },
        other => panic!("no outcome: {other:?}"),
    }
}
