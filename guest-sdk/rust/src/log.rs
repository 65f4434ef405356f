//! Lines for people. They stay when the event is undone.

use crate::host;

pub use crate::bindings::everwake::game::log::Level;

/// Writes a line; the macros [`info!`](crate::info) and its like format one.
pub fn line(level: Level, message: &str) {
    host::log::line(level, message);
}

/// Logs a line for somebody who looks for a mistake.
#[macro_export]
macro_rules! debug {
    ($($message:tt)*) => { $crate::log::line($crate::log::Level::Debug, &::std::format!($($message)*)) };
}

/// Logs a line about something that went as it should.
#[macro_export]
macro_rules! info {
    ($($message:tt)*) => { $crate::log::line($crate::log::Level::Info, &::std::format!($($message)*)) };
}

/// Logs a line about something odd.
#[macro_export]
macro_rules! warn {
    ($($message:tt)*) => { $crate::log::line($crate::log::Level::Warn, &::std::format!($($message)*)) };
}

/// Logs a line about something that is wrong.
#[macro_export]
macro_rules! error {
    ($($message:tt)*) => { $crate::log::line($crate::log::Level::Error, &::std::format!($($message)*)) };
}
