//! A host that writes down what it is asked for.

use bytes::Bytes;
use everwake_protocol::client::Pose;
use everwake_protocol::cluster::Comparison;
use everwake_protocol::{EntityId, Id};
use everwake_runtime::guest::{
    Audience, ClientInfo, Continuation, GuestError, Imports, LoadedState, LogLevel, Member, Misuse,
    Neighbour, Part, Place,
};

#[derive(Debug, Default)]
pub struct Recorder {
    pub patches: Vec<Vec<u8>>,
    pub sent: Vec<Part>,
    pub answers: Vec<Bytes>,
    pub last_words: Vec<String>,
    pub gathered: usize,
    pub attributes: Bytes,
}

type Done = Result<(), GuestError>;

fn unused<T>() -> Result<T, GuestError> {
    Err(GuestError::NotFound)
}

impl Imports for Recorder {
    fn load(&mut self, _: EntityId) -> Option<LoadedState> {
        Some(LoadedState { revision: 1, type_index: 0, attributes: self.attributes.clone() })
    }
    fn patch(&mut self, _: EntityId, changes: &[u8]) -> Result<(), Misuse> {
        if changes == [0xff] {
            return Err(Misuse("the patch is malformed at byte 0".into()));
        }
        self.patches.push(changes.to_vec());
        Ok(())
    }
    fn spawn(&mut self, _: u32, _: &[u8], _: Pose) -> Result<Result<EntityId, GuestError>, Misuse> {
        Ok(unused())
    }
    fn destroy(&mut self, _: EntityId) -> Done {
        unused()
    }
    fn create(&mut self, _: u32, _: Bytes, _: Place, _: Continuation) -> Done {
        unused()
    }
    fn call(&mut self, _: Part, _: Continuation) -> Done {
        unused()
    }
    fn send(&mut self, _: EntityId, part: Part, _: Option<(u32, Bytes)>) -> Done {
        self.sent.push(part);
        Ok(())
    }
    fn post(&mut self, _: EntityId, _: Part) -> Done {
        unused()
    }
    fn gather(&mut self, parts: Vec<Part>, _: Continuation) -> Done {
        self.gathered += parts.len();
        Ok(())
    }
    fn caller(&mut self) -> Option<EntityId> {
        None
    }
    fn answer(&mut self, value: Bytes) -> Done {
        self.answers.push(value);
        Ok(())
    }
    fn refuse(&mut self, _: String, _: Bytes) -> Done {
        unused()
    }
    fn defer(&mut self) -> Result<Id, GuestError> {
        unused()
    }
    fn reply(&mut self, _: EntityId, _: Id, _: Bytes) -> Done {
        unused()
    }
    fn reply_refused(&mut self, _: EntityId, _: Id, _: String, _: Bytes) -> Done {
        unused()
    }
    fn watch(&mut self, _: EntityId, _: EntityId, _: u32, _: Bytes) -> Result<Id, GuestError> {
        unused()
    }
    fn unwatch(&mut self, _: EntityId, _: Id) {}
    fn start_timer(
        &mut self,
        _: EntityId,
        _: u32,
        _: Bytes,
        _: f64,
        _: f64,
        _: bool,
    ) -> Result<Id, GuestError> {
        unused()
    }
    fn cancel_timer(&mut self, _: EntityId, _: Id) {}
    fn due(&mut self) -> Vec<Member> {
        Vec::new()
    }
    fn poses(&mut self) -> Vec<f32> {
        Vec::new()
    }
    fn neighbours(&mut self, _: f32, _: Option<u32>) -> (Vec<u32>, Vec<Neighbour>) {
        (Vec::new(), Vec::new())
    }
    fn move_all(&mut self, _: &[f32]) -> Result<(), Misuse> {
        Ok(())
    }
    fn working_on(&mut self, _: u32) {}
    fn current_space(&mut self) -> Option<EntityId> {
        None
    }
    fn enter(&mut self, _: EntityId, _: EntityId, _: Pose) -> Done {
        unused()
    }
    fn leave(&mut self, _: EntityId) -> Done {
        unused()
    }
    fn members(&mut self, _: Option<u32>) -> Vec<EntityId> {
        Vec::new()
    }
    fn pose_of(&mut self, _: EntityId) -> Option<Pose> {
        None
    }
    fn move_to(&mut self, _: EntityId, _: Pose) -> Done {
        unused()
    }
    fn set_motion(&mut self, _: EntityId, _: &[u8]) -> Done {
        unused()
    }
    fn near(&mut self, _: Pose, _: f32, _: Option<u32>) -> Vec<Neighbour> {
        Vec::new()
    }
    fn set_layers(&mut self, _: EntityId, _: u32, _: u32) -> Done {
        unused()
    }
    fn allow_client_moves(&mut self, _: EntityId, _: bool) -> Done {
        unused()
    }
    fn service_by_key(&mut self, _: u32, _: &[u8]) -> Result<EntityId, GuestError> {
        unused()
    }
    fn service_by_number(&mut self, _: u32, _: u32) -> Result<EntityId, GuestError> {
        unused()
    }
    fn client_of(&mut self, _: EntityId) -> Option<ClientInfo> {
        None
    }
    fn give(&mut self, _: EntityId, _: EntityId, _: bool, _: Continuation) -> Done {
        unused()
    }
    fn kick(&mut self, _: EntityId, _: String) -> Done {
        unused()
    }
    fn call_client(&mut self, _: EntityId, _: Audience, _: u32, _: Bytes) -> Done {
        unused()
    }
    fn set_filter(&mut self, _: EntityId, _: String, _: Option<String>) -> Done {
        unused()
    }
    fn broadcast(&mut self, _: String, _: Comparison, _: String, _: u32, _: u32, _: Bytes) -> Done {
        unused()
    }
    fn kv_get(&mut self, _: String, _: Continuation) -> Done {
        unused()
    }
    fn kv_put(&mut self, _: String, _: Option<Bytes>, _: Continuation) -> Done {
        unused()
    }
    fn kv_get_or_put(&mut self, _: String, _: Bytes, _: Continuation) -> Done {
        unused()
    }
    fn kv_compare_and_set(&mut self, _: String, _: Option<Bytes>, _: Option<Bytes>, _: Continuation) -> Done {
        unused()
    }
    fn kv_range(&mut self, _: String, _: String, _: u32, _: Continuation) -> Done {
        unused()
    }
    fn log_line(&mut self, _: LogLevel, _: String) {}
    fn panicked(&mut self, message: String) {
        self.last_words.push(message);
    }
}
