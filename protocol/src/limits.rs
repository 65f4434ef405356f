//! Every limit that a peer can run into, with the attack or the failure it stops.

/// Version of the client protocol; others are refused with both numbers.
pub const PROTOCOL_VERSION: u16 = 1;
/// ALPN of native clients.
pub const ALPN: &[u8] = b"everwake/1";

/// Largest frame on a client's stream. Stops a length prefix from reserving memory.
pub const FRAME_BYTES_MAX: usize = 128 * 1024;
/// Largest frame before the greeting was taken. Stops strangers from filling memory.
pub const FRAME_BYTES_BEFORE_WELCOME_MAX: usize = 4 * 1024;
/// Largest datagram either way, fits every path that QUIC runs on.
pub const DATAGRAM_BYTES_MAX: usize = 1_100;
/// Bytes of the game's that travel with a pose.
pub const MOTION_BYTES_MAX: usize = 16;

/// Arguments of one call. Stops one message from starving others.
pub const ARGS_BYTES_MAX: usize = 64 * 1024;
/// One attribute's value, or one entry of a map or list attribute.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// All attributes of one entity. Stops an entity that nobody can move or save.
pub const ENTITY_BYTES_MAX: usize = 1024 * 1024;
/// Nesting of a CBOR item. Stops stack overflow in decoders that recurse.
pub const CBOR_DEPTH_MAX: usize = 32;
/// Context of one continuation, timer or watch.
pub const CONTEXT_BYTES_MAX: usize = 4 * 1024;
/// Greeting: token, version, locale.
pub const TOKEN_BYTES_MAX: usize = 1024;
/// Greeting: the client program's version.
pub const CLIENT_VERSION_BYTES_MAX: usize = 64;
/// Greeting: language tag.
pub const LOCALE_BYTES_MAX: usize = 32;
/// Name of a module.
pub const MODULE_NAME_BYTES_MAX: usize = 64;

const _: () = assert!(ARGS_BYTES_MAX + 1024 <= FRAME_BYTES_MAX, "a call fits a frame");
const _: () = assert!(VALUE_BYTES_MAX + 1024 <= FRAME_BYTES_MAX, "a delta fits a frame");
const _: () = assert!(
    TOKEN_BYTES_MAX + CLIENT_VERSION_BYTES_MAX + LOCALE_BYTES_MAX + MODULE_NAME_BYTES_MAX + 64
        <= FRAME_BYTES_BEFORE_WELCOME_MAX,
    "a greeting fits"
);
const _: () = assert!(VALUE_BYTES_MAX <= ENTITY_BYTES_MAX, "a value fits its entity");
