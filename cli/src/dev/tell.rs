//! What `dev` tells about what happens: facts, crashes and log lines in words. Pure.

use crate::terminal::{Notice, Tone};
use everwake_runtime::game::report::Fact;

/// A fact in words.
pub fn of_fact(fact: &Fact) -> Notice {
    match fact {
        Fact::Started { module, version, label } => {
            Notice::new(Tone::Good, format!("`{module}` version `{label}` (`{version}`) runs."))
        }
        Fact::Swapped { module, version, label, generation, spaces, migrated, rollback } => {
            let verb = if *rollback { "goes back to" } else { "runs" };
            let migrated = match migrated {
                0 => String::new(),
                many => format!(", {many} entities migrated"),
            };
            let text = format!(
                "`{module}` {verb} version `{label}` (`{version}`), generation {generation}: {spaces} spaces swapped{migrated}."
            );
            Notice::new(Tone::Good, text)
        }
        Fact::Passed { module, version } => {
            Notice::new(Tone::Plain, format!("`{module}` version `{version}` has passed its probation."))
        }
        Fact::Reverting { module, version, back_to, reason } => Notice::new(
            Tone::Bad,
            format!("`{module}` version `{version}` takes itself back: {reason}. `{back_to}` plays on."),
        ),
        Fact::Halted { module, version, reason } => {
            Notice::new(Tone::Bad, format!("`{module}` version `{version}` is halted: {reason}."))
        }
        Fact::Refused { module, reasons } => {
            let name = if module.is_empty() { "The module".to_owned() } else { format!("`{module}`") };
            Notice::new(Tone::Bad, format!("{name} is refused:\n  {}", reasons.join("\n  ")))
        }
        Fact::Unhandled { module, version, method } => Notice::new(
            Tone::Bad,
            format!(
                "`{module}` version `{version}` has no `{method}`, which a timer, an answer or a watch waited for."
            ),
        ),
        Fact::ServiceFailed { module, version, service, shard, reason } => Notice::new(
            Tone::Bad,
            format!(
                "`{module}` version `{version}`: shard {shard} of the service `{service}` is not made: {reason}."
            ),
        ),
        Fact::FileLeftOut { module, version, runs } => Notice::new(
            Tone::Plain,
            format!("The file of `{module}` (`{version}`) is not published: {runs} runs already."),
        ),
        Fact::Joined { rank } => {
            Notice::new(Tone::Plain, format!("This game has joined the others, as number {rank}."))
        }
        Fact::Ready { games, gates } => Notice::new(
            Tone::Good,
            format!("The deployment is ready: {games} games and {gates} gates were there at once."),
        ),
        Fact::Leads => Notice::new(Tone::Plain, "Publications go by this game.".to_owned()),
        Fact::NotJoined { reason } => {
            Notice::new(Tone::Bad, format!("This game cannot join the others: {reason}."))
        }
        Fact::Contradicted { module } => Notice::new(
            Tone::Bad,
            format!("Another history of `{module}` runs elsewhere: this life of the game ends."),
        ),
        Fact::Operator { who, what, entity } => {
            let entity = entity.as_ref().map(|it| format!(" on `{it}`")).unwrap_or_default();
            Notice::new(Tone::Plain, format!("Operator `{who}`: {what}{entity}."))
        }
    }
}

/// A crash: its report as it is, and what became of it.
pub fn of_crash(report: &str, fresh: bool) -> Notice {
    if fresh {
        let text = format!("{}\nThe event is rolled back; everything else goes on.", report.trim_end());
        return Notice::new(Tone::Bad, text);
    }
    // The same one again: its first line is enough.
    Notice::new(Tone::Bad, format!("again: {}", report.lines().next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn facts_are_sentences() {
        let facts = [
            Fact::Started { module: "chat".into(), version: "abc".into(), label: "1".into() },
            Fact::Swapped {
                module: "chat".into(),
                version: "def".into(),
                label: "2".into(),
                generation: 2,
                spaces: 5,
                migrated: 3,
                rollback: false,
            },
            Fact::Reverting {
                module: "chat".into(),
                version: "def".into(),
                back_to: "abc".into(),
                reason: "11 crashes in 2 s".into(),
            },
            Fact::Refused { module: "chat".into(), reasons: vec!["one".into(), "two".into()] },
        ];
        let lines: Vec<String> = facts.iter().map(|it| of_fact(it).text).collect();
        expect![[r#"
            `chat` version `1` (`abc`) runs.
            `chat` runs version `2` (`def`), generation 2: 5 spaces swapped, 3 entities migrated.
            `chat` version `def` takes itself back: 11 crashes in 2 s. `abc` plays on.
            `chat` is refused:
              one
              two"#]]
        .assert_eq(&lines.join("\n"));
    }

    #[test]
    fn the_same_crash_is_told_once_in_full() {
        assert!(of_crash("crash f00\n  frames\n", true).text.contains("frames"));
        assert_eq!(of_crash("crash f00\n  frames\n", false).text, "again: crash f00");
    }
}
