//! Going over to another version with work in flight.

use super::*;
use crate::message::{SwapReport, Traveller};
use everwake_protocol::cluster::ToGate;

impl Bed {
    pub(super) fn next_version(
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

    pub(super) fn swap(&mut self, version: &Arc<ModuleVersion>) -> SwapReport {
        self.inputs.push_back(Input::Swap(version.clone()));
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
    let report = bed.swap(&version);
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
    bed.inputs.push_back(Input::Rehearse { ticket: 4, version: version.clone() });
    bed.run();
    let Some(Output::Rehearsed { rehearsal, .. }) = bed.out.last() else { panic!("{:?}", bed.out.last()) };
    assert_eq!(rehearsal.parked.len(), 1);
    assert_eq!((rehearsal.parked[0].method.as_str(), rehearsal.parked[0].kind.as_ref()), ("timed", "timer"));
    bed.swap(&version);
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
    let report = bed.swap(&version);
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
    let report = bed.swap(&version);
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
    assert_eq!(bed.swap(&version).failed, None);
    bed.pass(1_000);
    assert!(told(&bed));
}

/// The first version again, as a later one. Its own code knows nothing of the second's form.
fn back(bed: &mut Bed) -> Arc<ModuleVersion> {
    bed.next_version(manifest(), "v1 again", |model| model)
}

#[test]
fn going_back_runs_the_code_that_knows_both_forms() {
    let mut bed = busy();
    let (manifest, model) = raised(&bed.journal, false);
    let version = bed.next_version(manifest, "v2", model);
    bed.swap(&version);
    assert_eq!(bed.number(2, 0), 50);
    let first = back(&mut bed);
    bed.inputs.push_back(Input::Rehearse { ticket: 4, version: first.clone() });
    bed.run();
    let Some(Output::Rehearsed { rehearsal, .. }) = bed.out.last() else { panic!("{:?}", bed.out.last()) };
    assert!(rehearsal.reversible && rehearsal.failed == 0, "{rehearsal:?}");
    let report = bed.swap(&first);
    assert_eq!((report.failed, report.migrated), (None, 1));
    assert_eq!(bed.number(2, 0), 5);
}

#[test]
fn a_traveller_is_read_by_the_names_of_the_version_that_it_left() {
    for up in [true, false] {
        let mut bed = busy();
        let (manifest, model) = raised(&bed.journal, false);
        let second = bed.next_version(manifest, "v2", model);
        let (leaves, arrives) = if up { (bed.version.clone(), second) } else { (second, back(&mut bed)) };
        bed.swap(&leaves);
        let body =
            bed.core.snapshot().unwrap().entities.iter().find(|it| it.id == id(2)).unwrap().body.clone();
        bed.swap(&arrives);
        bed.inputs.push_back(Input::Install(Box::new(Traveller {
            entity: id(2),
            from: None,
            to: Some(id(SPACE)),
            pose: Pose::default(),
            epoch: 4,
            version: leaves,
            failed: None,
            debts: Vec::new(),
            told: Vec::new(),
            body,
        })));
        bed.out.clear();
        bed.run();
        assert!(!bed.out.iter().any(|output| matches!(output, Output::Refused(..))), "{:?}", bed.out);
        assert_eq!(bed.number(2, 0), if up { 50 } else { 5 });
    }
}

#[test]
fn timers_of_sleepers_fire_when_a_version_lets_them_sleep_no_more() {
    let mut first = manifest();
    first.types[1].sleeps_unwatched = true;
    let mut bed = Bed::empty(SpaceKind::Space, Chaos::default(), first, |model, journal| {
        let journal = journal.clone();
        model
            .on("Avatar", "act", |cx| {
                let timed = cx.method("Avatar", "timed")?.1;
                cx.host.start_timer(id(2), timed, int(1), 100.0, 0.0, false)?;
                Ok(())
            })
            .on("Avatar", "timed", move |_| {
                note(&journal, "timed");
                Ok(())
            })
    });
    bed.make(SPACE, "Room");
    bed.make(2, "Avatar");
    bed.call(2, "act");
    bed.pass(1_000);
    assert_eq!(bed.noted(), Vec::<String>::new(), "it sleeps");
    let journal = bed.journal.clone();
    let version = bed.next_version(manifest(), "v2", move |model| {
        model.on("Avatar", "timed", move |_| {
            note(&journal, "timed in v2");
            Ok(())
        })
    });
    assert_eq!(bed.swap(&version).failed, None);
    bed.pass(100);
    assert_eq!(bed.noted(), ["timed in v2"]);
}

#[test]
fn who_made_the_former_version_crash_may_call_the_new_one() {
    let mut bed = Bed::new(&[2], |model, journal| {
        let journal = journal.clone();
        model.on("Avatar", "own", move |_| {
            note(&journal, "v1");
            Err(trap())
        })
    });
    bed.attach(2, 1);
    for request in 1..=4 {
        bed.request(1, request, 2, "own");
        bed.run();
    }
    assert_eq!(bed.noted(), ["v1"; 3], "the fourth is refused");
    let mut mended = manifest();
    mended.label = "v2".into();
    let journal = bed.journal.clone();
    let version = bed.next_version(mended, "v2", |model| {
        model.on("Avatar", "own", move |_| {
            note(&journal, "v2");
            Ok(())
        })
    });
    assert_eq!(bed.swap(&version).failed, None);
    bed.noted();
    bed.request(1, 5, 2, "own");
    bed.run();
    assert_eq!(bed.noted(), ["v2"]);
}
