//! Each process of a cluster for itself, as a machine's supervisor has it, with two dispatchers and links inside of TLS:
//! people play on while either dispatcher is killed, every role ends in order when it is told to, whatever of the others is
//! left, and a game that slept through its own death ends when it wakes up.

use crate::desk::{Desk, Running};
use crate::host::{PATIENCE, desk_with_cluster, own, row, signal, status};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Longest time that a process may take to end in order: what it holds is waited for 7 s at most.
const ENDS: Duration = Duration::from_secs(60);

const ALL: [&str; 5] = ["d-0", "d-1", "g-1", "g-2", "w-1"];

struct Cluster {
    desk: Desk,
    processes: BTreeMap<&'static str, Running>,
    /// Address and certificate of the gate.
    gate: [String; 2],
}

impl Cluster {
    /// All of it, once clients may come.
    fn new() -> Cluster {
        let mut cluster =
            Cluster { desk: desk_with_cluster(), processes: BTreeMap::new(), gate: Default::default() };
        ALL.iter().for_each(|name| cluster.start(name));
        cluster.until_whole();
        cluster
    }

    /// Starts one, and waits until it says that it runs unless it needs others for that.
    fn start(&mut self, name: &'static str) {
        let (role, said) = match name.split_once('-').unwrap().0 {
            "d" => ("dispatcher", "listens at"),
            "g" => ("game", ""),
            _ => ("gate", "its certificate is"),
        };
        let mut process = self.desk.start(&[role, "--config", "cluster.toml", "--name", name]);
        let line = process.until(said);
        if role == "gate" {
            let quoted: Vec<String> = line.split('`').map(str::to_owned).collect();
            self.gate = [quoted[3].clone(), quoted[5].clone()];
        }
        self.processes.insert(name, process);
    }

