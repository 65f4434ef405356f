//! The loop of `dev`: everything that can happen is one [`Event`], and one `match` answers it.

use super::components::Components;
use super::host::{self, Host, HostSettings, Ports};
use super::rebuild::{ModuleIndex, Rebuilder, Step};
use super::screen::Screen;
use super::steer::Steering;
use super::{Module, tell, watch};
use crate::admin::server;
use crate::admin::types::PublicationReport;
use crate::clock::{duration_words, words};
use crate::commands::{build, publish};
use crate::map::screen as map;
use crate::play::GateAddress;
use crate::state::{self, DevState};
use crate::terminal::{Notice, Tone};
use bytes::Bytes;
use everwake_builder::Built;
use everwake_runtime::driver::{GameEvent, GameHandle};
use everwake_runtime::game::admin::AdminAnswer;
use everwake_runtime::game::publish::{Agreed, PublishOptions};
use everwake_runtime::game::report::Fact;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch as flag;

/// Folder of the components that were published, and of what led to crashes.
pub const COMPONENTS: &str = "components";

/// What to do about a version that would lose something.
const LOSS_HINT: &str = "Say what an attribute was called with `#[attr(was = \"old\")]`, carry values over with `migrate`, or let them go: `everwake publish DIR --irreversible` from another terminal.";

/// What a session begins with.
pub struct Setup {
    /// Working directory.
    pub here: PathBuf,
    /// In the order of the command line.
    pub modules: Vec<Module>,
    /// What the first builds made; none where one failed.
    pub first: Vec<Option<Built>>,
    /// Silence after a save.
    pub quiet_ms: u64,
    /// Of the host.
    pub settings: HostSettings,
    /// What a save may cost. The author is there to see what happens: that there is no way back is
    /// agreed to always.
    pub agreed: Agreed,
    /// Where to speak.
    pub screen: Screen,
    /// A line for those who watch.
    pub next: Option<String>,
}

/// Everything that can happen.
enum Event {
    /// A source was saved.
    Saved(ModuleIndex),
    /// A build has ended.
    Built(ModuleIndex, anyhow::Result<Built>, Duration),
    /// A publication has ended.
    Published(ModuleIndex, Result<Box<PublicationReport>, String>, Duration),
    /// Something happened in the game.
    Game(GameEvent),
    /// Somebody wants it to end.
    Stop,
}

/// Runs to the end. True if everything ended in time.
pub async fn run(setup: Setup, ports: Ports) -> anyhow::Result<bool> {
    let (gate, admin) = ports.split();
    let admin_address = admin.local_addr()?;
    let host = host::start(gate, &setup.settings)?;
    let (events, mut told) = unbounded_channel();
    let (stop, stopped) = flag::channel(false);
    let token = server::mint_token()?;
    let components = Components::begin(setup.here.join(state::FOLDER).join(COMPONENTS))?;
    let steering = Arc::new(steer(&host, &events, components.clone()));
    let serving =
        tokio::spawn(server::run(admin, steering.clone(), None, token.clone(), until(stopped.clone())));
    let address = DevState {
        pid: std::process::id(),
        admin: admin_address.to_string(),
        token,
        gate: reachable(host.gate),
        cert_hash: host.fingerprint.clone(),
        modules: setup.modules.iter().map(|it| it.name.clone()).collect(),
        starting: false,
    };
    let here = setup.here.clone();
    let mut session = Session::new(setup, host.handle.clone(), events.clone(), components);
    let result = session.play(&here, &address, &mut told).await;
    session.say(Tone::Plain, "Stopping: clients are told.");
    steering.end_recording();
    let clean = host.stop().await;
    let _ = stop.send(true);
    let _ = tokio::time::timeout(Duration::from_millis(100), serving).await;
    state::remove(&here);
    result.map(|()| clean)
}

/// An address that clients on this machine can use.
fn reachable(gate: std::net::SocketAddr) -> String {
    match gate.ip().is_unspecified() {
        true => format!("127.0.0.1:{}", gate.port()),
        false => gate.to_string(),
    }
}

fn steer(host: &Host, events: &UnboundedSender<Event>, components: Components) -> Steering {
    let (stop, mut asked) = unbounded_channel();
    let to_loop = events.clone();
    tokio::spawn(async move {
        if asked.recv().await.is_some() {
            let _ = to_loop.send(Event::Stop);
        }
    });
    Steering {
        game: host.handle.clone(),
        gate: host.gate,
        started: Instant::now(),
        stop,
        components,
        recording: Mutex::default(),
    }
}

