//! Small ids over a row of versions.

use super::*;
use crate::manifest::{Exposure, Manifest};
use crate::versions::samples::{attribute, checked, fields, method, module};
use crate::versions::{MethodKey, MethodLookup, Relation, Structure};
use everwake_protocol::schema::Shape;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Publishes one version after the other.
struct Story {
    lineage: Lineage,
    versions: Vec<ModuleVersion>,
}

impl Story {
    fn new() -> Story {
        Story { lineage: Lineage::new("yard"), versions: Vec::new() }
    }

    fn publish(&mut self, manifest: Manifest) -> &ModuleVersion {
        let generation = self.lineage.generation() + 1;
        let hash = VersionHash([generation as u8; 32]);
        let (lineage, version) = self.lineage.publish(checked(manifest), hash, generation).unwrap();
        self.lineage = lineage;
        self.versions.push(version);
        self.versions.last().unwrap()
    }
}

fn attribute_ids(version: &ModuleVersion) -> Vec<u32> {
    version.types[0].attributes.iter().map(|attribute| attribute.id).collect()
}

fn renamed(mut attribute: crate::manifest::Attribute, was: &str) -> crate::manifest::Attribute {
    attribute.was = was.into();
    attribute
}

#[test]
fn the_first_version_has_its_indexes_as_ids() {
    let mut story = Story::new();
    let two = vec![attribute("hp", "i64", &[0x00]), attribute("name", "string", &[0x60])];
    let version = story.publish(module(two, vec![method("hit", &[]), method("heal", &[])]));
    assert_eq!(attribute_ids(version), [0, 1]);
    assert!(version.types[0].identity);
    assert_eq!(version.types[0].methods.iter().map(|method| method.id).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(version.types[0].client_methods, [2]);
}

#[test]
fn ids_follow_names_renames_and_growth_and_nothing_else() {
    let mut story = Story::new();
    let hp = |text: &str| attribute("hp", text, &[0x00]);
    let name = || attribute("name", "string", &[0x60]);
    assert_eq!(attribute_ids(story.publish(module(vec![hp("i32"), name()], vec![]))), [0, 1]);
    // Another order, a wider type.
    let grown = story.publish(module(vec![name(), hp("i64")], vec![]));
    assert_eq!(attribute_ids(grown), [1, 0]);
    assert!(!grown.types[0].identity);
    assert_eq!(grown.types[0].attribute_by_id, BTreeMap::from([(0, 1), (1, 0)]));
    // A rename; the former name is a new attribute now.
    let title = || attribute("title", "string", &[0x60]);
    assert_eq!(attribute_ids(story.publish(module(vec![renamed(title(), "name")], vec![]))), [1]);
    assert_eq!(attribute_ids(story.publish(module(vec![title(), name()], vec![]))), [1, 2]);
    // Another type, and another shape.
    assert_eq!(attribute_ids(story.publish(module(vec![attribute("hp", "string", &[0x60])], vec![]))), [3]);
    assert_eq!(
        attribute_ids(story.publish(module(vec![attribute("hp", "list<i64>", &[0x80])], vec![]))),
        [4]
    );
    // A type that was there before finds its id, though it is narrower than what came after.
    let back = story.publish(module(vec![hp("i32")], vec![]));
    assert_eq!(attribute_ids(back), [0]);
    assert_eq!(back.types[0].attribute_ids, 5);
    let told = &back.schema.types[0].attributes;
    let told: Vec<_> = told.iter().map(|line| (line.id, line.type_text.as_str(), line.live)).collect();
    let dead = [(1, "string", false), (2, "string", false), (3, "string", false), (4, "list<i64>", false)];
    assert_eq!(told[0], (0, "i64", true));
    assert_eq!(told[1..], dead);
}

#[test]
fn methods_keep_their_keys_while_old_arguments_are_read() {
    let mut story = Story::new();
    let first = story.publish(module(vec![], vec![method("say", &[("text", "string")])]));
    let (id, key) = (first.types[0].methods[0].id, first.types[0].methods[0].key);
    // Optional parameters do not even change the hash, others do; the method is the same.
    for grown in [
        &[("text", "string"), ("volume", "option<f32>")][..],
        &[("text", "option<string>"), ("volume", "option<f32>")],
    ] {
        let version = story.publish(module(vec![], vec![method("say", grown)]));
        assert_eq!((version.types[0].methods[0].id, version.types[0].methods[0].key), (id, key));
    }
    let mut speak = method("speak", &[("text", "string")]);
    speak.was = "say".into();
    let renamed = story.publish(module(vec![], vec![speak]));
    assert_eq!(renamed.types[0].methods[0].id, id);
    assert_eq!(renamed.types[0].method(key), MethodLookup::Found(0));
    let other = story.publish(module(vec![], vec![method("say", &[("text", "i64")])]));
    assert_ne!(other.types[0].methods[0].id, id);
    assert_eq!(other.types[0].method(key), MethodLookup::OtherSignature);
    let gone = story.publish(module(vec![], vec![]));
    assert_eq!(gone.types[0].method(key), MethodLookup::Unknown);
    let schema = &gone.schema.types[0].methods;
    assert_eq!(
        schema.iter().map(|line| (line.name.as_str(), line.live)).collect::<Vec<_>>(),
        [("speak", false), ("say", false)]
    );
}

#[test]
fn a_method_cannot_take_the_key_of_another_live_one() {
    let mut story = Story::new();
    story.publish(module(vec![], vec![method("say", &[])]));
    let mut speak = method("speak", &[]);
    speak.was = "say".into();
    story.publish(module(vec![], vec![speak]));
    let both = checked(module(vec![], vec![method("speak", &[]), method("say", &[])]));
    let refused = story.lineage.publish(both, VersionHash([9; 32]), 3).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "method `Avatar.say` has the former name and signature of `Avatar.speak`; hint: choose another name"
    );
}

