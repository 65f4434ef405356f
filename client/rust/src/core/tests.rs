//! The client against a scripted stream: mirrors, requests, and every inconsistency.

use super::*;
use everwake_protocol::Id;
use everwake_protocol::cbor;
use everwake_protocol::client::Placed;
use everwake_protocol::frame::RawFrame;
use everwake_protocol::schema::{AttributeSchema, Definition, Field, MethodSchema, TypeSchema};

const A: EntityId = EntityId(Id([1, 0, 0, 1]));
const B: EntityId = EntityId(Id([1, 0, 0, 2]));

fn schema(generation: u32) -> Schema {
    let method = |id, name: &str, text: &str| MethodSchema {
        id,
        name: name.into(),
        parameters: vec![Field { name: "value".into(), type_text: text.into() }],
        live: true,
        ..MethodSchema::default()
    };
    let attribute = |id, name: &str, text: &str, initial: &'static [u8]| AttributeSchema {
        id,
        name: name.into(),
        type_text: text.into(),
        live: true,
        initial: Bytes::from_static(initial),
        ..AttributeSchema::default()
    };
    let mut attributes =
        vec![attribute(0, "hp", "i64", &[10]), attribute(2, "bag", "map<string, i64>", &[0xa0])];
    if generation > 1 {
        attributes.push(attribute(3, "mana", "i64", &[5]));
    }
    let kind = TypeSchema {
        id: 4,
        name: "Hero".into(),
        live: true,
        attributes,
        methods: vec![method(0, "hit", "f32")],
        client_methods: vec![method(1, "ouch", "any")],
    };
    let definitions: Vec<Definition> = Vec::new();
    Schema { module: "yard".into(), generation, types: vec![kind], definitions, ..Schema::default() }
}

struct Rig {
    core: ClientCore,
}

impl Rig {
    /// A client in view 1 with its own entity A.
    fn playing() -> Rig {
        let mut rig = Rig { core: ClientCore::new(&Greeting::default()).unwrap() };
        rig.sent();
        rig.say(ServerFrame::Welcome { session: SessionId::default(), module: "yard".into() });
        rig.say(ServerFrame::Schema { schema: schema(1).encode() });
        rig.say(ServerFrame::Resync { view: 1 });
        rig.create(A, 1, true);
        rig.events();
        rig
    }

    fn try_say(&mut self, frame: ServerFrame) -> Result<(), BrokenStream> {
        self.core.receive(&frame.to_bytes())
    }

    fn say(&mut self, frame: ServerFrame) {
        self.try_say(frame).unwrap();
    }

    fn create(&mut self, entity: EntityId, handle: u16, own: bool) {
        let pose = Pose::default();
        self.say(ServerFrame::Create { entity, type_id: 4, own, handle, pose, attributes: Bytes::new() });
    }

    fn delta(&mut self, entity: EntityId, changes: &'static [u8]) {
        self.say(ServerFrame::Delta { entity, changes: Bytes::from_static(changes) });
    }

    fn positions(&mut self, view: u32, sequence: u32, x: f32) {
        let placed = vec![Placed { handle: 1, pose: Pose { x, ..Pose::default() }, motion: Bytes::new() }];
        let mut out = Vec::new();
        PositionDatagram { view, sequence, time_ms: 0, placed }.encode(&mut out);
        self.core.receive_datagram(out.into());
    }

    fn events(&mut self) -> Vec<ClientEvent> {
        std::iter::from_fn(|| self.core.poll_event()).collect()
    }

    fn inconsistent(&mut self) -> bool {
        self.events().iter().any(|event| matches!(event, ClientEvent::Inconsistent { .. }))
    }

    fn sent(&mut self) -> Vec<ClientFrame> {
        let mut decoder = FrameDecoder::of_client();
        decoder.welcomed();
        decoder.push(&self.core.take_output());
        std::iter::from_fn(|| decoder.pop().unwrap())
            .map(|raw: RawFrame| ClientFrame::decode(raw).unwrap())
            .collect()
    }

    fn x(&self) -> f32 {
        self.core.entity(A).unwrap().pose.x
    }
}

const NOW: Duration = Duration::from_secs(9);

