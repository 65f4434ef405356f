//! Disturbances that must not change anything: instances dropped, events run twice, states compared.
//!
//! An instance is a cache. Whoever hides state in it is found here, by name.

use super::commit::DropReason;
use super::core::SpaceCore;
use super::state::Space;
use super::transaction::attributes::encode_for_guest;
use crate::guest::{EventKind, GuestSource, Trap, TrapKind, Verdict};
use crate::limits;
use crate::message::Output;
use everwake_protocol::EntityId;

const SALT_DROP: u64 = 1;
const SALT_TWIN: u64 = 2;
const SALT_CHECK: u64 = 3;

/// What an event did, in a form that two runs are compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    verdict: String,
    patches: Vec<(EntityId, Vec<u8>)>,
    requests: String,
}

impl SpaceCore {
    /// Runs the event on a fresh instance and takes it back, if it is one of those.
    pub(super) fn run_twin(&mut self, seed: [u32; 4], guests: &mut dyn GuestSource) -> Option<Fingerprint> {
        let space = self.shared();
        let event = space.commits.sequence() + 1;
        if !space.config.chaos.hits(space.config.chaos.twin_one_in, event, SALT_TWIN) {
            return None;
        }
        let mut guest = guests.instantiate(space.version.hash).ok()?;
        let event = self.space().begin(seed);
        let verdict = self.call_guest(guest.as_mut(), event);
        let fingerprint = self.shared().fingerprint(&verdict);
        let Space { running, world, .. } = self.space();
        running.roll_back(world, false);
        Some(fingerprint)
    }

    /// Compares what the resident instance did with what a fresh one did. To be called before the
    /// event ends.
    pub(super) fn compare_twin(&mut self, twin: &Fingerprint, verdict: &Verdict) {
        let own = self.shared().fingerprint(verdict);
        if own == *twin {
            return;
        }
        let what = match () {
            () if own.verdict != twin.verdict => "verdict",
            () if own.patches != twin.patches => "patch",
            () => "requests",
        };
        let message = format!(
            "hidden state in {}: the {what} differs from that of a fresh instance",
            self.shared().handler_name()
        );
        self.space().disagree(message);
    }

    /// After an event: drop, compare, recycle.
    pub(super) fn disturb(&mut self) {
        let Some(instance) = &self.instance else { return };
        let (used, limit) = instance.guest.memory_bytes();
        let space = self.shared();
        let (chaos, event) = (space.config.chaos, space.commits.sequence());
        if chaos.hits(chaos.check_one_in, event, SALT_CHECK) {
            self.check_resident();
        }
        if chaos.hits(chaos.drop_one_in, event, SALT_DROP) {
            self.drop_instance(DropReason::Chaos);
        } else if limit > 0 && used > limit / 100 * limits::RECYCLE_MEMORY_PERCENT {
            self.drop_instance(DropReason::Memory);
        }
    }

    /// Compares what the instance holds of the event's entity with what the host holds.
    fn check_resident(&mut self) {
        let id = self.shared().running.frame.entity;
        let Some(instance) = &mut self.instance else { return };
        let held = match instance.guest.snapshot(id) {
            Ok(Some(held)) => held,
            Ok(None) => return,
            Err(_) => return self.drop_instance(DropReason::Trap),
        };
        let space = self.space();
        let Some(entity) = space.world.by_id(id) else { return };
        let Some(table) = space.version.types.get(entity.type_index as usize) else { return };
        let own = encode_for_guest(table, &entity.body.attributes);
        if same_state(table, &own, &held) {
            return;
        }
        let name = space.handler_name();
        space.disagree(format!("guest and host disagree about {id} after {name}"));
        self.drop_instance(DropReason::Disagreement);
    }
}

/// Whether two sequences of whole attributes mean the same; an initial value may be left out.
fn same_state(table: &crate::versions::TypeTable, one: &[u8], other: &[u8]) -> bool {
    use everwake_protocol::attributes::PatchReader;
    let read = |sequence| {
        let mut values = vec![None; table.attributes.len()];
        for change in PatchReader::new(sequence) {
            let change: everwake_protocol::attributes::Change<'_> = change.ok()?;
            *values.get_mut(change.attribute as usize)? = change.value.map(<[u8]>::to_vec);
        }
        for (value, attribute) in values.iter_mut().zip(&table.attributes) {
            if value.is_none() {
                *value = Some(attribute.initial.to_vec());
            }
        }
        Some(values)
    };
    let (one, other) = (read(one), read(other));
    one.is_some() && one == other
}

impl Space {
    fn fingerprint(&self, verdict: &Verdict) -> Fingerprint {
        let running = &self.running;
        let mut patches = Vec::new();
        for (slot, start, end) in &running.deltas {
            let Some(entity) = self.world.get(*slot) else { continue };
            let bytes = running.delta_bytes.get(*start as usize..*end as usize).unwrap_or_default();
            patches.push((entity.id, bytes.to_vec()));
        }
        let verdict = match verdict {
            Verdict::Trapped(trap) => format!("trapped: {:?}", trap.kind),
            other => format!("{other:?}"),
        };
        let moves: Vec<_> = self.moves().collect();
        let requests = format!("{moves:?} {:?} {:?} {:?}", running.steps, running.staged, running.answered);
        Fingerprint { verdict, patches, requests }
    }

    fn disagree(&mut self, message: String) {
        self.counts.disagreements += 1;
        let trap = Trap { kind: TrapKind::Misuse, message, frames: Vec::new() };
        self.running.last_words = None;
        let crash = self.crash(&trap);
        self.fifo.push(Output::Crashed(crash));
    }

    /// The member that a failed tick is about, if that is known.
    pub(super) fn tick_culprit(&self, kind: TrapKind) -> Option<EntityId> {
        if self.running.frame.kind != EventKind::Tick {
            return None;
        }
        let due = &self.running.due;
        let slot = match (due.as_slice(), self.running.working_on) {
            ([only], _) => Some(only),
            (_, Some(index)) if kind != TrapKind::TimedOut => due.get(index as usize),
            _ => None,
        };
        Some(self.world.get(*slot?)?.id)
    }
}
