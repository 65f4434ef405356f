//! What happens before what.

use super::*;
use everwake_protocol::cluster::ToGate;

fn name(entity: EntityId) -> String {
    let number = entity.0.0[3];
    if number < 1_000 { number.to_string() } else { "new".to_owned() }
}

/// Everybody notes every hook.
fn noting(avatars: &[u32], act: fn(&mut Context<'_>) -> Result<(), Stop>) -> Bed {
    Bed::new(avatars, |mut model, journal| {
        for (hook, text) in crate::space::crash::HOOKS {
            for type_name in ["Room", "Avatar"] {
                let journal = journal.clone();
                model = model.hook(type_name, hook, move |cx| {
                    note(&journal, format!("{text} {}", name(cx.me())));
                    Ok(())
                });
            }
        }
        let journal = journal.clone();
        model.on("Avatar", "act", act).on("Avatar", "other", move |cx| {
            note(&journal, format!("other {}", name(cx.me())));
            Ok(())
        })
    })
}

#[test]
fn a_spawned_entity_is_created_before_anything_reaches_it() {
    let mut bed = noting(&[2], |cx| {
        let new = cx.host.spawn(AVATAR, &[], Pose::default())??;
        let part = part(cx, new, "other");
        Ok(cx.host.post(id(2), part)?)
    });
    bed.push_call(2, "act");
    bed.push_call(2, "other");
    bed.run();
    assert_eq!(bed.noted(), ["create new", "member-enter 1", "enter-space new", "other 2", "other new"]);
    let registered = bed.out.iter().filter(|output| matches!(output, Output::Registered { .. })).count();
    assert_eq!(registered, 1);
}

#[test]
fn a_made_entity_is_constructed_then_created_then_ready() {
    let mut bed = Bed::empty(SpaceKind::Space, Chaos::default(), manifest(), |mut model, journal| {
        for (hook, text) in crate::space::crash::HOOKS {
            for type_name in ["Room", "Avatar"] {
                let journal = journal.clone();
                model = model.hook(type_name, hook, move |cx| {
                    note(&journal, format!("{text} {}", name(cx.me())));
                    Ok(())
                });
            }
        }
        model
    });
    bed.make(SPACE, "Room");
    bed.run();
    assert_eq!(bed.noted(), ["construct 1", "create 1", "ready 1"]);
    bed.inputs.push_back(Input::Create {
        entity: id(2),
        type_name: "Avatar".into(),
        args: Bytes::new(),
        pose: Pose::default(),
        answer: AnswerTo::Operator { ticket: 9 },
        client: Some(Box::new(client(1))),
    });
    bed.run();
    let lines = bed.noted();
    let own: Vec<_> = lines.iter().filter(|line| !line.starts_with("watched")).collect();
    assert_eq!(own, ["construct 2", "create 2", "member-enter 1", "enter-space 2", "client 2"]);
    assert!(matches!(bed.answer(9), Some(Outcome::Ok(_))));
    let bound = bed.out.iter().any(|output| matches!(output, Output::ClientBound { .. }));
    assert!(bound);
}

#[test]
fn what_cannot_be_constructed_never_was() {
    let mut bed = Bed::new(&[], |model, _| model.hook("Avatar", Hook::Construct, |_| Err(refused())));
    let before = bed.state();
    bed.inputs.push_back(Input::Create {
        entity: id(2),
        type_name: "Avatar".into(),
        args: Bytes::new(),
        pose: Pose::default(),
        answer: AnswerTo::Operator { ticket: 9 },
        client: None,
    });
    bed.run();
    assert!(matches!(bed.answer(9), Some(Outcome::Err { code, .. }) if code == "create-failed"));
    assert_eq!(before, bed.state());
    assert!(!bed.out.iter().any(|output| matches!(output, Output::Registered { .. })));
}

#[test]
fn a_destroyed_entity_says_goodbye_and_then_is_gone() {
    let mut bed = noting(&[2, 3], |cx| {
        cx.host.destroy(id(3))?;
        cx.host.destroy(id(3))?;
        assert!(matches!(cx.host.post(id(3), part(cx, id(2), "other")), Err(GuestError::NotAllowed(_))));
        let part = part(cx, id(3), "other");
        Ok(cx.host.post(id(2), part)?)
    });
    bed.push_call(2, "act");
    let late = bed.push_call(3, "other");
    bed.run();
    assert_eq!(bed.noted(), ["member-leave 1", "leave-space 3", "destroy 3"]);
    assert!(matches!(bed.answer(late), Some(Outcome::Err { code, .. }) if code == "gone"));
    let unregistered = bed.out.iter().any(|output| matches!(output, Output::Unregistered { .. }));
    assert!(unregistered);
}

#[test]
fn members_go_before_their_space() {
    let mut bed = noting(&[2, 3], |cx| Ok(cx.host.destroy(id(SPACE))?));
    bed.call(2, "act");
    let destroyed: Vec<_> = bed.noted().into_iter().filter(|line| line.starts_with("destroy")).collect();
    assert_eq!(destroyed, ["destroy 2", "destroy 3", "destroy 1"]);
    assert!(matches!(bed.out.last(), Some(Output::Closed)));
    assert_eq!(bed.core.entities(), 0);
}

#[test]
fn a_closed_space_is_empty() {
    let mut bed = noting(&[2, 3], |_| Ok(()));
    bed.inputs.push_back(Input::Close);
    bed.run();
    assert_eq!(bed.core.entities(), 0);
    assert!(matches!(bed.out.last(), Some(Output::Closed)));
}

#[test]
fn a_watcher_learns_that_its_target_is_gone_once() {
    let mut bed = Bed::new(&[2, 3], |model, journal| {
        let journal = journal.clone();
        model
            .on("Avatar", "act", |cx| {
                let resumed = cx.method("Avatar", "resumed")?.1;
                cx.host.watch(id(2), id(3), resumed, int(8))?;
                let unwatched = cx.host.watch(id(2), id(3), resumed, int(9))?;
                cx.host.unwatch(id(2), unwatched);
                Ok(())
            })
            .on("Avatar", "other", |cx| Ok(cx.host.destroy(cx.me())?))
            .on("Avatar", "resumed", move |cx| {
                note(
                    &journal,
                    cbor::diagnostic(&cx.event.args[..1]) + &cbor::diagnostic(&cx.event.args[1..]),
                );
                Ok(())
            })
    });
    bed.call(2, "act");
    bed.call(3, "other");
    assert_eq!(bed.noted(), ["8[0, 0]"]);
}

#[test]
fn outputs_wait_for_the_store_in_order() {
    let mut bed = noting(&[2], |cx| {
        let part = part(cx, id(STRANGER), "other");
        Ok(cx.host.post(id(2), part)?)
    });
    bed.core.hold(1);
    bed.call(2, "act");
    assert!(bed.out.is_empty(), "{:?}", bed.out);
    assert_eq!(bed.core.held(), 2);
    bed.core.confirm(1, &mut bed.out);
    assert!(matches!(bed.out[..], [Output::Message(_), Output::Operator { .. }]));
}

/// Clients learn of a new entity as it is at the end of its first event, and of nothing twice.
#[test]
fn what_a_constructor_writes_into_a_list_is_there_once() {
    let mut bed = Bed::empty(SpaceKind::Space, Chaos::default(), manifest(), |model, _| {
        model.hook("Avatar", Hook::Construct, |cx| {
            let me = cx.me();
            // Inserts 7 as the first of `items`.
            Ok(cx.host.patch(me, &[0x83, 2, 0, 0xf5, 7])?)
        })
    });
    bed.make(SPACE, "Room");
    bed.inputs.push_back(Input::Create {
        entity: id(2),
        type_name: "Avatar".into(),
        args: Bytes::new(),
        pose: Pose::default(),
        answer: AnswerTo::Nobody,
        client: Some(Box::new(client(1))),
    });
    bed.pass(1_000);
    let told = |bytes: &[u8]| {
        bed.out.iter().any(|output| match output {
            Output::Gate(ToGate::Frames { frames, .. }) => {
                frames.windows(bytes.len()).any(|part| part == bytes)
            }
            _ => false,
        })
    };
    assert!(told(&[2, 0x81, 7]));
    assert!(!told(&[2, 0x82, 7, 7]));
}
