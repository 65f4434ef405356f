//! When, where and whether a client connects again, as a state machine: what became of connections and the time go
//! in, attempts and events come out.
//!
//! Each connection is a session of its own: a new boot entity, an empty mirror, request ids from 1. Nothing of a
//! session reaches the next one; what was open in it is answered when it ends. It does not know sockets, names of
//! gates, or what is said on a connection.

use crate::core::LeftOpen;
use crate::driver::{Closed, ConnectError, Ended};
use everwake_protocol::SessionId;
use everwake_protocol::backoff::Backoff;
use everwake_protocol::client::CloseCode;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use std::collections::VecDeque;
use std::time::Duration;

mod client;
#[cfg(test)]
mod tests;

pub use client::{GateEntry, ReconnectConfig, ReconnectingClient, SessionEvent};

/// The first wait of an outage at most, ms. Stops all clients of a gate that died from coming to the next one in
/// the same moment.
pub const RECONNECT_WAIT_MIN_MS: u64 = 1_000;
/// No wait is longer, ms. Stops a player from waiting long after the outage is over.
pub const RECONNECT_WAIT_MAX_MS: u64 = 30_000;
/// Attempts of one outage. Stops clients from knocking for ever at what will not come back.
pub const RECONNECT_ATTEMPTS_MAX: u32 = 20;
/// An attempt takes no longer, ms. Stops a gate that is dead from holding up those behind it in the list.
pub const RECONNECT_ATTEMPT_MS: u64 = 6_000;
/// A connection that held shorter than this belongs to the outage before it, ms. Stops a gate that welcomes and
/// closes from being asked again and again without a pause.
pub const RECONNECT_STABLE_MS: u64 = 10_000;

/// How hard a client tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconnectPolicy {
    /// False: the first connection that ends is the last.
    pub enabled: bool,
    /// See [`RECONNECT_WAIT_MIN_MS`].
    pub wait_min_ms: u64,
    /// See [`RECONNECT_WAIT_MAX_MS`].
    pub wait_max_ms: u64,
    /// See [`RECONNECT_ATTEMPTS_MAX`].
    pub attempts_max: u32,
    /// See [`RECONNECT_ATTEMPT_MS`].
    pub attempt_ms: u64,
    /// See [`RECONNECT_STABLE_MS`].
    pub stable_ms: u64,
}

impl Default for ReconnectPolicy {
    fn default() -> ReconnectPolicy {
        ReconnectPolicy {
            enabled: true,
            wait_min_ms: RECONNECT_WAIT_MIN_MS,
            wait_max_ms: RECONNECT_WAIT_MAX_MS,
            attempts_max: RECONNECT_ATTEMPTS_MAX,
            attempt_ms: RECONNECT_ATTEMPT_MS,
            stable_ms: RECONNECT_STABLE_MS,
        }
    }
}

impl ReconnectPolicy {
    /// The first connection that ends is the last.
    pub fn off() -> ReconnectPolicy {
        ReconnectPolicy { enabled: false, ..ReconnectPolicy::default() }
    }
}

/// What a client hears of its connections. `gate` is a place in the list of gates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// A session begins. It knows nothing of the one before: greet the game again.
    Connected {
        /// Who has it.
        gate: usize,
        /// Its name.
        session: SessionId,
    },
    /// The session is over. Its mirror is empty, and all that it had asked is answered.
    Disconnected {
        /// Who had it.
        gate: usize,
        /// Why.
        why: Closed,
        /// What had no answer yet.
        open: LeftOpen,
    },
    /// There will be an attempt.
    Reconnecting {
        /// The how manieth of this outage, from 1.
        attempt: u32,
        /// Where.
        gate: usize,
        /// In how many ms.
        in_ms: u64,
    },
    /// An attempt failed.
    Failed {
        /// Where.
        gate: usize,
        /// Why.
        why: ConnectError,
    },
    /// There will be no further session. Nothing follows.
    Over {
        /// Why.
        why: Over,
    },
}

/// Why there will be no further session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Over {
    /// The app has left.
    #[error("closed by the client")]
    Left,
    /// The connection ended, and must not be made again (see [`Closed`]), or the policy is off.
    #[error("{0}")]
    Closed(Closed),
    /// An attempt failed in a way that the next one will not mend.
    #[error("{0}")]
    Refused(ConnectError),
    /// All attempts failed.
    #[error("{}", gave_up(*attempts, last))]
    GaveUp {
        /// So many.
        attempts: u32,
        /// Why the last one did.
        last: ConnectError,
    },
    /// There is no gate in the list.
    #[error("no gate is known")]
    NoGates,
}

