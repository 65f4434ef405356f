//! `wit/log.wit`: lines for people. They stay when the event is undone.

use super::super::state::Space;
use crate::guest::LogLevel;
use crate::limits;
use crate::versions::value::cut;

pub(super) fn line(space: &mut Space, level: LogLevel, message: String) {
    let running = &mut space.running;
    if running.log.len() >= limits::LOG_LINES_PER_EVENT_MAX {
        running.log_left_out += 1;
        return;
    }
    running.log.push((level, cut(message, limits::LOG_LINE_BYTES_MAX)));
}

pub(super) fn panicked(space: &mut Space, message: String) {
    let message = cut(message, limits::LOG_LINE_BYTES_MAX);
    space.running.last_words.get_or_insert(message);
}
