//! A deployment in one thread: gate core, game, clients, and the time between them.

use crate::kit::{Component, Kit};
use crate::player::{Called, Player, Request, Seat};
use everwake_client::{ClientCore, ClientEvent, Entity, Greeting, Value};
use everwake_gate::{ConnectionId, GateCore, GateInput, GateLimits, GateOutput};
use everwake_protocol::client::{CloseCode, Pose};
use everwake_protocol::outcome::Outcome;
use everwake_protocol::{EntityId, Id};
use everwake_runtime::driver::SpaceSettings;
use everwake_runtime::driver::lockstep::{World as Game, WorldSettings};
use everwake_runtime::game::GameConfig;
use everwake_runtime::game::admin::{AdminAnswer, AdminRequest};
use everwake_runtime::game::node::Lives;
use everwake_runtime::game::publish::PublishOptions;
use everwake_runtime::game::report::{Fact, PublicationReport};
use everwake_runtime::message::{Crash, LogLine};
use everwake_runtime::space::Chaos;
use everwake_runtime::tally::Tally;
use std::collections::BTreeMap;
use std::time::Duration;

/// UTC ms at which a world begins, unless told otherwise: 2026-01-01.
const START_MS: u64 = 1_767_225_600_000;
/// The gate looks at its clock this often.
const GATE_TICK_MS: u64 = 250;
/// Exchanges between clients, gate and game without any time passing, after which a world counts as restless.
const EXCHANGES_MAX: usize = 100_000;
/// Deadline of a call that waits, and the time that it waits at most.
const CALL_MS: u32 = 10_000;

/// Says what a world is made of.
pub struct WorldBuilder {
    kit: Kit,
    seed: u64,
    config: GameConfig,
    limits: GateLimits,
    chaos: Chaos,
    events_per_drain: usize,
    modules: Vec<Component>,
}

/// A deployment in one thread under virtual time.
pub struct World {
    game: Game,
    gate: GateCore,
    seats: BTreeMap<Player, Seat>,
    start_ms: u64,
    ticked_ms: u64,
    last_player: u64,
    log: Vec<LogLine>,
}

impl WorldBuilder {
    /// All chance comes from it.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// A module to run from the start.
    #[must_use]
    pub fn module(mut self, component: &Component) -> Self {
        self.modules.push(component.clone());
        self
    }

    /// How the game is configured.
    #[must_use]
    pub fn config(mut self, config: GameConfig) -> Self {
        self.config = config;
        self
    }

    /// What the gate allows.
    #[must_use]
    pub fn limits(mut self, limits: GateLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Drops the module's instance after one event in `n`; 1 = after every event.
    #[must_use]
    pub fn drop_one_in(mut self, n: u32) -> Self {
        self.chaos.drop_one_in = n;
        self
    }

    /// Runs one event in `n` on a fresh instance too, and compares.
    #[must_use]
    pub fn twin_one_in(mut self, n: u32) -> Self {
        self.chaos.twin_one_in = n;
        self
    }

    /// After so many events in a row others get their turn; 0 = as in production. Few of them interleave spaces finely.
    #[must_use]
    pub fn events_per_drain(mut self, events: usize) -> Self {
        self.events_per_drain = events;
        self
    }

    /// Starts the game, publishes the modules, and lets everything come to rest.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> World {
        let spaces = SpaceSettings {
            chaos: Chaos { seed: self.seed, ..self.chaos },
            events_per_drain: self.events_per_drain,
            ..SpaceSettings::default()
        };
        let lives = Lives::drawn(self.seed);
        let settings = WorldSettings {
            config: self.config,
            spaces,
            lives,
            seed: self.seed,
            start_ms: START_MS,
            loader: self.kit.loader(),
        };
        let mut world = World {
            game: Game::new(settings),
            gate: GateCore::new(self.limits, lives.gate, Id::derive(&[b"testkit", &self.seed.to_be_bytes()])),
            seats: BTreeMap::new(),
            start_ms: START_MS,
            ticked_ms: START_MS,
            last_player: 0,
            log: Vec::new(),
        };
        for component in &self.modules {
            let report = world.publish(component);
            assert!(report.published, "the module was refused: {report:?}");
        }
        world.settle();
        world
    }
}

/// Chaos that the environment asks for, so that a whole suite runs under it: `EVERWAKE_CHAOS=n` drops the
/// instance after one event in n, `EVERWAKE_TWIN=n` runs one event in n twice.
#[must_use]
pub fn chaos_of_environment() -> Chaos {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    Chaos { drop_one_in: number("EVERWAKE_CHAOS"), twin_one_in: number("EVERWAKE_TWIN"), ..Chaos::default() }
}

