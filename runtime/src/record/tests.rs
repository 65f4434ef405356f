//! Recordings are written, read back and played again.

use super::format::FORMAT_VERSION;
use super::*;
use crate::guest::{
    Event, EventKind, Guest, GuestError, GuestSource, Imports, Origin, Trap, TrapKind, Verdict, VersionHash,
};
use crate::manifest::{Exposure, Method};
use crate::message::{AnswerTo, Body, Class, Input, Message};
use crate::space::{SpaceConfig, SpaceCore, SpaceKind};
use crate::versions::samples::{attribute, checked, method, module};
use crate::versions::{Lineage, ModuleVersion};
use bytes::Bytes;
use everwake_protocol::attributes::PatchReader;
use everwake_protocol::client::Pose;
use everwake_protocol::cluster::MessageId;
use everwake_protocol::{EntityId, Id, cbor};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;

/// What a version of the test module does differently.
#[derive(Clone, Copy, Default)]
struct Habits {
    /// Damage is doubled.
    doubles: bool,
    /// `slow` does not end in time.
    is_slow: bool,
    /// Counts its events in the instance and writes that down.
    hides_state: bool,
}

struct Avatar {
    habits: Habits,
    events: u64,
}

impl Guest for Avatar {
    fn handle(&mut self, event: &Event, mut host: Box<dyn Imports>) -> (Box<dyn Imports>, Verdict) {
        self.events += 1;
        if event.kind != EventKind::Call {
            return (host, Verdict::Done);
        }
        let mut args = cbor::Reader::new(&event.args);
        let count = args.array().unwrap();
        let mut patch = Vec::new();
        match event.method {
            0 => {
                let damage = if count > 0 { args.i64().unwrap() } else { 0 };
                let damage = if self.habits.doubles { 2 * damage } else { damage };
                cbor::uint(&mut patch, 0);
                cbor::int(&mut patch, health(&mut *host, event.entity) - damage);
            }
            1 => {
                cbor::uint(&mut patch, 1);
                let luck = if self.habits.hides_state { self.events } else { u64::from(event.seed[0]) };
                cbor::uint(&mut patch, luck);
            }
            2 if self.habits.is_slow => {
                let trap = Trap { kind: TrapKind::TimedOut, message: "too slow".into(), frames: vec![] };
                return (host, Verdict::Trapped(trap));
            }
            2 => {
                cbor::uint(&mut patch, 0);
                cbor::int(&mut patch, -1);
            }
            4 => {
                let context = [&[0x82], args.item().unwrap(), &[0x07]].concat();
                host.start_timer(event.entity, 5, context.into(), 1e6, 0.0, false).unwrap();
                return (host, Verdict::Done);
            }
            _ => {
                let password = args.text().unwrap().to_owned();
                cbor::uint(&mut patch, 2);
                cbor::text(&mut patch, &password);
                cbor::uint(&mut patch, 3);
                cbor::bool(&mut patch, password == "sesame");
            }
        }
        host.patch(event.entity, &patch).unwrap();
        (host, Verdict::Done)
    }

    fn forget(&mut self, _: &[EntityId]) -> Result<(), Trap> {
        Ok(())
    }

    fn snapshot(&mut self, _: EntityId) -> Result<Option<Bytes>, Trap> {
        Ok(None)
    }

    fn migrate(&mut self, _: u32, _: u32, _: u32, state: &[u8]) -> Result<Result<Bytes, GuestError>, Trap> {
        Ok(Ok(Bytes::copy_from_slice(state)))
    }

    fn memory_bytes(&self) -> (usize, usize) {
        (0, 0)
    }
}

fn health(host: &mut dyn Imports, entity: EntityId) -> i64 {
    let state = host.load(entity).unwrap();
    let hp = PatchReader::new(&state.attributes).flatten().find(|change| change.attribute == 0);
    hp.and_then(|change| cbor::Reader::new(change.value?).i64().ok()).unwrap_or(100)
}

