//! The map on a real terminal: its own screen, keys without enter, a frame 20 times a second.

use super::frame::{Head, render};
use super::scene::{Seen, scene};
use crate::dev::screen::Log;
use crate::play::{Entity, GateAddress, Heard, Player};
use crate::terminal::Terminal;
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal::{
    DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode, size,
};
use crossterm::{cursor, execute};
use std::io::Write as _;
use std::time::{Duration, Instant};
use tokio::time::{MissedTickBehavior, interval};

/// Name of the yard's module.
pub const MODULE: &str = "yard";
/// From frame to frame.
const FRAME: Duration = Duration::from_millis(50);
/// From plain frame to plain frame.
const PLAIN_FRAME: Duration = Duration::from_secs(1);

/// Draws the yard until somebody quits or the server closes.
pub async fn run(gate: &GateAddress, log: &Log) -> anyhow::Result<()> {
    run_module(gate, MODULE, log).await
}

/// Draws a module until somebody quits or the server closes.
pub async fn run_module(gate: &GateAddress, module: &str, log: &Log) -> anyhow::Result<()> {
    let mut player = Player::connect(gate, module).await?;
    let raw = Raw::enter()?;
    let mut drawing = Drawing::new(log.clone());
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let ended = loop {
        tokio::select! {
            heard = player.next() => if let Some(why) = drawing.hear(heard) { break Some(why) },
            _ = frames.tick() => {
                if quits()? {
                    break None;
                }
                drawing.draw(&player)?;
            }
        }
    };
    drop(raw);
    player.close().await;
    match ended {
        Some(why) => Err(closed(&why)),
        None => Ok(()),
    }
}

fn closed(why: &str) -> anyhow::Error {
    crate::failure::hinted(
        format!("The connection is closed: {why}"),
        "Is the server still running? `everwake status` tells.",
    )
}

/// Prints plain frames, a second apart.
pub async fn print(
    gate: &GateAddress,
    module: &str,
    count: u32,
    size: (usize, usize),
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let mut player = Player::connect(gate, module).await?;
    let mut drawing = Drawing::new(Log::default());
    for _ in 0..count {
        let next = tokio::time::sleep(PLAIN_FRAME);
        tokio::pin!(next);
        loop {
            tokio::select! {
                heard = player.next() => if let Some(why) = drawing.hear(heard) { return Err(closed(&why)) },
                () = &mut next => break,
            }
        }
        terminal.data(&drawing.lines(&player, size, false).join("\n"));
    }
    player.close().await;
    Ok(())
}

/// What changes from frame to frame.
struct Drawing {
    head: Head,
    log: Log,
    frames: u32,
    second: Instant,
}

impl Drawing {
    fn new(log: Log) -> Self {
        Drawing { head: Head::default(), log, frames: 0, second: Instant::now() }
    }

    /// Why it ends, if it does.
    fn hear(&mut self, heard: Heard) -> Option<String> {
        match heard {
            Heard::Version { version, generation } => {
                self.head.version = version;
                self.head.generation = generation;
                None
            }
            Heard::Closed { why } => Some(why),
            _ => None,
        }
    }

    fn draw(&mut self, player: &Player) -> anyhow::Result<()> {
        self.frames += 1;
        if self.second.elapsed() >= Duration::from_secs(1) {
            (self.head.fps, self.frames, self.second) = (self.frames, 0, Instant::now());
        }
        let (columns, rows) = size()?;
        let lines = self.lines(player, (usize::from(columns), usize::from(rows)), true);
        let mut out = std::io::stdout().lock();
        write!(out, "\x1b[H")?;
        for (place, line) in lines.iter().enumerate() {
            let end = if place + 1 == lines.len() { "" } else { "\r\n" };
            write!(out, "{line}\x1b[K{end}")?;
        }
        out.flush()?;
        Ok(())
    }

    fn lines(&mut self, player: &Player, (columns, rows): (usize, usize), colour: bool) -> Vec<String> {
        if self.head.version.is_empty() {
            let schema = &player.names().schema;
            self.head.version.clone_from(&schema.version);
            self.head.generation = schema.generation;
        }
        let scene = scene(seen(player).into_iter(), self.head.clone(), self.log.lines());
        render(&scene, columns, rows, colour)
    }
}

/// What the player sees, by names.
fn seen(player: &Player) -> Vec<Seen> {
    let one = |entity: Entity| {
        let mut seen = Seen { type_name: entity.type_name, ..Seen::default() };
        (seen.x, seen.z) = entity.pose.map_or((f32::NAN, f32::NAN), |pose| (pose.x, pose.z));
        for (name, value) in &entity.values {
            seen.take(name, value);
        }
        seen
    };
    player.entities().into_iter().map(one).collect()
}

/// True if somebody pressed `q`, Escape or Ctrl-C since the last look.
fn quits() -> anyhow::Result<bool> {
    while event::poll(Duration::ZERO)? {
        if let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
        {
            let ctrl_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            if ctrl_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The terminal as a canvas; as it was when this is dropped, also after an error.
struct Raw;

impl Raw {
    fn enter() -> anyhow::Result<Raw> {
        enable_raw_mode()?;
        execute!(std::io::stdout(), EnterAlternateScreen, DisableLineWrap, cursor::Hide)?;
        Ok(Raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = execute!(std::io::stdout(), cursor::Show, EnableLineWrap, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}
