//! Events, what they ask for, and what is no business of theirs.

use bytes::Bytes;
use everwake_protocol::{EntityId, Id};
use everwake_runtime::guest::{Guest, GuestError, TrapKind, Verdict};

use crate::host::Recorder;
use crate::probe::{COUNT, FULL, GATHER_TOO_MUCH, LOAD, NOTHING, PATCH, REFUSE, event, loaded, run};

#[test]
fn requests_reach_the_host_and_the_instance_remembers() {
    let mut guest = loaded().instantiate().unwrap();
    let (verdict, host) = run(&mut guest, PATCH, 9);
    assert_eq!((verdict, host.patches), (Verdict::Done, vec![vec![0, 9]]));
    let (verdict, host) = run(&mut guest, FULL, 3);
    assert_eq!(verdict, Verdict::Done);
    assert_eq!((host.patches.len(), host.sent.len()), (1, 1));
    assert_eq!((host.sent[0].method, &host.sent[0].args[..]), (1, &[0x81, 3][..]));
    let (_, host) = run(&mut guest, COUNT, 0);
    assert_eq!(host.answers[0], [0x1a, 0, 0, 0, 3][..]);
    let (used, most) = guest.memory_bytes();
    assert!(used >= 1 << 16 && used <= most);
}

#[test]
fn what_the_host_returns_arrives() {
    let mut guest = loaded().instantiate().unwrap();
    let host = Recorder { attributes: Bytes::from_static(&[0, 42, 1, 7]), ..Recorder::default() };
    let (host, verdict) = guest.handle(&event(LOAD, 0), Box::new(host));
    let host: Box<dyn std::any::Any> = host;
    assert_eq!(verdict, Verdict::Done);
    assert_eq!(host.downcast::<Recorder>().unwrap().patches, [vec![0, 42, 1, 7]]);
}

#[test]
fn an_error_is_no_trap() {
    let mut guest = loaded().instantiate().unwrap();
    assert_eq!(run(&mut guest, REFUSE, 0).0, Verdict::Failed(GuestError::Refused("no".into())));
    assert_eq!(run(&mut guest, NOTHING, 0).0, Verdict::Done);
}

#[test]
fn housekeeping_works_and_may_not_call_the_host() {
    let mut guest = loaded().instantiate().unwrap();
    let entity = |number| EntityId(Id([0, 0, 0, number]));
    assert_eq!(guest.snapshot(entity(5)), Ok(None));
    run(&mut guest, NOTHING, 0);
    assert_eq!(guest.snapshot(entity(5)), Ok(Some(Bytes::from_static(&[0, 5]))));
    assert_eq!(guest.migrate(0, 1, 2, &[1, 2, 3]), Ok(Ok(Bytes::from_static(&[3, 2, 1]))));
    assert_eq!(guest.migrate(0, 2, 2, &[]), Ok(Err(GuestError::Other("nothing to do".into()))));
    assert_eq!(guest.forget(&[entity(5), entity(6)]), Ok(()));
    let trap = guest.forget(&[entity(77)]).unwrap_err();
    assert_eq!(trap.kind, TrapKind::Misuse, "{trap:?}");
    let Verdict::Trapped(after) = run(&mut guest, NOTHING, 0).0 else { panic!("the instance is gone") };
    assert!(after.message.contains("died"), "{after:?}");
}

#[test]
fn one_call_cannot_make_the_host_copy_without_bound() {
    let mut guest = loaded().instantiate().unwrap();
    let (verdict, host) = run(&mut guest, GATHER_TOO_MUCH, 0);
    assert!(matches!(verdict, Verdict::Trapped(_)), "{verdict:?}");
    assert_eq!(host.gathered, 0);
}
