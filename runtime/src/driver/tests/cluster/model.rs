//! A module whose versions play in the clusters: a service of several shards, and walkers that go into rooms.

use crate::driver::ModelLoader;
use crate::guest::{Continuation, GuestError, Hook, Part, Place, TrapKind};
use crate::manifest::{EntityType, Exposure, Manifest, Method, TypeKind};
use crate::space::model::{Model, Stop};
use crate::versions::samples::{attribute, fields};
use bytes::Bytes;
use everwake_protocol::{EntityId, cbor};

pub(super) const MODULE: &str = "yard";
pub(super) const SHARDS: u32 = 6;
const WALKER: u32 = 1;
const ROOM: u32 = 2;

/// Those that all games can load.
const VERSIONS: std::ops::RangeInclusive<i64> = 1..=6;
/// Its `migrate` fails wherever there is a walker.
pub(super) const PICKY: i64 = 4;
/// It has 600 kB that nobody needs.
pub(super) const LARGE: i64 = 5;
/// It has a service that the others lack.
pub(super) const BELL: i64 = 6;

/// The bytes of a version. A model is found by them.
pub(super) fn file(number: i64) -> Bytes {
    let name = format!("yard-{number}");
    match number {
        LARGE => [name.as_bytes(), &vec![b' '; 600_000]].concat().into(),
        _ => name.into(),
    }
}

/// A loader of its own for each game: what one lets go of, others keep.
pub(super) fn loader() -> ModelLoader {
    let loader = ModelLoader::default();
    for number in VERSIONS {
        let manifest = manifest(number);
        let model = model(&manifest, number);
        let name = String::from_utf8(file(number).to_vec()).unwrap();
        loader.add(&name, manifest, model);
    }
    loader
}

fn manifest(number: i64) -> Manifest {
    let method = |name: &str, parameters: &[(&str, &str)], returns: &str| Method {
        name: name.into(),
        exposure: Exposure::Server,
        returns: returns.into(),
        parameters: fields(parameters),
        ..Method::default()
    };
    let told = method("told", &[("context", "any"), ("outcome", "any")], "unit");
    let told = Method { exposure: Exposure::Internal, ..told };
    let mut types = vec![
        EntityType {
            name: "Post".into(),
            kind: TypeKind::Service,
            shards: SHARDS,
            attributes: ["hits", "heard", "lost"].map(|name| attribute(name, "i64", &[0])).to_vec(),
            hooks: 1 << Hook::Ready as u32,
            methods: vec![
                method("hit", &[], "list<i64>"),
                method("crash", &[], "unit"),
                method("room", &[], "unit"),
                method("walker", &[], "unit"),
                method("walker_at", &[("label", "string")], "unit"),
                method("heard", &[], "list<i64>"),
                method("watch", &[("whom", "id")], "unit"),
                method("greet", &[("whom", "id")], "unit"),
                method("lose", &[("context", "any"), ("reason", "any")], "unit"),
                method("lost", &[], "list<i64>"),
                told.clone(),
            ],
            ..EntityType::default()
        },
        EntityType {
            name: "Walker".into(),
            kind: TypeKind::Entity,
            attributes: vec![attribute("steps", "i64", &[0])],
            methods: vec![method("go", &[("room", "id")], "unit"), method("steps", &[], "list<i64>")],
            hooks: 1 << Hook::EnterSpace as u32,
            schema: match number {
                1 => 1,
                PICKY => 3,
                _ => 2,
            },
            ..EntityType::default()
        },
        EntityType { name: "Room".into(), kind: TypeKind::Space, ..EntityType::default() },
    ];
    if number == BELL {
        types.push(EntityType {
            name: "Bell".into(),
            kind: TypeKind::Service,
            shards: 2,
            methods: vec![method("hit", &[], "list<i64>")],
            ..EntityType::default()
        });
    }
    Manifest {
        name: MODULE.into(),
        label: number.to_string(),
        sdk: "model".into(),
        types,
        ..Manifest::default()
    }
}

fn answer(number: i64, count: i64) -> Bytes {
    let mut answer = Vec::new();
    cbor::array(&mut answer, 2);
    cbor::int(&mut answer, number);
    cbor::int(&mut answer, count);
    answer.into()
}

