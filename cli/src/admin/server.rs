//! The server's end: routes, the token, bounded bodies. Knows no game: see [`Deployment`].

use super::deployment::Deployment;
use super::desk::{self, Desk};
use super::types::{
    COMPONENT_BYTES_MAX, CallRequest, Problem, ProblemCode, PublicationReport, PublishQuery,
    REQUEST_BYTES_MAX, RecordRequest, RollbackRequest, TOO_LARGE, too_large,
};
use crate::failure::FAULT;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves a game, as a process of a cluster if it is one, until `shutdown` resolves and the requests under way are answered.
pub async fn run(
    listener: TcpListener,
    deployment: Arc<dyn Deployment>,
    desk: Option<Arc<Desk>>,
    token: String,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(deployment, desk, &token)).with_graceful_shutdown(shutdown).await
}

/// A new token: 128 bits that nobody can guess.
pub fn mint_token() -> std::io::Result<String> {
    use std::io::Read as _;
    let mut chance = [0u8; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut chance)?;
    let mut text: String = blake3::hash(&chance).to_hex().chars().take(32).collect();
    text.insert_str(0, "ew-");
    Ok(text)
}

#[derive(Clone)]
struct Admin {
    deployment: Arc<dyn Deployment>,
}

fn router(deployment: Arc<dyn Deployment>, desk: Option<Arc<Desk>>, token: &str) -> Router {
    let routes = Router::new()
        .route("/v1/publish", post(publish).layer(DefaultBodyLimit::max(COMPONENT_BYTES_MAX)))
        .route("/v1/plan", post(plan).layer(DefaultBodyLimit::max(COMPONENT_BYTES_MAX)))
        .route("/v1/rollback", post(rollback))
        .route("/v1/versions", get(versions))
        .route("/v1/status", get(status))
        .route("/v1/inspect", get(inspect))
        .route("/v1/call", post(call))
        .route("/v1/crashes", get(crashes))
        .route("/v1/record", post(record))
        .route("/v1/shutdown", post(shutdown))
        .with_state(Admin { deployment });
    let routes = desk.into_iter().fold(routes, |routes, desk| routes.merge(desk::routes(desk)));
    guarded(routes, token)
}

/// Routes that want the token, beside `health`.
pub fn guarded(routes: Router, token: &str) -> Router {
    let token: Arc<str> = token.into();
    let routes = routes
        .route_layer(from_fn_with_state(token, check_token))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX));
    Router::new()
        .route(
            "/v1/health",
            get(|| async { Json(json!({"ok": true, "everwake": env!("CARGO_PKG_VERSION")})) }),
        )
        .merge(routes)
        .fallback(|| async {
            Problem::new(ProblemCode::NotFound, "There is no such path.", "See docs/guide/admin.md.")
        })
}

