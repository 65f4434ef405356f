//! What `inspect` shows, for people: spaces, one space with its members, one entity.

use super::super::{count, table};
use crate::clock::duration_words;
use crate::connect::format::{aligned, harmless};
use crate::ids::{self, chars_apart, start};
use serde_json::{Map, Value};
use std::time::Duration;

/// Tables longer than this are cut for people.
const ROWS_MAX: usize = 200;

/// Counters of a space that are worth a line if they are not zero, and what they count.
const COUNTERS: [(&str, &str); 8] = [
    ("queued", "inputs wait in it"),
    ("held", "messages wait to leave"),
    ("late_answers", "answers came too late"),
    ("duplicates", "messages came twice"),
    ("overloaded", "messages were refused, because too much waited"),
    ("unhandled", "messages named a method that is gone"),
    ("ticks_left_out", "ticks were left out"),
    ("disagreements", "events came out differently on a fresh instance"),
];

/// A view as a report; none if it is none that is known here.
pub fn report(view: &Value) -> Option<String> {
    if let Some(spaces) = view.get("spaces").and_then(Value::as_array) {
        return Some(all(spaces));
    }
    let view = view.as_object()?;
    match (view.get("members"), view.get("attributes")) {
        (Some(members), _) => Some(space(view, members.as_array()?)),
        (_, Some(attributes)) => Some(entity(view, attributes.as_object()?)),
        _ => None,
    }
}

