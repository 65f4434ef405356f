//! The commands' end: blocking, one request at a time.

use super::types::{
    COMPONENT_BYTES_MAX, CallAnswer, CallRequest, CrashGroup, DrainRequest, DrainStatus, Problem,
    ProblemCode, ProcessStatus, PublicationReport, PublishQuery, RecordRequest, Recording, RollbackRequest,
    Status, TOO_LARGE, VersionEntry, too_large,
};
use crate::failure::{FAULT, HintExt as _, because, hinted};
use crate::ops;
use crate::ops::office::Asked;
use crate::state;
use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// Largest answer that is read. Stops a wrong address from filling memory.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// A publication compiles; everything else is faster.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where the admin API is.
#[derive(Clone, Debug, Default, Args)]
pub struct AdminAddress {
    /// Address of the admin API; found by `.everwake/dev.json` if left out.
    #[arg(long, value_name = "HOST:PORT", env = "EVERWAKE_ADMIN")]
    pub admin: Option<String>,
    /// Token of the admin API; found by `.everwake/dev.json` if left out.
    #[arg(long, value_name = "TOKEN", env = "EVERWAKE_TOKEN", hide_env_values = true, requires = "admin")]
    pub token: Option<String>,
    /// The file of a cluster with processes on this host, instead of an address.
    #[arg(long, value_name = "FILE", conflicts_with = "admin")]
    pub config: Option<PathBuf>,
    /// Which game of it; the first one that runs if left out.
    #[arg(long, value_name = "NAME", requires = "config")]
    pub game: Option<String>,
}

/// A client of one admin API.
pub struct AdminClient {
    base: String,
    token: String,
    agent: ureq::Agent,
}

impl AdminClient {
    /// By flags, else by what a running `dev` wrote.
    pub fn find(address: &AdminAddress) -> anyhow::Result<Self> {
        if let Some(admin) = &address.admin {
            let token = address.token.clone().unwrap_or_default();
            return Ok(Self::new(admin, &token));
        }
        if let Some(config) = &address.config {
            let (admin, token) = ops::admin_of(config, address.game.as_deref())?;
            return Ok(Self::new(&admin, &token));
        }
        let found = state::find()?;
        Ok(Self::new(&found.admin, &found.token))
    }

    /// At an address, with a token.
    pub fn new(admin: &str, token: &str) -> Self {
        Self::patient(admin, token, PATIENCE)
    }

