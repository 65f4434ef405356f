//! Every limit of what a handler asks for: as much as is allowed is fine, one more is an error that names
//! the limit, and nothing of that event has happened.

use super::*;
use crate::guest::{Audience, Imports, LogLevel};
use crate::limits::*;
use everwake_protocol::cluster::Comparison;
use everwake_protocol::limits::{ARGS_BYTES_MAX, CONTEXT_BYTES_MAX};
use everwake_protocol::outcome::Certainty;

/// Asks for `count` of something in one event.
type Ask = fn(&mut Context<'_>, usize) -> Result<(), Stop>;

/// One limit.
struct Case {
    /// How it is named to the author.
    name: &'static str,
    most: usize,
    /// Asks of one event; more are asked for in several.
    batch: usize,
    ask: Ask,
}

fn case(name: &'static str, most: usize, ask: Ask) -> Case {
    Case { name, most, batch: usize::MAX, ask }
}

fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// A byte string with its head.
fn item(bytes: usize) -> Bytes {
    let mut item = Vec::new();
    let head = if bytes > 65_538 { 5 } else { 3 };
    cbor::bytes(&mut item, &vec![0; bytes - head]);
    assert_eq!(item.len(), bytes);
    item.into()
}

/// A list of one argument, so many bytes in all.
fn list_of(bytes: usize) -> Bytes {
    let mut list = vec![0x81];
    list.extend_from_slice(&item(bytes - 1));
    list.into()
}

fn again(count: usize, mut ask: impl FnMut() -> Result<(), GuestError>) -> Result<(), Stop> {
    (0..count).try_for_each(|_| ask()).map_err(Stop::from)
}

fn spawn(cx: &mut Context<'_>, count: usize) -> Result<(), Stop> {
    for _ in 0..count {
        cx.host.spawn(MOB, &[], Pose::default())??;
    }
    Ok(())
}

fn timer(cx: &mut Context<'_>, delay_ms: f64, context: Bytes) -> Result<(), Stop> {
    let (me, timed) = (cx.me(), cx.method("Avatar", "timed")?.1);
    cx.host.start_timer(me, timed, context, delay_ms, 0.0, false)?;
    Ok(())
}

fn key_value(
    cx: &mut Context<'_>,
    ask: impl FnOnce(&mut dyn Imports, Continuation) -> Result<(), GuestError>,
) -> Result<(), Stop> {
    let then = resumed(cx, cx.me());
    Ok(ask(cx.host, then)?)
}

fn of_calls() -> Vec<Case> {
    vec![
        case("256 parts of a gathering", GATHER_PARTS_MAX, |cx, count| {
            let (then, part) = (resumed(cx, cx.me()), part(cx, id(STRANGER), "act"));
            Ok(cx.host.gather(vec![part; count], then)?)
        }),
        case("256 pending calls of an entity", PENDING_PER_ENTITY_MAX, |cx, count| {
            let (then, part) = (resumed(cx, cx.me()), part(cx, id(STRANGER), "act"));
            again(count, || cx.host.call(part.clone(), then.clone()))
        }),
        Case {
            batch: 1,
            ..case("4,096 deferred answers of an entity", DEFERRED_PER_ENTITY_MAX, |cx, count| {
                again(count, || cx.host.defer().map(drop))
            })
        },
        case("4,096 messages of an event", MESSAGES_PER_EVENT_MAX, |cx, count| {
            let (me, part) = (cx.me(), part(cx, id(STRANGER), "act"));
            again(count, || cx.host.post(me, part.clone()))
        }),
        case("16 MiB of messages of an event", MESSAGE_BYTES_PER_EVENT_MAX / ARGS_BYTES_MAX, |cx, count| {
            let args = list_of(ARGS_BYTES_MAX);
            let (me, part) = (cx.me(), Part { args, ..part(cx, id(STRANGER), "act") });
            again(count, || cx.host.post(me, part.clone()))
        }),
        case("64 KiB of arguments", ARGS_BYTES_MAX, |cx, bytes| {
            let (me, part) = (cx.me(), Part { args: list_of(bytes), ..part(cx, id(STRANGER), "act") });
            Ok(cx.host.post(me, part)?)
        }),
        case("64 KiB of an answer", ARGS_BYTES_MAX, |cx, bytes| Ok(cx.host.answer(item(bytes))?)),
        case("256 bytes of a code", CODE_BYTES_MAX, |cx, bytes| Ok(cx.host.refuse(text(bytes), int(1))?)),
        case("deadline of 3,600,000 ms", DEADLINE_MS_MAX as usize, |cx, ms| {
            let then = Continuation { deadline_ms: ms as u32, ..resumed(cx, cx.me()) };
            let part = part(cx, id(STRANGER), "act");
            Ok(cx.host.call(part, then)?)
        }),
        case("context of 4 KiB", CONTEXT_BYTES_MAX, |cx, bytes| timer(cx, 10.0, item(bytes))),
    ]
}

fn of_state() -> Vec<Case> {
    vec![
        case("1,024 timers of an entity", TIMERS_PER_ENTITY_MAX, |cx, count| {
            (0..count).try_for_each(|_| timer(cx, 10.0, int(1)))
        }),
        case("ten years of a timer", TIMER_DELAY_MS_MAX as usize, |cx, ms| timer(cx, ms as f64, int(1))),
        Case {
            batch: 4_000,
            ..case("10,000 watches of an entity", WATCHES_PER_ENTITY_MAX, |cx, count| {
                let (me, gone) = (cx.me(), cx.method("Avatar", "resumed")?.1);
                again(count, || cx.host.watch(me, id(STRANGER), gone, int(1)).map(drop))
            })
        },
        case("4,096 spawns of an event", SPAWNS_PER_EVENT_MAX, spawn),
        case("256 bytes of a reason", KICK_REASON_BYTES_MAX, |cx, bytes| {
            let me = cx.me();
            Ok(cx.host.kick(me, text(bytes))?)
        }),
        case("16 filter keys of a client", FILTERS_PER_CLIENT_MAX, |cx, count| {
            let me = cx.me();
            let mut keys = 0..count;
            again(count, || cx.host.set_filter(me, format!("{:?}", keys.next()), Some("x".into())))
        }),
        case("64 bytes of a filter key", FILTER_KEY_BYTES_MAX, |cx, bytes| {
            let me = cx.me();
            Ok(cx.host.set_filter(me, text(bytes), Some("x".into()))?)
        }),
        case("256 bytes of a filter value", FILTER_VALUE_BYTES_MAX, |cx, bytes| {
            let me = cx.me();
            Ok(cx.host.set_filter(me, "x".into(), Some(text(bytes)))?)
        }),
        case("256 bytes of a filter value", FILTER_VALUE_BYTES_MAX, |cx, bytes| {
            Ok(cx.host.broadcast("x".into(), Comparison::Equal, text(bytes), AVATAR, 0, args(&[1]))?)
        }),
        case("16 MiB of messages of an event", MESSAGE_BYTES_PER_EVENT_MAX / ARGS_BYTES_MAX, |cx, count| {
            let args = list_of(ARGS_BYTES_MAX);
            let (me, part) = (cx.me(), Part { args, ..part(cx, id(STRANGER), "act") });
            again(count, || cx.host.post(me, part.clone()))
        }),
        case("64 KiB of arguments", ARGS_BYTES_MAX, |cx, bytes| {
            let me = cx.me();
            Ok(cx.host.call_client(me, Audience::OwnClient, 0, list_of(bytes))?)
        }),
    ]
}

fn of_the_key_value_map() -> Vec<Case> {
    vec![
        case("512 bytes of a key", KV_KEY_BYTES_MAX, |cx, bytes| {
            key_value(cx, |host, then| host.kv_get(text(bytes), then))
        }),
        case("512 bytes of a key", KV_KEY_BYTES_MAX, |cx, bytes| {
            key_value(cx, |host, then| host.kv_range(String::new(), text(bytes), 1, then))
        }),
        case("64 KiB of a value", KV_VALUE_BYTES_MAX, |cx, bytes| {
            key_value(cx, |host, then| host.kv_put("x".into(), Some(vec![0; bytes].into()), then))
        }),
        case("64 KiB of a value", KV_VALUE_BYTES_MAX, |cx, bytes| {
            key_value(cx, |host, then| host.kv_get_or_put("x".into(), vec![0; bytes].into(), then))
        }),
        case("64 KiB of a value", KV_VALUE_BYTES_MAX, |cx, bytes| {
            let expected = Some(vec![0; bytes].into());
            key_value(cx, |host, then| host.kv_compare_and_set("x".into(), expected, None, then))
        }),
        case("1,000 rows of a range", KV_RANGE_ROWS_MAX as usize, |cx, rows| {
            key_value(cx, |host, then| host.kv_range(String::new(), String::new(), rows as u32, then))
        }),
    ]
}

/// An avatar with a client, in a space; `act` asks for what the test says.
fn bed(ask: Ask, count: Arc<Mutex<usize>>) -> Bed {
    let mut bed = Bed::new(&[2], move |model, _| {
        model.on("Avatar", "act", move |cx| {
            let count = *count.lock().unwrap();
            ask(cx, count)
        })
    });
    bed.attach(2, 1);
    bed.out.clear();
    bed
}

/// Asks for so many, batch by batch; the outcome of the last one. None: it was taken over, or not yet
/// answered.
fn asked(case: &Case, count: usize) -> (Bed, Option<Outcome>) {
    let now = Arc::new(Mutex::new(0));
    let mut bed = bed(case.ask, now.clone());
    let mut left = count;
    loop {
        let batch = left.min(case.batch);
        *now.lock().unwrap() = batch;
        left -= batch;
        let outcome = bed.call(2, "act");
        if left == 0 {
            return (bed, outcome);
        }
        assert!(!matches!(outcome, Some(Outcome::Err { certainty: Certainty::NotRun, .. })), "{}", case.name);
    }
}

#[test]
fn as_much_as_is_allowed_is_fine_and_one_more_names_the_limit() {
    for case in of_calls().into_iter().chain(of_state()).chain(of_the_key_value_map()) {
        let name = case.name;
        let (bed, fine) = asked(&case, case.most);
        let failed = matches!(fine, Some(Outcome::Err { certainty: Certainty::NotRun, .. }));
        assert!(!failed, "`{name}`: {} is refused already: {fine:?}", case.most);
        drop(bed);

        let (mut bed, outcome) = asked(&case, case.most + 1);
        let Some(Outcome::Err { certainty: Certainty::NotRun, code, detail }) = outcome else {
            panic!("`{name}`: {} is not refused: {outcome:?}", case.most + 1)
        };
        let said = cbor::Reader::new(&detail).text().unwrap().to_owned();
        assert_eq!((code.as_str(), said), ("limit", format!("limit reached: {name}")));
        // The entity goes on.
        assert!(!matches!(bed.call(2, "other"), Some(Outcome::Err { .. })), "`{name}`");
    }
}

#[test]
fn what_is_too_much_is_refused_whole() {
    let case = case("1,024 timers of an entity", TIMERS_PER_ENTITY_MAX, |cx, count| {
        (0..count).try_for_each(|_| timer(cx, 10.0, int(1)))
    });
    let (bed, _) = asked(&case, case.most + 1);
    assert_eq!(bed.core.next_wake_ms(), None, "none of them was started");
}

/// Lists are cut where an error would help nobody: the first ones are found.
#[test]
fn near_finds_so_many_and_no_more() {
    let mut bed = Bed::new(&[2], |model, journal| {
        let journal = journal.clone();
        model.on("Avatar", "act", |cx| spawn(cx, NEAR_FOUND_MAX)).on("Avatar", "other", move |cx| {
            let found = cx.host.near(Pose::default(), 10.0, Some(MOB));
            note(&journal, found.len().to_string());
            Ok(())
        })
    });
    bed.call(2, "act");
    bed.call(2, "other");
    assert_eq!(bed.noted(), [NEAR_FOUND_MAX.to_string()]);
    let one_more = bed.push_call(2, "act");
    bed.run();
    assert!(matches!(bed.answer(one_more), Some(Outcome::Ok(_))));
    bed.call(2, "other");
    assert_eq!(bed.noted(), [NEAR_FOUND_MAX.to_string()]);
}

#[test]
fn an_event_says_so_many_lines_of_so_many_bytes() {
    let mut bed = Bed::new(&[2], |model, _| {
        model
            .on("Avatar", "act", |cx| {
                for line in 0..LOG_LINES_PER_EVENT_MAX + 3 {
                    cx.host.log_line(LogLevel::Info, format!("line {line}"));
                }
                Ok(())
            })
            .on("Avatar", "other", |cx| {
                for bytes in [LOG_LINE_BYTES_MAX, LOG_LINE_BYTES_MAX + 1] {
                    cx.host.log_line(LogLevel::Info, text(bytes));
                }
                Ok(())
            })
    });
    let mut lines = |method| {
        bed.out.clear();
        bed.call(2, method);
        let lines = bed.out.iter().filter_map(|output| match output {
            Output::Log(line) => Some(line.message.clone()),
            _ => None,
        });
        lines.collect::<Vec<String>>()
    };
    let said = lines("act");
    assert_eq!(said.get(LOG_LINES_PER_EVENT_MAX - 1).map(String::as_str), Some("line 99"));
    assert_eq!(said.len(), LOG_LINES_PER_EVENT_MAX + 1, "and one that counts the others: {:?}", said.last());
    assert!(said[LOG_LINES_PER_EVENT_MAX].contains('3'), "{:?}", said.last());
    let said = lines("other");
    assert_eq!(said[0], text(LOG_LINE_BYTES_MAX));
    assert!(said[1].len() <= LOG_LINE_BYTES_MAX + 4 && said[1] != said[0], "{}", said[1].len());
}
