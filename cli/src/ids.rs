//! Ids as people say them: by their start, as long as it must be to tell them apart.

/// Characters of an id that people need to tell entities apart on one screen: 38 bits of chance.
pub const SHORT_CHARS: usize = 8;

/// The start of an id.
pub fn short(id: &str) -> &str {
    start(id, SHORT_CHARS)
}

/// The first characters of an id.
pub fn start(id: &str, chars: usize) -> &str {
    id.get(..chars).unwrap_or(id)
}

/// How many characters tell all of these apart.
pub fn chars_apart<'a>(ids: impl Iterator<Item = &'a str>) -> usize {
    let mut sorted: Vec<&str> = ids.collect();
    sorted.sort_unstable();
    sorted.dedup();
    let common = |pair: &[&str]| match pair {
        [one, other] => one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count(),
        _ => 0,
    };
    sorted.windows(2).map(common).max().map_or(SHORT_CHARS, |longest| SHORT_CHARS.max(longest + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_as_long_as_they_must_be() {
        assert_eq!(short("0123456789abc"), "01234567");
        assert_eq!(short("012"), "012");
        let chars = |ids: &[&str]| chars_apart(ids.iter().copied());
        assert_eq!(chars(&["0123456789abc"]), SHORT_CHARS);
        assert_eq!(chars(&["0123456789abc", "1123456789abc"]), SHORT_CHARS);
        assert_eq!(chars(&["0123456789abc", "0", "0123456789bbc", "0123456789abc"]), 11);
        assert_eq!(chars(&[]), SHORT_CHARS);
    }
}
