//! Where messages go while entities are born, move and die.

use super::*;
use crate::cargo::{KeyValueAsk, home_of};
use crate::guest::Place;
use crate::message::{EntityBody, KeyValueOperation, Traveller};
use everwake_protocol::attributes::Attributes;
use everwake_protocol::client::Pose;
use everwake_protocol::outcome::{Certainty, Outcome, code};

pub fn body() -> EntityBody {
    EntityBody {
        type_id: 1,
        schema: 0,
        attributes: Attributes::default(),
        client: None,
        filters: Default::default(),
        timers: Default::default(),
        pending: Default::default(),
        deferred: Default::default(),
        watches: Default::default(),
        watchers: Default::default(),
        marks: Default::default(),
        former: None,
        layers: (u32::MAX, u32::MAX),
        client_moves: false,
        motion: Bytes::new(),
    }
}

fn traveller(
    stage: &Stage,
    entity: EntityId,
    from: Option<EntityId>,
    to: Option<EntityId>,
) -> Box<Traveller> {
    let (pose, body, version) = (Pose::default(), body(), stage.core().modules["yard"].head.clone());
    Box::new(Traveller {
        entity,
        from,
        to,
        pose,
        epoch: 2,
        version,
        failed: None,
        debts: Vec::new(),
        told: Vec::new(),
        body,
    })
}

/// Two rooms of `yard` and an entity in the first one.
fn rooms() -> (Stage, EntityId, EntityId, EntityId) {
    let mut stage = Stage::running();
    let (one, two, walker) = (id(101), id(102), id(5));
    let lobby = service_shard("yard", "Lobby", 0);
    for room in [one, two] {
        let create = Output::Create {
            entity: room,
            type_name: "Room".into(),
            args: Bytes::from_static(&[0x80]),
            place: Place::Anywhere,
            answer: AnswerTo::Nobody,
        };
        let out = stage.says(lobby, vec![create]);
        assert!(out.iter().any(|output| matches!(output, GameOutput::MakeSpace(spec) if spec.id == room)));
        assert!(matches!(to_space(&out, room).as_slice(), [Input::Create { .. }]));
        stage.says(room, vec![registered(room, 1)]);
    }
    stage.says(one, vec![registered(walker, 1)]);
    (stage, one, two, walker)
}

#[test]
fn what_is_sent_during_a_move_arrives_after_it_in_order() {
    let (mut stage, one, two, walker) = rooms();
    let lobby = service_shard("yard", "Lobby", 0);
    stage.says(lobby, vec![registered(lobby, 1)]);
    let messages: Vec<Box<Message>> = (0..4).map(|_| stage.call(lobby, walker)).collect();
    let [first, second, third, fourth] = <[Box<Message>; 4]>::try_from(messages).unwrap();

    let asked = Output::EnterAsked { entity: walker, space: Some(two), intent: 1 };
    let out = stage.says(lobby, vec![Output::Message(first.clone())]);
    assert_eq!(counters(&out, one), [first.id.counter]);
    let out = stage.says(one, vec![asked]);
    assert!(matches!(to_space(&out, one).as_slice(), [Input::Marker { intent: 1, .. }]));

    let out = stage.says(lobby, vec![Output::Message(second.clone())]);
    assert!(out.is_empty(), "it waits: {out:?}");
    let moving = traveller(&stage, walker, Some(one), Some(two));
    let out = stage.says(one, vec![Output::Departed(moving)]);
    assert!(matches!(to_space(&out, two).as_slice(), [Input::Install(_)]));
    let out = stage.says(lobby, vec![Output::Message(third.clone())]);
    assert!(out.is_empty(), "it still waits: {out:?}");

    let out = stage.says(two, vec![registered(walker, 2)]);
    assert_eq!(counters(&out, two), [second.id.counter, third.id.counter]);
    let out = stage.says(lobby, vec![Output::Message(fourth.clone())]);
    assert_eq!(counters(&out, two), [fourth.id.counter]);
}

