// Everwake for JavaScript: classes describe the types of a game, and their methods handle its events.
//
// An object of a class is an entity as the running event sees it. Nothing is kept between two events: all state is the
// host's, and what is stored elsewhere in the program may vanish at any time. Everything of the contract that needs
// no help is imported as it is: `import spaces from "everwake:game/spaces@0.1.0"`.

import { Malformed, Reader, Writer } from "./cbor.js";
import { bytesOf, codec, decode, define, encode, idOfText, idText, readAll, same, writeAll } from "./types.js";
import { commit, forgetAll, load, prepare, stateOf } from "./entities.js";
import { HOOKS, describeType } from "./describe.js";
import { chance, random, roll } from "./chance.js";
import calls from "everwake:game/calls@0.1.0";
import entities from "everwake:game/entities@0.1.0";
import log from "everwake:game/log@0.1.0";
import ticks from "everwake:game/ticks@0.1.0";

export { decode, encode, idOfText, idText, load, random, roll, same };

/** Ends a handler: everything that it did is undone, and the caller gets the text. */
export class Fail extends Error {}

/** Ends a handler: what it did stays, and the caller is refused. `detail` is any value. */
export class Refused extends Error {
  constructor(code, detail = null) {
    super(code);
    this.code = code;
    this.detail = detail;
  }
}

let all = [];
let running = null;

/** The number of a class in the manifest. */
export function indexOf(type) {
  const index = all.findIndex((about) => about.type === type);
  if (index < 0) throw new TypeError(`${type.name} is not in the list of the game's types`);
  return index;
}

function methodOf(type, name) {
  const about = all[indexOf(type)];
  const index = about.methods.findIndex((method) => method.name === name);
  if (index < 0) throw new TypeError(`${type.name} has no method \`${name}\``);
  return { index, ...about.methods[index] };
}

function bytesOfAll(codecs, values) {
  const writer = new Writer();
  writeAll(writer, codecs, values);
  return writer.done();
}

/** A call of a method of somebody's, to be given to `call`, `send`, `post` or `gather`. */
export function to(target, type, name, ...args) {
  const method = methodOf(type, name);
  return { target, typeIndex: indexOf(type), method: method.index, args: bytesOfAll(method.params, args) };
}

/** The method of the running entity that takes what comes back, and what it gets besides. */
export function then(name, context = null, deadlineMs = 0) {
  const method = methodOf(all[running.typeIndex].type, name);
  return { owner: running.entity, method: method.index, deadlineMs, context: bytesOf(method.context, context) };
}

export function call(message, answer) {
  calls.call(message.target, message.typeIndex, message.method, message.args, answer);
}

/** With a `then` it comes back if it cannot be delivered. */
export function send(message, bounce = null) {
  const back = bounce && { method: bounce.method, context: bounce.context };
  calls.send(running.entity, message.target, message.typeIndex, message.method, message.args, back);
}

export function post(message) {
  calls.post(running.entity, message.target, message.typeIndex, message.method, message.args);
}

export function gather(messages, answers) {
  calls.gather(messages, answers);
}

/** Makes an entity in this space, with these attributes; its id. */
export function spawn(type, attributes, pose) {
  return entities.spawn(indexOf(type), stateOf(indexOf(type), attributes), pose);
}

/** Makes an entity or a space elsewhere; `construct` of its class gets the arguments. */
export function create(type, args, place, answer) {
  entities.create(indexOf(type), bytesOfAll(all[indexOf(type)].construct, args), place, answer);
}

/** Number and arguments of a method of clients, for `clients.call` and `clients.broadcast`. */
export function toClients(type, name, ...args) {
  const about = all[indexOf(type)];
  const method = about.clientMethods.findIndex((method) => method.name === name);
  if (method < 0) throw new TypeError(`clients of ${type.name} have no method \`${name}\``);
  return { typeIndex: indexOf(type), method, args: bytesOfAll(about.clientMethods[method].params, args) };
}

/** The time, in milliseconds since 1970: the clock of JavaScript does not exist here. */
export function now() {
  return running.now;
}

/** Who asked: "host", "entity", "own-client", "other-client" or "operator". */
export function origin() {
  return ["host", "entity", "own-client", "other-client", "operator"][running.origin];
}

function outcomeOf(reader, value) {
  const [failed, ...rest] = split(reader);
  if (decode("u8", failed) === 0) return { ok: true, value: value(new Reader(rest[0])) };
  const certainty = ["not-run", "unknown", "refused"][decode("u8", rest[0])];
  return { ok: false, certainty, code: decode("string", rest[1]), detail: decode("any", rest[2]) };
}

