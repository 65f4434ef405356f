//! Types are resolved and compared.

use super::*;
use crate::versions::samples::fields;
use proptest::prelude::*;

fn definitions(list: &[(&str, Shape)]) -> (Definitions, Vec<(String, ResolveError)>) {
    let list: Vec<_> =
        list.iter().map(|(name, shape)| Definition { name: (*name).into(), shape: shape.clone() }).collect();
    Definitions::new(&list, BTreeSet::from(["Avatar".to_owned()]))
}

fn resolved(list: &[(&str, Shape)], text: &str) -> Structure {
    let (definitions, failures) = definitions(list);
    assert_eq!(failures, []);
    definitions.resolve(&text.parse().unwrap()).unwrap().0
}

fn record(pairs: &[(&str, &str)]) -> Shape {
    Shape::Record(fields(pairs))
}

fn cases(pairs: &[(&str, &str)]) -> Shape {
    Shape::Cases(fields(pairs))
}

#[test]
fn signatures_have_no_names_of_definitions_no_secrets_and_no_optional_tail() {
    let list = [
        ("Item", record(&[("name", "secret<string>"), ("wear", "u8"), ("note", "option<string>")])),
        ("Mode", cases(&[("idle", "unit"), ("hunting", "ref<Avatar>")])),
    ];
    let signature = resolved(&list, "map<string, tuple<Item, Mode>>").signature();
    assert_eq!(signature, "map<string,tuple<{name:string;wear:u8;},(idle:unit;hunting:ref<Avatar>;)>>");
}

#[test]
fn what_does_not_resolve_says_why() {
    let (good, failures) = definitions(&[
        ("Loop", record(&[("next", "option<Other>")])),
        ("Other", record(&[("back", "list<Loop>")])),
        ("Lost", record(&[("what", "Nothing")])),
        ("Fine", record(&[("x", "f32")])),
    ]);
    assert_eq!(
        failures,
        [
            ("Loop".into(), ResolveError::Cycle("Loop".into())),
            ("Other".into(), ResolveError::Cycle("Loop".into())),
            ("Lost".into(), ResolveError::Unknown("Nothing".into())),
        ]
    );
    let resolve = |text: &str| good.resolve(&text.parse().unwrap());
    assert!(resolve("list<Fine>").is_ok());
    assert_eq!(resolve("ref<Fine>"), Err(ResolveError::UnknownRef("Fine".into())));
    assert_eq!(resolve("map<f32, i8>"), Err(ResolveError::Key("f32".into())));
    assert_eq!(resolve("map<tuple<u8, ref<Avatar>>, i8>").map(|(_, parts)| parts), Ok(5));
}

#[test]
fn definitions_that_double_or_nest_are_cut_short() {
    let names: Vec<_> = (0..40).map(|level| format!("L{level}")).collect();
    let doubling: Vec<_> = (0..40)
        .map(|level| {
            let inner = names.get(level + 1).map_or("u8", String::as_str);
            (names[level].as_str(), record(&[("a", inner), ("b", inner)]))
        })
        .collect();
    let (_, failures) = definitions(&doubling);
    assert!(failures.iter().any(|(_, error)| *error == ResolveError::TooLarge));
    assert!(failures.iter().any(|(_, error)| *error == ResolveError::TooDeep));
}

#[test]
fn relations_between_types() {
    use Relation::{Different, Grown, Same, Shrunk};
    let list = [
        ("Item", record(&[("name", "string")])),
        ("Worn", record(&[("name", "string"), ("wear", "u8")])),
        ("Renamed", record(&[("title", "string")])),
        ("Two", cases(&[("a", "unit"), ("b", "Item")])),
        ("Three", cases(&[("a", "unit"), ("b", "Worn"), ("c", "unit")])),
        ("Mixed", cases(&[("a", "unit"), ("b", "Item"), ("c", "unit")])),
    ];
    for (old, new, relation) in [
        ("i32", "i32", Same),
        ("i32", "secret<i32>", Same),
        ("i32", "i64", Grown),
        ("u8", "i16", Grown),
        ("i8", "u64", Different),
        ("u64", "i64", Different),
        ("f32", "f64", Different),
        ("i64", "string", Different),
        ("id", "ref<Avatar>", Different),
        ("string", "option<string>", Grown),
        ("option<string>", "string", Shrunk),
        ("unit", "option<unit>", Different),
        ("option<string>", "option<option<string>>", Different),
        ("list<Item>", "list<Worn>", Grown),
        ("map<string, Worn>", "map<string, Item>", Shrunk),
        ("map<u8, i8>", "map<u16, i8>", Different),
        ("Item", "Renamed", Different),
        ("Two", "Three", Grown),
        ("Three", "Mixed", Shrunk),
        ("tuple<Item, Worn>", "tuple<Worn, Item>", Different),
        ("list<u8>", "any", Grown),
    ] {
        let (old, new) = (resolved(&list, old), resolved(&list, new));
        assert_eq!(Relation::between(&old, &new), relation, "{old} to {new}");
        let back = match relation {
            Grown => Shrunk,
            Shrunk => Grown,
            other => other,
        };
        assert_eq!(Relation::between(&new, &old), back, "{new} to {old}");
    }
}

proptest! {
    #[test]
    fn any_definitions_end(parts in proptest::collection::vec((0usize..8, 0usize..8, any::<bool>()), 1..8)) {
        let names: Vec<_> = (0..8).map(|place| format!("D{place}")).collect();
        let list: Vec<_> = parts
            .iter()
            .enumerate()
            .map(|(place, (one, other, is_record))| {
                let members = [("a", names[*one].as_str()), ("b", names[*other].as_str())];
                (names[place].as_str(), if *is_record { record(&members) } else { cases(&members) })
            })
            .collect();
        let (definitions, failures) = definitions(&list);
        let failed: BTreeSet<_> = failures.iter().map(|(name, _)| name.as_str()).collect();
        for (name, _) in &list {
            let resolves = definitions.resolve(&name.parse().unwrap()).is_ok();
            prop_assert_eq!(resolves, !failed.contains(name));
        }
    }
}
