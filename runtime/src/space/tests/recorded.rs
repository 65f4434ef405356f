//! A busy space that somebody begins to record, or asks for its last seconds, replays equally.

use super::*;
use crate::limits;
use crate::record::{FileRecording, RecordingReader, ReplayOptions, ReplayReport, Start, replay, write_past};
use crate::space::PastBudget;
use std::sync::atomic::{AtomicBool, Ordering};

const MOBS: u32 = 40;
/// More members than this are too much for one tick, while the machine is slow.
const SLOW_FROM: usize = 25;

/// A random walk, from the event's chance alone.
fn step(seed: [u32; 4], index: u32) -> f32 {
    let mixed = (seed[0] ^ index.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b) >> 16;
    (mixed % 400) as f32 / 100.0 - 2.0
}

fn wander(cx: &mut Context<'_>, slow: &AtomicBool) -> Result<(), Stop> {
    let due = cx.host.due();
    for index in 0..due.len() as u32 {
        cx.host.working_on(index);
        if index as usize >= SLOW_FROM && slow.load(Ordering::Relaxed) {
            return Err(Stop::Trap(TrapKind::TimedOut, "slow".into()));
        }
    }
    let seed = cx.event.seed;
    let mut poses = cx.host.poses();
    for (index, [x, _, z, _]) in (0u32..).zip(poses.as_chunks_mut::<4>().0) {
        (*x, *z) = (*x + step(seed, index), *z + step(seed, index + 1_000));
    }
    cx.host.move_all(&poses)?;
    for member in &due {
        let ticked = cx.number(member.entity, 0)?;
        cx.set(member.entity, 0, ticked + 1)?;
    }
    Ok(())
}

/// Mobs wander around avatars that note whom they see; on a slow machine their ticks are cut. What one client
/// calls crashes. Some are born and some die.
fn busy() -> (Bed, Arc<AtomicBool>) {
    let mut manifest = manifest();
    manifest.types[AVATAR as usize].aoi_radius = Some(10.0);
    let slow = Arc::new(AtomicBool::new(true));
    let is_slow = slow.clone();
    let mut bed = Bed::empty(SpaceKind::Space, Chaos::default(), manifest, |mut model, _| {
        for (hook, by) in [(Hook::EnterAoi, 1), (Hook::LeaveAoi, 1_000)] {
            model = model.hook("Avatar", hook, move |cx| {
                let before = cx.number(cx.me(), 0)?;
                cx.set(cx.me(), 0, before + by)
            });
        }
        model
            .on("Avatar", "own", |_| Err(trap()))
            .on("Avatar", "act", |cx| {
                let pose = Pose { x: 3.0, ..Pose::default() };
                cx.host.spawn(MOB, &[], pose)??;
                Ok(())
            })
            .on("Avatar", "other", |cx| {
                let mob = cx.host.near(Pose::default(), 8.0, Some(MOB)).first().map(|found| found.entity);
                mob.map_or(Ok(()), |mob| Ok(cx.host.destroy(mob)?))
            })
            .tick("Mob", move |cx| wander(cx, &is_slow))
    });
    bed.make(SPACE, "Room");
    for avatar in [2, 3, 4] {
        bed.make(avatar, "Avatar");
    }
    for mob in 0..MOBS {
        bed.make(100 + mob, "Mob");
    }
    // Around the avatars, not in one row.
    for input in &mut bed.inputs {
        if let Input::Create { type_name, pose, .. } = input
            && type_name == "Mob"
        {
            let place = pose.x as u32 - 100;
            (pose.x, pose.z) = ((place % 7) as f32 * 4.0 - 10.0, (place / 7) as f32 * 4.0 - 10.0);
        }
    }
    bed.run();
    for avatar in [2, 3] {
        bed.attach(avatar, avatar);
    }
    (bed, slow)
}

/// So many tenths of a second. Every now and then a client crashes a method, and somebody is born or dies.
fn play(bed: &mut Bed, from: u32, tenths: u32) {
    for tenth in from..from + tenths {
        match tenth % 10 {
            3 => bed.request(2, u64::from(tenth), 2, "own"),
            5 => {
                bed.push_call(3, "act");
            }
            7 => {
                bed.push_call(3, "other");
            }
            _ => {}
        }
        bed.pass(100);
    }
}

