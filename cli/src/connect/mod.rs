//! `everwake connect`: a client for the hands, for any game.
//!
//! - [`command`]: what is typed. [`format`]: what is printed.

pub mod command;
pub mod format;

use crate::play::{Entity, GateAddress, Heard, Player};
use crate::prompt::Prompt;
use crate::state;
use crate::terminal::Terminal;
use crate::values::inline;
use clap::Args;
use command::{Line, by_prefix};
use everwake_protocol::EntityId;
use format::{aligned, call_line, entity_line, harmless, short_id};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How long the last answers may take when the input has ended.
const LAST_WORDS: Duration = Duration::from_millis(400);

/// Plays by hand: lists entities, shows attributes, calls methods.
///
/// Prints every change and every call that the server sends, as they arrive. When the connection to a gate of `--gate`
/// ends it connects again, to the same gate or another of the list, as somebody new.
#[derive(Debug, Args)]
#[command(
    after_long_help = "At the prompt, `help` lists what can be typed; arguments are read by the method's types.
Input may be piped.

Examples:
  everwake connect
  everwake connect --module chat
  everwake connect --gate 127.0.0.1:4747 --cert-hash 5f1c…
  everwake connect --gate 127.0.0.1:4747,127.0.0.1:4748 --cert-hash 5f1c…,09ab…
  printf 'login Ada\\nown\\n' | everwake connect --module chat"
)]
pub struct ConnectCommand {
    /// Module to play; the first one of the deployment if left out.
    #[arg(long, default_value = "")]
    pub module: String,
    /// Does not print changes of attributes.
    #[arg(long)]
    pub calm: bool,
    #[command(flatten)]
    pub gate: GateAddress,
}

/// Plays until `quit`.
pub fn run(command: ConnectCommand, _: &Terminal) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let ended = runtime.block_on(play(&command));
    // The prompt's thread may still wait for a line.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ended?;
    Ok(ExitCode::SUCCESS)
}

async fn play(command: &ConnectCommand) -> anyhow::Result<()> {
    let mut player = Player::connect(&command.gate, &command.module).await?;
    player.own_ready().await?;
    let mut prompt = Prompt::open("everwake> ", Some(Path::new(state::FOLDER).join("connect-history")))?;
    prompt.print(&format!("You play `{}` as:", player.names().schema.module));
    own(&player).iter().for_each(|line| prompt.print(line));
    prompt.print("`help` lists what can be typed.");
    loop {
        tokio::select! {
            heard = player.next() => {
                if !tell(&heard, &player, &mut prompt, command.calm) {
                    return Ok(());
                }
            }
            typed = prompt.next() => {
                let Some(typed) = typed else { break };
                match command::parse(&typed) {
                    Ok(Line::Quit) => break,
                    Ok(line) => act(&player, line).await.iter().for_each(|line| prompt.print(line)),
                    Err(why) => prompt.print(&format!("! {why}")),
                }
            }
        }
    }
    let _ = tokio::time::timeout(LAST_WORDS, async {
        loop {
            let heard = player.next().await;
            if !tell(&heard, &player, &mut prompt, command.calm) {
                return;
            }
        }
    })
    .await;
    player.close().await;
    Ok(())
}

/// Does what was typed; what there is to say about it.
async fn act(player: &Player, line: Line) -> Vec<String> {
    match line {
        Line::Nothing | Line::Quit => Vec::new(),
        Line::Help(about) => help(player, &about),
        Line::Own => own(player),
        Line::List => player.entities().iter().map(one_line).collect(),
        Line::Methods => methods(player),
        Line::Move(x, z) => {
            player.move_to(x, z);
            Vec::new()
        }
        Line::Show(prefix) => match find(player, &prefix) {
            Ok(entity) => whole(&entity),
            Err(why) => vec![format!("! {why}")],
        },
        Line::Call { target, method, rest } => call(player, target.as_deref(), &method, &rest).await,
    }
}

async fn call(player: &Player, target: Option<&str>, method: &str, rest: &str) -> Vec<String> {
    let target = match target {
        Some(prefix) => find(player, prefix),
        None => player.own().ok_or_else(|| "you own no entity now".to_owned()),
    };
    let target = match target {
        Ok(target) => target,
        Err(why) => return vec![format!("! {why}")],
    };
    match player.call_line(&target, method, rest).await {
        Ok(value) if value.is_null() => vec!["ok".to_owned()],
        Ok(value) => vec![format!("= {}", inline(&value))],
        Err(error) => {
            let mut lines: Vec<String> = format!("! {error:#}").lines().map(str::to_owned).collect();
            lines.extend(error.hint().map(|hint| format!("hint: {hint}")));
            lines
        }
    }
}

