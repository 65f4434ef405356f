//! Entities come into clients' views and leave them; what is untold is sealed.

use super::Replicator;
use super::interest::{Row, Sight};
use super::mirror::Circle;
use super::stage::Stage;
use super::values::Fact;
use super::view::View;
use bytes::Bytes;
use everwake_protocol::SessionId;
use everwake_protocol::client::ServerFrame;
use everwake_protocol::cluster::{ToGate, Viewer};
use smallvec::SmallVec;

impl Replicator {
    /// Carries out what a look at who sees whom has found.
    pub(super) fn take_sights(&mut self, mut sights: Vec<Sight>, stage: &mut Stage) {
        sights.sort_unstable_by_key(|sight| {
            (self.roster.slot(sight.observer), self.roster.slot(sight.subject))
        });
        for sight in sights {
            let (Some(observer), Some(subject)) =
                (self.roster.row(sight.observer), self.roster.row(sight.subject))
            else {
                continue;
            };
            let (from, to) = (observer.entity, subject.entity);
            let slots = (observer.slot, subject.slot);
            if sight.sees && observer.kind.hears_enter {
                self.facts.push((slots.0, slots.1, Fact::EnterAoi { observer: from, subject: to }));
            }
            if !sight.sees && observer.kind.hears_leave {
                self.facts.push((slots.0, slots.1, Fact::LeaveAoi { observer: from, subject: to }));
            }
            match observer.owner.map(|owner| owner.session) {
                Some(session) if sight.sees => self.show(session, sight.subject, stage),
                Some(session) => self.hide(session, sight.subject, stage),
                None => {}
            }
        }
    }

    /// A client's view ends here; the client is told nothing, its gate that the next one may begin.
    pub(super) fn end_view(&mut self, session: SessionId, stage: &mut Stage) {
        if let Some(view) = self.close_view(session) {
            stage.destroys.push(ToGate::End { session, view });
        }
    }

    /// A client's new view of the space, from its own entity.
    pub(super) fn open_view(&mut self, row: Row, session: SessionId, epoch: u32, stage: &mut Stage) {
        self.close_view(session);
        if let Some(before) = self.roster.row(row).and_then(|mirror| mirror.owner) {
            self.close_view(before.session);
        }
        self.seal(row, stage);
        self.tell_schema(stage);
        let Some(mirror) = self.roster.row_mut(row) else { return };
        let viewer = Viewer { session, view: epoch };
        mirror.owner = Some(viewer);
        let (owner, type_id) = (mirror.entity, mirror.type_id);
        if mirror.pose.is_some() {
            self.interest.observe(row, mirror.kind.radius);
        }
        self.views.insert(session, View::new(viewer, row));
        stage.creates.push(ToGate::View { session, view: epoch, owner, type_id });
        self.show(session, row, stage);
        if let Some(space) = self.space.and_then(|space| self.roster.find(space)) {
            self.show(session, space, stage);
        }
        // An entity that looked around without a client knows its neighbours already.
        let mut seen = self.interest.seen(row).to_vec();
        seen.sort_unstable_by_key(|row| self.roster.slot(*row));
        for row in seen {
            self.show(session, row, stage);
        }
        self.stir();
    }

    /// Forgets a client's view; answers its epoch.
    fn close_view(&mut self, session: SessionId) -> Option<u32> {
        let view = self.views.remove(&session)?;
        for row in view.rows() {
            self.regarded.push(row);
            if let Some(mirror) = self.roster.row_mut(row) {
                mirror.unwatch(session);
            }
        }
        if let Some(mirror) = self.roster.row_mut(view.own) {
            mirror.owner = None;
            if !mirror.kind.hears_aoi() {
                self.interest.observe(view.own, None);
            }
        }
        Some(view.viewer.view)
    }