#[test]
fn attributes_have_initial_values_and_follow_changes() {
    let mut rig = Rig::playing();
    assert_eq!(rig.core.attribute(A, "hp"), Some(Value::Int(10)));
    rig.delta(A, b"\x00\x07\x82\x02\x61a\x01");
    let names = vec!["bag".to_owned(), "hp".to_owned()];
    assert_eq!(rig.events(), [ClientEvent::Changed { entity: A, attributes: names }]);
    assert_eq!(rig.core.attribute(A, "hp"), Some(Value::Int(7)));
    assert_eq!(rig.core.attribute(A, "bag"), Some(Value::Map(vec![("a".into(), 1.into())])));
    rig.delta(A, b"\x00\x07");
    assert_eq!(rig.events(), [], "an equal value is no change");
    rig.delta(A, b"\x00\xf7");
    assert_eq!(rig.core.attribute(A, "hp"), Some(Value::Int(10)));
}

#[test]
fn a_newer_schema_adds_attributes_to_what_is_there() {
    let mut rig = Rig::playing();
    rig.say(ServerFrame::Schema { schema: schema(2).encode() });
    assert_eq!(rig.core.attribute(A, "mana"), Some(Value::Int(5)));
    rig.delta(A, b"\x03\x09");
    assert_eq!(rig.core.attribute(A, "mana"), Some(Value::Int(9)));
    assert!(!rig.inconsistent());
    rig.say(ServerFrame::Schema { schema: schema(1).encode() });
    assert!(rig.inconsistent());
}

#[test]
fn numbers_of_attributes_reserve_nothing() {
    let mut rig = Rig::playing();
    let mut wide = schema(2);
    let far = AttributeSchema { id: u32::MAX, name: "far".into(), ..wide.types[0].attributes[0].clone() };
    wide.types[0].attributes.push(far);
    rig.say(ServerFrame::Schema { schema: wide.encode() });
    assert_eq!(rig.core.attribute(A, "far"), Some(Value::Int(10)));
    rig.delta(A, b"\x1a\xff\xff\xff\xff\x07\x00\x08\x00\xf7");
    assert!(!rig.inconsistent());
    assert_eq!(rig.core.attribute(A, "far"), Some(Value::Int(7)));
    assert_eq!(rig.core.entity(A).unwrap().attributes.len(), 1);
}

