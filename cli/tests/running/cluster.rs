//! A cluster of real processes on loopback: people talk while a dispatcher is killed and comes back, clients of a game
//! that is killed start over on the other one, and those of a gate that is killed at the other one, and a version that
//! is published at one game is played on both.

use crate::desk::{Desk, Running};
use serde_json::Value;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// How long a death and what follows from it may take on the slowest of machines.
const PATIENCE: Duration = Duration::from_secs(120);

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

struct Game {
    name: &'static str,
    admin: String,
    process: Running,
}

struct Gate {
    process: Running,
    address: String,
    certificate: String,
}

struct Cluster {
    desk: Desk,
    dispatcher: Running,
    games: [Game; 2],
    gates: Vec<Gate>,
}

impl Cluster {
    fn new(gates: usize) -> Cluster {
        let desk = Desk::new();
        desk.good(&["build", "--dev", "--out", "chat.wasm"]);
        let game = |name: &str| {
            format!("[[games]]\nname = \"{name}\"\nadmin_port = 0\nmodules = [\"chat.wasm\"]\nworkers = 1\n")
        };
        let gate = |number| format!("[[gates]]\nname = \"w-{number}\"\nlisten = \"127.0.0.1:0\"\n");
        let text = format!(
            "[[dispatchers]]\nlisten = \"127.0.0.1:{}\"\n{}{}{}",
            free_port(),
            game("g-1"),
            game("g-2"),
            (1..=gates).map(gate).collect::<String>()
        );
        desk.write("cluster.toml", &text);
        desk.good(&["check-config", "cluster.toml"]);
        let start = |role: &str, name: &str| desk.start(&[role, "--config", "cluster.toml", "--name", name]);
        let dispatcher = start("dispatcher", "d-1");
        let games = ["g-1", "g-2"].map(|name| (name, start("game", name)));
        let gates = (1..=gates).map(|number| {
            let mut process = start("gate", &format!("w-{number}"));
            let line = process.until("its certificate is");
            let quoted: Vec<String> = line.split('`').map(str::to_owned).collect();
            Gate { process, address: quoted[3].clone(), certificate: quoted[5].clone() }
        });
        let gates = gates.collect();
        let games = games.map(|(name, mut process)| {
            let line = process.until("its admin API is at");
            Game { name, admin: line.split('`').nth(3).unwrap().to_owned(), process }
        });
        Cluster { desk, dispatcher, games, gates }
    }

    /// A client that prefers the gates in this order.
    fn client_of(&self, gates: &[usize], args: &[&str]) -> Running {
        let list = |text: fn(&Gate) -> &str| {
            gates.iter().map(|gate| text(&self.gates[*gate])).collect::<Vec<_>>().join(",")
        };
        let (addresses, hashes) = (list(|gate| &gate.address), list(|gate| &gate.certificate));
        self.desk.start(&[args, &["--gate", &addresses, "--cert-hash", &hashes]].concat())
    }

    fn client(&self, args: &[&str]) -> Running {
        self.client_of(&[0], args)
    }

    /// A command for a game's admin API.
    fn steer(&self, game: &Game, args: &[&str]) -> Vec<String> {
        let token = self.desk.path(&format!("everwake-data/game-{}/admin.token", game.name));
        let token = std::fs::read_to_string(token).unwrap();
        let address = ["--admin", &game.admin, "--token", &token];
        [args, &address].concat().into_iter().map(str::to_owned).collect()
    }

