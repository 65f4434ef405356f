//! Values held against their types.

use super::*;
use crate::versions::samples::{checked, fields, method, module};
use crate::versions::structure::Definitions;
use everwake_protocol::schema::{Definition, Shape};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn structure(text: &str) -> Structure {
    let definitions = [
        Definition {
            name: "Item".into(),
            shape: Shape::Record(fields(&[("name", "string"), ("wear", "u8")])),
        },
        Definition {
            name: "Login".into(),
            shape: Shape::Record(fields(&[("name", "string"), ("password", "secret<string>")])),
        },
        Definition {
            name: "Mode".into(),
            shape: Shape::Cases(fields(&[("idle", "unit"), ("bag", "list<Item>")])),
        },
    ];
    let (definitions, failures) = Definitions::new(&definitions, BTreeSet::from(["Avatar".to_owned()]));
    assert_eq!(failures, []);
    definitions.resolve(&text.parse().unwrap()).unwrap().0
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

#[test]
fn values_are_described_with_names() {
    for (text, value, shown) in [
        ("i8", "38 7f", "-128"),
        ("option<i8>", "f6", "null"),
        ("option<option<i8>>", "81 f6", "some(null)"),
        ("option<option<i8>>", "81 07", "some(7)"),
        ("list<Item>", "82 82 61 61 01 81 61 62", r#"[{name: "a", wear: 1}, {name: "b"}]"#),
        ("Item", "84 61 61 01 f5 80", r#"{name: "a", wear: 1, ?, ?}"#),
        ("Mode", "00", "idle"),
        ("Mode", "82 01 80", "bag([])"),
        ("Login", "82 61 61 61 62", r#"{name: "a", password: ***}"#),
        ("map<string, u8>", "a2 61 61 01 61 62 02", r#"{"a": 1, "b": 2}"#),
        ("tuple<bool, unit>", "82 f5 f6", "[true, null]"),
        ("secret<any>", "f6", "***"),
    ] {
        let (structure, value) = (structure(text), hex(value));
        assert_eq!(check_value(&structure, &value), Ok(()), "{text}");
        assert_eq!(describe_value(&structure, &value, 1_000), shown, "{text}");
    }
}

#[test]
fn values_of_another_type_are_refused_with_the_place() {
    for (text, value, message) in [
        ("i8", "38 80", "out of range for `i8`"),
        ("u8", "20", "out of range for `u8`"),
        ("u8", "f6", "expected `u8`"),
        ("i64", "1b 80 00 00 00 00 00 00 00", "out of range for `i64`"),
        ("f32", "fb 00 00 00 00 00 00 00 00", "expected `f32`"),
        ("id", "41 00", "expected an id"),
        ("list<Item>", "81 82 61 61 19 01 00", "[0].wear: out of range for `u8`"),
        ("map<string, u8>", "a1 61 61 61 61", "[\"a\"]: expected `u8`"),
        ("map<string, u8>", "a2 61 61 01 61 61 02", "a key stands twice"),
        ("Mode", "02", "there is no case 2"),
        ("Mode", "01", "case `bag` lacks what it carries"),
        ("Mode", "82 00 f6", "case `idle` carries nothing"),
        ("option<option<i8>>", "07", "expected `option<option<i8>>`"),
        ("any", "9f ff", "indefinite lengths are not used"),
        ("u8", "07 07", "bytes behind the last item"),
        ("bool", "", "the input ends inside of an item"),
        ("any", "f7", "undefined is not a value"),
    ] {
        let error = check_value(&structure(text), &hex(value)).unwrap_err();
        assert_eq!(error.to_string(), message, "{text} {value}");
    }
}

#[test]
fn a_wrong_value_is_shown_unless_its_type_has_secrets() {
    assert_eq!(describe_value(&structure("u8"), &hex("61 61"), 1_000), r#""a" <expected `u8`>"#);
    assert_eq!(describe_value(&structure("Login"), &hex("82 61 61 07"), 1_000), "*** <expected `string`>");
    assert_eq!(describe_value(&structure("list<u8>"), &hex("85 01 02 03 04 05"), 5), "[1, 2...");
}

#[test]
fn missing_arguments_have_defaults_and_more_are_ignored() {
    let checked =
        checked(module(vec![], vec![method("hit", &[("damage", "i64"), ("mode", "option<Mode>")])]));
    let parameters = &checked.types()[0].methods[0].parameters;
    for (args, shown) in
        [("80", "()"), ("81 03", "(damage: 3)"), ("83 03 00 05", "(damage: 3, mode: idle, ?)")]
    {
        assert_eq!(check_args(parameters, &hex(args)), Ok(()));
        assert_eq!(describe_args(parameters, &hex(args), 100), shown);
    }
    let error = check_args(parameters, &hex("81 61 61")).unwrap_err();
    assert_eq!(error.to_string(), ".damage: expected `i64`");
    assert_eq!(check_args(parameters, &hex("03")).unwrap_err().to_string(), "expected an array");
}

proptest! {
    #[test]
    fn no_bytes_make_check_or_describe_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
        text in proptest::sample::select(vec!["Item", "list<Mode>", "map<string, any>", "option<option<u8>>", "Login"]),
    ) {
        let structure = structure(text);
        let fits = check_value(&structure, &bytes).is_ok();
        prop_assert!(!fits || cbor::check_item(&bytes).is_ok());
        prop_assert!(describe_value(&structure, &bytes, 20).len() <= 23 + 20);
    }
}
