//! Each rule of the router, by itself.

use super::*;
use crate::limits::{ABSENT_MS, DEATH_MS, HOPS_MAX, PARKED_ENTITY_COUNT_MAX, PARKED_MS_MAX, YOUNG_MS};
use bytes::Bytes;
use everwake_link::PeerName;
use everwake_protocol::cluster::{Attempt, EntityReport, MessageId, Placement, Profile, SpaceReport, Target};
use everwake_protocol::{EntityId, Id};

mod names;

type Out = Vec<RouterOutput<Bytes>>;

/// Games `a` and `b`, a gate `g`, and another dispatcher.
struct Desk {
    router: Router<Bytes>,
    now_ms: u64,
}

const A: Incarnation = life(1);
const B: Incarnation = life(2);
const G: Incarnation = life(3);
const OTHER: Incarnation = life(4);

const fn life(random: u64) -> Incarnation {
    Incarnation { start: 1, random }
}

fn name(text: &str) -> PeerName {
    text.parse().unwrap()
}

fn id(number: u128) -> EntityId {
    EntityId(Id::from_u128(number))
}

/// Space 10 is in `a`, 20 in `b`.
const HOME: u128 = 10;
const AWAY: u128 = 20;
const FOX: u128 = 100;

fn report(entity: u128, space: u128, epoch: u32, leaving: bool) -> ToDispatcher<Bytes> {
    ToDispatcher::Entities(vec![EntityReport { entity: id(entity), space: id(space), epoch, leaving }])
}

fn space(space: u128, epoch: u32) -> SpaceReport {
    SpaceReport { space: id(space), epoch }
}

fn envelope(target: Target, counter: u64) -> Envelope<Bytes> {
    Envelope {
        source: G,
        target,
        message: MessageId { sender: Id::from_u128(7), epoch: 0, counter },
        after: counter.saturating_sub(1),
        location_epoch: 0,
        hops: 0,
        refusable: true,
        attempt: Attempt::First,
        payload: Bytes::from_static(b"hi"),
    }
}

fn to(entity: u128, counter: u64) -> Envelope<Bytes> {
    envelope(Target::Entity(id(entity)), counter)
}

fn arrival(entity: u128, space: u128, epoch: u32) -> Envelope<Bytes> {
    let target = Target::Arrival { entity: id(entity), space: id(space) };
    Envelope { location_epoch: epoch, refusable: false, source: A, ..envelope(target, 1) }
}

/// What was delivered to whom, by counters; what went back, with why.
fn delivered(out: &Out) -> Vec<(Incarnation, u64)> {
    let deliver = |output: &RouterOutput<Bytes>| match output {
        RouterOutput::Send { to, message: FromDispatcher::Deliver(envelope) } => {
            Some((*to, envelope.message.counter))
        }
        _ => None,
    };
    out.iter().filter_map(deliver).collect()
}

fn returned(out: &Out) -> Vec<(u64, ReturnReason)> {
    let back = |output: &RouterOutput<Bytes>| match output {
        RouterOutput::Send { to, message: FromDispatcher::Return { envelope, reason, .. } } => {
            assert_eq!(*to, envelope.source);
            Some((envelope.message.counter, *reason))
        }
        _ => None,
    };
    out.iter().filter_map(back).collect()
}

fn told(out: &Out, to: Incarnation, wanted: &FromDispatcher<Bytes>) -> usize {
    let is = |output: &&RouterOutput<Bytes>| matches!(output, RouterOutput::Send { to: at, message } if *at == to && message == wanted);
    out.iter().filter(is).count()
}

impl Desk {
    fn new() -> Desk {
        let games = vec![name("game/a"), name("game/b")];
        let config = RouterConfig::new(life(9), name("dispatcher/d"), games, vec![name("dispatcher/e")]);
        let mut desk = Desk { router: Router::new(config), now_ms: 1_000 };
        desk.up("dispatcher/e", OTHER, true);
        desk
    }

