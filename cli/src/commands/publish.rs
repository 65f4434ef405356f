//! `everwake publish`, and how publications are told.

use super::build::{self, Profile};
use super::{count, short};
use crate::admin::client::{AdminAddress, AdminClient};
use crate::admin::types::{Pauses, ProbationReport, PublicationReport, PublishQuery};
use crate::clock::duration_words;
use crate::failure::sentence;
use crate::terminal::Terminal;
use clap::Args;
use everwake_builder::profile_of;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const DEV_BUILD: &str = "this is a development build, optimised less and slower to play\nhint: `everwake build` without `--dev` makes one for players; of a folder `publish` makes it itself";

/// Makes a version live while everybody plays on.
///
/// The server checks and compiles it off the hot path, and swaps each space between two events. A
/// version that crashes during its probation takes itself back if that loses nothing.
#[derive(Debug, Args)]
#[command(after_long_help = "Exit codes:
  0  it is live
  1  it would lose something: look at the reasons, agree with `--irreversible`; or no server answers
  2  it is refused; what ran before runs on

Examples:
  everwake publish samples/chat            builds it in release first
  everwake publish target/chat.wasm --note 'softer monsters'")]
pub struct PublishCommand {
    /// A component, or a folder with the source of a module.
    pub source: PathBuf,
    #[command(flatten)]
    pub terms: Terms,
    /// Why, for those who read `everwake versions` later.
    #[arg(long, default_value = "")]
    pub note: String,
    /// Prints the answer as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub address: AdminAddress,
}

/// What a publisher agrees to.
#[derive(Clone, Debug, Default, Args)]
pub struct Terms {
    /// Publishes though going back would lose changes, or is not proven to work, or though values of
    /// live entities go out of use.
    #[arg(long)]
    pub irreversible: bool,
    /// Ends the probation of the version before; always so in `dev`.
    #[arg(long)]
    pub supersede: bool,
}

impl Terms {
    /// As the server wants it.
    pub fn query(&self, note: &str) -> PublishQuery {
        PublishQuery { note: note.to_owned(), irreversible: self.irreversible, supersede: self.supersede }
    }
}

/// Publishes.
pub fn run(command: &PublishCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let client = AdminClient::find(&command.address)?;
    let component = build::component_of(&command.source, Profile::Release, terminal)?;
    let mut report = client.publish(&component, &command.terms.query(&command.note))?;
    warn_of_dev_build(&mut report, &component);
    tell(&report, command.json, terminal)
}

/// Adds to a report that the component is built for development, if it is.
pub fn warn_of_dev_build(report: &mut PublicationReport, component: &[u8]) {
    if profile_of(component) == Some(Profile::Dev) {
        report.warnings.push(DEV_BUILD.to_owned());
    }
}

/// Prints a report, and exits as it says.
pub fn tell(report: &PublicationReport, json: bool, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    if json {
        terminal.data(&super::json(report)?);
    } else {
        terminal.answer(&describe(report));
        if report.exit == 1 && !report.published {
            terminal.hint("If that is meant, agree with `--irreversible`.");
        }
    }
    Ok(ExitCode::from(report.exit))
}

/// A publication, a plan or a rollback in words.
pub fn describe(report: &PublicationReport) -> String {
    let mut lines = vec![head(report)];
    let indented = |text: &str| match text.split_once("\nhint: ") {
        Some((text, hint)) => {
            format!("{}\n    hint: {}", text.replace('\n', "\n    "), sentence(&hint.replace('\n', "\n    ")))
        }
        None => text.replace('\n', "\n    "),
    };
    lines.extend(report.refusals.iter().map(|it| format!("  refused: {}", indented(it))));
    lines.extend(report.warnings.iter().map(|it| format!("  warning: {}", indented(it))));
    lines.extend(report.changes.iter().map(|it| format!("  {}", indented(it))));
    if let Some(pause) = &report.pause {
        lines.push(format!("  {}", pauses(pause)));
    }
    for game in &report.games {
        let pause = game.pause.map_or_else(|| "no pause measured".to_owned(), |pause| pauses(&pause));
        let spaces = count(game.spaces as u64, "space");
        lines.push(format!("  `{}`: {spaces}, {pause}", game.game));
    }
    if let Some(pause) = &report.expected_pause {
        let note = "estimated by rehearsal: a new instance, and `migrate` one way";
        lines.push(format!("  expected {} ({note})", pauses(pause)));
    }
    if let Some(probation) = report.probation.as_ref().filter(|_| report.published) {
        let left = duration_words(Duration::from_millis(probation.left_ms));
        lines.push(format!("  Probation: it is watched for {left}. {}", if_it_fails(probation)));
    }
    lines.join("\n")
}

/// What becomes of a version on probation that fails.
pub fn if_it_fails(probation: &ProbationReport) -> String {
    let failures = count(u64::from(probation.allowed), "new failure");
    match &probation.back_to {
        Some(to) => format!("With more than {failures} within a minute it goes back to {to} by itself."),
        None => format!("If it fails it does not go back by itself: {}.", probation.stays),
    }
}

