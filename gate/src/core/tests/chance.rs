//! Random lives of one client against a plain model: games that show it views, hand it over, lose it, answer it twice
//! and die, with lanes that are in order each and in none together. Each seed is one life.
//!
//! What a view is, who has the client and who must hear of its end the model knows by itself: it plays the games.

use super::*;
use everwake_protocol::limits::REBOOT_VIEW_MARGIN;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const SEEDS: u64 = 3_000;
const STEPS: usize = 120;

/// One life of a game.
struct Game {
    life: Incarnation,
    alive: bool,
    /// The gate has heard that it is dead.
    known_dead: bool,
    /// What it has said and the gate has not heard yet. `None`: that it is dead.
    lane: VecDeque<Option<ToGate>>,
}

/// Who has the client.
#[derive(Clone, Copy, Debug)]
enum Owner {
    /// An entity was asked for, behind this view.
    Asked(EntityId, u32),
    Has {
        view: u32,
        game: usize,
        entity: EntityId,
    },
    Nobody,
}

/// One view, by what is true of it.
struct Shown {
    game: usize,
    entity: EntityId,
    /// The gate has heard that it is to begin.
    announced: bool,
    /// But too late.
    void: bool,
    said: u32,
    /// The gate has heard so many of them.
    delivered: u32,
    /// The client has read so many.
    read: u32,
    /// The gate knows that there is no more.
    over: bool,
}

struct World {
    rig: Rig,
    chance: ChaCha8Rng,
    connection: ConnectionId,
    session: SessionId,
    games: Vec<Game>,
    owner: Owner,
    views: BTreeMap<u32, Shown>,
    /// Of entities that were asked for.
    first_views: BTreeSet<u32>,
    /// Views up to here are of before an entity was asked for.
    floor: u32,
    /// Of entities that have the client, and will hear that they have it no more.
    overtaken: BTreeSet<u32>,
    /// That the client reads now.
    current: Option<u32>,
    /// Greatest number that the gate has heard.
    heard: u32,
    entities: u32,
    requests: u64,
    /// Requests without an answer: whom they are to, and the game that served the client then.
    open: BTreeMap<u64, (EntityId, usize)>,
    forgiven: BTreeSet<u64>,
    detached: BTreeMap<EntityId, u32>,
    gone: bool,
}

impl World {
    fn new(seed: u64) -> World {
        let limits =
            GateLimits { reboots_per_minute: 1_000, requests_per_second: 1_000, ..GateLimits::default() };
        let mut rig = Rig::new(limits);
        let connection = rig.silent();
        rig.say(connection, &hello("yard"));
        let outputs = rig.drain();
        let (session, boot, view) = connected(&outputs).unwrap();
        let mut world = World {
            rig,
            chance: ChaCha8Rng::seed_from_u64(seed),
            connection,
            session,
            games: Vec::new(),
            owner: Owner::Asked(boot, view),
            views: BTreeMap::new(),
            first_views: BTreeSet::new(),
            overtaken: BTreeSet::new(),
            floor: 0,
            current: None,
            heard: 0,
            entities: 0,
            requests: 0,
            open: BTreeMap::new(),
            forgiven: BTreeSet::new(),
            detached: BTreeMap::new(),
            gone: false,
        };
        (0..3).for_each(|_| world.begin_game());
        world
    }

    fn begin_game(&mut self) {
        let life =
            Incarnation { start: self.games.len() as u32 + 1, random: 1_000 + self.games.len() as u64 };
        self.games.push(Game { life, alive: true, known_dead: false, lane: VecDeque::new() });
    }

    fn below(&mut self, end: usize) -> usize {
        self.chance.next_u64() as usize % end
    }

    fn living(&mut self) -> usize {
        let living: Vec<usize> = (0..self.games.len()).filter(|it| self.games[*it].alive).collect();
        living[self.below(living.len())]
    }

    fn entity(&mut self) -> EntityId {
        self.entities += 1;
        EntityId(Id([77, 0, 0, self.entities]))
    }

    fn say(&mut self, game: usize, message: ToGate) {
        self.games[game].lane.push_back(Some(message));
    }

    /// A game comes to have the client.
    fn take(&mut self, game: usize, entity: EntityId, view: u32) {
        self.owner = Owner::Has { view, game, entity };
        self.views.insert(
            view,
            Shown {
                game,
                entity,
                announced: false,
                void: false,
                said: 0,
                delivered: 0,
                read: 0,
                over: false,
            },
        );
        self.say(game, ToGate::View { session: self.session, view, owner: entity, type_id: 7 });
    }