/// Everything that can be typed, or one command or method of it.
fn help(player: &Player, about: &str) -> Vec<String> {
    if about.is_empty() {
        return command::help();
    }
    if let Some(lines) = command::help_about(about) {
        return lines;
    }
    let callable = methods(player);
    let is_meant = |line: &&String| {
        let line = line
            .split_once(": ")
            .filter(|(before, _)| !before.contains('('))
            .map_or(line.as_str(), |it| it.1);
        line.split_once('(').is_some_and(|(name, _)| name == about)
    };
    match callable.iter().filter(is_meant).cloned().collect::<Vec<_>>() {
        none if none.is_empty() => {
            vec![format!("! `{about}` is no command and no method; `help` and `methods` list them")]
        }
        found => found,
    }
}

fn find(player: &Player, prefix: &str) -> Result<Entity, String> {
    let entities = player.entities();
    let ids: Vec<String> = entities.iter().map(|it| it.id.to_string()).collect();
    let wanted = by_prefix(prefix, ids.iter().map(String::as_str))?.to_owned();
    entities.into_iter().find(|it| it.id.to_string() == wanted).ok_or(wanted)
}

fn own(player: &Player) -> Vec<String> {
    player.own().map_or_else(|| vec!["you own no entity now".to_owned()], |it| whole(&it))
}

fn one_line(entity: &Entity) -> String {
    entity_line(entity.id, &entity.type_name, entity.own, entity.pose, &attributes(entity, |_| true))
}

/// Attributes as `name = value`, those that are wanted.
fn attributes(entity: &Entity, wanted: impl Fn(&String) -> bool) -> Vec<String> {
    let wanted = entity.values.iter().filter(|(name, _)| wanted(name));
    wanted.map(|(name, value)| format!("{name} = {}", harmless(&inline(value)))).collect()
}

/// An entity with a line for each attribute.
fn whole(entity: &Entity) -> Vec<String> {
    let mut lines = vec![entity_line(entity.id, &entity.type_name, entity.own, entity.pose, &[])];
    lines.push(format!("  id {}", entity.id));
    let values = entity.values.iter().map(|(name, value)| (name.as_str(), harmless(&inline(value))));
    lines.extend(aligned(&values.collect::<Vec<_>>(), " = "));
    lines
}

/// What can be called: all of the own entity's methods, and of others what everybody may.
fn methods(player: &Player) -> Vec<String> {
    let names = player.names();
    let own = player.own();
    let mut lines: Vec<String> = own.iter().flat_map(|it| names.methods(it.type_id, true)).collect();
    let mut others: Vec<u32> = player.entities().iter().filter(|it| !it.own).map(|it| it.type_id).collect();
    others.sort_unstable();
    others.dedup();
    for type_id in others {
        let open = names.methods(type_id, false);
        lines.extend(open.iter().map(|it| format!("{}: {it}", names.type_name(type_id))));
    }
    lines
}

/// Prints what was heard; false at the end.
fn tell(heard: &Heard, player: &Player, prompt: &mut Prompt, calm: bool) -> bool {
    let name = |id: EntityId| {
        let entity = player.entity(id);
        let name = entity.map_or_else(|| "?".to_owned(), |it| it.type_name);
        format!("{name} {}", short_id(id))
    };
    match heard {
        Heard::Lost { .. }
        | Heard::Trying { .. }
        | Heard::Failed { .. }
        | Heard::Back { .. }
        | Heard::Closed { .. } => {
            heard.about_connection().iter().for_each(|line| prompt.print(line));
            return !matches!(heard, Heard::Closed { .. });
        }
        Heard::Called { entity, name: method, args } => {
            prompt.print(&format!("> {}: {}", name(*entity), harmless(&call_line(method, args))));
        }
        Heard::Version { version, generation } => {
            prompt.print(&format!("* the server runs `{version}` now, generation {generation}"))
        }
        Heard::Created(id) => {
            if let Some(entity) = player.entity(*id) {
                prompt.print(&format!("+ {}", one_line(&entity)));
            }
        }
        Heard::Destroyed(id) => prompt.print(&format!("- {}", short_id(*id))),
        Heard::Changed(id, changed) if !calm => {
            if let Some(entity) = player.entity(*id) {
                let line = attributes(&entity, |name| changed.contains(name)).join(", ");
                prompt.print(&format!("~ {}: {line}", name(*id)));
            }
        }
        Heard::Resync => prompt.print("* a new view begins"),
        Heard::Strange(what) => prompt.print(&format!("* {what}")),
        Heard::Changed(..) => {}
    }
    true
}
