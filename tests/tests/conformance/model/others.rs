//! The desk, the halls and the runners.

use super::cx::{Ended, at, bytes, fail, get, given, one, push, set, text, then};
use everwake_protocol::client::Pose;
use everwake_runtime::guest::{Hook, Place, TrapKind};
use everwake_runtime::space::model::{Context, Model, Stop};
use everwake_testkit::Value;

/// All of them.
pub(crate) fn handlers(model: Model) -> Model {
    model
        .hook("Desk", Hook::Create, |cx| {
            let then = then(cx, "Desk", "on_hall", Value::Null)?;
            Ok(cx.host.create(1, one("hall"), Place::Anywhere, then).map(drop)?)
        })
        .on("Desk", "on_hall", |cx| {
            let (me, given) = (cx.me(), given(cx));
            match &given[1] {
                Value::List(parts) if parts[0] == Value::Int(0) => {
                    push(cx, me, 0, parts[1].clone()).map(drop)?;
                }
                _ => {}
            }
            // One after the other: of two that are made at once either may be there first.
            if matches!(get(cx, me, 0)?, Value::List(halls) if halls.len() == 1) {
                let then = then(cx, "Desk", "on_hall", Value::Null)?;
                cx.host.create(1, one("other hall"), Place::Anywhere, then)?;
            }
            Ok(())
        })
        .on("Desk", "places", places)
        .on("Desk", "note", |cx| {
            let (me, what) = (cx.me(), text(given(cx).first()));
            push(cx, me, 2, what).map(drop)
        })
        .hook("Hall", Hook::Construct, |cx| {
            let (me, name) = (cx.me(), text(given(cx).first()));
            set(cx, me, 0, name)
        })
        .hook("Hall", Hook::Create, inhabit)
        .tick("Runner", run)
}

fn places(cx: &mut Context<'_>) -> Ended {
    let me = cx.me();
    let Value::List(halls) = get(cx, me, 0)? else { panic!("no list") };
    let [hall, other] = halls.as_slice() else { return Err(fail("the halls are not there yet")) };
    let guests = cx.number(me, 1)? + 1;
    set(cx, me, 1, guests)?;
    Ok(cx.host.answer(bytes(Value::List(vec![guests.into(), hall.clone(), other.clone()])))?)
}

fn inhabit(cx: &mut Context<'_>) -> Ended {
    let me = cx.me();
    if get(cx, me, 0)? == "hall".into() {
        for (type_index, name, x) in
            [(0, "friend", 3.0), (0, "victim", 4.0), (2, "armed", 5.0), (2, "steady", 6.0)]
        {
            let attributes = [&[0], bytes(name).as_ref()].concat();
            cx.host.spawn(type_index, &attributes, at(x, 0.0))??;
        }
    }
    Ok(())
}

fn run(cx: &mut Context<'_>) -> Ended {
    let due = cx.host.due();
    let mut poses: Vec<_> =
        cx.host.poses().as_chunks().0.iter().map(|numbers| Pose::of_numbers(*numbers)).collect();
    let mut moved = false;
    for (place, member) in due.iter().enumerate() {
        cx.host.working_on(place as u32);
        let (runner, name) = (member.entity, text(Some(&get(cx, member.entity, 0)?)));
        let end = text(Some(&get(cx, runner, 1)?));
        if name != "steady" && (end.is_empty() || end == "nothing") {
            continue;
        }
        let ticks = cx.number(runner, 2)? + 1;
        set(cx, runner, 2, ticks)?;
        moved = true;
        if name == "steady" {
            poses[place] = at(poses[place].x + 1.0, poses[place].z);
            continue;
        }
        poses[place] = at(50.0, 50.0);
        cx.host.set_motion(runner, b"ran")?;
        match end.as_str() {
            "err" => return Err(fail("the tick was told to fail")),
            "trap" => return Err(Stop::Trap(TrapKind::Fault, "the tick was told to trap".into())),
            _ => {}
        }
    }
    let flat: Vec<_> = poses.iter().map(|pose| pose.numbers()).collect();
    if moved { Ok(cx.host.move_all(flat.as_flattened())?) } else { Ok(()) }
}
