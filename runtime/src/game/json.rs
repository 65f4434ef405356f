//! Values of a module's types from and to JSON, for operators.
//!
//! Ids are texts, byte strings are hexadecimal texts, maps with other keys than texts are lists
//! of pairs, a case is `"name"` or `{"name": value}`. Secrets are never shown.

use crate::versions::type_text::Scalar;
use crate::versions::{Member, Structure};
use bytes::Bytes;
use everwake_protocol::cbor::{self, Kind, Reader};
use everwake_protocol::{EntityId, Id};
use serde_json::{Map, Number, Value};

/// Why a JSON value is no value of a type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("argument `{name}`: {problem}")]
pub struct JsonError {
    name: String,
    problem: String,
}

/// The arguments of a call, as one CBOR array. Only options may be missing, at the end.
pub fn encode_args(parameters: &[Member], args: &Value) -> Result<Bytes, JsonError> {
    let values = match args {
        Value::Array(values) => values.clone(),
        Value::Null => Vec::new(),
        Value::Object(named) => in_order(parameters, named)?,
        single => vec![single.clone()],
    };
    if values.len() > parameters.len() {
        let problem = format!("there are {} arguments for {} parameters", values.len(), parameters.len());
        return Err(JsonError { name: String::new(), problem });
    }
    let mut out = Vec::new();
    cbor::array(&mut out, values.len());
    for (parameter, value) in parameters.iter().zip(&values) {
        encode(&parameter.structure, value, &mut out)
            .map_err(|problem| JsonError { name: parameter.name.clone(), problem })?;
    }
    // A module would fill in what an older caller did not know; an operator has forgotten it.
    let mut missing = parameters.iter().skip(values.len());
    if let Some(parameter) = missing.find(|it| !matches!(it.structure, Structure::Option(_))) {
        let problem = "is missing".to_owned();
        return Err(JsonError { name: parameter.name.clone(), problem });
    }
    Ok(out.into())
}

fn in_order(parameters: &[Member], named: &Map<String, Value>) -> Result<Vec<Value>, JsonError> {
    if let Some(name) = named.keys().find(|name| parameters.iter().all(|known| known.name != **name)) {
        return Err(JsonError { name: name.clone(), problem: "there is no such parameter".to_owned() });
    }
    let mut values = Vec::new();
    for parameter in parameters {
        match named.get(&parameter.name) {
            Some(value) if values.len() < named.len() => values.push(value.clone()),
            _ if values.len() == named.len() => break,
            _ => {
                let problem = "is missing, and a later one is given".to_owned();
                return Err(JsonError { name: parameter.name.clone(), problem });
            }
        }
    }
    Ok(values)
}

/// Writes a JSON value as one CBOR item of that type.
fn encode(structure: &Structure, value: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    match (structure, value) {
        (Structure::Secret(inner), _) => encode(inner, value, out)?,
        (Structure::Option(_), Value::Null) => cbor::null(out),
        (Structure::Option(inner), _) => {
            if matches!(**inner, Structure::Option(_)) {
                cbor::array(out, 1);
            }
            encode(inner, value, out)?;
        }
        (Structure::Scalar(scalar), _) => encode_scalar(*scalar, value, out)?,
        (Structure::Ref(_), Value::String(text)) => cbor::id(out, parse_id(text)?),
        (Structure::List(inner), Value::Array(items)) => {
            cbor::array(out, items.len());
            items.iter().try_for_each(|item| encode(inner, item, out))?;
        }
        (Structure::Map(key, inner), Value::Object(entries)) => {
            cbor::map(out, entries.len());
            for (name, item) in entries {
                encode(key, &Value::String(name.clone()), out)?;
                encode(inner, item, out)?;
            }
        }
        (Structure::Tuple(parts), Value::Array(items)) if parts.len() == items.len() => {
            cbor::array(out, parts.len());
            parts.iter().zip(items).try_for_each(|(part, item)| encode(part, item, out))?;
        }
        (Structure::Record(fields), Value::Object(entries)) => {
            cbor::array(out, fields.len());
            for field in fields {
                let item = entries.get(&field.name).ok_or_else(|| format!("`{}` is missing", field.name))?;
                encode(&field.structure, item, out)?;
            }
        }
        (Structure::Cases(cases), _) => encode_case(cases, value, out)?,
        // A word of a command line stands for whatever is wanted.
        (_, Value::String(text)) => {
            let parsed: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
            if matches!(parsed, Value::String(_)) {
                return Err(unexpected(structure));
            }
            encode(structure, &parsed, out)?;
        }
        _ => return Err(unexpected(structure)),
    }
    Ok(())
}

