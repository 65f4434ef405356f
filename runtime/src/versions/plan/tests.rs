use super::*;
use crate::guest::VersionHash;
use crate::manifest::{Manifest, TypeKind};
use crate::versions::lineage::Lineage;
use crate::versions::samples::{attribute, checked, method, module};

/// Two versions, one after the other.
fn versions(old: Manifest, new: Manifest) -> (ModuleVersion, ModuleVersion) {
    let (lineage, old) = Lineage::new("yard").publish(checked(old), VersionHash([1; 32]), 1).unwrap();
    let (_, new) = lineage.publish(checked(new), VersionHash([2; 32]), 2).unwrap();
    (old, new)
}

fn basis() -> Manifest {
    module(vec![attribute("gold", "i64", &[0x00])], vec![method("hit", &[("damage", "i64")])])
}

fn report(change: impl FnOnce(&mut Manifest), living: &Living) -> PlanReport {
    let mut new = basis();
    change(&mut new);
    let (old, new) = versions(basis(), new);
    plan(&old, &new, living)
}

fn text_of(report: &PlanReport) -> Vec<String> {
    report.to_string().lines().skip(1).map(ToOwned::to_owned).collect()
}

#[test]
fn nothing_differs() {
    let report = report(|_| {}, &Living::default());
    assert_eq!((report.exit, report.exit.code(), &report.revert), (ExitClass::Ok, 0, &Revert::Automatic));
    assert!(report.diff.is_additive());
    assert_eq!(text_of(&report)[0], "  no type, attribute or method differs");
}

#[test]
fn additions_are_fine_and_come_back_by_themselves() {
    let report = report(
        |m| {
            m.types[0].attributes.push(attribute("name", "string", &[0x60]));
            m.types[0].methods.push(method("heal", &[]));
            m.types[0].ticks_per_second = 10.0;
            m.types[0].hooks = 1 << 21 | 1;
        },
        &Living::default(),
    );
    assert!(report.diff.is_additive());
    assert_eq!(report.exit, ExitClass::Ok);
    assert_eq!(
        text_of(&report),
        [
            "  Avatar",
            "    ticks per second 0 -> 10",
            "    hook `construct` is new",
            "    hook `destroy` is new",
            "    attribute `name`: string is new",
            "    method `heal` is new",
            "expected pause: 0.3 ms",
            "revert: automatic, nothing is lost",
            "ok",
        ]
    );
}

#[test]
fn another_type_without_migrate_needs_attention_and_is_not_reverted() {
    let report =
        report(|m| m.types[0].attributes[0] = attribute("gold", "string", &[0x60]), &Living::default());
    assert_eq!(report.exit, ExitClass::Attention);
    assert_eq!(
        text_of(&report),
        [
            "  Avatar",
            "    attention: attribute `gold`: i64 -> string",
            "      hint: old values are put aside and it starts with its initial value; to carry them over raise `schema` and write `migrate`",
            "expected pause: 0.3 ms",
            "revert: not automatic",
            "  Avatar: attribute `gold`: i64 -> string",
            "  hint: publish with `--irreversible`, or let `migrate` lead back, too",
            "needs attention",
        ]
    );
}

#[test]
fn a_renamed_attribute_loses_nothing_and_a_removed_one_is_kept() {
    let renamed = report(
        |m| {
            m.types[0].attributes[0].name = "purse".into();
            m.types[0].attributes[0].was = "gold".into();
        },
        &Living::default(),
    );
    assert_eq!((renamed.exit, &renamed.revert), (ExitClass::Ok, &Revert::Automatic));
    assert_eq!(text_of(&renamed)[1], "    attribute `gold` is called `purse` now");
    let removed = report(|m| m.types[0].attributes.clear(), &Living::default());
    assert_eq!((removed.exit, &removed.revert), (ExitClass::Attention, &Revert::Automatic));
    let grown = report(|m| m.types[0].attributes[0].type_text = "option<i64>".into(), &Living::default());
    assert_eq!(grown.exit, ExitClass::Attention);
    assert!(matches!(&grown.revert, Revert::Manual(reasons) if reasons.len() == 1));
}

fn raised(manifest: &mut Manifest) {
    manifest.types[0].schema = 1;
    manifest.types[0].attributes[0] = attribute("gold", "string", &[0x60]);
}

fn trial(failed: u64, down_proved: bool) -> Living {
    Living {
        entities: BTreeMap::from([(0, 5_000)]),
        largest_space: BTreeMap::from([(0, 1_000)]),
        trials: vec![MigrationTrial {
            type_id: 0,
            tried: 100,
            failed,
            failures: vec!["0123: no coins".into()],
            down_proved,
        }],
        migrate_us: 3.0,
        ..Living::default()
    }
}

#[test]
fn migrations_are_proved_by_a_rehearsal() {
    let proved = report(raised, &trial(0, true));
    assert_eq!((proved.exit, &proved.revert), (ExitClass::Ok, &Revert::Automatic));
    assert_eq!((proved.entities_to_migrate, proved.expected_pause_us), (5_000, 3_300));
    let one_way = report(raised, &trial(0, false));
    assert_eq!(one_way.exit, ExitClass::Attention);
    assert_eq!(
        one_way.revert,
        Revert::Manual(vec!["Avatar: `migrate` down does not give back what was before".into()])
    );
    let failing = report(raised, &trial(2, true));
    assert_eq!(failing.exit, ExitClass::Refused);
    assert!(text_of(&failing).contains(&"refused: Avatar: `migrate` fails for 2 of 100 entities".to_owned()));
    let untried = report(raised, &Living { trials: vec![], ..trial(0, true) });
    assert_eq!(untried.failures, ["Avatar: `migrate` was not tried on its 5000 entities"]);
}

#[test]
fn parked_methods_must_be_there() {
    let key = versions(basis(), basis()).0.types[0].methods[0].key;
    let parked = Parked { timers: 3, pending: 0, mailbox: 1 };
    let living = Living { parked: BTreeMap::from([((0, key), parked)]), ..Living::default() };
    assert_eq!(report(|_| {}, &living).exit, ExitClass::Ok);
    let renamed = |m: &mut Manifest| {
        m.types[0].methods[0].name = "strike".into();
        m.types[0].methods[0].was = "hit".into();
    };
    assert_eq!(report(renamed, &living).parked, []);
    let removed = report(|m| m.types[0].methods.clear(), &living);
    assert_eq!(removed.exit.code(), 2);
    assert!(
        text_of(&removed).contains(
            &"refused: method `Avatar.hit` is missing, and 3 timers, 1 messages name it".to_owned()
        )
    );
    let other = report(|m| m.types[0].methods[0] = method("hit", &[("damage", "string")]), &living);
    assert!(other.parked[0].other_signature);
}

#[test]
fn kinds_do_not_change_and_types_in_use_do_not_go() {
    let service = report(
        |m| {
            m.types[0].kind = TypeKind::Service;
            (m.types[0].boot, m.types[0].shards) = (false, 1);
        },
        &Living::default(),
    );
    assert_eq!(service.exit, ExitClass::Refused);
    let living = Living { entities: BTreeMap::from([(0, 7)]), ..Living::default() };
    let gone = report(|m| m.types[0].name = "Hero".into(), &living);
    assert_eq!(gone.orphans, [("Avatar".to_owned(), 7)]);
    assert_eq!(gone.exit, ExitClass::Refused);
    let text = serde_json::to_string(&gone).unwrap();
    assert_eq!(serde_json::from_str::<PlanReport>(&text).unwrap(), gone);
}
