//! How much there is of everything that comes and goes: entities, timers, open calls, what clients see. When all
//! of it is over, every number is what it was; one that is not belongs to something that leaks.
//!
//! Deliberately not in it: what is kept on purpose up to a named limit, like commit records and generations.

use std::collections::BTreeMap;
use std::fmt;

/// See the head of this file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    counts: BTreeMap<&'static str, usize>,
}

impl Tally {
    /// So many more of something.
    pub fn count(&mut self, what: &'static str, how_many: usize) {
        *self.counts.entry(what).or_default() += how_many;
    }

    /// How many there are of something.
    #[must_use]
    pub fn of(&self, what: &str) -> usize {
        self.counts.get(what).copied().unwrap_or(0)
    }

    /// What there is more or less of than in another one: what, here, there.
    #[must_use]
    pub fn difference(&self, other: &Tally) -> Vec<(&'static str, usize, usize)> {
        let all: std::collections::BTreeSet<_> = self.counts.keys().chain(other.counts.keys()).collect();
        let both = all.into_iter().map(|what| (*what, self.of(what), other.of(what)));
        both.filter(|(_, here, there)| here != there).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (what, count)) in self.counts.iter().enumerate() {
            write!(f, "{}{what} {count}", if at > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_found_on_both_sides() {
        let (mut before, mut after) = (Tally::default(), Tally::default());
        before.count("entities", 2);
        before.count("timers", 1);
        after.count("entities", 1);
        after.count("entities", 1);
        after.count("watches", 3);
        assert_eq!(after.difference(&before), [("timers", 0, 1), ("watches", 3, 0)]);
        assert_eq!(after.to_string(), "entities 2, watches 3");
    }
}
