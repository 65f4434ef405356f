//! Where the supervisor is asked: two requests beside `health`, on loopback, with the token of its note.

use crate::admin::server::{guarded, mint_token};
use crate::admin::types::{Problem, ProblemCode};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// What it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// They are to stop and stay down; else they are to run.
    pub stop: bool,
    /// Role and name of each.
    pub names: Vec<String>,
}

/// Serves while the runtime goes on; address and token.
pub async fn open(to: mpsc::Sender<Asked>) -> anyhow::Result<(String, String)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (address, token) = (listener.local_addr()?.to_string(), mint_token()?);
    let routes = Router::new().route("/v1/processes", post(ask)).with_state(to);
    let routes = guarded(routes, &token);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok((address, token))
}

async fn ask(State(to): State<mpsc::Sender<Asked>>, Json(asked): Json<Asked>) -> Response {
    match to.send(asked).await {
        Ok(()) => Json(()).into_response(),
        Err(_) => {
            Problem::new(ProblemCode::Unavailable, "All stop already.", "Start it again: `everwake start`.")
                .into_response()
        }
    }
}
