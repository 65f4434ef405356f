//! Names and lines for the frames of a trap, read off the component as its author built it.
//!
//! Slow (milliseconds), so never on the path of events.

use std::path::PathBuf;
use std::sync::Arc;

/// Where the symbols of a version are.
#[derive(Debug, Clone)]
pub enum Symbols {
    /// The component came without.
    None,
    /// On disk, beside the compiled code.
    File(PathBuf),
    /// In memory.
    Memory(Arc<[u8]>),
}
