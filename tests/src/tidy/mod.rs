//! Rules on the tree itself, as functions from files to findings.
//!
//! Nothing here reads a disk but [`Tree::load`] and [`Workspace::load`], so each rule is tested
//! on a bad tree of its own.

mod crates;
mod documents;
mod errors;
mod source;
mod tree;
mod words;

pub use crates::{Dependency, Package, Workspace, direction, homes, purity};
pub use documents::{dependencies_are_told, paths_exist};
pub use errors::errors_have_names;
pub use source::{heads, sizes};
pub use tree::{File, Tree, root_is_tidy};
pub use words::{ignored_tests, words};

use std::fmt;

/// Something that a rule objects to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// File, with a line if there is one.
    pub place: String,
    /// What is wrong, and what to do.
    pub what: String,
}

impl Finding {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Finding {
        Finding { place: place.into(), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Why a tree could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum TidyError {
    /// A file could not be read.
    #[error("cannot read `{0}`: {1}")]
    Read(String, std::io::Error),
    /// `cargo metadata` does not answer as expected.
    #[error("`cargo metadata` {0}")]
    Metadata(String),
}