#[test]
fn an_entity_that_is_not_let_in_goes_back_and_keeps_its_messages() {
    let (mut stage, one, two, walker) = rooms();
    let message = stage.call(one, walker);
    stage.says(one, vec![Output::EnterAsked { entity: walker, space: Some(two), intent: 1 }]);
    let moving = traveller(&stage, walker, Some(one), Some(two));
    stage.says(one, vec![Output::Departed(moving)]);
    stage.says(two, vec![Output::Message(message.clone())]);
    let moving = traveller(&stage, walker, Some(one), Some(two));
    let out = stage.says(two, vec![Output::Refused(moving, "limit")]);
    let back = to_space(&out, one);
    assert!(
        matches!(back.as_slice(), [Input::Install(back)] if back.failed == Some("limit") && back.to == Some(two))
    );
    let out = stage.says(one, vec![registered(walker, 2)]);
    assert_eq!(counters(&out, one), [message.id.counter]);
}

#[test]
fn a_move_to_a_space_that_is_not_there_comes_back() {
    let (mut stage, one, _, walker) = rooms();
    let nowhere = id(999);
    stage.says(one, vec![Output::EnterAsked { entity: walker, space: Some(nowhere), intent: 1 }]);
    let moving = traveller(&stage, walker, Some(one), Some(nowhere));
    let out = stage.says(one, vec![Output::Departed(moving)]);
    assert!(matches!(to_space(&out, one).as_slice(), [Input::Install(back)] if back.failed == Some("gone")));
}

#[test]
fn an_entity_survives_the_end_of_the_space_it_goes_to() {
    let (mut stage, one, two, walker) = rooms();
    stage.says(one, vec![Output::EnterAsked { entity: walker, space: Some(two), intent: 1 }]);
    let moving = traveller(&stage, walker, Some(one), Some(two));
    stage.says(one, vec![Output::Departed(moving)]);
    let out = stage.says(two, vec![Output::Unregistered { entity: two, epoch: 1 }, Output::Closed]);
    assert!(out.iter().any(|output| matches!(output, GameOutput::DropSpace(space) if *space == two)));
    let inputs = vec![Input::Install(traveller(&stage, walker, Some(one), Some(two)))];
    let out = stage.handle(GameInput::Returned { space: two, inputs });
    assert!(matches!(to_space(&out, one).as_slice(), [Input::Install(back)] if back.failed == Some("gone")));
}

#[test]
fn the_end_of_the_space_that_it_has_left_does_not_touch_a_traveller() {
    let (mut stage, one, two, walker) = rooms();
    let lobby = service_shard("yard", "Lobby", 0);
    stage.says(lobby, vec![registered(lobby, 1)]);
    stage.says(one, vec![Output::EnterAsked { entity: walker, space: Some(two), intent: 1 }]);
    let moving = traveller(&stage, walker, Some(one), Some(two));
    stage.says(one, vec![Output::Departed(moving)]);
    let message = stage.call(lobby, walker);
    stage.says(lobby, vec![Output::Message(message.clone())]);
    let out = stage.says(one, vec![Output::Unregistered { entity: one, epoch: 1 }, Output::Closed]);
    assert_eq!(answers(&out, lobby), [], "it is only on its way");
    let out = stage.says(two, vec![registered(walker, 2)]);
    assert_eq!(counters(&out, two), [message.id.counter]);
}

#[test]
fn what_a_closed_space_let_in_at_last_is_gone() {
    let (mut stage, one, two, walker) = rooms();
    stage.says(one, vec![Output::Unregistered { entity: one, epoch: 1 }, Output::Closed]);
    let sizes = stage.core().directory.sizes();
    stage.says(one, vec![registered(id(44), 3)]);
    assert_eq!(stage.core().directory.sizes(), sizes);
    let message = stage.call(two, walker);
    let out = stage.says(two, vec![Output::Message(message)]);
    assert_eq!(answers(&out, two), [(two, code::GONE.to_owned())]);
}

#[test]
fn a_shard_that_breaks_takes_its_entities_along_and_is_made_again() {
    let (mut stage, one, _, walker) = rooms();
    let lobby = service_shard("yard", "Lobby", 0);
    stage.says(lobby, vec![registered(lobby, 1), registered(id(66), 1)]);
    let out = stage.says(lobby, vec![Output::Closed]);
    let again = |output: &&GameOutput| matches!(output, GameOutput::MakeSpace(spec) if spec.id == lobby);
    assert_eq!(out.iter().filter(again).count(), 1);
    let epoch = out.iter().find_map(|output| match output {
        GameOutput::MakeSpace(spec) => Some(spec.epoch),
        _ => None,
    });
    assert_eq!(epoch, Some(2), "its messages are not those of the one before");
    assert!(matches!(to_space(&out, lobby).as_slice(), [Input::Create { entity, .. }] if *entity == lobby));
    let message = stage.call(walker, id(66));
    let out = stage.says(one, vec![Output::Message(message)]);
    assert_eq!(answers(&out, one), [(walker, code::GONE.to_owned())]);
}

