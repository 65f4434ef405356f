//! Versions of a module: what they declare, which small ids they have, how they differ.
//!
//! Knows nothing of instances, entities or clients: manifests in, tables and reports out.
//!
//! # Layout
//! - [`type_text`]: types as modules write them.
//! - [`structure`]: types with their definitions filled in, and how two of them relate.
//! - [`value`]: is a value of its type, and how is it shown.
//! - [`mask`]: values without their secrets.
//! - [`table`]: a version as spaces use it.
//! - [`lineage`]: who gave out which small id to what.
//! - [`diff`]: what one version changes against another.

pub mod diff;
pub mod lineage;
pub mod mask;
#[cfg(test)]
mod page;
#[cfg(test)]
pub(crate) mod samples;
mod schema;
pub mod structure;
pub mod table;
pub mod type_text;
pub mod value;

pub use diff::{Diff, Weight, diff};
pub use lineage::{Lineage, LineageError};
pub use mask::{mask_args, mask_value};
pub use structure::{Member, Relation, Structure};
pub use table::{AttributeTable, MethodKey, MethodLookup, MethodTable, ModuleVersion, TypeTable};
pub use value::{check_args, check_value, describe_args, describe_value};
