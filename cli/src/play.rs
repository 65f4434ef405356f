//! A connection to a gate as the terminal clients want it: entities, methods and values by name. When it ends there is
//! another one after a while, with nothing of the one before.
//!
//! - [`gates`]: which gates there are, and how hard they are tried. [`heard`]: what is heard, and lines about connections.

mod gates;
mod heard;

pub use gates::{Endpoint, GateAddress};
pub use heard::Heard;

use crate::connect::format::{Names, method_line};
use crate::failure::hinted;
use crate::values::{ValueError, arguments_of_line, decode, encode_arguments};
use bytes::Bytes;
use everwake_client::{
    CallError, Client, ClientEvent, ConnectionEvent, LeftOpen, ReconnectingClient, RequestError, SessionEvent,
};
use everwake_protocol::EntityId;
use everwake_protocol::client::Pose;
use everwake_protocol::outcome::{Certainty, code};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a call waits for its answer.
const DEADLINE_MS: u32 = 5_000;
/// How long an own entity may take to come into view.
const OWN_WAIT: Duration = Duration::from_secs(10);

/// An entity as the client mirrors it.
#[derive(Clone, Debug)]
pub struct Entity {
    /// Its name.
    pub id: EntityId,
    /// Small id of its type.
    pub type_id: u32,
    /// Name of its type.
    pub type_name: String,
    /// True if it is the client's own.
    pub own: bool,
    /// Where it stands, if it stands somewhere.
    pub pose: Option<Pose>,
    /// Attributes by name, those included that nobody changed.
    pub values: Vec<(String, Value)>,
}

/// Why a call has no value.
#[derive(Debug, thiserror::Error)]
pub enum CallFailed {
    /// Nothing is owned, so nothing can be called.
    #[error("you own no entity now")]
    NothingOwned,
    /// The method does not exist for clients.
    #[error("`{type_name}` has no method `{method}` that you may call; {}", callable(known))]
    NoMethod {
        /// Name of the target's type.
        type_name: String,
        /// As it was asked for.
        method: String,
        /// What may be called, with parameters.
        known: Vec<String>,
    },
    /// The arguments do not fit.
    #[error("{}\n  {signature}", without_signature(error))]
    Arguments {
        /// What is wrong with them.
        error: ValueError,
        /// The method with its parameters.
        signature: String,
    },
    /// The server, or the way to it.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// A list for people of what may be called.
fn callable(known: &[String]) -> String {
    match known {
        [] => "it has none for you".to_owned(),
        known => format!("it has:\n  {}", known.join("\n  ")),
    }
}

/// What is wrong, without the parameters: the whole method stands below.
fn without_signature(error: &ValueError) -> String {
    let text = error.to_string();
    match error {
        ValueError::Count { signature, .. } => {
            text.strip_suffix(&format!(": {signature}")).unwrap_or(&text).to_owned()
        }
        _ => text,
    }
}

impl CallFailed {
    /// What to do about it, if there is something beside what it says.
    pub fn hint(&self) -> Option<&'static str> {
        let CallFailed::Call(CallError::Failed { certainty, code, .. }) = self else { return None };
        match code.as_str() {
            code::TRAPPED | code::TIMED_OUT => {
                Some("The method crashed: `everwake crashes --full` in another terminal shows where.")
            }
            code::OVERLOADED => Some("Too much waits there: try again in a moment."),
            code::DISCONNECTED if *certainty == Certainty::Unknown => {
                Some("The connection ended before the answer came: it may have happened.")
            }
            code::DISCONNECTED => Some("The connection ended first: it did not happen."),
            code::GONE => Some("It is not there any more: `ls` lists who is."),
            _ => None,
        }
    }

    /// What the game said, if it was the game that said no.
    pub fn refusal(&self) -> Option<String> {
        let CallFailed::Call(CallError::Failed { certainty: Certainty::Refused, detail, .. }) = self else {
            return None;
        };
        everwake_protocol::cbor::Reader::new(detail).text().ok().map(str::to_owned)
    }

    /// True if there was no connection, or none any more.
    pub fn is_disconnected(&self) -> bool {
        match self {
            CallFailed::Call(CallError::Request(error)) => *error == RequestError::Closed,
            CallFailed::Call(CallError::Failed { code, .. }) => code == code::DISCONNECTED,
            _ => false,
        }
    }

