//! Manifests that break one rule each, and what they are told.

use super::*;
use crate::versions::samples::{attribute, checked, fields, method, module};
use everwake_protocol::schema::Shape;
use proptest::prelude::*;

fn problems(change: impl FnOnce(&mut Manifest)) -> String {
    let mut manifest =
        module(vec![attribute("hp", "i64", &[0x00])], vec![method("hit", &[("damage", "i64")])]);
    change(&mut manifest);
    let errors = manifest.check(&ManifestLimits::default()).err().unwrap_or_default();
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_good_manifest_passes_and_its_texts_become_canonical() {
    let mut manifest = module(vec![attribute("bag", "map<string,list< Item >>", &[0xa0])], vec![]);
    manifest.capabilities = vec!["key-value".into()];
    let checked = checked(manifest);
    assert_eq!(checked.manifest().types[0].attributes[0].type_text, "map<string, list<Item>>");
    assert_eq!(checked.types()[0].attributes[0].signature(), "map<string,list<{name:string;wear:u8;}>>");
}

type Change = fn(&mut Manifest);

const BROKEN: &[(Change, &str)] = &[
    (|m| m.name = "Yard".into(), "module `Yard`: a module's name has 1 to 64 characters of `a-z 0-9 -`"),
    (|m| m.label = "x".repeat(65), "module `yard`: the label is longer than 64 bytes"),
    (|m| m.types.clear(), "module `yard`: there are no types; at least one is needed"),
    (|m| m.event_budget_ms = 60_000, "module `yard`: `event-budget-ms` is 60000; 0 to 1000 is allowed"),
    (
        |m| m.capabilities = vec!["files".into()],
        "capability `files`: the capability does not exist; there are `key-value` and `broadcast`",
    ),
    (
        |m| {
            let mut second = m.types[0].clone();
            second.name = "Account".into();
            m.types.push(second);
        },
        "module `yard`: types `Avatar`, `Account` say `boot`; at most one type of a module may",
    ),
    (
        |m| m.types[0].name = "Item".into(),
        "definition `Item`: the name is taken by another one of the types and definitions",
    ),
    (
        |m| m.definitions[0].name = "list".into(),
        "definition `list`: the name is a word of the type language; choose another one",
    ),
    (
        |m| m.types[0].name = "A b".into(),
        "type `A b`: the name has 1 to 64 letters, digits and `_`, and does not start with a digit",
    ),
    (
        |m| m.definitions[1].shape = Shape::Cases(vec![]),
        "definition `Mode`: there are no cases; at least one is needed",
    ),
    (
        |m| m.definitions[0].shape = Shape::Record(fields(&[("inner", "Item")])),
        "definition `Item`: `Item` contains itself; use `ref<>` or `bytes` to break the cycle",
    ),
    (|m| m.types[0].shards = 2, "type `Avatar`: `shards` does not go with kind `entity`"),
    (
        |m| {
            m.types[0].kind = TypeKind::Service;
            m.types[0].boot = false;
        },
        "type `Avatar`: `shards` is 0; 1 to 1024 is allowed",
    ),
    (
        |m| m.types[0].ticks_per_second = f32::NAN,
        "type `Avatar`: `ticks-per-second` is NaN; 0, or 0.1 to 60 is allowed",
    ),
    (
        |m| m.types[0].ticks_per_second = 1e-20,
        "type `Avatar`: `ticks-per-second` is 0.00000000000000000001; 0, or 0.1 to 60 is allowed",
    ),
    (
        |m| m.types[0].aoi_radius = Some(0.0),
        "type `Avatar`: `aoi-radius` is 0; more than 0 and at most 10000 is allowed",
    ),
    (|m| m.types[0].hooks = 1 << 30, "type `Avatar`: hook 30 does not exist; the hooks are 0 to 21"),
    (
        |m| m.types[0].attributes[0].flags.persistent = true,
        "attribute `Avatar.hp`: `persistent` needs a persistent type",
    ),
    (
        |m| m.types[0].attributes[0].flags.secret = true,
        "attribute `Avatar.hp`: `secret` and `all-clients` contradict each other",
    ),
    (
        |m| m.types[0].attributes[0].type_text = "secret<i64>".into(),
        "attribute `Avatar.hp`: clients would see a `secret<>`",
    ),
    (
        |m| m.types[0].client_methods[0].parameters[0].type_text = "list<secret<string>>".into(),
        "client method `Avatar.shown`: clients would see a `secret<>`",
    ),
    (
        |m| m.types[0].methods[0].returns = "option<secret<bytes>>".into(),
        "result of method `Avatar.hit`: an answer cannot have a `secret<>`: answers are kept in recordings",
    ),
    (
        |m| m.types[0].attributes[0].initial = Bytes::from_static(&[0xf6]),
        "attribute `Avatar.hp`: the initial value is not of type `i64`: expected `i64`",
    ),
    (
        |m| m.types[0].attributes[0].type_text = "list<".into(),
        "attribute `Avatar.hp`: at byte 5: a type is expected here",
    ),
    (
        |m| m.types[0].attributes[0].type_text = "ref<Monster>".into(),
        "attribute `Avatar.hp`: `ref<Monster>` names no type of this manifest; a type of another module is listed with kind `foreign`",
    ),
    (
        |m| m.types[0].attributes[0].was = "hp".into(),
        "attribute `Avatar.hp`: the former name `hp` is still in use",
    ),
    (
        |m| m.types[0].methods[0].returns = "Nothing".into(),
        "result of method `Avatar.hit`: `Nothing` is neither a built-in type nor a definition of this manifest",
    ),
    (
        |m| m.types[0].methods[0].parameters[0].type_text = "9".into(),
        "parameter `damage` of method `Avatar.hit`: at byte 0: a type is expected here",
    ),
    (
        |m| {
            m.types[0].methods[0].exposure = Exposure::Server;
            m.types[0].methods[0].calls_per_minute = 5;
        },
        "method `Avatar.hit`: `calls-per-minute` needs a method that clients may call",
    ),
    (
        |m| {
            let again = m.types[0].methods[0].clone();
            m.types[0].methods.push(again);
        },
        "method `Avatar.hit`: the name is taken by another one of its kind in the type",
    ),
    (
        |m| {
            m.types[0].kind = TypeKind::Foreign;
            m.types[0].boot = false;
            m.types[0].client_methods.clear();
        },
        "type `Avatar`: an attribute does not go with kind `foreign`",
    ),
];

#[test]
fn every_broken_rule_names_the_thing_and_what_is_allowed() {
    for (change, expected) in BROKEN {
        assert_eq!(problems(change), *expected);
    }
}

#[test]
fn what_is_too_much_is_refused_before_it_costs_memory() {
    let many = problems(|m| m.types = vec![m.types[0].clone(); 300]);
    assert!(many.contains("module `yard`: there are 300 types; at most 256 are allowed"), "{many}");
    assert!(many.lines().count() <= 65, "errors are limited");
    let wide: Vec<_> = (0..60).map(|place| format!("f{place}")).collect();
    let parts = problems(|m| {
        let pairs: Vec<_> =
            wide.iter().map(|name| (name.as_str(), "tuple<u8, u8, u8, u8, u8, u8, u8, u8>")).collect();
        m.definitions[0].shape = Shape::Record(fields(&pairs));
        m.types[0].attributes = (0..250).map(|n| attribute(&format!("a{n}"), "Item", &[0x80])).collect();
    });
    assert!(parts.contains("parts; at most 65536 are allowed"), "{parts}");
}

proptest! {
    #[test]
    fn no_texts_make_the_check_panic(
        names in proptest::collection::vec(".{0,12}", 6),
        text in "[a-zA-Z<>, ]{0,24}",
        initial in proptest::collection::vec(any::<u8>(), 0..8),
        numbers in any::<(u32, f32, u32)>(),
    ) {
        let mut manifest = module(vec![attribute(&names[0], &text, &initial)], vec![method(&names[1], &[(&names[2], &text)])]);
        manifest.name.clone_from(&names[3]);
        manifest.types[0].attributes[0].was.clone_from(&names[4]);
        manifest.definitions[0].shape = Shape::Record(fields(&[(&names[5], &text)]));
        manifest.types[0].hooks = numbers.0;
        manifest.types[0].ticks_per_second = numbers.1;
        manifest.memory_bytes = numbers.2;
        if let Err(errors) = manifest.check(&ManifestLimits::default()) {
            prop_assert!(!errors.is_empty() && errors.iter().all(|error| error.to_string().len() < 3_000));
        }
    }
}
