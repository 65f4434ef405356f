//! Type texts, as `wit/manifests.wit` defines them.

use super::ValueError;
use everwake_protocol::limits::CBOR_DEPTH_MAX;
use everwake_protocol::schema::{Definition, Shape};
use std::collections::BTreeMap;
use std::fmt;

/// A type text, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Bool,
    /// An integer between two bounds, and its name.
    Integer(&'static str, i128, i128),
    F32,
    F64,
    String,
    Bytes,
    Any,
    Unit,
    Id,
    Ref(String),
    Option(Box<Type>),
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Tuple(Vec<Type>),
    Secret(Box<Type>),
    Named(String),
}

const INTEGERS: [(&str, i128, i128); 8] = [
    ("i8", i8::MIN as i128, i8::MAX as i128),
    ("i16", i16::MIN as i128, i16::MAX as i128),
    ("i32", i32::MIN as i128, i32::MAX as i128),
    ("i64", i64::MIN as i128, i64::MAX as i128),
    ("u8", 0, u8::MAX as i128),
    ("u16", 0, u16::MAX as i128),
    ("u32", 0, u32::MAX as i128),
    ("u64", 0, u64::MAX as i128),
];

impl Type {
    /// Reads a type text. Spaces do not matter.
    pub fn parse(text: &str) -> Result<Type, ValueError> {
        let mut rest = text;
        let found = parse(&mut rest, 0).map_err(|why| ValueError::Type(text.to_owned(), why))?;
        if rest.trim().is_empty() {
            Ok(found)
        } else {
            Err(ValueError::Type(text.to_owned(), "something follows it"))
        }
    }
}

fn parse(rest: &mut &str, depth: usize) -> Result<Type, &'static str> {
    if depth > CBOR_DEPTH_MAX {
        return Err("it is nested too deep");
    }
    let trimmed = rest.trim_start();
    let end = trimmed
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ':')))
        .unwrap_or(trimmed.len());
    let (name, behind) = trimmed.split_at(end);
    *rest = behind;
    if name.is_empty() {
        return Err("a name is missing");
    }
    let inner = inner_types(rest, name == "ref", depth)?;
    build(name, inner)
}

/// What stands in angle brackets, if anything does.
fn inner_types(rest: &mut &str, name_only: bool, depth: usize) -> Result<Vec<Type>, &'static str> {
    let mut inner = Vec::new();
    let Some(behind) = rest.trim_start().strip_prefix('<') else { return Ok(inner) };
    *rest = behind;
    loop {
        inner.push(parse(rest, depth + 1)?);
        let trimmed = rest.trim_start();
        if let Some(behind) = trimmed.strip_prefix(',') {
            *rest = behind;
        } else if let Some(behind) = trimmed.strip_prefix('>') {
            *rest = behind;
            return Ok(inner);
        } else {
            return Err(if name_only { "`ref` takes one name" } else { "`>` is missing" });
        }
    }
}

fn build(name: &str, mut inner: Vec<Type>) -> Result<Type, &'static str> {
    let count = inner.len();
    let wanted = match name {
        "option" | "list" | "secret" | "ref" => 1,
        "map" => 2,
        "tuple" => count.max(1),
        _ => 0,
    };
    if count != wanted {
        return Err("it has the wrong number of types in brackets");
    }
    let mut next = || inner.remove(0);
    Ok(match name {
        "option" => Type::Option(Box::new(next())),
        "list" => Type::List(Box::new(next())),
        "secret" => Type::Secret(Box::new(next())),
        "map" => Type::Map(Box::new(next()), Box::new(next())),
        "tuple" => Type::Tuple(inner),
        "ref" => match next() {
            Type::Named(target) => Type::Ref(target),
            _ => return Err("`ref` takes the name of an entity type"),
        },
        "bool" => Type::Bool,
        "f32" => Type::F32,
        "f64" => Type::F64,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "any" => Type::Any,
        "unit" => Type::Unit,
        "id" => Type::Id,
        _ => match INTEGERS.iter().find(|(integer, ..)| *integer == name) {
            Some((integer, least, most)) => Type::Integer(integer, *least, *most),
            None => Type::Named(name.to_owned()),
        },
    })
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Bool => f.write_str("bool"),
            Type::Integer(name, ..) => f.write_str(name),
            Type::F32 => f.write_str("f32"),
            Type::F64 => f.write_str("f64"),
            Type::String => f.write_str("string"),
            Type::Bytes => f.write_str("bytes"),
            Type::Any => f.write_str("any"),
            Type::Unit => f.write_str("unit"),
            Type::Id => f.write_str("id"),
            Type::Ref(target) => write!(f, "ref<{target}>"),
            Type::Option(inner) => write!(f, "option<{inner}>"),
            Type::List(inner) => write!(f, "list<{inner}>"),
            Type::Map(key, value) => write!(f, "map<{key}, {value}>"),
            Type::Tuple(inner) => {
                f.write_str("tuple<")?;
                for (place, item) in inner.iter().enumerate() {
                    write!(f, "{}{item}", if place == 0 { "" } else { ", " })?;
                }
                f.write_str(">")
            }
            Type::Secret(inner) => write!(f, "secret<{inner}>"),
            Type::Named(name) => f.write_str(name),
        }
    }
}

/// The structs and enums of a module, by name.
#[derive(Clone, Debug, Default)]
pub struct Definitions(BTreeMap<String, Shape>);

impl Definitions {
    /// Those of a schema.
    pub fn new(definitions: &[Definition]) -> Self {
        Definitions(definitions.iter().map(|it| (it.name.clone(), it.shape.clone())).collect())
    }

    /// One by name.
    pub fn shape(&self, name: &str) -> Result<&Shape, ValueError> {
        self.0.get(name).ok_or_else(|| ValueError::Unknown(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_text_is_read_and_written_the_same() {
        for text in [
            "bool",
            "u64",
            "map<string, list<Item>>",
            "tuple<i8, f32, ref<Avatar>>",
            "option<option<id>>",
            "secret<string>",
        ] {
            assert_eq!(Type::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Type::parse(" map < string , i64 > ").unwrap().to_string(), "map<string, i64>");
    }

    #[test]
    fn a_wrong_type_text_says_why() {
        let check =
            |text, why: &str| assert!(Type::parse(text).unwrap_err().to_string().contains(why), "{text}");
        check("", "a name is missing");
        check("list", "wrong number");
        check("list<u8", "`>` is missing");
        check("bool<u8>", "wrong number");
        check("u8 u8", "something follows");
        check("ref<u8>", "name of an entity type");
        check(&"list<".repeat(100), "nested too deep");
    }
}
