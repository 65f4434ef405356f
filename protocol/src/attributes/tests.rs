//! Host, mirror and a plain model agree; undo is exact; every misuse has its error.

use super::*;
use proptest::prelude::*;

const SHAPES: [Shape; 4] = [Shape::Scalar, Shape::List, Shape::Map, Shape::List];
const INITIAL: [&[u8]; 4] = [&[0x00], &[0x80], &[0xa0], &[0x82, 0x01, 0x02]];

fn column(attribute: u32) -> Column<'static> {
    Column { shape: SHAPES[attribute as usize], initial: INITIAL[attribute as usize] }
}

fn apply(to: &mut Attributes, patch: &[u8], mut undo: Option<&mut Undo>) -> Result<Vec<u8>, PatchError> {
    let mut effective = Vec::new();
    for change in PatchReader::new(patch) {
        let change = change?;
        if change.attribute >= 4 {
            return Err(PatchError::UnknownAttribute(change.attribute));
        }
        if to.apply(&change, column(change.attribute), undo.as_deref_mut())?.changed {
            effective.extend_from_slice(change.raw);
        }
    }
    Ok(effective)
}

/// A change as a test writes it down; numbers stand for values.
#[derive(Clone, Debug)]
enum Op {
    Set(u16),
    SetList(u32, Vec<u16>),
    SetMap(Vec<(u8, u16)>),
    Reset(u32),
    Item(u32, usize, Option<u16>),
    Insert(u32, usize, u16),
    Entry(u8, Option<u16>),
}

#[derive(Clone, Debug, PartialEq)]
struct Model {
    scalar: u16,
    lists: [Vec<u16>; 2],
    map: BTreeMap<u8, u16>,
}

fn number(value: u16) -> Vec<u8> {
    let mut out = Vec::new();
    cbor::uint(&mut out, u64::from(value));
    out
}

fn list_number(attribute: u32) -> usize {
    usize::from(attribute == 3)
}

impl Model {
    fn initial() -> Model {
        Model { scalar: 0, lists: [vec![], vec![1, 2]], map: BTreeMap::new() }
    }

    /// Does it to the model and returns the patch, or none if it makes no sense.
    fn perform(&mut self, op: &Op) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match op {
            Op::Set(value) => {
                self.scalar = *value;
                write_path(0, None, false, &mut out);
                out.extend(number(*value));
            }
            Op::SetList(attribute, values) => {
                self.lists[list_number(*attribute)] = values.clone();
                write_path(*attribute, None, false, &mut out);
                cbor::array(&mut out, values.len());
                values.iter().for_each(|value| out.extend(number(*value)));
            }
            Op::SetMap(entries) => {
                self.map = entries.iter().copied().collect();
                write_path(2, None, false, &mut out);
                cbor::map(&mut out, self.map.len());
                for (key, value) in &self.map {
                    out.extend(number(u16::from(*key)));
                    out.extend(number(*value));
                }
            }
            Op::Reset(attribute) => {
                let initial = Model::initial();
                match attribute {
                    0 => self.scalar = 0,
                    2 => self.map.clear(),
                    other => self.lists[list_number(*other)] = initial.lists[list_number(*other)].clone(),
                }
                write_path(*attribute, None, false, &mut out);
                cbor::undefined(&mut out);
            }
            Op::Item(attribute, index, value) => {
                let list = &mut self.lists[list_number(*attribute)];
                let index = index % (list.len() + 1);
                match value {
                    Some(value) if index == list.len() => list.push(*value),
                    Some(value) => list[index] = *value,
                    None if index == list.len() => return None,
                    None => drop(list.remove(index)),
                }
                write_path(*attribute, Some(&number(index as u16)), false, &mut out);
                out.extend(value.map_or(vec![cbor::UNDEFINED], number));
            }
            Op::Insert(attribute, index, value) => {
                let list = &mut self.lists[list_number(*attribute)];
                let index = index % (list.len() + 1);
                list.insert(index, *value);
                write_path(*attribute, Some(&number(index as u16)), true, &mut out);
                out.extend(number(*value));
            }
            Op::Entry(key, value) => {
                match value {
                    Some(value) => self.map.insert(*key, *value),
                    None => self.map.remove(key),
                };
                write_path(2, Some(&number(u16::from(*key))), false, &mut out);
                out.extend(value.map_or(vec![cbor::UNDEFINED], number));
            }
        }
        Some(out)
    }

    fn of(attributes: &Attributes) -> Model {
        let value = |span: &Span| Reader::new(span).uint().unwrap() as u16;
        let list = |attribute| match attributes.slot(attribute) {
            Slot::List(items) => items.iter().map(value).collect(),
            _ => Model::initial().lists[list_number(attribute)].clone(),
        };
        Model {
            scalar: match attributes.slot(0) {
                Slot::Scalar(span) => value(span),
                _ => 0,
            },
            lists: [list(1), list(3)],
            map: match attributes.slot(2) {
                Slot::Map(entries) => entries.iter().map(|(k, v)| (value(k) as u8, value(v))).collect(),
                _ => BTreeMap::new(),
            },
        }
    }
}

