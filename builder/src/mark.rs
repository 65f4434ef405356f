//! How a component was built, written into it: a custom section at its end.
//!
//! So whoever publishes a file is told if it is one for development. The host leaves custom sections
//! out before it compiles. Knows nothing else of a component.

use crate::Profile;

/// Name of the section.
const NAME: &[u8] = b"everwake-profile";
/// Magic and version of a component.
const HEADER_BYTES: usize = 8;
const CUSTOM: u8 = 0;

/// Adds the mark.
pub(crate) fn add(component: &mut Vec<u8>, profile: Profile) {
    let text: &[u8] = match profile {
        Profile::Dev => b"dev",
        Profile::Release => b"release",
    };
    // Both lengths are below 128: one byte each.
    let body = 1 + NAME.len() + text.len();
    component.extend([CUSTOM, body as u8, NAME.len() as u8]);
    component.extend_from_slice(NAME);
    component.extend_from_slice(text);
}

/// How a component was built; none if it does not say, as one that other tools made.
#[must_use]
pub fn profile_of(component: &[u8]) -> Option<Profile> {
    let mut rest = component.get(HEADER_BYTES..)?;
    let mut found = None;
    while let Some((id, after)) = rest.split_first() {
        let (length, after) = leb(after)?;
        let (body, after) = after.split_at_checked(length)?;
        if *id == CUSTOM
            && let Some((length, named)) = leb(body)
            && let Some((NAME, text)) = named.split_at_checked(length)
        {
            found = match text {
                b"dev" => Some(Profile::Dev),
                b"release" => Some(Profile::Release),
                _ => None,
            };
        }
        rest = after;
    }
    found
}

/// An unsigned LEB128 of 32 bits, and what follows it.
fn leb(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0u32;
    for (place, byte) in bytes.iter().enumerate().take(5) {
        value |= u32::from(byte & 0x7f).checked_shl(7 * place as u32)?;
        if byte & 0x80 == 0 {
            return Some((value as usize, bytes.get(place + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_behind_other_sections_and_damage_is_none() {
        let plain = [b"\0asm\x0d\0\x01\0".as_slice(), &[CUSTOM, 3, 1, b'x', 7]].concat();
        assert_eq!(profile_of(&plain), None);
        for profile in [Profile::Dev, Profile::Release] {
            let mut marked = plain.clone();
            add(&mut marked, profile);
            assert_eq!(profile_of(&marked), Some(profile));
            for end in 0..marked.len() {
                assert_eq!(profile_of(&marked[..end]), None, "cut at {end}");
            }
        }
        let endless = [plain.as_slice(), &[CUSTOM, 0xff, 0xff, 0xff, 0xff, 0xff]].concat();
        assert_eq!(profile_of(&endless), None);
    }
}
