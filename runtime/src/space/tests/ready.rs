//! Who hears when that the deployment is ready, and that a replay says it at the same moment.

use super::*;
use crate::record::{FileRecording, RecordingReader, ReplayOptions, Start, replay, write_past};

/// What happens to a space that was made before the deployment was ready, or after.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Born,
    Ready,
}

fn waiting(is_ready: bool) -> SpaceConfig {
    SpaceConfig { ready: is_ready, ..SpaceConfig::new(id(SPACE), SpaceKind::Space, [7; 32]) }
}

fn room(is_ready: bool) -> Bed {
    let mut bed = Bed::empty(SpaceKind::Space, Chaos::default(), manifest(), |model, journal| {
        let [created, ready] = [journal.clone(), journal.clone()];
        let model = model.hook("Room", Hook::Create, move |_| {
            note(&created, "create");
            Ok(())
        });
        model.hook("Room", Hook::Ready, move |cx| {
            note(&ready, "ready");
            let before = cx.number(cx.me(), 0)?;
            cx.set(cx.me(), 0, before + 1)
        })
    });
    bed.core = SpaceCore::new(waiting(is_ready), bed.version.clone());
    bed
}

fn take(bed: &mut Bed, step: Step) {
    match step {
        Step::Born => bed.make(SPACE, "Room"),
        Step::Ready => bed.inputs.push_back(Input::Ready),
    }
    bed.pass(100);
}

#[test]
fn a_space_hears_once_that_the_deployment_is_ready() {
    use Step::{Born, Ready};
    let cases: [(bool, &[Step], &[&str]); 6] = [
        (true, &[Born], &["create", "ready"]),
        (true, &[Born, Ready], &["create", "ready"]),
        (false, &[Born], &["create"]),
        (false, &[Born, Ready], &["create", "ready"]),
        (false, &[Born, Ready, Ready], &["create", "ready"]),
        (false, &[Ready, Ready, Born], &["create", "ready"]),
    ];
    for (was_ready, steps, expected) in cases {
        let mut bed = room(was_ready);
        steps.iter().for_each(|step| take(&mut bed, *step));
        assert_eq!(*bed.journal.lock().unwrap(), expected, "{was_ready} {steps:?}");
    }
}

#[test]
fn a_recording_knows_whether_the_deployment_was_ready_when_it_began() {
    use Step::{Born, Ready};
    for steps in [[Born, Ready], [Ready, Born]] {
        for before in 0..3 {
            let mut bed = room(false);
            steps.iter().take(before).for_each(|step| take(&mut bed, *step));
            let snapshot = (before > 0).then(|| bed.core.snapshot().unwrap());
            let start = Start::new(&waiting(false), &bed.version, snapshot);
            let recording = FileRecording::begin(Vec::new(), start, bed.version.clone()).unwrap();
            bed.core.record(Some(recording.recorder()));
            steps.iter().skip(before).for_each(|step| take(&mut bed, *step));
            bed.core.record(None);
            replays(&mut bed, &recording.finish().unwrap().0, &format!("{steps:?} from {before}"));
        }
    }
}

/// The last seconds begin where nobody asked them to: before the news, or between it and the birth.
#[test]
fn the_last_seconds_know_it_too() {
    use Step::{Born, Ready};
    for (steps, pause_ms) in [([Born, Ready], 500), ([Ready, Born], 500), ([Ready, Born], 30_000)] {
        let mut bed = room(false);
        for step in steps {
            bed.pass(pause_ms);
            take(&mut bed, step);
        }
        let past = bed.core.past().expect("something has happened");
        let (file, _) = write_past(Vec::new(), &waiting(false), past).unwrap();
        replays(&mut bed, &file, &format!("{steps:?} {pause_ms}"));
    }
}

fn replays(bed: &mut Bed, file: &[u8], what: &str) {
    let reader = RecordingReader::open(file).unwrap();
    let version = bed.version.clone();
    let report = replay(reader, &|_| Some(version.clone()), &mut bed.guests, &ReplayOptions::default());
    let report = report.unwrap();
    assert!(report.is_equal(), "{what}: {report}");
}
