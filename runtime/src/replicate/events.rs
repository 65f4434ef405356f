//! What one committed event does: first the mirrors, then who sees whom, then calls, then ends.

use super::Replicator;
use super::interest::Row;
use super::limits::TELEPORT_METRES;
use super::mirror::{Arrival, Mirror};
use super::stage::Stage;
use super::values::Change;
use crate::guest::Audience;
use everwake_protocol::client::{CloseCode, Pose, ServerFrame};
use everwake_protocol::cluster::{ToGate, Viewer};
use everwake_protocol::outcome::{Outcome, code};
use everwake_protocol::{EntityId, SessionId};
use smallvec::SmallVec;

/// Moves of one event that are worth remembering where each was found.
const LONG_LIST: usize = 16;

/// What an event has touched.
#[derive(Default)]
struct Touched {
    /// Rows whose attributes changed.
    patched: Vec<Row>,
    /// Rows for which it is looked at once who sees whom.
    urgent: Vec<Row>,
    /// True once `patched` is sealed.
    sealed: bool,
}

impl Replicator {
    pub(super) fn committed(&mut self, changes: Vec<Change>, stage: &mut Stage) {
        let mut touched = Touched::default();
        let mut rest = changes;
        // Most events make nothing, and a tick may move thousands: those are not copied for it.
        if rest.iter().any(|change| matches!(change, Change::Created { .. })) {
            rest = self.arrivals(rest, &mut touched, stage);
        }
        let mut bindings = false;
        for change in &rest {
            bindings |= matches!(change, Change::Attached { .. } | Change::Detached { .. });
            self.change_mirror(change, &mut touched);
        }
        if bindings {
            self.change_bindings(&rest, &mut touched, stage);
        }
        self.look_at_urgent(&mut touched, stage);
        let mut ends = Vec::new();
        for change in rest {
            match change {
                Change::Destroyed { entity } => ends.push((entity, false)),
                Change::Left { entity } => ends.push((entity, true)),
                other => self.say(other, &mut touched, stage),
            }
        }
        for (entity, with_client) in ends {
            if let Some(row) = self.roster.find(entity) {
                self.remove(row, with_client, stage);
            }
        }
    }

    /// Takes in who is new; returns all other changes.
    fn arrivals(&mut self, changes: Vec<Change>, touched: &mut Touched, stage: &mut Stage) -> Vec<Change> {
        let mut rest = Vec::with_capacity(changes.len());
        for change in changes {
            match change {
                Change::Created { entity, type_id, slot, pose, motion, layers, attributes } => {
                    let arrival = Arrival { entity, type_id, slot, pose, motion, attributes };
                    self.arrive(arrival, layers, touched, stage);
                }
                other => rest.push(other),
            }
        }
        rest
    }

    /// Clients that are gone, then those that came.
    fn change_bindings(&mut self, changes: &[Change], touched: &mut Touched, stage: &mut Stage) {
        for change in changes {
            if let Change::Detached { session } = change {
                self.end_view(*session, stage);
            }
        }
        for change in changes {
            if let Change::Attached { entity, session, view } = change
                && let Some(row) = self.roster.find(*entity)
            {
                self.open_view(row, *session, *view, stage);
                touched.urgent.push(row);
            }
        }
    }

    fn arrive(&mut self, arrival: Arrival, layers: (u32, u32), touched: &mut Touched, stage: &mut Stage) {
        let kind = self.kinds.kind(arrival.type_id);
        let (entity, pose) = (arrival.entity, arrival.pose);
        let looks = kind.radius.filter(|_| kind.hears_aoi());
        let Some(row) = self.roster.insert(kind, arrival) else {
            self.faults.misfits += 1;
            return;
        };
        if let Some(pose) = pose {
            self.interest.place(row, &pose);
            self.interest.layers(row, layers.0, layers.1);
            if looks.is_some() {
                self.interest.observe(row, looks);
            }
            touched.urgent.push(row);
        }
        if self.space == Some(entity) {
            let sessions: Vec<SessionId> = self.views.keys().copied().collect();
            for session in sessions {
                self.show(session, row, stage);
            }
        }
    }

    fn change_mirror(&mut self, change: &Change, touched: &mut Touched) {
        match change {
            Change::Patched { entity, changes } => {
                let Some(mirror) = self.mirror(*entity) else { return };
                let fits = mirror.patch(changes);
                let row = mirror.row;
                touched.patched.push(row);
                if mirror.has_untold() && !std::mem::replace(&mut mirror.listed, true) {
                    self.untold.push(row);
                }
                self.faults.misfits += u64::from(!fits);
            }
            Change::Moved { moves, by_client } => {
                let is_long = moves.len() >= LONG_LIST;
                for (place, (entity, pose)) in moves.iter().enumerate() {
                    let row = match is_long {
                        true => self.roster.find_listed(place, *entity),
                        false => self.roster.find(*entity),
                    };
                    if let Some(row) = row {
                        self.move_mirror(row, pose, *by_client, touched);
                    }
                }
                self.stir();
            }
            Change::Motion { entity, motion } => {
                let Some(mirror) = self.mirror(*entity) else { return };
                mirror.stamp += 1;
                mirror.motion = motion.clone();
                self.stir();
            }
            Change::Misplaced { entity } => {
                let Some(owner) = self.mirror(*entity).and_then(|mirror| mirror.owner) else { return };
                if let Some(view) = self.views.get_mut(&owner.session) {
                    view.correct_own();
                    self.stir();
                }
            }
            Change::Layers { entity, sees, seen_by } => {
                let Some(mirror) = self.mirror(*entity) else { return };
                let (row, placed) = (mirror.row, mirror.pose.is_some());
                if placed {
                    self.interest.layers(row, *sees, *seen_by);
                    touched.urgent.push(row);
                }
            }
            _ => {}
        }
    }

