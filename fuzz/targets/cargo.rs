//! What games carry to each other through dispatchers: no panic, and what decodes is encoded again to what decodes the
//! same.
#![no_main]

use bytes::Bytes;
use everwake_runtime::cargo::Cargo;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = (Cargo::makes(bytes), Cargo::author(bytes));
    // Of a version that is here only entities come; what these are made of the target of recordings feeds.
    let decode = |bytes: Bytes| Cargo::decode(bytes, &|_, _| None).ok();
    if let Some(cargo) = decode(Bytes::copy_from_slice(bytes)) {
        let said = format!("{cargo:?}");
        let again = decode(cargo.encode()).expect("it reads what it writes");
        assert_eq!(format!("{again:?}"), said);
    }
});
