//! One connection: handshake, greeting, play, end.

use crate::core::{Shared, reply};
use crate::limits::{Bucket, GateLimits};
use crate::origins::Place;
use crate::playing::{Fault, Playing};
use crate::queue::Queue;
use crate::values::{ConnectionId, GateOutput};
use bytes::Bytes;
use everwake_protocol::client::{ClientFrame, CloseCode, ServerFrame};
use everwake_protocol::cluster::{Target, ToGame};
use everwake_protocol::frame::FrameDecoder;
use everwake_protocol::limits::{
    FRAME_BYTES_BEFORE_WELCOME_MAX, LAST_WORDS_MS, PROTOCOL_VERSION, REASON_BYTES_MAX,
};
use everwake_protocol::outcome::Outcome;
use everwake_protocol::wire::cut;
use std::net::SocketAddr;
use std::time::Duration;

/// What a connection may touch while it handles something.
pub(crate) struct Cx<'a> {
    pub(crate) shared: &'a mut Shared,
    pub(crate) now: Duration,
    pub(crate) out: &'a mut Vec<GateOutput>,
}

/// What a client said first.
#[derive(Debug, Default)]
pub(crate) struct Greeting {
    module: String,
    pub(crate) token: String,
    pub(crate) version: String,
    pub(crate) locale: String,
}

/// What a connection counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A handshake with an address that has not shown to be there.
    Unproven,
    /// One of its place's.
    Counted,
    /// Nothing: its place has too many.
    Surplus,
}

/// How far a connection is.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The QUIC handshake is under way.
    Shaking,
    /// The greeting is awaited.
    Silent,
    /// It greeted, but no game is there yet.
    Parked(Greeting),
    /// It has a session.
    Playing(Box<Playing>),
    /// It ends. With a reason: when everything is written; without: the driver was told.
    Closing(Option<(CloseCode, String)>),
}

/// See the head of this module.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) address: SocketAddr,
    standing: Standing,
    phase: Phase,
    /// When the phase began, for phases that may not last.
    since: Duration,
    decoder: FrameDecoder,
    queue: Queue,
    dirty: bool,
    bytes: Bucket,
    frames: Bucket,
    datagrams: Bucket,
}

impl Connection {
    pub(crate) fn new(
        id: ConnectionId,
        address: SocketAddr,
        standing: Standing,
        now: Duration,
        limits: &GateLimits,
    ) -> Connection {
        Connection {
            id,
            address,
            standing,
            phase: Phase::Shaking,
            since: now,
            decoder: FrameDecoder::of_client(),
            queue: Queue::default(),
            dirty: false,
            bytes: Bucket::per_second(limits.stream_bytes_per_second, now),
            frames: Bucket::per_second(limits.frames_per_second, now),
            datagrams: Bucket::per_second(limits.datagrams_per_second, now),
        }
    }

    pub(crate) fn established(&mut self, cx: &mut Cx<'_>) {
        if !matches!(self.phase, Phase::Shaking) {
            return;
        }
        self.phase = Phase::Silent;
        self.since = cx.now;
        if self.standing == Standing::Unproven {
            cx.shared.unproven -= 1;
            match cx.shared.origins.enter(self.place(), cx.now, &cx.shared.limits) {
                Ok(()) => self.standing = Standing::Counted,
                Err(crowded) => {
                    self.standing = Standing::Surplus;
                    self.fail(CloseCode::Full, &crowded.to_string(), cx);
                }
            }
        }
    }

    /// It is no more, whoever ended it.
    pub(crate) fn gone(&mut self, timed_out: bool, cx: &mut Cx<'_>) {
        self.end(if timed_out { 4 } else { 0 }, cx);
        match self.standing {
            Standing::Unproven => cx.shared.unproven -= 1,
            Standing::Counted => cx.shared.origins.leave(self.place()),
            Standing::Surplus => {}
        }
    }

    pub(crate) fn received(&mut self, bytes: &[u8], cx: &mut Cx<'_>) {
        if matches!(self.phase, Phase::Closing(_)) {
            return;
        }
        if !self.bytes.take(bytes.len(), cx.now) {
            return self.fail(CloseCode::Rate, "too many bytes in a second", cx);
        }
        self.decoder.push(bytes);
        self.frames(cx);
    }

    pub(crate) fn datagram(&mut self, bytes: Bytes, cx: &mut Cx<'_>) {
        if !self.datagrams.take(1, cx.now) {
            return self.fail(CloseCode::Rate, "too many datagrams in a second", cx);
        }
        if let Phase::Playing(playing) = &mut self.phase
            && let Err(fault) = playing.datagram(bytes, cx)
        {
            self.fault(fault, cx);
        }
    }

    pub(crate) fn written(&mut self, cx: &mut Cx<'_>) {
        self.queue.done();
        self.mark(cx);
    }

