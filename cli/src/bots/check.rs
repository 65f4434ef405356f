//! What one bot checks of what it is told. Pure: messages in, violations out. Tolerates nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

/// Most violations that one bot keeps; more are counted.
const KEPT_MAX: usize = 20;

/// Something that must not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    Lost { from: u64, to: u64 },
    Doubled { seq: u64 },
    Reordered { seq: u64, after: u64 },
    SenderOrder { who: String, number: u64, after: u64 },
    OtherRoom { room: String },
    Early { seq: u64 },
    WrongDelta { attribute: String, value: String },
    NotMine { seq: u64 },
    AnswerDiffers { number: u64, answered: u64, told: u64 },
    VersionWentBack { from: u64, to: u64 },
    GenerationWentBack { from: u32, to: u32 },
    Missing { who: String, told: u64, said: u64 },
    Unreadable { text: String },
    Disconnected { why: String },
    CallFailed { method: &'static str, why: String },
    TooFewVersions { seen: usize, published: usize },
}

impl Violation {
    /// Which count of the summary it belongs to.
    pub fn name(&self) -> &'static str {
        match self {
            Violation::Lost { .. } | Violation::Missing { .. } => "lost",
            Violation::Doubled { .. } => "doubled",
            Violation::Reordered { .. } | Violation::SenderOrder { .. } => "reordered",
            Violation::OtherRoom { .. } | Violation::NotMine { .. } | Violation::Unreadable { .. } => {
                "strange"
            }
            Violation::AnswerDiffers { .. } => "answers",
            Violation::Early { .. } => "early",
            Violation::WrongDelta { .. } => "deltas",
            Violation::VersionWentBack { .. } | Violation::GenerationWentBack { .. } => "versions back",
            Violation::TooFewVersions { .. } => "versions missed",
            Violation::Disconnected { .. } => "disconnected",
            Violation::CallFailed { .. } => "calls failed",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Lost { from, to } => write!(f, "the messages {from} to {to} of the room never came"),
            Violation::Doubled { seq } => write!(f, "message {seq} of the room came twice"),
            Violation::Reordered { seq, after } => write!(f, "message {seq} of the room came after {after}"),
            Violation::SenderOrder { who, number, after } => write!(f, "`{who}` said {number} after {after}"),
            Violation::OtherRoom { room } => write!(f, "a message of the room `{room}` came"),
            Violation::Early { seq } => {
                write!(f, "message {seq} of the room came before I was told to be there")
            }
            Violation::WrongDelta { attribute, value } => write!(f, "my `{attribute}` became `{value}`"),
            Violation::NotMine { seq } => write!(f, "message {seq} is said to be mine, and is not"),
            Violation::AnswerDiffers { number, answered, told } => {
                write!(f, "my message {number} was answered as {answered} and told as {told}")
            }
            Violation::VersionWentBack { from, to } => write!(f, "version {to} answered after {from}"),
            Violation::GenerationWentBack { from, to } => {
                write!(f, "generation {to} was announced after {from}")
            }
            Violation::Missing { who, told, said } => write!(f, "`{who}` said {said} messages, {told} came"),
            Violation::Unreadable { text } => write!(f, "`{text}` is no message of a bot"),
            Violation::Disconnected { why } => write!(f, "disconnected: {why}"),
            Violation::CallFailed { method, why } => write!(f, "`{method}` failed: {why}"),
            Violation::TooFewVersions { seen, published } => write!(f, "saw {seen} of {published} versions"),
        }
    }
}

/// What was said in a room: by each name so many messages, at least and at most. One may be unknown to its author.
pub type SaidInRoom = BTreeMap<String, RangeInclusive<u64>>;

/// Everything that one bot knows and holds against the server.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    me: String,
    room: String,
    /// Others talked before I came.
    late: bool,
    /// The room has told that I came.
    here: bool,
    /// My mirror has the room's name.
    placed: bool,
    /// Seq of the last message of the room; none before the first.
    seq: Option<u64>,
    /// Last number of each sender.
    senders: BTreeMap<String, u64>,
    /// Seq under which each of my numbers was told.
    mine_told: BTreeMap<u64, u64>,
    /// Seq under which each of my numbers was answered.
    mine_answered: BTreeMap<u64, u64>,
    version: u64,
    versions: BTreeSet<u64>,
    generation: u32,
    /// Messages told.
    pub told: u64,
    /// The first violations.
    pub violations: Vec<Violation>,
    /// All of them, by name.
    pub counts: BTreeMap<&'static str, u64>,
}

