//! What a client must know of a module: small ids, names, types.
//!
//! Small ids are append-only over the versions of a module: one per (type, name, signature),
//! never used again. The table of a version contains those of all versions before it, so the
//! newest decodes everything that is under way.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

mod codec;

/// Everything that clients of one module may see or call, over all its versions so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// Name of the module.
    pub module: String,
    /// Rises with each publication of the module.
    pub generation: u32,
    /// Author's label and hash of the version that is head, for people.
    pub version: String,
    /// By small id.
    pub types: Vec<TypeSchema>,
    /// Structs and enums that the type texts name.
    pub definitions: Vec<Definition>,
}

/// One entity type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeSchema {
    /// Small id, unique in the module.
    pub id: u32,
    /// Name of the type.
    pub name: String,
    /// Whether the head version still has it.
    pub live: bool,
    /// Attributes that some client may see. Small ids are unique in the type, over all
    /// attributes, so they have gaps here.
    pub attributes: Vec<AttributeSchema>,
    /// Methods that a client may call. Small ids are unique in the module.
    pub methods: Vec<MethodSchema>,
    /// Methods that run on clients. Small ids are unique in the module.
    pub client_methods: Vec<MethodSchema>,
}

/// One attribute that is replicated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeSchema {
    /// Small id, unique in the type.
    pub id: u32,
    /// Name of the attribute.
    pub name: String,
    /// Type as text, see `wit/manifests.wit`.
    pub type_text: String,
    /// True if everybody who sees the entity gets it, false if its own client alone.
    pub all_clients: bool,
    /// Whether the head version still has it.
    pub live: bool,
    /// One CBOR item: the value until a frame says otherwise.
    pub initial: Bytes,
}

/// One method.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodSchema {
    /// Small id, unique in the module.
    pub id: u32,
    /// Name of the method.
    pub name: String,
    /// Parameters in order.
    pub parameters: Vec<Field>,
    /// Type of the answer as text.
    pub returns: String,
    /// True if every client that sees the entity may call it, false if its own client alone.
    pub all_clients: bool,
    /// Most calls of one client in a minute; 0 = the gate's default.
    pub calls_per_minute: u32,
    /// Whether the head version still has it.
    pub live: bool,
}

/// A named struct or enum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Name as the type texts use it.
    pub name: String,
    /// What it is.
    pub shape: Shape,
}

/// What a definition is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// Fields in order; encoded as an array.
    Record(Vec<Field>),
    /// Cases in order, with the type that each carries (`unit` for nothing); encoded as the
    /// index of the case, or `[index, value]`.
    Cases(Vec<Field>),
}

/// A name and a type text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Name of the parameter, field or case.
    pub name: String,
    /// Type as text.
    pub type_text: String,
}
