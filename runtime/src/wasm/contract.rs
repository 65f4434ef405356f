//! Does a component speak our contract, and no more than that? Decided from the names of its
//! imports and exports, before anything is compiled.

use std::collections::BTreeSet;

use wasmparser::{Parser, Payload};

/// Package and version that this host speaks.
pub const CONTRACT: &str = "everwake:game@0.1.0";

const PACKAGE: &str = "everwake:game";
const VERSION: &str = "0.1.0";
const LOGIC: &str = "logic";
/// The interfaces of `wit/` that a component may import.
const INTERFACES: [&str; 12] = [
    "types",
    "entities",
    "calls",
    "watches",
    "timers",
    "ticks",
    "spaces",
    "services",
    "clients",
    "key-value",
    "log",
    "manifests",
];

/// The full name of one of them.
pub(super) fn interface(name: &str) -> String {
    format!("{PACKAGE}/{name}@{VERSION}")
}

/// Why a component does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Everything it imports that is not ours.
    ForeignImports(Vec<String>),
    /// It speaks another version of our package.
    Version(String),
    /// It is made for something else: no `logic`.
    NoLogic,
    /// Undecodable.
    Malformed(String),
}

/// Checks the names; the types are checked when the component is linked.
pub(super) fn check(component: &[u8]) -> Result<(), Unfit> {
    let Names { imports, exports } = names(component).map_err(|error| Unfit::Malformed(error.to_string()))?;
    if let Some(version) = imports.iter().chain(&exports).find_map(|name| other_version(name)) {
        return Err(Unfit::Version(version));
    }
    let foreign: Vec<_> = imports.into_iter().filter(|name| !is_ours(name)).collect();
    if !foreign.is_empty() {
        return Err(Unfit::ForeignImports(foreign));
    }
    // Other exports are tolerated, and never called: some toolchains leave an `init` behind.
    if exports.contains(&format!("{PACKAGE}/{LOGIC}@{VERSION}")) { Ok(()) } else { Err(Unfit::NoLogic) }
}

struct Names {
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
}

/// What the outermost component imports and exports.
fn names(component: &[u8]) -> Result<Names, wasmparser::BinaryReaderError> {
    let mut names = Names { imports: BTreeSet::new(), exports: BTreeSet::new() };
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports {
                    names.imports.insert(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 1 => {
                for export in exports {
                    names.exports.insert(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

/// The version of our package that a name carries, if it is not ours.
fn other_version(name: &str) -> Option<String> {
    let (_, version) = name.strip_prefix(PACKAGE)?.strip_prefix('/')?.split_once('@')?;
    (version != VERSION).then(|| version.to_owned())
}

fn is_ours(name: &str) -> bool {
    let interface = name.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('/')?.split_once('@'));
    interface.is_some_and(|(interface, version)| version == VERSION && INTERFACES.contains(&interface))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_what_the_world_imports() {
        let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit");
        let world = std::fs::read_to_string(format!("{wit}/world.wit")).unwrap();
        assert!(world.starts_with(&format!("package {CONTRACT};")));
        let imported =
            world.lines().filter_map(|line| line.trim().strip_prefix("import ")?.strip_suffix(';'));
        // `manifests` has types alone, and comes in through `logic`.
        let expected: Vec<_> = imported.chain(["manifests"]).collect();
        assert_eq!(INTERFACES.as_slice(), expected);
        for interface in INTERFACES.iter().chain(&[LOGIC]) {
            let text = std::fs::read_to_string(format!("{wit}/{interface}.wit")).unwrap();
            assert!(text.contains(&format!("interface {interface} {{")), "{interface}");
        }
    }

    #[test]
    fn names_are_ours_only_with_our_version() {
        assert!(is_ours("everwake:game/key-value@0.1.0"));
        assert!(!is_ours("everwake:game/key-value"));
        assert!(!is_ours("everwake:game/logic@0.1.0"));
        assert!(!is_ours("wasi:cli/environment@0.2.6"));
        assert_eq!(other_version("everwake:game/types@0.2.0"), Some("0.2.0".into()));
        assert_eq!(other_version("everwake:game/types@0.1.0"), None);
        assert_eq!(other_version("everwake:gamepad/types@9.0.0"), None);
    }
}
