//! What the test binaries under `tests/tests` are made of.
//!
//! # Layout
//! - [`tidy`]: rules on the tree itself: who may use whom, sizes, words, paths in documents.

pub mod tidy;
