//! What cargo's test harness printed: what passed, failed, was left out, or skipped itself.

use std::collections::{BTreeMap, BTreeSet};

/// What came of a run of tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    /// Tests that ran and had something to say.
    pub(crate) passed: usize,
    /// Tests that failed.
    pub(crate) failed: usize,
    /// Tests that the harness counts as passed and that said why they could not run, with the reasons.
    pub(crate) skipped: Vec<(String, String)>,
    /// Tests that were not asked for, with the reasons of their `#[ignore]`.
    pub(crate) ignored: BTreeMap<String, String>,
}

impl Tests {
    /// From the output of `cargo test … -- --show-output`, of several test programs one after another.
    pub(crate) fn read(output: &str) -> Self {
        let mut tests = Self::default();
        let mut section = Section::Other;
        // Of the test program at hand: a test that says two reasons is one skipped test.
        let mut here = BTreeSet::new();
        for line in output.lines() {
            if let Some(result) = line.strip_prefix("test result: ") {
                tests.passed += count(result, " passed");
                tests.failed += count(result, " failed");
                tests.passed -= here.len().min(tests.passed);
                here.clear();
                section = Section::Other;
            } else if line == "successes:" {
                section = Section::Successes(None);
            } else if line == "failures:" {
                section = Section::Other;
            } else if let Some((name, reason)) =
                line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ignored"))
            {
                let reason = reason.strip_prefix(", ").unwrap_or("left out where it is written").to_owned();
                tests.ignored.insert(name.to_owned(), reason);
            } else if let Section::Successes(name) = &mut section {
                let head = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"));
                if let Some(head) = head {
                    *name = Some(head.to_owned());
                } else if let (Some(reason), Some(name)) = (line.strip_prefix("SKIP: "), name)
                    && here.insert(name.clone())
                {
                    tests.skipped.push((name.clone(), reason.to_owned()));
                }
            }
        }
        tests
    }
}

enum Section {
    /// Output of tests that passed, and whose it is.
    Successes(Option<String>),
    Other,
}

/// The number before a word, as in `3 passed; 0 failed`.
fn count(text: &str, word: &str) -> usize {
    text.split(word)
        .next()
        .and_then(|before| before.rsplit(|c: char| !c.is_ascii_digit()).next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As rustc 1.95 prints it.
    const OUTPUT: &str = "
running 4 tests
test quick ... ok
test root_load ... ignored, root: loads the monitor
test slow ... ok
test wrong ... FAILED

successes:

---- quick stdout ----
SKIP: one CPU
SKIP: and no cgroups

---- slow stdout ----
NOTE: less load
no SKIP: here

successes:
    quick
    slow

failures:

---- wrong stdout ----
SKIP: this one failed
thread 'wrong' panicked at x.rs:1:1:

failures:
    wrong

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 1 test
test crates/core/src/x.rs - f (line 3) ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
";

    #[test]
    fn what_a_test_says_it_skipped_is_no_pass() {
        let tests = Tests::read(OUTPUT);
        assert_eq!((tests.passed, tests.failed), (2, 1));
        assert_eq!(tests.skipped, [("quick".to_owned(), "one CPU".to_owned())]);
        assert_eq!(tests.ignored.get("root_load").map(String::as_str), Some("root: loads the monitor"));
    }

    #[test]
    fn two_programs_may_have_a_test_of_one_name() {
        let once = "successes:\n\n---- a stdout ----\nSKIP: x\n\n\
                    test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        let tests = Tests::read(&format!("{once}{once}"));
        assert_eq!((tests.passed, tests.skipped.len()), (0, 2));
    }

    #[test]
    fn counts_are_read_from_a_line_of_results() {
        let line = "ok. 12 passed; 3 failed; 456 ignored";
        assert_eq!((count(line, " passed"), count(line, " failed")), (12, 3));
        assert_eq!(count("nothing", " passed"), 0);
    }
}
