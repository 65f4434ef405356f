//! Which games, gates and dispatchers there are, and which lives are over (rule C4).

use super::{Death, Fact, Router, RouterOutput};
use crate::bounded::Bounded;
use crate::limits::{ABSENT_MS, DEAD_MAX, DEATH_MS, YOUNG_MS};
use everwake_link::{PeerName, Role};
use everwake_protocol::cluster::{
    Attempt, BetweenDispatchers, Envelope, FromDispatcher, Incarnation, Profile, Weight,
};
use everwake_protocol::limits::{MEMBERS_MAX, REPORTS_MAX};
use std::collections::{BTreeMap, BTreeSet};

/// All that live, and those that do not any more.
#[derive(Debug)]
pub(super) struct Processes {
    lives: BTreeMap<Incarnation, Process>,
    /// The present life of each name.
    by_name: BTreeMap<PeerName, Incarnation>,
    /// Names of which a life has died and none has come since.
    died: BTreeSet<PeerName>,
    dead: Bounded<Incarnation, ()>,
    dispatchers: BTreeMap<PeerName, Peer>,
    /// Counts all reports that ever began here.
    reports: u64,
}

/// One life of a game or a gate.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) name: PeerName,
    pub(super) standing: Standing,
    pub(super) down_since_ms: Option<u64>,
    /// It has reported at least once: others are told of it.
    pub(super) joined: bool,
    /// Number of its last report.
    pub(super) report: u64,
    pub(super) profile: Profile,
    /// Creations given to it since its last profile.
    pub(super) placed: u32,
    /// Whom it knows to be dead, while it reports.
    knows_dead: BTreeSet<Incarnation>,
    /// Of whose deaths it was told, and has not said that it heard.
    unheard: BTreeSet<Incarnation>,
}

impl Process {
    fn new(name: PeerName, down_since_ms: Option<u64>) -> Process {
        Process {
            name,
            standing: Standing::Unheard,
            down_since_ms,
            joined: false,
            report: 0,
            profile: Profile::default(),
            placed: 0,
            knows_dead: BTreeSet::new(),
            unheard: BTreeSet::new(),
        }
    }
}

/// How much a process has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing counts before its report.
    Unheard,
    /// Its report is under way.
    Reporting,
    /// It has reported, and sends again what nobody acknowledged.
    Reported,
    /// All that it knows is known here.
    Told,
}

/// Another dispatcher.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peer {
    /// Its life, if a link stands.
    up: Option<Incarnation>,
}

impl Processes {
    pub(super) fn new(dispatchers: BTreeMap<PeerName, Peer>) -> Processes {
        Processes {
            lives: BTreeMap::new(),
            by_name: BTreeMap::new(),
            died: BTreeSet::new(),
            dead: Bounded::new(DEAD_MAX),
            dispatchers,
            reports: 0,
        }
    }

    pub(super) fn get(&self, life: Incarnation) -> Option<&Process> {
        self.lives.get(&life)
    }

    pub(super) fn get_mut(&mut self, life: Incarnation) -> Option<&mut Process> {
        self.lives.get_mut(&life)
    }

    /// In the order of their incarnations.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Incarnation, &Process)> {
        self.lives.iter().map(|(life, process)| (*life, process))
    }

    pub(super) fn life_of(&self, name: &PeerName) -> Option<&Process> {
        self.by_name.get(name).and_then(|life| self.lives.get(life))
    }

    pub(super) fn has_died(&self, name: &PeerName) -> bool {
        self.died.contains(name)
    }

    pub(super) fn is_dead(&self, life: Incarnation) -> bool {
        self.dead.get(&life).is_some()
    }

    fn has_lost_most_dispatchers(&self) -> bool {
        let down = self.dispatchers.values().filter(|peer| peer.up.is_none()).count();
        down * 2 > self.dispatchers.len()
    }
}

impl<P: Weight> Router<P> {
    pub(super) fn up(
        &mut self,
        name: PeerName,
        life: Incarnation,
        lost: bool,
        out: &mut Vec<RouterOutput<P>>,
    ) {
        if name.role() == Role::Dispatcher {
            return self.dispatcher_up(name, life, out);
        }
        if self.processes.is_dead(life) {
            return self.refuse(name, life, out);
        }
        match self.processes.by_name.get(&name).copied() {
            Some(known) if known == life => return self.up_again(life, lost, out),
            Some(known) if known > life => {
                self.declare_dead(life, Death::Replaced, out);
                return self.refuse(name, life, out);
            }
            Some(known) => self.declare_dead(known, Death::Replaced, out),
            None => {}
        }
        self.processes.died.remove(&name);
        self.processes.by_name.insert(name.clone(), life);
        self.processes.lives.insert(life, Process::new(name, None));
        self.changed = true;
    }

