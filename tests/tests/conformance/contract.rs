//! Which functions there are, read from `wit/`, and which of them have a case.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use wit_parser::{Function, Resolve, Result_, Type, TypeDefKind, WorldItem};

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

/// The contract.
fn contract() -> Resolve {
    let mut resolve = Resolve::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    resolve.push_dir(&folder).unwrap();
    resolve
}

/// Everything that a module may import, by `interface.function`.
fn functions(contract: &Resolve) -> BTreeMap<String, &Function> {
    let package =
        contract.packages.iter().find(|(_, package)| package.worlds.contains_key("module")).unwrap().1;
    let world = contract.worlds.get(*package.worlds.get("module").unwrap()).unwrap();
    let mut functions = BTreeMap::new();
    for item in world.imports.values() {
        match item {
            WorldItem::Interface { id, .. } => {
                let interface = contract.interfaces.get(*id).unwrap();
                let name = interface.name.clone().unwrap();
                let of_it = interface.functions.iter();
                functions.extend(of_it.map(|(function, it)| (format!("{name}.{function}"), it)));
            }
            WorldItem::Function(function) => drop(functions.insert(function.name.clone(), function)),
            WorldItem::Type { .. } => {}
        }
    }
    functions
}

fn imported() -> BTreeSet<String> {
    functions(&contract()).into_keys().collect()
}

/// True if it may answer with an error.
fn may_fail(contract: &Resolve, function: &Function) -> bool {
    let Some(Type::Id(id)) = function.result else { return false };
    matches!(contract.types.get(id).unwrap().kind, TypeDefKind::Result(Result_ { err: Some(_), .. }))
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

#[test]
fn every_function_that_may_fail_says_how() {
    let contract = contract();
    let functions = functions(&contract);
    let failing: Vec<_> = functions.iter().filter(|(_, function)| may_fail(&contract, function)).collect();
    assert!(failing.len() > 30, "only {} functions may fail", failing.len());
    let says =
        |function: &Function| function.docs.contents.as_deref().is_some_and(|docs| docs.contains("Errors: "));
    let silent: Vec<_> =
        failing.iter().filter(|(_, function)| !says(function)).map(|(name, _)| name).collect();
    assert!(silent.is_empty(), "nothing said about errors: {silent:?}");
}
