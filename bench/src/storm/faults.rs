//! What goes wrong in the storm, one thing after the other.

use super::gap::Way;
use super::site::{CUT_FROM, Site};
use anyhow::Result;
use std::fmt;
use std::time::Duration;

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Nothing does.
    Nothing,
    /// Killed at once; it starts again.
    Kill(&'static str),
    /// Held by SIGSTOP for `HOLD`, then it goes on.
    Hold(&'static str),
    /// The way between a game and a dispatcher.
    Way(Way, Duration),
}

/// How long a process is held.
const HOLD: Duration = Duration::from_secs(10);
/// Shorter than what makes a death.
const SHORT: Duration = Duration::from_millis(1_500);
/// Longer: somebody is dead when he was not reached for 3 s.
const CUT: Duration = Duration::from_secs(5);
/// Longer: silence is noticed after 3 s, and is a death 3 s later.
const HOLE: Duration = Duration::from_secs(10);
/// A process that is held without being dead for anybody.
const NOTHING: Duration = Duration::from_secs(8);

/// All of them.
pub const ALL: &[Fault] = &[
    Fault::Nothing,
    Fault::Kill("d-1"),
    Fault::Kill("d-2"),
    Fault::Way(Way::Cut, SHORT),
    Fault::Way(Way::Hole, SHORT),
    Fault::Kill("g-1"),
    Fault::Kill("g-2"),
    Fault::Kill("w-1"),
    Fault::Kill("w-2"),
    Fault::Way(Way::Cut, CUT),
    Fault::Way(Way::Hole, HOLE),
    Fault::Hold("d-1"),
    Fault::Hold("g-2"),
    Fault::Hold("w-1"),
];

/// Each role once.
pub const QUICK: &[Fault] = &[
    Fault::Nothing,
    Fault::Kill("d-1"),
    Fault::Way(Way::Hole, SHORT),
    Fault::Hold("d-2"),
    Fault::Kill("w-1"),
    Fault::Kill("g-1"),
];

/// Names, or parts of names, of those faults that are to happen, between commas; all if it is not there.
const ONLY: &str = "EVERWAKE_FAULTS";

/// Which are to happen, in their order.
pub fn chosen(quick: bool) -> Vec<Fault> {
    let only = std::env::var(ONLY).unwrap_or_default();
    let is_wanted = |fault: &Fault| only.split(',').any(|part| fault.to_string().contains(part.trim()));
    let all = if quick && only.is_empty() { QUICK } else { ALL };
    all.iter().copied().filter(is_wanted).collect()
}

impl Fault {
    /// Whether nobody may notice more than a wait: no request fails, no session ends, nobody else dies.
    pub fn is_harmless(self) -> bool {
        match self {
            Fault::Nothing => true,
            Fault::Kill(name) | Fault::Hold(name) => name.starts_with("d-"),
            Fault::Way(_, time) => time == SHORT,
        }
    }

    /// Lives that end by it: of that process.
    pub fn ends(self) -> Option<&'static str> {
        match self {
            Fault::Nothing => None,
            Fault::Kill(name) => Some(name),
            Fault::Hold(name) => Some(name).filter(|_| !self.is_harmless()),
            Fault::Way(..) => Some(CUT_FROM).filter(|_| !self.is_harmless()),
        }
    }

    /// Lets it happen, and then be over; how long that takes.
    pub fn begin(self, site: &mut Site) -> Result<Duration> {
        match self {
            Fault::Nothing => Ok(NOTHING),
            Fault::Kill(name) => site.kill(name).map(|()| Duration::ZERO),
            Fault::Hold(name) => site.hold(name, true).map(|()| HOLD),
            Fault::Way(way, time) => {
                site.way(way);
                Ok(time)
            }
        }
    }

    /// Makes an end of it.
    pub fn end(self, site: &mut Site) -> Result<()> {
        match self {
            Fault::Hold(name) => site.hold(name, false),
            Fault::Way(..) => {
                site.way(Way::Open);
                Ok(())
            }
            Fault::Nothing | Fault::Kill(_) => Ok(()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Nothing => write!(f, "no fault"),
            Fault::Kill(name) => write!(f, "kill -9 {name}"),
            Fault::Hold(name) => write!(f, "{name} held for {HOLD:?}"),
            Fault::Way(Way::Hole, time) => write!(f, "g-1 to d-1: nothing passes for {time:?}"),
            Fault::Way(_, time) => write!(f, "g-1 to d-1: cut for {time:?}"),
        }
    }
}
