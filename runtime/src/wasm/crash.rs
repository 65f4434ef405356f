//! Crashes for people: one readable block each, counted by what they have in common.

use std::collections::BTreeMap;
use std::fmt;

use everwake_protocol::EntityId;
use serde::{Deserialize, Serialize};

use super::limits::{
    CRASH_FINGERPRINT_FRAMES, CRASH_FINGERPRINTS_MAX, CRASH_LOG_LINES_MAX, CRASH_VERSIONS_MAX,
};
use super::symbols::{Frame, Symbols};
use crate::guest::{Origin, TrapKind};
use crate::message::Crash;

/// A handler that failed badly, with everything that helps to find out why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrashReport {
    /// UTC ms.
    pub at_ms: u64,
    /// Name of the module.
    pub module: String,
    /// Author's label of the version.
    pub label: String,
    /// Short hash of the version.
    pub version: String,
    /// `Type::method` or `Type hook create`.
    pub handler: String,
    /// The entity; the culprit if it was a tick.
    pub entity: EntityId,
    /// Its space.
    pub space: EntityId,
    /// Name of the game process; empty if nobody has said it.
    pub game: String,
    /// Who asked.
    pub origin: Origin,
    /// The caller, if there is one.
    pub caller: Option<EntityId>,
    /// Arguments as text, secrets masked.
    pub args: String,
    /// Kind of death.
    pub kind: TrapKind,
    /// Panic message, or what the engine said.
    pub message: String,
    /// Innermost first.
    pub frames: Vec<Frame>,
    /// The event's last log lines.
    pub log: Vec<String>,
    /// What it had changed so far; all of it is undone.
    pub patch: String,
    /// The command that runs it again; empty if nothing was recorded.
    pub replay: String,
}

/// What crashes with the same cause have in common, over versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(pub String);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl CrashReport {
    /// Finds names and lines for the frames. Slow: call it beside the events.
    #[must_use]
    pub fn new(crash: Crash, symbols: &Symbols) -> Self {
        let mut log = crash.log;
        log.drain(..log.len().saturating_sub(CRASH_LOG_LINES_MAX));
        Self {
            at_ms: crash.at_ms,
            module: crash.module,
            label: crash.label,
            version: crash.version.to_string(),
            handler: crash.handler,
            entity: crash.entity,
            space: crash.space,
            game: String::new(),
            origin: crash.origin,
            caller: crash.caller,
            args: crash.args,
            kind: crash.kind,
            message: crash.message,
            frames: symbols.symbolise(&crash.frames),
            log,
            patch: crash.patch,
            replay: String::new(),
        }
    }

    /// The same for the same mistake, whatever the numbers in its message, the lines around it
    /// and the version.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hasher = blake3::Hasher::new();
        let mut add = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        add(&self.module);
        add(&self.handler);
        add(kind_name(self.kind));
        add(&without_numbers(&self.message));
        let mut last = None;
        let own =
            self.frames.iter().filter_map(|frame| frame.function.as_deref()).filter(|name| is_own(name));
        let different = own.filter(|name| last.replace(*name) != Some(*name));
        different.take(CRASH_FINGERPRINT_FRAMES).for_each(add);
        Fingerprint(hasher.finalize().to_hex().chars().take(12).collect())
    }
}

impl fmt::Display for CrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "crash {}: {} in {}", self.fingerprint(), kind_name(self.kind), self.handler)?;
        writeln!(f, "  {}", self.message.replace('\n', "\n  "))?;
        writeln!(f, "  module   {} {} ({})", self.module, self.label, self.version)?;
        writeln!(f, "  entity   {}", self.entity)?;
        writeln!(f, "  space    {}", self.space)?;
        if !self.game.is_empty() {
            writeln!(f, "  game     {}", self.game)?;
        }
        match self.caller {
            Some(caller) => writeln!(f, "  asked by {} {caller}", origin_name(self.origin))?,
            None => writeln!(f, "  asked by {}", origin_name(self.origin))?,
        }
        writeln!(f, "  args     {}", self.args)?;
        if !self.patch.is_empty() {
            writeln!(f, "  undone   {}", self.patch)?;
        }
        write_frames(f, &self.frames)?;
        if !self.log.is_empty() {
            writeln!(f, "  log")?;
            self.log.iter().try_for_each(|line| writeln!(f, "    {}", line.replace('\n', "\n    ")))?;
        }
        if !self.replay.is_empty() {
            writeln!(f, "  replay   {}", self.replay)?;
        }
        Ok(())
    }
}