fn encode_case(cases: &[Member], value: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    let (name, payload) = match value {
        Value::String(name) => (name.as_str(), None),
        Value::Object(one) if one.len() == 1 => match one.iter().next() {
            Some((name, payload)) => (name.as_str(), Some(payload)),
            None => return Err("a case has a name".to_owned()),
        },
        _ => return Err("a case is `\"name\"` or `{\"name\": value}`".to_owned()),
    };
    let index = cases.iter().position(|case| case.name == name);
    let (index, case) = index
        .and_then(|index| cases.get(index).map(|case| (index, case)))
        .ok_or_else(|| format!("there is no case `{name}`"))?;
    match (payload, &case.structure) {
        (None, Structure::Scalar(Scalar::Unit)) => cbor::uint(out, index as u64),
        (Some(payload), structure) => {
            cbor::array(out, 2);
            cbor::uint(out, index as u64);
            encode(structure, payload, out)?;
        }
        (None, _) => return Err(format!("case `{name}` carries a value")),
    }
    Ok(())
}

fn encode_scalar(scalar: Scalar, value: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    let wrong = || format!("expected `{}`", scalar.name());
    match (scalar, value) {
        (Scalar::String, Value::String(text)) => cbor::text(out, text),
        (Scalar::Id, Value::String(text)) => cbor::id(out, parse_id(text)?),
        (Scalar::Bytes, Value::String(text)) => cbor::bytes(out, &parse_hex(text).ok_or_else(wrong)?),
        (Scalar::Bool, Value::Bool(value)) => cbor::bool(out, *value),
        (Scalar::Unit, Value::Null) => cbor::null(out),
        (Scalar::F32, Value::Number(number)) => cbor::f32(out, number.as_f64().ok_or_else(wrong)? as f32),
        (Scalar::F64, Value::Number(number)) => cbor::f64(out, number.as_f64().ok_or_else(wrong)?),
        (Scalar::Any, value) => {
            ciborium::into_writer(value, &mut *out).map_err(|error| error.to_string())?;
        }
        (_, Value::Number(number)) => {
            let (low, high) = scalar.integer_range().ok_or_else(wrong)?;
            let wide = number.as_i128().ok_or_else(wrong)?;
            if !(low..=high).contains(&wide) {
                return Err(format!("out of range for `{}`", scalar.name()));
            }
            match (u64::try_from(wide), i64::try_from(wide)) {
                (Ok(value), _) => cbor::uint(out, value),
                (_, Ok(value)) => cbor::int(out, value),
                _ => return Err(wrong()),
            }
        }
        (_, Value::String(text)) => {
            let parsed: Value = serde_json::from_str(text).map_err(|_| wrong())?;
            if matches!(parsed, Value::String(_)) {
                return Err(wrong());
            }
            encode_scalar(scalar, &parsed, out)?;
        }
        _ => return Err(wrong()),
    }
    Ok(())
}

/// A value of that type as JSON; what does not fit the type is shown as it is.
pub fn decode(structure: &Structure, value: &[u8]) -> Value {
    let mut reader = Reader::new(value);
    read(structure, &mut reader).unwrap_or_else(|| decode_any(value))
}

/// Any CBOR item as JSON.
pub fn decode_any(value: &[u8]) -> Value {
    any(&mut Reader::new(value)).unwrap_or(Value::Null)
}

