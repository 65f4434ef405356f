//! Values beside their types: is this one of that type, and how is it shown to people.
//!
//! Values are hostile (clients and guests write them) and stay bytes: nothing is built from them.

use super::structure::{Member, Structure};
use super::type_text::Scalar;
use everwake_protocol::cbor::{self, CborError, Kind, Reader};
use std::fmt::Write as _;

/// Why a value is not of its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", prefix(.path))]
pub struct ValueError {
    /// Where in the value, outermost first: `[2].name`; empty for the whole.
    pub path: String,
    /// What is wrong there.
    pub problem: ValueProblem,
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueProblem {
    /// Not the CBOR that this engine speaks.
    #[error("{0}")]
    Cbor(#[from] CborError),
    /// Another kind of value.
    #[error("expected `{0}`")]
    Expected(String),
    /// An integer that the type does not hold.
    #[error("out of range for `{0}`")]
    Range(&'static str),
    /// A case that the type does not have.
    #[error("there is no case {0}")]
    UnknownCase(u64),
    /// A case with a payload written without, or the other way round.
    #[error("case `{0}` {1}")]
    Payload(String, &'static str),
    /// A key that stands twice in a map.
    #[error("a key stands twice")]
    KeyTwice,
}

fn prefix(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

/// Checks that `value` is exactly one item of that type.
///
/// Members that are missing at the end of records and tuples have their default; members behind
/// the known ones may be anything.
pub fn check_value(structure: &Structure, value: &[u8]) -> Result<(), ValueError> {
    let mut reader = Reader::new(value);
    check(structure, &mut reader)?;
    reader.end().map_err(at_whole)
}

/// Checks the arguments of a call: one array, an item for each parameter; see [`check_value`].
pub fn check_args(parameters: &[Member], args: &[u8]) -> Result<(), ValueError> {
    let mut reader = Reader::new(args);
    check_members(parameters, named, &mut reader)?;
    reader.end().map_err(at_whole)
}

fn named(member: &Member, _: usize) -> (String, &Structure) {
    (format!(".{}", member.name), &member.structure)
}

fn numbered(structure: &Structure, place: usize) -> (String, &Structure) {
    (format!(".{place}"), structure)
}

fn at_whole(problem: impl Into<ValueProblem>) -> ValueError {
    ValueError { path: String::new(), problem: problem.into() }
}

fn inside(part: &str, error: ValueError) -> ValueError {
    ValueError { path: format!("{part}{}", error.path), problem: error.problem }
}

fn check(structure: &Structure, reader: &mut Reader<'_>) -> Result<(), ValueError> {
    match structure {
        Structure::Scalar(scalar) => check_scalar(*scalar, reader),
        Structure::Ref(_) => check_scalar(Scalar::Id, reader),
        Structure::Secret(inner) => check(inner, reader),
        Structure::Option(inner) => {
            if kind(reader)? == Kind::Null {
                return reader.null().map_err(at_whole);
            }
            if inner.is_nullable() && array(reader, structure)? != 1 {
                return Err(at_whole(ValueProblem::Expected(structure.to_string())));
            }
            check(inner, reader)
        }
        Structure::List(inner) => {
            for place in 0..array(reader, structure)? {
                check(inner, reader).map_err(|error| inside(&format!("[{place}]"), error))?;
            }
            Ok(())
        }
        Structure::Map(key, value) => check_map(structure, key, value, reader),
        Structure::Tuple(members) => check_members(members, numbered, reader),
        Structure::Record(members) => check_members(members, named, reader),
        Structure::Cases(cases) => check_case(cases, reader),
    }
}

fn check_members<M>(
    members: &[M],
    part: impl Fn(&M, usize) -> (String, &Structure),
    reader: &mut Reader<'_>,
) -> Result<(), ValueError> {
    let count = reader.array().map_err(at_whole)?;
    for place in 0..count {
        match members.get(place) {
            Some(member) => {
                let structure = part(member, place).1;
                check(structure, reader).map_err(|error| inside(&part(member, place).0, error))?;
            }
            None => reader.skip().map_err(at_whole)?,
        }
    }
    Ok(())
}

fn check_map(
    whole: &Structure,
    key: &Structure,
    value: &Structure,
    reader: &mut Reader<'_>,
) -> Result<(), ValueError> {
    if kind(reader)? != Kind::Map {
        return Err(at_whole(ValueProblem::Expected(whole.to_string())));
    }
    let count = reader.map().map_err(at_whole)?;
    let mut keys = Vec::new();
    for place in 0..count {
        let before = reader.rest();
        check(key, reader).map_err(|error| inside(&format!("[key {place}]"), error))?;
        let length = before.len() - reader.rest().len();
        let span = before.get(..length).unwrap_or_default();
        keys.push(span);
        check(value, reader).map_err(|error| inside(&format!("[{}]", cbor::diagnostic(span)), error))?;
    }
    keys.sort_unstable();
    if keys.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
        return Err(at_whole(ValueProblem::KeyTwice));
    }
    Ok(())
}

fn check_case(cases: &[Member], reader: &mut Reader<'_>) -> Result<(), ValueError> {
    let with_payload = kind(reader)? == Kind::Array;
    if with_payload && reader.array().map_err(at_whole)? != 2 {
        return Err(at_whole(ValueProblem::Expected("[case, value]".to_owned())));
    }
    let index = reader.uint().map_err(at_whole)?;
    let case = usize::try_from(index).ok().and_then(|index| cases.get(index));
    let Some(Member { name, structure }) = case else {
        return Err(at_whole(ValueProblem::UnknownCase(index)));
    };
    match (with_payload, *structure == Structure::UNIT) {
        (false, true) => Ok(()),
        (true, false) => check(structure, reader).map_err(|error| inside(&format!(".{name}"), error)),
        (true, true) => Err(at_whole(ValueProblem::Payload(name.clone(), "carries nothing"))),
        (false, false) => Err(at_whole(ValueProblem::Payload(name.clone(), "lacks what it carries"))),
    }
}

fn check_scalar(scalar: Scalar, reader: &mut Reader<'_>) -> Result<(), ValueError> {
    if scalar == Scalar::Any {
        return reader.skip().map_err(at_whole);
    }
    let found = kind(reader)?;
    let fits = match scalar {
        Scalar::Bool => found == Kind::Bool,
        Scalar::F32 => found == Kind::F32,
        Scalar::F64 => found == Kind::F64,
        Scalar::String => found == Kind::Text,
        Scalar::Bytes | Scalar::Id => found == Kind::Bytes,
        Scalar::Unit => found == Kind::Null,
        _ => matches!(found, Kind::Uint | Kind::Negative),
    };
    if !fits {
        return Err(at_whole(ValueProblem::Expected(scalar.name().to_owned())));
    }
    if let Some((low, high)) = scalar.integer_range() {
        let value = reader.int().map_err(at_whole)?;
        let fits = (low..=high).contains(&value);
        return if fits { Ok(()) } else { Err(at_whole(ValueProblem::Range(scalar.name()))) };
    }
    if scalar == Scalar::Id {
        return reader.id().map(|_| ()).map_err(at_whole);
    }
    reader.skip().map_err(at_whole)
}

fn kind(reader: &Reader<'_>) -> Result<Kind, ValueError> {
    reader.kind().map_err(at_whole)
}

fn array(reader: &mut Reader<'_>, structure: &Structure) -> Result<usize, ValueError> {
    if kind(reader)? != Kind::Array {
        return Err(at_whole(ValueProblem::Expected(structure.to_string())));
    }
    reader.array().map_err(at_whole)
}

/// A value as text for people: CBOR's diagnostic notation with the names of members and cases,
/// secrets as `***`, at most about `bytes_max` bytes. What does not fit its type is shown as the
/// CBOR it is, unless the type has secrets.
#[must_use]
pub fn describe_value(structure: &Structure, value: &[u8], bytes_max: usize) -> String {
    describe_checked(
        structure.has_secret(),
        check_value(structure, value),
        value,
        bytes_max,
        |out, reader| describe(structure, reader, out, bytes_max),
    )
}

/// The arguments of a call as text: `(damage: 3, kind: fire)`; see [`describe_value`].
#[must_use]
pub fn describe_args(parameters: &[Member], args: &[u8], bytes_max: usize) -> String {
    let secret = parameters.iter().any(|parameter| parameter.structure.has_secret());
    describe_checked(secret, check_args(parameters, args), args, bytes_max, |out, reader| {
        describe_members(parameters, ['(', ')'], reader, out, bytes_max)
    })
}

fn describe_checked(
    secret: bool,
    check: Result<(), ValueError>,
    value: &[u8],
    bytes_max: usize,
    describe: impl FnOnce(&mut String, &mut Reader<'_>) -> Result<(), CborError>,
) -> String {
    let mut out = String::new();
    match check {
        // Only what was checked is described, so that no error is left to happen on the way.
        Ok(()) if describe(&mut out, &mut Reader::new(value)).is_ok() => {}
        Err(error) if secret => out = format!("*** <{}>", error.problem),
        Err(error) => out = format!("{} <{error}>", cbor::diagnostic(value)),
        Ok(()) => out = "***".to_owned(),
    }
    cut(out, bytes_max)
}

/// Cuts a text at a character's border and says so.
#[must_use]
pub fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}

fn describe(
    structure: &Structure,
    reader: &mut Reader<'_>,
    out: &mut String,
    bytes_max: usize,
) -> Result<(), CborError> {
    if out.len() > bytes_max {
        return reader.skip();
    }
    match structure {
        Structure::Secret(_) => {
            out.push_str("***");
            reader.skip()
        }
        Structure::Option(inner) if reader.kind()? != Kind::Null => {
            if inner.is_nullable() {
                reader.array()?;
                out.push_str("some(");
                describe(inner, reader, out, bytes_max)?;
                out.push(')');
                return Ok(());
            }
            describe(inner, reader, out, bytes_max)
        }
        Structure::Scalar(_) | Structure::Ref(_) | Structure::Option(_) => {
            out.push_str(&cbor::diagnostic(reader.item()?));
            Ok(())
        }
        Structure::List(inner) => {
            let count = reader.array()?;
            describe_sequence(out, ['[', ']'], count, |out, _| describe(inner, reader, out, bytes_max))
        }
        Structure::Map(key, value) => {
            let count = reader.map()?;
            describe_sequence(out, ['{', '}'], count, |out, _| {
                describe(key, reader, out, bytes_max)?;
                out.push_str(": ");
                describe(value, reader, out, bytes_max)
            })
        }
        Structure::Tuple(members) => {
            let count = reader.array()?;
            describe_sequence(out, ['[', ']'], count, |out, place| match members.get(place) {
                Some(member) => describe(member, reader, out, bytes_max),
                None => describe_unknown(reader, out),
            })
        }
        Structure::Record(members) => describe_members(members, ['{', '}'], reader, out, bytes_max),
        Structure::Cases(cases) => describe_case(cases, reader, out, bytes_max),
    }
}

fn describe_members(
    members: &[Member],
    brackets: [char; 2],
    reader: &mut Reader<'_>,
    out: &mut String,
    bytes_max: usize,
) -> Result<(), CborError> {
    let count = reader.array()?;
    describe_sequence(out, brackets, count, |out, place| match members.get(place) {
        Some(member) => {
            let _ = write!(out, "{}: ", member.name);
            describe(&member.structure, reader, out, bytes_max)
        }
        None => describe_unknown(reader, out),
    })
}

/// A member that another version added may be a secret: it is counted, not shown.
fn describe_unknown(reader: &mut Reader<'_>, out: &mut String) -> Result<(), CborError> {
    out.push('?');
    reader.skip()
}

fn describe_case(
    cases: &[Member],
    reader: &mut Reader<'_>,
    out: &mut String,
    bytes_max: usize,
) -> Result<(), CborError> {
    let with_payload = reader.kind()? == Kind::Array;
    if with_payload {
        reader.array()?;
    }
    let index = reader.uint()?;
    let case = usize::try_from(index).ok().and_then(|index| cases.get(index));
    let case = case.ok_or(CborError::Range)?;
    out.push_str(&case.name);
    if with_payload {
        out.push('(');
        describe(&case.structure, reader, out, bytes_max)?;
        out.push(')');
    }
    Ok(())
}

fn describe_sequence(
    out: &mut String,
    brackets: [char; 2],
    count: usize,
    mut item: impl FnMut(&mut String, usize) -> Result<(), CborError>,
) -> Result<(), CborError> {
    let [open, close] = brackets;
    out.push(open);
    for place in 0..count {
        if place > 0 {
            out.push_str(", ");
        }
        item(out, place)?;
    }
    out.push(close);
    Ok(())
}

#[cfg(test)]
mod tests;
