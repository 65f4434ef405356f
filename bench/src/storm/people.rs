//! People of the chat: each comes into its room, says its words whether the last ones were answered or not, hears those of the
//! others, and comes again when its session or its avatar is lost.

use super::ledger::{Act, Heard, LifeId, Reach, WordId};
use super::stage::{AGAIN, DEADLINE_MS, Guest, News, Phase, Stage, begin, came, code_of, own};
use everwake_client::{Client, ClientEvent, Value};
use everwake_protocol::EntityId;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// From word to word.
pub const PAUSE: Duration = Duration::from_millis(1_000);
/// With every so manieth word it says what the room is about.
const TOPIC_EVERY: u64 = 5;
/// So many of them shout to everybody everywhere, with every word of such a number.
const SHOUTERS: usize = 10;
const SHOUT_EVERY: u64 = 7;
/// Shouts have numbers of their own.
const SHOUTS: u64 = 1 << 40;
/// How long the way into a room may take until it is tried again.
const WAY_IN: Duration = Duration::from_secs(3);

/// Somebody who is in its room.
struct Life {
    id: LifeId,
    avatar: EntityId,
    room: EntityId,
    session: Arc<Client>,
    words: u64,
}

/// Where a way in led: who somebody is now, and in which room.
type Entered = Option<(Arc<Client>, EntityId, EntityId)>;

struct Person {
    guest: Guest,
    room: String,
    life: Option<Life>,
    coming: Option<JoinHandle<Entered>>,
    checking: u32,
}

/// Plays until the task is dropped.
pub async fn play(stage: Arc<Stage>, who: usize, rooms: usize) {
    let room = format!("room-{}", who % rooms);
    let guest = Guest::connect(&stage, who, "chat").await;
    stage.note(|ledger, now| ledger.expect(now, Act::Word, who, PAUSE));
    let mut person = Person { guest, room, life: None, coming: None, checking: 0 };
    // Not all in the same moment.
    let offset = PAUSE.mul_f64(who as f64 % 97.0 / 97.0);
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + offset, PAUSE);
    let mut phases = stage.phases();
    loop {
        person.come();
        tokio::select! {
            news = person.guest.news() => person.hear(news),
            entered = came(&mut person.coming) => person.enter(entered),
            _ = ticks.tick() => person.speak().await,
            _ = phases.changed() => {}
        }
        person.check();
    }
}

impl Person {
    /// Sets out for its room, unless it is there or under way.
    fn come(&mut self) {
        if self.life.is_some() || self.coming.is_some() {
            return;
        }
        if let Some(session) = self.guest.session().filter(|session| !session.has_ended()) {
            let (stage, who, room) = (self.guest.stage.clone(), self.guest.who, self.room.clone());
            self.coming = Some(tokio::spawn(come_in(stage, session, who, room)));
        }
    }

