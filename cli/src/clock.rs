//! Times in words.

use std::time::{Duration, Instant};

/// A stopwatch in words: `1.2 s`, `340 ms`.
pub fn words(since: Instant) -> String {
    duration_words(since.elapsed())
}

/// A length of time in words.
pub fn duration_words(length: Duration) -> String {
    match length.as_millis() {
        0 => format!("{} µs", length.as_micros()),
        short @ 1..1000 => format!("{short} ms"),
        _ if length.as_secs() < 60 => format!("{:.1} s", length.as_secs_f64()),
        _ => format!("{} min {} s", length.as_secs() / 60, length.as_secs() % 60),
    }
}

/// Milliseconds of UTC as a time of day, for logs of one evening.
pub fn time_of_day(utc_ms: u64) -> String {
    let seconds = utc_ms / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_readable() {
        assert_eq!(duration_words(Duration::from_micros(15)), "15 µs");
        assert_eq!(duration_words(Duration::from_millis(340)), "340 ms");
        assert_eq!(duration_words(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(duration_words(Duration::from_secs(61)), "1 min 1 s");
        assert_eq!(time_of_day(3_661_000), "01:01:01");
    }
}
