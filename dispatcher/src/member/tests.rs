//! Each rule of the member, by itself.

use super::*;
use crate::limits::OUTBOX_BYTES_MAX;
use bytes::Bytes;
use everwake_protocol::cluster::{Attempt, MessageId};

const OWN: Incarnation = Incarnation { start: 1, random: 1 };
const PEER: Incarnation = Incarnation { start: 1, random: 2 };
const DISPATCHER: Incarnation = Incarnation { start: 1, random: 9 };

struct Desk {
    member: Member<Bytes>,
    now_ms: u64,
}

fn name() -> PeerName {
    "dispatcher/d".parse().unwrap()
}

fn envelope(target: Target, counter: u64, payload: Bytes) -> Envelope<Bytes> {
    Envelope {
        source: OWN,
        target,
        message: MessageId { sender: Id::from_u128(7), epoch: 0, counter },
        after: 0,
        location_epoch: 0,
        hops: 0,
        refusable: true,
        attempt: Attempt::First,
        payload,
    }
}

fn to(entity: u128, counter: u64) -> Envelope<Bytes> {
    envelope(Target::Entity(EntityId(Id::from_u128(entity))), counter, Bytes::new())
}

/// What was sent of envelopes: counter and what must come before.
fn carried(out: &[MemberOutput<Bytes>]) -> Vec<(u64, u64)> {
    let carry = |output: &MemberOutput<Bytes>| match output {
        MemberOutput::Send { message: ToDispatcher::Carry(envelope), .. } => {
            Some((envelope.message.counter, envelope.after))
        }
        _ => None,
    };
    out.iter().filter_map(carry).collect()
}

impl Desk {
    fn open() -> Desk {
        let mut desk = Desk { member: Member::new(MemberConfig::new(OWN, vec![name()])), now_ms: 0 };
        desk.up(DISPATCHER, true);
        desk.report();
        desk
    }

    fn input(&mut self, input: MemberInput<Bytes>) -> Vec<MemberOutput<Bytes>> {
        let mut out = Vec::new();
        self.member.handle(self.now_ms, input, &mut out);
        out
    }

    fn up(&mut self, incarnation: Incarnation, lost: bool) -> Vec<MemberOutput<Bytes>> {
        self.input(MemberInput::Up { dispatcher: name(), incarnation, lost })
    }

    fn say(&mut self, say: Say<Bytes>) -> Vec<MemberOutput<Bytes>> {
        self.input(MemberInput::Say(say))
    }

    fn carry(&mut self, envelope: Envelope<Bytes>) -> Vec<MemberOutput<Bytes>> {
        self.say(Say::Carry(envelope))
    }

    fn hear(&mut self, message: FromDispatcher<Bytes>) -> Vec<MemberOutput<Bytes>> {
        self.input(MemberInput::Heard { dispatcher: name(), message })
    }

    fn report(&mut self) -> Vec<MemberOutput<Bytes>> {
        self.say(Say::Report { dispatcher: 0, spaces: Vec::new(), entities: Vec::new() })
    }

    fn ack(&mut self, target: Target, counter: u64) {
        let ack = Ack { sender: Id::from_u128(7), target, counter };
        assert_eq!(self.hear(FromDispatcher::Acks(vec![ack])), []);
    }
}

#[test]
fn what_is_kept_goes_again_in_order_behind_a_report() {
    let mut desk = Desk::open();
    for counter in 1..=3 {
        let out = desk.carry(to(5, counter));
        assert_eq!(carried(&out), [(counter, counter - 1)]);
    }
    desk.ack(to(5, 1).target, 1);
    let younger = Incarnation { start: 2, ..DISPATCHER };
    let wanted = desk.up(younger, true);
    assert_eq!(wanted, [MemberOutput::Event(MemberEvent::ReportWanted { dispatcher: 0 })]);
    assert_eq!(desk.carry(to(5, 4)), []);
    let entity = EntityId(Id::from_u128(6));
    assert_eq!(desk.say(Say::Block { entity, intent: 1 }), []);
    let out = desk.report();
    assert_eq!(carried(&out), [(2, 0), (3, 2), (4, 3)]);
    let places = |wanted: &ToDispatcher<Bytes>| {
        let is = |output: &MemberOutput<Bytes>| matches!(output, MemberOutput::Send { to, message, .. } if message == wanted && *to == younger);
        out.iter().position(is)
    };
    assert_eq!([places(&ToDispatcher::Report), places(&ToDispatcher::Reported)], [Some(0), Some(2)]);
    assert_eq!(places(&ToDispatcher::Resent), Some(6));
    assert_eq!(places(&ToDispatcher::Block { entity, intent: 1 }), Some(7));
    assert!(desk.member.keeps(Id::from_u128(7), None));
    desk.ack(to(5, 1).target, 4);
    assert_eq!(desk.member.kept(), (0, 0));
}

