//! A connection to a gate as the terminal clients want it: entities, methods and values by name.

use crate::connect::format::{Names, method_line};
use crate::failure::{HintExt as _, hinted};
use crate::state;
use crate::values::{ValueError, arguments_of_line, decode, encode_arguments};
use bytes::Bytes;
use clap::Args;
use everwake_client::{
    CallError, Client, ClientConfig, ClientEndpoint, ClientEvent, Greeting, RequestError, Trust,
};
use everwake_protocol::EntityId;
use everwake_protocol::client::Pose;
use everwake_protocol::outcome::{Certainty, code};
use serde_json::Value;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Events that wait to be taken. Whoever is slower than that has missed something, and is told so.
const EVENTS_MAX: usize = 65_536;
/// How long a call waits for its answer.
const DEADLINE_MS: u32 = 5_000;
/// How long an own entity may take to come into view.
const OWN_WAIT: Duration = Duration::from_secs(10);

/// Where a gate is.
#[derive(Clone, Debug, Default, Args)]
pub struct GateAddress {
    /// Address of the gate; found by `.everwake/dev.json` if left out.
    #[arg(long, value_name = "HOST:PORT", env = "EVERWAKE_GATE")]
    pub gate: Option<String>,
    /// SHA-256 of the gate's certificate, hex; needed for a development gate that is not found.
    #[arg(long, value_name = "HEX", requires = "gate")]
    pub cert_hash: Option<String>,
}

impl GateAddress {
    /// A gate that is known.
    pub fn local(gate: &str, cert_hash: &str) -> Self {
        GateAddress { gate: Some(gate.to_owned()), cert_hash: Some(cert_hash.to_owned()) }
    }

    /// Address and certificate hash: by flags, else by what a running `dev` wrote.
    fn find(&self) -> anyhow::Result<(String, Option<String>)> {
        if let Some(gate) = &self.gate {
            return Ok((gate.clone(), self.cert_hash.clone()));
        }
        let found = state::find()?;
        Ok((found.gate, Some(found.cert_hash)))
    }
}

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

