//! Every frame and datagram goes both ways, the test vectors are what we write, and hostile
//! bytes do no harm.

use super::*;
use crate::cbor;
use crate::frame::{FrameDecoder, FrameError};
use crate::id::Id;
use crate::limits::{FRAME_BYTES_BEFORE_WELCOME_MAX, FRAME_BYTES_MAX, SCHEMA_BYTES_MAX};
use crate::outcome::{Outcome, code};
use crate::schema::{AttributeSchema, Definition, Field, MethodSchema, Schema, Shape, TypeSchema};
use expect_test::expect_file;
use proptest::prelude::*;
use std::fmt::Write as _;

fn entity(last: u32) -> EntityId {
    EntityId(Id([0x0102_0304, 0x0506_0708, 0x090a_0b0c, last]))
}

fn field(name: &str, type_text: &str) -> Field {
    Field { name: name.into(), type_text: type_text.into() }
}

fn method(id: u32, name: &str, parameters: Vec<Field>, returns: &str, all_clients: bool) -> MethodSchema {
    MethodSchema {
        id,
        name: name.into(),
        parameters,
        returns: returns.into(),
        all_clients,
        calls_per_minute: 0,
        live: true,
    }
}

fn schema() -> Schema {
    let attribute = |id, name: &str, type_text: &str, all_clients, initial: &'static [u8]| AttributeSchema {
        id,
        name: name.into(),
        type_text: type_text.into(),
        all_clients,
        live: true,
        initial: Bytes::from_static(initial),
    };
    Schema {
        module: "chat".into(),
        generation: 1,
        version: "first 0a1b2c3d".into(),
        types: vec![TypeSchema {
            id: 0,
            name: "Visitor".into(),
            live: true,
            attributes: vec![
                attribute(0, "name", "string", true, &[0x60]),
                attribute(2, "tags", "list<Tag>", false, &[0x80]),
            ],
            methods: vec![method(0, "say", vec![field("text", "string")], "u32", false)],
            client_methods: vec![method(
                3,
                "heard",
                vec![field("from", "id"), field("text", "string")],
                "unit",
                true,
            )],
        }],
        definitions: vec![Definition {
            name: "Tag".into(),
            shape: Shape::Cases(vec![field("plain", "unit"), field("named", "string")]),
        }],
    }
}

fn client_frames() -> Vec<(&'static str, ClientFrame, &'static str)> {
    let hello = ClientFrame::Hello {
        protocol: 1,
        module: "chat".into(),
        token: "secret".into(),
        version: "1.0".into(),
        locale: "de-CH".into(),
    };
    let request = ClientFrame::Request {
        request: 1,
        acknowledged: 0,
        target: entity(1),
        method: 0,
        deadline_ms: 5_000,
        args: Bytes::from_static(b"\x81\x65hello"),
    };
    vec![
        ("hello", hello, "protocol 1, module `chat`, token `secret`, version `1.0`, locale `de-CH`"),
        ("request", request, "request 1 to an entity: method 0, 5 s, args [\"hello\"]"),
        ("acknowledge", ClientFrame::Acknowledge { request: 1 }, "all replies up to 1 have arrived"),
        ("ping", ClientFrame::Ping { nonce: 7 }, "nonce 7"),
    ]
}

/// Name, frame, and what it means.
type Vector = (&'static str, ServerFrame, &'static str);

fn server_frames() -> Vec<Vector> {
    [first_frames(), frames_of_mirrors(), frames_of_calls()].concat()
}

fn first_frames() -> Vec<Vector> {
    let session = SessionId(Id([0xa, 0xb, 0xc, 0xd]));
    vec![
        (
            "welcome",
            ServerFrame::Welcome { session, module: "chat".into() },
            "protocol 1, a session, module `chat`",
        ),
        (
            "schema",
            ServerFrame::Schema { schema: schema().encode() },
            "one type with two attributes, a method and a client method; one enum",
        ),
        ("resync", ServerFrame::Resync { view: 1 }, "view 1 begins"),
    ]
}

