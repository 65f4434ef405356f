//! Changes of attributes: whatever is done to them, the patches make the host's copy the same,
//! and a small change makes a small patch.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that gets something else has failed"
)]

use std::collections::BTreeMap;

use everwake::*;
use proptest::prelude::*;

#[attr_type]
struct Item {
    name: String,
    wear: u8,
}

#[attr_type]
#[derive(Default)]
enum Mode {
    #[default]
    Idle,
    Chase {
        target: Ref<Thing>,
        ready: Time,
    },
    Home(Vec3),
}

#[entity(persistent)]
struct Thing {
    level: i64,
    name: String,
    alive: Option<Option<bool>>,
    items: List<Item>,
    numbers: List<i32>,
    mode: Mode,
    bag: Map<String, i64>,
    queue: Map<(i32, u64), Item>,
    deep: Map<i64, List<u8>>,
    at: Vec3,
}

#[methods]
impl Thing {}

module! { name: "attributes", types: [Thing] }

/// The same without any log.
#[derive(Clone, Debug, Default, PartialEq)]
struct Plain {
    level: i64,
    name: String,
    alive: Option<Option<bool>>,
    items: Vec<(String, u8)>,
    numbers: Vec<i32>,
    mode: u8,
    bag: BTreeMap<String, i64>,
    queue: BTreeMap<(i32, u64), (String, u8)>,
    deep: BTreeMap<i64, Vec<u8>>,
    at: (f32, f32),
}

fn item((name, wear): (String, u8)) -> Item {
    Item { name, wear }
}

fn plain_item(item: &Item) -> (String, u8) {
    (item.name.clone(), item.wear)
}

fn plain(thing: &Thing) -> Plain {
    Plain {
        level: thing.level,
        name: thing.name.clone(),
        alive: thing.alive,
        items: thing.items.iter().map(plain_item).collect(),
        numbers: thing.numbers.to_vec(),
        mode: match &thing.mode {
            Mode::Idle => 0,
            Mode::Chase { .. } => 1,
            Mode::Home(_) => 2,
        },
        bag: BTreeMap::clone(&thing.bag),
        queue: thing.queue.iter().map(|(key, item)| (*key, plain_item(item))).collect(),
        deep: thing.deep.iter().map(|(key, list)| (*key, list.to_vec())).collect(),
        at: (thing.at.x, thing.at.z),
    }
}

#[derive(Clone, Debug)]
enum Change {
    Level(i64),
    Name(String),
    Alive(Option<Option<bool>>),
    Mode(u8),
    At(f32, f32),
    Push(String, u8),
    PushNumber(i32),
    Pop,
    Insert(usize, i32),
    Remove(usize),
    SwapRemove(usize),
    Wear(usize, u8),
    WearAll(u8),
    Sort,
    Reverse,
    Swap(usize, usize),
    Retain(i32),
    Truncate(usize),
    Clear,
    Drain(usize, usize),
    Extend(Vec<i32>),
    Replace(Vec<i32>),
    SwapLists,
    BagInsert(String, i64),
    BagRemove(String),
    BagAdd(String, i64),
    BagAddAll(i64),
    BagRetain(i64),
    BagClear,
    BagReplace(String, i64),
    QueueInsert((i32, u64), u8),
    QueuePopFirst,
    QueuePopLast,
    QueueWear((i32, u64), u8),
    DeepPush(i64, u8),
    DeepRemove(i64),
}

fn key() -> impl Strategy<Value = String> {
    // Lengths differ, so the order of the bytes is not the order of the texts.
    prop_oneof![Just("a"), Just("b"), Just("aa"), Just("zzz"), Just("ab")].prop_map(str::to_owned)
}

fn place() -> impl Strategy<Value = (i32, u64)> {
    (-2..3i32, 0..3u64)
}

