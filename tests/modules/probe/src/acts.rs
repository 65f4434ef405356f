//! One act for each function of the contract that changes something.

use crate::{Actor, Desk, Hall};
use everwake::sdk::finish;
use everwake::*;

impl Actor {
    /// Does the one thing that `what` names: an interface and a function of `wit/`.
    pub(crate) fn act(&mut self, cx: &mut Context, what: &str) -> Result<(), Fail> {
        let (interface, function) = what.split_once('.').unwrap_or((what, ""));
        match interface {
            "nothing" => Ok(()),
            "entities" => self.act_on_entities(cx, function),
            "calls" => self.act_on_calls(cx, function),
            "watches" | "timers" => self.act_on_time(cx, function),
            "spaces" => self.act_on_spaces(cx, function),
            "clients" => self.act_on_clients(cx, function),
            "key-value" => self.act_on_store(cx, function),
            "log" => {
                everwake::info!("a line from {}", self.name);
                Ok(())
            }
            _ => Err(Fail::new(format!("no act for {what}"))),
        }
    }

    fn act_on_entities(&mut self, cx: &mut Context, function: &str) -> Result<(), Fail> {
        match function {
            "patch" => {
                self.value = 7;
                self.notes.push("patched".into());
                self.table.insert("key".into(), 3);
                cx.with(self.friend, |friend, _| {
                    friend.value = 8;
                    friend.table.insert("friend".into(), 4);
                })?;
                cx.space(|hall: &mut Hall, _| hall.value = 9)?;
            }
            "spawn" => {
                let born = cx.spawn::<Actor>("newborn".into(), Pose::at(7.0, 0.0));
                cx.post(born.poke("welcome".into()));
            }
            "destroy" => cx.destroy(self.friend),
            "create" => {
                let hall = cx.space_id().ok_or("no space")?;
                cx.call(create::<Actor>("made".into(), Place::In(hall)))
                    .then(on!(Self::on_made), "made".into());
            }
            _ => return Err(Fail::new(format!("no act for entities.{function}"))),
        }
        Ok(())
    }

    fn act_on_calls(&mut self, cx: &mut Context, function: &str) -> Result<(), Fail> {
        match function {
            "call" => cx.call(self.friend.poke("called".into())).then(on!(Self::on_value), "call".into()),
            "send" => {
                cx.send(self.friend.poke("sent".into()));
                cx.send(Desk::only().note("sent".into()));
                cx.send(Ref::<Actor>::nil().poke("lost".into()))
                    .or_bounce(on!(Self::on_bounced), "bounced".into());
            }
            "post" => cx.post(self.friend.poke("posted".into())),
            "gather" => {
                let parts = [self.friend.poke("gathered".into()), self.victim.poke("gathered".into())];
                cx.gather(parts).then(on!(Self::on_values), "gathered".into());
            }
            "answer" => finish(5_u32)?,
            "refuse" => finish(Err::<(), _>(Refused("act".to_owned())))?,
            "defer" => self.taken = Some(Reply::defer(cx)?),
            "reply" => self.waiting.ok(cx, 5),
            "reply-refused" => self.waiting.err(cx, "no".into()),
            _ => return Err(Fail::new(format!("no act for calls.{function}"))),
        }
        Ok(())
    }

    fn act_on_time(&mut self, cx: &mut Context, function: &str) -> Result<(), Fail> {
        match function {
            "watch" => drop(cx.watch(self.victim, on!(Self::on_gone), "new watch".into())),
            "unwatch" => cx.unwatch(self.watch),
            "start" => {
                cx.after(ms(700), on!(Self::on_timer), "new timer".into());
                cx.every(ms(900), on!(Self::on_timer), "again".into());
            }
            "cancel" => cx.cancel(self.timer),
            _ => return Err(Fail::new(format!("no act for {function}"))),
        }
        Ok(())
    }

    fn act_on_spaces(&mut self, cx: &mut Context, function: &str) -> Result<(), Fail> {
        match function {
            "enter" => cx.enter(self.other_hall, Pose::at(9.0, 9.0)),
            "leave" => cx.leave(),
            "move-to" => {
                cx.move_to(Pose::at(20.0, 20.0));
                cx.set_pose_of(self.friend, Pose::at(30.0, 30.0));
            }
            "set-motion" => cx.set_motion(b"motion"),
            "set-layers" => cx.set_layers(1, 2),
            "allow-client-moves" => cx.allow_client_moves(true),
            _ => return Err(Fail::new(format!("no act for spaces.{function}"))),
        }
        Ok(())
    }

    fn act_on_clients(&mut self, cx: &mut Context, function: &str) -> Result<(), Fail> {
        match function {
            "give" => cx.call(give_to(self.friend)).then(on!(Self::on_put), "given".into()),
            "kick" => cx.kick(self, "the act"),
            "call" => {
                cx.client(self).heard("own".into());
                cx.all_clients(self).heard("all".into());
                cx.others(self).heard("others".into());
            }
            "set-filter" => cx.set_filter(self, "team", Some("red")),
            "broadcast" => cx.broadcast::<Self>(Filter::everyone()).heard("broadcast".into()),
            _ => return Err(Fail::new(format!("no act for clients.{function}"))),
        }
        Ok(())
    }

    fn act_on_store(&mut self, cx: &mut Context, function: &str) -> Result<(), Fail> {
        match function {
            "get" => cx.call(kv::get::<u32>("old")).then(on!(Self::on_found), "got".into()),
            "put" => cx.call(kv::put("new", &2_u32)).then(on!(Self::on_put), "put".into()),
            "get-or-put" => cx.call(kv::get_or_put("kept", &3_u32)).then(on!(Self::on_kept), "kept".into()),
            "compare-and-set" => {
                cx.call(kv::compare_and_set("old", Some(&1_u32), Some(&4)))
                    .then(on!(Self::on_swapped_in), "set".into());
            }
            "range" => cx.call(kv::range::<u32>("", "", 10)).then(on!(Self::on_rows), "ranged".into()),
            _ => return Err(Fail::new(format!("no act for key-value.{function}"))),
        }
        Ok(())
    }
}
