//! A game on its own threads.

use super::*;
use crate::game::admin::AdminAnswer;
use crate::game::publish::PublishOptions;
use crate::game::report::Fact;
use crate::record::RecordingReader;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

struct Played {
    game: Game,
    from_game: Receiver<Vec<FromDispatcher<ToGate, ToGame>>>,
    client: Client,
    versions: [Bytes; 3],
}

fn start(module: &str) -> Played {
    let (loader, versions) = loader(module);
    let (sender, from_game) = channel();
    let settings = GameSettings {
        config: config(),
        lives: LIVES,
        spaces: SpaceSettings::default(),
        workers: 2,
        loader: Box::new(loader),
    };
    let sink = Box::new(move |batch| {
        // A test that has seen enough is not interested any more.
        let _ = sender.send(batch);
    });
    let game = Game::start(settings, sink).expect("a game");
    let mut played = Played { game, from_game, client: Client::default(), versions };
    played.publish(0);
    played.game.handle().from_gate(connected(module)).unwrap();
    played.wait(|client| !client.methods.is_empty());
    played
}

impl Played {
    fn publish(&self, version: usize) {
        let bytes = self.versions[version].clone();
        let answer = self.game.handle().publish(bytes, "", PublishOptions::default()).unwrap();
        let AdminAnswer::Publication(report) = answer else { panic!("a report: {answer:?}") };
        assert!(report.published, "{report:?}");
    }

    fn wait(&mut self, done: impl Fn(&Client) -> bool) {
        while !done(&self.client) {
            let batch = self.from_game.recv_timeout(PATIENCE).expect("something for the gate");
            self.client.take(&batch);
        }
    }

    fn send(&mut self, method: &str) -> u64 {
        let (request, to_game) = self.client.request(method);
        self.game.handle().from_gate(to_game).unwrap();
        request
    }
}

#[test]
fn requests_are_answered_once_and_in_order_while_versions_come_and_go() {
    let mut played = start("yard");
    let handle = played.game.handle();
    let versions = played.versions.clone();
    let (beat, beats) = std::sync::mpsc::channel();
    let publisher = std::thread::spawn(move || {
        for round in 0..6 {
            let bytes = versions[(round + 1) % 2].clone();
            let answer = handle.publish(bytes, "", PublishOptions::default()).unwrap();
            let AdminAnswer::Publication(report) = answer else { panic!("a report: {answer:?}") };
            assert!(report.published, "{report:?}");
            // Two answers later one was asked for after this version had come.
            let _ = beats.try_iter().count();
            (0..2).for_each(|_| beats.recv().unwrap());
        }
    });
    let mut last = 0;
    while !publisher.is_finished() || last < 200 {
        last = played.send("hit");
        if last % 8 == 0 {
            played.wait(|client| client.replies.contains_key(&last));
            let _ = beat.send(());
        }
    }
    publisher.join().unwrap();
    played.wait(|client| client.replies.contains_key(&last));
    assert_eq!(played.client.order, (1..=last).collect::<Vec<_>>());
    let hits: Vec<(i64, i64)> = (1..=last).map(|request| played.client.hit(request)).collect();
    assert!(hits.iter().zip(1..).all(|((_, hits), expected)| *hits == expected), "each ran exactly once");
    let changes = hits.windows(2).filter(|pair| pair[0].0 != pair[1].0).count();
    assert_eq!(changes, 6, "the client saw each version, and none twice");
    let AdminAnswer::Versions(versions) = played.game.handle().versions(None).unwrap() else {
        panic!("versions");
    };
    assert_eq!(versions.len(), 7);
    assert!(versions[..6].iter().all(|version| version.pause.is_some_and(|pause| pause.spaces > 0)));
    played.game.stop();
}

#[test]
fn two_games_run_in_one_process_and_know_nothing_of_each_other() {
    let (mut one, mut two) = (start("yard"), start("chat"));
    let first = one.send("hit");
    one.wait(|client| client.replies.contains_key(&first));
    one.game.stop();
    let second = two.send("hit");
    two.wait(|client| client.replies.contains_key(&second));
    assert_eq!(two.client.hit(second), (1, 1));
    two.game.stop();
}

