//! Crashes that clients cause, counted for each client and method: whoever makes a handler trap
//! again and again is refused, then kicked.

use crate::limits::{CHARGE_CRASHES_MAX, CHARGE_REFUSALS_MAX, CHARGE_WINDOW_MS, CHARGES_MAX};
use everwake_protocol::SessionId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub(super) struct Charges {
    by_client: BTreeMap<(SessionId, u64), Charge>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Charge {
    since_ms: u64,
    crashes: u32,
    refusals: u32,
}

/// What one client is charged with, as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeSnapshot {
    /// Whose client.
    pub session: SessionId,
    /// Hash of the method's name.
    pub method: u64,
    /// UTC ms of the first crash that counts.
    pub since_ms: u64,
    /// Crashes since then.
    pub crashes: u32,
    /// Calls that were refused since then.
    pub refusals: u32,
}

/// What to do with a client's call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charged {
    /// Run it.
    Run,
    /// Refuse it.
    Refuse,
    /// Refuse it and close the client.
    Kick,
}

impl Charges {
    /// How many clients and methods are watched.
    pub(super) fn len(&self) -> usize {
        self.by_client.len()
    }

    /// A client's call of a method (by the hash of its name) made the handler crash.
    pub(super) fn crashed(&mut self, session: SessionId, method: u64, now_ms: u64) {
        if self.by_client.len() >= CHARGES_MAX {
            let oldest = self.by_client.iter().min_by_key(|(_, charge)| charge.since_ms);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                self.by_client.remove(&key);
            }
        }
        let charge = self.by_client.entry((session, method)).or_default();
        if now_ms.saturating_sub(charge.since_ms) >= CHARGE_WINDOW_MS {
            *charge = Charge { since_ms: now_ms, ..Charge::default() };
        }
        charge.crashes += 1;
    }

    /// A client calls a method.
    pub(super) fn check(&mut self, session: SessionId, method: u64, now_ms: u64) -> Charged {
        if self.by_client.is_empty() {
            return Charged::Run;
        }
        let Some(charge) = self.by_client.get_mut(&(session, method)) else { return Charged::Run };
        if now_ms.saturating_sub(charge.since_ms) >= CHARGE_WINDOW_MS {
            self.by_client.remove(&(session, method));
            return Charged::Run;
        }
        if charge.crashes < CHARGE_CRASHES_MAX {
            return Charged::Run;
        }
        charge.refusals += 1;
        if charge.refusals > CHARGE_REFUSALS_MAX { Charged::Kick } else { Charged::Refuse }
    }

    /// As data.
    pub(super) fn snapshot(&self) -> Vec<ChargeSnapshot> {
        let one = |(&(session, method), charge): (&(SessionId, u64), &Charge)| {
            let Charge { since_ms, crashes, refusals } = *charge;
            ChargeSnapshot { session, method, since_ms, crashes, refusals }
        };
        self.by_client.iter().map(one).collect()
    }

    /// And back.
    pub(super) fn restore(charges: &[ChargeSnapshot]) -> Charges {
        let one = |charge: &ChargeSnapshot| {
            let ChargeSnapshot { session, method, since_ms, crashes, refusals } = *charge;
            ((session, method), Charge { since_ms, crashes, refusals })
        };
        Charges { by_client: charges.iter().map(one).collect() }
    }

    /// The session is gone.
    pub(super) fn forget(&mut self, session: SessionId) {
        self.by_client.retain(|(other, _), _| *other != session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_call_is_refused_and_a_stubborn_client_kicked() {
        let mut charges = Charges::default();
        let session = SessionId::default();
        for now in [0, 10, 20] {
            assert_eq!(charges.check(session, 7, now), Charged::Run);
            charges.crashed(session, 7, now);
        }
        for _ in 0..CHARGE_REFUSALS_MAX {
            assert_eq!(charges.check(session, 7, 30), Charged::Refuse);
        }
        assert_eq!(charges.check(session, 7, 30), Charged::Kick);
        assert_eq!(charges.check(session, 8, 30), Charged::Run, "another method");
        assert_eq!(charges.check(session, 7, CHARGE_WINDOW_MS), Charged::Run, "a minute later");
    }
}