#[test]
fn a_service_that_could_not_begin_begins_with_the_next_version() {
    let mut stage = Stage::new(config());
    let lobby = service_shard("yard", "Lobby", 1);
    let out = stage.publish(manifest("yard", "1"), Default::default());
    let handed = to_space(&out, lobby);
    let [Input::Create { answer: AnswerTo::Operator { ticket }, .. }] = handed.as_slice() else {
        panic!("{handed:?}")
    };
    let outcome = everwake_protocol::outcome::Outcome::not_run("create-failed");
    stage.says(lobby, vec![Output::Operator { ticket: *ticket, outcome }]);
    let out = publications::swap_to(&mut stage, "2");
    assert!(matches!(to_space(&out, lobby).as_slice(), [Input::Create { entity, .. }] if *entity == lobby));
    let out = publications::swap_to(&mut stage, "3");
    assert!(
        to_space(&out, lobby).iter().all(|input| !matches!(input, Input::Create { .. })),
        "once is enough"
    );
}

#[test]
fn a_shut_down_waits_for_spaces_but_not_for_ever() {
    let (mut stage, ..) = rooms();
    let out = stage.handle(GameInput::Shutdown);
    assert!(out.iter().all(|output| matches!(output, GameOutput::ToSpace(_, Input::Close))));
    assert_eq!(out.len(), 6);
    let out = stage.pass(super::super::limits::CLOSING_MS_MAX);
    assert!(matches!(out.as_slice(), [GameOutput::Finished]));
    assert!(stage.pass(1_000).is_empty(), "once");
}

#[test]
fn whoever_waits_for_a_destroyed_entity_is_told() {
    let (mut stage, one, two, walker) = rooms();
    stage.says(one, vec![Output::EnterAsked { entity: walker, space: Some(two), intent: 1 }]);
    let message = stage.call(two, walker);
    stage.says(two, vec![Output::Message(message)]);
    let out = stage.says(one, vec![Output::Unregistered { entity: walker, epoch: 1 }]);
    assert_eq!(answers(&out, two), [(two, code::GONE.to_owned())]);
    let message = stage.call(two, walker);
    let out = stage.says(two, vec![Output::Message(message)]);
    assert_eq!(answers(&out, two), [(two, code::GONE.to_owned())]);
}

#[test]
fn a_message_does_not_circle() {
    let (mut stage, one, two, walker) = rooms();
    let message = stage.call(two, walker);
    let out = stage.says(two, vec![Output::Message(message.clone())]);
    assert_eq!(counters(&out, one), [message.id.counter]);
    let out = stage.says(one, vec![Output::NotHere(message)]);
    assert_eq!(answers(&out, two), [(two, code::GONE.to_owned())]);
    assert!(to_space(&out, one).is_empty());
}

#[test]
fn a_message_follows_an_entity_that_has_just_left() {
    let (mut stage, one, two, walker) = rooms();
    let message = stage.call(two, walker);
    stage.says(two, vec![Output::Message(message.clone())]);
    stage.says(one, vec![Output::EnterAsked { entity: walker, space: Some(two), intent: 1 }]);
    let moving = traveller(&stage, walker, Some(one), Some(two));
    let out = stage.says(one, vec![Output::Departed(moving), Output::NotHere(message.clone())]);
    assert!(counters(&out, one).is_empty() && counters(&out, two).is_empty());
    let out = stage.says(two, vec![registered(walker, 2)]);
    assert_eq!(counters(&out, two), [message.id.counter]);
}

