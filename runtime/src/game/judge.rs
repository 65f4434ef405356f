//! How a version compares to head, and what is made of what all games have found about it.

use super::modules::{Module, Next};
use super::publish::{Agreed, Publication};
use super::report::{Pauses, PublicationReport, full_hash};
use crate::cargo::peer::{Findings, Order};
use crate::guest::VersionHash;
use crate::manifest::Checked;
use crate::message::Parked;
use crate::versions::diff::{Change, Diff, Weight, diff};

/// How a version compares to head.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Candidate {
    /// True if going back from it to the version before it loses nothing, as far as is known.
    pub(super) reversible: bool,
    /// True if going back would forget something that was written after, whatever `migrate` does.
    pub(super) forgets: bool,
    /// True if values that live entities hold go out of use.
    pub(super) loses: bool,
}

impl Module {
    /// How a version that would come next compares to head.
    pub(super) fn compare(
        &self,
        version: VersionHash,
        checked: Checked,
        report: &mut PublicationReport,
    ) -> Result<Candidate, String> {
        report.from = full_hash(self.head.hash);
        let next = Next::after(&self.lineage, version, checked)?;
        let diff = diff(&self.head, &next.version);
        report.changes = changes(&diff);
        for change in diff.types.iter().flat_map(|changed| &changed.changes) {
            match change.weight {
                Weight::Fine => {}
                Weight::Attention | Weight::Loss => report.warnings.push(said(change)),
                Weight::Refused => report.refusals.push(said(change)),
            }
        }
        let forgets = diff.losses().next().is_some();
        Ok(Candidate { reversible: diff.is_additive(), forgets, loses: diff.loses() })
    }
}

impl Findings {
    /// Adds what another game has found; what stands against it.
    pub(super) fn merge(&mut self, other: Findings) -> Vec<String> {
        let mut refusals = other.refusals;
        if self.table == [0; 32] {
            self.table = other.table;
        } else if self.table != other.table {
            refusals
                .push("it has given out other small ids\nhint: run the same release everywhere".to_owned());
        }
        self.spaces += other.spaces;
        self.rehearsal.merge(other.rehearsal);
        refusals
    }
}

impl Publication {
    /// With what all games have found.
    pub(super) fn judge(&mut self) {
        let Publication { order, candidate, report, found, .. } = self;
        let rehearsal = &found.rehearsal;
        report.spaces = found.spaces;
        report.entities = rehearsal.entities;
        report.migrated = rehearsal.migrated;
        report.expected_pause = Pauses::of(&rehearsal.pause_micros).filter(|_| order.plan);
        for Parked { type_name, method, kind, count } in &rehearsal.parked {
            report.refusals.push(format!(
                "{count} x {kind}: `{type_name}::{method}` is waited for, and the new version lacks it\n\
                 hint: keep the method, or name its successor with `was`"
            ));
        }
        if rehearsal.failed > 0 {
            let examples = rehearsal.failures.join("; ");
            report.refusals.push(format!("`migrate` fails for {} entities: {examples}", rehearsal.failed));
        }
        report.refusals.append(&mut found.refusals);
        // What a head that has failed goes back to was looked at when that head was published.
        if !order.revert {
            candidate.agree(order, report, rehearsal.reversible);
        }
        if !report.refusals.is_empty() {
            report.exit = 2;
        } else if order.plan && report.exit == 0 {
            report.summary = match report.from.is_empty() {
                true => "the module starts".to_owned(),
                false => {
                    format!("{} spaces would swap; {} entities migrate", found.spaces, rehearsal.migrated)
                }
            };
        }
    }
}

impl Candidate {
    fn agree(&mut self, order: &Order, report: &mut PublicationReport, rehearsed: bool) {
        self.reversible = !self.forgets && rehearsed;
        report.reversible = self.reversible;
        let no_way_back =
            "going back would lose changes, or `migrate` down does not give back what was there";
        let lost_by_going =
            "this loses what the running version has changed, or `migrate` cannot carry it there and back";
        // What a roll-back takes out of use comes back with the next version.
        let loses = if order.rollback { self.forgets } else { self.loses };
        let (needed, why) = match (order.rollback, loses, self.reversible) {
            (true, false, true) | (false, false, true) => (Agreed::Nothing, ""),
            (true, ..) => (Agreed::Loss, lost_by_going),
            (false, true, _) => (Agreed::Loss, "values that live entities hold would go out of use"),
            (false, false, false) => (Agreed::NoWayBack, no_way_back),
        };
        if needed > order.options.agreed {
            report.exit = 1;
            report.summary = why.to_owned();
        } else if !self.reversible {
            report.warnings.push(if order.rollback { lost_by_going } else { no_way_back }.to_owned());
        }
    }
}

/// A line for each change.
fn changes(diff: &Diff) -> Vec<String> {
    let mut lines = Vec::new();
    for changed in &diff.types {
        if let Some((from, to)) = changed.migrate {
            lines.push(format!("{}: schema {from} -> {to}, its entities go through `migrate`", changed.name));
        }
        lines.extend(changed.changes.iter().map(|change| format!("{}: {}", changed.name, change.text)));
    }
    lines
}

fn said(change: &Change) -> String {
    match change.hint.as_str() {
        "" => change.text.clone(),
        hint => format!("{}\nhint: {hint}", change.text),
    }
}
