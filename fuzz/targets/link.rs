//! What two ends of a link send each other, in pieces of any size: no panic, no more memory than one frame and one
//! piece, the same end however it is cut, and what decodes is encoded again to what decodes the same. The same bytes
//! also reach a core that is up, and a listener that waits for a greeting.
#![no_main]

use bytes::Bytes;
use everwake_link::limits::{FRAME_BYTES_MAX, GREETING_BYTES_MAX};
use everwake_link::{
    Batch, Config, ConnectionId, Core, Decoder, Frame, Greeter, Hello, Identity, Input, Limits, PeerName,
    PerLane, Role, Side,
};
use everwake_protocol::cluster::Incarnation;

const CONNECTION: ConnectionId = ConnectionId(1);

fn frames(input: &[u8], piece: usize, greeted: bool) -> (Vec<Frame>, String) {
    let (mut decoder, mut frames) = (Decoder::new(), Vec::new());
    let frame_bytes_max = if greeted { FRAME_BYTES_MAX } else { GREETING_BYTES_MAX };
    if greeted {
        decoder.greeted();
    }
    for bytes in input.chunks(piece) {
        decoder.push(Bytes::copy_from_slice(bytes));
        loop {
            match decoder.pop() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    decoder.push(Bytes::from_static(&[0, 0, 0, 1, 0x11]));
                    assert_eq!(decoder.pop(), Err(error), "an error is for ever");
                    return (frames, error.to_string());
                }
            }
        }
        assert!(decoder.buffered() < frame_bytes_max + 4);
    }
    (frames, String::new())
}

fn identity(peer: PeerName) -> Identity {
    Identity { peer, incarnation: Incarnation { start: 1, random: 1 } }
}

/// A listener's core that a game greeted well; everything behind the greeting is fuzz.
fn core_up(us: &PeerName, peer: &PeerName) -> Option<Core> {
    let (us, side, limits) = (identity(us.clone()), Side::Listener, Limits::default());
    let mut core = Core::new(Config { us: us.clone(), peer: peer.clone(), side, limits, seed: 1 }).ok()?;
    let life = identity(peer.clone());
    let hello = Box::new(Hello {
        version: everwake_link::limits::LINK_VERSION,
        peer: life.peer,
        incarnation: life.incarnation,
        to: Some(us.peer),
        remembers: None,
        lanes: PerLane::default(),
    });
    core.handle(
        0,
        Input::Accepted { connection: CONNECTION, hello, decoder: Decoder::new() },
        &mut Vec::new(),
    );
    Some(core)
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let piece = usize::from(*first) + 1;
    for greeted in [true, false] {
        let cut = frames(rest, piece, greeted);
        assert_eq!(cut, frames(rest, usize::MAX, greeted));
        let again = Batch { frames: cut.0.clone() }.to_bytes();
        assert_eq!(frames(&again, usize::MAX, greeted), (cut.0, String::new()));
    }
    let (Ok(us), Ok(peer)) = (PeerName::new(Role::Dispatcher, "d"), PeerName::new(Role::Game, "a")) else {
        return;
    };
    let mut greeter = Greeter::new(us.clone(), &Role::ALL, None);
    let _ = greeter.handle(Bytes::copy_from_slice(rest));
    let Some(mut core) = core_up(&us, &peer) else { return };
    let mut out = Vec::new();
    for (now_ms, bytes) in (0..).zip(rest.chunks(piece)) {
        let bytes = Bytes::copy_from_slice(bytes);
        core.handle(now_ms, Input::Received { connection: CONNECTION, bytes }, &mut out);
        core.handle(now_ms, Input::Flush, &mut out);
        out.clear();
    }
});
