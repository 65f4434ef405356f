//! The one answer to a call: `[0, value]` or `[1, certainty, code, detail]`.

use crate::cbor::{self, CborError, Kind, Reader};
use bytes::Bytes;

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Outcome {
    /// It was done; one CBOR item.
    Ok(Bytes),
    /// It was not, or nobody knows.
    Err {
        /// Whether it may have happened.
        certainty: Certainty,
        /// Names the error to programs: one of [`code`] or the game's own.
        code: String,
        /// One CBOR item.
        detail: Bytes,
    },
}

/// Whether a call that failed may have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub enum Certainty {
    /// Surely not.
    NotRun = 0,
    /// It may have.
    Unknown = 1,
    /// The target ran, committed, and said no.
    Refused = 2,
}

/// The codes that the host itself uses.
pub mod code {
    /// The target does not exist any more.
    pub const GONE: &str = "gone";
    /// The target's type has no such method.
    pub const NO_SUCH_METHOD: &str = "no-such-method";
    /// The caller may not call this method on this target.
    pub const NOT_EXPOSED: &str = "not-exposed";
    /// The arguments did not decode.
    pub const BAD_ARGUMENTS: &str = "bad-arguments";
    /// The handler returned an error; the detail is its text.
    pub const FAILED: &str = "failed";
    /// The handler trapped.
    pub const TRAPPED: &str = "trapped";
    /// The handler used up its time.
    pub const TIMED_OUT: &str = "timed-out";
    /// No answer came in time.
    pub const DEADLINE: &str = "deadline";
    /// A queue is full; later it may work.
    pub const OVERLOADED: &str = "overloaded";
    /// A named limit; the detail is its name.
    pub const LIMIT: &str = "limit";
    /// What would be needed is not there now.
    pub const UNAVAILABLE: &str = "unavailable";
    /// Whoever had taken the answer over died.
    pub const DROPPED: &str = "dropped";
    /// Caller and target know different signatures of the method.
    pub const VERSION_MISMATCH: &str = "version-mismatch";
    /// The request ran before and its answer is not kept any more.
    pub const ALREADY_DONE: &str = "already-done";
    /// The process of the target died before it answered.
    pub const PROCESS_DIED: &str = "process-died";
    /// The target does not own the client any more.
    pub const REBOUND: &str = "rebound";
    /// The client's connection ended before the answer came. Clients say so to themselves.
    pub const DISCONNECTED: &str = "disconnected";
}

impl Outcome {
    /// It was done and answers nothing.
    pub fn null() -> Outcome {
        Outcome::Ok(Bytes::from_static(&[cbor::NULL]))
    }

    /// It surely did not happen.
    pub fn not_run(code: &str) -> Outcome {
        Outcome::failed(Certainty::NotRun, code)
    }

    /// It may have happened.
    pub fn unknown(code: &str) -> Outcome {
        Outcome::failed(Certainty::Unknown, code)
    }

    /// The target said no; `detail` is one CBOR item.
    pub fn refused(code: &str, detail: Bytes) -> Outcome {
        Outcome::Err { certainty: Certainty::Refused, code: code.to_owned(), detail }
    }

    /// The same error with a text as detail.
    pub fn with_text(self, text: &str) -> Outcome {
        match self {
            Outcome::Err { certainty, code, .. } => {
                let mut detail = Vec::with_capacity(text.len() + 5);
                cbor::text(&mut detail, text);
                Outcome::Err { certainty, code, detail: detail.into() }
            }
            ok => ok,
        }
    }

    /// Bytes of its value, or of its code and detail.
    pub fn bytes(&self) -> usize {
        match self {
            Outcome::Ok(value) => value.len(),
            Outcome::Err { code, detail, .. } => code.len() + detail.len(),
        }
    }

    /// Writes it as one CBOR item.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Outcome::Ok(value) => {
                cbor::array(out, 2);
                cbor::uint(out, 0);
                out.extend_from_slice(value);
            }
            Outcome::Err { certainty, code, detail } => {
                cbor::array(out, 4);
                cbor::uint(out, 1);
                cbor::uint(out, *certainty as u64);
                cbor::text(out, code);
                out.extend_from_slice(detail);
            }
        }
    }

    /// The same as bytes of its own.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        self.encode(&mut out);
        out.into()
    }

    /// Reads it; value and detail share the memory of `input`.
    pub fn decode(input: &Bytes) -> Result<Outcome, CborError> {
        let mut reader = Reader::new(input);
        let len = reader.array()?;
        let outcome = match (len, reader.uint()?) {
            (2, 0) => Outcome::Ok(input.slice_ref(reader.item()?)),
            (4, 1) => {
                let certainty = match reader.uint()? {
                    0 => Certainty::NotRun,
                    1 => Certainty::Unknown,
                    2 => Certainty::Refused,
                    _ => return Err(CborError::Range),
                };
                let code = reader.text()?.to_owned();
                Outcome::Err { certainty, code, detail: input.slice_ref(reader.item()?) }
            }
            _ => return Err(CborError::Expected("an outcome")),
        };
        reader.end()?;
        Ok(outcome)
    }

    /// True if it was done.
    pub fn is_ok(&self) -> bool {
        matches!(self, Outcome::Ok(_))
    }

    fn failed(certainty: Certainty, code: &str) -> Outcome {
        Outcome::Err { certainty, code: code.to_owned(), detail: Bytes::from_static(&[cbor::NULL]) }
    }
}

/// The error as a sentence for people: code, certainty, and the detail if it says something.
impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Outcome::Ok(value) => f.write_str(&cbor::diagnostic(value)),
            Outcome::Err { certainty, code, detail } => {
                let certainty = match certainty {
                    Certainty::NotRun => "not run",
                    Certainty::Unknown => "unknown whether it ran",
                    Certainty::Refused => "refused",
                };
                write!(f, "{code} ({certainty})")?;
                match Reader::new(detail).kind() {
                    Ok(Kind::Null) | Err(_) => Ok(()),
                    Ok(_) => write!(f, ": {}", cbor::diagnostic(detail)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn outcomes_go_both_ways() {
        for outcome in [
            Outcome::null(),
            Outcome::not_run(code::GONE),
            Outcome::unknown(code::DEADLINE).with_text("5,000 ms"),
            Outcome::refused("too-poor", Bytes::from_static(&[0x18, 0x64])),
        ] {
            assert_eq!(Outcome::decode(&outcome.to_bytes()), Ok(outcome));
        }
        assert_eq!(
            Outcome::refused("too-poor", Bytes::from_static(&[7])).to_string(),
            "too-poor (refused): 7"
        );
    }

    #[test]
    fn other_items_are_refused() {
        for input in [
            &[0x82, 0x01, 0x00][..],
            &[0x81, 0x00],
            &[0x84, 1, 3, 0x60, 0xf6],
            &[0x82, 0, 0, 0],
            &[0xf6],
            &[],
        ] {
            assert!(Outcome::decode(&Bytes::copy_from_slice(input)).is_err(), "{input:02x?}");
        }
    }

    proptest! {
        #[test]
        fn garbage_does_no_harm(input in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Outcome::decode(&input.into());
        }
    }
}
