//! The module loader: random modules, random components, and a real one with bytes changed. What loads can say what
//! it is; nothing else happens.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use everwake_runtime::wasm::{Engine, EngineConfig, Loader};
use std::path::Path;
use std::sync::OnceLock;

/// Most bytes of the real component that one input changes.
const CHANGES_MAX: usize = 64;

struct Bench {
    loader: Loader,
    component: Vec<u8>,
}

fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| {
        let engine = Engine::new(EngineConfig::repeatable()).expect("an engine");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/yard");
        let built = everwake_builder::build(&source, everwake_builder::Profile::Release, &mut |_| {});
        Bench { loader: Loader::new(engine), component: built.expect("the sample builds").bytes }
    })
}

fn changed(component: &[u8], input: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    let mut bytes = component.to_vec();
    for _ in 0..input.int_in_range(1..=CHANGES_MAX)? {
        let at = input.choose_index(bytes.len())?;
        bytes[at] = u8::arbitrary(input)?;
    }
    if bool::arbitrary(input)? {
        bytes.truncate(input.choose_index(bytes.len())?);
    }
    Ok(bytes)
}

fn module(input: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    match input.int_in_range(0..=2)? {
        0 => Ok(wasm_smith::Module::new(wasm_smith::Config::default(), input)?.to_bytes()),
        1 => Ok(wasm_smith::Component::new(wasm_smith::Config::default(), input)?.to_bytes()),
        _ => changed(&bench().component, input),
    }
}

libfuzzer_sys::fuzz_target!(init: { bench(); }, |bytes: &[u8]| {
    if let Ok(module) = module(&mut Unstructured::new(bytes)) {
        let _ = bench().loader.load(&module);
    }
});
