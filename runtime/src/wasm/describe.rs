//! A module's own description, as `describe` returned it, turned into the host's form. Not
//! checked here beyond what the form cannot hold.

use bytes::Bytes;
use everwake_protocol::schema::{Definition, Field, Shape};

use super::bindings::everwake::game::manifests as wit;
use crate::manifest::{
    Attribute, AttributeFlags, ClientMethod, EntityType, Exposure, Manifest, Method, TypeKind,
};

/// The host's form, or the number of a hook that does not exist.
pub(super) fn manifest(manifest: wit::Manifest) -> Result<Manifest, u32> {
    Ok(Manifest {
        name: manifest.name,
        label: manifest.label,
        sdk: manifest.sdk,
        types: manifest.types.into_iter().map(entity_type).collect::<Result<_, _>>()?,
        definitions: manifest.definitions.into_iter().map(definition).collect(),
        event_budget_ms: manifest.event_budget_ms,
        memory_bytes: manifest.memory_bytes,
        capabilities: manifest.capabilities,
    })
}

fn entity_type(ty: wit::EntityType) -> Result<EntityType, u32> {
    Ok(EntityType {
        name: ty.name,
        kind: match ty.kind {
            wit::TypeKind::Entity => TypeKind::Entity,
            wit::TypeKind::Space => TypeKind::Space,
            wit::TypeKind::Service => TypeKind::Service,
            wit::TypeKind::Foreign => TypeKind::Foreign,
        },
        schema: ty.schema,
        attributes: ty.attributes.into_iter().map(attribute).collect(),
        methods: ty.methods.into_iter().map(method).collect(),
        client_methods: ty.client_methods.into_iter().map(client_method).collect(),
        hooks: hooks(&ty.hooks)?,
        boot: ty.boot,
        persistent: ty.persistent,
        ticks_per_second: ty.ticks_per_second,
        aoi_radius: ty.aoi_radius,
        shards: ty.shards,
        sleeps_unwatched: ty.sleeps_unwatched,
    })
}

fn hooks(numbers: &[u32]) -> Result<u32, u32> {
    numbers.iter().try_fold(0_u32, |bits, &number| Ok(bits | 1_u32.checked_shl(number).ok_or(number)?))
}

fn attribute(attribute: wit::Attribute) -> Attribute {
    let has = |flag| attribute.audience.contains(flag);
    let flags = AttributeFlags {
        client: has(wit::AttributeFlags::CLIENT),
        all_clients: has(wit::AttributeFlags::ALL_CLIENTS),
        persistent: has(wit::AttributeFlags::PERSISTENT),
        volatile: has(wit::AttributeFlags::VOLATILE),
        secret: has(wit::AttributeFlags::SECRET),
    };
    Attribute {
        name: attribute.name,
        type_text: attribute.type_text,
        flags,
        initial: Bytes::from(attribute.initial),
        was: attribute.was,
    }
}

fn method(method: wit::Method) -> Method {
    Method {
        name: method.name,
        exposure: match method.exposure {
            wit::Exposure::Internal => Exposure::Internal,
            wit::Exposure::Server => Exposure::Server,
            wit::Exposure::OwnClient => Exposure::OwnClient,
            wit::Exposure::AllClients => Exposure::AllClients,
            wit::Exposure::Operator => Exposure::Operator,
        },
        parameters: fields(method.parameters),
        returns: method.returns,
        calls_per_minute: method.calls_per_minute,
        was: method.was,
    }
}

fn client_method(method: wit::ClientMethod) -> ClientMethod {
    ClientMethod { name: method.name, parameters: fields(method.parameters) }
}

fn definition(definition: wit::TypeDefinition) -> Definition {
    Definition {
        name: definition.name,
        shape: match definition.shape {
            wit::Shape::Record(parameters) => Shape::Record(fields(parameters)),
            wit::Shape::Cases(parameters) => Shape::Cases(fields(parameters)),
        },
    }
}

fn fields(parameters: Vec<wit::Parameter>) -> Vec<Field> {
    parameters
        .into_iter()
        .map(|parameter| Field { name: parameter.name, type_text: parameter.type_text })
        .collect()
}
