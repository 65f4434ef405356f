//! What goes into a link's core and what comes out of it.

use crate::frame::{Batch, Class, FrameError, Lane, PerLane};
use crate::handshake::{HandshakeError, Hello};
use crate::names::{Identity, PeerName};
use crate::{Decoder, Limits};
use bytes::Bytes;
use everwake_protocol::cluster::Incarnation;

/// Names one connection of a link among all that it ever has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Who makes the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This side, again and again until the link is closed.
    Dialer,
    /// The other side.
    Listener,
}

/// What a link is.
#[derive(Clone, Debug)]
pub struct Config {
    /// This process.
    pub us: Identity,
    /// The process at the other end.
    pub peer: PeerName,
    /// Who makes the connections.
    pub side: Side,
    /// Checked with [`Limits::check`].
    pub limits: Limits,
    /// Decides how waits before new attempts differ from those of other links.
    pub seed: u64,
}

/// A message for one life of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Which life. A message for another than that which is known is given back, so that nothing meant for a
    /// process that died reaches the next one before that was told what it must know.
    pub to: Incarnation,
    /// Its class.
    pub class: Class,
    /// Opaque; at most [`Class::payload_bytes_max`].
    pub payload: Bytes,
}

/// What a link's core reacts to.
#[derive(Debug)]
pub enum Input {
    /// The connection that [`Output::Dial`] asked for stands. `certified` is who its certificate says it is.
    Connected {
        /// Which.
        connection: ConnectionId,
        /// None without TLS.
        certified: Option<PeerName>,
    },
    /// A listener's [`crate::Greeter`] took a greeting of this link's peer.
    Accepted {
        /// Given by the driver, never twice.
        connection: ConnectionId,
        /// The greeting.
        hello: Box<Hello>,
        /// With what came behind the greeting.
        decoder: Decoder,
    },
    /// Bytes came.
    Received {
        /// On which connection; of another than the present one they are ignored.
        connection: ConnectionId,
        /// In order.
        bytes: Bytes,
    },
    /// The peer's batch came as a value, from a core in the same process.
    Handed {
        /// On which connection.
        connection: ConnectionId,
        /// As the other core gave it out.
        batch: Batch,
    },
    /// The last [`Output::Write`] was handed to the system; there may be a next one.
    Written {
        /// On which connection.
        connection: ConnectionId,
    },
    /// A connection is gone.
    Disconnected {
        /// Which.
        connection: ConnectionId,
    },
    /// The connection that [`Output::Dial`] asked for could not be made.
    Unreachable {
        /// Which.
        connection: ConnectionId,
        /// For the owner.
        why: String,
    },
    /// The owner sends.
    Send(Outgoing),
    /// The owner took messages from the link.
    Consumed {
        /// Of this lane.
        lane: Lane,
        /// The sum of their [`crate::cost`].
        cost: u64,
    },
    /// Write what waits. After each round of inputs: what was sent in one round leaves in one write.
    Flush,
    /// The owner wants the link to end: what waits is sent as long as [`Limits::close_ms`] allows.
    Close,
    /// Time went on, see [`crate::Core::next_wake_ms`].
    Tick,
}

/// What a link's core wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Make a connection to the peer, and say [`Input::Connected`] or [`Input::Unreachable`].
    Dial {
        /// Its name.
        connection: ConnectionId,
    },
    /// Write this, whole and in order. Of a connection at most one is under way; but the answer to a
    /// greeting, or a refusal, may come beside it before a [`Output::Disconnect`].
    Write {
        /// Where.
        connection: ConnectionId,
        /// What.
        batch: Batch,
    },
    /// Close this connection after what was given to write, which may take no longer than [`Limits::close_ms`].
    Disconnect {
        /// Which.
        connection: ConnectionId,
    },
    /// For the owner, in order.
    Event(Event),
}

