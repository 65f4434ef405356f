//! What has a name comes back after a death, and what may be for whoever had it before is in doubt.

use super::*;

#[test]
fn what_has_a_name_comes_back_under_a_higher_epoch() {
    let mut desk = Desk::complete();
    let named = || Placement::Named { module: String::new() };
    let epochs = |out: &Out| -> Vec<(Incarnation, u32)> {
        let made = |output: &RouterOutput<Bytes>| match output {
            RouterOutput::Send { to, message: FromDispatcher::Deliver(envelope) } => {
                Some((*to, envelope.location_epoch))
            }
            _ => None,
        };
        out.iter().filter_map(made).collect()
    };
    assert_eq!(returned(&desk.create(FOX, 1, named())), [(1, ReturnReason::Exists)]);
    desk.say(A, ToDispatcher::Leave);
    assert_eq!(returned(&desk.carry(to(FOX, 2))), [(2, ReturnReason::Gone)]);
    assert_eq!(returned(&desk.create(FOX, 3, anywhere())), [(3, ReturnReason::Gone)]);
    assert_eq!(epochs(&desk.create(FOX, 4, named())), [(B, 2)]);
    // Handed out again it is the same life; what is for it follows.
    assert_eq!(epochs(&desk.create(FOX, 4, named())), [(B, 2)]);
    assert_eq!(delivered(&desk.carry(to(FOX, 5))), [(B, 5)]);
    assert_eq!(returned(&desk.create(FOX, 6, Placement::Process(B))), [(6, ReturnReason::Exists)]);
    desk.tell(B, [ToDispatcher::Spaces(vec![space(FOX, 2)]), report(FOX, FOX, 2, false)]);
    assert_eq!(desk.router.directory.entity(id(FOX)).map(|row| row.epoch), Some(2));
}

#[test]
fn what_goes_again_before_a_death_is_heard_is_in_doubt() {
    let mut desk = Desk::complete();
    let sent = |desk: &mut Desk, attempt| {
        let out = desk.carry(Envelope { attempt, ..to(FOX, 1) });
        let delivered = out.into_iter().find_map(|output| match output {
            RouterOutput::Send { message: FromDispatcher::Deliver(envelope), .. } => Some(envelope.attempt),
            _ => None,
        });
        delivered.unwrap()
    };
    use Attempt::{Again, Doubtful, First};
    assert_eq!([sent(&mut desk, First), sent(&mut desk, Again)], [First, Again]);
    desk.say(B, ToDispatcher::Leave);
    assert_eq!([sent(&mut desk, First), sent(&mut desk, Again)], [First, Doubtful]);
    desk.say(G, ToDispatcher::Known { alive: Vec::new(), dead: vec![B] });
    assert_eq!([sent(&mut desk, Again), sent(&mut desk, Doubtful)], [Again, Doubtful]);
}
