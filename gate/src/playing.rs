//! A client that greeted: its session, what it may call, and how much of it.

use crate::connection::{Cx, Greeting};
use crate::core::reply;
use crate::limits::Bucket;
use crate::modules::Modules;
use crate::pending::Pending;
use crate::targets::Targets;
use crate::views::Views;
use bytes::Bytes;
use everwake_protocol::cbor;
use everwake_protocol::client::{ClientFrame, CloseCode, MoveDatagram, Pose, ServerFrame};
use everwake_protocol::cluster::ToGame;
use everwake_protocol::limits::DEADLINE_MS_MAX;
use everwake_protocol::outcome::{Outcome, code};
use everwake_protocol::{EntityId, SessionId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What a client did to lose its connection.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: CloseCode,
    pub(crate) reason: String,
}

impl Fault {
    pub(crate) fn protocol(reason: &str) -> Fault {
        Fault { code: CloseCode::Protocol, reason: reason.to_owned() }
    }
}

/// See the head of this module.
#[derive(Debug)]
pub(crate) struct Playing {
    pub(crate) session: SessionId,
    pub(crate) module: Arc<str>,
    /// What the client said first: each entity that it gets in place of one that was lost hears it again.
    pub(crate) greeting: Greeting,
    /// Generation of the schema that the client has.
    pub(crate) generation: Option<u32>,
    pub(crate) views: Views,
    pub(crate) filters: BTreeMap<String, String>,
    pub(crate) targets: Targets,
    pub(crate) pending: Pending,
    /// When the client got an entity in place of one that was lost, within the last minute.
    pub(crate) reboots: Vec<Duration>,
    /// As last measured, ms.
    pub(crate) round_trip: Option<f32>,
    former_owner: Option<EntityId>,
    last_request: u64,
    requests: Bucket,
    methods: BTreeMap<u32, Bucket>,
    moves: Bucket,
    last_move: Option<u32>,
    /// The newest move, if it was over the rate.
    late_move: Option<(Pose, Bytes)>,
    sequence: u32,
}

impl Playing {
    pub(crate) fn new(
        session: SessionId,
        module: Arc<str>,
        boot: EntityId,
        greeting: Greeting,
        cx: &Cx<'_>,
    ) -> Playing {
        Playing {
            session,
            module,
            greeting,
            generation: None,
            views: Views::new(boot, cx.now),
            filters: BTreeMap::new(),
            targets: Targets::default(),
            pending: Pending::default(),
            reboots: Vec::new(),
            round_trip: None,
            former_owner: None,
            last_request: 0,
            requests: Bucket::per_second(cx.shared.limits.requests_per_second, cx.now),
            methods: BTreeMap::new(),
            moves: Bucket::per_second(cx.shared.limits.moves_per_second, cx.now),
            last_move: None,
            late_move: None,
            sequence: 0,
        }
    }

    /// The client's own entity, if it has one that lives, and the small id of its type.
    pub(crate) fn owner(&self) -> Option<(EntityId, u32)> {
        let view = self.views.current().filter(|view| !view.lost)?;
        Some((view.owner, view.type_id))
    }

    /// The client has another view than that of `former` now.
    pub(crate) fn view_began(&mut self, former: Option<EntityId>) {
        // It was meant for where the entity was before.
        self.late_move = None;
        if former.is_some() && former != self.views.current().map(|view| view.owner) {
            self.former_owner = former;
        }
    }

    /// The newest schema, if the client has it not. It counts as told.
    pub(crate) fn untold_schema(&mut self, modules: &Modules) -> Option<Bytes> {
        let module = modules.get(&self.module)?;
        let before = self.generation.replace(module.generation);
        (before != Some(module.generation)).then(|| module.frame.clone())
    }

    pub(crate) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// Handles a frame; what comes back is for the client.
    pub(crate) fn frame(&mut self, frame: ClientFrame, cx: &mut Cx<'_>) -> Result<Option<Bytes>, Fault> {
        match frame {
            ClientFrame::Hello { .. } => Err(Fault::protocol("a second greeting")),
            ClientFrame::Ping { nonce } => Ok(Some(ServerFrame::Pong { nonce }.to_bytes())),
            ClientFrame::Acknowledge { request } => {
                self.check_acknowledged(request)?;
                self.pending.acknowledged(request);
                for target in self.targets.acknowledged(request) {
                    let message = ToGame::Acknowledged { session: self.session, request };
                    cx.out.push(cx.shared.post.fleeting(target, message));
                }
                Ok(None)
            }
            ClientFrame::Request { request, acknowledged, target, method, deadline_ms, args } => {
                if request <= self.last_request {
                    return Err(Fault::protocol("request ids must rise"));
                }
                self.check_acknowledged(acknowledged)?;
                self.last_request = request;
                self.pending.acknowledged(acknowledged);
                let deadline_ms = deadline_ms.min(DEADLINE_MS_MAX);
                if let Err(outcome) = self.check(target, method, deadline_ms, &args, cx) {
                    cx.shared.status.requests_refused += 1;
                    return Ok(Some(reply(request, &outcome)));
                }
                let (session, module) = (self.session, Arc::clone(&self.module));
                let message =
                    ToGame::Request { session, request, acknowledged, module, method, deadline_ms, args };
                self.ask(request, target, deadline_ms, message, cx);
                Ok(None)
            }
        }
    }

