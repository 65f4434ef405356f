//! What a deployment may decide about a game process. Plain data; parsing is the CLI's business.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Configuration of one game process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GameConfig {
    /// Name of this process among others, in reports.
    pub name: String,
    /// Folder for the last seconds before the first crash of each kind; none are written if left out.
    pub crash_recordings: Option<PathBuf>,
    /// Development: short probation, a publication ends the probation of the one before.
    pub dev: bool,
    /// Nil shards of each module.
    pub nil_shards: u32,
    /// Labels by which `entities.create` may ask for this process.
    pub labels: Vec<String>,
    /// Games that the deployment consists of, this one too: it is ready once that many live, and [`gates`](Self::gates).
    pub games: usize,
    /// Gates that it consists of.
    pub gates: usize,
    /// Clients at once.
    pub sessions_max: usize,
    /// How long a new version is watched.
    pub probation_ms: u64,
    /// More traps than this during probation, and the version goes back.
    pub probation_traps_max: u32,
    /// Messages that may wait for one space before its callers are refused.
    pub backlog_messages_max: usize,
    /// Bytes that may wait for one space before its callers are refused.
    pub backlog_bytes_max: usize,
    /// Bytes of keys and values that one module may keep in its key-value map.
    pub key_value_bytes_max: usize,
}

impl GameConfig {
    /// For development on a machine with so many cores.
    pub fn dev(cores: usize) -> Self {
        Self { dev: true, probation_ms: 10_000, ..Self::production(cores) }
    }

    /// For production on a machine with so many cores.
    pub fn production(cores: usize) -> Self {
        Self { nil_shards: u32::try_from(cores.clamp(1, 64) * 2).unwrap_or(2), ..Self::default() }
    }
}

impl Default for GameConfig {
    fn default() -> Self {
        Self {
            name: "game".to_owned(),
            crash_recordings: None,
            dev: false,
            nil_shards: 4,
            labels: Vec::new(),
            games: 1,
            gates: 0,
            sessions_max: 100_000,
            probation_ms: 300_000,
            probation_traps_max: 10,
            backlog_messages_max: 65_536,
            backlog_bytes_max: 64 * 1024 * 1024,
            key_value_bytes_max: 256 * 1024 * 1024,
        }
    }
}
