//! The 128-bit names of things, and their text form.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// 128 bits, most significant word first. Text form: 26 characters of Crockford's base 32
/// (`0-9 a-z` without `i l o u`), lower case, no separators.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
pub struct Id(pub [u32; 4]);

/// Names an entity, a space or a service shard.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
pub struct EntityId(pub Id);

/// Names a client's session. Its first half is the random half of the life of the gate that holds it, so whoever
/// has something for a client knows where to send it.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
pub struct SessionId(pub Id);

/// A text that is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id has 26 characters of 0-9 a-z without i l o u, the first at most 7")]
pub struct IdTextError;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const TEXT_LEN: usize = 26;

impl SessionId {
    /// A session of a gate's life; `chance` is random, so that nobody guesses it.
    pub fn of_gate(gate_random: u64, chance: u64) -> SessionId {
        SessionId(Id::from_u128(u128::from(gate_random) << 64 | u128::from(chance)))
    }

    /// The random half of the life of its gate.
    pub fn gate_random(self) -> u64 {
        let [a, b, ..] = self.0.0;
        u64::from(a) << 32 | u64::from(b)
    }
}

impl Id {
    /// Names nothing.
    pub const ZERO: Id = Id([0; 4]);

    /// From 16 bytes, most significant first.
    pub fn from_bytes(bytes: [u8; 16]) -> Id {
        Id::from_u128(u128::from_be_bytes(bytes))
    }

    /// From exactly 16 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Id> {
        bytes.try_into().ok().map(Id::from_bytes)
    }

    /// From a number.
    pub fn from_u128(value: u128) -> Id {
        Id([(value >> 96) as u32, (value >> 64) as u32, (value >> 32) as u32, value as u32])
    }

    /// An id that `parts` decide: the first 16 bytes of the BLAKE3 hash of the parts, each
    /// behind its length as u32, big end first.
    pub fn derive(parts: &[&[u8]]) -> Id {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u32).to_be_bytes());
            hasher.update(part);
        }
        let mut first = [0; 16];
        hasher.finalize_xof().fill(&mut first);
        Id::from_bytes(first)
    }

    /// The ids whose text begins so: none if no id's does.
    pub fn beginning_with(prefix: &str) -> Option<RangeInclusive<Id>> {
        let first = format!("{prefix:0<TEXT_LEN$}").parse().ok()?;
        let last = match prefix {
            "" => Id::from_u128(u128::MAX),
            some => format!("{some:z<TEXT_LEN$}").parse().ok()?,
        };
        Some(first..=last)
    }

    /// 16 bytes, most significant first.
    pub fn to_bytes(self) -> [u8; 16] {
        self.to_u128().to_be_bytes()
    }

    /// As a number.
    pub fn to_u128(self) -> u128 {
        let [a, b, c, d] = self.0;
        u128::from(a) << 96 | u128::from(b) << 64 | u128::from(c) << 32 | u128::from(d)
    }

    /// True for the id that names nothing.
    pub fn is_zero(self) -> bool {
        self == Id::ZERO
    }
}

impl FromStr for Id {
    type Err = IdTextError;

    fn from_str(text: &str) -> Result<Id, IdTextError> {
        if text.len() != TEXT_LEN {
            return Err(IdTextError);
        }
        let mut value = 0u128;
        for (place, byte) in text.bytes().enumerate() {
            let byte = byte.to_ascii_lowercase();
            let digit = ALPHABET.iter().position(|digit| *digit == byte).ok_or(IdTextError)?;
            if place == 0 && digit > 7 {
                return Err(IdTextError);
            }
            value = value << 5 | digit as u128;
        }
        Ok(Id::from_u128(value))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_u128();
        let mut text = [0u8; TEXT_LEN];
        for (place, byte) in text.iter_mut().rev().enumerate() {
            let digit = (value >> (5 * place)) as usize & 31;
            *byte = ALPHABET.get(digit).copied().unwrap_or(b'0');
        }
        f.pad(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EntityId {
    type Err = IdTextError;

    fn from_str(text: &str) -> Result<EntityId, IdTextError> {
        text.parse().map(EntityId)
    }
}

impl FromStr for SessionId {
    type Err = IdTextError;

    fn from_str(text: &str) -> Result<SessionId, IdTextError> {
        text.parse().map(SessionId)
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_go_both_ways() {
        for value in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0011_2233_4455_6677] {
            let id = Id::from_u128(value);
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
            assert_eq!(Id::from_bytes(id.to_bytes()), id);
        }
        assert_eq!(Id::from_u128(u128::MAX).to_string(), "7zzzzzzzzzzzzzzzzzzzzzzzzz");
    }

    /// What SDKs in other languages are held against.
    #[test]
    fn texts_are_those_of_the_vectors() {
        let some = [0, 1, 31, 32, 1 << 127, u128::MAX, 0x0123_4567_89ab_cdef_0011_2233_4455_6677];
        let lines = some.map(|value| format!("{value:032x} {}\n", Id::from_u128(value)));
        let text = format!("# An id: its 16 bytes as hex, its text form.\n{}", lines.concat());
        expect_test::expect_file!["../../tests/vectors/ids.txt"].assert_eq(&text);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "0",
            "80000000000000000000000000",
            "0000000000000000000000000l",
            "0000000000000000000000000é",
        ] {
            assert_eq!(text.parse::<Id>(), Err(IdTextError), "{text}");
        }
    }

    #[test]
    fn a_session_knows_its_gate() {
        let session = SessionId::of_gate(0x0123_4567_89ab_cdef, 42);
        assert_eq!(session.gate_random(), 0x0123_4567_89ab_cdef);
        assert_eq!(session.0.to_u128() as u64, 42);
    }

    #[test]
    fn a_start_of_a_text_stands_for_all_that_begin_so() {
        let id = Id::from_u128(0x0123_4567_89ab_cdef_0011_2233_4455_6677);
        let text = id.to_string();
        for end in 0..=TEXT_LEN {
            assert!(Id::beginning_with(&text[..end]).unwrap().contains(&id), "{end}");
        }
        assert_eq!(Id::beginning_with(&text), Some(id..=id));
        let next = Id::from_u128(id.to_u128() + 1);
        assert!(!Id::beginning_with(&text).unwrap().contains(&next));
        assert_eq!(Id::beginning_with("").unwrap().end().to_u128(), u128::MAX);
        for none in ["8", "u", "é", "0 ", "000000000000000000000000000"] {
            assert_eq!(Id::beginning_with(none), None, "{none}");
        }
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(Id::derive(&[b"ab", b"c"]), Id::derive(&[b"a", b"bc"]));
    }
}