    pub(crate) fn round_trip(&mut self, ms: f32, cx: &mut Cx<'_>) {
        if let Phase::Playing(playing) = &mut self.phase {
            playing.round_trip = Some(ms);
            if let Some((owner, _)) = playing.owner() {
                let message = ToGame::RoundTrip { session: playing.session, ms };
                cx.out.push(cx.shared.post.fleeting(owner, message));
            }
        }
    }

    pub(crate) fn tick(&mut self, cx: &mut Cx<'_>) {
        let waited = cx.now.saturating_sub(self.since);
        let limits = &cx.shared.limits;
        match &mut self.phase {
            Phase::Shaking if waited > limits.handshake_timeout => {
                self.fail(CloseCode::Timeout, "the handshake took too long", cx);
            }
            Phase::Silent if waited > limits.hello_timeout => {
                self.fail(CloseCode::Timeout, "no greeting came", cx);
            }
            Phase::Parked(_) if waited > limits.hello_timeout => {
                self.fail(CloseCode::Full, "no game is there", cx);
            }
            Phase::Playing(playing) => {
                let stalled = self.queue.since().map(|since| cx.now.saturating_sub(since));
                if stalled.is_some_and(|stalled| stalled > limits.write_stall) {
                    return self.fail(CloseCode::Slow, "the client does not read", cx);
                }
                playing.tell_move(cx);
                self.hurry(cx);
            }
            Phase::Closing(pending) if waited > Duration::from_millis(LAST_WORDS_MS) => {
                if let Some((code, reason)) = pending.take() {
                    // A write is stuck: to wait behind it would be to wait for ever.
                    self.queue = Queue::default();
                    cx.out.push(GateOutput::Close { connection: self.id, code, reason, flush: false });
                }
            }
            _ => {}
        }
    }

    /// Frames for the client; the schema goes first if it has not the newest.
    pub(crate) fn push(&mut self, frames: Bytes, cx: &mut Cx<'_>) {
        let Phase::Playing(playing) = &mut self.phase else { return };
        if let Some(schema) = playing.untold_schema(&cx.shared.modules) {
            self.queue.push(schema);
        }
        self.queue.push(frames);
        self.queued(cx);
    }

    /// Tells a new schema at once: who is told nothing else must know what can be called now.
    pub(crate) fn tell_schema(&mut self, cx: &mut Cx<'_>) {
        let Phase::Playing(playing) = &mut self.phase else { return };
        // Who has none yet gets it with the first frames.
        if playing.generation.is_some()
            && let Some(schema) = playing.untold_schema(&cx.shared.modules)
        {
            self.queue.push(schema);
            self.queued(cx);
        }
    }

    fn queued(&mut self, cx: &mut Cx<'_>) {
        self.mark(cx);
        let limits = &cx.shared.limits;
        if self.queue.bytes() > limits.queue_bytes || self.queue.pieces() > limits.queue_pieces {
            self.fail(CloseCode::Slow, "too much waits for the client", cx);
        }
    }

    pub(crate) fn answer(&mut self, request: u64, outcome: &Outcome, cx: &mut Cx<'_>) {
        cx.shared.status.requests_refused += 1;
        self.push(reply(request, outcome), cx);
    }

    /// A game has come: a client that waits for it may play.
    pub(crate) fn unpark(&mut self, cx: &mut Cx<'_>) {
        if let Phase::Parked(greeting) = &mut self.phase {
            let greeting = std::mem::take(greeting);
            match self.greeted(greeting, cx) {
                Ok(()) => self.frames(cx),
                Err(fault) => self.fault(fault, cx),
            }
        }
    }

    /// Ends the connection because of what the client did; nothing more is written.
    pub(crate) fn fail(&mut self, code: CloseCode, reason: &str, cx: &mut Cx<'_>) {
        if matches!(self.phase, Phase::Closing(_)) {
            return;
        }
        *cx.shared.status.closed.entry(code).or_default() += 1;
        let text = format!("closed `{}`: {reason}", self.address);
        cx.shared.logbook.note(cx.now, cause(code), text, cx.out);
        self.close(code, reason, false, cx);
    }

    /// Ends the connection; `flush`: after what waits is written, if the client takes it in time.
    pub(crate) fn close(&mut self, code: CloseCode, reason: &str, flush: bool, cx: &mut Cx<'_>) {
        if matches!(self.phase, Phase::Closing(_)) {
            return;
        }
        self.end(u32::from(code == CloseCode::Kicked), cx);
        let reason = cut(reason, REASON_BYTES_MAX).to_owned();
        let flush = flush && !matches!(self.phase, Phase::Shaking);
        self.since = cx.now;
        if flush {
            self.phase = Phase::Closing(Some((code, reason)));
            self.mark(cx);
        } else {
            self.phase = Phase::Closing(None);
            self.queue = Queue::default();
            cx.out.push(GateOutput::Close { connection: self.id, code, reason, flush });
        }
    }