fn frames_of_mirrors() -> Vec<Vector> {
    let pose = Pose { x: 1.0, y: 0.0, z: -2.5, yaw: 90.0 };
    let create = ServerFrame::Create {
        entity: entity(1),
        type_id: 0,
        own: true,
        handle: 1,
        pose,
        attributes: Bytes::from_static(b"\x00\x63ann"),
    };
    let other = ServerFrame::Create {
        entity: entity(2),
        type_id: 0,
        own: false,
        handle: 0,
        pose: Pose::default(),
        attributes: Bytes::new(),
    };
    vec![
        ("create", create, "the own entity, handle 1, at (1, 0, -2.5) looking along +x; name = \"ann\""),
        (
            "delta",
            ServerFrame::Delta { entity: entity(1), changes: Bytes::from_static(b"\x82\x02\x00\x00") },
            "item 0 of attribute 2 = Tag case 0",
        ),
        (
            "create-other",
            other,
            "an entity of somebody else's, without a position: handle 0; all attributes as at first",
        ),
        (
            "delta-insert-undefined",
            ServerFrame::Delta {
                entity: entity(1),
                changes: Bytes::from_static(b"\x83\x02\x00\xf5\x82\x01\x63new\x82\x02\x01\xf7\x00\xf7"),
            },
            "attribute 2: Tag case 1 with \"new\" goes before item 0, item 1 goes away; attribute 0 is as at first",
        ),
        ("destroy", ServerFrame::Destroy { entity: entity(1) }, "out of view"),
    ]
}

fn frames_of_calls() -> Vec<Vector> {
    let call =
        ServerFrame::Call { entity: entity(1), method: 3, args: Bytes::from_static(b"\x82\xf6\x62hi") };
    let broadcast = ServerFrame::Call {
        entity: EntityId::default(),
        method: 3,
        args: Bytes::from_static(b"\x82\xf6\x62hi"),
    };
    vec![
        ("call", call, "client method 3 with [null, \"hi\"]"),
        ("call-broadcast", broadcast, "the same on the client's own entity, whichever that is"),
        (
            "reply-ok",
            ServerFrame::Reply { request: 1, outcome: Outcome::Ok(Bytes::from_static(&[3])).to_bytes() },
            "answer 3",
        ),
        (
            "reply-not-run",
            ServerFrame::Reply { request: 2, outcome: Outcome::not_run(code::NOT_EXPOSED).to_bytes() },
            "surely not run: not-exposed",
        ),
        (
            "reply-refused",
            ServerFrame::Reply {
                request: 3,
                outcome: Outcome::refused("too-loud", Bytes::from_static(&[0x18, 90])).to_bytes(),
            },
            "refused: too-loud, detail 90",
        ),
        (
            "reply-unknown",
            ServerFrame::Reply { request: 4, outcome: Outcome::unknown(code::DROPPED).to_bytes() },
            "it may have run: dropped",
        ),
        ("pong", ServerFrame::Pong { nonce: 7 }, "nonce 7"),
    ]
}

fn datagrams() -> (MoveDatagram, PositionDatagram) {
    let pose = Pose { x: 1.0, y: 0.0, z: -2.5, yaw: 90.0 };
    let placed = |handle, motion: &'static [u8]| Placed { handle, pose, motion: Bytes::from_static(motion) };
    (
        MoveDatagram { sequence: 9, pose, motion: Bytes::from_static(&[1, 2]) },
        PositionDatagram {
            view: 1,
            sequence: 5,
            time_ms: 1_000,
            placed: vec![placed(1, &[]), placed(2, &[0xff])],
        },
    )
}

fn record(out: &mut String, name: &str, bytes: &[u8], meaning: &str) {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let _ = writeln!(out, "name: {name}\nhex: {hex}\nmeaning: {meaning}\n");
}

fn frames_of(mut decoder: FrameDecoder, bytes: &[u8], piece: usize) -> Vec<RawFrame> {
    let mut frames = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        decoder.push(piece);
        while let Some(frame) = decoder.pop().unwrap() {
            frames.push(frame);
        }
    }
    frames
}

