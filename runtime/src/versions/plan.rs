//! What a publication would do to what lives now: the answer to `plan`.
//!
//! Gets counts and the outcome of rehearsals from others; decides and says.

use super::diff::{Diff, Weight};
use super::table::{MethodKey, MethodLookup, ModuleVersion};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How many things name a method and wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Timers.
    pub timers: u64,
    /// Calls that wait for an answer, and watches.
    pub pending: u64,
    /// Messages that were not delivered yet.
    pub mailbox: u64,
}

/// What is parked, by small type id and method.
pub type ParkedMethods = BTreeMap<(u32, MethodKey), Parked>;

/// A method that something parked names and the new version does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedRefusal {
    /// Name of the type.
    pub type_name: String,
    /// Name of the method in the running version.
    pub method: String,
    /// True if there is a method of that name, with another signature.
    pub other_signature: bool,
    /// How many wait.
    pub parked: Parked,
}

/// How `migrate` went on copies of live entities of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MigrationTrial {
    /// Small id of the type.
    pub type_id: u32,
    /// Copies that were tried.
    pub tried: u64,
    /// How many failed.
    pub failed: u64,
    /// Why, for the first few: entity and error.
    pub failures: Vec<String>,
    /// True if migrating down again gave back every copy as it was.
    pub down_proved: bool,
}

/// What lives now, for a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Living {
    /// Entities by small type id.
    pub entities: BTreeMap<u32, u64>,
    /// Entities in the largest space by small type id: they migrate in one pause.
    pub largest_space: BTreeMap<u32, u64>,
    /// What is parked.
    pub parked: ParkedMethods,
    /// Rehearsals of `migrate`.
    pub trials: Vec<MigrationTrial>,
    /// Microseconds that `migrate` took for one entity; 0 if it was not measured.
    pub migrate_us: f64,
}

/// What can be done if the new version turns out bad.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Revert {
    /// The old version can come back by itself and nothing is lost.
    Automatic,
    /// It cannot, for these reasons: probation only halts the roll-out.
    Manual(Vec<String>),
}

/// How a plan ends, and the exit code of whoever asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ExitClass {
    /// 0: publish.
    Ok,
    /// 1: read first.
    Attention,
    /// 2: it would be refused.
    Refused,
}

/// The answer to `plan`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanReport {
    /// What changes.
    pub diff: Diff,
    /// Parked methods that would be lost.
    pub parked: Vec<ParkedRefusal>,
    /// Rehearsals of `migrate` that failed for some entity, or did not take place.
    pub failures: Vec<String>,
    /// Removed types with entities that live: type and count.
    pub orphans: Vec<(String, u64)>,
    /// Entities that go through `migrate`.
    pub entities_to_migrate: u64,
    /// Microseconds for which the space with the most to do stands still.
    pub expected_pause_us: u64,
    /// What can be done if it turns out bad.
    pub revert: Revert,
    /// How it ends.
    pub exit: ExitClass,
}

/// What a swap costs a space that migrates nothing: making an instance and first loads.
const SWAP_US: f64 = 300.0;
/// What `migrate` costs an entity if nobody measured it.
const MIGRATE_US: f64 = 2.0;

/// Methods that something parked names and `new` lacks. The running version says their names.
#[must_use]
pub fn parked_refusals(
    old: &ModuleVersion,
    new: &ModuleVersion,
    parked: &ParkedMethods,
) -> Vec<ParkedRefusal> {
    let mut refusals = Vec::new();
    for ((type_id, key), parked) in parked {
        let found = new.type_of(*type_id).map_or(MethodLookup::Unknown, |table| table.method(*key));
        if matches!(found, MethodLookup::Found(_)) {
            continue;
        }
        let index = old.type_by_id.get(type_id).copied().unwrap_or(u32::MAX) as usize;
        let (table, entity_type) = (old.types.get(index), old.manifest.types.get(index));
        let method = table.and_then(|table| match table.method(*key) {
            MethodLookup::Found(place) => entity_type?.methods.get(place as usize),
            _ => None,
        });
        refusals.push(ParkedRefusal {
            type_name: entity_type
                .map_or_else(|| format!("type {type_id}"), |entity_type| entity_type.name.clone()),
            method: method.map_or_else(|| format!("method {:016x}", key.name), |method| method.name.clone()),
            other_signature: found == MethodLookup::OtherSignature,
            parked: *parked,
        });
    }
    refusals
}

