//! The other games of the cluster: who is there, who was let in, who leads.
//!
//! The game that was let in first of all that live leads: publications go by it, and newcomers. It decides nothing
//! that others would not find out themselves: whatever it orders they hold against what they have, and each life
//! is known to all, so a new leader needs no more than to ask how everybody stands.

use super::limits::{DEAD_GAMES_MAX, FOUNDING_MS_MAX, JOIN_AGAIN_MS};
use super::report::Fact;
use super::{GameCore, GameOutput};
use crate::cargo::Cargo;
use crate::cargo::peer::{HeadMark, Peer, Standing};
use everwake_protocol::Id;
use everwake_protocol::cluster::{Incarnation, Member, MessageId, Target, ToDispatcher, ToGate};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a game knows of the others.
#[derive(Debug, Default)]
pub(super) struct Peers {
    /// Others may be there; else it leads itself.
    pub(super) among: bool,
    /// Those that live.
    pub(super) known: BTreeMap<Incarnation, Row>,
    /// Those that do not any more.
    over: BTreeSet<Incarnation>,
    /// In which order it was let in.
    pub(super) rank: Option<u32>,
    pub(super) lead: Lead,
    /// Whose orders count.
    pub(super) following: Option<Incarnation>,
    /// Everybody is known who was there before.
    listed: bool,
    /// It was the first: until then it waits for those who come with it, so that services begin where there is room.
    founding_until_ms: Option<u64>,
    /// Who was asked to let it in.
    pub(super) asked: Option<Incarnation>,
    /// When to try again what did not go.
    again_ms: Option<u64>,
    /// What it says to itself: as others hear it, after all that was said before.
    own: VecDeque<Peer>,
}

/// Another game.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// As in the configuration.
    pub(super) name: String,
    /// As it said last.
    pub(super) standing: Option<Standing>,
    /// Of which modules it takes what is new, as the dispatchers hear.
    open: BTreeSet<String>,
    /// It wants to be let in, and runs this.
    pub(super) join: Option<Vec<HeadMark>>,
    /// It could not be reached: it is greeted again.
    unreached: bool,
}

/// Whether a game leads.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Lead {
    /// Another one does.
    #[default]
    No,
    /// It will, when these have said how they stand.
    Taking(BTreeSet<Incarnation>),
    /// It does.
    Yes,
}

impl Row {
    pub(super) fn rank(&self) -> Option<u32> {
        self.standing.as_ref().and_then(|standing| standing.rank)
    }
}

impl Peers {
    /// Of a game that nobody else can join.
    pub(super) fn alone(own: Incarnation) -> Peers {
        Peers { rank: Some(1), lead: Lead::Yes, following: Some(own), ..Peers::default() }
    }

    /// Of a game that has to find the others first.
    pub(super) fn among() -> Peers {
        Peers { among: true, ..Peers::default() }
    }

    /// Whether it leads, and knows how everybody stands.
    pub(super) fn leads(&self) -> bool {
        self.lead == Lead::Yes
    }

    /// Those that were let in, but for this game.
    pub(super) fn ranked(&self) -> impl Iterator<Item = Incarnation> {
        self.known.iter().filter(|(_, row)| row.rank().is_some()).map(|(life, _)| *life)
    }

    pub(super) fn next_wake_ms(&self) -> Option<u64> {
        [self.again_ms, self.founding_until_ms].into_iter().flatten().min()
    }
}

impl GameCore {
    /// Whether this game was let in: it has all versions, and may be given work.
    pub(super) fn is_in(&self) -> bool {
        self.peers.rank.is_some()
    }

    /// All games that take part in publications, this one too.
    pub(super) fn sites(&self) -> BTreeSet<Incarnation> {
        self.peers.ranked().chain([self.incarnation]).collect()
    }