#[test]
fn client_frames_are_as_the_vectors_say() {
    let mut text = String::new();
    for (name, frame, meaning) in client_frames() {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        record(&mut text, name, &bytes, meaning);
        let raw = frames_of(FrameDecoder::of_client(), &bytes, 1);
        assert_eq!(ClientFrame::decode(raw[0].clone()), Ok(frame));
    }
    expect_file!["../../../../tests/vectors/client-frames.txt"].assert_eq(&text);
}

#[test]
fn server_frames_are_as_the_vectors_say() {
    let mut text = String::new();
    for (name, frame, meaning) in server_frames() {
        let bytes = frame.to_bytes();
        record(&mut text, name, &bytes, meaning);
        let raw = frames_of(FrameDecoder::of_server(), &bytes, 3);
        assert_eq!(ServerFrame::decode(raw[0].clone()), Ok(Some(frame)));
    }
    expect_file!["../../../../tests/vectors/server-frames.txt"].assert_eq(&text);
    assert_eq!(Schema::decode(&schema().encode()), Ok(schema()));
}

#[test]
fn datagrams_are_as_the_vectors_say() {
    let (moved, positions) = datagrams();
    let (mut text, mut bytes) = (String::new(), Vec::new());
    moved.encode(&mut bytes);
    record(&mut text, "move", &bytes, "sequence 9, at (1, 0, -2.5) yaw 90, motion 01 02");
    assert_eq!(MoveDatagram::decode(bytes.clone().into()), Ok(moved));
    bytes.clear();
    positions.encode(&mut bytes);
    assert_eq!(bytes.len(), positions.encoded_len());
    record(&mut text, "positions", &bytes, "view 1, sequence 5, 1,000 ms, handles 1 and 2; 2 with motion ff");
    assert_eq!(PositionDatagram::decode(bytes.into()), Ok(Some(positions)));
    expect_file!["../../../../tests/vectors/datagrams.txt"].assert_eq(&text);
}

#[test]
fn what_is_kept_of_a_datagram_does_not_keep_the_datagram() {
    let (moved, positions) = datagrams();
    let (mut one, mut many) = (Vec::new(), Vec::new());
    moved.encode(&mut one);
    positions.encode(&mut many);
    let (one, many) = (Bytes::from(one), Bytes::from(many));
    let moved = MoveDatagram::decode(one.clone()).unwrap();
    let positions = PositionDatagram::decode(many.clone()).unwrap();
    assert_eq!(moved.motion[..], [1, 2]);
    assert!(one.is_unique() && many.is_unique(), "{moved:?} {positions:?}");
}

#[test]
fn a_frame_that_is_too_large_is_refused_before_it_comes() {
    let length = |len: usize, kind: u8| {
        let mut head = (len as u32).to_be_bytes().to_vec();
        head.push(kind);
        head
    };
    let refused = |mut decoder: FrameDecoder, head: &[u8]| {
        decoder.push(head);
        decoder.pop()
    };
    let max = FRAME_BYTES_BEFORE_WELCOME_MAX;
    assert_eq!(refused(FrameDecoder::of_client(), &length(max, 1)), Ok(None));
    assert_eq!(
        refused(FrameDecoder::of_client(), &length(max + 1, 1)),
        Err(FrameError::TooLarge { len: max + 1, max })
    );
    assert_eq!(refused(FrameDecoder::of_client(), &length(0, 1)), Err(FrameError::Empty));
    let mut decoder = FrameDecoder::of_client();
    decoder.welcomed();
    assert_eq!(refused(decoder, &length(FRAME_BYTES_MAX, 1)), Ok(None));
    assert_eq!(refused(FrameDecoder::of_server(), &length(SCHEMA_BYTES_MAX, SCHEMA_KIND)), Ok(None));
    assert!(refused(FrameDecoder::of_server(), &length(SCHEMA_BYTES_MAX, CREATE)).is_err());
    assert!(refused(FrameDecoder::of_server(), &length(usize::MAX, SCHEMA_KIND)).is_err());
}

