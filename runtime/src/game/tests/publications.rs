//! From bytes to a version that is trusted, or goes back.

use super::*;
use crate::guest::{Origin, TrapKind};
use crate::message::Parked;
use publish::Agreed;
use report::{VersionState, full_hash};

/// The rehearsal's ticket, and who is asked.
fn rehearsals(out: &[GameOutput]) -> (u64, Vec<EntityId>) {
    let asked: Vec<(EntityId, u64)> = out
        .iter()
        .filter_map(|output| match output {
            GameOutput::ToSpace(space, Input::Rehearse { ticket, .. }) => Some((*space, *ticket)),
            _ => None,
        })
        .collect();
    let ticket = asked.first().expect("a rehearsal").1;
    (ticket, asked.into_iter().map(|(space, _)| space).collect())
}

fn rehearse(stage: &mut Stage, out: &[GameOutput], found: Rehearsal) -> Vec<GameOutput> {
    let (ticket, spaces) = rehearsals(out);
    let mut all = Vec::new();
    for space in spaces {
        let rehearsal = Box::new(found.clone());
        all.extend(stage.says(space, vec![Output::Rehearsed { ticket, rehearsal }]));
    }
    all
}

fn nothing() -> Rehearsal {
    Rehearsal { entities: 1, reversible: true, ..Rehearsal::default() }
}

fn orders(out: &[GameOutput]) -> Vec<(EntityId, Arc<ModuleVersion>)> {
    out.iter()
        .filter_map(|output| match output {
            GameOutput::ToSpace(space, Input::Swap(version)) => Some((*space, version.clone())),
            _ => None,
        })
        .collect()
}

fn swap(stage: &mut Stage, out: &[GameOutput]) -> Vec<GameOutput> {
    let mut all = Vec::new();
    for (space, order) in orders(out) {
        all.extend(stage.says(space, vec![swapped(&order, None)]));
    }
    all
}

fn swapped(version: &ModuleVersion, failed: Option<&str>) -> Output {
    Output::Swapped(SwapReport {
        from: VersionHash::default(),
        to: version.hash,
        failed: failed.map(str::to_owned),
        entities: 1,
        migrated: 0,
    })
}

/// Publishes a version until all spaces run it; what was said after the last swap.
fn go_over(stage: &mut Stage, manifest: Manifest, options: PublishOptions) -> Vec<GameOutput> {
    let out = stage.publish(manifest, options);
    let out = rehearse(stage, &out, nothing());
    swap(stage, &out)
}

/// The same for the usual module, by its label.
pub(super) fn swap_to(stage: &mut Stage, label: &str) -> Vec<GameOutput> {
    go_over(stage, manifest("yard", label), PublishOptions { supersede: true, ..Default::default() })
}

fn crash(label: &str) -> Output {
    crash_of(label, "Account::poke")
}

fn crash_of(label: &str, handler: &str) -> Output {
    Output::Crashed(Box::new(Crash {
        at_ms: 0,
        module: "yard".into(),
        label: label.into(),
        version: hash_of(label),
        handler: handler.into(),
        entity: id(1),
        space: id(2),
        origin: Origin::Host,
        caller: None,
        session: None,
        args: String::new(),
        kind: TrapKind::Fault,
        message: "no sword".into(),
        frames: Vec::new(),
        log: Vec::new(),
        patch: String::new(),
    }))
}

fn states(stage: &mut Stage) -> Vec<(u32, VersionState)> {
    let (_, out) = stage.ask(AdminRequest::Versions { module: None });
    let [GameOutput::Admin { answer, .. }] = out.as_slice() else { panic!("an answer: {out:?}") };
    let AdminAnswer::Versions(versions) = answer.as_ref() else { panic!("versions: {answer:?}") };
    versions.iter().map(|version| (version.generation, version.state)).collect()
}

#[test]
fn a_module_starts_with_its_schema_its_shards_and_its_services() {
    let mut stage = Stage::new(config());
    let out = stage.publish(manifest("yard", "1"), PublishOptions::default());
    assert!(matches!(&stage.gate[..], [ToGate::Schema { schema }] if schema.module == "yard"));
    let made: Vec<EntityId> = out
        .iter()
        .filter_map(|output| match output {
            GameOutput::MakeSpace(spec) => Some(spec.id),
            _ => None,
        })
        .collect();
    let lobby = |number| service_shard("yard", "Lobby", number);
    assert_eq!(made, [nil_shard("yard", 0), nil_shard("yard", 1), lobby(0), lobby(1)]);
    assert!(
        matches!(to_space(&out, lobby(1)).as_slice(), [Input::Create { entity, .. }] if *entity == lobby(1))
    );
    let reports = reports(&out);
    assert!(
        matches!(reports.as_slice(), [report] if report.published && report.exit == 0 && report.generation == 1)
    );
}

