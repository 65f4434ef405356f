//! Going over to another version with work in flight.

use super::*;
use crate::message::{SwapOrder, SwapReport};
use everwake_protocol::cluster::ToGate;

impl Bed {
    fn next_version(
        &mut self,
        manifest: Manifest,
        name: &str,
        model: impl FnOnce(Model) -> Model,
    ) -> Arc<ModuleVersion> {
        let model = model(Model::new(&manifest));
        let (lineage, version) = publish(&self.lineage, manifest, name).unwrap();
        self.lineage = lineage;
        self.guests.add(&version, model);
        version
    }

    fn swap(&mut self, version: &Arc<ModuleVersion>, migrate: Vec<u32>) -> SwapReport {
        let order = SwapOrder { version: version.clone(), migrate, rollback: false };
        self.inputs.push_back(Input::Swap(Arc::new(order)));
        self.run();
        let report = self.out.iter().rev().find_map(|output| match output {
            Output::Swapped(report) => Some(report.clone()),
            _ => None,
        });
        report.unwrap()
    }
}

fn busy() -> Bed {
    let mut bed = Bed::new(&[2], |model, _| {
        model.on("Avatar", "act", |cx| {
            cx.set(id(2), 0, 5)?;
            let timed = cx.method("Avatar", "timed")?.1;
            cx.host.start_timer(id(2), timed, int(1), 100.0, 0.0, false)?;
            let (part, then) = (part(cx, id(STRANGER), "other"), resumed(cx, id(2)));
            Ok(cx.host.call(part, then)?)
        })
    });
    bed.call(2, "act");
    bed
}

/// The second version of the avatar: another order of methods and attributes, one more of each.
fn second(journal: &Journal) -> (Manifest, impl FnOnce(Model) -> Model + use<>) {
    let mut manifest = manifest();
    manifest.label = "v2".into();
    let avatar = &mut manifest.types[1];
    avatar.methods.reverse();
    avatar.attributes.reverse();
    let all = AttributeFlags { all_clients: true, ..AttributeFlags::default() };
    avatar.attributes.insert(0, attribute("fresh", "i64", &[9], all));
    let journal = journal.clone();
    (manifest, move |model: Model| {
        let (timed, swapped, came) = (journal.clone(), journal.clone(), journal);
        model
            .on("Avatar", "timed", move |cx| {
                // a is 3 now, fresh is 0.
                let (a, fresh) = (cx.number(id(2), 3)?, cx.number(id(2), 0)?);
                note(&timed, format!("timed in v2: a {a}, fresh {fresh}"));
                cx.set(id(2), 3, a + 1)
            })
            .on("Avatar", "resumed", move |_| {
                note(&came, "resumed in v2");
                Ok(())
            })
            .hook("Avatar", Hook::Swapped, move |_| {
                note(&swapped, "swapped");
                Ok(())
            })
    })
}

#[test]
fn timers_and_pending_calls_go_on_in_the_new_version() {
    let mut bed = busy();
    let (manifest, model) = second(&bed.journal);
    let version = bed.next_version(manifest, "v2", model);
    let report = bed.swap(&version, Vec::new());
    assert_eq!((report.failed, report.migrated), (None, 0));
    assert_eq!(bed.core.version().hash, version.hash);
    bed.pass(10_000);
    assert_eq!(bed.noted(), ["swapped", "timed in v2: a 5, fresh 9", "resumed in v2"]);
    assert_eq!(bed.number(2, 0), 6, "by small id it is where it was");
}

