//! Games and dispatchers of a cluster in one thread, with links that lose nothing but may be slow or held up.

use super::model;
use crate::cargo::Cargo;
use crate::cargo::peer::Peer;
use crate::driver::SpaceSettings;
use crate::driver::lockstep::{Among, AmongSettings};
use crate::game::GameConfig;
use crate::game::admin::{AdminAnswer, AdminRequest, ModuleStatus, Status};
use crate::game::publish::PublishOptions;
use crate::game::report::{Fact, PublicationReport};
use bytes::Bytes;
use everwake_dispatcher::{
    MemberConfig, MemberInput, Router, RouterConfig, RouterInput, RouterOutput, share,
};
use everwake_link::PeerName;
use everwake_protocol::EntityId;
use everwake_protocol::cluster::{FromDispatcher, Incarnation, ToDispatcher};
use std::collections::{BTreeMap, VecDeque};

/// Something that is held up on its way to a game.
pub(super) type Held = fn(&Peer) -> bool;

pub(super) struct Rig {
    pub(super) now_ms: u64,
    chance: u64,
    routers: Vec<(Router<Bytes>, Incarnation)>,
    pub(super) places: Vec<Place>,
    /// By place, then by router: to the dispatcher, and from it.
    links: Vec<Vec<Link>>,
    pub(super) facts: Vec<(usize, Fact)>,
    /// What may not come to a place yet.
    pub(super) held: Option<(usize, Held)>,
    /// What gets lost on its way to anybody.
    pub(super) lost: Option<Held>,
    /// What others have taken of its messages this place never hears.
    pub(super) deaf: Option<usize>,
    /// Everybody may die at any time, so one may outlive itself.
    pub(super) storms: bool,
    /// The newest generation that each space ran.
    generations: BTreeMap<(Incarnation, EntityId), u32>,
    /// Games that the deployment consists of.
    pub(super) expected: usize,
}

pub(super) struct Place {
    pub(super) game: Option<Among>,
    pub(super) life: Incarnation,
    name: PeerName,
    file: i64,
}

#[derive(Default)]
struct Link {
    there: VecDeque<ToDispatcher<Bytes>>,
    back: VecDeque<FromDispatcher<Bytes>>,
    is_up: bool,
}

fn router_name(at: usize) -> PeerName {
    format!("dispatcher/{at}").parse().unwrap()
}

impl Rig {
    /// So many games, each with the file of a version, and so many dispatchers. Nothing runs yet.
    pub(super) fn new(seed: u64, files: &[i64], dispatchers: usize) -> Rig {
        let mut rig = Rig {
            now_ms: 1_000_000,
            chance: seed,
            routers: Vec::new(),
            places: Vec::new(),
            links: Vec::new(),
            facts: Vec::new(),
            held: None,
            lost: None,
            deaf: None,
            storms: false,
            generations: BTreeMap::new(),
            expected: 1,
        };
        let game_name = |at: usize| -> PeerName { format!("game/g-{at}").parse().unwrap() };
        for at in 0..dispatchers {
            let life = Incarnation { start: 1, random: 100 + at as u64 };
            let others = (0..dispatchers).filter(|other| *other != at).map(router_name).collect();
            let games = (0..files.len()).map(game_name).collect();
            let router = Router::new(RouterConfig::new(life, router_name(at), games, others));
            rig.routers.push((router, life));
        }
        for (at, file) in files.iter().enumerate() {
            let life = Incarnation { start: 0, random: 10 + at as u64 };
            rig.places.push(Place { game: None, life, name: game_name(at), file: *file });
            rig.links.push((0..dispatchers).map(|_| Link::default()).collect());
        }
        for at in 0..dispatchers {
            for other in (0..dispatchers).filter(|other| *other != at) {
                let incarnation = rig.routers[other].1;
                rig.route(at, RouterInput::Up { peer: router_name(other), incarnation, lost: true });
            }
        }
        rig
    }

