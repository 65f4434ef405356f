//! CBOR to JSON, with the names that the type gives to numbers. The bytes are a peer's: what does
//! not fit its type is shown in diagnostic notation instead of being refused, since a client that
//! knows an older schema must still show what it can.

use super::ValueError;
use super::types::{Definitions, Type};
use everwake_protocol::cbor::{self, Kind, Reader};
use everwake_protocol::limits::CBOR_DEPTH_MAX;
use everwake_protocol::schema::{Field, Shape};
use serde_json::{Map, Value};

/// Reads one CBOR item by its type text.
pub fn decode(item: &[u8], type_text: &str, definitions: &Definitions) -> Value {
    let read = || -> Result<Value, ValueError> {
        let mut reader = Reader::new(item);
        let value = value(&mut reader, &Type::parse(type_text)?, definitions, CBOR_DEPTH_MAX)?;
        reader.end()?;
        Ok(value)
    };
    read().unwrap_or_else(|_| Value::String(cbor::diagnostic(item)))
}

fn value(
    reader: &mut Reader<'_>,
    wanted: &Type,
    definitions: &Definitions,
    depth: usize,
) -> Result<Value, ValueError> {
    let depth = depth.checked_sub(1).ok_or(ValueError::Depth)?;
    Ok(match wanted {
        Type::Secret(_) => {
            reader.skip()?;
            Value::from("***")
        }
        Type::Option(inner) if reader.kind()? == Kind::Null => {
            reader.null()?;
            let _ = inner;
            Value::Null
        }
        Type::Option(inner) if matches!(**inner, Type::Option(_)) => {
            reader.array()?;
            Value::Array(vec![value(reader, inner, definitions, depth)?])
        }
        Type::Option(inner) => value(reader, inner, definitions, depth)?,
        Type::Id | Type::Ref(_) => Value::String(reader.id()?.to_string()),
        Type::List(inner) => {
            let count = reader.array()?;
            let items: Result<_, _> = (0..count).map(|_| value(reader, inner, definitions, depth)).collect();
            Value::Array(items?)
        }
        Type::Tuple(items) => {
            reader.array()?;
            let items: Result<_, _> =
                items.iter().map(|item| value(reader, item, definitions, depth)).collect();
            Value::Array(items?)
        }
        Type::Map(key, item) => map(reader, key, item, definitions, depth)?,
        Type::Named(name) => match definitions.shape(name)? {
            Shape::Record(fields) => record(reader, fields, definitions, depth)?,
            Shape::Cases(cases) => case(reader, cases, definitions, depth)?,
        },
        _ => any(reader, depth)?,
    })
}

/// An object if the keys are texts, ids or numbers; pairs otherwise.
fn map(
    reader: &mut Reader<'_>,
    key: &Type,
    item: &Type,
    definitions: &Definitions,
    depth: usize,
) -> Result<Value, ValueError> {
    let count = reader.map()?;
    let mut pairs = Vec::new();
    for _ in 0..count {
        let key = value(reader, key, definitions, depth)?;
        pairs.push((key, value(reader, item, definitions, depth)?));
    }
    if matches!(key, Type::String | Type::Id | Type::Ref(_)) {
        let name = |key: Value| key.as_str().map(str::to_owned).unwrap_or_default();
        return Ok(Value::Object(pairs.into_iter().map(|(key, value)| (name(key), value)).collect()));
    }
    Ok(Value::Array(pairs.into_iter().map(|(key, value)| Value::Array(vec![key, value])).collect()))
}

fn record(
    reader: &mut Reader<'_>,
    fields: &[Field],
    definitions: &Definitions,
    depth: usize,
) -> Result<Value, ValueError> {
    let count = reader.array()?;
    let mut found = Map::new();
    for place in 0..count {
        match fields.get(place) {
            Some(field) => {
                let item = value(reader, &Type::parse(&field.type_text)?, definitions, depth)?;
                found.insert(field.name.clone(), item);
            }
            // A newer version has more fields than this schema.
            None => reader.skip()?,
        }
    }
    Ok(Value::Object(found))
}

fn case(
    reader: &mut Reader<'_>,
    cases: &[Field],
    definitions: &Definitions,
    depth: usize,
) -> Result<Value, ValueError> {
    let carries = reader.kind()? == Kind::Array;
    if carries {
        reader.array()?;
    }
    let index = reader.u32()?;
    let case = usize::try_from(index).ok().and_then(|index| cases.get(index));
    let name = case.map_or_else(|| format!("case {index}"), |it| it.name.clone());
    if !carries {
        return Ok(Value::String(name));
    }
    let carried = match case {
        Some(case) => value(reader, &Type::parse(&case.type_text)?, definitions, depth)?,
        None => any(reader, depth)?,
    };
    Ok(Value::Object(Map::from_iter([(name, carried)])))
}