    fn step(&mut self) {
        match self.below(100) {
            0..40 => self.deliver_some(),
            40..55 => self.speak(),
            55..65 => self.hand_over(),
            65..69 => self.die(),
            69..79 => self.boot(),
            79..94 => self.ask(),
            _ => self.acknowledge(),
        }
        self.look();
    }

    fn boot(&mut self) {
        if let Owner::Asked(boot, view) = self.owner {
            let game = self.living();
            self.first_views.insert(view + 1);
            self.take(game, boot, view + 1);
        }
    }

    fn speak(&mut self) {
        let Owner::Has { view, game, .. } = self.owner else { return };
        let shown = self.views.get_mut(&view).unwrap();
        let nonce = u64::from(view) << 32 | u64::from(shown.said);
        shown.said += 1;
        let viewers = smallvec![Viewer { session: self.session, view }];
        self.say(game, ToGate::Frames { viewers, frames: ServerFrame::Pong { nonce }.to_bytes() });
    }

    fn hand_over(&mut self) {
        let Owner::Has { view, game, entity } = self.owner else { return };
        if view + 1 >= self.heard + REBOOT_VIEW_MARGIN {
            return;
        }
        let (session, next) = (self.session, self.living());
        // Within one game the next view says it all.
        if next != game || self.below(2) == 0 {
            self.say(game, ToGate::End { session, view });
        }
        if self.below(6) == 0 {
            self.owner = Owner::Nobody;
            self.say(next, ToGate::Orphaned { session, view: view + 1 });
        } else {
            // It is given to another entity, or its entity moves.
            let entity = if self.below(3) == 0 { entity } else { self.entity() };
            self.take(next, entity, view + 1);
        }
    }

    /// A game dies, and some of its last words with it.
    fn die(&mut self) {
        let game = self.living();
        // Who dies with a client that it was asked for and never spoke of is for other tests: the client is closed.
        let is_first = |said: &Option<ToGate>| matches!(said, Some(ToGate::View { view, .. }) if self.first_views.contains(view));
        let from = self.games[game].lane.iter().rposition(is_first).map_or(0, |place| place + 1);
        let kept = from + self.below(self.games[game].lane.len() + 1 - from);
        let dead = &mut self.games[game];
        dead.lane.truncate(kept);
        dead.alive = false;
        // A death may be heard of from another dispatcher than the last words.
        let place = from + self.below(kept + 1 - from);
        self.games[game].lane.insert(place, None);
        if matches!(self.owner, Owner::Has { game: its, .. } if its == game) {
            self.owner = Owner::Nobody;
        }
        self.begin_game();
    }

    fn ask(&mut self) {
        let Some(shown) = self.current.and_then(|view| self.views.get(&view)) else { return };
        if self.gone || self.requests >= 60 {
            return;
        }
        self.requests += 1;
        let (request, target) = (self.requests, shown.entity);
        self.open.insert(request, (target, shown.game));
        let frame = ClientFrame::Request {
            request,
            acknowledged: 0,
            target,
            method: OWN_ONLY,
            deadline_ms: 60_000,
            args: Bytes::from_static(&[0x80]),
        };
        self.rig.say(self.connection, &frame);
    }

    fn acknowledge(&mut self) {
        let mut request = self.open.first_key_value().map_or(self.requests, |(first, _)| first - 1);
        if self.below(3) == 0 && request < self.requests {
            // It does not wait any more.
            request += 1;
            self.open.remove(&request);
        }
        if !self.gone && request > 0 {
            self.rig.say(self.connection, &ClientFrame::Acknowledge { request });
        }
    }

    fn deliver_some(&mut self) {
        let waiting: Vec<usize> =
            (0..self.games.len()).filter(|it| !self.games[*it].lane.is_empty()).collect();
        if !waiting.is_empty() {
            let game = waiting[self.below(waiting.len())];
            self.deliver(game);
        }
    }