fn head(report: &PublicationReport) -> String {
    let spaces = count(report.spaces as u64, "space");
    let entities = match report.entities {
        1 => "1 entity".to_owned(),
        many => format!("{many} entities"),
    };
    let name = format!("`{}` version `{}` (`{}`)", report.module, report.label, short(&report.version));
    match (report.published, report.module.is_empty()) {
        (true, _) if report.from == report.version => {
            format!("{name} is live already, as generation {}: nothing is done.", report.generation)
        }
        // Nothing was there before.
        (true, _) if report.from.is_empty() => format!("{name} is live as generation {}.", report.generation),
        (true, _) => {
            format!("{name} is live as generation {}, in {spaces} with {entities}.", report.generation)
        }
        // No version was found.
        (false, false) if report.version.is_empty() => format!("`{}`: {}", report.module, report.summary),
        (false, false) if !report.summary.is_empty() => format!("{name}: {}", report.summary),
        (false, false) => name,
        (false, true) => report.summary.clone(),
    }
}

/// Pauses in words.
pub fn pauses(pause: &Pauses) -> String {
    let words = |micros| duration_words(Duration::from_micros(micros));
    format!(
        "pause: p50 {}, p99 {}, longest {}",
        words(pause.p50_us),
        words(pause.p99_us),
        words(pause.max_us)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use everwake_runtime::game::report::SiteReport;
    use expect_test::expect;

    fn report() -> PublicationReport {
        PublicationReport {
            module: "chat".into(),
            label: "7".into(),
            version: "0123456789abcdef".into(),
            from: "fedcba9876543210".into(),
            summary: "it changes the schema".into(),
            changes: vec!["`Avatar` gains the attribute `mood: string`.".into()],
            reversible: true,
            ..PublicationReport::default()
        }
    }

    #[test]
    fn a_publication_is_told_in_words() {
        let pause = Some(Pauses { spaces: 21, p50_us: 150, p99_us: 310, max_us: 1200 });
        let back_to = Some("generation 6 `6` (`fedcba987654`)".to_owned());
        let probation =
            ProbationReport { left_ms: 10_000, allowed: 2, back_to, ..ProbationReport::default() };
        let report = PublicationReport {
            published: true,
            generation: 7,
            spaces: 21,
            entities: 1,
            probation: Some(probation.clone()),
            pause,
            ..report()
        };
        expect![[r#"
            `chat` version `7` (`0123456789ab`) is live as generation 7, in 21 spaces with 1 entity.
              `Avatar` gains the attribute `mood: string`.
              pause: p50 150 µs, p99 310 µs, longest 1 ms
              Probation: it is watched for 10.0 s. With more than 2 new failures within a minute it goes back to generation 6 `6` (`fedcba987654`) by itself."#]]
        .assert_eq(&describe(&report));
        let stays = "going back would lose changes".to_owned();
        let lost = ProbationReport { back_to: None, stays, ..probation };
        assert_eq!(
            if_it_fails(&lost),
            "If it fails it does not go back by itself: going back would lose changes."
        );
        let site =
            |game: &str, pause| SiteReport { game: game.into(), spaces: 10, pause, ..SiteReport::default() };
        let games = vec![site("g-1", report.pause), site("g-2", None)];
        let spread = describe(&PublicationReport { games, ..report.clone() });
        assert!(
            spread.contains("\n  `g-1`: 10 spaces, pause: p50 150 µs, p99 310 µs, longest 1 ms\n  `g-2`: 10 spaces, no pause measured\n"),
            "{spread}"
        );
        let again =
            PublicationReport { from: report.version.clone(), probation: None, pause: None, ..report };
        assert!(
            describe(&again).starts_with("`chat` version `7` (`0123456789ab`) is live already"),
            "{again:?}"
        );
    }

    #[test]
    fn a_development_build_is_published_with_a_warning() {
        let mut report = report();
        warn_of_dev_build(&mut report, b"\0asm\x0d\0\x01\0");
        assert!(report.warnings.is_empty(), "who knows how it was built");
        let marked = [b"\0asm\x0d\0\x01\0\0\x14\x10everwake-profile".as_slice(), b"dev"].concat();
        warn_of_dev_build(&mut report, &marked);
        assert!(describe(&report).contains("  warning: this is a development build"));
    }

    #[test]
    fn a_plan_says_what_pause_to_expect() {
        let expected_pause = Some(Pauses { spaces: 2, p50_us: 90, p99_us: 400, max_us: 400 });
        let text = describe(&PublicationReport { expected_pause, ..report() });
        assert!(
            text.ends_with(
                "expected pause: p50 90 µs, p99 400 µs, longest 400 µs (estimated by rehearsal: a new instance, and `migrate` one way)"
            ),
            "{text}"
        );
    }

    #[test]
    fn of_a_first_version_there_is_not_much_to_tell() {
        let first = PublicationReport {
            published: true,
            generation: 1,
            from: String::new(),
            changes: vec![],
            ..report()
        };
        expect!["`chat` version `7` (`0123456789ab`) is live as generation 1."].assert_eq(&describe(&first));
    }

    #[test]
    fn a_refusal_names_its_reasons() {
        let refusals = vec!["`Avatar.hp` changes from `i32` to `string`.".into()];
        let report = PublicationReport {
            exit: 2,
            refusals,
            changes: vec![],
            summary: "it is refused".into(),
            ..report()
        };
        expect![[r#"
            `chat` version `7` (`0123456789ab`): it is refused
              refused: `Avatar.hp` changes from `i32` to `string`."#]]
        .assert_eq(&describe(&report));
    }
}
