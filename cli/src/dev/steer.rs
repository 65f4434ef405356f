//! The admin API's view of a running game: its requests as the game's, its answers as JSON.

use super::components::Components;
use super::recordings::{self, Place};
use crate::admin::deployment::Deployment;
use crate::admin::types::{
    CallAnswer, CallRequest, CrashGroup, GameStatus, Problem, ProblemCode, PublicationReport, PublishQuery,
    RecordRequest, RecordTarget, Recording, RollbackRequest, Status, VersionEntry,
};
use crate::failure::FAULT;
use bytes::Bytes;
use everwake_protocol::{EntityId, Id};
use everwake_runtime::driver::{GameHandle, RecordError, Recorded, Stopped};
use everwake_runtime::game::admin::{AdminAnswer, AdminRequest};
use everwake_runtime::game::publish::{Agreed, PublishOptions};
use everwake_runtime::wasm::CrashEntry;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;

/// Who an operator at the admin API is, for the audit: there is one token.
const OPERATOR: &str = "admin-api";

/// Hints of problems that say what is wrong, but not what to do.
const STOPPED: &str = "Start it again with `everwake dev DIR`.";
const LOOK: &str = "`everwake status` and `everwake versions` say what runs, `everwake inspect` what lives.";

/// Ids that an unclear start of one lists.
const CANDIDATES_MAX: usize = 10;

/// A running deployment.
pub struct Steering {
    /// The game.
    pub game: GameHandle,
    /// Where clients connect.
    pub gate: SocketAddr,
    /// When it was started.
    pub started: Instant,
    /// Told when somebody asks it to stop.
    pub stop: UnboundedSender<()>,
    /// What was published.
    pub components: Components,
    /// Folder that is recorded to.
    pub recording: Mutex<Option<PathBuf>>,
}

impl Steering {
    fn recording(&self) -> MutexGuard<'_, Option<PathBuf>> {
        self.recording.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Flushes and closes what is recorded, before the game stops.
    pub fn end_recording(&self) {
        if self.recording().is_some()
            && let Err(problem) = self.record(&RecordRequest::Stop)
        {
            tracing::warn!(%problem, "the recording is not complete");
        }
    }

    fn entity(&self, text: &str) -> Result<EntityId, Problem> {
        resolve(text, |start| self.game.find(start))
    }

    fn ask(&self, request: AdminRequest) -> Result<AdminAnswer, Problem> {
        self.game
            .ask(request)
            .map_err(|Stopped| Problem::new(ProblemCode::Unavailable, "The game has stopped.", STOPPED))
    }

    fn start_recording(&self, target: &RecordTarget) -> Result<Recording, Problem> {
        let mut recording = self.recording();
        if let Some(folder) = recording.as_ref() {
            return Err(record_problem(RecordError::UnderWay(folder.clone())));
        }
        let space = self.space_of(target)?;
        let place = recordings::place(target, "recording")?;
        let replaced = place.clear().map_err(failed)?;
        let folder = &place.folder;
        self.game.record(folder, space).map_err(record_problem)?;
        self.components.copy_to(folder).map_err(failed)?;
        *recording = Some(folder.clone());
        Ok(placed(
            Recording { folder: folder.display().to_string(), replaced, ..Recording::default() },
            &place,
        ))
    }

    fn record_last(&self, target: &RecordTarget) -> Result<Recording, Problem> {
        let space = self.space_of(target)?;
        let place = recordings::place(target, "last")?;
        if let Some(folder) = self.recording().as_ref().filter(|folder| **folder == place.folder) {
            return Err(record_problem(RecordError::UnderWay(folder.clone())));
        }
        let replaced = place.clear().map_err(failed)?;
        let recorded = self.game.record_last(&place.folder, space).map_err(record_problem)?;
        Ok(placed(Recording { replaced, ..self.recorded(recorded)? }, &place))
    }

    fn space_of(&self, target: &RecordTarget) -> Result<Option<EntityId>, Problem> {
        target.space.as_deref().map(|text| self.entity(text)).transpose()
    }

    /// Puts the components that ran beside the files, those that went live meanwhile too.
    fn recorded(&self, recorded: Recorded) -> Result<Recording, Problem> {
        self.components.copy_to(&recorded.folder).map_err(failed)?;
        let back_ms =
            if recorded.from_ms == 0 { 0 } else { self.game.now_ms().saturating_sub(recorded.from_ms) };
        Ok(Recording {
            folder: recorded.folder.display().to_string(),
            files: recorded.files as u64,
            bytes: recorded.bytes,
            entries: recorded.entries,
            back_ms,
            without: recorded.without as u64,
            ..Recording::default()
        })
    }

    fn publication(&self, request: AdminRequest) -> Result<PublicationReport, Problem> {
        match self.ask(request)? {
            AdminAnswer::Publication(report) => Ok(*report),
            other => Err(unexpected(other)),
        }
    }
}

impl Deployment for Steering {
    fn plan(&self, bytes: Bytes, query: &PublishQuery) -> Result<PublicationReport, Problem> {
        self.publication(AdminRequest::Plan { bytes, options: options(query) })
    }