fn any(reader: &mut Reader<'_>, depth: usize) -> Result<Value, ValueError> {
    let depth = depth.checked_sub(1).ok_or(ValueError::Depth)?;
    Ok(match reader.kind()? {
        Kind::Uint => Value::from(reader.uint()?),
        Kind::Negative => Value::from(reader.i64()?),
        Kind::Bytes => Value::String(hex(reader.bytes()?)),
        Kind::Text => Value::from(reader.text()?),
        Kind::Bool => Value::from(reader.bool()?),
        Kind::F32 => Value::from(shortest(reader.f32()?)),
        Kind::F64 => Value::from(reader.f64()?),
        Kind::Array => {
            let count = reader.array()?;
            let items: Result<_, _> = (0..count).map(|_| any(reader, depth)).collect();
            Value::Array(items?)
        }
        Kind::Map => {
            let mut found = Map::new();
            for _ in 0..reader.map()? {
                let key = reader.item()?;
                found.insert(cbor::diagnostic(key).trim_matches('"').to_owned(), any(reader, depth)?);
            }
            Value::Object(found)
        }
        Kind::Null => {
            reader.null()?;
            Value::Null
        }
        Kind::Undefined => return Err(cbor::CborError::Undefined.into()),
    })
}

/// The decimal that people wrote, not the one that 32 bits really hold.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// JSON on one line, without quotes around names, with spaces: for people.
pub fn inline(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let parts: Vec<String> =
                entries.iter().map(|(key, value)| format!("{key}: {}", inline(value))).collect();
            format!("{{{}}}", parts.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::encode::encode;
    use super::*;
    use everwake_protocol::schema::Definition;
    use serde_json::json;

    fn definitions() -> Definitions {
        let field = |name: &str, type_text: &str| Field { name: name.into(), type_text: type_text.into() };
        Definitions::new(&[
            Definition {
                name: "Item".into(),
                shape: Shape::Record(vec![field("kind", "string"), field("count", "u32")]),
            },
            Definition {
                name: "Mode".into(),
                shape: Shape::Cases(vec![field("idle", "unit"), field("chase", "id")]),
            },
            Definition { name: "Tree".into(), shape: Shape::Record(vec![field("branches", "list<Tree>")]) },
        ])
    }

    fn check(type_text: &str, given: Value, back: Value) {
        let mut out = Vec::new();
        encode(&given, &Type::parse(type_text).unwrap(), &definitions(), "it", &mut out).unwrap();
        cbor::check_item(&out).unwrap();
        assert_eq!(decode(&out, type_text, &definitions()), back, "{type_text}");
    }

    #[test]
    fn values_come_back_as_they_went() {
        let id = "0".repeat(26);
        for (type_text, value) in [
            ("bool", json!(true)),
            ("i8", json!(-128)),
            ("u64", json!(u64::MAX)),
            ("i64", json!(i64::MIN)),
            ("f32", json!(0.1)),
            ("f64", json!(-1.5)),
            ("string", json!("40")),
            ("bytes", json!("0xff00")),
            ("unit", json!(null)),
            ("id", json!(id)),
            ("option<i32>", json!(null)),
            ("option<option<i32>>", json!([null])),
            ("list<i32>", json!([1, 2])),
            ("tuple<i32, string>", json!([1, "a"])),
            ("map<string, i32>", json!({"a": 1})),
            ("map<i32, string>", json!([[1, "a"]])),
            ("Item", json!({"kind": "axe", "count": 3})),
            ("Mode", json!("idle")),
            ("Mode", json!({"chase": id})),
            ("Tree", json!({"branches": [{"branches": []}]})),
            ("any", json!({"a": [1, null, "x", -2.5]})),
        ] {
            check(type_text, value.clone(), value);
        }
    }

    #[test]
    fn texts_stand_for_what_is_wanted() {
        check("i32", json!("40"), json!(40));
        check("bool", json!("true"), json!(true));
        check("list<i32>", json!("[1, 2]"), json!([1, 2]));
        check("Item", json!(r#"{"kind": "axe", "count": 1}"#), json!({"kind": "axe", "count": 1}));
        check("Item", json!(["axe", 1]), json!({"kind": "axe", "count": 1}));
        check("Mode", json!("idle"), json!("idle"));
        check("option<i32>", json!("7"), json!(7));
    }

    #[test]
    fn secrets_are_not_shown() {
        check("secret<string>", json!("hunter2"), json!("***"));
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_place() {
        let wrong = |type_text: &str, given: Value, say: &str| {
            let error =
                encode(&given, &Type::parse(type_text).unwrap(), &definitions(), "it", &mut Vec::new())
                    .unwrap_err();
            assert!(error.to_string().contains(say), "{error}");
        };
        wrong("u8", json!(256), "it: expected `u8`, found `256`");
        wrong("i32", json!("many"), "found `\"many\"`");
        wrong("list<u8>", json!([1, -1]), "it[1]: expected `u8`");
        wrong("Item", json!({"kind": "axe", "price": 1}), "without `price`");
        wrong("Item", json!({"kind": "axe"}), "it.count: expected `u32`, found `null`");
        wrong("Mode", json!("sleep"), "idle | chase");
        wrong("Nothing", json!(1), "no type is named `Nothing`");
    }

    #[test]
    fn bytes_that_do_not_fit_are_shown_as_they_are() {
        let mut out = Vec::new();
        cbor::text(&mut out, "surprise");
        assert_eq!(decode(&out, "list<u8>", &definitions()), json!("\"surprise\""));
        let deep = [vec![0x81; 64], vec![0]].concat();
        assert!(decode(&deep, "any", &definitions()).is_string());
    }

    #[test]
    fn inline_is_one_readable_line() {
        assert_eq!(inline(&json!({"hp": 3, "bag": ["a", null]})), r#"{bag: ["a", null], hp: 3}"#);
    }
}
