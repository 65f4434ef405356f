//! Which functions there are, read from `wit/`, and which of them have a case.

use std::collections::BTreeSet;
use std::path::Path;
use wit_parser::{Resolve, WorldItem};

/// Functions that only look. They have no case, as there is nothing to undo.
const READS: [&str; 12] = [
    "calls.caller",
    "clients.client-of",
    "entities.load",
    "services.by-key",
    "services.by-number",
    "spaces.current",
    "spaces.members",
    "spaces.near",
    "spaces.pose-of",
    "ticks.due",
    "ticks.neighbours",
    "ticks.poses",
];

/// What the case of a function is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// Something of the world changes.
    Changes,
    /// It settles the running call, so nothing else may do so in the same event.
    Answers,
}

/// Functions that a method calls.
pub(crate) const CASES: [(&str, Case); 34] = [
    ("calls.answer", Case::Answers),
    ("calls.call", Case::Changes),
    ("calls.defer", Case::Answers),
    ("calls.gather", Case::Changes),
    ("calls.post", Case::Changes),
    ("calls.refuse", Case::Answers),
    ("calls.reply", Case::Changes),
    ("calls.reply-refused", Case::Changes),
    ("calls.send", Case::Changes),
    ("clients.broadcast", Case::Changes),
    ("clients.call", Case::Changes),
    ("clients.give", Case::Changes),
    ("clients.kick", Case::Changes),
    ("clients.set-filter", Case::Changes),
    ("entities.create", Case::Changes),
    ("entities.destroy", Case::Changes),
    ("entities.patch", Case::Changes),
    ("entities.spawn", Case::Changes),
    ("key-value.compare-and-set", Case::Changes),
    ("key-value.get", Case::Changes),
    ("key-value.get-or-put", Case::Changes),
    ("key-value.put", Case::Changes),
    ("key-value.range", Case::Changes),
    ("spaces.allow-client-moves", Case::Changes),
    ("spaces.enter", Case::Changes),
    ("spaces.leave", Case::Changes),
    ("spaces.move-to", Case::Changes),
    ("spaces.set-layers", Case::Changes),
    ("spaces.set-motion", Case::Changes),
    ("timers.cancel", Case::Changes),
    ("timers.start", Case::Changes),
    ("watches.unwatch", Case::Changes),
    ("watches.watch", Case::Changes),
    ("nothing", Case::Changes),
];

/// Functions that only a tick may call: [`crate::atomicity`] has a case for both of them.
const IN_TICKS: [&str; 2] = ["ticks.move-all", "ticks.working-on"];

/// Functions that are no part of the transaction: they stay, and a case shows that.
const STAY: [&str; 2] = ["log.line", "log.panicked"];

/// `interface.function` of everything that a module may import.
fn imported() -> BTreeSet<String> {
    let mut resolve = Resolve::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let (package, _) = resolve.push_dir(&folder).unwrap();
    let world = resolve.packages.get(package).unwrap().worlds.get("module").copied().unwrap();
    let mut functions = BTreeSet::new();
    for item in resolve.worlds.get(world).unwrap().imports.values() {
        match item {
            WorldItem::Interface { id, .. } => {
                let interface = resolve.interfaces.get(*id).unwrap();
                let name = interface.name.clone().unwrap();
                functions.extend(interface.functions.keys().map(|function| format!("{name}.{function}")));
            }
            WorldItem::Function(function) => drop(functions.insert(function.name.clone())),
            WorldItem::Type { .. } => {}
        }
    }
    functions
}

/// What has no case, and what has one though nobody imports it.
fn differences(imported: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
    let cases = CASES.iter().map(|(name, _)| *name).filter(|name| *name != "nothing");
    let known: BTreeSet<String> =
        cases.chain(READS).chain(IN_TICKS).chain(STAY).map(ToOwned::to_owned).collect();
    (imported.difference(&known).cloned().collect(), known.difference(imported).cloned().collect())
}

#[test]
fn every_function_that_changes_something_has_a_case() {
    let imported = imported();
    assert!(imported.len() > 40, "the contract was not found: {imported:?}");
    let (without, unknown) = differences(&imported);
    assert!(without.is_empty(), "no case, and not in the list of reads: {without:?}");
    assert!(unknown.is_empty(), "a case for what is not in the contract: {unknown:?}");
}

#[test]
fn a_new_function_would_be_noticed() {
    let mut imported = imported();
    imported.insert("entities.rename".into());
    assert_eq!(differences(&imported).0, ["entities.rename"]);
}
