//! All routers, games and links of one run, and what happens to them.

use super::game::{Game, Say};
use super::link::{Came, Link};
use super::truth::Truth;
use super::{Dice, Plant};
use crate::member::{MemberInput, MemberOutput};
use crate::router::{Fact, Router, RouterConfig, RouterInput, RouterOutput};
use everwake_link::PeerName;
use everwake_protocol::EntityId;
use everwake_protocol::cluster::{BetweenDispatchers, Incarnation};
use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct World {
    dice: Dice,
    now_ms: u64,
    routers: Vec<(Router<Say>, Incarnation)>,
    games: Vec<Game>,
    /// By game, then by router.
    links: Vec<Vec<Link>>,
    between: VecDeque<(Incarnation, BetweenDispatchers)>,
    truth: Truth,
    plant: Option<Plant>,
    /// Games may die.
    deadly: bool,
}

fn game_name(place: usize) -> PeerName {
    format!("game/{place}").parse().unwrap()
}

fn router_name(place: usize) -> PeerName {
    format!("dispatcher/{place}").parse().unwrap()
}

impl World {
    pub(super) fn new(seed: u64, plant: Option<Plant>) -> World {
        let mut dice = Dice(crate::share::mix(seed));
        let (games, routers) = (3 + dice.roll(2) as usize, 2 + dice.roll(2) as usize);
        let names: Vec<PeerName> = (0..routers).map(router_name).collect();
        let mut world = World {
            dice,
            now_ms: 0,
            routers: Vec::new(),
            games: (0..games).map(|place| Game::new(place, 1, names.clone(), plant)).collect(),
            links: (0..games).map(|_| (0..routers).map(|_| Link::new()).collect()).collect(),
            between: VecDeque::new(),
            truth: Truth::default(),
            plant,
            deadly: seed % 2 == 1,
        };
        for place in 0..routers {
            let life = Incarnation { start: 1, random: 100 + place as u64 };
            world.routers.push((world.router(place, routers, life), life));
        }
        for place in 0..routers {
            world.introduce(place);
        }
        world
    }

    fn router(&self, place: usize, routers: usize, life: Incarnation) -> Router<Say> {
        let others = (0..routers).filter(|other| *other != place).map(router_name).collect();
        let games = (0..self.games.len()).map(game_name).collect();
        let mut config = RouterConfig::new(life, router_name(place), games, others);
        config.plant = self.plant;
        Router::new(config)
    }

    /// Dispatchers find each other at once.
    fn introduce(&mut self, place: usize) {
        for other in (0..self.routers.len()).filter(|other| *other != place) {
            let life = self.routers[place].1;
            let up = RouterInput::Up { peer: router_name(place), incarnation: life, lost: true };
            self.route(other, up);
            let life = self.routers[other].1;
            let up = RouterInput::Up { peer: router_name(other), incarnation: life, lost: true };
            self.route(place, up);
        }
    }

    fn route(&mut self, place: usize, input: RouterInput<Say>) {
        let mut out = Vec::new();
        self.routers[place].0.handle(self.now_ms, input, &mut out);
        for output in out {
            match output {
                RouterOutput::Send { to, message } => {
                    if let Some(game) = self.games.iter().position(|game| game.life == to) {
                        self.links[game][place].send_to_game(message);
                    }
                }
                RouterOutput::Peer { to, message } => self.between.push_back((to, message)),
                RouterOutput::Fact(Fact::Dead { incarnation, .. }) => self.bury(incarnation),
                RouterOutput::Fact(_) => {}
            }
        }
    }

    /// A life is over, and may not know it yet: what it does from here on is void.
    fn bury(&mut self, life: Incarnation) {
        self.truth.deaths = true;
        if let Some(game) = self.games.iter_mut().find(|game| game.life == life && !game.is_void) {
            game.is_void = true;
            self.truth.died(game.home);
        }
    }

    fn play(&mut self, place: usize, input: MemberInput<Say>) -> Result<(), String> {
        let mut out = Vec::new();
        self.games[place].member.handle(self.now_ms, input, &mut out);
        self.drain(place, out)
    }

    fn drain(&mut self, place: usize, out: Vec<MemberOutput<Say>>) -> Result<(), String> {
        let mut out = VecDeque::from(out);
        while let Some(output) = out.pop_front() {
            match output {
                MemberOutput::Send { dispatcher, to, message, .. } => {
                    if self.routers[dispatcher].1 == to {
                        self.links[place][dispatcher].send_to_router(message);
                    }
                }
                MemberOutput::Event(event) => {
                    let mut more = Vec::new();
                    let mut void = Truth::default();
                    let game = &mut self.games[place];
                    let truth = if game.is_void { &mut void } else { &mut self.truth };
                    game.on(event, truth, self.now_ms, &mut more)?;
                    out.extend(more);
                }
            }
        }
        Ok(())
    }