function split(reader) {
  const parts = [];
  for (let left = reader.expect(4); left > 0; left--) parts.push(reader.skip());
  return parts;
}

function outcomes(reader, value) {
  return split(reader).map((part) => outcomeOf(new Reader(part), value));
}

function onCall(about, event) {
  const method = about.methods[event.method];
  const args = readAll(new Reader(event.args), method.params);
  const answer = load(event.entity)[method.name](...args);
  if (answer !== undefined) calls.answer(bytesOf(codec(method.returns), answer));
}

/** Something came back: the method gets its context, and the outcome or how many firings of a timer were missed. */
function onReturn(about, event) {
  const method = about.methods[event.method];
  const reader = new Reader(event.args);
  const context = method.context.read(reader);
  const value = (reader) => method.outcome.read(reader);
  let outcome;
  if (event.kind === "timer") outcome = reader.integer();
  else if (method.gathers) outcome = outcomeOf(reader, (reader) => outcomes(reader, value)).value;
  else outcome = outcomeOf(reader, value);
  load(event.entity)[method.name](context, outcome);
}

function onHook(about, event) {
  const hook = HOOKS[event.method];
  const codecs = hook.method === "construct" ? about.construct : hook.args.map(codec);
  load(event.entity)[hook.method](...readAll(new Reader(event.args), codecs));
}

/** Each due entity gets `{dt, lag, pose}`, in milliseconds; it moves if the pose is changed. */
function onTick(about, event) {
  const [dt, lag] = readAll(new Reader(event.args), [codec("any"), codec("any")]);
  const poses = [...ticks.poses()];
  const before = poses.join();
  ticks.due().forEach(({ entity }, nth) => {
    ticks.workingOn(nth);
    const [x, y, z, yaw] = poses.slice(4 * nth, 4 * nth + 4);
    const step = { dt, lag, pose: { x, y, z, yaw } };
    load(entity).tick(step);
    poses.splice(4 * nth, 4, step.pose.x, step.pose.y, step.pose.z, step.pose.yaw);
  });
  if (poses.join() !== before) ticks.moveAll(poses);
}

const HANDLERS = { call: onCall, resume: onReturn, timer: onReturn, hook: onHook, tick: onTick };

function handle(event) {
  running = event;
  chance(event);
  try {
    HANDLERS[event.kind](all[event.typeIndex], event);
    commit();
  } catch (error) {
    if (error instanceof Refused) {
      calls.refuse(error.code, encode("any", error.detail));
      commit();
      return;
    }
    throw errorOf(error);
  } finally {
    forgetAll();
  }
}

/** What the handler failed with, as the contract writes it. Anything that nobody meant is a crash. */
function errorOf(error) {
  if (error instanceof Fail) return { tag: "refused", val: error.message };
  if (error instanceof Malformed) return { tag: "bad-arguments", val: error.message };
  if (typeof error?.tag === "string") return error;
  if (typeof error?.payload?.tag === "string") return error.payload;
  log.panicked(`${error}\n${error?.stack ?? ""}`);
  return trap();
}

/** The engine has no way to trap but to run out of stack. */
function trap() {
  return [trap()];
}

/** What the module exports: `export const logic = game({name: "mine", types: [Miner]})`. */
export function game({ name, label = name, types, definitions = {}, capabilities = [], migrate, ...limits }) {
  define(definitions);
  all = prepare(types).map((about) => describeType(about));
  const manifest = {
    name,
    label,
    sdk: "everwake-javascript 0.1.0",
    types: all.map((about) => about.described),
    definitions: Object.entries(definitions).map(([name, shape]) => ({
      name,
      shape: Array.isArray(shape)
        ? { tag: "cases", val: shape.map(([name, typeText = "unit"]) => ({ name, typeText })) }
        : { tag: "record", val: Object.entries(shape).map(([name, typeText]) => ({ name, typeText })) },
    })),
    eventBudgetMs: limits.eventBudgetMs ?? 0,
    memoryBytes: limits.memoryBytes ?? 0,
    capabilities,
  };
  return {
    describe: () => manifest,
    handle,
    // Nothing is held between two events.
    forget: () => {},
    snapshot: () => null,
    migrate: (typeIndex, from, to, state) => {
      if (!migrate) throw { tag: "other", val: "the module has nothing to migrate with" };
      return encode("any", migrate(all[typeIndex].type, from, to, decode("any", state)));
    },
  };
}
