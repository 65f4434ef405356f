//! Clients: greeted, routed, handed over, gone.

use super::*;
use crate::message::Client;
use everwake_protocol::client::CloseCode;
use everwake_protocol::outcome::{Outcome, code};

const SESSION: SessionId = SessionId(Id([8, 0, 0, 8]));

fn connected(module: &str, boot: EntityId) -> GameInput {
    GameInput::Gate(ToGame::Connected {
        session: SESSION,
        boot,
        module: module.into(),
        address: "127.0.0.1:5".into(),
        token: "t".into(),
        version: "1".into(),
        locale: "en".into(),
    })
}

fn request(target: EntityId) -> GameInput {
    GameInput::Gate(ToGame::Request {
        session: SESSION,
        request: 1,
        acknowledged: 0,
        target,
        method: 0,
        deadline_ms: 500,
        args: Bytes::from_static(&[0x80]),
    })
}

/// The shard of the boot entity, and its creation's ticket.
fn boot_shard(out: &[GameOutput]) -> (EntityId, u64) {
    for output in out {
        if let GameOutput::ToSpace(shard, Input::Create { answer: AnswerTo::Operator { ticket }, .. }) =
            output
        {
            return (*shard, *ticket);
        }
    }
    panic!("no boot entity: {out:?}");
}

fn closes(out: &[GameOutput]) -> Vec<CloseCode> {
    out.iter()
        .filter_map(|output| match output {
            GameOutput::Gate(ToGate::Close { code, .. }) => Some(*code),
            _ => None,
        })
        .collect()
}

fn replies(out: &[GameOutput]) -> usize {
    let is_reply =
        |output: &&GameOutput| matches!(output, GameOutput::Gate(ToGate::Reply { session: SESSION, .. }));
    out.iter().filter(is_reply).count()
}

#[test]
fn a_client_gets_a_boot_entity_in_a_nil_shard_and_calls_it_at_once() {
    let mut stage = Stage::running();
    let boot = id(50);
    let out = stage.handle(connected("", boot));
    let (shard, _) = boot_shard(&out);
    assert!([0, 1].map(|number| nil_shard("yard", number)).contains(&shard));
    let created = to_space(&out, shard);
    let [Input::Create { entity, type_name, client: Some(client), .. }] = created.as_slice() else {
        panic!("one creation: {created:?}");
    };
    assert_eq!((*entity, type_name.as_str()), (boot, "Account"));
    assert_eq!((client.session, client.info.token.as_str()), (SESSION, "t"));
    let out = stage.handle(request(boot));
    let handed = to_space(&out, shard);
    assert!(
        matches!(handed.as_slice(), [Input::Request { deadline_ms, .. }] if *deadline_ms == NOW_MS + 500),
        "{handed:?}"
    );
}

#[test]
fn strangers_are_sent_away() {
    let mut stage = Stage::running_with(GameConfig { sessions_max: 0, ..config() });
    assert_eq!(closes(&stage.handle(connected("chess", id(50)))), [CloseCode::Version]);
    assert_eq!(closes(&stage.handle(connected("yard", id(50)))), [CloseCode::Full]);
    let mut empty = Stage::new(config());
    assert_eq!(closes(&empty.handle(connected("", id(50)))), [CloseCode::Version]);
}

#[test]
fn a_client_whose_boot_entity_fails_is_closed() {
    let mut stage = Stage::running();
    let out = stage.handle(connected("yard", id(50)));
    let (shard, ticket) = boot_shard(&out);
    let outcome = Outcome::not_run("create-failed");
    let out = stage.says(shard, vec![Output::Operator { ticket, outcome }]);
    assert_eq!(closes(&out), [CloseCode::Done]);
    assert!(stage.core.sessions.is_empty());
}

#[test]
fn a_request_to_nobody_or_to_another_module_is_answered() {
    let mut stage = Stage::running();
    stage.publish(manifest("chat", "chat-1"), PublishOptions::default());
    stage.handle(connected("yard", id(50)));
    assert_eq!(replies(&stage.handle(request(id(404)))), 1);
    let stranger = service_shard("chat", "Lobby", 0);
    let out = stage.handle(request(stranger));
    assert_eq!(replies(&out), 1);
    assert!(to_space(&out, stranger).is_empty());
}

