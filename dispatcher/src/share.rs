//! Which dispatcher something goes by, and in which class of a link: the same in every process.

use everwake_link::Class;
use everwake_protocol::EntityId;
use everwake_protocol::cluster::{FromDispatcher, Incarnation, ToDispatcher};

/// The dispatcher of an entity, as its place among all of them by name: the one with the highest hash of name and
/// id (rendezvous hashing). None if there is none.
pub fn of_entity<'a>(entity: EntityId, names: impl IntoIterator<Item = &'a str>) -> Option<usize> {
    highest(fold(entity.0.to_u128()), names)
}

/// The dispatcher of a lane from one life of a process to another.
pub fn of_lane<'a>(
    from: Incarnation,
    to: Incarnation,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<usize> {
    let one = |life: Incarnation| mix(mix(u64::from(life.start)) ^ life.random);
    highest(mix(one(from).rotate_left(1) ^ one(to)), names)
}

/// In which class a dispatcher's message takes a link. Acknowledgements and deaths may overtake.
pub fn class_of<P>(message: &FromDispatcher<P>) -> Class {
    match message {
        FromDispatcher::Deliver(envelope) if envelope.refusable => Class::Ordinary,
        FromDispatcher::Acks(_) | FromDispatcher::Dead(_) => Class::Express,
        _ => Class::Reserved,
    }
}

/// In which class a process's message takes a link. Acknowledgements may overtake.
pub fn class_to<P>(message: &ToDispatcher<P>) -> Class {
    match message {
        ToDispatcher::Carry(envelope) | ToDispatcher::Create { envelope, .. } if envelope.refusable => {
            Class::Ordinary
        }
        ToDispatcher::Acks { .. } => Class::Express,
        _ => Class::Reserved,
    }
}

fn highest<'a>(key: u64, names: impl IntoIterator<Item = &'a str>) -> Option<usize> {
    let hash = |name: &str| name.bytes().fold(key, |hash, byte| mix(hash ^ u64::from(byte)));
    let hashes = names.into_iter().enumerate().map(|(place, name)| (hash(name), place));
    hashes.max_by_key(|(hash, place)| (*hash, std::cmp::Reverse(*place))).map(|(_, place)| place)
}

/// An id as 64 bits, well mixed.
pub(crate) fn fold(id: u128) -> u64 {
    mix(mix((id >> 64) as u64) ^ id as u64)
}

/// SplitMix64's finish: every bit of the input changes half of the output.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use everwake_protocol::Id;

    #[test]
    fn shares_are_about_even_and_few_change_hands() {
        let (two, three) = (["d-1", "d-2"], ["d-1", "d-2", "d-3"]);
        let (mut counts, mut changed) = ([0; 3], 0);
        for number in 0..3_000 {
            let entity = EntityId(Id::from_u128(number));
            let place = of_entity(entity, three).unwrap();
            counts[place] += 1;
            changed += usize::from(place != 2 && of_entity(entity, two) != Some(place));
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
        assert_eq!(changed, 0);
        assert_eq!(of_entity(EntityId::default(), []), None);
    }

    #[test]
    fn a_lane_has_a_direction() {
        let life = |random| Incarnation { start: 1, random };
        let names = ["a", "b", "c", "d"];
        let places = (0..64).map(|n| (of_lane(life(n), life(99), names), of_lane(life(99), life(n), names)));
        assert!(places.filter(|(there, back)| there != back).count() > 20);
    }
}
