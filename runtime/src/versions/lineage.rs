//! All versions of one module, one after the other: who gave out which small id to what.
//!
//! Ids are append-only. An attribute keeps its id while its values stay readable: under the same
//! name or one that `was` links to it, with the same type or one that grew out of it. The same
//! holds for methods. A type that was live before under an id finds that id again, so that a
//! roll-back meets its own values. Anything else is a new id; the old one rests.

use super::table::{ModuleVersion, TypeTable};
use crate::guest::VersionHash;
use crate::manifest::{Checked, CheckedType, EntityType, TypeKind};
use lines::number;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

mod lines;
#[cfg(test)]
mod tests;

pub(super) use lines::TypeLine;

/// Attribute ids of one type, dead ones included. Each entity has a slot for each.
pub const ATTRIBUTE_IDS_MAX: usize = 4_096;
/// Method and client method ids of a module, dead ones included.
pub const METHOD_IDS_MAX: u32 = 65_536;
/// Types of a module, dead ones included.
pub const TYPE_IDS_MAX: usize = 4_096;
/// Types that one attribute or method has had under one id.
pub const VARIANTS_MAX: usize = 64;

/// The versions of one module so far. Plain data: kept beside the versions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    pub(super) module: String,
    pub(super) generation: u32,
    method_ids: u32,
    /// By small id.
    pub(super) types: Vec<TypeLine>,
}

/// Why a version cannot follow those before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineageError {
    /// A manifest of another module.
    #[error("the module is called `{found}`; the versions before it are called `{expected}`")]
    OtherModule {
        /// Name in the lineage.
        expected: String,
        /// Name in the manifest.
        found: String,
    },
    /// A generation that does not rise.
    #[error("generation {found} does not follow generation {last}")]
    Generation {
        /// The last one.
        last: u32,
        /// The one that was asked for.
        found: u32,
    },
    /// A type changed its kind between `foreign` and one of the module's own.
    #[error("type `{0}` was foreign and is not any more, or the other way round; hint: choose another name")]
    Foreign(String),
    /// A method took the former name and signature of another live one.
    #[error(
        "method `{type_name}.{method}` has the former name and signature of `{type_name}.{taken_by}`; hint: choose another name"
    )]
    KeyTaken {
        /// The type.
        type_name: String,
        /// The new method.
        method: String,
        /// The one that was called so.
        taken_by: String,
    },
    /// Ids are never given out again; after very many versions there are none left.
    #[error("{0} has no small ids left after so many versions; hint: publish under another name")]
    Exhausted(String),
}

impl Lineage {
    /// Nothing published yet.
    #[must_use]
    pub fn new(module: impl Into<String>) -> Lineage {
        Lineage { module: module.into(), ..Lineage::default() }
    }

    /// Name of the module.
    #[must_use]
    pub fn module(&self) -> &str {
        &self.module
    }

    /// Of the last publication; 0 if there is none.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The next version, and the lineage with it at its end. A roll-back is a publication too.
    /// The lineage itself stays as it is, so that a plan is a publication whose result is dropped.
    pub fn publish(
        &self,
        checked: Checked,
        hash: VersionHash,
        generation: u32,
    ) -> Result<(Lineage, ModuleVersion), LineageError> {
        let manifest = checked.manifest();
        if manifest.name != self.module {
            let (expected, found) = (self.module.clone(), manifest.name.clone());
            return Err(LineageError::OtherModule { expected, found });
        }
        if generation <= self.generation {
            return Err(LineageError::Generation { last: self.generation, found: generation });
        }
        let mut next = self.clone();
        next.generation = generation;
        let mut types = Vec::new();
        for (entity_type, structures) in manifest.types.iter().zip(checked.types()) {
            types.push(next.publish_type(entity_type, structures)?);
        }
        let type_by_id = types.iter().enumerate().map(|(place, table)| (table.id, number(place))).collect();
        let names = manifest.types.iter().enumerate();
        let type_by_name =
            names.map(|(place, entity_type)| (entity_type.name.clone(), number(place))).collect();
        let schema = Arc::new(super::schema::client_schema(&next, &checked, hash));
        let manifest = checked.into_manifest();
        let version = ModuleVersion { hash, generation, manifest, types, type_by_id, type_by_name, schema };
        Ok((next, version))
    }

    fn publish_type(
        &mut self,
        entity_type: &EntityType,
        checked: &CheckedType,
    ) -> Result<TypeTable, LineageError> {
        let foreign = entity_type.kind == TypeKind::Foreign;
        let id = match self.types.iter().position(|line| line.name == entity_type.name) {
            Some(id) => id,
            None if self.types.len() >= TYPE_IDS_MAX => {
                return Err(LineageError::Exhausted(format!("module `{}`", self.module)));
            }
            None => {
                self.types.push(TypeLine { name: entity_type.name.clone(), foreign, ..TypeLine::default() });
                self.types.len() - 1
            }
        };
        let Some(line) = self.types.get_mut(id) else {
            return Err(LineageError::Exhausted(format!("module `{}`", self.module)));
        };
        if line.foreign != foreign {
            return Err(LineageError::Foreign(entity_type.name.clone()));
        }
        line.last = self.generation;
        let attributes = line.publish_attributes(&entity_type.attributes, &checked.attributes)?;
        let methods = line.publish_methods(&entity_type.methods, &checked.methods, &mut self.method_ids)?;
        let mut client_methods = Vec::new();
        for (method, parameters) in entity_type.client_methods.iter().zip(&checked.client_methods) {
            client_methods.push(line.publish_client_method(method, parameters, &mut self.method_ids)?);
        }
        let client_parameters =
            checked.client_methods.iter().map(|parameters| parameters.clone().into()).collect();
        line.table(id, attributes, methods, client_methods, client_parameters)
    }
}