#[test]
fn callers_of_a_slow_space_are_refused_and_answers_are_not() {
    let mut stage = Stage::running_with(GameConfig { backlog_messages_max: 3, ..config() });
    let (slow, other) = (service_shard("yard", "Lobby", 0), service_shard("yard", "Lobby", 1));
    stage.says(slow, vec![registered(slow, 1)]);
    stage.says(other, vec![registered(other, 1)]);
    // One input, the creation, waits in each already.
    let calls: Vec<Output> = (0..3).map(|_| Output::Message(stage.call(other, slow))).collect();
    let out = stage.says(other, calls);
    assert_eq!(counters(&out, slow).len(), 2);
    assert_eq!(answers(&out, other), [(other, code::OVERLOADED.to_owned())]);
    let mut answer = stage.call(other, slow);
    answer.body = Body::Answer { call: Id([1; 4]), outcome: everwake_protocol::outcome::Outcome::null() };
    let out = stage.says(other, vec![Output::Message(answer)]);
    assert_eq!(to_space(&out, slow).len(), 1, "an answer always has room");
    stage.handle(GameInput::Space { space: slow, taken: 4, outputs: Vec::new() });
    let call = stage.call(other, slow);
    assert_eq!(counters(&stage.says(other, vec![Output::Message(call)]), slow).len(), 1);
}

#[test]
fn what_waits_too_long_for_a_move_is_refused() {
    let (mut stage, one, two, walker) = rooms();
    stage.says(one, vec![Output::EnterAsked { entity: walker, space: Some(two), intent: 1 }]);
    let message = stage.call(two, walker);
    stage.says(two, vec![Output::Message(message)]);
    let limit_ms = everwake_dispatcher::limits::PARKED_MS_MAX;
    let out = stage.pass(limit_ms - 1);
    assert_eq!(answers(&out, two), []);
    let out = stage.pass(everwake_dispatcher::limits::SWEEP_MS + 1);
    assert_eq!(answers(&out, two), [(two, code::UNAVAILABLE.to_owned())]);
}

#[test]
fn an_entity_that_could_not_be_made_is_gone_for_those_who_called_it_already() {
    let (mut stage, one, _, _) = rooms();
    let child = id(77);
    let create = Output::Create {
        entity: child,
        type_name: "Avatar".into(),
        args: Bytes::from_static(&[0x80]),
        place: Place::Anywhere,
        answer: AnswerTo::Entity { entity: one, call: Id([3; 4]) },
    };
    let call = stage.call(one, child);
    let out = stage.says(one, vec![create, Output::Message(call)]);
    let shard =
        [0, 1].map(|shard| nil_shard("yard", shard)).into_iter().find(|s| !to_space(&out, *s).is_empty());
    let shard = shard.expect("in a nil shard");
    let handed = to_space(&out, shard);
    let [Input::Create { answer: AnswerTo::Operator { ticket }, .. }, Input::Message(_)] = handed.as_slice()
    else {
        panic!("creation, then the call: {handed:?}");
    };
    let outcome = everwake_protocol::outcome::Outcome::not_run("create-failed");
    let out = stage.says(shard, vec![Output::Operator { ticket: *ticket, outcome }]);
    assert_eq!(answers(&out, one), [(one, "create-failed".to_owned())]);
    assert!(stage.core().directory.location(child).is_none());
}

#[test]
fn entities_are_created_only_where_they_may_be() {
    let mut stage = Stage::running_with(GameConfig { labels: vec!["big".into()], ..config() });
    let lobby = service_shard("yard", "Lobby", 0);
    stage.says(lobby, vec![registered(lobby, 1)]);
    let mut number = 200;
    let mut codes = |type_name: &str, place: Place| {
        number += 1;
        let create = Output::Create {
            entity: id(number),
            type_name: type_name.into(),
            args: Bytes::from_static(&[0x80]),
            place,
            answer: AnswerTo::Entity { entity: lobby, call: Id([1; 4]) },
        };
        answers(&stage.says(lobby, vec![create]), lobby).into_iter().map(|(_, code)| code).collect::<Vec<_>>()
    };
    assert_eq!(codes("Avatar", Place::Anywhere), [""; 0]);
    assert_eq!(codes("Room", Place::Labelled("big".into())), [""; 0]);
    assert_eq!(codes("Room", Place::Labelled("game/game".into())), [""; 0], "its own name");
    assert_eq!(codes("Room", Place::Labelled("small".into())), [code::UNAVAILABLE]);
    assert_eq!(codes("Avatar", Place::InSpace(id(999))), [code::GONE]);
    assert_eq!(codes("Avatar", Place::InSpace(lobby)), [code::GONE]);
    assert_eq!(codes("Lobby", Place::Anywhere), [code::BAD_ARGUMENTS]);
    assert_eq!(codes("Nothing", Place::Anywhere), [code::UNAVAILABLE]);
}

