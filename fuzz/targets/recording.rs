//! Recordings: a damaged file is an error, never a panic, and nothing is reserved that is not there.
#![no_main]

use everwake_runtime::record::RecordingReader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(mut reader) = RecordingReader::open(bytes) else { return };
    while let Ok(Some(_)) = reader.next_entry() {}
});
