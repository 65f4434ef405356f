// Types of the contract, written as text, and how their values are written: `codec("map<string, i32>")`.
//
//   bool, integers, floats, string    boolean, number (a BigInt beyond 2^53), string
//   bytes                             Uint8Array
//   id, ref<Name>                     {a, b, c, d}, as all functions of the contract take it: words with a sign
//   option<T>                         null, or the value; {some: value} if T may be null itself
//   list<T>, tuple<T, ...>            Array
//   map<K, T>                         Map; keys are strings, numbers, or for ids what `idText` gives
//   struct                            object; what is missing is the zero of its type
//   enum                              the case's name, or {tag, val} if it carries something
//   any                               what it looks like: bytes and ids are both Uint8Array
//   unit                              null

import { Malformed, Reader, Writer, compareBytes } from "./cbor.js";
import * as cbor from "./cbor.js";

const known = new Map();
const definitions = new Map();

/** Structs: `{Item: {name: "string", wear: "u8"}}`; enums: `{Mode: [["idle"], ["hunting", "ref<Avatar>"]]}`. */
export function define(all) {
  for (const [name, shape] of Object.entries(all)) definitions.set(name, shape);
}

/** How values of a type are written and read, and its zero. */
export function codec(text) {
  let found = known.get(text);
  if (!found) {
    found = make(text.trim());
    known.set(text, found);
  }
  return found;
}

export function encode(type, value) {
  const writer = new Writer();
  codec(type).write(writer, value);
  return writer.done();
}

export function decode(type, bytes) {
  return codec(type).read(new Reader(bytes));
}

/** An id as text: 32 digits. */
export function idText(id) {
  return [id.a, id.b, id.c, id.d].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

/** The id of a text. */
export function idOfText(text) {
  const word = (nth) => parseInt(text.slice(8 * nth, 8 * nth + 8), 16) | 0;
  return { a: word(0), b: word(1), c: word(2), d: word(3) };
}

export function same(a, b) {
  return a.a === b.a && a.b === b.b && a.c === b.c && a.d === b.d;
}

/** Writes one array of values of these codecs. */
export function writeAll(writer, codecs, values) {
  writer.head(cbor.ARRAY, codecs.length);
  codecs.forEach((each, nth) => each.write(writer, values[nth] === undefined ? each.zero() : values[nth]));
}

/** Reads one array: what is missing at its end is zero, what is more is left out. */
export function readAll(reader, codecs) {
  const count = reader.expect(cbor.ARRAY);
  const values = codecs.map((each, nth) => (nth < count ? each.read(reader) : each.zero()));
  for (let nth = codecs.length; nth < count; nth++) reader.skip();
  return values;
}

/** What stands between the brackets, at its commas. */
function members(text) {
  const inner = text.slice(text.indexOf("<") + 1, -1);
  const parts = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < inner.length; at++) {
    if (inner[at] === "<") depth++;
    else if (inner[at] === ">") depth--;
    else if (inner[at] === "," && depth === 0) {
      parts.push(inner.slice(from, at));
      from = at + 1;
    }
  }
  parts.push(inner.slice(from));
  return parts.map((part) => part.trim());
}

const RANGES = {
  i8: [-0x80, 0x7f], i16: [-0x8000, 0x7fff], i32: [-0x80000000, 0x7fffffff], i64: [-(2n ** 63n), 2n ** 63n - 1n],
  u8: [0, 0xff], u16: [0, 0xffff], u32: [0, 0xffffffff], u64: [0, 2n ** 64n - 1n],
};

const NIL = { a: 0, b: 0, c: 0, d: 0 };

function make(text) {
  if (text in RANGES) return integer(text, ...RANGES[text]);
  if (text in SIMPLE) return SIMPLE[text];
  const word = text.includes("<") ? text.slice(0, text.indexOf("<")) : text;
  if (word === "ref") return SIMPLE.id;
  if (word === "secret") return codec(members(text)[0]);
  if (word === "option") return option(members(text)[0]);
  if (word === "list") return list(codec(members(text)[0]));
  if (word === "map") return map(...members(text));
  if (word === "tuple") return tuple(members(text).map(codec));
  if (definitions.has(text)) return defined(text, definitions.get(text));
  throw new TypeError(`there is no type \`${text}\``);
}