/// What a link tells its owner.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Messages flow from here on.
    Up(Up),
    /// Messages do not flow for now. What is sent waits, within its share.
    Down(DownReason),
    /// An attempt did not become a link. The dialer goes on trying.
    Failed(HandshakeError),
    /// From the peer. Tell the core when it is taken, with [`Input::Consumed`].
    Message {
        /// Its class.
        class: Class,
        /// Opaque. Shares the memory of the read that it came in: copy what is kept long.
        payload: Bytes,
    },
    /// A message of the owner that was not and will not be sent. Messages of one lane come back in their order.
    Refused {
        /// As given.
        message: Outgoing,
        /// Why.
        why: Refused,
    },
    /// The link has ended; nothing comes behind it.
    Closed,
}

/// A link stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Up {
    /// Which life of the peer is there. Messages are addressed to it.
    pub incarnation: Incarnation,
    /// What it is to this side.
    pub session: Session,
    /// What got lost with earlier connections to this life, and was not told before.
    pub lost: PerLane<Lost>,
}

/// What a peer's life is to this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// The first that was ever met under this name. Sequences begin.
    Fresh,
    /// The same as before: sequences go on, [`Up::lost`] says behind which hole.
    Resumed,
    /// A new one. What waited for the old one was given back before this, and what was sent to the old one and
    /// not answered may or may not have been done. Sequences begin.
    Restarted,
}

/// Messages of one lane that did not arrive. They are the last ones before the cut: links do not send again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Messages of this side that the peer did not get. The n-th message that a link accepts on a lane for one
    /// life of the peer has sequence n; lost are `sent_first` and those behind it.
    pub sent: u64,
    /// Sequence of the first of them, 0 if there is none.
    pub sent_first: u64,
    /// Messages of the peer that this side did not get.
    pub received: u64,
}

/// Why messages do not flow any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DownReason {
    /// The connection was closed or reset.
    #[error("the connection is gone; hint: look whether the peer is running")]
    Disconnected,
    /// Nothing came for too long.
    #[error(
        "the peer was silent for {silent_ms} ms; hint: look whether it is running and the network carries both ways"
    )]
    Silent {
        /// How long.
        silent_ms: u64,
    },
    /// It does not read.
    #[error("the peer took nothing for {stalled_ms} ms; hint: look whether it is stopped or overloaded")]
    Stalled {
        /// How long.
        stalled_ms: u64,
    },
    /// Bytes that are no frames.
    #[error("the peer sent {0}")]
    Frame(FrameError),
    /// A message is missing, or came twice.
    #[error(
        "message {found} came on the {lane:?} lane where {expected} was due; hint: run the same release on both sides"
    )]
    Gap {
        /// Where.
        lane: Lane,
        /// What had to come.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// More than was granted.
    #[error(
        "the peer sent more on the {lane:?} lane than it was granted; hint: run the same release on both sides"
    )]
    Credit {
        /// Where.
        lane: Lane,
    },
    /// A frame at a time when none of its kind may come.
    #[error("the peer sent a second greeting; hint: run the same release on both sides")]
    Greeting,
    /// The peer refused the link after all; it wrote why in its log.
    #[error("the peer refused the link; hint: its log says why")]
    Refused,
    /// The peer has made a new connection.
    #[error("the peer has connected anew")]
    Replaced,
    /// The peer said good-bye.
    #[error("the peer has closed the link")]
    Bye,
    /// This side closes.
    #[error("this side has closed the link")]
    Closed,
}

/// Why a message was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The share of its class is full.
    #[error("too much waits for the peer; hint: answer `overloaded`, or send it later")]
    Overloaded,
    /// Larger than its class allows.
    #[error("a message of {len} bytes where {max} are allowed; hint: send it in parts")]
    TooLarge {
        /// What it has.
        len: usize,
        /// What it may have.
        max: usize,
    },
    /// Meant for a life that is not there.
    #[error(
        "the message is for another life of the peer than the present one; hint: wait for `Up` and address its incarnation"
    )]
    OtherLife,
    /// The link closes or has ended.
    #[error("the link is closed")]
    Closed,
}