#[test]
fn a_version_is_rehearsed_staged_swapped_watched_and_passes() {
    let mut stage = Stage::running();
    let out = stage.publish(manifest("yard", "2"), PublishOptions::default());
    assert!(orders(&out).is_empty(), "nobody swaps before everybody has looked");
    let out = rehearse(&mut stage, &out, nothing());
    let ordered = orders(&out);
    assert_eq!(ordered.len(), 4);
    assert!(
        matches!(&stage.gate[..], [ToGate::Schema { schema }] if schema.generation == 2),
        "the gate knows the ids before anybody uses them"
    );

    let out = stage.publish(manifest("yard", "3"), PublishOptions { supersede: true, ..Default::default() });
    let refused = reports(&out);
    assert!(refused[0].refusals[0].contains("spaces of two versions"), "{refused:?}");

    for (space, order) in &ordered {
        assert!(facts(&out).iter().all(|fact| !matches!(fact, Fact::Swapped { .. })));
        let out = stage.says(*space, vec![swapped(order, None)]);
        assert!(reports(&out).is_empty(), "the answer waits for pauses");
    }
    for micros in [100, 300, 200] {
        let out = stage.handle(GameInput::Paused { space: ordered[0].0, version: hash_of("2"), micros });
        assert!(reports(&out).is_empty());
    }
    let out = stage.handle(GameInput::Paused { space: ordered[0].0, version: hash_of("2"), micros: 900 });
    let report = reports(&out)[0].clone();
    assert!(report.published && report.reversible && report.exit == 0);
    let pause = report.pause.expect("pauses");
    assert_eq!((pause.spaces, pause.p50_us, pause.p99_us, pause.max_us), (4, 200, 900, 900));
    assert_eq!(states(&mut stage), [(2, VersionState::Probation), (1, VersionState::Passed)]);

    let out = stage.pass(10_000);
    assert!(matches!(facts(&out).as_slice(), [Fact::Passed { .. }]));
    assert_eq!(states(&mut stage)[0], (2, VersionState::Passed));
}

#[test]
fn new_spaces_begin_with_head() {
    let mut stage = Stage::running();
    let out = stage.publish(manifest("yard", "2"), PublishOptions::default());
    rehearse(&mut stage, &out, nothing());
    let create = Output::Create {
        entity: id(300),
        type_name: "Room".into(),
        args: Bytes::from_static(&[0x80]),
        place: crate::guest::Place::Anywhere,
        answer: AnswerTo::Nobody,
    };
    let out = stage.says(service_shard("yard", "Lobby", 0), vec![create]);
    assert!(
        out.iter()
            .any(|output| matches!(output, GameOutput::MakeSpace(spec) if spec.version.hash == hash_of("2")))
    );
}

#[test]
fn a_version_without_a_method_that_is_waited_for_is_refused() {
    let mut stage = Stage::running();
    let parked =
        vec![Parked { type_name: "Account".into(), method: "poke".into(), kind: "timer".into(), count: 3 }];
    let out = stage.publish(manifest("yard", "2"), PublishOptions::default());
    let out = rehearse(&mut stage, &out, Rehearsal { parked, ..nothing() });
    let report = reports(&out)[0].clone();
    assert_eq!((report.exit, report.published), (2, false));
    assert!(report.refusals[0].starts_with("12 x timer: `Account::poke`"), "{:?}", report.refusals);
    assert!(orders(&out).is_empty());
    assert!(out.iter().any(|output| matches!(output, GameOutput::Forget(hash) if *hash == hash_of("2"))));
    // Nothing is left of it.
    let out = go_over(&mut stage, manifest("yard", "3"), PublishOptions::default());
    assert!(facts(&out).iter().any(|fact| matches!(fact, Fact::Swapped { generation: 2, .. })), "{out:?}");
}

