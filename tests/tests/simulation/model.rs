//! The module that runs in the simulated games: pawns that walk, speak, ask, breed and give their clients away, by
//! themselves and when their clients say so.

use crate::dice::Dice;
use crate::witness::Witness;
use bytes::Bytes;
use everwake_protocol::outcome::{Certainty, Outcome};
use everwake_protocol::schema::Field;
use everwake_protocol::{EntityId, cbor};
use everwake_runtime::driver::ModelLoader;
use everwake_runtime::guest::{Continuation, Hook, Part, Place};
use everwake_runtime::manifest::{
    Attribute, AttributeFlags, EntityType, Exposure, Manifest, Method, TypeKind,
};
use everwake_runtime::space::model::{Context, Model, Stop};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) const MODULE: &str = "field";
const PAWN: u32 = 0;
const ROOM: u32 = 1;
/// Attributes of a pawn: requests that ran, messages that it heard, and that it sent.
const POKES: u32 = 0;
const HEARD: u32 = 1;
const SENT: u32 = 2;
/// Pawns at once, about.
const PAWNS_MAX: usize = 12;
const ROOMS_MAX: usize = 6;
const CALL_MS: u32 = 4_000;

pub(crate) type Shared = Arc<Mutex<Witness>>;

pub(crate) fn see(witness: &Shared) -> MutexGuard<'_, Witness> {
    witness.lock().unwrap_or_else(PoisonError::into_inner)
}

fn manifest() -> Manifest {
    let fields = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, text)| Field { name: (*name).into(), type_text: (*text).into() }).collect()
    };
    let method = |name: &str, exposure: Exposure, parameters: &[(&str, &str)], returns: &str| Method {
        name: name.into(),
        exposure,
        parameters: fields(parameters),
        returns: returns.into(),
        calls_per_minute: if exposure == Exposure::OwnClient { 60_000 } else { 0 },
        ..Method::default()
    };
    let attribute = |name: &str| Attribute {
        name: name.into(),
        type_text: "i64".into(),
        flags: AttributeFlags { all_clients: true, ..AttributeFlags::default() },
        initial: Bytes::from_static(&[0]),
        was: String::new(),
    };
    let own = Exposure::OwnClient;
    let resumed: &[(&str, &str)] = &[("context", "any"), ("outcome", "any")];
    let hooks = [Hook::Create, Hook::EnterSpace, Hook::EnterFailed, Hook::ClientLost, Hook::Destroy];
    Manifest {
        name: MODULE.into(),
        label: "1".into(),
        sdk: "model".into(),
        types: vec![
            EntityType {
                name: "Pawn".into(),
                kind: TypeKind::Entity,
                boot: true,
                attributes: vec![attribute("pokes"), attribute("heard"), attribute("sent")],
                methods: vec![
                    method("poke", own, &[("key", "i64")], "list<i64>"),
                    method("act", own, &[], "unit"),
                    method("hear", Exposure::Server, &[("counter", "i64")], "unit"),
                    method("poll", Exposure::Server, &[], "i64"),
                    method("missed", Exposure::Internal, resumed, "unit"),
                    method("told", Exposure::Internal, resumed, "unit"),
                    method("turn", Exposure::Internal, &[("context", "any")], "unit"),
                ],
                hooks: hooks.iter().map(|hook| 1 << *hook as u32).sum(),
                aoi_radius: Some(100.0),
                ..EntityType::default()
            },
            EntityType {
                name: "Room".into(),
                kind: TypeKind::Space,
                hooks: 1 << Hook::Create as u32,
                ..EntityType::default()
            },
        ],
        ..Manifest::default()
    }
}

/// A loader with the one version, and its bytes.
pub(crate) fn loader(witness: &Shared) -> (ModelLoader, Bytes) {
    let (loader, manifest) = (ModelLoader::default(), manifest());
    let model = talk(life(Model::new(&manifest), witness), witness);
    let bytes = loader.add("field-1", manifest, model);
    (loader, bytes)
}

