//! A whole cluster in one thread: who is there, what runs when, and how bytes get from one to the other.

use crate::coverage::Coverage;
use crate::dice::{Dice, mix};
use crate::faults::Level;
use crate::link::{Came, Link};
use crate::model::{self, Shared, see};
use crate::parts::{Part, Process, Seat};
use crate::plants::Plant;
use bytes::Bytes;
use everwake_dispatcher::member::MemberInput;
use everwake_dispatcher::router::Death;
use everwake_dispatcher::share::class_of;
use everwake_dispatcher::{Fact, Router, RouterConfig, RouterInput, RouterOutput};
use everwake_link::{Class, PeerName};
use everwake_protocol::cluster::{Ack, BetweenDispatchers, FromDispatcher, Incarnation, ToDispatcher};
use everwake_protocol::{EntityId, Id};
use everwake_runtime::driver::ModelLoader;
use std::collections::{BTreeMap, VecDeque};

pub(crate) struct Cluster {
    pub(crate) dice: Dice,
    pub(crate) now_ms: u64,
    pub(crate) level: Level,
    pub(crate) witness: Shared,
    pub(crate) routers: Vec<(Router<Bytes>, Incarnation)>,
    /// Games, then gates.
    pub(crate) places: Vec<Place>,
    /// By place, then by router.
    pub(crate) links: Vec<Vec<Link>>,
    between: VecDeque<(Incarnation, BetweenDispatchers)>,
    pub(crate) seats: Vec<Option<Seat>>,
    pub(crate) last_number: u64,
    pub(crate) calm: bool,
    module: (ModelLoader, Bytes),
    steps: u64,
    plant: Option<Plant>,
    pub(crate) coverage: Coverage,
}

/// Where one life of a process follows the other.
pub(crate) struct Place {
    pub(crate) name: PeerName,
    pub(crate) is_game: bool,
    pub(crate) process: Option<Process>,
    starts: u32,
    pub(crate) start_at_ms: u64,
}

pub(crate) fn router_name(place: usize) -> PeerName {
    format!("dispatcher/{place}").parse().unwrap()
}

impl Cluster {
    pub(crate) fn new(seed: u64, level: Level, plant: Option<Plant>) -> Cluster {
        let mut dice = Dice(mix(seed));
        let witness = Shared::default();
        let (routers, games, gates) = (1 + dice.place(3), 2 + dice.place(2), 1 + dice.place(2));
        let mut cluster = Cluster {
            now_ms: 1_000_000,
            level,
            module: model::loader(&witness),
            witness,
            routers: Vec::new(),
            places: Vec::new(),
            links: Vec::new(),
            between: VecDeque::new(),
            seats: (0..2 + dice.place(3)).map(|_| None).collect(),
            last_number: 0,
            calm: false,
            steps: 0,
            plant,
            coverage: Coverage::default(),
            dice,
        };
        for place in 0..games + gates {
            let is_game = place < games;
            let name = if is_game { format!("game/{place}") } else { format!("gate/{place}") };
            let name = name.parse().unwrap();
            let start_at_ms = cluster.now_ms;
            cluster.places.push(Place { name, is_game, process: None, starts: 0, start_at_ms });
            let up = |dice: &mut Dice| start_at_ms + dice.roll(50);
            cluster.links.push((0..routers).map(|_| Link::new(up(&mut cluster.dice))).collect());
        }
        for place in 0..routers {
            let life = Incarnation { start: 1, random: 100 + place as u64 };
            let router = cluster.router(place, routers, life);
            cluster.routers.push((router, life));
        }
        (0..routers).for_each(|place| cluster.introduce(place));
        (0..games + gates).for_each(|place| cluster.start(place));
        cluster
    }

    fn router(&self, place: usize, routers: usize, life: Incarnation) -> Router<Bytes> {
        let others = (0..routers).filter(|other| *other != place).map(router_name).collect();
        let games = self.places.iter().filter(|place| place.is_game).map(|place| place.name.clone());
        // It waits for none of those that it does not expect.
        let games = games.filter(|_| self.plant != Some(Plant::GoneEarly));
        Router::new(RouterConfig::new(life, router_name(place), games.collect(), others))
    }