#[test]
fn a_plan_changes_nothing_and_says_what_a_publication_would_need() {
    let mut stage = Stage::running();
    let plan = |stage: &mut Stage, found: Rehearsal| {
        let options = PublishOptions::default();
        let (_, out) = stage.ask(AdminRequest::Plan { bytes: Bytes::from_static(b"2"), options });
        let out = stage.load(manifest("yard", "2"), &out);
        let out = rehearse(stage, &out, found);
        assert!(orders(&out).is_empty());
        reports(&out)[0].exit
    };
    assert_eq!(plan(&mut stage, nothing()), 0);
    assert_eq!(plan(&mut stage, Rehearsal { reversible: false, ..nothing() }), 1);
    assert_eq!(plan(&mut stage, Rehearsal { failed: 1, failures: vec!["no".into()], ..nothing() }), 2);
    assert_eq!(states(&mut stage), [(1, VersionState::Passed)]);
}

#[test]
fn a_version_that_cannot_go_back_needs_consent() {
    let mut stage = Stage::running();
    let one_way = Rehearsal { reversible: false, ..nothing() };
    let out = stage.publish(manifest("yard", "2"), PublishOptions::default());
    let out = rehearse(&mut stage, &out, one_way.clone());
    assert!(orders(&out).is_empty());
    assert_eq!(reports(&out)[0].exit, 1);
    let options = PublishOptions { agreed: Agreed::NoWayBack, ..Default::default() };
    let out = stage.publish(manifest("yard", "2"), options);
    let out = rehearse(&mut stage, &out, one_way);
    swap(&mut stage, &out);
    // And probation can only halt it.
    let lobby = service_shard("yard", "Lobby", 0);
    let out = stage.says(lobby, vec![crash("2"), crash("2"), crash("2"), crash("2")]);
    assert!(matches!(facts(&out).as_slice(), [Fact::Halted { .. }]), "said once: {:?}", facts(&out));
    assert!(orders(&out).is_empty());
    assert_eq!(states(&mut stage)[0], (2, VersionState::Halted));
}

#[test]
fn a_version_that_takes_values_out_of_use_needs_more_consent_than_one_without_a_way_back() {
    let mut stage = Stage::running();
    let mut poorer = manifest("yard", "2");
    poorer.types[0].attributes.clear();
    let publish = |stage: &mut Stage, agreed| {
        let options = PublishOptions { agreed, ..Default::default() };
        let out = stage.publish(poorer.clone(), options);
        rehearse(stage, &out, nothing())
    };
    for agreed in [Agreed::Nothing, Agreed::NoWayBack] {
        let out = publish(&mut stage, agreed);
        assert!(orders(&out).is_empty());
        let report = &reports(&out)[0];
        assert_eq!((report.exit, report.published), (1, false));
        assert!(report.warnings[0].contains("attribute `count` is removed"), "{report:?}");
    }
    let out = publish(&mut stage, Agreed::Loss);
    assert!(!orders(&out).is_empty());
    swap(&mut stage, &out);
    // Nothing is lost on the way back: `count` is kept, and the old version knows it.
    let back = AdminRequest::Rollback { module: None, to: Some("1".into()), irreversible: false };
    let (_, out) = stage.ask(back);
    let out = rehearse(&mut stage, &out, nothing());
    assert!(!orders(&out).is_empty());
}

#[test]
fn a_version_that_traps_too_often_goes_back_by_itself() {
    let mut stage = Stage::running();
    go_over(&mut stage, manifest("yard", "2"), PublishOptions::default());
    let lobby = service_shard("yard", "Lobby", 0);
    let out = stage.says(lobby, vec![crash("2"), crash_of("1", "Account::other"), crash("2")]);
    assert!(orders(&out).is_empty(), "two traps are allowed, and those of others do not count");
    let out = stage.says(lobby, vec![crash("2")]);
    let ordered = orders(&out);
    assert_eq!(ordered.len(), 4);
    assert!(ordered.iter().all(|(_, version)| version.hash == hash_of("1")));
    assert_eq!(ordered[0].1.generation, 3, "going back is a new generation");
    assert!(facts(&out).iter().any(|fact| matches!(fact, Fact::Reverting { .. })));
    let out = swap(&mut stage, &out);
    assert!(facts(&out).iter().any(|fact| matches!(fact, Fact::Swapped { rollback: true, .. })));
    stage.pass(super::super::limits::PAUSES_WAIT_MS);
    let states = states(&mut stage);
    assert_eq!(states[..2], [(3, VersionState::Probation), (2, VersionState::Reverted)]);
}

