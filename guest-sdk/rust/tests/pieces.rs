//! Four pieces of real games, written the way an author would: a login, a monster, a trade between
//! spaces, a matchmaker. That they compile is half of the test; the other half plays them.
#![allow(clippy::unwrap_used, reason = "a test that gets something else has failed")]
#![allow(missing_docs, reason = "games for a test")]

use everwake::*;

// 1. Login ----------------------------------------------------------------------------------------

/// Why there is no avatar.
#[attr_type]
pub enum LoginError {
    Unknown,
    WrongPassword,
    Busy,
}

/// Data: an id, may travel in a continuation.
type LoginReply = Reply<Ref<Avatar>, LoginError>;

/// What the key-value map has under `login/NAME`.
#[attr_type]
pub struct Login {
    pub password: String,
    pub avatar: Ref<Avatar>,
}

#[entity(boot)]
pub struct Account {
    failed: u32,
}

#[methods]
impl Account {
    #[rpc(own_client, limit = "5 per min")]
    fn login(&mut self, cx: &mut Context, name: String, password: Secret<String>, reply: LoginReply) {
        let ask = kv::get::<Login>(format!("login/{name}"));
        cx.call(ask).within(secs(5)).then(on!(Self::on_row), (password, reply));
    }

    fn on_row(
        &mut self,
        cx: &mut Context,
        (password, reply): (Secret<String>, LoginReply),
        row: Result<Option<Login>, CallError>,
    ) {
        match row {
            Ok(Some(row)) if row.password == *password.reveal() => {
                cx.call(give_to(row.avatar)).then(on!(Self::on_given), (row.avatar, reply));
            }
            Ok(Some(_)) => {
                self.failed += 1; // committed AND refused
                reply.err(cx, LoginError::WrongPassword);
            }
            Ok(None) => reply.err(cx, LoginError::Unknown),
            Err(_) => reply.err(cx, LoginError::Busy),
        }
    }

    fn on_given(
        &mut self,
        cx: &mut Context,
        (avatar, reply): (Ref<Avatar>, LoginReply),
        given: Result<(), CallError>,
    ) {
        match given {
            Ok(()) => {
                reply.ok(cx, avatar);
                cx.destroy_me();
            }
            Err(_) => reply.err(cx, LoginError::Busy),
        }
    }
}

// 2. Monster --------------------------------------------------------------------------------------

#[attr_type]
pub enum Mode {
    Idle,
    Chase { target: Ref<Avatar>, ready: Time },
    Home,
}

/// Where one may walk: large, and the same for everybody in the space.
pub struct Ground {
    pub width: f32,
}

#[entity(tick = "10 Hz", aoi = 30.0, sleep = unwatched)]
pub struct Monster {
    #[attr(all_clients, default = 30)]
    hp: i32,
    mode: Mode,
    home: Vec3,
    #[cache]
    path: Cache<Vec<Vec3>>,
}

#[methods]
impl Monster {
    fn new(home: Vec3) -> Self {
        Self { home, mode: Mode::Idle, ..Self::default() }
    }

    #[tick]
    fn think(&mut self, cx: &mut Tick) -> Result<(), Fail> {
        let ground = cx.space_cache(|| Ground { width: 100.0 });
        match &mut self.mode {
            Mode::Idle => {
                if let Some((target, _)) = cx.nearest::<Avatar>(20.0) {
                    self.mode = Mode::Chase { target, ready: cx.now() };
                }
            }
            Mode::Chase { target, ready } => {
                let target = *target;
                let Some(at) = cx.pose_of(target).map(Pose::place).filter(|at| at.x < ground.width) else {
                    self.mode = Mode::Home;
                    return Ok(());
                };
                if cx.position().distance(at) > 1.5 {
                    cx.step_towards(at, 5.0);
                } else if cx.now() >= *ready {
                    *ready = cx.now() + secs(1);
                    let (damage, me) = (cx.roll(3..=6) as i32, cx.me::<Self>());
                    if cx.with(target, |avatar, cx| avatar.take_damage(cx, damage, me))? {
                        self.mode = Mode::Home;
                    }
                }
            }
            Mode::Home => {
                let goal = *self.path.get_or(|| vec![self.home]).last().unwrap_or(&self.home);
                if cx.step_towards(goal, 5.0).distance(goal) < 1.0 {
                    self.mode = Mode::Idle;
                }
            }
        }
        Ok(())
    }
}

