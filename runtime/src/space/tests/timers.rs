//! Timers under virtual time.

use super::*;

fn ringing(start: fn(&mut Context<'_>) -> Result<(), Stop>) -> Bed {
    Bed::new(&[2], move |model, journal| {
        let journal = journal.clone();
        model.on("Avatar", "act", start).on("Avatar", "timed", move |cx| {
            let mut reader = cbor::Reader::new(&cx.event.args);
            let context = reader.i64().unwrap();
            let missed = reader.i64().unwrap();
            note(&journal, format!("{context} at {} missed {missed}", cx.event.now_ms - START_MS));
            if context == 13 { Err(trap()) } else { Ok(()) }
        })
    })
}

fn start(cx: &mut Context<'_>, context: i64, delay: f64, repeat: f64) -> Result<Id, Stop> {
    let timed = cx.method("Avatar", "timed")?.1;
    Ok(cx.host.start_timer(cx.me(), timed, int(context), delay, repeat, false)?)
}

#[test]
fn a_repeating_timer_does_not_drift_and_says_what_it_missed() {
    let mut bed = ringing(|cx| start(cx, 1, 100.0, 50.0).map(drop));
    bed.call(2, "act");
    bed.pass(99);
    assert_eq!(bed.noted(), Vec::<String>::new(), "never early");
    bed.pass(1);
    assert_eq!(bed.noted(), ["1 at 100 missed 0"]);
    // Behind: nothing runs until 327.
    bed.now += 227;
    bed.run();
    assert_eq!(bed.noted(), ["1 at 327 missed 3"]);
    bed.pass(50);
    assert_eq!(bed.noted(), ["1 at 350 missed 0"]);
}

#[test]
fn a_timer_is_consumed_even_if_its_handler_traps() {
    let mut bed = ringing(|cx| start(cx, 13, 10.0, 0.0).map(drop));
    bed.call(2, "act");
    bed.pass(1_000);
    assert_eq!(bed.noted(), ["13 at 10 missed 0"]);
    assert_eq!(bed.core.next_wake_ms(), None);
}

#[test]
fn a_firing_in_the_mailbox_is_dropped_when_the_timer_is_cancelled() {
    let mut bed = Bed::new(&[2], |model, journal| {
        let journal = journal.clone();
        model
            .on("Avatar", "act", |cx| {
                let timer = start(cx, 1, 10.0, 0.0)?;
                let mut items = Vec::new();
                cbor::array(&mut items, 1);
                cbor::id(&mut items, timer);
                cx.write(id(2), 2, items.into())
            })
            .on("Avatar", "other", |cx| {
                let items = cx.read(id(2), 2)?;
                let mut reader = cbor::Reader::new(&items);
                reader.array().unwrap();
                cx.host.cancel_timer(id(2), reader.id().unwrap());
                Ok(())
            })
            .on("Avatar", "timed", move |_| {
                note(&journal, "fired");
                Ok(())
            })
    });
    bed.call(2, "act");
    bed.now += 10;
    // Both are in the mailbox of one drain; the call came first.
    bed.push_call(2, "other");
    bed.run();
    bed.pass(100);
    assert_eq!(bed.noted(), Vec::<String>::new());
}

#[test]
fn what_is_no_time_is_refused() {
    let mut bed = ringing(|cx| {
        for (delay, repeat) in [(f64::NAN, 0.0), (-1.0, 0.0), (0.0, 9.0), (f64::INFINITY, 0.0)] {
            assert!(matches!(start(cx, 1, delay, repeat), Err(Stop::Error(GuestError::BadArguments(_)))));
        }
        assert!(matches!(start(cx, 1, 1e15, 0.0), Err(Stop::Error(GuestError::Limit(_)))));
        for _ in 0..1_024 {
            start(cx, 1, 1e6, 0.0)?;
        }
        assert!(matches!(start(cx, 1, 1e6, 0.0), Err(Stop::Error(GuestError::Limit(_)))));
        Ok(())
    });
    assert_eq!(bed.call(2, "act"), Some(Outcome::null()));
}
