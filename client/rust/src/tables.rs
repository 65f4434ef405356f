//! The module's schema, by number and by name.

use everwake_protocol::attributes::{Column, Shape};
use everwake_protocol::schema::{AttributeSchema, MethodSchema, Schema, TypeSchema};
use std::collections::BTreeMap;

/// One entity type.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) name: String,
    /// By small id, none for those that clients do not see.
    attributes: Vec<Option<(AttributeSchema, Shape)>>,
    methods: Vec<MethodSchema>,
    client_methods: BTreeMap<u32, MethodSchema>,
}

impl Kind {
    fn new(schema: &TypeSchema) -> Kind {
        let len = schema.attributes.iter().map(|it| it.id as usize + 1).max().unwrap_or(0);
        let mut attributes = vec![None; len.min(Tables::ATTRIBUTES_MAX)];
        for attribute in &schema.attributes {
            if let Some(place) = attributes.get_mut(attribute.id as usize) {
                *place = Some((attribute.clone(), Shape::of(&attribute.type_text)));
            }
        }
        Kind {
            name: schema.name.clone(),
            attributes,
            methods: schema.methods.clone(),
            client_methods: schema.client_methods.iter().map(|it| (it.id, it.clone())).collect(),
        }
    }

    pub(crate) fn attributes_len(&self) -> usize {
        self.attributes.len()
    }

    pub(crate) fn column(&self, attribute: u32) -> Option<Column<'_>> {
        let (schema, shape) = self.attributes.get(attribute as usize)?.as_ref()?;
        Some(Column { shape: *shape, initial: &schema.initial })
    }

    pub(crate) fn attribute(&self, attribute: u32) -> Option<&AttributeSchema> {
        self.attributes.get(attribute as usize)?.as_ref().map(|(schema, _)| schema)
    }

    /// By name; of several versions of it the one that is live.
    pub(crate) fn attribute_named(&self, name: &str) -> Option<&AttributeSchema> {
        let named =
            || self.attributes.iter().flatten().map(|(schema, _)| schema).filter(|it| it.name == name);
        named().find(|it| it.live).or_else(|| named().next_back())
    }

    pub(crate) fn live_attributes(&self) -> impl Iterator<Item = &AttributeSchema> {
        self.attributes.iter().flatten().map(|(schema, _)| schema).filter(|it| it.live)
    }

    /// By name; of several signatures the one that is live.
    pub(crate) fn method_named(&self, name: &str) -> Option<&MethodSchema> {
        let named = || self.methods.iter().filter(|it| it.name == name);
        named().find(|it| it.live).or_else(|| named().next_back())
    }

    pub(crate) fn client_method(&self, method: u32) -> Option<&MethodSchema> {
        self.client_methods.get(&method)
    }
}

/// See the head of this module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) schema: Schema,
    kinds: BTreeMap<u32, Kind>,
}

impl Tables {
    /// Attributes of one type. Stops a server's number from reserving memory.
    const ATTRIBUTES_MAX: usize = 64 * 1024;

    pub(crate) fn new(schema: Schema) -> Tables {
        let kinds = schema.types.iter().map(|it| (it.id, Kind::new(it))).collect();
        Tables { schema, kinds }
    }

    pub(crate) fn kind(&self, type_id: u32) -> Option<&Kind> {
        self.kinds.get(&type_id)
    }
}
