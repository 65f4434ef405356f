//! Times in words.

use std::time::{Duration, Instant};
use time::OffsetDateTime;

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

/// How long something goes on already, to what matters of it: `12 s`, `3 min`, `5 h 2 min`, `12 d 3 h`.
pub fn age_words(age: Duration) -> String {
    let seconds = age.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// Milliseconds of UTC as a time of day, for logs of one evening.
pub fn time_of_day(utc_ms: u64) -> String {
    let seconds = utc_ms / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The time of UTC as logs have it, to the millisecond: `2026-11-25T13:05:09.042Z`.
pub fn now_text() -> String {
    text_of(OffsetDateTime::now_utc())
}

fn text_of(now: OffsetDateTime) -> String {
    let ((hour, minute, second, milli), day) = (now.time().as_hms_milli(), now.date());
    format!(
        "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z",
        day.year(),
        u8::from(day.month()),
        day.day()
    )
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
        let day = OffsetDateTime::UNIX_EPOCH + Duration::from_millis(86_400_042);
        assert_eq!(text_of(day), "1970-01-02T00:00:00.042Z");
        let age = |seconds| age_words(Duration::from_secs(seconds));
        assert_eq!(
            [age(12), age(190), age(18_120), age(1_047_600)],
            ["12 s", "3 min", "5 h 2 min", "12 d 3 h"]
        );
        assert_eq!(time_of_day(3_661_000), "01:01:01");
    }
}
