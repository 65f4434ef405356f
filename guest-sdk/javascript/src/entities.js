// Entities as one event sees them: loaded once, decoded when asked for, compared when the handler ends.
// Knows nothing of handlers.

import { ARRAY, MAP, Reader, UINT, UNDEFINED, Writer, sameBytes } from "./cbor.js";
import { bytesOf, codec, idText } from "./types.js";
import entities from "everwake:game/entities@0.1.0";

/** Largest attribute that travels as a whole. */
const WHOLE_BYTES_MAX = 64 * 1024;

const STATE = Symbol("state");
/** Of the running event, by the id's text. */
let loaded = new Map();
/** Classes by their number in the manifest, with what `prepare` made of them. */
let types = [];

/** Gives a class a property for each attribute. */
export function prepare(classes) {
  types = classes.map((type) => {
    const attributes = Object.entries(type.attributes ?? {}).map(([name, about]) => {
      const settings = typeof about === "string" ? { type: about } : about;
      const of = codec(settings.type);
      const first = bytesOf(of, settings.initial === undefined ? of.zero() : settings.initial);
      return { name, ...settings, codec: of, first };
    });
    attributes.forEach(({ name }, index) => {
      if (name === "id") throw new TypeError(`${type.name}.id is the entity's id, not an attribute`);
      Object.defineProperty(type.prototype, name, {
        get() { return this[STATE].get(index); },
        set(value) { this[STATE].set(index, value); },
      });
    });
    Object.defineProperty(type.prototype, "id", { get() { return this[STATE].id; } });
    return { type, attributes };
  });
  return types;
}

class State {
  constructor(id, { attributes }, bytes) {
    this.id = id;
    this.attributes = attributes;
    /** As the host has it, which leaves out what has its initial value. */
    this.spans = attributes.map(({ first }) => first);
    /** As the handler has it: only what it asked for, or set. */
    this.values = [];
    this.assigned = [];
    const reader = new Reader(bytes);
    while (!reader.over) {
      const index = reader.expect(UINT);
      this.spans[index] = reader.skip();
    }
  }

  get(index) {
    if (!(index in this.values)) this.values[index] = this.attributes[index].codec.read(new Reader(this.spans[index]));
    return this.values[index];
  }

  set(index, value) {
    this.values[index] = value;
    this.assigned[index] = true;
  }

  /** What differs from what the host has, as a sequence `path value ...`. */
  changes() {
    const out = new Writer();
    this.values.forEach((value, index) => {
      // Only objects can change without being assigned.
      if (!this.assigned[index] && (typeof value !== "object" || value === null)) return;
      const of = this.attributes[index].codec;
      const now = bytesOf(of, value);
      if (sameBytes(now, this.spans[index])) return;
      if (of.item && entriesBetween(out, index, of, this.spans[index], now)) return;
      out.head(UINT, index);
      out.raw(now);
    });
    return out;
  }
}

/** The entries of a list or a map as bytes: `[key, value]`, a list without keys. */
function split(of, bytes) {
  const reader = new Reader(bytes);
  const entries = [];
  for (let left = reader.expect(of.key ? MAP : ARRAY); left > 0; left--) {
    entries.push([of.key ? reader.skip() : null, reader.skip()]);
  }
  return entries;
}

/** Changes single entries, unless that is more than the whole; false then. */
function entriesBetween(out, index, of, before, now) {
  const entries = new Writer();
  const path = (key) => {
    entries.head(ARRAY, 2);
    entries.head(UINT, index);
    if (typeof key === "number") entries.head(UINT, key);
    else entries.raw(key);
  };
  const [old, fresh] = [split(of, before), split(of, now)];
  if (of.key) {
    const text = (key) => String.fromCharCode(...key);
    const known = new Map(old.map(([key, value]) => [text(key), value]));
    for (const [key, value] of fresh) {
      const was = known.get(text(key));
      known.delete(text(key));
      if (was && sameBytes(was, value)) continue;
      path(key);
      entries.raw(value);
    }
    for (const [key] of old.filter(([key]) => known.has(text(key)))) {
      path(key);
      entries.byte(UNDEFINED);
    }
  } else {
    fresh.forEach(([, value], nth) => {
      if (nth < old.length && sameBytes(old[nth][1], value)) return;
      path(nth);
      entries.raw(value);
    });
    for (let nth = old.length - 1; nth >= fresh.length; nth--) {
      path(nth);
      entries.byte(UNDEFINED);
    }
  }
  if (entries.length > now.length && now.length < WHOLE_BYTES_MAX) return false;
  out.raw(entries.done());
  return true;
}

/** An entity of this space, as an object of its class; null if it is not reachable from here. */
export function load(id) {
  const name = idText(id);
  let entity = loaded.get(name);
  if (!entity) {
    const state = entities.load(id);
    if (!state) return null;
    const about = types[state.typeIndex];
    entity = Object.create(about.type.prototype);
    entity[STATE] = new State(id, about, state.attributes);
    loaded.set(name, entity);
  }
  return entity;
}

/** Sends what the handler changed, in one patch for each entity. */
export function commit() {
  for (const entity of loaded.values()) {
    const changes = entity[STATE].changes();
    if (changes.length) entities.patch(entity.id, changes.done());
  }
}

/** Forgets all entities: the next event loads them again. */
export function forgetAll() {
  loaded = new Map();
}

/** Attributes for `spawn`: those that are named. */
export function stateOf(index, values) {
  const out = new Writer();
  for (const [name, value] of Object.entries(values)) {
    const nth = types[index].attributes.findIndex((attribute) => attribute.name === name);
    if (nth < 0) throw new TypeError(`${types[index].type.name} has no attribute \`${name}\``);
    out.head(UINT, nth);
    types[index].attributes[nth].codec.write(out, value);
  }
  return out.done();
}
