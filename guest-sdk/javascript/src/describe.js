// The manifest of a class, from its static fields.

import { codec } from "./types.js";

/** The hooks in the order of their numbers: the method of the class, and the types of its arguments. */
export const HOOKS = [
  ["construct", []], ["onCreate", []], ["onLoad", []], ["onReady", []], ["onEnterSpace", ["id"]],
  ["onLeaveSpace", ["id"]], ["onEnterFailed", ["id", "string"]], ["onMemberEnter", ["id"]],
  ["onMemberLeave", ["id"]], ["onEnterAoi", ["id"]], ["onLeaveAoi", ["id"]], ["onWatched", []], ["onUnwatched", []],
  ["onClient", []], ["onClientLost", ["u32"]], ["onGiveFailed", ["id", "string"]], ["onMovedGame", []],
  ["onSwapped", ["string", "string"]], ["onData", []], ["onReset", []], ["onUnhandled", ["string", "any"]],
  ["onDestroy", []],
].map(([method, args]) => ({ method, args }));

const parameters = (params = {}) => Object.entries(params).map(([name, typeText]) => ({ name, typeText }));
const codecs = (params = {}) => Object.values(params).map(codec);

/** What a method is: one that others call, or one that takes what comes back. */
function method(type, [name, about]) {
  if (typeof type.prototype[name] !== "function") throw new TypeError(`${type.name}.${name} is no method`);
  const { exposure = "internal", returns = "unit", callsPerMinute = 0, was = "" } = about;
  const { context = "unit", gathers } = about;
  const outcome = gathers ?? about.outcome ?? "u32";
  const comesBack = exposure === "internal" && !about.params;
  const taken = { context, outcome: gathers ? `list<${gathers}>` : outcome };
  return {
    name,
    params: codecs(comesBack ? {} : about.params),
    context: codec(context),
    outcome: codec(outcome),
    gathers: Boolean(gathers),
    returns,
    described: {
      name,
      exposure,
      parameters: parameters(comesBack ? taken : about.params),
      returns,
      callsPerMinute,
      was,
    },
  };
}

function attribute({ name, type, first, client, allClients, persistent, volatile, secret, was = "" }) {
  return {
    name,
    typeText: type,
    audience: {
      client: Boolean(client),
      allClients: Boolean(allClients),
      persistent: Boolean(persistent),
      volatile: Boolean(volatile),
      secret: Boolean(secret) || type.startsWith("secret<"),
    },
    initial: first,
    was,
  };
}

/** All about a class that handlers need, and what the manifest says of it. */
export function describeType({ type, attributes }) {
  const methods = Object.entries(type.methods ?? {}).map((entry) => method(type, entry));
  const clientMethods = Object.entries(type.clientMethods ?? {});
  const hooks = HOOKS.flatMap((hook, number) => (typeof type.prototype[hook.method] === "function" ? [number] : []));
  const described = {
    name: type.name,
    kind: type.kind ?? "entity",
    schema: type.schema ?? 1,
    attributes: attributes.map(attribute),
    methods: methods.map((method) => method.described),
    clientMethods: clientMethods.map(([name, params]) => ({ name, parameters: parameters(params) })),
    hooks,
    boot: type.boot ?? false,
    persistent: type.persistent ?? false,
    ticksPerSecond: type.ticksPerSecond ?? 0,
    aoiRadius: type.aoiRadius ?? null,
    shards: type.shards ?? 0,
    sleepsUnwatched: type.sleepsUnwatched ?? false,
  };
  return {
    type,
    methods,
    described,
    construct: codecs(type.construct),
    clientMethods: clientMethods.map(([name, params]) => ({ name, params: codecs(params) })),
  };
}
