//! A client's session as the dispatchers' side sees it: who has the client, who shows it what, what became of its
//! requests.

use crate::connection::{Connection, Cx, Phase};
use crate::core::reply;
use crate::playing::Playing;
use crate::values::GateOutput;
use crate::views::{Begun, Overdue, Said, View};
use bytes::Bytes;
use everwake_protocol::client::{CloseCode, PositionDatagram, ServerFrame};
use everwake_protocol::cluster::{Incarnation, ReturnReason, Target, ToGame};
use everwake_protocol::frame::{HEAD_BYTES, LENGTH_BYTES, RawFrame};
use everwake_protocol::limits::{
    DATAGRAM_BYTES_MAX, FILTER_KEY_BYTES_MAX, FILTER_VALUE_BYTES_MAX, FILTERS_MAX,
};
use everwake_protocol::outcome::{Outcome, code};
use everwake_protocol::wire::cut;
use everwake_protocol::{EntityId, SessionId};
use std::time::Duration;

/// What is counted of lost entities.
const REBOOT_INTERVAL: Duration = Duration::from_secs(60);

impl Connection {
    /// Asks for an entity for the client, whose view begins behind `view`.
    pub(crate) fn ask_for_entity(&mut self, boot: EntityId, view: u32, cx: &mut Cx<'_>) {
        let address = self.address.to_string();
        let Phase::Playing(playing) = self.phase_mut() else { return };
        let Playing { session, module, greeting, .. } = &**playing;
        let connected = ToGame::Connected {
            session: *session,
            view,
            module: module.to_string(),
            address,
            token: greeting.token.clone(),
            version: greeting.version.clone(),
            locale: greeting.locale.clone(),
        };
        cx.out.push(cx.shared.post.create(boot, module.to_string(), connected));
    }

    /// A game has the client, in a new view.
    pub(crate) fn announced(&mut self, view: View, cx: &mut Cx<'_>) {
        let Phase::Playing(playing) = self.phase_mut() else { return };
        let (session, owner, game, number) = (playing.session, view.owner, view.game, view.number);
        if playing.views.announce(view) {
            if cx.shared.dead.contains(&game) {
                return self.game_died(game, cx);
            }
            self.settle(cx);
        } else {
            cx.shared.status.dropped += 1;
            // Unless it has the client by this view already, or by a later one.
            if !playing.views.has_since(owner, number) {
                let told = detach(session, number, owner, cx);
                cx.out.push(told);
            }
            self.settle(cx);
        }
    }

    /// A game says nothing more to a view.
    pub(crate) fn view_ended(&mut self, game: Incarnation, view: u32, cx: &mut Cx<'_>) {
        let Phase::Playing(playing) = self.phase_mut() else { return };
        playing.views.end(game, view, cx.now);
        self.settle(cx);
    }

    /// A game says that nobody has the client.
    pub(crate) fn orphaned(&mut self, game: Incarnation, view: u32, cx: &mut Cx<'_>) {
        let Phase::Playing(playing) = self.phase_mut() else { return };
        playing.views.orphan(game, view, cx.now);
        self.settle(cx);
    }

    /// A game is dead.
    pub(crate) fn game_died(&mut self, game: Incarnation, cx: &mut Cx<'_>) {
        let Phase::Playing(playing) = self.phase_mut() else { return };
        playing.views.died(game, cx.now);
        let views = &playing.views;
        let lost = playing.pending.died(game, |target| views.died_with(target, game));
        for request in lost {
            self.push(reply(request, &Outcome::unknown(code::PROCESS_DIED)), cx);
        }
        self.settle(cx);
    }

    /// Frames and the like of a game: shown, kept until their view begins, or void.
    pub(crate) fn said(&mut self, game: Incarnation, view: Option<u32>, said: Said, cx: &mut Cx<'_>) {
        let Phase::Playing(playing) = self.phase_mut() else {
            cx.shared.status.dropped += 1;
            return;
        };
        let Some(said) = playing.views.keep(game, view, said) else { return self.settle(cx) };
        let shown = match (&said, view) {
            (Said::Reply(_), _) => true,
            (_, None) => playing.views.speaks(game),
            (_, Some(view)) => playing.views.current().is_some_and(|it| it.number == view && it.game == game),
        };
        match shown {
            true => self.show(said, cx),
            false => cx.shared.status.dropped += 1,
        }
    }