function integer(name, least, most) {
  const check = (value) => {
    const whole = typeof value === "bigint" || Number.isInteger(value);
    if (!whole || value < least || value > most) throw new RangeError(`${value} is no ${name}`);
    return value;
  };
  return {
    write: (writer, value) => writer.integer(check(value)),
    read: (reader) => check(reader.integer()),
    zero: () => 0,
  };
}

function float(write, head, bytes, get) {
  const read = (reader) => {
    if (reader.bytes[reader.take(1)] !== head) throw new Malformed("no float of this width");
    return reader.view[get](reader.take(bytes));
  };
  return { write: (writer, value) => writer[write](value), read, zero: () => 0 };
}

function truth(reader) {
  const byte = reader.bytes[reader.take(1)];
  if (byte !== cbor.TRUE && byte !== cbor.FALSE) throw new Malformed("neither true nor false");
  return byte === cbor.TRUE;
}

function nothing(reader) {
  if (reader.bytes[reader.take(1)] !== cbor.NULL) throw new Malformed("not null");
  return null;
}

function text(value) {
  if (typeof value !== "string") throw new TypeError(`${value} is no string`);
  return value;
}

const SIMPLE = {
  bool: { write: (writer, value) => writer.byte(value ? cbor.TRUE : cbor.FALSE), read: truth, zero: () => false },
  f32: float("f32", cbor.F32, 4, "getFloat32"),
  f64: float("f64", cbor.F64, 8, "getFloat64"),
  string: { write: (writer, value) => writer.text(text(value)), read: (reader) => reader.text(), zero: () => "" },
  bytes: { write: (writer, value) => writer.span(value), read: (reader) => reader.span(), zero: () => new Uint8Array(0) },
  unit: { write: (writer) => writer.byte(cbor.NULL), read: nothing, zero: () => null },
  id: { write: (writer, value) => writer.id(value), read: (reader) => reader.id(), zero: () => ({ ...NIL }) },
  any: { write: writeAny, read: readAny, zero: () => null },
};

function option(inner) {
  const of = codec(inner);
  const wrapped = /^(unit|any|option<)/.test(inner);
  return {
    write: (writer, value) => {
      if (value === null || value === undefined) return writer.byte(cbor.NULL);
      if (wrapped) writer.head(cbor.ARRAY, 1);
      of.write(writer, wrapped ? value.some : value);
    },
    read: (reader) => {
      if (reader.peek() === cbor.NULL) return nothing(reader);
      if (!wrapped) return of.read(reader);
      return { some: readAll(reader, [of])[0] };
    },
    zero: () => null,
  };
}

function list(item) {
  return {
    item,
    write: (writer, values) => {
      writer.head(cbor.ARRAY, values.length);
      for (const value of values) item.write(writer, value);
    },
    read: (reader) => {
      const values = [];
      for (let left = reader.expect(cbor.ARRAY); left > 0; left--) values.push(item.read(reader));
      return values;
    },
    zero: () => [],
  };
}

function keyCodec(type) {
  const of = codec(type);
  if (type === "id" || type.startsWith("ref<")) {
    return { write: (writer, key) => writer.id(idOfText(key)), read: (reader) => idText(reader.id()) };
  }
  if (type === "string" || type in RANGES) return of;
  throw new TypeError(`keys of maps are strings, integers and ids here, not \`${type}\``);
}