    /// Everybody has reported, and the time of doubt is over.
    fn complete() -> Desk {
        let mut desk = Desk::new();
        desk.up("game/a", A, true);
        desk.up("game/b", B, true);
        desk.up("gate/g", G, true);
        desk.tell(A, [ToDispatcher::Spaces(vec![space(HOME, 1)]), report(FOX, HOME, 1, false)]);
        desk.tell(B, [ToDispatcher::Spaces(vec![space(AWAY, 1)])]);
        desk.tell(G, []);
        assert!(desk.router.is_complete());
        desk.now_ms += YOUNG_MS;
        desk.input(RouterInput::Wake);
        desk
    }

    fn input(&mut self, input: RouterInput<Bytes>) -> Out {
        let mut out = Vec::new();
        self.router.handle(self.now_ms, input, &mut out);
        out
    }

    fn wait(&mut self, ms: u64) -> Out {
        self.now_ms += ms;
        self.input(RouterInput::Wake)
    }

    fn up(&mut self, peer: &str, incarnation: Incarnation, lost: bool) -> Out {
        self.input(RouterInput::Up { peer: name(peer), incarnation, lost })
    }

    fn down(&mut self, peer: &str, incarnation: Incarnation) -> Out {
        self.input(RouterInput::Down { peer: name(peer), incarnation })
    }

    fn say(&mut self, incarnation: Incarnation, message: ToDispatcher<Bytes>) -> Out {
        self.input(RouterInput::From { incarnation, message })
    }

    fn carry(&mut self, envelope: Envelope<Bytes>) -> Out {
        self.say(G, ToDispatcher::Carry(envelope))
    }

    /// A whole report.
    fn tell<const N: usize>(&mut self, from: Incarnation, report: [ToDispatcher<Bytes>; N]) -> Out {
        let mut out = self.say(from, ToDispatcher::Report);
        for message in report {
            out.extend(self.say(from, message));
        }
        out.extend(self.say(from, ToDispatcher::Reported));
        out.extend(self.say(from, ToDispatcher::Resent));
        out
    }

    fn profile(&mut self, from: Incarnation, profile: Profile) {
        self.say(from, ToDispatcher::Profile(profile));
    }

    fn create(&mut self, entity: u128, counter: u64, place: Placement) -> Out {
        let envelope = Envelope { refusable: false, ..to(entity, counter) };
        self.say(G, ToDispatcher::Create { place, envelope })
    }
}

fn anywhere() -> Placement {
    Placement::Anywhere { module: String::new() }
}

#[test]
fn a_message_goes_to_the_process_of_the_space_and_hops_are_counted() {
    let mut desk = Desk::complete();
    let out = desk.carry(to(FOX, 1));
    assert_eq!(delivered(&out), [(A, 1)]);
    let tired = Envelope { hops: HOPS_MAX, ..to(FOX, 2) };
    assert_eq!(returned(&desk.carry(tired)), [(2, ReturnReason::Hops)]);
    // A space that goes elsewhere takes its entities along by one row.
    desk.say(B, ToDispatcher::Spaces(vec![space(HOME, 2)]));
    assert_eq!(delivered(&desk.carry(to(FOX, 3))), [(B, 3)]);
    desk.say(A, ToDispatcher::Spaces(vec![space(HOME, 1)]));
    assert_eq!(delivered(&desk.carry(to(FOX, 4))), [(B, 4)]);
}

#[test]
fn unknown_waits_until_all_games_have_told_and_is_gone_then() {
    let mut desk = Desk::new();
    desk.up("gate/g", G, true);
    desk.tell(G, []);
    desk.up("game/a", A, true);
    desk.tell(A, [ToDispatcher::Spaces(vec![space(HOME, 1)])]);
    assert_eq!(desk.carry(to(FOX, 1)), []);
    assert_eq!(desk.carry(to(200, 2)), []);
    desk.up("game/b", B, true);
    let fox = [ToDispatcher::Spaces(vec![space(AWAY, 1)]), report(FOX, AWAY, 1, false)];
    let out = desk.tell(B, fox);
    assert_eq!((delivered(&out), returned(&out)), (vec![(B, 1)], vec![(2, ReturnReason::Gone)]));
    // While a game is cut off it may have what nobody knows.
    desk.down("game/b", B);
    assert_eq!(returned(&desk.carry(to(201, 3))), []);
    assert_eq!(returned(&desk.up("game/b", B, false)), [(3, ReturnReason::Gone)]);
    assert_eq!(desk.router.parked(), (0, 0));
}