    /// Brings an entity into a client's view, unless it is there.
    pub(super) fn show(&mut self, session: SessionId, row: Row, stage: &mut Stage) {
        if self.views.get(&session).is_none_or(|view| view.sees(row)) {
            return;
        }
        // What is untold is in the create: it must not come a second time, so those that saw
        // the entity before are told now.
        self.seal(row, stage);
        let (Some(view), Some(mirror)) = (self.views.get_mut(&session), self.roster.row_mut(row)) else {
            return;
        };
        let (own, viewer) = (view.own == row, view.viewer);
        let Some(handle) = view.show(mirror, self.now_ms) else { return };
        self.regarded.push(row);
        if !own {
            mirror.watch(viewer);
        }
        let entity = mirror.entity;
        let mut parts =
            mirror.whole(if own { Circle::Own } else { Circle::Others }).into_iter().map(Bytes::from);
        let create = ServerFrame::Create {
            entity,
            type_id: mirror.type_id,
            own,
            handle,
            pose: mirror.pose.unwrap_or_default(),
            attributes: parts.next().unwrap_or_default(),
        };
        stage.creates.frame(&[viewer], &create);
        for changes in parts {
            stage.creates.frame(&[viewer], &ServerFrame::Delta { entity, changes });
        }
        if !mirror.motion.is_empty() {
            self.stir();
        }
    }

    fn hide(&mut self, session: SessionId, row: Row, stage: &mut Stage) {
        // Destroys come after calls: until then the client has it, and must have it right.
        self.seal(row, stage);
        let (Some(view), Some(mirror)) = (self.views.get_mut(&session), self.roster.row_mut(row)) else {
            return;
        };
        if view.own == row || self.space == Some(mirror.entity) || !view.hide(row, self.now_ms) {
            return;
        }
        let viewer = view.viewer;
        mirror.unwatch(session);
        self.regarded.push(row);
        stage.destroys.frame(&[viewer], &ServerFrame::Destroy { entity: mirror.entity });
    }

    /// Takes an entity out. Its own client sees it go only if it does not go with it.
    pub(super) fn remove(&mut self, row: Row, with_client: bool, stage: &mut Stage) {
        for observer in self.interest.remove(row) {
            if let (Some(observer), Some(subject)) = (self.roster.row(observer), self.roster.row(row))
                && observer.kind.hears_leave
            {
                let fact = Fact::LeaveAoi { observer: observer.entity, subject: subject.entity };
                self.facts.push((observer.slot, subject.slot, fact));
            }
        }
        let Some(mirror) = self.roster.row(row) else { return };
        let (entity, own) = (mirror.entity, mirror.owner);
        let audience = if with_client { SmallVec::from_slice(&mirror.watchers) } else { mirror.audience() };
        stage.destroys.frame(&audience, &ServerFrame::Destroy { entity });
        if let Some(own) = own {
            self.end_view(own.session, stage);
        }
        for viewer in &audience {
            if let Some(view) = self.views.get_mut(&viewer.session) {
                view.hide(row, self.now_ms);
            }
        }
        self.roster.remove(row);
    }

    /// Tells everybody who sees an entity what they do not know yet.
    pub(super) fn seal(&mut self, row: Row, stage: &mut Stage) {
        let Some(mirror) = self.roster.row_mut(row) else { return };
        if !mirror.has_untold() {
            return;
        }
        let entity = mirror.entity;
        let mut tell = |circle, viewers: &[Viewer]| {
            if !viewers.is_empty() {
                for changes in mirror.news(circle) {
                    stage.deltas.frame(viewers, &ServerFrame::Delta { entity, changes: changes.into() });
                }
            }
        };
        if mirror.untold_is_public() {
            tell(Circle::Others, &mirror.audience());
        } else {
            tell(Circle::Own, mirror.owner.as_slice());
            tell(Circle::Others, &mirror.watchers);
        }
        mirror.told();
    }

    /// Tells everything that is untold, in the order of arrival of the entities.
    pub(super) fn seal_all(&mut self, stage: &mut Stage) {
        let mut rows = std::mem::take(&mut self.untold);
        rows.sort_unstable_by_key(|row| self.roster.slot(*row));
        for row in rows.drain(..) {
            self.seal(row, stage);
            if let Some(mirror) = self.roster.row_mut(row) {
                mirror.listed = false;
            }
        }
        self.untold = rows;
    }

    /// What the version shows, before the first frame that needs it.
    pub(super) fn tell_schema(&mut self, stage: &mut Stage) {
        if !std::mem::replace(&mut self.schema_told, true) {
            stage.creates.push(ToGate::Schema { schema: self.version.schema.clone() });
        }
    }
}
