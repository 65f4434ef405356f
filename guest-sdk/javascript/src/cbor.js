// CBOR of the contract's narrow form (docs/encoding.md): definite lengths, shortest heads, no tags.
// Knows nothing of types: `types.js` decides what is written how.

export const UINT = 0, NEGATIVE = 1, BYTES = 2, TEXT = 3, ARRAY = 4, MAP = 5;
export const FALSE = 0xf4, TRUE = 0xf5, NULL = 0xf6, UNDEFINED = 0xf7, F32 = 0xfa, F64 = 0xfb;

/** Bytes that are not what they should be. */
export class Malformed extends Error {}

/** Bytes that grow. */
export class Writer {
  constructor() {
    this.bytes = new Uint8Array(64);
    this.length = 0;
  }

  /** Where so many bytes have place. It may move `bytes`: ask first, then look at them. */
  room(count) {
    if (this.length + count > this.bytes.length) {
      const more = new Uint8Array(2 * (this.length + count));
      more.set(this.bytes.subarray(0, this.length));
      this.bytes = more;
    }
    this.length += count;
    return this.length - count;
  }

  byte(value) {
    const at = this.room(1);
    this.bytes[at] = value;
  }

  raw(bytes) {
    const at = this.room(bytes.length);
    this.bytes.set(bytes, at);
  }

  /** A number that is not negative, as a head: shortest first. Not above 2^53, but for a BigInt. */
  head(major, value) {
    const kind = major << 5;
    if (value < 24) {
      this.byte(kind | Number(value));
    } else if (value < 0x100) {
      this.byte(kind | 24);
      this.byte(Number(value));
    } else if (value < 0x10000) {
      const at = this.room(3);
      this.bytes[at] = kind | 25;
      this.view().setUint16(at + 1, Number(value));
    } else if (value < 0x100000000) {
      const at = this.room(5);
      this.bytes[at] = kind | 26;
      this.view().setUint32(at + 1, Number(value));
    } else {
      const at = this.room(9);
      this.bytes[at] = kind | 27;
      this.view().setBigUint64(at + 1, BigInt(value));
    }
  }

  integer(value) {
    if (value >= 0) this.head(UINT, value);
    else this.head(NEGATIVE, typeof value === "bigint" ? -1n - value : -1 - value);
  }

  f32(value) {
    const at = this.room(5);
    this.bytes[at] = F32;
    // There is one NaN.
    if (Number.isNaN(value)) this.view().setUint32(at + 1, 0x7fc00000);
    else this.view().setFloat32(at + 1, value);
  }

  f64(value) {
    const at = this.room(9);
    this.bytes[at] = F64;
    this.view().setFloat64(at + 1, value);
    if (Number.isNaN(value)) this.view().setBigUint64(at + 1, 0x7ff8000000000000n);
  }

  text(value) {
    const bytes = utf8(value);
    this.head(TEXT, bytes.length);
    this.raw(bytes);
  }

  span(bytes) {
    this.head(BYTES, bytes.length);
    this.raw(bytes);
  }

  id({ a, b, c, d }) {
    const at = this.room(17);
    this.bytes[at] = (BYTES << 5) | 16;
    const view = this.view();
    view.setUint32(at + 1, a);
    view.setUint32(at + 5, b);
    view.setUint32(at + 9, c);
    view.setUint32(at + 13, d);
  }

  view() {
    return new DataView(this.bytes.buffer);
  }

  done() {
    return this.bytes.slice(0, this.length);
  }
}

/** Reads on from where the last read ended. */
export class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }

  get over() {
    return this.at >= this.bytes.length;
  }

  take(count) {
    if (this.at + count > this.bytes.length) throw new Malformed("the bytes end too early");
    this.at += count;
    return this.at - count;
  }

  peek() {
    return this.bytes[this.at];
  }

  /** The kind and the number of the next head. */
  head() {
    const first = this.bytes[this.take(1)];
    const small = first & 31;
    let value = small;
    if (small === 24) value = this.view.getUint8(this.take(1));
    else if (small === 25) value = this.view.getUint16(this.take(2));
    else if (small === 26) value = this.view.getUint32(this.take(4));
    else if (small === 27) {
      const wide = this.view.getBigUint64(this.take(8));
      value = wide <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(wide) : wide;
    } else if (small > 27) throw new Malformed("an indefinite length");
    return { major: first >> 5, value };
  }

  expect(major) {
    const head = this.head();
    if (head.major !== major) throw new Malformed(`kind ${head.major} instead of ${major}`);
    return head.value;
  }

  integer() {
    const { major, value } = this.head();
    if (major === UINT) return value;
    if (major !== NEGATIVE) throw new Malformed("no integer");
    return typeof value === "bigint" ? -1n - value : -1 - value;
  }

  text() {
    const length = this.expect(TEXT);
    const at = this.take(length);
    return fromUtf8(this.bytes, at, at + length);
  }

  span() {
    const length = this.expect(BYTES);
    const at = this.take(length);
    return this.bytes.slice(at, at + length);
  }

  id() {
    if (this.expect(BYTES) !== 16) throw new Malformed("no id");
    const at = this.take(16);
    // Signed, as the bindings give and take words of 32 bits.
    const word = (nth) => this.view.getInt32(at + 4 * nth);
    return { a: word(0), b: word(1), c: word(2), d: word(3) };
  }

  /** Goes behind one value of any kind, and gives its bytes. */
  skip() {
    const from = this.at;
    for (let left = 1; left > 0; left--) {
      const first = this.peek();
      if (first >> 5 === 7) {
        this.take(first === F32 ? 5 : first === F64 ? 9 : 1);
        continue;
      }
      const { major, value } = this.head();
      if (major === BYTES || major === TEXT) this.take(value);
      else if (major === ARRAY) left += value;
      else if (major === MAP) left += 2 * value;
    }
    return this.bytes.subarray(from, this.at);
  }
}

/** Equal values are equal bytes. */
export function sameBytes(a, b) {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

/** Which bytes come first. */
export function compareBytes(a, b) {
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at++) if (a[at] !== b[at]) return a[at] - b[at];
  return a.length - b.length;
}

// By hand: the engine has neither TextEncoder nor TextDecoder.
function utf8(text) {
  const out = [];
  for (const char of text) {
    let code = char.codePointAt(0);
    // Half of a pair is no character.
    if (code >= 0xd800 && code < 0xe000) code = 0xfffd;
    if (code < 0x80) out.push(code);
    else if (code < 0x800) out.push(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code < 0x10000) out.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    else out.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
  }
  return out;
}

function fromUtf8(bytes, from, to) {
  let text = "";
  while (from < to) {
    const first = bytes[from++];
    if (first < 0x80) {
      text += String.fromCharCode(first);
      continue;
    }
    const more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    let code = first & (0x3f >> more);
    for (let left = more; left > 0; left--) code = (code << 6) | (bytes[from++] & 63);
    text += String.fromCodePoint(code);
  }
  return text;
}