#[test]
fn a_game_that_never_comes_is_absent() {
    let mut desk = Desk::new();
    desk.up("gate/g", G, true);
    desk.tell(G, []);
    desk.carry(to(FOX, 1));
    assert_eq!(returned(&desk.wait(ABSENT_MS - 1)), []);
    assert_eq!(returned(&desk.wait(1)), [(1, ReturnReason::Gone)]);
}

#[test]
fn alone_all_is_known_at_once() {
    let config = RouterConfig::alone(life(9), name("dispatcher/d"), name("game/a"));
    let mut desk = Desk { router: Router::new(config), now_ms: 0 };
    desk.up("game/a", A, true);
    desk.say(A, ToDispatcher::Report);
    desk.say(A, ToDispatcher::Reported);
    assert!(desk.router.is_complete());
    let back = desk.say(A, ToDispatcher::Carry(Envelope { source: A, ..to(FOX, 1) }));
    assert_eq!(returned(&back), [(1, ReturnReason::Gone)]);
}

#[test]
fn a_move_keeps_order() {
    let mut desk = Desk::complete();
    assert_eq!(delivered(&desk.carry(to(FOX, 1))), [(A, 1)]);
    let out = desk.say(A, ToDispatcher::Block { entity: id(FOX), intent: 5 });
    assert_eq!(told(&out, A, &FromDispatcher::Marker { entity: id(FOX), intent: 5 }), 1);
    desk.carry(to(FOX, 2));
    assert_eq!(delivered(&desk.say(A, ToDispatcher::Carry(arrival(FOX, AWAY, 2)))), [(B, 1)]);
    desk.carry(to(FOX, 3));
    // A repeated report of the old place lets nothing go.
    assert_eq!(delivered(&desk.say(A, report(FOX, HOME, 1, false))), []);
    assert_eq!(delivered(&desk.say(B, report(FOX, AWAY, 2, false))), [(B, 2), (B, 3)]);
    assert_eq!(delivered(&desk.carry(to(FOX, 4))), [(B, 4)]);
    // The arrival again: it is acknowledged, and not handed out.
    let out = desk.say(A, ToDispatcher::Carry(arrival(FOX, AWAY, 2)));
    assert!(
        matches!(&out[..], [RouterOutput::Send { to: A, message: FromDispatcher::Acks(acks) }] if acks.len() == 1),
        "{out:?}"
    );
}

#[test]
fn an_arrival_that_was_refused_comes_back_under_a_higher_epoch() {
    let mut desk = Desk::complete();
    desk.say(A, ToDispatcher::Block { entity: id(FOX), intent: 5 });
    desk.carry(to(FOX, 1));
    let out = desk.say(A, ToDispatcher::Carry(arrival(FOX, 999, 2)));
    assert_eq!(returned(&out), [(1, ReturnReason::Gone)]);
    assert_eq!(delivered(&desk.say(A, report(FOX, HOME, 3, false))), [(A, 1)]);
}

#[test]
fn what_waits_is_bounded_in_number_and_time() {
    let mut desk = Desk::complete();
    desk.say(A, ToDispatcher::Block { entity: id(FOX), intent: 5 });
    for counter in 1..=PARKED_ENTITY_COUNT_MAX as u64 {
        assert_eq!(desk.carry(to(FOX, counter)), []);
    }
    assert_eq!(returned(&desk.carry(to(FOX, 5_000))), [(5_000, ReturnReason::Overloaded)]);
    assert_eq!(desk.carry(Envelope { refusable: false, ..to(FOX, 6_000) }), []);
    assert_eq!(returned(&desk.wait(PARKED_MS_MAX - 1)), []);
    let out = desk.wait(1_000);
    assert_eq!(returned(&out).len(), PARKED_ENTITY_COUNT_MAX);
    assert_eq!(returned(&out)[0], (1, ReturnReason::Unavailable));
    assert_eq!(desk.router.parked().0, 1);
    assert_eq!(delivered(&desk.say(B, report(FOX, AWAY, 2, false))), [(B, 6_000)]);
    assert_eq!(desk.router.parked(), (0, 0));
}