#[test]
fn a_superseded_version_is_not_what_a_revert_goes_to() {
    let mut stage = Stage::running_with(GameConfig { dev: true, ..config() });
    go_over(&mut stage, manifest("yard", "2"), PublishOptions::default());
    go_over(&mut stage, manifest("yard", "3"), PublishOptions::default());
    assert_eq!(states(&mut stage)[1], (2, VersionState::Superseded));
    let lobby = service_shard("yard", "Lobby", 0);
    let out = stage.says(lobby, vec![crash("3"), crash("3"), crash("3")]);
    assert!(orders(&out).iter().all(|(_, order)| order.hash == hash_of("1")));
    assert_eq!(orders(&out).len(), 4);
}

#[test]
fn outside_of_development_a_probation_is_not_ended_by_accident() {
    let mut stage = Stage::running();
    go_over(&mut stage, manifest("yard", "2"), PublishOptions::default());
    let out = stage.publish(manifest("yard", "3"), PublishOptions::default());
    assert!(reports(&out).iter().any(|report| report.refusals.iter().any(|why| why.contains("--supersede"))));
    let out = stage.publish(manifest("yard", "3"), PublishOptions { supersede: true, ..Default::default() });
    rehearsals(&out);
}

#[test]
fn spaces_that_do_not_swap_take_the_others_back() {
    let mut stage = Stage::running();
    let out = stage.publish(manifest("yard", "2"), PublishOptions::default());
    let out = rehearse(&mut stage, &out, nothing());
    let ordered = orders(&out);
    let mut last = Vec::new();
    for (index, (space, order)) in ordered.iter().enumerate() {
        let failed = (index == 2).then_some("migrate failed");
        last = stage.says(*space, vec![swapped(order, failed)]);
    }
    let report = reports(&last)[0].clone();
    assert_eq!((report.exit, report.published), (2, false));
    assert_eq!(orders(&last).len(), 4);
    assert!(orders(&last).iter().all(|(_, order)| order.hash == hash_of("1")));
    swap(&mut stage, &last);
    stage.pass(1_000);
    let (_, out) = stage.ask(AdminRequest::Status);
    let [GameOutput::Admin { answer, .. }] = out.as_slice() else { panic!("an answer") };
    let AdminAnswer::Status(status) = answer.as_ref() else { panic!("a status") };
    assert!(!status.modules[0].mixed);
    assert_eq!(status.modules[0].label, "1");
}

#[test]
fn a_bad_version_goes_back_while_spaces_still_go_over_to_it() {
    let mut stage = Stage::running();
    let out = stage.publish(manifest("yard", "2"), PublishOptions::default());
    let out = rehearse(&mut stage, &out, nothing());
    let ordered = orders(&out);
    let (first, order) = &ordered[0];
    let out = stage.says(*first, vec![swapped(order, None), crash("2"), crash("2"), crash("2")]);
    assert_eq!(orders(&out).len(), 4);
    assert_eq!(reports(&out)[0].exit, 2, "whoever published is told");
    // The others still report the first swap; that is not the second one.
    let back = out;
    let late: Vec<_> = ordered[1..]
        .iter()
        .flat_map(|(space, order)| stage.says(*space, vec![swapped(order, None)]))
        .collect();
    assert!(facts(&late).is_empty());
    let out = swap(&mut stage, &back);
    assert!(facts(&out).iter().any(|fact| matches!(fact, Fact::Swapped { rollback: true, .. })));
}

#[test]
fn a_number_is_a_generation_before_it_is_the_start_of_a_hash() {
    let mut stage = Stage::running();
    let like_a_number =
        (0..).map(|it| format!("v{it}")).find(|label| full_hash(hash_of(label)).starts_with('1')).unwrap();
    for label in [like_a_number.as_str(), "3"] {
        go_over(&mut stage, manifest("yard", label), PublishOptions::default());
        stage.pass(10_000);
    }
    let back = AdminRequest::Rollback { module: None, to: Some("1".into()), irreversible: false };
    let (_, out) = stage.ask(back);
    let out = rehearse(&mut stage, &out, nothing());
    assert!(!orders(&out).is_empty());
    assert!(orders(&out).iter().all(|(_, order)| order.hash == hash_of("1")));
}