/// What a client hears.
#[derive(Clone, Debug)]
pub enum Heard {
    /// An entity came into view.
    Created(EntityId),
    /// Attributes changed, by name.
    Changed(EntityId, Vec<String>),
    /// An entity left the view.
    Destroyed(EntityId),
    /// A method of a mirror is called.
    Called {
        /// The mirror.
        entity: EntityId,
        /// Name of the client method.
        name: String,
        /// By its types.
        args: Vec<Value>,
    },
    /// Another version runs.
    Version {
        /// For people.
        version: String,
        /// Rises with each publication.
        generation: u32,
    },
    /// Everything that was mirrored is void.
    Resync,
    /// The server contradicts itself.
    Strange(String),
    /// The connection has ended. Nothing follows.
    Closed {
        /// For people.
        why: String,
    },
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
        let CallFailed::Call(CallError::Failed { code, .. }) = self else { return None };
        match code.as_str() {
            code::TRAPPED | code::TIMED_OUT => {
                Some("The method crashed: `everwake crashes --full` in another terminal shows where.")
            }
            code::OVERLOADED => Some("Too much waits there: try again in a moment."),
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

/// One socket for many players.
#[derive(Clone)]
pub struct Endpoint {
    socket: ClientEndpoint,
    address: SocketAddr,
    cert_hash: Option<String>,
}

impl Endpoint {
    /// For the gate of an address. Must be called inside of a tokio runtime.
    pub fn open(gate: &GateAddress) -> anyhow::Result<Endpoint> {
        let (address, cert_hash) = gate.find()?;
        let address = resolve(&address)?;
        let socket = ClientEndpoint::for_peer(address)
            .hint("No UDP socket can be opened.", "Is the machine out of ports?")?;
        Ok(Endpoint { socket, address, cert_hash })
    }

    /// Connects and greets.
    pub async fn connect(&self, module: &str) -> anyhow::Result<Player> {
        let mut config = ClientConfig::local(self.address);
        if let Some(hash) = &self.cert_hash {
            config.trust = Trust::Pinned(hash.clone());
        }
        config.greeting = Greeting {
            module: module.to_owned(),
            version: concat!("everwake-cli ", env!("CARGO_PKG_VERSION")).to_owned(),
            ..Greeting::default()
        };
        config.endpoint = Some(self.socket.clone());
        config.events_max = EVENTS_MAX;
        let client = Client::connect(config).await.hint(
            format!("The gate at `{}` does not let us in.", self.address),
            "Is `everwake dev` running, and does it run this module? `everwake status` tells; `--gate ADDR --cert-hash HEX` names another gate.",
        )?;
        Ok(Player {
            caller: Caller { client: Arc::new(client), names: Arc::default() },
            missed: 0,
            generation: None,
        })
    }
}

fn resolve(address: &str) -> anyhow::Result<SocketAddr> {
    let hint = "Write `--gate HOST:PORT`, for example `127.0.0.1:4747`.";
    let mut found = address.to_socket_addrs().hint(format!("`{address}` is no address of a gate."), hint)?;
    found.next().ok_or_else(|| hinted(format!("`{address}` has no address."), hint))
}

/// The calling half of a player. Cheap to clone.
#[derive(Clone)]
pub struct Caller {
    client: Arc<Client>,
    /// Names of the newest schema, read once for each.
    names: Arc<Mutex<Arc<Names>>>,
}

impl Caller {
    /// Calls a method of the own entity. Between two views there is none for a moment: it waits.
    pub async fn call_own(&self, method: &str, args: &[Value]) -> Result<Value, CallFailed> {
        let own = self.client.wait(OWN_WAIT, |core| core.own().is_some()).await;
        own.map_err(|_| CallError::Request(RequestError::Closed))?;
        let own = self.client.own().ok_or(CallFailed::NothingOwned)?;
        let names = self.names();
        let type_id =
            self.client.read(|core| core.entity(own).map(|it| it.type_id)).ok_or(CallFailed::NothingOwned)?;
        let found = names.method(type_id, method).ok_or_else(|| no_method(&names, type_id, method, true))?;
        let args = encode_arguments(args, &found.parameters, &names.definitions)
            .map_err(|error| CallFailed::Arguments { error, signature: method_line(found) })?;
        self.call(&names, own, type_id, method, args).await
    }

    async fn call(
        &self,
        names: &Names,
        target: EntityId,
        type_id: u32,
        method: &str,
        args: Vec<u8>,
    ) -> Result<Value, CallFailed> {
        let answer = self.client.call_encoded(target, method, Bytes::from(args), DEADLINE_MS).await?;
        let returns = names.method(type_id, method).map_or("any", |it| it.returns.as_str());
        Ok(decode(&answer, returns, &names.definitions))
    }

    fn names(&self) -> Arc<Names> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = self.client.read(|core| {
            let schema = core.schema();
            let same = schema.generation == names.schema.generation
                && schema.types.len() == names.schema.types.len();
            (!same).then(|| schema.clone())
        });
        if let Some(schema) = fresh {
            *names = Arc::new(Names::new(schema));
        }
        names.clone()
    }
}

fn no_method(names: &Names, type_id: u32, method: &str, own: bool) -> CallFailed {
    let known = names.methods(type_id, own);
    CallFailed::NoMethod { type_name: names.type_name(type_id), method: method.to_owned(), known }
}

/// A connected client.
pub struct Player {
    caller: Caller,
    missed: u64,
    /// Of the newest schema that was heard of.
    generation: Option<u32>,
}

impl Player {
    /// Connects and greets, on a socket of its own.
    pub async fn connect(gate: &GateAddress, module: &str) -> anyhow::Result<Player> {
        Endpoint::open(gate)?.connect(module).await
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
        while tokio::time::Instant::now() < until {
            let client = &self.caller.client;
            let before = client.own();
            if client.read(|core| core.own().map(|own| own.type_id)).is_some_and(&good) {
                return Ok(());
            }
            // Anything new may be what we wait for; a schema comes without an entity.
            client.wait(Duration::from_millis(50), |core| core.own().map(|own| own.id) != before).await?;
        }
        Err(hinted(failed, "`everwake crashes` says whether a handler failed."))
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
        let names = self.names();
        let found = names.method(target.type_id, method).filter(|it| target.own || it.all_clients);
        let found = found.ok_or_else(|| no_method(&names, target.type_id, method, target.own))?;
        let args = arguments_of_line(line, &found.parameters, &names.definitions)
            .map_err(|error| CallFailed::Arguments { error, signature: method_line(found) })?;
        self.caller.call(&names, target.id, target.type_id, method, args).await
    }

