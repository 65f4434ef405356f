//! `everwake.toml` in a module's folder: how `dev` runs it. Every key has a default; what is not
//! listed here is refused. What the module itself is (budgets, capabilities) stands in its source.

use crate::failure::HintExt as _;
use serde::Deserialize;
use std::path::Path;

/// Name of the file.
pub const FILE: &str = "everwake.toml";
/// Port of the gate unless something else is asked for.
pub const GATE_PORT: u16 = 4747;
/// Port of the admin API unless something else is asked for.
pub const ADMIN_PORT: u16 = 4748;

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How the module is built.
    pub build: Build,
    /// Where `dev` listens.
    pub listen: Listen,
    /// What `dev` allows.
    pub limits: Limits,
}

/// `[build]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Build {
    /// Optimised builds in `dev` too: slower to build, faster to play. Default: false.
    pub release: bool,
    /// Folders and files beside `src/` and `Cargo.toml` that a save of counts. Default: none.
    pub watch: Vec<String>,
    /// Milliseconds of silence after a save before the build starts. Default: 60.
    pub quiet_ms: u64,
}

impl Default for Build {
    fn default() -> Self {
        Build { release: false, watch: Vec::new(), quiet_ms: 60 }
    }
}

/// `[listen]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// Address of the gate (UDP). Default: "127.0.0.1", this machine only.
    pub host: String,
    /// Port of the gate. 0 = any free one. Default: 4747.
    pub port: u16,
    /// Port of the admin API (TCP, always loopback). 0 = any free one. Default: 4748.
    pub admin_port: u16,
}

impl Default for Listen {
    fn default() -> Self {
        Listen { host: "127.0.0.1".to_owned(), port: GATE_PORT, admin_port: ADMIN_PORT }
    }
}

/// `[limits]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Most clients at once. Default: 1000.
    pub clients: usize,
    /// Most CPU time of one event, in ms, whatever the module asks for. Default: 50.
    pub event_budget_ms: u32,
    /// Most linear memory of one instance, in MiB, whatever the module asks for. Default: 64.
    pub memory_mib: u32,
    /// Milliseconds in which a new version may take itself back. Default: 10000.
    pub probation_ms: u64,
    /// With more new crashes than this within a minute of its probation a version takes itself back. Default: 2.
    pub probation_crashes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            clients: 1000,
            event_budget_ms: 50,
            memory_mib: 64,
            probation_ms: 10_000,
            probation_crashes: 2,
        }
    }
}

impl Config {
    /// The file of a folder, or the defaults if there is none.
    pub fn load(dir: &Path) -> anyhow::Result<Config> {
        let file = dir.join(FILE);
        match std::fs::read_to_string(&file) {
            Ok(text) => Config::parse(&text).hint(
                format!("The file `{}` cannot be used.", file.display()),
                "docs/guide/config.md lists every key with its default.",
            ),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Config::default()),
            Err(error) => Err(error).hint(
                format!("The file `{}` cannot be read.", file.display()),
                "It is text in UTF-8, and you must be allowed to read it; without it the defaults hold.",
            ),
        }
    }

    fn parse(text: &str) -> Result<Config, toml::de::Error> {
        toml::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_means_defaults() {
        assert_eq!(Config::load(Path::new("/nowhere")).unwrap(), Config::default());
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }

    #[test]
    fn keys_are_read_and_others_stay() {
        let config = Config::parse("[listen]\nport = 1\n[limits]\nclients = 2\n").unwrap();
        assert_eq!((config.listen.port, config.listen.admin_port, config.limits.clients), (1, ADMIN_PORT, 2));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = Config::parse("[listen]\nprot = 1\n").unwrap_err().to_string();
        assert!(error.contains("prot") && error.contains("port"), "{error}");
    }

    #[test]
    fn the_guide_lists_every_key_with_its_default() {
        let guide = include_str!("../../docs/guide/config.md");
        let text = guide.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        assert_eq!(
            Config::parse(text).unwrap(),
            Config::default(),
            "the example in docs/guide/config.md is the defaults"
        );
        for key in [
            "release",
            "watch",
            "quiet_ms",
            "host",
            "port",
            "admin_port",
            "clients",
            "event_budget_ms",
            "memory_mib",
            "probation_ms",
            "probation_crashes",
        ] {
            assert!(text.contains(&format!("{key} =")), "`{key}` is missing in docs/guide/config.md");
        }
    }
}
