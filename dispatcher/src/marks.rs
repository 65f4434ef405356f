//! What a receiver has taken from each sender: drops doubles, and what is behind a hole.
//!
//! Marks belong to the target and move with it (rule C1). They know nothing of ways: the same message may come by
//! another dispatcher, to another process, years later.

use everwake_protocol::Id;
use everwake_protocol::cluster::{Envelope, MessageId};
use std::collections::BTreeMap;

/// The last message that was taken, by sender.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    last: BTreeMap<Id, (u32, u64)>,
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Take it, and acknowledge it once that is for good. Always said of what is not numbered.
    New,
    /// It was taken before: drop it, and acknowledge it again.
    Double,
    /// Something is missing before it: drop it, and say nothing. It comes again.
    Hole,
}

impl Marks {
    /// What to do with a message; if it is new it counts as taken.
    pub fn take<P>(&mut self, envelope: &Envelope<P>) -> Taken {
        let MessageId { sender, epoch, counter } = envelope.message;
        if counter == 0 {
            return Taken::New;
        }
        let last = self.last.entry(sender).or_default();
        if (epoch, counter) <= *last {
            return Taken::Double;
        }
        if envelope.after != 0 && (epoch, envelope.after) > *last {
            return Taken::Hole;
        }
        *last = (epoch, counter);
        Taken::New
    }

    /// Up to which counter everything of a sender was taken; 0 for nothing.
    pub fn counter(&self, sender: Id) -> u64 {
        self.last.get(&sender).map_or(0, |(_, counter)| *counter)
    }

    /// What there is of each sender: epoch and counter, in the order of the senders.
    pub fn iter(&self) -> impl Iterator<Item = (Id, u32, u64)> {
        self.last.iter().map(|(sender, (epoch, counter))| (*sender, *epoch, *counter))
    }

    /// Whether something of a sender was ever taken.
    pub fn knows(&self, sender: Id) -> bool {
        self.last.contains_key(&sender)
    }

    /// Forgets a sender of whom nothing comes any more.
    pub fn forget(&mut self, sender: Id) {
        self.last.remove(&sender);
    }

    /// How many senders are known.
    pub fn len(&self) -> usize {
        self.last.len()
    }

    /// Whether nothing numbered was ever taken.
    pub fn is_empty(&self) -> bool {
        self.last.is_empty()
    }
}

impl FromIterator<(Id, u32, u64)> for Marks {
    fn from_iter<I: IntoIterator<Item = (Id, u32, u64)>>(marks: I) -> Marks {
        let last = marks.into_iter().map(|(sender, epoch, counter)| (sender, (epoch, counter)));
        Marks { last: last.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use everwake_protocol::EntityId;
    use everwake_protocol::cluster::{Incarnation, Target};

    fn envelope(epoch: u32, counter: u64, after: u64) -> Envelope<()> {
        let message = MessageId { sender: Id::from_u128(1), epoch, counter };
        let target = Target::Entity(EntityId::default());
        Envelope { after, ..Envelope::new(Incarnation::default(), target, message, ()) }
    }

    #[test]
    fn each_is_taken_once_and_nothing_behind_a_hole() {
        let mut marks = Marks::default();
        let mut take = |counter, after| marks.take(&envelope(1, counter, after));
        assert_eq!([take(3, 0), take(3, 0), take(7, 5), take(5, 3)], {
            use Taken::*;
            [New, Double, Hole, New]
        });
        // What is between them was refused for good: nothing waits for it.
        assert_eq!([take(7, 5), take(20, 0), take(0, 0), take(0, 0)], [Taken::New; 4]);
        assert_eq!(marks.counter(Id::from_u128(1)), 20);
        assert_eq!(marks.iter().collect::<Marks>(), marks);
    }

    #[test]
    fn a_new_epoch_is_younger_whatever_it_counts() {
        let mut marks = Marks::default();
        assert_eq!(marks.take(&envelope(1, 9, 0)), Taken::New);
        assert_eq!(marks.take(&envelope(2, 1, 0)), Taken::New);
        assert_eq!(marks.take(&envelope(1, 10, 9)), Taken::Double);
        assert_eq!(marks.take(&envelope(2, 3, 2)), Taken::Hole);
    }
}
