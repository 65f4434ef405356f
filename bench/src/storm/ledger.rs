//! What everybody said, heard and was answered, and what of it must not be. Pure: what happened and when goes in, counts
//! come out. It does not know where anybody is connected.
//!
//! A *life* is a person from coming into a room to losing its session or its entity; its words are numbered from 1. Who is
//! in a room from before a word was asked for until all have heard it has to hear it, once, in its speaker's order. A *shout* is
//! for everybody everywhere, once, in no order.

use everwake_protocol::EntityId;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::time::Duration;

/// Texts about what was wrong that are kept; more are counted.
const TEXTS_MAX: usize = 20;

/// One life of somebody.
pub type LifeId = u32;
/// A word: who said it, and its number.
pub type WordId = (LifeId, u64);

/// What must not happen, ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wrong {
    /// A word was heard twice, or a request ran twice.
    Doubled,
    /// Words of one speaker, or of one room, came in another order.
    Disordered,
    /// Somebody who was there all the time did not hear a word, or a request that was answered did not run.
    Missed,
    /// A word was heard though its speaker was told that it surely was not said.
    Denied,
    /// A mirror differs from what the server says, or contradicts itself.
    Mirror,
    /// An older version after a newer one.
    VersionBack,
}

impl Wrong {
    pub const ALL: [Wrong; 6] =
        [Wrong::Doubled, Wrong::Disordered, Wrong::Missed, Wrong::Denied, Wrong::Mirror, Wrong::VersionBack];
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wrong::Doubled => "doubled",
            Wrong::Disordered => "out of order",
            Wrong::Missed => "not heard by who was there",
            Wrong::Denied => "said, and told not to be",
            Wrong::Mirror => "wrong in mirrors",
            Wrong::VersionBack => "versions that went back",
        })
    }
}

/// Something that everybody does again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// A word, heard by all in the room.
    Word,
    /// A wave, answered.
    Wave,
    /// A walk into another yard.
    Walk,
}

/// What came of the time since [`Ledger::begin`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Sessions that ended.
    pub cut: usize,
    /// Lives that ended while their session went on: the entity was lost.
    pub reborn: usize,
    /// Words and waves that were asked for.
    pub asked: usize,
    /// Of these, answered with an error, by its code: it may have been done, or surely was not.
    pub errors: BTreeMap<String, usize>,
    /// Of these, those that may have been done.
    pub unknown: usize,
    /// What failed while somebody came in, by what it was.
    pub stumbles: BTreeMap<String, usize>,
    /// Walks that arrived.
    pub walks: usize,
    /// The longest time that a word or a wave of somebody came later than the pause between two of them.
    pub silence: Duration,
    /// Whose that was.
    pub silent: Option<(Act, usize)>,
}

impl Window {
    /// Requests with an error.
    pub fn failed(&self) -> usize {
        self.errors.values().sum()
    }
}

/// When somebody last did something.
#[derive(Clone, Copy, Debug)]
struct Beat {
    /// From one to the next, by who does it.
    pause: Duration,
    asked: Duration,
    done: Duration,
}

/// Somebody who is in a room.
#[derive(Debug)]
struct Life {
    room: EntityId,
    since: Duration,
    /// Number of the last word of the room.
    seq: Option<u64>,
    /// Last number of each speaker.
    last: HashMap<LifeId, u64>,
    heard: HashSet<WordId>,
    mark: u64,
}

#[derive(Debug)]
struct Word {
    who: usize,
    asked: Duration,
    /// Once it is: where it was said.
    answered: Option<Reach>,
    heard: HashSet<LifeId>,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Ledger {
    lives: BTreeMap<LifeId, Life>,
    last_life: LifeId,
    words: HashMap<WordId, Word>,
    /// Words of which their speakers know that they were not said.
    denied: HashSet<WordId>,
    /// Requests without an answer that are no words.
    open: usize,
    beats: BTreeMap<(Act, usize), Beat>,
    wrongs: BTreeMap<Wrong, usize>,
    /// The first wrongs, for people.
    pub texts: Vec<String>,
    /// What came of the time since it began.
    pub window: Window,
    /// Highest mark of a version that anybody heard.
    pub mark: u64,
    /// Times that a word was heard.
    pub words_heard: usize,
    /// Times that a shout was.
    pub shouts_heard: usize,
}

/// Whom a word is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Room(EntityId),
    Everybody,
}

impl Reach {
    fn reaches(self, room: EntityId) -> bool {
        self == Reach::Everybody || self == Reach::Room(room)
    }
}

/// What one ear hears.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    pub room: EntityId,
    /// Of the room.
    pub seq: u64,
    pub word: WordId,
    /// Of the version that said it.
    pub mark: u64,
}

