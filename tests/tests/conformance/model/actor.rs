//! The actor's handlers, but for its acts.

use super::acts::act;
use super::cx::{
    Ended, actor, at, bytes, desk, fail, get, given, id, insert, named, note, one, outcome, part, push, set,
    text, then,
};
use everwake_protocol::EntityId;
use everwake_protocol::cluster::Comparison;
use everwake_runtime::guest::{Hook, TrapKind};
use everwake_runtime::space::model::{Context, Model, Stop};
use everwake_testkit::Value;

const ACTOR: &str = "Actor";

/// All of them.
pub(crate) fn handlers(model: Model) -> Model {
    let model = model
        .hook(ACTOR, Hook::Construct, construct)
        .hook(ACTOR, Hook::Client, client)
        .hook(ACTOR, Hook::ClientLost, |cx| {
            let reason = number(given(cx).first());
            note(cx, format!("the client left: {reason}"))
        })
        .on(ACTOR, "on_places", on_places)
        .on(ACTOR, "prepare", prepare)
        .on(ACTOR, "probe", probe)
        .on(ACTOR, "arm", arm)
        .on(ACTOR, "look", look)
        .on(ACTOR, "ask", ask)
        .on(ACTOR, "promise", |cx| {
            let (me, deferred) = (cx.me(), cx.host.defer()?);
            set(cx, me, actor::WAITING, Value::List(vec![Value::Id(me.0), Value::Id(deferred)]))
        })
        .on(ACTOR, "poke", |cx| {
            let (me, what) = (cx.me(), text(given(cx).first()));
            let count = push(cx, me, actor::NOTES, what)?;
            Ok(cx.host.answer(bytes(count as u64))?)
        });
    comes_back(model)
}

/// Notes of what comes back, in the words of the SDK.
fn comes_back(model: Model) -> Model {
    let stored = |value: &Value| number(Some(value)).to_string();
    let maybe = move |value: &Value| match value {
        Value::Null => "None".to_owned(),
        some => format!("Some({})", stored(some)),
    };
    model
        .on(ACTOR, "on_timer", |cx| {
            let what = text(given(cx).first());
            note(cx, what)
        })
        .on(ACTOR, "on_gone", |cx| {
            let reasons = ["Destroyed", "ClientLost", "Asleep", "ProcessDied"];
            tell(cx, &|value| match value {
                Value::List(parts) => reasons[number(parts.get(1)) as usize].to_owned(),
                other => panic!("{other:?}"),
            })
        })
        .on(ACTOR, "on_put", |cx| tell(cx, &|value| outcome(value, &|_| "()".to_owned())))
        .on(ACTOR, "on_value", |cx| {
            tell(cx, &|value| outcome(value, &|value| number(Some(value)).to_string()))
        })
        .on(ACTOR, "on_values", |cx| {
            tell(cx, &|value| {
                let Some(Value::List(parts)) = second(value) else { panic!("{value:?}") };
                let all = parts.iter().map(|part| outcome(part, &|value| number(Some(value)).to_string()));
                format!("[{}]", all.collect::<Vec<_>>().join(", "))
            })
        })
        .on(ACTOR, "on_made", |cx| {
            tell(cx, &|value| outcome(value, &|_| String::new()).starts_with("Ok").to_string())
        })
        .on(ACTOR, "on_bounced", |cx| {
            tell(cx, &|value| match value {
                Value::List(parts) => text(parts.get(2)),
                other => panic!("{other:?}"),
            })
        })
        .on(ACTOR, "on_found", move |cx| tell(cx, &|value| outcome(value, &maybe)))
        .on(ACTOR, "on_kept", move |cx| {
            tell(cx, &|value| outcome(value, &|pair| pair_of(pair, &stored, &truth)))
        })
        .on(ACTOR, "on_swapped_in", move |cx| {
            tell(cx, &|value| outcome(value, &|pair| pair_of(pair, &truth, &maybe)))
        })
        .on(ACTOR, "on_rows", move |cx| {
            let key = |value: &Value| format!("{:?}", text(Some(value)));
            tell(cx, &|value| {
                outcome(value, &|rows| {
                    let Value::List(rows) = rows else { panic!("{rows:?}") };
                    let rows = rows.iter().map(|row| pair_of(row, &key, &stored));
                    format!("[{}]", rows.collect::<Vec<_>>().join(", "))
                })
            })
        })
}

/// Notes the context, and what came.
fn tell(cx: &mut Context<'_>, show: &dyn Fn(&Value) -> String) -> Ended {
    let given = given(cx);
    let line = format!("{}: {}", text(given.first()), show(&given[1]));
    note(cx, line)
}

fn pair_of(pair: &Value, first: &dyn Fn(&Value) -> String, last: &dyn Fn(&Value) -> String) -> String {
    match pair {
        Value::List(parts) => format!("({}, {})", first(&parts[0]), last(&parts[1])),
        other => panic!("no pair: {other:?}"),
    }
}

fn truth(value: &Value) -> String {
    (*value == Value::Bool(true)).to_string()
}