fn any_op() -> impl Strategy<Value = Op> {
    let list = prop_oneof![Just(1u32), Just(3u32)];
    let value = 0u16..300;
    prop_oneof![
        value.clone().prop_map(Op::Set),
        (list.clone(), proptest::collection::vec(value.clone(), 0..5)).prop_map(|(a, v)| Op::SetList(a, v)),
        proptest::collection::vec((0u8..40, value.clone()), 0..5).prop_map(Op::SetMap),
        (0u32..4).prop_map(Op::Reset),
        (list.clone(), 0usize..9, proptest::option::of(value.clone()))
            .prop_map(|(a, i, v)| Op::Item(a, i, v)),
        (list, 0usize..9, value.clone()).prop_map(|(a, i, v)| Op::Insert(a, i, v)),
        (0u8..40, proptest::option::of(value)).prop_map(|(k, v)| Op::Entry(k, v)),
    ]
}

fn recounted(attributes: &Attributes) -> usize {
    attributes.slots().iter().map(Slot::cost).sum()
}

proptest! {
    #[test]
    fn host_mirror_and_model_agree(
        events in proptest::collection::vec((proptest::collection::vec(any_op(), 0..8), any::<bool>()), 1..12)
    ) {
        let (mut host, mut mirror) = (Attributes::new(4), Attributes::new(4));
        let mut slots = vec![Slot::Absent; 4];
        let mut model = Model::initial();
        let mut undo = Undo::default();
        for (ops, commits) in events {
            let (before, model_before) = (host.clone(), model.clone());
            let mut to_mirror = Vec::new();
            for op in &ops {
                if let Some(patch) = model.perform(op) {
                    to_mirror.extend(apply(&mut host, &patch, Some(&mut undo)).unwrap());
                }
            }
            prop_assert_eq!(&Model::of(&host), &model);
            prop_assert_eq!(host.bytes(), recounted(&host));
            if commits {
                undo.clear();
                apply(&mut mirror, &to_mirror, None).unwrap();
                for change in PatchReader::new(&to_mirror) {
                    let change = change.unwrap();
                    slots[change.attribute as usize].apply(&change, column(change.attribute)).unwrap();
                }
            } else {
                host.undo(&mut undo);
                prop_assert_eq!(&host, &before);
                prop_assert!(undo.is_empty());
                model = model_before;
            }
            prop_assert_eq!(&mirror, &host);
            prop_assert_eq!(&slots[..], host.slots());
        }
        let mut whole = Vec::new();
        host.encode_into(&mut whole, |_| true);
        let mut copy = Attributes::new(4);
        apply(&mut copy, &whole, None).unwrap();
        prop_assert_eq!(Model::of(&copy), model.clone());
        for bytes_max in [40, 60, 1_000] {
            let mut copy = Attributes::new(4);
            for piece in host.encode_split(bytes_max, Some) {
                prop_assert!(piece.len() <= bytes_max);
                apply(&mut copy, &piece, None).unwrap();
            }
            prop_assert_eq!(Model::of(&copy), model.clone());
        }
    }

    #[test]
    fn a_failed_change_changes_nothing(patch in proptest::collection::vec(prop_oneof![0u8..8, 0x80u8..0x84, 0xa0u8..0xa3, 0xf4u8..0xf8], 0..24)) {
        let mut attributes = Attributes::new(4);
        for change in PatchReader::new(&patch).flatten().filter(|change| change.attribute < 4) {
            let before = attributes.clone();
            match attributes.apply(&change, column(change.attribute), None) {
                Ok(Applied { changed: true }) => prop_assert_eq!(attributes.bytes(), recounted(&attributes)),
                _ => prop_assert_eq!(&attributes, &before),
            }
        }
    }

    #[test]
    fn renumbering_keeps_the_rest(op in any_op(), number in any::<u32>()) {
        let mut model = Model::initial();
        if let Some(patch) = model.perform(&op) {
            let change = PatchReader::new(&patch).next().unwrap().unwrap();
            let mut renumbered = Vec::new();
            write_change_renumbered(&change, number, &mut renumbered);
            let again = PatchReader::new(&renumbered).next().unwrap().unwrap();
            prop_assert_eq!(again, Change { attribute: number, raw: &renumbered, ..change });
        }
    }
}