#[test]
fn a_creation_is_placed_once_and_what_follows_goes_the_same_way() {
    let mut desk = Desk::complete();
    let out = desk.create(300, 1, anywhere());
    let [(at, 1)] = delivered(&out)[..] else { panic!("{out:?}") };
    assert_eq!(delivered(&desk.carry(to(300, 2))), [(at, 2)]);
    // The same again goes to the same game, another is refused.
    assert_eq!(delivered(&desk.create(300, 1, anywhere())), [(at, 1)]);
    assert_eq!(returned(&desk.create(300, 3, anywhere())), [(3, ReturnReason::Exists)]);
    desk.say(at, ToDispatcher::Gone { entity: id(300), epoch: 0 });
    assert_eq!(returned(&desk.carry(to(300, 4))), [(4, ReturnReason::Gone)]);
    assert_eq!(returned(&desk.create(300, 1, anywhere())), [(1, ReturnReason::Gone)]);
    assert_eq!(returned(&desk.create(FOX, 5, anywhere())), [(5, ReturnReason::Exists)]);
}

#[test]
fn a_place_is_found_by_module_label_space_and_load() {
    let mut desk = Desk::complete();
    let profile = |module: &str, label: &str, load| Profile {
        modules: vec![module.to_owned()],
        labels: vec![label.to_owned()],
        load,
        closed: false,
    };
    desk.profile(A, profile("maze", "big", 100));
    desk.profile(B, profile("maze", "small", 0));
    let module = |module: &str| Placement::Anywhere { module: module.to_owned() };
    let at = |desk: &mut Desk, entity, place| delivered(&desk.create(entity, 1, place));
    // The load of what was placed since counts too.
    let places: Vec<_> = (400..700).flat_map(|entity| at(&mut desk, entity, module("maze"))).collect();
    assert_eq!(places.iter().filter(|(at, _)| *at == A).count(), 100);
    let big = Placement::Labelled { module: "maze".to_owned(), label: "big".to_owned() };
    assert_eq!(at(&mut desk, 700, big), [(A, 1)]);
    assert_eq!(at(&mut desk, 701, Placement::Space(id(AWAY))), [(B, 1)]);
    assert_eq!(at(&mut desk, 702, Placement::Process(A)), [(A, 1)]);
    assert_eq!(returned(&desk.create(703, 1, module("chess"))), [(1, ReturnReason::NoPlace)]);
    assert_eq!(returned(&desk.create(704, 1, Placement::Space(id(1)))), [(1, ReturnReason::Gone)]);
    desk.profile(B, Profile { closed: true, ..profile("maze", "small", 0) });
    assert_eq!(at(&mut desk, 705, module("maze")), [(A, 1)]);
}

#[test]
fn a_lost_creation_waits_to_be_sent_again() {
    let mut desk = Desk::complete();
    assert_eq!(delivered(&desk.create(300, 1, Placement::Process(B))), [(B, 1)]);
    desk.down("game/b", B);
    let out = desk.up("game/b", B, true);
    assert_eq!([A, B, G].map(|life| told(&out, life, &FromDispatcher::SendAgain)), [1, 0, 1]);
    assert_eq!(delivered(&desk.carry(to(300, 2))), []);
    desk.tell(B, [ToDispatcher::Spaces(vec![space(AWAY, 1)])]);
    assert_eq!(delivered(&desk.carry(to(300, 3))), []);
    assert_eq!(delivered(&desk.create(300, 1, Placement::Process(B))), [(B, 1), (B, 2), (B, 3)]);
}