    /// True if it surely had no effect, so that it can be tried again.
    pub fn surely_not_run(&self) -> bool {
        match self {
            CallFailed::NothingOwned | CallFailed::NoMethod { .. } | CallFailed::Arguments { .. } => true,
            CallFailed::Call(CallError::Request(_)) => true,
            CallFailed::Call(CallError::Failed { certainty, .. }) => *certainty != Certainty::Unknown,
            CallFailed::Call(CallError::Answer(_)) => false,
        }
    }
}

/// The calling half of a player. Cheap to clone.
#[derive(Clone)]
pub struct Caller {
    client: Arc<ReconnectingClient>,
    /// Names of the newest schema, read once for each.
    names: Arc<Mutex<Arc<Names>>>,
}

impl Caller {
    /// Calls a method of the own entity. Between two views there is none for a moment: it waits. Without a connection
    /// it fails at once.
    pub async fn call_own(&self, method: &str, args: &[Value]) -> Result<Value, CallFailed> {
        let client = self.session()?;
        let own = client.wait(OWN_WAIT, |core| core.own().is_some()).await;
        own.map_err(|_| RequestError::Closed).map_err(CallError::from)?;
        let own = client.own().ok_or(CallFailed::NothingOwned)?;
        let names = self.names();
        let type_id =
            client.read(|core| core.entity(own).map(|it| it.type_id)).ok_or(CallFailed::NothingOwned)?;
        let found = names.method(type_id, method).ok_or_else(|| no_method(&names, type_id, method, true))?;
        let args = encode_arguments(args, &found.parameters, &names.definitions)
            .map_err(|error| CallFailed::Arguments { error, signature: method_line(found) })?;
        call(&client, &names, (own, type_id), method, args).await
    }

    fn session(&self) -> Result<Arc<Client>, CallError> {
        Ok(self.client.client().ok_or(RequestError::Closed)?)
    }

    fn names(&self) -> Arc<Names> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = self.client.client().and_then(|client| {
            client.read(|core| {
                let schema = core.schema();
                let same = schema.generation == names.schema.generation
                    && schema.types.len() == names.schema.types.len();
                (!same).then(|| schema.clone())
            })
        });
        if let Some(schema) = fresh {
            *names = Arc::new(Names::new(schema));
        }
        names.clone()
    }

    /// Another session may have another schema of the same generation.
    fn forget_names(&self) {
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }
}

async fn call(
    client: &Client,
    names: &Names,
    (target, type_id): (EntityId, u32),
    method: &str,
    args: Vec<u8>,
) -> Result<Value, CallFailed> {
    let answer = client.call_encoded(target, method, Bytes::from(args), DEADLINE_MS).await?;
    let returns = names.method(type_id, method).map_or("any", |it| it.returns.as_str());
    Ok(decode(&answer, returns, &names.definitions))
}

fn no_method(names: &Names, type_id: u32, method: &str, own: bool) -> CallFailed {
    let known = names.methods(type_id, own);
    CallFailed::NoMethod { type_name: names.type_name(type_id), method: method.to_owned(), known }
}

/// A client that is connected, or will be again.
pub struct Player {
    caller: Caller,
    missed: u64,
    /// Of the newest schema that was heard of in this session.
    generation: Option<u32>,
    /// There was a session before this one.
    played: bool,
    /// A session has ended, and what follows is not known yet.
    lost: Option<Heard>,
    /// What follows.
    ready: Option<Heard>,
    /// Names of the gates, as they were written.
    gates: Arc<[String]>,
}

impl Player {
    /// Connects and greets, on a socket of its own.
    pub async fn connect(gate: &GateAddress, module: &str) -> anyhow::Result<Player> {
        Endpoint::open(gate)?.connect(module).await
    }

    fn new(client: ReconnectingClient, gates: Arc<[String]>) -> Player {
        let caller = Caller { client: Arc::new(client), names: Arc::default() };
        Player { caller, missed: 0, generation: None, played: false, lost: None, ready: None, gates }
    }

    /// Waits until an own entity is in view.
    pub async fn own_ready(&self) -> anyhow::Result<()> {
        self.own_until(|_| true, "The server gives us no entity.").await
    }

    /// Waits until the own entity has a method: an account has become an avatar.
    pub async fn own_with(&self, method: &str) -> anyhow::Result<()> {
        let names = |type_id| self.names().method(type_id, method).is_some();
        self.own_until(names, "The server gives us no entity that can play.").await
    }

