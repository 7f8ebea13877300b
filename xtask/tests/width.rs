//! Comments wrap at the width that rustfmt and clang-format are told, which leave them as they are.
#![allow(clippy::unwrap_used)] // functions that tests share are no #[test] themselves

use std::fs;
use std::path::Path;
use std::process::Command;

/// The number behind `key` in a file at the root.
fn configured(root: &Path, file: &str, key: &str) -> usize {
    let text = fs::read_to_string(root.join(file)).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    value.trim_start_matches([':', '=', ' ']).parse().unwrap()
}

/// Columns of a line; a tab goes to the next multiple of eight.
fn columns(line: &str) -> usize {
    line.chars().fold(0, |columns, char| if char == '\t' { columns / 8 * 8 + 8 } else { columns + 1 })
}

/// What a line of comment says; `None` of other lines.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim_start();
    ["///", "//!", "//", "/* ", "* "].iter().find_map(|marker| line.strip_prefix(marker))
}

/// Rows of a table, and drawings and texts whose columns stand under each other: a line of them is not
/// wrapped.
fn is_drawn(said: &str) -> bool {
    let said = said.trim();
    said.starts_with('|') || said.contains("   ") || said.contains('\t') || said.contains('─')
}

#[test]
fn comments_wrap_at_the_configured_width() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let widths = [
        ("*.rs", configured(root, "rustfmt.toml", "max_width")),
        ("*.[ch]", configured(root, ".clang-format", "ColumnLimit")),
    ];
    let mut wide = Vec::new();
    for (files, width) in widths {
        let listed = Command::new("git").args(["ls-files", "--", files]).current_dir(root).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        if listed.is_empty() {
            println!("SKIP: this is no clone, so that it is not known which files are ours");
            return;
        }
        for file in listed.lines() {
            let text = fs::read_to_string(root.join(file)).unwrap();
            for (line, number) in text.lines().zip(1..) {
                if columns(line) > width && comment(line).is_some_and(|said| !is_drawn(said)) {
                    wide.push(format!("{file}:{number}: {} columns, of {width}", columns(line)));
                }
            }
        }
    }
    assert!(wide.is_empty(), "{}", wide.join("\n"));
}