#[test]
fn a_link_that_lost_nothing_needs_no_report() {
    let mut desk = Desk::open();
    desk.input(MemberInput::Down { dispatcher: name() });
    assert_eq!(carried(&desk.carry(to(5, 1))), [(1, 0)]);
    assert_eq!(desk.up(DISPATCHER, false), []);
}

#[test]
fn what_is_behind_a_refusal_goes_again_without_the_hole() {
    let mut desk = Desk::open();
    (1..=3).for_each(|counter| drop(desk.carry(to(5, counter))));
    let out = desk.hear(FromDispatcher::Return {
        envelope: to(5, 2),
        reason: ReturnReason::Overloaded,
        uncertain: false,
    });
    assert!(
        matches!(&out[..], [MemberOutput::Event(MemberEvent::Returned { uncertain: false, .. })]),
        "{out:?}"
    );
    assert_eq!(desk.input(MemberInput::Flush), []);
    desk.now_ms = desk.member.next_wake_ms().unwrap();
    assert_eq!(carried(&desk.input(MemberInput::Flush)), [(1, 0), (3, 1)]);
    let out = desk.hear(FromDispatcher::Return {
        envelope: to(5, 3),
        reason: ReturnReason::Gone,
        uncertain: false,
    });
    assert!(
        matches!(&out[..], [MemberOutput::Event(MemberEvent::Returned { uncertain: true, .. })]),
        "{out:?}"
    );
}

#[test]
fn a_lane_is_numbered_and_has_no_holes() {
    let mut desk = Desk::open();
    let lane = || envelope(Target::Process(PEER), 1, Bytes::new());
    assert_eq!(carried(&desk.carry(lane())), [(1, 0)]);
    assert_eq!(carried(&desk.carry(lane())), [(2, 1)]);
    let sender = lane_sender(OWN);
    let second = Envelope { message: MessageId { sender, epoch: 0, counter: 2 }, ..lane() };
    let refused =
        FromDispatcher::Return { envelope: second, reason: ReturnReason::Overloaded, uncertain: false };
    assert_eq!(desk.hear(refused), []);
    desk.now_ms = desk.member.next_wake_ms().unwrap();
    assert_eq!(carried(&desk.input(MemberInput::Flush)), [(1, 0), (2, 1)]);
    let out = desk.hear(FromDispatcher::Dead(PEER));
    let returned = out.iter().filter(|output| {
        matches!(output, MemberOutput::Event(MemberEvent::Returned { reason: ReturnReason::Gone, .. }))
    });
    assert_eq!((returned.count(), desk.member.kept().0), (2, 0));
}

#[test]
fn what_comes_on_a_lane_is_taken_once_and_acknowledged_together() {
    let mut desk = Desk::open();
    let mut come = |counter, after| {
        let message = MessageId { sender: lane_sender(PEER), epoch: 0, counter };
        let envelope = envelope(Target::Process(OWN), 0, Bytes::new());
        let envelope = Envelope { source: PEER, message, after, ..envelope };
        desk.hear(FromDispatcher::Deliver(envelope)).len()
    };
    assert_eq!([come(1, 0), come(1, 0), come(3, 2), come(2, 1), come(3, 2)], [1, 0, 0, 1, 1]);
    let out = desk.input(MemberInput::Flush);
    let [MemberOutput::Send { message: ToDispatcher::Acks { to: PEER, acks }, .. }] = &out[..] else {
        panic!("{out:?}")
    };
    assert_eq!(acks.iter().map(|ack| ack.counter).collect::<Vec<_>>(), [3]);
    assert_eq!(desk.input(MemberInput::Flush), []);
}

#[test]
fn an_outbox_is_bounded_for_what_may_be_refused() {
    let mut desk = Desk::open();
    let large = Bytes::from(vec![0; OUTBOX_BYTES_MAX]);
    let target = to(5, 1).target;
    let must = Envelope { refusable: false, ..envelope(target, 1, large) };
    assert_eq!(carried(&desk.carry(must)), [(1, 0)]);
    let out = desk.carry(to(5, 2));
    assert!(matches!(&out[..], [MemberOutput::Event(MemberEvent::Refused(_))]), "{out:?}");
    assert_eq!(carried(&desk.carry(Envelope { refusable: false, ..to(5, 3) })), [(3, 1)]);
}

