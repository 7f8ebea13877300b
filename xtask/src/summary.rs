//! What came of all stages, as text.

use crate::log::Tests;
use std::collections::BTreeMap;
use std::fmt;

/// What came of the stages so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    lines: Vec<String>,
    skipped: Vec<(String, String)>,
    ignored: BTreeMap<String, String>,
    passed: usize,
    failed: usize,
    bad_stages: usize,
    failures: Vec<(String, String)>,
    silent: Vec<String>,
}

/// How many lines of what a failed test said are said again: its reason is at the end.
const LAST_LINES: usize = 25;

impl Summary {
    /// A stage that ended; `tests` is what cargo's harness said in it.
    pub(crate) fn ended(&mut self, name: &str, succeeded: bool, tests: Tests) {
        let word = if succeeded { "passed  " } else { "FAILED  " };
        let ran = tests.passed + tests.failed + tests.skipped.len() > 0;
        let counts = if ran {
            let skipped = match tests.skipped.len() {
                0 => String::new(),
                n => format!(", {n} skipped"),
            };
            format!(" ({} passed, {} failed{skipped})", tests.passed, tests.failed)
        } else {
            String::new()
        };
        self.lines.push(format!("{word} {name}{counts}"));
        self.bad_stages += usize::from(!succeeded);
        self.failures.extend(tests.failures);
        self.silent.extend(tests.silent);
        self.passed += tests.passed;
        self.failed += tests.failed;
        self.skipped.extend(tests.skipped);
        self.ignored.extend(tests.ignored);
    }

    /// A stage that could not run.
    pub(crate) fn skipped(&mut self, name: &str, why: &str) {
        self.lines.push(format!("skipped  {name}: {why}"));
    }

    /// What is not this run's business.
    pub(crate) fn not_run(&mut self, what: &str) {
        self.lines.push(format!("not run  {what}"));
    }

    /// Names of tests that were left out of the stages so far.
    pub(crate) fn ignored(&self) -> impl Iterator<Item = &str> {
        self.ignored.keys().map(String::as_str)
    }

    /// Takes tests off the list of those left out: they ran in a stage of their own.
    pub(crate) fn ran(&mut self, is_one: impl Fn(&str) -> bool) {
        self.ignored.retain(|name, _| !is_one(name));
    }

    /// Whether nothing failed.
    pub(crate) fn is_good(&self) -> bool {
        self.bad_stages == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nSummary")?;
        for line in &self.lines {
            writeln!(f, "  {line}")?;
        }
        for (name, why) in self.ignored.iter().chain(self.skipped.iter().map(|(name, why)| (name, why))) {
            writeln!(f, "  skipped  test {name}: {why}")?;
        }
        for program in &self.silent {
            writeln!(f, "  FAILED   did not say how it ended: {program}")?;
        }
        for (name, said) in &self.failures {
            writeln!(f, "  FAILED   test {name}")?;
            let said = said.split_once("stack backtrace:").map_or(said.as_str(), |(before, _)| before);
            let lines: Vec<&str> = said.trim_end().lines().collect();
            for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
                writeln!(f, "           {line}")?;
            }
        }
        let skipped = self.ignored.len() + self.skipped.len();
        writeln!(f, "tests: {} passed, {} failed, {skipped} skipped", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_named_unless_it_ran_later() {
        let mut summary = Summary::default();
        let pair = |name: &str| (name.to_owned(), "why".to_owned());
        summary.ended("format", true, Tests::default());
        let ignored = [pair("root_a"), pair("scx_b")].into();
        summary.ended(
            "tests",
            true,
            Tests { passed: 3, skipped: vec![pair("c")], ignored, ..Tests::default() },
        );
        assert!(summary.is_good());
        summary.ended(
            "live",
            false,
            Tests { failed: 1, failures: vec![pair("root_a")], silent: vec!["x".into()], ..Tests::default() },
        );
        summary.ran(|name| name.contains("root"));
        summary.skipped("clippy", "cargo has none");
        assert!(!summary.is_good());
        assert_eq!(
            summary.to_string(),
            "\nSummary\n  passed   format\n  passed   tests (3 passed, 0 failed, 1 skipped)\n  \
             FAILED   live (0 passed, 1 failed)\n  skipped  clippy: cargo has none\n  \
             skipped  test scx_b: why\n  skipped  test c: why\n  FAILED   did not say how it ended: x\n  FAILED   test root_a\n           why\ntests: 3 passed, 1 failed, 2 skipped\n"
        );
    }
}
