//! What clients are told of a lineage: every id that they may meet, over all versions.
//!
//! Attributes and methods that no client was ever to see are left out, and so are the
//! definitions that only those use.

use super::lineage::{Lineage, TypeLine};
use super::structure::Structure;
use super::type_text::TypeText;
use crate::guest::VersionHash;
use crate::manifest::{Checked, Exposure};
use everwake_protocol::schema::{
    AttributeSchema, Definition, Field, MethodSchema, Schema, Shape, TypeSchema,
};
use std::collections::{BTreeMap, BTreeSet};

/// The schema after the last publication of `lineage`, which was that of `head`.
pub(super) fn client_schema(lineage: &Lineage, head: &Checked, hash: VersionHash) -> Schema {
    let writer = Writer { head, generation: lineage.generation };
    let types = lineage.types.iter().enumerate();
    let types: Vec<_> =
        types.filter(|(_, line)| !line.foreign).map(|(id, line)| writer.entity_type(id, line)).collect();
    Schema {
        module: lineage.module.clone(),
        generation: lineage.generation,
        version: format!("{} {hash}", head.manifest().label).trim_start().to_owned(),
        definitions: definitions_of(&types, &head.manifest().definitions),
        types,
    }
}

struct Writer<'w> {
    head: &'w Checked,
    generation: u32,
}

impl Writer<'_> {
    fn entity_type(&self, id: usize, line: &TypeLine) -> TypeSchema {
        let attributes = line.attributes.iter().enumerate().filter(|(_, line)| line.told);
        let methods = line.methods.iter().filter(|line| line.told);
        TypeSchema {
            id: u32::try_from(id).unwrap_or(u32::MAX),
            name: line.name.clone(),
            live: line.last == self.generation,
            attributes: attributes
                .map(|(id, line)| AttributeSchema {
                    id: u32::try_from(id).unwrap_or(u32::MAX),
                    name: line.name().to_owned(),
                    type_text: self.type_text(&line.type_text, &line.structure),
                    all_clients: line.flags.all_clients,
                    live: line.last == self.generation && (line.flags.client || line.flags.all_clients),
                    initial: line.initial.clone(),
                })
                .collect(),
            methods: methods
                .map(|line| MethodSchema {
                    id: line.id,
                    name: line.name().to_owned(),
                    parameters: self.parameters(&line.method.parameters, &line.types().parameters),
                    returns: self.type_text(&line.method.returns, &line.types().returns),
                    all_clients: line.method.exposure == Exposure::AllClients,
                    calls_per_minute: line.method.calls_per_minute,
                    live: line.last == self.generation
                        && matches!(line.method.exposure, Exposure::OwnClient | Exposure::AllClients),
                })
                .collect(),
            client_methods: line
                .client_methods
                .iter()
                .map(|line| MethodSchema {
                    id: line.id,
                    name: line.name.clone(),
                    parameters: self.parameters(&line.parameters, &line.types),
                    returns: "unit".to_owned(),
                    live: line.last == self.generation,
                    ..MethodSchema::default()
                })
                .collect(),
        }
    }

    fn parameters(&self, fields: &[Field], types: &[super::Member]) -> Vec<Field> {
        let pairs = fields.iter().zip(types);
        let field = |(field, member): (&Field, &super::Member)| Field {
            name: field.name.clone(),
            type_text: self.type_text(&field.type_text, &member.structure),
        };
        pairs.map(field).collect()
    }

    /// A text that means the same among the head's definitions. What only former versions knew
    /// and spell with a definition that has changed since is `any`: CBOR describes itself.
    fn type_text(&self, text: &str, structure: &Structure) -> String {
        if self.head.resolve(text).as_ref() == Some(structure) { text.to_owned() } else { "any".to_owned() }
    }
}

/// The definitions that the texts of the schema reach.
fn definitions_of(types: &[TypeSchema], definitions: &[Definition]) -> Vec<Definition> {
    let by_name: BTreeMap<_, _> =
        definitions.iter().map(|definition| (definition.name.as_str(), definition)).collect();
    let mut reached = BTreeSet::new();
    let mut texts: Vec<&str> = Vec::new();
    for entity_type in types {
        texts.extend(entity_type.attributes.iter().map(|attribute| attribute.type_text.as_str()));
        for method in entity_type.methods.iter().chain(&entity_type.client_methods) {
            texts.extend(method.parameters.iter().map(|parameter| parameter.type_text.as_str()));
            texts.push(&method.returns);
        }
    }
    while let Some(text) = texts.pop() {
        let Ok(parsed) = text.parse::<TypeText>() else { continue };
        for name in names_in(&parsed) {
            if let Some((name, definition)) = by_name.get_key_value(name.as_str())
                && reached.insert(*name)
            {
                let (Shape::Record(fields) | Shape::Cases(fields)) = &definition.shape;
                texts.extend(fields.iter().map(|field| field.type_text.as_str()));
            }
        }
    }
    let kept = definitions.iter().filter(|definition| reached.contains(definition.name.as_str()));
    kept.cloned().collect()
}

fn names_in(text: &TypeText) -> Vec<String> {
    match text {
        TypeText::Scalar(_) | TypeText::Ref(_) => Vec::new(),
        TypeText::Named(name) => vec![name.clone()],
        TypeText::Option(inner) | TypeText::List(inner) | TypeText::Secret(inner) => names_in(inner),
        TypeText::Map(key, value) => [names_in(key), names_in(value)].concat(),
        TypeText::Tuple(members) => members.iter().flat_map(names_in).collect(),
    }
}