    /// Dispatchers find each other at once.
    fn introduce(&mut self, place: usize) {
        for other in (0..self.routers.len()).filter(|other| *other != place) {
            for (to, from) in [(other, place), (place, other)] {
                let incarnation = self.routers[from].1;
                self.route(to, RouterInput::Up { peer: router_name(from), incarnation, lost: true });
            }
        }
    }

    fn start(&mut self, at: usize) {
        let names: Vec<PeerName> = (0..self.routers.len()).map(router_name).collect();
        let place = &mut self.places[at];
        place.starts += 1;
        // Each life draws its own; small ones are easy to read.
        let random = u64::from(place.starts) * 10 + at as u64 + 1;
        let life = Incarnation { start: place.starts, random };
        let name = place.name.clone();
        see(&self.witness).at = life;
        place.process = Some(match place.is_game {
            true => Process::game(name, life, names, self.module.clone(), self.now_ms),
            false => Process::gate(name, life, names),
        });
    }

    /// A process is no more; another life of it begins later.
    pub(crate) fn kill(&mut self, at: usize, start_at_ms: u64) {
        let Some(process) = self.places[at].process.take() else { return };
        self.places[at].start_at_ms = start_at_ms;
        self.bury(process.life);
        for router in 0..self.routers.len() {
            self.links[at][router].restart(start_at_ms + self.dice.roll(200));
            let (peer, incarnation) = (process.name.clone(), process.life);
            self.route(router, RouterInput::Down { peer, incarnation });
        }
    }

    pub(crate) fn route(&mut self, place: usize, input: RouterInput<Bytes>) {
        let mut out = Vec::new();
        self.routers[place].0.handle(self.now_ms, input, &mut out);
        for output in out {
            match output {
                RouterOutput::Send { to, message } => {
                    if self.plant == Some(Plant::HopAck)
                        && let FromDispatcher::Deliver(envelope) = &message
                        && envelope.is_kept()
                    {
                        let (sender, counter) = (envelope.message.sender, envelope.message.counter);
                        let ack = Ack { sender, target: envelope.target, counter };
                        self.tell(place, envelope.source, FromDispatcher::Acks(vec![ack]));
                    }
                    self.tell(place, to, message);
                }
                RouterOutput::Peer { to, message } => self.between.push_back((to, message)),
                RouterOutput::Fact(Fact::Dead { why: Death::Silent, .. }) if self.routers.len() == 1 => {}
                RouterOutput::Fact(Fact::Dead { incarnation, .. }) => self.bury(incarnation),
                RouterOutput::Fact(_) => {}
            }
        }
    }

    fn tell(&mut self, router: usize, to: Incarnation, message: FromDispatcher<Bytes>) {
        let Some(at) = self.place_of(to) else { return };
        let class = class_of(&message);
        let told = match self.plant {
            Some(plant) => plant.to_process(class, message, self.dice.once_in(2)),
            None => Some((class, message)),
        };
        let Some((class, message)) = told else { return };
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let link = &mut self.links[at][router];
        link.send_to_process(class, bytes.into(), self.now_ms, &mut self.dice);
    }

    fn place_of(&self, life: Incarnation) -> Option<usize> {
        self.places.iter().position(|place| place.process.as_ref().is_some_and(|it| it.life == life))
    }

    /// A life is over, and may not know it yet: what it does from here on is void. What a single dispatcher decides is
    /// so once a game has heard it: if it falls down before, nobody knows.
    fn bury(&mut self, life: Incarnation) {
        see(&self.witness).died(life);
        if let Some(at) = self.place_of(life)
            && let Some(process) = &mut self.places[at].process
        {
            process.is_over = true;
        }
    }