impl Checker {
    /// Of a bot in a room.
    pub fn new(me: &str, room: &str) -> Self {
        Checker { me: me.to_owned(), room: room.to_owned(), ..Checker::default() }
    }

    /// Of the same bot under another name, after its connection was lost. It hears from where the room is; versions
    /// still go up only.
    pub fn again(&self, me: &str) -> Self {
        let (version, versions, generation) = (self.version, self.versions.clone(), self.generation);
        Checker { late: true, version, versions, generation, ..Checker::new(me, &self.room) }
    }

    /// An attribute of my own mirror came, or became another one. Both checked ones are set once: what comes
    /// later, a swap included, must not touch them.
    pub fn mirrored(&mut self, attribute: &str, value: &str) {
        let right = match attribute {
            "name" => value == self.me,
            "room" => value == self.room || (value.is_empty() && !self.placed),
            _ => true,
        };
        if !right {
            let (attribute, value) = (attribute.to_owned(), value.to_owned());
            return self.violate(Violation::WrongDelta { attribute, value });
        }
        self.placed |= attribute == "room" && value == self.room;
    }

    /// The room told that somebody came.
    pub fn joined(&mut self, room: &str, who: &str) {
        self.here |= room == self.room && who == self.me;
    }

    /// True once I am in my room.
    pub fn is_here(&self) -> bool {
        self.here
    }

    /// A message of the room arrived.
    pub fn told(&mut self, room: &str, who: &str, text: &str, seq: u64) {
        self.told += 1;
        if room != self.room {
            return self.violate(Violation::OtherRoom { room: room.to_owned() });
        }
        if !self.here {
            self.violate(Violation::Early { seq });
        }
        self.check_seq(seq);
        let Some((number, version)) = read_text(text) else {
            return self.violate(Violation::Unreadable { text: text.to_owned() });
        };
        if let Some(version) = version {
            self.saw_version(version);
        }
        let before = self.senders.insert(who.to_owned(), number);
        let last = before.unwrap_or(0);
        let joins_in = self.late && before.is_none();
        if number != last + 1 && !joins_in {
            self.violate(Violation::SenderOrder { who: who.to_owned(), number, after: last });
        }
        if who == self.me {
            self.mine_told.insert(number, seq);
            self.compare_mine(number);
        }
    }

    /// My message was answered.
    pub fn answered(&mut self, number: u64, seq: u64) {
        self.mine_answered.insert(number, seq);
        self.compare_mine(number);
    }

    /// A version answered, or marked a message.
    pub fn saw_version(&mut self, version: u64) {
        if version < self.version {
            self.violate(Violation::VersionWentBack { from: self.version, to: version });
        }
        self.version = version;
        self.versions.insert(version);
    }

    /// The server announced a generation.
    pub fn saw_generation(&mut self, generation: u32) {
        if generation < self.generation {
            self.violate(Violation::GenerationWentBack { from: self.generation, to: generation });
        }
        self.generation = generation;
    }

    /// Anything that went wrong outside of what is told.
    pub fn violate(&mut self, violation: Violation) {
        *self.counts.entry(violation.name()).or_default() += 1;
        if self.violations.len() < KEPT_MAX {
            self.violations.push(violation);
        }
    }

    /// All is said: compares with what each member of the room said, and got answered.
    pub fn finish(&mut self, said: &SaidInRoom, published: usize) {
        for (who, said) in said {
            let told = self.told_by(who);
            if told.is_some_and(|told| !said.contains(&told)) {
                let told = told.unwrap_or(0);
                self.violate(Violation::Missing { who: who.clone(), told, said: *said.start() });
            }
        }
        let unanswered: Vec<u64> =
            self.mine_told.keys().filter(|it| !self.mine_answered.contains_key(it)).copied().collect();
        for number in unanswered {
            let seq = self.mine_told.get(&number).copied().unwrap_or(0);
            self.violate(Violation::NotMine { seq });
        }
        // At least 80 % of what was published, and the first one.
        if self.versions.len() * 5 < published * 4 {
            self.violate(Violation::TooFewVersions { seen: self.versions.len(), published });
        }
    }

    /// Versions that it met.
    pub fn versions(&self) -> &BTreeSet<u64> {
        &self.versions
    }

    /// True if every member's messages up to these numbers have arrived.
    pub fn has_all(&self, said: &SaidInRoom) -> bool {
        said.iter().all(|(who, said)| self.told_by(who).is_none_or(|told| told >= *said.start()))
    }

