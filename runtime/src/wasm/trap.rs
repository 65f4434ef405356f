//! What the engine says when an instance dies, turned into [`Trap`].

use std::ops::Range;

use wasmtime::{Trap as EngineTrap, WasmBacktrace};

use super::state::InstanceState;
use crate::guest::{Misuse, RawFrame, Trap, TrapKind};

/// Classifies an error that ended a call, or kept an instance from being made.
pub(super) fn classify(error: &wasmtime::Error, state: &InstanceState, modules: &[Range<usize>]) -> Trap {
    let frames =
        error.downcast_ref::<WasmBacktrace>().map(|trace| frames(trace, modules)).unwrap_or_default();
    if let Some(Misuse(message)) = error.downcast_ref::<Misuse>() {
        return Trap { kind: TrapKind::Misuse, message: message.clone(), frames };
    }
    let kind = match error.downcast_ref::<EngineTrap>() {
        Some(EngineTrap::StackOverflow) => TrapKind::Stack,
        Some(EngineTrap::Interrupt | EngineTrap::OutOfFuel) => TrapKind::TimedOut,
        _ if state.memory.denied => TrapKind::Memory,
        _ => TrapKind::Fault,
    };
    let message = match kind {
        TrapKind::TimedOut => "the event used up its time".into(),
        TrapKind::Stack => "the stack is exhausted: endless recursion?".into(),
        TrapKind::Memory => format!("the memory limit is reached ({} bytes in use)", state.memory.bytes),
        _ => state.last_words.clone().unwrap_or_else(|| first_line(error)),
    };
    Trap { kind, message, frames }
}

/// The cause alone: its context repeats the frames.
fn first_line(error: &wasmtime::Error) -> String {
    let cause = error.root_cause().to_string();
    let line = cause.lines().next().unwrap_or_default();
    line.strip_prefix("wasm trap: ").unwrap_or(line).to_owned()
}

/// The engine counts bytes from the start of the component.
fn frames(trace: &WasmBacktrace, modules: &[Range<usize>]) -> Vec<RawFrame> {
    let frames = trace.frames().iter().filter_map(|frame| {
        let place = frame.module_offset()?;
        let module = modules.partition_point(|module| module.end <= place);
        let offset = place.checked_sub(modules.get(module)?.start)?;
        Some(RawFrame {
            module: u32::try_from(module).ok()?,
            function: frame.func_index(),
            offset: u32::try_from(offset).ok()?,
        })
    });
    frames.collect()
}