#[test]
fn a_marker_counts_only_while_it_is_waited_for() {
    let mut desk = Desk::open();
    let entity = EntityId(Id::from_u128(6));
    desk.say(Say::Block { entity, intent: 1 });
    let marker = |intent| FromDispatcher::Marker { entity, intent };
    assert_eq!([2, 1, 1].map(|intent| desk.hear(marker(intent)).len()), [0, 1, 0]);
}

#[test]
fn what_came_by_mistake_is_sent_on_and_not_kept() {
    let mut desk = Desk::open();
    let stray = Envelope { hops: 1, after: 8, ..to(5, 9) };
    assert_eq!(carried(&desk.carry(stray)), [(9, 8)]);
    assert_eq!(desk.member.kept(), (0, 0));
}

#[test]
fn what_an_author_owes_is_known_by_stream() {
    let mut desk = Desk::open();
    let sender = Id::from_u128(7);
    let said = |entity, counter, word: &'static str| Envelope {
        payload: Bytes::from_static(word.as_bytes()),
        ..to(entity, counter)
    };
    for (entity, counter, word) in [(1, 3, "mine"), (2, 4, "hers"), (1, 6, "hers"), (3, 7, "mine")] {
        desk.carry(said(entity, counter, word));
    }
    let owed = |desk: &Desk, word: &str| {
        let owed = desk.member.owed(&[sender], |payload| payload == word);
        let mut owed: Vec<_> = owed.into_iter().map(|(_, target, counter)| (target, counter)).collect();
        owed.sort_unstable();
        owed
    };
    let target = |entity| Target::Entity(EntityId(Id::from_u128(entity)));
    assert_eq!(owed(&desk, "mine"), [(target(1), 3), (target(3), 7)]);
    assert_eq!(owed(&desk, "hers"), [(target(1), 6), (target(2), 4)]);
    assert!(desk.member.keeps_up_to(sender, target(1), 3));
    desk.ack(target(1), 3);
    assert!(!desk.member.keeps_up_to(sender, target(1), 3));
    assert!(desk.member.keeps_up_to(sender, target(1), 6));
    assert_eq!(owed(&desk, "mine"), [(target(3), 7)]);
}

#[test]
fn what_is_held_goes_when_its_holds_end_and_not_before() {
    let mut desk = Desk::open();
    let (sender, target) = (Id::from_u128(7), to(5, 1).target);
    assert_eq!(carried(&desk.carry(to(5, 1))), [(1, 0)]);
    desk.say(Say::Hold { sender, target, hold: 1 });
    assert_eq!(carried(&desk.carry(to(5, 2))), []);
    desk.say(Say::Hold { sender, target, hold: 2 });
    assert_eq!(carried(&desk.carry(to(5, 3))), []);
    assert_eq!(carried(&desk.carry(to(6, 4))), [(4, 0)], "others are not held");
    desk.hear(FromDispatcher::SendAgain);
    assert_eq!(carried(&desk.input(MemberInput::Flush)), [(1, 0), (4, 0)], "what went before goes again");
    assert_eq!(carried(&desk.say(Say::LetGo { sender, target, hold: 1 })), [(2, 1)], "the second came later");
    assert_eq!(carried(&desk.carry(to(5, 5))), []);
    assert_eq!(carried(&desk.say(Say::LetGo { sender, target, hold: 2 })), [(3, 2), (5, 3)]);
    assert_eq!(carried(&desk.carry(to(5, 6))), [(6, 5)]);
}

#[test]
fn what_was_sent_before_a_death_is_in_doubt_when_it_goes_again() {
    let mut desk = Desk::open();
    let attempts = |out: &[MemberOutput<Bytes>]| -> Vec<(u64, Attempt)> {
        let carry = |output: &MemberOutput<Bytes>| match output {
            MemberOutput::Send { message: ToDispatcher::Carry(envelope), .. } => {
                Some((envelope.message.counter, envelope.attempt))
            }
            _ => None,
        };
        out.iter().filter_map(carry).collect()
    };
    use Attempt::{Again, Doubtful, First};
    assert_eq!(attempts(&desk.carry(to(100, 1))), [(1, First)]);
    desk.up(DISPATCHER, true);
    desk.carry(to(100, 2));
    assert_eq!(attempts(&desk.report()), [(1, Again), (2, First)]);
    let heard = ToDispatcher::Known { alive: Vec::new(), dead: vec![PEER] };
    let out = desk.hear(FromDispatcher::Dead(PEER));
    let told = |output: &MemberOutput<Bytes>| matches!(output, MemberOutput::Send { message, .. } if *message == heard);
    assert!(out.iter().any(told));
    desk.carry(to(100, 3));
    assert_eq!(attempts(&desk.input(MemberInput::Flush)), [(1, Doubtful), (2, Doubtful), (3, Again)]);
}
