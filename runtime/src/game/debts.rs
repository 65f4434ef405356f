//! What entities said before they moved must not be overtaken by what they say afterwards (rule C10).
//!
//! A traveller brings along to whom it has said something that nobody has acknowledged, and where that is kept: its
//! debts. What is said to those at its new place is numbered and kept, and not sent before the old place says that the
//! debt is settled: arrived, or returned, or the old place is dead. Nobody waits with moving, and nobody who moves is
//! waited for, so nobody waits for himself.

use crate::cargo::Cargo;
use crate::message::Debt;
use bytes::Bytes;
use everwake_dispatcher::member::{Member, MemberInput, MemberOutput, Say};
use everwake_protocol::cluster::{Envelope, Incarnation, MessageId, Target};
use everwake_protocol::{EntityId, Id};
use std::collections::{BTreeMap, BTreeSet};

/// The debts of one process. Its methods say by the member what has to be said.
#[derive(Debug)]
pub(super) struct Debts {
    own: Incarnation,
    /// Of entities that are here, or have left and are not acknowledged yet.
    of: BTreeMap<EntityId, Vec<Debt>>,
    /// What is held here until a debt is settled.
    held: BTreeMap<Debt, Hold>,
    holds: u64,
    /// Debts of this process, and who wants to hear when they are settled.
    asked: BTreeMap<Debt, BTreeSet<Incarnation>>,
}

/// What these senders say to a debt's target.
#[derive(Debug)]
struct Hold {
    number: u64,
    senders: BTreeSet<Id>,
}

/// The links, at one time.
pub(super) struct Links<'a> {
    pub(super) member: &'a mut Member<Bytes>,
    pub(super) now_ms: u64,
    pub(super) heard: &'a mut Vec<MemberOutput<Bytes>>,
}

impl Links<'_> {
    fn say(&mut self, say: Say<Bytes>) {
        self.member.handle(self.now_ms, MemberInput::Say(say), self.heard);
    }

    fn tell(&mut self, own: Incarnation, to: Incarnation, cargo: Cargo) {
        // The member numbers what goes to a process.
        let message = MessageId { counter: 1, ..MessageId::default() };
        self.say(Say::Carry(Envelope::new(own, Target::Process(to), message, cargo.encode())));
    }

    fn owes(&self, debt: &Debt) -> bool {
        self.member.keeps_up_to(debt.sender, Target::Entity(debt.target), debt.counter)
    }
}

impl Debts {
    pub(super) fn new(own: Incarnation) -> Debts {
        Debts { own, of: BTreeMap::new(), held: BTreeMap::new(), holds: 0, asked: BTreeMap::new() }
    }

    /// What an entity has said by one of these senders, here, and nobody has acknowledged.
    pub(super) fn owed(&self, member: &Member<Bytes>, author: EntityId, senders: &[Id]) -> Vec<Debt> {
        let owed = member.owed(senders, |payload| Cargo::author(payload) == Some(author));
        let debt = |(sender, target, counter)| match target {
            Target::Entity(target) => Some(Debt { life: self.own, sender, target, counter }),
            Target::Arrival { .. } | Target::Process(_) => None,
        };
        owed.into_iter().filter_map(debt).collect()
    }

    /// An entity leaves, and may have left already and be on its way to another place: what it brings along.
    pub(super) fn leaves(&mut self, member: &Member<Bytes>, entity: EntityId, senders: &[Id]) -> Vec<Debt> {
        let mut debts = self.owed(member, entity, senders);
        let known = self.of.remove(&entity).unwrap_or_default();
        let open = |debt: &Debt| match debt.life == self.own {
            true => member.keeps_up_to(debt.sender, Target::Entity(debt.target), debt.counter),
            false => self.held.contains_key(debt),
        };
        debts.extend(known.into_iter().filter(open));
        debts.sort_unstable();
        debts.dedup();
        if !debts.is_empty() {
            self.of.insert(entity, debts.clone());
        }
        debts
    }

    /// An entity comes; what it says here goes by one of these senders. Leaves those debts that are none any more.
    pub(super) fn comes(
        &mut self,
        links: &mut Links<'_>,
        entity: EntityId,
        senders: &[Id],
        debts: &mut Vec<Debt>,
    ) {
        debts.retain(|debt| debt.life != self.own || links.owes(debt));
        let mut ask: BTreeMap<Incarnation, Vec<Debt>> = BTreeMap::new();
        for debt in &*debts {
            if !self.held.contains_key(debt) && debt.life != self.own {
                ask.entry(debt.life).or_default().push(*debt);
            }
            self.holds += 1;
            let new = Hold { number: self.holds, senders: BTreeSet::new() };
            let hold = self.held.entry(*debt).or_insert(new);
            for sender in senders {
                // Its own place in the same stream holds the order by itself.
                let is_same = debt.life == self.own && debt.sender == *sender;
                if !is_same && hold.senders.insert(*sender) {
                    let target = Target::Entity(debt.target);
                    links.say(Say::Hold { sender: *sender, target, hold: hold.number });
                }
            }
        }
        for (life, debts) in ask {
            links.tell(self.own, life, Cargo::Debts(debts));
        }
        match debts.is_empty() {
            true => drop(self.of.remove(&entity)),
            false => drop(self.of.insert(entity, debts.clone())),
        }
    }

    /// An entity is not here any more, and nobody here answers for it.
    pub(super) fn forget(&mut self, entity: EntityId) {
        self.of.remove(&entity);
    }

    /// Another game wants to hear when these are settled.
    pub(super) fn asked(&mut self, from: Incarnation, debts: Vec<Debt>) {
        for debt in debts {
            self.asked.entry(debt).or_default().insert(from);
        }
    }

    /// Another game says that these are settled, or is no more.
    pub(super) fn settled(&mut self, links: &mut Links<'_>, is_settled: impl Fn(&Debt) -> bool) {
        for (debt, hold) in self.held.extract_if(.., |debt, _| is_settled(debt)) {
            for sender in hold.senders {
                links.say(Say::LetGo { sender, target: Target::Entity(debt.target), hold: hold.number });
            }
        }
    }

    /// A process is dead: nothing of what it kept comes any more, and it asks for nothing.
    pub(super) fn died(&mut self, links: &mut Links<'_>, life: Incarnation) {
        self.settled(links, |debt| debt.life == life);
        self.asked.retain(|_, askers| {
            askers.remove(&life);
            !askers.is_empty()
        });
    }

    /// Something may have been acknowledged, or have come back.
    pub(super) fn look(&mut self, links: &mut Links<'_>) {
        if !self.held.is_empty() {
            let own = self.own;
            let settled = self.held.keys().copied();
            let settled: BTreeSet<Debt> =
                settled.filter(|debt| debt.life == own && !links.owes(debt)).collect();
            self.settled(links, |debt| settled.contains(debt));
        }
        let mut tell: BTreeMap<Incarnation, Vec<Debt>> = BTreeMap::new();
        for (debt, askers) in self.asked.extract_if(.., |debt, _| !links.owes(debt)) {
            askers.into_iter().for_each(|asker| tell.entry(asker).or_default().push(debt));
        }
        for (asker, debts) in tell {
            links.tell(self.own, asker, Cargo::Settled(debts));
        }
    }

    /// How many debts are waited for, here and by others.
    pub(super) fn len(&self) -> usize {
        self.held.len() + self.asked.len()
    }
}