#[test]
fn hostile_frames_have_their_error() {
    let decode =
        |kind, body: &[u8]| ClientFrame::decode(RawFrame { kind, body: Bytes::copy_from_slice(body) });
    assert_eq!(decode(0x81, &[]), Err(WireError::Kind(0x81)));
    assert_eq!(decode(PING, &[0; 7]), Err(WireError::Truncated));
    assert_eq!(decode(PING, &[0; 9]), Err(WireError::Trailing));
    assert_eq!(decode(HELLO, &[0, 1, 0xff, 0xff]), Err(WireError::TooLong("module", MODULE_NAME_BYTES_MAX)));
    assert_eq!(decode(HELLO, &[0, 1, 0, 1, 0xff]), Err(WireError::NotUtf8));
    assert_eq!(
        decode(REQUEST, &vec![0; 41 + ARGS_BYTES_MAX]),
        Err(WireError::TooLong("args", ARGS_BYTES_MAX))
    );
    assert!(matches!(decode(HELLO, &[0, 2, 1, 2, 3]), Ok(ClientFrame::Hello { protocol: 2, .. })));
    let mut moved = datagrams().0;
    moved.pose.y = f32::INFINITY;
    let mut bytes = Vec::new();
    moved.encode(&mut bytes);
    assert_eq!(MoveDatagram::decode(bytes.into()), Err(WireError::NotFinite));
}

#[test]
fn a_text_is_cut_between_characters() {
    let mut bytes = Vec::new();
    let token = "é".repeat(TOKEN_BYTES_MAX);
    ClientFrame::Hello {
        protocol: 1,
        module: String::new(),
        token,
        version: String::new(),
        locale: String::new(),
    }
    .encode(&mut bytes);
    let raw = frames_of(FrameDecoder::of_client(), &bytes, 4_096);
    assert!(
        matches!(ClientFrame::decode(raw[0].clone()), Ok(ClientFrame::Hello { token, .. }) if token.len() == TOKEN_BYTES_MAX)
    );
}

proptest! {
    #[test]
    fn pieces_of_any_size_give_the_same_frames(piece in 1usize..200, order in proptest::collection::vec(any::<proptest::sample::Index>(), 0..20)) {
        let frames = server_frames();
        let wanted: Vec<ServerFrame> = order.iter().map(|index| index.get(&frames).1.clone()).collect();
        let mut bytes = Vec::new();
        wanted.iter().for_each(|frame| frame.encode(&mut bytes));
        let found: Vec<ServerFrame> = frames_of(FrameDecoder::of_server(), &bytes, piece)
            .into_iter().map(|raw| ServerFrame::decode(raw).unwrap().unwrap()).collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn garbage_does_no_harm(kind in any::<u8>(), body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let body = Bytes::from(body);
        let _ = ClientFrame::decode(RawFrame { kind, body: body.clone() });
        let _ = ServerFrame::decode(RawFrame { kind, body: body.clone() });
        let _ = MoveDatagram::decode(body.clone());
        let _ = PositionDatagram::decode(body.clone());
        let _ = Schema::decode(&body);
        let mut decoder = FrameDecoder::of_client();
        decoder.push(&body);
        while let Ok(Some(_)) = decoder.pop() {}
        prop_assert!(decoder.buffered() <= body.len());
    }

    #[test]
    fn a_damaged_schema_does_no_harm(place in 0usize..300, byte in any::<u8>()) {
        let mut bytes = schema().encode().to_vec();
        let place = place % bytes.len();
        bytes[place] = byte;
        if let Ok(read) = Schema::decode(&bytes) {
            prop_assert_eq!(Schema::decode(&read.encode()), Ok(read));
        }
    }
}

#[test]
fn a_schema_may_grow_fields() {
    let mut longer = Vec::new();
    cbor::array(&mut longer, 6);
    longer.extend_from_slice(&schema().encode()[1..]);
    cbor::text(&mut longer, "from the future");
    assert_eq!(Schema::decode(&longer), Ok(schema()));
}
