//! Calls, answers, bounces, gatherings, requests of clients.

use super::*;
use everwake_protocol::outcome::{Certainty, code};

/// Avatars that note what they are asked and what comes back.
fn talkers(avatars: &[u32], act: fn(&mut Context<'_>) -> Result<(), Stop>) -> Bed {
    Bed::new(avatars, move |model, journal| {
        let (asked, came, open) = (journal.clone(), journal.clone(), journal.clone());
        model
            .on("Avatar", "act", act)
            .on("Avatar", "other", move |cx| {
                note(
                    &asked,
                    format!("other at {} from {:?}", cx.me().0.0[3], cx.host.caller().map(|c| c.0.0[3])),
                );
                match cx.me().0.0[3] {
                    4 => Err(refused()),
                    5 => Err(trap()),
                    6 => Ok(cx.host.refuse("no".into(), int(1))?),
                    7 => cx.host.defer().map(drop).map_err(Stop::from),
                    _ => Ok(cx.host.answer(int(5))?),
                }
            })
            .on("Avatar", "open", move |cx| {
                note(&open, format!("open {:?}", cx.event.origin));
                Ok(cx.host.answer(int(6))?)
            })
            .on("Avatar", "own", |cx| Ok(cx.host.answer(int(7))?))
            .on("Avatar", "inner", |_| Err(trap()))
            .on("Avatar", "resumed", move |cx| {
                let mut reader = cbor::Reader::new(&cx.event.args);
                let context = reader.i64().unwrap();
                note(&came, format!("{context} {}", cbor::diagnostic(reader.rest())));
                Ok(())
            })
    })
}

fn ask(cx: &mut Context<'_>, target: u32, method: &str) -> Result<(), Stop> {
    let (part, then) = (part(cx, id(target), method), resumed(cx, cx.event.entity));
    Ok(cx.host.call(part, then)?)
}

#[test]
fn an_answer_comes_back_with_the_context() {
    let mut bed = talkers(&[2, 3], |cx| ask(cx, 3, "other"));
    bed.call(2, "act");
    assert_eq!(bed.noted(), ["other at 3 from Some(2)", "42 [0, 5]"]);
}

#[test]
fn each_way_to_fail_has_its_answer() {
    let mut bed = talkers(&[2, 4, 5, 6], |cx| {
        for (target, method) in [(4, "other"), (5, "other"), (6, "other"), (6, "operate")] {
            ask(cx, target, method)?;
        }
        ask(cx, 2, "inner")
    });
    bed.call(2, "act");
    let lines = bed.noted();
    let answers: Vec<_> = lines.iter().filter(|line| line.starts_with("42")).collect();
    assert_eq!(answers[0], "42 [1, 0, \"failed\", \"refused: no\"]");
    assert_eq!(answers[1], "42 [1, 0, \"trapped\", null]");
    assert_eq!(answers[2], "42 [1, 2, \"no\", 1]");
    assert_eq!(answers[3], "42 [1, 0, \"not-exposed\", null]");
    assert_eq!(answers[4], "42 [1, 0, \"trapped\", null]", "internal methods of itself it may call");
}

#[test]
fn the_deadline_answers_once_and_a_late_answer_is_dropped() {
    let mut bed = talkers(&[2], |cx| ask(cx, STRANGER, "other"));
    bed.call(2, "act");
    let call = match &bed.sent()[0].body {
        Body::Call { answer: AnswerTo::Entity { call, .. }, deadline_ms, .. } => {
            assert_eq!(*deadline_ms, START_MS + 5_000);
            *call
        }
        other => panic!("{other:?}"),
    };
    bed.pass(4_999);
    assert_eq!(bed.noted(), Vec::<String>::new());
    bed.pass(1);
    assert_eq!(bed.noted(), ["42 [1, 1, \"deadline\", null]"]);
    bed.push_message(Some(id(STRANGER)), 2, Body::Answer { call, outcome: Outcome::null() });
    bed.pass(10_000);
    assert_eq!(bed.noted(), Vec::<String>::new());
    assert_eq!(bed.core.counts().late_answers, 1);
}

#[test]
fn a_gathering_brings_all_outcomes_in_order() {
    let mut bed = talkers(&[2, 3, 4], |cx| {
        let parts = vec![part(cx, id(4), "other"), part(cx, id(STRANGER), "other"), part(cx, id(3), "other")];
        let then = resumed(cx, id(2));
        cx.host.gather(parts, then)?;
        let then = resumed(cx, id(2));
        Ok(cx.host.gather(Vec::new(), then)?)
    });
    bed.call(2, "act");
    assert!(bed.noted().contains(&"42 [0, []]".to_owned()));
    bed.pass(5_000);
    assert_eq!(
        bed.noted(),
        ["42 [0, [[1, 0, \"failed\", \"refused: no\"], [1, 1, \"deadline\", null], [0, 5]]]"]
    );
}

#[test]
fn a_send_bounces_or_is_never_heard_of_again() {
    let mut bed = talkers(&[2, 3, 4], |cx| {
        let resumed = cx.method("Avatar", "resumed")?.1;
        for target in [3, 4] {
            let part = part(cx, id(target), "other");
            cx.host.send(id(2), part, Some((resumed, int(target.into()))))?;
        }
        let part = part(cx, id(3), "operate");
        Ok(cx.host.send(id(2), part, Some((resumed, int(9))))?)
    });
    let before = bed.state();
    bed.call(2, "act");
    assert_eq!(
        bed.noted(),
        ["other at 3 from Some(2)", "other at 4 from Some(2)", "9 [1, 0, \"not-exposed\", null]"]
    );
    assert_eq!(before, bed.state(), "no bounce is left waiting");
}

#[test]
fn what_an_owner_has_taken_over_is_answered_when_it_dies() {
    let mut bed = talkers(&[2, 7], |cx| match cx.me().0.0[3] {
        2 => ask(cx, 7, "other"),
        _ => Ok(cx.host.destroy(cx.me())?),
    });
    bed.call(2, "act");
    assert_eq!(bed.noted(), ["other at 7 from Some(2)"]);
    bed.call(7, "act");
    assert_eq!(bed.noted(), ["42 [1, 1, \"dropped\", null]"]);
}

#[test]
fn the_257th_pending_call_is_a_limit() {
    let mut bed = talkers(&[2], |cx| {
        for _ in 0..256 {
            ask(cx, STRANGER, "other")?;
        }
        match ask(cx, STRANGER, "other") {
            Err(Stop::Error(GuestError::Limit(_))) => Ok(()),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(bed.call(2, "act"), Some(Outcome::null()));
    assert_eq!(bed.sent().len(), 256);
}

#[test]
fn a_message_that_comes_twice_runs_once() {
    let mut bed = talkers(&[2], |_| Ok(()));
    for counter in [1, 2, 2, 1, 3] {
        let method = bed.key(AVATAR, "other");
        bed.inputs.push_back(Input::Message(Box::new(Message {
            id: MessageId { sender: id(77).0, epoch: 1, counter },
            from: Some(id(STRANGER)),
            target: id(2),
            class: Class::Volatile,
            trace: Id::ZERO,
            body: Body::Call {
                method,
                args: args(&[]),
                origin: Origin::Entity,
                answer: AnswerTo::Nobody,
                deadline_ms: u64::MAX,
                bounce: None,
            },
        })));
    }
    bed.run();
    assert_eq!(bed.noted().len(), 3);
    assert_eq!(bed.core.counts().duplicates, 2);
}

fn replies(bed: &Bed) -> usize {
    bed.core
        .commits()
        .flat_map(|commit| &commit.effects)
        .filter(|effect| {
            matches!(
                effect,
                crate::space::Effect::Client { what: crate::space::commit::ClientEffect::Replied { .. }, .. }
            )
        })
        .count()
}

#[test]
fn a_clients_request_runs_exactly_once() {
    let mut bed = talkers(&[2, 3], |_| Ok(()));
    bed.attach(2, 1);
    bed.request(1, 1, 2, "open");
    bed.request(1, 1, 2, "open");
    bed.request(1, 2, 2, "open");
    bed.request(1, 1, 2, "open");
    bed.run();
    let ran: Vec<_> = bed.noted().into_iter().filter(|line| line.starts_with("open")).collect();
    assert_eq!(ran, ["open OwnClient", "open OwnClient"]);
    assert_eq!(replies(&bed), 2);
    let marks = bed.core.snapshot().unwrap();
    let avatar = marks.entities.iter().find(|entity| entity.id == id(2)).unwrap();
    let mark = avatar.body.marks.get(session(1).0).unwrap();
    assert_eq!((mark.last, mark.replies.len()), (2, 2));
    bed.inputs.push_back(Input::Acknowledged { session: session(1), target: id(2), request: 2 });
    bed.run();
    let marks = bed.core.snapshot().unwrap();
    let avatar = marks.entities.iter().find(|entity| entity.id == id(2)).unwrap();
    assert!(avatar.body.marks.get(session(1).0).unwrap().replies.is_empty());
}

#[test]
fn what_the_module_did_not_ask_for_is_not_allowed() {
    let manifest = Manifest { capabilities: Vec::new(), ..manifest() };
    let mut bed = Bed::empty(SpaceKind::Space, Chaos::default(), manifest, |model, _| {
        model.on("Avatar", "act", |cx| {
            use everwake_protocol::cluster::Comparison;
            let text = String::new;
            let lacks =
                |name| Err(GuestError::NotAllowed(format!("the module lacks the capability `{name}`")));
            let then = resumed(cx, id(2));
            assert_eq!(cx.host.kv_get("a".into(), then), lacks("key-value"));
            let said = cx.host.broadcast(text(), Comparison::Equal, text(), AVATAR, 0, args(&[]));
            assert_eq!(said, lacks("broadcast"));
            Ok(())
        })
    });
    bed.make(SPACE, "Room");
    bed.make(2, "Avatar");
    assert_eq!(bed.call(2, "act"), Some(Outcome::null()));
}

#[test]
fn a_session_that_ends_is_forgotten_by_whom_it_called() {
    let mut bed = talkers(&[2, 3], |_| Ok(()));
    bed.attach(2, 1);
    bed.request(1, 1, 2, "open");
    bed.request(1, 2, 3, "act");
    bed.run();
    let marks = |bed: &Bed| {
        let snapshot = bed.core.snapshot().unwrap();
        let marks = snapshot.entities.iter().map(|entity| &entity.body.marks);
        marks
            .map(|marks| (marks.len(), marks.reply_bytes() > 0))
            .filter(|found| found.0 > 0)
            .collect::<Vec<_>>()
    };
    assert_eq!(marks(&bed), [(1, true), (1, true)], "the one that was turned away too");
    for target in [2, 3, 404] {
        bed.inputs.push_back(Input::SessionClosed { session: session(1), target: id(target) });
    }
    bed.run();
    assert_eq!(marks(&bed), [(1, false), (1, false)], "a copy of a request may still come");
    bed.request(1, 2, 3, "act");
    bed.pass(crate::limits::SESSION_MARK_MS);
    bed.inputs.push_back(Input::SessionClosed { session: session(9), target: id(2) });
    bed.inputs.push_back(Input::SessionClosed { session: session(9), target: id(3) });
    bed.run();
    assert_eq!(marks(&bed), []);
}

#[test]
fn what_a_client_says_again_and_again_is_left_out_when_too_much_waits() {
    let mut bed = talkers(&[2], |_| Ok(()));
    bed.attach(2, 1);
    let (session, target, motion) = (session(1), id(2), Bytes::new());
    for request in 0..crate::limits::MAILBOX_MAX as u64 {
        bed.inputs.push_back(Input::Acknowledged { session, target, request });
    }
    bed.inputs.push_back(Input::Acknowledged { session, target, request: 1 });
    bed.inputs.push_back(Input::Moved { session, target, pose: Pose::default(), motion });
    bed.inputs.push_back(Input::RoundTrip { session, target, ms: 1.0 });
    bed.push_message(None, 2, Body::Detach { session, view: 9, reason: 0 });
    bed.run();
    assert_eq!(bed.core.counts().overloaded, 3);
    assert_eq!(bed.core.queued(), 0);
    let snapshot = bed.core.snapshot().unwrap();
    assert!(snapshot.entities.iter().all(|entity| entity.body.client.is_none()), "a fact is never left out");
}

#[test]
fn few_large_requests_fill_a_mailbox_too() {
    let mut bed = talkers(&[2], |_| Ok(()));
    bed.attach(2, 1);
    let large = Bytes::from(vec![0x80; crate::limits::MAILBOX_BYTES_MAX / 64]);
    for request in 1..=65 {
        bed.request(1, request, 2, "open");
        let Some(Input::Request { args, .. }) = bed.inputs.back_mut() else { panic!("a request") };
        *args = large.clone();
    }
    bed.run();
    assert_eq!(bed.core.counts().overloaded, 1, "the last one");
    bed.request(1, 66, 2, "open");
    bed.run();
    assert_eq!(bed.core.counts().overloaded, 1, "there is room again");
}

#[test]
fn a_client_may_call_what_is_exposed_to_it_and_nothing_else() {
    let mut manifest = manifest();
    manifest.types[AVATAR as usize].aoi_radius = Some(30.0);
    let mut bed = Bed::empty(SpaceKind::Space, Chaos::default(), manifest, |model, _| model);
    bed.make(SPACE, "Room");
    bed.make(2, "Avatar");
    bed.make(3, "Avatar");
    bed.inputs.push_back(Input::Create {
        entity: id(4),
        type_name: "Avatar".into(),
        args: Bytes::new(),
        pose: Pose { x: 500.0, ..Pose::default() },
        answer: AnswerTo::Nobody,
        client: None,
    });
    bed.run();
    bed.attach(2, 1);
    bed.pass(1_000);
    let cases = [
        (2, "own", true),
        (2, "open", true),
        (3, "open", true),
        (4, "open", false),
        (3, "own", false),
        (2, "act", false),
        (2, "inner", false),
        (2, "operate", false),
    ];
    for (number, (target, method, allowed)) in (1..).zip(cases) {
        let before = replies(&bed);
        bed.request(1, number, target, method);
        bed.run();
        // What is turned away is answered, but runs no event.
        assert_eq!(replies(&bed) > before, allowed, "{target} {method}");
    }
}

#[test]
fn whoever_crashes_a_method_again_and_again_is_refused() {
    let mut bed = Bed::new(&[2], |model, journal| {
        let journal = journal.clone();
        model.on("Avatar", "own", move |_| {
            note(&journal, "ran");
            Err(trap())
        })
    });
    bed.attach(2, 1);
    bed.noted();
    for request in 1..=20 {
        bed.request(1, request, 2, "own");
    }
    bed.run();
    assert_eq!(bed.noted().len(), 3);
    let avatar = bed.core.snapshot().unwrap();
    let avatar = avatar.entities.iter().find(|entity| entity.id == id(2)).unwrap();
    assert!(avatar.body.client.is_none(), "then kicked");
}

#[test]
fn an_entity_outside_of_a_space_reaches_only_itself() {
    let mut bed = Bed::empty(SpaceKind::Nil, Chaos::default(), manifest(), |model, _| {
        model.on("Avatar", "act", |cx| {
            assert!(cx.host.load(id(3)).is_none());
            assert!(matches!(cx.host.destroy(id(3)), Err(GuestError::NotAllowed(_))));
            assert!(matches!(cx.host.post(id(3), part(cx, id(2), "other")), Err(GuestError::NotAllowed(_))));
            assert!(cx.host.members(None).is_empty() && cx.host.current_space().is_none());
            cx.set(id(2), 0, 4)
        })
    });
    bed.make(2, "Avatar");
    bed.make(3, "Avatar");
    assert_eq!(bed.call(2, "act"), Some(Outcome::null()));
    assert_eq!(bed.number(2, 0), 4);
}

#[test]
fn an_unknown_target_is_somebody_elses() {
    let mut bed = talkers(&[2], |_| Ok(()));
    let ticket = bed.push_call(55, "act");
    bed.run();
    assert_eq!(bed.answer(ticket), None);
    let elsewhere = |output: &&Output| matches!(output, Output::NotHere(message) if message.target == id(55));
    assert_eq!(bed.out.iter().filter(elsewhere).count(), 1, "the game knows where it is");
    let unknown = Outcome::not_run(code::GONE);
    assert!(matches!(unknown, Outcome::Err { certainty: Certainty::NotRun, .. }));
}
