//! What goes into a gate core and what comes out: two closed lists.

use bytes::Bytes;
use everwake_protocol::client::CloseCode;
use everwake_protocol::cluster::{FromDispatcher, ToDispatcher, ToGame, ToGate};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// One connection, numbered by the driver, never twice the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Everything that can happen to a gate.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "they are moved once or twice and never kept")]
pub enum GateInput {
    /// Somebody wants to connect. Answered by [`GateOutput::Accept`], [`GateOutput::Retry`] or
    /// [`GateOutput::Refuse`].
    Incoming {
        /// Its number from now on.
        connection: ConnectionId,
        /// From where, as it says.
        address: SocketAddr,
        /// True if it has shown that it gets what is sent to `address`.
        proven: bool,
    },
    /// The handshake is done, which proves the address.
    Established {
        /// Which one.
        connection: ConnectionId,
    },
    /// Bytes of the client's stream.
    Received {
        /// Which one.
        connection: ConnectionId,
        /// In order.
        bytes: Bytes,
    },
    /// The client ended its stream: it says good-bye.
    Finished {
        /// Which one.
        connection: ConnectionId,
    },
    /// A datagram.
    Datagram {
        /// Which one.
        connection: ConnectionId,
        /// Whole.
        bytes: Bytes,
    },
    /// The client did with streams what it may not.
    Misused {
        /// Which one.
        connection: ConnectionId,
        /// What, for people.
        what: &'static str,
    },
    /// What the last [`GateOutput::Write`] said is handed to the network.
    Written {
        /// Which one.
        connection: ConnectionId,
    },
    /// Round trip as measured.
    RoundTrip {
        /// Which one.
        connection: ConnectionId,
        /// Milliseconds.
        ms: f32,
    },
    /// The connection is no more, whoever ended it.
    Gone {
        /// Which one.
        connection: ConnectionId,
        /// True if the peer fell silent.
        timed_out: bool,
    },
    /// From a dispatcher, in order. What the driver has no room for comes back the same way.
    Dispatched(FromDispatcher<ToGate, ToGame>),
    /// Time goes by; at least four times a second.
    Tick,
    /// Let nobody in from now on, or again; who is there stays.
    Drain {
        /// Which of both.
        on: bool,
    },
    /// Close everything, accept nothing.
    Shutdown,
}

/// Everything that a gate can ask for.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "they are moved once or twice and never kept")]
pub enum GateOutput {
    /// Go on with the handshake.
    Accept {
        /// Which one.
        connection: ConnectionId,
    },
    /// Refuse at the cost of one packet.
    Refuse {
        /// Which one.
        connection: ConnectionId,
    },
    /// Ask it to come again with a proof of its address, at the cost of one packet. Nothing is remembered:
    /// what comes again has another number.
    Retry {
        /// Which one.
        connection: ConnectionId,
    },
    /// Write these to the client's stream, then say [`GateInput::Written`]. There is at most
    /// one write of a connection under way.
    Write {
        /// Which one.
        connection: ConnectionId,
        /// In order; many frames.
        pieces: Vec<Bytes>,
    },
    /// Send a datagram; it may get lost.
    Datagram {
        /// Which one.
        connection: ConnectionId,
        /// Whole.
        bytes: Bytes,
    },
    /// Close the connection. `flush`: all writes are handed over already, and must arrive first, within a
    /// second or so; else at once, whatever is under way.
    Close {
        /// Which one.
        connection: ConnectionId,
        /// Why.
        code: CloseCode,
        /// Why, for people.
        reason: String,
        /// Wait for what was written.
        flush: bool,
    },
    /// To the dispatchers, in order.
    Dispatch(ToDispatcher<ToGame>),
    /// This life of the gate is over for all others: stop, as after [`GateInput::Shutdown`], and begin another one.
    Stop,
    /// A line for the log, already rate-limited.
    Log {
        /// Names the cause to programs.
        cause: &'static str,
        /// For people.
        text: String,
        /// Lines of the same cause that were left out since the last one.
        suppressed: u64,
    },
}

/// Counts since the start, and of now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GateStatus {
    /// Connections, those that still shake hands included.
    pub connections: usize,
    /// Clients that greeted.
    pub sessions: usize,
    /// Connections that were refused.
    pub refused: u64,
    /// Connections that were asked for a proof of their address.
    pub retried: u64,
    /// Connections that the gate closed because of what the client did, by the code that it was told.
    pub closed: BTreeMap<CloseCode, u64>,
    /// Games that live, as the dispatcher says.
    pub games: usize,
    /// The others hold this life of the gate for dead, and it stops.
    pub dead: bool,
    /// It lets nobody in.
    pub drains: bool,
    /// Clients that got an entity in place of one that was lost.
    pub reboots: u64,
    /// Views that began before the game of the one before had said its last.
    pub views_early: u64,
    /// Requests that were handed to the game.
    pub requests: u64,
    /// Requests that the gate answered itself: limits, exposure, overload.
    pub requests_refused: u64,
    /// Frames and positions for sessions that are gone, or of old views.
    pub dropped: u64,
    /// Bytes that wait for clients, those under way included.
    pub queued_bytes: usize,
}