fn again(bed: &mut Bed, slow: &AtomicBool, file: &[u8]) -> ReplayReport {
    again_with(bed, slow, file, None)
}

fn again_with(
    bed: &mut Bed,
    slow: &AtomicBool,
    file: &[u8],
    later: Option<Arc<ModuleVersion>>,
) -> ReplayReport {
    slow.store(false, Ordering::Relaxed);
    let reader = RecordingReader::open(file).unwrap();
    let version = bed.version.clone();
    let versions = |hash| Some(version.clone()).into_iter().chain(later.clone()).find(|it| it.hash == hash);
    let report = replay(reader, &versions, &mut bed.guests, &ReplayOptions::default());
    slow.store(true, Ordering::Relaxed);
    report.unwrap()
}

#[test]
fn a_recording_that_begins_in_the_midst_of_a_game_replays_equally() {
    // At each of these moments something else is under way: who is seen, how long a pause is, who is charged.
    for before in [0, 1, 7, 24, 38, 51] {
        let (mut bed, slow) = busy();
        play(&mut bed, 1, before);
        let config = SpaceConfig::new(id(SPACE), SpaceKind::Space, [7; 32]);
        let start = Start::new(&config, &bed.version, Some(bed.core.snapshot().unwrap()));
        let recording = FileRecording::begin(Vec::new(), start, bed.version.clone()).unwrap();
        bed.core.record(Some(recording.recorder()));
        play(&mut bed, 1 + before, 40);
        bed.core.record(None);
        let (file, _) = recording.finish().unwrap();
        let report = again(&mut bed, &slow, &file);
        assert!(report.is_equal() && report.commits > 40, "from {before}: {report}");
        assert!(report.timed_out > 0, "the machine was slow");
    }
}

#[test]
fn the_last_seconds_of_a_space_replay_equally() {
    let (mut bed, slow) = busy();
    let mut played = 0;
    for tenths in [1, 30, 61, 100, 33] {
        play(&mut bed, 1 + played, tenths);
        played += tenths;
        let past = bed.core.past().unwrap();
        let all = bed.now - past.from_ms;
        let least = limits::RECENT_MS.min(u64::from(played) * 100);
        assert!((least..=limits::RECENT_MS + limits::RECENT_PERIOD_MS + 100).contains(&all), "{all} ms");
        let (file, written) = write_past(Vec::new(), &config(), past).unwrap();
        let report = again(&mut bed, &slow, &file);
        assert!(report.is_equal(), "after {played}: {report}");
        assert!(report.commits as u32 >= played.min(100), "{report} {written:?}");
    }
}

fn config() -> SpaceConfig {
    SpaceConfig::new(id(SPACE), SpaceKind::Space, [7; 32])
}

#[test]
fn the_last_seconds_go_back_before_a_swap() {
    let (mut bed, slow) = busy();
    play(&mut bed, 1, 40);
    let mut manifest = manifest();
    manifest.types[MOB as usize].schema = 2;
    manifest.types[AVATAR as usize].aoi_radius = Some(30.0);
    let is_slow = slow.clone();
    let later = bed.next_version(manifest, "v2", |model| {
        model
            .migrate(|_, _, _, _| Ok(vec![0xa1, 0x61, b'a', 0x18, 77]))
            .tick("Mob", move |cx| wander(cx, &is_slow))
    });
    let report = bed.swap(&later);
    assert!(report.failed.is_none() && report.migrated > 30, "{report:?}");
    play(&mut bed, 41, 30);
    let past = bed.core.past().unwrap();
    assert_eq!(past.version.hash, bed.version.hash, "it begins on the version before");
    let (file, _) = write_past(Vec::new(), &config(), past).unwrap();
    let report = again_with(&mut bed, &slow, &file, Some(later));
    assert!(report.is_equal() && report.commits > 70, "{report}");
}