    fn deliver(&mut self, game: usize) {
        let life = self.games[game].life;
        let Some(message) = self.games[game].lane.pop_front().unwrap() else {
            let of_it = self.views.values_mut().filter(|shown| shown.game == game);
            of_it.for_each(|shown| shown.over = true);
            self.games[game].known_dead = true;
            self.forgive(game);
            return self.rig.dies(life);
        };
        match &message {
            ToGate::View { view, .. } | ToGate::Orphaned { view, .. } => {
                self.heard = self.heard.max(*view);
                let before = self.views.range_mut(..*view).filter(|(_, shown)| shown.game == game);
                before.for_each(|(_, shown)| shown.over = true);
                if let Some(shown) =
                    self.views.get_mut(view).filter(|_| matches!(message, ToGate::View { .. }))
                {
                    shown.announced = true;
                    shown.void = self.current > Some(*view) || *view <= self.floor;
                    shown.over |= self.games[game].known_dead;
                }
            }
            ToGate::End { view, .. } => self.views.get_mut(view).unwrap().over = true,
            ToGate::Frames { viewers, .. } => {
                self.views.get_mut(&viewers[0].view).unwrap().delivered += 1;
            }
            _ => {}
        }
        self.rig.hears(life, message);
    }

    /// What the gate has done since the last time.
    fn look(&mut self) {
        loop {
            let outputs = self.rig.drain();
            if outputs.is_empty() {
                return;
            }
            assert_eq!(closed(&outputs, self.connection), None);
            let before = self.current.and_then(|view| self.views.get(&view)).map(|shown| shown.game);
            let mut served: Vec<usize> = before.into_iter().collect();
            for frame in read(&outputs, self.connection) {
                self.client_reads(frame, &mut served);
            }
            let released =
                sent(&outputs).into_iter().filter(|it| matches!(it.payload, ToGame::Released { .. }));
            let released: Vec<Target> = released.map(|it| it.target).collect();
            self.check_released(&served, &released);
            for envelope in sent(&outputs).into_iter().cloned() {
                self.game_hears(envelope);
            }
        }
    }