#[test]
fn a_cut_is_no_death_until_it_lasts() {
    let mut desk = Desk::complete();
    desk.down("game/a", A);
    assert_eq!(delivered(&desk.carry(to(FOX, 1))), [(A, 1)]);
    assert_eq!(desk.router.next_wake_ms(), Some(desk.now_ms + DEATH_MS));
    assert_eq!(desk.wait(DEATH_MS - 1), []);
    let out = desk.wait(1);
    assert_eq!([B, G].map(|life| told(&out, life, &FromDispatcher::Dead(A))), [1, 1]);
    assert!(out.contains(&RouterOutput::Peer { to: OTHER, message: BetweenDispatchers::Dead(vec![A]) }));
    assert_eq!(returned(&desk.carry(to(FOX, 2))), [(2, ReturnReason::Gone)]);
    // It comes back: nothing of it is taken.
    let out = desk.up("game/a", A, false);
    assert_eq!(told(&out, A, &FromDispatcher::Dead(A)), 1);
    desk.tell(A, [ToDispatcher::Spaces(vec![space(HOME, 1)]), report(FOX, HOME, 1, false)]);
    assert_eq!(returned(&desk.carry(to(FOX, 3))), [(3, ReturnReason::Gone)]);
    // Told again, it is forwarded no more.
    let again = RouterInput::FromPeer { incarnation: OTHER, message: BetweenDispatchers::Dead(vec![A]) };
    assert_eq!(desk.input(again), []);
}

#[test]
fn who_cannot_know_declares_nobody_dead() {
    let mut desk = Desk::complete();
    desk.down("game/a", A);
    desk.down("dispatcher/e", OTHER);
    assert_eq!(desk.wait(DEATH_MS * 2), []);
    let out = desk.up("dispatcher/e", OTHER, false);
    assert_eq!(told(&out, B, &FromDispatcher::Dead(A)), 0);
    assert_eq!(told(&desk.wait(0), B, &FromDispatcher::Dead(A)), 1);

    let mut young = Desk::new();
    young.up("game/a", A, true);
    young.up("game/b", B, true);
    young.tell(B, []);
    young.down("game/a", A);
    assert_eq!(told(&young.wait(DEATH_MS), B, &FromDispatcher::Dead(A)), 0);
    assert_eq!(told(&young.wait(YOUNG_MS - DEATH_MS), B, &FromDispatcher::Dead(A)), 1);
}

#[test]
fn a_younger_life_ends_the_older_and_leaving_ends_it_at_once() {
    let mut desk = Desk::complete();
    let younger = Incarnation { start: 2, random: 1 };
    let out = desk.up("game/a", younger, true);
    assert_eq!(told(&out, B, &FromDispatcher::Dead(A)), 1);
    assert_eq!(desk.router.entity_count(), 0);
    let out = desk.say(B, ToDispatcher::Leave);
    assert_eq!(told(&out, G, &FromDispatcher::Dead(B)), 1);
    let out = desk.up("game/a", A, true);
    assert_eq!(told(&out, A, &FromDispatcher::Dead(A)), 1);
}

#[test]
fn a_death_is_told_to_a_dispatcher_that_comes_later() {
    let mut desk = Desk::complete();
    desk.down("dispatcher/e", OTHER);
    desk.say(B, ToDispatcher::Leave);
    let out = desk.up("dispatcher/e", life(5), true);
    assert_eq!(out, [RouterOutput::Peer { to: life(5), message: BetweenDispatchers::Dead(vec![B]) }]);
}

#[test]
fn a_death_that_was_missed_is_told_at_the_end_of_the_next_report() {
    let mut desk = Desk::complete();
    desk.down("gate/g", G);
    desk.say(B, ToDispatcher::Leave);
    desk.up("gate/g", G, true);
    let dead = FromDispatcher::Dead(B);
    assert_eq!(told(&desk.tell(G, []), G, &dead), 1);
    // Who knows it is not told again, and a gate is not believed.
    let known = |dead| ToDispatcher::Known { alive: Vec::new(), dead };
    assert_eq!(told(&desk.tell(G, [known(vec![B, A])]), G, &dead), 0);
    assert!(desk.router.processes.get(A).is_some());
    assert_eq!(told(&desk.tell(A, [known(vec![B, G])]), G, &FromDispatcher::Dead(G)), 1);
}

