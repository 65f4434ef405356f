//! What the admin server steers.

use super::types::{
    CallAnswer, CallRequest, CrashGroup, Problem, PublicationReport, PublishQuery, RecordRequest, Recording,
    RollbackRequest, Status, VersionEntry,
};
use bytes::Bytes;
use serde_json::Value;

/// A running deployment. Its methods may block for as long as a compilation takes; the server
/// calls them on threads of their own.
pub trait Deployment: Send + Sync + 'static {
    /// Checks, compiles and plans, and does nothing.
    fn plan(&self, component: Bytes, query: &PublishQuery) -> Result<PublicationReport, Problem>;
    /// Makes a version live. One that is refused is an answer, not a problem.
    fn publish(&self, component: Bytes, query: &PublishQuery) -> Result<PublicationReport, Problem>;
    /// Goes back.
    fn rollback(&self, request: &RollbackRequest) -> Result<PublicationReport, Problem>;
    /// All that were published, newest first.
    fn versions(&self) -> Result<Vec<VersionEntry>, Problem>;
    /// What runs.
    fn status(&self) -> Result<Status, Problem>;
    /// One space or entity, or all spaces.
    fn inspect(&self, id: Option<&str>) -> Result<Value, Problem>;
    /// A call as an operator.
    fn call(&self, request: &CallRequest) -> Result<CallAnswer, Problem>;
    /// Most frequent first.
    fn crashes(&self) -> Result<Vec<CrashGroup>, Problem>;
    /// Starts or stops a recording.
    fn record(&self, request: &RecordRequest) -> Result<Recording, Problem>;
    /// Asks the process to stop; returns at once.
    fn shutdown(&self);
}
