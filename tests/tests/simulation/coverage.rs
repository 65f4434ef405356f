//! Which messages have been said in runs: one that never is has not been tried.

use bytes::Bytes;
use everwake_protocol::cluster::{FromDispatcher, ReturnReason, ToDispatcher};
use std::collections::BTreeMap;

/// How often each kind came.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    seen: BTreeMap<&'static str, u64>,
}

impl Coverage {
    /// What must be said in a few hundred runs. Nothing is ever so full that it comes back as overloaded, hardly
    /// anything waits so long that it comes back as unavailable, no room closes, and no process leaves in order.
    pub(crate) const WANTED: [&'static str; 23] = [
        "Report",
        "Known",
        "Spaces",
        "Entities",
        "Reported",
        "Resent",
        "Profile",
        "Ask",
        "Gone",
        "Block",
        "Carry",
        "Create",
        "Acks to",
        "Members",
        "Dead",
        "Deliver",
        "Return: gone",
        "Return: exists",
        "Return: no place",
        "Marker",
        "Acks from",
        "SendAgain",
        "Asked",
    ];

    pub(crate) fn said(&mut self, message: &ToDispatcher<Bytes>) {
        *self.seen.entry(to(message)).or_default() += 1;
    }

    pub(crate) fn heard(&mut self, message: &FromDispatcher<Bytes>) {
        *self.seen.entry(from(message)).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Coverage) {
        for (kind, count) in &other.seen {
            *self.seen.entry(kind).or_default() += count;
        }
    }

    /// Those of the wanted that never came.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        Coverage::WANTED.into_iter().filter(|kind| !self.seen.contains_key(kind)).collect()
    }

    pub(crate) fn table(&self) -> String {
        self.seen.iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join(", ")
    }
}

fn to(message: &ToDispatcher<Bytes>) -> &'static str {
    match message {
        ToDispatcher::Report => "Report",
        ToDispatcher::Spaces(_) => "Spaces",
        ToDispatcher::Entities(_) => "Entities",
        ToDispatcher::Reported => "Reported",
        ToDispatcher::Resent => "Resent",
        ToDispatcher::Profile(_) => "Profile",
        ToDispatcher::SpaceClosed(_) => "SpaceClosed",
        ToDispatcher::Gone { .. } => "Gone",
        ToDispatcher::Block { .. } => "Block",
        ToDispatcher::Carry(_) => "Carry",
        ToDispatcher::Create { .. } => "Create",
        ToDispatcher::Acks { .. } => "Acks to",
        ToDispatcher::Ask { .. } => "Ask",
        ToDispatcher::Leave => "Leave",
        ToDispatcher::Known { .. } => "Known",
    }
}

fn from(message: &FromDispatcher<Bytes>) -> &'static str {
    match message {
        FromDispatcher::Members(_) => "Members",
        FromDispatcher::Dead(_) => "Dead",
        FromDispatcher::Deliver(_) => "Deliver",
        FromDispatcher::Return { reason, .. } => match reason {
            ReturnReason::Gone => "Return: gone",
            ReturnReason::Overloaded => "Return: overloaded",
            ReturnReason::Unavailable => "Return: unavailable",
            ReturnReason::Exists => "Return: exists",
            ReturnReason::NoPlace => "Return: no place",
            ReturnReason::Hops => "Return: hops",
        },
        FromDispatcher::Marker { .. } => "Marker",
        FromDispatcher::Acks(_) => "Acks from",
        FromDispatcher::SendAgain => "SendAgain",
        FromDispatcher::Asked { .. } => "Asked",
    }
}