/// Repeated frames of a recursion are told once, and what a panic does before it ends in one line: the
/// author's own code is what people look for.
fn write_frames(f: &mut fmt::Formatter<'_>, frames: &[Frame]) -> fmt::Result {
    if frames.is_empty() {
        return Ok(());
    }
    writeln!(f, "  frames")?;
    let own = |frame: &Frame| frame.function.as_deref().is_none_or(is_own);
    let (panic, frames) = frames.split_at(frames.iter().position(own).unwrap_or(0));
    if !panic.is_empty() {
        writeln!(f, "    ({} of the panic itself)", panic.len())?;
    }
    for same in frames.chunk_by(|a, b| shown(a) == shown(b)) {
        let Some(frame) = same.first() else { continue };
        let times = if same.len() > 1 { format!("  ({} times)", same.len()) } else { String::new() };
        writeln!(f, "    {}{times}", shown(frame))?;
    }
    Ok(())
}

fn shown(frame: &Frame) -> String {
    let function = match &frame.function {
        Some(function) => function.clone(),
        None => format!("function {} at {:#x}", frame.function_index, frame.offset),
    };
    match (&frame.file, frame.line) {
        (Some(file), Some(line)) => format!("{function}  {file}:{line}"),
        (Some(file), None) => format!("{function}  {file}"),
        _ => function,
    }
}

/// Functions of the language's runtime differ between its versions, and say nothing.
fn is_own(function: &str) -> bool {
    const RUNTIME: [&str; 8] =
        ["core::", "std::", "alloc::", "__rust", "rust_", "<core::", "<alloc::", "<std::"];
    !RUNTIME.iter().any(|prefix| function.starts_with(prefix))
}

/// Words with digits in them (numbers, ids, places) become `#`.
fn without_numbers(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for piece in message.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
        if word.contains(|c: char| c.is_ascii_digit()) {
            out.push('#');
            out.extend(piece.get(word.len()..));
        } else {
            out.push_str(piece);
        }
    }
    out
}

fn kind_name(kind: TrapKind) -> &'static str {
    match kind {
        TrapKind::Fault => "fault",
        TrapKind::TimedOut => "timed out",
        TrapKind::Memory => "out of memory",
        TrapKind::Stack => "stack exhausted",
        TrapKind::Misuse => "misuse of the contract",
        TrapKind::Instantiate => "no instance",
        TrapKind::NoRoom => "no room for an instance",
    }
}

fn origin_name(origin: Origin) -> &'static str {
    match origin {
        Origin::Host => "the host",
        Origin::Entity => "an entity",
        Origin::OwnClient => "its own client",
        Origin::OtherClient => "another client",
        Origin::Operator => "an operator",
    }
}

/// How often something crashed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrashEntry {
    /// How often.
    pub count: u64,
    /// UTC ms.
    pub first_ms: u64,
    /// UTC ms.
    pub last_ms: u64,
    /// The same for each version, in the order in which they crashed first.
    pub versions: Vec<CrashVersion>,
    /// The latest one.
    pub latest: CrashReport,
}

/// How often something crashed in one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashVersion {
    /// Author's label of the version.
    pub label: String,
    /// Short hash of the version.
    pub version: String,
    /// How often.
    pub count: u64,
    /// UTC ms.
    pub first_ms: u64,
    /// UTC ms.
    pub last_ms: u64,
}

impl CrashEntry {
    fn first(report: CrashReport) -> CrashEntry {
        let at_ms = report.at_ms;
        let versions = vec![CrashVersion::of(&report)];
        CrashEntry { count: 1, first_ms: at_ms, last_ms: at_ms, versions, latest: report }
    }

