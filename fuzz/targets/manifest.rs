//! What a module says about itself, and the type texts and values in it.
#![no_main]

use everwake_runtime::manifest::{Manifest, ManifestLimits};
use everwake_runtime::versions::type_text::TypeText;
use std::str::FromStr;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    if first % 2 == 0 {
        if let Ok(manifest) = ciborium::from_reader::<Manifest, _>(rest) {
            let _ = manifest.check(&ManifestLimits::default());
        }
        return;
    }
    let Ok(text) = std::str::from_utf8(rest) else { return };
    if let Ok(parsed) = TypeText::from_str(text) {
        let printed = parsed.to_string();
        assert_eq!(
            TypeText::from_str(&printed).ok(),
            Some(parsed),
            "what is printed reads back equal: {printed}"
        );
    }
});
