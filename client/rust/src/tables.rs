//! The module's schema, by number and by name.

use everwake_protocol::attributes::{Column, Shape};
use everwake_protocol::schema::{AttributeSchema, MethodSchema, Schema, TypeSchema};
use std::collections::BTreeMap;

/// One entity type.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) name: String,
    /// By small id. The numbers have gaps, as wide as a server likes.
    attributes: BTreeMap<u32, (AttributeSchema, Shape)>,
    methods: Vec<MethodSchema>,
    client_methods: BTreeMap<u32, MethodSchema>,
}

impl Kind {
    fn new(schema: &TypeSchema) -> Kind {
        let attribute = |it: &AttributeSchema| (it.id, (it.clone(), Shape::of(&it.type_text)));
        Kind {
            name: schema.name.clone(),
            attributes: schema.attributes.iter().map(attribute).collect(),
            methods: schema.methods.clone(),
            client_methods: schema.client_methods.iter().map(|it| (it.id, it.clone())).collect(),
        }
    }

    pub(crate) fn column(&self, attribute: u32) -> Option<Column<'_>> {
        let (schema, shape) = self.attributes.get(&attribute)?;
        Some(Column { shape: *shape, initial: &schema.initial })
    }

    pub(crate) fn attribute(&self, attribute: u32) -> Option<&AttributeSchema> {
        self.attributes.get(&attribute).map(|(schema, _)| schema)
    }

    /// By name; of several versions of it the one that is live.
    pub(crate) fn attribute_named(&self, name: &str) -> Option<&AttributeSchema> {
        let named = || self.attributes.values().map(|(schema, _)| schema).filter(|it| it.name == name);
        named().find(|it| it.live).or_else(|| named().next_back())
    }

    pub(crate) fn live_attributes(&self) -> impl Iterator<Item = &AttributeSchema> {
        self.attributes.values().map(|(schema, _)| schema).filter(|it| it.live)
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
    pub(crate) fn new(schema: Schema) -> Tables {
        let kinds = schema.types.iter().map(|it| (it.id, Kind::new(it))).collect();
        Tables { schema, kinds }
    }

    pub(crate) fn kind(&self, type_id: u32) -> Option<&Kind> {
        self.kinds.get(&type_id)
    }
}
