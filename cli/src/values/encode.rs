//! JSON to CBOR. A text stands for whatever type is wanted, so that command lines need no JSON:
//! `40` is a number where a number is wanted, and a name where a name is.

use super::types::{Definitions, Type};
use super::{ValueError, mismatch};
use everwake_protocol::cbor;
use everwake_protocol::id::Id;
use everwake_protocol::limits::CBOR_DEPTH_MAX;
use everwake_protocol::schema::{Field, Shape};
use serde_json::Value;

/// Writes the arguments of a method: one CBOR array.
pub fn encode_arguments(
    values: &[Value],
    parameters: &[Field],
    definitions: &Definitions,
) -> Result<Vec<u8>, ValueError> {
    let least =
        parameters.iter().rposition(|it| !it.type_text.starts_with("option<")).map_or(0, |last| last + 1);
    if values.len() < least || values.len() > parameters.len() {
        let signature = signature(parameters);
        return Err(ValueError::Count { expected: parameters.len(), found: values.len(), signature });
    }
    let mut out = Vec::new();
    cbor::array(&mut out, parameters.len());
    for (place, parameter) in parameters.iter().enumerate() {
        let value = values.get(place).unwrap_or(&Value::Null);
        encode(value, &Type::parse(&parameter.type_text)?, definitions, &parameter.name, &mut out)?;
    }
    Ok(out)
}

/// Parameters as people read them.
pub fn signature(parameters: &[Field]) -> String {
    let list: Vec<String> = parameters.iter().map(|it| format!("{}: {}", it.name, it.type_text)).collect();
    format!("({})", list.join(", "))
}

/// Writes one value. `place` names it in errors.
pub fn encode(
    value: &Value,
    wanted: &Type,
    definitions: &Definitions,
    place: &str,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    Encoder { definitions }.value(value, wanted, place, CBOR_DEPTH_MAX, out)
}

struct Encoder<'a> {
    definitions: &'a Definitions,
}