    /// The same, all started and joined.
    pub(super) fn running(seed: u64, games: usize, dispatchers: usize) -> Rig {
        let mut rig = Rig::new(seed, &vec![1; games], dispatchers);
        (0..games).for_each(|at| rig.start(at));
        let runs = |rig: &Rig| (0..games).all(|at| rig.module(at).is_some() && rig.is_open(at));
        assert!(rig.until(20_000, runs), "they do not join: {:?}", rig.facts);
        rig.pass(500);
        rig
    }

    /// A new life of a game begins, with its file.
    pub(super) fn start(&mut self, at: usize) {
        let places: Vec<PeerName> = (0..self.routers.len()).map(router_name).collect();
        let place = &mut self.places[at];
        place.life.start += 1;
        let config = GameConfig {
            name: format!("g-{at}"),
            nil_shards: 2,
            games: self.expected,
            probation_traps_max: 2,
            probation_ms: 30_000,
            ..GameConfig::default()
        };
        let mut game = Among::new(AmongSettings {
            config,
            spaces: SpaceSettings { events_per_drain: 4, ..SpaceSettings::default() },
            member: MemberConfig::new(place.life, places),
            seed: place.life.random ^ u64::from(place.life.start) << 32,
            start_ms: self.now_ms,
            loader: Box::new(model::loader()),
        });
        let options = PublishOptions { first: true, ..PublishOptions::default() };
        let bytes = model::file(place.file);
        game.ask(AdminRequest::Publish { bytes, note: "file".into(), options });
        place.game = Some(game);
        for router in 0..self.routers.len() {
            self.links[at][router] = Link { is_up: true, ..Link::default() };
            let (peer, incarnation) = (self.places[at].name.clone(), self.places[at].life);
            self.route(router, RouterInput::Up { peer, incarnation, lost: true });
            let up = MemberInput::Up {
                dispatcher: router_name(router),
                incarnation: self.routers[router].1,
                lost: true,
            };
            self.places[at].game.as_mut().unwrap().from_links(up);
        }
    }

    /// A game is no more, with all that is on its way to it and from it.
    pub(super) fn kill(&mut self, at: usize) {
        self.places[at].game = None;
        for router in 0..self.routers.len() {
            self.links[at][router] = Link::default();
            let (peer, incarnation) = (self.places[at].name.clone(), self.places[at].life);
            self.route(router, RouterInput::Down { peer, incarnation });
        }
    }

    /// A dispatcher begins anew, and everybody finds it again at once.
    pub(super) fn restart_router(&mut self, at: usize) {
        let life = Incarnation { start: self.routers[at].1.start + 1, ..self.routers[at].1 };
        let others: Vec<usize> = (0..self.routers.len()).filter(|other| *other != at).collect();
        let names = others.iter().map(|other| router_name(*other)).collect();
        let games = self.places.iter().map(|place| place.name.clone()).collect();
        self.routers[at] = (Router::new(RouterConfig::new(life, router_name(at), games, names)), life);
        for other in others {
            for (to, from) in [(at, other), (other, at)] {
                let incarnation = self.routers[from].1;
                self.route(to, RouterInput::Up { peer: router_name(from), incarnation, lost: true });
            }
        }
        for place in self.living() {
            self.links[place][at] = Link { is_up: true, ..Link::default() };
            let (peer, incarnation) = (self.places[place].name.clone(), self.places[place].life);
            self.route(at, RouterInput::Up { peer, incarnation, lost: true });
            let up = MemberInput::Up { dispatcher: router_name(at), incarnation: life, lost: true };
            self.places[place].game.as_mut().unwrap().from_links(up);
        }
    }

    fn route(&mut self, at: usize, input: RouterInput<Bytes>) {
        let mut out = Vec::new();
        self.routers[at].0.handle(self.now_ms, input, &mut out);
        for output in out {
            match output {
                RouterOutput::Send { to, message } => {
                    let place = self.places.iter().position(|it| it.life == to && it.game.is_some());
                    if let Some(place) = place.filter(|place| self.links[*place][at].is_up) {
                        self.links[place][at].back.push_back(message);
                    }
                }
                RouterOutput::Peer { to, message } => {
                    let other = self.routers.iter().position(|(_, life)| *life == to).unwrap();
                    self.route(other, RouterInput::FromPeer { incarnation: to, message });
                }
                RouterOutput::Fact(_) => {}
            }
        }
    }