#[test]
fn whom_others_know_is_dead_if_he_does_not_come_to_a_new_dispatcher() {
    let mut desk = Desk::new();
    desk.up("gate/g", G, true);
    let alive =
        vec![(A, "game/a".to_owned()), (B, "game/b".to_owned()), (life(8), "dispatcher/x".to_owned())];
    desk.tell(G, [ToDispatcher::Known { alive, dead: Vec::new() }]);
    assert_eq!(desk.router.next_death_ms(), Some(1_000 + ABSENT_MS));
    desk.up("game/a", A, true);
    desk.tell(A, []);
    // A younger life makes it certain at once.
    let younger = Incarnation { start: 2, ..B };
    assert_eq!(told(&desk.up("game/b", younger, true), G, &FromDispatcher::Dead(B)), 1);
    assert_eq!(told(&desk.wait(ABSENT_MS), G, &FromDispatcher::Dead(A)), 0);

    let mut desk = Desk::new();
    desk.up("gate/g", G, true);
    desk.tell(G, [ToDispatcher::Known { alive: vec![(A, "game/a".to_owned())], dead: Vec::new() }]);
    assert!(!desk.router.is_complete());
    assert_eq!(told(&desk.wait(ABSENT_MS - 1), G, &FromDispatcher::Dead(A)), 0);
    assert_eq!(told(&desk.wait(1), G, &FromDispatcher::Dead(A)), 1);
    assert!(desk.router.is_complete());
}

#[test]
fn what_left_before_a_death_lives_on() {
    let mut desk = Desk::complete();
    desk.say(A, ToDispatcher::Block { entity: id(FOX), intent: 5 });
    desk.say(A, ToDispatcher::Carry(arrival(FOX, AWAY, 2)));
    assert_eq!(returned(&desk.say(A, ToDispatcher::Leave)), []);
    assert_eq!(desk.carry(to(FOX, 1)), []);
    assert_eq!(delivered(&desk.say(B, report(FOX, AWAY, 2, false))), [(B, 1)]);

    // It never arrives.
    let mut desk = Desk::complete();
    desk.say(A, ToDispatcher::Block { entity: id(FOX), intent: 5 });
    desk.say(A, ToDispatcher::Carry(arrival(FOX, AWAY, 2)));
    desk.say(A, ToDispatcher::Leave);
    desk.carry(Envelope { refusable: false, ..to(FOX, 1) });
    assert_eq!(returned(&desk.wait(PARKED_MS_MAX)), [(1, ReturnReason::Gone)]);
}

#[test]
fn what_goes_to_a_process_that_dies_comes_back_to_where_it_was() {
    let mut desk = Desk::complete();
    desk.say(A, ToDispatcher::Block { entity: id(FOX), intent: 5 });
    desk.say(A, ToDispatcher::Carry(arrival(FOX, AWAY, 2)));
    desk.carry(to(FOX, 1));
    assert_eq!(returned(&desk.say(B, ToDispatcher::Leave)), []);
    let again = desk.say(A, ToDispatcher::Carry(arrival(FOX, AWAY, 2)));
    assert_eq!(returned(&again), [(1, ReturnReason::Gone)]);
    assert_eq!(delivered(&desk.say(A, report(FOX, HOME, 3, false))), [(A, 1)]);
    // Had it been there, it would have died there.
    let mut desk = Desk::complete();
    desk.say(A, ToDispatcher::Block { entity: id(FOX), intent: 5 });
    desk.say(A, ToDispatcher::Carry(arrival(FOX, AWAY, 2)));
    desk.say(B, report(FOX, AWAY, 2, false));
    desk.say(B, ToDispatcher::Leave);
    let out = desk.say(A, ToDispatcher::Carry(arrival(FOX, AWAY, 2)));
    assert!(matches!(&out[..], [RouterOutput::Send { message: FromDispatcher::Acks(_), .. }]), "{out:?}");
}

#[test]
fn here_wins_against_leaving_of_the_same_epoch_in_any_order() {
    for first in [A, B] {
        let mut desk = Desk::new();
        desk.up("gate/g", G, true);
        desk.tell(G, []);
        desk.up("game/a", A, true);
        desk.up("game/b", B, true);
        desk.carry(to(FOX, 1));
        let mut out = Vec::new();
        for from in [first, if first == A { B } else { A }] {
            let (own, fox) = match from {
                A => (space(HOME, 1), report(FOX, AWAY, 2, true)),
                _ => (space(AWAY, 1), report(FOX, AWAY, 2, false)),
            };
            out.extend(desk.tell(from, [ToDispatcher::Spaces(vec![own]), fox]));
        }
        assert_eq!(delivered(&out), [(B, 1)]);
    }
}