/// The first version as it is; others by the first byte of their hash.
struct Source(Habits);

impl GuestSource for Source {
    fn instantiate(&mut self, version: VersionHash) -> Result<Box<dyn Guest>, Trap> {
        let habits = if version.0[0] == 2 { Habits { doubles: true, ..self.0 } } else { self.0 };
        Ok(Box::new(Avatar { habits, events: 0 }))
    }
}

fn versions() -> [Arc<ModuleVersion>; 2] {
    let mut password = attribute("password", "string", &[0x60]);
    password.flags.all_clients = false;
    password.flags.secret = true;
    let attributes = vec![
        attribute("hp", "i64", &[0x18, 100]),
        attribute("luck", "u64", &[0x00]),
        password,
        attribute("known", "bool", &[0xf4]),
    ];
    let methods = vec![
        method("hit", &[("damage", "i64")]),
        method("roll", &[]),
        method("slow", &[]),
        method("login", &[("password", "secret<string>")]),
        method("login_later", &[("password", "secret<string>")]),
        Method {
            exposure: Exposure::Internal,
            ..method("on_later", &[("context", "tuple<secret<string>, u8>"), ("outcome", "any")])
        },
    ];
    let manifest = module(attributes, methods);
    let (lineage, one) =
        Lineage::new("yard").publish(checked(manifest.clone()), VersionHash([1; 32]), 1).unwrap();
    let (_, two) = lineage.publish(checked(manifest), VersionHash([2; 32]), 2).unwrap();
    [Arc::new(one), Arc::new(two)]
}

fn by_hash(versions: &[Arc<ModuleVersion>; 2]) -> impl Fn(VersionHash) -> Option<Arc<ModuleVersion>> {
    move |hash| versions.iter().find(|version| version.hash == hash).cloned()
}

const AVATAR: EntityId = EntityId(Id([0, 0, 0, 7]));

fn config() -> SpaceConfig {
    SpaceConfig::new(EntityId(Id([0, 0, 0, 1])), SpaceKind::Nil, [3; 32])
}

fn create() -> Input {
    Input::Create {
        entity: AVATAR,
        type_name: "Avatar".into(),
        args: Bytes::from_static(&[0x80]),
        pose: Pose::default(),
        answer: AnswerTo::Nobody,
        client: None,
    }
}

/// Calls methods of one avatar, each with a counter of its own.
struct Script {
    version: Arc<ModuleVersion>,
    counter: u64,
}

impl Script {
    fn call(&mut self, method: usize, args: &[u8]) -> Input {
        self.counter += 1;
        Input::Message(Box::new(Message {
            id: MessageId { sender: Id([9; 4]), epoch: 1, counter: self.counter },
            from: None,
            target: AVATAR,
            class: Class::Volatile,
            trace: Id::ZERO,
            body: Body::Call {
                method: self.version.types[0].methods[method].key,
                args: Bytes::copy_from_slice(args),
                origin: Origin::Entity,
                answer: AnswerTo::Nobody,
                deadline_ms: u64::MAX,
                bounce: None,
            },
        }))
    }
}

/// Records what `turns` do to a space, one drain each. The first `before` turns only lead to the
/// snapshot with which the recording begins.
fn record(
    before: usize,
    habits: Habits,
    turns: impl FnOnce(&mut Script, &[Arc<ModuleVersion>; 2]) -> Vec<Vec<Input>>,
) -> (Vec<u8>, [Arc<ModuleVersion>; 2]) {
    let versions = versions();
    let mut script = Script { version: versions[0].clone(), counter: 0 };
    let mut guests = Source(habits);
    let mut core = SpaceCore::new(config(), versions[0].clone());
    let mut turns: VecDeque<_> = turns(&mut script, &versions).into();
    let mut now_ms = 1_000;
    let mut turn = |core: &mut SpaceCore, inputs: Vec<Input>| {
        now_ms += 50;
        core.drain(now_ms, &mut inputs.into(), &mut guests, &mut Vec::new());
    };
    for inputs in turns.drain(..before) {
        turn(&mut core, inputs);
    }
    let snapshot = (before > 0).then(|| core.snapshot().unwrap());
    let start = Start::new(&config(), &versions[0], snapshot);
    let recording = FileRecording::begin(Vec::new(), start, versions[0].clone()).unwrap();
    core.record(Some(recording.recorder()));
    for inputs in turns {
        turn(&mut core, inputs);
    }
    core.record(None);
    let (file, written) = recording.finish().unwrap();
    assert_eq!(written.bytes, file.len() as u64);
    (file, versions)
}

