// One act for each function of the contract that changes something, by its interface and its name in `wit/`.

import { Fail, call, create, encode, gather, load, post, send, spawn, then, to, toClients } from "everwake";
import { Actor } from "./actor.js";
import { Desk, desk } from "./others.js";
import calls from "everwake:game/calls@0.1.0";
import clients from "everwake:game/clients@0.1.0";
import entities from "everwake:game/entities@0.1.0";
import keyValue from "everwake:game/key-value@0.1.0";
import log from "everwake:game/log@0.1.0";
import spaces from "everwake:game/spaces@0.1.0";
import timers from "everwake:game/timers@0.1.0";
import watches from "everwake:game/watches@0.1.0";

const at = (x, z) => ({ x, y: 0, z, yaw: 0 });
const bytes = (text) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const poke = (target, what) => to(target, Actor, "poke", what);

function callClients(me) {
  for (const [audience, word] of [["own-client", "own"], ["all-clients", "all"], ["other-clients", "others"]]) {
    const heard = toClients(Actor, "heard", word);
    clients.call(me.id, audience, heard.method, heard.args);
  }
}

function patch(me) {
  me.value = 7;
  me.notes.push("patched");
  me.table.set("key", 3);
  const friend = load(me.friend);
  friend.value = 8;
  friend.table.set("friend", 4);
  load(spaces.current()).value = 9;
}

function start(me) {
  for (const [what, delay, repeat] of [["new timer", 700, 0], ["again", 900, 900]]) {
    const { method, context } = then("on_timer", what);
    timers.start(me.id, method, context, delay, repeat, false);
  }
}

const ACTS = {
  nothing: () => {},
  "log.line": (me) => log.line("info", `a line from ${me.name}`),

  "entities.patch": patch,
  "entities.spawn": () => post(poke(spawn(Actor, { name: "newborn" }, at(7, 0)), "welcome")),
  "entities.destroy": (me) => entities.destroy(me.friend),
  "entities.create": () => create(Actor, ["made"], { tag: "in-space", val: spaces.current() }, then("on_made", "made")),

  "calls.call": (me) => call(poke(me.friend, "called"), then("on_value", "call")),
  "calls.send": (me) => {
    send(poke(me.friend, "sent"));
    send(to(desk(), Desk, "note", "sent"));
    send(poke({ a: 0, b: 0, c: 0, d: 0 }, "lost"), then("on_bounced", "bounced"));
  },
  "calls.post": (me) => post(poke(me.friend, "posted")),
  "calls.gather": (me) =>
    gather([poke(me.friend, "gathered"), poke(me.victim, "gathered")], then("on_values", "gathered")),
  "calls.answer": () => calls.answer(encode("u32", 5)),
  "calls.refuse": () => calls.refuse("refused", encode("string", "act")),
  "calls.defer": (me) => {
    me.taken = [me.id, calls.defer()];
  },
  "calls.reply": (me) => calls.reply(...me.waiting, encode("u32", 5)),
  "calls.reply-refused": (me) => calls.replyRefused(...me.waiting, "refused", encode("string", "no")),

  "watches.watch": (me) => {
    const { method, context } = then("on_gone", "new watch");
    watches.watch(me.id, me.victim, method, context);
  },
  "watches.unwatch": (me) => watches.unwatch(me.id, me.watch),
  "timers.start": start,
  "timers.cancel": (me) => timers.cancel(me.id, me.timer),

  "spaces.enter": (me) => spaces.enter(me.id, me.other_hall, at(9, 9)),
  "spaces.leave": (me) => spaces.leave(me.id),
  "spaces.move-to": (me) => {
    spaces.moveTo(me.id, at(20, 20));
    spaces.moveTo(me.friend, at(30, 30));
  },
  "spaces.set-motion": (me) => spaces.setMotion(me.id, bytes("motion")),
  "spaces.set-layers": (me) => spaces.setLayers(me.id, 1, 2),
  "spaces.allow-client-moves": (me) => spaces.allowClientMoves(me.id, true),

  "clients.give": (me) => clients.give(me.id, me.friend, false, then("on_put", "given")),
  "clients.kick": (me) => clients.kick(me.id, "the act"),
  "clients.call": callClients,
  "clients.set-filter": (me) => clients.setFilter(me.id, "team", "red"),
  "clients.broadcast": () => {
    const heard = toClients(Actor, "heard", "broadcast");
    clients.broadcast("", "equal", "", heard.typeIndex, heard.method, heard.args);
  },

  "key-value.get": () => keyValue.get("old", then("on_found", "got")),
  "key-value.put": () => keyValue.put("new", encode("u32", 2), then("on_put", "put")),
  "key-value.get-or-put": () => keyValue.getOrPut("kept", encode("u32", 3), then("on_kept", "kept")),
  "key-value.compare-and-set": () =>
    keyValue.compareAndSet("old", encode("u32", 1), encode("u32", 4), then("on_swapped_in", "set")),
  "key-value.range": () => keyValue.range("", "", 10, then("on_rows", "ranged")),
};

/** Does the one thing that `what` names. */
export function act(me, what) {
  if (!ACTS[what]) throw new Fail(`no act for ${what}`);
  ACTS[what](me);
}
