//! What all players of the storm share, and how each of them is connected.

use super::ledger::{Ledger, Wrong};
use anyhow::Result;
use everwake_client::{
    CallError, Client, ClientEndpoint, ClientEvent, ConnectionEvent, Greeting, ReconnectConfig,
    ReconnectPolicy, ReconnectingClient, SessionEvent, Value,
};
use everwake_protocol::EntityId;
use everwake_protocol::outcome::Certainty;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a request may wait for its answer: longer than any fault but those that end its session or its entity.
pub const DEADLINE_MS: u32 = 25_000;
/// From one failed try to come in to the next.
pub const AGAIN: Duration = Duration::from_secs(1);

/// What everybody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Talk, wave and walk.
    Play,
    /// Nothing new.
    Hush,
    /// Compare mirrors; the number of the check.
    Check(u32),
}

/// See the head of this file.
pub struct Stage {
    ledger: Mutex<Ledger>,
    /// Who has compared its mirror, in which check.
    checked: Mutex<BTreeMap<usize, u32>>,
    phase: watch::Sender<Phase>,
    began: Instant,
    gates: Vec<SocketAddr>,
    endpoint: ClientEndpoint,
}

impl Stage {
    /// Must be called inside of a tokio runtime.
    pub fn new(gates: Vec<SocketAddr>) -> Result<Stage> {
        let endpoint = ClientEndpoint::for_peer(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        Ok(Stage {
            ledger: Mutex::default(),
            checked: Mutex::default(),
            phase: watch::Sender::new(Phase::Play),
            began: Instant::now(),
            gates,
            endpoint,
        })
    }

    /// Time since it began.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Something for the ledger, which is shared: keep it short.
    pub fn note<T>(&self, act: impl FnOnce(&mut Ledger, Duration) -> T) -> T {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut ledger, self.now())
    }

    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub fn set(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    pub fn phases(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Somebody's mirror is as the server says, or what differs was told.
    pub fn checked(&self, who: usize, number: u32) {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).insert(who, number);
    }

    /// How many have done so in a check.
    pub fn checks(&self, number: u32) -> usize {
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.values().filter(|it| **it == number).count()
    }

    /// Compares what the server says with what a mirror shows; tells what differs.
    pub fn compare(&self, who: usize, pairs: &[(&str, Value, Option<Value>)]) {
        for text in differences(pairs) {
            self.note(|ledger, _| ledger.wrong(Wrong::Mirror, || format!("{who}: {text}")));
        }
    }
}

/// What differs: name, what the server says, what the mirror shows.
fn differences(pairs: &[(&str, Value, Option<Value>)]) -> Vec<String> {
    let wrong = pairs.iter().filter(|(_, server, mirror)| mirror.as_ref() != Some(server));
    wrong.map(|(name, server, mirror)| format!("`{name}` is {server:?}, mirrored as {mirror:?}")).collect()
}

/// The code of an error, and whether what was asked for may have been done all the same.
pub fn code_of(error: &CallError) -> (&str, bool) {
    match error {
        CallError::Request(_) => ("not sent", false),
        CallError::Failed { certainty, code, .. } => (code, *certainty == Certainty::Unknown),
        CallError::Answer(_) => ("unreadable", true),
    }
}

/// What a player hears.
pub enum News {
    /// A session begins.
    Back,
    /// The session is over.
    Lost,
    /// Something happened in it.
    Event(ClientEvent),
}

/// Somebody's connection, which is made again when it ends.
pub struct Guest {
    pub who: usize,
    pub stage: Arc<Stage>,
    module: &'static str,
    client: Arc<ReconnectingClient>,
    /// The next one, when the last one gave up.
    next: Option<JoinHandle<ReconnectingClient>>,
    generation: u32,
}

/// Resolves when somebody's way in has ended, if there is one. Dropping it loses nothing.
pub async fn came<T>(coming: &mut Option<JoinHandle<Option<T>>>) -> Option<T> {
    match coming {
        Some(way) => {
            let entered = way.await.ok().flatten();
            *coming = None;
            entered
        }
        None => std::future::pending().await,
    }
}

impl Guest {
    /// Connects, and tries until it works.
    pub async fn connect(stage: &Arc<Stage>, who: usize, module: &'static str) -> Guest {
        let client = Arc::new(connect(stage.clone(), who, module).await);
        Guest { who, stage: stage.clone(), module, client, next: None, generation: 0 }
    }

