// Chance, from the event's seed alone: `Math.random` would give every instance the same numbers.

let words = [1, 2, 3, 4];

/** Begins with the seed of an event. */
export function chance({ seedA, seedB, seedC, seedD }) {
  words = [seedA, seedB, seedC, seedD];
}

const rotate = (word, by) => (word << by) | (word >>> (32 - by));

/** A whole number below 2^32: xoshiro128**, by David Blackman and Sebastiano Vigna. */
function word() {
  const result = Math.imul(rotate(Math.imul(words[1], 5), 7), 9) >>> 0;
  const shifted = words[1] << 9;
  words[2] ^= words[0];
  words[3] ^= words[1];
  words[1] ^= words[2];
  words[0] ^= words[3];
  words[2] ^= shifted;
  words[3] = rotate(words[3], 11);
  return result;
}

/** At least 0, below 1. */
export function random() {
  return word() / 0x100000000;
}

/** From `low` to `high`, both included. */
export function roll(low, high) {
  return low + Math.floor(random() * (high - low + 1));
}
