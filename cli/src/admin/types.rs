//! What travels over the admin API, in JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

pub use everwake_runtime::game::report::{
    DrainReport, GameGlance, ModuleGlance, Pauses, ProbationReport, PublicationReport, VersionEntry,
    VersionState,
};
pub use everwake_runtime::wasm::CrashVersion;
pub use everwake_runtime::wasm::limits::COMPONENT_BYTES_MAX;

/// Largest body of a request that carries no component.
pub const REQUEST_BYTES_MAX: usize = 256 * 1024;
/// What to do about a file that is larger than a component may be.
pub const TOO_LARGE: &str = "Is it a component? `everwake build` makes one for players, without symbols.";

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    /// For programs: `unauthorized`, `not-found`, `bad-request`, `refused`, `busy`, `too-large`,
    /// `failed`, `unavailable`.
    pub code: ProblemCode,
    /// For people.
    pub message: String,
    /// What to do.
    #[serde(default)]
    pub hint: String,
}

/// Kinds of problems, and so of HTTP statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemCode {
    Unauthorized,
    NotFound,
    BadRequest,
    Refused,
    Busy,
    TooLarge,
    Failed,
    Unavailable,
}

/// What is said about a component that is too large: the same by who sends it and who gets it.
pub fn too_large(bytes: Option<usize>) -> String {
    let has = bytes.map_or_else(
        || "The component is too large".to_owned(),
        |bytes| format!("The component has {bytes} bytes"),
    );
    format!("{has}; the limit is {} MiB.", COMPONENT_BYTES_MAX / 1024 / 1024)
}

impl Problem {
    /// A problem with something to do about it.
    pub fn new(code: ProblemCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Problem { code, message: message.into(), hint: hint.into() }
    }
}

/// What runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the binary.
    pub everwake: String,
    /// Milliseconds since the start.
    pub uptime_ms: u64,
    /// Address of the gate.
    pub gate: String,
    /// Folder that is recorded to; none if nothing is.
    pub recording: Option<String>,
    /// The game process.
    pub game: GameStatus,
}

/// A game process; the game adds more than is named here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GameStatus {
    /// In the order in which they were started.
    pub modules: Vec<ModuleStatus>,
    /// Clients.
    pub sessions: u64,
    /// In a cluster: all games, by name; all else here is of this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub games: Vec<GameGlance>,
    /// Everything else: spaces with their queues, counters.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

/// A process of a cluster, whatever its role is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// Role and name.
    pub process: String,
    /// Which start of it this is.
    pub start: u32,
    /// Version of the binary.
    pub everwake: String,
    /// Milliseconds since its start.
    pub uptime_ms: u64,
    /// To whom it has a link, and whether that stands.
    pub links: BTreeMap<String, bool>,
    /// Clients that it holds; none if its role holds none.
    pub clients: Option<u64>,
    /// It takes nothing new.
    pub drains: bool,
}

/// Body of `POST /v1/drain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainRequest {
    /// Take nothing new, and let go what can go; or no more of it.
    pub on: bool,
}

/// How far a game or a gate is that is to stop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainStatus {
    /// It takes nothing new.
    pub drains: bool,
    /// Clients that it holds, or whose entities it has.
    pub clients: u64,
    /// Of a game: what goes, and what does not.
    pub game: Option<DrainReport>,
}

/// One module that runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModuleStatus {
    /// Name of the module.
    pub name: String,
    /// Author's label.
    pub label: String,
    /// Hash, in full.
    pub version: String,
    /// Rises with each publication.
    pub generation: u32,
    /// What became of the version that runs so far.
    pub state: Option<VersionState>,
    /// How it stands, if it is watched.
    pub probation: Option<ProbationReport>,
    /// Clients that play it.
    pub sessions: u64,
    /// Spaces, nil shards and service shards.
    pub spaces: u64,
    /// Live entities by type.
    pub entities: BTreeMap<String, u64>,
    /// Handlers that trapped or were cut since the start.
    pub crashes: u64,
    /// The last swap's pauses.
    pub pause: Option<Pauses>,
    /// Everything else.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

