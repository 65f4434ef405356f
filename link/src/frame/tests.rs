//! Frames go both ways, in any pieces; hostile bytes do no harm.

use super::*;
use crate::handshake::{RefusalCode, Standing};
use everwake_protocol::cluster::Incarnation;
use proptest::prelude::*;

fn any_class() -> impl Strategy<Value = Class> {
    prop_oneof![Just(Class::Ordinary), Just(Class::Reserved), Just(Class::Express)]
}

fn any_lane() -> impl Strategy<Value = Lane> {
    prop_oneof![Just(Lane::Main), Just(Lane::Express)]
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let payload = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        (0usize..3_000).prop_map(|len| vec![7; len]),
    ];
    prop_oneof![
        4 => (any_class(), any::<u64>(), payload)
            .prop_map(|(class, sequence, payload)| Frame::Message { class, sequence, payload: payload.into() }),
        1 => (any_lane(), any::<u64>()).prop_map(|(lane, granted)| Frame::Credit { lane, granted }),
        1 => prop_oneof![Just(Frame::Beat), Just(Frame::Bye)],
        1 => (any::<u64>(), proptest::option::of(any::<u32>())).prop_map(|(random, start)| {
            let mut hello = hello();
            hello.incarnation.random = random;
            hello.remembers = start.map(|start| Incarnation { start, random });
            Frame::Hello(Box::new(hello))
        }),
    ]
}

fn hello() -> Hello {
    Hello {
        version: 1,
        peer: "game/a".parse().unwrap(),
        incarnation: Incarnation { start: 2, random: 0x0102_0304_0506_0708 },
        to: Some("dispatcher/d-1".parse().unwrap()),
        remembers: Some(Incarnation { start: 9, random: 10 }),
        lanes: PerLane {
            main: Standing { sent: 1, received: 2, credit: 3 },
            express: Standing { sent: 4, received: 5, credit: 6 },
        },
    }
}

fn greeted() -> Decoder {
    let mut decoder = Decoder::new();
    decoder.greeted();
    decoder
}

/// All frames of a stream that comes in pieces of these sizes, over and over, and how it ended.
fn read(stream: &[u8], pieces: &[usize], decoder: &mut Decoder) -> (Vec<Frame>, Option<FrameError>) {
    let (mut frames, mut rest, mut sizes) = (Vec::new(), stream, pieces.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().copied().unwrap_or(usize::MAX).clamp(1, rest.len());
        let (piece, behind) = rest.split_at(size);
        decoder.push(Bytes::copy_from_slice(piece));
        rest = behind;
        loop {
            match decoder.pop() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
        assert!(decoder.buffered() <= FRAME_BYTES_MAX + LENGTH_BYTES);
    }
    (frames, None)
}

proptest! {
    #[test]
    fn any_cutting_gives_the_same_frames(
        frames in proptest::collection::vec(any_frame(), 0..20),
        pieces in proptest::collection::vec(1usize..900, 1..8),
    ) {
        let stream = Batch { frames: frames.clone() }.to_bytes();
        prop_assert_eq!(read(&stream, &pieces, &mut greeted()), (frames.clone(), None));
        prop_assert_eq!(read(&stream, &[1], &mut greeted()), (frames, None));
    }

    #[test]
    fn garbage_ends_the_same_however_it_is_cut(
        frames in proptest::collection::vec(any_frame(), 0..5),
        garbage in proptest::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..200),
        pieces in proptest::collection::vec(1usize..50, 1..8),
    ) {
        let mut stream = Batch { frames }.to_bytes().to_vec();
        stream.extend(garbage);
        let whole = read(&stream, &[usize::MAX], &mut greeted());
        let mut decoder = greeted();
        prop_assert_eq!(&read(&stream, &pieces, &mut decoder), &whole);
        if let Some(error) = whole.1 {
            decoder.push(Batch { frames: vec![Frame::Beat] }.to_bytes());
            prop_assert_eq!(decoder.pop(), Err(error));
        }
    }
}