impl Ledger {
    /// Forgets the last window.
    pub fn begin(&mut self, now: Duration) {
        self.window = Window::default();
        // What was silent before counts from here.
        for beat in self.beats.values_mut() {
            beat.done = now;
        }
    }

    /// A name for a life that is not in a room yet.
    pub fn next_life(&mut self) -> LifeId {
        self.last_life += 1;
        self.last_life
    }

    /// Somebody is in a room.
    pub fn enter(&mut self, now: Duration, life: LifeId, room: EntityId) {
        let (last, heard) = (HashMap::new(), HashSet::new());
        self.lives.insert(life, Life { room, since: now, seq: None, last, heard, mark: 0 });
    }

    /// A life is over; `cut` with its session.
    pub fn leave(&mut self, now: Duration, life: LifeId) {
        if self.lives.remove(&life).is_none() {
            return;
        }
        let waiting: Vec<WordId> =
            self.words.iter().filter(|(_, word)| word.answered.is_some()).map(|(id, _)| *id).collect();
        for word in waiting {
            self.settle(now, word);
        }
    }

    /// Somebody asks for a word to be said.
    pub fn ask(&mut self, now: Duration, who: usize, word: WordId) {
        self.window.asked += 1;
        self.words.insert(word, Word { who, asked: now, answered: None, heard: HashSet::new() });
    }

    /// It was said.
    pub fn said(&mut self, now: Duration, id: WordId, reach: Reach) {
        if let Some(word) = self.words.get_mut(&id) {
            word.answered = Some(reach);
            self.settle(now, id);
        }
    }

    /// It failed, and may have been said or surely was not.
    pub fn failed(&mut self, id: WordId, code: &str, may_have: bool) {
        self.error(code, may_have);
        let heard = self.words.remove(&id).is_some_and(|word| !word.heard.is_empty());
        if may_have {
            return;
        }
        if heard {
            self.wrong(Wrong::Denied, || format!("word {id:?} was heard, and answered `{code}`"));
        }
        self.denied.insert(id);
    }

    /// An ear hears a word.
    pub fn hear(&mut self, now: Duration, ear: LifeId, heard: Heard) {
        let Heard { room, seq, word: id, mark } = heard;
        let Some(life) = self.lives.get_mut(&ear) else { return };
        if life.room != room {
            return;
        }
        self.words_heard += 1;
        let (mut wrongs, before) = (Vec::new(), life.seq);
        if life.heard.insert(id) {
            let last = life.last.entry(id.0).or_default();
            if before.is_some_and(|before| seq <= before) || id.1 <= *last {
                wrongs.push((Wrong::Disordered, 1));
            }
            if let Some(before) = before
                && seq > before + 1
            {
                wrongs.push((Wrong::Missed, seq - before - 1));
            }
            *last = id.1.max(*last);
            life.seq = Some(before.map_or(seq, |before| before.max(seq)));
        } else {
            wrongs.push((Wrong::Doubled, 1));
        }
        if mark < life.mark {
            wrongs.push((Wrong::VersionBack, 1));
        }
        life.mark = life.mark.max(mark);
        self.mark = self.mark.max(mark);
        if self.denied.contains(&id) {
            wrongs.push((Wrong::Denied, 1));
        }
        for (wrong, times) in wrongs {
            let text = || {
                format!("{ear} hears {id:?} as {seq} of `{room}` after {before:?}, version {mark}: {wrong}")
            };
            for _ in 0..times {
                self.wrong(wrong, text);
            }
        }
        self.heard(now, ear, id);
    }

    /// An ear hears a shout.
    pub fn hear_shout(&mut self, now: Duration, ear: LifeId, id: WordId) {
        let Some(life) = self.lives.get_mut(&ear) else { return };
        self.shouts_heard += 1;
        if !life.heard.insert(id) {
            self.wrong(Wrong::Doubled, || format!("{ear} hears the shout {id:?} again"));
        }
        if self.denied.contains(&id) {
            self.wrong(Wrong::Denied, || format!("{ear} hears the shout {id:?}"));
        }
        self.heard(now, ear, id);
    }

    fn heard(&mut self, now: Duration, ear: LifeId, id: WordId) {
        if let Some(word) = self.words.get_mut(&id) {
            word.heard.insert(ear);
            self.settle(now, id);
        }
    }

    /// A word that all have heard who are to hear it is over.
    fn settle(&mut self, now: Duration, id: WordId) {
        let Some(word) = self.words.get(&id) else { return };
        let Some(reach) = word.answered else { return };
        if self.deaf(word, reach).next().is_some() {
            return;
        }
        let (who, asked) = (word.who, word.asked);
        self.words.remove(&id);
        self.done(now, Act::Word, who, asked);
    }