#[test]
fn key_value_operations_answer_their_owners_in_order() {
    let mut stage = Stage::running();
    let lobby = service_shard("yard", "Lobby", 0);
    stage.says(lobby, vec![registered(lobby, 1)]);
    let ask = |call, operation| Output::KeyValue { owner: lobby, call: Id([call; 4]), operation };
    let put = KeyValueOperation::Put { key: "k".into(), value: Some(Bytes::from_static(&[7])) };
    let out = stage.says(lobby, vec![ask(1, put), ask(2, KeyValueOperation::Get { key: "k".into() })]);
    let found: Vec<_> = to_space(&out, lobby)
        .into_iter()
        .filter_map(|input| match input {
            Input::Message(message) => match &message.body {
                Body::Answer { call, outcome } => Some((*call, outcome.clone())),
                _ => None,
            },
            _ => None,
        })
        .collect();
    let value = everwake_protocol::outcome::Outcome::Ok(Bytes::from_static(&[7]));
    let null = everwake_protocol::outcome::Outcome::null();
    assert_eq!(found, [(Id([1; 4]), null), (Id([2; 4]), value)]);
}

#[test]
fn what_may_have_run_elsewhere_comes_back_as_unknown() {
    let (mut stage, one, _, _) = rooms();
    let came_back = |message: Box<Message>, uncertain| {
        let (target, id) = (Target::Entity(message.target), message.id);
        let envelope = Envelope::new(LIVES.game, target, id, Cargo::Message(message));
        let reason = ReturnReason::Gone;
        GameInput::Dispatched(FromDispatcher::Return { envelope, reason, uncertain })
    };
    for (uncertain, certainty) in [(false, Certainty::NotRun), (true, Certainty::Unknown)] {
        let message = stage.call(one, id(404));
        let out = stage.handle(came_back(message, uncertain));
        let [Input::Message(answer)] = to_space(&out, one)[..] else { panic!("{out:?}") };
        let Body::Answer { outcome: Outcome::Err { certainty: told, code, .. }, .. } = &answer.body else {
            panic!("{answer:?}");
        };
        assert_eq!((*told, code.as_str()), (certainty, code::GONE));
        let ask = KeyValueAsk {
            module: "yard".into(),
            owner: one,
            call: Id([6; 4]),
            operation: KeyValueOperation::Get { key: "k".into() },
        };
        let home = home_of("yard");
        let message = MessageId { sender: one.0, epoch: 1, counter: 9 };
        let envelope =
            Envelope::new(LIVES.game, Target::Entity(home), message, Cargo::KeyValue(Box::new(ask)));
        let reason = ReturnReason::Gone;
        let out = stage.handle(GameInput::Dispatched(FromDispatcher::Return { envelope, reason, uncertain }));
        let [Input::Message(answer)] = to_space(&out, one)[..] else { panic!("{out:?}") };
        assert!(
            matches!(&answer.body, Body::Answer { outcome: Outcome::Err { certainty: told, .. }, .. } if *told == certainty)
        );
    }
    // Whoever gives a client is told in any case: it still has it.
    let mut attach = stage.call(one, id(404));
    let client = crate::message::Client {
        session: SessionId(Id([0, 2, 0, 8])),
        module: "yard".into(),
        info: crate::guest::ClientInfo {
            session: Id([0, 2, 0, 8]),
            address: String::new(),
            token: String::new(),
            version: String::new(),
            locale: String::new(),
            round_trip_ms: 0.0,
        },
        view: 3,
    };
    let answer = AnswerTo::Entity { entity: one, call: Id([4; 4]) };
    attach.body = Body::Attach { client: Box::new(client), view: 3, replace: false, answer };
    let out = stage.handle(came_back(attach, true));
    let told = to_space(&out, one);
    assert!(
        matches!(told[..], [Input::Message(failed), Input::Message(_)] if matches!(failed.body, Body::GiveFailed { .. })),
        "{told:?}"
    );
}