    /// A game's name, for people.
    pub(super) fn game_name(&self, life: Incarnation) -> String {
        match self.peers.known.get(&life) {
            Some(row) if !row.name.is_empty() => row.name.clone(),
            _ if life == self.incarnation => self.config.name.clone(),
            _ => format!("{life:?}"),
        }
    }

    /// Says something to a game, be it this one.
    pub(super) fn say(&mut self, to: Incarnation, peer: Peer) {
        if to == self.incarnation {
            return self.peers.own.push_back(peer);
        }
        let message = MessageId { counter: 1, ..MessageId::default() };
        self.carry(Target::Process(to), message, false, Cargo::Peer(Box::new(peer)));
    }

    /// Says something to the one that leads.
    pub(super) fn say_leader(&mut self, peer: Peer) {
        if let Some(leader) = self.peers.following {
            self.say(leader, peer);
        }
    }

    /// Says something to all others, whether they were let in or not.
    pub(super) fn say_others(&mut self, peer: &Peer) {
        for life in self.peers.known.keys().copied().collect::<Vec<_>>() {
            self.say(life, peer.clone());
        }
    }

    /// Hears what it has said to itself.
    pub(super) fn hear_own(&mut self) {
        while let Some(peer) = self.peers.own.pop_front() {
            self.heard(self.incarnation, peer);
        }
    }

    /// A game says something.
    pub(super) fn heard(&mut self, from: Incarnation, peer: Peer) {
        if self.peers.over.contains(&from) {
            return;
        }
        if from != self.incarnation {
            self.meet(from, None);
        }
        let obeyed = self.peers.following == Some(from);
        match peer {
            Peer::Standing(standing) => self.stands(from, standing),
            Peer::Join(heads) => self.join_asked(from, heads),
            Peer::Welcome { rank } => self.welcomed(from, rank),
            Peer::Take(offers) => self.take_first(from, offers),
            Peer::Want { blob, offset } => self.wanted(from, blob, offset),
            Peer::Part { blob, offset, total, bytes } => self.part_came(from, blob, offset, total, &bytes),
            Peer::Ask { ticket, ask } => self.asked_by_peer(from, ticket, ask),
            Peer::Answer { ticket, answer } => self.answered_by_peer(from, ticket, answer),
            Peer::Stage(order) if obeyed => self.stage(from, *order),
            Peer::Go { mark, reversible } if obeyed => self.go(mark, Some(reversible)),
            Peer::Drop { mark } if obeyed => self.drop_staged(mark),
            Peer::Done { module, mark } if obeyed => self.done(&module, mark),
            Peer::Judged { module, mark, state } if obeyed => self.judged(&module, mark, state),
            Peer::Stage(_)
            | Peer::Go { .. }
            | Peer::Drop { .. }
            | Peer::Done { .. }
            | Peer::Judged { .. } => self.counters.dropped += 1,
            Peer::Staged { mark, found } => self.site_staged(from, mark, found.map(|found| *found)),
            Peer::Swapped { mark, swap } => self.site_swapped(from, mark, swap),
            Peer::Paused { mark, pause } => self.site_paused(from, mark, pause),
            Peer::Strike { module, version, fault } => self.count_strike(&module, version, &fault),
            Peer::Known { module, fault } => self.learn(&module, fault),
        }
    }

    /// Those that a dispatcher knows.
    pub(super) fn games_are(&mut self, members: &[Member]) {
        if !self.peers.among {
            return;
        }
        for member in members {
            if let Some(name) = member.name.strip_prefix("game/")
                && member.incarnation != self.incarnation
            {
                self.meet(member.incarnation, Some(name));
                if let Some(row) = self.peers.known.get_mut(&member.incarnation) {
                    let open = member.profile.modules.iter().filter(|_| !member.profile.closed);
                    row.open = open.cloned().collect();
                }
            }
        }
    }

