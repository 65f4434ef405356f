//! Values between people and the wire: text and JSON on one side, CBOR on the other, and a
//! type text between them that says what is meant.
//!
//! Knows nothing of connections, entities or schemas beyond their definitions.

mod decode;
mod encode;
mod line;
mod types;

pub use decode::{decode, inline};
pub use encode::encode_arguments;
pub use line::arguments_of_line;
pub use types::Definitions;

/// Why a value does not fit its type. Says where in the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A type text that cannot be read.
    #[error("the type `{0}` cannot be read: {1}")]
    Type(String, &'static str),
    /// A name that no definition has.
    #[error("no type is named `{0}`")]
    Unknown(String),
    /// Another kind of value than the type says.
    #[error("{place}: expected `{expected}`, found `{found}`")]
    Mismatch {
        /// Path into the value.
        place: String,
        /// The type, or what of it is wanted.
        expected: String,
        /// What stands there, cut.
        found: String,
    },
    /// Too few or too many arguments.
    #[error("expected {}, found {found}: {signature}", arguments(*expected))]
    Count {
        /// How many the method has.
        expected: usize,
        /// How many were given.
        found: usize,
        /// The method's parameters.
        signature: String,
    },
    /// Quotes or brackets that do not close.
    #[error("`{0}` is not closed")]
    Open(char),
    /// A value nested too deep.
    #[error("the value is nested too deep")]
    Depth,
    /// Bytes of a peer that are not what its schema says.
    #[error("{0}")]
    Cbor(#[from] everwake_protocol::cbor::CborError),
}

fn arguments(number: usize) -> String {
    match number {
        0 => "no arguments".to_owned(),
        1 => "1 argument".to_owned(),
        many => format!("{many} arguments"),
    }
}

/// At most this much of a wrong value is shown.
const FOUND_CHARS_MAX: usize = 60;

fn mismatch(place: &str, expected: impl Into<String>, found: &str) -> ValueError {
    let mut cut: String = found.chars().take(FOUND_CHARS_MAX).collect();
    if cut.len() < found.len() {
        cut.push('…');
    }
    ValueError::Mismatch { place: place.to_owned(), expected: expected.into(), found: cut }
}
