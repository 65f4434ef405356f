//! Clients: greeted, routed, handed over, gone.

use super::*;
use crate::message::Client;
use everwake_protocol::client::CloseCode;
use everwake_protocol::outcome::{Outcome, code};

const SESSION: SessionId = SessionId(Id([0, 2, 0, 8]));

fn connected(module: &str) -> ToGame {
    ToGame::Connected {
        session: SESSION,
        view: 0,
        module: module.into(),
        address: "127.0.0.1:5".into(),
        token: "t".into(),
        version: "1".into(),
        locale: "en".into(),
    }
}

fn request() -> ToGame {
    ToGame::Request {
        session: SESSION,
        request: 1,
        acknowledged: 0,
        module: "yard".into(),
        method: 0,
        deadline_ms: 500,
        args: Bytes::from_static(&[0x80]),
    }
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

fn closes(stage: &Stage) -> Vec<CloseCode> {
    stage
        .gate
        .iter()
        .filter_map(|said| match said {
            ToGate::Close { code, .. } => Some(*code),
            _ => None,
        })
        .collect()
}

fn replies(stage: &Stage) -> usize {
    stage.gate.iter().filter(|said| matches!(said, ToGate::Reply { session: SESSION, .. })).count()
}

#[test]
fn a_client_gets_a_boot_entity_in_a_nil_shard_and_calls_it_at_once() {
    let mut stage = Stage::running();
    let boot = id(50);
    let out = stage.client(boot, connected(""));
    let (shard, _) = boot_shard(&out);
    assert!([0, 1].map(|number| nil_shard("yard", number)).contains(&shard));
    let created = to_space(&out, shard);
    let [Input::Create { entity, type_name, client: Some(client), .. }] = created.as_slice() else {
        panic!("one creation: {created:?}");
    };
    assert_eq!((*entity, type_name.as_str()), (boot, "Account"));
    assert_eq!((client.session, client.info.token.as_str()), (SESSION, "t"));
    let out = stage.client(boot, request());
    let handed = to_space(&out, shard);
    assert!(
        matches!(handed.as_slice(), [Input::Request { deadline_ms, .. }] if *deadline_ms == NOW_MS + 500),
        "{handed:?}"
    );
}

#[test]
fn strangers_are_sent_away() {
    let mut stage = Stage::running_with(GameConfig { sessions_max: 0, ..config() });
    stage.client(id(50), connected("yard"));
    assert_eq!(closes(&stage), [CloseCode::Full]);
    assert_eq!(known(&stage, id(50)), 0, "nobody is expected there");
    // Nobody runs it: the gate is told so, and closes the client.
    stage.client(id(51), connected("chess"));
    assert_eq!(stage.returned, [ReturnReason::NoPlace]);
    let mut empty = Stage::new(config());
    empty.client(id(50), connected(""));
    assert_eq!(closes(&empty), [CloseCode::Version]);
}

#[test]
fn a_client_whose_boot_entity_fails_is_closed() {
    let mut stage = Stage::running();
    let out = stage.client(id(50), connected("yard"));
    let (shard, ticket) = boot_shard(&out);
    let outcome = Outcome::not_run("create-failed");
    stage.says(shard, vec![Output::Operator { ticket, outcome }]);
    assert_eq!(closes(&stage), [CloseCode::Done]);
    assert!(stage.core().sessions.is_empty());
}

#[test]
fn a_request_to_nobody_or_to_another_module_is_answered() {
    let mut stage = Stage::running();
    stage.publish(manifest("chat", "chat-1"), PublishOptions::default());
    stage.client(id(50), connected("yard"));
    stage.client(id(404), request());
    assert_eq!((replies(&stage), stage.returned.as_slice()), (0, [ReturnReason::Gone].as_slice()));
    let stranger = service_shard("chat", "Lobby", 0);
    let out = stage.client(stranger, request());
    assert_eq!(replies(&stage), 1);
    assert!(to_space(&out, stranger).is_empty());
}

#[test]
fn movements_and_good_byes_reach_the_entity_that_the_gate_names() {
    let mut stage = Stage::running();
    stage.client(id(50), connected("yard"));
    let (lobby, avatar) = (service_shard("yard", "Lobby", 0), id(51));
    stage.says(lobby, vec![registered(avatar, 1)]);
    stage.says(lobby, vec![Output::ClientBound { session: SESSION, entity: avatar }]);
    let moved = ToGame::Moved { session: SESSION, pose: Default::default(), motion: Bytes::new() };
    let out = stage.client(avatar, moved);
    assert!(matches!(to_space(&out, lobby).as_slice(), [Input::Moved { target, .. }] if *target == avatar));
    let out = stage.client(avatar, hung_up(4));
    let told = to_space(&out, lobby);
    let [Input::Message(message)] = told.as_slice() else { panic!("{told:?}") };
    assert!(matches!(message.body, Body::Detach { reason: 4, .. }), "{told:?}");
    assert!(stage.core().sessions.is_empty());
    let out = stage.client(avatar, ToGame::Forget { session: SESSION });
    assert!(matches!(to_space(&out, lobby).as_slice(), [Input::SessionClosed { .. }]));
    let out = stage.client(avatar, ToGame::Acknowledged { session: SESSION, request: 3 });
    assert!(matches!(to_space(&out, lobby).as_slice(), [Input::Acknowledged { request: 3, .. }]));
}

#[test]
fn a_gate_that_dies_takes_its_clients_along() {
    let mut stage = Stage::running();
    let out = stage.client(id(50), connected("yard"));
    let (shard, _) = boot_shard(&out);
    stage.says(shard, vec![registered(id(50), 1)]);
    let out = stage.handle(GameInput::Dispatched(FromDispatcher::Dead(LIVES.gate)));
    let [Input::Message(message)] = to_space(&out, shard)[..] else { panic!("{out:?}") };
    assert!(matches!(message.body, Body::Detach { reason: 4, .. }), "{message:?}");
    assert!(stage.core().sessions.is_empty());
}

#[test]
fn a_client_that_another_game_serves_is_let_go() {
    let mut stage = Stage::running();
    let out = stage.client(id(50), connected("yard"));
    let (shard, _) = boot_shard(&out);
    let view = |view| Output::Gate(ToGate::View { session: SESSION, view, owner: id(50), type_id: 0 });
    stage.says(shard, vec![registered(id(50), 1), view(3)]);
    let released = |view| {
        let target = Target::Process(LIVES.game);
        let payload = Cargo::Client(ToGame::Released { session: SESSION, view });
        let envelope = Envelope::new(LIVES.gate, target, MessageId::default(), payload);
        GameInput::Dispatched(FromDispatcher::Deliver(envelope))
    };
    stage.handle(released(3));
    assert!(stage.core().sessions.find(SESSION).is_some(), "it came back in between");
    stage.handle(released(4));
    assert!(stage.core().sessions.is_empty());
}

fn hung_up(reason: u32) -> ToGame {
    ToGame::Detach { session: SESSION, view: u32::MAX, reason }
}

/// How many entities of that name the game knows.
fn known(stage: &Stage, entity: EntityId) -> usize {
    usize::from(stage.core().directory.location(entity).is_some())
}

fn attach(stage: &mut Stage, giver: EntityId, taker: EntityId) -> Box<Message> {
    let info = crate::guest::ClientInfo {
        session: SESSION.0,
        address: String::new(),
        token: String::new(),
        version: String::new(),
        locale: String::new(),
        round_trip_ms: 0.0,
    };
    let mut message = stage.call(giver, taker);
    message.body = Body::Attach {
        client: Box::new(Client { session: SESSION, module: "yard".into(), info, view: 3 }),
        view: 3,
        replace: false,
        answer: AnswerTo::Entity { entity: giver, call: Id([4; 4]) },
    };
    message
}

fn offered(taker: EntityId) -> Output {
    Output::ClientOffered { session: SESSION, taker }
}

#[test]
fn a_giver_that_ends_itself_does_not_end_its_client() {
    let mut stage = Stage::running();
    let out = stage.client(id(50), connected("yard"));
    let (shard, _) = boot_shard(&out);
    stage.says(shard, vec![registered(id(50), 1), registered(id(51), 1)]);
    let gone = |entity| Output::Unregistered { entity, epoch: 1 };
    let bound = Output::ClientBound { session: SESSION, entity: id(51) };
    stage.says(shard, vec![offered(id(51)), gone(id(50)), bound]);
    assert!(closes(&stage).is_empty());
    assert_eq!(stage.core().sessions.of_entity(id(51)), Some(SESSION));
    stage.says(shard, vec![gone(id(51))]);
    assert_eq!(closes(&stage), [CloseCode::Done], "it ends with its new one");
}

#[test]
fn a_client_that_is_refused_stays_with_its_giver_and_ends_with_it() {
    let mut stage = Stage::running();
    let out = stage.client(id(50), connected("yard"));
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
    stage.says(shard, vec![gone.clone()]);
    assert_eq!(closes(&stage), [CloseCode::Done]);

    // If the giver has ended meanwhile its gate is told that nobody has the client.
    stage.client(id(53), connected("yard"));
    stage.says(shard, vec![registered(id(50), 2), Output::ClientBound { session: SESSION, entity: id(50) }]);
    stage.says(shard, vec![offered(avatar), gone]);
    let output = refused(&mut stage);
    stage.says(lobby, vec![output]);
    assert_eq!(stage.gate, [ToGate::Orphaned { session: SESSION, view: 3 }]);
}

#[test]
fn a_client_that_nobody_takes_stays_or_starts_over() {
    let mut stage = Stage::running();
    let out = stage.client(id(50), connected("yard"));
    let (shard, _) = boot_shard(&out);
    stage.says(shard, vec![registered(id(50), 1)]);
    let message = attach(&mut stage, id(50), id(404));
    let out = stage.says(shard, vec![Output::Message(message)]);
    assert_eq!(answers(&out, shard), [(id(50), code::GONE.to_owned())]);

    // The giver ends itself right behind the gift.
    let message = attach(&mut stage, id(50), id(404));
    stage.says(shard, vec![Output::ClientBound { session: SESSION, entity: id(50) }]);
    let gone = Output::Unregistered { entity: id(50), epoch: 1 };
    stage.says(shard, vec![offered(id(404)), gone, Output::Message(message)]);
    assert_eq!(stage.gate, [ToGate::Orphaned { session: SESSION, view: 3 }]);
}

#[test]
fn a_client_cannot_be_given_to_another_module() {
    let mut stage = Stage::running();
    stage.publish(manifest("chat", "chat-1"), PublishOptions::default());
    let out = stage.client(id(50), connected("yard"));
    let (shard, _) = boot_shard(&out);
    stage.says(shard, vec![registered(id(50), 1)]);
    let message = attach(&mut stage, id(50), service_shard("chat", "Lobby", 0));
    let out = stage.says(shard, vec![Output::Message(message)]);
    assert_eq!(answers(&out, shard), [(id(50), code::NOT_EXPOSED.to_owned())]);
}

#[test]
fn an_operator_calls_a_method_and_sees_its_answer() {
    let mut stage = Stage::running();
    let out = stage.client(id(50), connected("yard"));
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
