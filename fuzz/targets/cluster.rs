//! What processes say to each other: no panic, and what decodes is encoded again to what decodes the same.
#![no_main]

use bytes::Bytes;
use everwake_protocol::cluster::{BetweenDispatchers, FromDispatcher, ToDispatcher, ToGame, ToGate};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let input = Bytes::copy_from_slice(bytes);
    if let Ok(message) = ToGame::decode(input.clone()) {
        let mut encoded = Vec::new();
        message.encode(&mut encoded);
        assert_eq!(format!("{:?}", ToGame::decode(encoded.into()).ok()), format!("{:?}", Some(message)));
    }
    if let Ok(message) = ToDispatcher::decode(input.clone()) {
        let mut encoded = Vec::new();
        message.encode(&mut encoded);
        assert_eq!(encoded, bytes);
    }
    if let Ok(message) = FromDispatcher::decode(input.clone()) {
        let mut encoded = Vec::new();
        message.encode(&mut encoded);
        assert_eq!(encoded, bytes);
    }
    if let Ok(message) = BetweenDispatchers::decode(input.clone()) {
        let mut encoded = Vec::new();
        message.encode(&mut encoded);
        assert_eq!(encoded, bytes);
    }
    if let Ok(message) = ToGate::decode(input) {
        let mut encoded = Vec::new();
        message.encode(&mut encoded);
        assert_eq!(format!("{:?}", ToGate::decode(encoded.into()).ok()), format!("{:?}", Some(message)));
    }
});
