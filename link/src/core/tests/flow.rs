//! Queues, credit and refusals: nobody blocks, nothing is dropped silently, and what is no link ends.

use super::*;
use crate::limits::{FRAME_BYTES_MAX, Share};

const MIB: usize = 1024 * 1024;

/// Shares of few messages.
fn small() -> Limits {
    let share = |count_max| Share { bytes_max: 64 * MIB, count_max };
    Limits { ordinary: share(40), reserved: share(10), express: share(5), ..Limits::default() }
}

fn refused(events: &[Event]) -> Vec<(Bytes, Refused)> {
    let back = |event: &Event| match event {
        Event::Refused { message, why } => Some((message.payload.clone(), *why)),
        _ => None,
    };
    events.iter().filter_map(back).collect()
}

fn count_messages(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Message { .. })).count()
}

fn has_message(events: &[Event], text: &str) -> bool {
    events.iter().any(|event| matches!(event, Event::Message { payload, .. } if payload == text.as_bytes()))
}

#[test]
fn many_messages_leave_in_one_write() {
    let mut rig = Rig::up(Limits::default());
    let before = rig.writes[DIALER];
    for number in 0..1_000u32 {
        rig.send(DIALER, Class::Ordinary, number.to_be_bytes().to_vec());
    }
    rig.run();
    assert_eq!((rig.messages(LISTENER).len(), rig.writes[DIALER] - before), (1_000, 1));
}

#[test]
fn over_the_share_messages_come_back_in_order() {
    let mut rig = Rig::up(small());
    (0..60u8).for_each(|number| rig.send(DIALER, Class::Ordinary, vec![number]));
    let expected: Vec<(Bytes, Refused)> =
        (40..60u8).map(|it| (vec![it].into(), Refused::Overloaded)).collect();
    assert_eq!(refused(&rig.take(DIALER)), expected);
    (100..115u8).for_each(|number| rig.send(DIALER, Class::Reserved, vec![number]));
    assert_eq!(refused(&rig.take(DIALER)).len(), 5);
    (200..207u8).for_each(|number| rig.send(DIALER, Class::Express, vec![number]));
    assert_eq!(refused(&rig.take(DIALER)).len(), 2);
    rig.run();
    let expected: Vec<u8> = (200..205).chain(0..40).chain(100..110).collect();
    assert_eq!(rig.messages(LISTENER).concat(), expected, "express first, the rest as it was sent");
}

#[test]
fn a_message_that_is_too_large_comes_back() {
    let mut rig = Rig::up(Limits::default());
    for class in Class::ALL {
        let max = class.payload_bytes_max();
        rig.send(DIALER, class, vec![1; max + 1]);
        assert_eq!(refused(&rig.take(DIALER))[0].1, Refused::TooLarge { len: max + 1, max });
        rig.send(DIALER, class, vec![1; max]);
        rig.run();
        assert_eq!(rig.messages(LISTENER).iter().map(Bytes::len).collect::<Vec<_>>(), [max]);
    }
}

#[test]
fn an_owner_that_takes_nothing_is_sent_no_more_than_its_window() {
    let mut rig = Rig::up(small());
    for _ in 0..30 {
        rig.send(DIALER, Class::Ordinary, vec![7; MIB]);
        rig.run();
    }
    let window = Limits::default().main_window_bytes / cost(MIB);
    assert_eq!(count_messages(&rig.events[LISTENER]) as u64, window);
    // The express lane passes nevertheless.
    rig.send(DIALER, Class::Express, "passes");
    rig.run();
    assert!(has_message(&rig.events[LISTENER], "passes"));
    // Nor does a new connection give more.
    rig.cut();
    rig.advance(100);
    assert_eq!(count_messages(&rig.events[LISTENER]) as u64, window + 1);
    let mut came = 0;
    for _ in 0..50 {
        came += rig.messages(LISTENER).len();
        rig.run();
    }
    assert_eq!(came, 31, "once they are taken, all come");
}

/// Rule C7: two processes that send to each other, both directions full, neither taking ordinary messages.
#[test]
fn two_full_links_in_a_cycle_do_not_block_each_other() {
    let mut rig = Rig::up(small());
    for _ in 0..100 {
        for end in [DIALER, LISTENER] {
            rig.send(end, Class::Ordinary, vec![1; MIB]);
        }
        rig.run();
    }
    let mut inbox = [Vec::new(), Vec::new()];
    for end in [DIALER, LISTENER] {
        inbox[end] = rig.take(end);
        assert!(refused(&inbox[end]).len() > 40, "the link is full");
        assert_eq!(rig.cores[end].waiting(Class::Ordinary).count, small().ordinary.count_max);
        rig.send(end, Class::Express, format!("ack of {end}"));
        rig.send(end, Class::Reserved, format!("marker of {end}"));
    }
    rig.run();
    for end in [DIALER, LISTENER] {
        let events = rig.take(end);
        assert_eq!(refused(&events), [], "the reserved shares have room");
        assert!(has_message(&events, &format!("ack of {}", 1 - end)), "what is express passes at once");
    }
    // Each end takes what came, and answers every message with one of its reserved share.
    let mut came = [0; 2];
    let mut markers = [0; 2];
    for _ in 0..100 {
        for end in [DIALER, LISTENER] {
            let mut events = std::mem::take(&mut inbox[end]);
            events.append(&mut rig.events[end]);
            for event in events {
                let Event::Message { class, payload } = event else { continue };
                rig.input(end, Input::Consumed { lane: class.lane(), cost: cost(payload.len()) });
                markers[end] += usize::from(payload.starts_with(b"marker"));
                if class == Class::Ordinary {
                    came[end] += 1;
                    rig.send(end, Class::Reserved, "refused to you");
                }
            }
        }
        rig.run();
    }
    assert_eq!(markers, [1, 1], "behind what was sent before them");
    assert_eq!(came, [40 + 7, 40 + 7], "what was accepted came");
    for end in [DIALER, LISTENER] {
        let waiting = [Class::Ordinary, Class::Reserved].map(|class| rig.cores[end].waiting(class).count);
        assert_eq!(waiting, [0, 0]);
    }
}

