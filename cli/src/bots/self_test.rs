//! A checker that cannot fail proves nothing: each is fed something wrong, and must notice.

use super::check::{Checker, SaidInRoom, Violation};
use bytes::Bytes;
use everwake_client::{ClientCore, ClientEvent, Greeting};
use everwake_protocol::client::{Placed, Pose, PositionDatagram, ServerFrame};
use everwake_protocol::outcome::Outcome;
use everwake_protocol::schema::{AttributeSchema, Schema, TypeSchema};
use everwake_protocol::{EntityId, Id, SessionId};

/// Feeds each checker one wrong sequence and sees it fail; a right one and sees it pass. Runs
/// before every swarm: a checker that cannot fail proves nothing.
pub fn self_test() -> Result<(), String> {
    check_messages()?;
    check_endings()?;
    check_mirror()
}

/// What a bot checks of what it is told.
fn check_messages() -> Result<(), String> {
    type Wrong = (&'static str, fn(&mut Checker));
    let wrong: [Wrong; 13] = [
        ("lost", |it| it.told("r", "b", "n 3", 5)),
        ("doubled", |it| it.told("r", "b", "n 3", 3)),
        ("reordered", |it| it.told("r", "b", "n 3", 1)),
        ("reordered", |it| it.told("r", "b", "n 9", 4)),
        ("strange", |it| it.told("other", "b", "n 3", 4)),
        ("strange", |it| it.told("r", "b", "hello", 4)),
        ("answers", |it| it.answered(1, 9)),
        ("early", |it| {
            *it = Checker::new("a", "r");
            it.joined("r", "b");
            it.told("r", "b", "n 1", 1);
        }),
        ("deltas", |it| it.mirrored("name", "b")),
        ("deltas", |it| it.mirrored("room", "")),
        ("versions back", |it| it.saw_version(1)),
        ("versions back", |it| it.saw_generation(1)),
        ("disconnected", |it| it.violate(Violation::Disconnected { why: "test".to_owned() })),
    ];
    let right = right_run();
    if let Some(violation) = right.violations.first() {
        return Err(format!("a right run is refused: {violation}"));
    }
    for (place, (name, feed)) in wrong.iter().enumerate() {
        let mut checker = right.clone();
        feed(&mut checker);
        if !checker.counts.contains_key(name) {
            return Err(format!("checker {place} does not notice `{name}`"));
        }
    }
    Ok(())
}

/// What a bot checks when all is said.
fn check_endings() -> Result<(), String> {
    let right = right_run();
    let endings: [(&str, SaidInRoom, usize); 2] = [
        ("lost", SaidInRoom::from([("b".to_owned(), 3..=3)]), 2),
        ("versions missed", SaidInRoom::new(), 10),
    ];
    for (name, said, published) in endings {
        let mut checker = right.clone();
        checker.finish(&said, published);
        if !checker.counts.contains_key(name) {
            return Err(format!("the last check does not notice `{name}`"));
        }
    }
    Ok(())
}

/// Two versions, three messages, one of them mine; all as it should be.
fn right_run() -> Checker {
    let mut checker = Checker::new("a", "r");
    checker.mirrored("name", "a");
    checker.mirrored("room", "");
    checker.joined("r", "a");
    checker.mirrored("room", "r");
    checker.saw_version(1);
    checker.saw_generation(1);
    checker.told("r", "a", "n 1", 1);
    checker.answered(1, 1);
    checker.saw_generation(2);
    checker.told("r", "b", "n 1 [v2]", 2);
    // `b` is at 1; its next message is 2, as seq 3.
    checker.told("r", "b", "n 2 [v2]", 3);
    let said = SaidInRoom::from([("a".to_owned(), 1..=1), ("b".to_owned(), 2..=2)]);
    checker.finish(&said, 2);
    checker
}

/// In view, and the client's own.
const OWN: EntityId = EntityId(Id([0, 0, 0, 1]));
/// Not in view.
const STRANGER: EntityId = EntityId(Id([0, 0, 0, 2]));

/// What a bot's client checks of its mirror. Whatever it reports, the bot takes as a violation.
fn check_mirror() -> Result<(), String> {
    let own = || ServerFrame::Create {
        entity: OWN,
        type_id: 1,
        own: true,
        handle: 1,
        pose: Pose::default(),
        attributes: Bytes::new(),
    };
    let wrong = [
        (
            "a delta of what the type lacks",
            ServerFrame::Delta { entity: OWN, changes: Bytes::from_static(b"\x07\x01") },
        ),
        (
            "a delta of a stranger",
            ServerFrame::Delta { entity: STRANGER, changes: Bytes::from_static(b"\x00\x01") },
        ),
        ("an entity that is there already", own()),
        (
            "a call before its entity",
            ServerFrame::Call { entity: STRANGER, method: 0, args: Bytes::from_static(&[0x80]) },
        ),
        ("an answer to nothing", ServerFrame::Reply { request: 9, outcome: Outcome::null().to_bytes() }),
        ("an older schema", ServerFrame::Schema { schema: schema(1).encode() }),
        ("an older view", ServerFrame::Resync { view: 1 }),
    ];
    let mut right = mirror(own())?;
    right
        .receive(&ServerFrame::Delta { entity: OWN, changes: Bytes::from_static(b"\x00\x01") }.to_bytes())
        .map_err(|error| error.to_string())?;
    if let Some(text) = strange(&mut right) {
        return Err(format!("a right stream is refused: {text}"));
    }
    for (name, frame) in wrong {
        let mut core = mirror(own())?;
        core.receive(&frame.to_bytes()).map_err(|error| error.to_string())?;
        strange(&mut core).ok_or_else(|| format!("the mirror does not notice {name}"))?;
    }
    check_positions(mirror(own())?)
}

/// A position that is older than the one that is shown is left out, and counted.
fn check_positions(mut core: ClientCore) -> Result<(), String> {
    for (sequence, x) in [(5, 1.0), (4, 9.0)] {
        let placed = vec![Placed { handle: 1, pose: Pose { x, ..Pose::default() }, motion: Bytes::new() }];
        let mut bytes = Vec::new();
        PositionDatagram { view: 2, sequence, time_ms: 0, placed }.encode(&mut bytes);
        core.receive_datagram(bytes.into());
    }
    let shown = core.own().map(|own| own.pose.x);
    match (shown, core.position_counts()) {
        (Some(1.0), (1, 1)) => Ok(()),
        other => Err(format!("the mirror does not notice a stale position: {other:?}")),
    }
}

/// A client in its second view, after a second schema.
fn mirror(own: ServerFrame) -> Result<ClientCore, String> {
    let mut core = ClientCore::new(&Greeting::default()).map_err(|error| error.to_string())?;
    let frames = [
        ServerFrame::Welcome { session: SessionId::default(), module: "chat".into() },
        ServerFrame::Schema { schema: schema(2).encode() },
        ServerFrame::Resync { view: 2 },
        own,
    ];
    for frame in frames {
        core.receive(&frame.to_bytes()).map_err(|error| error.to_string())?;
    }
    Ok(core)
}

fn schema(generation: u32) -> Schema {
    let initial = Bytes::from_static(&[0]);
    let number = AttributeSchema {
        name: "number".into(),
        type_text: "i64".into(),
        live: true,
        initial,
        ..AttributeSchema::default()
    };
    let kind = TypeSchema {
        id: 1,
        name: "Avatar".into(),
        live: true,
        attributes: vec![number],
        ..TypeSchema::default()
    };
    Schema { module: "chat".into(), generation, types: vec![kind], ..Schema::default() }
}

/// The first thing that does not fit.
fn strange(core: &mut ClientCore) -> Option<String> {
    std::iter::from_fn(|| core.poll_event()).find_map(|event| match event {
        ClientEvent::Inconsistent { text } => Some(text),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_checker_notices_what_is_wrong() {
        assert_eq!(self_test(), Ok(()));
    }
}