fn second(value: &Value) -> Option<&Value> {
    match value {
        Value::List(parts) => parts.get(1),
        _ => None,
    }
}

fn number(value: Option<&Value>) -> i128 {
    match value {
        Some(Value::Int(number)) => *number,
        other => panic!("no number: {other:?}"),
    }
}

fn construct(cx: &mut Context<'_>) -> Ended {
    let (me, name) = (cx.me(), text(given(cx).first()));
    set(cx, me, actor::NAME, name)
}

fn client(cx: &mut Context<'_>) -> Ended {
    let me = cx.me();
    if get(cx, me, actor::NAME)? != "".into() {
        return note(cx, "a client came");
    }
    let desk = desk(cx)?;
    let call = part(cx, desk, "Desk", "places", bytes(Value::List(Vec::new())))?;
    let then = then(cx, ACTOR, "on_places", Value::Null)?;
    Ok(cx.host.call(call, then)?)
}

fn on_places(cx: &mut Context<'_>) -> Ended {
    let (me, given) = (cx.me(), given(cx));
    let Some(Value::List(places)) = second(&given[1]) else {
        return Ok(cx.host.kick(me, "there is no hall".into())?);
    };
    let guest = number(places.first());
    set(cx, me, actor::NAME, format!("guest {guest}"))?;
    set(cx, me, actor::OTHER_HALL, Value::Id(id(&places[2])))?;
    Ok(cx.host.enter(me, EntityId(id(&places[1])), at(guest as f32, 0.0))?)
}

fn prepare(cx: &mut Context<'_>) -> Ended {
    let me = cx.me();
    let friend = named(cx, "friend")?.ok_or_else(|| fail("no friend"))?;
    let victim = named(cx, "victim")?.ok_or_else(|| fail("no victim"))?;
    set(cx, me, actor::FRIEND, friend)?;
    set(cx, me, actor::VICTIM, victim)?;
    let (_, on_timer) = cx.method(ACTOR, "on_timer")?;
    let timer = cx.host.start_timer(me, on_timer, bytes("old timer"), 1_500.0, 0.0, false)?;
    set(cx, me, actor::TIMER, Value::Id(timer))?;
    let (_, on_gone) = cx.method(ACTOR, "on_gone")?;
    let watch = cx.host.watch(me, victim, on_gone, bytes("old watch"))?;
    set(cx, me, actor::WATCH, Value::Id(watch))?;
    let kept = then(cx, ACTOR, "on_put", "old")?;
    cx.host.kv_put("old".into(), Some(bytes(1_u32)), kept)?;
    let ask = part(cx, friend, ACTOR, "ask", bytes(Value::List(vec![me.into()])))?;
    Ok(cx.host.send(me, ask, None)?)
}

fn probe(cx: &mut Context<'_>) -> Ended {
    let given = given(cx);
    act(cx, &text(given.first()))?;
    match text(given.get(1)).as_str() {
        "err" => Err(fail("it was told to fail")),
        "trap" => Err(Stop::Trap(TrapKind::Fault, "it was told to trap".into())),
        "refuse" => Ok(cx.host.refuse("refused".into(), bytes("it was told to refuse"))?),
        _ => Ok(()),
    }
}

fn arm(cx: &mut Context<'_>) -> Ended {
    let end = text(given(cx).first());
    let (runner, _) = (2, ());
    for member in cx.host.members(Some(runner)) {
        if get(cx, member, 0)? == "armed".into() {
            set(cx, member, 1, end.clone())?;
        }
    }
    Ok(())
}

fn look(cx: &mut Context<'_>) -> Ended {
    let words = one("to the red team");
    cx.host.broadcast("team".into(), Comparison::Equal, "red".into(), 0, 0, words)?;
    let rows = then(cx, ACTOR, "on_rows", "looked")?;
    cx.host.kv_range(String::new(), String::new(), 100, rows)?;
    match named(cx, "victim")? {
        Some(victim) => Ok(cx.host.destroy(victim)?),
        None => Ok(()),
    }
}

fn ask(cx: &mut Context<'_>) -> Ended {
    let asker = EntityId(id(&given(cx)[0]));
    let call = part(cx, asker, ACTOR, "promise", bytes(Value::List(Vec::new())))?;
    let mut then = then(cx, ACTOR, "on_value", "promised")?;
    then.deadline_ms = 60_000;
    Ok(cx.host.call(call, then)?)
}

/// Changes of `entities.patch`: its own, its friend's, and its hall's.
pub(crate) fn patch(cx: &mut Context<'_>, friend: EntityId) -> Ended {
    let me = cx.me();
    set(cx, me, actor::VALUE, 7_i64)?;
    note(cx, "patched")?;
    insert(cx, me, actor::TABLE, "key", 3)?;
    set(cx, friend, actor::VALUE, 8_i64)?;
    insert(cx, friend, actor::TABLE, "friend", 4)?;
    let hall = cx.host.current_space().ok_or_else(|| fail("no space"))?;
    set(cx, hall, 1, 9_i64)
}
