//! What a trap tells its author, though the module runs stripped.

use std::sync::Arc;

use everwake_protocol::EntityId;
use everwake_runtime::driver::{ModuleLoader as _, WasmLoader};
use everwake_runtime::guest::{Origin, RawFrame, Trap, TrapKind, Verdict};
use everwake_runtime::message::Crash;
use everwake_runtime::wasm::{CodeSource, Engine, EngineConfig, Frame, LoadedVersion, Loader, Symbols};

use crate::probe::{DIVIDE, PANIC, component, loaded, run};

const SOURCE: &str = include_str!("../fixtures/probe/src/lib.rs");

/// Line of the only place in the probe's source that contains `text`.
fn line_of(text: &str) -> u32 {
    1 + SOURCE.lines().position(|line| line.contains(text)).unwrap() as u32
}

fn crash(method: u32, amount: u8) -> (Trap, Vec<Frame>) {
    crash_of(&loaded(), method, amount)
}

fn crash_of(version: &Arc<LoadedVersion>, method: u32, amount: u8) -> (Trap, Vec<Frame>) {
    let (Verdict::Trapped(trap), _) = run(&mut version.instantiate().unwrap(), method, amount) else {
        panic!("it should trap")
    };
    let frames = version.symbols().symbolise(&trap.frames);
    (trap, frames)
}

#[test]
fn a_panic_shows_its_message_and_the_line() {
    let (trap, frames) = crash(PANIC, 0);
    assert_eq!(trap.kind, TrapKind::Fault);
    assert!(trap.message.contains("method 7 gives up"), "{trap:?}");
    let line = line_of("// LINE give_up");
    let wanted = |frame: &Frame| {
        frame.function.as_deref() == Some("probe::give_up")
            && frame.file.as_deref() == Some("src/lib.rs")
            && frame.line == Some(line)
    };
    assert!(frames.iter().any(wanted), "line {line} of {frames:#?}");
}

#[test]
fn a_fault_without_words_shows_the_line_too() {
    // The argument's head is 0x81, which makes the divisor zero; the check makes it a panic.
    let (trap, frames) = crash(DIVIDE, 0);
    assert_eq!(trap.kind, TrapKind::Fault);
    let line = line_of("black_box(1 / black_box");
    assert!(frames.iter().any(|frame| frame.line == Some(line)), "line {line} of {frames:#?}");
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn after_a_restart_stripped_code_still_shows_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let loader = || {
        let engine = Engine::new(EngineConfig { instances: 8, ..EngineConfig::default() }).unwrap();
        Loader::with_cache(engine, folder.path()).unwrap()
    };
    // The first process compiles, and ends without a crash.
    drop(loader().load(component()).unwrap());
    let kept = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let (code, symbols): (Vec<_>, Vec<_>) = kept
        .filter(|path| path.extension().is_some_and(|end| end == "cwasm" || end == "wasm"))
        .partition(|path| path.extension().is_some_and(|end| end == "cwasm"));
    let names = |paths: &[std::path::PathBuf]| holds(&std::fs::read(&paths[0]).unwrap(), "give_up");
    assert!(!names(&code) && names(&symbols), "what runs has no names, what is kept beside it does");

    let restarted = loader();
    let version = restarted.load(component()).unwrap();
    assert_eq!(version.code_source(), CodeSource::Cached);
    let Symbols::File(path) = version.symbols() else { panic!("symbols are on disk") };
    assert_eq!(path, &symbols[0]);
    let (trap, frames) = crash_of(&version, PANIC, 0);
    let line = line_of("// LINE give_up");
    assert!(frames.iter().any(|frame| frame.line == Some(line)), "line {line} of {frames:#?}");

    // The same as a game's reporter does it, for a version that its loader holds.
    let mut loader = WasmLoader::new(restarted);
    let hash = loader.load(component().into()).unwrap().hash;
    let report = loader.report(crash_with(hash, trap)).to_string();
    assert!(report.contains(&format!("probe::give_up  src/lib.rs:{line}")), "{report}");
    std::fs::remove_file(&symbols[0]).unwrap();
    let (_, bare) = crash_of(&version, PANIC, 0);
    assert!(bare.iter().all(|frame| frame.line.is_none()), "lines come from that file and nowhere else");
}

fn crash_with(version: everwake_runtime::guest::VersionHash, trap: Trap) -> Crash {
    Crash {
        at_ms: 1,
        module: "probe".into(),
        label: "1".into(),
        version,
        handler: "Probe::panic".into(),
        entity: EntityId::default(),
        space: EntityId::default(),
        origin: Origin::Host,
        caller: None,
        session: None,
        args: "[]".into(),
        kind: trap.kind,
        message: trap.message,
        frames: trap.frames,
        log: Vec::new(),
        patch: String::new(),
    }
}

#[test]
fn odd_frames_are_harmless() {
    let odd = [
        RawFrame { module: 0, function: u32::MAX, offset: u32::MAX },
        RawFrame { module: 99, function: 0, offset: 0 },
        RawFrame { module: 0, function: 0, offset: 0 },
    ];
    let frames = loaded().symbols().symbolise(&odd);
    assert_eq!(frames.len(), 3);
    assert_eq!(frames[1], Frame::bare(&odd[1]));
}