/// All spaces, those with entities first: most shards are empty.
fn all(spaces: &[Value]) -> String {
    let mut sorted: Vec<&Value> = spaces.iter().collect();
    sorted.sort_by_key(|it| std::cmp::Reverse(number(it.get("entities"))));
    let chars = chars_apart(spaces.iter().map(|it| text(it.get("id"))));
    let row = |it: &&Value| {
        vec![
            start(text(it.get("id")), chars).to_owned(),
            text(it.get("module")).to_owned(),
            text(it.get("kind")).to_lowercase(),
            or_dash(text(it.get("type"))),
            number(it.get("entities")).to_string(),
            number(it.get("waiting")).to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = sorted.iter().take(ROWS_MAX).map(row).collect();
    let table = table(&["id", "module", "kind", "type", "entities", "waiting"], &rows);
    cut(table, spaces.len())
}

fn space(view: &Map<String, Value>, members: &[Value]) -> String {
    let label = text(view.get("label"));
    let mut facts = vec![
        ("id", text(view.get("id")).to_owned()),
        (
            "runs",
            format!(
                "`{}` version `{label}` (`{}`), generation {}",
                text(view.get("module")),
                text(view.get("version")),
                number(view.get("generation"))
            ),
        ),
        ("entities", number(view.get("entities")).to_string()),
        ("events", number(view.get("events")).to_string()),
    ];
    for (name, what) in COUNTERS {
        let counted = number(view.get(name));
        if counted > 0 {
            facts.push(("", format!("{counted} {what}")));
        }
    }
    let kind = match text(view.get("kind")) {
        "nil" => "Shard of entities outside of spaces",
        "service" => "Service shard",
        _ => "Space",
    };
    let mut report =
        format!("{kind} {}\n{}", ids::short(text(view.get("id"))), aligned(&facts, "  ").join("\n"));
    if !members.is_empty() {
        report.push_str(&format!("\n\n{}", members_table(members)));
        report = cut(report, members.len().max(usize::try_from(number(view.get("entities"))).unwrap_or(0)));
    }
    report
}

fn members_table(members: &[Value]) -> String {
    let chars = chars_apart(members.iter().map(|it| text(it.get("id"))));
    let row = |it: &Value| {
        vec![
            start(text(it.get("id")), chars).to_owned(),
            text(it.get("type")).to_owned(),
            place(it.get("pose")).map_or_else(|| "-".to_owned(), |[x, _, z, _]| format!("{x:.1} {z:.1}")),
            or_dash(ids::short(text(it.get("client")))),
        ]
    };
    let rows: Vec<Vec<String>> = members.iter().take(ROWS_MAX).map(row).collect();
    table(&["id", "type", "at", "client"], &rows)
}

fn entity(view: &Map<String, Value>, attributes: &Map<String, Value>) -> String {
    let id = text(view.get("id"));
    let mut facts = vec![("id", id.to_owned())];
    let space = text(view.get("space"));
    if !space.is_empty() && space != id {
        facts.push(("in", space.to_owned()));
    }
    if let Some([x, y, z, yaw]) = place(view.get("pose")) {
        facts.push(("at", format!("x {x:.2}, y {y:.2}, z {z:.2}, yaw {yaw:.2}")));
    }
    facts.push(("client", client(view.get("client"))));
    if let Some(filters) = view.get("filters").and_then(Value::as_object).filter(|it| !it.is_empty()) {
        let filters: Vec<String> =
            filters.iter().map(|(key, value)| format!("{key} = {}", text(Some(value)))).collect();
        facts.push(("filters", harmless(&filters.join(", "))));
    }
    let counted = [("deferred", "answer"), ("watches", "watch"), ("watchers", "watcher")];
    let counted: Vec<String> = counted
        .iter()
        .map(|(name, what)| (number(view.get(*name)), *what))
        .filter(|(counted, _)| *counted > 0)
        .map(|(counted, what)| match what {
            "answer" => format!("{} to give later", count(counted, what)),
            "watch" if counted > 1 => format!("{counted} watches"),
            what => count(counted, what),
        })
        .collect();
    if !counted.is_empty() {
        facts.push(("also", counted.join(", ")));
    }
    let paused = number(view.get("ticks_paused_ms"));
    if paused > 0 {
        facts.push(("ticks", format!("pause for {}, because they crash", words(paused))));
    }
    let unknown = number(view.get("carried_attributes"));
    if unknown > 0 {
        let carried = count(unknown, "value");
        facts.push(("carries", format!("{carried} of attributes that this version does not have")));
    }
    let mut parts =
        vec![format!("{} {}\n{}", text(view.get("type")), ids::short(id), aligned(&facts, "  ").join("\n"))];
    parts.extend(attribute_table(attributes, view.get("attribute_types")));
    parts.extend(timers(view.get("timer_list")));
    parts.extend(pending(view.get("pending_list")));
    parts.join("\n\n")
}

fn client(client: Option<&Value>) -> String {
    let Some(client) = client.filter(|it| !it.is_null()) else { return "none".to_owned() };
    let session = ids::short(text(client.get("session")));
    let (address, trip) = (text(client.get("address")), number(client.get("round_trip_ms")));
    format!("session {session} from {}, {trip} ms away", harmless(address))
}

fn attribute_table(attributes: &Map<String, Value>, types: Option<&Value>) -> Option<String> {
    let type_of = |name: &str| types.and_then(|types| types.get(name)).map_or("?", |it| text(Some(it)));
    let rows: Vec<Vec<String>> = attributes
        .iter()
        .map(|(name, value)| vec![name.clone(), type_of(name).to_owned(), harmless(&bare(text(Some(value))))])
        .collect();
    (!rows.is_empty()).then(|| table(&["attribute", "type", "value"], &rows))
}

/// A value without the widths of its numbers: the type stands beside it. Texts stay as they are.
fn bare(value: &str) -> String {
    let (mut bare, mut rest) = (String::new(), value);
    let (mut in_text, mut escaped) = (false, false);
    while let Some(letter) = rest.chars().next() {
        let is_width = rest.starts_with("_f32") || rest.starts_with("_f64");
        if !in_text && is_width && bare.ends_with(|before: char| before.is_ascii_digit()) {
            rest = rest.get("_f32".len()..).unwrap_or_default();
            continue;
        }
        if letter == '"' && !escaped {
            in_text = !in_text;
        }
        escaped = in_text && letter == '\\' && !escaped;
        bare.push(letter);
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
    }
    bare
}

fn timers(list: Option<&Value>) -> Option<String> {
    let row = |it: &Value| {
        let repeat = number(it.get("repeat_ms"));
        let every = if repeat == 0 { "once".to_owned() } else { format!("every {}", words(repeat)) };
        vec![text(it.get("method")).to_owned(), format!("in {}", words(number(it.get("in_ms")))), every]
    };
    let rows: Vec<Vec<String>> = list?.as_array()?.iter().take(ROWS_MAX).map(row).collect();
    (!rows.is_empty()).then(|| table(&["timer", "fires", "repeats"], &rows))
}

fn pending(list: Option<&Value>) -> Option<String> {
    let row = |it: &Value| {
        let left = it.get("left_ms").filter(|left| !left.is_null());
        let missing = number(it.get("missing_answers"));
        let waits = match it.get("bounce").and_then(Value::as_bool) {
            Some(true) => "a message that may come back".to_owned(),
            _ => count(missing, "answer"),
        };
        vec![
            text(it.get("resumes")).to_owned(),
            waits,
            left.map_or_else(|| "-".to_owned(), |left| words(number(Some(left)))),
        ]
    };
    let rows: Vec<Vec<String>> = list?.as_array()?.iter().take(ROWS_MAX).map(row).collect();
    (!rows.is_empty()).then(|| table(&["pending", "waits for", "at most"], &rows))
}

fn cut(report: String, rows: usize) -> String {
    match rows.saturating_sub(ROWS_MAX) {
        0 => report,
        more => format!("{report}\n… and {more} more"),
    }
}

fn place(pose: Option<&Value>) -> Option<[f64; 4]> {
    let mut numbers = pose?.as_array()?.iter().map(|it| it.as_f64().unwrap_or(0.0));
    Some([numbers.next()?, numbers.next()?, numbers.next()?, numbers.next()?])
}

fn words(ms: u64) -> String {
    if ms == 0 { "0 ms".to_owned() } else { duration_words(Duration::from_millis(ms)) }
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

fn number(value: Option<&Value>) -> u64 {
    value.and_then(Value::as_u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    #[test]
    fn spaces_are_a_table_with_short_ids() {
        let space = |id: &str, kind: &str, name: Option<&str>, entities: u32| json!({"id": id, "module": "chat", "kind": kind, "type": name, "entities": entities, "waiting": 0});
        let view = json!({"spaces": [
            space("0qchcpbkkh01k4mg10mrrapapw", "Nil", None, 0),
            space("4j2911wwj6s7pnv80737z2wyj0", "Service", Some("Lobby"), 1),
        ]});
        expect![[r#"
            id        module  kind     type   entities  waiting
            4j2911ww  chat    service  Lobby  1         0
            0qchcpbk  chat    nil      -      0         0"#]]
        .assert_eq(&report(&view).unwrap());
    }

    #[test]
    fn a_space_is_shown_with_its_members_and_whose_they_are() {
        let member = |id: &str, client: Option<&str>| json!({"id": id, "type": "Walker", "pose": [1.0, 0.0, 2.25, 0.0], "client": client});
        let view = json!({
            "id": "6hh6mpzn69vpx7yy3cr6ppatz6", "kind": "space", "module": "yard", "label": "1",
            "version": "5d3620ebe9ac", "generation": 2, "entities": 2, "events": 90, "overloaded": 3,
            "held": 0, "members": [
                member("1j2911wwj6s7pnv80737z2wyj0", Some("3whygen5s5gemghh6krffk7p4x")),
                member("1j2911wwj7s7pnv80737z2wyj0", None),
            ],
        });
        expect![[r#"
            Space 6hh6mpzn
              id        6hh6mpzn69vpx7yy3cr6ppatz6
              runs      `yard` version `1` (`5d3620ebe9ac`), generation 2
              entities  2
              events    90
                        3 messages were refused, because too much waited

            id          type    at       client
            1j2911wwj6  Walker  1.0 2.2  3whygen5
            1j2911wwj7  Walker  1.0 2.2  -"#]]
        .assert_eq(&report(&view).unwrap());
    }

    #[test]
    fn an_entity_is_shown_with_its_attributes_timers_and_calls() {
        let view = json!({
            "id": "4whygen5s5gemghh6krffk7p4x", "type": "Avatar", "space": "6hh6mpzn69vpx7yy3cr6ppatz6",
            "pose": [1.0, 0.0, 2.25, 0.5], "attributes": {"name": "\"A\u{1b}da\"", "hp": "3"},
            "attribute_types": {"name": "string", "hp": "i32"},
            "client": {"session": "3whygen5s5gemghh6krffk7p4x", "address": "127.0.0.1:4000", "round_trip_ms": 2},
            "filters": {}, "watches": 2, "watchers": 1, "deferred": 0, "ticks_paused_ms": 0,
            "timer_list": [{"method": "idle", "in_ms": 1_500, "repeat_ms": 60_000}, {"method": "rest", "in_ms": 0, "repeat_ms": 0}],
            "pending_list": [
                {"resumes": "joined", "left_ms": 900, "missing_answers": 2, "bounce": false},
                {"resumes": "lost", "left_ms": null, "missing_answers": 1, "bounce": true},
            ],
        });
        let shown = report(&view).unwrap();
        expect![[r#"
            Avatar 4whygen5
              id      4whygen5s5gemghh6krffk7p4x
              in      6hh6mpzn69vpx7yy3cr6ppatz6
              at      x 1.00, y 0.00, z 2.25, yaw 0.50
              client  session 3whygen5 from 127.0.0.1:4000, 2 ms away
              also    2 watches, 1 watcher

            attribute  type    value
            hp         i32     3
            name       string  "A�da"

            timer  fires     repeats
            idle   in 1.5 s  every 1 min 0 s
            rest   in 0 ms   once

            pending  waits for                     at most
            joined   2 answers                     900 ms
            lost     a message that may come back  -"#]]
        .assert_eq(&shown);
    }

    #[test]
    fn numbers_are_shown_without_their_width() {
        assert_eq!(bare("{x: 9.5_f32, y: -0.0_f64, n: 3}"), "{x: 9.5, y: -0.0, n: 3}");
        assert_eq!(bare(r#""1_f32" 2_f32"#), r#""1_f32" 2"#, "texts stay");
        assert_eq!(bare(r#""a\" 1_f32", 2_f32"#), r#""a\" 1_f32", 2"#);
        assert_eq!(bare("NaN_f32 é"), "NaN_f32 é");
    }

    #[test]
    fn a_long_table_is_cut_and_something_else_is_no_report() {
        let spaces: Vec<Value> = (0..500).map(|it| json!({"id": format!("{it:026}")})).collect();
        assert!(report(&json!({"spaces": spaces})).unwrap().ends_with("… and 300 more"));
        assert_eq!(report(&json!({"weather": "fine"})), None);
        assert_eq!(report(&Value::Null), None);
    }
}
