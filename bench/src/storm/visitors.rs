//! Visitors of the yards: each walks to and fro between the yard of the one game and that of the other, and waves
//! all the while.

use super::ledger::{Act, Counted};
use super::stage::{AGAIN, DEADLINE_MS, Guest, News, Phase, Stage, came, code_of, own};
use everwake_client::{Client, ClientEvent, Value};
use everwake_protocol::EntityId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The labels of the games.
const YARDS: [&str; 2] = ["g-1", "g-2"];
/// From an arrival to the next walk.
const STAY: Duration = Duration::from_millis(1_000);
/// From wave to wave.
const PAUSE: Duration = Duration::from_millis(200);
/// A walk that takes longer is tried again.
const WALK_MAX: Duration = Duration::from_secs(25);

struct Life {
    visitor: EntityId,
    session: Arc<Client>,
    /// The walk that is under way: when it began.
    walking: Option<Duration>,
    /// When the next one may begin.
    next_walk: Duration,
    goal: usize,
    /// Dropped with it.
    _alive: watch::Sender<()>,
}

type Entered = Option<(Arc<Client>, EntityId)>;

struct Visitor {
    guest: Guest,
    life: Option<Life>,
    coming: Option<JoinHandle<Entered>>,
    checking: u32,
}

/// Plays until the task is dropped.
pub async fn play(stage: Arc<Stage>, who: usize) {
    let guest = Guest::connect(&stage, who, "yard").await;
    stage.note(|ledger, now| {
        ledger.expect(now, Act::Wave, who, PAUSE);
        ledger.expect(now, Act::Walk, who, STAY);
    });
    let mut visitor = Visitor { guest, life: None, coming: None, checking: 0 };
    let mut ticks = tokio::time::interval(PAUSE);
    let mut phases = stage.phases();
    loop {
        visitor.come();
        tokio::select! {
            news = visitor.guest.news() => visitor.hear(news),
            entered = came(&mut visitor.coming) => visitor.enter(entered),
            _ = ticks.tick() => visitor.walk(),
            _ = phases.changed() => {}
        }
        visitor.check();
    }
}

impl Visitor {
    fn come(&mut self) {
        if self.life.is_some() || self.coming.is_some() {
            return;
        }
        if let Some(session) = self.guest.session().filter(|session| !session.has_ended()) {
            self.coming = Some(tokio::spawn(come_in(self.guest.stage.clone(), session, self.guest.who)));
        }
    }

    fn enter(&mut self, entered: Entered) {
        let Some((session, visitor)) = entered else { return };
        if session.has_ended() || session.own() != Some(visitor) {
            return;
        }
        let (stage, who) = (self.guest.stage.clone(), self.guest.who);
        let (alive, lives) = watch::channel(());
        tokio::spawn(wave(stage.clone(), who, session.clone(), visitor, lives));
        let (next_walk, goal) = (stage.now(), who % YARDS.len());
        self.life = Some(Life { visitor, session, walking: None, next_walk, goal, _alive: alive });
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Back => {}
            News::Lost => self.lose(false),
            News::Event(ClientEvent::Created { entity, own: true }) => {
                if self.life.as_ref().is_some_and(|life| life.visitor != entity) {
                    self.lose(true);
                }
            }
            News::Event(ClientEvent::Called { method, args, .. }) if method == "arrived" => {
                let yard = first_text(&args);
                self.end_walk(|goal| yard.as_deref() == Some(goal), None);
            }
            News::Event(ClientEvent::Called { method, args, .. }) if method == "stays" => {
                let why = first_text(&args).unwrap_or_default();
                self.end_walk(|_| true, Some(format!("stays: {why}")));
            }
            News::Event(_) => {}
        }
    }

    /// Begins to walk, if it is time for that.
    fn walk(&mut self) {
        let (stage, now) = (self.guest.stage.clone(), self.guest.stage.now());
        let Some(life) = &mut self.life else { return };
        if let Some(began) = life.walking {
            if now > began + WALK_MAX {
                self.end_walk(|_| true, Some("a walk that does not end".to_owned()));
            }
            return;
        }
        let Some(goal) = YARDS.get(life.goal).filter(|_| now >= life.next_walk) else { return };
        if stage.phase() != Phase::Play {
            return;
        }
        life.walking = Some(now);
        stage.note(|ledger, _| ledger.begin_request());
        if let Err(error) = life.session.post(life.visitor, "walk", &[Value::Text((*goal).to_owned())]) {
            self.end_walk(|_| true, Some(format!("walk: {error}")));
        }
    }

    fn end_walk(&mut self, is_goal: impl Fn(&str) -> bool, failed: Option<String>) {
        let (stage, who) = (self.guest.stage.clone(), self.guest.who);
        let Some(life) = &mut self.life else { return };
        let Some(goal) = YARDS.get(life.goal).filter(|goal| is_goal(goal)) else { return };
        let Some(began) = life.walking.take() else { return };
        stage.note(|ledger, now| match &failed {
            Some(code) => ledger.end_request(Some((&format!("{code} ({goal})"), true))),
            None => {
                ledger.end_request(None);
                ledger.done(now, Act::Walk, who, began);
            }
        });
        life.next_walk = stage.now() + STAY;
        if failed.is_none() {
            life.goal = (life.goal + 1) % YARDS.len();
        }
    }

    fn lose(&mut self, reborn: bool) {
        self.end_walk(|_| true, Some("lost on its way".to_owned()));
        if self.life.take().is_some() {
            self.guest.stage.note(|ledger, _| ledger.window.reborn += usize::from(reborn));
        }
    }

    fn check(&mut self) {
        let (Phase::Check(number), Some(life)) = (self.guest.stage.phase(), &self.life) else { return };
        if self.checking != number {
            self.checking = number;
            let stage = self.guest.stage.clone();
            tokio::spawn(compare(stage, self.guest.who, number, life.session.clone(), life.visitor));
        }
    }
}

