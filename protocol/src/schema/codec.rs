//! The bytes of a schema: CBOR arrays, fields in the order of their declaration. A reader ignores
//! fields behind those it knows.

use super::{AttributeSchema, Definition, Field, MethodSchema, Schema, Shape, TypeSchema};
use crate::cbor::{self, CborError, Reader};
use bytes::Bytes;

impl Schema {
    /// Writes it as one CBOR item.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        cbor::array(&mut out, 5);
        cbor::text(&mut out, &self.module);
        cbor::uint(&mut out, u64::from(self.generation));
        cbor::text(&mut out, &self.version);
        list(&mut out, &self.types, write_type);
        list(&mut out, &self.definitions, write_definition);
        out.into()
    }

    /// Reads it.
    pub fn decode(input: &[u8]) -> Result<Schema, CborError> {
        cbor::check_item(input)?;
        let mut reader = Reader::new(input);
        record(&mut reader, 5, |reader| {
            Ok(Schema {
                module: reader.text()?.to_owned(),
                generation: reader.u32()?,
                version: reader.text()?.to_owned(),
                types: read_list(reader, read_type)?,
                definitions: read_list(reader, read_definition)?,
            })
        })
    }
}

fn write_type(out: &mut Vec<u8>, value: &TypeSchema) {
    cbor::array(out, 6);
    cbor::uint(out, u64::from(value.id));
    cbor::text(out, &value.name);
    cbor::bool(out, value.live);
    list(out, &value.attributes, write_attribute);
    list(out, &value.methods, write_method);
    list(out, &value.client_methods, write_method);
}

fn read_type(reader: &mut Reader<'_>) -> Result<TypeSchema, CborError> {
    record(reader, 6, |reader| {
        Ok(TypeSchema {
            id: reader.u32()?,
            name: reader.text()?.to_owned(),
            live: reader.bool()?,
            attributes: read_list(reader, read_attribute)?,
            methods: read_list(reader, read_method)?,
            client_methods: read_list(reader, read_method)?,
        })
    })
}

fn write_attribute(out: &mut Vec<u8>, value: &AttributeSchema) {
    cbor::array(out, 6);
    cbor::uint(out, u64::from(value.id));
    cbor::text(out, &value.name);
    cbor::text(out, &value.type_text);
    cbor::bool(out, value.all_clients);
    cbor::bool(out, value.live);
    cbor::bytes(out, &value.initial);
}

fn read_attribute(reader: &mut Reader<'_>) -> Result<AttributeSchema, CborError> {
    record(reader, 6, |reader| {
        let attribute = AttributeSchema {
            id: reader.u32()?,
            name: reader.text()?.to_owned(),
            type_text: reader.text()?.to_owned(),
            all_clients: reader.bool()?,
            live: reader.bool()?,
            initial: Bytes::copy_from_slice(reader.bytes()?),
        };
        cbor::check_item(&attribute.initial)?;
        Ok(attribute)
    })
}

fn write_method(out: &mut Vec<u8>, value: &MethodSchema) {
    cbor::array(out, 7);
    cbor::uint(out, u64::from(value.id));
    cbor::text(out, &value.name);
    list(out, &value.parameters, write_field);
    cbor::text(out, &value.returns);
    cbor::bool(out, value.all_clients);
    cbor::uint(out, u64::from(value.calls_per_minute));
    cbor::bool(out, value.live);
}

fn read_method(reader: &mut Reader<'_>) -> Result<MethodSchema, CborError> {
    record(reader, 7, |reader| {
        Ok(MethodSchema {
            id: reader.u32()?,
            name: reader.text()?.to_owned(),
            parameters: read_list(reader, read_field)?,
            returns: reader.text()?.to_owned(),
            all_clients: reader.bool()?,
            calls_per_minute: reader.u32()?,
            live: reader.bool()?,
        })
    })
}

fn write_definition(out: &mut Vec<u8>, value: &Definition) {
    let (case, fields) = match &value.shape {
        Shape::Record(fields) => (0, fields),
        Shape::Cases(fields) => (1, fields),
    };
    cbor::array(out, 3);
    cbor::text(out, &value.name);
    cbor::uint(out, case);
    list(out, fields, write_field);
}

fn read_definition(reader: &mut Reader<'_>) -> Result<Definition, CborError> {
    record(reader, 3, |reader| {
        let name = reader.text()?.to_owned();
        let case = reader.uint()?;
        let fields = read_list(reader, read_field)?;
        let shape = match case {
            0 => Shape::Record(fields),
            1 => Shape::Cases(fields),
            _ => return Err(CborError::Range),
        };
        Ok(Definition { name, shape })
    })
}

fn write_field(out: &mut Vec<u8>, value: &Field) {
    cbor::array(out, 2);
    cbor::text(out, &value.name);
    cbor::text(out, &value.type_text);
}

fn read_field(reader: &mut Reader<'_>) -> Result<Field, CborError> {
    record(reader, 2, |reader| {
        Ok(Field { name: reader.text()?.to_owned(), type_text: reader.text()?.to_owned() })
    })
}

fn list<T>(out: &mut Vec<u8>, values: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    cbor::array(out, values.len());
    for value in values {
        write(out, value);
    }
}

fn read_list<T>(
    reader: &mut Reader<'_>,
    read: impl Fn(&mut Reader<'_>) -> Result<T, CborError>,
) -> Result<Vec<T>, CborError> {
    let len = reader.array()?;
    // Grows with what is read: a count alone reserves nothing.
    let mut values = Vec::new();
    for _ in 0..len {
        values.push(read(reader)?);
    }
    Ok(values)
}

/// Reads an array of at least `least` items; what `read` leaves is skipped.
fn record<T>(
    reader: &mut Reader<'_>,
    least: usize,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, CborError>,
) -> Result<T, CborError> {
    let len = reader.array()?;
    if len < least {
        return Err(CborError::Expected("more fields"));
    }
    let value = read(reader)?;
    for _ in least..len {
        reader.skip()?;
    }
    Ok(value)
}
