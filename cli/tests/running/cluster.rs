//! A cluster of real processes on loopback: people talk while a dispatcher is killed and comes back, and clients of a
//! game that is killed start over on the other one.

use crate::desk::{Desk, Running};
use std::net::TcpListener;
use std::process::Command;
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

struct Cluster {
    desk: Desk,
    dispatcher: Running,
    games: [Game; 2],
    gate: Running,
    address: String,
    certificate: String,
}

impl Cluster {
    fn new() -> Cluster {
        let desk = Desk::new();
        desk.good(&["build", "--dev", "--out", "chat.wasm"]);
        let game = |name: &str| {
            format!("[[games]]\nname = \"{name}\"\nadmin_port = 0\nmodules = [\"chat.wasm\"]\nworkers = 1\n")
        };
        let text = format!(
            "[[dispatchers]]\nlisten = \"127.0.0.1:{}\"\n{}{}[[gates]]\nlisten = \"127.0.0.1:0\"\n",
            free_port(),
            game("g-1"),
            game("g-2")
        );
        desk.write("cluster.toml", &text);
        desk.good(&["check-config", "cluster.toml"]);
        let start = |role: &str, name: &str| desk.start(&[role, "--config", "cluster.toml", "--name", name]);
        let dispatcher = start("dispatcher", "d-1");
        let games = ["g-1", "g-2"].map(|name| (name, start("game", name)));
        let mut gate = start("gate", "w-1");
        let line = gate.until("its certificate is");
        let quoted: Vec<String> = line.split('`').map(str::to_owned).collect();
        let games = games.map(|(name, mut process)| {
            let line = process.until("its admin API is at");
            Game { name, admin: line.split('`').nth(3).unwrap().to_owned(), process }
        });
        let (address, certificate) = (quoted[3].clone(), quoted[5].clone());
        Cluster { desk, dispatcher, games, gate, address, certificate }
    }

    fn client(&self, args: &[&str]) -> Running {
        let gate = ["--gate", &self.address, "--cert-hash", &self.certificate];
        self.desk.start(&[args, &gate].concat())
    }

    /// How many clients a game says that it has.
    fn clients_of(&self, game: &Game) -> u64 {
        let token = self.desk.path(&format!("everwake-data/game-{}/admin.token", game.name));
        let token = std::fs::read_to_string(token).unwrap();
        let status = self.desk.good(&["status", "--json", "--admin", &game.admin, "--token", &token]);
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        status["game"]["sessions"].as_u64().unwrap()
    }
}

fn kill(process: &mut Running) {
    assert!(Command::new("kill").args(["-9", &process.id().to_string()]).status().unwrap().success());
}

#[test]
fn people_talk_on_while_a_dispatcher_is_killed_and_comes_back() {
    let mut cluster = Cluster::new();
    let mut ada = cluster.client(&["chat", "Ada", "--room", "hall"]);
    ada.until("* you are in hall");
    let mut bob = cluster.client(&["chat", "Bob", "--room", "hall"]);
    bob.until("* you are in hall");
    ada.ask("one", "<Ada> one");
    bob.until("<Ada> one");

    kill(&mut cluster.dispatcher);
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
    assert_eq!(cluster.gate.interrupt().0, 0);
    for game in &mut cluster.games {
        assert_eq!(game.process.interrupt().0, 0);
    }
    assert_eq!(cluster.dispatcher.interrupt().0, 0);
}

#[test]
fn who_played_on_a_game_that_is_killed_starts_over_on_another_one_and_others_go_on() {
    let mut cluster = Cluster::new();
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
    kill(&mut cluster.games[0].process);
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