/// A group of crashes with one fingerprint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CrashGroup {
    /// The same for the same mistake: module, handler, kind, message without its numbers, functions of
    /// the module on the stack. The version is not in it.
    pub fingerprint: String,
    /// How often.
    pub count: u64,
    /// UTC ms.
    pub first_ms: u64,
    /// UTC ms.
    pub last_ms: u64,
    /// Name of the module.
    pub module: String,
    /// Label and short hash.
    pub version: String,
    /// `Type::method`.
    pub handler: String,
    /// One line.
    pub message: String,
    /// The whole block of the last one: frames, arguments, log lines, patch so far.
    pub report: String,
    /// The same count for each version.
    #[serde(default)]
    pub versions: Vec<CrashVersion>,
    /// The command that runs the last one again; empty if it was not recorded.
    #[serde(default)]
    pub replay: String,
}

/// What a publisher says beside the component: query of `POST /v1/publish` and `/v1/plan`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublishQuery {
    /// Why, for those who read the list of versions later.
    pub note: String,
    /// Publish though going back would lose changes.
    pub irreversible: bool,
    /// End the probation of the version before; always so in `dev`.
    pub supersede: bool,
}

/// Body of `POST /v1/call`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallRequest {
    /// Text form of the target.
    pub entity: String,
    /// Name of the method.
    pub method: String,
    /// One for each parameter, JSON; a text stands for whatever type is wanted.
    #[serde(default)]
    pub args: Vec<Value>,
}

/// Answer of `POST /v1/call`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CallAnswer {
    /// What the method answered, by its type.
    pub value: Value,
}

/// Body of `POST /v1/rollback`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// Empty: the only module that runs.
    #[serde(default)]
    pub module: String,
    /// Start of a hash, a label, or a generation; empty: the last one that passed.
    #[serde(default)]
    pub to: String,
    /// Go back though that loses changes.
    #[serde(default)]
    pub irreversible: bool,
}

/// Body of `POST /v1/record`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RecordRequest {
    /// Writes what happens from now on.
    Start(RecordTarget),
    /// Flushes and closes.
    Stop,
    /// Writes down what happened in the last seconds, though nobody had asked to record it.
    Last(RecordTarget),
}

/// What is recorded, and where. In JSON the text of a folder alone will do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "FolderOrTarget")]
pub struct RecordTarget {
    /// As seen from the server's working directory; empty: a new one in its `.everwake`.
    pub folder: String,
    /// One space by its id, or the start of it; all if left out.
    pub space: Option<String>,
    /// Writes over an earlier recording in that folder.
    pub force: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FolderOrTarget {
    Folder(String),
    Target(Target),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Target {
    folder: String,
    space: Option<String>,
    force: bool,
}

impl From<FolderOrTarget> for RecordTarget {
    fn from(it: FolderOrTarget) -> Self {
        match it {
            FolderOrTarget::Folder(folder) => RecordTarget { folder, ..RecordTarget::default() },
            FolderOrTarget::Target(Target { folder, space, force }) => RecordTarget { folder, space, force },
        }
    }
}

/// Answer of `POST /v1/record`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// Where it is: a file for each space, and the components that ran.
    pub folder: String,
    /// Spaces that were recorded.
    pub files: u64,
    /// Bytes in all files.
    pub bytes: u64,
    /// Entries in all files: inputs, commits.
    pub entries: u64,
    /// Of `last`: milliseconds to the earliest that is in them.
    #[serde(default)]
    pub back_ms: u64,
    /// Of `last`: spaces of which nothing is kept, because nothing or too much has happened.
    #[serde(default)]
    pub without: u64,
    /// Files of an earlier recording that were written over.
    #[serde(default)]
    pub replaced: u64,
    /// Folder of an earlier recording that is kept; this one got a name of its own.
    #[serde(default)]
    pub beside: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_alone_says_where_to_record() {
        let read = |text: &str| serde_json::from_str::<RecordRequest>(text);
        let bug = RecordTarget { folder: "bug".into(), ..RecordTarget::default() };
        assert_eq!(read(r#"{"start": "bug"}"#).unwrap(), RecordRequest::Start(bug.clone()));
        assert_eq!(read(r#"{"last": {"folder": "bug"}}"#).unwrap(), RecordRequest::Last(bug.clone()));
        assert_eq!(read(r#""stop""#).unwrap(), RecordRequest::Stop);
        let whole = RecordRequest::Last(RecordTarget { space: Some("0a".into()), force: true, ..bug });
        assert_eq!(read(&serde_json::to_string(&whole).unwrap()).unwrap(), whole);
        assert!(read(r#"{"start": {"foldr": "bug"}}"#).is_err());
    }
}