/// Puts the answer together.
#[must_use]
pub fn plan(old: &ModuleVersion, new: &ModuleVersion, living: &Living) -> PlanReport {
    let diff = super::diff::diff(old, new);
    let parked = parked_refusals(old, new, &living.parked);
    let count = |counts: &BTreeMap<u32, u64>, id: u32| counts.get(&id).copied().unwrap_or(0);
    let removed = diff.types.iter().filter(|entity_type| new.type_of(entity_type.id).is_none());
    let orphans: Vec<_> = removed
        .map(|entity_type| (entity_type.name.clone(), count(&living.entities, entity_type.id)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let (mut failures, mut unproved) = (Vec::new(), Vec::new());
    let (mut entities_to_migrate, mut in_one_space) = (0, 0);
    for entity_type in diff.migrations() {
        let entities = count(&living.entities, entity_type.id);
        entities_to_migrate += entities;
        in_one_space += count(&living.largest_space, entity_type.id);
        match living.trials.iter().find(|trial| trial.type_id == entity_type.id) {
            Some(trial) => failures.extend(describe_failures(&entity_type.name, trial)),
            None if entities > 0 => {
                failures.push(format!(
                    "{}: `migrate` was not tried on its {entities} entities",
                    entity_type.name
                ));
            }
            None => {}
        }
        let proved = living.trials.iter().any(|trial| trial.type_id == entity_type.id && trial.down_proved);
        if !proved && entities > 0 {
            unproved.push(format!("{}: `migrate` down does not give back what was before", entity_type.name));
        }
    }
    let migrated = |id: u32| diff.migrations().any(|entity_type| entity_type.id == id);
    let losses = diff.losses().filter(|(entity_type, _)| !migrated(entity_type.id));
    let reasons: Vec<_> = losses
        .map(|(entity_type, change)| format!("{}: {}", entity_type.name, change.text))
        .chain(unproved)
        .collect();
    let exit = if !parked.is_empty()
        || !failures.is_empty()
        || !orphans.is_empty()
        || diff.weight() == Weight::Refused
    {
        ExitClass::Refused
    } else if diff.weight() == Weight::Attention || !reasons.is_empty() {
        ExitClass::Attention
    } else {
        ExitClass::Ok
    };
    let each = if living.migrate_us > 0.0 { living.migrate_us } else { MIGRATE_US };
    PlanReport {
        parked,
        failures,
        orphans,
        entities_to_migrate,
        expected_pause_us: (SWAP_US + each * in_one_space as f64).round() as u64,
        revert: if reasons.is_empty() { Revert::Automatic } else { Revert::Manual(reasons) },
        exit,
        diff,
    }
}

fn describe_failures(type_name: &str, trial: &MigrationTrial) -> Vec<String> {
    if trial.failed == 0 {
        return Vec::new();
    }
    let summary = format!("{type_name}: `migrate` fails for {} of {} entities", trial.failed, trial.tried);
    let details = trial.failures.iter().map(|failure| format!("  {failure}"));
    std::iter::once(summary).chain(details).collect()
}

impl fmt::Display for ParkedRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parked { timers, pending, mailbox } = self.parked;
        let counts = [(timers, "timers"), (pending, "pending answers"), (mailbox, "messages")];
        let counts: Vec<_> =
            counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        let problem = if self.other_signature { "has another signature" } else { "is missing" };
        write!(f, "method `{}.{}` {problem}, and {} name it", self.type_name, self.method, counts.join(", "))
    }
}

impl fmt::Display for PlanReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.diff)?;
        for refusal in &self.parked {
            writeln!(f, "refused: {refusal}")?;
            writeln!(f, "  hint: keep the method, or name it in `was` of the one that replaces it")?;
        }
        for (name, count) in &self.orphans {
            writeln!(f, "refused: type `{name}` is removed, and {count} of it live")?;
            writeln!(f, "  hint: publish a version that destroys them first")?;
        }
        for failure in &self.failures {
            writeln!(f, "refused: {failure}")?;
        }
        if self.entities_to_migrate > 0 {
            writeln!(f, "entities to migrate: {}", self.entities_to_migrate)?;
        }
        writeln!(f, "expected pause: {:.1} ms", self.expected_pause_us as f64 / 1_000.0)?;
        match &self.revert {
            Revert::Automatic => writeln!(f, "revert: automatic, nothing is lost")?,
            Revert::Manual(reasons) => {
                writeln!(f, "revert: not automatic")?;
                for reason in reasons {
                    writeln!(f, "  {reason}")?;
                }
                writeln!(f, "  hint: publish with `--irreversible`, or let `migrate` lead back, too")?;
            }
        }
        f.write_str(match self.exit {
            ExitClass::Ok => "ok\n",
            ExitClass::Attention => "needs attention\n",
            ExitClass::Refused => "refused\n",
        })
    }
}

impl ExitClass {
    /// For a shell.
    #[must_use]
    pub fn code(self) -> i32 {
        self as i32
    }
}

#[cfg(test)]
mod tests;