    fn enter(&mut self, entered: Entered) {
        let Some((session, avatar, room)) = entered else { return };
        // It may have been lost again.
        if session.has_ended() || session.own() != Some(avatar) {
            return;
        }
        let id = self.guest.stage.note(|ledger, now| {
            let life = ledger.next_life();
            ledger.enter(now, life, room);
            life
        });
        self.life = Some(Life { id, avatar, room, session, words: 0 });
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Back => {}
            News::Lost => self.lose(false),
            News::Event(ClientEvent::Created { entity, own: true }) => {
                if self.life.as_ref().is_some_and(|life| life.avatar != entity) {
                    self.lose(true);
                }
            }
            News::Event(ClientEvent::Called { entity, method, args }) if method == "said" => {
                let Some(life) = &self.life else { return };
                match read_word(&args) {
                    Some((seq, word, mark)) => {
                        let heard = Heard { room: entity, seq, word, mark };
                        self.guest.stage.note(|ledger, now| ledger.hear(now, life.id, heard));
                    }
                    None => self.guest.stage.note(|ledger, _| ledger.stumble("a strange word".to_owned())),
                }
            }
            News::Event(ClientEvent::Called { method, args, .. }) if method == "notice" => {
                if let (Some(life), Some(word)) = (&self.life, read_shout(&args)) {
                    self.guest.stage.note(|ledger, now| ledger.hear_shout(now, life.id, word));
                }
            }
            News::Event(_) => {}
        }
    }

    fn lose(&mut self, reborn: bool) {
        let Some(life) = self.life.take() else { return };
        self.guest.stage.note(|ledger, now| {
            ledger.leave(now, life.id);
            ledger.window.reborn += usize::from(reborn);
        });
    }

    /// The next word, if it is time for words.
    async fn speak(&mut self) {
        let (stage, who) = (self.guest.stage.clone(), self.guest.who);
        let Some(life) = self.life.as_mut().filter(|_| stage.phase() == Phase::Play) else { return };
        life.words += 1;
        let number = life.words;
        ask(&stage, who, life, "say", (life.id, number), Reach::Room(life.room)).await;
        if number % SHOUT_EVERY == 0 && who < SHOUTERS {
            ask(&stage, who, life, "shout", (life.id, SHOUTS + number), Reach::Everybody).await;
        }
        if number % TOPIC_EVERY == 0 {
            stage.note(|ledger, _| ledger.begin_request());
            let topic = call(life, "topic", format!("what {} says", life.id));
            begin(async move {
                let answer = topic.await;
                let failed = answer.as_ref().err().map(code_of);
                stage.note(|ledger, _| ledger.end_request(failed));
            })
            .await;
        }
    }

    /// Compares its mirror, once in each check.
    fn check(&mut self) {
        let (Phase::Check(number), Some(life)) = (self.guest.stage.phase(), &self.life) else { return };
        if self.checking != number {
            self.checking = number;
            let (stage, who) = (self.guest.stage.clone(), self.guest.who);
            tokio::spawn(compare(stage, who, number, life.session.clone(), (life.avatar, life.room)));
        }
    }
}

/// Has a word said, whenever it is answered.
async fn ask(stage: &Arc<Stage>, who: usize, life: &Life, method: &'static str, word: WordId, reach: Reach) {
    stage.note(|ledger, now| ledger.ask(now, who, word));
    let say = call(life, method, format!("{} {}", word.0, word.1));
    let stage = stage.clone();
    begin(async move {
        match say.await {
            Ok(_) => stage.note(|ledger, now| ledger.said(now, word, reach)),
            Err(error) => {
                let (code, may_have) = code_of(&error);
                stage.note(|ledger, _| ledger.failed(word, code, may_have));
            }
        }
    })
    .await;
}

/// A call with one text, which waits long.
fn call(
    life: &Life,
    method: &'static str,
    text: String,
) -> impl Future<Output = Result<bytes::Bytes, everwake_client::CallError>> + Send + use<> {
    let (session, avatar) = (life.session.clone(), life.avatar);
    let mut args = Vec::new();
    Value::List(vec![Value::Text(text)]).encode(&mut args);
    async move { session.call_encoded(avatar, method, args.into(), DEADLINE_MS).await }
}

