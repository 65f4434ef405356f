//! What runs of a component, without what is for people: names and debug information go, code
//! stays byte for byte. Also tells which core module a byte belongs to.
//!
//! Reads lengths only; whether the result is valid is the compiler's business.

use std::borrow::Cow;
use std::ops::Range;

use super::limits::COMPONENT_DEPTH_MAX;

/// A component without custom sections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stripped {
    pub(super) bytes: Vec<u8>,
    /// Where each core module is in `bytes`, in the order in which they are written.
    pub(super) modules: Vec<Range<usize>>,
    /// Whether something was left out that helps to read a crash.
    pub(super) had_symbols: bool,
}

/// The bytes are no component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("it does not start like a WebAssembly file")]
    NotWasm,
    #[error("it is a core module, not a component")]
    CoreModule,
    #[error("it ends in the middle of a section")]
    Truncated,
    #[error("it nests components too deeply")]
    TooDeep,
}

/// Leaves out every custom section of the component and of everything inside of it.
pub(super) fn strip(component: &[u8]) -> Result<Stripped, Malformed> {
    match kind(component)? {
        Kind::Component => strip_component(component, 0),
        Kind::Module => Err(Malformed::CoreModule),
    }
}

/// The core modules of a component, in the order of [`Stripped::modules`].
pub(super) fn modules(component: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut found = Vec::new();
    collect_modules(component, 0, &mut found)?;
    Ok(found)
}

/// The sections of a core module or component: id, body.
pub(super) fn sections(layer: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8]), Malformed>> {
    let mut rest = layer.get(HEADER_BYTES..).ok_or(Malformed::NotWasm);
    std::iter::from_fn(move || {
        let bytes = match rest {
            Ok([]) => return None,
            Ok(bytes) => bytes,
            Err(ref error) => {
                let error = error.clone();
                rest = Ok(&[]);
                return Some(Err(error));
            }
        };
        let Some((id, body, after)) = split_section(bytes) else {
            rest = Ok(&[]);
            return Some(Err(Malformed::Truncated));
        };
        rest = Ok(after);
        Some(Ok((id, body)))
    })
}

/// Name of a custom section, and what follows it.
pub(super) fn custom_section(body: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = leb(body)?;
    let (name, contents) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(name).ok()?, contents))
}

pub(super) const CUSTOM: u8 = 0;
pub(super) const CODE: u8 = 10;
const CORE_MODULE_IN_COMPONENT: u8 = 1;
const COMPONENT_IN_COMPONENT: u8 = 4;
/// Magic and version of a core module or component.
pub(super) const HEADER_BYTES: usize = 8;

enum Kind {
    Module,
    Component,
}

fn kind(bytes: &[u8]) -> Result<Kind, Malformed> {
    let header = bytes.get(..HEADER_BYTES).ok_or(Malformed::NotWasm)?;
    match header {
        [b'\0', b'a', b's', b'm', _, _, 0, 0] => Ok(Kind::Module),
        [b'\0', b'a', b's', b'm', _, _, 1, 0] => Ok(Kind::Component),
        _ => Err(Malformed::NotWasm),
    }
}

fn strip_component(component: &[u8], depth: usize) -> Result<Stripped, Malformed> {
    if depth > COMPONENT_DEPTH_MAX {
        return Err(Malformed::TooDeep);
    }
    let header = component.get(..HEADER_BYTES).ok_or(Malformed::NotWasm)?;
    let mut stripped = Stripped { bytes: header.to_vec(), modules: Vec::new(), had_symbols: false };
    for section in sections(component) {
        let (id, body) = section?;
        match id {
            CUSTOM => {}
            CORE_MODULE_IN_COMPONENT => {
                let (module, had_symbols) = strip_module(body)?;
                let start = write_section(&mut stripped.bytes, id, &module);
                stripped.modules.push(start..start + module.len());
                stripped.had_symbols |= had_symbols;
            }
            COMPONENT_IN_COMPONENT => {
                let inner = strip_component(body, depth + 1)?;
                let start = write_section(&mut stripped.bytes, id, &inner.bytes);
                let moved = inner.modules.into_iter().map(|place| place.start + start..place.end + start);
                stripped.modules.extend(moved);
                stripped.had_symbols |= inner.had_symbols;
            }
            _ => {
                write_section(&mut stripped.bytes, id, body);
            }
        }
    }
    Ok(stripped)
}