    /// A few milliseconds: games run in any order, links carry a few messages each.
    pub(super) fn step(&mut self) {
        self.now_ms += 1 + self.roll(4);
        let first = self.roll(self.places.len() as u64) as usize;
        for turn in 0..self.places.len() {
            self.run((first + turn) % self.places.len());
        }
        for at in 0..self.places.len() {
            for router in 0..self.routers.len() {
                for _ in 0..self.roll(4) {
                    self.carry(at, router);
                }
            }
        }
        for at in 0..self.routers.len() {
            if self.routers[at].0.next_wake_ms().is_some_and(|at_ms| at_ms <= self.now_ms) {
                self.route(at, RouterInput::Wake);
            }
        }
        self.check();
    }

    fn run(&mut self, at: usize) {
        let spaces = 1 + self.roll(6) as usize;
        let Some(game) = &mut self.places[at].game else { return };
        game.run(self.now_ms, spaces);
        self.facts.extend(game.take_facts().into_iter().map(|fact| (at, fact)));
        let sent = game.take_sent();
        let is_outlived = game.is_outlived();
        for sent in sent {
            self.links[at][sent.dispatcher].there.push_back(sent.message);
        }
        if is_outlived {
            assert!(self.storms, "{:?}", self.facts);
            self.kill(at);
        }
    }

    fn carry(&mut self, at: usize, router: usize) {
        let life = self.places[at].life;
        if let Some(message) = self.links[at][router].there.pop_front() {
            self.route(router, RouterInput::From { incarnation: life, message });
        }
        let peer = match self.links[at][router].back.front() {
            Some(FromDispatcher::Deliver(envelope)) => {
                match Cargo::decode(envelope.payload.clone(), &|_, _| None) {
                    Ok(Cargo::Peer(peer)) => Some(peer),
                    _ => None,
                }
            }
            _ => None,
        };
        let is = |wanted: Held| peer.as_ref().is_some_and(|peer| wanted(peer));
        if self.held.is_some_and(|(place, held)| place == at && is(held)) {
            return;
        }
        let is_unheard = self.deaf == Some(at)
            && matches!(self.links[at][router].back.front(), Some(FromDispatcher::Acks(_)));
        let is_lost = is_unheard || self.lost.is_some_and(is);
        if let Some(message) = self.links[at][router].back.pop_front().filter(|_| !is_lost) {
            let heard = MemberInput::Heard { dispatcher: router_name(router), message };
            if let Some(game) = &mut self.places[at].game {
                game.from_links(heard);
            }
        }
    }

    /// No space ever goes to a lower generation.
    fn check(&mut self) {
        for place in &self.places {
            let Some(game) = &place.game else { continue };
            for space in game.spaces() {
                let generation = game.with_space(space, |core| core.version().generation).unwrap();
                let known = self.generations.entry((place.life, space)).or_default();
                assert!(generation >= *known, "{space} went from generation {known} to {generation}");
                *known = generation;
            }
        }
    }

    pub(super) fn pass(&mut self, ms: u64) {
        let until_ms = self.now_ms + ms;
        while self.now_ms < until_ms {
            self.step();
        }
    }

    /// Lets time pass until something is so; false if it never is.
    pub(super) fn until(&mut self, ms: u64, mut is_so: impl FnMut(&Rig) -> bool) -> bool {
        let until_ms = self.now_ms + ms;
        while !is_so(self) {
            if self.now_ms > until_ms {
                return false;
            }
            self.step();
        }
        true
    }

    /// The dispatcher that an entity's messages go by.
    pub(super) fn way_of(&self, entity: EntityId) -> Option<usize> {
        let names = self.names();
        share::of_entity(entity, names.iter().map(PeerName::name))
    }

    /// The dispatcher by which one game says something to another.
    pub(super) fn lane(&self, from: usize, to: usize) -> Option<usize> {
        let names = self.names();
        let life = |at: usize| self.places[at].life;
        share::of_lane(life(from), life(to), names.iter().map(PeerName::name))
    }

