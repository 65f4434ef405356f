//! One act for each function of the contract, as the probe's SDK makes it of the same words.

use super::actor::patch;
use super::cx::{Ended, actor, at, bytes, desk, fail, get, id, named_by, one, part, set, then};
use everwake_protocol::cluster::Comparison;
use everwake_protocol::{EntityId, Id};
use everwake_runtime::guest::{Audience, LogLevel, Place};
use everwake_runtime::space::model::{Context, Stop};
use everwake_testkit::Value;

const ACTOR: &str = "Actor";

/// Does the one thing that `what` names.
pub(crate) fn act(cx: &mut Context<'_>, what: &str) -> Ended {
    let (interface, function) = what.split_once('.').unwrap_or((what, ""));
    match interface {
        "nothing" => Ok(()),
        "entities" => on_entities(cx, function),
        "calls" => on_calls(cx, function),
        "watches" | "timers" => on_time(cx, function),
        "spaces" => on_spaces(cx, function),
        "clients" => on_clients(cx, function),
        "key-value" => on_store(cx, function),
        "log" => {
            cx.host.log_line(LogLevel::Info, "a line from guest 1".into());
            Ok(())
        }
        _ => Err(unknown(what)),
    }
}

fn unknown(what: &str) -> Stop {
    fail(&format!("no act for {what}"))
}

fn on_entities(cx: &mut Context<'_>, function: &str) -> Ended {
    let friend = named_by(cx, actor::FRIEND)?;
    match function {
        "patch" => patch(cx, friend),
        "spawn" => {
            let attributes = [&[0], bytes("newborn").as_ref()].concat();
            let born = cx.host.spawn(0, &attributes, at(7.0, 0.0))??;
            let welcome = part(cx, born, ACTOR, "poke", one("welcome"))?;
            Ok(cx.host.post(cx.me(), welcome)?)
        }
        "destroy" => Ok(cx.host.destroy(friend)?),
        "create" => {
            let hall = cx.host.current_space().ok_or_else(|| fail("no space"))?;
            let made = then(cx, ACTOR, "on_made", "made")?;
            Ok(cx.host.create(0, one("made"), Place::InSpace(hall), made)?)
        }
        _ => Err(unknown(function)),
    }
}

fn on_calls(cx: &mut Context<'_>, function: &str) -> Ended {
    let (me, friend, victim) = (cx.me(), named_by(cx, actor::FRIEND)?, named_by(cx, actor::VICTIM)?);
    match function {
        "call" => {
            let (call, then) =
                (part(cx, friend, ACTOR, "poke", one("called"))?, then(cx, ACTOR, "on_value", "call")?);
            cx.host.call(call, then)?;
        }
        "send" => {
            let sent = part(cx, friend, ACTOR, "poke", one("sent"))?;
            cx.host.send(me, sent, None)?;
            let desk = desk(cx)?;
            let noted = part(cx, desk, "Desk", "note", one("sent"))?;
            cx.host.send(me, noted, None)?;
            let lost = part(cx, EntityId(Id([0; 4])), ACTOR, "poke", one("lost"))?;
            let (_, on_bounced) = cx.method(ACTOR, "on_bounced")?;
            cx.host.send(me, lost, Some((on_bounced, bytes("bounced"))))?;
        }
        "post" => {
            let posted = part(cx, friend, ACTOR, "poke", one("posted"))?;
            cx.host.post(me, posted)?;
        }
        "gather" => {
            let mut parts = Vec::new();
            for target in [friend, victim] {
                parts.push(part(cx, target, ACTOR, "poke", one("gathered"))?);
            }
            let then = then(cx, ACTOR, "on_values", "gathered")?;
            cx.host.gather(parts, then)?;
        }
        "answer" => cx.host.answer(bytes(5_u32))?,
        "refuse" => cx.host.refuse("refused".into(), bytes("act"))?,
        "defer" => {
            let deferred = cx.host.defer()?;
            set(cx, me, actor::TAKEN, Value::List(vec![Value::Id(me.0), Value::Id(deferred)]))?;
        }
        "reply" | "reply-refused" => {
            let Value::List(waiting) = get(cx, me, actor::WAITING)? else { return Err(unknown("reply")) };
            let (owner, deferred) = (EntityId(id(&waiting[0])), id(&waiting[1]));
            if function == "reply" {
                cx.host.reply(owner, deferred, bytes(5_u32))?;
            } else {
                cx.host.reply_refused(owner, deferred, "refused".into(), bytes("no"))?;
            }
        }
        _ => return Err(unknown(function)),
    }
    Ok(())
}