#[test]
fn crashes_are_booked_and_told() {
    let mut played = start("yard");
    let events = played.game.handle().events();
    let request = played.send("crash");
    played.wait(|client| client.replies.contains_key(&request));
    let next = |wanted: fn(&GameEvent) -> bool| loop {
        let event = events.recv_timeout(PATIENCE).expect("an event");
        if wanted(&event) {
            break;
        }
    };
    next(|event| matches!(event, GameEvent::Crash(report) if report.message.contains("on purpose")));
    let crashes = played.game.handle().crashes();
    assert_eq!(crashes.len(), 1);
    assert_eq!(crashes[0].1.count, 1);
    played.publish(1);
    next(|event| matches!(event, GameEvent::Fact(Fact::Swapped { generation: 2, .. })));
    played.game.stop();
}

#[test]
fn a_plan_says_what_pause_to_expect_in_each_space() {
    let played = start("yard");
    let plan = |version: usize| {
        let answer = played.game.handle().plan(played.versions[version].clone(), PublishOptions::default());
        match answer.unwrap() {
            AdminAnswer::Publication(report) => *report,
            other => panic!("a report: {other:?}"),
        }
    };
    let report = plan(1);
    let expected = report.expected_pause.expect("an estimate");
    assert_eq!((expected.spaces, report.published), (report.spaces, false), "{report:?}");
    assert!(report.spaces > 0 && expected.p50_us <= expected.max_us);
    played.game.stop();
}

#[test]
fn a_running_game_is_recorded_space_by_space() {
    let mut played = start("yard");
    let folder = tempfile::tempdir().unwrap();
    let handle = played.game.handle();
    handle.record(folder.path(), None).unwrap();
    assert!(matches!(handle.record(folder.path(), None), Err(RecordError::UnderWay(_))));
    let mut hit = || {
        let request = played.send("hit");
        played.wait(|client| client.replies.contains_key(&request));
    };
    // A space begins its file at its next moment of rest; hits give the workers time for that.
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    (0..10_000).take_while(|_| files() < 4).for_each(|_| hit());
    (0..20).for_each(|_| hit());
    let recorded = handle.stop_recording().unwrap();
    assert_eq!(recorded.files, 4, "{recorded:?}");
    let mut commits = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = std::fs::File::open(file.unwrap().path()).unwrap();
        let mut reader = RecordingReader::open(std::io::BufReader::new(file)).unwrap();
        while let Some(entry) = reader.next_entry().unwrap() {
            commits += usize::from(matches!(entry, crate::record::Entry::Commit(_)));
        }
    }
    // Whatever ran before the first moment of rest is in the snapshot, not among the events.
    assert!(commits >= 19, "{commits} events");
    assert!(matches!(handle.stop_recording(), Err(RecordError::Nothing)));
    played.game.stop();
}

#[test]
fn the_last_seconds_of_a_running_game_are_at_hand() {
    let mut played = start("yard");
    let folder = tempfile::tempdir().unwrap();
    let handle = played.game.handle();
    for _ in 0..20 {
        let request = played.send("hit");
        played.wait(|client| client.replies.contains_key(&request));
    }
    let recorded = handle.record_last(folder.path(), None).unwrap();
    assert!(recorded.files > 0 && recorded.from_ms > 0, "{recorded:?}");
    let mut commits = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = std::fs::File::open(file.unwrap().path()).unwrap();
        let mut reader = RecordingReader::open(std::io::BufReader::new(file)).unwrap();
        while let Some(entry) = reader.next_entry().unwrap() {
            commits += usize::from(matches!(entry, crate::record::Entry::Commit(_)));
        }
    }
    assert!(commits >= 20, "{commits} events");
    let nobody = handle.record_last(folder.path(), Some(everwake_protocol::EntityId::default()));
    assert!(matches!(nobody, Err(RecordError::NoSpace(_))));
    played.game.stop();
}