    fn client_reads(&mut self, frame: ServerFrame, served: &mut Vec<usize>) {
        match frame {
            ServerFrame::Resync { view } => {
                if let Some(last) = self.current.replace(view) {
                    let shown = &self.views[&last];
                    assert!(view > last, "view {view} after {last}");
                    assert!(shown.over, "view {view} begins before {last} is over");
                    let whole = shown.read == shown.delivered || self.games[shown.game].known_dead;
                    assert!(whole, "view {last} is cut short");
                }
                served.push(self.views[&view].game);
            }
            ServerFrame::Pong { nonce } => {
                let view = (nonce >> 32) as u32;
                assert_eq!(Some(view), self.current, "of another view");
                let shown = self.views.get_mut(&view).unwrap();
                assert_eq!(nonce as u32, shown.read, "in view {view}");
                shown.read += 1;
            }
            ServerFrame::Reply { request, outcome } => {
                let Some((target, game)) = self.open.remove(&request) else {
                    panic!("{request} is answered twice")
                };
                let died =
                    |outcome| matches!(outcome, Outcome::Err { code, .. } if code == code::PROCESS_DIED);
                if Outcome::decode(&outcome).is_ok_and(died) {
                    let cause = (0..self.games.len()).any(|dead| {
                        self.games[dead].known_dead && (dead == game || self.was_seen(target, dead))
                    });
                    assert!(cause && !self.has(target), "{request}: {target} has not died");
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Whether the gate knows that an entity lives and has the client, or will have it.
    fn has(&self, entity: EntityId) -> bool {
        let shown = self.views.iter().filter(|(view, _)| Some(**view) >= self.current);
        shown
            .into_iter()
            .any(|(_, it)| it.entity == entity && it.announced && !it.void && !self.games[it.game].known_dead)
    }

    /// Whether the gate has seen an entity with the client at a game.
    fn was_seen(&self, entity: EntityId, game: usize) -> bool {
        self.views.values().any(|it| it.entity == entity && it.game == game && it.announced && !it.void)
    }

    /// Requests that a game had when it died, of which the gate could not know that.
    fn forgive(&mut self, game: usize) {
        let known = |(target, served): (EntityId, usize)| {
            let shown = self.views.range(self.current.unwrap_or(0)..);
            let is_there = shown
                .into_iter()
                .any(|(_, it)| it.entity == target && it.game == game && it.announced && !it.void);
            !self.has(target) && (served == game || is_there)
        };
        let unknown = self.open.iter().filter(|(_, asked)| !known(**asked)).map(|(request, _)| *request);
        self.forgiven.extend(unknown.collect::<Vec<_>>());
    }

    /// Whoever has served the client and lives hears once that another one does.
    fn check_released(&self, served: &[usize], released: &[Target]) {
        let changes = served.windows(2).filter(|pair| pair[0] != pair[1]).map(|pair| pair[0]);
        let expected = changes.filter(|game| !self.games[*game].known_dead);
        let expected: Vec<Target> = expected.map(|game| Target::Process(self.games[game].life)).collect();
        assert_eq!(released, expected);
    }

    fn game_hears(&mut self, envelope: Envelope<ToGame>) {
        match (&envelope.payload, envelope.target) {
            (ToGame::Connected { view, .. }, Target::Entity(boot)) => {
                if let Owner::Has { view, .. } = self.owner {
                    // Of one who had it from a dead game, and of whom it has not heard yet, the gate cannot know.
                    assert!(view > self.heard, "view {view} is there");
                    self.overtaken.insert(view);
                }
                assert!(!matches!(self.owner, Owner::Asked(..)), "{:?}", self.owner);
                self.floor = *view;
                self.owner = Owner::Asked(boot, *view);
            }
            (ToGame::Request { request, .. }, Target::Entity(entity)) => {
                let request = *request;
                let game = self.views.values().rfind(|shown| shown.entity == entity).unwrap().game;
                let frame = reply(request, &Outcome::null());
                let answer = ToGate::Reply { session: self.session, frame };
                match (self.games[game].alive, self.below(8)) {
                    (true, 0) => self.rig.returned(envelope, ReturnReason::Overloaded, false),
                    (true, chance) => {
                        (0..1 + usize::from(chance == 1)).for_each(|_| self.say(game, answer.clone()))
                    }
                    (false, _) => self.rig.returned(envelope, ReturnReason::Gone, true),
                }
            }
            (ToGame::Detach { view, .. }, Target::Entity(entity)) => {
                if let Owner::Has { view: its, entity: owner, .. } = self.owner
                    && !self.gone
                {
                    assert!(
                        owner != entity || *view < its,
                        "who has the client hears that it has it no more"
                    );
                }
                let last = self.detached.entry(entity).or_default();
                *last = (*last).max(*view);
            }
            _ => {}
        }
    }

    /// All is said and heard, and time passes until somebody has the client for good.
    fn settle(&mut self) {
        for _ in 0..20 {
            while self.games.iter().any(|game| !game.lane.is_empty()) {
                self.deliver_some();
                self.look();
            }
            match self.owner {
                Owner::Has { .. } => return,
                Owner::Asked(..) => self.boot(),
                Owner::Nobody => {
                    self.rig.pass(everwake_protocol::limits::HANDOVER_TIMEOUT_MS + 1);
                    self.look();
                }
            }
        }
    }

    /// Everything is as the model says.
    fn check(&self) {
        let Owner::Has { view, .. } = self.owner else { panic!("{:?} for ever", self.owner) };
        assert_eq!(self.current, Some(view));
        let shown = &self.views[&view];
        assert_eq!((shown.read, shown.delivered), (shown.said, shown.said));
        let open: Vec<&u64> = self.open.keys().filter(|it| !self.forgiven.contains(it)).collect();
        assert!(open.is_empty(), "nobody answers {open:?}");
    }

    /// The client leaves; whoever has it, or comes to have it, hears that.
    fn leave(&mut self) {
        self.rig.input(GateInput::Gone { connection: self.connection, timed_out: false });
        self.gone = true;
        self.look();
        if let Owner::Asked(boot, _) = self.owner {
            assert!(self.detached.contains_key(&boot), "{boot} would come to have nobody");
        }
        self.boot();
        while self.games.iter().any(|game| !game.lane.is_empty()) {
            self.deliver_some();
            self.look();
        }
        let owner = match self.owner {
            Owner::Has { view, .. } => Some(view),
            _ => None,
        };
        let overtaken = self.overtaken.iter().copied().filter(|view| self.views[view].announced);
        for view in overtaken.chain(owner) {
            let entity = self.views[&view].entity;
            let told = self.detached.get(&entity).copied();
            assert!(told >= Some(view), "{entity} waits for ever: view {view}, told {told:?}");
        }
        assert!(self.rig.core.is_empty());
    }
}

#[test]
fn whatever_games_do_a_client_sees_one_view_after_the_other_whole() {
    for seed in 0..SEEDS {
        let played = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            let steps = world.below(STEPS);
            (0..steps).for_each(|_| world.step());
            if seed % 3 > 0 {
                world.settle();
                world.check();
            }
            world.leave();
        });
        assert!(played.is_ok(), "seed {seed}");
    }
}