fn gave_up(attempts: u32, last: &ConnectError) -> String {
    match attempts {
        0 | 1 => last.to_string(),
        _ => format!("{attempts} attempts failed, the last one: {last}"),
    }
}

/// What goes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The app wants a session.
    Start,
    /// The attempt succeeded.
    Connected(SessionId),
    /// The attempt failed.
    Failed(ConnectError),
    /// The connection ended.
    Ended(Ended),
    /// Time has passed.
    Tick,
    /// The app leaves.
    Leave,
}

/// What comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Connect to this gate.
    Connect(usize),
    /// Drop the attempt that is under way.
    Abandon,
    /// Tell the app.
    Tell(ConnectionEvent),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody asked for a session yet.
    Idle,
    Connecting {
        gate: usize,
        until: Duration,
    },
    Playing {
        gate: usize,
        since: Duration,
    },
    Waiting {
        gate: usize,
        until: Duration,
    },
    Over,
}

/// What follows from an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The same gate may be asked again.
    Again,
    /// Another gate first.
    Elsewhere,
    /// This gate is not to be asked any more.
    NeverHere,
    /// Nobody is.
    Never,
}

/// See the head of this module.
#[derive(Debug)]
pub(crate) struct ReconnectCore {
    policy: ReconnectPolicy,
    /// True for those that are not to be asked any more.
    barred: Vec<bool>,
    state: State,
    /// Of this outage.
    attempts: u32,
    /// There has been a session.
    met: bool,
    /// The app has said good-bye in this session.
    leaving: bool,
    backoff: Backoff,
    chance: ChaCha8Rng,
    outputs: VecDeque<Output>,
}

impl ReconnectCore {
    /// Of a client that knows so many gates. Waits are drawn from `seed`.
    pub(crate) fn new(gates: usize, policy: ReconnectPolicy, seed: u64) -> ReconnectCore {
        ReconnectCore {
            policy,
            barred: vec![false; gates],
            state: State::Idle,
            attempts: 0,
            met: false,
            leaving: false,
            backoff: Backoff::new(policy.wait_min_ms, policy.wait_max_ms),
            chance: ChaCha8Rng::seed_from_u64(seed),
            outputs: VecDeque::new(),
        }
    }

    /// Takes an input. What does not fit the state came too late, and changes nothing.
    pub(crate) fn handle(&mut self, now: Duration, input: Input) {
        match (self.state, input) {
            (State::Idle, Input::Start) => match self.barred.is_empty() {
                true => self.over(Over::NoGates),
                false => self.connect(now, 0),
            },
            (State::Connecting { gate, .. }, Input::Connected(session)) => {
                self.state = State::Playing { gate, since: now };
                if !self.met {
                    // No outage came before it.
                    self.attempts = 0;
                }
                self.met = true;
                self.tell(ConnectionEvent::Connected { gate, session });
            }
            (State::Connecting { gate, .. }, Input::Failed(why)) => self.failed(now, gate, why),
            (State::Connecting { gate, until }, Input::Tick) if until <= now => {
                self.outputs.push_back(Output::Abandon);
                self.failed(now, gate, ConnectError::TimedOut);
            }
            (State::Playing { gate, since }, Input::Ended(ended)) => self.ended(now, gate, since, ended),
            (State::Waiting { gate, until }, Input::Tick) if until <= now => self.connect(now, gate),
            (State::Connecting { .. }, Input::Leave) => {
                self.outputs.push_back(Output::Abandon);
                self.over(Over::Left);
            }
            (State::Idle | State::Waiting { .. }, Input::Leave) => self.over(Over::Left),
            // The connection says good-bye by itself, and its end comes as an input.
            (State::Playing { .. }, Input::Leave) => self.leaving = true,
            _ => {}
        }
    }

    /// What has to be done, oldest first.
    pub(crate) fn drain(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When time itself is an input.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        match self.state {
            State::Connecting { until, .. } | State::Waiting { until, .. } => Some(until),
            State::Idle | State::Playing { .. } | State::Over => None,
        }
    }

    fn connect(&mut self, now: Duration, gate: usize) {
        self.attempts += 1;
        self.state = State::Connecting { gate, until: now + Duration::from_millis(self.policy.attempt_ms) };
        self.outputs.push_back(Output::Connect(gate));
    }

