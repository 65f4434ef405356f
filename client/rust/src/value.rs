//! Any value, without its type: what arguments and answers are to a client that has no generated
//! code. Type texts only guide how numbers are written.

use bytes::Bytes;
use everwake_protocol::Id;
use everwake_protocol::cbor::{self, CborError, Kind, Reader};
use everwake_protocol::limits::CBOR_DEPTH_MAX;
use std::fmt;

/// One value.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// `unit`, or an option without a value.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer from -2^64 to 2^64 - 1; the nearest of these is written for another one.
    Int(i128),
    /// A float of 32 bits.
    F32(f32),
    /// A float of 64 bits.
    F64(f64),
    /// A text.
    Text(String),
    /// Bytes, but for those that are ids.
    Bytes(Bytes),
    /// An id: bytes of which there are 16.
    Id(Id),
    /// A list, a tuple, a struct, or a case that carries something.
    List(Vec<Value>),
    /// A map, in its order.
    Map(Vec<(Value, Value)>),
}

/// A value that does not fit what it is for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not of the type.
    #[error("`{value}` is no `{wanted}`")]
    Mismatch {
        /// Type text.
        wanted: String,
        /// The value, for people.
        value: String,
    },
    /// Not CBOR as it is used here.
    #[error(transparent)]
    Cbor(#[from] CborError),
}

impl Value {
    /// Reads exactly one item.
    pub fn decode(input: &[u8]) -> Result<Value, CborError> {
        // Checks the depth, so that reading may recurse.
        cbor::check_item(input)?;
        read(&mut Reader::new(input))
    }

    /// Reads exactly one array: arguments.
    pub fn decode_list(input: &[u8]) -> Result<Vec<Value>, CborError> {
        match Value::decode(input)? {
            Value::List(values) => Ok(values),
            _ => Err(CborError::Expected("an array")),
        }
    }

    /// Writes it as it is.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => cbor::null(out),
            Value::Bool(value) => cbor::bool(out, *value),
            Value::Int(value) => {
                let (major, argument) = if *value < 0 { (1, -1 - *value) } else { (0, *value) };
                cbor::head(out, major, u64::try_from(argument).unwrap_or(u64::MAX));
            }
            Value::F32(value) => cbor::f32(out, *value),
            Value::F64(value) => cbor::f64(out, *value),
            Value::Text(value) => cbor::text(out, value),
            Value::Bytes(value) => cbor::bytes(out, value),
            Value::Id(value) => cbor::id(out, *value),
            Value::List(values) => {
                cbor::array(out, values.len());
                values.iter().for_each(|value| value.encode(out));
            }
            Value::Map(entries) => {
                cbor::map(out, entries.len());
                for (key, value) in entries {
                    key.encode(out);
                    value.encode(out);
                }
            }
        }
    }

    /// Writes it as the type wants it: an integer where a float is wanted becomes one, a text
    /// where an id is wanted is read as one. Named types take the value as it is.
    pub fn encode_as(&self, type_text: &str, out: &mut Vec<u8>) -> Result<(), ValueError> {
        self.write_as(type_text.trim(), CBOR_DEPTH_MAX, out)
    }

    /// Writes arguments: one array, each as its type text wants it; those without a type as
    /// they are.
    pub fn encode_arguments<'a>(
        values: &[Value],
        type_texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Bytes, ValueError> {
        let mut out = Vec::new();
        let mut type_texts = type_texts.into_iter();
        cbor::array(&mut out, values.len());
        for value in values {
            value.encode_as(type_texts.next().unwrap_or("any"), &mut out)?;
        }
        Ok(out.into())
    }

    fn write_as(&self, wanted: &str, depth: usize, out: &mut Vec<u8>) -> Result<(), ValueError> {
        let mismatch = || ValueError::Mismatch { wanted: wanted.to_owned(), value: self.to_string() };
        let depth = depth.checked_sub(1).ok_or(CborError::TooDeep)?;
        match (wanted, self) {
            ("f32", Value::Int(value)) => cbor::f32(out, *value as f32),
            ("f32", Value::F64(value)) => cbor::f32(out, *value as f32),
            ("f64", Value::Int(value)) => cbor::f64(out, *value as f64),
            ("f64", Value::F32(value)) => cbor::f64(out, f64::from(*value)),
            ("bytes", Value::Id(value)) => cbor::id(out, *value),
            ("f32", Value::F32(_)) | ("f64", Value::F64(_)) => self.encode(out),
            ("bool", Value::Bool(_)) | ("string", Value::Text(_)) | ("bytes", Value::Bytes(_)) => {
                self.encode(out)
            }
            ("f32" | "f64" | "bool" | "string" | "bytes", _) => return Err(mismatch()),
            (text, Value::Int(_)) if is_integer(text) => self.encode(out),
            (text, _) if is_integer(text) => return Err(mismatch()),
            (text, Value::Text(id)) if text == "id" || text.starts_with("ref<") => {
                cbor::id(out, id.parse().map_err(|_| mismatch())?);
            }
            (text, value) => {
                let (name, parts) = inner(text).unwrap_or_default();
                value.write_inside(wanted, name, &parts, depth, out)?;
            }
        }
        Ok(())
    }

    fn write_inside(
        &self,
        wanted: &str,
        name: &str,
        parts: &[&str],
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), ValueError> {
        match (name, parts, self) {
            ("option", _, Value::Null) => cbor::null(out),
            ("option", [of], value) if !of.starts_with("option<") => value.write_as(of, depth, out)?,
            ("secret", [of], value) => value.write_as(of, depth, out)?,
            ("list", [of], Value::List(values)) => {
                cbor::array(out, values.len());
                for value in values {
                    value.write_as(of, depth, out)?;
                }
            }
            ("tuple", types, Value::List(values)) if types.len() == values.len() => {
                cbor::array(out, values.len());
                for (value, of) in values.iter().zip(types) {
                    value.write_as(of, depth, out)?;
                }
            }
            ("map", [of_key, of_value], Value::Map(entries)) => {
                cbor::map(out, entries.len());
                for (key, value) in entries {
                    key.write_as(of_key, depth, out)?;
                    value.write_as(of_value, depth, out)?;
                }
            }
            ("list" | "map" | "tuple", ..) => {
                return Err(ValueError::Mismatch { wanted: wanted.to_owned(), value: self.to_string() });
            }
            (_, _, value) => value.encode(out),
        }
        Ok(())
    }
}