#[test]
fn movements_and_good_byes_follow_the_client_to_its_new_entity() {
    let mut stage = Stage::running();
    let out = stage.handle(connected("yard", id(50)));
    let (shard, _) = boot_shard(&out);
    let lobby = service_shard("yard", "Lobby", 0);
    let avatar = id(51);
    stage.says(shard, vec![registered(id(50), 1)]);
    stage.says(lobby, vec![registered(avatar, 1)]);
    stage.says(lobby, vec![Output::ClientBound { session: SESSION, entity: avatar }]);
    let moved = ToGame::Moved { session: SESSION, pose: Default::default(), motion: Bytes::new() };
    let out = stage.handle(GameInput::Gate(moved));
    assert!(matches!(to_space(&out, lobby).as_slice(), [Input::Moved { target, .. }] if *target == avatar));
    let out = stage.handle(GameInput::Gate(ToGame::Closed { session: SESSION, reason: 4 }));
    let told = to_space(&out, lobby);
    let [Input::Message(message)] = told.as_slice() else { panic!("{told:?}") };
    assert!(matches!(message.body, Body::Detach { reason: 4, .. }), "{told:?}");
}

fn attach(stage: &mut Stage, giver: EntityId, taker: EntityId) -> Box<Message> {
    let info = stage.core.sessions.find(SESSION).expect("the session").info.clone();
    let mut message = stage.call(giver, taker);
    message.body = Body::Attach {
        client: Box::new(Client { session: SESSION, info, view: 3 }),
        view: 3,
        replace: false,
        answer: AnswerTo::Entity { entity: giver, call: Id([4; 4]) },
    };
    message
}

#[test]
fn a_client_on_its_way_that_hangs_up_is_detached_from_both() {
    let mut stage = Stage::running();
    let out = stage.handle(connected("yard", id(50)));
    let (shard, _) = boot_shard(&out);
    let (lobby, avatar) = (service_shard("yard", "Lobby", 0), id(51));
    stage.says(shard, vec![registered(id(50), 1)]);
    stage.says(lobby, vec![registered(avatar, 1)]);
    let message = attach(&mut stage, id(50), avatar);
    stage.says(shard, vec![offered(avatar), Output::Message(message)]);
    let out = stage.handle(closed());
    assert_eq!((counters(&out, shard).len(), counters(&out, lobby).len()), (1, 1));
}

fn closed() -> GameInput {
    GameInput::Gate(ToGame::Closed { session: SESSION, reason: 0 })
}

fn offered(taker: EntityId) -> Output {
    Output::ClientOffered { session: SESSION, taker }
}

/// Whom the core tells that the client is gone.
fn detached(out: &[GameOutput], space: EntityId) -> Vec<EntityId> {
    let inputs = to_space(out, space).into_iter();
    inputs
        .filter_map(|input| match input {
            Input::Message(message) => {
                matches!(message.body, Body::Detach { session: SESSION, .. }).then_some(message.target)
            }
            _ => None,
        })
        .collect()
}

#[test]
fn a_client_that_hung_up_before_it_was_taken_haunts_nobody() {
    let mut stage = Stage::running();
    let out = stage.handle(connected("yard", id(50)));
    let (shard, _) = boot_shard(&out);
    let (lobby, avatar) = (service_shard("yard", "Lobby", 0), id(51));
    stage.says(shard, vec![registered(id(50), 1), registered(id(52), 1)]);
    stage.says(lobby, vec![registered(avatar, 1)]);
    let message = attach(&mut stage, id(50), avatar);
    let out = stage.handle(closed());
    assert_eq!(detached(&out, shard), [id(50)], "nobody else is known to have it");
    // To another space: it does not get there.
    let out = stage.says(shard, vec![offered(avatar), Output::Message(message)]);
    assert!(to_space(&out, lobby).is_empty());
    assert_eq!(answers(&out, shard), [(id(50), code::GONE.to_owned())]);
    // In the same space it was not seen passing.
    let out = stage.says(shard, vec![Output::ClientBound { session: SESSION, entity: id(52) }]);
    assert_eq!(detached(&out, shard), [id(52)]);
}

#[test]
fn a_giver_that_ends_itself_does_not_end_its_client() {
    let mut stage = Stage::running();
    let out = stage.handle(connected("yard", id(50)));
    let (shard, _) = boot_shard(&out);
    stage.says(shard, vec![registered(id(50), 1), registered(id(51), 1)]);
    let gone = |entity| Output::Unregistered { entity, epoch: 1 };
    let bound = Output::ClientBound { session: SESSION, entity: id(51) };
    let out = stage.says(shard, vec![offered(id(51)), gone(id(50)), bound]);
    assert!(closes(&out).is_empty());
    assert_eq!(stage.core.sessions.of_entity(id(51)), Some(SESSION));
    assert_eq!(closes(&stage.says(shard, vec![gone(id(51))])), [CloseCode::Done], "it ends with its new one");
}

