//! What a trap tells its author, though the module runs stripped.

use everwake_runtime::guest::{RawFrame, Trap, TrapKind, Verdict};
use everwake_runtime::wasm::Frame;

use crate::probe::{DIVIDE, PANIC, loaded, run};

const SOURCE: &str = include_str!("../fixtures/probe/src/lib.rs");

/// Line of the only place in the probe's source that contains `text`.
fn line_of(text: &str) -> u32 {
    1 + SOURCE.lines().position(|line| line.contains(text)).unwrap() as u32
}

fn crash(method: u32, amount: u8) -> (Trap, Vec<Frame>) {
    let version = loaded();
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