fn is_integer(text: &str) -> bool {
    matches!(text, "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64")
}

/// The name before `<` and the type texts between the brackets.
fn inner(text: &str) -> Option<(&str, Vec<&str>)> {
    let (name, rest) = text.split_once('<')?;
    let inside = rest.strip_suffix('>')?;
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0u32);
    for (place, byte) in inside.bytes().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' => depth = depth.checked_sub(1)?,
            b',' if depth == 0 => {
                parts.push(inside.get(start..place)?.trim());
                start = place + 1;
            }
            _ => {}
        }
    }
    parts.push(inside.get(start..)?.trim());
    Some((name, parts))
}

fn read(reader: &mut Reader<'_>) -> Result<Value, CborError> {
    Ok(match reader.kind()? {
        Kind::Uint | Kind::Negative => Value::Int(reader.int()?),
        Kind::Bytes => {
            let bytes = reader.bytes()?;
            Id::from_slice(bytes).map_or_else(|| Value::Bytes(Bytes::copy_from_slice(bytes)), Value::Id)
        }
        Kind::Text => Value::Text(reader.text()?.to_owned()),
        Kind::Array => {
            let len = reader.array()?;
            let mut values = Vec::new();
            for _ in 0..len {
                values.push(read(reader)?);
            }
            Value::List(values)
        }
        Kind::Map => {
            let len = reader.map()?;
            let mut entries = Vec::new();
            for _ in 0..len {
                entries.push((read(reader)?, read(reader)?));
            }
            Value::Map(entries)
        }
        Kind::Bool => Value::Bool(reader.bool()?),
        Kind::Null => {
            reader.null()?;
            Value::Null
        }
        Kind::F32 => Value::F32(reader.f32()?),
        Kind::F64 => Value::F64(reader.f64()?),
        Kind::Undefined => return Err(CborError::Undefined),
    })
}

/// As CBOR's diagnostic notation.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        self.encode(&mut out);
        f.write_str(&cbor::diagnostic(&out))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Int(value.into())
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Value {
        Value::Int(value.into())
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Value {
        Value::Int(value.into())
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        Value::Int(value.into())
    }
}

impl From<f32> for Value {
    fn from(value: f32) -> Value {
        Value::F32(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::F64(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::Text(value)
    }
}

impl From<Id> for Value {
    fn from(value: Id) -> Value {
        Value::Id(value)
    }
}

impl From<everwake_protocol::EntityId> for Value {
    fn from(value: everwake_protocol::EntityId) -> Value {
        Value::Id(value.0)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Value {
        Value::List(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}
