//! When which process of this host starts, ends and starts again: a core without I/O. `up` drives it.
//!
//! A process that ends well was asked to, and stays down. Another one starts again, later each time. At the end gates go
//! first, so that clients hear it from them; then games, which say to the dispatchers what they leave; then dispatchers.

use everwake_link::{PeerName, Role};
use std::collections::BTreeMap;

/// How long a process stays down after its first bad end; each one after that doubles it.
pub const BACK_OFF_MS: u64 = 500;
/// It stays down no longer than this.
pub const BACK_OFF_MS_MAX: u64 = 30_000;
/// A process that went on for so long had a good start: the next bad end is a first one.
pub const GOOD_LIFE_MS: u64 = 60_000;
/// How long the processes of one role may take to stop before they are killed. A game closes its spaces within 7 s.
pub const STAGE_MS: u64 = 15_000;
/// The order in which roles stop.
const ORDER: [Role; 3] = [Role::Gate, Role::Game, Role::Dispatcher];

/// What happens to the supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Somebody wants this process to run.
    Start(PeerName),
    /// Somebody wants this process to stop, and to stay down.
    Stop(PeerName),
    /// A process has ended, well or badly.
    Ended { peer: PeerName, well: bool },
    /// A process could not be started.
    Unstarted(PeerName),
    /// All are to stop.
    StopAll,
    /// Whoever still runs is to be killed.
    Hurry,
    /// Time passed.
    Wake,
}

/// What it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Starts it.
    Spawn(PeerName),
    /// Asks it to stop.
    Terminate(PeerName),
    /// Ends it.
    Kill(PeerName),
    /// It ended, and starts again after so long.
    Later { peer: PeerName, after_ms: u64 },
    /// It ended well, and stays down.
    StaysDown(PeerName),
    /// It did not stop in time, and is killed.
    Late(PeerName),
    /// All have stopped, and nothing will start.
    Over,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Nobody wants it to run.
    Down,
    Runs {
        since_ms: u64,
    },
    /// It runs, and was asked to stop.
    Stops {
        until_ms: u64,
    },
    /// It starts again.
    Waits {
        until_ms: u64,
    },
}

#[derive(Clone, Debug)]
struct Process {
    state: State,
    /// Bad ends in a row.
    failures: u32,
}

/// The core.
#[derive(Clone, Debug)]
pub struct Supervisor {
    processes: BTreeMap<PeerName, Process>,
    stops: bool,
    over: bool,
}

impl Supervisor {
    /// Of these processes, none of which runs.
    pub fn new(processes: impl IntoIterator<Item = PeerName>) -> Supervisor {
        let down = |peer| (peer, Process { state: State::Down, failures: 0 });
        Supervisor { processes: processes.into_iter().map(down).collect(), stops: false, over: false }
    }

    /// What comes of an input.
    pub fn handle(&mut self, now_ms: u64, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        match input {
            Input::Start(peer) => self.start(now_ms, &peer, &mut out),
            Input::Stop(peer) => self.stop(now_ms, &peer, &mut out),
            Input::Ended { peer, well } => self.ended(now_ms, &peer, well, &mut out),
            Input::Unstarted(peer) => self.ended(now_ms, &peer, false, &mut out),
            Input::StopAll => self.stops = true,
            Input::Hurry => {
                self.stops = true;
                out.extend(self.running().map(Output::Kill));
            }
            Input::Wake => {}
        }
        self.look(now_ms, &mut out);
        out
    }

    /// When it wants to be woken.
    pub fn next_wake_ms(&self) -> Option<u64> {
        let due = |process: &Process| match process.state {
            State::Waits { until_ms } | State::Stops { until_ms } => Some(until_ms),
            State::Down | State::Runs { .. } => None,
        };
        self.processes.values().filter_map(due).min()
    }

    /// Whether all are to stop.
    pub fn stops(&self) -> bool {
        self.stops
    }

    /// Those that have not ended.
    pub fn running(&self) -> impl Iterator<Item = PeerName> {
        let runs = |(peer, process): (&PeerName, &Process)| {
            matches!(process.state, State::Runs { .. } | State::Stops { .. }).then(|| peer.clone())
        };
        self.processes.iter().filter_map(runs)
    }

    fn start(&mut self, now_ms: u64, peer: &PeerName, out: &mut Vec<Output>) {
        let Some(process) = self.processes.get_mut(peer).filter(|_| !self.stops) else { return };
        if matches!(process.state, State::Down | State::Waits { .. }) {
            *process = Process { state: State::Runs { since_ms: now_ms }, failures: 0 };
            out.push(Output::Spawn(peer.clone()));
        }
    }

    fn stop(&mut self, now_ms: u64, peer: &PeerName, out: &mut Vec<Output>) {
        let Some(process) = self.processes.get_mut(peer) else { return };
        match process.state {
            State::Runs { .. } => {
                process.state = State::Stops { until_ms: now_ms.saturating_add(STAGE_MS) };
                out.push(Output::Terminate(peer.clone()));
            }
            State::Waits { .. } => process.state = State::Down,
            State::Down | State::Stops { .. } => {}
        }
    }

    fn ended(&mut self, now_ms: u64, peer: &PeerName, well: bool, out: &mut Vec<Output>) {
        let Some(process) = self.processes.get_mut(peer) else { return };
        let State::Runs { since_ms } = process.state else {
            process.state = State::Down;
            return;
        };
        if well || self.stops {
            process.state = State::Down;
            out.extend((!self.stops).then(|| Output::StaysDown(peer.clone())));
            return;
        }
        if now_ms.saturating_sub(since_ms) >= GOOD_LIFE_MS {
            process.failures = 0;
        }
        let doubled = 1_u64.checked_shl(process.failures).unwrap_or(u64::MAX);
        let after_ms = BACK_OFF_MS.saturating_mul(doubled).min(BACK_OFF_MS_MAX);
        process.failures = process.failures.saturating_add(1);
        process.state = State::Waits { until_ms: now_ms.saturating_add(after_ms) };
        out.push(Output::Later { peer: peer.clone(), after_ms });
    }

