//! `everwake chat`: the terminal client of `samples/chat`.

pub mod talk;

use crate::failure::hinted;
use crate::play::{CallFailed, GateAddress, Heard, Player};
use crate::prompt::Prompt;
use crate::state;
use crate::terminal::Terminal;
use crate::values::inline;
use clap::Args;
use serde_json::Value;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use talk::Typed;

/// How long the way into the room may take.
const WALK_IN: Duration = Duration::from_secs(10);
/// How long the last words may take when the input has ended.
const LAST_WORDS: Duration = Duration::from_millis(400);

/// Chats: the terminal client of `samples/chat`.
#[derive(Debug, Args)]
#[command(after_long_help = "Type to talk; `/help` lists the rest. Input may be piped.

Examples:
  everwake chat Ada
  everwake chat Ada --room kitchen
  echo hello | everwake chat Bot")]
pub struct ChatCommand {
    /// Your name.
    pub name: String,
    /// The room that you walk into.
    #[arg(long, default_value = "lobby")]
    pub room: String,
    /// Module to play.
    #[arg(long, default_value = "chat")]
    pub module: String,
    #[command(flatten)]
    pub gate: GateAddress,
}

/// Chats until `/quit`.
pub fn run(command: ChatCommand, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let ended = runtime.block_on(chat(&command, terminal.colours()));
    // The prompt's thread may still wait for a line.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ended?;
    Ok(ExitCode::SUCCESS)
}

async fn chat(command: &ChatCommand, colour: bool) -> anyhow::Result<()> {
    let mut player = Player::connect(&command.gate, &command.module).await?;
    player.own_with("login").await?;
    let login = player.call_own("login", &[Value::from(command.name.as_str())]).await;
    login.map_err(|error| not_let_in(error, &command.name))?;
    player.own_with("join").await?;
    player.call_own("join", &[Value::from(command.room.as_str())]).await?;
    let history = Path::new(state::FOLDER).join("chat-history");
    let mut prompt = Prompt::open("> ", Some(history))?;
    prompt.print(talk::HELP);
    // Nothing is read before somebody can hear it: a pipe is faster than a room that is being made.
    let walked_in = walk_in(&mut player, &mut prompt, command, colour);
    if !tokio::time::timeout(WALK_IN, walked_in).await.unwrap_or(true) {
        return Ok(());
    }
    loop {
        tokio::select! {
            heard = player.next() => {
                if !tell(&heard, &mut prompt, &command.name, colour) {
                    return Ok(());
                }
            }
            typed = prompt.next() => match typed.as_deref().map(talk::read) {
                None | Some(Typed::Quit) => break,
                Some(typed) => {
                    if let Some(line) = act(&player, typed).await {
                        prompt.print(&line);
                    }
                }
            },
        }
    }
    let _ = tokio::time::timeout(LAST_WORDS, async {
        while tell(&player.next().await, &mut prompt, &command.name, colour) {}
    })
    .await;
    player.close().await;
    Ok(())
}

/// Why the chat did not take a name.
fn not_let_in(error: CallFailed, name: &str) -> anyhow::Error {
    let another = "Choose another: `everwake chat NAME`.";
    match error.refusal().as_deref() {
        Some("name-taken") => hinted(format!("The name `{name}` is taken."), another),
        Some("bad-name") => hinted(format!("The chat does not take the name `{name}`."), another),
        Some("busy") => hinted("The chat is busy.", "Try again in a moment."),
        _ => error.into(),
    }
}

/// Prints what is heard until we are in the room; false if that is the end.
async fn walk_in(player: &mut Player, prompt: &mut Prompt, command: &ChatCommand, colour: bool) -> bool {
    loop {
        let heard = player.next().await;
        if !tell(&heard, prompt, &command.name, colour) {
            return false;
        }
        if let Heard::Called { name, args, .. } = &heard
            && talk::is_in(name, args, &command.name)
        {
            return true;
        }
    }
}

/// Does what was typed; what there is to say about it.
async fn act(player: &Player, typed: Typed) -> Option<String> {
    let (method, args) = match typed {
        Typed::Nothing | Typed::Quit => return None,
        Typed::Wrong(why) => return Some(why),
        Typed::Help => return Some(talk::HELP.to_owned()),
        Typed::Say(text) => ("say", vec![Value::from(text)]),
        Typed::Join(room) => ("join", vec![Value::from(room)]),
        Typed::Shout(text) => ("shout", vec![Value::from(text)]),
        Typed::Who => ("who", Vec::new()),
        Typed::Version => ("version", Vec::new()),
    };
    match (method, player.call_own(method, &args).await) {
        (_, Err(error)) => Some(format!("! {error:#}")),
        ("who", Ok(names)) => Some(format!("* here: {}", names_line(&names))),
        ("version", Ok(version)) => Some(format!("* version {}", inline(&version))),
        (_, Ok(_)) => None,
    }
}

fn names_line(names: &Value) -> String {
    let names: Vec<&str> = names.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    crate::connect::format::harmless(&names.join(", "))
}

/// Prints what was heard; false at the end.
fn tell(heard: &Heard, prompt: &mut Prompt, me: &str, colour: bool) -> bool {
    match heard {
        Heard::Called { name, args, .. } => {
            if let Some(line) = talk::heard(name, args, me, colour) {
                prompt.print(&line);
            }
        }
        Heard::Version { version, generation } => {
            prompt.print(&format!(
                "* the server runs `{version}` now, generation {generation}; you stay connected"
            ));
        }
        Heard::Closed { why } => {
            prompt.print(&format!("* the connection is closed: {why}"));
            return false;
        }
        _ => {}
    }
    true
}
