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
/// A schema. Stops a client from being filled, and a module from having a million methods.
pub const SCHEMA_BYTES_MAX: usize = 1024 * 1024;
/// Why a connection is closed, for people.
pub const REASON_BYTES_MAX: usize = 256;
/// Filter texts of one client.
pub const FILTERS_MAX: usize = 16;
/// Key of a filter text.
pub const FILTER_KEY_BYTES_MAX: usize = 64;
/// Value of a filter text.
pub const FILTER_VALUE_BYTES_MAX: usize = 256;

/// Acknowledgements in one message between processes. Keeps it well below a link's largest message.
pub const ACKS_MAX: usize = 1_024;
/// Entities or spaces in one message between processes. Keeps it well below a link's largest message.
pub const REPORTS_MAX: usize = 1_024;
/// Games and gates in one list of members.
pub const MEMBERS_MAX: usize = 1_024;
/// Modules, and labels, of one game's profile. Stops a list of members from growing without end.
pub const PROFILE_NAMES_MAX: usize = 64;
/// A label of a game; its own name with its role is one.
pub const LABEL_BYTES_MAX: usize = PROCESS_NAME_BYTES_MAX;
/// A process's name with its role: `game/name`.
pub const PROCESS_NAME_BYTES_MAX: usize = 80;

/// Connections of one gate, those that still shake hands included. Defaults of a configuration,
/// as everything below that a gate counts. Stops a flood of connections from filling memory.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Connections from one address: of IPv4 each, of IPv6 all of a /64. Stops one machine from taking all places.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 1_024;
/// New connections from one address in a minute; a whole minute's worth may come at once, as after a restart.
/// Stops one machine from keeping the gate busy with handshakes.
pub const CONNECTIONS_PER_ADDRESS_PER_MINUTE: u32 = 1_024;
/// Handshakes under way with addresses that have not shown to be there. Over it newcomers have to show it
/// first (QUIC Retry). Stops packets under false addresses from filling memory, and others from being sent
/// what they did not ask for.
pub const UNPROVEN_HANDSHAKES_MAX: usize = 256;
/// Handshakes that wait to be looked at.
pub const INCOMING_MAX: usize = 1_024;
/// Until the QUIC handshake is done. Stops half-open connections from staying.
pub const HANDSHAKE_TIMEOUT_MS: u64 = 5_000;
/// From the handshake to a whole greeting. Stops silent connections from staying.
pub const HELLO_TIMEOUT_MS: u64 = 10_000;
/// A peer that says nothing so long is gone.
pub const IDLE_TIMEOUT_MS: u64 = 20_000;
/// Both sides say something at least so often. Keeps NATs open.
pub const KEEP_ALIVE_MS: u64 = 5_000;
/// A write (128 KiB at most) that a client does not take in this time ends the connection.
pub const WRITE_STALL_MS: u64 = 10_000;
/// Bytes that wait for one client. Stops a client that does not read from filling memory.
pub const CLIENT_QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Pieces that wait for one client; each has one or more frames.
pub const CLIENT_QUEUE_PIECES_MAX: usize = 16 * 1024;
/// Requests of one client in a second; over it they are answered not-run `limit`.
pub const REQUESTS_PER_SECOND: u32 = 100;
/// Frames of one client in a second; over it the connection is closed.
pub const FRAMES_PER_SECOND: u32 = 500;
/// Bytes on one client's stream in a second; over it the connection is closed.
pub const STREAM_BYTES_PER_SECOND: u32 = 512 * 1024;
/// Moves of one client in a second; over it the newest waits for its turn and the others are dropped.
pub const MOVES_PER_SECOND: u32 = 60;
/// Datagrams of one client in a second; over it the connection is closed.
pub const DATAGRAMS_PER_SECOND: u32 = 1_000;
/// Calls of one method by one client in a minute, where the method says nothing.
pub const METHOD_CALLS_PER_MINUTE: u32 = 6_000;
/// Requests of one client that nobody has answered yet and that it waits for; over it they are answered not-run
/// `limit`. Stops a client that asks with long deadlines from filling memory.
pub const REQUESTS_PENDING_MAX: usize = 1_024;
/// Entities that one client's gate remembers to have called; the one called longest ago is forgotten first.
/// Stops a client that calls everybody from filling memory, and its end from being work without bound.
pub const SESSION_TARGETS_MAX: usize = 64;
/// Bytes for one client that wait until the game that served it before has said its last. Over it the new view
/// begins early. Stops a game that says nothing from filling a gate.
pub const VIEW_KEPT_BYTES_MAX: usize = 1024 * 1024;
/// Pieces that wait so; a view that waits is one by itself.
pub const VIEW_KEPT_PIECES_MAX: usize = 4 * 1024;
/// How long a client waits for a game that has it to say so, after the one before has said its last, and the other
/// way round. Stops a client from staying with nobody when both die in between.
pub const HANDOVER_TIMEOUT_MS: u64 = 30_000;
/// How long a client waits for its first entity, or for one in place of an entity that was lost.
pub const BOOT_TIMEOUT_MS: u64 = 30_000;
/// How often in a minute a client gets an entity in place of one that was lost. Stops a client whose entity kills
/// games from going through all of them.
pub const REBOOTS_PER_MINUTE: usize = 3;
/// How far the view of such an entity begins behind all that were seen. Views that were under way lie in between,
/// and are refused.
pub const REBOOT_VIEW_MARGIN: u32 = 16;
/// Processes that a gate knows to be dead. Stops the dead of a long life from filling memory.
pub const DEAD_REMEMBERED_MAX: usize = 1_024;
/// How many seconds of each rate may come at once after silence.
pub const BURST_SECONDS: u32 = 2;
/// A deadline that a client may ask for.
pub const DEADLINE_MS_MAX: u32 = 3_600_000;
/// How long a client may take to read what was said before a good-bye, a kick or a shutdown. Stops a client
/// that does not read from staying.
pub const LAST_WORDS_MS: u64 = 3_000;

const _: () = assert!(HELLO_TIMEOUT_MS < IDLE_TIMEOUT_MS, "silence is told apart from absence");
const _: () = assert!(FRAME_BYTES_MAX * 4 <= CLIENT_QUEUE_BYTES_MAX, "a few large frames are no slowness");
const _: () =
    assert!(VIEW_KEPT_BYTES_MAX + FRAME_BYTES_MAX <= CLIENT_QUEUE_BYTES_MAX, "a kept view fits a queue");
const _: () = assert!(SCHEMA_BYTES_MAX * 2 <= CLIENT_QUEUE_BYTES_MAX, "a schema fits a queue");
const _: () = assert!(FRAME_BYTES_MAX <= STREAM_BYTES_PER_SECOND as usize, "the largest frame is no flood");
const _: () = assert!(ARGS_BYTES_MAX + 1024 <= FRAME_BYTES_MAX, "a call fits a frame");
const _: () = assert!(VALUE_BYTES_MAX + 1024 <= FRAME_BYTES_MAX, "a delta fits a frame");
const _: () = assert!(
    TOKEN_BYTES_MAX + CLIENT_VERSION_BYTES_MAX + LOCALE_BYTES_MAX + MODULE_NAME_BYTES_MAX + 64
        <= FRAME_BYTES_BEFORE_WELCOME_MAX,
    "a greeting fits"
);
const _: () = assert!(VALUE_BYTES_MAX <= ENTITY_BYTES_MAX, "a value fits its entity");
