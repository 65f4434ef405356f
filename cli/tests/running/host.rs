//! A whole cluster on one host, as an operator has it: `up` in the foreground, `start` in the background, with links
//! inside of TLS between two dispatchers and two games.

use crate::desk::{Desk, Running};
use serde_json::Value;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// How long a death and what follows from it may take on the slowest of machines.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn desk_with_cluster() -> Desk {
    let desk = Desk::new();
    desk.good(&["build", "--dev", "--out", "chat.wasm"]);
    // Held until all are known, so that no two are the same.
    let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let dispatchers = ports.each_ref().map(|port| port.local_addr().unwrap());
    let mut text = String::new();
    for (number, address) in dispatchers.iter().enumerate() {
        text += &format!("[[dispatchers]]\nname = \"d-{number}\"\nlisten = \"{address}\"\n");
    }
    for name in ["g-1", "g-2"] {
        text += &format!(
            "[[games]]\nname = \"{name}\"\nadmin_port = 0\nmodules = [\"chat.wasm\"]\nworkers = 1\n"
        );
    }
    text += "[[gates]]\nlisten = \"127.0.0.1:0\"\n[tls]\n";
    desk.write("cluster.toml", &text);
    desk.good(&["certs", "certs", "--config", "cluster.toml"]);
    desk
}

pub(crate) fn status(desk: &Desk) -> Value {
    // Its exit code tells whether all are up, which is no matter of this.
    let (_, said) = desk.run(&["status", "--config", "cluster.toml", "--json"]);
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

pub(crate) fn row<'a>(status: &'a Value, name: &str) -> &'a Value {
    let rows = status["processes"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap()
}

/// Waits until a process is up in another life than that one.
fn until_up_again(desk: &Desk, name: &str, before: &Value) {
    let until = Instant::now() + PATIENCE;
    loop {
        let now = status(desk);
        let row = row(&now, name);
        if row["state"] == "up" && row["pid"] != *before {
            return;
        }
        assert!(Instant::now() < until, "{name} does not come back: {now:#}");
    }
}

fn client(desk: &Desk, words: &str, args: &[&str]) -> Running {
    let quoted: Vec<&str> = words.split('`').collect();
    let flags: Vec<&str> = quoted[1].split(' ').collect();
    desk.start(&[args, &flags].concat())
}

pub(crate) fn signal(pid: &Value, signal: &str) {
    let told = std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
    assert!(told.success());
}

#[test]
fn up_brings_back_whoever_dies_and_stops_all_in_order() {
    let desk = desk_with_cluster();
    let mut up = desk.start(&["up"]);
    up.until("All 5 processes run");
    let before = status(&desk);
    assert_eq!(before["supervisor"], up.id());
    for row in before["processes"].as_array().unwrap() {
        assert_eq!(row["state"], "up", "{row}");
        let links = row["links"].as_object().unwrap();
        let peers = if row["role"] == "dispatcher" { 4 } else { 2 };
        assert_eq!(links.len(), peers, "{row}");
        assert!(links.values().all(|stands| *stands == true), "{row}");
    }
    // A game that is killed, a dispatcher that is killed, and a game that all others hold for dead.
    signal(&row(&before, "g-1")["pid"], "-KILL");
    up.until("`game/g-1` has ended: killed by SIGKILL");
    up.until("`game/g-1` starts again in 500 ms");
    until_up_again(&desk, "g-1", &row(&before, "g-1")["pid"]);
    signal(&row(&before, "d-1")["pid"], "-KILL");
    until_up_again(&desk, "d-1", &row(&before, "d-1")["pid"]);
    signal(&row(&before, "g-2")["pid"], "-STOP");
    up.until("a life is over process=\"game/g-2\"");
    signal(&row(&before, "g-2")["pid"], "-CONT");
    up.until("All others hold this life of `game/g-2` for dead");
    until_up_again(&desk, "g-2", &row(&before, "g-2")["pid"]);

    let (code, said) = up.interrupt();
    assert_eq!(code, 0, "{said}");
    let place = |text: &str| said.find(text).unwrap_or_else(|| panic!("never said {text}: {said}"));
    let stopped =
        ["gate/w-1", "game/g-1", "dispatcher/d-1"].map(|name| place(&format!("`{name}` has stopped")));
    assert!(stopped.is_sorted(), "{said}");
    assert!(said.contains("All have stopped."), "{said}");
    assert!(status(&desk)["processes"].as_array().unwrap().iter().all(|row| row["state"] == "down"));
}

/// Whatever a test left running, after it failed too.
struct Background<'a>(&'a Desk);

impl Drop for Background<'_> {
    fn drop(&mut self) {
        self.0.run(&["kill", "--all"]);
    }
}