fn play(
    file: &[u8],
    versions: &[Arc<ModuleVersion>; 2],
    habits: Habits,
    options: &ReplayOptions,
) -> ReplayReport {
    let reader = RecordingReader::open(file).unwrap();
    replay(reader, &by_hash(versions), &mut Source(habits), options).unwrap()
}

fn on(version: &Arc<ModuleVersion>) -> ReplayOptions {
    ReplayOptions { on: Some(version.clone()), ..ReplayOptions::default() }
}

fn usual(script: &mut Script) -> Vec<Vec<Input>> {
    vec![
        vec![create()],
        vec![script.call(0, &[0x81, 0x05]), script.call(1, &[0x80])],
        vec![script.call(1, &[0x80]), script.call(2, &[0x80]), script.call(0, &[0x81, 0x07])],
    ]
}

#[test]
fn a_recording_replays_equally_from_its_first_input_and_from_a_snapshot() {
    for before in [0, 1, 2] {
        let (file, versions) = record(before, Habits::default(), |script, _| usual(script));
        let report = play(&file, &versions, Habits::default(), &ReplayOptions::default());
        assert!(report.is_equal(), "{report}");
        assert_eq!(report.drains, 3 - before as u64);
        assert!(report.commits >= 3 && report.equal == report.commits, "{report}");
    }
}

#[test]
fn another_version_differs_where_it_does() {
    for before in [0, 1] {
        let (file, versions) = record(before, Habits::default(), |script, _| usual(script));
        let report = play(&file, &versions, Habits::default(), &on(&versions[1]));
        let patches: Vec<_> =
            report.differences.iter().map(|found| (found.handler.as_str(), found.what.as_str())).collect();
        assert_eq!(patches, [("Avatar.hit", "patch"), ("Avatar.hit", "patch")], "{report}");
        assert_eq!(report.differences[0].recorded, format!("{AVATAR}: hp = 95"));
        assert_eq!(report.differences[0].replayed, format!("{AVATAR}: hp = 90"));
        let text = report.to_string();
        assert!(text.contains("Avatar.hit of 00000000000000000000000007: the patch differs"), "{text}");
    }
}

#[test]
fn a_swap_in_a_recording_is_replayed() {
    let (file, versions) = record(0, Habits::default(), |script, versions| {
        let mut turns = usual(script);
        turns.insert(2, vec![Input::Swap(versions[1].clone())]);
        turns
    });
    let report = play(&file, &versions, Habits::default(), &ReplayOptions::default());
    assert!(report.is_equal(), "{report}");
    let first = play(&file, &versions, Habits::default(), &on(&versions[0]));
    assert!(!first.is_equal(), "the swap is left out");
}

#[test]
fn a_time_out_is_taken_from_the_recording() {
    let slow = Habits { is_slow: true, ..Habits::default() };
    let (file, versions) = record(0, slow, |script, _| usual(script));
    let report = play(&file, &versions, Habits::default(), &ReplayOptions::default());
    assert_eq!(report.timed_out, 1);
    assert!(report.is_equal(), "{report}");
}

