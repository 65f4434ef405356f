//! Where connections come from: how many are open from one place, and how many came lately.
//!
//! A place is an IPv4 address, or the /64 that an IPv6 address is in: whoever has one address of it
//! has them all. Only places that were seen to answer are counted, so nobody fills another one's.

use crate::limits::{Bucket, GateLimits};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// An address as far as it tells one place from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    V4(Ipv4Addr),
    /// The first 64 bits.
    V6(u64),
}

impl Place {
    pub(crate) fn of(address: IpAddr) -> Place {
        match address.to_canonical() {
            IpAddr::V4(address) => Place::V4(address),
            IpAddr::V6(address) => Place::V6((address.to_bits() >> 64) as u64),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::V4(address) => address.fmt(f),
            Place::V6(prefix) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(*prefix) << 64)),
        }
    }
}

/// Why a place gets no more connections now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crowded {
    /// So many are open.
    Open(usize),
    /// So many may come in a minute.
    Fast(u32),
}

impl Crowded {
    pub(crate) fn cause(self) -> &'static str {
        match self {
            Crowded::Open(_) => "refused-address",
            Crowded::Fast(_) => "refused-address-rate",
        }
    }
}

impl fmt::Display for Crowded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Crowded::Open(open) => write!(f, "{open} connections of one address are the limit"),
            Crowded::Fast(rate) => {
                write!(f, "{rate} new connections of one address in a minute are the limit")
            }
        }
    }
}

#[derive(Debug)]
struct Origin {
    open: usize,
    arrivals: Bucket,
}

impl Origin {
    fn new(now: Duration, limits: &GateLimits) -> Origin {
        Origin { open: 0, arrivals: Bucket::per_minute(limits.connections_per_address_per_minute, now) }
    }

    fn crowded(&mut self, now: Duration, limits: &GateLimits) -> Option<Crowded> {
        if self.open >= limits.connections_per_address {
            Some(Crowded::Open(self.open))
        } else if !self.arrivals.has(1, now) {
            Some(Crowded::Fast(limits.connections_per_address_per_minute))
        } else {
            None
        }
    }
}

/// See the head of this module. A place is remembered while it has connections, and after that
/// until what it spent of its rate has come back: a minute at most.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    places: BTreeMap<Place, Origin>,
}

impl Origins {
    /// Why no more connections from there would be taken. Remembers nothing: the place may be made up.
    pub(crate) fn crowded(&mut self, place: Place, now: Duration, limits: &GateLimits) -> Option<Crowded> {
        match self.places.get_mut(&place) {
            Some(origin) => origin.crowded(now, limits),
            None => Origin::new(now, limits).crowded(now, limits),
        }
    }

    /// Counts one more connection from there, or says why not.
    pub(crate) fn enter(&mut self, place: Place, now: Duration, limits: &GateLimits) -> Result<(), Crowded> {
        let origin = self.places.entry(place).or_insert_with(|| Origin::new(now, limits));
        if let Some(crowded) = origin.crowded(now, limits) {
            return Err(crowded);
        }
        origin.arrivals.take(1, now);
        origin.open += 1;
        Ok(())
    }

    /// A connection that was counted is no more.
    pub(crate) fn leave(&mut self, place: Place) {
        if let Some(origin) = self.places.get_mut(&place) {
            origin.open = origin.open.saturating_sub(1);
        }
    }

    /// Forgets places that nothing is to be known of.
    pub(crate) fn tidy(&mut self, now: Duration) {
        self.places.retain(|_, origin| origin.open > 0 || !origin.arrivals.is_full(now));
    }

    /// Places that are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }
}
