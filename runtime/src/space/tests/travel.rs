//! Entities that go and come.

use super::*;
use crate::message::{Debt, Traveller};

const ELSEWHERE: u32 = 50;

fn travellers(act: fn(&mut Context<'_>) -> Result<(), Stop>) -> Bed {
    Bed::new(&[2, 3], move |mut model, journal| {
        for (hook, text) in crate::space::crash::HOOKS {
            for type_name in ["Room", "Avatar"] {
                let journal = journal.clone();
                model = model.hook(type_name, hook, move |cx| {
                    note(&journal, format!("{text} {}", cx.me().0.0[3]));
                    if hook == Hook::LeaveSpace {
                        cx.set(cx.me(), 1, 77)?;
                    }
                    Ok(())
                });
            }
        }
        let (timed, other) = (journal.clone(), journal.clone());
        model
            .on("Avatar", "act", act)
            .on("Avatar", "timed", move |cx| {
                note(&timed, format!("timed {}", cx.me().0.0[3]));
                Ok(())
            })
            .on("Avatar", "other", move |cx| {
                note(&other, format!("other {}", cx.me().0.0[3]));
                Ok(())
            })
    })
}

fn go(cx: &mut Context<'_>) -> Result<(), Stop> {
    let timed = cx.method("Avatar", "timed")?.1;
    cx.host.start_timer(id(2), timed, int(1), 500.0, 0.0, false)?;
    Ok(cx.host.enter(id(2), id(ELSEWHERE), Pose { x: 8.0, ..Pose::default() })?)
}

fn intent(bed: &Bed) -> u32 {
    let asked = bed.out.iter().rev().find_map(|output| match output {
        Output::EnterAsked { intent, .. } => Some(*intent),
        _ => None,
    });
    asked.expect("it asked")
}

fn departed(bed: &Bed) -> Option<Traveller> {
    bed.out.iter().find_map(|output| match output {
        Output::Departed(traveller) => Some((**traveller).clone()),
        _ => None,
    })
}

#[test]
fn it_goes_on_here_until_the_marker_and_leaves_with_everything() {
    let mut bed = travellers(go);
    bed.call(2, "act");
    bed.call(2, "other");
    assert_eq!(bed.noted(), ["other 2"]);
    let intent = intent(&bed);
    bed.inputs.push_back(Input::Marker { entity: id(2), intent: intent - 1 });
    bed.run();
    assert!(departed(&bed).is_none(), "an older marker is ignored");
    bed.inputs.push_back(Input::Marker { entity: id(2), intent });
    bed.push_call(2, "other");
    bed.push_call(3, "other");
    bed.run();
    assert_eq!(bed.noted(), ["member-leave 1", "leave-space 2", "other 3"]);
    let traveller = departed(&bed).unwrap();
    assert_eq!((traveller.to, traveller.epoch, traveller.pose.x), (Some(id(ELSEWHERE)), 2, 8.0));
    assert_eq!(traveller.body.timers.len(), 1);
    assert_eq!(traveller.body.attributes.slot(1).cost(), 2, "what `leave-space` wrote is kept");
    let positions: Vec<_> = bed
        .out
        .iter()
        .enumerate()
        .filter(|(_, output)| matches!(output, Output::Departed(_) | Output::Message(_)))
        .map(|(place, output)| (place, matches!(output, Output::Message(_))))
        .collect();
    assert_eq!(positions.iter().map(|(_, message)| *message).collect::<Vec<_>>(), [false, true]);
    bed.pass(1_000);
    assert_eq!(bed.noted(), Vec::<String>::new(), "its timer went with it");
}

#[test]
fn a_later_ask_or_a_destroy_replaces_an_earlier_one() {
    let mut bed = travellers(|cx| {
        cx.host.enter(id(2), id(ELSEWHERE), Pose::default())?;
        cx.host.leave(id(2))?;
        Ok(())
    });
    bed.call(2, "act");
    let asks: Vec<_> =
        bed.out.iter().filter(|output| matches!(output, Output::EnterAsked { space: None, .. })).collect();
    assert_eq!(asks.len(), 1);
    assert!(!bed.out.iter().any(|output| matches!(output, Output::EnterAsked { space: Some(_), .. })));

    let mut bed = travellers(|cx| {
        cx.host.enter(id(2), id(ELSEWHERE), Pose::default())?;
        Ok(cx.host.destroy(id(2))?)
    });
    bed.call(2, "act");
    assert!(!bed.out.iter().any(|output| matches!(output, Output::EnterAsked { .. })));
    assert!(bed.out.iter().any(|output| matches!(output, Output::Unregistered { .. })));
}

#[test]
fn it_arrives_with_its_timers_and_its_client() {
    let mut bed = travellers(go);
    bed.attach(2, 1);
    bed.call(2, "act");
    let intent = intent(&bed);
    bed.inputs.push_back(Input::Marker { entity: id(2), intent });
    bed.run();
    let mut traveller = departed(&bed).unwrap();
    bed.noted();
    bed.out.clear();
    // It comes back in under its own steam.
    traveller.to = Some(id(SPACE));
    bed.inputs.push_back(Input::Install(Box::new(traveller)));
    bed.run();
    let lines: Vec<_> = bed.noted().into_iter().filter(|line| !line.contains("watched")).collect();
    assert_eq!(lines, ["member-enter 1", "enter-space 2"]);
    assert!(matches!(bed.out[0], Output::Registered { epoch: 2, .. }));
    assert!(bed.out.iter().any(|output| matches!(output, Output::ClientBound { .. })));
    bed.pass(1_000);
    assert!(bed.noted().contains(&"timed 2".to_owned()));
}

#[test]
fn messages_take_the_long_way_until_the_flush_is_back() {
    let mut bed = travellers(|cx| {
        let part = part(cx, id(2), "other");
        Ok(cx.host.post(id(3), part)?)
    });
    let snapshot = bed.core.snapshot().unwrap();
    let body = snapshot.entities.iter().find(|entity| entity.id == id(2)).unwrap().body.clone();
    let traveller = Traveller {
        entity: id(8),
        from: None,
        to: Some(id(SPACE)),
        pose: Pose::default(),
        epoch: 4,
        version: bed.version.clone(),
        failed: None,
        debts: Vec::new(),
        told: Vec::new(),
        body,
    };
    bed.inputs.push_back(Input::Install(Box::new(Traveller { entity: id(2), ..traveller })));
    bed.run();
    bed.noted();
    bed.call(3, "act");
    assert_eq!(bed.noted(), Vec::<String>::new());
    assert_eq!(bed.sent().len(), 1, "by way of the directory");
    let first = flush(&bed).unwrap();
    let sent = bed.sent()[0].clone();
    assert!(first.id.counter < sent.id.counter);
    bed.out.clear();
    bed.inputs.push_back(Input::Message(first));
    bed.run();
    // What was said behind that sign is still under way.
    bed.call(3, "act");
    assert_eq!(bed.noted(), Vec::<String>::new());
    let again = bed.sent()[0].clone();
    let second = flush(&bed).unwrap();
    assert!(sent.id.counter < second.id.counter && second.id.counter < again.id.counter);
    bed.out.clear();
    for message in [Box::new(sent), second, Box::new(again)] {
        bed.inputs.push_back(Input::Message(message));
    }
    bed.run();
    let third = flush(&bed).unwrap();
    bed.inputs.push_back(Input::Message(third));
    bed.run();
    assert_eq!(bed.noted(), ["other 2", "other 2"]);
    bed.out.clear();
    bed.call(3, "act");
    assert!(bed.sent().is_empty());
    assert_eq!(bed.noted(), ["other 2"]);
}

#[test]
fn what_was_said_on_the_way_is_not_overtaken_by_the_short_way() {
    let mut bed = travellers(|cx| {
        let part = part(cx, id(3), "other");
        Ok(cx.host.post(id(2), part)?)
    });
    let snapshot = bed.core.snapshot().unwrap();
    let body = snapshot.entities.iter().find(|entity| entity.id == id(2)).unwrap().body.clone();
    let debt =
        |target| Debt { life: Default::default(), sender: id(ELSEWHERE).0, target: id(target), counter: 4 };
    bed.inputs.push_back(Input::Install(Box::new(Traveller {
        entity: id(2),
        from: None,
        to: Some(id(SPACE)),
        pose: Pose::default(),
        epoch: 4,
        version: bed.version.clone(),
        failed: None,
        debts: vec![debt(3), debt(77)],
        told: Vec::new(),
        body,
    })));
    bed.run();
    let signs: Vec<_> = bed
        .out
        .iter()
        .filter_map(|output| match output {
            Output::Message(message) if message.target == id(3) => Some(message.clone()),
            _ => None,
        })
        .collect();
    assert!(matches!(signs[..], [ref sign] if matches!(sign.body, Body::Flush { .. })), "{signs:?}");
    bed.out.clear();
    bed.noted();
    bed.call(2, "act");
    assert_eq!(bed.noted(), Vec::<String>::new());
    assert_eq!(bed.sent().len(), 1, "by way of the directory");
}

fn flush(bed: &Bed) -> Option<Box<Message>> {
    bed.out.iter().find_map(|output| match output {
        Output::Message(message) if matches!(message.body, Body::Flush { .. }) => Some(message.clone()),
        _ => None,
    })
}

#[test]
fn whoever_is_refused_goes_back_and_hears_why() {
    let mut bed = travellers(go);
    bed.call(2, "act");
    let intent = intent(&bed);
    bed.inputs.push_back(Input::Marker { entity: id(2), intent });
    bed.run();
    let mut traveller = departed(&bed).unwrap();
    bed.noted();
    traveller.failed = Some("full");
    traveller.epoch += 1;
    bed.inputs.push_back(Input::Install(Box::new(traveller.clone())));
    bed.run();
    assert_eq!(bed.noted(), ["member-enter 1", "enter-failed 2"]);
    // A stranger of an unknown type is sent back.
    traveller.failed = None;
    traveller.entity = id(60);
    traveller.body.type_id = 4_000;
    bed.inputs.push_back(Input::Install(Box::new(traveller)));
    bed.run();
    assert!(matches!(bed.out.last(), Some(Output::Refused(_, "version-mismatch"))));
}

#[test]
fn a_closing_space_takes_nobody_back() {
    let mut bed = travellers(go);
    bed.call(2, "act");
    let intent = intent(&bed);
    bed.inputs.push_back(Input::Marker { entity: id(2), intent });
    bed.run();
    let mut traveller = departed(&bed).unwrap();
    traveller.failed = Some("limit");
    bed.out.clear();
    bed.inputs.push_back(Input::Close);
    bed.inputs.push_back(Input::Install(Box::new(traveller)));
    bed.run();
    let refused =
        bed.out.iter().any(|output| matches!(output, Output::Refused(back, "gone") if back.entity == id(2)));
    assert!(refused, "{:?}", bed.out);
    assert!(!bed.out.iter().any(|output| matches!(output, Output::Registered { .. })));
}

#[test]
fn who_is_about_to_go_on_is_reached_by_the_directory() {
    let mut bed = travellers(|cx| {
        let part = part(cx, id(2), "other");
        cx.host.post(id(3), part)?;
        if cx.me() == id(2) {
            cx.host.enter(id(2), id(ELSEWHERE), Pose::default())?;
        }
        Ok(())
    });
    bed.call(2, "act");
    let asked = intent(&bed);
    bed.inputs.push_back(Input::Marker { entity: id(2), intent: asked });
    bed.run();
    let traveller = departed(&bed).unwrap();
    bed.inputs.push_back(Input::Install(Box::new(Traveller { to: Some(id(SPACE)), ..traveller })));
    bed.run();
    let flush = flush(&bed);
    // It asks to go on before the flush is back.
    bed.call(2, "act");
    bed.inputs.push_back(Input::Message(flush.unwrap()));
    bed.run();
    bed.out.clear();
    bed.noted();
    bed.call(3, "act");
    assert_eq!(bed.noted(), Vec::<String>::new());
    assert_eq!(bed.sent().len(), 1, "by way of the directory");
}