    /// What a game says about all of them.
    fn status(&self, game: &Game) -> Value {
        let args = self.steer(game, &["status", "--json"]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        serde_json::from_str::<Value>(&self.desk.good(&args)).unwrap()["game"].take()
    }

    /// How many clients a game says that it has.
    fn clients_of(&self, game: &Game) -> u64 {
        self.status(game)["sessions"].as_u64().unwrap()
    }

    /// Waits until both games say that both run a generation, or a later one; which, and its version.
    fn until_all_run(&self, generation: u64) -> (u64, String) {
        let until = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < until, "generation {generation} never runs everywhere");
            let seen: Vec<Value> = self.games.iter().map(|game| self.status(game)).collect();
            let games: Vec<&Value> = seen.iter().flat_map(|it| it["games"].as_array().unwrap()).collect();
            let heads: Vec<&Value> = games.iter().map(|game| &game["modules"][0]).collect();
            let newest = heads.iter().filter_map(|head| head["generation"].as_u64()).max();
            let is_same = |head: &&Value| {
                head["version"] == heads[0]["version"]
                    && head["generation"].as_u64() == newest
                    && head["swapping"] == false
            };
            if games.len() == 4 && heads.iter().all(is_same) && newest >= Some(generation) {
                return (newest.unwrap(), heads[0]["version"].as_str().unwrap().to_owned());
            }
        }
    }

    /// Publishes by a game's admin API; what it says, and how it ends.
    fn publish(&self, game: &Game, file: &str) -> Value {
        let args = self.steer(game, &["publish", file, "--supersede", "--json"]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        serde_json::from_str(&self.desk.good(&args)).unwrap()
    }
}

#[test]
fn people_talk_on_while_a_dispatcher_is_killed_and_comes_back() {
    let mut cluster = Cluster::new(1);
    let mut ada = cluster.client(&["chat", "Ada", "--room", "hall"]);
    ada.until("* you are in hall");
    let mut bob = cluster.client(&["chat", "Bob", "--room", "hall"]);
    bob.until("* you are in hall");
    ada.ask("one", "<Ada> one");
    bob.until("<Ada> one");

    cluster.dispatcher.kill();
    ada.say("two");
    bob.say("three");
    cluster.dispatcher = cluster.desk.start(&["dispatcher", "--config", "cluster.toml", "--name", "d-1"]);
    // Who is in the hall hears all of it in one order, and each line once.
    let mut heard = Vec::new();
    for person in [&mut ada, &mut bob] {
        let first = person.until("> t");
        let second = person.until("> t");
        heard.push([first, second]);
    }
    assert_eq!(heard[0], heard[1]);
    assert_ne!(heard[0][0], heard[0][1]);
    for (text, line) in [("four", "<Bob> four"), ("five", "<Bob> five")] {
        bob.ask(text, line);
        assert!(ada.until("> ").contains(line), "something came twice");
    }
    assert_eq!(cluster.gates[0].process.interrupt().0, 0);
    for game in &mut cluster.games {
        assert_eq!(game.process.interrupt().0, 0);
    }
    assert_eq!(cluster.dispatcher.interrupt().0, 0);
}

#[test]
fn who_played_on_a_game_that_is_killed_starts_over_on_another_one_and_others_go_on() {
    let mut cluster = Cluster::new(1);
    let mut clients: Vec<Running> =
        (0..4).map(|_| cluster.client(&["connect", "--module", "chat"])).collect();
    let own = |client: &mut Running| {
        client.say("own");
        let line = client.until("Account (own)");
        line.trim_start_matches("+ ").to_owned()
    };
    let before: Vec<String> = clients
        .iter_mut()
        .map(|client| {
            client.until("+ ");
            own(client)
        })
        .collect();
    let stay = cluster.clients_of(&cluster.games[1]);
    cluster.games[0].process.kill();
    let until = Instant::now() + PATIENCE;
    while cluster.clients_of(&cluster.games[1]) < 4 {
        assert!(Instant::now() < until, "clients of the dead game wait for ever");
    }
    let mut stayed = 0;
    for (client, before) in clients.iter_mut().zip(&before) {
        // What was said at the beginning of a new view comes first.
        let after = std::iter::repeat_with(|| own(client)).take(2).last().unwrap();
        stayed += u64::from(after == *before);
    }
    assert_eq!(stayed, stay);
}

