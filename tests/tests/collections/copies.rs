//! Changes in no particular order, and the four copies after each event.

use bags::{Change, Item, Key, ListChange, MapChange, Plain, written};
use everwake_protocol::attributes::Slot;
use everwake_testkit::{Component, Kit, Player, Value, World};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::cell::RefCell;
use std::path::Path;
use std::sync::OnceLock;

/// Attributes of the entity, in the order of their declaration.
const ATTRIBUTES: [&str; 3] = ["list", "map", "deep"];

fn built() -> &'static (Kit, Component) {
    static BUILT: OnceLock<(Kit, Component)> = OnceLock::new();
    BUILT.get_or_init(|| {
        let kit = Kit::new();
        let component = kit.build(Path::new(env!("CARGO_MANIFEST_DIR")).join("modules/bags"));
        (kit, component)
    })
}

/// Draws values outside of a property.
#[derive(Default)]
pub(crate) struct Drawn(RefCell<TestRunner>);

impl Drawn {
    pub(crate) fn of<T: std::fmt::Debug>(&self, strategy: impl Strategy<Value = T>) -> T {
        strategy.new_tree(&mut self.0.borrow_mut()).unwrap().current()
    }
}

fn item() -> impl Strategy<Value = Item> {
    // Few different ones, so that equal writes occur.
    ("[ab]{0,2}", 0..4u8).prop_map(|(name, wear)| Item { name, wear })
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    prop::collection::vec(item(), 0..5)
}

fn key() -> impl Strategy<Value = Key> {
    // Negative numbers and texts of other lengths: the order of keys is not that of bytes.
    (-2..3i32, "[ab]{0,2}")
}

fn entries() -> impl Strategy<Value = Vec<(Key, Item)>> {
    prop::collection::vec((key(), item()), 0..5)
}

pub(crate) fn list_change() -> impl Strategy<Value = ListChange> {
    let (at, wear) = (|| 0..9u32, || 0..4u8);
    let in_place = prop_oneof![
        (at(), wear()).prop_map(|(at, wear)| ListChange::GetMut(at, wear)),
        wear().prop_map(ListChange::FirstMut),
        wear().prop_map(ListChange::LastMut),
        wear().prop_map(ListChange::IterMut),
        wear().prop_map(ListChange::IntoIter),
        (at(), wear()).prop_map(|(at, wear)| ListChange::IndexMut(at, wear)),
    ];
    let moving = prop_oneof![
        (at(), at()).prop_map(|(a, b)| ListChange::Swap(a, b)),
        Just(ListChange::Reverse),
        Just(ListChange::Sort),
        Just(ListChange::SortByKey),
        Just(ListChange::SortBy),
    ];
    let growing = prop_oneof![
        item().prop_map(ListChange::Push),
        (at(), item()).prop_map(|(at, item)| ListChange::Insert(at, item)),
        items().prop_map(ListChange::Extend),
        items().prop_map(ListChange::From),
        items().prop_map(ListChange::FromIter),
    ];
    let shrinking = prop_oneof![
        Just(ListChange::Pop),
        at().prop_map(ListChange::Remove),
        at().prop_map(ListChange::SwapRemove),
        wear().prop_map(ListChange::Retain),
        at().prop_map(ListChange::Truncate),
        Just(ListChange::Clear),
        (at(), at()).prop_map(|(a, b)| ListChange::Drain(a, b)),
        Just(ListChange::Take),
    ];
    prop_oneof![2 => in_place, 1 => moving, 4 => growing, 2 => shrinking]
}

pub(crate) fn map_change() -> impl Strategy<Value = MapChange> {
    let wear = || 0..4u8;
    let in_place = prop_oneof![
        (key(), wear()).prop_map(|(key, wear)| MapChange::GetMut(key, wear)),
        wear().prop_map(MapChange::IterMut),
        wear().prop_map(MapChange::IntoIter),
        wear().prop_map(MapChange::ValuesMut),
        (key(), wear()).prop_map(|(key, wear)| MapChange::RangeMut(key, wear)),
    ];
    let growing = prop_oneof![
        (key(), item()).prop_map(|(key, item)| MapChange::Insert(key, item)),
        (key(), wear()).prop_map(|(key, wear)| MapChange::Entry(key, wear)),
        entries().prop_map(MapChange::Extend),
        entries().prop_map(MapChange::From),
        entries().prop_map(MapChange::FromIter),
    ];
    let shrinking = prop_oneof![
        key().prop_map(MapChange::Remove),
        wear().prop_map(MapChange::Retain),
        Just(MapChange::PopFirst),
        Just(MapChange::PopLast),
        Just(MapChange::Clear),
        Just(MapChange::Take),
    ];
    prop_oneof![2 => in_place, 4 => growing, 2 => shrinking]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => list_change().prop_map(Change::List),
        4 => map_change().prop_map(Change::Map),
        2 => (-2..3i64, list_change()).prop_map(|(key, change)| Change::Deep(key, change)),
        1 => (-2..3i64).prop_map(Change::DeepRemove),
    ]
}

fn value(item: &[u8]) -> Value {
    Value::decode(item).unwrap()
}

/// The host's copy, attribute by attribute.
fn of_host(world: &mut World, player: Player) -> Vec<Value> {
    let own = world.own(player);
    for space in world.game().spaces() {
        let snapshot = world.game().with_space(space, |core| core.snapshot()).flatten().unwrap();
        if let Some(entity) = snapshot.entities.iter().find(|entity| entity.id == own) {
            let attributes = &entity.body.attributes;
            return (0u32..).zip(ATTRIBUTES).map(|(id, name)| of_slot(attributes.slot(id), name)).collect();
        }
    }
    panic!("the entity is nowhere")
}

fn of_slot(slot: &Slot, name: &str) -> Value {
    match slot {
        Slot::Absent if name == "list" => Value::List(Vec::new()),
        Slot::Absent => Value::Map(Vec::new()),
        slot => {
            let mut out = Vec::new();
            slot.encode(&mut out);
            value(&out)
        }
    }
}

fn start() -> (World, Player) {
    let (kit, component) = built();
    let mut world = World::new(kit).seed(2).module(component).start();
    let player = world.connect("bags");
    world.advance(std::time::Duration::from_millis(200));
    (world, player)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn host_mirror_and_plain_copy_are_the_same(
        events in prop::collection::vec((prop::collection::vec(change(), 1..8), prop::bool::weighted(0.15)), 1..12),
    ) {
        let (mut world, player) = start();
        let mut plain = Plain::default();
        for (changes, fails) in events {
            let mut changed = plain.clone();
            changes.iter().for_each(|change| changed.change(change.clone()));
            let answer = world.call(player, "change", &[value(&written(&changes)), Value::Bool(fails)]);
            prop_assert_eq!(answer.is_err(), fails);
            if !fails {
                plain = changed;
            }
            // Deltas are told at intervals.
            world.advance(std::time::Duration::from_millis(200));
            let expected = [written(&plain.list), written(&plain.map), written(&plain.deep)].map(|it| value(&it));
            let mirror = ATTRIBUTES.map(|name| world.attribute(player, name));
            prop_assert_eq!(&mirror[..], &expected[..], "the client's mirror after {:?}", changes);
            prop_assert_eq!(of_host(&mut world, player), &expected[..], "the host's copy after {:?}", changes);
            let told = world.call(player, "tell", &[]);
            prop_assert_eq!(told, Ok(value(&written(&plain))), "the instance's copy after {:?}", changes);
        }
        world.check();
    }
}
