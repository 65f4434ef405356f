//! `everwake inspect`
//!
//! - [`report`]: what is known, for people.

mod report;

use crate::admin::client::{AdminAddress, AdminClient};
use crate::terminal::Terminal;
use crate::values::inline;
use clap::Args;
use serde_json::Value;
use std::process::ExitCode;

/// Lists longer than this are cut for people.
const LIST_LINES_MAX: usize = 200;

/// Shows spaces and entities with their attributes. Secrets are masked.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  everwake inspect                 all spaces
  everwake inspect 0h2k8q          the one space or entity whose id begins so
  everwake inspect --json | jq .")]
pub struct InspectCommand {
    /// A space or an entity: the start of its id, as long as it is clear; all spaces if left out.
    pub id: Option<String>,
    /// Prints everything that is known, as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub address: AdminAddress,
}

/// Shows.
pub fn run(command: &InspectCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let found = AdminClient::find(&command.address)?.inspect(command.id.as_deref())?;
    if command.json {
        terminal.data(&super::json(&found)?);
    } else {
        terminal.answer(&report::report(&found).unwrap_or_else(|| outline(&found)));
        if command.id.is_none() {
            terminal.hint(
                "`everwake inspect ID` shows one of them with what is in it; the start of an id is enough.",
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Nested data that is not known here as an indented outline: one line for what is small, more for what is not.
fn outline(value: &Value) -> String {
    let mut lines = Vec::new();
    write(value, 0, &mut lines);
    lines.join("\n")
}

fn write(value: &Value, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(entries) => {
            for (key, item) in entries {
                entry(&format!("{indent}{key}:"), item, depth, lines);
            }
        }
        Value::Array(items) => {
            for item in items.iter().take(LIST_LINES_MAX) {
                entry(&format!("{indent}-"), item, depth, lines);
            }
            if items.len() > LIST_LINES_MAX {
                lines.push(format!("{indent}… and {} more", items.len() - LIST_LINES_MAX));
            }
        }
        other => lines.push(format!("{indent}{}", plain(other))),
    }
}

fn entry(label: &str, item: &Value, depth: usize, lines: &mut Vec<String>) {
    let small = inline(item);
    match item {
        Value::Object(_) | Value::Array(_) if small.chars().count() > 90 => {
            lines.push(label.to_owned());
            write(item, depth + 1, lines);
        }
        Value::Object(_) | Value::Array(_) => lines.push(format!("{label} {small}")),
        other => lines.push(format!("{label} {}", plain(other))),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| inline(value), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    #[test]
    fn small_things_take_one_line_and_large_ones_are_indented() {
        let view = json!({
            "entity": "0abc",
            "attributes": {"hp": 3, "name": "Ada"},
            "timers": [{"method": "Avatar::idle", "next_ms": 1_000_000_000_000u64, "repeat_ms": 60_000, "context": "nothing at all"}],
        });
        expect![[r#"
            attributes: {hp: 3, name: "Ada"}
            entity: 0abc
            timers:
              -
                context: nothing at all
                method: Avatar::idle
                next_ms: 1000000000000
                repeat_ms: 60000"#]]
        .assert_eq(&outline(&view));
    }

    #[test]
    fn a_long_list_is_cut() {
        let text = outline(&json!((0..500).collect::<Vec<_>>()));
        assert!(text.ends_with("… and 300 more"));
    }
}