fn strip_module(module: &[u8]) -> Result<(Cow<'_, [u8]>, bool), Malformed> {
    let mut bytes = module.get(..HEADER_BYTES).ok_or(Malformed::NotWasm)?.to_vec();
    let mut had_symbols = false;
    for section in sections(module) {
        match section? {
            (CUSTOM, body) => {
                had_symbols |= custom_section(body)
                    .is_some_and(|(name, _)| name == "name" || name.starts_with(".debug_"));
            }
            (id, body) => {
                write_section(&mut bytes, id, body);
            }
        }
    }
    Ok((Cow::Owned(bytes), had_symbols))
}

fn collect_modules<'a>(
    component: &'a [u8],
    depth: usize,
    found: &mut Vec<&'a [u8]>,
) -> Result<(), Malformed> {
    if depth > COMPONENT_DEPTH_MAX {
        return Err(Malformed::TooDeep);
    }
    for section in sections(component) {
        match section? {
            (CORE_MODULE_IN_COMPONENT, body) => found.push(body),
            (COMPONENT_IN_COMPONENT, body) => collect_modules(body, depth + 1, found)?,
            _ => {}
        }
    }
    Ok(())
}

/// Appends a section and tells where its body starts.
fn write_section(out: &mut Vec<u8>, id: u8, body: &[u8]) -> usize {
    out.push(id);
    let mut length = body.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    let start = out.len();
    out.extend_from_slice(body);
    start
}

/// Bytes that [`write_section`] puts before a body: id and length.
pub(super) fn section_header_bytes(body_bytes: usize) -> usize {
    let bits = usize::BITS - (body_bytes | 1).leading_zeros();
    1 + bits.div_ceil(7) as usize
}

fn split_section(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&id, rest) = bytes.split_first()?;
    let (length, rest) = leb(rest)?;
    let (body, after) = rest.split_at_checked(length)?;
    Some((id, body, after))
}

/// An unsigned LEB128 of at most 32 bits, and what follows it.
fn leb(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (index, &byte) in bytes.iter().enumerate().take(5) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn section(id: u8, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_section(&mut out, id, body);
        out
    }

    #[test]
    fn custom_sections_go_at_every_depth_and_modules_are_found() {
        let code = section(CODE, &[0; 200]);
        let plain = [MODULE, &code].concat();
        let named = [MODULE, &section(CUSTOM, b"\x04name..."), &code].concat();
        let inner = [COMPONENT, &section(CORE_MODULE_IN_COMPONENT, &named)].concat();
        let whole = [
            COMPONENT,
            &section(CORE_MODULE_IN_COMPONENT, &plain),
            &section(CUSTOM, b"\x09producers"),
            &section(COMPONENT_IN_COMPONENT, &inner),
            &section(CORE_MODULE_IN_COMPONENT, &named),
        ]
        .concat();
        let stripped = strip(&whole).unwrap();
        assert!(stripped.had_symbols);
        assert_eq!(stripped.modules.len(), 3);
        for place in &stripped.modules {
            assert_eq!(stripped.bytes[place.clone()], plain[..]);
        }
        assert_eq!(strip(&stripped.bytes).unwrap(), Stripped { had_symbols: false, ..stripped.clone() });
        assert_eq!(modules(&whole).unwrap(), [&plain[..], &named[..], &named[..]]);
    }

    #[test]
    fn headers_have_the_length_that_is_told() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152] {
            let start = write_section(&mut Vec::new(), CODE, &vec![0; length]);
            assert_eq!(start, section_header_bytes(length), "{length}");
        }
    }

    #[test]
    fn what_is_no_component_is_told_apart() {
        assert_eq!(strip(b"\0as"), Err(Malformed::NotWasm));
        assert_eq!(strip(b"hello world, hello"), Err(Malformed::NotWasm));
        assert_eq!(strip(MODULE), Err(Malformed::CoreModule));
        let cut = [COMPONENT, &[CORE_MODULE_IN_COMPONENT, 0xff, 0x7f, 0]].concat();
        assert_eq!(strip(&cut), Err(Malformed::Truncated));
        let mut deep = COMPONENT.to_vec();
        for _ in 0..=COMPONENT_DEPTH_MAX {
            deep = [COMPONENT, &section(COMPONENT_IN_COMPONENT, &deep)].concat();
        }
        assert_eq!(strip(&deep), Err(Malformed::TooDeep));
    }
}