/// The word of a notice that is a shout.
fn read_shout(args: &[u8]) -> Option<WordId> {
    let values = Value::decode_list(args).ok()?;
    let Some(Value::Text(text)) = values.first() else { return None };
    let (_, shouted) = text.split_once(" shouts: ")?;
    let mut parts = shouted.split(' ');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Number in the room, word, and version; none if it is no word of a person.
fn read_word(args: &[u8]) -> Option<(u64, WordId, u64)> {
    let values = Value::decode_list(args).ok()?;
    let (Some(Value::Text(text)), Some(Value::Int(seq))) = (values.get(2), values.get(3)) else {
        return None;
    };
    let mut parts = text.split(' ');
    let word = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let mark = parts.next().and_then(|mark| mark.strip_prefix("[v")?.strip_suffix(']')?.parse().ok());
    Some((u64::try_from(*seq).ok()?, word, mark.unwrap_or(1)))
}

/// From an account to an avatar in its room, however often it takes; none when the session has ended.
async fn come_in(stage: Arc<Stage>, session: Arc<Client>, who: usize, room: String) -> Entered {
    let mut tries = 0_u32;
    while !session.has_ended() {
        if let Some(entered) = arrived(&session, &room) {
            return Some(entered);
        }
        tries += 1;
        let stumbled = match own(&session) {
            Some((account, kind)) if kind == "Account" => {
                // A name that was given to a former life may be free a while later only.
                let name = format!("{who}-{}-{tries}", stage.now().as_millis());
                let told = session.call(account, "login", &[Value::Text(name)]).await;
                let avatar = |core: &everwake_client::ClientCore| {
                    core.own().is_some_and(|own| own.type_name == "Avatar")
                };
                match told {
                    Ok(_) => !session.wait(WAY_IN, avatar).await.unwrap_or(true),
                    Err(error) => tell(&stage, "login", &error),
                }
            }
            Some((avatar, _)) => match session.call(avatar, "join", &[Value::Text(room.clone())]).await {
                Ok(_) => {
                    let there = |core: &everwake_client::ClientCore| {
                        core.attribute(avatar, "room") == Some(Value::Text(room.clone()))
                    };
                    let there = session.wait(WAY_IN, there).await.unwrap_or(true);
                    if !there {
                        stage.note(|ledger, _| ledger.stumble("join: not there in time".to_owned()));
                    }
                    !there
                }
                Err(error) => tell(&stage, "join", &error),
            },
            None => !session.wait(WAY_IN, |core| core.own().is_some()).await.unwrap_or(true),
        };
        if stumbled {
            tokio::time::sleep(AGAIN).await;
        }
    }
    None
}

fn tell(stage: &Stage, what: &str, error: &everwake_client::CallError) -> bool {
    stage.note(|ledger, _| ledger.stumble(format!("{what}: {error}")));
    true
}

/// Who it is, if it is in its room.
fn arrived(session: &Arc<Client>, room: &str) -> Entered {
    session.read(|core| {
        let own = core.own()?;
        let space = core.entities().find(|entity| entity.type_name == "Room")?;
        let there = core.attribute(own.id, "room") == Some(Value::Text(room.to_owned()));
        there.then(|| (session.clone(), own.id, space.id))
    })
}

/// What the server says of it and of its room, beside what its mirror shows.
async fn compare(
    stage: Arc<Stage>,
    who: usize,
    number: u32,
    session: Arc<Client>,
    (avatar, room): (EntityId, EntityId),
) {
    while stage.phase() == Phase::Check(number) && !session.has_ended() {
        let looked = session.call(avatar, "look", &[]).await;
        if let Ok(Value::List(sight)) = looked {
            let mut pairs = Vec::new();
            for ((entity, name), server) in
                [(avatar, "name"), (avatar, "room"), (room, "topic")].into_iter().zip(sight)
            {
                pairs.push((name, server, session.attribute(entity, name)));
            }
            stage.compare(who, &pairs);
            stage.checked(who, number);
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shouts_are_read_and_other_notices_are_not() {
        let args = |text: &str| {
            let mut out = Vec::new();
            Value::List(vec![Value::Text(text.into())]).encode(&mut out);
            out
        };
        assert_eq!(read_shout(&args("3-9-1 shouts: 12 7 [v10000042]")), Some((12, 7)));
        assert_eq!(read_shout(&args("no way into the room: gone")), None);
    }

    #[test]
    fn words_are_read_with_and_without_a_version() {
        let args = |text: &str| {
            let mut out = Vec::new();
            let texts = ["room-1", "12-34-1", text].map(|text| Value::Text(text.into()));
            Value::List(texts.into_iter().chain([Value::Int(9)]).collect()).encode(&mut out);
            out
        };
        assert_eq!(read_word(&args("12 7")), Some((9, (12, 7), 1)));
        assert_eq!(read_word(&args("12 7 [v10000042]")), Some((9, (12, 7), 10_000_042)));
        assert_eq!(read_word(&args("hello")), None);
        assert_eq!(read_word(&[0x80]), None);
    }
}
