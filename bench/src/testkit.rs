//! `testkit`: how long a team waits for the tests of its game.

use crate::modules::root;
use crate::report::{Line, Report};
use anyhow::{Result, ensure};
use everwake_testkit::{Component, Kit, Value, World};
use std::time::{Duration, Instant};

/// Seconds that a thousand tests may take.
const SECONDS_MAX: f64 = 60.0;

pub fn run(report: &mut Report) -> Result<()> {
    let tests: u32 = if report.quick { 200 } else { 1_000 };
    let kit = Kit::new();
    let chat = kit.build(root().join("samples/chat"));
    // The first one compiles.
    test(&kit, &chat, 0)?;
    let begin = Instant::now();
    for seed in 1..=tests {
        test(&kit, &chat, seed.into())?;
    }
    let seconds = begin.elapsed().as_secs_f64() * 1_000.0 / f64::from(tests);
    report
        .note("each: a world with the chat, two clients log in and join a room, one speaks, a minute passes");
    report.row("1,000 tests, one after the other", seconds, "s", None, Some(Line::AtMost(SECONDS_MAX)), 1);
    Ok(())
}

/// What a test of a game does: starts a world, plays, lets time pass, looks.
fn test(kit: &Kit, chat: &Component, seed: u64) -> Result<()> {
    let mut world = World::new(kit).seed(seed).module(chat).start();
    let mut players = Vec::new();
    for name in ["alice", "bob"] {
        let player = world.connect("chat");
        for (method, argument) in [("login", name), ("join", "hall")] {
            let answer = world.call(player, method, &[argument.into()]);
            ensure!(answer.is_ok(), "{method}: {answer:?}");
            world.advance(Duration::from_millis(100));
        }
        players.push(player);
    }
    for player in &players {
        world.take_calls(*player);
        ensure!(world.attribute(*player, "room") == Value::from("hall"), "nobody is in the hall");
    }
    for player in players.iter().take(1) {
        world.call(*player, "say", &["hello".into()]).ok();
    }
    world.advance(Duration::from_secs(60));
    for player in &players {
        let heard = world.take_calls(*player).iter().filter(|call| call.method == "said").count();
        ensure!(heard == 1, "a word was heard {heard} times");
    }
    world.check();
    Ok(())
}