    /// The next thing that happens. Nothing is lost if the future is dropped.
    pub async fn news(&mut self) -> News {
        loop {
            if let Some(next) = &mut self.next {
                let next = next.await;
                self.next = None;
                if let Ok(client) = next {
                    self.client = Arc::new(client);
                }
            }
            match self.client.next().await {
                Some(SessionEvent::Connection(event)) => {
                    if let Some(news) = self.connection(event) {
                        return news;
                    }
                }
                Some(SessionEvent::Client(event)) => {
                    self.look(&event);
                    return News::Event(event);
                }
                None => {
                    let client = connect(self.stage.clone(), self.who, self.module);
                    self.next = Some(tokio::spawn(async move {
                        tokio::time::sleep(AGAIN).await;
                        client.await
                    }));
                }
            }
        }
    }

    fn connection(&mut self, event: ConnectionEvent) -> Option<News> {
        match event {
            ConnectionEvent::Connected { .. } => {
                self.generation = 0;
                Some(News::Back)
            }
            ConnectionEvent::Disconnected { why, .. } => {
                self.stage.note(|ledger, _| {
                    ledger.window.cut += 1;
                    ledger.stumble(format!("cut: {why}"));
                });
                Some(News::Lost)
            }
            ConnectionEvent::Over { why } => {
                self.stage.note(|ledger, _| ledger.stumble(format!("given up: {why}")));
                None
            }
            ConnectionEvent::Reconnecting { .. } | ConnectionEvent::Failed { .. } => None,
        }
    }

    /// What holds for everybody.
    fn look(&mut self, event: &ClientEvent) {
        let who = self.who;
        match event {
            ClientEvent::Schema { generation } => {
                let before = std::mem::replace(&mut self.generation, *generation);
                if *generation < before {
                    let text = || format!("{who} is told generation {generation} after {before}");
                    self.stage.note(|ledger, _| ledger.wrong(Wrong::VersionBack, text));
                }
            }
            ClientEvent::Inconsistent { text } => {
                self.stage.note(|ledger, _| ledger.wrong(Wrong::Mirror, || format!("{who}: {text}")));
            }
            _ => {}
        }
    }

    /// The session that there is.
    pub fn session(&self) -> Option<Arc<Client>> {
        self.client.client()
    }
}

async fn connect(stage: Arc<Stage>, who: usize, module: &'static str) -> ReconnectingClient {
    let mut gates = stage.gates.clone();
    let first = who % gates.len().max(1);
    gates.rotate_left(first);
    loop {
        let config = ReconnectConfig {
            greeting: Greeting { module: module.to_owned(), ..Greeting::default() },
            endpoint: Some(stage.endpoint.clone()),
            policy: ReconnectPolicy { attempts_max: 1_000, ..ReconnectPolicy::default() },
            ..ReconnectConfig::local(&gates)
        };
        match ReconnectingClient::connect(config).await {
            Ok(client) => return client,
            Err(over) => stage.note(|ledger, _| ledger.stumble(format!("connect: {over}"))),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The own entity of a session, and its type.
pub fn own(client: &Client) -> Option<(EntityId, String)> {
    client.read(|core| core.own().map(|own| (own.id, own.type_name.clone())))
}

/// Begins a call in this very moment, so that the next one is behind it, and goes on with it beside.
pub async fn begin<T: Send + 'static>(call: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    let mut call = Box::pin(call);
    let first = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
    tokio::spawn(async move {
        match first {
            Poll::Ready(answer) => answer,
            Poll::Pending => call.await,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_that_differs_is_told() {
        let text = |text: &str| Value::Text(text.into());
        let right =
            [("room", text("hall"), Some(text("hall"))), ("walks", Value::Int(3), Some(Value::Int(3)))];
        assert!(differences(&right).is_empty());
        let wrong = [("room", text("hall"), Some(text("cellar"))), ("walks", Value::Int(3), None)];
        assert_eq!(differences(&wrong).len(), 2);
    }
}
