//! CBOR as text for people.

use super::{CborError, Kind, Reader};
use crate::id::Id;
use crate::limits::CBOR_DEPTH_MAX;
use std::fmt::Write as _;

/// A sequence of items as text for people: CBOR's diagnostic notation, byte strings of 16 as
/// `id'...'`, long ones cut. What is malformed is said at the end.
pub fn diagnostic(input: &[u8]) -> String {
    let mut out = String::new();
    let mut reader = Reader::new(input);
    // Items left in each open container, whether it is a map, and how many it had.
    let mut open: Vec<(usize, bool, usize)> = Vec::new();
    loop {
        while let Some((0, is_map, _)) = open.last() {
            out.push(if *is_map { '}' } else { ']' });
            open.pop();
        }
        if open.is_empty() && reader.is_empty() {
            return out;
        }
        match open.last_mut() {
            Some((left, is_map, len)) => {
                if left != len {
                    out.push_str(if *is_map && (*len - *left) % 2 == 1 { ": " } else { ", " });
                }
                *left -= 1;
            }
            None if !out.is_empty() => out.push_str(", "),
            None => {}
        }
        match diagnose_one(&mut reader, &mut out) {
            Ok(None) => {}
            Ok(Some(_)) if open.len() >= CBOR_DEPTH_MAX => {
                let _ = write!(out, " <{}>", CborError::TooDeep);
                return out;
            }
            Ok(Some((len, is_map))) => {
                out.push(if is_map { '{' } else { '[' });
                open.push((len, is_map, len));
            }
            Err(error) => {
                let _ = write!(out, "<{error}>");
                return out;
            }
        }
    }
}

fn diagnose_one(reader: &mut Reader<'_>, out: &mut String) -> Result<Option<(usize, bool)>, CborError> {
    const SHOWN_BYTES_MAX: usize = 64;
    match reader.kind()? {
        Kind::Uint | Kind::Negative => {
            let _ = write!(out, "{}", reader.int()?);
        }
        Kind::Bytes => {
            let value = reader.bytes()?;
            if let Some(id) = Id::from_slice(value) {
                let _ = write!(out, "id'{id}'");
            } else {
                out.push_str("h'");
                for byte in value.iter().take(SHOWN_BYTES_MAX) {
                    let _ = write!(out, "{byte:02x}");
                }
                out.push('\'');
                if value.len() > SHOWN_BYTES_MAX {
                    let _ = write!(out, "... ({} bytes)", value.len());
                }
            }
        }
        Kind::Text => {
            let _ = write!(out, "{:?}", reader.text()?);
        }
        Kind::Array => return Ok(Some((reader.array()?, false))),
        Kind::Map => return Ok(Some((reader.map()? * 2, true))),
        Kind::Bool => {
            let _ = write!(out, "{}", reader.bool()?);
        }
        Kind::Null => {
            reader.null()?;
            out.push_str("null");
        }
        Kind::Undefined => {
            *reader = Reader::new(reader.rest().get(1..).unwrap_or_default());
            out.push_str("undefined");
        }
        Kind::F32 => {
            let _ = write!(out, "{:?}_f32", reader.f32()?);
        }
        Kind::F64 => {
            let _ = write!(out, "{:?}", reader.f64()?);
        }
    }
    Ok(None)
}