fn change() -> impl Strategy<Value = Change> {
    let scalars = prop_oneof![
        any::<i64>().prop_map(Change::Level),
        key().prop_map(Change::Name),
        any::<Option<Option<bool>>>().prop_map(Change::Alive),
        (0..3u8).prop_map(Change::Mode),
        (-9.0..9.0f32, -9.0..9.0f32).prop_map(|(x, z)| Change::At(x, z)),
    ];
    let lists = prop_oneof![
        (key(), 0..3u8).prop_map(|(name, wear)| Change::Push(name, wear)),
        (0..9i32).prop_map(Change::PushNumber),
        Just(Change::Pop),
        (0..9usize, 0..9i32).prop_map(|(at, number)| Change::Insert(at, number)),
        (0..9usize).prop_map(Change::Remove),
        (0..9usize).prop_map(Change::SwapRemove),
        (0..9usize, 0..3u8).prop_map(|(at, wear)| Change::Wear(at, wear)),
        (0..3u8).prop_map(Change::WearAll),
        Just(Change::Sort),
        Just(Change::Reverse),
        (0..9usize, 0..9usize).prop_map(|(a, b)| Change::Swap(a, b)),
        (0..4i32).prop_map(Change::Retain),
        (0..9usize).prop_map(Change::Truncate),
        Just(Change::Clear),
        (0..9usize, 0..9usize).prop_map(|(a, b)| Change::Drain(a, b)),
        prop::collection::vec(0..9i32, 0..4).prop_map(Change::Extend),
        prop::collection::vec(0..9i32, 0..4).prop_map(Change::Replace),
        Just(Change::SwapLists),
    ];
    let maps = prop_oneof![
        (key(), 0..3i64).prop_map(|(key, value)| Change::BagInsert(key, value)),
        key().prop_map(Change::BagRemove),
        (key(), 0..3i64).prop_map(|(key, value)| Change::BagAdd(key, value)),
        (0..2i64).prop_map(Change::BagAddAll),
        (0..3i64).prop_map(Change::BagRetain),
        Just(Change::BagClear),
        (key(), 0..3i64).prop_map(|(key, value)| Change::BagReplace(key, value)),
        (place(), 0..3u8).prop_map(|(key, wear)| Change::QueueInsert(key, wear)),
        Just(Change::QueuePopFirst),
        Just(Change::QueuePopLast),
        (place(), 0..3u8).prop_map(|(key, wear)| Change::QueueWear(key, wear)),
        (-2..3i64, 0..9u8).prop_map(|(key, number)| Change::DeepPush(key, number)),
        (-2..3i64).prop_map(Change::DeepRemove),
    ];
    prop_oneof![1 => scalars, 3 => lists, 3 => maps]
}

fn within(at: usize, length: usize) -> Option<usize> {
    (length > 0).then(|| at % length)
}

fn change_list(change: &Change, thing: &mut Thing, copy: &mut Plain) {
    let length = copy.numbers.len();
    match change {
        Change::Push(name, wear) => {
            thing.items.push(item((name.clone(), *wear)));
            copy.items.push((name.clone(), *wear));
        }
        Change::PushNumber(number) => {
            thing.numbers.push(*number);
            copy.numbers.push(*number);
        }
        Change::Pop => assert_eq!(thing.numbers.pop(), copy.numbers.pop()),
        Change::Insert(at, number) => {
            thing.numbers.insert(at % (length + 1), *number);
            copy.numbers.insert(at % (length + 1), *number);
        }
        Change::Remove(at) => {
            if let Some(at) = within(*at, length) {
                assert_eq!(thing.numbers.remove(at), copy.numbers.remove(at));
            }
        }
        Change::SwapRemove(at) => {
            if let Some(at) = within(*at, length) {
                assert_eq!(thing.numbers.swap_remove(at), copy.numbers.swap_remove(at));
            }
        }
        Change::Wear(at, wear) => {
            if let Some(at) = within(*at, copy.items.len()) {
                thing.items[at].wear = *wear;
                copy.items[at].1 = *wear;
            }
        }
        Change::WearAll(wear) => {
            thing.items.iter_mut().for_each(|item| item.wear = *wear);
            copy.items.iter_mut().for_each(|item| item.1 = *wear);
        }
        _ => change_numbers(change, thing, copy),
    }
}