#[test]
fn clients_are_told_of_nothing_that_is_not_theirs() {
    let mut secret = attribute("password", "Item", &[0x80]);
    secret.flags.all_clients = false;
    let mut admin = method("ban", &[("item", "Item")]);
    admin.exposure = Exposure::Operator;
    let mut story = Story::new();
    let version = story.publish(module(vec![secret, attribute("mode", "Mode", &[0x00])], vec![admin]));
    let avatar = &version.schema.types[0];
    assert_eq!(avatar.attributes.iter().map(|line| line.id).collect::<Vec<_>>(), [1]);
    assert_eq!(avatar.methods, []);
    assert_eq!(avatar.client_methods[0].name, "shown");
    assert_eq!(version.schema.definitions.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["Mode"]);
}

#[test]
fn dead_attributes_of_changed_definitions_are_any() {
    let mut story = Story::new();
    story.publish(module(vec![attribute("bag", "list<Item>", &[0x80])], vec![]));
    let mut manifest = module(vec![], vec![]);
    manifest.definitions[0].shape = Shape::Record(fields(&[("count", "u8")]));
    let version = story.publish(manifest);
    assert_eq!(version.schema.types[0].attributes[0].type_text, "any");
}

#[test]
fn lineages_survive_serde_and_refuse_what_does_not_follow() {
    let mut story = Story::new();
    story.publish(module(vec![attribute("hp", "i64", &[0x00])], vec![method("hit", &[])]));
    let text = serde_json::to_string(&story.lineage).unwrap();
    assert_eq!(serde_json::from_str::<Lineage>(&text).unwrap(), story.lineage);

    let publish = |manifest: Manifest, generation| {
        story.lineage.publish(checked(manifest), VersionHash([0; 32]), generation).unwrap_err().to_string()
    };
    assert_eq!(publish(module(vec![], vec![]), 1), "generation 1 does not follow generation 1");
    let mut other = module(vec![], vec![]);
    other.name = "chat".into();
    assert_eq!(publish(other, 2), "the module is called `chat`; the versions before it are called `yard`");
    let mut foreign = module(vec![], vec![]);
    foreign.types[0].boot = false;
    foreign.types[0].client_methods.clear();
    foreign.types[0].kind = TypeKind::Foreign;
    assert!(publish(foreign, 2).starts_with("type `Avatar` was foreign and is not any more"));
}