#[test]
fn an_operator_goes_back_to_a_version_by_name() {
    let mut stage = Stage::running();
    go_over(&mut stage, manifest("yard", "2"), PublishOptions::default());
    stage.pass(10_000);
    let rollback = |to: Option<&str>| AdminRequest::Rollback {
        module: None,
        to: to.map(str::to_owned),
        irreversible: false,
    };
    let (_, out) = stage.ask(rollback(Some("nothing")));
    assert_eq!(reports(&out)[0].exit, 2);
    let why = &reports(&out)[0].refusals[0];
    assert!(why.contains("no version `nothing`") && why.contains("it can go back to generation 1"), "{why}");
    let (_, out) = stage.ask(rollback(Some("1")));
    let out = rehearse(&mut stage, &out, nothing());
    assert!(orders(&out).iter().all(|(_, version)| version.hash == hash_of("1")));
    swap(&mut stage, &out);
    stage.pass(10_000);
    // With no name: the newest other one that passed.
    let (_, out) = stage.ask(rollback(None));
    let out = rehearse(&mut stage, &out, nothing());
    assert!(orders(&out).iter().all(|(_, order)| order.hash == hash_of("2")));
    assert_eq!(orders(&out).len(), 4);
}

#[test]
fn a_roll_back_that_loses_something_needs_consent() {
    let mut stage = Stage::running();
    go_over(&mut stage, manifest("yard", "2"), PublishOptions::default());
    stage.pass(10_000);
    let one_way = Rehearsal { reversible: false, ..nothing() };
    let mut back = |irreversible| {
        let (_, out) = stage.ask(AdminRequest::Rollback { module: None, to: None, irreversible });
        rehearse(&mut stage, &out, one_way.clone())
    };
    let out = back(false);
    let report = reports(&out)[0].clone();
    assert!(orders(&out).is_empty() && report.exit == 1 && !report.published, "{report:?}");
    assert!(report.summary.contains("loses what"), "{report:?}");
    let out = back(true);
    assert_eq!(orders(&out).len(), 4);
    swap(&mut stage, &out);
    assert_eq!(states(&mut stage)[0].0, 3);
}

#[test]
fn a_version_whose_schema_no_gate_takes_is_refused() {
    let mut large = manifest("yard", "2");
    let names = (0..500).map(|number| format!("m{number:03}{}", "x".repeat(50)));
    for kind in &mut large.types {
        let poke = Method { exposure: Exposure::AllClients, ..Method::default() };
        let parameters: Vec<_> = (0..8)
            .map(|number| everwake_protocol::schema::Field {
                name: format!("p{number}{}", "y".repeat(50)),
                type_text: "option<u32>".into(),
            })
            .collect();
        kind.methods = names
            .clone()
            .map(|name| Method {
                name,
                returns: "u32".into(),
                parameters: parameters.clone(),
                ..poke.clone()
            })
            .collect();
    }
    let refused = |out: &[GameOutput]| {
        let report = reports(out)[0].clone();
        assert_eq!((report.exit, report.published), (2, false), "{report:?}");
        assert!(report.refusals.iter().any(|why| why.contains("`SCHEMA_BYTES_MAX`")), "{report:?}");
    };
    let mut stage = Stage::running();
    refused(&stage.publish(large.clone(), PublishOptions::default()));
    let options = PublishOptions::default();
    let (_, out) = stage.ask(AdminRequest::Plan { bytes: Bytes::from_static(b"2"), options });
    refused(&stage.load(large.clone(), &out));
    // A first version as well.
    let mut stage = Stage::new(config());
    refused(&stage.publish(large, PublishOptions::default()));
}

#[test]
fn publishing_head_again_does_nothing() {
    let mut stage = Stage::running();
    let out = stage.publish(manifest("yard", "1"), PublishOptions::default());
    let report = reports(&out)[0].clone();
    assert_eq!((report.exit, report.generation, report.published), (0, 1, true));
    assert!(orders(&out).is_empty());
}

#[test]
fn a_component_that_cannot_be_loaded_is_refused_with_the_loaders_words() {
    let mut stage = Stage::running();
    let options = PublishOptions::default();
    let (ticket, out) =
        stage.ask(AdminRequest::Publish { bytes: Bytes::new(), note: String::new(), options });
    let [GameOutput::Load { job, .. }] = out.as_slice() else { panic!("a job: {out:?}") };
    let out = stage.handle(GameInput::Loaded { job: *job, result: Err("this is no component".into()) });
    assert!(out.iter().any(|output| matches!(output, GameOutput::Admin { ticket: to, .. } if *to == ticket)));
    assert_eq!(reports(&out)[0].refusals, ["this is no component"]);
}

#[test]
fn a_crash_loop_does_not_fill_the_log() {
    let mut stage = Stage::running();
    let lobby = service_shard("yard", "Lobby", 0);
    let lines = |out: &[GameOutput]| {
        out.iter().filter(|output| matches!(output, GameOutput::Crash { log: true, .. })).count()
    };
    let out = stage.says(lobby, (0..100).map(|_| crash("1")).collect());
    assert_eq!(lines(&out), super::super::limits::CRASH_LINES_MAX as usize);
    stage.pass(super::super::limits::CRASH_LINES_MS);
    assert_eq!(lines(&stage.says(lobby, vec![crash("1")])), 1);
}