#[test]
fn a_client_that_is_refused_stays_with_its_giver_and_ends_with_it() {
    let mut stage = Stage::running();
    let out = stage.handle(connected("yard", id(50)));
    let (shard, _) = boot_shard(&out);
    let (lobby, avatar) = (service_shard("yard", "Lobby", 0), id(51));
    stage.says(shard, vec![registered(id(50), 1)]);
    stage.says(lobby, vec![registered(avatar, 1)]);
    let refused = |stage: &mut Stage| {
        let Body::Attach { client, answer, .. } = attach(stage, id(50), avatar).body else { panic!() };
        Output::ClientRefused { client, taker: avatar, answer, code: "has-client" }
    };
    stage.says(shard, vec![offered(avatar)]);
    let output = refused(&mut stage);
    let out = stage.says(lobby, vec![output]);
    let told: Vec<&Body> = to_space(&out, shard)
        .into_iter()
        .filter_map(|input| match input {
            Input::Message(message) => Some(&message.body),
            _ => None,
        })
        .collect();
    assert!(
        matches!(told.as_slice(), [Body::GiveFailed { taker, .. }, Body::Answer { .. }] if *taker == avatar),
        "{told:?}"
    );
    let gone = Output::Unregistered { entity: id(50), epoch: 1 };
    assert_eq!(closes(&stage.says(shard, vec![gone.clone()])), [CloseCode::Done]);

    // If the giver has ended meanwhile the client starts over.
    stage.handle(connected("yard", id(50)));
    stage.says(shard, vec![registered(id(50), 2), offered(avatar), gone]);
    let output = refused(&mut stage);
    let out = stage.says(lobby, vec![output]);
    boot_shard(&out);
    assert!(closes(&out).is_empty());
}

fn acknowledged(request: u64) -> GameInput {
    GameInput::Gate(ToGame::Acknowledged { session: SESSION, request })
}

fn told_of_acknowledgement(out: &[GameOutput]) -> Vec<(EntityId, u64)> {
    out.iter()
        .filter_map(|output| match output {
            GameOutput::ToSpace(_, Input::Acknowledged { target, request, .. }) => Some((*target, *request)),
            _ => None,
        })
        .collect()
}

/// A client that has called so many entities of its shard, each once.
fn who_called(entities: u32) -> (Stage, EntityId) {
    let mut stage = Stage::running();
    let out = stage.handle(connected("yard", id(50)));
    let (shard, _) = boot_shard(&out);
    stage.says(shard, (1..=entities).map(|number| registered(id(number + 100), 1)).collect());
    for number in 1..=entities {
        let GameInput::Gate(ToGame::Request { session, target, method, deadline_ms, args, .. }) =
            request(id(number + 100))
        else {
            panic!()
        };
        let (request, acknowledged) = (u64::from(number), 0);
        let asked = ToGame::Request { session, request, acknowledged, target, method, deadline_ms, args };
        let out = stage.handle(GameInput::Gate(asked));
        // Whoever is forgotten is told to keep no replies.
        let evicted =
            number.checked_sub(super::super::limits::SESSION_TARGETS_MAX as u32).filter(|it| *it > 0);
        let evicted: Vec<_> = evicted.map(|old| (id(old + 100), u64::from(old))).into_iter().collect();
        assert_eq!(told_of_acknowledgement(&out), evicted);
    }
    (stage, shard)
}

#[test]
fn an_acknowledgement_is_told_once_to_those_whom_it_concerns() {
    let (mut stage, _) = who_called(3);
    let all: Vec<_> = (1..=3).map(|number| (id(number + 100), 2)).collect();
    assert_eq!(told_of_acknowledgement(&stage.handle(acknowledged(2))), all);
    for again in [2, 1, 0] {
        assert_eq!(told_of_acknowledgement(&stage.handle(acknowledged(again))), []);
    }
    assert_eq!(told_of_acknowledgement(&stage.handle(acknowledged(3))), [(id(103), 3)]);
}