fn read(structure: &Structure, reader: &mut Reader<'_>) -> Option<Value> {
    let kind = reader.kind().ok()?;
    Some(match structure {
        Structure::Secret(_) => {
            reader.skip().ok()?;
            Value::String("<secret>".to_owned())
        }
        Structure::Option(_) if kind == Kind::Null => {
            reader.skip().ok()?;
            Value::Null
        }
        Structure::Option(inner) => {
            if matches!(**inner, Structure::Option(_)) {
                reader.array().ok()?;
            }
            read(inner, reader)?
        }
        Structure::List(inner) => {
            let len = reader.array().ok()?;
            Value::Array((0..len).map(|_| read(inner, reader)).collect::<Option<_>>()?)
        }
        Structure::Map(key, inner) => {
            let len = reader.map().ok()?;
            let entries = (0..len).map(|_| Some((read(key, reader)?, read(inner, reader)?)));
            map(entries.collect::<Option<Vec<_>>>()?)
        }
        Structure::Tuple(parts) => {
            let len = reader.array().ok()?;
            let mut values = Vec::new();
            for index in 0..len {
                values.push(match parts.get(index) {
                    Some(part) => read(part, reader)?,
                    None => any(reader)?,
                });
            }
            Value::Array(values)
        }
        Structure::Record(fields) => {
            let len = reader.array().ok()?;
            let mut values = Map::new();
            for index in 0..len {
                match fields.get(index) {
                    Some(field) => drop(values.insert(field.name.clone(), read(&field.structure, reader)?)),
                    None => reader.skip().ok()?,
                }
            }
            Value::Object(values)
        }
        Structure::Cases(cases) => {
            let payload = kind == Kind::Array;
            if payload {
                reader.array().ok()?;
            }
            let case = cases.get(usize::try_from(reader.uint().ok()?).ok()?)?;
            match payload {
                true => {
                    Value::Object([(case.name.clone(), read(&case.structure, reader)?)].into_iter().collect())
                }
                false => Value::String(case.name.clone()),
            }
        }
        Structure::Ref(_) | Structure::Scalar(Scalar::Id) => Value::String(reader.id().ok()?.to_string()),
        Structure::Scalar(_) => any(reader)?,
    })
}

fn any(reader: &mut Reader<'_>) -> Option<Value> {
    Some(match reader.kind().ok()? {
        Kind::Uint | Kind::Negative => {
            let wide = reader.int().ok()?;
            match (u64::try_from(wide), i64::try_from(wide)) {
                (Ok(value), _) => value.into(),
                (_, Ok(value)) => value.into(),
                _ => Value::String(wide.to_string()),
            }
        }
        Kind::Text => reader.text().ok()?.into(),
        Kind::Bytes => Value::String(hex(reader.bytes().ok()?)),
        Kind::Bool => reader.bool().ok()?.into(),
        Kind::F32 => float(f64::from(reader.f32().ok()?)),
        Kind::F64 => float(reader.f64().ok()?),
        Kind::Array => {
            let len = reader.array().ok()?;
            Value::Array((0..len).map(|_| any(reader)).collect::<Option<_>>()?)
        }
        Kind::Map => {
            let len = reader.map().ok()?;
            let entries = (0..len).map(|_| Some((any(reader)?, any(reader)?)));
            map(entries.collect::<Option<Vec<_>>>()?)
        }
        Kind::Null | Kind::Undefined => {
            reader.skip().ok()?;
            Value::Null
        }
    })
}

fn map(entries: Vec<(Value, Value)>) -> Value {
    if entries.iter().all(|(key, _)| key.is_string()) {
        let named = entries.into_iter().filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value)));
        return Value::Object(named.collect());
    }
    Value::Array(entries.into_iter().map(|(key, value)| Value::Array(vec![key, value])).collect())
}

fn float(value: f64) -> Value {
    Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    let pairs = digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit));
    pairs.map(|byte| u8::try_from(byte).ok()).collect()
}

fn parse_id(text: &str) -> Result<Id, String> {
    text.parse::<EntityId>().map(|id| id.0).map_err(|_| "expected an id of 26 characters".to_owned())
}

