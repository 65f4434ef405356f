//! Starting a game in this process, and steering it from any thread.

use super::ask::Ask;
use super::cell::SpaceSettings;
use super::clock::Clock;
use super::core_thread::{Core, CoreThread, LoadJob, Sinks};
use super::crash_recordings::CrashRecordings;
use super::entropy;
use super::loader::ModuleLoader;
use super::pool::Pool;
use super::recording::{RecordError, Recorded, RecordingSet};
use super::reporter::{GameEvent, Reporter};
use super::traffic::{CoreInbox, Overloaded, traffic};
use crate::game::admin::{AdminAnswer, AdminRequest};
use crate::game::joined::Joined;
use crate::game::node::{Lives, Node};
use crate::game::publish::PublishOptions;
use crate::game::{GameConfig, GameInput};
use crate::guest::VersionHash;
use crate::wasm::CrashEntry;
use bytes::Bytes;
use everwake_dispatcher::{MemberConfig, MemberInput};
use everwake_protocol::cluster::{FromDispatcher, Incarnation, ToDispatcher, ToGame, ToGate};
use everwake_protocol::{EntityId, Id};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::thread::JoinHandle;

/// Takes what is for the gate: everything for one gate comes from one thread, in order. It must
/// not block.
pub type GateSink = Box<dyn FnMut(Vec<FromDispatcher<ToGate, ToGame>>) + Send>;

/// Takes what is for a life of the dispatcher at a place among all of them by name. It must not block.
pub type LinkSink = Box<dyn FnMut(usize, Incarnation, ToDispatcher<Bytes>) + Send>;

/// Told when all others hold this life of the game for dead: nothing of it counts any more.
pub type OverSink = Box<dyn FnMut() + Send>;

/// A version that is head from now on.
#[derive(Clone, Debug)]
pub struct LiveVersion {
    /// Name of the module.
    pub module: String,
    /// Its generation.
    pub generation: u32,
    /// Which version.
    pub version: VersionHash,
    /// The component.
    pub bytes: Bytes,
}

/// Told of each version that becomes head in a game among others, wherever it was published. It must not block.
pub type LiveSink = Box<dyn FnMut(LiveVersion) + Send>;

/// What a game among others needs besides its links.
pub struct JoinSettings {
    /// Of the core.
    pub config: GameConfig,
    /// Of each space.
    pub spaces: SpaceSettings,
    /// Threads that run spaces.
    pub workers: usize,
    /// Turns bytes into instances.
    pub loader: Box<dyn ModuleLoader>,
    /// Which life it is, and all dispatchers.
    pub member: MemberConfig,
    /// See [`OverSink`].
    pub over: OverSink,
    /// See [`LiveSink`].
    pub live: LiveSink,
}

/// What a game needs besides its gate.
pub struct GameSettings {
    /// Of the core.
    pub config: GameConfig,
    /// Of each space.
    pub spaces: SpaceSettings,
    /// Threads that run spaces.
    pub workers: usize,
    /// Turns bytes into instances.
    pub loader: Box<dyn ModuleLoader>,
    /// The lives of the game and of its gate.
    pub lives: Lives,
}

/// Why a game could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Entropy(std::io::Error),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
}

/// The game has stopped: nobody answers any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the game has stopped")]
pub struct Stopped;

/// A running game. Dropping it does not stop it: call [`Game::stop`].
pub struct Game {
    handle: GameHandle,
    core: JoinHandle<()>,
    helpers: Vec<JoinHandle<()>>,
}

/// Steers a game. Cheap to clone.
#[derive(Clone)]
pub struct GameHandle {
    inbox: Arc<CoreInbox>,
    clock: Clock,
    reporter: super::reporter::Parts,
    pool: Arc<Pool>,
}

/// What of a core's configuration is for others.
struct Names {
    game: String,
    crash_recordings: Option<PathBuf>,
}

impl Names {
    fn of(config: &GameConfig) -> Names {
        Names { game: config.name.clone(), crash_recordings: config.crash_recordings.clone() }
    }
}

