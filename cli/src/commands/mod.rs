//! Commands that do one thing and end. Most are clients of the admin API.

pub mod build;
pub mod call;
pub mod crashes;
pub mod inspect;
pub mod plan;
pub mod publish;
pub mod record;
pub mod replay;
pub mod rollback;
pub mod shutdown;
pub mod status;
pub mod versions;

use serde::Serialize;

/// JSON for programs, with a line feed behind each part.
pub fn json(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)?)
}

/// Rows below a head, columns as wide as they must be.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|it| it.chars().count())).max().unwrap_or(0)
    };
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .enumerate()
            .map(|(column, cell)| format!("{cell:<width$}", width = width(column)))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut head.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}

/// The start of a hash, as people say it.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// `1 space`, `2 spaces`.
pub fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// `1 entry`, `2 entries`.
fn entries(number: u64) -> String {
    if number == 1 { "1 entry".to_owned() } else { format!("{number} entries") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_ends_no_line_with_spaces() {
        let rows = [vec!["chat".to_owned(), "1".to_owned()], vec!["é".to_owned(), String::new()]];
        assert_eq!(table(&["name", "n"], &rows), "name  n\nchat  1\né");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!((count(1, "space"), count(2, "space")), ("1 space".into(), "2 spaces".into()));
        assert_eq!((entries(1), entries(2)), ("1 entry".into(), "2 entries".into()));
        assert_eq!(short("0123456789abcdef"), "0123456789ab");
    }
}
