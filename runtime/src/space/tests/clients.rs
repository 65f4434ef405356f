//! Clients: attached, given, lost.

use super::*;

fn owners(act: fn(&mut Context<'_>) -> Result<(), Stop>) -> Bed {
    let mut bed = Bed::new(&[2, 3], move |mut model, journal| {
        for hook in [Hook::Client, Hook::ClientLost, Hook::GiveFailed] {
            let journal = journal.clone();
            model = model.hook("Avatar", hook, move |cx| {
                let args = cbor::diagnostic(&cx.event.args);
                note(&journal, format!("{hook:?} {} {args}", cx.me().0.0[3]));
                Ok(())
            });
        }
        let journal = journal.clone();
        model.on("Avatar", "act", act).on("Avatar", "resumed", move |cx| {
            note(&journal, cbor::diagnostic(&cx.event.args[2..]));
            Ok(())
        })
    });
    bed.attach(2, 1);
    assert_eq!(bed.noted(), ["Client 2 []"]);
    bed
}

fn owner_of(bed: &Bed, session_number: u32) -> Vec<EntityId> {
    let snapshot = bed.core.snapshot().unwrap();
    let owners = snapshot.entities.iter().filter(|entity| {
        entity.body.client.as_ref().is_some_and(|client| client.session == session(session_number))
    });
    owners.map(|entity| entity.id).collect()
}

#[test]
fn a_client_is_given_to_another_entity() {
    let mut bed = owners(|cx| {
        let then = resumed(cx, id(2));
        cx.host.give(id(2), id(3), false, then)?;
        let then = resumed(cx, id(2));
        assert_eq!(cx.host.give(id(2), id(3), false, then), Err(GuestError::Busy));
        Ok(())
    });
    bed.call(2, "act");
    assert_eq!(bed.noted(), ["ClientLost 2 [2]", "Client 3 []", "[0, null]"]);
    assert_eq!(owner_of(&bed, 1), [id(3)]);
}

/// What the game core does with a client that nobody took.
fn tell_the_giver(bed: &mut Bed) {
    let refused = bed.out.iter().find_map(|output| match output {
        Output::ClientRefused { client, taker, answer, code } => {
            Some((client.session, *taker, *answer, *code))
        }
        _ => None,
    });
    let (session, taker, answer, code) = refused.expect("a refusal");
    let AnswerTo::Entity { call, .. } = answer else { panic!("{answer:?}") };
    bed.push_message(None, 2, Body::GiveFailed { session, taker, view: 0, code: code.into() });
    bed.push_message(None, 2, Body::Answer { call, outcome: Outcome::not_run(code) });
    bed.run();
}

#[test]
fn a_taken_entity_refuses_and_the_giver_keeps_its_client() {
    let mut bed = owners(|cx| {
        let then = resumed(cx, id(2));
        Ok(cx.host.give(id(2), id(3), false, then)?)
    });
    bed.attach(3, 2);
    bed.noted();
    assert_eq!(bed.call(2, "act"), Some(Outcome::null()));
    assert_eq!((bed.noted().len(), owner_of(&bed, 1)), (0, vec![id(2)]), "the core hears of it first");
    let busy = bed.call(2, "act");
    assert!(matches!(busy, Some(Outcome::Err { .. })), "the offer is still open: {busy:?}");
    tell_the_giver(&mut bed);
    let lines = bed.noted();
    assert!(lines[0].starts_with("GiveFailed 2 ["), "{lines:?}");
    assert_eq!(lines[1], "[1, 0, \"has-client\", null]");
    assert_eq!((owner_of(&bed, 1), owner_of(&bed, 2)), (vec![id(2)], vec![id(3)]));
    assert_eq!(bed.call(2, "act"), Some(Outcome::null()), "it may be given again");
}

/// Places of what the game core must hear in order: the offer, the giver's end, the taker's client.
fn handed_over(bed: &Bed) -> [Option<usize>; 3] {
    let place = |what: fn(&Output) -> bool| bed.out.iter().position(what);
    let closes =
        |output: &Output| matches!(output, Output::Gate(everwake_protocol::cluster::ToGate::Close { .. }));
    assert_eq!(bed.out.iter().position(closes), None, "the client is not closed");
    [
        place(|output| matches!(output, Output::ClientOffered { taker, .. } if *taker != id(2))),
        place(|output| matches!(output, Output::Unregistered { entity, .. } if *entity == id(2))),
        place(|output| matches!(output, Output::ClientBound { entity, .. } if *entity == id(3))),
    ]
}

#[test]
fn a_giver_that_ends_itself_leaves_its_client_to_the_taker() {
    let mut bed = owners(|cx| {
        let then = resumed(cx, id(2));
        cx.host.give(id(2), id(3), false, then)?;
        Ok(cx.host.destroy(id(2))?)
    });
    bed.out.clear();
    bed.call(2, "act");
    let [offered, gone, bound] = handed_over(&bed);
    assert!(offered.is_some() && offered < gone && gone < bound, "{offered:?} {gone:?} {bound:?}");
    assert_eq!(owner_of(&bed, 1), [id(3)]);

    let mut bed = owners(|cx| {
        let then = resumed(cx, id(2));
        cx.host.give(id(2), id(STRANGER), false, then)?;
        Ok(cx.host.destroy(id(2))?)
    });
    bed.out.clear();
    bed.call(2, "act");
    let [offered, gone, bound] = handed_over(&bed);
    assert!(offered.is_some() && offered < gone && bound.is_none());
    assert!(matches!(bed.sent()[0].body, Body::Attach { .. }), "{:?}", bed.sent());
}

#[test]
fn a_client_on_its_way_to_an_entity_that_ends_is_refused() {
    let mut bed = owners(|cx| {
        let then = resumed(cx, id(2));
        cx.host.destroy(id(3))?;
        Ok(cx.host.give(id(2), id(3), false, then)?)
    });
    bed.out.clear();
    bed.call(2, "act");
    tell_the_giver(&mut bed);
    let lines = bed.noted();
    assert!(lines[0].starts_with("GiveFailed 2 [") && lines[1].contains("gone"), "{lines:?}");
    assert_eq!(owner_of(&bed, 1), [id(2)]);
}

#[test]
fn a_view_is_given_or_moved_but_not_both() {
    let mut bed = owners(|cx| {
        let then = resumed(cx, id(2));
        cx.host.give(id(2), id(STRANGER), false, then)?;
        assert_eq!(cx.host.enter(id(2), id(50), Pose::default()), Err(GuestError::Busy));
        assert_eq!(cx.host.leave(id(2)), Err(GuestError::Busy));
        Ok(())
    });
    assert_eq!(bed.call(2, "act"), Some(Outcome::null()));
    let mut bed = owners(|cx| {
        if cx.host.enter(id(2), id(50), Pose::default()) == Err(GuestError::Busy) {
            return Err(refused());
        }
        let then = resumed(cx, id(2));
        assert_eq!(cx.host.give(id(2), id(STRANGER), false, then), Err(GuestError::Busy));
        Ok(())
    });
    assert_eq!(bed.call(2, "act"), Some(Outcome::null()));
    let asks = bed.out.iter().filter(|output| matches!(output, Output::EnterAsked { .. })).count();
    assert_eq!((asks, bed.sent().len()), (1, 0));
}

#[test]
fn requests_to_the_former_owner_are_answered_rebound() {
    let mut bed = owners(|cx| {
        let then = resumed(cx, cx.me());
        let to = if cx.me() == id(2) { id(3) } else { id(2) };
        Ok(cx.host.give(cx.me(), to, false, then)?)
    });
    let ask = |bed: &mut Bed, from, request| {
        bed.out.clear();
        bed.request(from, request, 2, "own");
        bed.run();
        let reply = bed.out.iter().find_map(|output| match output {
            Output::Gate(everwake_protocol::cluster::ToGate::Reply { frame, .. }) => Some(frame.clone()),
            _ => None,
        });
        let frame = reply.expect("an answer");
        ["rebound", "not-exposed"]
            .into_iter()
            .find(|code| frame.windows(code.len()).any(|part| part == code.as_bytes()))
    };
    assert_eq!(ask(&mut bed, 1, 1), None, "it is the owner");
    bed.call(2, "act");
    assert_eq!(owner_of(&bed, 1), [id(3)]);
    assert_eq!(ask(&mut bed, 1, 2), Some("rebound"));
    assert_eq!(ask(&mut bed, 9, 1), Some("not-exposed"), "it never was");
    bed.call(3, "act");
    assert_eq!(owner_of(&bed, 1), [id(2)]);
    assert_eq!(ask(&mut bed, 1, 3), None, "it is the owner again");
}

#[test]
fn a_move_that_is_not_allowed_is_corrected() {
    let mut bed = owners(|cx| Ok(cx.host.allow_client_moves(id(2), true)?));
    bed.attach(3, 2);
    let told = |bed: &mut Bed| {
        bed.pass(60_000);
        bed.out.clear();
        bed.inputs.push_back(Input::Moved {
            session: session(1),
            target: id(2),
            pose: Pose { x: 9.0, ..Pose::default() },
            motion: Bytes::new(),
        });
        bed.run();
        bed.pass(50);
        let mut told = Vec::new();
        for output in &bed.out {
            if let Output::Gate(everwake_protocol::cluster::ToGate::Positions { session, datagram }) = output
            {
                told.extend(datagram.placed.iter().map(|placed| (*session, placed.pose.x)));
            }
        }
        told
    };
    assert_eq!(told(&mut bed), [(session(1), 2.0)], "who moved it is told, nobody else");
    bed.call(2, "act");
    assert_eq!(told(&mut bed), [], "the client knows where it went");
}

#[test]
fn a_replaced_client_is_lost() {
    let mut bed = owners(|cx| {
        let then = resumed(cx, id(2));
        Ok(cx.host.give(id(2), id(3), true, then)?)
    });
    bed.attach(3, 2);
    bed.noted();
    bed.call(2, "act");
    let lines = bed.noted();
    assert_eq!(lines, ["ClientLost 3 [3]", "ClientLost 2 [2]", "Client 3 []", "[0, null]"]);
    assert_eq!(owner_of(&bed, 2), Vec::<EntityId>::new());
}

#[test]
fn an_offer_to_another_space_stays_open_until_it_is_answered() {
    let mut bed = owners(|cx| {
        let then = resumed(cx, id(2));
        Ok(cx.host.give(id(2), id(STRANGER), false, then)?)
    });
    bed.call(2, "act");
    assert_eq!(owner_of(&bed, 1), [id(2)]);
    let Body::Attach { view, answer: AnswerTo::Entity { call, .. }, .. } = bed.sent()[0].body.clone() else {
        panic!("{:?}", bed.sent());
    };
    assert_eq!(view, 2);
    bed.push_message(None, 2, Body::Detach { session: session(1), view: 9, reason: 2 });
    bed.push_message(None, 2, Body::Answer { call, outcome: Outcome::null() });
    bed.run();
    assert_eq!(bed.noted(), ["ClientLost 2 [2]", "[0, null]"]);
    assert!(owner_of(&bed, 1).is_empty());
}

#[test]
fn a_kicked_client_hears_what_was_said_before() {
    let mut bed = owners(|cx| {
        cx.host.call_client(id(2), crate::guest::Audience::OwnClient, 0, args(&[1]))?;
        Ok(cx.host.kick(id(2), "cheating".into())?)
    });
    bed.out.clear();
    bed.call(2, "act");
    assert_eq!(bed.noted(), ["ClientLost 2 [1]"]);
    let to_gate: Vec<_> = bed
        .out
        .iter()
        .filter_map(|output| match output {
            Output::Gate(to_gate) => Some(to_gate),
            _ => None,
        })
        .collect();
    use everwake_protocol::cluster::ToGate;
    let frames = to_gate.iter().position(|message| matches!(message, ToGate::Frames { .. }));
    let close = to_gate.iter().position(|message| matches!(message, ToGate::Close { .. }));
    assert!(frames.is_some() && frames < close, "{to_gate:?}");
}

#[test]
fn a_client_moves_its_entity_only_if_it_may() {
    let mut bed = owners(|cx| Ok(cx.host.allow_client_moves(id(2), true)?));
    let push = |bed: &mut Bed, x| {
        bed.inputs.push_back(Input::Moved {
            session: session(1),
            target: id(2),
            pose: Pose { x, ..Pose::default() },
            motion: Bytes::new(),
        });
        bed.run();
        let snapshot = bed.core.snapshot().unwrap();
        snapshot.entities.iter().find(|entity| entity.id == id(2)).unwrap().pose.x
    };
    assert_eq!(push(&mut bed, 9.0), 2.0);
    bed.call(2, "act");
    assert_eq!(push(&mut bed, 9.0), 9.0);
    assert_eq!(push(&mut bed, f32::NAN), 9.0);
}

#[test]
fn a_good_bye_to_an_older_view_takes_nothing_away() {
    let mut bed = owners(|_| Ok(()));
    let view = bed.core.snapshot().unwrap().entities.iter().find_map(|entity| entity.body.client.clone());
    let view = view.expect("a client").view;
    assert!(view > 0);
    let session = session(1);
    bed.push_message(None, 2, Body::Detach { session, view: view - 1, reason: 0 });
    bed.run();
    assert_eq!((bed.noted(), owner_of(&bed, 1)), (vec![], vec![id(2)]));
    bed.push_message(None, 2, Body::Detach { session, view, reason: 0 });
    bed.run();
    assert_eq!(bed.noted(), ["ClientLost 2 [0]"]);
    assert!(owner_of(&bed, 1).is_empty());
}
