//! The machine under virtual time: outages, gates that die, those that must not be asked again, and chance.

use super::*;
use crate::core::BrokenStream;
use everwake_protocol::Id;

const SESSION: SessionId = SessionId(Id([1, 2, 3, 4]));

/// A machine, its clock, and what it told.
struct Rig {
    core: ReconnectCore,
    now: Duration,
    /// The gate that is being connected to.
    connecting: Option<usize>,
    told: Vec<ConnectionEvent>,
}

impl Rig {
    fn new(gates: usize, policy: ReconnectPolicy) -> Rig {
        let core = ReconnectCore::new(gates, policy, 7);
        Rig { core, now: Duration::ZERO, connecting: None, told: Vec::new() }
    }

    /// In its first session, long enough to be trusted.
    fn playing(gates: usize) -> Rig {
        let mut rig = Rig::new(gates, ReconnectPolicy::default());
        rig.input(Input::Start);
        rig.input(Input::Connected(SESSION));
        rig.pass(RECONNECT_STABLE_MS);
        rig.told.clear();
        rig
    }

    fn input(&mut self, input: Input) {
        if matches!(input, Input::Connected(_) | Input::Failed(_)) {
            self.connecting.take().expect("an attempt comes to its end");
        }
        self.core.handle(self.now, input);
        while let Some(output) = self.core.drain() {
            match output {
                Output::Connect(gate) => {
                    assert_eq!(self.connecting.replace(gate), None, "two attempts at once");
                }
                Output::Abandon => assert!(self.connecting.take().is_some(), "nothing to abandon"),
                Output::Tell(event) => self.told.push(event),
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    /// Time passes to the machine's deadline; how many ms.
    fn wait(&mut self) -> u64 {
        let until = self.core.deadline().expect("it waits for a time");
        let waited = until - self.now;
        self.now = until;
        self.input(Input::Tick);
        u64::try_from(waited.as_millis()).unwrap()
    }

    fn end(&mut self, why: Closed) {
        self.input(Input::Ended(Ended { why, open: LeftOpen::default() }));
    }

    /// The end of an outage's wait; the gate that is asked then.
    fn next_gate(&mut self) -> usize {
        self.wait();
        self.connecting.expect("an attempt")
    }

    fn over(&self) -> Option<&Over> {
        match self.told.last()? {
            ConnectionEvent::Over { why } => Some(why),
            _ => None,
        }
    }
}

fn by_server(code: CloseCode) -> Closed {
    Closed::ByServer { code: Some(code), reason: "so".into() }
}

fn silence() -> ConnectError {
    ConnectError::TimedOut
}

#[test]
fn who_loses_its_gate_goes_on_at_the_next_one_and_hears_all_of_it() {
    let mut rig = Rig::playing(2);
    let open = LeftOpen { unknown: 2, not_run: 1 };
    rig.input(Input::Ended(Ended { why: Closed::TimedOut, open }));
    assert_eq!(rig.connecting, None, "not at once");
    let in_ms = rig.wait();
    assert!((RECONNECT_WAIT_MIN_MS / 2..=RECONNECT_WAIT_MIN_MS).contains(&in_ms), "{in_ms}");
    assert_eq!(rig.connecting, Some(1));
    let session = SessionId(Id([5, 6, 7, 8]));
    rig.input(Input::Connected(session));
    assert_eq!(
        rig.told,
        [
            ConnectionEvent::Disconnected { gate: 0, why: Closed::TimedOut, open },
            ConnectionEvent::Reconnecting { attempt: 1, gate: 1, in_ms },
            ConnectionEvent::Connected { gate: 1, session },
        ]
    );
}

#[test]
fn the_end_says_where_the_next_session_is() {
    let check = |why: Closed, gate| {
        let mut rig = Rig::playing(3);
        rig.end(why.clone());
        assert_eq!(rig.next_gate(), gate, "{why:?}");
    };
    for code in [CloseCode::Rate, CloseCode::Slow, CloseCode::Timeout] {
        check(by_server(code), 0);
    }
    check(Closed::Transport("reset".into()), 0);
    for code in [CloseCode::Shutdown, CloseCode::Full] {
        check(by_server(code), 1);
    }
    check(Closed::TimedOut, 1);
    check(Closed::Broken(BrokenStream("nonsense".into())), 1);
    check(Closed::Handshake("bad certificate".into()), 1);
}

#[test]
fn who_was_sent_away_for_good_does_not_come_back() {
    let unknown = Closed::ByServer { code: None, reason: "so".into() };
    let codes = [CloseCode::Done, CloseCode::Kicked, CloseCode::Protocol, CloseCode::Version];
    for why in codes.map(by_server).into_iter().chain([unknown]) {
        let mut rig = Rig::playing(3);
        rig.end(why.clone());
        assert_eq!(rig.over(), Some(&Over::Closed(why.clone())));
        // So too if it happens before the welcome.
        let mut rig = Rig::playing(3);
        rig.end(Closed::TimedOut);
        rig.wait();
        rig.input(Input::Failed(ConnectError::Closed(why.clone())));
        assert_eq!(rig.over(), Some(&Over::Refused(ConnectError::Closed(why))));
        assert_eq!(rig.core.deadline(), None);
    }
}

#[test]
fn waits_grow_to_the_cap_and_attempts_have_an_end() {
    let mut rig = Rig::playing(2);
    rig.end(Closed::TimedOut);
    for attempt in 1..=RECONNECT_ATTEMPTS_MAX {
        let whole = (RECONNECT_WAIT_MIN_MS << (attempt - 1).min(10)).min(RECONNECT_WAIT_MAX_MS);
        let waited = rig.wait();
        assert!((whole / 2..=whole).contains(&waited), "attempt {attempt} waits {waited}");
        assert_eq!(rig.connecting, Some(attempt as usize % 2), "one gate after the other");
        assert_eq!(rig.over(), None);
        rig.input(Input::Failed(silence()));
    }
    assert_eq!(rig.over(), Some(&Over::GaveUp { attempts: RECONNECT_ATTEMPTS_MAX, last: silence() }));
}

#[test]
fn clients_of_one_gate_do_not_come_back_in_one_moment() {
    let waits: std::collections::BTreeSet<u64> = (0..100)
        .map(|seed| {
            let mut core = ReconnectCore::new(1, ReconnectPolicy::default(), seed);
            core.handle(Duration::ZERO, Input::Start);
            core.handle(Duration::ZERO, Input::Connected(SESSION));
            let ended = Ended { why: Closed::TimedOut, open: LeftOpen::default() };
            core.handle(Duration::ZERO, Input::Ended(ended));
            u64::try_from(core.deadline().unwrap().as_millis()).unwrap()
        })
        .collect();
    assert!(waits.len() > 80, "{waits:?}");
}

#[test]
fn an_attempt_that_takes_too_long_is_dropped_for_the_next_gate() {
    let mut rig = Rig::playing(2);
    rig.end(Closed::TimedOut);
    assert_eq!(rig.next_gate(), 1);
    assert_eq!(rig.wait(), RECONNECT_ATTEMPT_MS);
    assert_eq!(rig.connecting, None);
    assert!(rig.told.contains(&ConnectionEvent::Failed { gate: 1, why: silence() }), "{:?}", rig.told);
    assert_eq!(rig.next_gate(), 0);
}

#[test]
fn a_gate_that_welcomes_and_closes_is_asked_more_and_more_rarely() {
    let mut rig = Rig::playing(1);
    rig.end(Closed::TimedOut);
    let mut waits = Vec::new();
    for _ in 0..5 {
        waits.push(rig.wait());
        rig.input(Input::Connected(SESSION));
        rig.pass(RECONNECT_STABLE_MS - 1);
        rig.end(by_server(CloseCode::Full));
    }
    assert!(waits.is_sorted() && waits[4] >= 8 * RECONNECT_WAIT_MIN_MS, "{waits:?}");
    // One that held is an end of the outage.
    rig.wait();
    rig.input(Input::Connected(SESSION));
    rig.pass(RECONNECT_STABLE_MS);
    rig.end(by_server(CloseCode::Full));
    let Some(ConnectionEvent::Reconnecting { attempt: 1, in_ms, .. }) = rig.told.last() else {
        panic!("{:?}", rig.told)
    };
    assert!(*in_ms <= RECONNECT_WAIT_MIN_MS);
}

#[test]
fn a_first_session_that_was_short_has_no_outage_before_it() {
    let mut rig = Rig::new(2, ReconnectPolicy::default());
    rig.input(Input::Start);
    rig.input(Input::Failed(silence()));
    rig.input(Input::Connected(SESSION));
    rig.end(Closed::TimedOut);
    assert!(matches!(rig.told.last(), Some(ConnectionEvent::Reconnecting { attempt: 1, gate: 0, .. })));
}

#[test]
fn a_certificate_that_is_not_believed_bars_its_gate_alone() {
    let wrong = || ConnectError::Closed(Closed::Handshake("not the pinned one".into()));
    let mut rig = Rig::playing(2);
    rig.end(Closed::TimedOut);
    assert_eq!(rig.next_gate(), 1);
    rig.input(Input::Failed(wrong()));
    for _ in 0..3 {
        assert_eq!(rig.next_gate(), 0);
        rig.input(Input::Failed(silence()));
    }
    assert_eq!(rig.next_gate(), 0);
    rig.input(Input::Failed(wrong()));
    assert_eq!(rig.over(), Some(&Over::GaveUp { attempts: 5, last: wrong() }));
}

#[test]
fn the_first_session_is_sought_at_each_gate_once_and_without_a_pause() {
    let mut rig = Rig::new(3, ReconnectPolicy::default());
    rig.input(Input::Start);
    for gate in 0..3 {
        assert_eq!(rig.connecting, Some(gate));
        rig.input(Input::Failed(silence()));
    }
    assert_eq!(rig.over(), Some(&Over::GaveUp { attempts: 3, last: silence() }));
    let mut rig = Rig::new(0, ReconnectPolicy::default());
    rig.input(Input::Start);
    assert_eq!(rig.over(), Some(&Over::NoGates));
}

#[test]
fn the_apps_own_mistake_is_not_tried_elsewhere() {
    let mut rig = Rig::new(3, ReconnectPolicy::default());
    rig.input(Input::Start);
    let why = ConnectError::NotLoopback("192.0.2.1:1".parse().unwrap());
    rig.input(Input::Failed(why.clone()));
    assert_eq!(rig.over(), Some(&Over::Refused(why)));
}

#[test]
fn off_is_off() {
    let mut rig = Rig::new(2, ReconnectPolicy::off());
    rig.input(Input::Start);
    // A list of gates for the beginning is no connecting again.
    rig.input(Input::Failed(silence()));
    rig.input(Input::Connected(SESSION));
    rig.pass(RECONNECT_STABLE_MS);
    rig.end(Closed::TimedOut);
    assert_eq!(rig.over(), Some(&Over::Closed(Closed::TimedOut)));
}

#[test]
fn who_leaves_is_left_alone_whatever_it_was_doing() {
    let leave = |mut rig: Rig| {
        rig.input(Input::Leave);
        assert_eq!((rig.over(), rig.connecting), (Some(&Over::Left), None));
        let told = rig.told.len();
        rig.input(Input::Tick);
        rig.end(Closed::TimedOut);
        rig.input(Input::Start);
        assert_eq!((rig.told.len(), rig.core.deadline()), (told, None), "{:?}", rig.told);
    };
    leave(Rig::new(1, ReconnectPolicy::default()));
    let mut connecting = Rig::new(1, ReconnectPolicy::default());
    connecting.input(Input::Start);
    leave(connecting);
    let mut waiting = Rig::playing(1);
    waiting.end(Closed::TimedOut);
    leave(waiting);
    // In a session it waits for the end, whichever that is.
    for why in [Closed::ByClient, by_server(CloseCode::Done), Closed::TimedOut] {
        let mut rig = Rig::playing(1);
        rig.input(Input::Leave);
        assert_eq!(rig.over(), None);
        rig.end(why);
        assert_eq!(rig.over(), Some(&Over::Left));
    }
}

/// Any inputs in any order: there is one attempt at a time (the rig's), sessions begin and end in turns, barred gates
/// are not asked, each event is of the gate that it should be of, and after the end there is silence.
#[test]
fn whatever_happens_the_app_hears_a_true_story() {
    for seed in 0..2_000 {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let gates = 1 + (seed % 4) as usize;
        let mut rig = Rig::new(gates, ReconnectPolicy { attempts_max: 6, ..ReconnectPolicy::default() });
        rig.input(Input::Start);
        for _ in 0..60 {
            any_input(&mut rig, &mut chance);
        }
        check_story(&rig.told, gates, rig.connecting);
    }
}

fn any_input(rig: &mut Rig, chance: &mut ChaCha8Rng) {
    let ends = [
        Closed::TimedOut,
        Closed::Transport("reset".into()),
        by_server(CloseCode::Full),
        by_server(CloseCode::Rate),
        Closed::Handshake("wrong".into()),
    ];
    let end = ends[chance.next_u64() as usize % ends.len()].clone();
    rig.pass(chance.next_u64() % 12_000);
    match chance.next_u64() % 100 {
        0..30 => rig.input(Input::Tick),
        30..55 if rig.connecting.is_some() => rig.input(Input::Connected(SESSION)),
        55..75 if rig.connecting.is_some() => rig.input(Input::Failed(end.into())),
        75..98 => rig.end(end),
        98 => rig.input(Input::Leave),
        _ => rig.input(Input::Start),
    }
}

fn check_story(told: &[ConnectionEvent], gates: usize, connecting: Option<usize>) {
    let (mut playing, mut barred, mut next) = (None, vec![false; gates], None);
    for (place, event) in told.iter().enumerate() {
        let story = || format!("{event:?} in {told:?}");
        match event {
            ConnectionEvent::Connected { gate, .. } => {
                assert!(playing.replace(*gate).is_none() && !barred[*gate], "{}", story());
                assert!(next.take().is_none_or(|next| next == *gate), "{}", story());
            }
            ConnectionEvent::Disconnected { gate, why, .. } => {
                assert_eq!(playing.take(), Some(*gate), "{}", story());
                barred[*gate] |= matches!(why, Closed::Handshake(_));
            }
            ConnectionEvent::Failed { gate, why } => {
                assert!(playing.is_none() && !barred[*gate], "{}", story());
                assert!(next.take().is_none_or(|next| next == *gate), "{}", story());
                barred[*gate] |= matches!(why, ConnectError::Closed(Closed::Handshake(_)));
            }
            ConnectionEvent::Reconnecting { attempt, gate, in_ms } => {
                assert!(playing.is_none() && !barred[*gate] && next.is_none(), "{}", story());
                assert!((1..=6).contains(attempt) && *in_ms <= RECONNECT_WAIT_MAX_MS, "{}", story());
                next = Some(*gate);
            }
            ConnectionEvent::Over { .. } => {
                assert!(place + 1 == told.len() && connecting.is_none(), "{}", story());
            }
        }
    }
}