    fn names(&self) -> Vec<PeerName> {
        (0..self.routers.len()).map(router_name).collect()
    }

    pub(super) fn ask(&mut self, at: usize, request: AdminRequest) -> u64 {
        self.places[at].game.as_mut().unwrap().ask(request)
    }

    pub(super) fn answer(&mut self, at: usize, ticket: u64) -> Option<AdminAnswer> {
        self.places[at].game.as_mut()?.answer(ticket)
    }

    /// Asks, and lets time pass until there is an answer.
    pub(super) fn wait(&mut self, at: usize, request: AdminRequest) -> AdminAnswer {
        let ticket = self.ask(at, request);
        self.wait_for(at, ticket)
    }

    pub(super) fn wait_for(&mut self, at: usize, ticket: u64) -> AdminAnswer {
        let until_ms = self.now_ms + 30_000;
        loop {
            if let Some(answer) = self.answer(at, ticket) {
                return answer;
            }
            assert!(self.now_ms < until_ms, "no answer: {:?}", self.facts);
            self.step();
        }
    }

    pub(super) fn ask_publish(&mut self, at: usize, version: i64) -> u64 {
        let options = PublishOptions { supersede: true, ..PublishOptions::default() };
        self.ask(at, AdminRequest::Publish { bytes: model::file(version), note: "new".into(), options })
    }

    pub(super) fn publish(&mut self, at: usize, version: i64) -> PublicationReport {
        let ticket = self.ask_publish(at, version);
        report(self.wait_for(at, ticket))
    }

    pub(super) fn call(
        &mut self,
        at: usize,
        entity: EntityId,
        method: &str,
        args: serde_json::Value,
    ) -> AdminAnswer {
        self.wait(at, AdminRequest::Call { who: "test".into(), entity, method: method.into(), args })
    }

    pub(super) fn living(&self) -> Vec<usize> {
        (0..self.places.len()).filter(|at| self.places[*at].game.is_some()).collect()
    }

    pub(super) fn status(&self, at: usize) -> Status {
        self.places[at].game.as_ref().unwrap().game().status()
    }

    pub(super) fn module(&self, at: usize) -> Option<ModuleStatus> {
        self.places[at].game.as_ref()?.game().status().modules.into_iter().next()
    }

    pub(super) fn is_open(&self, at: usize) -> bool {
        let joined = |(place, fact): &(usize, Fact)| *place == at && matches!(fact, Fact::Joined { .. });
        self.facts.iter().any(joined)
    }

    /// Generation and label of head in each game that lives, and whether all its spaces run it.
    pub(super) fn heads(&self) -> Vec<(u32, String, bool)> {
        let living = self.living().into_iter();
        living
            .filter_map(|at| {
                let (module, game) = (self.module(at)?, self.places[at].game.as_ref()?);
                let runs =
                    |space| game.with_space(space, |core| core.version().generation == module.generation);
                let all = game.spaces().into_iter().all(|space| runs(space) == Some(true));
                Some((module.generation, module.label, all))
            })
            .collect()
    }

    /// Everybody runs the same, and nothing is under way.
    #[track_caller]
    pub(super) fn agrees(&self) -> (u32, String) {
        let heads = self.heads();
        assert_eq!(heads.len(), self.living().len());
        assert!(heads.iter().all(|head| *head == heads[0] && head.2), "{heads:?}");
        for at in self.living() {
            let game = self.places[at].game.as_ref().unwrap().game();
            assert_eq!(game.under_way(), [""; 0], "game {at}");
        }
        (heads[0].0, heads[0].1.clone())
    }

    pub(super) fn roll(&mut self, below: u64) -> u64 {
        self.chance =
            self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % below.max(1)
    }
}

#[track_caller]
pub(super) fn report(answer: AdminAnswer) -> PublicationReport {
    match answer {
        AdminAnswer::Publication(report) => *report,
        other => panic!("a report: {other:?}"),
    }
}
