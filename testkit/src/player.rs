//! One connected client, as tests see it.

use everwake_client::{ClientCore, ClientEvent, Greeting, Value};
use everwake_gate::ConnectionId;
use everwake_protocol::EntityId;
use everwake_protocol::client::CloseCode;
use everwake_protocol::outcome::Outcome;
use std::collections::BTreeMap;

/// Names a connected client of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Player(pub(crate) u64);

/// Names a request of a player that was made without waiting for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request(pub(crate) u64);

/// A method that was called on a client's mirror.
#[derive(Clone, Debug, PartialEq)]
pub struct Called {
    /// The mirror.
    pub entity: EntityId,
    /// Name of the client method.
    pub method: String,
    /// In order.
    pub args: Vec<Value>,
}

/// A client's core, and what it has told so far.
pub(crate) struct Seat {
    pub(crate) core: ClientCore,
    pub(crate) connection: ConnectionId,
    pub(crate) calls: Vec<Called>,
    pub(crate) events: Vec<ClientEvent>,
    pub(crate) replies: BTreeMap<u64, Outcome>,
    pub(crate) inconsistencies: Vec<String>,
    pub(crate) closed: Option<(CloseCode, String)>,
}

impl Seat {
    #[track_caller]
    pub(crate) fn new(connection: ConnectionId, greeting: &Greeting) -> Self {
        Self {
            core: ClientCore::new(greeting).unwrap_or_else(|error| panic!("{error}")),
            connection,
            calls: Vec::new(),
            events: Vec::new(),
            replies: BTreeMap::new(),
            inconsistencies: Vec::new(),
            closed: None,
        }
    }

    /// Sorts what the core has to tell.
    pub(crate) fn drain(&mut self) {
        while let Some(event) = self.core.poll_event() {
            match &event {
                ClientEvent::Called { entity, method, args } => {
                    let args = Value::decode_list(args).unwrap_or_default();
                    self.calls.push(Called { entity: *entity, method: method.clone(), args });
                }
                ClientEvent::Replied { request, outcome } => {
                    let before = self.replies.insert(*request, outcome.clone());
                    let twice = before.map(|_| format!("request {request} was answered twice"));
                    self.inconsistencies.extend(twice);
                }
                ClientEvent::Inconsistent { text } => self.inconsistencies.push(text.clone()),
                _ => {}
            }
            self.events.push(event);
        }
    }
}
