//! STORAGE.md and the rules name each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::*;

/// Section 6 of STORAGE.md.
fn section() -> &'static str {
    let text = include_str!("../../../STORAGE.md");
    let (_, section) = text.split_once("\n## 6 ").unwrap();
    section.split_once("\n## 7 ").unwrap().0
}

/// The rows of a table whose first cell is the number of an invariant: the number, and the last cell.
fn rows(table: &str) -> BTreeMap<&str, &str> {
    let cells = table.lines().filter_map(|line| {
        let (number, rest) = line.strip_prefix("| ")?.split_once(" | ")?;
        let last = rest.strip_suffix(" |")?.rsplit(" | ").next()?;
        number.strip_prefix('I')?.parse::<u32>().ok()?;
        Some((number, last))
    });
    cells.collect()
}

/// The source of the library.
fn source() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&folder);
    files
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(rust_files(&path)),
            false => files.push(path),
        }
    }
    files
}

/// The rules of an invariant, as STORAGE.md links to them.
fn links(number: &str) -> BTreeSet<String> {
    let rules = RULES.iter().filter(|rule| rule.number == number);
    let link = |rule: &Rule| format!("[`{}`]({})", rule.name, rule.file);
    rules.map(link).collect()
}

#[test]
fn storage_md_links_each_invariant_to_its_rules_or_says_why_it_has_none() {
    let (invariants, without) = section().split_once("\n### ").unwrap();
    let (invariants, without) = (rows(invariants), rows(without));
    for rule in RULES {
        assert!(invariants.contains_key(rule.number), "{rule:?}");
    }
    for (number, rules) in invariants {
        let linked: BTreeSet<String> = match rules {
            "" | "none" => BTreeSet::new(),
            rules => rules.split(", ").map(str::to_owned).collect(),
        };
        assert_eq!(linked, links(number), "{number}");
        assert_eq!(
            linked.is_empty(),
            without.contains_key(number),
            "{number}: why has it no rule?"
        );
    }
}

#[test]
fn each_rule_is_in_the_file_that_is_linked() {
    for rule in RULES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(rule.file);
        let text = std::fs::read_to_string(path).unwrap();
        let function = format!("\npub(super) fn {}(", rule.name);
        let (before, _) = text.split_once(&function).unwrap();
        let comment = before
            .lines()
            .rev()
            .take_while(|line| line.starts_with("///"));
        let reason = comment.last().unwrap_or_default();
        assert!(
            reason.starts_with(&format!("/// {}: ", rule.number)),
            "{}: {reason}",
            rule.name
        );
    }
}

#[test]
fn each_invariant_is_kept_by_code_that_exists() {
    let source = source();
    let (invariants, _) = section().split_once("\n### ").unwrap();
    for row in invariants.lines().filter(|line| line.starts_with("| I")) {
        let kept_by = row.split(" | ").nth(2).unwrap();
        for name in kept_by.split('`').skip(1).step_by(2) {
            let (_, last) = name.rsplit_once("::").unwrap_or(("", name));
            let declared = [
                format!("fn {last}("),
                format!("fn {last}<"),
                format!("enum {last} "),
                format!("struct {last} "),
                format!("pub {last}: "),
            ];
            let exists = declared.iter().any(|declared| source.contains(declared));
            assert!(
                exists,
                "STORAGE.md names `{name}`, which does not exist: {row}"
            );
        }
    }
}