    fn move_mirror(&mut self, row: Row, pose: &Pose, by_client: bool, touched: &mut Touched) {
        let Some(mirror) = self.roster.row_mut(row) else { return };
        // What has no place in the space gets none by moving.
        let Some(before) = mirror.pose.replace(*pose) else {
            mirror.pose = None;
            return;
        };
        let stamp = mirror.stamp;
        mirror.stamp += 1;
        let owner = mirror.owner;
        if by_client && let Some(view) = owner.and_then(|owner| self.views.get_mut(&owner.session)) {
            view.moved_by_client(stamp, stamp + 1);
        }
        self.interest.place(row, pose);
        if is_teleport(&before, pose) {
            touched.urgent.push(row);
        }
    }

    fn look_at_urgent(&mut self, touched: &mut Touched, stage: &mut Stage) {
        if touched.urgent.is_empty() {
            return;
        }
        touched.urgent.sort_unstable();
        touched.urgent.dedup();
        let mut sights = Vec::new();
        self.interest.look_at(&touched.urgent, &mut sights);
        self.take_sights(sights, stage);
    }

    fn say(&mut self, change: Change, touched: &mut Touched, stage: &mut Stage) {
        match change {
            Change::ClientCall { entity, audience, method, args } => {
                let Some(row) = self.roster.find(entity) else { return };
                let viewers =
                    self.roster.row(row).map(|mirror| listeners(mirror, audience)).unwrap_or_default();
                if !viewers.is_empty() {
                    self.seal_before(touched, Some(row), stage);
                    stage.calls.frame(&viewers, &ServerFrame::Call { entity, method, args });
                }
            }
            Change::Reply { session, entity, request, outcome } => {
                self.seal_before(touched, self.roster.find(entity), stage);
                let reply = ServerFrame::Reply { request, outcome };
                if !stage.calls.reply(session, &reply) {
                    // It was done, but what it says is lost.
                    let outcome = Outcome::unknown(code::LIMIT).to_bytes();
                    stage.calls.reply(session, &ServerFrame::Reply { request, outcome });
                }
            }
            Change::Broadcast { key, compare, value, type_id, method, args } => {
                self.seal_before(touched, None, stage);
                let owners: Vec<Row> = self.views.values().map(|view| view.own).collect();
                for row in owners {
                    self.seal(row, stage);
                }
                // The zero id: each client's own entity.
                let call = ServerFrame::Call { entity: EntityId::default(), method, args };
                let module = self.version.manifest.name.clone();
                let mut frames = Vec::new();
                call.encode(&mut frames);
                let frames = frames.into();
                stage.calls.push(ToGate::Broadcast { module, key, compare, value, type_id, frames });
            }
            Change::Filter { session, key, value } => {
                stage.calls.push(ToGate::Filter { session, key, value });
            }
            Change::ClearFilters { session } => stage.calls.push(ToGate::ClearFilters { session }),
            Change::Kick { session, reason } => {
                stage.calls.push(ToGate::Close { session, code: CloseCode::Kicked, reason });
            }
            _ => {}
        }
    }

    /// What must be told before a call: everything that the event changed, and the entity that
    /// is called.
    fn seal_before(&mut self, touched: &mut Touched, called: Option<Row>, stage: &mut Stage) {
        if !std::mem::replace(&mut touched.sealed, true) {
            for row in &touched.patched {
                self.seal(*row, stage);
            }
        }
        if let Some(row) = called {
            self.seal(row, stage);
        }
    }

    fn mirror(&mut self, entity: EntityId) -> Option<&mut Mirror> {
        let row = self.roster.find(entity)?;
        self.roster.row_mut(row)
    }
}

fn is_teleport(before: &Pose, now: &Pose) -> bool {
    let (x, z) = (f64::from(now.x) - f64::from(before.x), f64::from(now.z) - f64::from(before.z));
    x * x + z * z > TELEPORT_METRES * TELEPORT_METRES
}

fn listeners(mirror: &Mirror, audience: Audience) -> SmallVec<[Viewer; 4]> {
    match audience {
        Audience::OwnClient => mirror.owner.into_iter().collect(),
        Audience::AllClients => mirror.audience(),
        Audience::OtherClients => SmallVec::from_slice(&mirror.watchers),
    }
}
