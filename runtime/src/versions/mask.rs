//! Values without their secrets, for recordings: same shape, secrets replaced by defaults.

use super::structure::{Member, Structure};
use super::type_text::Scalar;
use super::value::{check_args, check_value};
use everwake_protocol::Id;
use everwake_protocol::cbor::{self, CborError, Kind, Reader};

/// The value with a default in place of each `secret<>`. What does not fit its type is replaced
/// as a whole.
#[must_use]
pub fn mask_value(structure: &Structure, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let fits = check_value(structure, value).is_ok();
    if !fits || mask(structure, &mut Reader::new(value), &mut out).is_err() {
        out.clear();
        blank(structure, &mut out);
    }
    out
}

/// The arguments of a call with a default in place of each `secret<>`.
#[must_use]
pub fn mask_args(parameters: &[Member], args: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(args.len());
    let fits = check_args(parameters, args).is_ok();
    let structure = |member: &'_ Member| member.structure.clone();
    if !fits || mask_members(parameters, structure, &mut Reader::new(args), &mut out).is_err() {
        out.clear();
        cbor::array(&mut out, 0);
    }
    out
}

/// Writes the default of a type: what a member has that an older sender did not know.
pub fn blank(structure: &Structure, out: &mut Vec<u8>) {
    match structure {
        Structure::Scalar(scalar) => match scalar {
            Scalar::Bool => cbor::bool(out, false),
            Scalar::F32 => cbor::f32(out, 0.0),
            Scalar::F64 => cbor::f64(out, 0.0),
            Scalar::String => cbor::text(out, ""),
            Scalar::Bytes => cbor::bytes(out, &[]),
            Scalar::Any | Scalar::Unit => cbor::null(out),
            Scalar::Id => cbor::id(out, Id::ZERO),
            _ => cbor::uint(out, 0),
        },
        Structure::Ref(_) => cbor::id(out, Id::ZERO),
        Structure::Option(_) => cbor::null(out),
        Structure::Secret(inner) => blank(inner, out),
        Structure::List(_) | Structure::Record(_) => cbor::array(out, 0),
        Structure::Map(..) => cbor::map(out, 0),
        Structure::Tuple(members) => {
            cbor::array(out, members.len());
            members.iter().for_each(|member| blank(member, out));
        }
        Structure::Cases(cases) => match cases.first() {
            Some(case) if case.structure != Structure::UNIT => {
                cbor::array(out, 2);
                cbor::uint(out, 0);
                blank(&case.structure, out);
            }
            _ => cbor::uint(out, 0),
        },
    }
}

fn mask(structure: &Structure, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), CborError> {
    if !structure.has_secret() {
        out.extend_from_slice(reader.item()?);
        return Ok(());
    }
    match structure {
        Structure::Secret(inner) => {
            reader.skip()?;
            blank(inner, out);
            Ok(())
        }
        Structure::Option(inner) => {
            if reader.kind()? == Kind::Null {
                cbor::null(out);
                return reader.null();
            }
            if inner.is_nullable() {
                let count = reader.array()?;
                cbor::array(out, count);
            }
            mask(inner, reader, out)
        }
        Structure::List(inner) => {
            let count = reader.array()?;
            cbor::array(out, count);
            (0..count).try_for_each(|_| mask(inner, reader, out))
        }
        Structure::Map(key, value) => {
            let count = reader.map()?;
            cbor::map(out, count);
            (0..count).try_for_each(|_| {
                mask(key, reader, out)?;
                mask(value, reader, out)
            })
        }
        Structure::Tuple(members) => mask_members(members, Clone::clone, reader, out),
        Structure::Record(members) => mask_members(members, |member| member.structure.clone(), reader, out),
        Structure::Cases(cases) => {
            if reader.kind()? != Kind::Array {
                out.extend_from_slice(reader.item()?);
                return Ok(());
            }
            let count = reader.array()?;
            let index = reader.uint()?;
            let case =
                usize::try_from(index).ok().and_then(|index| cases.get(index)).ok_or(CborError::Range)?;
            cbor::array(out, count);
            cbor::uint(out, index);
            mask(&case.structure, reader, out)
        }
        Structure::Scalar(_) | Structure::Ref(_) => {
            out.extend_from_slice(reader.item()?);
            Ok(())
        }
    }
}

/// Members that another version added may be secrets: they are left out.
fn mask_members<M>(
    members: &[M],
    structure: impl Fn(&M) -> Structure,
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
) -> Result<(), CborError> {
    let count = reader.array()?;
    let kept = count.min(members.len());
    cbor::array(out, kept);
    for member in members.iter().take(kept) {
        mask(&structure(member), reader, out)?;
    }
    (kept..count).try_for_each(|_| reader.skip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, structure: Structure) -> Member {
        Member { name: name.into(), structure }
    }

    #[test]
    fn secrets_become_defaults_and_the_rest_stays() {
        let secret = Structure::Secret(Box::new(Structure::Scalar(Scalar::String)));
        let parameters =
            [member("name", Structure::Scalar(Scalar::String)), member("password", secret.clone())];
        assert_eq!(mask_args(&parameters, &[0x82, 0x61, 0x61, 0x61, 0x62]), [0x82, 0x61, 0x61, 0x60]);
        assert_eq!(mask_args(&parameters, &[0x81, 0x61, 0x61]), [0x81, 0x61, 0x61]);
        assert_eq!(mask_args(&parameters, &[0x83, 0x61, 0x61, 0x60, 0x07]), [0x82, 0x61, 0x61, 0x60]);
        assert_eq!(mask_args(&parameters, &[0x01]), [0x80]);
        let list = Structure::List(Box::new(Structure::Option(Box::new(secret))));
        assert_eq!(mask_value(&list, &[0x82, 0xf6, 0x61, 0x62]), [0x82, 0xf6, 0x60]);
        assert_eq!(mask_value(&list, &[0x07]), [0x80]);
    }

    #[test]
    fn the_default_of_a_type_is_one_of_its_values() {
        let cases = Structure::Cases(vec![member(
            "a",
            Structure::Tuple(vec![Structure::Ref("A".into()), Structure::UNIT]),
        )]);
        for structure in [cases, Structure::Record(vec![]), Structure::Scalar(Scalar::F32)] {
            let mut value = Vec::new();
            blank(&structure, &mut value);
            assert_eq!(check_value(&structure, &value), Ok(()));
        }
    }
}