fn first_text(args: &[u8]) -> Option<String> {
    match Value::decode_list(args).ok()?.into_iter().next() {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

/// From a spectator to a visitor, however often it takes; none when the session has ended.
async fn come_in(stage: Arc<Stage>, session: Arc<Client>, who: usize) -> Entered {
    while !session.has_ended() {
        match own(&session) {
            Some((visitor, kind)) if kind == "Visitor" => return Some((session, visitor)),
            Some((spectator, _)) => {
                let name = Value::Text(format!("visitor {who}"));
                let Err(error) = session.call(spectator, "play", &[name]).await else {
                    let _ = session
                        .wait(AGAIN, |core| core.own().is_some_and(|own| own.type_name == "Visitor"))
                        .await;
                    continue;
                };
                stage.note(|ledger, _| ledger.stumble(format!("play: {error}")));
                tokio::time::sleep(AGAIN).await;
            }
            None => {
                let _ = session.wait(AGAIN, |core| core.own().is_some()).await;
            }
        }
    }
    None
}

/// Waves, one wave after the other: each answer counts how often it has waved.
async fn wave(
    stage: Arc<Stage>,
    who: usize,
    session: Arc<Client>,
    visitor: EntityId,
    alive: watch::Receiver<()>,
) {
    let mut counted = Counted::default();
    let mut ticks = tokio::time::interval(PAUSE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let no_args = bytes::Bytes::from_static(&[0x80]);
    while alive.has_changed().is_ok() {
        ticks.tick().await;
        if stage.phase() != Phase::Play {
            continue;
        }
        let asked = stage.now();
        stage.note(|ledger, _| ledger.begin_request());
        let answer = session.call_encoded(visitor, "wave", no_args.clone(), DEADLINE_MS).await;
        match answer.as_deref().map(Value::decode) {
            Ok(Ok(Value::Int(count))) => stage.note(|ledger, now| {
                ledger.end_request(None);
                ledger.done(now, Act::Wave, who, asked);
                if let Some(wrong) = counted.answered(u64::try_from(count).unwrap_or(0)) {
                    ledger.wrong(wrong, || format!("{who} has waved {count} times: {counted:?}"));
                }
            }),
            Ok(other) => stage.note(|ledger, _| {
                ledger.end_request(Some(("unreadable", true)));
                ledger.stumble(format!("wave: {other:?}"));
            }),
            Err(error) => {
                let (code, may_have) = code_of(error);
                stage.note(|ledger, _| ledger.end_request(Some((code, may_have))));
                if may_have {
                    counted.unknown();
                }
            }
        }
    }
}

/// What the server says of it, beside what its mirror shows.
async fn compare(stage: Arc<Stage>, who: usize, number: u32, session: Arc<Client>, visitor: EntityId) {
    while stage.phase() == Phase::Check(number) && !session.has_ended() {
        if let Ok(Value::List(passport)) = session.call(visitor, "passport", &[]).await {
            let names = ["yard", "walks", "waves"];
            let pairs: Vec<_> = names
                .into_iter()
                .zip(passport)
                .map(|(name, server)| (name, server, session.attribute(visitor, name)))
                .collect();
            stage.compare(who, &pairs);
            stage.checked(who, number);
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}