    /// True if this version had not crashed so.
    fn again(&mut self, mut report: CrashReport) -> bool {
        self.count += 1;
        self.last_ms = self.last_ms.max(report.at_ms);
        let known = self.versions.iter_mut().find(|known| known.version == report.version);
        let is_new = known.is_none();
        match known {
            Some(known) => {
                known.count += 1;
                known.last_ms = known.last_ms.max(report.at_ms);
            }
            None => {
                if self.versions.len() >= CRASH_VERSIONS_MAX {
                    let oldest = (0..self.versions.len())
                        .min_by_key(|place| self.versions.get(*place).map(|version| version.last_ms));
                    oldest.map(|place| self.versions.remove(place));
                }
                self.versions.push(CrashVersion::of(&report));
            }
        }
        // Only the first of a version is recorded.
        if report.version == self.latest.version && report.replay.is_empty() {
            report.replay.clone_from(&self.latest.replay);
        }
        self.latest = report;
        is_new
    }
}

impl CrashVersion {
    fn of(report: &CrashReport) -> CrashVersion {
        let (label, version) = (report.label.clone(), report.version.clone());
        CrashVersion { label, version, count: 1, first_ms: report.at_ms, last_ms: report.at_ms }
    }
}

/// What a crash is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing like it was in the book.
    New,
    /// It was, but in other versions.
    InOtherVersions,
    /// It was, in this version.
    Before,
}

/// All crashes of a process, by fingerprint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CrashBook {
    entries: BTreeMap<Fingerprint, CrashEntry>,
}

