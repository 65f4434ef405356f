//! The samples as components, each version built once for this binary.

use everwake_testkit::{Component, Kit};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

/// One engine for all worlds.
pub(crate) fn kit() -> &'static Kit {
    static KIT: OnceLock<Kit> = OnceLock::new();
    KIT.get_or_init(Kit::new)
}

/// A sample with features and a version.
pub(crate) fn sample(name: &str, features: &[&str], version: &str) -> Component {
    static BUILT: Mutex<BTreeMap<String, Component>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let key = format!("{name} {features:?} {version}");
    let variable = format!("{}_VERSION", name.to_uppercase());
    let build = || kit().build_with(folder(name), features, &[(variable.as_str(), version)]);
    built.entry(key).or_insert_with(build).clone()
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(name)
}