const TYPES: [(&str, &[u8]); 7] = [
    ("i32", &[0x00]),
    ("i64", &[0x00]),
    ("option<i64>", &[0xf6]),
    ("string", &[0x60]),
    ("list<i64>", &[0x80]),
    ("list<any>", &[0x80]),
    ("Item", &[0x80]),
];

/// Up to four attributes `a` to `d`, each with a type, some renamed from a name that is free.
fn any_version() -> impl Strategy<Value = Manifest> {
    let slot = proptest::option::of((0..TYPES.len(), proptest::option::of(0usize..4)));
    (proptest::collection::vec(slot.clone(), 4), proptest::collection::vec(slot, 4), 1usize..4).prop_map(
        |(attributes, methods, item_fields)| {
            const NAMES: [&str; 4] = ["a", "b", "c", "d"];
            let former = |slots: &[Option<(usize, Option<usize>)>], place: usize| {
                let (_, was) = slots[place]?;
                let was = was.filter(|was| slots[*was].is_none())?;
                let first = slots.iter().flatten().position(|(_, other)| *other == Some(was));
                (first == slots[..place].iter().flatten().count().into()).then_some(NAMES[was])
            };
            let of = |slots: &[Option<(usize, Option<usize>)>]| -> Vec<(usize, &str, &str)> {
                let there = (0..4).filter_map(|place| slots[place].map(|(kind, _)| (kind, place)));
                there.map(|(kind, place)| (kind, NAMES[place], former(slots, place).unwrap_or(""))).collect()
            };
            let attributes = of(&attributes)
                .into_iter()
                .map(|(kind, name, was)| renamed(attribute(name, TYPES[kind].0, TYPES[kind].1), was));
            let methods = of(&methods).into_iter().map(|(kind, name, was)| {
                let mut method = method(name, &[("x", TYPES[kind].0)]);
                method.was = was.into();
                method
            });
            let mut manifest = module(attributes.collect(), methods.collect());
            let all = [("name", "string"), ("wear", "u8"), ("note", "option<string>")];
            manifest.definitions[0].shape = Shape::Record(fields(&all[..item_fields]));
            manifest
        },
    )
}

proptest! {
    #[test]
    fn ids_never_change_their_meaning(manifests in proptest::collection::vec(any_version(), 1..10)) {
        let mut lineage = Lineage::new("yard");
        // Everything that was ever written under an attribute id; every name of a method id.
        let mut written: BTreeMap<u32, Vec<Structure>> = BTreeMap::new();
        let mut keys: BTreeMap<MethodKey, u32> = BTreeMap::new();
        let mut ids_before = 0;
        for (place, manifest) in manifests.into_iter().enumerate() {
            let checked = checked(manifest);
            let generation = place as u32 + 1;
            let (next, version) = match lineage.publish(checked.clone(), VersionHash([0; 32]), generation) {
                Ok(published) => published,
                Err(LineageError::KeyTaken { .. }) => continue,
                Err(other) => return Err(TestCaseError::fail(other.to_string())),
            };
            lineage = next;
            let table = &version.types[0];
            prop_assert_eq!(table.attribute_by_id.len(), table.attributes.len(), "an id is used twice");
            prop_assert_eq!(table.method_by_id.len(), table.methods.len(), "an id is used twice");
            prop_assert!(table.attribute_ids >= ids_before);
            ids_before = table.attribute_ids;
            for attribute in &table.attributes {
                written.entry(attribute.id).or_default().push((*attribute.structure).clone());
            }
            // The newest schema reads all that any version wrote under an id.
            let told: BTreeMap<_, _> =
                version.schema.types[0].attributes.iter().map(|line| (line.id, line)).collect();
            for (id, structures) in &written {
                let text = &told[id].type_text;
                let newest = checked.resolve(text).unwrap();
                for old in structures {
                    let relation = Relation::between(old, &newest);
                    prop_assert!(matches!(relation, Relation::Same | Relation::Grown), "{id}: {old} to {newest}");
                }
                prop_assert_eq!(told[id].live, table.attribute_by_id.contains_key(id));
            }
            for (index, method) in table.methods.iter().enumerate() {
                prop_assert_eq!(table.method(method.key), MethodLookup::Found(index as u32));
                prop_assert_eq!(*keys.entry(method.key).or_insert(method.id), method.id);
            }
        }
    }
}
