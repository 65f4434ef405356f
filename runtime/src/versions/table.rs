//! A version as spaces use it: the guest's indexes beside the lineage's small ids.

use super::structure::{Member, Structure, without_optional_tail};
use crate::guest::VersionHash;
use crate::manifest::{AttributeFlags, Exposure, Manifest};
use bytes::Bytes;
use everwake_protocol::attributes::Shape;
use everwake_protocol::schema::Schema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a method is named between processes and over versions: BLAKE3 of its name and of its
/// signature, the first 8 bytes of each. Optional parameters at the end leave it unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// Name hash to indexes of the methods of that name; former names of renamed methods too.
    pub method_by_name: BTreeMap<u64, u32>,
    /// Every key that means a method of this version to its index: its own, and those under
    /// which former versions knew it (renamed, or grown in a way that reads old arguments).
    pub method_by_key: BTreeMap<MethodKey, u32>,
    /// Small ids of the client methods, in the manifest's order.
    pub client_methods: Vec<u32>,
    /// Parameters of the client methods, in the manifest's order.
    pub client_parameters: Vec<Arc<[Member]>>,
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
    /// Its type, resolved: for [`super::check_value`] and [`super::describe_value`].
    pub structure: Arc<Structure>,
}

/// One method.
#[derive(Clone, Debug)]
pub struct MethodTable {
    /// Small id, unique in the module's lineage.
    pub id: u32,
    /// How it is named between processes: constant while the method keeps its identity.
    pub key: MethodKey,
    /// Who may call it.
    pub exposure: Exposure,
    /// Most calls of one client in a minute; 0 = the gate's default.
    pub calls_per_minute: u32,
    /// For [`super::check_args`] and [`super::describe_args`].
    pub parameters: Arc<[Member]>,
    /// What it answers.
    pub returns: Arc<Structure>,
}

/// What a key means to a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodLookup {
    /// Index of the method.
    Found(u32),
    /// There is a method of that name, with another signature: `version-mismatch`.
    OtherSignature,
    /// There is none: `no-such-method`.
    Unknown,
}

impl MethodKey {
    /// Of a method by its name, parameters and result.
    #[must_use]
    pub fn of(name: &str, parameters: &[Member], returns: &Structure) -> MethodKey {
        let mut signature = String::new();
        for parameter in without_optional_tail(parameters, |parameter| &parameter.structure) {
            signature.push_str(&parameter.structure.signature());
            signature.push(';');
        }
        signature.push_str("->");
        signature.push_str(&returns.signature());
        MethodKey { name: MethodKey::name_hash(name), signature: first_word(&signature) }
    }

    /// The half that depends on the name alone.
    #[must_use]
    pub fn name_hash(name: &str) -> u64 {
        first_word(name)
    }
}

fn first_word(text: &str) -> u64 {
    let hash = blake3::hash(text.as_bytes());
    hash.as_bytes().iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte))
}

impl TypeTable {
    /// The method that a message, a timer or a pending call names.
    #[must_use]
    pub fn method(&self, key: MethodKey) -> MethodLookup {
        match self.method_by_key.get(&key) {
            Some(index) => MethodLookup::Found(*index),
            None if self.method_by_name.contains_key(&key.name) => MethodLookup::OtherSignature,
            None => MethodLookup::Unknown,
        }
    }
}

impl ModuleVersion {
    /// The table of a type by its small id; none if this version lacks the type.
    #[must_use]
    pub fn type_of(&self, type_id: u32) -> Option<&TypeTable> {
        self.types.get(*self.type_by_id.get(&type_id)? as usize)
    }
}
