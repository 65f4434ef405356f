//! Checks the examples of `docs/encoding.md`.

use super::samples::{attribute, checked, fields, module};
use super::structure::{Definitions, Structure};
use super::value::{check_value, describe_value};
use super::{Lineage, ModuleVersion};
use crate::guest::VersionHash;
use crate::record::describe;
use everwake_protocol::cbor;
use everwake_protocol::schema::{Definition, Shape};
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../docs/encoding.md");

/// The lines of all blocks of a kind, taken apart at `|`.
fn lines(kind: &str) -> Vec<Vec<&'static str>> {
    let open = format!("```{kind}\n");
    let blocks = PAGE.split(&open).skip(1).map(|rest| rest.split("```").next().unwrap());
    let lines: Vec<Vec<_>> =
        blocks.flat_map(str::lines).map(|line| line.split(" | ").map(str::trim).collect()).collect();
    assert!(!lines.is_empty(), "no examples of `{kind}`");
    lines
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter(|digit| *digit != ' ').collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).unwrap()).collect()
}

/// `struct Item { name: string, ... }` and `enum Mode { idle, ... }`.
fn definition(line: &str) -> Definition {
    let (kind, rest) = line.split_once(' ').unwrap();
    let (name, rest) = rest.split_once(" { ").unwrap();
    let mut members: Vec<(&str, String)> = Vec::new();
    let mut depth = 0;
    for part in rest.trim_end_matches(" }").split(", ") {
        match members.last_mut() {
            Some((_, text)) if depth > 0 => *text = format!("{text}, {part}"),
            _ => {
                let (name, text) = part.split_once(": ").unwrap_or((part, "unit"));
                members.push((name, text.to_owned()));
            }
        }
        depth += part.matches('<').count() as i32 - part.matches('>').count() as i32;
    }
    let pairs: Vec<_> = members.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let shape = if kind == "struct" { Shape::Record(fields(&pairs)) } else { Shape::Cases(fields(&pairs)) };
    Definition { name: name.to_owned(), shape }
}

fn structure(text: &str) -> Structure {
    let list: Vec<_> = lines("definitions").iter().map(|line| definition(line[0])).collect();
    let (definitions, failures) = Definitions::new(&list, BTreeSet::from(["Avatar".to_owned()]));
    assert_eq!(failures, []);
    definitions.resolve(&text.parse().unwrap()).unwrap().0
}

#[test]
fn values_mean_what_the_page_says() {
    for line in lines("values") {
        let (structure, value) = (structure(line[0]), hex(line[1]));
        assert_eq!(check_value(&structure, &value), Ok(()), "{line:?}");
        assert_eq!(describe_value(&structure, &value, 1_000), line[2], "{line:?}");
    }
}

#[test]
fn values_are_refused_for_the_reason_that_the_page_says() {
    for line in lines("refused") {
        let error = check_value(&structure(line[0]), &hex(line[1])).unwrap_err();
        assert_eq!(error.to_string(), line[2], "{line:?}");
    }
}

#[test]
fn outcomes_and_patches_mean_what_the_page_says() {
    for line in lines("sequences") {
        assert_eq!(cbor::diagnostic(&hex(line[0])), line[1]);
    }
    let attributes = vec![
        attribute("hp", "i64", &[0x00]),
        attribute("bag", "map<string, u8>", &[0xa0]),
        attribute("log", "list<string>", &[0x80]),
    ];
    let manifest = checked(module(attributes, vec![]));
    let (_, version): (_, ModuleVersion) =
        Lineage::new("yard").publish(manifest, VersionHash([1; 32]), 1).unwrap();
    for line in lines("patches") {
        let patch = hex(line[0]);
        assert_eq!(cbor::diagnostic(&patch), line[1], "{line:?}");
        assert_eq!(describe::patch(&version, Some(0), &patch), line[2], "{line:?}");
    }
}
