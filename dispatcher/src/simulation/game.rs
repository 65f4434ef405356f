//! A game in the smallest form that moves entities by the rules.

use super::truth::Truth;
use super::{Dice, Plant};
use crate::marks::{Marks, Taken};
use crate::member::{Member, MemberConfig, MemberEvent, MemberInput, MemberOutput, Say as Out};
use everwake_link::PeerName;
use everwake_protocol::cluster::{
    Ack, EntityReport, Envelope, Incarnation, MessageId, Placement, Profile, ReturnReason, SpaceReport,
    Target, Weight,
};
use everwake_protocol::{EntityId, Id};
use std::collections::{BTreeMap, BTreeSet};

/// What envelopes say.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Say {
    Hello,
    Make,
    Arrive(Fox),
}

impl Weight for Say {
    fn bytes(&self) -> usize {
        16
    }
}

/// An entity, as it moves.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fox {
    epoch: u32,
    marks: Marks,
    counter: u64,
    wish: Wish,
    age: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Wish {
    #[default]
    Stay,
    /// Says nothing new, until all that it said has arrived.
    Quiet(EntityId),
    Blocked(EntityId),
}

#[derive(Debug)]
pub(super) struct Game {
    pub(super) member: Member<Say>,
    pub(super) life: Incarnation,
    pub(super) home: (usize, u32),
    pub(super) space: EntityId,
    pub(super) foxes: BTreeMap<EntityId, Fox>,
    leaving: BTreeMap<EntityId, (Fox, Target)>,
    /// All that were made here ever.
    made: BTreeSet<EntityId>,
    arrived: BTreeMap<EntityId, u32>,
    counter: u64,
    intents: u32,
    plant: Option<Plant>,
    /// It was declared dead: what it does is void.
    pub(super) is_void: bool,
    /// It was told that it is dead.
    pub(super) is_over: bool,
}

type Outs = Vec<MemberOutput<Say>>;