    /// Who ought to have heard a word and has not.
    fn deaf<'a>(&'a self, word: &'a Word, reach: Reach) -> impl Iterator<Item = LifeId> + 'a {
        let there =
            self.lives.iter().filter(move |(_, life)| reach.reaches(life.room) && life.since < word.asked);
        there.filter(|(ear, _)| !word.heard.contains(ear)).map(|(ear, _)| *ear)
    }

    /// Words without an answer, and those that somebody has not heard.
    pub fn waiting(&self) -> (usize, usize) {
        let unanswered = self.words.values().filter(|word| word.answered.is_none()).count();
        (unanswered + self.open, self.words.len() - unanswered)
    }

    /// Nobody will hear any more what was not heard: that is wrong, and over.
    pub fn give_up(&mut self) {
        let over: Vec<(WordId, Word)> = self.words.extract_if(|_, word| word.answered.is_some()).collect();
        for (id, word) in over {
            let deaf: Vec<LifeId> =
                word.answered.map(|reach| self.deaf(&word, reach).collect()).unwrap_or_default();
            for ear in deaf {
                self.wrong(Wrong::Missed, || format!("{ear} never hears {id:?}"));
            }
        }
    }

    /// Somebody asks for something that is no word.
    pub fn begin_request(&mut self) {
        self.window.asked += 1;
        self.open += 1;
    }

    /// It ended; with a code if it failed, and whether it may have run all the same.
    pub fn end_request(&mut self, failed: Option<(&str, bool)>) {
        self.open = self.open.saturating_sub(1);
        if let Some((code, may_have)) = failed {
            self.error(code, may_have);
        }
    }

    fn error(&mut self, code: &str, may_have: bool) {
        *self.window.errors.entry(code.to_owned()).or_default() += 1;
        self.window.unknown += usize::from(may_have);
    }

    /// Something did not work while somebody came in; it is tried again.
    pub fn stumble(&mut self, what: String) {
        *self.window.stumbles.entry(what).or_default() += 1;
    }

    /// Somebody is expected to do something again and again, from now on.
    pub fn expect(&mut self, now: Duration, act: Act, who: usize, pause: Duration) {
        self.beats.insert((act, who), Beat { pause, asked: now, done: now });
    }

    /// Somebody has done something that was asked for at a time.
    pub fn done(&mut self, now: Duration, act: Act, who: usize, asked: Duration) {
        let Some(beat) = self.beats.get_mut(&(act, who)) else { return };
        let silence = now.saturating_sub(beat.done + beat.pause);
        beat.asked = beat.asked.max(asked);
        beat.done = now;
        // Walks take their time.
        if act != Act::Walk && silence > self.window.silence {
            (self.window.silence, self.window.silent) = (silence, Some((act, who)));
        }
        self.window.walks += usize::from(act == Act::Walk);
    }

    /// How many acts are expected.
    pub fn expected(&self) -> usize {
        self.beats.len()
    }

    /// Who has not done something that was asked for within its time.
    pub fn late(&self, now: Duration, patience: impl Fn(Act) -> Duration) -> Vec<(Act, usize)> {
        let late = |(act, _): &(Act, usize), beat: &Beat| beat.asked + patience(*act) < now;
        self.beats.iter().filter(|(key, beat)| late(key, beat)).map(|(key, _)| *key).collect()
    }

    /// Counts what must not be.
    pub fn wrong(&mut self, wrong: Wrong, text: impl Fn() -> String) {
        *self.wrongs.entry(wrong).or_default() += 1;
        if self.texts.len() < TEXTS_MAX {
            self.texts.push(text());
        }
    }

    /// How often that was.
    pub fn count(&self, wrong: Wrong) -> usize {
        self.wrongs.get(&wrong).copied().unwrap_or(0)
    }

    /// All together.
    pub fn wrongs(&self) -> usize {
        self.wrongs.values().sum()
    }
}

/// Answers of a request that counts how often it ran, of one life: each must have run once.
#[derive(Debug, Default)]
pub struct Counted {
    /// The last answer.
    last: u64,
    /// Requests since then of which nobody knows whether they ran.
    unknown: u64,
}

impl Counted {
    /// One that surely did not run changes nothing; of this one nobody knows.
    pub fn unknown(&mut self) {
        self.unknown += 1;
    }

    /// The answer of the next one.
    pub fn answered(&mut self, count: u64) -> Option<Wrong> {
        let (least, most) = (self.last + 1, self.last + 1 + self.unknown);
        (self.last, self.unknown) = (count.max(self.last), 0);
        match count {
            _ if count < least => Some(Wrong::Missed),
            _ if count > most => Some(Wrong::Doubled),
            _ => None,
        }
    }
}
