//! Documents: the paths that they name exist, and each dependency has its reason.

use super::{File, Finding, Tree, Workspace};

/// Paths that tools make.
const MADE: [&str; 5] = ["target", "bench/results", "fuzz/corpus", "fuzz/artifacts", ".everwake"];

/// Where the reasons are.
const DEPENDENCIES: &str = "docs/dependencies.md";

/// Every link, and every path in code marks, leads somewhere; so do `docs/` in comments.
#[must_use]
pub fn paths_exist(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        for (number, line) in (1..).zip(file.text.lines()) {
            for path in paths(tree, file, line) {
                if !leads_somewhere(tree, &path) && !MADE.iter().any(|made| path.starts_with(made)) {
                    let what = format!("names `{path}`, which does not exist");
                    findings.push(Finding::new(format!("{}:{number}", file.path), what));
                }
            }
        }
    }
    findings
}

/// True if a file or a folder has this path; a `*` stands for any part of a name.
fn leads_somewhere(tree: &Tree, path: &str) -> bool {
    if !path.contains('*') {
        return tree.has(path);
    }
    let files = tree.files.iter().map(|file| file.path.as_str());
    let mut all = files.chain(tree.others.iter().map(String::as_str));
    all.any(|found| fits(path.trim_end_matches('/'), found))
}

/// One part of a path after the other.
fn fits(pattern: &str, path: &str) -> bool {
    let (patterns, parts) = (pattern.split('/'), path.split('/'));
    pattern.matches('/').count() == path.matches('/').count()
        && patterns.zip(parts).all(|(pattern, part)| name_fits(pattern, part))
}

fn name_fits(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(before) else { return false };
    rest.char_indices()
        .map(|(at, _)| at)
        .chain([rest.len()])
        .any(|at| rest.get(at..).is_some_and(|rest| name_fits(after, rest)))
}

/// Each dependency has one line that begins with its name; no line is left of one that went.
#[must_use]
pub fn dependencies_are_told(workspace: &Workspace, tree: &Tree) -> Vec<Finding> {
    let told: Vec<&str> = tree
        .text(DEPENDENCIES)
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    let mut used: Vec<&str> = workspace
        .packages
        .iter()
        .flat_map(|package| &package.dependencies)
        .filter(|dependency| !dependency.local)
        .map(|dependency| dependency.name.as_str())
        .collect();
    used.sort_unstable();
    used.dedup();
    let untold = used.iter().filter(|name| !told.contains(name));
    let mut findings: Vec<Finding> =
        untold.map(|name| Finding::new(DEPENDENCIES, format!("does not say what `{name}` is for"))).collect();
    let stale = told.iter().filter(|name| !used.contains(name));
    findings.extend(
        stale.map(|name| Finding::new(DEPENDENCIES, format!("tells of `{name}`, which nobody uses"))),
    );
    let listed = workspace_dependencies(tree.text("Cargo.toml"));
    let idle = listed.iter().filter(|name| !used.contains(&name.as_str()));
    findings
        .extend(idle.map(|name| Finding::new("Cargo.toml", format!("lists `{name}`, which nobody uses"))));
    findings
}

/// Names under `[workspace.dependencies]` that are not in this repository.
fn workspace_dependencies(manifest: &str) -> Vec<String> {
    let lines = manifest.lines().skip_while(|line| line.trim() != "[workspace.dependencies]").skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.contains("path ="))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.trim().to_owned())
        .collect()
}

/// The paths that a line names, from the root.
fn paths(tree: &Tree, file: &File, line: &str) -> Vec<String> {
    let mut paths = Vec::new();
    if file.is("md") {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        paths.extend(links(line).filter_map(|link| resolve(folder, link)));
        let spans = line.split('`').skip(1).step_by(2);
        paths.extend(spans.filter(|span| is_path(tree, span)).map(str::to_owned));
    } else if file.is("rs") || file.is("wit") || file.is("toml") {
        let comment =
            line.split_once("//").or_else(|| line.split_once('#')).map_or("", |(_, comment)| comment);
        let words = comment.split(|c: char| !(c.is_ascii_alphanumeric() || "/._-".contains(c)));
        let documents = words.map(|word| word.trim_end_matches('.'));
        paths.extend(
            documents.filter(|word| word.starts_with("docs/") && word.ends_with(".md")).map(str::to_owned),
        );
    }
    paths
}