    fn meet(&mut self, life: Incarnation, name: Option<&str>) {
        if self.peers.over.contains(&life) {
            return;
        }
        if let Some(name) = name {
            // A younger life of a name is the death of the older, whoever has noticed it.
            let lives = self.peers.known.iter().filter(|(other, row)| row.name == name && **other != life);
            let lives: Vec<Incarnation> = lives.map(|(other, _)| *other).collect();
            if lives.iter().any(|other| *other > life) {
                return self.game_died(life);
            }
            lives.into_iter().for_each(|older| self.game_died(older));
        }
        let is_new = !self.peers.known.contains_key(&life);
        let row = self.peers.known.entry(life).or_default();
        if let Some(name) = name.filter(|_| row.name.is_empty()) {
            row.name = name.to_owned();
        }
        if is_new {
            let standing = self.standing(true);
            self.say(life, Peer::Standing(standing));
        }
    }

    /// Most dispatchers have named all games that were there before this one.
    pub(super) fn listed(&mut self) {
        self.peers.listed = true;
        self.consider_peers();
    }

    pub(super) fn standing(&self, asks: bool) -> Standing {
        let staged = self.staged.values().filter(|staged| !staged.order.plan);
        Standing {
            asks,
            rank: self.peers.rank,
            leads: self.peers.lead != Lead::No,
            modules: self.head_marks(),
            staged: staged.map(|staged| staged.order.mark).collect(),
            nil_shards: self.config.nil_shards.max(1),
            ready: self.ready,
        }
    }

    /// The others that run a module and take what is new: each with its number of nil shards.
    pub(super) fn takers(&self, module: &str) -> Vec<(Incarnation, u32)> {
        let takes = |(life, row): (&Incarnation, &Row)| {
            let shards = row.standing.as_ref()?.nil_shards;
            row.open.contains(module).then_some((*life, shards))
        };
        self.peers.known.iter().filter_map(takes).collect()
    }

    pub(super) fn head_marks(&self) -> Vec<HeadMark> {
        self.modules.values().map(super::modules::Module::head_mark).collect()
    }

    fn stands(&mut self, from: Incarnation, mut standing: Standing) {
        // Who was let in may not have heard of it when it said this.
        standing.rank = standing.rank.or_else(|| self.peers.known.get(&from).and_then(Row::rank));
        if standing.ready {
            self.become_ready();
        }
        if standing.leads {
            self.follow(from, standing.rank.unwrap_or(u32::MAX));
        }
        let (heads, staged, is_in, asks) =
            (standing.modules.clone(), standing.staged.clone(), standing.rank.is_some(), standing.asks);
        if let Some(row) = self.peers.known.get_mut(&from) {
            row.standing = Some(standing);
        }
        if is_in {
            self.compare_heads(from, &heads);
        }
        if asks {
            let own = self.standing(false);
            self.say(from, Peer::Standing(own));
        }
        if let Lead::Taking(waiting) = &mut self.peers.lead
            && waiting.remove(&from)
            && is_in
        {
            self.site_stands(from, &heads, &staged);
        }
        self.consider_peers();
    }

    /// Somebody leads: those before it are dead, whether that is known here or not.
    fn follow(&mut self, leader: Incarnation, rank: u32) {
        let key = (rank, leader);
        if let Some(own) = self.peers.rank.filter(|_| self.peers.lead != Lead::No) {
            if key > (own, self.incarnation) {
                return;
            }
            if self.peers.leads() {
                // Two have begun without knowing of each other: what the later one did does not count.
                return self.outlived("");
            }
            self.peers.lead = Lead::No;
            self.peers.following = None;
            self.publications.clear();
        }
        let former = self.peers.following.filter(|former| self.peers.known.contains_key(former));
        let rank_of = |life: &Incarnation| self.peers.known.get(life).and_then(Row::rank).unwrap_or(0);
        // Who follows was let in later: an older word of who led before does not count.
        if former.is_some_and(|former| former != leader && (rank_of(&former), former) > key) {
            return;
        }
        if self.peers.following.replace(leader) != Some(leader) {
            self.owner_is(leader);
            self.flush_early();
        }
    }

