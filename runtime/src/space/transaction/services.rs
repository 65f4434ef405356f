//! `wit/services.wit`: finding the shards of a service. Pure arithmetic on names.

use super::super::state::Space;
use crate::guest::GuestError;
use crate::manifest::{EntityType, TypeKind};
use crate::message::service_shard;
use everwake_protocol::EntityId;

pub(super) fn by_key(space: &Space, type_index: u32, key: &[u8]) -> Result<EntityId, GuestError> {
    let service = service(space, type_index)?;
    let hash = blake3::hash(key);
    let word = hash.as_bytes().iter().take(8).fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    let shard = word.checked_rem(u64::from(service.shards)).ok_or(GuestError::NotFound)?;
    let shard = u32::try_from(shard).map_err(|_| GuestError::NotFound)?;
    Ok(service_shard(&space.version.manifest.name, &service.name, shard))
}

pub(super) fn by_number(space: &Space, type_index: u32, shard: u32) -> Result<EntityId, GuestError> {
    let service = service(space, type_index)?;
    if shard >= service.shards {
        return Err(GuestError::NotFound);
    }
    Ok(service_shard(&space.version.manifest.name, &service.name, shard))
}

fn service(space: &Space, type_index: u32) -> Result<&EntityType, GuestError> {
    let declared = space.version.manifest.types.get(type_index as usize);
    declared.filter(|declared| declared.kind == TypeKind::Service).ok_or(GuestError::NotFound)
}
