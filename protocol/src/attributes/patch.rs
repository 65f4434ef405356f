//! Taking a patch apart and writing one. Knows the form, not what the attributes are.

use super::PatchError;
use crate::cbor::{self, Kind, Reader};

/// One `path value` of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// Number of the attribute.
    pub attribute: u32,
    /// Encoded key; none means the whole attribute.
    pub key: Option<&'a [u8]>,
    /// True: before item `key`, which moves up.
    pub insert: bool,
    /// Encoded value; none is `undefined`.
    pub value: Option<&'a [u8]>,
    /// Path and value as they stood in the patch.
    pub raw: &'a [u8],
}

/// Numbers below this are their own heads.
const SMALL_MAX: u8 = 24;

/// Takes a patch apart. Ends after the first error.
#[derive(Clone, Debug)]
pub struct PatchReader<'a> {
    reader: Reader<'a>,
}

impl<'a> PatchReader<'a> {
    /// Reads from the start of `patch`.
    pub fn new(patch: &'a [u8]) -> PatchReader<'a> {
        PatchReader { reader: Reader::new(patch) }
    }

    /// By far the most frequent change: a whole attribute with a small number gets a number. None if it is
    /// anything else, or malformed: [`PatchReader::read`] finds out.
    #[inline]
    fn plain(&mut self) -> Option<Change<'a>> {
        let before = self.reader.rest();
        let (&attribute @ ..SMALL_MAX, behind) = before.split_first()? else { return None };
        let rest = Reader::new(behind).behind_number()?;
        let value = behind.get(..behind.len() - rest.len())?;
        let raw = before.get(..before.len() - rest.len())?;
        self.reader = Reader::new(rest);
        Some(Change { attribute: u32::from(attribute), key: None, insert: false, value: Some(value), raw })
    }

    fn read(&mut self) -> Result<Change<'a>, PatchError> {
        let before = self.reader.rest();
        let (attribute, key, insert) = match self.reader.kind()? {
            Kind::Uint => (self.reader.u32()?, None, false),
            Kind::Array => {
                let len = self.reader.array()?;
                if !(2..=3).contains(&len) {
                    return Err(PatchError::Path);
                }
                let attribute = self.reader.u32()?;
                let key = self.reader.item()?;
                if len == 3 && !self.reader.bool()? {
                    return Err(PatchError::Path);
                }
                (attribute, Some(key), len == 3)
            }
            _ => return Err(PatchError::Path),
        };
        let value = match self.reader.rest().split_first() {
            Some((&cbor::UNDEFINED, rest)) => {
                self.reader = Reader::new(rest);
                None
            }
            _ => Some(self.reader.item()?),
        };
        if insert && value.is_none() {
            return Err(PatchError::InsertNothing);
        }
        let raw = before.get(..before.len() - self.reader.rest().len()).unwrap_or_default();
        Ok(Change { attribute, key, insert, value, raw })
    }
}

impl<'a> Iterator for PatchReader<'a> {
    type Item = Result<Change<'a>, PatchError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let Some(change) = self.plain() {
            return Some(Ok(change));
        }
        if self.reader.is_empty() {
            return None;
        }
        let change = self.read();
        if change.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(change)
    }
}

/// Writes a change with another attribute number: a host's index to a client's small id.
pub fn write_change_renumbered(change: &Change<'_>, attribute: u32, out: &mut Vec<u8>) {
    write_path(attribute, change.key, change.insert, out);
    match change.value {
        Some(value) => out.extend_from_slice(value),
        None => cbor::undefined(out),
    }
}

/// Writes a path; the value is to follow. `key` is an encoded item.
pub fn write_path(attribute: u32, key: Option<&[u8]>, insert: bool, out: &mut Vec<u8>) {
    match key {
        None => cbor::uint(out, u64::from(attribute)),
        Some(key) => {
            cbor::array(out, if insert { 3 } else { 2 });
            cbor::uint(out, u64::from(attribute));
            out.extend_from_slice(key);
            if insert {
                cbor::bool(out, true);
            }
        }
    }
}
