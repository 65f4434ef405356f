//! The guide's table of limits says what the code says: all of them, no others, the same numbers.

use std::collections::BTreeMap;

const GUIDE: &str = include_str!("../../../docs/guide/limits.md");
const SOURCES: [&str; 3] =
    [include_str!("../limits.rs"), include_str!("../wasm/limits.rs"), include_str!("../game/limits.rs")];

/// `64 * 1024`, `10.0 * 366.0`, `1_000`.
fn product(text: &str) -> Option<f64> {
    text.split('*').map(|factor| factor.trim().replace('_', "").parse::<f64>().ok()).product()
}

fn constants(source: &str) -> BTreeMap<&str, f64> {
    let lines = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.strip_suffix(';'));
    let parts = lines.filter_map(|line| Some((line.split_once(": ")?.0, line.split_once(" = ")?.1)));
    parts
        .map(|(name, text)| (name, product(text).unwrap_or_else(|| panic!("`{name}` is `{text}`"))))
        .collect()
}

/// `4,096`, `64 KiB`, `10 years`.
fn value(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let scale = match unit {
        "" | "ms" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "s" => 1e3,
        "min" => 60e3,
        "h" => 3_600e3,
        "years" => 366.0 * 86_400e3,
        _ => return None,
    };
    Some(number.replace(',', "").parse::<f64>().ok()? * scale)
}

fn told(guide: &'static str) -> BTreeMap<&'static str, f64> {
    let rows = guide.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let cells = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    let read = |cells: Vec<&'static str>| match cells.as_slice() {
        [name, number, stops, sees] if !stops.is_empty() && !sees.is_empty() => {
            let number = value(number).unwrap_or_else(|| panic!("{name} has the value `{number}`"));
            (name.trim_end_matches('`'), number)
        }
        other => panic!("a row has four cells: {other:?}"),
    };
    cells.map(read).collect()
}

#[test]
fn the_guide_tells_every_limit_as_it_is() {
    let mut known = BTreeMap::new();
    for source in SOURCES {
        let found = constants(source);
        assert!(found.len() > 10, "this is not the source");
        for (name, value) in found {
            assert_eq!(known.insert(name, value), None, "`{name}` is the name of two limits");
        }
    }
    let told = told(GUIDE);
    let untold: Vec<_> = known.keys().filter(|name| !told.contains_key(*name)).collect();
    assert!(untold.is_empty(), "docs/guide/limits.md lacks {untold:?}");
    for (name, value) in &told {
        assert_eq!(Some(value), known.get(name), "`{name}` in docs/guide/limits.md");
    }
}

#[test]
fn numbers_are_read() {
    assert_eq!(product("10.0 * 366.0 * 86_400_000.0"), value("10 years"));
    assert_eq!((product("64 * 1024"), product("x")), (value("64 KiB"), None));
    assert_eq!((value("4,096"), value("1 parsec"), value("1 min")), (Some(4_096.0), None, Some(60_000.0)));
}