    /// How many messages of a name were told; none if they may all have been before my time.
    fn told_by(&self, who: &str) -> Option<u64> {
        match self.senders.get(who) {
            Some(told) => Some(*told),
            None => (!self.late).then_some(0),
        }
    }

    fn check_seq(&mut self, seq: u64) {
        match self.seq {
            Some(last) if seq == last => self.violate(Violation::Doubled { seq }),
            Some(last) if seq < last => self.violate(Violation::Reordered { seq, after: last }),
            Some(last) if seq > last + 1 => self.violate(Violation::Lost { from: last + 1, to: seq - 1 }),
            _ => {}
        }
        self.seq = Some(self.seq.unwrap_or(seq).max(seq));
    }

    fn compare_mine(&mut self, number: u64) {
        if let (Some(&answered), Some(&told)) = (self.mine_answered.get(&number), self.mine_told.get(&number))
            && answered != told
        {
            self.violate(Violation::AnswerDiffers { number, answered, told });
        }
    }
}

/// What a bot says as its `number`th message.
pub fn text_of(number: u64) -> String {
    format!("n {number}")
}

/// The number in `n 17` or `n 17 [v3]`, and the version that marked it.
pub fn read_text(text: &str) -> Option<(u64, Option<u64>)> {
    let mut words = text.split(' ');
    if words.next() != Some("n") {
        return None;
    }
    let number = words.next()?.parse().ok()?;
    match words.next() {
        None => Some((number, None)),
        Some(mark) => {
            let version = mark.strip_prefix("[v")?.strip_suffix(']')?.parse().ok()?;
            words.next().is_none().then_some((number, Some(version)))
        }
    }
}

/// The version in what `version()` answers: it begins with a number.
pub fn read_version(text: &str) -> Option<u64> {
    let end = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read() {
        assert_eq!(read_text(&text_of(17)), Some((17, None)));
        assert_eq!(read_text("n 17 [v3]"), Some((17, Some(3))));
        for odd in ["", "n", "n x", "n 1 [v]", "n 1 [v3] more", "hello"] {
            assert_eq!(read_text(odd), None, "{odd}");
        }
        assert_eq!(
            (read_version("7 mood"), read_version("7"), read_version("mood")),
            (Some(7), Some(7), None)
        );
    }

    #[test]
    fn a_bot_that_came_late_starts_where_the_room_is() {
        let mut checker = Checker::new("a", "r");
        checker.joined("r", "a");
        checker.told("r", "b", "n 1", 40);
        checker.told("r", "b", "n 2", 41);
        assert!(checker.violations.is_empty());
    }

    #[test]
    fn my_message_that_was_told_but_never_answered_is_held_against_the_server() {
        let mut checker = Checker::new("a", "r");
        checker.told("r", "a", "n 1", 1);
        checker.finish(&BTreeMap::new(), 0);
        assert_eq!(checker.counts.get("strange"), Some(&1));
    }

    #[test]
    fn a_bot_that_comes_again_hears_from_where_the_room_is_and_holds_the_rest_against_the_server() {
        let mut before = Checker::new("a", "r");
        before.saw_version(2);
        let again = || {
            let mut checker = before.again("a-2");
            checker.joined("r", "a-2");
            checker.told("r", "b", "n 7", 40);
            checker.told("r", "b", "n 8", 41);
            checker
        };
        let said = |b: RangeInclusive<u64>| {
            SaidInRoom::from([("a".to_owned(), 3..=4), ("b".to_owned(), b), ("c".to_owned(), 9..=9)])
        };
        let violates = |act: &dyn Fn(&mut Checker)| {
            let mut checker = again();
            act(&mut checker);
            !checker.violations.is_empty()
        };
        assert!(!violates(&|it| it.finish(&said(8..=8), 0)), "`a` and `c` were before its time");
        assert!(!violates(&|it| it.finish(&said(7..=8), 0)), "the last one of `b` was unknown to `b`");
        assert!(violates(&|it| it.finish(&said(9..=10), 0)));
        assert!(violates(&|it| it.told("r", "b", "n 10", 42)));
        assert!(violates(&|it| it.told("r", "b", "n 9", 43)));
        assert!(violates(&|it| it.saw_version(1)));
        assert!(again().has_all(&said(8..=9)) && !again().has_all(&said(9..=9)));
    }

    #[test]
    fn violations_are_counted_but_not_kept_without_end() {
        let mut checker = Checker::new("a", "r");
        for _ in 0..1000 {
            checker.told("other", "b", "n 1", 1);
        }
        assert_eq!((checker.violations.len(), checker.counts["strange"]), (KEPT_MAX, 1000));
    }
}