#[test]
fn one_attribute_may_grow_before_another_shrinks() {
    let mut rig = Rig::playing();
    let mut twin = schema(2);
    let second = AttributeSchema { id: 1, name: "chest".into(), ..twin.types[0].attributes[1].clone() };
    twin.types[0].attributes.push(second);
    rig.say(ServerFrame::Schema { schema: twin.encode() });
    let mut fill = |attribute: u8| {
        for key in 0..15 {
            let mut changes = vec![0x82, attribute, 0x61, b'a' + key];
            cbor::bytes(&mut changes, &[0; 64_000]);
            rig.say(ServerFrame::Delta { entity: A, changes: changes.into() });
        }
    };
    fill(2);
    fill(1);
    rig.delta(A, b"\x02\xa0");
    assert!(!rig.inconsistent());
    let size = |name| match rig.core.attribute(A, name) {
        Some(Value::Map(entries)) => entries.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!((size("chest"), size("bag")), (15, 0));
}

#[test]
fn what_does_not_fit_is_reported() {
    let create = |entity, type_id, own, handle| ServerFrame::Create {
        entity,
        type_id,
        own,
        handle,
        pose: Pose::default(),
        attributes: Bytes::new(),
    };
    let args = Bytes::from_static(&[0x80]);
    for frame in [
        ServerFrame::Delta { entity: B, changes: Bytes::new() },
        ServerFrame::Delta { entity: A, changes: Bytes::from_static(b"\x01\x00") },
        ServerFrame::Delta { entity: A, changes: Bytes::from_static(b"\x02\x00") },
        ServerFrame::Delta { entity: A, changes: Bytes::from_static(b"\x00") },
        ServerFrame::Destroy { entity: B },
        ServerFrame::Call { entity: B, method: 1, args: args.clone() },
        ServerFrame::Call { entity: A, method: 9, args },
        ServerFrame::Reply { request: 1, outcome: Outcome::null().to_bytes() },
        ServerFrame::Resync { view: 1 },
        create(A, 4, false, 2),
        create(B, 4, false, 1),
        create(B, 4, true, 2),
        create(B, 5, false, 2),
    ] {
        let mut rig = Rig::playing();
        rig.say(frame.clone());
        assert!(rig.inconsistent(), "{frame:?}");
    }
}

#[test]
fn a_stream_that_cannot_be_understood_ends() {
    for bytes in
        [&[0, 0, 0, 0][..], &[0xff, 0xff, 0xff, 0xff, 0x85], &[0, 0, 0, 1, 0x86], &[0, 0, 0, 2, 0x82, 0x00]]
    {
        assert!(Rig::playing().core.receive(bytes).is_err(), "{bytes:02x?}");
    }
    let mut early = ClientCore::new(&Greeting::default()).unwrap();
    assert!(early.receive(&ServerFrame::Resync { view: 1 }.to_bytes()).is_err());
    assert_eq!(
        Rig::playing().core.receive(&[0, 0, 0, 2, 0xfe, 0]),
        Ok(()),
        "kinds of the future are ignored"
    );
}

#[test]
fn a_view_voids_what_was_before() {
    let mut rig = Rig::playing();
    rig.say(ServerFrame::Resync { view: 2 });
    assert_eq!(rig.core.own(), None);
    assert_eq!(rig.core.entities().count(), 0);
    rig.create(B, 1, true);
    assert!(!rig.inconsistent());
    assert_eq!(rig.core.own().map(|own| own.id), Some(B));
}

#[test]
fn newest_positions_of_this_view_win() {
    let mut rig = Rig::playing();
    rig.positions(1, u32::MAX, 1.0);
    rig.positions(1, 1, 2.0);
    assert_eq!(rig.x(), 2.0, "sequences wrap around");
    rig.positions(1, 0, 3.0);
    rig.positions(1, 1, 3.0);
    rig.positions(2, 9, 3.0);
    assert_eq!(rig.x(), 2.0);
    assert_eq!(rig.core.position_counts(), (2, 3));
    assert!(!rig.inconsistent());
    rig.core.receive_datagram(Bytes::from_static(&[9]));
    assert!(rig.inconsistent());
}

#[test]
fn requests_are_written_as_their_types_want_and_end_once() {
    let mut rig = Rig::playing();
    assert_eq!(rig.core.request(NOW, A, "hit", &[3.into()], 1_000), Ok(1));
    assert_eq!(rig.core.request(NOW, A, "hit", &[3.into()], 1_000), Ok(2));
    let sent = rig.sent();
    let ClientFrame::Request { method: 0, deadline_ms: 1_000, args, .. } = &sent[0] else {
        panic!("{sent:?}")
    };
    assert_eq!(&args[..], [0x81, 0xfa, 0x40, 0x40, 0, 0]);
    for (request, inconsistent) in [(2, false), (2, true), (1, false), (3, true)] {
        rig.say(ServerFrame::Reply { request, outcome: Outcome::null().to_bytes() });
        assert_eq!(rig.inconsistent(), inconsistent, "{request}");
    }
    rig.core.tick(NOW);
    assert_eq!(rig.sent(), [ClientFrame::Acknowledge { request: 2 }]);
    rig.core.tick(NOW);
    assert_eq!(rig.sent(), []);
    assert!(matches!(rig.core.request(NOW, B, "hit", &[], 1), Err(RequestError::NoSuchEntity(_))));
    assert!(matches!(rig.core.request(NOW, A, "fly", &[], 1), Err(RequestError::NoSuchMethod(..))));
    assert!(matches!(rig.core.request(NOW, A, "hit", &["x".into()], 1), Err(RequestError::Arguments(_))));
}

#[test]
fn what_is_too_long_to_be_said_is_not_said() {
    for (what, max) in [("module", 64), ("token", 1_024), ("version", 64), ("locale", 32)] {
        let with = |bytes| {
            let mut greeting = Greeting::default();
            let text = match what {
                "module" => &mut greeting.module,
                "token" => &mut greeting.token,
                "version" => &mut greeting.version,
                _ => &mut greeting.locale,
            };
            *text = "x".repeat(bytes);
            ClientCore::new(&greeting).map(drop)
        };
        assert_eq!(with(max), Ok(()));
        assert_eq!(with(max + 1), Err(GreetingError { what, bytes: max + 1, max }));
    }
    let mut rig = Rig::playing();
    let args = |bytes: usize| Bytes::from(vec![0; bytes]);
    assert_eq!(
        rig.core.request_encoded(NOW, A, "hit", args(65_537), 1_000),
        Err(RequestError::TooLarge(65_537))
    );
    assert_eq!((rig.sent(), rig.core.pending()), (vec![], 0));
    while rig.core.request_encoded(NOW, A, "hit", args(65_536), 0).is_ok() {}
    assert_eq!(rig.core.request_encoded(NOW, A, "hit", args(1), 0), Err(RequestError::Full));
    assert_eq!(rig.core.ping(1), Err(RequestError::Full));
    assert_eq!(rig.sent().len(), 64, "4 MiB");
    assert_eq!(rig.core.ping(1), Ok(()));
}

#[test]
fn what_is_open_at_the_end_is_unknown_if_all_of_it_may_have_arrived() {
    // How many bytes of the last request have left, and how many requests have left whole.
    for (missing, whole) in [(0, 3), (1, 2), (u64::MAX, 0)] {
        let mut rig = Rig::playing();
        for _ in 0..4 {
            rig.core.request(NOW, A, "hit", &[3.into()], 1_000).unwrap();
        }
        rig.say(ServerFrame::Reply { request: 1, outcome: Outcome::null().to_bytes() });
        rig.sent();
        rig.events();
        let left = rig.core.end(rig.core.taken.saturating_sub(missing));
        assert_eq!(left, LeftOpen { unknown: whole, not_run: 3 - whole });
        let expected = (2..=4u64).map(|request| ClientEvent::Replied {
            request,
            outcome: match request < 2 + whole as u64 {
                true => Outcome::unknown(code::DISCONNECTED),
                false => Outcome::not_run(code::DISCONNECTED),
            },
        });
        assert_eq!(rig.events(), expected.collect::<Vec<_>>());
        assert_eq!((rig.core.own(), rig.core.entities().count(), rig.core.pending()), (None, 0, 0));
        assert_eq!(rig.core.end(u64::MAX), LeftOpen::default(), "once");
    }
}

#[test]
fn deadlines_pass_and_late_answers_are_no_fault() {
    let mut rig = Rig::playing();
    rig.core.request(NOW, A, "hit", &[3.into()], 1_000).unwrap();
    rig.core.request(NOW, A, "hit", &[3.into()], 0).unwrap();
    rig.sent();
    rig.core.tick(NOW + Duration::from_millis(1_499));
    assert_eq!((rig.events(), rig.sent()), (vec![], vec![]));
    rig.core.tick(NOW + Duration::from_millis(1_500));
    assert_eq!(
        rig.events(),
        [ClientEvent::Replied { request: 1, outcome: Outcome::unknown(code::DEADLINE) }]
    );
    assert_eq!(rig.sent(), [ClientFrame::Acknowledge { request: 2 }]);
    for request in [1, 2] {
        rig.say(ServerFrame::Reply { request, outcome: Outcome::null().to_bytes() });
    }
    assert_eq!(rig.events(), []);
}

#[test]
fn calls_on_the_zero_id_mean_the_own_entity() {
    let mut rig = Rig::playing();
    let call =
        || ServerFrame::Call { entity: EntityId::default(), method: 1, args: Bytes::from_static(&[0x80]) };
    rig.say(call());
    let args = Bytes::from_static(&[0x80]);
    assert_eq!(rig.events(), [ClientEvent::Called { entity: A, method: "ouch".into(), args }]);
    rig.say(ServerFrame::Destroy { entity: A });
    rig.events();
    rig.say(call());
    assert_eq!(rig.events(), []);
}

#[test]
fn values_go_both_ways_and_types_guide_numbers() {
    let value = Value::List(vec![
        Value::Null,
        true.into(),
        (-5i64).into(),
        Value::Int(-(1 << 64)),
        u64::MAX.into(),
        1.5f32.into(),
        2.5f64.into(),
        "ä".into(),
        Value::Bytes(Bytes::from_static(&[1])),
        A.into(),
        Value::Map(vec![("k".into(), Value::Null)]),
    ]);
    let mut out = Vec::new();
    value.encode(&mut out);
    assert_eq!(Value::decode(&out), Ok(value));
    let written = |value: Value, text: &str| {
        let mut out = Vec::new();
        value.encode_as(text, &mut out).map(|()| Value::decode(&out).unwrap())
    };
    assert_eq!(written(1.into(), "f64"), Ok(Value::F64(1.0)));
    assert_eq!(written(vec![1, 2].into(), "list<option<f32>>"), Ok(vec![1.0f32, 2.0].into()));
    let map = |value: Value| Value::Map(vec![("a".into(), value)]);
    assert_eq!(written(map(1.into()), "map<string, f32>"), Ok(map(1.0f32.into())));
    assert_eq!(
        written(vec![1, 2].into(), "tuple<f32, Named>"),
        Ok(Value::List(vec![1.0f32.into(), 2.into()]))
    );
    assert!(written(vec![1, 2].into(), "tuple<f32, map<string, u8>>").is_err());
    assert_eq!(written(A.to_string().into(), "ref<Hero>"), Ok(A.into()));
    assert!(written("x".into(), "u8").is_err());
    assert!(written("x".into(), "id").is_err());
    assert!(written(1.into(), "list<u8>").is_err());
}