/// Changes that touch more than one item of the list of numbers.
fn change_numbers(change: &Change, thing: &mut Thing, copy: &mut Plain) {
    let length = copy.numbers.len();
    match change {
        Change::Sort => {
            thing.numbers.sort();
            copy.numbers.sort();
        }
        Change::Reverse => {
            thing.numbers.reverse();
            copy.numbers.reverse();
        }
        Change::Swap(a, b) => {
            if let (Some(a), Some(b)) = (within(*a, length), within(*b, length)) {
                thing.numbers.swap(a, b);
                copy.numbers.swap(a, b);
            }
        }
        Change::Retain(least) => {
            thing.numbers.retain(|number| number >= least);
            copy.numbers.retain(|number| number >= least);
        }
        Change::Truncate(length) => {
            thing.numbers.truncate(*length);
            copy.numbers.truncate(*length);
        }
        Change::Clear => {
            thing.numbers.clear();
            copy.numbers.clear();
        }
        Change::Drain(a, b) => {
            let (a, b) = (a % (length + 1), b % (length + 1));
            let range = a.min(b)..a.max(b);
            assert_eq!(
                thing.numbers.drain(range.clone()).collect::<Vec<_>>(),
                copy.numbers.drain(range).collect::<Vec<_>>()
            );
        }
        Change::Extend(more) => {
            thing.numbers.extend(more.clone());
            copy.numbers.extend(more.clone());
        }
        Change::Replace(all) => {
            thing.numbers = List::from(all.clone());
            copy.numbers = all.clone();
        }
        Change::SwapLists => {
            // The log of a list that changed its place must not be taken for the other's.
            let mut other = List::from(vec![1, 2]);
            std::mem::swap(&mut thing.numbers, &mut other);
            other.push(5);
            std::mem::swap(&mut thing.numbers, &mut other);
            copy.numbers.push(5);
        }
        _ => {}
    }
}

fn change_map(change: &Change, thing: &mut Thing, copy: &mut Plain) {
    match change {
        Change::BagInsert(key, value) => {
            assert_eq!(thing.bag.insert(key.clone(), *value), copy.bag.insert(key.clone(), *value));
        }
        Change::BagRemove(key) => assert_eq!(thing.bag.remove(key), copy.bag.remove(key)),
        Change::BagAdd(key, value) => {
            *thing.bag.entry(key.clone()).or_insert(0) += value;
            *copy.bag.entry(key.clone()).or_insert(0) += value;
        }
        Change::BagAddAll(value) => {
            thing.bag.values_mut().for_each(|known| *known += value);
            copy.bag.values_mut().for_each(|known| *known += value);
        }
        Change::BagRetain(least) => {
            thing.bag.retain(|_, value| *value >= *least);
            copy.bag.retain(|_, value| *value >= *least);
        }
        Change::BagClear => {
            thing.bag.clear();
            copy.bag.clear();
        }
        Change::BagReplace(key, value) => {
            thing.bag = Map::from([(key.clone(), *value)]);
            copy.bag = BTreeMap::from([(key.clone(), *value)]);
        }
        Change::QueueInsert(key, wear) => {
            thing.queue.insert(*key, item((String::new(), *wear)));
            copy.queue.insert(*key, (String::new(), *wear));
        }
        Change::QueuePopFirst => {
            let popped = thing.queue.pop_first().map(|(key, item)| (key, plain_item(&item)));
            assert_eq!(popped, copy.queue.pop_first());
        }
        Change::QueuePopLast => {
            let popped = thing.queue.pop_last().map(|(key, item)| (key, plain_item(&item)));
            assert_eq!(popped, copy.queue.pop_last());
        }
        Change::QueueWear(key, wear) => {
            if let (Some(item), Some(plain)) = (thing.queue.get_mut(key), copy.queue.get_mut(key)) {
                (item.wear, plain.1) = (*wear, *wear);
            }
        }
        Change::DeepPush(key, number) => {
            thing.deep.entry(*key).or_default().push(*number);
            copy.deep.entry(*key).or_default().push(*number);
        }
        Change::DeepRemove(key) => {
            thing.deep.remove(key);
            copy.deep.remove(key);
        }
        _ => {}
    }
}

