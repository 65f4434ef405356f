//! A version as spaces use it: the guest's indexes beside the lineage's small ids.

use crate::guest::VersionHash;
use crate::manifest::{AttributeFlags, Exposure, Manifest};
use bytes::Bytes;
use everwake_protocol::attributes::Shape;
use everwake_protocol::schema::Schema;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a method is named between processes and over versions: BLAKE3 of its name and of its
/// signature, the first 8 bytes of each. Optional parameters at the end leave it unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MethodKey {
    /// Of the name.
    pub name: u64,
    /// Of the parameter types and the result type.
    pub signature: u64,
}

/// One checked version of a module. Immutable; spaces share it.
#[derive(Debug)]
pub struct ModuleVersion {
    /// BLAKE3 of the component.
    pub hash: VersionHash,
    /// Rises with each publication of the module, roll-backs included.
    pub generation: u32,
    /// What the module says about itself; the guest's indexes point into it.
    pub manifest: Manifest,
    /// One for each type of the manifest, in its order.
    pub types: Vec<TypeTable>,
    /// Small type id to index into `types`.
    pub type_by_id: BTreeMap<u32, u32>,
    /// Type name to index into `types`.
    pub type_by_name: BTreeMap<String, u32>,
    /// What clients are told.
    pub schema: Arc<Schema>,
}

/// One type.
#[derive(Debug)]
pub struct TypeTable {
    /// Small id.
    pub id: u32,
    /// One for each attribute of the manifest, in its order.
    pub attributes: Vec<AttributeTable>,
    /// Small attribute id to the guest's index; attributes that only other versions know are
    /// absent and ride along.
    pub attribute_by_id: BTreeMap<u32, u32>,
    /// True if every attribute's small id is its index: patches need no renumbering.
    pub identity: bool,
    /// Number of small attribute ids given out so far in the lineage, dead ones included.
    pub attribute_ids: u32,
    /// One for each method of the manifest, in its order.
    pub methods: Vec<MethodTable>,
    /// Small method id to index.
    pub method_by_id: BTreeMap<u32, u32>,
    /// Name hash to indexes of the methods of that name.
    pub method_by_name: BTreeMap<u64, u32>,
    /// Small ids of the client methods, in the manifest's order.
    pub client_methods: Vec<u32>,
}

/// One attribute.
#[derive(Clone, Debug)]
pub struct AttributeTable {
    /// Small id, unique in the type's lineage.
    pub id: u32,
    /// How the host stores it.
    pub shape: Shape,
    /// Who sees it and what keeps it.
    pub flags: AttributeFlags,
    /// One CBOR item.
    pub initial: Bytes,
    /// CBOR major types that a value may begin with, bit m for major type m; options allow null.
    pub majors: u8,
}

/// One method.
#[derive(Clone, Debug)]
pub struct MethodTable {
    /// Small id, unique in the module's lineage.
    pub id: u32,
    /// How it is named between processes.
    pub key: MethodKey,
    /// Who may call it.
    pub exposure: Exposure,
    /// Most calls of one client in a minute; 0 = the gate's default.
    pub calls_per_minute: u32,
}