/// Targets of the Markdown links in a line.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

/// A link from a file in `folder` as a path from the root; none if it leads out of the tree.
fn resolve(folder: &str, link: &str) -> Option<String> {
    let link = link.split('#').next()?;
    if link.is_empty() || link.contains(':') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// True if a code span means a path of this repository, or several by `*`, and not a command.
fn is_path(tree: &Tree, span: &str) -> bool {
    let plain = span.chars().all(|c| c.is_ascii_alphanumeric() || "/._-*".contains(c));
    let Some((top, _)) = span.split_once('/') else { return false };
    plain && !span.contains("NNNN") && tree.root.iter().any(|name| name == top)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str) -> Vec<String> {
        let tree = Tree::of(&[(path, text), ("docs/encoding.md", "x"), ("wit/types.wit", "x")]);
        paths_exist(&tree).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_path_that_leads_nowhere_is_found() {
        for good in [
            "[guide](docs/encoding.md), [web](https://example.org/x), [here](#x), [part](docs/encoding.md#part)",
            "`wit/types.wit`, `wit/`, `bench/results/latest.md`, `x/y`, `wit/*.wit`, `*/*.md`, `docs/enc*ing.*`, `docs/NNNN-title.md`",
            "`cargo run wit/x.md`",
        ] {
            assert_eq!(check("README.md", good), [""; 0]);
        }
        assert_eq!(
            check("README.md", "[x](wit/no.md)"),
            ["README.md:1: names `wit/no.md`, which does not exist"]
        );
        assert_eq!(check("README.md", "words\nand `wit/type.wit`").len(), 1);
        for nothing in ["`wit/*.md`", "`wit/*/tests`", "`wit/t*t.wit`", "`docs/x*`"] {
            assert_eq!(check("README.md", nothing).len(), 1, "{nothing}");
        }
        assert_eq!(check("docs/a.md", "[up](../wit/types.wit) [beside](encoding.md)"), [""; 0]);
        assert_eq!(check("docs/a.md", "[up](../wit/type.wit) [beside](encodings.md)").len(), 2);
    }

    #[test]
    fn a_document_that_a_comment_names_must_exist() {
        let missing = format!("docs/{}.md", "no");
        assert_eq!(check("wit/a.rs", "fn f() {} // see docs/encoding.md."), [""; 0]);
        assert_eq!(check("wit/a.rs", &format!("fn f() {{}} // see {missing}.")).len(), 1);
        assert_eq!(check("Cargo.toml", &format!("# see {missing}")).len(), 1);
    }

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let json = br#"{"workspace_root":"/x","packages":[{"name":"a","manifest_path":"/x/a","dependencies":[
            {"name":"bytes","kind":null},{"name":"own","kind":null,"path":"/somewhere"}]}]}"#;
        let workspace = Workspace::read(json).unwrap();
        let check = |text, manifest| {
            let tree = Tree::of(&[("docs/dependencies.md", text), ("Cargo.toml", manifest)]);
            dependencies_are_told(&workspace, &tree).len()
        };
        let manifest = "[workspace.dependencies]\n# Words.\nown = { path = \"own\" }\nbytes = \"1\"\n[profile.dev]\nx = 1";
        assert_eq!(check("| `bytes` | shared bytes | x |", manifest), 0);
        assert_eq!(check("words on `bytes`", manifest), 1);
        assert_eq!(check("| `bytes` | x |\n| `gone` | x |", manifest), 1);
        assert_eq!(check("| `bytes` | x |", "[workspace.dependencies]\nidle = \"1\""), 1);
    }
}
