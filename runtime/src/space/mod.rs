//! A space.

pub mod attributes_serde;