    pub(crate) fn step(&mut self) -> Result<(), String> {
        self.now_ms += 1 + self.dice.roll(20);
        self.steps += 1;
        see(&self.witness).now_ms = self.now_ms;
        if !self.calm {
            self.fault();
        }
        for at in 0..self.places.len() {
            if self.places[at].process.as_ref().is_some_and(Process::is_outlived) {
                let start_at_ms = self.now_ms + self.dice.roll(500);
                self.kill(at, start_at_ms);
            }
            if self.places[at].process.is_none() && self.places[at].start_at_ms <= self.now_ms {
                self.start(at);
            }
            for router in 0..self.routers.len() {
                self.mind(at, router);
            }
        }
        while let Some((to, message)) = self.between.pop_front() {
            if let Some(place) = self.routers.iter().position(|(_, life)| *life == to) {
                self.route(place, RouterInput::FromPeer { incarnation: to, message });
            }
        }
        for place in 0..self.routers.len() {
            if self.routers[place].0.next_wake_ms().is_some_and(|at_ms| at_ms <= self.now_ms) {
                self.route(place, RouterInput::Wake);
            }
        }
        let first = self.dice.place(self.places.len());
        for turn in 0..self.places.len() {
            self.run((first + turn) % self.places.len());
        }
        self.play()?;
        if self.steps.is_multiple_of(8) {
            self.check_places()?;
            self.check_bounds()?;
        }
        match see(&self.witness).wrong.take() {
            Some(wrong) => Err(wrong),
            None => Ok(()),
        }
    }

    fn run(&mut self, at: usize) {
        let Some(process) = &mut self.places[at].process else { return };
        if process.paused_until_ms > self.now_ms {
            return;
        }
        process.run(self.now_ms, 1 + self.dice.place(6), &self.witness);
        for sent in process.take_sent() {
            if self.routers[sent.dispatcher].1 != sent.to {
                continue;
            }
            let (plant, link) = (self.plant, &mut self.links[at][sent.dispatcher]);
            let message = match plant {
                Some(plant) => plant.to_dispatcher(sent.message),
                None => Some(sent.message),
            };
            let Some(message) = message else { continue };
            let mut bytes = Vec::new();
            match plant.and_then(|plant| plant.echoes(&message)) {
                Some(echo) => {
                    echo.encode(&mut bytes);
                    link.send_to_process(Class::Express, bytes.into(), self.now_ms, &mut self.dice);
                }
                None => {
                    message.encode(&mut bytes);
                    link.send_to_dispatcher(sent.class, bytes.into(), self.now_ms, &mut self.dice);
                }
            }
        }
    }

    /// What a link has to do now.
    fn mind(&mut self, at: usize, router: usize) {
        let Some((name, life, paused_until_ms)) =
            self.places[at].process.as_ref().map(|it| (it.name.clone(), it.life, it.paused_until_ms))
        else {
            return;
        };
        if self.links[at][router].half_open_until_ms.is_some_and(|until_ms| until_ms <= self.now_ms) {
            self.cut(at, router, 100, true);
        }
        let link = &mut self.links[at][router];
        if !link.up {
            if link.up_at_ms > self.now_ms {
                return;
            }
            link.connect();
        }
        for _ in 0..self.dice.roll(12) {
            let link = &mut self.links[at][router];
            if link.half_open_until_ms.is_some() {
                return;
            }
            match link.to_dispatcher.pop(self.now_ms, &mut self.dice) {
                Some(Came::Up { lost }) => {
                    let up = RouterInput::Up { peer: name.clone(), incarnation: life, lost };
                    self.route(router, up);
                }
                Some(Came::Message(bytes)) => {
                    let message = ToDispatcher::decode(bytes).unwrap();
                    self.coverage.said(&message);
                    self.route(router, RouterInput::From { incarnation: life, message });
                }
                None => {}
            }
            if paused_until_ms > self.now_ms {
                continue;
            }
            let (dispatcher, incarnation) = (router_name(router), self.routers[router].1);
            let came = self.links[at][router].to_process.pop(self.now_ms, &mut self.dice);
            let Some(process) = &mut self.places[at].process else { return };
            match came {
                Some(Came::Up { lost }) => {
                    process.links(self.now_ms, MemberInput::Up { dispatcher, incarnation, lost });
                }
                Some(Came::Message(bytes)) => {
                    let message = FromDispatcher::decode(bytes).unwrap();
                    self.coverage.heard(&message);
                    let is_told =
                        matches!(process.part, Part::Game(_)) || message == FromDispatcher::Dead(life);
                    if let FromDispatcher::Dead(dead) = &message
                        && is_told
                    {
                        self.bury(*dead);
                    }
                    let Some(process) = &mut self.places[at].process else { return };
                    process.links(self.now_ms, MemberInput::Heard { dispatcher, message });
                }
                None => {}
            }
        }
    }