async fn check_token(State(token): State<Arc<str>>, request: Request, next: Next) -> Response {
    if bearer(request.headers()).is_some_and(|given| same(given, &token)) {
        return next.run(request).await;
    }
    let hint = "Send `Authorization: Bearer TOKEN`; `dev` writes its token to `.everwake/dev.json`.";
    Problem::new(ProblemCode::Unauthorized, "The token is missing or wrong.", hint).into_response()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// Compares hashes, so that the time it takes tells nothing about the token.
fn same(given: &str, token: &str) -> bool {
    blake3::hash(given.as_bytes()) == blake3::hash(token.as_bytes())
}

async fn publish(
    state: State<Admin>,
    query: Result<Query<PublishQuery>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    upload(state, query, body, |deployment, body, query| deployment.publish(body, query)).await
}

async fn plan(
    state: State<Admin>,
    query: Result<Query<PublishQuery>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    upload(state, query, body, |deployment, body, query| deployment.plan(body, query)).await
}

async fn upload(
    State(admin): State<Admin>,
    query: Result<Query<PublishQuery>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
    work: impl FnOnce(&dyn Deployment, Bytes, &PublishQuery) -> Result<PublicationReport, Problem>
    + Send
    + 'static,
) -> Response {
    match (query, body) {
        (Ok(Query(query)), Ok(body)) => answer(move || work(&*admin.deployment, body, &query)).await,
        (Err(error), _) => bad_request(&error.body_text()).into_response(),
        (_, Err(error)) => component_problem(error.status(), &error.body_text()).into_response(),
    }
}

async fn rollback(
    State(admin): State<Admin>,
    body: Result<Json<RollbackRequest>, JsonRejection>,
) -> Response {
    with_body(body, move |request| admin.deployment.rollback(&request)).await
}

async fn versions(State(admin): State<Admin>) -> Response {
    answer(move || admin.deployment.versions()).await
}

async fn status(State(admin): State<Admin>) -> Response {
    answer(move || admin.deployment.status()).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InspectQuery {
    id: Option<String>,
}

async fn inspect(State(admin): State<Admin>, query: Result<Query<InspectQuery>, QueryRejection>) -> Response {
    match query {
        Ok(Query(query)) => answer(move || admin.deployment.inspect(query.id.as_deref())).await,
        Err(error) => bad_request(&error.body_text()).into_response(),
    }
}

async fn call(State(admin): State<Admin>, body: Result<Json<CallRequest>, JsonRejection>) -> Response {
    with_body(body, move |request| admin.deployment.call(&request)).await
}

async fn crashes(State(admin): State<Admin>) -> Response {
    answer(move || admin.deployment.crashes()).await
}

async fn record(State(admin): State<Admin>, body: Result<Json<RecordRequest>, JsonRejection>) -> Response {
    with_body(body, move |request| admin.deployment.record(&request)).await
}

async fn shutdown(State(admin): State<Admin>) -> Response {
    admin.deployment.shutdown();
    Json(Value::Null).into_response()
}

/// Runs what may block with a body, away from the threads that serve.
pub async fn with_body<B, T>(
    body: Result<Json<B>, JsonRejection>,
    work: impl FnOnce(B) -> Result<T, Problem> + Send + 'static,
) -> Response
where
    B: Send + 'static,
    T: Serialize + Send + 'static,
{
    match body {
        Ok(Json(body)) => answer(move || work(body)).await,
        Err(error) => body_problem(error.status(), &error.body_text()).into_response(),
    }
}

/// Runs what may block, away from the threads that serve.
pub async fn answer<T: Serialize + Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Response {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Json(value).into_response(),
        Ok(Err(problem)) => problem.into_response(),
        Err(error) => {
            let message = format!("The request ended badly: {error}");
            Problem::new(ProblemCode::Failed, message, FAULT).into_response()
        }
    }
}

fn bad_request(text: &str) -> Problem {
    Problem::new(
        ProblemCode::BadRequest,
        format!("The request cannot be read: {text}"),
        "See docs/guide/admin.md.",
    )
}

fn body_problem(status: StatusCode, text: &str) -> Problem {
    if status != StatusCode::PAYLOAD_TOO_LARGE {
        return bad_request(text);
    }
    let message = format!("The request is too large; the limit is {} KiB.", REQUEST_BYTES_MAX / 1024);
    Problem::new(ProblemCode::TooLarge, message, "Send less at once: docs/guide/admin.md says what is sent.")
}

fn component_problem(status: StatusCode, text: &str) -> Problem {
    if status != StatusCode::PAYLOAD_TOO_LARGE {
        return bad_request(text);
    }
    Problem::new(ProblemCode::TooLarge, too_large(None), TOO_LARGE)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = match self.code {
            ProblemCode::Unauthorized => StatusCode::UNAUTHORIZED,
            ProblemCode::NotFound => StatusCode::NOT_FOUND,
            ProblemCode::BadRequest => StatusCode::BAD_REQUEST,
            ProblemCode::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            ProblemCode::Busy => StatusCode::CONFLICT,
            ProblemCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ProblemCode::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            ProblemCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Json(self)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_names_every_path_and_every_code() {
        let guide = include_str!("../../../docs/guide/admin.md");
        let sources = [include_str!("server.rs"), include_str!("desk.rs"), include_str!("../ops/office.rs")];
        let texts = sources.iter().flat_map(|source| source.split('"'));
        let paths: Vec<&str> = texts.filter(|it| it.starts_with("/v1/")).collect();
        assert!(paths.len() >= 13, "{paths:?}");
        for path in paths {
            assert!(guide.contains(path), "docs/guide/admin.md lacks `{path}`");
        }
        for code in [
            ProblemCode::Unauthorized,
            ProblemCode::NotFound,
            ProblemCode::BadRequest,
            ProblemCode::Refused,
            ProblemCode::Busy,
            ProblemCode::TooLarge,
            ProblemCode::Failed,
            ProblemCode::Unavailable,
        ] {
            let name = serde_json::to_string(&code).unwrap();
            let status = Problem::new(code, "", "").into_response().status().as_u16();
            assert!(guide.contains(&format!("| `{}` | {status} |", name.trim_matches('"'))), "{name}");
        }
    }

    #[test]
    fn the_largest_component_is_the_same_wherever_it_is_said() {
        let mib = format!("{} MiB", COMPONENT_BYTES_MAX / 1024 / 1024);
        assert!(too_large(Some(7)).contains(&mib) && too_large(None).contains(&mib));
        let problem = component_problem(StatusCode::PAYLOAD_TOO_LARGE, "");
        assert!(problem.message.contains(&mib), "{problem}");
        assert!(include_str!("../../../docs/guide/admin.md").contains(&format!("at most {mib}")));
        let limits = include_str!("../../../docs/guide/limits.md");
        assert!(limits.contains(&format!("| `COMPONENT_BYTES_MAX` | {mib} |")));
        let other = body_problem(StatusCode::PAYLOAD_TOO_LARGE, "");
        assert!(other.message.contains("256 KiB"), "{other}");
    }

    #[test]
    fn tokens_differ_and_are_compared_whole() {
        let (one, two) = (mint_token().unwrap(), mint_token().unwrap());
        assert_ne!(one, two);
        assert!(same(&one, &one) && !same(&one, &two) && !same(&one[1..], &one));
    }
}