    /// What waited too long does not wait any more.
    pub(crate) fn hurry(&mut self, cx: &mut Cx<'_>) {
        let Phase::Playing(playing) = self.phase_mut() else { return };
        match playing.views.overdue(cx.now, &cx.shared.limits) {
            None => return,
            Some(Overdue::Begin) => playing.begin_early("its game is silent", cx),
            Some(Overdue::Lost) => playing.views.give_up(),
            Some(Overdue::Boot) => {
                return self.fail(CloseCode::Full, "no game takes the client in time", cx);
            }
        }
        self.settle(cx);
    }

    /// Something of this session came back.
    pub(crate) fn returned(
        &mut self,
        target: Target,
        message: ToGame,
        reason: ReturnReason,
        uncertain: bool,
        cx: &mut Cx<'_>,
    ) {
        let Phase::Playing(playing) = self.phase_mut() else { return };
        match message {
            ToGame::Connected { .. } => {
                if playing.views.boot().map(Target::Entity) == Some(target) {
                    self.not_taken(reason, uncertain, cx);
                }
            }
            ToGame::Request { request, deadline_ms, .. } => {
                if deadline_ms == 0 || playing.pending.answer(request) {
                    let code = code_of(reason);
                    let unknown = uncertain.then(|| Outcome::unknown(code));
                    self.answer(request, &unknown.unwrap_or_else(|| Outcome::not_run(code)), cx);
                }
            }
            // Newer ones follow, or who it was for is gone.
            ToGame::Acknowledged { .. }
            | ToGame::Moved { .. }
            | ToGame::RoundTrip { .. }
            | ToGame::Forget { .. }
            | ToGame::Detach { .. }
            | ToGame::Released { .. } => {}
        }
    }

    fn not_taken(&mut self, reason: ReturnReason, uncertain: bool, cx: &mut Cx<'_>) {
        if let Phase::Playing(playing) = self.phase_mut()
            && !uncertain
        {
            // No game heard of it, so none has to hear that it is gone.
            playing.views.not_booted();
        }
        let text = match reason {
            ReturnReason::NoPlace => "no game takes the client",
            ReturnReason::Overloaded => "the game does not keep up",
            _ => "no game can be reached",
        };
        cx.shared.logbook.note(cx.now, "not-taken", text.to_owned(), cx.out);
        self.close(CloseCode::Full, text, false, cx);
    }

