//! What must hold, seen from outside.

use crate::share::mix;
use everwake_protocol::cluster::ReturnReason;
use everwake_protocol::{EntityId, Id};
use std::collections::BTreeMap;

/// A message: sender, target, counter.
pub(super) type Key = (Id, EntityId, u64);

#[derive(Debug, Default)]
pub(super) struct Truth {
    messages: BTreeMap<Key, Fate>,
    last: BTreeMap<(Id, EntityId), u64>,
    /// Which game has an entity, by its place and its life.
    pub(super) homes: BTreeMap<EntityId, (usize, u32)>,
    /// Some life of a game has ended.
    pub(super) deaths: bool,
    pub(super) made: BTreeMap<EntityId, u32>,
    hash: u64,
    pub(super) delivered: u64,
    pub(super) moved: u64,
}

#[derive(Debug, Default)]
struct Fate {
    by: (usize, u32),
    delivered: u32,
    at: (usize, u32),
    /// It came to somebody who died with it.
    died: bool,
    /// With whether another copy may have arrived.
    returned: Option<bool>,
}

impl Truth {
    pub(super) fn sent(&mut self, key: Key, by: (usize, u32)) {
        self.messages.insert(key, Fate { by, ..Fate::default() });
    }

    pub(super) fn delivered(&mut self, key: Key, at: (usize, u32)) -> Result<(), String> {
        let (sender, target, counter) = key;
        let fate = self.messages.entry(key).or_default();
        fate.delivered += 1;
        fate.at = at;
        if fate.delivered > 1 {
            return Err(format!("{key:?} comes twice"));
        }
        if fate.returned == Some(false) {
            return Err(format!("{key:?} comes though it was given back for certain"));
        }
        let last = self.last.entry((sender, target)).or_default();
        if counter <= *last {
            return Err(format!("{key:?} comes behind {last}"));
        }
        *last = counter;
        self.delivered += 1;
        self.mix(counter ^ sender.to_u128() as u64 ^ (target.0.to_u128() as u64).rotate_left(7));
        Ok(())
    }

    pub(super) fn returned(&mut self, key: Key, reason: ReturnReason, uncertain: bool) -> Result<(), String> {
        let lives = self.homes.contains_key(&key.1);
        if reason == ReturnReason::Gone && lives && !self.deaths {
            return Err(format!("{key:?} comes back as gone, and its target lives"));
        }
        let fate = self.messages.entry(key).or_default();
        if fate.returned.replace(uncertain).is_some() {
            return Err(format!("{key:?} comes back twice"));
        }
        if fate.delivered > 0 && !uncertain {
            return Err(format!("{key:?} is given back for certain though it came"));
        }
        self.mix(key.2 ^ 0x55);
        Ok(())
    }

    pub(super) fn lives_at(&mut self, entity: EntityId, home: (usize, u32)) -> Result<(), String> {
        match self.homes.insert(entity, home) {
            Some(other) if other != home => Err(format!("{entity} lives in {other:?} and in {home:?}")),
            _ => Ok(()),
        }
    }

    pub(super) fn died(&mut self, home: (usize, u32)) {
        self.deaths = true;
        self.homes.retain(|_, of| *of != home);
        self.messages.retain(|_, fate| fate.by != home);
        for ((sender, target, _), fate) in &mut self.messages {
            if fate.delivered > 0 && fate.at == home {
                (fate.delivered, fate.died) = (0, true);
                self.last.remove(&(*sender, *target));
            }
        }
        self.mix(home.0 as u64 ^ 0xaa);
    }

    /// All is settled: whatever was sent by somebody who lives has arrived or came back.
    pub(super) fn end(&self) -> Result<u64, String> {
        let lost = self.messages.iter().find(|(_, fate)| {
            fate.by != (0, 0) && fate.delivered == 0 && !fate.died && fate.returned.is_none()
        });
        match lost {
            Some((key, _)) => Err(format!("{key:?} is lost")),
            None => Ok(self.hash),
        }
    }

    pub(super) fn mix(&mut self, value: u64) {
        self.hash = mix(self.hash ^ value);
    }
}
