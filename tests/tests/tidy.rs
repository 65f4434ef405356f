//! The tree as it is, held against the rules of style. That each rule can fail is shown beside it.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use everwake_tests::tidy::{self, Finding, Tree, Workspace};
use std::path::Path;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn tree() -> Tree {
    let tree = Tree::load(root()).unwrap();
    assert!(tree.files.len() > 100, "this is not the tree");
    tree
}

fn workspace() -> Workspace {
    let workspace = Workspace::load(root()).unwrap();
    assert!(workspace.packages.len() > 10, "this is not the workspace");
    workspace
}

fn check(findings: Vec<Finding>) {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "{} findings:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn crates_use_only_those_below_them() {
    check(tidy::direction(&workspace()));
}

#[test]
fn heavy_dependencies_stay_at_home() {
    check(tidy::homes(&workspace(), &tree()));
}

#[test]
fn cores_and_libraries_are_free_of_what_they_must_not_use() {
    check(tidy::purity(&workspace()));
}

#[test]
fn files_and_functions_are_short() {
    check(tidy::sizes(&tree()));
}

#[test]
fn files_say_what_they_are() {
    check(tidy::heads(&tree()));
}

#[test]
fn the_root_holds_only_what_is_listed() {
    check(tidy::root_is_tidy(&tree()));
}

#[test]
fn paths_in_documents_exist() {
    check(tidy::paths_exist(&tree()));
}

#[test]
fn dependencies_have_reasons() {
    check(tidy::dependencies_are_told(&workspace(), &tree()));
}

#[test]
fn errors_for_guests_have_names() {
    check(tidy::errors_have_names(&tree()));
}

#[test]
fn nothing_is_left_to_be_done() {
    check(tidy::words(&tree()));
}

#[test]
fn tests_that_are_left_out_say_why() {
    check(tidy::ignored_tests(&tree()));
}