fn on_time(cx: &mut Context<'_>, function: &str) -> Ended {
    let me = cx.me();
    let (_, on_timer) = cx.method(ACTOR, "on_timer")?;
    match function {
        "watch" => {
            let (_, on_gone) = cx.method(ACTOR, "on_gone")?;
            let victim = named_by(cx, actor::VICTIM)?;
            cx.host.watch(me, victim, on_gone, bytes("new watch"))?;
        }
        "unwatch" => {
            let watch = named_by(cx, actor::WATCH)?;
            cx.host.unwatch(me, watch.0);
        }
        "start" => {
            cx.host.start_timer(me, on_timer, bytes("new timer"), 700.0, 0.0, false)?;
            cx.host.start_timer(me, on_timer, bytes("again"), 900.0, 900.0, false)?;
        }
        "cancel" => {
            let timer = named_by(cx, actor::TIMER)?;
            cx.host.cancel_timer(me, timer.0);
        }
        _ => return Err(unknown(function)),
    }
    Ok(())
}

fn on_spaces(cx: &mut Context<'_>, function: &str) -> Ended {
    let me = cx.me();
    match function {
        "enter" => {
            let other = named_by(cx, actor::OTHER_HALL)?;
            cx.host.enter(me, other, at(9.0, 9.0))?;
        }
        "leave" => cx.host.leave(me)?,
        "move-to" => {
            cx.host.move_to(me, at(20.0, 20.0))?;
            let friend = named_by(cx, actor::FRIEND)?;
            cx.host.move_to(friend, at(30.0, 30.0))?;
        }
        "set-motion" => cx.host.set_motion(me, b"motion")?,
        "set-layers" => cx.host.set_layers(me, 1, 2)?,
        "allow-client-moves" => cx.host.allow_client_moves(me, true)?,
        _ => return Err(unknown(function)),
    }
    Ok(())
}

fn on_clients(cx: &mut Context<'_>, function: &str) -> Ended {
    let me = cx.me();
    match function {
        "give" => {
            let (friend, given) = (named_by(cx, actor::FRIEND)?, then(cx, ACTOR, "on_put", "given")?);
            cx.host.give(me, friend, false, given)?;
        }
        "kick" => cx.host.kick(me, "the act".into())?,
        "call" => {
            for (audience, word) in [
                (Audience::OwnClient, "own"),
                (Audience::AllClients, "all"),
                (Audience::OtherClients, "others"),
            ] {
                cx.host.call_client(me, audience, 0, one(word))?;
            }
        }
        "set-filter" => cx.host.set_filter(me, "team".into(), Some("red".into()))?,
        "broadcast" => {
            cx.host.broadcast(String::new(), Comparison::Equal, String::new(), 0, 0, one("broadcast"))?
        }
        _ => return Err(unknown(function)),
    }
    Ok(())
}

fn on_store(cx: &mut Context<'_>, function: &str) -> Ended {
    match function {
        "get" => {
            let then = then(cx, ACTOR, "on_found", "got")?;
            cx.host.kv_get("old".into(), then)?;
        }
        "put" => {
            let then = then(cx, ACTOR, "on_put", "put")?;
            cx.host.kv_put("new".into(), Some(bytes(2_u32)), then)?;
        }
        "get-or-put" => {
            let then = then(cx, ACTOR, "on_kept", "kept")?;
            cx.host.kv_get_or_put("kept".into(), bytes(3_u32), then)?;
        }
        "compare-and-set" => {
            let then = then(cx, ACTOR, "on_swapped_in", "set")?;
            cx.host.kv_compare_and_set("old".into(), Some(bytes(1_u32)), Some(bytes(4_u32)), then)?;
        }
        "range" => {
            let then = then(cx, ACTOR, "on_rows", "ranged")?;
            cx.host.kv_range(String::new(), String::new(), 10, then)?;
        }
        _ => return Err(unknown(function)),
    }
    Ok(())
}