// 3. Trade between spaces -------------------------------------------------------------------------

#[attr_type]
pub struct Item {
    pub name: String,
    pub wear: u32,
}

type TradeId = Id;

#[entity(persistent, aoi = 30.0)]
pub struct Avatar {
    #[attr(all_clients, default = 20)]
    hp: i32,
    #[attr(client)]
    bag: List<Item>,
    held: Map<TradeId, List<Item>>,
    #[attr(client)]
    post: List<Item>,
    invited: u64,
    room: Option<Ref<Room>>,
}

#[methods]
impl Avatar {
    #[rpc(server)]
    fn hold(&mut self, trade: TradeId, count: usize) -> Result<List<Item>, Refused> {
        if count > self.bag.len() {
            return Err(Refused("not that many".into()));
        }
        let items: List<Item> = self.bag.drain(..count).collect();
        self.held.insert(trade, items.clone());
        Ok(items)
    }

    #[rpc(server)]
    fn settle(&mut self, trade: TradeId, receive: List<Item>) {
        self.held.remove(&trade);
        self.post.extend(receive.iter().cloned());
    }

    #[rpc(server)]
    fn refund(&mut self, trade: TradeId) {
        if let Some(items) = self.held.remove(&trade) {
            self.bag.extend(items.iter().cloned());
        }
    }

    #[rpc(server)]
    fn invite(&mut self, game: u64) -> bool {
        self.invited = game;
        self.hp > 0
    }

    #[rpc(server)]
    fn enter(&mut self, cx: &mut Context, room: Ref<Room>) {
        self.room = Some(room);
        cx.enter(room, Pose::at(0.0, 0.0));
    }
}

impl Avatar {
    fn take_damage(&mut self, _: &mut Context, damage: i32, _: Ref<Monster>) -> bool {
        self.hp = (self.hp - damage).max(0);
        self.hp == 0
    }
}

#[attr_type]
pub struct Side {
    pub who: Ref<Avatar>,
    pub offer: List<Item>,
    /// Agreed with which revision of the offers.
    pub agreed: Option<u32>,
}

#[entity(persistent)]
pub struct Trade {
    sides: List<Side>,
    revision: u32,
    ended: bool,
}

#[methods]
impl Trade {
    fn new(one: Ref<Avatar>, other: Ref<Avatar>) -> Self {
        let side = |who| Side { who, offer: List::new(), agreed: None };
        Self { sides: [side(one), side(other)].into_iter().collect(), revision: 0, ended: false }
    }

    fn on_create(&mut self, cx: &mut Context) {
        cx.after(mins(2), on!(Self::on_expired), ());
    }

    #[rpc(server)]
    fn offer(&mut self, cx: &mut Context, side: usize, count: usize) {
        if let Some(offering) = self.sides.get(side) {
            cx.call(offering.who.hold(cx.id(), count)).then(on!(Self::on_held), side);
        }
    }

    fn on_held(&mut self, cx: &mut Context, side: usize, held: Result<List<Item>, CallError>) {
        let Some(offering) = self.sides.get_mut(side) else { return };
        match held {
            Ok(items) if !self.ended => {
                offering.offer = items;
                self.revision += 1;
            }
            // Too late, or perhaps held without our hearing of it: give it back.
            Ok(_) | Err(CallError::Unknown(_)) => {
                cx.send(offering.who.refund(cx.id()));
            }
            Err(_) => {}
        }
    }

    #[rpc(server)]
    fn agree(&mut self, cx: &mut Context, side: usize, revision: u32) {
        if self.ended || revision != self.revision {
            return; // the other one changed the offer meanwhile
        }
        let Some(agreeing) = self.sides.get_mut(side) else { return };
        agreeing.agreed = Some(revision);
        if self.sides.iter().any(|side| side.agreed != Some(revision)) {
            return;
        }
        self.ended = true; // the decision: one event
        let sides: Vec<&Side> = self.sides.iter().collect();
        if let [one, other] = *sides {
            for (to, from) in [(one, other), (other, one)] {
                let settle = to.who.settle(cx.id(), from.offer.clone());
                cx.send(settle).or_bounce(on!(Self::on_bounce), (from.who, from.offer.clone()));
            }
        }
    }