#[test]
fn hidden_state_is_found() {
    let versions = versions();
    let hiding = Habits { hides_state: true, ..Habits::default() };
    let mut script = Script { version: versions[0].clone(), counter: 0 };
    let mut core = SpaceCore::new(config(), versions[0].clone());
    let turn = |core: &mut SpaceCore, now_ms: u64, input: Input| {
        core.drain(now_ms, &mut VecDeque::from([input]), &mut Source(hiding), &mut Vec::new());
    };
    turn(&mut core, 1_000, create());
    turn(&mut core, 1_100, script.call(1, &[0x80]));
    // What is kept begins here and later, the life of the instance did not.
    turn(&mut core, 10_000, script.call(1, &[0x80]));
    turn(&mut core, 21_000, script.call(1, &[0x80]));
    let report = play(&past(&core), &versions, hiding, &ReplayOptions::default());
    assert_eq!(report.differences[0].handler, "Avatar.roll");
    assert_eq!(report.differences[0].recorded, format!("{AVATAR}: luck = 2"));
    assert_eq!(report.differences[0].replayed, "", "a count of one is what it was before");
    assert!(report.to_string().contains("hidden state would differ"), "{report}");
}

/// What a space keeps of its last seconds, as a file.
fn past(core: &SpaceCore) -> Vec<u8> {
    write_past(Vec::new(), &config(), core.past().unwrap()).unwrap().0
}

#[test]
fn secrets_are_not_in_the_file_and_their_absence_is_said() {
    let mut password = vec![0x81];
    cbor::text(&mut password, "sesame");
    for before in [0, 2] {
        let (file, versions) = record(before, Habits::default(), |script, _| {
            vec![
                vec![create()],
                vec![script.call(3, &password), script.call(4, &password)],
                vec![script.call(3, &password), script.call(4, &password)],
            ]
        });
        assert!(!file.windows(6).any(|window| window == b"sesame"));
        let report = play(&file, &versions, Habits::default(), &ReplayOptions::default());
        assert!(report.masked > 0);
        assert!(!report.is_equal(), "`known` depends on the password");
    }
}

#[test]
fn a_file_that_was_cut_is_replayed_up_to_there() {
    let (file, versions) = record(0, Habits::default(), |script, _| usual(script));
    let report = play(&file[..file.len() - 3], &versions, Habits::default(), &ReplayOptions::default());
    assert!(report.is_equal() && report.cut_short.is_some(), "{report}");
    assert_eq!(report.drains, 2);
    for end in 0..file.len() {
        if let Ok(mut reader) = RecordingReader::open(&file[..end]) {
            while let Ok(Some(_)) = reader.next_entry() {}
        }
    }
}

#[test]
fn other_files_are_refused() {
    let (file, versions) = record(0, Habits::default(), |script, _| usual(script));
    let open = |bytes: &[u8]| RecordingReader::open(bytes).unwrap_err().to_string();
    assert_eq!(open(b"{}"), "the file is not a recording");
    let ours = |rest: &[u8]| [b"EWREC\0", &FORMAT_VERSION.to_be_bytes()[..], rest].concat();
    assert_eq!(
        open(b"EWREC\0\x09\0"),
        format!("the recording has format 2304; this program reads {FORMAT_VERSION}")
    );
    assert_eq!(open(&ours(b"")), "the recording does not begin with a start");
    assert_eq!(
        open(&ours(b"\xff\xff\xff\xff")),
        "entry 0 says that it has 4294967295 bytes; at most 536870912 are allowed"
    );
    assert!(open(&ours(b"\0\0\0\x01\xff")).starts_with("entry 0 does not decode"));
    let reader = RecordingReader::open(file.as_slice()).unwrap();
    let missing = replay(reader, &|_| None, &mut Source(Habits::default()), &ReplayOptions::default());
    assert!(
        missing.unwrap_err().to_string().starts_with("version 010101010101 of the module is not at hand")
    );
    drop(versions);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut file = b"EWREC\0\0\x05".to_vec();
        file.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        file.extend_from_slice(&bytes);
        prop_assert!(RecordingReader::open(file.as_slice()).is_err());
    }
}