    /// Whom a process knows: a dispatcher that was restarted has forgotten the dead, and those who died meanwhile it
    /// has never met. Those are expected, and dead if they do not come. Of the dead only games tell.
    pub(super) fn known(
        &mut self,
        from: Incarnation,
        alive: Vec<(Incarnation, String)>,
        dead: Vec<Incarnation>,
        out: &mut Vec<RouterOutput<P>>,
    ) {
        let Some(process) = self.processes.get_mut(from) else { return };
        if process.standing == Standing::Reporting {
            process.knows_dead.extend(dead.iter().copied());
        }
        process.unheard.retain(|life| !dead.contains(life));
        if process.name.role() == Role::Game {
            for life in dead.into_iter().filter(|life| *life != from) {
                self.declare_dead(life, Death::Told, out);
            }
        }
        for (life, name) in alive {
            match name.parse::<PeerName>() {
                Ok(name) if name.role() != Role::Dispatcher => self.expect(life, name, out),
                _ => {}
            }
        }
    }

    fn expect(&mut self, life: Incarnation, name: PeerName, out: &mut Vec<RouterOutput<P>>) {
        if self.processes.is_dead(life)
            || self.processes.get(life).is_some()
            || self.processes.lives.len() >= MEMBERS_MAX
        {
            return;
        }
        match self.processes.by_name.get(&name).copied() {
            Some(known) if known > life => return self.declare_dead(life, Death::Replaced, out),
            Some(known) => self.declare_dead(known, Death::Replaced, out),
            None => {}
        }
        self.processes.died.remove(&name);
        self.processes.by_name.insert(name.clone(), life);
        // Whoever this dispatcher has never met is given the time to come that the configured ones have.
        let absent_ms = self.started_ms.unwrap_or_default().saturating_add(ABSENT_MS);
        let down_since_ms = self.now_ms.max(absent_ms.saturating_sub(DEATH_MS));
        self.processes.lives.insert(life, Process::new(name, Some(down_since_ms)));
        self.changed = true;
    }

    fn up_again(&mut self, life: Incarnation, lost: bool, out: &mut Vec<RouterOutput<P>>) {
        let Some(process) = self.processes.lives.get_mut(&life) else { return };
        process.down_since_ms = None;
        self.changed = true;
        if !lost {
            return;
        }
        process.standing = Standing::Unheard;
        out.push(RouterOutput::Fact(Fact::Lost { name: process.name.clone() }));
        self.directory.doubt(life, self.now_ms);
        // It reports and sends again by itself; what others sent to it, or what it acknowledged to them, is lost.
        for (to, process) in self.processes.iter() {
            if to != life && process.standing != Standing::Unheard && !self.planted_silence() {
                out.push(RouterOutput::Send { to, message: FromDispatcher::SendAgain });
            }
        }
    }

    fn dispatcher_up(&mut self, name: PeerName, life: Incarnation, out: &mut Vec<RouterOutput<P>>) {
        let Some(peer) = self.processes.dispatchers.get_mut(&name) else { return };
        peer.up = Some(life);
        let dead: Vec<Incarnation> = self.processes.dead.keys().collect();
        for part in dead.chunks(REPORTS_MAX) {
            out.push(RouterOutput::Peer { to: life, message: BetweenDispatchers::Dead(part.to_vec()) });
        }
    }

    fn refuse(&mut self, name: PeerName, life: Incarnation, out: &mut Vec<RouterOutput<P>>) {
        out.push(RouterOutput::Fact(Fact::Refused { name, incarnation: life }));
        out.push(RouterOutput::Send { to: life, message: FromDispatcher::Dead(life) });
    }

    pub(super) fn down(&mut self, name: &PeerName, life: Incarnation) {
        let now_ms = self.now_ms;
        if let Some(peer) = self.processes.dispatchers.get_mut(name) {
            peer.up = peer.up.filter(|up| *up != life);
        } else if let Some(process) = self.processes.lives.get_mut(&life) {
            process.down_since_ms.get_or_insert(now_ms);
        }
    }

    pub(super) fn profile_is(&mut self, from: Incarnation, profile: Profile) {
        if let Some(process) = self.processes.get_mut(from) {
            process.placed = 0;
            if process.profile != profile {
                process.profile = profile;
                self.members_dirty |= process.joined;
            }
            self.changed |= self.parking.has_any_waiting();
        }
    }

