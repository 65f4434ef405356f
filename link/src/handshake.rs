//! How two ends meet: the greeting's bytes, and whether this greeting may become a link.
//!
//! What happens to sequences and credit when it may is in [`crate::core`].

use crate::frame::{FrameError, PerLane};
use crate::limits::{LINK_VERSION, REFUSAL_TEXT_BYTES_MAX, SEQUENCE_MAX};
use crate::names::{Identity, PeerName, Role};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use everwake_protocol::cluster::Incarnation;

/// First bytes of a greeting: `EWLK`.
const MAGIC: u32 = 0x4557_4c4b;

/// What an end says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Which version of the link it speaks. Of another version only this and `peer` are understood;
    /// the other fields are empty then.
    pub version: u16,
    /// Who says it.
    pub peer: PeerName,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Whom it wants to speak with. None if the version is another one.
    pub to: Option<PeerName>,
    /// The life of the other end that it knows, none if it never met one.
    pub remembers: Option<Incarnation>,
    /// Where it stands with that life.
    pub lanes: PerLane<Standing>,
}

/// Where an end stands in a lane with the peer's life that it remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Sequence of the last message that it sent; 0 = none.
    pub sent: u64,
    /// Sequence of the last message that it received; 0 = none.
    pub received: u64,
    /// So much it takes on this connection until it grants more.
    pub credit: u64,
}

impl Hello {
    /// Who says it, as one value.
    pub fn identity(&self) -> Identity {
        Identity { peer: self.peer.clone(), incarnation: self.incarnation }
    }

    /// Where the peer stands with one life of ours: nowhere, if it remembers another.
    pub fn standing_with(&self, life: Incarnation) -> PerLane<Standing> {
        let mut lanes = self.lanes;
        if self.remembers != Some(life) {
            for lane in [&mut lanes.main, &mut lanes.express] {
                (lane.sent, lane.received) = (0, 0);
            }
        }
        lanes
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        out.put_u32(MAGIC);
        out.put_u16(self.version);
        put_name(out, &self.peer);
        if self.version != LINK_VERSION {
            return;
        }
        put_incarnation(out, self.incarnation);
        if let Some(to) = &self.to {
            put_name(out, to);
        }
        out.put_u8(u8::from(self.remembers.is_some()));
        put_incarnation(out, self.remembers.unwrap_or_default());
        for lane in [self.lanes.main, self.lanes.express] {
            out.put_u64(lane.sent);
            out.put_u64(lane.received);
            out.put_u64(lane.credit);
        }
    }

    pub(crate) fn decode(mut raw: Bytes) -> Result<Hello, FrameError> {
        if raw.try_get_u32() != Ok(MAGIC) {
            return Err(FrameError::Field("greeting"));
        }
        let version = raw.try_get_u16().map_err(|_| FrameError::Field("version"))?;
        let peer = name(&mut raw)?;
        if version != LINK_VERSION {
            let (incarnation, lanes) = (Incarnation::default(), PerLane::default());
            return Ok(Hello { version, peer, incarnation, to: None, remembers: None, lanes });
        }
        let incarnation = incarnation(&mut raw)?;
        let to = Some(name(&mut raw)?);
        let knows = raw.try_get_u8();
        let known = self::incarnation(&mut raw)?;
        let remembers = match knows {
            Ok(0) if known == Incarnation::default() => None,
            Ok(1) => Some(known),
            _ => return Err(FrameError::Field("remembers")),
        };
        let lanes = PerLane { main: standing(&mut raw)?, express: standing(&mut raw)? };
        if !raw.is_empty() {
            return Err(FrameError::Field("length"));
        }
        Ok(Hello { version, peer, incarnation, to, remembers, lanes })
    }
}

fn put_name(out: &mut BytesMut, peer: &PeerName) {
    out.put_u8(peer.role().code());
    // At most 64 bytes by its construction.
    out.put_u8(peer.name().len() as u8);
    out.extend_from_slice(peer.name().as_bytes());
}

fn name(raw: &mut Bytes) -> Result<PeerName, FrameError> {
    let wrong = FrameError::Field("name");
    let role = raw.try_get_u8().ok().and_then(Role::from_code).ok_or(FrameError::Field("role"))?;
    let len = usize::from(raw.try_get_u8().map_err(|_| wrong)?);
    if len > raw.len() {
        return Err(wrong);
    }
    let text = raw.split_to(len);
    let text = std::str::from_utf8(&text).map_err(|_| wrong)?;
    PeerName::new(role, text).map_err(|_| wrong)
}

fn put_incarnation(out: &mut BytesMut, life: Incarnation) {
    out.put_u32(life.start);
    out.put_u64(life.random);
}

fn incarnation(raw: &mut Bytes) -> Result<Incarnation, FrameError> {
    let wrong = |_| FrameError::Field("incarnation");
    Ok(Incarnation { start: raw.try_get_u32().map_err(wrong)?, random: raw.try_get_u64().map_err(wrong)? })
}