    fn ask(&mut self, request: u64, target: EntityId, deadline_ms: u32, message: ToGame, cx: &mut Cx<'_>) {
        cx.shared.status.requests += 1;
        if deadline_ms > 0 {
            let game = self.views.current().map(|view| view.game);
            let until = cx.now + Duration::from_millis(deadline_ms.into());
            self.pending.add(request, target, game, until);
        }
        if let Some((forgotten, request)) = self.targets.requested(target, request) {
            // Nobody will tell it later.
            let message = ToGame::Acknowledged { session: self.session, request };
            cx.out.push(cx.shared.post.fleeting(forgotten, message));
        }
        cx.out.push(cx.shared.post.request(self.session, request, target, message));
    }

    pub(crate) fn datagram(&mut self, bytes: Bytes, cx: &mut Cx<'_>) -> Result<(), Fault> {
        let moved = MoveDatagram::decode(bytes).map_err(|error| Fault::protocol(&error.to_string()))?;
        let newer = self.last_move.is_none_or(|last| {
            let ahead = moved.sequence.wrapping_sub(last);
            ahead != 0 && ahead < 1 << 31
        });
        if newer && self.owner().is_some() {
            self.last_move = Some(moved.sequence);
            self.late_move = Some((moved.pose, moved.motion));
            self.tell_move(cx);
        }
        Ok(())
    }

    /// Tells the client's own entity the newest move that it has not heard of, if the rate allows one now.
    pub(crate) fn tell_move(&mut self, cx: &mut Cx<'_>) {
        if let Some((owner, _)) = self.owner()
            && self.late_move.is_some()
            && self.moves.take(1, cx.now)
            && let Some((pose, motion)) = self.late_move.take()
        {
            let message = ToGame::Moved { session: self.session, pose, motion };
            cx.out.push(cx.shared.post.fleeting(owner, message));
        }
    }

    fn check_acknowledged(&self, request: u64) -> Result<(), Fault> {
        if request > self.last_request {
            return Err(Fault::protocol("an answer is acknowledged that was never asked for"));
        }
        Ok(())
    }

    /// What can be known here of whether a request may run. The game checks again.
    fn check(
        &mut self,
        target: EntityId,
        method: u32,
        deadline_ms: u32,
        args: &[u8],
        cx: &Cx<'_>,
    ) -> Result<(), Outcome> {
        if !self.requests.take(1, cx.now) {
            return Err(Outcome::not_run(code::LIMIT).with_text("requests per second"));
        }
        let exposed = cx.shared.modules.get(&self.module).and_then(|module| module.method(method));
        let exposed = exposed.ok_or_else(|| Outcome::not_run(code::NOT_EXPOSED))?;
        if !exposed.live {
            return Err(Outcome::not_run(code::NO_SUCH_METHOD));
        }
        let Some(view) = self.views.current() else { return Err(Outcome::not_run(code::NOT_EXPOSED)) };
        let (owner, type_id) = (view.owner, view.type_id);
        if view.lost && target == owner {
            return Err(Outcome::not_run(code::GONE));
        }
        if !exposed.all_clients && (target, exposed.type_id) != (owner, type_id) {
            let former = self.former_owner == Some(target);
            return Err(Outcome::not_run(if former { code::REBOUND } else { code::NOT_EXPOSED }));
        }
        let rate = match exposed.calls_per_minute {
            0 => cx.shared.limits.method_calls_per_minute,
            rate => rate,
        };
        let bucket = self.methods.entry(method).or_insert_with(|| Bucket::per_minute(rate, cx.now));
        if !bucket.is_per_minute(rate) {
            *bucket = Bucket::per_minute(rate, cx.now);
        }
        if !bucket.take(1, cx.now) {
            return Err(Outcome::not_run(code::LIMIT).with_text("calls of this method per minute"));
        }
        cbor::check_array(args)
            .map_err(|error| Outcome::not_run(code::BAD_ARGUMENTS).with_text(&error.to_string()))?;
        if deadline_ms > 0 && !self.pending.has_room(cx.shared.limits.requests_pending, cx.now) {
            return Err(Outcome::not_run(code::LIMIT).with_text("requests without an answer"));
        }
        Ok(())
    }
}
