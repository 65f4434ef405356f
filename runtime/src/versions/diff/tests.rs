//! Two versions and what a diff says of them.

use super::*;
use crate::guest::VersionHash;
use crate::manifest::{Attribute, Manifest};
use crate::versions::lineage::Lineage;
use crate::versions::samples::{attribute, checked, method, module};

fn basis() -> Manifest {
    module(vec![attribute("gold", "i64", &[0x00])], vec![method("hit", &[("damage", "i64")])])
}

fn changed(change: impl FnOnce(&mut Manifest)) -> Diff {
    let mut new = basis();
    change(&mut new);
    let (lineage, old) = Lineage::new("yard").publish(checked(basis()), VersionHash([1; 32]), 1).unwrap();
    let (_, new) = lineage.publish(checked(new), VersionHash([2; 32]), 2).unwrap();
    diff(&old, &new)
}

fn lines(diff: &Diff) -> Vec<String> {
    diff.to_string().lines().skip(1).map(ToOwned::to_owned).collect()
}

#[test]
fn nothing_differs() {
    let diff = changed(|_| {});
    assert!(diff.is_additive());
    assert_eq!(
        diff.to_string(),
        "yard: test 010101010101 -> test 020202020202\n  no type, attribute or method differs\n"
    );
}

#[test]
fn additions_are_fine_and_forget_nothing_on_the_way_back() {
    let diff = changed(|m| {
        m.types[0].attributes.push(attribute("name", "string", &[0x60]));
        m.types[0].methods.push(method("heal", &[]));
        m.types[0].methods[0]
            .parameters
            .push(everwake_protocol::schema::Field { name: "kind".into(), type_text: "option<Mode>".into() });
        m.types[0].ticks_per_second = 10.0;
        m.types[0].hooks = 1 << 21 | 1;
    });
    assert!(diff.is_additive());
    assert_eq!(diff.weight(), Weight::Fine);
    assert_eq!(
        lines(&diff),
        [
            "  Avatar",
            "    ticks per second 0 -> 10",
            "    hook `construct` is new",
            "    hook `destroy` is new",
            "    attribute `name`: string is new",
            "    method `hit` takes or answers more; former calls are understood",
            "    method `heal` is new",
        ]
    );
}

#[test]
fn another_type_needs_migrate_or_consent() {
    let retyped = |m: &mut Manifest| m.types[0].attributes[0] = attribute("gold", "string", &[0x60]);
    let diff = changed(retyped);
    assert_eq!((diff.weight(), diff.is_additive(), diff.losses().count()), (Weight::Loss, false, 1));
    assert_eq!(
        lines(&diff)[1..],
        [
            "    loss: attribute `gold`: i64 -> string",
            "      hint: old values are put aside and it starts with its initial value; to carry them over raise `schema` and write `migrate`",
        ]
    );
    let migrated = changed(|m| {
        retyped(m);
        m.types[0].schema = 1;
    });
    assert_eq!(
        (migrated.weight(), migrated.is_additive(), migrated.losses().count()),
        (Weight::Fine, false, 0)
    );
    assert_eq!(
        migrated.migrations().map(|found| (found.id, found.migrate)).collect::<Vec<_>>(),
        [(0, Some((0, 1)))]
    );
}

#[test]
fn renamed_removed_and_grown_attributes() {
    let renamed = changed(|m| {
        m.types[0].attributes[0].name = "purse".into();
        m.types[0].attributes[0].was = "gold".into();
    });
    assert!(renamed.is_additive());
    assert_eq!(lines(&renamed)[1], "    attribute `gold` is called `purse` now");
    let removed = changed(|m| m.types[0].attributes.clear());
    assert_eq!((removed.weight(), removed.loses(), removed.is_additive()), (Weight::Loss, true, true));
    let grown = changed(|m| m.types[0].attributes[0].type_text = "option<i64>".into());
    assert_eq!((grown.weight(), grown.is_additive()), (Weight::Fine, false));
    assert_eq!(lines(&grown)[1], "    attribute `gold`: i64 -> option<i64>, which reads all old values");
}

#[test]
fn a_rename_without_was_is_told_from_an_addition() {
    let instead = |new: Attribute| changed(|m| m.types[0].attributes[0] = new);
    let renamed = instead(attribute("purse", "i64", &[0x00]));
    assert_eq!((renamed.weight(), renamed.is_additive()), (Weight::Loss, false));
    let hint = &lines(&renamed)[3];
    assert!(hint.contains("`purse`") && hint.contains("#[attr(was = \"gold\")]"), "{hint}");
    let other = instead(attribute("title", "string", &[0x60]));
    assert_eq!((other.weight(), other.is_additive()), (Weight::Loss, true));
    assert!(!lines(&other)[3].contains("`title`"), "{other}");
    let migrated = changed(|m| {
        m.types[0].attributes[0] = attribute("purse", "i64", &[0x00]);
        m.types[0].schema = 1;
    });
    assert_eq!((migrated.weight(), migrated.loses()), (Weight::Attention, false));
}

#[test]
fn methods_that_change_hands_or_shape() {
    let changes = |change: fn(&mut Manifest)| lines(&changed(change))[1].clone();
    assert_eq!(changes(|m| m.types[0].methods.clear()), "    attention: method `hit` is removed");
    assert_eq!(
        changes(|m| m.types[0].methods[0] = method("hit", &[("damage", "string")])),
        "    attention: method `hit` has another signature"
    );
    assert_eq!(
        changes(|m| m.types[0].methods[0].exposure = Exposure::Server),
        "    method `hit` is for the server instead of the own client"
    );
    assert_eq!(changes(|m| m.types[0].client_methods.clear()), "    client method `shown` is removed");
}

#[test]
fn kinds_do_not_change_and_removed_types_are_told() {
    let service = changed(|m| {
        m.types[0].kind = TypeKind::Service;
        (m.types[0].boot, m.types[0].shards) = (false, 1);
    });
    assert_eq!(service.weight(), Weight::Refused);
    let gone = changed(|m| m.types[0].name = "Hero".into());
    assert_eq!(lines(&gone)[..3], ["  Hero", "    the type is new", "  Avatar"]);
    let text = serde_json::to_string(&gone).unwrap();
    assert_eq!(serde_json::from_str::<Diff>(&text).unwrap(), gone);
}