function map(keyType, valueType) {
  const key = keyCodec(keyType);
  const item = codec(valueType);
  return {
    key,
    item,
    write: (writer, values) => {
      const entries = [...values].map(([name, value]) => [bytesOf(key, name), value]);
      entries.sort(([a], [b]) => compareBytes(a, b));
      writer.head(cbor.MAP, entries.length);
      for (const [name, value] of entries) {
        writer.raw(name);
        item.write(writer, value);
      }
    },
    read: (reader) => {
      const values = new Map();
      for (let left = reader.expect(cbor.MAP); left > 0; left--) {
        const name = key.read(reader);
        values.set(name, item.read(reader));
      }
      return values;
    },
    zero: () => new Map(),
  };
}

/** One value as bytes. */
export function bytesOf(of, value) {
  const writer = new Writer();
  of.write(writer, value);
  return writer.done();
}

function tuple(parts) {
  return {
    write: (writer, values) => writeAll(writer, parts, values),
    read: (reader) => readAll(reader, parts),
    zero: () => parts.map((part) => part.zero()),
  };
}

function defined(name, shape) {
  // Looked up late: definitions may name each other.
  if (Array.isArray(shape)) return cases(name, shape);
  const fields = Object.keys(shape);
  const parts = () => fields.map((field) => codec(shape[field]));
  const object = (values) => Object.fromEntries(fields.map((field, nth) => [field, values[nth]]));
  return {
    write: (writer, value) => writeAll(writer, parts(), fields.map((field) => value[field])),
    read: (reader) => object(readAll(reader, parts())),
    zero: () => object(parts().map((part) => part.zero())),
  };
}

function cases(name, shape) {
  const carries = (nth) => (shape[nth][1] && shape[nth][1] !== "unit" ? codec(shape[nth][1]) : null);
  const check = (nth) => {
    if (!shape[nth]) throw new Malformed(`${name} has no such case`);
    return nth;
  };
  return {
    write: (writer, value) => {
      const tag = typeof value === "string" ? value : value.tag;
      const nth = check(shape.findIndex(([of]) => of === tag));
      const carried = carries(nth);
      if (carried) writer.head(cbor.ARRAY, 2);
      writer.head(cbor.UINT, nth);
      if (carried) carried.write(writer, value.val);
    },
    read: (reader) => {
      if (reader.peek() >> 5 === cbor.UINT) return shape[check(reader.integer())][0];
      if (reader.expect(cbor.ARRAY) !== 2) throw new Malformed(`no ${name}`);
      const nth = check(reader.integer());
      return { tag: shape[nth][0], val: (carries(nth) ?? SIMPLE.any).read(reader) };
    },
    zero: () => (carries(0) ? { tag: shape[0][0], val: carries(0).zero() } : shape[0][0]),
  };
}

function writeAny(writer, value) {
  if (value === null || value === undefined) writer.byte(cbor.NULL);
  else if (typeof value === "boolean") SIMPLE.bool.write(writer, value);
  else if (typeof value === "bigint" || Number.isSafeInteger(value)) writer.integer(value);
  else if (typeof value === "number") writer.f64(value);
  else if (typeof value === "string") writer.text(value);
  else if (value instanceof Uint8Array) writer.span(value);
  else if (Array.isArray(value)) list(SIMPLE.any).write(writer, value);
  else map("string", "any").write(writer, value instanceof Map ? value : Object.entries(value));
}

function readAny(reader) {
  const first = reader.peek();
  const major = first >> 5;
  if (major === cbor.UINT || major === cbor.NEGATIVE) return reader.integer();
  if (major === cbor.BYTES) return reader.span();
  if (major === cbor.TEXT) return reader.text();
  if (major === cbor.ARRAY) return list(SIMPLE.any).read(reader);
  if (first === cbor.F32) return SIMPLE.f32.read(reader);
  if (first === cbor.F64) return SIMPLE.f64.read(reader);
  if (first === cbor.NULL) return nothing(reader);
  if (major !== cbor.MAP) return truth(reader);
  const values = new Map();
  for (let left = reader.expect(cbor.MAP); left > 0; left--) {
    const name = readAny(reader);
    values.set(name, readAny(reader));
  }
  return values;
}