fn standing(raw: &mut Bytes) -> Result<Standing, FrameError> {
    let mut number = |what| match raw.try_get_u64() {
        Ok(number) if number <= SEQUENCE_MAX => Ok(number),
        _ => Err(FrameError::Field(what)),
    };
    Ok(Standing { sent: number("sent")?, received: number("received")?, credit: number("credit")? })
}

/// Why a link was refused, as it goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalCode {
    /// Another version.
    Version,
    /// A role or a name that is not taken here.
    Peer,
    /// A younger life of the same process was seen.
    Stale,
    /// Another life with the same start counter was seen.
    SameStart,
    /// The certificate names another process.
    Certificate,
    /// The sequences cannot both be true.
    Contradiction,
    /// No place for one more peer.
    Full,
    /// A code of a newer release.
    Other(u8),
}

impl RefusalCode {
    const KNOWN: [(u8, RefusalCode); 7] = [
        (1, RefusalCode::Version),
        (2, RefusalCode::Peer),
        (3, RefusalCode::Stale),
        (4, RefusalCode::SameStart),
        (5, RefusalCode::Certificate),
        (6, RefusalCode::Contradiction),
        (7, RefusalCode::Full),
    ];

    /// As in the frame.
    pub fn code(self) -> u8 {
        match self {
            RefusalCode::Other(code) => code,
            known => RefusalCode::KNOWN.iter().find(|(_, it)| *it == known).map_or(0, |(code, _)| *code),
        }
    }

    /// From the frame.
    pub fn from_code(code: u8) -> RefusalCode {
        let known = RefusalCode::KNOWN.iter().find(|(it, _)| *it == code);
        known.map_or(RefusalCode::Other(code), |(_, known)| *known)
    }
}

/// The frame that says why there is no link; the same in every version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Version of the side that refuses.
    pub version: u16,
    /// Why.
    pub code: RefusalCode,
    /// The same for people, at most 256 bytes.
    pub text: String,
}

impl Refusal {
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        out.put_u16(self.version);
        out.put_u8(self.code.code());
        out.extend_from_slice(everwake_protocol::wire::cut(&self.text, REFUSAL_TEXT_BYTES_MAX).as_bytes());
    }

    pub(crate) fn decode(mut raw: Bytes) -> Result<Refusal, FrameError> {
        let version = raw.try_get_u16().map_err(|_| FrameError::Field("version"))?;
        let code = RefusalCode::from_code(raw.try_get_u8().map_err(|_| FrameError::Field("code"))?);
        let text = std::str::from_utf8(&raw).map_err(|_| FrameError::Field("text"))?;
        if text.len() > REFUSAL_TEXT_BYTES_MAX {
            return Err(FrameError::Field("text"));
        }
        Ok(Refusal { version, code, text: text.to_owned() })
    }
}