#[test]
fn nothing_is_sent_to_nobody() {
    let mut rig = Rig::new();
    rig.send(DIALER, Class::Ordinary, "too early");
    assert_eq!(refused(&rig.take(DIALER)), [("too early".into(), Refused::OtherLife)]);
}

#[test]
fn a_link_that_closes_sends_what_waits_and_says_good_bye() {
    let mut rig = Rig::up(Limits::default());
    for number in 0..500 {
        rig.send(DIALER, Class::Ordinary, vec![0; 2_000 + number]);
    }
    rig.input(DIALER, Input::Close);
    rig.send(DIALER, Class::Ordinary, "too late");
    rig.run();
    let events = rig.take(DIALER);
    assert_eq!(refused(&events), [("too late".into(), Refused::Closed)]);
    assert_eq!(events.last(), Some(&Event::Closed));
    let events = rig.take(LISTENER);
    assert_eq!((count_messages(&events), events.last()), (500, Some(&Event::Down(DownReason::Bye))));
    assert_eq!(rig.cores[DIALER].next_wake_ms(), None);
}

#[test]
fn a_link_that_cannot_close_well_gives_back_what_waits() {
    let mut rig = Rig::up(Limits::default());
    rig.held = true;
    rig.send(DIALER, Class::Ordinary, "under way");
    rig.run();
    rig.send(DIALER, Class::Ordinary, "waits");
    rig.input(DIALER, Input::Close);
    rig.advance(999);
    assert_eq!(rig.take(DIALER), []);
    rig.advance(1);
    let events = rig.take(DIALER);
    assert_eq!(refused(&events), [("waits".into(), Refused::Closed)]);
    assert_eq!(events.last(), Some(&Event::Closed));
}

#[test]
fn holes_and_doubles_end_the_link_with_their_name() {
    let message = |sequence| Frame::Message { class: Class::Reserved, sequence, payload: "x".into() };
    let gap = |expected, found| DownReason::Gap { lane: Lane::Main, expected, found };
    let hello = Frame::Hello(Box::new(Rig::new().cores[DIALER].hello()));
    let large =
        |sequence| Frame::Message { class: Class::Ordinary, sequence, payload: vec![0; 2 * MIB].into() };
    let cases: Vec<(Vec<Frame>, DownReason)> = vec![
        (vec![message(2)], gap(1, 2)),
        (vec![message(0)], gap(1, 0)),
        (vec![message(1), message(1)], gap(2, 1)),
        (vec![hello], DownReason::Greeting),
        ((1..9).map(large).collect(), DownReason::Credit { lane: Lane::Main }),
    ];
    for (frames, reason) in cases {
        let mut rig = Rig::up(Limits::default());
        // Behind the fault comes what must not be read.
        let batch = Batch { frames: frames.into_iter().chain((1..4).map(message)).collect() };
        rig.input(LISTENER, Input::Received { connection: ConnectionId(1), bytes: batch.to_bytes() });
        assert_eq!(rig.take(LISTENER).last(), Some(&Event::Down(reason)));
        rig.run();
        assert_eq!(rig.take(DIALER), [Event::Down(DownReason::Disconnected)]);
    }
}

#[test]
fn garbage_ends_the_link_with_its_name() {
    let cases: [(&[u8], FrameError); 4] = [
        (&[0, 0, 0, 0], FrameError::Empty),
        (&[0, 0, 0, 1, 0x77], FrameError::Kind(0x77)),
        (&[0, 0, 0, 2, 0x11, 1], FrameError::Field("length")),
        (b"GET / HTTP/1.1", FrameError::TooLarge { len: 0x4745_5420, max: FRAME_BYTES_MAX }),
    ];
    for (bytes, error) in cases {
        let mut rig = Rig::up(Limits::default());
        let bytes = Bytes::from_static(bytes);
        rig.input(LISTENER, Input::Received { connection: ConnectionId(1), bytes });
        assert_eq!(rig.take(LISTENER), [Event::Down(DownReason::Frame(error))]);
    }
}