#[test]
fn after_a_loss_nothing_counts_before_the_report_and_that_replaces_all() {
    let mut desk = Desk::complete();
    desk.down("game/a", A);
    desk.up("game/a", A, true);
    assert_eq!(desk.say(A, report(500, HOME, 1, false)), []);
    // Acknowledgements may overtake the report.
    let ack = Ack { sender: Id::from_u128(7), target: Target::Entity(id(FOX)), counter: 1 };
    let out = desk.say(A, ToDispatcher::Acks { to: G, acks: vec![ack] });
    assert_eq!(told(&out, G, &FromDispatcher::Acks(vec![ack])), 1);
    desk.carry(to(500, 1));
    let out = desk.tell(A, [ToDispatcher::Spaces(vec![space(HOME, 1)])]);
    assert_eq!(returned(&out), [(1, ReturnReason::Gone)]);
    assert_eq!(returned(&desk.carry(to(FOX, 2))), [(2, ReturnReason::Gone)]);
    assert_eq!(desk.router.entity_count(), 0);
}

#[test]
fn what_a_link_gives_back_is_refused_or_said_again() {
    let mut desk = Desk::complete();
    let unsent =
        |desk: &mut Desk, message, overloaded| desk.input(RouterInput::Unsent { to: A, message, overloaded });
    let out = unsent(&mut desk, FromDispatcher::Deliver(to(FOX, 1)), true);
    assert_eq!(returned(&out), [(1, ReturnReason::Overloaded)]);
    let must = Envelope { refusable: false, ..to(FOX, 2) };
    assert_eq!(unsent(&mut desk, FromDispatcher::Deliver(must), true), []);
    let marker = FromDispatcher::Marker { entity: id(FOX), intent: 1 };
    assert_eq!(unsent(&mut desk, marker.clone(), true), []);
    let wake_ms = desk.router.next_wake_ms().unwrap();
    let out = desk.wait(wake_ms - desk.now_ms);
    assert_eq!((told(&out, A, &marker), told(&out, G, &FromDispatcher::SendAgain)), (1, 1));
}

#[test]
fn processes_hear_of_each_other_and_of_what_is_gone() {
    let mut desk = Desk::complete();
    desk.profile(A, Profile { load: 3, ..Profile::default() });
    desk.profile(A, Profile { load: 4, ..Profile::default() });
    let out = desk.wait(1_000);
    let members = out.iter().find_map(|output| match output {
        RouterOutput::Send { to: G, message: FromDispatcher::Members(members) } => Some(members.clone()),
        _ => None,
    });
    let members = members.unwrap_or_default();
    assert_eq!(
        members.iter().map(|member| member.name.as_str()).collect::<Vec<_>>(),
        ["game/a", "game/b", "gate/g"]
    );
    assert_eq!(members[0].profile.load, 4);
    let out = desk.say(G, ToDispatcher::Ask { ticket: 8, entities: vec![id(FOX), id(1)] });
    assert_eq!(told(&out, G, &FromDispatcher::Asked { ticket: 8, gone: vec![id(1)] }), 1);
}

#[test]
fn what_is_for_a_process_reaches_it_or_comes_back() {
    let mut desk = Desk::complete();
    let lane = |life, counter| envelope(Target::Process(life), counter);
    assert_eq!(delivered(&desk.carry(lane(A, 1))), [(A, 1)]);
    desk.say(A, ToDispatcher::Leave);
    assert_eq!(returned(&desk.carry(lane(A, 2))), [(2, ReturnReason::Gone)]);
    // One that nobody has heard of may be on its way.
    assert_eq!(returned(&desk.carry(lane(life(77), 3))), []);
    desk.up("gate/h", life(77), true);
    assert_eq!(desk.router.parked(), (0, 0));
}
