//! One life of a process of this host. A pid alone names nobody: the system gives it to the next one. With the time at
//! which the process began it does, until the machine starts again, and that has an id of its own.

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Field of `/proc/PID/stat` behind the name, counted from the state: ticks in user mode, in the kernel, at the beginning;
/// then pages in memory.
const USER: usize = 11;
const KERNEL: usize = 12;
const BEGAN: usize = 19;
const PAGES: usize = 21;

/// A life of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Life {
    /// As the system calls it.
    pub pid: u32,
    /// When it began, in ticks since the machine started.
    pub began: u64,
    /// The machine's start.
    pub boot: String,
}

/// What it has used of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// CPU time since its beginning.
    pub cpu: Duration,
    /// Bytes in memory.
    pub memory: u64,
}

/// What a signal is to bring about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It ends in order (SIGTERM).
    Stop,
    /// It ends now (SIGKILL).
    Kill,
}

impl Life {
    /// This process.
    pub fn ours() -> Option<Life> {
        Life::of(std::process::id())
    }

    /// Whoever has this pid now.
    pub fn of(pid: u32) -> Option<Life> {
        let stat = Stat::read(pid)?;
        Some(Life { pid, began: stat.began, boot: boot()? })
    }

    /// Whether it goes on. Where there is no `/proc`, nobody does.
    pub fn goes_on(&self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.began == self.began && !stat.is_over)
            && boot().is_some_and(|boot| boot == self.boot)
    }

    /// Sends a signal, if it goes on; says whether it did. Nobody else can get it but by ending and beginning between the
    /// look and the signal.
    pub fn tell(&self, wish: Wish) -> bool {
        let signal = match wish {
            Wish::Stop => Signal::SIGTERM,
            Wish::Kill => Signal::SIGKILL,
        };
        let Ok(pid) = i32::try_from(self.pid) else { return false };
        // Zero and below stand for groups.
        pid > 0 && self.goes_on() && kill(Pid::from_raw(pid), signal).is_ok()
    }

    /// What it has used so far.
    pub fn used(&self) -> Option<Used> {
        let stat = Stat::read(self.pid).filter(|stat| stat.began == self.began)?;
        let memory = stat.pages.saturating_mul(setting(SysconfVar::PAGE_SIZE)?);
        Some(Used { cpu: of_ticks(stat.cpu)?, memory })
    }

    /// How long it goes on already.
    pub fn age(&self) -> Option<Duration> {
        let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
        let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
        let uptime = Duration::try_from_secs_f64(uptime).ok()?;
        Some(uptime.saturating_sub(of_ticks(self.began)?))
    }
}

struct Stat {
    is_over: bool,
    cpu: u64,
    began: u64,
    pages: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Stat> {
        Stat::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name of a process may hold spaces and parentheses: what counts begins behind the last one.
    fn parse(text: &str) -> Option<Stat> {
        let (_, behind) = text.rsplit_once(')')?;
        let fields: Vec<&str> = behind.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Stat {
            // It has ended, and nobody has asked how.
            is_over: matches!(*fields.first()?, "Z" | "X"),
            cpu: number(USER)?.saturating_add(number(KERNEL)?),
            began: number(BEGAN)?,
            pages: number(PAGES)?,
        })
    }
}

fn boot() -> Option<String> {
    Some(std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

fn of_ticks(ticks: u64) -> Option<Duration> {
    let a_second = setting(SysconfVar::CLK_TCK)?;
    Some(Duration::from_millis(ticks.saturating_mul(1000).checked_div(a_second)?))
}

fn setting(which: SysconfVar) -> Option<u64> {
    u64::try_from(sysconf(which).ok()??).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_line_of_the_system_is_read_whatever_the_name_is() {
        let line = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 25 5 0 0 20 0 3 0 123456 1000000 42 18446744073709551615 1 1";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.cpu, stat.began, stat.pages, stat.is_over), (30, 123_456, 42, false));
        assert!(Stat::parse("7 (a) Z 1").is_none() && Stat::parse("").is_none());
    }

    #[test]
    fn what_a_process_uses_is_counted() {
        // Of one that has only just begun the system may not have counted anything yet.
        let used = Life::ours().unwrap().used().unwrap();
        assert!(used.memory > 100_000 && used.cpu < Duration::from_secs(3600));
    }

    #[test]
    fn whoever_has_the_pid_later_is_somebody_else() {
        let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let life = Life::of(child.id()).unwrap();
        assert!(life.goes_on() && life.used().is_some());
        assert!(life.age().unwrap() < Duration::from_secs(60));
        let other = Life { began: life.began + 1, ..life.clone() };
        let earlier = Life { boot: "another".into(), ..life.clone() };
        for stranger in [other, earlier] {
            assert!(!stranger.goes_on() && !stranger.tell(Wish::Kill));
        }
        assert!(
            Life { pid: 0, ..life.clone() }.age().is_some()
                && !Life { pid: 0, ..life.clone() }.tell(Wish::Kill)
        );
        assert!(life.goes_on());
        assert!(life.tell(Wish::Stop));
        child.wait().unwrap();
        assert!(!life.goes_on() && !life.tell(Wish::Kill));
    }
}