impl Game {
    /// Starts the threads of an empty game with its gate beside it: no module runs until one is published.
    pub fn start(settings: GameSettings, gate: GateSink) -> Result<Self, StartError> {
        let GameSettings { config, spaces, workers, loader, lives } = settings;
        let seed = entropy::seed().map_err(StartError::Entropy)?;
        let names = Names::of(&config);
        let core = Core::Alone(Box::new(Node::new(config, lives, seed)), gate);
        Self::launch(core, names, spaces, workers, loader)
    }

    /// Starts the threads of an empty game among others. What links say comes by [`GameHandle::from_links`].
    pub fn join(settings: JoinSettings, links: LinkSink) -> Result<Self, StartError> {
        let JoinSettings { config, spaces, workers, loader, member, over, live } = settings;
        let seed = entropy::seed().map_err(StartError::Entropy)?;
        let names = Names::of(&config);
        let core = Core::Joined(Box::new(Joined::new(config, member, seed)), Sinks { links, over, live });
        Self::launch(core, names, spaces, workers, loader)
    }

    fn launch(
        core: Core,
        names: Names,
        spaces: SpaceSettings,
        workers: usize,
        loader: Box<dyn ModuleLoader>,
    ) -> Result<Self, StartError> {
        let clock = Clock::start();
        let (inbox, outbox) = traffic();
        let inbox = Arc::new(inbox);
        let pool = Arc::new(Pool::new(clock));
        let (reporter, items) = Reporter::new();
        let (loads, jobs) = channel();
        let parts = reporter.parts();
        let mut helpers = Vec::new();
        for worker in 0..workers.max(1) {
            let (pool, inbox, mut source) = (pool.clone(), inbox.clone(), loader.source());
            helpers.push(spawn(&format!("space-{worker}"), move || pool.work(source.as_mut(), &inbox))?);
        }
        let (thread_parts, symbols) = (parts.clone(), loader.share());
        let recordings = CrashRecordings::new(names.game, names.crash_recordings, pool.clone());
        helpers.push(spawn("reporter", move || thread_parts.run(&items, symbols.as_ref(), recordings))?);
        let (thread_inbox, compiler) = (inbox.clone(), loader.share());
        helpers.push(spawn("loader", move || load_all(&jobs, compiler, &thread_inbox))?);
        let thread = CoreThread {
            core,
            clock,
            inbox: inbox.clone(),
            outbox,
            pool: pool.clone(),
            loads,
            loader,
            reporter,
            spaces,
        };
        let core = spawn("game", move || thread.run())?;
        Ok(Self { handle: GameHandle { inbox, clock, reporter: parts, pool }, core, helpers })
    }

    /// For steering it.
    #[must_use]
    pub fn handle(&self) -> GameHandle {
        self.handle.clone()
    }

    /// Destroys all entities in order, closes all spaces, and ends the threads.
    pub fn stop(self) {
        self.handle.inbox.push(GameInput::Shutdown);
        // A thread that panicked has said so; there is nothing left to do about it.
        drop(self.core.join());
        // Whoever records has to end it before; what is written so far is complete anyway.
        drop(self.handle.pool.stop_recording());
        self.handle.pool.stop();
        for helper in self.helpers {
            drop(helper.join());
        }
    }
}

impl GameHandle {
    /// Something from the gate; refused if too much waits: the gate then stops reading.
    pub fn from_gate(&self, message: ToDispatcher<ToGame>) -> Result<(), Overloaded> {
        self.inbox.offer(message)
    }

    /// What links to dispatchers say, for a game that was joined. Who has more looks for room first.
    pub fn from_links(&self, inputs: Vec<MemberInput<Bytes>>) {
        self.inbox.links(inputs);
    }