    async fn own_until(&self, good: impl Fn(u32) -> bool, failed: &str) -> anyhow::Result<()> {
        let until = tokio::time::Instant::now() + OWN_WAIT;
        let client = self.caller.session()?;
        while tokio::time::Instant::now() < until {
            let before = client.own();
            if client.read(|core| core.own().map(|own| own.type_id)).is_some_and(&good) {
                return Ok(());
            }
            // Anything new may be what we wait for; a schema comes without an entity.
            client.wait(Duration::from_millis(50), |core| core.own().map(|own| own.id) != before).await?;
        }
        Err(hinted(failed, "`everwake crashes` says whether a handler failed."))
    }

    /// Whether there is a session; its end may not have been heard of yet.
    pub fn is_connected(&self) -> bool {
        self.caller.client.client().is_some_and(|client| !client.has_ended())
    }

    /// The calling half.
    pub fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// Calls a method of the own entity.
    pub async fn call_own(&self, method: &str, args: &[Value]) -> Result<Value, CallFailed> {
        self.caller.call_own(method, args).await
    }

    /// Calls a method of an entity with arguments as they were typed.
    pub async fn call_line(&self, target: &Entity, method: &str, line: &str) -> Result<Value, CallFailed> {
        let client = self.caller.session()?;
        let names = self.names();
        let found = names.method(target.type_id, method).filter(|it| target.own || it.all_clients);
        let found = found.ok_or_else(|| no_method(&names, target.type_id, method, target.own))?;
        let args = arguments_of_line(line, &found.parameters, &names.definitions)
            .map_err(|error| CallFailed::Arguments { error, signature: method_line(found) })?;
        call(&client, &names, (target.id, target.type_id), method, args).await
    }

    /// Moves the own entity; its height and heading stay.
    pub fn move_to(&self, x: f32, z: f32) {
        let pose = self.own().and_then(|own| own.pose).unwrap_or_default();
        if let Some(client) = self.caller.client.client() {
            client.move_to(Pose { x, z, ..pose }, &[]);
        }
    }

    /// The next thing that happens.
    pub async fn next(&mut self) -> Heard {
        loop {
            if let Some(heard) = self.ready.take() {
                return heard;
            }
            let missed = self.caller.client.missed_events();
            if missed > self.missed {
                let text = format!("{} events came faster than they were taken", missed - self.missed);
                self.missed = missed;
                return Heard::Strange(text);
            }
            let heard = match self.caller.client.next().await {
                Some(SessionEvent::Client(event)) => self.heard(event),
                Some(SessionEvent::Connection(event)) => self.connection(event),
                None => Some(Heard::Closed { why: "it has ended before".to_owned() }),
            };
            if let Some(heard) = heard {
                return self.after_what_was_lost(heard);
            }
        }
    }

    /// An end behind which nothing comes is one event, unless it left something open.
    fn after_what_was_lost(&mut self, heard: Heard) -> Heard {
        match (self.lost.take(), heard) {
            (Some(Heard::Lost { open, .. }), closed @ Heard::Closed { .. })
                if open == LeftOpen::default() =>
            {
                closed
            }
            (Some(lost), heard) => {
                self.ready = Some(heard);
                lost
            }
            (None, heard) => heard,
        }
    }

    fn connection(&mut self, event: ConnectionEvent) -> Option<Heard> {
        let name = |gate: usize| self.gates.get(gate).cloned().unwrap_or_default();
        Some(match event {
            ConnectionEvent::Connected { gate, .. } => {
                self.generation = None;
                self.caller.forget_names();
                // Of the first one whoever connected knows.
                let gate = name(gate);
                std::mem::replace(&mut self.played, true).then_some(Heard::Back { gate })?
            }
            ConnectionEvent::Disconnected { why, open, .. } => {
                self.lost = Some(Heard::Lost { why: why.to_string(), open });
                return None;
            }
            ConnectionEvent::Reconnecting { attempt, gate, in_ms } => {
                Heard::Trying { gate: name(gate), attempt, in_ms }
            }
            ConnectionEvent::Failed { gate, why } => Heard::Failed { gate: name(gate), why: why.to_string() },
            ConnectionEvent::Over { why } => Heard::Closed { why: why.to_string() },
        })
    }

