//! What a module says about itself, checked: the host's form of `wit/manifests.wit`.
//!
//! Guest-controlled until [`Manifest::check`] has passed it.

use bytes::Bytes;
use everwake_protocol::schema::{Definition, Field};
use serde::{Deserialize, Serialize};

mod check;
mod problem;
#[cfg(test)]
mod tests;

pub use check::{Checked, CheckedMethod, CheckedType};
pub use problem::{ManifestError, ManifestLimits, ManifestProblem};

/// A module's own description. Indexes in it are the guest's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "wit/manifests.wit says it")]
pub struct Manifest {
    pub name: String,
    pub label: String,
    pub sdk: String,
    pub types: Vec<EntityType>,
    pub definitions: Vec<Definition>,
    pub event_budget_ms: u32,
    pub memory_bytes: u32,
    pub capabilities: Vec<String>,
}

/// One type of entity, space or service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "wit/manifests.wit says it")]
pub struct EntityType {
    pub name: String,
    pub kind: TypeKind,
    pub schema: u32,
    pub attributes: Vec<Attribute>,
    pub methods: Vec<Method>,
    pub client_methods: Vec<ClientMethod>,
    /// Bit `h` is set if hook number `h` is implemented.
    pub hooks: u32,
    pub boot: bool,
    pub persistent: bool,
    pub ticks_per_second: f32,
    pub aoi_radius: Option<f32>,
    pub shards: u32,
    pub sleeps_unwatched: bool,
}

/// What a type is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "wit/manifests.wit says it")]
pub enum TypeKind {
    #[default]
    Entity,
    Space,
    Service,
    Foreign,
}

/// One attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "wit/manifests.wit says it")]
pub struct Attribute {
    pub name: String,
    pub type_text: String,
    pub flags: AttributeFlags,
    pub initial: Bytes,
    pub was: String,
}

/// Who sees an attribute and what keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "wit/manifests.wit says it")]
pub struct AttributeFlags {
    pub client: bool,
    pub all_clients: bool,
    pub persistent: bool,
    pub volatile: bool,
    pub secret: bool,
}

/// Who may call a method, from least to most open; operators come beside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "wit/manifests.wit says it")]
pub enum Exposure {
    #[default]
    Internal,
    Server,
    OwnClient,
    AllClients,
    Operator,
}

/// One method of a type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "wit/manifests.wit says it")]
pub struct Method {
    pub name: String,
    pub exposure: Exposure,
    pub parameters: Vec<Field>,
    pub returns: String,
    pub calls_per_minute: u32,
    pub was: String,
}

/// A method that runs on clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "wit/manifests.wit says it")]
pub struct ClientMethod {
    pub name: String,
    pub parameters: Vec<Field>,
}
