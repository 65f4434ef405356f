//! Names of spaces that nobody creates: everybody knows them by what they are for.

use everwake_protocol::cluster::Incarnation;
use everwake_protocol::{EntityId, Id};

/// The id of a service's shard: fixed by names alone, so it is valid before and after everything.
pub fn service_shard(module: &str, type_name: &str, shard: u32) -> EntityId {
    let shard = shard.to_be_bytes();
    EntityId(Id::derive(&[b"service", module.as_bytes(), type_name.as_bytes(), &shard]))
}

/// The sender of what a service's shard says in one life of a game.
pub fn shard_sender(game: Incarnation, shard: EntityId) -> Id {
    let game = [u64::from(game.start), game.random].map(u64::to_be_bytes).concat();
    let shard: Vec<u8> = shard.0.0.iter().flat_map(|word| word.to_be_bytes()).collect();
    Id::derive(&[b"shard", &game, &shard])
}

/// The id of one of a module's nil shards in one life of a game: each game has its own.
pub fn nil_shard(game: Incarnation, module: &str, shard: u32) -> EntityId {
    let game = [u64::from(game.start), game.random].map(u64::to_be_bytes).concat();
    EntityId(Id::derive(&[b"nil", &game, module.as_bytes(), &shard.to_be_bytes()]))
}
