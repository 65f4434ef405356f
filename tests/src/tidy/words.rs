//! Words that do not belong into a finished tree.

use super::{Finding, Tree};

/// What must not be written, and why not. In pieces, so that this file may be looked at too.
const WORDS: [(&str, &str); 8] = [
    (concat!("TO", "DO"), "do it, or leave it out"),
    (concat!("FIX", "ME"), "fix it"),
    (concat!("XX", "X"), "say what is meant"),
    (concat!("HA", "CK:"), "do it properly"),
    (concat!("unimplemen", "ted!"), "write it, or leave it out"),
    (concat!("to", "do!("), "write it, or leave it out"),
    (concat!("/ho", "me/"), "a path of one machine"),
    (concat!("/wo", "rk/"), "a path of one machine"),
];

/// Files whose words are not ours.
const FOREIGN: [&str; 4] = ["Cargo.lock", "LICENSE-APACHE", "LICENSE-MIT", "clippy.toml"];

/// No notes to oneself, no holes, no paths of one machine, no empty files.
#[must_use]
pub fn words(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| !FOREIGN.iter().any(|foreign| file.path.ends_with(foreign))) {
        if file.text.trim().is_empty() {
            findings.push(Finding::new(&file.path, "is empty"));
        }
        for (number, line) in (1..).zip(file.text.lines()) {
            for (word, why) in WORDS.iter().filter(|(word, _)| line.contains(word)) {
                // Lints are named by their words.
                if !line.contains(concat!("to", "do = ")) {
                    let what = format!("`{word}`: {why}");
                    findings.push(Finding::new(format!("{}:{number}", file.path), what));
                }
            }
        }
    }
    findings
}

/// A test that is not run proves nothing: there are none.
#[must_use]
pub fn ignored_tests(tree: &Tree) -> Vec<Finding> {
    let ignored = concat!("#[ign", "ore");
    let mut findings = Vec::new();
    for file in tree.with_extension("rs") {
        for (number, line) in (1..).zip(file.text.lines()) {
            if line.trim_start().starts_with(ignored) {
                findings.push(Finding::new(format!("{}:{number}", file.path), "a test is left out"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_found() {
        for (word, _) in WORDS {
            let text = format!("fine\nnot {word} fine");
            let found = words(&Tree::of(&[("a.md", &text)]));
            assert_eq!(found.len(), 1, "{word}");
            assert_eq!(found[0].place, "a.md:2");
        }
        assert_eq!(words(&Tree::of(&[("a.md", "fine words at work")])), []);
        assert_eq!(words(&Tree::of(&[("a.md", " \n")])).len(), 1);
    }

    #[test]
    fn a_test_that_is_left_out_is_found() {
        let check = |text: &str| ignored_tests(&Tree::of(&[("a.rs", text)])).len();
        assert_eq!(check("#[test]\nfn f() {}"), 0);
        assert_eq!(check(concat!("#[test]\n#[ign", "ore = \"needs a network\"]\nfn f() {}")), 1);
        assert_eq!(check(concat!("#[test]\n    #[ign", "ore]\nfn f() {}")), 1);
    }
}
