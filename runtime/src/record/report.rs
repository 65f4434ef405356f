//! What a replay found: how much ran the same, and the first differences, for people.

use super::describe;
use super::mask::Masker;
use crate::guest::VersionHash;
use crate::space::{Commit, CommitVerdict};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a replay compares with its recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplayReport {
    /// Name of the module.
    pub module: String,
    /// Version that was recorded first, as text.
    pub recorded: String,
    /// Version that replayed first, as text.
    pub replayed: String,
    /// Drains of the space.
    pub drains: u64,
    /// Inputs.
    pub inputs: u64,
    /// Commits in the recording.
    pub commits: u64,
    /// How many of them came out the same.
    pub equal: u64,
    /// How many did not.
    pub different: u64,
    /// Time-outs that were taken from the recording instead of run.
    pub timed_out: u64,
    /// Events whose recorded arguments lack secrets: they may come out otherwise.
    pub masked: u64,
    /// The first events that crashed in the recording and crashed again: what somebody may look for.
    pub crashed_again: Vec<String>,
    /// The first differences.
    pub differences: Vec<Difference>,
    /// Why the recording ends before its end, if it does.
    pub cut_short: Option<String>,
    /// The recording is the last seconds of a space that nobody recorded.
    #[serde(default)]
    pub is_past: bool,
}

/// One thing that came out otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Sequence of the recorded commit, or of the replayed one if nothing was recorded.
    pub sequence: u64,
    /// Entity that ran.
    pub entity: String,
    /// What ran, in the recording.
    pub handler: String,
    /// What differs: `event`, `verdict`, `patch`, `messages`, `effects`, `mark`.
    pub what: String,
    /// In the recording; empty if there is nothing.
    pub recorded: String,
    /// In the replay; empty if there is nothing.
    pub replayed: String,
}

impl ReplayReport {
    /// True if everything came out the same.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.different == 0
    }
}

/// An event that crashed, in one line.
pub(super) fn crashed(commit: &Commit, masker: &Masker) -> String {
    let Difference { sequence, entity, handler, recorded, .. } =
        difference(commit, masker, "verdict", verdict(commit), String::new());
    format!("commit {sequence}, {handler} of {entity}: {recorded}, as it was recorded")
}

/// The first thing in which two commits differ; both sides are masked already.
pub(super) fn compare(
    recorded: Option<&Commit>,
    replayed: Option<&Commit>,
    recording: &Masker,
    replay: &Masker,
) -> Option<Difference> {
    let side = |commit: Option<&Commit>, masker: &Masker| {
        commit.map_or_else(String::new, |commit| event(commit, masker))
    };
    let (Some(old), Some(new)) = (recorded, replayed) else {
        let any = recorded.or(replayed)?;
        let masker = if recorded.is_some() { recording } else { replay };
        return Some(difference(any, masker, "event", side(recorded, recording), side(replayed, replay)));
    };
    let (what, left, right) = if event(old, recording) != event(new, replay) || old.seed != new.seed {
        ("event", side(recorded, recording), side(replayed, replay))
    } else if old.verdict != new.verdict {
        ("verdict", verdict(old), verdict(new))
    } else if patches_differ(old, new) {
        ("patch", patches(old, recording), patches(new, replay))
    } else if old.outbox != new.outbox {
        ("messages", messages(old, recording), messages(new, replay))
    } else if old.moves != new.moves {
        ("moves", moves(old), moves(new))
    } else if old.effects != new.effects {
        ("effects", effects(old), effects(new))
    } else if old.mark != new.mark {
        ("mark", format!("{:?}", old.mark), format!("{:?}", new.mark))
    } else {
        return None;
    };
    Some(difference(old, recording, what, left, right))
}

fn difference(
    commit: &Commit,
    masker: &Masker,
    what: &str,
    recorded: String,
    replayed: String,
) -> Difference {
    Difference {
        sequence: commit.sequence,
        entity: commit.entity.to_string(),
        handler: describe::handler(masker.version(), commit),
        what: what.to_owned(),
        recorded,
        replayed,
    }
}

fn event(commit: &Commit, masker: &Masker) -> String {
    let handler = describe::handler(masker.version(), commit);
    format!("{handler} of {} by {:?} at {}", commit.entity, commit.origin, commit.now_ms)
}

fn verdict(commit: &Commit) -> String {
    match commit.verdict {
        CommitVerdict::Done => "committed".to_owned(),
        CommitVerdict::Failed => "failed".to_owned(),
        CommitVerdict::Trapped(kind) => format!("trapped: {kind:?}"),
    }
}

fn patches_differ(old: &Commit, new: &Commit) -> bool {
    !describe::deltas(old).eq(describe::deltas(new))
}

fn patches(commit: &Commit, masker: &Masker) -> String {
    let version = masker.version();
    let lines = describe::deltas(commit).map(|(entity, bytes)| {
        format!("{entity}: {}", describe::patch(version, masker.type_of(entity), bytes))
    });
    joined(lines)
}

fn messages(commit: &Commit, masker: &Masker) -> String {
    let version = masker.version();
    let lines = commit.outbox.iter();
    joined(lines.map(|message| describe::message(version, masker.type_of(message.target), message)))
}

fn moves(commit: &Commit) -> String {
    joined(commit.moves.iter().map(describe::moved))
}

fn effects(commit: &Commit) -> String {
    joined(commit.effects.iter().map(describe::effect))
}

/// Enough lines to see what is the matter.
fn joined(lines: impl Iterator<Item = String>) -> String {
    const LINES_MAX: usize = 20;
    lines.take(LINES_MAX).collect::<Vec<_>>().join("\n")
}

/// Hash and label of a version, for people.
pub(super) fn version_text(label: &str, hash: VersionHash) -> String {
    format!("{label} {hash}").trim_start().to_owned()
}

impl fmt::Display for ReplayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: recorded on {}, replayed on {}", self.module, self.recorded, self.replayed)?;
        writeln!(f, "{} drains, {} inputs, {} commits", self.drains, self.inputs, self.commits)?;
        if let Some(why) = &self.cut_short {
            writeln!(f, "the recording is not whole: {why}")?;
        }
        if self.timed_out > 0 {
            writeln!(f, "{} time-outs were taken from the recording", self.timed_out)?;
        }
        if self.masked > 0 {
            writeln!(
                f,
                "{} events lack secrets that are not recorded; they may come out otherwise",
                self.masked
            )?;
        }
        if self.is_past && !self.is_equal() {
            writeln!(
                f,
                "the recording begins with an instance that had run before: hidden state would differ"
            )?;
        }
        for Difference { sequence, entity, handler, what, recorded, replayed } in &self.differences {
            writeln!(f, "commit {sequence}, {handler} of {entity}: the {what} differs")?;
            for (side, text) in [("recorded", recorded), ("replayed", replayed)] {
                let text = if text.is_empty() { "nothing" } else { text };
                for (place, line) in text.lines().enumerate() {
                    let side = if place == 0 { side } else { "" };
                    writeln!(f, "  {side:8}  {line}")?;
                }
            }
        }
        let shown = self.differences.len() as u64;
        if self.different > shown {
            writeln!(f, "and {} more", self.different - shown)?;
        }
        if self.is_equal() {
            writeln!(f, "equal")
        } else {
            writeln!(f, "{} of {} commits are equal", self.equal, self.commits)
        }
    }
}