async fn until(mut stopped: flag::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

struct Session {
    modules: Vec<Module>,
    first: Vec<Option<Built>>,
    rebuilder: Rebuilder,
    terms: PublishOptions,
    screen: Screen,
    next: Option<String>,
    game: GameHandle,
    events: UnboundedSender<Event>,
    components: Components,
    started: Instant,
    /// Hash of what each module was last published as.
    live: Vec<Option<blake3::Hash>>,
    /// A publication of ours is under way: its report will say what the facts say.
    publishing: bool,
    /// Short hashes and refusals that were told already, as answers to our own publications.
    own: BTreeSet<String>,
}

impl Session {
    fn new(setup: Setup, game: GameHandle, events: UnboundedSender<Event>, components: Components) -> Self {
        let Setup { modules, first, quiet_ms, agreed, screen, next, .. } = setup;
        let live = vec![None; modules.len()];
        let rebuilder = Rebuilder::new(modules.len(), quiet_ms);
        Session {
            components,
            modules,
            first,
            rebuilder,
            terms: PublishOptions { supersede: true, agreed, ..PublishOptions::default() },
            screen,
            next,
            game,
            events,
            started: Instant::now(),
            live,
            publishing: false,
            own: BTreeSet::new(),
        }
    }

    /// To the end. Others find it once the first versions are live.
    async fn play(
        &mut self,
        here: &Path,
        address: &DevState,
        told: &mut UnboundedReceiver<Event>,
    ) -> anyhow::Result<()> {
        let saved = self.events.clone();
        let watched = self.modules.iter().map(|it| it.watched.clone()).collect();
        let _watcher = watch::watch(watched, move |module| drop(saved.send(Event::Saved(module))))?;
        self.listen()?;
        for (index, built) in std::mem::take(&mut self.first).into_iter().enumerate() {
            if let Some(built) = built {
                self.publish_first(ModuleIndex(index), built).await;
            }
        }
        state::write(here, address)?;
        self.say(
            Tone::Good,
            format!("Clients connect to `{}`; `everwake connect` in this folder finds it.", address.gate),
        );
        if let Some(next) = self.next.take() {
            self.say(Tone::Hint, next);
        }
        let screen = self.screen.clone();
        let gate = GateAddress::local(&address.gate, &address.cert_hash);
        match screen {
            Screen::Lines(_) => self.answer_all(told).await,
            Screen::Log(log) => tokio::select! {
                () = self.answer_all(told) => {}
                drawn = map::run(&gate, &log) => drawn?,
            },
        }
        Ok(())
    }

    /// What others know goes into the one queue.
    fn listen(&self) -> anyhow::Result<()> {
        let (game, events) = (self.game.events(), self.events.clone());
        std::thread::Builder::new().name("game-events".to_owned()).spawn(move || {
            while let Ok(event) = game.recv() {
                if events.send(Event::Game(event)).is_err() {
                    return;
                }
            }
        })?;
        let events = self.events.clone();
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::spawn(async move {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            let _ = events.send(Event::Stop);
        });
        Ok(())
    }

    async fn answer_all(&mut self, told: &mut UnboundedReceiver<Event>) {
        loop {
            let due = match self.rebuilder.next(self.now_ms()) {
                Step::Build(module) => {
                    self.build(module);
                    continue;
                }
                Step::WaitUntil(due) => Duration::from_millis(due.saturating_sub(self.now_ms())),
                Step::Idle => Duration::from_secs(3600),
            };
            match tokio::time::timeout(due, told.recv()).await {
                Err(_) => {}
                Ok(None) | Ok(Some(Event::Stop)) => return,
                Ok(Some(event)) => self.answer(event),
            }
        }
    }

    fn answer(&mut self, event: Event) {
        match event {
            Event::Saved(module) => self.rebuilder.saved(module, self.now_ms()),
            Event::Built(module, Ok(built), took) => self.built(module, built, took),
            Event::Built(module, Err(error), _) => {
                self.screen.notices(&Notice::of_error("", &error));
                self.still_plays(module);
                self.rebuilder.finished();
            }
            Event::Published(module, result, took) => {
                self.publishing = false;
                self.published(module, result, took);
                self.rebuilder.finished();
            }
            Event::Game(GameEvent::Crash(crash)) => {
                self.screen.notice(&tell::of_crash(&crash.to_string(), true))
            }
            Event::Game(GameEvent::Fact(fact)) => self.fact(&fact),
            Event::Stop => {}
        }
    }

    fn build(&self, module: ModuleIndex) {
        let Some(found) = self.modules.get(module.0) else { return };
        self.say(Tone::Plain, format!("`{}` is saved; building.", found.name));
        let (dir, profile, events) = (found.dir.clone(), found.profile, self.events.clone());
        tokio::task::spawn_blocking(move || {
            let started = Instant::now();
            let built = build::build_silently(&dir, profile);
            let _ = events.send(Event::Built(module, built, started.elapsed()));
        });
    }

    fn built(&mut self, module: ModuleIndex, built: Built, took: Duration) {
        for warning in &built.warnings {
            self.say(Tone::Warning, warning.strip_prefix("warning: ").unwrap_or(warning));
        }
        let hash = blake3::hash(&built.bytes);
        if self.live.get(module.0).is_some_and(|live| *live == Some(hash)) {
            self.say(
                Tone::Plain,
                format!("`{}` builds to the version that runs; nothing is swapped.", built.package),
            );
            return self.rebuilder.finished();
        }
        self.publishing = true;
        let (game, events, components) = (self.game.clone(), self.events.clone(), self.components.clone());
        let terms = self.terms;
        tokio::task::spawn_blocking(move || {
            let report = publish_bytes(&game, &components, terms, built.bytes);
            let _ = events.send(Event::Published(module, report, took));
        });
    }

    async fn publish_first(&mut self, module: ModuleIndex, built: Built) {
        let started = Instant::now();
        let (game, components, terms) = (self.game.clone(), self.components.clone(), self.terms);
        let report =
            tokio::task::spawn_blocking(move || publish_bytes(&game, &components, terms, built.bytes)).await;
        let report = report.unwrap_or_else(|error| Err(error.to_string()));
        self.say(Tone::Plain, format!("Checked and compiled in {}.", words(started)));
        self.published(module, report, Duration::ZERO);
    }

    fn published(
        &mut self,
        module: ModuleIndex,
        report: Result<Box<PublicationReport>, String>,
        took: Duration,
    ) {
        let report = match report {
            Ok(report) => report,
            Err(why) => {
                self.say(Tone::Bad, why);
                return self.still_plays(module);
            }
        };
        self.own.extend(report.refusals.iter().cloned());
        self.own.insert(report.version.get(..12).unwrap_or_default().to_owned());
        if !report.published {
            self.say(Tone::Bad, publish::describe(&report));
            if report.exit == 1 {
                self.say(Tone::Hint, LOSS_HINT);
            }
            return self.still_plays(module);
        }
        if let (Some(live), Ok(hash)) = (self.live.get_mut(module.0), blake3::Hash::from_hex(&report.version))
        {
            *live = Some(hash);
        }
        let built =
            if took.is_zero() { String::new() } else { format!("Built in {}. ", duration_words(took)) };
        self.say(Tone::Good, format!("{built}{}", publish::describe(&report)));
    }

    fn still_plays(&self, module: ModuleIndex) {
        let name = self.modules.get(module.0).map(|it| it.name.clone()).unwrap_or_default();
        let text = match self.live.get(module.0).copied().flatten() {
            Some(live) => format!(
                "`{name}` version `{}` plays on; save again when it is mended.",
                live.to_hex().get(..12).unwrap_or_default()
            ),
            None => format!("`{name}` does not run yet; save again when it is mended."),
        };
        self.say(Tone::Hint, text);
    }

    /// Answers to our own publications were told with the report.
    fn fact(&mut self, fact: &Fact) {
        let known = match fact {
            Fact::Started { version, .. } => self.publishing || self.own.contains(version),
            Fact::Swapped { version, rollback, .. } => {
                !rollback && (self.publishing || self.own.contains(version))
            }
            Fact::Refused { reasons, .. } => {
                self.publishing || reasons.iter().all(|it| self.own.contains(it))
            }
            _ => false,
        };
        // A version that took itself back does not run any more: saving it again publishes it again.
        if let Fact::Reverting { version, .. } = fact {
            for live in &mut self.live {
                if live.is_some_and(|hash| hash.to_hex().starts_with(version.as_str())) {
                    *live = None;
                }
            }
        }
        if !known {
            self.screen.notice(&tell::of_fact(fact));
        }
    }

    fn say(&self, tone: Tone, text: impl Into<String>) {
        self.screen.notice(&Notice::new(tone, text));
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn publish_bytes(
    game: &GameHandle,
    components: &Components,
    terms: PublishOptions,
    bytes: Vec<u8>,
) -> Result<Box<PublicationReport>, String> {
    let bytes = Bytes::from(bytes);
    let report = match game.publish(bytes.clone(), "saved", terms) {
        Ok(AdminAnswer::Publication(report)) => report,
        Ok(AdminAnswer::Bad(why)) => return Err(why),
        Ok(other) => return Err(format!("The game answers something else: {other:?}")),
        Err(stopped) => return Err(stopped.to_string()),
    };
    // A recording that lacks a component says so when it is replayed.
    if let Err(error) = components.keep_published(&report, &bytes) {
        tracing::warn!(%error, "a component is not kept");
    }
    Ok(report)
}