    fn ended(&mut self, now: Duration, gate: usize, since: Duration, ended: Ended) {
        let Ended { why, open } = ended;
        if now.saturating_sub(since) >= Duration::from_millis(self.policy.stable_ms) {
            self.attempts = 0;
            self.backoff.reset();
        }
        let verdict = after_end(&why);
        self.tell(ConnectionEvent::Disconnected { gate, why: why.clone(), open });
        if self.leaving || why == Closed::ByClient {
            return self.over(Over::Left);
        }
        if !self.policy.enabled || verdict == Verdict::Never {
            return self.over(Over::Closed(why));
        }
        match self.choose(gate, verdict) {
            Some(next) if self.attempts < self.policy.attempts_max => self.wait(now, next),
            _ => self.over(Over::GaveUp { attempts: self.attempts, last: why.into() }),
        }
    }

    fn failed(&mut self, now: Duration, gate: usize, why: ConnectError) {
        let verdict = after_failure(&why);
        self.tell(ConnectionEvent::Failed { gate, why: why.clone() });
        if verdict == Verdict::Never {
            return self.over(Over::Refused(why));
        }
        // What never worked is no outage: each gate is asked once.
        let attempts_max = match self.met {
            true => self.policy.attempts_max,
            false => u32::try_from(self.barred.len()).unwrap_or(u32::MAX),
        };
        match self.choose(gate, verdict) {
            Some(next) if self.attempts < attempts_max && self.met => self.wait(now, next),
            Some(next) if self.attempts < attempts_max => self.connect(now, next),
            _ => self.over(Over::GaveUp { attempts: self.attempts, last: why }),
        }
    }

    /// Which gate is asked next; none if none may be asked.
    fn choose(&mut self, gate: usize, verdict: Verdict) -> Option<usize> {
        if verdict == Verdict::NeverHere
            && let Some(barred) = self.barred.get_mut(gate)
        {
            *barred = true;
        }
        let count = self.barred.len();
        let skipped = usize::from(verdict != Verdict::Again);
        let free = |it: &usize| self.barred.get(*it) == Some(&false);
        (0..count).map(|step| (gate + skipped + step) % count).find(free)
    }

    fn wait(&mut self, now: Duration, gate: usize) {
        let in_ms = self.backoff.next_ms(self.chance.next_u64());
        self.state = State::Waiting { gate, until: now + Duration::from_millis(in_ms) };
        self.tell(ConnectionEvent::Reconnecting { attempt: self.attempts + 1, gate, in_ms });
    }

    fn over(&mut self, why: Over) {
        self.state = State::Over;
        self.tell(ConnectionEvent::Over { why });
    }

    fn tell(&mut self, event: ConnectionEvent) {
        self.outputs.push_back(Output::Tell(event));
    }
}

/// What follows from the end of a connection that was there.
fn after_end(why: &Closed) -> Verdict {
    match why {
        Closed::ByServer { code, .. } => match code {
            Some(CloseCode::Shutdown | CloseCode::Full) => Verdict::Elsewhere,
            Some(CloseCode::Rate | CloseCode::Slow | CloseCode::Timeout) => Verdict::Again,
            // Kicked, banned, or of another version: the answer would be the same. Of a code that is not known
            // nobody can say that it is not.
            Some(CloseCode::Done | CloseCode::Kicked | CloseCode::Protocol | CloseCode::Version) | None => {
                Verdict::Never
            }
        },
        Closed::ByClient => Verdict::Never,
        Closed::Handshake(_) => Verdict::NeverHere,
        // Silence is a gate that is dead, or a way to it that is.
        Closed::TimedOut | Closed::Broken(_) => Verdict::Elsewhere,
        Closed::Transport(_) => Verdict::Again,
    }
}

/// What follows from an attempt that failed.
fn after_failure(why: &ConnectError) -> Verdict {
    match why {
        ConnectError::Closed(closed) => match after_end(closed) {
            Verdict::Again => Verdict::Elsewhere,
            verdict => verdict,
        },
        ConnectError::TimedOut | ConnectError::Socket(..) => Verdict::Elsewhere,
        // The app's own mistake.
        ConnectError::Trust(_) | ConnectError::NotLoopback(_) | ConnectError::Greeting(_) => Verdict::Never,
    }
}