    pub(super) fn report_begins(&mut self, from: Incarnation) {
        self.processes.reports += 1;
        let report = self.processes.reports;
        if let Some(process) = self.processes.get_mut(from) {
            (process.standing, process.report) = (Standing::Reporting, report);
        }
    }

    pub(super) fn report_ends(&mut self, from: Incarnation, out: &mut Vec<RouterOutput<P>>) {
        let alone = self.config.alone;
        let Some(process) = self.processes.get_mut(from) else { return };
        if process.standing != Standing::Reporting {
            return;
        }
        // In one process nothing is ever sent again.
        process.standing = if alone { Standing::Told } else { Standing::Reported };
        let (report, knows) = (process.report, std::mem::take(&mut process.knows_dead));
        if !std::mem::replace(&mut process.joined, true) {
            let name = process.name.clone();
            out.push(RouterOutput::Fact(Fact::Joined { name, incarnation: from }));
        }
        // Whom it missed the deaths of, while its link was cut.
        let missed: Vec<Incarnation> =
            self.processes.dead.keys().filter(|life| !knows.contains(life)).collect();
        for life in missed {
            self.tell_death(from, life, out);
        }
        self.members_dirty = true;
        self.directory.end_report(from, report, self.now_ms);
        self.changed = true;
    }

    pub(super) fn told(&mut self, from: Incarnation) {
        let process = self.processes.get_mut(from);
        if let Some(process) = process.filter(|process| process.standing == Standing::Reported) {
            process.standing = Standing::Told;
        }
    }

    /// A life is over, for good: everybody is told, once.
    pub(super) fn declare_dead(&mut self, life: Incarnation, why: Death, out: &mut Vec<RouterOutput<P>>) {
        if self.processes.is_dead(life) {
            return;
        }
        self.processes.dead.insert(life, ());
        for peer in self.processes.dispatchers.values() {
            if let Some(to) = peer.up {
                out.push(RouterOutput::Peer { to, message: BetweenDispatchers::Dead(vec![life]) });
            }
        }
        for to in self.processes.lives.keys().copied().collect::<Vec<_>>() {
            self.tell_death(to, life, out);
        }
        let name = self.processes.lives.remove(&life).map(|process| process.name);
        if let Some(name) = &name {
            self.processes.by_name.remove(name);
            self.processes.died.insert(name.clone());
            self.members_dirty = true;
        }
        out.push(RouterOutput::Fact(Fact::Dead { name, incarnation: life, why }));
        self.directory.end_process(life, self.now_ms);
        self.changed = true;
    }

    fn tell_death(&mut self, to: Incarnation, life: Incarnation, out: &mut Vec<RouterOutput<P>>) {
        if let Some(process) = self.processes.lives.get_mut(&to) {
            process.unheard.insert(life);
            out.push(RouterOutput::Send { to, message: FromDispatcher::Dead(life) });
        }
    }

    /// What a process sends again before it says that it has heard of a death may be for whoever died.
    pub(super) fn in_doubt(&self, from: Incarnation, mut envelope: Envelope<P>) -> Envelope<P> {
        let process = self.processes.get(from).filter(|_| envelope.attempt == Attempt::Again);
        if process.is_some_and(|process| !process.unheard.is_empty()) {
            envelope.attempt = Attempt::Doubtful;
        }
        envelope
    }

    pub(super) fn declare_silent_dead(&mut self, out: &mut Vec<RouterOutput<P>>) {
        let due = |router: &Router<P>, process: &Process| {
            router.death_ms(process).is_some_and(|at_ms| at_ms <= router.now_ms)
        };
        let dead = self.processes.iter().filter(|(_, process)| due(self, process));
        for life in dead.map(|(life, _)| life).collect::<Vec<_>>() {
            self.declare_dead(life, Death::Silent, out);
        }
    }

    pub(super) fn next_death_ms(&self) -> Option<u64> {
        self.processes.iter().filter_map(|(_, process)| self.death_ms(process)).min()
    }

    /// When a process dies if nothing is heard of it; never while this dispatcher cannot know.
    fn death_ms(&self, process: &Process) -> Option<u64> {
        let since_ms = process.down_since_ms?;
        if self.processes.has_lost_most_dispatchers() {
            return None;
        }
        let due_ms = since_ms.saturating_add(DEATH_MS);
        let young_ms = self.started_ms.unwrap_or_default().saturating_add(YOUNG_MS);
        Some(if self.config.alone { due_ms } else { due_ms.max(young_ms) })
    }

    #[cfg(test)]
    fn planted_silence(&self) -> bool {
        self.planted(crate::simulation::Plant::NobodySendsAgain)
    }

    #[cfg(not(test))]
    fn planted_silence(&self) -> bool {
        false
    }
}
