//! CBOR by hand: definite lengths, shortest heads, no tags. It knows items, not the types
//! of a game; those are `value.rs`.

use std::fmt;

/// `null`.
pub const NULL: u8 = 0xf6;
/// `undefined`: "back to the initial value", or "removed".
pub const UNDEFINED: u8 = 0xf7;

/// Deepest nesting that is read. Stops a hostile item from using up the stack.
const DEPTH_MAX: usize = 32;

/// Bytes that are not the item that was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Writes the head of an item: its major type and a number.
#[inline]
pub fn head(out: &mut Vec<u8>, major: u8, number: u64) {
    let major = major << 5;
    if number < 24 {
        out.push(major | number as u8);
    } else if let Ok(byte) = u8::try_from(number) {
        out.extend_from_slice(&[major | 24, byte]);
    } else if let Ok(short) = u16::try_from(number) {
        out.push(major | 25);
        out.extend_from_slice(&short.to_be_bytes());
    } else if let Ok(word) = u32::try_from(number) {
        out.push(major | 26);
        out.extend_from_slice(&word.to_be_bytes());
    } else {
        out.push(major | 27);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// Writes an unsigned integer.
#[inline]
pub fn unsigned(out: &mut Vec<u8>, number: u64) {
    head(out, 0, number);
}

/// Writes an integer.
#[inline]
pub fn integer(out: &mut Vec<u8>, number: i64) {
    if number < 0 { head(out, 1, !(number as u64)) } else { head(out, 0, number as u64) }
}

/// Writes a text.
#[inline]
pub fn text(out: &mut Vec<u8>, text: &str) {
    head(out, 3, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Writes a byte string.
#[inline]
pub fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    head(out, 2, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes the head of an array of `items` items.
#[inline]
pub fn array(out: &mut Vec<u8>, items: usize) {
    head(out, 4, items as u64);
}

/// Writes the head of a map of `entries` entries.
#[inline]
pub fn map(out: &mut Vec<u8>, entries: usize) {
    head(out, 5, entries as u64);
}

/// Whether two values are the same bytes. Eight at a time: what the compiler makes of `==` is a call
/// that compares single bytes, and it was the dearest function of a module.
#[inline]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    let ((words, rest), (other_words, other_rest)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    let equal = |(a, b): (&[u8; 8], &[u8; 8])| u64::from_le_bytes(*a) == u64::from_le_bytes(*b);
    one.len() == other.len()
        && words.iter().zip(other_words).all(equal)
        && rest.iter().zip(other_rest).all(|(a, b)| a == b)
}

/// Reads items one after the other.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    depth: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, depth: 0 }
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// First byte of the next item.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed("ends too early"))?;
        self.rest = rest;
        Ok(*first)
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed("ends too early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    fn slice(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed("ends too early"))?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed("ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads a head: major type and number.
    #[inline]
    pub fn head(&mut self) -> Result<(u8, u64), Malformed> {
        let first = self.byte()?;
        let number = match first & 31 {
            small @ 0..24 => u64::from(small),
            24 => u64::from(self.byte()?),
            25 => u64::from(u16::from_be_bytes(self.fixed()?)),
            26 => u64::from(u32::from_be_bytes(self.fixed()?)),
            27 => u64::from_be_bytes(self.fixed()?),
            _ => return Err(Malformed("indefinite length")),
        };
        Ok((first >> 5, number))
    }

    #[inline]
    fn expect(&mut self, major: u8, otherwise: &'static str) -> Result<u64, Malformed> {
        let (found, number) = self.head()?;
        if found == major { Ok(number) } else { Err(Malformed(otherwise)) }
    }

    /// Reads an unsigned integer.
    #[inline]
    pub fn unsigned(&mut self) -> Result<u64, Malformed> {
        self.expect(0, "expected an unsigned integer")
    }

    /// Reads an integer that fits 64 bits with a sign.
    #[inline]
    pub fn integer(&mut self) -> Result<i64, Malformed> {
        let (major, number) = self.head()?;
        let number = i64::try_from(number).map_err(|_| Malformed("an integer out of range"))?;
        match major {
            0 => Ok(number),
            1 => Ok(!number),
            _ => Err(Malformed("expected an integer")),
        }
    }

    /// Reads a bool.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0xf4 => Ok(false),
            0xf5 => Ok(true),
            _ => Err(Malformed("expected a bool")),
        }
    }

    /// Reads a number of any kind as a float.
    #[inline]
    pub fn float(&mut self) -> Result<f64, Malformed> {
        match self.peek() {
            Some(0xfa) => {
                self.byte()?;
                Ok(f64::from(f32::from_be_bytes(self.fixed()?)))
            }
            Some(0xfb) => {
                self.byte()?;
                Ok(f64::from_be_bytes(self.fixed()?))
            }
            Some(0x00..=0x3b) => match self.head()? {
                (0, number) => Ok(number as f64),
                (_, number) => Ok(-1.0 - number as f64),
            },
            _ => Err(Malformed("expected a number")),
        }
    }

    /// Reads a text.
    #[inline]
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.expect(3, "expected a text")?;
        std::str::from_utf8(self.slice(length)?).map_err(|_| Malformed("text is not UTF-8"))
    }

    /// Reads a byte string.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.expect(2, "expected bytes")?;
        self.slice(length)
    }

    /// Reads a text as bytes; whether they are UTF-8 somebody has checked.
    #[inline]
    pub fn text_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.expect(3, "expected a text")?;
        self.slice(length)
    }

    /// Reads the head of an array. A count that cannot fit what is left is refused, so it
    /// may be used to reserve memory.
    #[inline]
    pub fn array(&mut self) -> Result<usize, Malformed> {
        let count = self.expect(4, "expected a list")?;
        self.count(count)
    }

    /// Reads the head of a map.
    #[inline]
    pub fn map(&mut self) -> Result<usize, Malformed> {
        let count = self.expect(5, "expected a map")?;
        self.count(count)
    }

    #[inline]
    fn count(&self, count: u64) -> Result<usize, Malformed> {
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.rest.len())
            .ok_or(Malformed("ends too early"))
    }

    /// Reads `null`, if it is next.
    #[inline]
    pub fn null(&mut self) -> bool {
        if self.peek() == Some(NULL) {
            self.rest = self.rest.get(1..).unwrap_or_default();
            return true;
        }
        false
    }

    /// Reads the inside of something; refuses to go too deep.
    pub fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        if self.depth >= DEPTH_MAX {
            return Err(Malformed("nested too deeply"));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// Reads one item of any kind, and returns its bytes.
    pub fn item(&mut self) -> Result<&'a [u8], Malformed> {
        self.item_where(|text| std::str::from_utf8(text).is_ok())
    }

    /// The same; whether texts in it are UTF-8 somebody has checked.
    pub fn checked_item(&mut self) -> Result<&'a [u8], Malformed> {
        self.item_where(|_| true)
    }

    #[inline]
    fn item_where(&mut self, is_text: impl Fn(&[u8]) -> bool) -> Result<&'a [u8], Malformed> {
        let start = self.rest;
        let mut left: u64 = 1;
        while left > 0 {
            left -= 1;
            match self.head()? {
                (0 | 1 | 7, _) => {}
                (2, length) => {
                    self.slice(length)?;
                }
                (3, length) if is_text(self.slice(length)?) => {}
                (3, _) => return Err(Malformed("text is not UTF-8")),
                (4, items) => left = left.saturating_add(items),
                (5, entries) => left = left.saturating_add(entries.saturating_mul(2)),
                _ => return Err(Malformed("tags are not used")),
            }
        }
        start.get(..start.len() - self.rest.len()).ok_or(Malformed("ends too early"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_the_shortest() {
        for (number, length) in
            [(0, 1), (23, 1), (24, 2), (255, 2), (256, 3), (65_535, 3), (65_536, 5), (1 << 32, 9)]
        {
            let mut out = Vec::new();
            unsigned(&mut out, number);
            assert_eq!(out.len(), length, "{number}");
            assert_eq!(Reader::new(&out).unsigned(), Ok(number));
        }
    }

    #[test]
    fn extremes_survive() {
        for number in [i64::MIN, -1, 0, i64::MAX] {
            let mut out = Vec::new();
            integer(&mut out, number);
            assert_eq!(Reader::new(&out).integer(), Ok(number));
        }
    }

    #[test]
    fn the_same_bytes_are_the_same() {
        for length in 0..20 {
            let one: Vec<u8> = (0..length).collect();
            assert!(same(&one, &one.clone()));
            assert!(!same(&one, &[one.as_slice(), &[0]].concat()));
            for place in 0..one.len() {
                let mut other = one.clone();
                other[place] ^= 0x80;
                assert!(!same(&one, &other), "{length} bytes that differ at {place}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut out = Vec::new();
        unsigned(&mut out, 1 << 63);
        assert!(Reader::new(&out).integer().is_err());
        assert_eq!(Reader::new(&out).unsigned(), Ok(1 << 63));
        out.clear();
        head(&mut out, 1, 1 << 63);
        assert!(Reader::new(&out).integer().is_err());
        assert_eq!(Reader::new(&out).float(), Ok(-((1u64 << 63) as f64)));
    }

    #[test]
    fn a_count_that_cannot_be_there_is_refused() {
        assert!(Reader::new(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).array().is_err());
        assert!(Reader::new(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).item().is_err());
    }

    #[test]
    fn an_item_ends_where_it_ends() {
        let bytes = [0x82, 0x01, 0xa1, 0x61, b'a', 0xf6, 0x05];
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.item().map(<[u8]>::len), Ok(6));
        assert_eq!(reader.rest(), &[5]);
    }
}
