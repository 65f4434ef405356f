//! How a core's connection becomes a link: greetings, which past the two sides share, and what got lost in it.

use super::{
    ConnectionId, Core, DownReason, Event, LANES, Lost, Open, Output, Refused, Session, Side, State, Up,
};
use crate::credit::Allowance;
use crate::frame::{Batch, Decoder, Frame, Lane, PerLane};
use crate::handshake::{self, HandshakeError, Hello, Past, Standing};
use crate::limits::LINK_VERSION;
use crate::names::PeerName;
use bytes::Bytes;

impl Core {
    pub(super) fn connected(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        certified: Option<PeerName>,
        out: &mut Vec<Output>,
    ) {
        if !matches!(&self.state, State::Dialing { connection: dialed, .. } if *dialed == connection) {
            out.push(Output::Disconnect { connection });
            return;
        }
        self.decoder = Decoder::new();
        self.state = State::Greeting { connection, certified, since_ms: now_ms };
        let hello = self.hello();
        out.push(write(connection, Frame::Hello(Box::new(hello))));
    }

    pub(super) fn accepted(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        hello: &Hello,
        decoder: Decoder,
        out: &mut Vec<Output>,
    ) {
        let closing = matches!(&self.state, State::Up(open) if open.close_at_ms.is_some());
        if self.is_closed() || closing || self.config.side != Side::Listener {
            out.push(Output::Disconnect { connection });
            return;
        }
        let past = match self.judge(hello, None) {
            Ok(past) => past,
            // What stands goes on: an old life, or a stranger, cannot push out the young one.
            Err(error) => return refuse(connection, error, out),
        };
        if self.connection().is_some() {
            self.down(now_ms, DownReason::Replaced, out);
        }
        // Built before the greeting changes what this side knows: it says how far the peer's messages came.
        let answer = self.hello();
        out.push(write(connection, Frame::Hello(Box::new(answer))));
        self.decoder = decoder;
        self.up(now_ms, connection, hello, past, out);
        // Whatever came behind the greeting.
        self.bytes_came(now_ms, connection, Bytes::new(), out);
    }

    /// The dialer's greeting was answered.
    pub(super) fn answered(&mut self, now_ms: u64, hello: &Hello, out: &mut Vec<Output>) {
        let State::Greeting { connection, certified, .. } = &self.state else { return };
        let connection = *connection;
        match self.judge(hello, certified.as_ref()) {
            Ok(past) => self.up(now_ms, connection, hello, past, out),
            Err(error) => self.give_up(now_ms, error, out),
        }
    }

    fn judge(&self, hello: &Hello, certified: Option<&PeerName>) -> Result<Past, HandshakeError> {
        let us = &self.config.us.peer;
        handshake::check(us, hello, certified)?;
        let them = hello.peer.clone();
        if them != self.config.peer {
            return Err(HandshakeError::Peer { us: us.clone(), wanted: self.config.peer.clone(), them });
        }
        let past = handshake::follows(us, &hello.identity(), self.known)?;
        let theirs = hello.standing_with(self.config.us.incarnation);
        let same = past == Past::Same;
        for lane in LANES {
            let (sent, received) = match same {
                true => (self.sent.of(lane).last, self.received.of(lane).last),
                false => (0, 0),
            };
            let wrong =
                |what| Err(HandshakeError::Contradiction { us: us.clone(), them: them.clone(), what });
            if theirs.of(lane).received > sent {
                return wrong("received more messages");
            }
            if theirs.of(lane).sent < received {
                return wrong("sent fewer messages");
            }
        }
        Ok(past)
    }

    pub(super) fn hello(&mut self) -> Hello {
        let standing = |lane: Lane, core: &mut Core| Standing {
            sent: core.sent.of(lane).last,
            received: core.received.of(lane).last,
            credit: core.windows.of_mut(lane).begin(),
        };
        let lanes = PerLane { main: standing(Lane::Main, self), express: standing(Lane::Express, self) };
        Hello {
            version: LINK_VERSION,
            peer: self.config.us.peer.clone(),
            incarnation: self.config.us.incarnation,
            to: Some(self.config.peer.clone()),
            remembers: self.known,
            lanes,
        }
    }

    fn up(
        &mut self,
        now_ms: u64,
        connection: ConnectionId,
        hello: &Hello,
        past: Past,
        out: &mut Vec<Output>,
    ) {
        let session = match past {
            Past::None => Session::Fresh,
            Past::Same => Session::Resumed,
            Past::Older => Session::Restarted,
        };
        if past != Past::Same {
            (self.sent, self.received) = (PerLane::default(), PerLane::default());
            self.give_back(Refused::OtherLife, out);
            self.known = Some(hello.incarnation);
        }
        let theirs = hello.standing_with(self.config.us.incarnation);
        let mut lost = PerLane::default();
        let mut allowances = PerLane::default();
        for lane in LANES {
            *lost.of_mut(lane) = self.settle(lane, theirs.of(lane));
            *allowances.of_mut(lane) = Allowance::begin(theirs.of(lane).credit);
        }
        self.decoder.greeted();
        self.state = State::Up(Open {
            connection,
            since_ms: now_ms,
            heard_ms: now_ms,
            wrote_ms: now_ms,
            writing_since_ms: None,
            allowances,
            close_at_ms: None,
            said_bye: false,
        });
        out.push(Output::Event(Event::Up(Up { incarnation: hello.incarnation, session, lost })));
    }

    /// What got lost on a lane and was not told, now that both sides have said where they stand.
    fn settle(&mut self, lane: Lane, theirs: &Standing) -> Lost {
        let sent = self.sent.of_mut(lane);
        let arrived = theirs.received.max(sent.settled);
        let sent_lost = sent.last.saturating_sub(arrived);
        sent.settled = sent.last;
        let received = self.received.of_mut(lane);
        let received_lost = theirs.sent.saturating_sub(received.settled);
        received.settled = received.settled.max(theirs.sent);
        let sent_first = if sent_lost == 0 { 0 } else { arrived + 1 };
        Lost { sent: sent_lost, sent_first, received: received_lost }
    }

    /// The dialer's attempt came to nothing.
    pub(super) fn give_up(&mut self, now_ms: u64, error: HandshakeError, out: &mut Vec<Output>) {
        if let Some(connection) = self.connection() {
            refuse(connection, error, out);
        }
        self.wait(now_ms);
    }
}

/// A write of one frame.
fn write(connection: ConnectionId, frame: Frame) -> Output {
    Output::Write { connection, batch: Batch { frames: vec![frame] } }
}

/// Tells the other side why not, if it waits for an answer, and the owner too.
fn refuse(connection: ConnectionId, error: HandshakeError, out: &mut Vec<Output>) {
    let refusal = error.refusal();
    out.extend(refusal.map(|refusal| write(connection, Frame::Refused(Box::new(refusal)))));
    out.push(Output::Disconnect { connection });
    out.push(Output::Event(Event::Failed(error)));
}