#[test]
fn before_the_greeting_little_is_taken() {
    let large = Frame::Message { class: Class::Ordinary, sequence: 1, payload: vec![0; 600].into() };
    let stream = Batch { frames: vec![large] }.to_bytes();
    let (frames, error) = read(&stream, &[3], &mut Decoder::new());
    assert_eq!((frames, error), (vec![], Some(FrameError::TooLarge { len: 609, max: GREETING_BYTES_MAX })));
}

#[test]
fn payloads_share_the_memory_they_came_in() {
    let frame = |payload: &'static str| Frame::Message {
        class: Class::Ordinary,
        sequence: 1,
        payload: payload.into(),
    };
    let stream = Batch { frames: vec![frame("first"), frame("second")] }.to_bytes();
    let mut decoder = greeted();
    decoder.push(stream.clone());
    for _ in 0..2 {
        let Ok(Some(Frame::Message { payload, .. })) = decoder.pop() else { panic!("no message") };
        assert!(stream.as_ptr_range().contains(&payload.as_ptr()));
    }
}

#[test]
fn a_length_alone_reserves_nothing() {
    let mut decoder = greeted();
    decoder.push(Bytes::copy_from_slice(&(FRAME_BYTES_MAX as u32).to_be_bytes()));
    assert_eq!(decoder.pop(), Ok(None));
    assert!(decoder.partial.capacity() < 1_024);
    let mut decoder = greeted();
    decoder.push(Bytes::copy_from_slice(&(FRAME_BYTES_MAX as u32 + 1).to_be_bytes()));
    let max = FRAME_BYTES_MAX;
    assert_eq!(decoder.pop(), Err(FrameError::TooLarge { len: max + 1, max }));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The vectors of `docs/links.md`.
#[test]
fn the_bytes_are_those_of_the_document() {
    let message =
        |class, sequence, payload: &'static str| Frame::Message { class, sequence, payload: payload.into() };
    let refusal = crate::handshake::Refusal { version: 1, code: RefusalCode::Stale, text: "old".to_owned() };
    let cases = [
        (message(Class::Ordinary, 1, "hi"), "0000000b0100000000000000016869"),
        (message(Class::Reserved, 2, ""), "00000009020000000000000002"),
        (message(Class::Express, 0x0102_0304, "\u{7f}"), "0000000a0300000000010203047f"),
        (Frame::Credit { lane: Lane::Main, granted: 8_388_608 }, "0000000a10000000000000800000"),
        (Frame::Credit { lane: Lane::Express, granted: 1 }, "0000000a10010000000000000001"),
        (Frame::Beat, "0000000111"),
        (Frame::Bye, "0000000112"),
        (
            Frame::Hello(Box::new(hello())),
            "0000005820 45574c4b 0001 010161 00000002 0102030405060708 0203642d31 \
             01 00000009 000000000000000a \
             0000000000000001 0000000000000002 0000000000000003 \
             0000000000000004 0000000000000005 0000000000000006",
        ),
        (Frame::Refused(Box::new(refusal)), "00000007210001036f6c64"),
    ];
    for (frame, expected) in cases {
        let bytes = Batch { frames: vec![frame.clone()] }.to_bytes();
        let expected: String = expected.split_whitespace().collect();
        assert_eq!(hex(&bytes), expected, "{frame:?}");
        assert!(bytes.len() <= frame.encoded_len());
        assert_eq!(read(&bytes, &[usize::MAX], &mut greeted()), (vec![frame], None));
    }
}

#[test]
fn a_greeting_of_another_version_says_who_it_is_of() {
    let other = Hello { version: 7, to: None, remembers: None, ..hello() };
    let bytes = Batch { frames: vec![Frame::Hello(Box::new(other))] }.to_bytes();
    let (frames, error) = read(&bytes, &[usize::MAX], &mut Decoder::new());
    let [Frame::Hello(hello)] = &frames[..] else { panic!("{frames:?} {error:?}") };
    assert_eq!((hello.version, hello.peer.to_string().as_str()), (7, "game/a"));
}