    fn heard(&mut self, event: ClientEvent) -> Option<Heard> {
        Some(match event {
            ClientEvent::Created { entity, .. } => Heard::Created(entity),
            ClientEvent::Changed { entity, attributes } => Heard::Changed(entity, attributes),
            ClientEvent::Destroyed { entity } => Heard::Destroyed(entity),
            ClientEvent::Called { entity, method, args } => {
                let type_id = self.read(|client| client.entity(entity).map(|it| it.type_id));
                let args = self.names().arguments(type_id, &method, &args);
                Heard::Called { entity, name: method, args }
            }
            ClientEvent::Schema { generation } => {
                // The first one is what runs already.
                self.generation.replace(generation)?;
                let version = self.names().schema.version.clone();
                Heard::Version { version, generation }
            }
            ClientEvent::Resync { .. } => Heard::Resync,
            ClientEvent::Inconsistent { text } => Heard::Strange(text),
            ClientEvent::Welcome { .. } | ClientEvent::Replied { .. } | ClientEvent::Pong { .. } => {
                return None;
            }
        })
    }

    /// Of the session that there is.
    fn read<T>(&self, read: impl FnOnce(&Client) -> Option<T>) -> Option<T> {
        read(&*self.caller.client.client()?)
    }

    /// Names of the newest schema.
    pub fn names(&self) -> Arc<Names> {
        self.caller.names()
    }

    /// All entities in view, by id.
    pub fn entities(&self) -> Vec<Entity> {
        let ids = self.read(|client| Some(client.read(|core| core.entities().map(|it| it.id).collect())));
        let ids: Vec<EntityId> = ids.unwrap_or_default();
        ids.into_iter().filter_map(|id| self.entity(id)).collect()
    }

    /// The own entity.
    pub fn own(&self) -> Option<Entity> {
        self.entity(self.read(Client::own)?)
    }

    /// One entity in view.
    pub fn entity(&self, id: EntityId) -> Option<Entity> {
        let names = self.names();
        let (found, values) =
            self.read(|client| client.read(|core| Some((core.entity(id)?.clone(), core.attributes(id)))))?;
        let value = |(name, type_text, item): (String, String, Bytes)| {
            (name, decode(&item, &type_text, &names.definitions))
        };
        Some(Entity {
            id,
            type_id: found.type_id,
            type_name: found.type_name,
            own: found.own,
            pose: (found.handle != 0).then_some(found.pose),
            values: values.into_iter().map(value).collect(),
        })
    }

    /// Says good-bye.
    pub async fn close(self) {
        self.caller.client.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_call_shows_what_would_be_right() {
        let known = vec!["say(text: string) -> u64".to_owned(), "rest()".to_owned()];
        let failed = |known| CallFailed::NoMethod { type_name: "Avatar".into(), method: "sya".into(), known };
        assert_eq!(
            failed(known).to_string(),
            "`Avatar` has no method `sya` that you may call; it has:\n  say(text: string) -> u64\n  rest()"
        );
        assert!(failed(Vec::new()).to_string().ends_with("it has none for you"));
        let error = ValueError::Count { expected: 1, found: 0, signature: "(text: string)".into() };
        let failed = CallFailed::Arguments { error, signature: "say(text: string) -> u64".into() };
        assert_eq!(failed.to_string(), "expected 1 argument, found 0\n  say(text: string) -> u64");
        assert_eq!(failed.hint(), None);
    }

    #[test]
    fn a_crash_says_where_it_can_be_read() {
        let failed = |code: &str| {
            CallFailed::Call(CallError::Failed {
                certainty: Certainty::NotRun,
                code: code.into(),
                detail: Bytes::new(),
            })
        };
        assert!(failed(code::TRAPPED).hint().unwrap().contains("everwake crashes"));
        assert!(failed(code::TIMED_OUT).hint().unwrap().contains("everwake crashes"));
        assert_eq!(failed("failed").hint(), None, "the game's own words say enough");
    }

    #[test]
    fn what_was_not_sent_did_not_run_and_what_was_lost_may_have() {
        assert!(CallFailed::NothingOwned.surely_not_run());
        assert!(CallFailed::Call(CallError::Request(RequestError::Closed)).surely_not_run());
        let failed = |certainty| {
            CallFailed::Call(CallError::Failed {
                certainty,
                code: "x".into(),
                detail: Bytes::from_static(&[0xf6]),
            })
        };
        assert!(failed(Certainty::NotRun).surely_not_run() && failed(Certainty::Refused).surely_not_run());
        assert!(!failed(Certainty::Unknown).surely_not_run());
    }
}