#[test]
fn faults_that_a_version_has_inherited_are_not_its_own() {
    let mut stage = Stage::running();
    let lobby = service_shard("yard", "Lobby", 0);
    stage.says(lobby, vec![crash_of("1", "Account::old")]);
    swap_to(&mut stage, "2");
    let old = (0..20).map(|_| crash_of("2", "Account::old")).collect();
    assert!(orders(&stage.says(lobby, old)).is_empty());
    let new = (0..3).map(|_| crash_of("2", "Account::fresh")).collect();
    assert_eq!(orders(&stage.says(lobby, new)).len(), 4);
}

#[test]
fn failures_count_by_the_minute() {
    let mut stage = Stage::running_with(GameConfig { probation_ms: 300_000, ..config() });
    let lobby = service_shard("yard", "Lobby", 0);
    swap_to(&mut stage, "2");
    for _ in 0..4 {
        assert!(orders(&stage.says(lobby, vec![crash("2")])).is_empty(), "two within a minute are allowed");
        stage.pass(30_000);
    }
    let out = stage.says(lobby, vec![crash("2"), crash("2")]);
    assert_eq!(orders(&out).len(), 4);
}

#[test]
fn how_a_version_stands_is_told_while_it_is_watched() {
    let mut stage = Stage::running();
    let lobby = service_shard("yard", "Lobby", 0);
    let versions = |stage: &mut Stage| {
        let (_, out) = stage.ask(AdminRequest::Versions { module: None });
        match admin_answers(&out).as_slice() {
            [AdminAnswer::Versions(versions)] => versions.clone(),
            other => panic!("versions: {other:?}"),
        }
    };
    let first = versions(&mut stage);
    assert_eq!((&first[0].probation, &first[0].rolls_back_to), (&None, &None));
    stage.says(lobby, vec![crash_of("1", "Account::old")]);
    swap_to(&mut stage, "2");
    stage.pass(4_000);
    stage.says(lobby, vec![crash_of("2", "Account::old"), crash_of("2", "Account::fresh")]);
    let told = versions(&mut stage);
    let probation = told[0].probation.as_ref().expect("it is watched");
    assert_eq!((probation.left_ms, probation.counted, probation.allowed), (6_000, 1, 2));
    assert!(probation.back_to.as_ref().is_some_and(|it| it.starts_with("generation 1 ")), "{probation:?}");
    assert_eq!(told[0].rolls_back_to, probation.back_to);
    assert_eq!((told[0].crashes, told[0].traps, told[1].crashes), (2, 1, 1), "all, and those that count");
    let (_, out) = stage.ask(AdminRequest::Status);
    match admin_answers(&out).as_slice() {
        [AdminAnswer::Status(status)] => {
            assert_eq!(status.modules[0].crashes, told.iter().map(|it| it.crashes).sum::<u64>());
            assert_eq!(status.modules[0].probation.as_ref(), Some(probation));
        }
        other => panic!("a status: {other:?}"),
    }
    stage.pass(10_000);
    assert_eq!(versions(&mut stage)[0].probation, None);
}

#[test]
fn a_roll_back_to_nowhere_says_why() {
    let mut stage = Stage::running();
    let ask = |stage: &mut Stage, module: Option<&str>| {
        let module = module.map(str::to_owned);
        let (_, out) = stage.ask(AdminRequest::Rollback { module, to: None, irreversible: false });
        reports(&out)[0].refusals[0].clone()
    };
    assert!(ask(&mut stage, None).contains("is the only one that is loaded"));
    let nowhere = ask(&mut stage, Some("garden"));
    assert!(nowhere.contains("no module `garden`") && nowhere.contains("`yard`"), "{nowhere}");
}

#[test]
fn what_a_version_does_not_handle_counts_against_it() {
    let mut stage = Stage::running();
    let lobby = service_shard("yard", "Lobby", 0);
    swap_to(&mut stage, "2");
    let lacks = || Output::Unhandled { version: hash_of("2"), method: "on_timer".into() };
    let out = stage.says(lobby, vec![lacks(), lacks(), lacks()]);
    assert!(
        facts(&out).iter().any(|fact| matches!(fact, Fact::Unhandled { method, .. } if method == "on_timer"))
    );
    assert_eq!(orders(&out).len(), 4);
}
