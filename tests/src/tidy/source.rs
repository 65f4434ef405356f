//! Rust files: how long they and their functions are, and how they begin.

use super::{File, Finding, Tree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// Most lines of a file. Longer ones are split by what they are about.
const FILE_LINES_MAX: usize = 600;
/// Most lines of a function, from its name to its end.
const FUNCTION_LINES_MAX: usize = 70;
/// Files and functions that were longer when the rule came. May only shrink.
const RATCHET: [&str; 0] = [];

/// A head that says nothing.
const EMPTY_HEAD: &str = "placeholder";
/// Programs whose error messages are tested, as users write them.
const MUST_NOT_COMPILE: &str = "/tests/ui/";

/// Nothing is longer than a reader can hold.
#[must_use]
pub fn sizes(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.with_extension("rs") {
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX && !RATCHET.contains(&file.path.as_str()) {
            let what = format!("{lines} lines; at most {FILE_LINES_MAX} are allowed");
            findings.push(Finding::new(&file.path, what));
        }
        match syn::parse_file(&file.text) {
            Ok(parsed) => {
                let mut lengths = Lengths { file, findings: &mut findings };
                lengths.visit_file(&parsed);
            }
            Err(error) => findings.push(Finding::new(&file.path, format!("does not parse: {error}"))),
        }
    }
    findings
}

/// Each file begins with what it is.
#[must_use]
pub fn heads(tree: &Tree) -> Vec<Finding> {
    let headless = tree.with_extension("rs").filter(|file| {
        let head = file.text.lines().next().and_then(|line| line.strip_prefix("//! "));
        let says =
            head.is_some_and(|head| !head.trim().is_empty() && !head.to_lowercase().contains(EMPTY_HEAD));
        !says && !file.path.contains(MUST_NOT_COMPILE)
    });
    headless.map(|file| Finding::new(&file.path, "begins without `//!` that says what it is")).collect()
}

struct Lengths<'a> {
    file: &'a File,
    findings: &'a mut Vec<Finding>,
}

impl Lengths<'_> {
    fn measure(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.span().start().line;
        let lines = block.span().end().line.saturating_sub(first) + 1;
        let place = format!("{}:{first}", self.file.path);
        let name = format!("{}::{}", self.file.path, signature.ident);
        if lines > FUNCTION_LINES_MAX && !RATCHET.contains(&name.as_str()) {
            let what =
                format!("`{}` has {lines} lines; at most {FUNCTION_LINES_MAX} are allowed", signature.ident);
            self.findings.push(Finding::new(place, what));
        }
    }
}

impl<'ast> Visit<'ast> for Lengths<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.measure(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Vec<String> {
        sizes(&Tree::of(&[("a.rs", text)])).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(check(&"// line\n".repeat(600)), [""; 0]);
        assert_eq!(check(&"// line\n".repeat(601)), ["a.rs: 601 lines; at most 600 are allowed"]);
    }

    #[test]
    fn a_long_function_is_found_wherever_it_is() {
        let body = |lines: usize| format!("{{\n{}}}", "let _ = 1;\n".repeat(lines - 2));
        for (before, after) in [("", ""), ("impl X {\n", "\n}"), ("trait X {\n", "\n}"), ("mod x {\n", "\n}")]
        {
            assert_eq!(check(&format!("{before}fn long() {}{after}", body(70))), [""; 0]);
            let found = check(&format!("{before}/// Words.\n#[inline]\nfn long() {}{after}", body(71)));
            assert_eq!(found.len(), 1, "{before}");
            assert!(found[0].ends_with("`long` has 71 lines; at most 70 are allowed"), "{found:?}");
        }
    }

    #[test]
    fn what_does_not_parse_is_found() {
        assert_eq!(check("fn (").len(), 1);
    }

    #[test]
    fn a_file_without_a_head_is_found() {
        let check = |text: &str| heads(&Tree::of(&[("a.rs", text)])).len();
        assert_eq!(check("//! What it is.\nfn f() {}"), 0);
        for bad in ["", "fn f() {}", "// What it is.", "//! Placeholder.", "\n//! What it is."] {
            assert_eq!(check(bad), 1, "{bad:?}");
        }
    }
}
