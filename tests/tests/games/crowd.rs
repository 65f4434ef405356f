//! Two hundred people in twenty rooms while versions come and go: nothing is lost, doubled or reordered.

use crate::built::{kit, sample};
use crate::chat::{chat, enter_room, said};
use everwake_testkit::{Outcome, Player, Request, Value, World};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const PLAYERS: usize = 200;
const ROOMS: usize = 20;
const ROUNDS: usize = 8;

struct Crowd {
    world: World,
    players: Vec<Player>,
    requests: Vec<(Player, Request)>,
    heard: BTreeMap<Player, Vec<(String, String, i128)>>,
}

impl Crowd {
    fn gather() -> Self {
        let mut world = chat(&[], "1");
        let players =
            (0..PLAYERS).map(|n| enter_room(&mut world, &format!("p{n}"), &format!("room {}", n % ROOMS)));
        let players: Vec<Player> = players.collect();
        for player in &players {
            world.take_calls(*player);
        }
        Self { world, players, requests: Vec::new(), heard: BTreeMap::new() }
    }

    /// Everybody says something; in the middle of it a version comes.
    fn talk(&mut self, round: usize, version: Option<&str>) {
        for (n, player) in self.players.iter().enumerate() {
            let text = Value::from(format!("p{n} says {round}"));
            self.requests.push((*player, self.world.request(*player, "say", &[text])));
            if n == PLAYERS / 2
                && let Some(version) = version
            {
                let report = self.world.publish(&sample("chat", &[], version));
                assert!(report.published, "{report:?}");
            }
        }
        self.world.advance(Duration::from_millis(500));
        for player in &self.players {
            self.heard.entry(*player).or_default().extend(said(&self.world.take_calls(*player)));
        }
    }
}

/// What a bot holds against what it heard; the sentence says what is wrong.
fn check_heard(heard: &[(String, String, i128)], speakers: &[String]) -> Result<Vec<u32>, String> {
    let numbers: Vec<i128> = heard.iter().map(|(.., number)| *number).collect();
    let expected: Vec<i128> = (1..).take(speakers.len() * ROUNDS).collect();
    if numbers != expected {
        return Err(format!("numbers are not 1 to {}: {numbers:?}", expected.len()));
    }
    let mut versions = Vec::new();
    let mut next: BTreeMap<&str, usize> = speakers.iter().map(|speaker| (speaker.as_str(), 0)).collect();
    for (who, text, _) in heard {
        let (words, version) = text
            .split_once(" [v")
            .map_or((text.as_str(), "1"), |(words, mark)| (words, mark.trim_end_matches(']')));
        let round = next.get_mut(who.as_str()).ok_or_else(|| format!("{who} is not in the room"))?;
        if words != format!("{who} says {round}") {
            return Err(format!("`{words}` instead of {who}'s number {round}"));
        }
        *round += 1;
        versions.push(version.parse::<u32>().map_err(|error| error.to_string())?);
    }
    if !versions.is_sorted() {
        return Err(format!("versions go back: {versions:?}"));
    }
    versions.dedup();
    Ok(versions)
}

#[test]
fn a_crowd_talks_through_three_swaps() {
    let versions = ["2", "3", "4"];
    versions.iter().for_each(|version| drop(sample("chat", &[], version)));
    let mut crowd = Crowd::gather();
    for round in 0..ROUNDS {
        let version =
            round.checked_sub(1).filter(|round| round % 2 == 0).and_then(|round| versions.get(round / 2));
        crowd.talk(round, version.copied());
    }
    crowd.world.advance(Duration::from_secs(1));
    for (player, request) in &crowd.requests {
        let outcome = crowd.world.outcome(*player, *request);
        assert!(matches!(outcome, Some(Outcome::Ok(_))), "a word was answered by {outcome:?}");
    }
    for (n, player) in crowd.players.iter().enumerate() {
        let speakers: Vec<String> = (n % ROOMS..PLAYERS).step_by(ROOMS).map(|n| format!("p{n}")).collect();
        let seen =
            check_heard(&crowd.heard[player], &speakers).unwrap_or_else(|wrong| panic!("p{n}: {wrong}"));
        assert_eq!(seen, [1, 2, 3, 4], "p{n} did not see all versions");
        assert!(crowd.world.closed(*player).is_none(), "p{n} was disconnected");
    }
    crowd.world.check();
}

#[test]
fn the_checker_of_the_crowd_finds_what_is_wrong() {
    let speakers = ["p0".to_owned()];
    let line = |round: usize, version: u32, number: i128| {
        let mark = if version == 1 { String::new() } else { format!(" [v{version}]") };
        ("p0".to_owned(), format!("p0 says {round}{mark}"), number)
    };
    let good: Vec<_> =
        (0..ROUNDS).map(|round| line(round, if round < 4 { 1 } else { 2 }, round as i128 + 1)).collect();
    assert_eq!(check_heard(&good, &speakers), Ok(vec![1, 2]));
    let mut lost = good.clone();
    lost.remove(3);
    let mut doubled = good.clone();
    doubled.insert(3, doubled[3].clone());
    let mut swapped = good.clone();
    swapped.swap(2, 3);
    let mut words = good.clone();
    words[2].1 = words[3].1.clone();
    let mut back = good.clone();
    back[6] = line(6, 1, 7);
    let mut foreign = good;
    foreign[0].0 = "mallory".into();
    for wrong in [lost, doubled, swapped, words, back, foreign] {
        assert!(check_heard(&wrong, &speakers).is_err(), "not found: {wrong:?}");
    }
}

#[test]
fn a_thousand_small_worlds() {
    let component = sample("chat", &[], "1");
    let begin = Instant::now();
    for seed in 0..1_000 {
        let mut world = World::new(kit()).seed(seed).module(&component).start();
        let player = world.connect("chat");
        world.call(player, "login", &["alice".into()]).unwrap();
        world.check();
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!("1,000 worlds with a login each took {seconds:.1} s");
}