impl Encoder<'_> {
    fn value(
        &self,
        value: &Value,
        wanted: &Type,
        place: &str,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), ValueError> {
        let depth = depth.checked_sub(1).ok_or(ValueError::Depth)?;
        let wrong = || mismatch(place, wanted.to_string(), &value.to_string());
        // A text where something else is wanted is read as what is wanted.
        if let Some(read) = reread(value, wanted) {
            return self.value(&read, wanted, place, depth, out).map_err(|_| wrong());
        }
        match wanted {
            Type::Bool => cbor::bool(out, value.as_bool().ok_or_else(wrong)?),
            Type::Integer(_, least, most) => {
                let number = integer(value).filter(|it| least <= it && it <= most).ok_or_else(wrong)?;
                write_integer(out, number);
            }
            Type::F32 => cbor::f32(out, value.as_f64().ok_or_else(wrong)? as f32),
            Type::F64 => cbor::f64(out, value.as_f64().ok_or_else(wrong)?),
            Type::String => cbor::text(out, value.as_str().ok_or_else(wrong)?),
            Type::Bytes => cbor::bytes(out, &value.as_str().and_then(from_hex).ok_or_else(wrong)?),
            Type::Unit if value.is_null() => cbor::null(out),
            Type::Unit => return Err(wrong()),
            Type::Id | Type::Ref(_) => {
                cbor::id(out, value.as_str().and_then(|it| it.parse::<Id>().ok()).ok_or_else(wrong)?)
            }
            Type::Any => any(value, depth, out)?,
            Type::Secret(inner) => self.value(value, inner, place, depth, out)?,
            Type::Option(_) if value.is_null() => cbor::null(out),
            Type::Option(inner) => self.some(value, inner, place, depth, out)?,
            Type::List(item) => self.list(value.as_array().ok_or_else(wrong)?, item, place, depth, out)?,
            Type::Tuple(items) => {
                let values = value.as_array().filter(|it| it.len() == items.len()).ok_or_else(wrong)?;
                cbor::array(out, items.len());
                for (index, (value, item)) in values.iter().zip(items).enumerate() {
                    self.value(value, item, &format!("{place}[{index}]"), depth, out)?;
                }
            }
            Type::Map(key, item) => self.map(value, key, item, place, depth, out)?,
            Type::Named(name) => match self.definitions.shape(name)? {
                Shape::Record(fields) => self.record(value, fields, wanted, place, depth, out)?,
                Shape::Cases(cases) => self.case(value, cases, wanted, place, depth, out)?,
            },
        }
        Ok(())
    }

    fn some(
        &self,
        value: &Value,
        inner: &Type,
        place: &str,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), ValueError> {
        if !matches!(inner, Type::Option(_)) {
            return self.value(value, inner, place, depth, out);
        }
        let only = match value.as_array().map(Vec::as_slice) {
            Some([only]) => only,
            _ => return Err(mismatch(place, format!("null or [{inner}]"), &value.to_string())),
        };
        cbor::array(out, 1);
        self.value(only, inner, place, depth, out)
    }

    fn list(
        &self,
        values: &[Value],
        item: &Type,
        place: &str,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), ValueError> {
        cbor::array(out, values.len());
        for (index, value) in values.iter().enumerate() {
            self.value(value, item, &format!("{place}[{index}]"), depth, out)?;
        }
        Ok(())
    }

    /// An object, or a list of pairs for keys that are no texts.
    fn map(
        &self,
        value: &Value,
        key: &Type,
        item: &Type,
        place: &str,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), ValueError> {
        let pairs: Vec<(Value, &Value)> = match value {
            Value::Object(entries) => {
                entries.iter().map(|(key, value)| (Value::from(key.as_str()), value)).collect()
            }
            Value::Array(pairs) => pairs
                .iter()
                .map(|pair| match pair.as_array().map(Vec::as_slice) {
                    Some([key, value]) => Ok((key.clone(), value)),
                    _ => Err(mismatch(place, "[key, value]", &pair.to_string())),
                })
                .collect::<Result<_, _>>()?,
            other => return Err(mismatch(place, format!("map<{key}, {item}>"), &other.to_string())),
        };
        cbor::map(out, pairs.len());
        for (name, value) in &pairs {
            self.value(name, key, &format!("{place} key"), depth, out)?;
            self.value(value, item, &format!("{place}.{}", name.as_str().unwrap_or("?")), depth, out)?;
        }
        Ok(())
    }

    /// An object by field names, or a list in the fields' order.
    fn record(
        &self,
        value: &Value,
        fields: &[Field],
        wanted: &Type,
        place: &str,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), ValueError> {
        let wrong = |expected: String| mismatch(place, expected, &value.to_string());
        cbor::array(out, fields.len());
        match value {
            Value::Object(entries) => {
                if let Some(stranger) = entries.keys().find(|key| !fields.iter().any(|it| it.name == **key)) {
                    return Err(wrong(format!("{wanted} without `{stranger}`")));
                }
                for field in fields {
                    let found = entries.get(&field.name).unwrap_or(&Value::Null);
                    self.value(
                        found,
                        &Type::parse(&field.type_text)?,
                        &format!("{place}.{}", field.name),
                        depth,
                        out,
                    )?;
                }
            }
            Value::Array(items) if items.len() == fields.len() => {
                for (found, field) in items.iter().zip(fields) {
                    self.value(
                        found,
                        &Type::parse(&field.type_text)?,
                        &format!("{place}.{}", field.name),
                        depth,
                        out,
                    )?;
                }
            }
            _ => return Err(wrong(format!("{wanted} {{{}}}", signature(fields).trim_matches(['(', ')'])))),
        }
        Ok(())
    }

    /// `"name"`, or `{"name": what it carries}`.
    fn case(
        &self,
        value: &Value,
        cases: &[Field],
        wanted: &Type,
        place: &str,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), ValueError> {
        let (name, carried) = match value {
            Value::String(name) => (name.as_str(), None),
            Value::Object(entries) if entries.len() == 1 => match entries.iter().next() {
                Some((name, carried)) => (name.as_str(), Some(carried)),
                None => ("", None),
            },
            _ => ("", None),
        };
        let names = || cases.iter().map(|it| it.name.as_str()).collect::<Vec<_>>().join(" | ");
        let found = cases.iter().position(|it| it.name == name);
        let Some((index, case)) = found.and_then(|index| cases.get(index).map(|case| (index, case))) else {
            return Err(mismatch(place, format!("{wanted}: {}", names()), &value.to_string()));
        };
        match (Type::parse(&case.type_text)?, carried) {
            (Type::Unit, None) => cbor::uint(out, index as u64),
            (Type::Unit, Some(_)) => {
                return Err(mismatch(place, format!("`{name}` alone"), &value.to_string()));
            }
            (inner, carried) => {
                cbor::array(out, 2);
                cbor::uint(out, index as u64);
                self.value(carried.unwrap_or(&Value::Null), &inner, &format!("{place}.{name}"), depth, out)?;
            }
        }
        Ok(())
    }
}

/// A text that stands for something else, read as JSON. None if it is what it should be.
fn reread(value: &Value, wanted: &Type) -> Option<Value> {
    let text = value.as_str()?;
    match wanted {
        Type::String
        | Type::Bytes
        | Type::Id
        | Type::Ref(_)
        | Type::Any
        | Type::Secret(_)
        | Type::Option(_) => None,
        Type::Named(_) if !text.starts_with(['{', '[', '"']) => None,
        _ => serde_json::from_str(text).ok().filter(|read: &Value| read != value),
    }
}

/// JSON as CBOR, whatever it is; numbers without a point are integers.
fn any(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), ValueError> {
    let depth = depth.checked_sub(1).ok_or(ValueError::Depth)?;
    match value {
        Value::Null => cbor::null(out),
        Value::Bool(it) => cbor::bool(out, *it),
        Value::Number(number) => match integer(value) {
            Some(integer) => write_integer(out, integer),
            None => cbor::f64(out, number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => cbor::text(out, text),
        Value::Array(items) => {
            cbor::array(out, items.len());
            items.iter().try_for_each(|item| any(item, depth, out))?;
        }
        Value::Object(entries) => {
            cbor::map(out, entries.len());
            for (key, item) in entries {
                cbor::text(out, key);
                any(item, depth, out)?;
            }
        }
    }
    Ok(())
}

fn integer(value: &Value) -> Option<i128> {
    value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from))
}

fn write_integer(out: &mut Vec<u8>, number: i128) {
    match u64::try_from(number) {
        Ok(positive) => cbor::uint(out, positive),
        Err(_) => cbor::int(out, i64::try_from(number).unwrap_or(i64::MIN)),
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    digits
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(nibble(*high)? << 4 | nibble(*low)?).ok(),
            _ => None,
        })
        .collect()
}