#[test]
fn an_acknowledgement_is_left_out_where_too_much_waits() {
    let mut stage = Stage::running_with(GameConfig { backlog_messages_max: 2, ..config() });
    let out = stage.handle(connected("yard", id(50)));
    let (shard, _) = boot_shard(&out);
    stage.says(shard, vec![registered(id(50), 1)]);
    stage.handle(request(id(50)));
    let dropped = stage.core.counters().dropped;
    assert_eq!(told_of_acknowledgement(&stage.handle(acknowledged(1))), []);
    assert_eq!(stage.core.counters().dropped, dropped + 1);
}

#[test]
fn a_session_that_ends_is_forgotten_by_whom_it_called() {
    let (mut stage, shard) = who_called(70);
    stage.handle(acknowledged(69));
    let out = stage.handle(closed());
    let told = to_space(&out, shard).into_iter().filter(|input| matches!(input, Input::SessionClosed { .. }));
    assert_eq!(told.count(), super::super::limits::SESSION_TARGETS_MAX);
}

#[test]
fn a_client_that_nobody_takes_stays_or_starts_over() {
    let mut stage = Stage::running();
    let out = stage.handle(connected("yard", id(50)));
    let (shard, _) = boot_shard(&out);
    stage.says(shard, vec![registered(id(50), 1)]);
    let message = attach(&mut stage, id(50), id(404));
    let out = stage.says(shard, vec![Output::Message(message)]);
    assert_eq!(answers(&out, shard), [(id(50), code::GONE.to_owned())]);

    // The giver ends itself right behind the gift, which the directory sees first.
    let message = attach(&mut stage, id(50), id(404));
    stage.says(shard, vec![Output::ClientBound { session: SESSION, entity: id(50) }]);
    let gone = Output::Unregistered { entity: id(50), epoch: 1 };
    let out = stage.says(shard, vec![offered(id(404)), gone, Output::Message(message)]);
    let (_, _) = boot_shard(&out);
    assert!(closes(&out).is_empty());
    let own = stage.core.sessions.find(SESSION).expect("still here").own;
    assert_ne!(own, id(50));
}

#[test]
fn a_client_cannot_be_given_to_another_module() {
    let mut stage = Stage::running();
    stage.publish(manifest("chat", "chat-1"), PublishOptions::default());
    let out = stage.handle(connected("yard", id(50)));
    let (shard, _) = boot_shard(&out);
    stage.says(shard, vec![registered(id(50), 1)]);
    let message = attach(&mut stage, id(50), service_shard("chat", "Lobby", 0));
    let out = stage.says(shard, vec![Output::Message(message)]);
    assert_eq!(answers(&out, shard), [(id(50), code::NOT_EXPOSED.to_owned())]);
}

#[test]
fn an_operator_calls_a_method_and_sees_its_answer() {
    let mut stage = Stage::running();
    let out = stage.handle(connected("yard", id(50)));
    let (shard, _) = boot_shard(&out);
    let boot = Output::Registered { entity: id(50), type_id: 0, epoch: 1 };
    stage.says(shard, vec![boot]);
    let call = |method: &str| AdminRequest::Call {
        who: "root".into(),
        entity: id(50),
        method: method.into(),
        args: serde_json::json!([]),
    };
    let (_, out) = stage.ask(call("poke"));
    assert!(matches!(facts(&out).as_slice(), [Fact::Operator { who, .. }] if who == "root"));
    let handed = to_space(&out, shard);
    let [Input::Message(message)] = handed.as_slice() else { panic!("a call: {handed:?}") };
    let Body::Call { answer: AnswerTo::Operator { ticket }, .. } = &message.body else {
        panic!("a call: {handed:?}");
    };
    let outcome = Outcome::Ok(Bytes::from_static(&[0x07]));
    let out = stage.says(shard, vec![Output::Operator { ticket: *ticket, outcome }]);
    let [GameOutput::Admin { answer, .. }] = out.as_slice() else { panic!("an answer: {out:?}") };
    assert!(matches!(answer.as_ref(), AdminAnswer::Value(value) if *value == serde_json::json!(7)));
    let (_, out) = stage.ask(call("fly"));
    let [AdminAnswer::Bad(why)] = admin_answers(&out)[..] else { panic!("a no: {out:?}") };
    assert!(why.contains("no method `fly`; it has:") && why.contains("\n  poke("), "{why}");
    // Nobody answers: the operator is told so.
    stage.ask(call("poke"));
    let out = stage.pass(super::super::limits::OPERATOR_MS_MAX);
    assert!(out.iter().any(|output| matches!(
        output,
        GameOutput::Admin { answer, .. } if matches!(&**answer, AdminAnswer::Failed { certainty: "unknown", .. })
    )));
}
