//! What messages weigh in memory, about: for limits, which need no more.

use super::{Body, EntityBody, Input, KeyValueOperation, Message};
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

/// What a message or an input costs beside what it carries.
const OVERHEAD: usize = 128;

impl Message {
    /// About how many bytes it keeps in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        OVERHEAD + self.body.bytes()
    }
}

impl EntityBody {
    /// Bytes of attributes and stored replies in it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(self.attributes.slots()) + self.attributes.bytes() + self.marks.reply_bytes()
    }
}

impl Input {
    /// About how many bytes it keeps in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let payload = match self {
            Input::Message(message) => return message.bytes(),
            Input::Request { args, .. } | Input::Create { args, .. } => args.len(),
            Input::Moved { motion, .. } => motion.len(),
            Input::Install(traveller) => traveller.body.bytes(),
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