    pub(crate) fn cut(&mut self, at: usize, router: usize, ms_max: u64, lose: bool) {
        let up_at_ms = self.now_ms + self.dice.roll(ms_max);
        self.links[at][router].cut(up_at_ms, lose);
        let Some(process) = &mut self.places[at].process else { return };
        process.links(self.now_ms, MemberInput::Down { dispatcher: router_name(router) });
        let (peer, incarnation) = (process.name.clone(), process.life);
        self.route(router, RouterInput::Down { peer, incarnation });
    }

    pub(crate) fn restart_router(&mut self, place: usize) {
        let life = Incarnation { start: self.routers[place].1.start + 1, ..self.routers[place].1 };
        self.routers[place] = (self.router(place, self.routers.len(), life), life);
        self.route(place, RouterInput::Wake);
        self.introduce(place);
        for at in 0..self.places.len() {
            let up_at_ms = self.now_ms + self.dice.roll(1_500);
            self.links[at][place].restart(up_at_ms);
            if let Some(process) = &mut self.places[at].process {
                process.links(self.now_ms, MemberInput::Down { dispatcher: router_name(place) });
            }
        }
        see(&self.witness).mix(place as u64);
    }

    /// Where every pawn and room is, among games that count.
    pub(crate) fn whereabouts(&self) -> Result<BTreeMap<EntityId, (usize, EntityId)>, String> {
        let all = EntityId(Id([0; 4]))..=EntityId(Id([u32::MAX; 4]));
        let mut found = BTreeMap::new();
        for (at, place) in self.places.iter().enumerate() {
            let Some(process) = place.process.as_ref().filter(|process| !process.is_over) else { continue };
            let Part::Game(game) = &process.part else { continue };
            for space in game.spaces() {
                for entity in game.with_space(space, |core| core.entities_within(&all)).unwrap_or_default() {
                    if let Some(other) = found.insert(entity, (at, space)) {
                        let now_ms = self.now_ms;
                        return Err(format!(
                            "{now_ms}: {entity} is in {space} of game {at} and in {} of game {}",
                            other.1, other.0
                        ));
                    }
                }
            }
        }
        Ok(found)
    }

    fn check_places(&self) -> Result<(), String> {
        self.whereabouts().map(drop)
    }

    /// So few entities say so little that no queue may ever be long.
    fn check_bounds(&self) -> Result<(), String> {
        let parked = self.routers.iter().map(|(router, _)| router.parked().0).max().unwrap_or_default();
        let kept = self.places.iter().filter_map(|place| place.process.as_ref()).map(Process::kept).max();
        match parked > 20_000 || kept.is_some_and(|kept| kept > 20_000) {
            true => Err(format!("{}: {parked} wait in a dispatcher, {kept:?} in a process", self.now_ms)),
            false => Ok(()),
        }
    }

    pub(crate) fn is_settled(&self) -> bool {
        let rests = |place: &Place| {
            let process = place.process.as_ref();
            process.is_some_and(|it| it.kept() == 0 && !it.is_over && it.paused_until_ms <= self.now_ms)
        };
        self.links.iter().flatten().all(Link::is_quiet)
            && self.routers.iter().all(|(router, _)| router.parked() == (0, 0) && router.is_complete())
            && self.places.iter().all(rests)
            && self.seats.iter().all(|seat| seat.as_ref().is_some_and(Seat::is_content))
    }

    pub(crate) fn unsettled(&self) -> String {
        let kept: Vec<_> = self
            .places
            .iter()
            .map(|place| place.process.as_ref().map(|it| (it.kept(), it.is_over)))
            .collect();
        let parked: Vec<_> =
            self.routers.iter().map(|(router, _)| (router.parked().0, router.is_complete())).collect();
        let seats: Vec<_> = self.seats.iter().map(|seat| seat.as_ref().map(Seat::describe)).collect();
        let links = self.links.iter().flatten().filter(|link| !link.is_quiet()).count();
        format!("kept {kept:?}; parked {parked:?}; {links} links not quiet; clients {seats:?}")
    }
}
