//! A gate and a game joined by channels, as one process runs them.

use everwake_client::{Client, ClientConfig, ClientEndpoint, Greeting, Value};
use everwake_gate::{CertificateSource, Gate, GateConfig, GateLimits};
use everwake_protocol::Id;
use everwake_protocol::cluster::{Incarnation, ToDispatcher, ToGame};
use everwake_runtime::driver::{Game, GameHandle, GameSettings, Overloaded, SpaceSettings, WasmLoader};
use everwake_runtime::game::GameConfig;
use everwake_runtime::game::admin::AdminAnswer;
use everwake_runtime::game::node::Lives;
use everwake_runtime::game::publish::PublishOptions;
use everwake_runtime::game::report::PublicationReport;
use everwake_runtime::wasm::{Engine, EngineConfig, Loader};
use everwake_testkit::{Component, Kit, chaos_of_environment};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long anything may take on a machine that has other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The chat in some version, built once for this binary.
pub(crate) fn chat(features: &[&str], version: &str) -> Component {
    static BUILT: Mutex<BTreeMap<String, Component>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/chat");
    let kit = Kit::with_engine(EngineConfig { instances: 4, ..EngineConfig::default() });
    let build = || kit.build_with(folder, features, &[("CHAT_VERSION", version)]);
    built.entry(format!("{features:?} {version}")).or_insert_with(build).clone()
}

const LIVES: Lives =
    Lives { game: Incarnation { start: 1, random: 1 }, gate: Incarnation { start: 1, random: 2 } };

/// Everything but the clients.
pub(crate) struct Deployment {
    address: SocketAddr,
    endpoint: ClientEndpoint,
    game: Game,
    stop: oneshot::Sender<()>,
    gate: tokio::task::JoinHandle<()>,
    feed: tokio::task::JoinHandle<()>,
}

impl Deployment {
    /// Starts it with one module.
    pub(crate) async fn start(component: &Component) -> Self {
        let engine = Engine::new(EngineConfig { instances: 256, ..EngineConfig::default() }).unwrap();
        let settings = GameSettings {
            config: GameConfig::dev(2),
            spaces: SpaceSettings { chaos: chaos_of_environment(), ..SpaceSettings::default() },
            workers: 2,
            loader: Box::new(WasmLoader::new(Loader::new(engine))),
            lives: LIVES,
        };
        let (to_gate, from_game) = mpsc::channel(1_024);
        let (to_game, from_gate) = mpsc::channel(1_024);
        // The gate never waits for the game, so this ends; a gate that is gone needs nothing.
        let sink = move |messages| drop(to_gate.blocking_send(messages));
        let game = Game::start(settings, Box::new(sink)).unwrap();
        let config = GateConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            certificate: CertificateSource::Development,
            limits: GateLimits::default(),
            incarnation: LIVES.gate,
            seed: Id([5; 4]),
            secret: None,
        };
        let gate = Gate::bind(config).unwrap();
        let address = gate.address();
        let (stop, stopped) = oneshot::channel();
        let feed = tokio::spawn(feed(from_gate, game.handle()));
        let gate = tokio::spawn(gate.run(to_game, from_game, async {
            let _ = stopped.await;
        }));
        let endpoint = ClientEndpoint::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let deployment = Self { address, endpoint, game, stop, gate, feed };
        let report = deployment.publish(component).await;
        assert!(report.published, "{report:?}");
        deployment
    }

    /// Publishes a version, as a developer does.
    pub(crate) async fn publish(&self, component: &Component) -> PublicationReport {
        let (handle, bytes) = (self.game.handle(), component.0.clone());
        let options = PublishOptions { supersede: true, ..PublishOptions::default() };
        let publish = move || handle.publish(bytes, "", options).unwrap();
        match tokio::task::spawn_blocking(publish).await.unwrap() {
            AdminAnswer::Publication(report) => *report,
            other => panic!("a publication was answered by {other:?}"),
        }
    }

    /// What the game says about itself.
    pub(crate) async fn sessions(&self) -> usize {
        let handle = self.game.handle();
        match tokio::task::spawn_blocking(move || handle.status().unwrap()).await.unwrap() {
            AdminAnswer::Status(status) => status.sessions,
            other => panic!("a status was answered by {other:?}"),
        }
    }

    /// Somebody who is in a room.
    pub(crate) async fn enter(&self, name: &str, room: &str) -> Client {
        let greeting = Greeting { module: "chat".into(), ..Greeting::default() };
        let config = ClientConfig {
            endpoint: Some(self.endpoint.clone()),
            greeting,
            ..ClientConfig::local(self.address)
        };
        let client = Client::connect(config).await.unwrap();
        until(&client, "an account", |client| client.own().is_some()).await;
        let account = client.own().unwrap();
        client.call(account, "login", &[name.into()]).await.unwrap();
        until(&client, "a name", |client| own(client, "name") == Some(name.into())).await;
        client.call(client.own().unwrap(), "join", &[room.into()]).await.unwrap();
        until(&client, "a room", |client| own(client, "room") == Some(room.into())).await;
        client
    }

    /// Ends it as an operator does: the gate tells its clients, then the game closes.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        self.gate.await.unwrap();
        let game = self.game;
        tokio::task::spawn_blocking(move || game.stop()).await.unwrap();
        self.feed.await.unwrap();
    }
}

/// An attribute of the client's own entity.
pub(crate) fn own(client: &Client, name: &str) -> Option<Value> {
    client.attribute(client.own()?, name)
}

/// Waits for something that the client will see.
pub(crate) async fn until(client: &Client, what: &str, seen: impl Fn(&Client) -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !seen(client) {
        assert!(tokio::time::Instant::now() < end, "no {what} came");
        // Looks again after everything that the client is told, and now and then.
        let _ = client.wait(Duration::from_millis(20), |_| false).await;
    }
}

/// From the gate into the game; waits while the game has enough to do.
async fn feed(mut from_gate: mpsc::Receiver<Vec<ToDispatcher<ToGame>>>, game: GameHandle) {
    while let Some(messages) = from_gate.recv().await {
        for mut message in messages {
            while let Err(Overloaded(back)) = game.from_gate(message) {
                message = *back;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}
