//! The commands that steer a running `dev`, and the clients of the terminal.

use crate::desk::Desk;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Builds the chat into a file.
fn built(desk: &Desk, file: &str, args: &[&str]) {
    desk.good(&[&["build", "--dev", "--out", file], args].concat());
}

#[test]
fn versions_are_planned_published_listed_and_taken_back() {
    let desk = Desk::new();
    built(&desk, "v1.wasm", &[]);
    built(&desk, "v2.wasm", &["--feature", "v2"]);
    let mut dev = desk.dev(&[]);
    let plan = desk.good(&["plan", "v2.wasm"]);
    assert!(plan.contains("spaces would swap") && plan.contains("attribute `mood`: string is new"), "{plan}");
    assert!(plan.contains("  expected pause: p50 ") && plan.contains("warning: this is a dev"), "{plan}");
    let published = json(&desk.good(&["publish", "v2.wasm", "--note", "moods", "--json"]));
    assert_eq!((&published["exit"], &published["generation"]), (&0.into(), &2.into()), "{published}");
    assert_eq!(published["probation"]["counted"], 0, "{published}");
    assert!(published["probation_ms"].as_u64() > Some(0), "{published}");
    dev.until("generation 2");

    // The way back without `--irreversible` would take `mood` out of use: a publication asks, a
    // roll-back is meant so.
    let (code, said) = desk.run(&["plan", "v1.wasm"]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("attribute `mood` is removed") && said.contains("hint: If that is meant"),
        "{said}"
    );
    assert_eq!(desk.run(&["publish", "v1.wasm"]).0, 1);
    desk.write("broken.wasm", "\0asm nothing");
    for command in ["plan", "publish"] {
        let (code, said) = desk.run(&[command, "broken.wasm"]);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("refused: "), "{said}");
    }
    let status = desk.good(&["status"]);
    assert!(status.contains("probation") && status.contains("chat"), "{status}");
    let back = desk.good(&["rollback", "1"]);
    assert!(back.contains("is live as generation 3"), "{back}");
    let versions = desk.good(&["versions"]);
    let lines: Vec<&str> = versions.lines().take_while(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 4, "{versions}");
    assert!(versions.contains("`everwake rollback --module chat` goes back to generation"), "{versions}");
    assert!(lines[1].contains("(went back)") && lines[2].contains("moods"), "{versions}");
    let listed = json(&desk.good(&["versions", "--json"]));
    assert_eq!(listed[0]["version"], listed[2]["version"], "{listed}");
    let status = json(&desk.good(&["status", "--json"]));
    assert_eq!(status["game"]["modules"][0]["generation"], 3, "{status}");
    let stopping = desk.good(&["shutdown"]);
    let (code, said) = dev.end();
    assert_eq!(code, 0, "{stopping}{said}");
    assert!(said.contains("Stopped."), "{said}");
}

