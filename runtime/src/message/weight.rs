//! What messages weigh in memory, about: for limits, which need no more.

use super::{Body, Input, KeyValueOperation};
use bytes::Bytes;

impl Body {
    /// Bytes of arguments, answers and texts in it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Body::Call { args, .. } => args.len(),
            Body::Answer { outcome, .. } => outcome.bytes(),
            Body::GiveFailed { code, .. } => code.len(),
            _ => 0,
        }
    }
}

impl Input {
    /// About how many bytes it keeps in memory, for limits.
    #[must_use]
    pub fn bytes(&self) -> usize {
        const OVERHEAD: usize = 128;
        let payload = match self {
            Input::Message(message) => message.body.bytes(),
            Input::Request { args, .. } | Input::Create { args, .. } => args.len(),
            _ => 0,
        };
        OVERHEAD + payload
    }
}

impl KeyValueOperation {
    /// Bytes of keys and values in it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let length = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
        match self {
            KeyValueOperation::Get { key } => key.len(),
            KeyValueOperation::Put { key, value } => key.len() + length(value),
            KeyValueOperation::GetOrPut { key, value } => key.len() + value.len(),
            KeyValueOperation::CompareAndSet { key, expected, value } => {
                key.len() + length(expected) + length(value)
            }
            KeyValueOperation::Range { first, end, .. } => first.len() + end.len(),
        }
    }
}
