//! `everwake call`

use crate::admin::client::{AdminAddress, AdminClient};
use crate::admin::types::CallRequest;
use crate::terminal::Terminal;
use crate::values::inline;
use clap::Args;
use serde_json::Value;
use std::process::ExitCode;

/// Calls a method of an entity as an operator. The call stands in the log.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Each argument is read by the type of its parameter: numbers, texts, JSON for lists and structs.

Examples:
  everwake call 0h2k8q heal 40
  everwake call 0h2k8q give '{\"kind\": \"axe\", \"count\": 1}'"
)]
pub struct CallCommand {
    /// The target: the start of its id, as long as it is clear.
    pub id: String,
    /// Name of the method.
    pub method: String,
    /// One for each parameter.
    #[arg(allow_hyphen_values = true)]
    pub args: Vec<String>,
    /// Prints the answer as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub address: AdminAddress,
}

/// Calls.
pub fn run(command: &CallCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let request = CallRequest {
        entity: command.id.clone(),
        method: command.method.clone(),
        args: command.args.iter().map(|text| argument(text)).collect(),
    };
    let answer = AdminClient::find(&command.address)?.call(&request)?;
    if command.json {
        terminal.data(&super::json(&answer)?);
    } else {
        terminal.data(&inline(&answer.value));
    }
    Ok(ExitCode::SUCCESS)
}

/// Texts stand for what the parameter wants; only `null` and structured data are read here.
fn argument(text: &str) -> Value {
    if text == "null" || text.starts_with(['[', '{']) {
        return serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    }
    Value::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arguments_stay_texts_unless_they_are_structured() {
        assert_eq!(argument("40"), json!("40"));
        assert_eq!(argument("[1]"), json!([1]));
        assert_eq!(argument("[sic]"), json!("[sic]"));
        assert_eq!(argument("null"), Value::Null);
    }
}