    /// Something has changed: found the cluster, ask to be let in, or lead.
    pub(super) fn consider_peers(&mut self) {
        match (&self.peers.lead, self.peers.rank) {
            (Lead::Taking(waiting), _) if waiting.is_empty() => self.lead_now(),
            (Lead::No, Some(rank)) => {
                let key = (rank, self.incarnation);
                let before =
                    |(life, row): (&Incarnation, &Row)| row.rank().is_some_and(|it| (it, *life) < key);
                if !self.peers.known.iter().any(before) {
                    self.take_over();
                }
            }
            (Lead::No, None) if self.peers.listed => self.consider_joining(),
            _ => {}
        }
    }

    fn consider_joining(&mut self) {
        if self.closing.is_some() || self.peers.known.values().any(|row| row.standing.is_none()) {
            return;
        }
        let leader = self.peers.following.filter(|leader| self.peers.known.contains_key(leader));
        if let Some(leader) = leader {
            if self.peers.asked != Some(leader) && self.joining.is_none() {
                self.peers.asked = Some(leader);
                let heads = self.head_marks();
                self.say(leader, Peer::Join(heads));
            }
            return;
        }
        if self.peers.ranked().next().is_some() {
            // One of them takes over, and says so.
            return;
        }
        let newest = |heads: &[HeadMark]| heads.iter().map(|head| head.generation).max().unwrap_or_default();
        let own = (std::cmp::Reverse(newest(&self.head_marks())), self.incarnation);
        let key = |(life, row): (&Incarnation, &Row)| {
            let heads = row.standing.as_ref().map(|standing| standing.modules.as_slice());
            (std::cmp::Reverse(newest(heads.unwrap_or_default())), *life)
        };
        if self.peers.known.iter().all(|other| own < key(other)) {
            self.found();
        }
    }

    /// Nobody was let in yet, or all of those are dead: begin with what is here.
    fn found(&mut self) {
        self.peers.lead = Lead::Yes;
        self.peers.following = Some(self.incarnation);
        self.enter(1);
        self.fact(Fact::Leads);
        self.peers.founding_until_ms = Some(self.now_ms + FOUNDING_MS_MAX);
        self.let_in();
        self.flush_early();
    }

    /// Whether it has just begun, and others are about to be let in.
    pub(super) fn is_founding(&self) -> bool {
        let all_are_in = self.peers.known.values().all(|row| row.rank().is_some());
        self.peers.founding_until_ms.is_some_and(|until_ms| self.now_ms < until_ms && !all_are_in)
    }

    /// This game may be given work from now on.
    pub(super) fn enter(&mut self, rank: u32) {
        self.peers.rank = Some(rank);
        self.fact(Fact::Joined { rank });
        self.dispatch(ToDispatcher::Profile(self.profile()));
        for name in self.modules.keys().cloned().collect::<Vec<_>>() {
            if let Some(module) = self.modules.get_mut(&name) {
                module.done = true;
                let schema = module.head.schema.clone();
                self.send_gate(ToGate::Schema { schema });
            }
            self.begin_services(&name);
        }
        let standing = Peer::Standing(self.standing(false));
        self.say_others(&standing);
    }

    /// All that were let in before are dead.
    fn take_over(&mut self) {
        let waiting = self.peers.known.keys().copied().collect();
        self.peers.lead = Lead::Taking(waiting);
        self.peers.following = Some(self.incarnation);
        self.owner_is(self.incarnation);
        self.resume_publications();
        let standing = Peer::Standing(self.standing(true));
        self.say_others(&standing);
        self.consider_peers();
    }

    fn lead_now(&mut self) {
        self.peers.lead = Lead::Yes;
        self.fact(Fact::Leads);
        self.resolve_publications();
        self.let_in();
        self.flush_early();
    }

