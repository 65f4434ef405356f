//! What comes from dispatchers: what games say to clients, what came back, who is dead.

use super::GateCore;
use crate::connection::{Connection, Cx, Phase};
use crate::session::detach;
use crate::values::GateOutput;
use crate::views::{Said, View};
use bytes::Bytes;
use everwake_protocol::SessionId;
use everwake_protocol::cluster::{Comparison, Envelope, FromDispatcher, Incarnation, ToGame, ToGate, Viewer};
use everwake_protocol::limits::DEAD_REMEMBERED_MAX;
use everwake_protocol::schema::Schema;
use std::collections::BTreeMap;
use std::time::Duration;

impl GateCore {
    pub(super) fn dispatched(
        &mut self,
        now: Duration,
        message: FromDispatcher<ToGate, ToGame>,
        out: &mut Vec<GateOutput>,
    ) {
        match message {
            FromDispatcher::Deliver(envelope) => self.said(now, envelope.source, envelope.payload, out),
            FromDispatcher::Return { envelope, reason, uncertain } => {
                let Envelope { target, payload, .. } = envelope;
                if let Some(connection) = self.shared.sessions.get(&payload.session()).copied() {
                    self.on(connection, now, out, |found, cx| {
                        found.returned(target, payload, reason, uncertain, cx);
                    });
                }
            }
            FromDispatcher::Dead(life) => self.died(now, life, out),
            FromDispatcher::Members(members) => {
                let games = members.iter().filter(|member| member.name.starts_with("game/"));
                self.shared.status.games = games.count();
                // If a dispatcher that alone knew of a death has no successor who does, it is none: of deaths gates
                // are not believed.
                self.shared.dead.retain(|life| members.iter().all(|member| member.incarnation != *life));
            }
            // A gate has no entities, asks for nothing, and what it sends is kept beneath it.
            FromDispatcher::Marker { .. }
            | FromDispatcher::Acks(_)
            | FromDispatcher::SendAgain
            | FromDispatcher::Asked { .. } => {}
        }
    }

    /// A life of a process is over, for good.
    fn died(&mut self, now: Duration, life: Incarnation, out: &mut Vec<GateOutput>) {
        if life == self.shared.post.incarnation() {
            if !self.shared.status.dead {
                self.shared.status.dead = true;
                self.stop(now, out);
                out.push(GateOutput::Stop);
            }
            return;
        }
        if !self.shared.dead.insert(life) {
            return;
        }
        if self.shared.dead.len() > DEAD_REMEMBERED_MAX {
            self.shared.dead.shift_remove_index(0);
        }
        self.each(now, out, |found, cx| found.game_died(life, cx));
    }

    fn said(&mut self, now: Duration, game: Incarnation, message: ToGate, out: &mut Vec<GateOutput>) {
        match message {
            ToGate::Schema { schema } => self.schema(now, &schema, out),
            ToGate::Frames { viewers, frames } => {
                for Viewer { session, view } in viewers {
                    self.tell(now, session, game, Some(view), Said::Frames(frames.clone()), out);
                }
            }
            ToGate::Reply { session, frame } => {
                self.tell(now, session, game, None, Said::Reply(frame), out);
            }
            ToGate::View { session, view, owner, type_id } => {
                self.view(now, session, View::new(view, game, owner, type_id, now), out);
            }
            ToGate::End { session, view } => {
                self.of_session(session, now, out, |found, cx| found.view_ended(game, view, cx));
            }
            ToGate::Orphaned { session, view } => {
                self.of_session(session, now, out, |found, cx| found.orphaned(game, view, cx));
            }
            ToGate::Positions { session, datagram } => {
                self.tell(now, session, game, Some(datagram.view), Said::Positions(datagram), out);
            }
            ToGate::Filter { session, key, value } => {
                self.tell(now, session, game, None, Said::Filter(key, value), out);
            }
            ToGate::ClearFilters { session } => {
                self.tell(now, session, game, None, Said::ClearFilters, out);
            }
            ToGate::Broadcast { module, key, compare, value, type_id, frames } => {
                let selected = Selected { module, key, compare, value, type_id };
                self.broadcast(now, &selected, &frames, out);
            }
            ToGate::Close { session, code, reason } => {
                self.tell(now, session, game, None, Said::Close(code, reason), out);
            }
        }
    }

    fn schema(&mut self, now: Duration, schema: &Schema, out: &mut Vec<GateOutput>) {
        if self.shared.modules.insert(schema) {
            self.each(now, out, Connection::unpark);
            self.each(now, out, Connection::tell_schema);
        } else {
            let text = format!("schema {} of `{}` is old or too large", schema.generation, schema.module);
            self.shared.logbook.note(now, "schema", text, out);
        }
    }

    fn tell(
        &mut self,
        now: Duration,
        session: SessionId,
        game: Incarnation,
        view: Option<u32>,
        said: Said,
        out: &mut Vec<GateOutput>,
    ) {
        self.of_session(session, now, out, |found, cx| found.said(game, view, said, cx));
    }

    fn view(&mut self, now: Duration, session: SessionId, view: View, out: &mut Vec<GateOutput>) {
        if self.shared.sessions.contains_key(&session) {
            return self.of_session(session, now, out, |found, cx| found.announced(view, cx));
        }
        // It closed while this was under way: the entity would wait for it for ever.
        self.shared.status.dropped += 1;
        let told = detach(session, view.number, view.owner, &mut Cx { shared: &mut self.shared, now, out });
        out.push(told);
    }

    fn broadcast(&mut self, now: Duration, to: &Selected, frames: &Bytes, out: &mut Vec<GateOutput>) {
        self.each(now, out, |found, cx| {
            if let Phase::Playing(playing) = found.phase_mut()
                && *playing.module == *to.module
                && playing.views.current().is_some_and(|view| view.type_id == to.type_id)
                && to.selects(&playing.filters)
            {
                found.push(frames.clone(), cx);
            }
        });
    }
}

/// Whom a broadcast is for.
struct Selected {
    module: String,
    key: String,
    compare: Comparison,
    value: String,
    type_id: u32,
}

impl Selected {
    fn selects(&self, filters: &BTreeMap<String, String>) -> bool {
        self.key.is_empty()
            || filters.get(&self.key).is_some_and(|text| self.compare.holds(text, &self.value))
    }
}
