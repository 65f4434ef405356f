//! What every process of a cluster answers, whatever its role is: who it is, and to what it is linked.

use super::server::guarded;
use super::types::ProcessStatus;
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
    /// Told when somebody asks it to stop.
    pub stop: UnboundedSender<()>,
}

impl Desk {
    fn status(&self) -> ProcessStatus {
        ProcessStatus {
            process: self.us.peer.to_string(),
            start: self.us.incarnation.start,
            everwake: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            links: self.links.all().into_iter().map(|(peer, stands)| (peer.to_string(), stands)).collect(),
            clients: self.clients.as_ref().map(|count| count()),
        }
    }
}

/// What is asked of every process.
pub fn routes(desk: Arc<Desk>) -> Router {
    Router::new().route("/v1/process", get(async move || Json(desk.status())))
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