    fn publish(&self, bytes: Bytes, query: &PublishQuery) -> Result<PublicationReport, Problem> {
        let request =
            AdminRequest::Publish { bytes: bytes.clone(), note: query.note.clone(), options: options(query) };
        let report = self.publication(request)?;
        // A recording that lacks a component says so when it is replayed.
        if let Err(error) = self.components.keep_published(&report, &bytes) {
            tracing::warn!(%error, "a component is not kept");
        }
        Ok(report)
    }

    fn rollback(&self, request: &RollbackRequest) -> Result<PublicationReport, Problem> {
        let given = |text: &String| Some(text.clone()).filter(|it| !it.is_empty());
        let (module, to) = (given(&request.module), given(&request.to));
        self.publication(AdminRequest::Rollback { module, to, irreversible: request.irreversible })
    }

    fn versions(&self) -> Result<Vec<VersionEntry>, Problem> {
        match self.ask(AdminRequest::Versions { module: None })? {
            AdminAnswer::Versions(versions) => Ok(versions),
            other => Err(unexpected(other)),
        }
    }

    fn status(&self) -> Result<Status, Problem> {
        let game = match self.ask(AdminRequest::Status)? {
            AdminAnswer::Status(status) => serde_json::to_value(status).map_err(failed)?,
            other => return Err(unexpected(other)),
        };
        Ok(Status {
            everwake: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            gate: self.gate.to_string(),
            recording: self.recording().as_ref().map(|it| it.display().to_string()),
            game: serde_json::from_value::<GameStatus>(game).map_err(failed)?,
        })
    }

    fn inspect(&self, id: Option<&str>) -> Result<Value, Problem> {
        let Some(id) = id else {
            let mut more = self.status()?.game.more;
            return Ok(json!({"spaces": more.remove("spaces")}));
        };
        match self.ask(AdminRequest::Inspect { id: self.entity(id)? })? {
            AdminAnswer::View(view) => Ok(view),
            other => Err(unexpected(other)),
        }
    }

    fn call(&self, request: &CallRequest) -> Result<CallAnswer, Problem> {
        let call = AdminRequest::Call {
            who: OPERATOR.to_owned(),
            entity: self.entity(&request.entity)?,
            method: request.method.clone(),
            args: Value::from(request.args.clone()),
        };
        match self.ask(call)? {
            AdminAnswer::Value(value) => Ok(CallAnswer { value }),
            other => Err(unexpected(other)),
        }
    }

    fn crashes(&self) -> Result<Vec<CrashGroup>, Problem> {
        Ok(self
            .game
            .crashes()
            .into_iter()
            .map(|(fingerprint, entry)| crash_group(fingerprint, &entry))
            .collect())
    }

    fn record(&self, request: &RecordRequest) -> Result<Recording, Problem> {
        match request {
            RecordRequest::Start(target) => self.start_recording(target),
            RecordRequest::Last(target) => self.record_last(target),
            RecordRequest::Stop => {
                self.recording().take();
                let recorded = self.game.stop_recording().map_err(record_problem)?;
                self.recorded(recorded)
            }
        }
    }

    fn shutdown(&self) {
        // Nobody listens if it stops already.
        let _ = self.stop.send(());
    }
}

fn placed(recording: Recording, place: &Place) -> Recording {
    Recording { beside: place.beside.as_ref().map(|it| it.display().to_string()), ..recording }
}

fn options(query: &PublishQuery) -> PublishOptions {
    let agreed = if query.irreversible { Agreed::Loss } else { Agreed::Nothing };
    PublishOptions { supersede: query.supersede, agreed, ..PublishOptions::default() }
}

/// An id by its text or by the start of it, among those that live.
fn resolve(text: &str, find: impl FnOnce(&str) -> Vec<EntityId>) -> Result<EntityId, Problem> {
    const LIST: &str = "`everwake inspect` lists spaces, and `everwake inspect SPACE` its entities.";
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    if text.is_empty() || Id::beginning_with(text).is_none() {
        return Err(Problem::new(
            ProblemCode::BadRequest,
            format!("`{text}` is not the start of an id."),
            LIST,
        ));
    }
    let found = find(text);
    match found.as_slice() {
        [only] => Ok(*only),
        [] => {
            let message = format!("Nothing lives whose id begins with `{text}`.");
            Err(Problem::new(ProblemCode::NotFound, message, LIST))
        }
        several => {
            let shown: Vec<String> =
                several.iter().take(CANDIDATES_MAX).map(|id| format!("`{id}`")).collect();
            let more = match several.len().saturating_sub(CANDIDATES_MAX) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let message =
                format!("`{text}` is the start of {} ids: {}{more}.", several.len(), shown.join(", "));
            Err(Problem::new(ProblemCode::BadRequest, message, "Type more of the one that is meant."))
        }
    }
}

