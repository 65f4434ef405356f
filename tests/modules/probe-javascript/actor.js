// Who acts: a client's entity, its friend without a client, and the victim that somebody will destroy.

import { Fail, Refused, call, encode, indexOf, load, send, then, to, toClients } from "everwake";
import { act } from "./acts.js";
import { Desk, Runner, desk } from "./others.js";
import calls from "everwake:game/calls@0.1.0";
import clients from "everwake:game/clients@0.1.0";
import entities from "everwake:game/entities@0.1.0";
import keyValue from "everwake:game/key-value@0.1.0";
import spaces from "everwake:game/spaces@0.1.0";
import timers from "everwake:game/timers@0.1.0";
import watches from "everwake:game/watches@0.1.0";

/** The one of a type that has a name, in this space. */
function named(type, name) {
  return spaces.members(indexOf(type)).map(load).find((member) => member.name === name);
}

const own = "own-client";
const server = "server";
const returning = (outcome) => ({ context: "string", outcome });

export class Actor {
  static boot = true;
  static aoiRadius = 500;
  static construct = { name: "string" };

  static attributes = {
    name: { type: "string", allClients: true },
    value: { type: "i32", allClients: true },
    notes: { type: "list<string>", allClients: true },
    table: { type: "map<string, i32>", allClients: true },
    friend: "ref<Actor>",
    victim: "ref<Actor>",
    other_hall: "ref<Hall>",
    timer: "id",
    watch: "id",
    waiting: "tuple<id, id>",
    taken: "option<tuple<id, id>>",
  };

  static clientMethods = { heard: { what: "string" } };

  static methods = {
    on_places: { outcome: "tuple<u32, ref<Hall>, ref<Hall>>" },
    prepare: { exposure: own },
    probe: { exposure: own, params: { what: "string", end: "string" } },
    arm: { exposure: own, params: { end: "string" } },
    look: { exposure: own },
    ask: { exposure: server, params: { asker: "ref<Actor>" } },
    promise: { exposure: server, returns: "u32" },
    poke: { exposure: server, params: { what: "string" }, returns: "u32" },
    on_timer: returning("u32"),
    on_gone: returning("u32"),
    on_put: returning("unit"),
    on_value: returning("u32"),
    on_values: { context: "string", gathers: "u32" },
    on_made: returning("ref<Actor>"),
    on_bounced: returning("any"),
    on_found: returning("option<u32>"),
    on_kept: returning("tuple<u32, bool>"),
    on_swapped_in: returning("tuple<bool, option<u32>>"),
    on_rows: returning("list<tuple<string, u32>>"),
  };

  construct(name) {
    this.name = name;
  }

  onClient() {
    if (this.name === "") call(to(desk(), Desk, "places"), then("on_places"));
    else this.notes.push("a client came");
  }

  onClientLost(reason) {
    this.notes.push(`the client left: ${reason}`);
  }

  on_places(_, places) {
    if (!places.ok) return clients.kick(this.id, "there is no hall");
    const [number, hall, other] = places.value;
    this.name = `guest ${number}`;
    this.other_hall = other;
    spaces.enter(this.id, hall, { x: number, y: 0, z: 0, yaw: 0 });
  }

  /** Sets the stage: what some acts then end, answer or stop. */
  prepare() {
    const [friend, victim] = [named(Actor, "friend"), named(Actor, "victim")];
    if (!friend) throw new Fail("no friend");
    if (!victim) throw new Fail("no victim");
    this.friend = friend.id;
    this.victim = victim.id;
    const timer = then("on_timer", "old timer");
    this.timer = timers.start(this.id, timer.method, timer.context, 1500, 0, false);
    const gone = then("on_gone", "old watch");
    this.watch = watches.watch(this.id, victim.id, gone.method, gone.context);
    keyValue.put("old", encode("u32", 1), then("on_put", "old"));
    send(to(friend.id, Actor, "ask", this.id));
  }

  /** Does `what`, and ends as `end` says. */
  probe(what, end) {
    act(this, what);
    if (end === "err") throw new Fail("it was told to fail");
    if (end === "trap") throw new Error("it was told to trap");
    if (end === "refuse") throw new Refused("refused", "it was told to refuse");
  }

  /** Tells the armed runner how its ticks shall end. */
  arm(end) {
    named(Runner, "armed").end = end;
  }

  /** Looks at what only shows when somebody asks: filters, the store, watches. */
  look() {
    const heard = toClients(Actor, "heard", "to the red team");
    clients.broadcast("team", "equal", "red", heard.typeIndex, heard.method, heard.args);
    keyValue.range("", "", 100, then("on_rows", "looked"));
    const victim = named(Actor, "victim");
    if (victim) entities.destroy(victim.id);
  }

  /** Calls `asker` for something that it will answer when it wants to. */
  ask(asker) {
    call(to(asker, Actor, "promise"), then("on_value", "promised", 60_000));
  }

  promise() {
    this.waiting = [this.id, calls.defer()];
  }

  poke(what) {
    return this.notes.push(what);
  }

  on_timer(what) {
    this.notes.push(what);
  }

  on_gone(what, gone) {
    this.notes.push(`${what}: ${["Destroyed", "ClientLost", "Asleep", "ProcessDied"][gone.value]}`);
  }

  on_put(what, put) {
    this.notes.push(`${what}: ${shown(put, () => "()")}`);
  }

  on_value(what, value) {
    this.notes.push(`${what}: ${shown(value, String)}`);
  }

  on_values(what, values) {
    this.notes.push(`${what}: [${values.map((value) => shown(value, String)).join(", ")}]`);
  }

  on_made(what, made) {
    this.notes.push(`${what}: ${made.ok}`);
  }

  on_bounced(what, bounced) {
    this.notes.push(`${what}: ${bounced.code}`);
  }

  on_found(what, found) {
    this.notes.push(`${what}: ${shown(found, maybe)}`);
  }

  on_kept(what, kept) {
    this.notes.push(`${what}: ${shown(kept, ([value, inserted]) => `(${value}, ${inserted})`)}`);
  }

  on_swapped_in(what, done) {
    this.notes.push(`${what}: ${shown(done, ([swapped, now]) => `(${swapped}, ${maybe(now)})`)}`);
  }

  on_rows(what, rows) {
    const row = ([key, value]) => `(${JSON.stringify(key)}, ${value})`;
    this.notes.push(`${what}: ${shown(rows, (all) => `[${all.map(row).join(", ")}]`)}`);
  }
}

// The words are those that Rust prints of the same outcomes.
const maybe = (value) => (value === null ? "None" : `Some(${value})`);

function shown(outcome, show) {
  const names = { "not-run": "NotRun", unknown: "Unknown", refused: "Refused" };
  return outcome.ok ? `Ok(${show(outcome.value)})` : `Err(${names[outcome.certainty]}(${outcome.code}))`;
}
