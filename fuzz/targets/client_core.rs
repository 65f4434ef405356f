//! A client's core under a hostile server: frames and datagrams in any order after a fixed schema. No panic; what is
//! mirrored can be read; what is said is understood. And the values that people see: what reads is written as it was.
#![no_main]

use bytes::Bytes;
use everwake_client::{ClientCore, Greeting, Value};
use everwake_protocol::client::{ClientFrame, Pose, ServerFrame};
use everwake_protocol::frame::FrameDecoder;
use everwake_protocol::schema::{AttributeSchema, Field, MethodSchema, Schema, TypeSchema};
use everwake_protocol::{EntityId, Id, SessionId};
use std::time::Duration;

/// The client's own entity.
const OWN: EntityId = EntityId(Id([0, 0, 0, 1]));

fn schema() -> Schema {
    let attribute = |id, text: &str, initial: &'static [u8]| AttributeSchema {
        id,
        name: format!("a{id}"),
        type_text: text.into(),
        all_clients: true,
        live: true,
        initial: Bytes::from_static(initial),
    };
    let method = |id| MethodSchema {
        id,
        name: format!("m{id}"),
        parameters: vec![Field { name: "value".into(), type_text: "list<map<string, f32>>".into() }],
        live: true,
        ..MethodSchema::default()
    };
    let kind = |id| TypeSchema {
        id,
        name: format!("T{id}"),
        live: true,
        attributes: vec![
            attribute(0, "i64", &[0x00]),
            attribute(1, "list<any>", &[0x82, 0x01, 0x02]),
            attribute(2, "map<string, any>", &[0xa0]),
            attribute(u32::MAX, "bytes", &[0x40]),
        ],
        methods: vec![method(0)],
        client_methods: vec![method(1)],
    };
    Schema { module: "m".into(), generation: 1, types: vec![kind(0), kind(1)], ..Schema::default() }
}

/// A client with its own entity in view.
fn playing() -> ClientCore {
    let mut core = ClientCore::new(&Greeting::default()).expect("a greeting");
    let create = ServerFrame::Create {
        entity: OWN,
        type_id: 0,
        own: true,
        handle: 1,
        pose: Pose::default(),
        attributes: Bytes::new(),
    };
    for frame in [
        ServerFrame::Welcome { session: SessionId::default(), module: "m".into() },
        ServerFrame::Schema { schema: schema().encode() },
        ServerFrame::Resync { view: 1 },
        create,
    ] {
        core.receive(&frame.to_bytes()).expect("a server that keeps the rules");
    }
    core
}

/// Takes one byte off the front.
fn byte(input: &mut &[u8]) -> Option<u8> {
    let (first, rest) = input.split_first()?;
    *input = rest;
    Some(*first)
}

/// Takes up to `len` bytes off the front.
fn some<'a>(input: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(len.min(input.len()));
    *input = rest;
    taken
}

/// A frame whose entity is often one that there is, as hostile bytes alone would hardly find it.
fn frame(kind: u8, near: bool, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 0, kind];
    if near {
        frame.extend_from_slice(&OWN.0.to_bytes());
    }
    frame.extend_from_slice(body);
    let len = u32::try_from(frame.len() - 4).unwrap_or(u32::MAX);
    frame[..4].copy_from_slice(&len.to_be_bytes());
    frame
}

fn step(core: &mut ClientCore, now: &mut Duration, input: &mut &[u8]) -> Option<()> {
    let what = byte(input)?;
    let len = usize::from(byte(input)?);
    let body = some(input, len);
    match what % 16 {
        0..=12 => {
            let kind = 0x81 + what % 13 % 9;
            core.receive(&frame(kind, what & 0x80 != 0, body)).ok()?;
        }
        13 => {
            let datagram = [&[0x81, 0, 0, 0, 1][..], body].concat();
            core.receive_datagram(datagram.into());
        }
        14 => {
            let value = Value::decode(body).unwrap_or_default();
            let _ = core.request(*now, OWN, "m0", &[value], u32::from(what));
        }
        _ => {
            *now += Duration::from_millis(100 * u64::from(what));
            core.tick(*now);
        }
    }
    Some(())
}

fn check(core: &mut ClientCore) {
    while core.poll_event().is_some() {}
    let ids: Vec<EntityId> = core.entities().map(|entity| entity.id).collect();
    for id in ids {
        for (name, type_text, value) in core.attributes(id) {
            // What cannot be read is an initial value that the schema gives.
            let read = Value::decode(&value).unwrap_or_default();
            let _ = read.encode_as(&type_text, &mut Vec::new());
            let _ = core.attribute(id, &name).map(|value| value.to_string());
        }
    }
    let mut decoder = FrameDecoder::of_client();
    decoder.welcomed();
    decoder.push(&core.take_output());
    while let Some(raw) = decoder.pop().expect("the client writes frames") {
        ClientFrame::decode(raw).expect("the client says what a gate understands");
    }
}

fn values(input: &[u8]) {
    if let Ok(value) = Value::decode(input) {
        let mut written = Vec::new();
        value.encode(&mut written);
        assert_eq!(written, input, "{value}");
        let (text, _) = input.split_at(input.len() / 2);
        let _ = value.encode_as(&String::from_utf8_lossy(text), &mut Vec::new());
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    values(bytes);
    let mut core = playing();
    let mut now = Duration::ZERO;
    let mut rest = bytes;
    while step(&mut core, &mut now, &mut rest).is_some() {}
    check(&mut core);
});