    /// What time brings, and how far the end has come.
    fn look(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        for (peer, process) in &mut self.processes {
            match process.state {
                State::Waits { .. } if self.stops => process.state = State::Down,
                State::Waits { until_ms } if until_ms <= now_ms => {
                    process.state = State::Runs { since_ms: now_ms };
                    out.push(Output::Spawn(peer.clone()));
                }
                State::Stops { until_ms } if until_ms <= now_ms => {
                    process.state = State::Stops { until_ms: now_ms.saturating_add(STAGE_MS) };
                    out.extend([Output::Late(peer.clone()), Output::Kill(peer.clone())]);
                }
                _ => {}
            }
        }
        if !self.stops || self.over {
            return;
        }
        let running: Vec<PeerName> = self.running().collect();
        match ORDER.into_iter().find(|role| running.iter().any(|peer| peer.role() == *role)) {
            Some(role) => {
                for peer in running.iter().filter(|peer| peer.role() == role) {
                    self.stop(now_ms, peer, out);
                }
            }
            None => {
                self.over = true;
                out.push(Output::Over);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str) -> PeerName {
        name.parse().unwrap()
    }

    fn all() -> Supervisor {
        let names = ["dispatcher/d", "game/a", "game/b", "gate/w"].map(peer);
        let mut supervisor = Supervisor::new(names.clone());
        for name in names {
            let spawned = supervisor.handle(0, Input::Start(name.clone()));
            assert_eq!(spawned, [Output::Spawn(name.clone())]);
            assert_eq!(supervisor.handle(0, Input::Start(name)), [], "it runs already");
        }
        supervisor
    }

    fn ended(name: &str, well: bool) -> Input {
        Input::Ended { peer: peer(name), well }
    }

    #[test]
    fn gates_stop_first_then_games_then_dispatchers() {
        let mut all = all();
        let terminate = |name: &str| Output::Terminate(peer(name));
        assert_eq!(all.handle(1, Input::StopAll), [terminate("gate/w")]);
        assert_eq!(all.handle(2, Input::StopAll), [], "said once");
        assert_eq!(all.handle(3, ended("gate/w", true)), [terminate("game/a"), terminate("game/b")]);
        assert_eq!(all.handle(4, ended("game/a", true)), []);
        assert_eq!(all.handle(5, ended("game/b", false)), [terminate("dispatcher/d")], "no new start");
        assert_eq!(all.handle(6, Input::Start(peer("game/a"))), [], "no new start at the end");
        assert_eq!(all.handle(7, ended("dispatcher/d", true)), [Output::Over]);
        assert_eq!((all.handle(8, Input::Wake), all.next_wake_ms()), (vec![], None));
    }

    #[test]
    fn who_does_not_stop_in_time_is_killed_and_the_end_goes_on() {
        let mut all = all();
        all.handle(0, Input::StopAll);
        assert_eq!(all.next_wake_ms(), Some(STAGE_MS));
        let late = all.handle(STAGE_MS, Input::Wake);
        assert_eq!(late, [Output::Late(peer("gate/w")), Output::Kill(peer("gate/w"))]);
        assert_eq!(all.handle(STAGE_MS + 1, ended("gate/w", false)).len(), 2);
        let kill = |name: &str| Output::Kill(peer(name));
        let hurried = all.handle(STAGE_MS + 2, Input::Hurry);
        assert_eq!(hurried, [kill("game/a"), kill("game/b"), kill("dispatcher/d")]);
    }

    #[test]
    fn a_bad_end_is_followed_by_a_start_each_time_later() {
        let mut all = all();
        let (mut now, mut waits) = (0, Vec::new());
        for _ in 0..9 {
            let out = all.handle(now, ended("game/a", false));
            let [Output::Later { after_ms, .. }] = out[..] else { panic!("{out:?}") };
            assert_eq!(all.next_wake_ms(), Some(now + after_ms));
            assert_eq!(all.handle(now + after_ms - 1, Input::Wake), []);
            now += after_ms;
            assert_eq!(all.handle(now, Input::Wake), [Output::Spawn(peer("game/a"))]);
            waits.push(after_ms);
        }
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
        now += GOOD_LIFE_MS;
        let out = all.handle(now, ended("game/a", false));
        assert_eq!(out, [Output::Later { peer: peer("game/a"), after_ms: BACK_OFF_MS }]);
        assert_eq!(all.handle(now, Input::Start(peer("game/a"))), [Output::Spawn(peer("game/a"))], "at once");
    }

    #[test]
    fn who_was_stopped_stays_down_until_it_is_wanted_again() {
        let mut all = all();
        assert_eq!(all.handle(0, ended("game/a", true)), [Output::StaysDown(peer("game/a"))]);
        assert_eq!(all.handle(1, Input::Stop(peer("game/b"))), [Output::Terminate(peer("game/b"))]);
        assert_eq!(all.handle(2, ended("game/b", false)), [], "asked to stop, it stays down however it ends");
        all.handle(3, ended("gate/w", false));
        assert_eq!(all.handle(4, Input::Stop(peer("gate/w"))), [], "it does not start again");
        assert_eq!(all.next_wake_ms(), None);
        assert_eq!(all.handle(5, Input::Start(peer("game/a"))), [Output::Spawn(peer("game/a"))]);
        assert_eq!(all.handle(6, Input::Unstarted(peer("game/a"))).len(), 1);
    }
}
