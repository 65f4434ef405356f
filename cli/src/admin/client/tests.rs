//! Both ends of the admin API over a real loopback socket, with a deployment that is made up.

use super::super::deployment::Deployment;
use super::super::{server, types};
use super::*;
use bytes::Bytes;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Default)]
struct MadeUp {
    stopped: AtomicBool,
}

fn refused(message: &str) -> Problem {
    Problem::new(ProblemCode::Refused, message, "Do otherwise.")
}

impl Deployment for MadeUp {
    fn plan(&self, component: Bytes, _: &PublishQuery) -> Result<PublicationReport, Problem> {
        Ok(PublicationReport { label: component.len().to_string(), ..PublicationReport::default() })
    }
    fn publish(&self, _: Bytes, query: &PublishQuery) -> Result<PublicationReport, Problem> {
        Err(refused(&format!("The version is refused: {} {}", query.note, query.irreversible)))
    }
    fn rollback(&self, request: &RollbackRequest) -> Result<PublicationReport, Problem> {
        Ok(PublicationReport { module: request.module.clone(), ..PublicationReport::default() })
    }
    fn versions(&self) -> Result<Vec<VersionEntry>, Problem> {
        Ok(Vec::new())
    }
    fn status(&self) -> Result<Status, Problem> {
        Ok(Status { uptime_ms: 3, ..Status::default() })
    }
    fn inspect(&self, id: Option<&str>) -> Result<Value, Problem> {
        Ok(json!({"id": id}))
    }
    fn call(&self, request: &CallRequest) -> Result<CallAnswer, Problem> {
        Ok(CallAnswer { value: Value::from(request.args.clone()) })
    }
    fn crashes(&self) -> Result<Vec<CrashGroup>, Problem> {
        Ok(Vec::new())
    }
    fn record(&self, request: &RecordRequest) -> Result<Recording, Problem> {
        match request {
            RecordRequest::Start(target) | RecordRequest::Last(target) => {
                let folder = &target.folder;
                Ok(Recording { folder: folder.clone(), ..Recording::default() })
            }
            RecordRequest::Stop => Err(Problem::new(ProblemCode::NotFound, "Nothing is recorded.", "")),
        }
    }
    fn shutdown(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
}

/// Runs a check against a server on a port of its own.
fn with_server(check: impl FnOnce(&str, &MadeUp)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let deployment = Arc::new(MadeUp::default());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving =
        runtime.spawn(server::run(listener, deployment.clone(), None, "secret".into(), async move {
            let _ = stopped.await;
        }));
    check(&address, &deployment);
    drop(stop);
    runtime.block_on(serving).unwrap().unwrap();
}

#[test]
fn every_request_reaches_the_deployment_and_its_answer_comes_back() {
    with_server(|address, deployment| {
        let client = AdminClient::new(address, "secret");
        let back = RollbackRequest { module: "yard".into(), ..RollbackRequest::default() };
        assert_eq!(client.plan(&[0; 70_000], &PublishQuery::default()).unwrap().label, "70000");
        assert_eq!(client.rollback(&back).unwrap().module, "yard");
        assert!(client.versions().unwrap().is_empty());
        assert_eq!(client.status().unwrap().uptime_ms, 3);
        assert_eq!(client.inspect(Some("a&b=c d")).unwrap(), json!({"id": "a&b=c d"}));
        assert_eq!(client.inspect(None).unwrap(), json!({"id": null}));
        let call = CallRequest { entity: "x".into(), method: "m".into(), args: vec![json!(1), json!("two")] };
        assert_eq!(client.call(&call).unwrap().value, json!([1, "two"]));
        assert!(client.crashes().unwrap().is_empty());
        let bug = types::RecordTarget { folder: "bug".into(), ..types::RecordTarget::default() };
        assert_eq!(client.record(&RecordRequest::Start(bug)).unwrap().folder, "bug");
        client.shutdown().unwrap();
        assert!(deployment.stopped.load(Ordering::SeqCst));
    });
}

#[test]
fn a_refusal_keeps_its_code_and_hint() {
    with_server(|address, _| {
        let client = AdminClient::new(address, "secret");
        let query = PublishQuery { note: "because of 100 %".into(), irreversible: true, supersede: false };
        let error = client.publish(b"x", &query).unwrap_err();
        assert_eq!(problem_of(&error).map(|it| it.code), Some(ProblemCode::Refused));
        let (lines, hints) = crate::failure::read(&error);
        assert_eq!(lines, ["The version is refused: because of 100 % true"]);
        assert_eq!(hints, ["Do otherwise."]);
    });
}

#[test]
fn a_wrong_token_gets_nothing_but_health() {
    with_server(|address, deployment| {
        let client = AdminClient::new(address, "guess");
        assert_eq!(
            problem_of(&client.status().unwrap_err()).map(|it| it.code),
            Some(ProblemCode::Unauthorized)
        );
        assert!(client.shutdown().is_err());
        assert!(!deployment.stopped.load(Ordering::SeqCst));
        assert_eq!(client.get::<Value>("/v1/health").unwrap()["ok"], true);
    });
}

#[test]
fn bodies_are_bounded_and_checked() {
    with_server(|address, _| {
        let client = AdminClient::new(address, "secret");
        let huge = CallRequest { entity: "x".repeat(types::REQUEST_BYTES_MAX + 1), ..CallRequest::default() };
        assert_eq!(
            problem_of(&client.call(&huge).unwrap_err()).map(|it| it.code),
            Some(ProblemCode::TooLarge)
        );
        let odd = client.post::<_, Value>("/v1/rollback", &json!({"modul": "chat"})).unwrap_err();
        assert_eq!(problem_of(&odd).map(|it| it.code), Some(ProblemCode::BadRequest));
        let nowhere = client.get::<Value>("/v2/status").unwrap_err();
        assert_eq!(problem_of(&nowhere).map(|it| it.code), Some(ProblemCode::NotFound));
    });
}

#[test]
fn nobody_there_is_said_with_what_to_do() {
    let error = AdminClient::new("127.0.0.1:1", "").status().unwrap_err();
    assert!(crate::failure::read(&error).1[0].contains("everwake dev"));
}