#[test]
fn misuse_has_its_error() {
    for (patch, error) in [
        (&[0x04, 0x00][..], PatchError::UnknownAttribute(4)),
        (&[0x61, 0x61, 0x00], PatchError::Path),
        (&[0x81, 0x00, 0x00], PatchError::Path),
        (&[0x83, 0x01, 0x00, 0xf4, 0x00], PatchError::Path),
        (&[0x83, 0x01, 0x00, 0xf5, 0xf7], PatchError::InsertNothing),
        (&[0x00], PatchError::Cbor(CborError::Truncated)),
        (&[0x1b, 0, 0, 0, 1, 0, 0, 0, 0, 0], PatchError::Cbor(CborError::Range)),
        (&[0x82, 0x00, 0x00, 0x00], PatchError::NotKeyed(0)),
        (&[0x82, 0x01, 0x01, 0x00], PatchError::Index(1)),
        (&[0x82, 0x01, 0x00, 0xf7], PatchError::Index(1)),
        (&[0x82, 0x01, 0x61, 0x61, 0x00], PatchError::Index(1)),
        (&[0x83, 0x02, 0x00, 0xf5, 0x00], PatchError::NotKeyed(2)),
        (&[0x01, 0xa0], PatchError::WrongShape(1)),
        (&[0x02, 0x80], PatchError::WrongShape(2)),
        (&[0x02, 0xa2, 0x00, 0x00, 0x00, 0x00], PatchError::KeyTwice(2)),
        (&[0x01, 0x81, 0xf7], PatchError::Cbor(CborError::Undefined)),
    ] {
        let mut attributes = Attributes::new(4);
        assert_eq!(apply(&mut attributes, patch, None), Err(error), "{patch:02x?}");
        assert_eq!(attributes, Attributes::new(4));
    }
}