    /// The same, which waits no longer than this for an answer.
    pub fn patient(admin: &str, token: &str, most: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(most))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        AdminClient { base: format!("http://{admin}"), token: token.to_owned(), agent: config.into() }
    }

    /// What a version would do.
    pub fn plan(&self, component: &[u8], query: &PublishQuery) -> anyhow::Result<PublicationReport> {
        self.upload("/v1/plan", component, query)
    }

    /// Makes a version live.
    pub fn publish(&self, component: &[u8], query: &PublishQuery) -> anyhow::Result<PublicationReport> {
        self.upload("/v1/publish", component, query)
    }

    /// Goes back.
    pub fn rollback(&self, request: &RollbackRequest) -> anyhow::Result<PublicationReport> {
        self.post("/v1/rollback", request)
    }

    /// What was published.
    pub fn versions(&self) -> anyhow::Result<Vec<VersionEntry>> {
        self.get("/v1/versions")
    }

    /// What runs.
    pub fn status(&self) -> anyhow::Result<Status> {
        self.get("/v1/status")
    }

    /// Who it is, and to what it is linked: of a process of a cluster.
    pub fn process(&self) -> anyhow::Result<ProcessStatus> {
        self.get("/v1/process")
    }

    /// Lets go what can go elsewhere, or no more of it: of a game or a gate of a cluster.
    pub fn drain(&self, on: bool) -> anyhow::Result<DrainStatus> {
        self.post("/v1/drain", &DrainRequest { on })
    }

    /// How far that is.
    pub fn drain_status(&self) -> anyhow::Result<DrainStatus> {
        self.get("/v1/drain")
    }

    /// Starts or stops processes: of who looks after them.
    pub fn processes(&self, asked: &Asked) -> anyhow::Result<()> {
        self.post("/v1/processes", asked)
    }

    /// Spaces and entities.
    pub fn inspect(&self, id: Option<&str>) -> anyhow::Result<Value> {
        match id {
            Some(id) => self.get(&format!("/v1/inspect?id={}", percent_encode(id))),
            None => self.get("/v1/inspect"),
        }
    }

    /// A call as an operator.
    pub fn call(&self, request: &CallRequest) -> anyhow::Result<CallAnswer> {
        self.post("/v1/call", request)
    }

    /// Crashes by fingerprint.
    pub fn crashes(&self) -> anyhow::Result<Vec<CrashGroup>> {
        self.get("/v1/crashes")
    }

    /// Starts or stops a recording.
    pub fn record(&self, request: &RecordRequest) -> anyhow::Result<Recording> {
        self.post("/v1/record", request)
    }

    /// Asks the process to stop.
    pub fn shutdown(&self) -> anyhow::Result<()> {
        self.post::<_, Value>("/v1/shutdown", &Value::Null).map(|_| ())
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let request =
            self.agent.get(format!("{}{path}", self.base)).header("Authorization", &self.authorization());
        self.read(request.call())
    }

    fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> anyhow::Result<T> {
        let request =
            self.agent.post(format!("{}{path}", self.base)).header("Authorization", &self.authorization());
        self.read(request.send_json(body))
    }

    fn upload<T: DeserializeOwned>(
        &self,
        path: &str,
        component: &[u8],
        query: &PublishQuery,
    ) -> anyhow::Result<T> {
        if component.len() > COMPONENT_BYTES_MAX {
            return Err(hinted(too_large(Some(component.len())), TOO_LARGE));
        }
        // A server that says no before it has read all of a large body is not heard: it is asked first.
        self.get::<Value>("/v1/status")?;
        let note = percent_encode(&query.note);
        let path =
            format!("{path}?note={note}&irreversible={}&supersede={}", query.irreversible, query.supersede);
        let request =
            self.agent.post(format!("{}{path}", self.base)).header("Authorization", &self.authorization());
        self.read(request.content_type("application/wasm").send(component))
    }

    fn authorization(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn read<T: DeserializeOwned>(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> anyhow::Result<T> {
        let mut answer = answer.hint(
            format!("The admin API at `{}` does not answer.", self.base),
            "Start one with `everwake dev DIR`, or give `--admin HOST:PORT --token TOKEN`.",
        )?;
        let status = answer.status();
        let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
        if status.is_success() {
            return serde_json::from_slice(&text).hint(
                format!("The admin API at `{}` answers something unknown.", self.base),
                "Use the same version of `everwake` on both ends.",
            );
        }
        match serde_json::from_slice::<Problem>(&text) {
            Ok(problem) => Err(failure_of(problem)),
            Err(_) => Err(hinted(
                format!("The server at `{}` answers {status}.", self.base),
                "Is this an Everwake admin API?",
            )),
        }
    }
}

/// A problem of the server, as an error with its hint. The problem itself stays in the chain.
fn failure_of(problem: Problem) -> anyhow::Error {
    // A server of another version may have none.
    let hint = match (problem.hint.as_str(), problem.code) {
        ("", ProblemCode::Busy | ProblemCode::Unavailable) => "Try again in a moment.",
        ("", ProblemCode::Unauthorized) => "Give the server's token: `--token TOKEN`.",
        ("", ProblemCode::Failed) => FAULT,
        ("", _) => "`everwake status` says what runs there.",
        (hint, _) => hint,
    };
    let hint = hint.to_owned();
    let message = problem.message.clone();
    because(problem, message, hint)
}

/// The problem that the server answered, if it is one.
#[cfg(test)]
pub fn problem_of(error: &anyhow::Error) -> Option<&Problem> {
    error.downcast_ref::<Problem>()
}

fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
        encoded
    })
}

#[cfg(test)]
mod tests;
