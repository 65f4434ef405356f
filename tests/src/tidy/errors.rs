//! Errors that the runtime gives to guests have a name: `other` with a text is for what nobody foresaw.

use super::{Finding, Tree};
use syn::visit::{self, Visit};

/// Where errors for guests are made.
const RUNTIME: &str = "runtime/src/";
/// Where the type is declared.
const SEAM: &str = "runtime/src/guest.rs";
/// Says one error in the words of the other side, and makes none.
const TRANSLATION: &str = "runtime/src/wasm/convert.rs";
/// The type, and its case without a name.
const ERROR: &str = "GuestError";
const OTHER: &str = "Other";
/// Most of a hundred places.
const PERCENT_MAX: usize = 5;

/// Few of the places that make an error for a guest make it an `Other`.
#[must_use]
pub fn errors_have_names(tree: &Tree) -> Vec<Finding> {
    let (mut all, mut others) = (0, Vec::new());
    for file in tree.with_extension("rs").filter(|file| file.path.starts_with(RUNTIME)) {
        if file.path.contains("/tests") || file.path == TRANSLATION {
            continue;
        }
        let Ok(parsed) = syn::parse_file(&file.text) else { continue };
        let mut places = Places::default();
        places.visit_file(&parsed);
        all += places.all;
        others.extend(places.others.into_iter().map(|line| format!("{}:{line}", file.path)));
    }
    if all == 0 && tree.has(SEAM) {
        return vec![Finding::new(
            SEAM,
            format!("nobody makes a `{ERROR}`: this rule looks for the wrong name"),
        )];
    }
    if others.len() * 100 <= all * PERCENT_MAX {
        return Vec::new();
    }
    let count = others.len();
    let what = format!("one of {count} `{ERROR}::{OTHER}` among {all} errors; give it a name");
    others.into_iter().map(|place| Finding::new(place, what.clone())).collect()
}

/// Expressions that make an error, tests left out.
#[derive(Default)]
struct Places {
    all: usize,
    /// Lines.
    others: Vec<usize>,
}

impl<'ast> Visit<'ast> for Places {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let is_test = |attribute: &syn::Attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|it| it == "test")
        };
        if !module.attrs.iter().any(is_test) {
            visit::visit_item_mod(self, module);
        }
    }

    // Patterns have paths of their own: only what is evaluated comes here.
    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        let mut segments = path.path.segments.iter().rev();
        if let (Some(case), Some(of)) = (segments.next(), segments.next())
            && of.ident == ERROR
        {
            self.all += 1;
            if case.ident == OTHER {
                self.others.push(case.ident.span().start().line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str) -> Vec<String> {
        errors_have_names(&Tree::of(&[(path, text)])).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn too_many_without_a_name_are_found() {
        let named = "fn named() -> E { GuestError::Busy }\n".repeat(19);
        let unnamed = "fn unnamed() -> E { guest::GuestError::Other(text) }\n";
        assert_eq!(check("runtime/src/a.rs", &format!("{named}{unnamed}")), [""; 0]);
        let found = check("runtime/src/a.rs", &format!("{named}{unnamed}{unnamed}"));
        let what = "one of 2 `GuestError::Other` among 21 errors; give it a name";
        assert_eq!(found, [format!("runtime/src/a.rs:20: {what}"), format!("runtime/src/a.rs:21: {what}")]);
    }

    #[test]
    fn a_rule_that_finds_nothing_at_all_says_so() {
        assert_eq!(check(SEAM, "enum Renamed {}").len(), 1);
        assert_eq!(check(SEAM, "fn f() -> E { GuestError::Busy }"), [""; 0]);
    }

    #[test]
    fn what_is_looked_at_tested_or_translated_is_not_made() {
        let looked = "fn f(e: E) -> bool { match e { GuestError::Other(_) => true, _ => false } }";
        let tested = "#[cfg(test)] mod tests { fn f() -> E { GuestError::Other(text) } }";
        let made = "fn f() -> E { GuestError::Other(text) }";
        for (path, text) in [
            ("runtime/src/a.rs", looked),
            ("runtime/src/a.rs", tested),
            ("runtime/src/a/tests/b.rs", made),
            (TRANSLATION, made),
            ("gate/src/a.rs", made),
        ] {
            assert_eq!(check(path, text), [""; 0], "{path}: {text}");
        }
        assert_eq!(check("runtime/src/a.rs", made).len(), 1);
    }
}