#[test]
fn what_names_a_method_that_is_gone_is_told_so() {
    let mut bed = busy();
    let mut manifest = manifest();
    manifest.types[1].methods.retain(|method| method.name != "timed");
    let journal = bed.journal.clone();
    let version = bed.next_version(manifest, "v2", move |model| {
        model.hook("Avatar", Hook::Unhandled, move |cx| {
            note(&journal, cx.args().text().unwrap().to_owned());
            Ok(())
        })
    });
    let order = SwapOrder { version: version.clone(), migrate: Vec::new(), rollback: false };
    bed.inputs.push_back(Input::Rehearse { ticket: 4, order: Arc::new(order) });
    bed.run();
    let Some(Output::Rehearsed { rehearsal, .. }) = bed.out.last() else { panic!("{:?}", bed.out.last()) };
    assert_eq!(rehearsal.parked.len(), 1);
    assert_eq!((rehearsal.parked[0].method.as_str(), rehearsal.parked[0].kind), ("timed", "timer"));
    bed.swap(&version, Vec::new());
    bed.pass(200);
    assert_eq!(bed.noted(), ["timed"]);
    assert_eq!(bed.core.counts().unhandled, 1);
}

fn raised(journal: &Journal, fail: bool) -> (Manifest, impl FnOnce(Model) -> Model + use<>) {
    let (mut manifest, model) = second(journal);
    manifest.types[1].schema = 1;
    (manifest, move |base: Model| {
        model(base).migrate(move |_, from, to, state| {
            if fail {
                return Err(GuestError::Other("cannot".into()));
            }
            let mut reader = cbor::Reader::new(state);
            let mut out = Vec::new();
            let count = reader.map().unwrap();
            cbor::map(&mut out, count);
            for _ in 0..count {
                let name = reader.text().unwrap();
                cbor::text(&mut out, name);
                if name == "a" {
                    let a = reader.i64().unwrap();
                    cbor::int(&mut out, if to > from { a * 10 } else { a / 10 });
                } else {
                    out.extend_from_slice(reader.item().unwrap());
                }
            }
            Ok(out)
        })
    })
}

#[test]
fn a_schema_change_migrates_everybody_on_a_copy() {
    let mut bed = busy();
    let (manifest, model) = raised(&bed.journal, false);
    let version = bed.next_version(manifest, "v2", model);
    let avatar = bed.version.types[1].id;
    let report = bed.swap(&version, vec![avatar]);
    assert_eq!((report.failed, report.migrated), (None, 1));
    assert_eq!(bed.number(2, 0), 50);
    let swap = bed.core.commits().find(|commit| commit.kind.is_none() && !commit.deltas.is_empty()).unwrap();
    assert_eq!(swap.delta(&swap.deltas[0]), [0, 0x18, 50]);
}

#[test]
fn a_failed_migration_leaves_the_old_version_running() {
    let mut bed = busy();
    let before = bed.state();
    let (manifest, model) = raised(&bed.journal, true);
    let version = bed.next_version(manifest, "v2", model);
    let avatar = bed.version.types[1].id;
    let report = bed.swap(&version, vec![avatar]);
    assert!(report.failed.unwrap().contains("cannot"));
    assert_eq!(before, bed.state());
    assert_eq!(bed.core.version().hash, bed.version.hash);
}

/// An attribute that nobody may see is not told to the replicator while it changes.
#[test]
fn an_attribute_that_becomes_visible_is_told_as_it_is() {
    const VALUE: i64 = 123_456_789;
    let mut bed = Bed::new(&[2], |model, _| model.on("Avatar", "act", |cx| cx.set(id(2), 1, VALUE)));
    bed.attach(2, 1);
    bed.call(2, "act");
    bed.pass(1_000);
    let told = |bed: &Bed| {
        let value = int(VALUE);
        bed.out.iter().any(|output| match output {
            Output::Gate(ToGate::Frames { frames, .. }) => {
                frames.windows(value.len()).any(|part| part == value)
            }
            _ => false,
        })
    };
    assert!(!told(&bed));
    let mut manifest = manifest();
    manifest.types[AVATAR as usize].attributes[1].flags.client = true;
    let version = bed.next_version(manifest, "v2", |model| model);
    assert_eq!(bed.swap(&version, Vec::new()).failed, None);
    bed.pass(1_000);
    assert!(told(&bed));
}
