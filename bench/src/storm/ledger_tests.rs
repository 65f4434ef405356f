//! The ledger is given wrong histories, and must say so.

use super::ledger::{Act, Counted, Heard, Ledger, LifeId, Reach, Window, Wrong};
use everwake_protocol::{EntityId, Id};
use std::time::Duration;

const ROOM: EntityId = EntityId(Id([1, 2, 3, 4]));

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Two people in a room; the first one speaks.
struct Hall {
    ledger: Ledger,
    speaker: LifeId,
    ear: LifeId,
}

impl Hall {
    fn new() -> Hall {
        let mut ledger = Ledger::default();
        let [speaker, ear] = [0, 1].map(|who| {
            let life = ledger.next_life();
            ledger.enter(at(0), life, ROOM);
            ledger.expect(at(0), Act::Word, who, at(100));
            life
        });
        Hall { ledger, speaker, ear }
    }

    /// The speaker asks for a word, and it is answered.
    fn say(&mut self, number: u64) {
        self.ledger.ask(at(number * 10), 0, (self.speaker, number));
        self.ledger.said(at(number * 10 + 5), (self.speaker, number), Reach::Room(ROOM));
    }

    fn hear(&mut self, ear: LifeId, number: u64, seq: u64) {
        self.hear_marked(ear, number, seq, 1);
    }

    fn hear_marked(&mut self, ear: LifeId, number: u64, seq: u64, mark: u64) {
        let heard = Heard { room: ROOM, seq, word: (self.speaker, number), mark };
        self.ledger.hear(at(1_000), ear, heard);
    }

    /// Words that the speaker hears as they should be.
    fn say_to_itself(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.say(*number);
            self.hear(self.speaker, *number, *number);
        }
    }

    #[track_caller]
    fn has_only(&self, wrong: Wrong, times: usize) {
        for other in Wrong::ALL {
            let wanted = if other == wrong { times } else { 0 };
            assert_eq!(self.ledger.count(other), wanted, "{other}: {:?}", self.ledger.texts);
        }
    }
}

#[test]
fn a_right_history_has_nothing_wrong() {
    let mut hall = Hall::new();
    for number in 1..=3 {
        hall.say(number);
        assert_eq!(hall.ledger.waiting(), (0, 1));
        hall.hear(hall.speaker, number, number);
        hall.hear(hall.ear, number, number);
        assert_eq!(hall.ledger.waiting(), (0, 0), "all have heard it");
    }
    hall.ledger.give_up();
    assert_eq!(hall.ledger.wrongs(), 0, "{:?}", hall.ledger.texts);
    let silent = hall.ledger.late(at(10_000), |_| at(1_000));
    assert_eq!(silent, [(Act::Word, 0), (Act::Word, 1)]);
    assert_eq!(hall.ledger.late(at(1_000), |_| at(1_000)), []);
}

#[test]
fn a_double_is_found() {
    let mut hall = Hall::new();
    hall.say_to_itself(&[1, 2]);
    hall.hear(hall.ear, 1, 1);
    hall.hear(hall.ear, 2, 2);
    hall.hear(hall.ear, 1, 1);
    hall.has_only(Wrong::Doubled, 1);
    // The same word under another number of the room is a double too.
    let mut hall = Hall::new();
    hall.say_to_itself(&[1]);
    hall.hear(hall.ear, 1, 1);
    hall.hear(hall.ear, 1, 2);
    hall.has_only(Wrong::Doubled, 1);
}

#[test]
fn a_swap_is_found() {
    let mut hall = Hall::new();
    hall.say_to_itself(&[1, 2, 3]);
    for (number, seq) in [(1, 1), (3, 3), (2, 2)] {
        hall.hear(hall.ear, number, seq);
    }
    assert_eq!((hall.ledger.count(Wrong::Disordered), hall.ledger.count(Wrong::Missed)), (1, 1));
    // The room's order may be right where a speaker's is not.
    let mut hall = Hall::new();
    hall.say_to_itself(&[1, 2]);
    hall.hear(hall.ear, 2, 1);
    hall.hear(hall.ear, 1, 2);
    hall.has_only(Wrong::Disordered, 1);
}

