//! Manifests for the tests of this crate's version code.

use crate::manifest::{
    Attribute, AttributeFlags, Checked, ClientMethod, EntityType, Exposure, Manifest, ManifestLimits, Method,
    TypeKind,
};
use bytes::Bytes;
use everwake_protocol::schema::{Definition, Field, Shape};

/// `name: type` pairs as fields.
pub(crate) fn fields(pairs: &[(&str, &str)]) -> Vec<Field> {
    pairs.iter().map(|(name, text)| Field { name: (*name).into(), type_text: (*text).into() }).collect()
}

/// An attribute that everybody who sees the entity gets.
pub(crate) fn attribute(name: &str, type_text: &str, initial: &[u8]) -> Attribute {
    Attribute {
        name: name.into(),
        type_text: type_text.into(),
        flags: AttributeFlags { all_clients: true, ..AttributeFlags::default() },
        initial: Bytes::copy_from_slice(initial),
        was: String::new(),
    }
}

/// A method that the own client may call.
pub(crate) fn method(name: &str, parameters: &[(&str, &str)]) -> Method {
    Method {
        name: name.into(),
        exposure: Exposure::OwnClient,
        parameters: fields(parameters),
        returns: "unit".into(),
        ..Method::default()
    }
}

/// A module of one type, `Avatar`.
pub(crate) fn module(attributes: Vec<Attribute>, methods: Vec<Method>) -> Manifest {
    Manifest {
        name: "yard".into(),
        label: "test".into(),
        sdk: "none".into(),
        types: vec![EntityType {
            name: "Avatar".into(),
            kind: TypeKind::Entity,
            boot: true,
            attributes,
            methods,
            client_methods: vec![ClientMethod {
                name: "shown".into(),
                parameters: fields(&[("text", "string")]),
            }],
            ..EntityType::default()
        }],
        definitions: vec![
            Definition {
                name: "Item".into(),
                shape: Shape::Record(fields(&[("name", "string"), ("wear", "u8")])),
            },
            Definition {
                name: "Mode".into(),
                shape: Shape::Cases(fields(&[("idle", "unit"), ("hunting", "id")])),
            },
        ],
        ..Manifest::default()
    }
}

/// Checked, with what was wrong in the panic's message.
pub(crate) fn checked(manifest: Manifest) -> Checked {
    manifest.check(&ManifestLimits::default()).unwrap_or_else(|errors| {
        panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}
