//! What is said about a command line that cannot be read: in our words, with the near command.

use crate::arguments::Arguments;
use crate::failure::{hinted, sentence};
use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Letters that may be wrong, left out, doubled or exchanged in a word that is still understood.
const SLIPS_MAX: usize = 2;

/// An error of clap's in our words; none if it asks for help or the version.
pub fn explain(error: &clap::Error, typed: &[String]) -> Option<anyhow::Error> {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return None;
    }
    if let (ErrorKind::InvalidSubcommand, Some(ContextValue::String(word))) =
        (error.kind(), error.get(ContextKind::InvalidSubcommand))
    {
        return Some(no_command(word, typed));
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let (mut message, mut hints) = (Vec::<&str>::new(), Vec::new());
    for line in text.trim_end().lines() {
        let trimmed = line.trim_start();
        match trimmed.strip_prefix("tip: ") {
            Some(tip) => hints.push(tip.to_owned()),
            None if trimmed.starts_with("For more information") => {
                hints.push("`--help` behind the command says everything about it".to_owned());
            }
            None if line.is_empty() && message.last().is_none_or(|last| last.is_empty()) => {}
            None => message.push(line),
        }
    }
    let (mut message, hint) = (message.join("\n"), hints.join("; "));
    if let Some(first) = message.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Some(hinted(message.trim_end(), sentence(&hint)))
}

fn no_command(word: &str, typed: &[String]) -> anyhow::Error {
    let mut at = Arguments::command();
    let mut path = vec!["everwake".to_owned()];
    for part in typed.iter().take_while(|part| *part != word) {
        if let Some(below) = at.find_subcommand(part).cloned() {
            path.push(part.clone());
            at = below;
        }
    }
    let path = path.join(" ");
    let names: Vec<&str> = at.get_subcommands().map(clap::Command::get_name).collect();
    let near: Vec<String> = near(word, &names).iter().map(|it| format!("`{path} {it}`")).collect();
    let hint = match near.is_empty() {
        true => format!("`{path} --help` lists what there is."),
        false => format!("Do you mean {}? `{path} --help` lists all.", near.join(" or ")),
    };
    hinted(format!("There is no command `{word}`."), hint)
}

/// The names that are nearest to a word, if any is near enough.
pub fn near<'a>(word: &str, names: &[&'a str]) -> Vec<&'a str> {
    let slips = |name: &str| strsim::osa_distance(word, name);
    let most = SLIPS_MAX.min(word.chars().count().div_ceil(3));
    let least = names.iter().map(|name| slips(name)).min().filter(|least| *least <= most);
    names.iter().copied().filter(|name| Some(slips(name)) == least).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_are_found_and_far_ones_are_not() {
        let names = ["dev", "demo", "new", "status", "versions"];
        for (word, expected) in [
            ("dve", &["dev"][..]),
            ("stauts", &["status"]),
            ("version", &["versions"]),
            ("de", &["dev"]),
            ("xyzzy", &[]),
            ("x", &[]),
            ("", &[]),
        ] {
            assert_eq!(near(word, &names), expected, "{word}");
        }
    }
}
