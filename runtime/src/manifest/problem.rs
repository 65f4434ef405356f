//! What can be wrong with a manifest, and how much of everything it may have.

use crate::versions::structure::ResolveError;
use crate::versions::type_text::NAME_BYTES_MAX;
use crate::versions::value::ValueError;
use everwake_protocol::limits::{ENTITY_BYTES_MAX, MODULE_NAME_BYTES_MAX, VALUE_BYTES_MAX};

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ManifestError {
    /// The thing, as its author calls it: ``attribute `Avatar.hp` ``.
    pub place: String,
    /// What is wrong with it.
    pub problem: ManifestProblem,
}

/// What is wrong with a part of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ManifestProblem {
    #[error("a module's name has 1 to {MODULE_NAME_BYTES_MAX} characters of `a-z 0-9 -`")]
    ModuleName,
    #[error("the name has 1 to {NAME_BYTES_MAX} letters, digits and `_`, and does not start with a digit")]
    Identifier,
    #[error(
        "the name has 1 to {NAME_BYTES_MAX} of letters, digits and `_ - . $`, and starts with a letter or `_`"
    )]
    Name,
    #[error("the name has 1 to {NAME_BYTES_MAX} of letters, digits and `_ - . $`")]
    Member,
    #[error("the name is a word of the type language; choose another one")]
    Reserved,
    #[error("{what} is longer than {most} bytes")]
    TooLong { what: &'static str, most: usize },
    #[error("the name is taken by another one of {0}")]
    NameTaken(&'static str),
    #[error("there are {found} {what}; at most {most} are allowed")]
    TooMany { what: &'static str, found: usize, most: usize },
    #[error("there are no {0}; at least one is needed")]
    None(&'static str),
    #[error("{0}")]
    Type(ResolveError),
    #[error("the initial value is not of type `{type_text}`: {error}")]
    Initial { type_text: String, error: ValueError },
    #[error("the initial value has {found} bytes; at most {VALUE_BYTES_MAX} are allowed")]
    InitialTooLong { found: usize },
    #[error("the initial values have {found} bytes together; at most {ENTITY_BYTES_MAX} are allowed")]
    InitialsTooLong { found: usize },
    #[error("`{flag}` needs {needs}")]
    Flag { flag: &'static str, needs: &'static str },
    #[error("`{one}` and `{other}` contradict each other")]
    Contradiction { one: &'static str, other: &'static str },
    #[error("the former name `{name}` {problem}")]
    Was { name: String, problem: &'static str },
    #[error("{what} is {found}; {allowed} is allowed")]
    OutOfRange { what: &'static str, found: String, allowed: String },
    #[error("{what} does not go with kind `{kind}`")]
    NotForKind { what: &'static str, kind: &'static str },
    #[error("types {0} say `boot`; at most one type of a module may")]
    SecondBoot(String),
    #[error("`calls-per-minute` needs a method that clients may call")]
    RateWithoutClients,
    #[error("clients would see a `secret<>`")]
    SecretForClients,
    #[error("an answer cannot have a `secret<>`: answers are kept in recordings")]
    SecretResult,
    #[error("hook {0} does not exist; the hooks are 0 to {1}")]
    UnknownHook(u32, u32),
    #[error("the capability does not exist; there are {0}")]
    UnknownCapability(&'static str),
    #[error("there are more errors; fix these first")]
    More,
}

/// How much of everything a manifest may have.
#[derive(Clone, Debug, PartialEq)]
pub struct ManifestLimits {
    /// Types, foreign ones included. Bounds tables that every space shares.
    pub types: usize,
    /// Structs and enums.
    pub definitions: usize,
    /// Fields of a struct, parameters of a method.
    pub fields: usize,
    /// Cases of an enum.
    pub cases: usize,
    /// Attributes of a type. Bounds what each entity holds.
    pub attributes: usize,
    /// Methods of a type, those of clients counted apart.
    pub methods: usize,
    /// Parts of all resolved types together. Bounds what the tables of a version hold.
    pub type_parts: usize,
    /// Bytes of `label` and of `sdk`.
    pub label_bytes: usize,
    /// Shards of a service.
    pub shards: u32,
    /// Ticks in a second, at most.
    pub ticks_per_second: f32,
    /// And at least, if there are any: what is rarer is a timer's business.
    pub ticks_per_second_min: f32,
    /// Metres. Stops an interest area that is the whole world.
    pub aoi_radius: f32,
    /// Milliseconds that a module may ask for.
    pub event_budget_ms: u32,
    /// Bytes of linear memory that a module may ask for.
    pub memory_bytes: u32,
    /// Errors that are reported; more are only said to exist.
    pub errors: usize,
}

impl Default for ManifestLimits {
    fn default() -> Self {
        ManifestLimits {
            types: 256,
            definitions: 512,
            fields: 64,
            cases: 256,
            attributes: 256,
            methods: 512,
            type_parts: 65_536,
            label_bytes: 64,
            shards: 1_024,
            ticks_per_second: 60.0,
            ticks_per_second_min: 0.1,
            aoi_radius: 10_000.0,
            event_budget_ms: crate::wasm::limits::EVENT_BUDGET_MS_MAX,
            memory_bytes: u32::try_from(crate::wasm::limits::MEMORY_BYTES_MAX).unwrap_or(u32::MAX),
            errors: 64,
        }
    }
}