    fn on_expired(&mut self, cx: &mut Context, _: (), _: Fired) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        for side in self.sides.iter() {
            cx.send(side.who.refund(cx.id()));
        }
    }

    /// The receiver was deleted: back to the giver.
    fn on_bounce(&mut self, cx: &mut Context, (giver, items): (Ref<Avatar>, List<Item>), _: CallError) {
        if !items.is_empty() {
            cx.send(giver.settle(cx.id(), items));
        }
    }
}

// 4. Matchmaking ----------------------------------------------------------------------------------

#[attr_type]
pub struct Ticket {
    pub who: Ref<Avatar>,
    pub since: Time,
    pub watch: WatchId,
}

#[service(shards = 2, tick = "2 Hz")]
pub struct Matchmaker {
    queue: Map<(i32, u64), Ticket>,
    of: Map<Ref<Avatar>, (i32, u64)>,
    forming: Map<u64, List<Ref<Avatar>>>,
    next: u64,
}

#[methods]
impl Matchmaker {
    #[rpc(server)]
    fn enqueue(&mut self, cx: &mut Context, who: Ref<Avatar>, rating: i32) {
        if self.of.contains_key(&who) {
            return;
        }
        self.next += 1;
        let (key, watch) = ((rating, self.next), cx.watch(who, on!(Self::on_gone), who));
        self.of.insert(who, key);
        self.queue.insert(key, Ticket { who, since: cx.now(), watch });
    }

    fn on_gone(&mut self, _: &mut Context, who: Ref<Avatar>, _: Gone) {
        if let Some(key) = self.of.remove(&who) {
            self.queue.remove(&key);
        }
    }

    #[tick]
    fn pair(&mut self, cx: &mut Tick) {
        while self.queue.len() >= 2 {
            let mut pair = List::new();
            for (_, ticket) in (0..2).filter_map(|_| self.queue.pop_first()) {
                cx.unwatch(ticket.watch);
                self.of.remove(&ticket.who);
                pair.push(ticket.who);
            }
            self.next += 1;
            let invitations = pair.iter().map(|who| who.invite(self.next));
            cx.gather(invitations).within(secs(10)).then(on!(Self::on_answers), self.next);
            self.forming.insert(self.next, pair);
        }
    }

    fn on_answers(&mut self, cx: &mut Context, game: u64, answers: Vec<Result<bool, CallError>>) {
        let Some(players) = self.forming.get(&game).cloned() else { return };
        if answers.iter().any(|answer| *answer != Ok(true)) {
            self.forming.remove(&game); // the willing queue again
            return;
        }
        cx.call(create::<Room>(players, Place::Label("battle".into())))
            .within(secs(10))
            .then(on!(Self::on_room), game);
    }

    fn on_room(&mut self, cx: &mut Context, game: u64, room: Result<Ref<Room>, CallError>) {
        let (Some(players), Ok(room)) = (self.forming.remove(&game), room) else { return };
        for player in players.iter() {
            cx.post(player.enter(room));
        }
    }
}

#[space]
pub struct Room {
    players: List<Ref<Avatar>>,
}

#[methods]
impl Room {
    fn new(players: List<Ref<Avatar>>) -> Self {
        Self { players }
    }
}

module! {
    name: "pieces",
    types: [Account, Monster, Avatar, Trade, Matchmaker, Room],
    capabilities: ["key-value"],
}

// Played ------------------------------------------------------------------------------------------

type World = mock::World<Module>;