fn then(owner: EntityId, method: u32) -> Continuation {
    Continuation { owner, method, deadline_ms: 0, context: Bytes::from_static(&[cbor::NULL]) }
}

fn model(manifest: &Manifest, number: i64) -> Model {
    let make = move |kind: u32| {
        move |cx: &mut crate::space::model::Context<'_>| {
            let (me, (_, told)) = (cx.me(), cx.method("Post", "told")?);
            cx.host.create(kind, Bytes::from_static(&[0x80]), Place::Anywhere, then(me, told))?;
            Ok(())
        }
    };
    let migrate = move |_, _, _, state: &[u8]| match number {
        PICKY => Err(GuestError::Other("walkers stay as they are".into())),
        _ => Ok(state.to_vec()),
    };
    let model = Model::new(manifest)
        .migrate(migrate)
        .on("Post", "hit", move |cx| {
            let me = cx.me();
            let hits = cx.number(me, 0)? + 1;
            cx.set(me, 0, hits)?;
            Ok(cx.host.answer(answer(number, hits))?)
        })
        .on("Post", "crash", |_| Err(Stop::Trap(TrapKind::Fault, "on purpose".into())))
        .on("Post", "room", make(ROOM))
        .on("Post", "walker", make(WALKER))
        .on("Post", "walker_at", |cx| {
            let (me, (_, told)) = (cx.me(), cx.method("Post", "told")?);
            let label =
                cx.args().text().map_err(|_| Stop::Trap(TrapKind::Fault, "no label".into()))?.to_owned();
            let (place, args) = (Place::Labelled(label), Bytes::from_static(&[0x80]));
            cx.host.create(WALKER, args, place, then(me, told))?;
            Ok(())
        })
        .on("Post", "heard", move |cx| {
            let me = cx.me();
            let heard = cx.number(me, 1)?;
            Ok(cx.host.answer(answer(number, heard))?)
        })
        .hook("Post", Hook::Ready, |cx| {
            let me = cx.me();
            let heard = cx.number(me, 1)? + 1;
            cx.set(me, 1, heard)
        })
        .on("Post", "told", |_| Ok(()))
        .on("Walker", "go", |cx| {
            let (me, room) =
                (cx.me(), cx.args().id().map_err(|_| Stop::Trap(TrapKind::Fault, "no room".into()))?);
            cx.host.enter(me, EntityId(room), Default::default())?;
            Ok(())
        })
        .on("Walker", "steps", move |cx| {
            let me = cx.me();
            let steps = cx.number(me, 0)?;
            Ok(cx.host.answer(answer(number, steps))?)
        })
        .hook("Walker", Hook::EnterSpace, |cx| {
            let me = cx.me();
            let steps = cx.number(me, 0)? + 1;
            cx.set(me, 0, steps)
        });
    let model = watching(model, number);
    match number {
        BELL => model.on("Bell", "hit", move |cx| Ok(cx.host.answer(answer(number, 0))?)),
        _ => model,
    }
}

/// A shard of the service watches others, and counts whom it has lost.
fn watching(model: Model, number: i64) -> Model {
    model
        .on("Post", "watch", |cx| {
            let (me, (_, lose)) = (cx.me(), cx.method("Post", "lose")?);
            let whom = cx.args().id().map_err(|_| Stop::Trap(TrapKind::Fault, "nobody".into()))?;
            cx.host.watch(me, EntityId(whom), lose, Bytes::from_static(&[cbor::NULL]))?;
            Ok(())
        })
        .on("Post", "greet", |cx| {
            let (me, (type_index, method)) = (cx.me(), cx.method("Post", "hit")?);
            let whom = cx.args().id().map_err(|_| Stop::Trap(TrapKind::Fault, "nobody".into()))?;
            let (target, args) = (EntityId(whom), Bytes::from_static(&[0x80]));
            Ok(cx.host.post(me, Part { target, type_index, method, args })?)
        })
        .on("Post", "lose", |cx| {
            let me = cx.me();
            let lost = cx.number(me, 2)? + 1;
            cx.set(me, 2, lost)
        })
        .on("Post", "lost", move |cx| {
            let me = cx.me();
            let lost = cx.number(me, 2)?;
            Ok(cx.host.answer(answer(number, lost))?)
        })
}