    /// Moves the own entity; its height and heading stay.
    pub fn move_to(&self, x: f32, z: f32) {
        let pose = self.own().and_then(|own| own.pose).unwrap_or_default();
        self.caller.client.move_to(Pose { x, z, ..pose }, &[]);
    }

    /// The next thing that happens.
    pub async fn next(&mut self) -> Heard {
        loop {
            let missed = self.caller.client.missed_events();
            if missed > self.missed {
                let text = format!("{} events came faster than they were taken", missed - self.missed);
                self.missed = missed;
                return Heard::Strange(text);
            }
            match self.caller.client.next_event().await {
                Some(event) => {
                    if let Some(heard) = self.heard(event) {
                        return heard;
                    }
                }
                None => return Heard::Closed { why: self.caller.client.closed().await.to_string() },
            }
        }
    }

    fn heard(&mut self, event: ClientEvent) -> Option<Heard> {
        Some(match event {
            ClientEvent::Created { entity, .. } => Heard::Created(entity),
            ClientEvent::Changed { entity, attributes } => Heard::Changed(entity, attributes),
            ClientEvent::Destroyed { entity } => Heard::Destroyed(entity),
            ClientEvent::Called { entity, method, args } => {
                let type_id = self.caller.client.read(|core| core.entity(entity).map(|it| it.type_id));
                let args = self.names().arguments(type_id, &method, &args);
                Heard::Called { entity, name: method, args }
            }
            ClientEvent::Schema { generation } => {
                // The first one is what runs already.
                self.generation.replace(generation)?;
                let version = self.caller.client.read(|core| core.schema().version.clone());
                Heard::Version { version, generation }
            }
            ClientEvent::Resync { .. } => Heard::Resync,
            ClientEvent::Inconsistent { text } => Heard::Strange(text),
            ClientEvent::Welcome { .. } | ClientEvent::Replied { .. } | ClientEvent::Pong { .. } => {
                return None;
            }
        })
    }

    /// Names of the newest schema.
    pub fn names(&self) -> Arc<Names> {
        self.caller.names()
    }

    /// All entities in view, by id.
    pub fn entities(&self) -> Vec<Entity> {
        let ids: Vec<EntityId> = self.caller.client.read(|core| core.entities().map(|it| it.id).collect());
        ids.into_iter().filter_map(|id| self.entity(id)).collect()
    }

    /// The own entity.
    pub fn own(&self) -> Option<Entity> {
        self.entity(self.caller.client.own()?)
    }

    /// One entity in view.
    pub fn entity(&self, id: EntityId) -> Option<Entity> {
        let names = self.names();
        let (found, values) =
            self.caller.client.read(|core| Some((core.entity(id)?.clone(), core.attributes(id))))?;
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
        // A call that is still under way keeps the connection; it ends with the process.
        if let Some(client) = Arc::into_inner(self.caller.client) {
            client.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_resolved_or_named() {
        assert_eq!(resolve("127.0.0.1:4747").unwrap().port(), 4747);
        let error = resolve("nonsense").unwrap_err();
        assert!(crate::failure::read(&error).1[0].contains("--gate"));
    }

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