fn unexpected(structure: &Structure) -> String {
    match structure {
        Structure::List(_) => "expected a list".to_owned(),
        Structure::Map(..) => "expected an object".to_owned(),
        Structure::Tuple(parts) => format!("expected a list of {}", parts.len()),
        Structure::Ref(name) => format!("expected the id of a `{name}`"),
        Structure::Record(_) => "expected an object".to_owned(),
        _ => "another kind of value is expected".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Manifest, ManifestLimits};
    use crate::versions::samples;
    use serde_json::json;

    /// The parameters of a method whose types are these; `Item` and `Mode` are known.
    fn parameters(types: &[(&str, &str)]) -> Vec<Member> {
        let manifest: Manifest = samples::module(Vec::new(), vec![samples::method("m", types)]);
        let checked = manifest.check(&ManifestLimits::default()).expect("a manifest");
        checked.types()[0].methods[0].parameters.clone()
    }

    #[track_caller]
    fn round(text: &str, value: Value) {
        let parameters = parameters(&[("value", text)]);
        let args = encode_args(&parameters, &json!([value.clone()])).expect(text);
        crate::versions::check_args(&parameters, &args).expect("what the host checks");
        assert_eq!(decode(&parameters[0].structure, &args[1..]), value, "{text}");
    }

    #[test]
    fn values_of_every_type_go_there_and_back() {
        let id = EntityId(Id([1, 2, 3, 4])).to_string();
        round("bool", json!(true));
        round("i64", json!(-5));
        round("u64", json!(u64::MAX));
        round("f32", json!(0.5));
        round("string", json!("5"));
        round("bytes", json!("00ff"));
        round("id", json!(id));
        round("option<u8>", json!(null));
        round("option<u8>", json!(7));
        round("list<list<u8>>", json!([[1], []]));
        round("map<string, u8>", json!({"a": 1}));
        round("tuple<u8, string>", json!([1, "x"]));
        round("Item", json!({"name": "sword", "wear": 3}));
        round("Mode", json!("idle"));
        round("Mode", json!({"hunting": id}));
        round("any", json!({"free": [1, "x", null]}));
    }

    #[test]
    fn words_of_a_command_line_stand_for_what_is_wanted() {
        let parameters = parameters(&[("count", "u8"), ("names", "list<string>"), ("name", "string")]);
        let words = encode_args(&parameters, &json!(["5", "[\"a\"]", "5"])).expect("words");
        assert_eq!(words, encode_args(&parameters, &json!([5, ["a"], "5"])).expect("values"));
        let named = json!({"count": 5, "names": ["a"], "name": "5"});
        assert_eq!(words, encode_args(&parameters, &named).expect("names"));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let parameters = parameters(&[("count", "u8"), ("mode", "Mode")]);
        let refuse = |args: Value| encode_args(&parameters, &args).expect_err("a misfit").to_string();
        assert!(refuse(json!([256])).contains("`count`: out of range"));
        assert!(refuse(json!(["\"5\""])).contains("`count`"));
        assert!(refuse(json!([1, "flying"])).contains("no case `flying`"));
        assert!(refuse(json!([1, "hunting"])).contains("carries a value"));
        assert!(refuse(json!([1, "idle", 2])).contains("3 arguments for 2"));
        assert!(refuse(json!({"mode": "idle"})).contains("`count`: is missing"));
        assert!(refuse(json!({"speed": 1})).contains("no such parameter"));
        assert!(refuse(json!([1])).contains("`mode`: is missing"));
        assert!(refuse(json!(null)).contains("`count`: is missing"));
    }

    #[test]
    fn only_options_may_be_missing() {
        let parameters = parameters(&[("count", "u8"), ("note", "option<string>")]);
        assert_eq!(encode_args(&parameters, &json!([1])).expect("without the note")[..], [0x81, 0x01]);
    }

    #[test]
    fn secrets_are_not_shown() {
        let parameters = parameters(&[("word", "secret<string>")]);
        let args = encode_args(&parameters, &json!(["open sesame"])).expect("a word");
        assert_eq!(decode(&parameters[0].structure, &args[1..]), json!("<secret>"));
    }
}
