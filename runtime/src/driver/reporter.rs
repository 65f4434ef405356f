//! Log lines, facts and crashes on their way to people, beside the events.
//!
//! A thread of its own: finding the lines of a crash takes milliseconds, and a slow terminal must
//! not hold up a game. What does not fit the queue is counted and left out.

use super::crash_recordings::CrashRecordings;
use super::loader::ModuleLoader;
use crate::game::report::Fact;
use crate::guest::LogLevel;
use crate::message::{Crash, LogLine};
use crate::wasm::{CrashBook, CrashEntry, CrashReport, Seen};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Lines that may wait to be written. Stops a game that logs in a loop from filling memory.
const LINES_MAX: usize = 16_384;

/// Something that happened, for subscribers.
#[derive(Clone, Debug)]
pub enum GameEvent {
    /// See [`Fact`].
    Fact(Fact),
    /// A handler failed badly. Only the first of a kind, and not more than a few a second.
    Crash(Box<CrashReport>),
}

/// What the reporter gets.
pub(super) enum Item {
    Line(Box<LogLine>),
    Fact(Fact),
    Crash(Box<Crash>, bool),
}

/// The sending end.
#[derive(Clone)]
pub(super) struct Reporter {
    sender: SyncSender<Item>,
    parts: Parts,
}

impl Reporter {
    pub(super) fn new() -> (Self, Receiver<Item>) {
        let (sender, receiver) = sync_channel(LINES_MAX);
        (Self { sender, parts: Parts::default() }, receiver)
    }

    /// Tells, if there is room.
    pub(super) fn tell(&self, item: Item) {
        if self.sender.try_send(item).is_err() {
            self.parts.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What the thread and the handle need; they hold no sender, so that the thread ends.
    pub(super) fn parts(&self) -> Parts {
        self.parts.clone()
    }
}

/// What the reporter's thread shares with the handle.
#[derive(Clone, Default)]
pub(super) struct Parts {
    left_out: Arc<AtomicU64>,
    book: Arc<Mutex<CrashBook>>,
    subscribers: Arc<Mutex<Vec<Sender<GameEvent>>>>,
}

impl Parts {
    /// The thread: returns when the core's thread is gone.
    pub(super) fn run(
        &self,
        items: &Receiver<Item>,
        loader: &dyn ModuleLoader,
        mut recordings: CrashRecordings,
    ) {
        while let Ok(item) = items.recv() {
            let left_out = self.left_out.swap(0, Ordering::Relaxed);
            if left_out > 0 {
                tracing::warn!(left_out, "log lines were left out");
            }
            match item {
                Item::Line(line) => write_line(&line),
                Item::Fact(fact) => {
                    write_fact(&fact);
                    self.publish(&GameEvent::Fact(fact));
                }
                Item::Crash(crash, log) => self.crashed(loader.report(*crash), log, &mut recordings),
            }
        }
    }

    pub(super) fn crashes(&self) -> Vec<(String, CrashEntry)> {
        self.book().entries().into_iter().map(|(print, entry)| (print.to_string(), entry.clone())).collect()
    }

    pub(super) fn subscribe(&self) -> Receiver<GameEvent> {
        let (sender, receiver) = channel();
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        receiver
    }

    fn crashed(&self, mut report: CrashReport, log: bool, recordings: &mut CrashRecordings) {
        report.game.clone_from(&recordings.game);
        let seen = self.book().record(report.clone());
        if seen != Seen::Before {
            report.replay = recordings.write(&report).unwrap_or_default();
            self.book().recorded(&report.fingerprint(), report.replay.clone());
        }
        // A crash that a new version has, too, is news: somebody may have meant to mend it.
        let new = seen != Seen::Before;
        if log {
            let CrashReport { module, version, label, .. } = &report;
            tracing::error!(%module, %version, %label, new, "{report}");
        }
        if new && log {
            self.publish(&GameEvent::Crash(Box::new(report)));
        }
    }

    fn book(&self) -> MutexGuard<'_, CrashBook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, event: &GameEvent) {
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.retain(|subscriber| subscriber.send(event.clone()).is_ok());
    }
}

fn write_line(line: &LogLine) {
    let LogLine { level, message, module, version, handler, entity, space } = line;
    match level {
        LogLevel::Trace => tracing::trace!(%module, %version, %handler, %entity, %space, "{message}"),
        LogLevel::Debug => tracing::debug!(%module, %version, %handler, %entity, %space, "{message}"),
        LogLevel::Info => tracing::info!(%module, %version, %handler, %entity, %space, "{message}"),
        LogLevel::Warn => tracing::warn!(%module, %version, %handler, %entity, %space, "{message}"),
        LogLevel::Error => tracing::error!(%module, %version, %handler, %entity, %space, "{message}"),
    }
}

fn write_fact(fact: &Fact) {
    match fact {
        Fact::Started { module, version, label } => tracing::info!(module, version, label, "module started"),
        Fact::Swapped { module, version, label, generation, spaces, migrated, rollback } => tracing::info!(
            module,
            version,
            label,
            generation,
            spaces,
            migrated,
            rollback,
            "all spaces run a new version"
        ),
        Fact::Passed { module, version } => tracing::info!(module, version, "probation passed"),
        Fact::Reverting { module, version, back_to, reason } => {
            tracing::warn!(module, version, back_to, reason, "the version goes back");
        }
        Fact::Halted { module, version, reason } => {
            tracing::error!(module, version, reason, "the version failed, and nothing can be taken back");
        }
        Fact::Refused { module, reasons } => {
            tracing::warn!(module, reasons = reasons.join("; "), "publication refused");
        }
        Fact::Unhandled { module, version, method } => {
            tracing::warn!(module, version, method, "something waited for a method that the version lacks");
        }
        Fact::ServiceFailed { module, version, service, shard, reason } => {
            tracing::error!(module, version, service, shard, reason, "a service shard could not be made");
        }
        Fact::FileLeftOut { module, version, runs } => {
            tracing::warn!(module, version, runs, "the file is not published, another version runs already");
        }
        Fact::Joined { rank } => tracing::info!(rank, "joined the games of the cluster"),
        Fact::Ready { games, gates } => tracing::info!(games, gates, "the deployment is ready"),
        Fact::Leads => tracing::info!("publications go by this game"),
        Fact::NotJoined { reason } => tracing::error!(reason, "cannot join the games of the cluster"),
        Fact::Contradicted { module } => {
            tracing::error!(module, "another history of the module runs elsewhere, this life ends");
        }
        Fact::Operator { who, what, entity } => {
            tracing::info!(target: "everwake::audit", who, what, entity, "operator");
        }
    }
}