fn life(model: Model, witness: &Shared) -> Model {
    let [created, roomed, entered, lost, gone] = [(); 5].map(|()| Arc::clone(witness));
    model
        .hook("Pawn", Hook::Create, move |cx| {
            let (me, (_, turn)) = (cx.me(), cx.method("Pawn", "turn")?);
            let mut dice = dice(cx);
            let null = Bytes::from_static(&[cbor::NULL]);
            let (first, period) = (dice.roll(500) as f64, 150.0 + dice.roll(600) as f64);
            cx.host.start_timer(me, turn, null, first, period, true)?;
            see(&created).is_here(me);
            Ok(())
        })
        .hook("Room", Hook::Create, move |cx| {
            see(&roomed).room(cx.me());
            Ok(())
        })
        .hook("Pawn", Hook::EnterSpace, {
            move |cx| {
                let mut witness = see(&entered);
                witness.counts.entered += 1;
                witness.is_here(cx.me());
                Ok(())
            }
        })
        .hook("Pawn", Hook::ClientLost, move |cx| {
            let (me, reason) = (cx.me(), cx.args().uint().unwrap_or_default());
            see(&lost).mix_id(me, 8);
            // Those who gave their client away, or lost it, end some time.
            if reason != 2 || dice(cx).once_in(2) {
                cx.host.destroy(me)?;
            }
            Ok(())
        })
        .hook("Pawn", Hook::Destroy, move |cx| {
            see(&gone).is_gone(cx.me());
            Ok(())
        })
}

fn talk(model: Model, witness: &Shared) -> Model {
    let [poked, acted, turned, heard, missed, told] = [(); 6].map(|()| Arc::clone(witness));
    model
        .on("Pawn", "poke", move |cx| {
            let (me, key) = (cx.me(), cx.args().i64().unwrap_or_default());
            let pokes = cx.number(me, POKES)? + 1;
            cx.set(me, POKES, pokes)?;
            let values = [pokes, cx.number(me, HEARD)?, cx.number(me, SENT)?];
            let mut answer = Vec::new();
            cbor::array(&mut answer, values.len());
            values.iter().for_each(|value| cbor::int(&mut answer, *value));
            cx.host.answer(answer.into())?;
            see(&poked).ran(key);
            Ok(())
        })
        .on("Pawn", "act", move |cx| act(cx, &acted))
        .on("Pawn", "turn", move |cx| act(cx, &turned))
        .on("Pawn", "hear", move |cx| {
            let (me, counter) = (cx.me(), cx.args().i64().unwrap_or_default());
            let count = cx.number(me, HEARD)? + 1;
            cx.set(me, HEARD, count)?;
            if let Some(from) = cx.host.caller() {
                see(&heard).heard((from, me, counter));
            }
            Ok(())
        })
        .on("Pawn", "poll", |cx| {
            let (me, mut answer) = (cx.me(), Vec::new());
            let count = cx.number(me, HEARD)?;
            cbor::int(&mut answer, count);
            Ok(cx.host.answer(answer.into())?)
        })
        .on("Pawn", "missed", move |cx| {
            let me = cx.me();
            if let (Some((target, counter)), Some(outcome)) = resumed(cx) {
                let certain =
                    matches!(outcome, Outcome::Err { certainty, .. } if certainty != Certainty::Unknown);
                see(&missed).bounced((me, target, counter), certain);
            }
            Ok(())
        })
        .on("Pawn", "told", move |cx| {
            let me = cx.me();
            let mut witness = see(&told);
            witness.counts.told += 1;
            witness.mix_id(me, 9);
            Ok(())
        })
}

fn dice(cx: &Context<'_>) -> Dice {
    let [a, b, c, d] = cx.event.seed;
    Dice(u64::from(a ^ c) << 32 | u64::from(b ^ d))
}