#[test]
fn a_wrong_password_is_counted_and_a_right_one_gives_the_client_away() {
    let mut world = World::new();
    let avatar = world.create::<Avatar>(());
    world.store("login/ann", &Login { password: "sesame".into(), avatar });
    let account = world.connect::<Account>();
    let login = |world: &mut World, name: &str, password: &str| {
        world.client_call(account.login(name.into(), Secret::new(password.to_owned())))
    };
    let refused = |error: CallError| error.refused::<LoginError>();
    assert_eq!(refused(login(&mut world, "bob", "sesame").unwrap_err()), Some(LoginError::Unknown));
    assert_eq!(refused(login(&mut world, "ann", "salami").unwrap_err()), Some(LoginError::WrongPassword));
    assert_eq!(world.get(account).failed, 1);
    assert_eq!(login(&mut world, "ann", "sesame"), Ok(avatar));
    assert!(world.has_client(avatar) && !world.exists(account));
}

#[test]
fn a_monster_kills_whom_it_sees_and_goes_home() {
    let mut world = World::new();
    let room = world.create::<Room>(List::new());
    let avatar = world.create_in::<Avatar>(room, (), Pose::at(8.0, 0.0));
    world.attach(avatar);
    let monster = world.create_in::<Monster>(room, Vec3::default(), Pose::default());
    world.advance(secs(2));
    assert!(matches!(world.get(monster).mode, Mode::Chase { target, .. } if target == avatar));
    world.advance(secs(10));
    assert_eq!(world.get(avatar).hp, 0);
    assert!(world.get(monster).hp == 30);
}

fn give(world: &mut World, who: Ref<Avatar>, item: Item) {
    let given = world.act(who, |who, _| {
        who.bag.push(item);
        Ok::<_, Fail>(())
    });
    given.unwrap();
}

#[test]
fn a_trade_conserves_what_is_traded() {
    let mut world = World::new();
    let item = |name: &str| Item { name: name.into(), wear: 0 };
    let (ann, bob) = (world.create::<Avatar>(()), world.create::<Avatar>(()));
    for (who, name) in [(ann, "axe"), (bob, "bow")] {
        give(&mut world, who, item(name));
    }
    let trade = world.create::<Trade>((ann, bob));
    world.call(trade.offer(0, 1)).unwrap();
    world.call(trade.offer(1, 1)).unwrap();
    world.call(trade.agree(0, 1)).unwrap();
    assert!(!world.get(trade).ended, "that was an earlier offer");
    for side in [0, 1] {
        world.call(trade.agree(side, 2)).unwrap();
    }
    let names = |list: &List<Item>| list.iter().map(|item| item.name.clone()).collect::<Vec<_>>();
    assert_eq!(
        (names(&world.get(ann).post), names(&world.get(bob).post)),
        (vec!["bow".into()], vec!["axe".into()])
    );
    assert!(world.get(ann).held.is_empty() && world.get(ann).bag.is_empty());
    // Nobody agrees: all goes back.
    let late = world.create::<Trade>((ann, bob));
    give(&mut world, ann, item("pot"));
    world.call(late.offer(0, 1)).unwrap();
    assert!(world.get(ann).bag.is_empty());
    world.advance(mins(3));
    assert_eq!(names(&world.get(ann).bag), ["pot"]);
}

#[test]
fn a_matchmaker_pairs_those_who_wait_and_forgets_those_who_left() {
    let mut world = World::new();
    let maker = world.shard::<Matchmaker>(0);
    let all = [0, 1, 2].map(|_| world.create::<Avatar>(()));
    world.call(maker.enqueue(all[0], 10)).unwrap();
    world.advance(secs(2));
    assert_eq!(world.get(maker).queue.len(), 1);
    let left = world.act(all[0], |_, cx| {
        cx.destroy_me();
        Ok::<_, Fail>(())
    });
    left.unwrap();
    assert_eq!(world.get(maker).queue.len(), 0, "a ticket of nobody");
    for (who, rating) in [(all[1], 5), (all[2], 7)] {
        world.call(maker.enqueue(who, rating)).unwrap();
    }
    world.advance(secs(1));
    let room = world.get(all[1]).room.unwrap();
    assert_eq!(world.get(all[2]).room, Some(room));
    assert_eq!((world.space_of(all[1]), world.space_of(all[2])), (Some(room.id()), Some(room.id())));
    assert_eq!(world.get(room).players.len(), 2);
}