#[test]
fn start_outlives_its_command_and_stop_ends_it_all() {
    let desk = desk_with_cluster();
    let _background = Background(&desk);
    let said = desk.good(&["start"]);
    let words = said.lines().find(|line| line.contains("Clients connect with")).unwrap();
    let (code, again) = desk.run(&["start"]);
    assert_eq!((code, again.matches("runs already").count()), (0, 5), "{again}");
    let (code, other) = desk.run(&["up"]);
    assert!(code == 1 && other.contains("looks after this cluster already"), "{other}");

    let mut ada = client(&desk, words, &["chat", "Ada", "--room", "hall"]);
    ada.until("* you are in hall");
    let table = desk.good(&["status", "--config", "cluster.toml"]);
    assert!(table.contains("`everwake`: 5 of 5 processes up"), "{table}");
    let gate = status(&desk);
    assert_eq!(row(&gate, "w-1")["clients"], 1, "{gate:#}");
    desk.good(&["status", "--config", "cluster.toml", "--game", "g-2"]);

    // One that is stopped stays down, one that is killed comes back.
    let before = status(&desk);
    desk.good(&["stop", "d-1"]);
    desk.good(&["kill", "d-0"]);
    until_up_again(&desk, "d-0", &row(&before, "d-0")["pid"]);
    assert_eq!(row(&status(&desk), "d-1")["state"], "down");
    let (code, said) = desk.run(&["status", "--config", "cluster.toml"]);
    assert!(code == 1 && said.contains("4 of 5 processes up"), "{said}");
    desk.good(&["start", "d-1"]);
    ada.ask("still here", "<Ada> still here");

    let (code, said) = desk.run(&["stop", "g-3"]);
    assert!(code == 1 && said.contains("Do you mean `g-1` or `g-2`?"), "{said}");
    let logs = desk.good(&["logs", "d-1", "--lines", "500"]);
    assert!(
        logs.matches("dispatcher listens").count() == 2 && logs.contains("`dispatcher/d-1` has stopped."),
        "{logs}"
    );
    let logs = desk.good(&["logs", "everwake"]);
    assert!(logs.contains("`dispatcher/d-0` has ended: killed by SIGKILL."), "{logs}");
    let mut follow = desk.start(&["logs", "w-1", "--follow", "--lines", "0"]);
    let said = desk.good(&["stop"]);
    assert!(said.contains("All have stopped."), "{said}");
    follow.until("`gate/w-1` has stopped.");
    let said = desk.good(&["stop"]);
    assert!(said.contains("Nothing of it runs here."), "{said}");
}

/// The entity that a client plays, once it has read what was said at the beginning of a view.
pub(crate) fn own(client: &mut Running) -> String {
    let line = || {
        client.say("own");
        client.until("Account (own)").trim_start_matches("+ ").to_owned()
    };
    std::iter::repeat_with(line).take(2).last().unwrap()
}

#[test]
fn nobody_is_cut_off_from_a_game_that_is_drained_and_stopped() {
    let desk = desk_with_cluster();
    let _background = Background(&desk);
    let said = desk.good(&["start"]);
    let words = said.lines().find(|line| line.contains("Clients connect with")).unwrap();
    let start = || client(&desk, words, &["connect", "--module", "chat"]);
    let mut clients: Vec<Running> = (0..6).map(|_| start()).collect();
    let before: Vec<String> = clients
        .iter_mut()
        .map(|client| {
            client.until("+ ");
            own(client)
        })
        .collect();
    let both = status(&desk);
    let [one, other] = ["g-1", "g-2"].map(|name| row(&both, name)["clients"].as_u64().unwrap());
    assert!(one > 0 && other > 0 && one + other == 6, "{both:#}");

    let said = desk.good(&["drain", "g-1"]);
    assert!(said.contains("`game/g-1` has let go what can go."), "{said}");
    assert_eq!(row(&status(&desk), "g-1")["state"], "draining");
    let after: Vec<String> = clients.iter_mut().map(own).collect();
    assert_eq!(after, before, "each plays whom it played");
    // Who comes now plays on the other one, until this one takes what is new again.
    let mut late = start();
    late.until("+ ");
    let now = status(&desk);
    assert_eq!(
        (&row(&now, "g-1")["clients"], &row(&now, "g-2")["clients"]),
        (&0.into(), &7.into()),
        "{now:#}"
    );
    desk.good(&["drain", "g-1", "--cancel"]);
    assert_eq!(row(&status(&desk), "g-1")["state"], "up");

    desk.good(&["drain", "g-1", "--stop"]);
    assert_eq!(row(&status(&desk), "g-1")["state"], "down");
    let last: Vec<String> = clients.iter_mut().map(own).collect();
    assert_eq!(last, before);

    // A gate waits for its clients, and they for nothing.
    let (code, said) = desk.run(&["drain", "w-1", "--timeout", "0"]);
    assert!(code == 1 && said.contains("It has 7 clients."), "{said}");
    let (code, said) = desk.run(&["drain", "d-0"]);
    assert!(code == 1 && said.contains("A dispatcher holds nothing"), "{said}");
    let last: Vec<String> = clients.iter_mut().map(own).collect();
    assert_eq!(last, before);
    desk.good(&["drain", "w-1", "--now", "--stop"]);
    desk.good(&["stop"]);
}
