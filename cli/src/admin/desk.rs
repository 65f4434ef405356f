//! What every process of a cluster answers, whatever its role is: who it is, and to what it is linked.

use super::server::{answer, guarded, with_body};
use super::types::{DrainRequest, DrainStatus, Problem, ProblemCode, ProcessStatus};
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use everwake_dispatcher::driver::LinkBoard;
use everwake_link::Identity;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;

/// Counts something now.
pub type Count = Box<dyn Fn() -> u64 + Send + Sync>;

/// Lets go what can go (`Some(true)`), no more of it, or says how that stands (`None`). May block for a moment.
pub type Drain = Box<dyn Fn(Option<bool>) -> Result<DrainStatus, Problem> + Send + Sync>;

/// A process as commands see it.
pub struct Desk {
    /// This life of it.
    pub us: Identity,
    /// When it began.
    pub started: Instant,
    /// Its links.
    pub links: LinkBoard,
    /// Its clients; none if it holds none.
    pub clients: Option<Count>,
    /// Takes nothing new from now on, or again, or says how that stands. None if it has nothing to let go.
    pub drain: Option<Drain>,
    /// Told when somebody asks it to stop.
    pub stop: UnboundedSender<()>,
}

impl Desk {
    fn drain(&self, on: Option<bool>) -> Result<DrainStatus, Problem> {
        match &self.drain {
            Some(drain) => drain(on),
            None => Err(Problem::new(
                ProblemCode::Refused,
                "A dispatcher holds nothing that could go elsewhere.",
                "Stop it: what is for its share of the entities waits until it is back.",
            )),
        }
    }

    fn status(&self) -> ProcessStatus {
        ProcessStatus {
            process: self.us.peer.to_string(),
            start: self.us.incarnation.start,
            everwake: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            links: self.links.all().into_iter().map(|(peer, stands)| (peer.to_string(), stands)).collect(),
            clients: self.clients.as_ref().map(|count| count()),
            drains: self.drain(None).is_ok_and(|status| status.drains),
        }
    }
}

/// What is asked of every process.
pub fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/process", get(status))
        .route("/v1/drain", get(drain_status).post(drain))
        .with_state(desk)
}

async fn status(State(desk): State<Arc<Desk>>) -> Response {
    answer(move || Ok(desk.status())).await
}

async fn drain_status(State(desk): State<Arc<Desk>>) -> Response {
    answer(move || desk.drain(None)).await
}

async fn drain(State(desk): State<Arc<Desk>>, body: Result<Json<DrainRequest>, JsonRejection>) -> Response {
    with_body(body, move |request| desk.drain(Some(request.on))).await
}

/// Serves a process that is no game on any free port, while the runtime goes on; address and token.
pub async fn open(desk: Arc<Desk>) -> anyhow::Result<(String, String)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (address, token) = (listener.local_addr()?.to_string(), super::server::mint_token()?);
    let stop = desk.stop.clone();
    let stop = async move || {
        // Who stops already needs no telling.
        let _ = stop.send(());
        Json(Value::Null)
    };
    let routes = guarded(routes(desk).route("/v1/shutdown", post(stop)), &token);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok((address, token))
}
