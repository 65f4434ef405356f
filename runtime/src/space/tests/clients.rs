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

#[test]
fn a_taken_entity_refuses_and_the_giver_keeps_its_client() {
    let mut bed = owners(|cx| {
        let then = resumed(cx, id(2));
        Ok(cx.host.give(id(2), id(3), false, then)?)
    });
    bed.attach(3, 2);
    bed.noted();
    bed.call(2, "act");
    let lines = bed.noted();
    assert_eq!(lines[0], "[1, 0, \"has-client\", null]");
    assert!(lines[1].starts_with("GiveFailed 2 ["), "{lines:?}");
    assert_eq!((owner_of(&bed, 1), owner_of(&bed, 2)), (vec![id(2)], vec![id(3)]));
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
    bed.push_message(None, 2, Body::Detach { session: session(1), reason: 2 });
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