#[test]
fn a_storm_is_not_kept_and_what_follows_it_is() {
    let (mut bed, slow) = busy();
    let mut storm = |calls: usize| {
        for round in 0..calls {
            bed.push_call(4, "open");
            if round % 64 == 0 {
                bed.run();
            }
        }
        bed.run();
        bed.core.past().map(|past| past.happened.len())
    };
    let kept = storm(limits::RECENT_ENTRIES_MAX / 4).expect("that much is kept");
    assert!(kept >= limits::RECENT_ENTRIES_MAX / 4, "{kept}");
    assert_eq!(storm(limits::RECENT_ENTRIES_MAX), None, "more happened than is kept");
    bed.pass(1_000);
    assert!(bed.core.past().is_none());
    assert!(bed.core.commits().count() <= limits::RECENT_ENTRIES_MAX);
    bed.pass(limits::RECENT_REST_MS);
    play(&mut bed, 1, 20);
    let (file, _) = write_past(Vec::new(), &config(), bed.core.past().unwrap()).unwrap();
    let report = again(&mut bed, &slow, &file);
    assert!(report.is_equal() && report.commits > 0, "{report}");
}

#[test]
fn a_space_that_sleeps_keeps_nothing_and_begins_again() {
    let (mut bed, slow) = busy();
    play(&mut bed, 1, 5);
    bed.core.sleep();
    assert!(bed.core.past().is_none());
    assert!(bed.core.commits().count() <= limits::COMMITS_KEPT);
    play(&mut bed, 6, 5);
    let (file, _) = write_past(Vec::new(), &config(), bed.core.past().unwrap()).unwrap();
    let report = again(&mut bed, &slow, &file);
    assert!(report.is_equal() && report.commits > 0, "{report}");
}

#[test]
fn a_space_that_is_too_large_keeps_nothing_for_a_while() {
    let mut bed = Bed::new(&[2], |model, _| {
        model.on("Avatar", "act", |cx| {
            let large = vec![0x41; 60_000];
            let mut value = vec![0x81];
            cbor::bytes(&mut value, &large);
            cx.write(cx.me(), 2, value.into())
        })
    });
    let many = (limits::RECENT_BYTES_MAX / 2 / 60_000) as u32 + 10;
    (0..many).for_each(|number| bed.make(1_000 + number, "Avatar"));
    bed.run();
    for _ in 0..3 {
        for number in 0..many {
            bed.push_call(1_000 + number, "act");
        }
        bed.pass(limits::RECENT_PERIOD_MS + 1);
    }
    assert!(bed.core.past().is_none(), "the images of all do not fit");
    bed.pass(limits::RECENT_REST_MS);
    bed.call(2, "other");
    assert!(bed.core.past().is_some(), "it tries again");
}

/// The same space as part of a process whose spaces share a budget.
fn share(bed: &mut Bed, budget: &PastBudget) {
    let snapshot = bed.core.snapshot().unwrap();
    let config = SpaceConfig { past_budget: budget.clone(), ..config() };
    bed.core = SpaceCore::restore(config, bed.version.clone(), snapshot).unwrap();
}

#[test]
fn spaces_that_share_a_budget_let_go_of_their_own_oldest() {
    let (mut one, slow) = busy();
    let (mut two, is_slow) = busy();
    let alone = PastBudget::default();
    share(&mut one, &alone);
    play(&mut one, 1, 100);
    let needs = alone.used();
    assert!(needs > 0);
    let budget = PastBudget::new(needs * 3 / 2);
    share(&mut one, &budget);
    assert_eq!(alone.used(), 0, "what was kept is given back");
    share(&mut two, &budget);
    let mut shortened = 0;
    for round in 0..15 {
        for (bed, slow, from) in [(&mut one, &slow, 101), (&mut two, &is_slow, 1)] {
            play(bed, from + round * 10, 10);
            assert!(budget.used() <= needs * 3 / 2, "{} of {needs}", budget.used());
            let Some(past) = bed.core.past() else {
                shortened += 1;
                continue;
            };
            shortened += u32::from(round > 10 && bed.now - past.from_ms < limits::RECENT_MS);
            let (file, _) = write_past(Vec::new(), &config(), past).unwrap();
            let report = again(bed, slow, &file);
            assert!(report.is_equal(), "{report}");
        }
    }
    assert!(shortened > 0, "two spaces have no room for all of both");
    drop((one, two));
    assert_eq!(budget.used(), 0);
}
