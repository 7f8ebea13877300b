#!/usr/bin/env bash
# A snapshot test of insta is said to fail when the output changes. Five changes that break who reads the output pass, with INSTA_UPDATE=no as in
# CI: the last line has no newline any more (the next append joins it), empty lines are in front of the first or behind the last, blanks stand
# at the very end, every line ends with CR LF, and, for a snapshot in the source, all lines are indented. insta trims and normalises both sides before it
# compares. Blanks at the end of a line within are seen, which hides that the others are not. What ends a CSV, a JSON document or a
# file of metrics needs an assertion of its own.
set -euo pipefail
# shellcheck source=findings/common/finding.sh
source "$(dirname -- "$0")/common/finding.sh"

mkdir -p "$work/src/snapshots"
cat >"$work/Cargo.toml" <<'T'
[package]
name = "ends"
version = "0.0.0"
edition = "2021"
[lib]
path = "src/lib.rs"
[dependencies]
insta = { version = "=1.49.0", default-features = false }
T
printf -- '---\nsource: src/lib.rs\nexpression: text\n---\na,b\n1,2\n' >"$work/src/snapshots/ends__csv.snap"
cat >"$work/src/lib.rs" <<'R'
#![cfg(test)]
macro_rules! against_the_file {
    ($($name:ident $text:literal)*) => { $(#[test] fn $name() { insta::assert_snapshot!("csv", $text); })* };
}
against_the_file! {
    as_it_is "a,b\n1,2\n"
    no_newline_at_the_end "a,b\n1,2"
    empty_lines_around "\n\na,b\n1,2\n\n\n"
    blanks_at_the_very_end "a,b\n1,2 \t"
    ends_of_another_system "a,b\r\n1,2\r\n"
    blanks_within "a,b \n1,2\n"
    another_number "a,b\n1,3\n"
}
#[test]
fn indented_in_the_source() {
    insta::assert_snapshot!("    a\n      b\n", @r"
    a
      b
    ");
}
R
CARGO_TARGET_DIR=$work/target cargo build --quiet --tests --manifest-path "$work/Cargo.toml" || cannot "insta cannot be built"
seen=$(CARGO_TARGET_DIR=$work/target INSTA_UPDATE=no INSTA_WORKSPACE_ROOT=$work \
    cargo test --manifest-path "$work/Cargo.toml" 2>/dev/null |
    sed -nE 's/^test ([a-z_]+) \.\.\. (ok|FAILED)$/\1 \2/p' | LC_ALL=C sort || true) # two of them fail, and cargo with them
echo "insta 1.49.0"
expect "tests" "$seen" "another_number FAILED
as_it_is ok
blanks_at_the_very_end ok
blanks_within FAILED
empty_lines_around ok
ends_of_another_system ok
indented_in_the_source ok
no_newline_at_the_end ok"
