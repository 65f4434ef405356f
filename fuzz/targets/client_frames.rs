//! What a client and a gate send each other, in pieces of any size: no panic, and what decodes is encoded again to
//! bytes that decode to the same.
#![no_main]

use everwake_protocol::client::{ClientFrame, MoveDatagram, PositionDatagram, ServerFrame};
use everwake_protocol::frame::FrameDecoder;

fn again(encoded: &[u8], mut decoder: FrameDecoder) -> Option<everwake_protocol::frame::RawFrame> {
    decoder.welcomed();
    decoder.push(encoded);
    decoder.pop().ok().flatten()
}

fn from_client(input: &[u8], piece: usize) {
    let mut decoder = FrameDecoder::of_client();
    for bytes in input.chunks(piece) {
        decoder.push(bytes);
        while let Ok(Some(raw)) = decoder.pop() {
            decoder.welcomed();
            let Ok(frame) = ClientFrame::decode(raw) else { continue };
            let mut encoded = Vec::new();
            frame.encode(&mut encoded);
            let raw = again(&encoded, FrameDecoder::of_client());
            assert_eq!(raw.and_then(|raw| ClientFrame::decode(raw).ok()), Some(frame));
        }
    }
}

fn from_server(input: &[u8], piece: usize) {
    let mut decoder = FrameDecoder::of_server();
    for bytes in input.chunks(piece) {
        decoder.push(bytes);
        while let Ok(Some(raw)) = decoder.pop() {
            let Ok(Some(frame)) = ServerFrame::decode(raw) else { continue };
            let raw = again(&frame.to_bytes(), FrameDecoder::of_server());
            let second = raw.and_then(|raw| ServerFrame::decode(raw).ok().flatten());
            // Compared as text: a pose may hold NaN, which is not equal to itself.
            assert_eq!(format!("{second:?}"), format!("{:?}", Some(frame)));
        }
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let piece = usize::from(*first) + 1;
    from_client(rest, piece);
    from_server(rest, piece);
    let _ = MoveDatagram::decode(rest.to_vec().into());
    let _ = PositionDatagram::decode(rest.to_vec().into());
});