fn make(change: &Change, thing: &mut Thing, copy: &mut Plain) {
    match change {
        Change::Level(level) => (thing.level, copy.level) = (*level, *level),
        Change::Name(name) => (thing.name, copy.name) = (name.clone(), name.clone()),
        Change::Alive(alive) => (thing.alive, copy.alive) = (*alive, *alive),
        Change::At(x, z) => (thing.at, copy.at) = (Vec3::new(*x, 0.0, *z), (*x, *z)),
        Change::Mode(mode) => {
            copy.mode = *mode;
            thing.mode = match mode {
                0 => Mode::Idle,
                1 => Mode::Chase { target: Ref::nil(), ready: Time(5) },
                _ => Mode::Home(Vec3::new(1.0, 2.0, 3.0)),
            };
        }
        _ => {
            change_list(change, thing, copy);
            change_map(change, thing, copy);
        }
    }
    assert_eq!(plain(thing), *copy, "{change:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn patches_make_the_host_have_what_the_struct_has(
        events in prop::collection::vec((prop::collection::vec(change(), 1..8), prop::bool::weighted(0.2)), 1..12),
        drops: bool,
    ) {
        let mut world = mock::World::<Module>::new();
        if drops {
            world = world.with_drops();
        }
        let (thing, mut copy) = (world.create::<Thing>(()), Plain::default());
        for (changes, fails) in events {
            let before = copy.clone();
            let result = world.act(thing, |thing, _| {
                changes.iter().for_each(|change| make(change, thing, &mut copy));
                if fails { Err("no") } else { Ok(()) }
            });
            if result.is_err() {
                copy = before;
            }
            prop_assert_eq!(plain(&world.get(thing)), copy.clone());
        }
    }
}

/// What the last event sent, as hex.
fn patch_of(act: impl FnOnce(&mut Thing)) -> String {
    let mut world = mock::World::<Module>::new();
    let thing = world.create::<Thing>(());
    let fill = |thing: &mut Thing, _: &mut Context| {
        thing.items = (0..100).map(|wear| item(("axe".into(), wear))).collect();
        thing.bag = (0..100).map(|at| (format!("{at:02}"), at)).collect();
        Ok::<_, Fail>(())
    };
    world.act(thing, fill).unwrap();
    let before = world.transcript().len();
    world
        .act(thing, |thing, _| {
            act(thing);
            Ok::<_, Fail>(())
        })
        .unwrap();
    let patches = world.transcript()[before..].iter().filter_map(|line| line.trim().strip_prefix("patch "));
    patches.map(|line| line.split(' ').next_back().unwrap_or_default()).collect()
}

#[test]
fn a_small_change_is_a_small_patch() {
    // Index 0 becomes 7.
    assert_eq!(patch_of(|thing| thing.level = 7), "0007");
    // [3, 5] becomes ["axe", 9].
    assert_eq!(patch_of(|thing| thing.items[5].wear = 9), "820305826361786509");
    // One of a hundred handed out is another one.
    let touch_all = |thing: &mut Thing| thing.items.iter_mut().for_each(|item| item.wear = item.wear.max(1));
    assert_eq!(patch_of(touch_all), "820300826361786501");
    // [6, "07"] becomes 1, and is removed.
    assert_eq!(patch_of(|thing| *thing.bag.get_mut(&"07".into()).unwrap() = 1), "820662303701");
    assert_eq!(patch_of(|thing| assert_eq!(thing.bag.remove(&"07".into()), Some(7))), "8206623037f7");
    // At the end, before the first, and gone.
    assert_eq!(patch_of(|thing| thing.numbers.push(1)), "82040001");
    assert_eq!(patch_of(|thing| thing.items.insert(0, item(("a".into(), 0)))), "830300f582616100");
    assert_eq!(patch_of(|thing| drop(thing.items.remove(99))), "82031863f7");
}

#[test]
fn nothing_is_sent_for_nothing() {
    let same = |thing: &mut Thing| {
        thing.items.iter_mut().for_each(|item| item.wear += 0);
        thing.bag.values_mut().for_each(|value| *value += 0);
        thing.bag.insert("00".into(), 0);
        thing.name = String::new();
        thing.bag.insert("new".into(), 1);
        thing.bag.remove(&"new".into());
    };
    assert_eq!(patch_of(same), "");
}

#[test]
fn a_log_that_grows_without_end_is_given_up() {
    let churn = |thing: &mut Thing| {
        for _ in 0..100_000 {
            thing.numbers.push(1);
            thing.numbers.pop();
        }
        thing.numbers.push(3);
    };
    assert_eq!(patch_of(churn), "048103");
}