/// Why two processes did not become a link. Each names both sides.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// Two releases.
    #[error(
        "`{us}` speaks version {ours} of the link and `{them}` version {theirs}; hint: run the same release on both"
    )]
    Version {
        /// This side.
        us: PeerName,
        /// Its version.
        ours: u16,
        /// The other side.
        them: PeerName,
        /// Its version.
        theirs: u16,
    },
    /// A role that does not link here, such as a gate at a gate.
    #[error(
        "`{them}` links to `{us}`, which takes {allowed} only; hint: look at the address that `{them}` is given"
    )]
    Role {
        /// This side.
        us: PeerName,
        /// The other side.
        them: PeerName,
        /// Roles that it takes.
        allowed: String,
    },
    /// Another process than the address was said to have.
    #[error(
        "`{us}` looked for `{wanted}` and found `{them}`; hint: names and addresses are mixed up in the configuration"
    )]
    Peer {
        /// This side.
        us: PeerName,
        /// Whom it wanted.
        wanted: PeerName,
        /// Who is there.
        them: PeerName,
    },
    /// The other side looked for someone else.
    #[error(
        "`{them}` looked for `{wanted}` and found `{us}`; hint: names and addresses are mixed up in the configuration"
    )]
    Misled {
        /// This side.
        us: PeerName,
        /// Whom the other side wanted.
        wanted: PeerName,
        /// The other side.
        them: PeerName,
    },
    /// The certificate is that of another process.
    #[error(
        "a process says to `{us}` that it is `{them}`, but its certificate is that of `{certified}`; hint: give each process its own certificate"
    )]
    Certificate {
        /// This side.
        us: PeerName,
        /// Who it says to be.
        them: PeerName,
        /// Who it is.
        certified: PeerName,
    },
    /// A life that is over.
    #[error(
        "`{us}` met start {known} of `{them}` and takes start {found} no more; hint: stop the older process, or start it anew"
    )]
    Stale {
        /// This side.
        us: PeerName,
        /// The other side.
        them: PeerName,
        /// Start counter of the youngest life that was seen.
        known: u32,
        /// Start counter of this one.
        found: u32,
    },
    /// Two lives that cannot be told apart by age.
    #[error(
        "`{us}` met two processes `{them}` with the same start counter {start}; hint: give each process a name of its own, and keep its start counter"
    )]
    SameStart {
        /// This side.
        us: PeerName,
        /// The other side.
        them: PeerName,
        /// Of both.
        start: u32,
    },
    /// One side forgot, or says what is not so.
    #[error("`{them}` says what cannot be so: it {what} than `{us}` knows of; hint: start `{them}` anew")]
    Contradiction {
        /// This side.
        us: PeerName,
        /// The other side.
        them: PeerName,
        /// How.
        what: &'static str,
    },
    /// A listener that remembers no more peers.
    #[error(
        "`{us}` has no place for `{them}` beside {peers} other processes; hint: start `{us}` anew to forget old names"
    )]
    Full {
        /// This side.
        us: PeerName,
        /// The other side.
        them: PeerName,
        /// How many it remembers.
        peers: usize,
    },
    /// The other side said no.
    #[error("`{them}` refused `{us}`: {}", .refusal.text)]
    Refused {
        /// This side.
        us: PeerName,
        /// Whom it wanted.
        them: PeerName,
        /// What that said.
        refusal: Refusal,
    },
    /// Something else than a greeting came first.
    #[error("`{us}` got something else than a greeting: {error}")]
    Frame {
        /// This side.
        us: PeerName,
        /// What was wrong with it.
        error: FrameError,
    },
    /// No connection, or none that may be used.
    #[error("`{us}` does not reach `{them}`: {why}")]
    Unreachable {
        /// This side.
        us: PeerName,
        /// Whom it wanted.
        them: PeerName,
        /// What the driver says.
        why: String,
    },
    /// No greeting in time.
    #[error(
        "`{us}` waited {waited_ms} ms for a greeting; hint: is there a link at that address, and TLS on both sides or on none?"
    )]
    Timeout {
        /// This side.
        us: PeerName,
        /// How long.
        waited_ms: u64,
    },
}

impl HandshakeError {
    /// What the other side is told; nothing if it does not wait for an answer.
    pub fn refusal(&self) -> Option<Refusal> {
        let code = match self {
            HandshakeError::Version { .. } => RefusalCode::Version,
            HandshakeError::Role { .. } | HandshakeError::Peer { .. } | HandshakeError::Misled { .. } => {
                RefusalCode::Peer
            }
            HandshakeError::Certificate { .. } => RefusalCode::Certificate,
            HandshakeError::Stale { .. } => RefusalCode::Stale,
            HandshakeError::SameStart { .. } => RefusalCode::SameStart,
            HandshakeError::Contradiction { .. } => RefusalCode::Contradiction,
            HandshakeError::Full { .. } => RefusalCode::Full,
            HandshakeError::Refused { .. }
            | HandshakeError::Frame { .. }
            | HandshakeError::Unreachable { .. }
            | HandshakeError::Timeout { .. } => return None,
        };
        let text = everwake_protocol::wire::cut(&self.to_string(), REFUSAL_TEXT_BYTES_MAX).to_owned();
        Some(Refusal { version: LINK_VERSION, code, text })
    }
}

/// What a greeting has to be, before anything is known of its sender's past.
pub(crate) fn check(
    us: &PeerName,
    hello: &Hello,
    certified: Option<&PeerName>,
) -> Result<(), HandshakeError> {
    let (us, them) = (us.clone(), hello.peer.clone());
    if hello.version != LINK_VERSION {
        return Err(HandshakeError::Version { us, ours: LINK_VERSION, them, theirs: hello.version });
    }
    if let Some(certified) = certified
        && *certified != them
    {
        return Err(HandshakeError::Certificate { us, them, certified: certified.clone() });
    }
    match &hello.to {
        Some(wanted) if *wanted != us => Err(HandshakeError::Misled { us, wanted: wanted.clone(), them }),
        _ => Ok(()),
    }
}

/// Whether a life may follow the one that is known.
pub(crate) fn follows(
    us: &PeerName,
    them: &Identity,
    known: Option<Incarnation>,
) -> Result<Past, HandshakeError> {
    let (us, found) = (us.clone(), them.incarnation);
    let them = them.peer.clone();
    match known {
        None => Ok(Past::None),
        Some(known) if known == found => Ok(Past::Same),
        Some(known) if known.start < found.start => Ok(Past::Older),
        Some(known) if known.start > found.start => {
            Err(HandshakeError::Stale { us, them, known: known.start, found: found.start })
        }
        Some(_) => Err(HandshakeError::SameStart { us, them, start: found.start }),
    }
}

/// What is known of a peer that greets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    /// Nothing.
    None,
    /// This life.
    Same,
    /// An older life.
    Older,
}
