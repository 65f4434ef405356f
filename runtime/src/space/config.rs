//! What a space is told when it is made. Values only.

use super::budget::PastBudget;
use crate::limits;
use crate::replicate::Intervals;
use everwake_protocol::{EntityId, Id};
use serde::{Deserialize, Serialize};

/// What kind of actor this is; they share all mechanisms and differ in who reaches whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpaceKind {
    /// Members with poses that reach each other directly.
    Space,
    /// Entities outside of spaces: each reaches only itself.
    Nil,
    /// One service shard: the same, with the shard as its only lasting entity.
    Service,
}

/// Everything that a space must know from the start.
#[derive(Clone, Debug)]
pub struct SpaceConfig {
    /// Its name; for a space and a service shard also that of its own entity.
    pub id: EntityId,
    /// What it is.
    pub kind: SpaceKind,
    /// Epoch of the space: goes into the ids of its messages.
    pub epoch: u32,
    /// Under which its messages go: its id, or for a service one of each life.
    pub sender: Id,
    /// Seeds the chance of its events.
    pub seed: [u8; 32],
    /// How often clients are told.
    pub intervals: Intervals,
    /// Events of one drain; others get their turn then.
    pub events_per_drain: usize,
    /// Commit records that are kept.
    pub commits_kept: usize,
    /// Whether the last seconds are kept, for whoever asks what happened.
    pub keeps_past: bool,
    /// What that may weigh, together with those of others.
    pub past_budget: PastBudget,
    /// What to disturb on purpose.
    pub chaos: Chaos,
    /// The deployment is ready; else [`crate::message::Input::Ready`] says so.
    pub ready: bool,
}

impl SpaceConfig {
    /// A space without chaos, with the default limits.
    #[must_use]
    pub fn new(id: EntityId, kind: SpaceKind, seed: [u8; 32]) -> SpaceConfig {
        SpaceConfig {
            id,
            kind,
            epoch: 1,
            sender: id.0,
            seed,
            intervals: Intervals::default(),
            events_per_drain: limits::EVENTS_PER_DRAIN,
            commits_kept: limits::COMMITS_KEPT,
            keeps_past: true,
            past_budget: PastBudget::default(),
            chaos: Chaos::default(),
            ready: true,
        }
    }
}

/// Disturbances that must not change anything. Each number n means: one event in n, chosen by
/// `seed`; 1 = every event, 0 = never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chaos {
    /// Chooses the events.
    pub seed: u64,
    /// The instance is dropped after the event.
    pub drop_one_in: u32,
    /// The event runs on a fresh instance too, and the results are compared.
    pub twin_one_in: u32,
    /// What the instance holds of the event's entity is compared with what the host holds.
    pub check_one_in: u32,
}

impl Chaos {
    /// Whether the event with this number is one of `one_in`.
    pub(super) fn hits(&self, one_in: u32, event: u64, salt: u64) -> bool {
        match one_in {
            0 => false,
            1 => true,
            n => {
                mix(self.seed ^ salt ^ event.wrapping_mul(0x9e37_79b9_7f4a_7c15)).is_multiple_of(u64::from(n))
            }
        }
    }
}

fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}
