//! What becomes of a save, while somebody is connected.

use crate::desk::{Desk, Running};

fn chat(desk: &Desk, name: &str) -> Running {
    let mut chat = desk.start(&["chat", name]);
    chat.until("* you are in lobby");
    chat
}

#[test]
fn good_saves_are_swapped_in_and_bad_ones_leave_the_last_good_version() {
    let desk = Desk::new();
    let mut dev = desk.dev(&[]);
    let mut ada = chat(&desk, "Ada");
    ada.ask("/version", "* version \"1\"");

    desk.edit("src/lib.rs", &[("None => \"1\"", "None => \"11\"")]);
    dev.until("is live as generation 2");
    // The news of it comes with the next thing that is told.
    ada.ask_all("/version", &["* version \"11\"", "generation 2; you stay connected"]);
    ada.ask("hello", "<Ada> hello [v11]");

    desk.edit("src/lib.rs", &[("None => \"11\"", "None => \"12\" oops")]);
    dev.until("error: `running` is not built.");
    dev.until("src/lib.rs:");
    dev.until("plays on; save again when it is mended");
    ada.ask("/version", "* version \"11\"");
    desk.edit("src/lib.rs", &[("None => \"12\" oops", "None => \"13\"")]);
    dev.until("is live as generation 3");
    ada.ask("/version", "* version \"13\"");

    a_version_that_traps(&desk, &mut dev, &mut ada);

    let (code, said) = dev.interrupt();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("Stopping: clients are told.") && said.contains("Stopped."), "{said}");
    ada.until("* the connection is closed");
    assert_eq!(ada.end().0, 0);
    assert!(!desk.path(".everwake/dev.json").exists());
    assert_eq!(desk.run(&["status"]).0, 1, "nothing is found any more");
}

fn a_version_that_traps(desk: &Desk, dev: &mut Running, ada: &mut Running) {
    let answer = "        VERSION.into()\n";
    desk.edit("src/avatar.rs", &[(answer, "        panic!(\"worse than before\")\n")]);
    dev.until("is live as generation 4");
    ada.ask_all("/version", &["! ", "generation 4; you stay connected"]);
    dev.until("worse than before");
    // The probation allows two; the same crash is told once.
    for _ in 0..2 {
        ada.ask("/version", "! ");
    }
    dev.until("takes itself back: 3 ");
    // The first one is the only one so far that was trusted: the others were superseded on probation.
    ada.ask_all("/version", &["* version \"1\"", "generation 5; you stay connected"]);
    desk.edit("src/avatar.rs", &[("        panic!(\"worse than before\")\n", answer)]);
    dev.until("is live as generation 6");
    ada.ask_all("/version", &["* version \"13\"", "generation 6; you stay connected"]);
    // Saved without a change it is no version.
    desk.edit("src/avatar.rs", &[]);
    dev.until("builds to the version that runs");
}

#[test]
fn a_save_that_loses_what_players_have_is_refused_unless_it_is_asked_for() {
    let desk = Desk::new();
    let mut dev = desk.dev(&[]);
    let mut ada = chat(&desk, "Ada");
    ada.ask("one", "<Ada> one");
    let rename = [
        ("    said: u64,\n}", "    spoken: u64,\n}"),
        ("said: 0", "spoken: 0"),
        ("self.said", "self.spoken"),
    ];
    desk.edit("src/room.rs", &rename);
    dev.until("values that live entities hold would go out of use");
    dev.until("attribute `said` is removed");
    let hint = dev.until("#[attr(was = \"said\")]");
    assert!(hint.contains("`spoken`"), "{hint}");
    let hint = dev.until("hint: Say what");
    assert!(hint.contains("`migrate`") && hint.contains("`everwake publish DIR --irreversible`"), "{hint}");
    dev.until("plays on");
    ada.ask("two", "<Ada> two");

    desk.edit("src/room.rs", &[("    spoken: u64,\n}", "    #[attr(was = \"said\")]\n    spoken: u64,\n}")]);
    dev.until("is live as generation 2");
    ada.ask_all("three", &["<Ada> three", "generation 2"]);
    let (code, said) = dev.interrupt();
    assert_eq!(code, 0, "{said}");
    drop(ada);

    let mut dev = desk.dev(&["--irreversible"]);
    desk.edit("src/room.rs", &[("spoken", "told"), ("#[attr(was = \"said\")]", "")]);
    dev.until("is live as generation 2");
    dev.until("warning: attribute `spoken` is removed");
    assert_eq!(dev.interrupt().0, 0);
}

#[test]
fn what_is_taken_is_named_with_who_holds_it() {
    let desk = Desk::new();
    let dev = desk.dev(&[]);
    let (code, said) = desk.run(&["dev"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&format!("runs in this folder already, process `{}`", dev.id())), "{said}");
    let state = std::fs::read_to_string(desk.path(".everwake/dev.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    let port_of = |key: &str| {
        let address: std::net::SocketAddr = state.get(key).unwrap().as_str().unwrap().parse().unwrap();
        address.port().to_string()
    };
    // Another folder, the same ports.
    std::fs::create_dir(desk.path("other")).unwrap();
    desk.write("other/Cargo.toml", "this is never read");
    for (flag, other, port) in
        [("--port", "--admin-port", port_of("gate")), ("--admin-port", "--port", port_of("admin"))]
    {
        let (code, said) = desk.run_in("other", &["dev", flag, &port, other, "0"]);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(&format!("`{port}` is taken by `everwake`, process `{}`", dev.id())), "{said}");
        assert!(said.contains(&format!("`{flag} ")), "{said}");
    }
}