/// What `missed` is told: its context and how it ended.
fn resumed(cx: &Context<'_>) -> (Option<(EntityId, i64)>, Option<Outcome>) {
    let mut reader = cbor::Reader::new(&cx.event.args);
    let mut read = || {
        reader.array().ok()?;
        Some((EntityId(reader.id().ok()?), reader.i64().ok()?))
    };
    let context = read();
    let outcome = reader.item().ok().and_then(|item| Outcome::decode(&Bytes::copy_from_slice(item)).ok());
    (context, outcome)
}

fn then(owner: EntityId, method: u32) -> Continuation {
    Continuation { owner, method, deadline_ms: CALL_MS, context: Bytes::from_static(&[cbor::NULL]) }
}

/// Anything that a pawn may do.
fn act(cx: &mut Context<'_>, witness: &Shared) -> Result<(), Stop> {
    let (me, mut dice) = (cx.me(), dice(cx));
    let (quiet, pawns, rooms) = {
        let witness = see(witness);
        let pawns: Vec<EntityId> = witness.pawns.keys().copied().filter(|pawn| *pawn != me).collect();
        (witness.quiet, pawns, witness.rooms.keys().copied().collect::<Vec<_>>())
    };
    if quiet {
        return Ok(());
    }
    let (_, told) = cx.method("Pawn", "told")?;
    match dice.roll(24) {
        0 | 1 => {
            if let Some(room) = dice.pick(&rooms) {
                // Somebody else's client may have made it go already.
                let _ = cx.host.enter(me, room, Default::default());
            }
        }
        2 => drop(cx.host.leave(me)),
        3 if rooms.len() < ROOMS_MAX => {
            cx.host.create(ROOM, Bytes::from_static(&[0x80]), Place::Anywhere, then(me, told))?;
        }
        4 if pawns.len() < PAWNS_MAX => {
            let place = match dice.pick(&rooms).filter(|_| dice.once_in(2)) {
                Some(room) => Place::InSpace(room),
                None => Place::Anywhere,
            };
            cx.host.create(PAWN, Bytes::from_static(&[0x80]), place, then(me, told))?;
        }
        5 => {
            if let Some(taker) = dice.pick(&pawns)
                && cx.host.client_of(me).is_some()
            {
                cx.host.give(me, taker, false, then(me, told))?;
                see(witness).counts.given += 1;
            }
        }
        6 | 7 => {
            if let Some(target) = dice.pick(&pawns) {
                let (type_index, method) = cx.method("Pawn", "poll")?;
                let args = Bytes::from_static(&[0x80]);
                cx.host.call(Part { target, type_index, method, args }, then(me, told))?;
                see(witness).counts.asked += 1;
            }
        }
        8 if pawns.len() > PAWNS_MAX / 2 && cx.host.client_of(me).is_none() => cx.host.destroy(me)?,
        _ => {
            for _ in 0..1 + dice.roll(3) {
                speak(cx, witness, &mut dice, &pawns)?;
            }
        }
    }
    Ok(())
}

fn speak(cx: &mut Context<'_>, witness: &Shared, dice: &mut Dice, pawns: &[EntityId]) -> Result<(), Stop> {
    let me = cx.me();
    let Some(target) = dice.pick(pawns) else { return Ok(()) };
    let ((type_index, method), (_, missed)) = (cx.method("Pawn", "hear")?, cx.method("Pawn", "missed")?);
    let counter = cx.number(me, SENT)? + 1;
    cx.set(me, SENT, counter)?;
    let (mut args, mut context) = (Vec::new(), Vec::new());
    cbor::array(&mut args, 1);
    cbor::int(&mut args, counter);
    cbor::array(&mut context, 2);
    cbor::id(&mut context, target.0);
    cbor::int(&mut context, counter);
    let part = Part { target, type_index, method, args: args.into() };
    cx.host.send(me, part, Some((missed, context.into())))?;
    see(witness).sent((me, target, counter));
    Ok(())
}
