//! Attributes as a host keeps them: encoded spans; lists and maps split on their top level.

use std::collections::BTreeMap;

use crate::cbor::{self, Malformed, Reader, UNDEFINED};

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    Whole(Vec<u8>),
    List(Vec<Vec<u8>>),
    Map(BTreeMap<Vec<u8>, Vec<u8>>),
}

impl Span {
    /// From one item; a list or a map by its declared type.
    pub(crate) fn new(type_text: &str, item: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(item);
        if type_text.starts_with("list<") {
            let count = reader.array()?;
            return (0..count)
                .map(|_| reader.item().map(<[u8]>::to_vec))
                .collect::<Result<_, _>>()
                .map(Self::List);
        }
        if type_text.starts_with("map<") {
            let count = reader.map()?;
            let mut entry = || Ok((reader.item()?.to_vec(), reader.item()?.to_vec()));
            return (0..count).map(|_| entry()).collect::<Result<_, _>>().map(Self::Map);
        }
        Ok(Self::Whole(item.to_vec()))
    }

    /// As one item.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Whole(item) => out.extend_from_slice(item),
            Self::List(items) => {
                cbor::array(out, items.len());
                items.iter().for_each(|item| out.extend_from_slice(item));
            }
            Self::Map(entries) => {
                cbor::map(out, entries.len());
                entries.iter().for_each(|(key, value)| {
                    out.extend_from_slice(key);
                    out.extend_from_slice(value);
                });
            }
        }
    }

    /// Sets, adds, or removes one part.
    fn change(&mut self, key: &[u8], before: bool, value: Option<&[u8]>) -> Result<(), Malformed> {
        match self {
            Self::Whole(_) => Err(Malformed("not a list or a map")),
            Self::Map(_) if before => Err(Malformed("a map has no order to insert into")),
            Self::Map(entries) => {
                match value {
                    Some(value) => entries.insert(key.to_vec(), value.to_vec()),
                    None => entries.remove(key),
                };
                Ok(())
            }
            Self::List(items) => change_list(items, Reader::new(key).unsigned()? as usize, before, value),
        }
    }
}

fn change_list(
    items: &mut Vec<Vec<u8>>,
    at: usize,
    before: bool,
    value: Option<&[u8]>,
) -> Result<(), Malformed> {
    let beyond = Malformed("beyond the end of the list");
    match value {
        None if at < items.len() => {
            items.remove(at);
        }
        Some(value) if before && at <= items.len() || at == items.len() => items.insert(at, value.to_vec()),
        Some(value) if !before => *items.get_mut(at).ok_or(beyond)? = value.to_vec(),
        _ => return Err(beyond),
    }
    Ok(())
}

/// What a type's attributes are: type texts and initial values.
pub(crate) type Table = [crate::bindings::everwake::game::manifests::Attribute];

/// All attributes of one entity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(Vec<Span>);

impl Attributes {
    /// With their initial values.
    pub(crate) fn initial(table: &Table) -> Result<Self, Malformed> {
        table
            .iter()
            .map(|about| Span::new(&about.type_text, &about.initial))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// `index value ...`.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, span) in self.0.iter().enumerate() {
            cbor::unsigned(&mut out, index as u64);
            span.write(&mut out);
        }
        out
    }

    /// Applies `path value ...`.
    pub(crate) fn patch(&mut self, table: &Table, changes: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(changes);
        while !reader.is_empty() {
            if reader.peek().is_some_and(|first| first >> 5 == 4) {
                self.patch_part(&mut reader)?;
                continue;
            }
            let index = reader.unsigned()? as usize;
            let value = reader.item()?;
            let about = table.get(index).ok_or(Malformed("no such attribute"))?;
            let value = if value == [UNDEFINED] { &about.initial } else { value };
            *self.0.get_mut(index).ok_or(Malformed("no such attribute"))? =
                Span::new(&about.type_text, value)?;
        }
        Ok(())
    }

    fn patch_part(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let items = reader.array()?;
        let index = reader.unsigned()? as usize;
        let key = reader.item()?;
        let before = match items {
            2 => false,
            3 if reader.bool()? => true,
            _ => return Err(Malformed("a path is `index`, `[index, key]` or `[index, key, true]`")),
        };
        let value = reader.item()?;
        let value = (value != [UNDEFINED]).then_some(value);
        self.0.get_mut(index).ok_or(Malformed("no such attribute"))?.change(key, before, value)
    }
}
