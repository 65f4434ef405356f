//! The guests that are held against the contract: the probe in Rust, built once for this binary, and those of other
//! languages that `EVERWAKE_GUESTS` names, built before by `tests/guests`.

use crate::stage::{self, Run};
use everwake_testkit::{Component, Kit, Value, World};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Languages besides Rust that have a probe: name, and the file in which it fails when it is told to trap.
const OTHERS: [(&str, &str); 2] = [("c", "actor.c"), ("javascript", "actor.js")];

/// The probe in one language.
pub(crate) struct Guest {
    /// The language.
    pub(crate) name: &'static str,
    /// The file in which it fails when it is told to trap.
    pub(crate) source: &'static str,
    pub(crate) kit: Kit,
    pub(crate) component: Component,
    runs: Mutex<Runs>,
}

type Runs = BTreeMap<(String, String), Arc<OnceLock<Arc<Run>>>>;

impl Guest {
    fn new(name: &'static str, source: &'static str, kit: Kit, component: Component) -> Self {
        Self { name, source, kit, component, runs: Mutex::default() }
    }

    /// An act in a world of its own; each is run once for all tests.
    pub(crate) fn run(&self, what: &str, end: &str) -> Arc<Run> {
        let cell = {
            let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
            runs.entry((what.to_owned(), end.to_owned())).or_default().clone()
        };
        cell.get_or_init(|| Arc::new(stage::run(&self.kit, &self.component, what, end))).clone()
    }

    /// A tick that ends like this.
    pub(crate) fn run_tick(&self, end: &str) -> Run {
        stage::run_tick(&self.kit, &self.component, end)
    }
}

/// All of them, Rust first.
pub(crate) fn all() -> &'static [Guest] {
    static ALL: OnceLock<Vec<Guest>> = OnceLock::new();
    ALL.get_or_init(|| {
        let kit = Kit::new();
        let component = kit.build(Path::new(env!("CARGO_MANIFEST_DIR")).join("modules/probe"));
        let mut guests = vec![Guest::new("rust", "actor.rs", kit.clone(), component)];
        let named = std::env::var("EVERWAKE_GUESTS").unwrap_or_default();
        for name in named.split(',').filter(|name| !name.is_empty()) {
            let other = OTHERS.iter().find(|(known, _)| *known == name);
            let (name, source) = other.unwrap_or_else(|| panic!("there is no probe in `{name}`: {OTHERS:?}"));
            dig(&kit, &built(&format!("mine-{name}")));
            guests.push(Guest::new(name, source, kit.clone(), built(&format!("probe-{name}"))));
        }
        guests
    })
}

/// The probe in Rust.
pub(crate) fn rust() -> &'static Guest {
    &all()[0]
}

/// What `tests/guests` built. It is named, so it has to be there: nothing is left out silently.
fn built(name: &str) -> Component {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/guests/{name}.wasm"));
    let bytes = std::fs::read(&file);
    let bytes =
        bytes.unwrap_or_else(|error| panic!("`{}`: {error}\nhint: run `tests/guests`", file.display()));
    Component(bytes.into())
}

/// Plays the example of a language's README: it is what people try first.
fn dig(kit: &Kit, example: &Component) {
    let mut world = World::new(kit).module(example).start();
    let player = world.connect("mine");
    let coins = world.call(player, "dig", &[]);
    assert!(matches!(coins, Ok(Value::Int(1..=6))), "{coins:?}; {:?}", world.take_crashes());
    assert_eq!(coins.unwrap(), world.attribute(player, "coins"));
    assert_eq!(world.attribute(player, "picks"), Value::Int(3));
}
