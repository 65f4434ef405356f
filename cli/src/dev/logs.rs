//! Where log lines go: everything to `.everwake/dev.log`, what guests say to the screen too.

use super::screen::Screen;
use crate::connect::format::harmless;
use crate::failure::HintExt as _;
use crate::terminal::{Notice, Tone};
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// Environment variable that chooses what is logged, as `tracing` filters.
pub const FILTER: &str = "EVERWAKE_LOG";
/// Where the runtime writes what guests say.
const GUESTS: &str = "everwake_runtime::driver::reporter";

/// Starts logging. A second start in one process keeps the first.
pub fn start(folder: &Path, screen: Screen) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder).hint(
        format!("The folder `{}` cannot be made.", folder.display()),
        "Run `dev` where you may write.",
    )?;
    let file = folder.join("dev.log");
    let out = File::create(&file).hint(
        format!("The file `{}` cannot be written.", file.display()),
        "Run `dev` where you may write.",
    )?;
    let filter = EnvFilter::try_from_env(FILTER)
        .unwrap_or_else(|_| EnvFilter::new("info,quinn=warn,notify=warn,ureq=warn"));
    let lines =
        tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Mutex::new(out)).with_filter(filter);
    let _ = Registry::default().with(lines).with(GuestLines { screen }).try_init();
    Ok(file)
}

/// Shows the log lines of guests.
struct GuestLines {
    screen: Screen,
}

impl<S: Subscriber> Layer<S> for GuestLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if metadata.target() != GUESTS || *metadata.level() > Level::INFO {
            return;
        }
        let mut line = GuestLine::default();
        event.record(&mut line);
        if let Some(notice) = line.notice(*metadata.level()) {
            self.screen.notice(&notice);
        }
    }
}

/// What is shown of a line. Facts and crashes come from the same place, without a handler.
#[derive(Default)]
struct GuestLine {
    module: String,
    version: String,
    handler: String,
    message: String,
}

impl GuestLine {
    fn notice(&self, level: Level) -> Option<Notice> {
        if self.handler.is_empty() {
            return None;
        }
        let tone = match level {
            Level::ERROR => Tone::Bad,
            Level::WARN => Tone::Warning,
            _ => Tone::Plain,
        };
        // Enough of the hash to tell versions apart.
        let version = self.version.get(..6).unwrap_or(&self.version);
        let text = format!("[{}@{version} {}] {}", self.module, self.handler, harmless(&self.message));
        Some(Notice::new(tone, text))
    }
}

impl Visit for GuestLine {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "module" => self.module = text,
            "version" => self.version = text,
            "handler" => self.handler = text,
            "message" => self.message = text,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::screen::Log;
    use super::*;

    #[test]
    fn guests_are_heard_and_the_rest_is_not() {
        let log = Log::default();
        let subscriber = Registry::default().with(GuestLines { screen: Screen::Log(log.clone()) });
        tracing::subscriber::with_default(subscriber, || {
            let (module, version, handler) = ("chat", "0123456789ab", "Avatar::say");
            tracing::info!(target: GUESTS, %module, %version, %handler, "hello \x1b[2J");
            tracing::debug!(target: GUESTS, %module, %handler, "too quiet");
            tracing::info!(target: GUESTS, module, "a fact");
            tracing::error!("something of the host's");
        });
        assert_eq!(log.lines(), ["[chat@012345 Avatar::say] hello \u{fffd}[2J"]);
    }
}
