//! The codec against ciborium, and against everything that it must refuse.

use super::*;
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

#[test]
fn what_is_not_our_form_is_refused() {
    for (input, error) in [
        ("", CborError::Truncated),
        ("18", CborError::Truncated),
        ("1817", CborError::NotShortest),
        ("1900ff", CborError::NotShortest),
        ("1a0000ffff", CborError::NotShortest),
        ("1b00000000ffffffff", CborError::NotShortest),
        ("9f00ff", CborError::Indefinite),
        ("5f4100ff", CborError::Indefinite),
        ("1c", CborError::Unused(0x1c)),
        ("c000", CborError::Unused(0xc0)),
        ("f90000", CborError::Unused(0xf9)),
        ("f820", CborError::Unused(0xf8)),
        ("f7", CborError::Undefined),
        ("81f7", CborError::Undefined),
        ("61ff", CborError::NotUtf8),
        ("fa7fc00001", CborError::Nan),
        ("fbfff8000000000000", CborError::Nan),
        ("82 00".replace(' ', "").as_str(), CborError::Truncated),
        ("9affffffff", CborError::Truncated),
        ("bbffffffffffffffff", CborError::Truncated),
        ("5bffffffffffffffff", CborError::Truncated),
        ("0000", CborError::Trailing),
    ] {
        assert_eq!(check_item(&hex(input)), Err(error), "{input}");
    }
}

#[test]
fn depth_is_limited_and_not_one_less() {
    let nested = |depth: usize| {
        let mut item = vec![0x81; depth];
        item.push(0);
        item
    };
    assert_eq!(check_item(&nested(CBOR_DEPTH_MAX)), Ok(()));
    assert_eq!(check_item(&nested(CBOR_DEPTH_MAX + 1)), Err(CborError::TooDeep));
    assert_eq!(check_item(&nested(1_000_000)), Err(CborError::TooDeep));
}

#[test]
fn siblings_at_every_depth_are_counted() {
    assert_eq!(check_item(&hex("838201028103820405")), Ok(()));
    assert_eq!(check_item(&hex("a2616101616282a0a10001")), Ok(()));
    assert_eq!(check_item(&hex("8382010281038204")), Err(CborError::Truncated));
}

#[test]
fn diagnostics_show_sequences_and_faults() {
    assert_eq!(diagnostic(&hex("00f7")), "0, undefined");
    assert_eq!(diagnostic(&hex("a2616101820220f6")), "{\"a\": 1, [2, -1]: null}");
    assert_eq!(diagnostic(&hex("8080")), "[], []");
    assert_eq!(diagnostic(&hex("8200c0")), "[0, <head 0xc0 is not used>");
    assert_eq!(diagnostic(&hex("fa3f800000fbc000000000000000")), "1.0_f32, -2.0");
}

#[test]
fn nans_become_the_one() {
    let mut sequence = hex("64fa7fc001fa7fc00001fbfff8000000000000fa7f800000");
    canonicalize_nans(&mut sequence);
    assert_eq!(sequence, hex("64fa7fc001fa7fc00000fb7ff8000000000000fa7f800000"));
}

fn any_value() -> impl Strategy<Value = ciborium::Value> {
    use ciborium::Value;
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        "[a-zé]{0,30}".prop_map(Value::from),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            proptest::collection::vec((inner.clone(), inner), 0..5).prop_map(Value::Map),
        ]
    })
}

proptest! {
    #[test]
    fn takes_what_ciborium_writes(value in any_value()) {
        let mut encoded = Vec::new();
        ciborium::into_writer(&value, &mut encoded).unwrap();
        prop_assert_eq!(check_item(&encoded), Ok(()));
        for cut in 0..encoded.len() {
            prop_assert!(check_item(&encoded[..cut]).is_err());
        }
        prop_assert!(!diagnostic(&encoded).contains('<'));
    }

    #[test]
    fn numbers_come_back(signed in any::<i64>(), unsigned in any::<u64>(), a in any::<f32>(), b in any::<f64>()) {
        let mut out = Vec::new();
        int(&mut out, signed);
        uint(&mut out, unsigned);
        f32(&mut out, a);
        f64(&mut out, b);
        let mut reader = Reader::new(&out);
        prop_assert_eq!(reader.i64(), Ok(signed));
        prop_assert_eq!(reader.uint(), Ok(unsigned));
        let (c, d) = (reader.f32().unwrap(), reader.f64().unwrap());
        prop_assert!(a.is_nan() && c.is_nan() || a.to_bits() == c.to_bits());
        prop_assert!(b.is_nan() && d.is_nan() || b.to_bits() == d.to_bits());
        prop_assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn what_may_hold_no_nan_holds_none(
        head in prop_oneof![Just(0xfau8), Just(0xfb), any::<u8>()],
        high in prop_oneof![0x7fu8..0x81, Just(0xff), any::<u8>()],
        mut rest in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        rest.splice(0..0, [0x18, 0x20, head, high]);
        let before = rest.clone();
        canonicalize_nans(&mut rest);
        prop_assert!(may_hold_nan(&before) || rest == before, "{before:02x?}");
    }

    #[test]
    fn garbage_does_no_harm(mut input in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = check_item(&input);
        let _ = diagnostic(&input);
        canonicalize_nans(&mut input);
    }
}

#[test]
fn the_short_way_past_numbers_takes_nothing_that_the_long_one_refuses() {
    let tails: [[u8; 7]; 4] = [[0; 7], [0xff; 7], [0x80; 7], [1, 0, 0, 0, 0, 0, 1]];
    for (first, second) in (0..=u8::MAX).flat_map(|first| (0..=u8::MAX).map(move |second| (first, second))) {
        for tail in tails {
            let bytes = [&[first, second][..], &tail].concat();
            for end in 1..=bytes.len() {
                let short = Reader::new(&bytes[..end]);
                let Some(rest) = short.behind_number() else { continue };
                let mut long = short.clone();
                assert_eq!((long.step(), long.rest()), (Ok(0), rest), "{:02x?}", &bytes[..end]);
            }
        }
    }
}
