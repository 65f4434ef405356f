// The examples of docs/encoding.md: what is read is written again as the same bytes, and what is refused there is
// refused here. `node --test` runs it.

import assert from "node:assert";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { decode, define, encode, idOfText, idText } from "../src/types.js";

const page = readFileSync(new URL("../../../docs/encoding.md", import.meta.url), "utf8");

/** The rows of a table of the page: type and bytes. */
function rows(table) {
  const [, text] = page.match(new RegExp(`\`\`\`${table}\n([^]*?)\`\`\``));
  return text.trim().split("\n").map((line) => {
    const [type, hex] = line.split("|").map((part) => part.trim());
    return { type, bytes: Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex")) };
  });
}

define({
  Item: { name: "string", wear: "u8" },
  Mode: [["idle"], ["hunting", "ref<Avatar>"], ["fleeing", "tuple<f32, f32>"]],
});

test("values are written as they were read", () => {
  let same = 0;
  for (const { type, bytes } of rows("values")) {
    if (type === "map<tuple<i8, i8>, bool>") {
      assert.throws(() => decode(type, bytes), TypeError);
      continue;
    }
    const written = encode(type, decode(type, bytes));
    // A struct of another version becomes one of this version.
    const grown = type === "Item" && bytes[0] !== 0x82;
    if (grown) assert.equal(written[0], 0x82);
    else assert.deepEqual(written, bytes, type);
    same += grown ? 0 : 1;
  }
  assert.ok(same > 20, `only ${same} rows`);
});

test("what is out of range or of another kind is refused", () => {
  for (const [type, hex] of [["u8", "190100"], ["f32", "fb0000000000000000"], ["list<u8>", "9f01ff"], ["Mode", "03"]]) {
    assert.throws(() => decode(type, Uint8Array.from(Buffer.from(hex, "hex"))), type);
  }
  assert.throws(() => encode("i8", 128), RangeError);
  assert.throws(() => encode("u32", 1.5), RangeError);
  assert.throws(() => encode("string", 7), TypeError);
});

test("large integers, long texts and ids keep their bytes", () => {
  for (const value of [2n ** 63n - 1n, -(2n ** 63n)]) assert.equal(decode("i64", encode("i64", value)), value);
  for (const value of [2 ** 53 - 1, -(2 ** 53) + 1, 255, 256, 65_536]) {
    assert.equal(decode("i64", encode("i64", value)), value);
  }
  const text = "grüße, 世界 🐇 ".repeat(100);
  assert.equal(decode("string", encode("string", text)), text);
  assert.deepEqual([...encode("string", text)].slice(3), [...Buffer.from(text)]);
  const id = "fedcba98765432100123456789abcdef";
  assert.equal(idText(idOfText(id)), id);
  assert.equal(idText(decode("id", encode("id", idOfText(id)))), id);
});