#[test]
fn sizes_are_limited() {
    let mut attributes = Attributes::new(4);
    let mut patch = vec![0x00];
    cbor::bytes(&mut patch, &vec![0; VALUE_BYTES_MAX]);
    assert_eq!(apply(&mut attributes, &patch, None), Err(PatchError::ValueTooLarge(0)));

    let mut item = Vec::new();
    cbor::bytes(&mut item, &vec![0; VALUE_BYTES_MAX - 16]);
    let mut failed = None;
    for index in 0..32 {
        let mut patch = Vec::new();
        write_path(1, Some(&number(index)), false, &mut patch);
        patch.extend_from_slice(&item);
        if let Err(error) = apply(&mut attributes, &patch, None) {
            failed = Some(error);
            break;
        }
    }
    assert_eq!(failed, Some(PatchError::EntityTooLarge));
    assert!(attributes.bytes() <= ENTITY_BYTES_MAX);

    // A million empty items in 1 MiB of input do not become a million spans.
    let mut patch = vec![0x01];
    cbor::array(&mut patch, ENTITY_BYTES_MAX / 2);
    patch.resize(patch.len() + ENTITY_BYTES_MAX / 2, 0);
    assert_eq!(apply(&mut Attributes::new(4), &patch, None), Err(PatchError::EntityTooLarge));
}

#[test]
fn a_mirror_lets_one_attribute_grow_before_another_shrinks() {
    let full = |attribute: u32| {
        let mut patch = Vec::new();
        write_path(attribute, None, false, &mut patch);
        cbor::array(&mut patch, 15);
        for _ in 0..15 {
            cbor::bytes(&mut patch, &vec![0; VALUE_BYTES_MAX - 16]);
        }
        patch
    };
    let empty = |attribute: u8| vec![attribute, 0x80];
    let mut host = Attributes::new(4);
    let mut mirror: BTreeMap<u32, Slot> = BTreeMap::new();
    let mut follow = |patch: &[u8]| {
        for change in PatchReader::new(patch) {
            let change = change.unwrap();
            let slot = mirror.entry(change.attribute).or_default();
            assert_eq!(slot.apply(&change, column(change.attribute)), Ok(Applied { changed: true }));
        }
    };
    apply(&mut host, &full(3), None).unwrap();
    follow(&full(3));
    // As the game did it, and as its client is told: in the order of the numbers.
    apply(&mut host, &[empty(3), full(1)].concat(), None).unwrap();
    let told = [full(1), empty(3)].concat();
    assert_eq!(apply(&mut host.clone(), &full(3), None), Err(PatchError::EntityTooLarge));
    follow(&told);
    assert_eq!((&mirror[&1], &mirror[&3]), (host.slot(1), host.slot(3)));
}

#[test]
fn whole_values_are_put_within_the_limits() {
    let mut attributes = Attributes::new(1);
    let list = |items: usize| Slot::List(vec![Span::from_slice(&[0x00; 1_000]); items]);
    let values = [(0, Slot::Scalar(Span::from_slice(&[0x07]))), (3, list(2))];
    attributes.allow(&values).unwrap();
    for (attribute, value) in values {
        attributes.put(attribute, value);
    }
    assert_eq!((attributes.slots().len(), attributes.bytes()), (4, recounted(&attributes)));
    attributes.put(0, Slot::Absent);
    assert_eq!(attributes.bytes(), recounted(&attributes));
    // Too much, unless something else goes for it.
    assert_eq!(attributes.allow(&[(1, list(1_040))]), Err(PatchError::EntityTooLarge));
    assert_eq!(attributes.allow(&[(1, list(1_040)), (3, Slot::Absent)]), Ok(()));
}

#[test]
fn a_value_equal_to_the_initial_one_is_no_change() {
    let mut attributes = Attributes::new(4);
    assert_eq!(
        apply(&mut attributes, &[0x00, 0x00, 0x03, 0x82, 0x01, 0x02, 0x82, 0x02, 0x07, 0xf7], None),
        Ok(vec![])
    );
    assert_eq!(attributes, Attributes::new(4));
}

#[test]
fn shapes_come_from_type_texts() {
    assert_eq!(Shape::of("list<map<string, i64>>"), Shape::List);
    assert_eq!(Shape::of("map<string, i64>"), Shape::Map);
    assert_eq!(Shape::of("option<list<i64>>"), Shape::Scalar);
    assert_eq!(Shape::of("Bag"), Shape::Scalar);
}