#[test]
fn a_gap_is_found_at_once_and_at_the_end() {
    let mut hall = Hall::new();
    hall.say_to_itself(&[1, 2, 3]);
    hall.hear(hall.ear, 1, 1);
    hall.hear(hall.ear, 3, 3);
    hall.has_only(Wrong::Missed, 1);

    let mut hall = Hall::new();
    hall.say_to_itself(&[1, 2]);
    hall.hear(hall.ear, 1, 1);
    assert_eq!(hall.ledger.waiting(), (0, 1));
    hall.ledger.give_up();
    hall.has_only(Wrong::Missed, 1);
    assert_eq!(hall.ledger.waiting(), (0, 0));
}

#[test]
fn who_is_gone_or_came_later_need_not_hear_it() {
    let mut hall = Hall::new();
    hall.say_to_itself(&[1]);
    let late = hall.ledger.next_life();
    hall.ledger.enter(at(500), late, ROOM);
    hall.ledger.leave(at(600), hall.ear);
    assert_eq!(hall.ledger.waiting(), (0, 0));
    hall.ledger.give_up();
    assert_eq!(hall.ledger.wrongs(), 0);
}

#[test]
fn a_word_that_was_denied_and_heard_is_found_in_either_order() {
    let mut hall = Hall::new();
    hall.ledger.ask(at(10), 0, (hall.speaker, 1));
    hall.ledger.failed((hall.speaker, 1), "overloaded", false);
    hall.hear(hall.ear, 1, 1);
    hall.has_only(Wrong::Denied, 1);
    hall.ledger.ask(at(20), 0, (hall.speaker, 2));
    hall.hear(hall.ear, 2, 2);
    hall.ledger.failed((hall.speaker, 2), "overloaded", false);
    hall.has_only(Wrong::Denied, 2);
    // Of this one nobody knows: it may be heard.
    hall.ledger.ask(at(30), 0, (hall.speaker, 3));
    hall.ledger.failed((hall.speaker, 3), "deadline", true);
    hall.hear(hall.ear, 3, 3);
    hall.has_only(Wrong::Denied, 2);
    let Window { errors, unknown, asked, .. } = hall.ledger.window.clone();
    assert_eq!((asked, unknown, errors.values().sum::<usize>()), (3, 1, 3));
}

#[test]
fn a_version_that_goes_back_is_found() {
    let mut hall = Hall::new();
    hall.say_to_itself(&[1, 2, 3]);
    for (number, mark) in [(1, 4), (2, 5), (3, 4)] {
        hall.hear_marked(hall.ear, number, number, mark);
    }
    hall.has_only(Wrong::VersionBack, 1);
}

#[test]
fn a_request_that_ran_twice_or_not_at_all_is_found() {
    let mut counted = Counted::default();
    assert_eq!([1, 2, 4].map(|count| counted.answered(count)), [None, None, Some(Wrong::Doubled)]);
    let mut counted = Counted::default();
    assert_eq!([1, 1].map(|count| counted.answered(count)), [None, Some(Wrong::Missed)]);
    let mut counted = Counted::default();
    counted.unknown();
    assert_eq!(counted.answered(1), None, "it did not run");
    counted.unknown();
    assert_eq!(counted.answered(3), None, "it did");
    assert_eq!(counted.answered(5), Some(Wrong::Doubled));
}

#[test]
fn silence_is_the_longest_time_that_a_word_is_late() {
    let mut hall = Hall::new();
    for (asked, done) in [(100, 110), (200, 900), (1_000, 1_010)] {
        hall.ledger.done(at(done), Act::Word, 0, at(asked));
    }
    assert_eq!(hall.ledger.window.silence, at(690));
    hall.ledger.begin(at(2_000));
    hall.ledger.done(at(2_300), Act::Word, 0, at(2_200));
    assert_eq!(hall.ledger.window.silence, at(200));
}

#[test]
fn a_shout_is_for_everybody_once() {
    let mut hall = Hall::new();
    let far = hall.ledger.next_life();
    hall.ledger.enter(at(0), far, EntityId::default());
    let shout = (hall.speaker, 7);
    hall.ledger.ask(at(10), 0, shout);
    hall.ledger.said(at(20), shout, Reach::Everybody);
    for ear in [hall.speaker, hall.ear] {
        hall.ledger.hear_shout(at(30), ear, shout);
    }
    assert_eq!(hall.ledger.waiting(), (0, 1), "one has not heard it");
    hall.ledger.hear_shout(at(30), far, shout);
    assert_eq!(hall.ledger.waiting(), (0, 0));
    hall.has_only(Wrong::Doubled, 0);
    hall.ledger.hear_shout(at(30), far, shout);
    hall.has_only(Wrong::Doubled, 1);
}