#[test]
fn what_is_published_at_one_game_is_played_on_both_and_a_killed_game_comes_back_with_it() {
    let mut cluster = Cluster::new(1);
    cluster.desk.good(&["build", "--dev", "--feature", "v2", "--out", "v2.wasm"]);
    cluster.desk.edit("src/lib.rs", &[("=> \"2\"", "=> \"3\"")]);
    cluster.desk.good(&["build", "--dev", "--feature", "v2", "--out", "v3.wasm"]);
    assert_eq!(cluster.until_all_run(1).0, 1);
    let mut people: Vec<Running> = Vec::new();
    while people.is_empty() || cluster.games.iter().any(|game| cluster.clients_of(game) == 0) {
        assert!(people.len() < 20, "one game gets all clients");
        let name = format!("P{}", people.len());
        let mut person = cluster.client(&["chat", &name, "--room", &name]);
        person.until(&format!("* you are in {name}"));
        people.push(person);
    }
    let told = cluster.publish(&cluster.games[1], "v2.wasm");
    assert_eq!((&told["published"], &told["generation"]), (&true.into(), &2.into()), "{told}");
    let games: Vec<&str> =
        told["games"].as_array().unwrap().iter().map(|it| it["game"].as_str().unwrap()).collect();
    assert_eq!(games, ["g-1", "g-2"]);
    cluster.until_all_run(2);
    for person in &mut people {
        person.ask("/version", "* version \"2");
    }

    // One that publishes at the other game, which is killed meanwhile: it is finished or given up.
    let args = cluster.steer(&cluster.games[0], &["publish", "v3.wasm", "--supersede"]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut publishing = cluster.desk.start(&args);
    cluster.games[1].process.kill();
    assert!(!publishing.end().1.is_empty(), "its author hears how it ended");
    let mut process = cluster.desk.start(&["game", "--config", "cluster.toml", "--name", "g-2"]);
    let line = process.until("its admin API is at");
    cluster.games[1] = Game { name: "g-2", admin: line.split('`').nth(3).unwrap().to_owned(), process };
    // Its file is the first version: it runs what the other one runs.
    let (before, _) = cluster.until_all_run(2);
    let told = cluster.publish(&cluster.games[1], "v3.wasm");
    // Whether it runs already or not.
    assert_eq!(told["exit"], 0, "{told}");
    let (after, version) = cluster.until_all_run(before);
    assert_eq!(
        (version.as_str(), after),
        (told["version"].as_str().unwrap(), told["generation"].as_u64().unwrap())
    );
    for person in &mut people {
        person.say("/version");
    }
    let heard = people.iter_mut().map(|person| person.until("* version \"3")).count();
    assert_eq!(heard, people.len());
}

#[test]
fn who_played_at_a_gate_that_is_killed_goes_on_at_another_one() {
    let mut cluster = Cluster::new(2);
    let mut ada = cluster.client_of(&[0, 1], &["chat", "Ada", "--room", "hall"]);
    ada.until("* you are in hall");
    let mut bob = cluster.client_of(&[1, 0], &["chat", "Bob", "--room", "hall"]);
    bob.until("* you are in hall");
    ada.ask("one", "<Ada> one");
    bob.until("<Ada> one");

    cluster.gates[0].process.kill();
    ada.until("* the connection is lost: the server does not answer");
    let line = ada.until("* attempt 1 to connect again");
    assert!(line.contains(&cluster.gates[1].address), "{line}");
    ada.until("* connected again");
    // By her name, which is free once the dead gate's clients are gone.
    ada.until("* you are in hall");
    bob.until("* Ada comes into hall");
    ada.ask("two", "<Ada> two");
    assert!(
        bob.until("> ").contains("<Ada> two"),
        "Bob's connection has lived through it, without a word twice"
    );
    bob.ask("three", "<Bob> three");
    ada.until("<Bob> three");
}

#[test]
fn bots_whose_gate_stops_come_again_at_the_other_one_and_miss_nothing_that_is_theirs() {
    let mut cluster = Cluster::new(2);
    let swarm = ["bots", "chat", "--count", "6", "--rooms", "2", "--duration", "8s", "--losses", "6"];
    let mut bots = cluster.client_of(&[0, 1], &swarm);
    bots.until("bots are in 2 rooms");
    assert_eq!(cluster.gates[0].process.interrupt().0, 0);
    let (code, said) = bots.end();
    assert!(code == 0 && said.contains("lost, and came again      6"), "{code}: {said}");

    // Who may lose nothing says so.
    let mut bots = cluster.client_of(&[1], &[&swarm[..8], &[]].concat());
    bots.until("bots are in 2 rooms");
    assert_eq!(cluster.gates[1].process.interrupt().0, 0);
    let (code, said) = bots.end();
    assert!(code == 1 && said.contains("disconnected              6"), "{code}: {said}");
}
