//! What a player hears. Pure.

use crate::connect::format::harmless;
use everwake_client::LeftOpen;
use everwake_protocol::EntityId;
use serde_json::Value;

/// What a client hears.
#[derive(Clone, Debug)]
pub enum Heard {
    /// An entity came into view.
    Created(EntityId),
    /// Attributes changed, by name.
    Changed(EntityId, Vec<String>),
    /// An entity left the view.
    Destroyed(EntityId),
    /// A method of a mirror is called.
    Called {
        /// The mirror.
        entity: EntityId,
        /// Name of the client method.
        name: String,
        /// By its types.
        args: Vec<Value>,
    },
    /// Another version runs.
    Version {
        /// For people.
        version: String,
        /// Rises with each publication.
        generation: u32,
    },
    /// Everything that was mirrored is void.
    Resync,
    /// The server contradicts itself.
    Strange(String),
    /// The session has ended: nothing is in view, nothing is owned.
    Lost {
        /// For people.
        why: String,
        /// What had no answer.
        open: LeftOpen,
    },
    /// There will be an attempt to connect.
    Trying {
        /// Where.
        gate: String,
        /// The how manieth, from 1.
        attempt: u32,
        /// In how many ms.
        in_ms: u64,
    },
    /// An attempt failed.
    Failed {
        /// Where.
        gate: String,
        /// For people.
        why: String,
    },
    /// Another session has begun: say who you are.
    Back {
        /// Who has it.
        gate: String,
    },
    /// There will be no session any more. Nothing follows.
    Closed {
        /// For people.
        why: String,
    },
}

impl Heard {
    /// A line for people, if it is about the connection.
    pub fn about_connection(&self) -> Option<String> {
        let line = match self {
            Heard::Lost { why, open } => format!("* the connection is lost: {why}{}", left_open(*open)),
            Heard::Trying { gate, attempt, in_ms } => {
                let seconds = *in_ms as f64 / 1000.0;
                format!("* attempt {attempt} to connect again, to `{gate}`, in {seconds:.1} s")
            }
            Heard::Failed { gate, why } => format!("* `{gate}` does not let us in: {why}"),
            Heard::Back { gate } => format!("* connected again, to `{gate}`, as somebody new"),
            Heard::Closed { why } => format!("* the connection is closed: {why}"),
            _ => return None,
        };
        // Reasons are the server's words.
        Some(harmless(&line))
    }
}

fn left_open(open: LeftOpen) -> String {
    match (open.unknown, open.not_run) {
        (0, 0) => String::new(),
        (unknown, 0) => format!("; {unknown} unanswered, which may have happened"),
        (0, not_run) => format!("; {not_run} not sent any more"),
        (unknown, not_run) => {
            format!("; {unknown} unanswered, which may have happened, and {not_run} not sent any more")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_in_lines() {
        let line = |heard: Heard| heard.about_connection().unwrap();
        let lost = |unknown, not_run| {
            line(Heard::Lost {
                why: "the server does not answer\u{1b}".into(),
                open: LeftOpen { unknown, not_run },
            })
        };
        assert_eq!(lost(0, 0), "* the connection is lost: the server does not answer\u{fffd}");
        assert!(lost(2, 0).ends_with("; 2 unanswered, which may have happened"));
        assert!(lost(0, 1).ends_with("; 1 not sent any more"));
        assert!(lost(2, 1).ends_with("; 2 unanswered, which may have happened, and 1 not sent any more"));
        assert_eq!(
            line(Heard::Trying { gate: "b:1".into(), attempt: 2, in_ms: 1_540 }),
            "* attempt 2 to connect again, to `b:1`, in 1.5 s"
        );
        assert_eq!(line(Heard::Back { gate: "b:1".into() }), "* connected again, to `b:1`, as somebody new");
        assert!(Heard::Resync.about_connection().is_none());
    }
}