    /// Begins what may begin, and asks for a new entity if nobody has the client.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        loop {
            let Phase::Playing(playing) = self.phase_mut() else { return };
            let former = playing.views.current().map(|view| view.owner);
            let booted = playing.views.current().is_none_or(|view| view.lost);
            if let Some(begun) = playing.views.advance() {
                playing.view_began(former);
                self.begin(begun, booted, cx);
            } else if playing.views.is_over(&cx.shared.limits) {
                // To close the client would be to make it pay for what a game does not say, and the end of the
                // old view is void in the new one anyway, but for calls.
                playing.begin_early("too much waits behind it", cx);
            } else {
                break;
            }
        }
        if let Phase::Playing(playing) = self.phase_mut()
            && playing.views.is_lost()
        {
            self.reboot(cx);
        }
    }

    fn begin(&mut self, begun: Begun, booted: bool, cx: &mut Cx<'_>) {
        let Begun { number: view, owner, released, said } = begun;
        let Phase::Playing(playing) = self.phase_mut() else { return };
        let session = playing.session;
        if let Some(game) = released {
            let message = ToGame::Released { session, view };
            cx.out.push(cx.shared.post.kept(Target::Process(game), message));
        }
        if booted && let Some(ms) = playing.round_trip {
            // It was measured before there was anybody to hear of it.
            cx.out.push(cx.shared.post.fleeting(owner, ToGame::RoundTrip { session, ms }));
        }
        self.push(ServerFrame::Resync { view }.to_bytes(), cx);
        for said in said {
            self.show(said, cx);
        }
    }

    fn reboot(&mut self, cx: &mut Cx<'_>) {
        let Phase::Playing(playing) = self.phase_mut() else { return };
        playing.reboots.retain(|at| cx.now.saturating_sub(*at) < REBOOT_INTERVAL);
        if playing.reboots.len() >= cx.shared.limits.reboots_per_minute {
            return self.fail(CloseCode::Full, "the client's entity was lost too often", cx);
        }
        playing.reboots.push(cx.now);
        cx.shared.status.reboots += 1;
        let boot = cx.shared.mint_boot();
        let view = playing.views.reboot(boot, cx.now);
        self.ask_for_entity(boot, view, cx);
    }

    fn show(&mut self, said: Said, cx: &mut Cx<'_>) {
        match said {
            Said::Frames(frames) => self.push(frames, cx),
            Said::Reply(frame) => self.replied(frame, cx),
            Said::Positions(datagram) => self.positions(datagram, cx),
            Said::Filter(key, value) => self.filter(key, value, cx),
            Said::ClearFilters => {
                if let Phase::Playing(playing) = self.phase_mut() {
                    playing.filters.clear();
                }
            }
            Said::Close(code, reason) => self.close(code, &reason, true, cx),
        }
    }

    /// A request is answered once, whoever else answers it too.
    fn replied(&mut self, frame: Bytes, cx: &mut Cx<'_>) {
        let Phase::Playing(playing) = self.phase_mut() else { return };
        match request_of(&frame).is_some_and(|request| playing.pending.answer(request)) {
            true => self.push(frame, cx),
            false => cx.shared.status.dropped += 1,
        }
    }

    fn positions(&mut self, mut datagram: PositionDatagram, cx: &mut Cx<'_>) {
        let connection = self.id;
        let Phase::Playing(playing) = self.phase_mut() else { return };
        if datagram.encoded_len() > DATAGRAM_BYTES_MAX {
            cx.shared.status.dropped += 1;
            return;
        }
        datagram.sequence = playing.next_sequence();
        let mut bytes = Vec::with_capacity(datagram.encoded_len());
        datagram.encode(&mut bytes);
        cx.out.push(GateOutput::Datagram { connection, bytes: bytes.into() });
    }

    fn filter(&mut self, key: String, value: Option<String>, cx: &mut Cx<'_>) {
        let Phase::Playing(playing) = self.phase_mut() else { return };
        let Some(value) = value else {
            playing.filters.remove(&key);
            return;
        };
        let fits = key.len() <= FILTER_KEY_BYTES_MAX && value.len() <= FILTER_VALUE_BYTES_MAX;
        if fits && (playing.filters.len() < FILTERS_MAX || playing.filters.contains_key(&key)) {
            playing.filters.insert(key, value);
        } else {
            let text =
                format!("filter `{}` of session `{}`", cut(&key, FILTER_KEY_BYTES_MAX), playing.session);
            cx.shared.logbook.note(cx.now, "filter-limit", text, cx.out);
        }
    }
}

impl Playing {
    fn begin_early(&mut self, why: &str, cx: &mut Cx<'_>) {
        self.views.force(cx.now);
        cx.shared.status.views_early += 1;
        let text = format!("a view of session `{}` ends early: {why}", self.session);
        cx.shared.logbook.note(cx.now, "view-early", text, cx.out);
    }
}

/// Tells an entity that it has a client no more, unless it got it back by a later view than this.
pub(crate) fn detach(session: SessionId, view: u32, owner: EntityId, cx: &mut Cx<'_>) -> GateOutput {
    cx.shared.post.kept(Target::Entity(owner), ToGame::Detach { session, view, reason: 0 })
}

/// Which request a frame answers.
fn request_of(frame: &Bytes) -> Option<u64> {
    let kind = *frame.get(LENGTH_BYTES)?;
    match ServerFrame::decode(RawFrame { kind, body: frame.slice(HEAD_BYTES..) }) {
        Ok(Some(ServerFrame::Reply { request, .. })) => Some(request),
        _ => None,
    }
}

fn code_of(reason: ReturnReason) -> &'static str {
    match reason {
        ReturnReason::Gone => code::GONE,
        ReturnReason::Overloaded => code::OVERLOADED,
        ReturnReason::Unavailable | ReturnReason::Exists | ReturnReason::NoPlace | ReturnReason::Hops => {
            code::UNAVAILABLE
        }
    }
}
