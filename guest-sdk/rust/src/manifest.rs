//! How a module describes itself: collected from its types, once.

use crate::attribute::Attribute;
use crate::bindings::everwake::game::manifests as wit;
use crate::entity::{Entity, Kind, Visitor};
use crate::methods::Methods;
use crate::value::to_bytes;

pub use wit::{ClientMethod, Exposure, Manifest, Method, Parameter, Shape};

/// The structs and enums that attributes and parameters use, each once.
#[derive(Default)]
pub struct Definitions {
    list: Vec<wit::TypeDefinition>,
}

impl Definitions {
    /// Adds a definition under `name`, unless it is there; returns the name. A type may
    /// contain itself in a list: it is entered before its parts are.
    pub fn define(&mut self, name: &str, shape: impl FnOnce(&mut Self) -> Shape) -> String {
        if !self.list.iter().any(|known| known.name == name) {
            let at = self.list.len();
            let empty = Shape::Record(Vec::new());
            self.list.push(wit::TypeDefinition { name: name.into(), shape: empty });
            let shape = shape(self);
            if let Some(definition) = self.list.get_mut(at) {
                definition.shape = shape;
            }
        }
        name.into()
    }

    /// All of them, in the order in which they were met.
    pub(crate) fn into_list(self) -> Vec<wit::TypeDefinition> {
        self.list
    }
}

/// A parameter, or a field, or a case.
pub fn parameter(name: &str, type_text: String) -> Parameter {
    Parameter { name: name.into(), type_text }
}

struct Describe<'d> {
    definitions: &'d mut Definitions,
    fields: &'static [crate::entity::Field],
    attributes: Vec<wit::Attribute>,
}

impl Visitor for Describe<'_> {
    fn attribute<A: Attribute>(&mut self, index: u32, value: &mut A) {
        let Some(field) = self.fields.get(index as usize) else { return };
        let mut audience = wit::AttributeFlags::empty();
        let flags = [
            (field.client, wit::AttributeFlags::CLIENT),
            (field.all_clients, wit::AttributeFlags::ALL_CLIENTS),
            (field.persistent, wit::AttributeFlags::PERSISTENT),
            (field.volatile, wit::AttributeFlags::VOLATILE),
            (field.secret || A::SECRET, wit::AttributeFlags::SECRET),
        ];
        flags.into_iter().filter(|(set, _)| *set).for_each(|(_, flag)| audience = audience | flag);
        self.attributes.push(wit::Attribute {
            name: field.name.into(),
            type_text: A::type_text(self.definitions),
            audience,
            initial: to_bytes(value),
            was: field.was.into(),
        });
    }
}

/// Everything about one type.
pub(crate) fn describe<T: Entity + Methods>(definitions: &mut Definitions) -> wit::EntityType {
    let mut describe = Describe { definitions, fields: T::FIELDS, attributes: Vec::new() };
    T::default().visit(&mut describe);
    let attributes = describe.attributes;
    let about = T::ABOUT;
    wit::EntityType {
        name: T::NAME.into(),
        kind: match about.kind {
            Kind::Entity => wit::TypeKind::Entity,
            Kind::Space => wit::TypeKind::Space,
            Kind::Service => wit::TypeKind::Service,
            Kind::Foreign => wit::TypeKind::Foreign,
        },
        schema: about.schema,
        attributes,
        methods: T::describe(definitions),
        client_methods: <T::Client as crate::clients::ClientMethods>::describe(definitions),
        hooks: T::HOOKS.to_vec(),
        boot: about.boot,
        persistent: about.persistent,
        ticks_per_second: about.ticks_per_second,
        aoi_radius: about.aoi_radius,
        shards: about.shards,
        sleeps_unwatched: about.sleeps_unwatched,
    }
}