impl Game {
    pub(super) fn new(place: usize, start: u32, dispatchers: Vec<PeerName>, plant: Option<Plant>) -> Game {
        let life = Incarnation { start, random: place as u64 + 1 };
        let config = MemberConfig { plant, ..MemberConfig::new(life, dispatchers) };
        let mut member = Member::new(config);
        member.handle(0, MemberInput::Say(Out::Profile(Profile::default())), &mut Vec::new());
        Game {
            member,
            life,
            home: (place, start),
            space: EntityId(Id::derive(&[b"space", &[place as u8], &start.to_be_bytes()])),
            foxes: BTreeMap::new(),
            leaving: BTreeMap::new(),
            made: BTreeSet::new(),
            arrived: BTreeMap::new(),
            counter: 0,
            intents: 0,
            plant,
            is_void: false,
            is_over: false,
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        let moving = self.foxes.values().any(|fox| fox.wish != Wish::Stay);
        self.member.kept().0 == 0 && self.leaving.is_empty() && !moving
    }

    pub(super) fn unsettled(&self) -> String {
        format!("{:?} keeps {:?}, {} leaving", self.home, self.member.kept(), self.leaving.len())
    }

    fn say(&mut self, say: Out<Say>, now_ms: u64, out: &mut Outs) {
        self.member.handle(now_ms, MemberInput::Say(say), out);
    }

    fn envelope(&self, target: Target, sender: Id, counter: u64, payload: Say) -> Envelope<Say> {
        let message = MessageId { sender, epoch: 0, counter };
        Envelope { refusable: payload == Say::Hello, ..Envelope::new(self.life, target, message, payload) }
    }

    /// Something that a game does by itself.
    pub(super) fn act(
        &mut self,
        dice: &mut Dice,
        truth: &mut Truth,
        spaces: &[EntityId],
        now_ms: u64,
        out: &mut Outs,
    ) {
        let own: Vec<EntityId> = self.foxes.keys().copied().collect();
        let all: Vec<EntityId> = truth.made.keys().copied().collect();
        let pick = |dice: &mut Dice, of: &[EntityId]| of[dice.roll(of.len() as u64) as usize];
        if all.len() < 12 && dice.once_in(3) {
            self.counter += 1;
            let id = EntityId(Id::derive(&[b"fox", &self.space.0.to_bytes(), &self.counter.to_be_bytes()]));
            let envelope = self.envelope(Target::Entity(id), self.space.0, self.counter, Say::Make);
            let place = match dice.roll(3) {
                0 => Placement::Space(pick(dice, spaces)),
                _ => Placement::Anywhere { module: String::new() },
            };
            return self.say(Out::Create { place, envelope }, now_ms, out);
        }
        if own.is_empty() {
            return;
        }
        let id = pick(dice, &own);
        let Some(fox) = self.foxes.get_mut(&id).filter(|fox| fox.wish == Wish::Stay) else { return };
        match dice.roll(16) {
            0 | 1 => fox.wish = Wish::Quiet(pick(dice, spaces)),
            2 if fox.age > 40 && all.len() > 6 && !self.member.keeps(id.0, None) => {
                let epoch = fox.epoch;
                self.foxes.remove(&id);
                truth.homes.remove(&id);
                truth.made.remove(&id);
                self.say(Out::Gone { entity: id, epoch }, now_ms, out);
            }
            _ => {
                let target = pick(dice, &all);
                fox.counter += 1;
                let counter = fox.counter;
                truth.sent((id.0, target, counter), self.home);
                let envelope = self.envelope(Target::Entity(target), id.0, counter, Say::Hello);
                self.say(Out::Carry(envelope), now_ms, out);
            }
        }
    }

    /// Carries on with moves, and flushes.
    pub(super) fn go_on(&mut self, now_ms: u64, out: &mut Outs) {
        let quiet: Vec<EntityId> = self.foxes.keys().copied().collect();
        for id in quiet {
            let kept = self.member.keeps(id.0, None);
            let Some(fox) = self.foxes.get_mut(&id) else { continue };
            fox.age += 1;
            if let (Wish::Quiet(space), false) = (fox.wish, kept) {
                fox.wish = Wish::Blocked(space);
                self.intents += 1;
                self.say(Out::Block { entity: id, intent: self.intents }, now_ms, out);
            }
        }
        let (member, space) = (&self.member, self.space.0);
        self.leaving.retain(|_, (_, target)| member.keeps(space, Some(*target)));
        self.member.handle(now_ms, MemberInput::Flush, out);
    }

    /// One event of the member, and what follows from it.
    pub(super) fn on(
        &mut self,
        event: MemberEvent<Say>,
        truth: &mut Truth,
        now_ms: u64,
        out: &mut Outs,
    ) -> Result<(), String> {
        match event {
            MemberEvent::ReportWanted { dispatcher } => self.report(dispatcher, now_ms, out),
            MemberEvent::Deliver(envelope) => return self.deliver(envelope, truth, now_ms, out),
            MemberEvent::Returned { envelope, reason, uncertain } => {
                return self.returned(envelope, reason, uncertain, truth, now_ms, out);
            }
            MemberEvent::Marker { entity, .. } => self.leave(entity, truth, now_ms, out),
            MemberEvent::Dead { life, .. } => self.is_over |= life == self.life,
            MemberEvent::Refused(_) | MemberEvent::Members { .. } | MemberEvent::Asked { .. } => {}
        }
        Ok(())
    }

    fn report(&mut self, dispatcher: usize, now_ms: u64, out: &mut Outs) {
        let share = |id: &EntityId| self.member.share(*id) == dispatcher;
        let here = self.foxes.iter().filter(|(id, _)| share(id)).map(|(id, fox)| EntityReport {
            entity: *id,
            space: self.space,
            epoch: fox.epoch,
            leaving: false,
        });
        let gone = self.leaving.iter().filter(|(id, _)| share(id)).map(|(id, (fox, _))| EntityReport {
            entity: *id,
            space: self.space,
            epoch: fox.epoch + 1,
            leaving: true,
        });
        let entities = here.chain(gone).collect();
        let spaces = vec![SpaceReport { space: self.space, epoch: 1 }];
        self.say(Out::Report { dispatcher, spaces, entities }, now_ms, out);
    }

    fn leave(&mut self, id: EntityId, truth: &mut Truth, now_ms: u64, out: &mut Outs) {
        let Some(Fox { wish: Wish::Blocked(space), .. }) = self.foxes.get(&id) else { return };
        let target = Target::Arrival { entity: id, space: *space };
        let Some(mut fox) = self.foxes.remove(&id) else { return };
        truth.homes.remove(&id);
        fox.wish = Wish::Stay;
        self.counter += 1;
        let mut envelope = self.envelope(target, self.space.0, self.counter, Say::Arrive(fox.clone()));
        envelope.location_epoch = fox.epoch + 1;
        self.leaving.insert(id, (fox, target));
        self.say(Out::Carry(envelope), now_ms, out);
    }

    fn settle_at(
        &mut self,
        id: EntityId,
        mut fox: Fox,
        epoch: u32,
        truth: &mut Truth,
        now_ms: u64,
        out: &mut Outs,
    ) -> Result<(), String> {
        fox.epoch = epoch;
        self.foxes.insert(id, fox);
        let report = EntityReport { entity: id, space: self.space, epoch, leaving: false };
        self.say(Out::Entity(report), now_ms, out);
        truth.lives_at(id, self.home)
    }

    fn deliver(
        &mut self,
        envelope: Envelope<Say>,
        truth: &mut Truth,
        now_ms: u64,
        out: &mut Outs,
    ) -> Result<(), String> {
        let Envelope { source, target, message, location_epoch, .. } = envelope;
        let (sender, counter) = (message.sender, message.counter);
        match target {
            Target::Arrival { entity, space } if space == self.space => {
                let Say::Arrive(fox) = envelope.payload else { return Err("no arrival".to_owned()) };
                let seen = self.arrived.get(&entity).is_some_and(|epoch| *epoch >= location_epoch);
                if !seen || self.plant == Some(Plant::SecondLife) {
                    truth.moved += 1;
                    self.arrived.insert(entity, location_epoch);
                    self.settle_at(entity, fox, location_epoch, truth, now_ms, out)?;
                }
            }
            // A late copy of what was done, and is no more or has gone on.
            Target::Entity(id)
                if envelope.payload == Say::Make
                    && self.made.contains(&id)
                    && !self.foxes.contains_key(&id) => {}
            Target::Entity(id) if self.foxes.contains_key(&id) || envelope.payload == Say::Make => {
                let fresh = !self.foxes.contains_key(&id);
                let fox = self.foxes.entry(id).or_default();
                match fox.marks.take(&envelope) {
                    Taken::Hole if self.plant != Some(Plant::HolesTaken) => return Ok(()),
                    Taken::Double => {}
                    _ if envelope.payload == Say::Make => {
                        if !fresh {
                            return Err(format!("{id} is made and was there"));
                        }
                        let made = truth.made.entry(id).or_default();
                        *made += 1;
                        if *made > 1 && !truth.deaths {
                            return Err(format!("{id} is made twice"));
                        }
                        let fox = fox.clone();
                        self.made.insert(id);
                        self.settle_at(id, fox, 1, truth, now_ms, out)?;
                    }
                    _ => truth.delivered((sender, id, counter), self.home)?,
                }
            }
            _ => {
                self.say(Out::Carry(envelope), now_ms, out);
                return Ok(());
            }
        }
        self.say(Out::Ack { to: source, ack: Ack { sender, target, counter } }, now_ms, out);
        Ok(())
    }

    fn returned(
        &mut self,
        envelope: Envelope<Say>,
        reason: ReturnReason,
        uncertain: bool,
        truth: &mut Truth,
        now_ms: u64,
        out: &mut Outs,
    ) -> Result<(), String> {
        match (envelope.target, envelope.payload) {
            (Target::Entity(id), Say::Hello) => {
                truth.returned((envelope.message.sender, id, envelope.message.counter), reason, uncertain)
            }
            (Target::Arrival { entity, .. }, _) => match self.leaving.remove(&entity) {
                Some((fox, _)) => {
                    self.settle_at(entity, fox, envelope.location_epoch + 1, truth, now_ms, out)
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}