impl World {
    /// A world over an engine; see [`WorldBuilder`].
    #[expect(clippy::new_ret_no_self, reason = "a world is made in steps")]
    #[must_use]
    pub fn new(kit: &Kit) -> WorldBuilder {
        WorldBuilder {
            kit: kit.clone(),
            seed: 1,
            config: GameConfig { dev: true, nil_shards: 2, probation_ms: 10_000, ..GameConfig::default() },
            limits: GateLimits::default(),
            chaos: chaos_of_environment(),
            events_per_drain: 0,
            modules: Vec::new(),
        }
    }

    /// Connects a client to a module and waits until it has its boot entity.
    #[track_caller]
    pub fn connect(&mut self, module: &str) -> Player {
        self.connect_as(&Greeting { module: module.into(), ..Greeting::default() })
    }

    /// The same with a greeting of one's own.
    #[track_caller]
    pub fn connect_as(&mut self, greeting: &Greeting) -> Player {
        self.last_player += 1;
        let (player, connection) = (Player(self.last_player), ConnectionId(self.last_player));
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 40_000));
        self.seats.insert(player, Seat::new(connection, greeting));
        self.gate_input(GateInput::Incoming { connection, address, proven: true });
        self.settle();
        player
    }

    /// Breaks the connection off, as a player does who pulls the plug.
    pub fn disconnect(&mut self, player: Player) {
        let connection = self.seat(player).connection;
        self.seat_mut(player).closed = Some((CloseCode::Done, "the client went away".into()));
        self.gate_input(GateInput::Gone { connection, timed_out: false });
        self.settle();
    }

    /// Breaks the connection off and forgets what the player's client saw: for worlds in which many come and go.
    /// The player cannot be asked about afterwards.
    pub fn forget(&mut self, player: Player) {
        self.disconnect(player);
        self.seats.remove(&player);
    }

    /// Calls a method of the player's own entity and waits for the answer.
    ///
    /// # Errors
    /// The outcome, if it is not a value.
    #[track_caller]
    pub fn call(&mut self, player: Player, method: &str, args: &[Value]) -> Result<Value, Outcome> {
        let request = self.request(player, method, args);
        let mut waited_ms = 0;
        while !self.seat(player).replies.contains_key(&request.0) && waited_ms < u64::from(CALL_MS) * 2 {
            self.advance(Duration::from_millis(10));
            waited_ms += 10;
        }
        let outcome = self.outcome(player, request);
        match outcome.unwrap_or_else(|| panic!("`{method}` was never answered")) {
            Outcome::Ok(value) => {
                Ok(Value::decode(&value).unwrap_or_else(|error| panic!("`{method}`: {error}")))
            }
            failed => Err(failed),
        }
    }

    /// Calls a method of the player's own entity and does not wait.
    #[track_caller]
    pub fn request(&mut self, player: Player, method: &str, args: &[Value]) -> Request {
        let own = self.own(player);
        self.request_of(player, own, method, args)
    }

    /// Calls a method of any entity in view and does not wait.
    #[track_caller]
    pub fn request_of(&mut self, player: Player, target: EntityId, method: &str, args: &[Value]) -> Request {
        let now = self.elapsed();
        let made = self.seat_mut(player).core.request(now, target, method, args, CALL_MS);
        let request = made.unwrap_or_else(|error| panic!("`{method}` cannot be called: {error}"));
        self.settle();
        Request(request)
    }

    /// How a request ended, if it did.
    #[must_use]
    pub fn outcome(&self, player: Player, request: Request) -> Option<Outcome> {
        self.seat(player).replies.get(&request.0).cloned()
    }

    /// The methods that were called on the player's mirrors since the last time.
    pub fn take_calls(&mut self, player: Player) -> Vec<Called> {
        std::mem::take(&mut self.seat_mut(player).calls)
    }

    /// The same, left where it is.
    #[must_use]
    pub fn calls(&self, player: Player) -> &[Called] {
        &self.seat(player).calls
    }

    /// Everything that the player's client was told since the last time.
    pub fn take_events(&mut self, player: Player) -> Vec<ClientEvent> {
        std::mem::take(&mut self.seat_mut(player).events)
    }

    /// The player's own entity.
    #[must_use]
    #[track_caller]
    pub fn own(&self, player: Player) -> EntityId {
        let seat = self.seat(player);
        let own = seat.core.own().map(|entity| entity.id);
        own.unwrap_or_else(|| panic!("the player has no entity; closed: {:?}", seat.closed))
    }

    /// An attribute of the player's own entity.
    #[must_use]
    #[track_caller]
    pub fn attribute(&self, player: Player, name: &str) -> Value {
        self.attribute_of(player, self.own(player), name)
    }

    /// An attribute of an entity as the player's client sees it.
    #[must_use]
    #[track_caller]
    pub fn attribute_of(&self, player: Player, entity: EntityId, name: &str) -> Value {
        let value = self.seat(player).core.attribute(entity, name);
        value.unwrap_or_else(|| panic!("the client sees no `{name}` of {entity}"))
    }

    /// The entities of a type that the player's client sees.
    #[must_use]
    pub fn seen(&self, player: Player, type_name: &str) -> Vec<Entity> {
        let entities = self.seat(player).core.entities();
        entities.filter(|entity| entity.type_name == type_name).cloned().collect()
    }

    /// The player's client, with everything that it mirrors.
    #[must_use]
    #[track_caller]
    pub fn client(&self, player: Player) -> &ClientCore {
        &self.seat(player).core
    }

    /// Why the player's connection was closed, if it was.
    #[must_use]
    pub fn closed(&self, player: Player) -> Option<(CloseCode, String)> {
        self.seat(player).closed.clone()
    }

    /// Moves the player's own entity by a datagram.
    pub fn move_to(&mut self, player: Player, pose: Pose) {
        let seat = self.seat_mut(player);
        let (connection, bytes) = (seat.connection, seat.core.move_to(pose, &[]));
        self.gate_input(GateInput::Datagram { connection, bytes });
        self.settle();
    }

    /// Lets time pass, with everything that becomes due on the way.
    #[track_caller]
    pub fn advance(&mut self, time: Duration) {
        let until_ms = self.game.now_ms() + u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2);
        self.settle();
        loop {
            let now_ms = self.game.now_ms();
            if now_ms >= until_ms {
                break;
            }
            let due_ms = self.game.next_ms().unwrap_or(u64::MAX).max(now_ms + 1);
            let step_ms = due_ms.min(self.ticked_ms + GATE_TICK_MS).min(until_ms).max(now_ms + 1) - now_ms;
            self.game.advance(step_ms).unwrap_or_else(|error| panic!("{error}"));
            if self.game.now_ms() >= self.ticked_ms + GATE_TICK_MS {
                self.ticked_ms = self.game.now_ms();
                self.gate_input(GateInput::Tick);
                let now = self.elapsed();
                self.seats.values_mut().for_each(|seat| seat.core.tick(now));
            }
            self.settle();
        }
    }

    /// Publishes a version; what is refused is in the report.
    #[track_caller]
    pub fn publish(&mut self, component: &Component) -> PublicationReport {
        self.publish_with(component, PublishOptions { supersede: true, ..PublishOptions::default() })
    }

    /// The same with what the publisher agrees to.
    #[track_caller]
    pub fn publish_with(&mut self, component: &Component, options: PublishOptions) -> PublicationReport {
        let request = AdminRequest::Publish { bytes: component.0.clone(), note: String::new(), options };
        match self.ask(request) {
            AdminAnswer::Publication(report) => *report,
            other => panic!("a publication was answered by {other:?}"),
        }
    }

    /// Asks as an operator and waits for the answer.
    #[track_caller]
    pub fn ask(&mut self, request: AdminRequest) -> AdminAnswer {
        let ticket = self.game.ask(request);
        self.settle();
        for _ in 0..6_000 {
            if let Some(answer) = self.game.answer(ticket) {
                self.settle();
                return answer;
            }
            self.advance(Duration::from_millis(10));
        }
        panic!("the game does not answer its operator within a minute")
    }

    /// What an operator sees of every entity there is: each space, followed by who is in it.
    #[track_caller]
    pub fn inspect_all(&mut self) -> Vec<serde_json::Value> {
        let mut views = Vec::new();
        for space in self.game.spaces() {
            let view = self.inspect(space);
            let members =
                view.get("members").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
            views.push(view);
            let ids = members.iter().filter_map(|member| member.get("id")?.as_str()?.parse().ok());
            let ids: Vec<EntityId> = ids.collect();
            views.extend(ids.into_iter().map(|id| self.inspect(id)));
        }
        views
    }

    /// What an operator sees of one entity, or of a space.
    #[track_caller]
    pub fn inspect(&mut self, id: EntityId) -> serde_json::Value {
        match self.ask(AdminRequest::Inspect { id }) {
            AdminAnswer::View(view) => view,
            other => panic!("a look at {id} was answered by {other:?}"),
        }
    }

    /// Handlers that trapped or were cut since the last time.
    pub fn take_crashes(&mut self) -> Vec<Crash> {
        self.game.take_crashes()
    }

    /// What happened to modules and spaces since the last time.
    pub fn take_facts(&mut self) -> Vec<Fact> {
        self.game.take_facts()
    }

    /// What guests logged since the last time.
    pub fn take_log(&mut self) -> Vec<LogLine> {
        self.log.append(&mut self.game.take_log());
        std::mem::take(&mut self.log)
    }

    /// Drops the module instance of every space, as the host may between any two events: the next event of
    /// each space makes a fresh one. Nothing may behave differently.
    pub fn drop_instances(&mut self) {
        for space in self.game.spaces() {
            self.game.with_space(space, |core| core.rest());
        }
    }

    /// How much there is of everything that comes and goes, in the game, at the gate and in clients that are here.
    /// What is left over when all of it should be gone leaks.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = self.game.tally();
        let gate = self.gate.status();
        tally.count("connections", gate.connections);
        tally.count("sessions of the gate", gate.sessions);
        tally.count("bytes for clients", gate.queued_bytes);
        for seat in self.seats.values().filter(|seat| seat.closed.is_none()) {
            tally.count("entities of clients", seat.core.entities().count());
            tally.count("requests of clients", seat.core.pending());
        }
        tally
    }

    /// The game under this world, for what has no name here.
    pub fn game(&mut self) -> &mut Game {
        &mut self.game
    }

    /// Time since the world began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_millis(self.game.now_ms() - self.start_ms)
    }

    /// Fails the test if any client was told something that does not fit together.
    #[track_caller]
    pub fn check(&self) {
        for (player, seat) in &self.seats {
            assert!(
                seat.inconsistencies.is_empty(),
                "{player:?} was told what does not fit: {:?}",
                seat.inconsistencies
            );
        }
    }

    /// Runs everything that is due now; no time passes.
    #[track_caller]
    pub fn settle(&mut self) {
        for _ in 0..EXCHANGES_MAX {
            self.game.settle().unwrap_or_else(|error| panic!("{error}"));
            let mut moved = false;
            for message in self.game.take_gate() {
                moved = true;
                self.gate_input(GateInput::Dispatched(message));
            }
            moved |= self.send();
            let mut out = Vec::new();
            self.gate.flush(self.elapsed(), &mut out);
            moved |= !out.is_empty();
            self.follow(out);
            if !moved {
                return;
            }
        }
        panic!("clients and game keep each other busy for ever");
    }

    /// What clients have to say goes to the gate.
    fn send(&mut self) -> bool {
        let said = |seat: &mut Seat| {
            let bytes = seat.core.take_output();
            (!bytes.is_empty() && seat.closed.is_none()).then(|| (seat.connection, bytes.into()))
        };
        let said: Vec<_> = self.seats.values_mut().filter_map(said).collect();
        let any = !said.is_empty();
        for (connection, bytes) in said {
            self.gate_input(GateInput::Received { connection, bytes });
        }
        any
    }

    fn gate_input(&mut self, input: GateInput) {
        let mut out = Vec::new();
        self.gate.handle(self.elapsed(), input, &mut out);
        self.follow(out);
    }

    fn follow(&mut self, outputs: Vec<GateOutput>) {
        for output in outputs {
            match output {
                GateOutput::Accept { connection } => self.gate_input(GateInput::Established { connection }),
                GateOutput::Refuse { connection } | GateOutput::Retry { connection } => {
                    self.close(connection, CloseCode::Full, "refused".into())
                }
                GateOutput::Write { connection, pieces } => {
                    if let Some(seat) = self.seat_of(connection) {
                        for piece in pieces {
                            if let Err(error) = seat.core.receive(&piece) {
                                seat.inconsistencies.push(error.to_string());
                            }
                        }
                        seat.drain();
                    }
                    self.gate_input(GateInput::Written { connection });
                }
                GateOutput::Datagram { connection, bytes } => {
                    if let Some(seat) = self.seat_of(connection) {
                        seat.core.receive_datagram(bytes);
                        seat.drain();
                    }
                }
                GateOutput::Close { connection, code, reason, .. } => {
                    self.close(connection, code, reason);
                    self.gate_input(GateInput::Gone { connection, timed_out: false });
                }
                GateOutput::Dispatch(message) => self.game.from_gate(message),
                // The one dispatcher of this process declares nobody dead.
                GateOutput::Stop => {}
                GateOutput::Log { .. } => {}
            }
        }
    }

    fn close(&mut self, connection: ConnectionId, code: CloseCode, reason: String) {
        if let Some(seat) = self.seat_of(connection) {
            seat.closed = Some((code, reason));
        }
    }

    fn seat_of(&mut self, connection: ConnectionId) -> Option<&mut Seat> {
        self.seats.values_mut().find(|seat| seat.connection == connection && seat.closed.is_none())
    }

    #[track_caller]
    fn seat(&self, player: Player) -> &Seat {
        self.seats.get(&player).unwrap_or_else(|| panic!("{player:?} is of another world"))
    }

    #[track_caller]
    fn seat_mut(&mut self, player: Player) -> &mut Seat {
        self.seats.get_mut(&player).unwrap_or_else(|| panic!("{player:?} is of another world"))
    }
}