    pub(super) fn step(&mut self, faults: bool) -> Result<(), String> {
        self.now_ms += 1 + self.dice.roll(30);
        if faults {
            self.fault()?;
        }
        for game in 0..self.games.len() {
            for router in 0..self.routers.len() {
                self.mind(game, router)?;
            }
            if self.games[game].is_over {
                self.restart_game(game);
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
        let spaces: Vec<EntityId> = self.games.iter().map(|game| game.space).collect();
        for place in 0..self.games.len() {
            let mut out = Vec::new();
            let game = &mut self.games[place];
            for _ in 0..if faults && !game.is_void { self.dice.roll(3) } else { 0 } {
                game.act(&mut self.dice, &mut self.truth, &spaces, self.now_ms, &mut out);
            }
            game.go_on(self.now_ms, &mut out);
            self.drain(place, out)?;
        }
        Ok(())
    }

    /// What a link has to do now.
    fn mind(&mut self, game: usize, router: usize) -> Result<(), String> {
        let link = &mut self.links[game][router];
        if link.half_open_until_ms.is_some_and(|at_ms| at_ms <= self.now_ms) {
            self.cut(game, router, 100, true)?;
        }
        let link = &mut self.links[game][router];
        if !link.up {
            if link.up_at_ms > self.now_ms {
                return Ok(());
            }
            link.connect();
        }
        for _ in 0..self.dice.roll(5) {
            let link = &mut self.links[game][router];
            if link.half_open_until_ms.is_some() {
                return Ok(());
            }
            let life = self.games[game].life;
            match link.to_router.pop(&mut self.dice) {
                Some(Came::Up { lost }) => {
                    let up = RouterInput::Up { peer: game_name(game), incarnation: life, lost };
                    self.route(router, up);
                }
                Some(Came::Message(message)) => {
                    self.route(router, RouterInput::From { incarnation: life, message });
                }
                None => {}
            }
            let (dispatcher, incarnation) = (router_name(router), self.routers[router].1);
            match self.links[game][router].to_game.pop(&mut self.dice) {
                Some(Came::Up { lost }) => {
                    self.play(game, MemberInput::Up { dispatcher, incarnation, lost })?;
                }
                Some(Came::Message(message)) => {
                    self.play(game, MemberInput::Heard { dispatcher, message })?;
                }
                None => {}
            }
        }
        Ok(())
    }

    fn cut(&mut self, game: usize, router: usize, ms_max: u64, lose: bool) -> Result<(), String> {
        let up_at_ms = self.now_ms + self.dice.roll(ms_max);
        self.links[game][router].cut(up_at_ms, lose);
        let incarnation = self.games[game].life;
        self.route(router, RouterInput::Down { peer: game_name(game), incarnation });
        self.play(game, MemberInput::Down { dispatcher: router_name(router) })
    }

    fn fault(&mut self) -> Result<(), String> {
        let game = self.dice.roll(self.games.len() as u64) as usize;
        let router = self.dice.roll(self.routers.len() as u64) as usize;
        match self.dice.roll(1_200) {
            0..20 => {
                let lose = !self.dice.once_in(3);
                let ms_max = if self.deadly { 5_000 } else { 2_000 };
                self.cut(game, router, ms_max, lose)
            }
            20..26 => {
                let link = &mut self.links[game][router];
                if link.up {
                    link.half_open_until_ms = Some(self.now_ms + 1 + self.dice.roll(2_000));
                }
                Ok(())
            }
            26..34 => self.restart_router(router),
            34..36 if self.deadly => {
                self.restart_game(game);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn restart_router(&mut self, place: usize) -> Result<(), String> {
        let life = Incarnation { start: self.routers[place].1.start + 1, ..self.routers[place].1 };
        self.routers[place] = (self.router(place, self.routers.len(), life), life);
        self.route(place, RouterInput::Wake);
        self.introduce(place);
        for game in 0..self.games.len() {
            let up_at_ms = self.now_ms + self.dice.roll(1_500);
            self.links[game][place].restart(up_at_ms);
            self.play(game, MemberInput::Down { dispatcher: router_name(place) })?;
        }
        self.truth.mix(place as u64);
        Ok(())
    }

    fn restart_game(&mut self, place: usize) {
        let (old, (_, start)) = (self.games[place].life, self.games[place].home);
        self.truth.died(self.games[place].home);
        let names = (0..self.routers.len()).map(router_name).collect();
        self.games[place] = Game::new(place, start + 1, names, self.plant);
        for router in 0..self.routers.len() {
            let up_at_ms = self.now_ms + self.dice.roll(6_000);
            self.links[place][router].restart(up_at_ms);
            self.route(router, RouterInput::Down { peer: game_name(place), incarnation: old });
        }
    }

    /// Faults are over.
    pub(super) fn heal(&mut self) {
        for link in self.links.iter_mut().flatten() {
            link.up_at_ms = link.up_at_ms.min(self.now_ms);
            if let Some(until_ms) = &mut link.half_open_until_ms {
                *until_ms = self.now_ms;
            }
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        let quiet = |link: &Link| link.up && link.to_router.is_empty() && link.to_game.is_empty();
        self.links.iter().flatten().all(quiet)
            && self.routers.iter().all(|(router, _)| router.parked() == (0, 0) && router.is_complete())
            && self.games.iter().all(Game::is_settled)
    }

    pub(super) fn unsettled(&self) -> String {
        let games = self.games.iter().filter(|game| !game.is_settled()).map(Game::unsettled);
        let parked: Vec<usize> = self.routers.iter().map(|(router, _)| router.parked().0).collect();
        format!("{}; parked {parked:?}", games.collect::<Vec<_>>().join(", "))
    }

    pub(super) fn end(&self) -> Result<u64, String> {
        if self.truth.delivered < 50 || self.truth.moved == 0 {
            return Err(format!("only {} messages, {} moves", self.truth.delivered, self.truth.moved));
        }
        self.truth.end()
    }
}
