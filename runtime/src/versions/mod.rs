//! Versions of a module: what they declare, which small ids they have, how they differ.
//!
//! Knows nothing of instances, entities or clients: manifests in, tables and reports out.

pub mod table;

pub use table::{AttributeTable, MethodKey, MethodTable, ModuleVersion, TypeTable};