    /// The session ends, if there is one: whoever has the client or was called by it is told, once.
    pub(crate) fn end(&mut self, reason: u32, cx: &mut Cx<'_>) {
        let Phase::Playing(playing) = &self.phase else { return };
        let session = playing.session;
        if cx.shared.sessions.swap_remove(&session).is_none() {
            return;
        }
        for (target, last) in playing.targets.iter() {
            cx.out.push(cx.shared.post.forget(session, target, last));
        }
        for owner in playing.views.owners() {
            cx.out.push(
                cx.shared
                    .post
                    .kept(Target::Entity(owner), ToGame::Detach { session, view: u32::MAX, reason }),
            );
        }
    }

    pub(crate) fn flush(&mut self, now: Duration, out: &mut Vec<GateOutput>) {
        self.dirty = false;
        if let Some(pieces) = self.queue.begin(now) {
            out.push(GateOutput::Write { connection: self.id, pieces });
        } else if self.queue.is_empty()
            && let Phase::Closing(pending) = &mut self.phase
            && let Some((code, reason)) = pending.take()
        {
            out.push(GateOutput::Close { connection: self.id, code, reason, flush: true });
        }
    }

    pub(crate) fn phase_mut(&mut self) -> &mut Phase {
        &mut self.phase
    }

    fn place(&self) -> Place {
        Place::of(self.address.ip())
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }

    fn mark(&mut self, cx: &mut Cx<'_>) {
        if !self.dirty {
            self.dirty = true;
            cx.shared.dirty.push(self.id);
        }
    }

    fn fault(&mut self, fault: Fault, cx: &mut Cx<'_>) {
        self.fail(fault.code, &fault.reason, cx);
    }

    /// Handles the frames that are there as a whole.
    fn frames(&mut self, cx: &mut Cx<'_>) {
        if let Err(fault) = self.try_frames(cx) {
            self.fault(fault, cx);
        }
    }

    fn try_frames(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        loop {
            match self.phase {
                Phase::Closing(_) => return Ok(()),
                Phase::Parked(_) if self.decoder.buffered() > FRAME_BYTES_BEFORE_WELCOME_MAX => {
                    return Err(Fault::protocol("too much before the welcome"));
                }
                Phase::Parked(_) => return Ok(()),
                _ => {}
            }
            let Some(raw) = self.decoder.pop().map_err(|error| Fault::protocol(&error.to_string()))? else {
                return Ok(());
            };
            if !self.frames.take(1, cx.now) {
                return Err(Fault {
                    code: CloseCode::Rate,
                    reason: "too many frames in a second".to_owned(),
                });
            }
            let frame = ClientFrame::decode(raw).map_err(|error| Fault::protocol(&error.to_string()))?;
            match (&mut self.phase, frame) {
                (Phase::Playing(playing), frame) => {
                    if let Some(answer) = playing.frame(frame, cx)? {
                        self.push(answer, cx);
                    }
                }
                (_, ClientFrame::Hello { protocol, module, token, version, locale }) => {
                    if protocol != PROTOCOL_VERSION {
                        let reason = format!(
                            "the client speaks protocol {protocol}, this gate speaks {PROTOCOL_VERSION}"
                        );
                        return Err(Fault { code: CloseCode::Version, reason });
                    }
                    self.greeted(Greeting { module, token, version, locale }, cx)?;
                }
                _ => return Err(Fault::protocol("the greeting must come first")),
            }
        }
    }

    fn greeted(&mut self, greeting: Greeting, cx: &mut Cx<'_>) -> Result<(), Fault> {
        let Some(module) = cx.shared.modules.choose(&greeting.module).map(str::to_owned) else {
            if cx.shared.modules.is_empty() {
                self.phase = Phase::Parked(greeting);
                return Ok(());
            }
            let reason = format!("no module `{}` is here", greeting.module);
            return Err(Fault { code: CloseCode::Version, reason });
        };
        let (session, boot) = (cx.shared.mint_session(), cx.shared.mint_boot());
        self.decoder.welcomed();
        cx.shared.sessions.insert(session, self.id);
        let playing = Playing::new(session, module.as_str().into(), boot, greeting, cx);
        self.phase = Phase::Playing(Box::new(playing));
        // Not through `push`: the welcome goes before the schema.
        self.queue.push(ServerFrame::Welcome { session, module }.to_bytes());
        self.push(Bytes::new(), cx);
        self.ask_for_entity(boot, 0, cx);
        Ok(())
    }
}

fn cause(code: CloseCode) -> &'static str {
    match code {
        CloseCode::Done => "done",
        CloseCode::Kicked => "kicked",
        CloseCode::Shutdown => "shutdown",
        CloseCode::Protocol => "protocol",
        CloseCode::Rate => "rate",
        CloseCode::Version => "version",
        CloseCode::Slow => "slow",
        CloseCode::Full => "full",
        CloseCode::Timeout => "timeout",
    }
}