    /// Whether the game keeps up with what is for it.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.inbox.has_room()
    }

    /// Any request; blocks until it is answered.
    pub fn ask(&self, request: AdminRequest) -> Result<AdminAnswer, Stopped> {
        let (answer, answers) = sync_channel(1);
        self.inbox.ask(Ask { request, answer });
        answers.recv().map_err(|_| Stopped)
    }

    /// Takes nothing new and lets go what can go, or no more of it, or says how that stands.
    pub fn drain(&self, on: Option<bool>) -> Result<AdminAnswer, Stopped> {
        self.ask(AdminRequest::Drain { on })
    }

    /// Makes a component head, if nothing stands against it.
    pub fn publish(
        &self,
        bytes: Bytes,
        note: impl Into<String>,
        options: PublishOptions,
    ) -> Result<AdminAnswer, Stopped> {
        self.ask(AdminRequest::Publish { bytes, note: note.into(), options })
    }

    /// What publishing a component would do.
    pub fn plan(&self, bytes: Bytes, options: PublishOptions) -> Result<AdminAnswer, Stopped> {
        self.ask(AdminRequest::Plan { bytes, options })
    }

    /// Makes an earlier version head.
    pub fn rollback(
        &self,
        module: Option<String>,
        to: Option<String>,
        irreversible: bool,
    ) -> Result<AdminAnswer, Stopped> {
        self.ask(AdminRequest::Rollback { module, to, irreversible })
    }

    /// The generations of a module, or of all.
    pub fn versions(&self, module: Option<String>) -> Result<AdminAnswer, Stopped> {
        self.ask(AdminRequest::Versions { module })
    }

    /// Everything at a glance.
    pub fn status(&self) -> Result<AdminAnswer, Stopped> {
        self.ask(AdminRequest::Status)
    }

    /// One entity, or a space with its members.
    pub fn inspect(&self, id: EntityId) -> Result<AdminAnswer, Stopped> {
        self.ask(AdminRequest::Inspect { id })
    }

    /// Calls a method as an operator.
    pub fn call(
        &self,
        who: impl Into<String>,
        entity: EntityId,
        method: impl Into<String>,
        args: serde_json::Value,
    ) -> Result<AdminAnswer, Stopped> {
        self.ask(AdminRequest::Call { who: who.into(), entity, method: method.into(), args })
    }

    /// What crashed, most frequent first, with fingerprints.
    #[must_use]
    pub fn crashes(&self) -> Vec<(String, CrashEntry)> {
        self.reporter.crashes()
    }

    /// Spaces and entities whose ids begin so, in order; none whose text does not. Who changes spaces just now
    /// is not found.
    #[must_use]
    pub fn find(&self, start: &str) -> Vec<EntityId> {
        let Some(ids) = Id::beginning_with(start) else { return Vec::new() };
        self.pool.find(&(EntityId(*ids.start())..=EntityId(*ids.end())))
    }

    /// Records all spaces, or one, into files in a folder that is made if need be.
    pub fn record(&self, folder: &Path, space: Option<EntityId>) -> Result<(), RecordError> {
        self.pool.record(RecordingSet::new(folder, space)?)
    }

    /// Ends the recording, and says what came of it.
    pub fn stop_recording(&self) -> Result<Recorded, RecordError> {
        self.pool.stop_recording()
    }

    /// Writes the last seconds of all spaces, or of one, into files in a folder that is made if need be.
    /// Nobody has to have asked before: they are always kept.
    pub fn record_last(&self, folder: &Path, space: Option<EntityId>) -> Result<Recorded, RecordError> {
        self.pool.record_last(folder, space)
    }

    /// Everything that people want to know from now on.
    #[must_use]
    pub fn events(&self) -> Receiver<GameEvent> {
        self.reporter.subscribe()
    }

    /// UTC ms, as the game's spaces see it.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }
}

fn load_all(jobs: &Receiver<LoadJob>, mut loader: Box<dyn ModuleLoader>, core: &CoreInbox) {
    while let Ok(LoadJob { job, bytes }) = jobs.recv() {
        let result = loader.load(bytes);
        core.push(GameInput::Loaded { job, result });
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(StartError::Thread)
}
