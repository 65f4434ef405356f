//! Places at the gate: how many in all, how many from one address, how fast, and what an address is worth
//! that was not seen to answer.

use super::*;

/// What the gate says to somebody who knocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Come,
    ProveIt,
    No,
}

fn knock(rig: &mut Rig, address: &str, proven: bool) -> Said {
    let connection = rig.knock(address, proven);
    let said = rig.drain().into_iter().find_map(|output| match output {
        GateOutput::Accept { connection: found } if found == connection => Some(Said::Come),
        GateOutput::Retry { connection: found } if found == connection => Some(Said::ProveIt),
        GateOutput::Refuse { connection: found } if found == connection => Some(Said::No),
        _ => None,
    });
    said.expect("the gate answers")
}

fn leave(rig: &mut Rig, connection: u64) {
    rig.input(GateInput::Gone { connection: ConnectionId(connection), timed_out: false });
}

#[test]
fn places_are_limited_in_all_and_for_each_address() {
    let mut rig =
        Rig::new(GateLimits { connections: 3, connections_per_address: 2, ..GateLimits::default() });
    for (address, said) in [
        ("192.0.2.1:1", Said::Come),
        ("192.0.2.1:2", Said::Come),
        ("192.0.2.1:3", Said::No),
        ("192.0.2.2:1", Said::Come),
        ("192.0.2.3:1", Said::No),
        ("[::ffff:192.0.2.2]:1", Said::No),
    ] {
        assert_eq!(knock(&mut rig, address, true), said, "{address}");
    }
    leave(&mut rig, 1);
    assert_eq!(knock(&mut rig, "192.0.2.1:9", true), Said::Come);
}

#[test]
fn an_address_is_all_that_its_owner_has() {
    let mut rig = Rig::new(GateLimits { connections_per_address: 1, ..GateLimits::default() });
    for (address, said) in [
        ("[2001:db8:0:1::1]:1", Said::Come),
        ("[2001:db8:0:1:ffff::2]:1", Said::No),
        ("[2001:db8:0:2::1]:1", Said::Come),
        ("[::ffff:192.0.2.1]:1", Said::Come),
        ("192.0.2.1:1", Said::No),
        ("192.0.2.2:1", Said::Come),
    ] {
        assert_eq!(knock(&mut rig, address, true), said, "{address}");
    }
}

#[test]
fn false_addresses_take_nobodys_place() {
    let mut rig = Rig::new(GateLimits {
        connections_per_address: 1,
        connections_per_address_per_minute: 1,
        unproven_handshakes: 3,
        ..GateLimits::default()
    });
    for port in 1..=3 {
        assert_eq!(knock(&mut rig, &format!("192.0.2.1:{port}"), false), Said::Come);
    }
    assert_eq!(knock(&mut rig, "192.0.2.1:4", false), Said::ProveIt);
    assert_eq!(knock(&mut rig, "192.0.2.2:1", false), Said::ProveIt, "so many handshakes are under way");
    assert_eq!(knock(&mut rig, "192.0.2.1:5", true), Said::Come, "the owner of the address");
    assert_eq!(rig.core.status().retried, 2);

    // The handshakes end: they come to nothing, or prove an address that has too many.
    leave(&mut rig, 1);
    rig.input(GateInput::Established { connection: ConnectionId(2) });
    assert_eq!(closed(&rig.drain(), ConnectionId(2)).unwrap().0, CloseCode::Full);
    leave(&mut rig, 2);
    assert_eq!(knock(&mut rig, "192.0.2.2:1", false), Said::Come);
    rig.input(GateInput::Established { connection: ConnectionId(rig.numbered) });
    assert_eq!(closed(&rig.drain(), ConnectionId(rig.numbered)), None);
    assert_eq!(knock(&mut rig, "192.0.2.2:2", false), Said::ProveIt, "it has its one already");
    assert_eq!(knock(&mut rig, "192.0.2.2:2", true), Said::No);
    for connection in 1..=rig.numbered {
        leave(&mut rig, connection);
    }
    assert_eq!((rig.core.is_empty(), rig.core.shared.unproven), (true, 0));
}

#[test]
fn newcomers_of_one_address_are_limited_in_time() {
    let mut rig = Rig::new(GateLimits { connections_per_address_per_minute: 6, ..GateLimits::default() });
    let come_and_go = |rig: &mut Rig, address: &str| {
        let said = knock(rig, address, true);
        leave(rig, rig.numbered);
        said
    };
    for _ in 0..6 {
        assert_eq!(come_and_go(&mut rig, "192.0.2.1:1"), Said::Come, "a minute's worth at once");
    }
    assert_eq!(come_and_go(&mut rig, "192.0.2.1:1"), Said::No);
    assert_eq!(come_and_go(&mut rig, "192.0.2.2:1"), Said::Come, "another one");
    rig.pass(10_000);
    assert_eq!(come_and_go(&mut rig, "192.0.2.1:1"), Said::Come);
    assert_eq!(come_and_go(&mut rig, "192.0.2.1:1"), Said::No);
    assert_eq!(rig.core.shared.origins.len(), 1, "only what is below its rate is remembered");
    rig.pass(60_000);
    assert_eq!(rig.core.shared.origins.len(), 0);
}

#[test]
fn the_defaults_let_a_whole_house_in_at_once() {
    let mut rig = Rig::new(GateLimits::default());
    for port in 1..=1_000 {
        let address = format!("127.0.0.1:{port}");
        let said = knock(&mut rig, &address, false);
        if said == Said::ProveIt {
            assert_eq!(knock(&mut rig, &address, true), Said::Come);
        } else {
            rig.input(GateInput::Established { connection: ConnectionId(rig.numbered) });
        }
    }
    assert_eq!((rig.core.status().connections, rig.core.status().refused), (1_000, 0));
}
