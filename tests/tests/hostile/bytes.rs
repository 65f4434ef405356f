//! Files that are no module, published into a game that people play.

use crate::neighbours::{Block, hostile};
use everwake_testkit::Component;
use wasm_encoder::{ComponentImportSection, ComponentTypeRef, ComponentTypeSection, InstanceType};

/// A component that imports empty interfaces under these names.
fn importing(names: &[&str]) -> Vec<u8> {
    let mut types = ComponentTypeSection::new();
    types.instance(&InstanceType::new());
    let mut imports = ComponentImportSection::new();
    for name in names {
        imports.import(*name, ComponentTypeRef::Instance(0));
    }
    let mut component = wasm_encoder::Component::new();
    component.section(&types).section(&imports);
    component.finish()
}

/// Bytes without a meaning, the same in every run.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// What its publisher is told.
fn refusal(block: &mut Block, bytes: Vec<u8>) -> String {
    let report = block.world.publish(&Component(bytes.into()));
    assert!(!report.published, "it was taken: {report:?}");
    assert_ne!(report.exit, 0);
    format!("{} {}", report.summary, report.refusals.join("; "))
}

#[test]
fn who_wants_a_file_system_is_told_what_there_is_not() {
    let mut block = Block::new();
    let foreign = ["wasi:cli/environment@0.2.6", "wasi:filesystem/types@0.2.6"];
    let told = refusal(&mut block, importing(&[foreign[0], "everwake:game/types@0.1.0", foreign[1]]));
    assert!(foreign.iter().all(|name| told.contains(name)) && told.contains("hint:"), "{told}");
    assert!(!told.contains("everwake:game/types"), "what it may import is not to blame: {told}");
    block.others_live("a module for WASI");
}

#[test]
fn what_is_no_component_is_refused() {
    let mut block = Block::new();
    let core_module = wasm_encoder::Module::new().finish();
    let half = hostile().0[..hostile().0.len() / 2].to_vec();
    let mut header = hostile().0[..8].to_vec();
    header.extend(noise(4_096));
    let files = [
        ("a core module", core_module),
        ("nothing", Vec::new()),
        ("noise", noise(4_096)),
        ("a header and noise", header),
        ("half a component", half),
        ("a component without logic", importing(&["everwake:game/types@0.1.0"])),
        ("a script", b"#!/bin/sh\necho hello\n".to_vec()),
    ];
    for (what, bytes) in files {
        let told = refusal(&mut block, bytes);
        assert!(told.len() > 20, "{what}: nothing is said but `{told}`");
        block.others_live(what);
    }
}

/// Whatever comes of it: the game lives, and what is refused changes nothing.
#[test]
fn flipped_bytes_are_refused_or_run_and_break_nothing() {
    let original = &hostile().0;
    let mut refused = 0;
    let mut block = Block::new();
    for step in 1..24 {
        let mut damaged = original.to_vec();
        // Code comes first; what follows is for debuggers, and nobody reads it.
        let place = damaged.len() / 8 * step / 24;
        damaged[place] ^= 0x5a;
        let report = block.world.publish(&Component(damaged.into()));
        if report.published {
            block = Block::new();
        } else {
            refused += 1;
            block.others_live("a damaged component");
        }
    }
    assert!(refused > 0, "no damage was ever found");
}