    /// Waits until all are up and each link stands.
    fn until_whole(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let seen = status(&self.desk);
            let stands = |row: &Value| {
                let links = row["links"].as_object();
                row["state"] == "up"
                    && links.is_some_and(|links| links.values().all(|stands| *stands == true))
            };
            if seen["processes"].as_array().unwrap().iter().all(stands) {
                return;
            }
            assert!(Instant::now() < until, "the cluster is never whole: {seen:#}");
        }
    }

    fn client(&self, args: &[&str]) -> Running {
        let [address, certificate] = &self.gate;
        self.desk.start(&[args, &["--gate", address, "--cert-hash", certificate]].concat())
    }

    /// Tells one to stop, which it does in order; what it said.
    #[track_caller]
    fn stop(&mut self, name: &str) -> String {
        let mut process = self.processes.remove(name).unwrap();
        signal(&process.id().into(), "-TERM");
        let (code, said) = process.ends_within(ENDS);
        assert_eq!(code, 0, "{name}: {said}");
        assert!(said.contains(&format!("/{name}` has stopped.")), "{name}: {said}");
        said
    }

    /// Ids of all spaces and entities that a game has.
    fn ids_at(&self, game: &str) -> Vec<String> {
        let inspect = |id: Option<&str>| -> Value {
            let args = ["inspect", "--config", "cluster.toml", "--game", game, "--json"];
            let told = self.desk.good(&args.into_iter().chain(id).collect::<Vec<_>>());
            serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"))
        };
        let of = |list: &Value, key: &str| -> Vec<String> {
            let rows = list.as_array().unwrap_or_else(|| panic!("a list: {list:#}")).iter();
            rows.map(|row| row[key].as_str().unwrap().to_owned()).collect()
        };
        let spaces = of(&inspect(None)["spaces"], "id");
        let mut all = Vec::new();
        for space in spaces {
            let view = inspect(Some(&space));
            if view["members"].is_array() {
                all.extend(of(&view["members"], "id"));
            }
            all.push(space);
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}

#[test]
fn nobody_is_cut_off_while_either_of_two_dispatchers_is_killed_and_comes_back() {
    let mut cluster = Cluster::new();
    let mut ada = cluster.client(&["chat", "Ada", "--room", "hall"]);
    ada.until("* you are in hall");
    let mut bob = cluster.client(&["chat", "Bob", "--room", "hall"]);
    bob.until("* you are in hall");
    let swarm = ["bots", "chat", "--count", "8", "--rooms", "2", "--duration", "15s"];
    let mut bots = cluster.client(&swarm);
    bots.until("bots are in 2 rooms");
    for (name, words) in [("d-0", ["one", "two"]), ("d-1", ["three", "four"])] {
        cluster.processes.get_mut(name).unwrap().kill();
        // Half of what entities say to each other goes by the one that is down.
        ada.say(words[0]);
        bob.say(words[1]);
        cluster.start(name);
        let said = |person: &mut Running| [person.until("> "), person.until("> ")];
        let (heard, again) = (said(&mut ada), said(&mut bob));
        assert_eq!(heard, again, "one order for both");
        for (word, by) in words.iter().zip(["Ada", "Bob"]) {
            let line = format!("<{by}> {word}");
            assert_eq!(heard.iter().filter(|heard| heard.contains(&line)).count(), 1, "{heard:?}");
        }
        cluster.until_whole();
    }
    // They check that everything comes once and in order, and that nobody is disconnected.
    let (code, said) = bots.end();
    assert_eq!(code, 0, "{said}");
    ada.ask("five", "<Ada> five");
    assert!(bob.until("> ").contains("<Ada> five"));
    ["w-1", "g-1", "g-2", "d-0", "d-1"].iter().for_each(|name| drop(cluster.stop(name)));
}

#[test]
fn every_role_ends_in_order_whoever_of_the_others_is_left() {
    let mut cluster = Cluster::new();
    let mut ada = cluster.client(&["chat", "Ada", "--room", "hall"]);
    ada.until("* you are in hall");
    cluster.stop("w-1");
    // Its client hears why, and looks for another one, of which there is none.
    ada.until("the server is shutting down");
    drop(ada);
    cluster.start("w-1");
    cluster.until_whole();
    let mut bob = cluster.client(&["chat", "Bob", "--room", "hall"]);
    bob.until("* you are in hall");
    cluster.stop("g-1");
    cluster.stop("d-0");
    // No dispatcher is left that could take their last words.
    cluster.processes.remove("d-1").unwrap().kill();
    cluster.stop("g-2");
    cluster.stop("w-1");
    // Who has met nobody yet, and a game that still compiles its module.
    for name in ALL {
        cluster.start(name);
        cluster.stop(name);
    }
    ["d-0", "d-1", "g-1"].iter().for_each(|name| cluster.start(name));
    cluster.stop("g-1");
}

#[test]
fn a_game_that_wakes_up_after_its_death_ends_and_what_it_had_is_in_one_place() {
    let mut cluster = Cluster::new();
    let mut clients: Vec<Running> =
        (0..6).map(|_| cluster.client(&["connect", "--module", "chat"])).collect();
    let played = |clients: &mut Vec<Running>| clients.iter_mut().map(own).collect::<Vec<String>>();
    clients.iter_mut().for_each(|client| drop(client.until("+ ")));
    let before = played(&mut clients);
    let had = cluster.ids_at("g-2");
    let clients_of = |cluster: &Cluster, game: &str| row(&status(&cluster.desk), game)["clients"].as_u64();
    let [stay, go] = ["g-1", "g-2"].map(|game| clients_of(&cluster, game).unwrap());
    assert!(stay > 0 && go > 0 && stay + go == 6, "{stay} and {go}");

    signal(&cluster.processes["g-2"].id().into(), "-STOP");
    let until = Instant::now() + PATIENCE;
    while clients_of(&cluster, "g-1") != Some(6) {
        assert!(Instant::now() < until, "its clients wait for ever");
    }
    let during = played(&mut clients);
    let stayed = before.iter().zip(&during).filter(|(before, during)| before == during).count();
    assert_eq!(stayed as u64, stay, "who played on the other one plays on");

    let mut sleeper = cluster.processes.remove("g-2").unwrap();
    signal(&sleeper.id().into(), "-CONT");
    let (code, said) = sleeper.ends_within(ENDS);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("All others hold this life of `game/g-2` for dead; it has stopped."), "{said}");
    assert!(said.contains("hint: Start it again"), "{said}");
    assert_eq!(played(&mut clients), during, "nothing that it did after its death counts");

    cluster.start("g-2");
    cluster.until_whole();
    let [other, again] = ["g-1", "g-2"].map(|game| cluster.ids_at(game));
    assert!(!again.is_empty() && !had.is_empty() && !other.is_empty());
    let twice: Vec<&String> = other.iter().filter(|id| again.contains(id)).collect();
    assert!(twice.is_empty(), "{twice:?}");
    // What has a name of its own may be made anew, but nobody's entity.
    let entities = before.iter().filter(|entity| {
        let id = entity.split(' ').next().unwrap();
        again.iter().any(|it| it.starts_with(id.trim_end_matches('…')))
    });
    assert_eq!(entities.count(), 0);
    assert_eq!(played(&mut clients), during);
}