    /// A life of a game is over.
    pub(super) fn game_died(&mut self, life: Incarnation) {
        self.peers.over.insert(life);
        if self.peers.over.len() > DEAD_GAMES_MAX {
            self.peers.over.pop_first();
        }
        self.peers.known.remove(&life);
        if let Lead::Taking(waiting) = &mut self.peers.lead {
            waiting.remove(&life);
        }
        if self.peers.asked == Some(life) {
            self.peers.asked = None;
        }
        if self.peers.following == Some(life) {
            // Its successor may have spoken already.
            let leads = |row: &Row| row.standing.as_ref().is_some_and(|standing| standing.leads);
            let next = self.peers.known.iter().find(|(_, row)| leads(row));
            self.peers.following = next.map(|(life, _)| *life);
            if let Some(leader) = self.peers.following {
                self.owner_is(leader);
            }
        }
        self.fetches_lost(life);
        self.asks_lost(life);
        self.site_lost(life);
        self.consider_peers();
    }

    /// What was for a game came back: word of its death follows, or it cannot be reached and is met anew after a while.
    pub(super) fn unreached(&mut self, life: Incarnation, peer: &Peer) {
        if let Peer::Ask { ticket, .. } = peer {
            self.ask_unreached(*ticket);
        }
        if let Some(row) = self.peers.known.get_mut(&life) {
            row.unreached = true;
            self.peers_again();
        }
    }

    /// Looks at the others again after a while.
    pub(super) fn peers_again(&mut self) {
        self.peers.again_ms.get_or_insert(self.now_ms + JOIN_AGAIN_MS);
    }

    pub(super) fn tend_peers(&mut self) {
        if self.peers.founding_until_ms.is_some_and(|at_ms| at_ms <= self.now_ms) {
            self.peers.founding_until_ms = None;
            self.flush_early();
        }
        if self.peers.again_ms.is_none_or(|at_ms| at_ms > self.now_ms) {
            return;
        }
        self.peers.again_ms = None;
        let unreached = self
            .peers
            .known
            .iter_mut()
            .filter_map(|(life, row)| std::mem::take(&mut row.unreached).then_some(*life));
        for life in unreached.collect::<Vec<_>>() {
            self.site_unreached(life);
            let standing = self.standing(true);
            self.say(life, Peer::Standing(standing));
        }
        self.flush_early();
        self.consider_peers();
    }

    /// What another game runs, held against what runs here.
    fn compare_heads(&mut self, from: Incarnation, heads: &[HeadMark]) {
        let mut missed = false;
        for theirs in heads {
            // Who has it ready and sees it at work knows that it was announced.
            if self.commit_on_sight(theirs.mark) {
                continue;
            }
            let Some(module) = self.modules.get(&theirs.module) else {
                missed = true;
                continue;
            };
            let own = module.head_mark();
            if own.generation == theirs.generation && own.mark != theirs.mark && self.is_in() {
                if self.incarnation > from {
                    return self.outlived(&theirs.module);
                }
            } else if own.generation < theirs.generation {
                missed = true;
            }
        }
        // Who leads hears of it from anybody, the others from the one that leads.
        let of_use = |leader| leader == from || leader == self.incarnation;
        if missed && self.is_in() && self.joining.is_none() && self.peers.following.is_some_and(of_use) {
            let heads = self.head_marks();
            self.say(from, Peer::Join(heads));
        }
    }

    /// Nothing that this life of the game does counts any more.
    pub(super) fn outlived(&mut self, module: &str) {
        self.fact(Fact::Contradicted { module: module.to_owned() });
        self.out.push(GameOutput::Outlived);
    }

    /// A name for something that has none yet.
    pub(super) fn mint_id(&mut self, what: &[u8]) -> Id {
        let counter = self.mint();
        Id::derive(&[what, &self.seed, &counter.to_be_bytes()])
    }
}