impl CrashBook {
    /// Counts a crash.
    pub fn record(&mut self, report: CrashReport) -> Seen {
        let fingerprint = report.fingerprint();
        if let Some(entry) = self.entries.get_mut(&fingerprint) {
            return if entry.again(report) { Seen::InOtherVersions } else { Seen::Before };
        }
        if self.entries.len() >= CRASH_FINGERPRINTS_MAX {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.last_ms);
            if let Some(oldest) = oldest.map(|(fingerprint, _)| fingerprint.clone()) {
                self.entries.remove(&oldest);
            }
        }
        self.entries.insert(fingerprint, CrashEntry::first(report));
        Seen::New
    }

    /// Says how the latest crash of a kind can be run again.
    pub fn recorded(&mut self, fingerprint: &Fingerprint, replay: String) {
        if let Some(entry) = self.entries.get_mut(fingerprint) {
            entry.latest.replay = replay;
        }
    }

    /// What is in the book, the most frequent first.
    #[must_use]
    pub fn entries(&self) -> Vec<(&Fingerprint, &CrashEntry)> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(_, entry)| std::cmp::Reverse((entry.count, entry.last_ms)));
        entries
    }

    /// One of them.
    #[must_use]
    pub fn entry(&self, fingerprint: &Fingerprint) -> Option<&CrashEntry> {
        self.entries.get(fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::{RawFrame, VersionHash};

    fn crash(message: &str, at_ms: u64) -> Crash {
        Crash {
            at_ms,
            module: "yard".into(),
            label: "1.2".into(),
            version: VersionHash([0xab; 32]),
            handler: "Avatar::hit".into(),
            entity: EntityId::default(),
            space: EntityId::default(),
            origin: Origin::OwnClient,
            caller: None,
            session: None,
            args: "[37]".into(),
            kind: TrapKind::Fault,
            message: message.into(),
            frames: vec![RawFrame { module: 0, function: 4, offset: 0x20 }],
            log: (0..CRASH_LOG_LINES_MAX + 5).map(|line| format!("info line {line}")).collect(),
            patch: "hp = 3".into(),
        }
    }

    fn named(function: &str, line: u32) -> Frame {
        let raw = RawFrame { module: 0, function: line, offset: line };
        Frame {
            function: Some(function.into()),
            file: Some("src/lib.rs".into()),
            line: Some(line),
            ..Frame::bare(&raw)
        }
    }

    #[test]
    fn the_same_mistake_is_counted_whatever_its_numbers() {
        let mut book = CrashBook::default();
        let report = |message: &str, at_ms, frames: &[Frame]| CrashReport {
            frames: frames.to_vec(),
            ..CrashReport::new(crash(message, at_ms), &Symbols::None)
        };
        let frames = [named("core::panicking::panic", 1), named("yard::hit", 12), named("yard::hit", 12)];
        let moved = [named("std::rt::abort", 1), named("yard::hit", 15)];
        assert_eq!(book.record(report("src/lib.rs:12:5: index 7 of 3", 10, &frames)), Seen::New);
        assert_eq!(book.record(report("src/lib.rs:15:9: index 19 of 4", 30, &moved)), Seen::Before);
        assert_eq!(book.record(report("src/lib.rs:12:5: no sword", 20, &frames)), Seen::New);
        let other = report("src/lib.rs:15:9: index 1 of 0", 20, &[named("yard::miss", 15)]);
        assert_eq!(book.record(other), Seen::New);
        let (_, most) = book.entries()[0];
        assert_eq!((most.count, most.first_ms, most.last_ms), (2, 10, 30));
        assert_eq!(book.entries().len(), 3);
    }

    #[test]
    fn each_version_is_counted_and_keeps_its_recording() {
        let mut book = CrashBook::default();
        let of = |version: u32, at_ms| CrashReport {
            version: format!("v{version}"),
            ..CrashReport::new(crash("no sword", at_ms), &Symbols::None)
        };
        let fingerprint = of(1, 0).fingerprint();
        assert_eq!(book.record(of(1, 10)), Seen::New);
        book.recorded(&fingerprint, "everwake replay one".into());
        assert_eq!(book.record(of(1, 20)), Seen::Before);
        assert_eq!(book.entry(&fingerprint).unwrap().latest.replay, "everwake replay one");
        assert_eq!(book.record(of(2, 30)), Seen::InOtherVersions);
        assert_eq!(book.entry(&fingerprint).unwrap().latest.replay, "", "that was the version before");
        assert_eq!(book.record(of(1, 40)), Seen::Before);
        let seen = |entry: &CrashEntry| -> Vec<(String, u64, u64, u64)> {
            let of = |it: &CrashVersion| (it.version.clone(), it.count, it.first_ms, it.last_ms);
            entry.versions.iter().map(of).collect()
        };
        let entry = book.entry(&fingerprint).unwrap();
        assert_eq!((entry.count, seen(entry)), (4, vec![("v1".into(), 3, 10, 40), ("v2".into(), 1, 30, 30)]));
        for version in 3..=CRASH_VERSIONS_MAX as u32 + 1 {
            book.record(of(version, 50 + u64::from(version)));
        }
        let entry = book.entry(&fingerprint).unwrap();
        assert_eq!(entry.versions.len(), CRASH_VERSIONS_MAX);
        assert!(entry.versions.iter().all(|it| it.version != "v2"), "not seen for longest");
    }

    #[test]
    fn a_full_book_forgets_what_was_not_seen_for_longest() {
        let mut book = CrashBook::default();
        for index in 0..=CRASH_FINGERPRINTS_MAX {
            let word = "x".repeat(index + 1);
            let at_ms = if index == 3 { 0 } else { 100 + index as u64 };
            let report = CrashReport::new(crash(&word, at_ms), &Symbols::None);
            assert_eq!(book.record(report), Seen::New);
        }
        assert_eq!(book.entries().len(), CRASH_FINGERPRINTS_MAX);
        let gone = CrashReport::new(crash("xxxx", 0), &Symbols::None).fingerprint();
        assert_eq!(book.entry(&gone), None);
    }

    #[test]
    fn a_report_is_one_readable_block() {
        let mut report = CrashReport::new(crash("src/lib.rs:12:5: no sword", 10), &Symbols::None);
        report.log.truncate(1);
        report.game = "game-2".into();
        report.replay = "everwake replay crashes/f00.everwake".into();
        report.frames.splice(..0, [named("__rustc::rust_panic", 1), named("core::panicking::panic", 2)]);
        report.frames.extend([named("yard::deeper", 4), named("yard::deeper", 4), named("yard::hit", 12)]);
        let text = report.to_string();
        let text = text.replace(&report.fingerprint().0, "FINGERPRINT");
        expect_test::expect![[r"
            crash FINGERPRINT: fault in Avatar::hit
              src/lib.rs:12:5: no sword
              module   yard 1.2 (abababababab)
              entity   00000000000000000000000000
              space    00000000000000000000000000
              game     game-2
              asked by its own client
              args     [37]
              undone   hp = 3
              frames
                (2 of the panic itself)
                function 4 at 0x20
                yard::deeper  src/lib.rs:4  (2 times)
                yard::hit  src/lib.rs:12
              log
                info line 5
              replay   everwake replay crashes/f00.everwake
        "]]
        .assert_eq(&text);
    }
}