#[test]
fn people_talk_and_operators_look_and_call() {
    let desk = Desk::new();
    let mut dev = desk.dev(&[]);
    let spaces = json(&desk.good(&["inspect", "--json"]));
    let spaces = spaces["spaces"].as_array().unwrap().clone();
    let lobby = spaces.iter().find(|it| it["type"] == "Lobby").unwrap()["id"].as_str().unwrap().to_owned();
    assert!(desk.good(&["inspect", &lobby]).contains("Lobby"));

    let (code, said) = desk.run_with(&["chat", "Pipe"], "from a pipe\n/who\n");
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("<Pipe> from a pipe") && said.contains("* here: Pipe"), "{said}");
    let typed = "login \"Hand\"\nown\nls\nmethods\njoin \"hall\"\ndance\n";
    let (code, said) = desk.run_with(&["connect", "--module", "chat"], typed);
    assert_eq!(code, 0, "{said}");
    for part in
        ["You play `chat` as:", "name = \"Hand\"", "shout(text: string)", "ok", "has no method `dance`"]
    {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }

    let mut ada = desk.start(&["chat", "Ada"]);
    ada.until("* you are in lobby");
    assert_eq!(desk.good(&["call", &lobby, "announce", "a pause at noon"]).trim(), "1");
    ada.until("! a pause at noon");
    let (code, said) = desk.run(&["call", &lobby, "on_gone", "Eve", "0"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("`not-exposed`") && said.contains("hint: Operators call every method"), "{said}");
    assert_eq!(desk.run(&["inspect", "nonsense"]).0, 1);

    assert!(desk.good(&["crashes"]).contains("Nothing has crashed."));
    ada.ask("boom", "! ");
    dev.until("src/trouble.rs:");
    let (code, said) = desk.run(&["crashes", "--fail"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("Avatar::say"), "{said}");
    let full = desk.good(&["crashes", "--full"]);
    assert!(full.contains("src/trouble.rs") && full.contains("  game     dev"), "{full}");
    let again = full.lines().find_map(|line| line.trim().strip_prefix("replay   everwake replay "));
    let again = again.unwrap_or_else(|| panic!("no command in: {full}")).to_owned();
    ada.ask("still here", "<Ada> still here");
    assert_eq!(dev.interrupt().0, 0);
    // What led to it outlives the process.
    let said = desk.good(&["replay", &again]);
    assert!(said.contains("came out the same"), "{said}");
    assert!(said.contains("Avatar.say of ") && said.contains("trapped: Fault, as it was recorded"), "{said}");
}

#[test]
fn what_happened_is_recorded_and_runs_again() {
    let desk = Desk::new();
    built(&desk, "v2.wasm", &["--feature", "v2"]);
    let mut dev = desk.dev(&[]);
    let mut ada = desk.start(&["chat", "Ada"]);
    ada.until("* you are in lobby");
    desk.good(&["record", "start", "bug"]);
    for word in ["one", "two", "three"] {
        ada.ask(word, &format!("<Ada> {word}"));
    }
    assert_eq!(desk.run(&["record", "start", "bug2"]).0, 1, "one at a time");
    let stopped = desk.good(&["record", "stop"]);
    assert!(stopped.contains("everwake replay bug"), "{stopped}");
    assert_eq!(desk.run(&["record", "stop"]).0, 1);
    let equal = desk.good(&["replay", "bug"]);
    assert!(equal.contains("came out the same"), "{equal}");
    let (code, said) = desk.run(&["replay", "bug", "--module", "v2.wasm"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("Different: ") && said.contains("Ada (calm)"), "{said}");
    let (code, said) = desk.run(&["replay", "nothing"]);
    assert_eq!(code, 2, "{said}");
    // The recorded folder runs without the server that made it.
    assert_eq!(dev.interrupt().0, 0);
    desk.good(&["replay", "bug"]);
}

#[test]
fn what_nobody_recorded_is_at_hand_for_a_while_and_runs_again() {
    let desk = Desk::new();
    let mut dev = desk.dev(&[]);
    let mut ada = desk.start(&["chat", "Ada"]);
    ada.until("* you are in lobby");
    for word in ["one", "two", "three"] {
        ada.ask(word, &format!("<Ada> {word}"));
    }
    let said = desk.good(&["record", "last", "oops"]);
    assert!(said.contains("`oops` holds the last"), "{said}");
    let equal = desk.good(&["replay", "oops"]);
    assert!(equal.contains("came out the same") && !equal.contains("all 0 commits"), "{equal}");
    assert_eq!(desk.run(&["record", "last", "--space", "00000000000000000000000000"]).0, 1);
    let (code, said) = desk.run(&["record", "last", "oops"]);
    assert!(code == 1 && said.contains("holds a recording already") && said.contains("--force"), "{said}");
    let said = desk.good(&["record", "last", "oops", "--force"]);
    assert!(said.contains("written over"), "{said}");
    desk.good(&["replay", "oops"]);
    assert_eq!(dev.interrupt().0, 0);
}

#[test]
fn whoever_comes_while_dev_builds_waits_and_finds_it() {
    let desk = Desk::new();
    let mut dev = desk.start(&["dev", "--port", "0", "--admin-port", "0"]);
    dev.until("Building");
    let versions = desk.good(&["versions"]);
    assert!(versions.contains("chat") && versions.contains("passed"), "{versions}");
    let spaces = json(&desk.good(&["inspect", "--json"]));
    let lobby = spaces["spaces"].as_array().unwrap().iter().find(|it| it["type"] == "Lobby").unwrap();
    let id = lobby["id"].as_str().unwrap();
    let shown = desk.good(&["inspect", &id[..8]]);
    assert!(shown.contains(&format!("Lobby {}", &id[..8])) && shown.contains("attribute  type"), "{shown}");
    let (code, said) = desk.run(&["inspect", "0zzzzzzzzz"]);
    assert!(code == 1 && said.contains("whose id begins with `0zzzzzzzzz`"), "{said}");
    assert_eq!(dev.interrupt().0, 0);
}

#[test]
fn a_swarm_finds_nothing_wrong_while_versions_come() {
    let desk = Desk::new();
    for version in ["2", "3"] {
        built(&desk, &format!("v{version}.wasm"), &["--env", &format!("CHAT_VERSION={version}")]);
    }
    let mut dev = desk.dev(&[]);
    let swarm = ["bots", "chat", "--count", "6", "--rooms", "2", "--duration", "3s", "--rate", "5"];
    let (code, said) = desk.run(
        &[&swarm[..], &["--publish", "v2.wasm,v3.wasm", "--every", "1s", "--json", "out.json"]].concat(),
    );
    assert_eq!(code, 0, "{said}");
    let report = json(&std::fs::read_to_string(desk.path("out.json")).unwrap());
    assert_eq!(report["bots"], 6, "{report}");
    assert_eq!(report["swaps"].as_array().map(Vec::len), Some(2), "{report}");
    for side in ["rpc_before_swaps", "rpc_after_swaps"] {
        assert!(report[side]["count"].as_u64() > Some(6), "less than two probes a bot: {report}");
    }
    assert_eq!(dev.interrupt().0, 0);
}
