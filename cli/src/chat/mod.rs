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
use std::time::{Duration, Instant};
use talk::Typed;

/// How long the way into the room may take.
const WALK_IN: Duration = Duration::from_secs(10);
/// How long the last words may take when the input has ended.
const LAST_WORDS: Duration = Duration::from_millis(400);
/// How long the name of a lost connection may still be taken, by ourselves.
const NAME_FREE: Duration = Duration::from_secs(30);
/// From try to try: the chat takes 20 a minute.
const NAME_TRY: Duration = Duration::from_secs(4);

/// Chats: the terminal client of `samples/chat`.
///
/// When the connection to a gate of `--gate` ends it connects again, to the same gate or another of the list, and walks
/// into the room once more.
#[derive(Debug, Args)]
#[command(after_long_help = "Type to talk; `/help` lists the rest. Input may be piped.

Examples:
  everwake chat Ada
  everwake chat Ada --room kitchen
  everwake chat Ada --gate 127.0.0.1:4747,127.0.0.1:4748 --cert-hash 5f1c…,09ab…
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

/// Who walks into which room.
struct Visit<'a> {
    name: &'a str,
    room: String,
    colour: bool,
}

async fn chat(command: &ChatCommand, colour: bool) -> anyhow::Result<()> {
    let mut visit = Visit { name: &command.name, room: command.room.clone(), colour };
    let mut player = Player::connect(&command.gate, &command.module).await?;
    visit.come_in(&player, Duration::ZERO).await?;
    let history = Path::new(state::FOLDER).join("chat-history");
    let mut prompt = Prompt::open("> ", Some(history))?;
    prompt.print(talk::HELP);
    // Nothing is read before somebody can hear it: a pipe is faster than a room that is being made.
    let walked_in = visit.walk_in(&mut player, &mut prompt);
    if let Ok(over) = tokio::time::timeout(WALK_IN, walked_in).await
        && over?
    {
        return Ok(());
    }
    loop {
        tokio::select! {
            heard = player.next() => {
                if visit.hear(&heard, &player, &mut prompt).await? {
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
        while !tell(&player.next().await, &mut prompt, visit.name, colour) {}
    })
    .await;
    player.close().await;
    Ok(())
}

impl Visit<'_> {
    /// Says the name and goes to the room. The name may be taken for a while: by who we were before.
    async fn come_in(&self, player: &Player, patience: Duration) -> anyhow::Result<()> {
        player.own_with("login").await?;
        let until = Instant::now() + patience;
        while let Err(error) = player.call_own("login", &[Value::from(self.name)]).await {
            if error.refusal().as_deref() != Some("name-taken") || Instant::now() >= until {
                return Err(not_let_in(error, self.name));
            }
            tokio::time::sleep(NAME_TRY).await;
        }
        player.own_with("join").await?;
        player.call_own("join", &[Value::from(self.room.as_str())]).await?;
        Ok(())
    }

    /// Hears until we are in the room; true if that is the end.
    async fn walk_in(&mut self, player: &mut Player, prompt: &mut Prompt) -> anyhow::Result<bool> {
        loop {
            let heard = player.next().await;
            if self.hear(&heard, player, prompt).await? {
                return Ok(true);
            }
            if let Heard::Called { name, args, .. } = &heard
                && talk::is_in(name, args, self.name)
            {
                return Ok(false);
            }
        }
    }

    /// Prints what was heard, and comes in again where we are new; true at the end.
    async fn hear(&mut self, heard: &Heard, player: &Player, prompt: &mut Prompt) -> anyhow::Result<bool> {
        let over = tell(heard, prompt, self.name, self.colour);
        match heard {
            Heard::Called { name, args, .. } if talk::is_in(name, args, self.name) => {
                self.room = args.first().and_then(Value::as_str).unwrap_or_default().to_owned();
            }
            Heard::Back { .. } => match self.come_in(player, NAME_FREE).await {
                // Lost once more: what follows is heard of.
                Err(_) if !player.is_connected() => {}
                came_in => came_in?,
            },
            _ => {}
        }
        Ok(over)
    }
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

/// Prints what was heard; true at the end.
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
        _ => heard.about_connection().iter().for_each(|line| prompt.print(line)),
    }
    matches!(heard, Heard::Closed { .. })
}