fn crash_group(fingerprint: String, entry: &CrashEntry) -> CrashGroup {
    let latest = &entry.latest;
    CrashGroup {
        fingerprint,
        count: entry.count,
        first_ms: entry.first_ms,
        last_ms: entry.last_ms,
        module: latest.module.clone(),
        version: format!("{} {}", latest.label, latest.version),
        handler: latest.handler.clone(),
        message: one_line(&latest.message),
        report: latest.to_string(),
        versions: entry.versions.clone(),
        replay: latest.replay.clone(),
    }
}

/// A panic says where in its first line, and what in its second.
fn one_line(message: &str) -> String {
    let mut lines = message.lines();
    let first = lines.next().unwrap_or_default();
    match lines.next().filter(|_| first.ends_with(':')) {
        Some(second) => format!("{first} {second}"),
        None => first.to_owned(),
    }
}

/// An answer that says no.
fn unexpected(answer: AdminAnswer) -> Problem {
    match answer {
        AdminAnswer::Bad(why) => Problem::new(ProblemCode::BadRequest, why, LOOK),
        AdminAnswer::Failed { code, detail, certainty } => {
            let detail = if detail.is_null() { String::new() } else { format!(": {detail}") };
            let hint = match code.as_str() {
                "gone" => "`everwake inspect` lists what lives.",
                "no-such-method" | "not-exposed" => {
                    "Operators call every method by its exact name, but none that only `on!` names."
                }
                "bad-arguments" => "Give one argument for each parameter, of its type.",
                "timed-out" | "trapped" => "`everwake crashes --full` shows what happened.",
                "overloaded" | "unavailable" => "Try again in a moment; `everwake status` shows what waits.",
                _ => "The module's own code says no: look for this text in its source.",
            };
            let kind = if code == "gone" { ProblemCode::NotFound } else { ProblemCode::Refused };
            Problem::new(kind, format!("The call is answered with `{code}` ({certainty}){detail}."), hint)
        }
        other => {
            Problem::new(ProblemCode::Failed, format!("The game answers something else: {other:?}"), FAULT)
        }
    }
}

fn record_problem(error: RecordError) -> Problem {
    let (code, hint) = match &error {
        RecordError::Folder(..) => (ProblemCode::BadRequest, "Name a folder where the server may write."),
        RecordError::UnderWay(_) => (ProblemCode::Busy, "`everwake record stop` ends it."),
        RecordError::NoSpace(_) => (ProblemCode::NotFound, "`everwake inspect` lists the spaces."),
        RecordError::Nothing => (ProblemCode::NotFound, "`everwake record start` begins a recording."),
        RecordError::Incomplete(_) => {
            (ProblemCode::Failed, "The other spaces are complete: `everwake replay` runs them.")
        }
    };
    Problem::new(code, format!("Recording: {error}."), hint)
}

fn failed(error: impl std::fmt::Display) -> Problem {
    let hint = "Is there room on the disk, and may the server write there?";
    Problem::new(ProblemCode::Failed, format!("The answer cannot be written: {error}"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_says_no_has_its_code_and_a_hint() {
        let answer = AdminAnswer::Failed { code: "gone".into(), detail: Value::Null, certainty: "not-run" };
        let problem = unexpected(answer);
        assert_eq!(
            (problem.code, problem.message.as_str()),
            (ProblemCode::NotFound, "The call is answered with `gone` (not-run).")
        );
        assert!(problem.hint.contains("inspect"));
        assert_eq!(unexpected(AdminAnswer::Bad("no such module".into())).code, ProblemCode::BadRequest);
    }

    #[test]
    fn a_panic_in_one_line_says_where_and_what() {
        assert_eq!(one_line("panicked at src/a.rs:7:9:\nboom\nmore"), "panicked at src/a.rs:7:9: boom");
        assert_eq!(one_line("unreachable\nbacktrace"), "unreachable");
    }

    #[test]
    fn a_wrong_id_is_named() {
        let nobody = |text: &str| resolve(text, |_| Vec::new()).unwrap_err();
        assert!(nobody("xyz").message.contains("`xyz`"));
        assert_eq!(nobody("").code, ProblemCode::BadRequest);
        assert_eq!(nobody("né").code, ProblemCode::BadRequest);
        assert_eq!(nobody("0a").code, ProblemCode::NotFound);
        assert!(resolve(&"0".repeat(26), |_| Vec::new()).is_ok(), "the game says whether it lives");
    }

    #[test]
    fn a_start_of_an_id_stands_for_the_only_one_that_begins_so() {
        let ids = |count: u128| (1..=count).map(|it| EntityId(Id::from_u128(it))).collect::<Vec<_>>();
        assert_eq!(resolve("00", |start| ids(start.len() as u128 - 1)).unwrap(), ids(1)[0]);
        let unclear = resolve("00", |_| ids(12)).unwrap_err();
        let (first, last) = (ids(1)[0].to_string(), ids(12)[11].to_string());
        assert!(unclear.message.contains("12 ids") && unclear.message.contains(&first), "{unclear}");
        assert!(unclear.message.ends_with("and 2 more.") && !unclear.message.contains(&last), "{unclear}");
    }
}
