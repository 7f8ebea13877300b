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
    /// Tests that failed, with what they printed.
    pub(crate) failures: Vec<(String, String)>,
    /// Test programs that began and did not say how they ended: they crashed, or somebody ended them.
    pub(crate) silent: Vec<String>,
}

impl Tests {
    /// From the output of `cargo test … -- --show-output`, of several test programs one after another.
    pub(crate) fn read(output: &str) -> Self {
        let mut tests = Self::default();
        let mut section = Section::Other;
        // Of the test program at hand: a test that says two reasons is one skipped test.
        let mut here = BTreeSet::new();
        // The test program that has begun and not ended.
        let mut open: Option<&str> = None;
        for line in output.lines() {
            let begun = ["     Running ", "   Doc-tests "].iter().find_map(|begin| line.strip_prefix(begin));
            if let Some(program) = begun {
                tests.silent.extend(open.replace(program).map(str::to_owned));
                section = Section::Other;
            } else if let Some(result) = line.strip_prefix("test result: ") {
                open = None;
                tests.passed += count(result, " passed");
                tests.failed += count(result, " failed");
                tests.passed -= here.len().min(tests.passed);
                here.clear();
                section = Section::Other;
            } else if line == "successes:" {
                section = Section::Successes(None);
            } else if line == "failures:" {
                // What they printed, and then once more their names alone.
                section = if matches!(section, Section::Failures { .. }) {
                    Section::Other
                } else {
                    Section::Failures { has_name: false }
                };
            } else if let Some((name, reason)) =
                line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ignored"))
            {
                let reason = reason.strip_prefix(", ").unwrap_or("left out where it is written").to_owned();
                tests.ignored.insert(name.to_owned(), reason);
            } else if let Section::Failures { has_name } = &mut section {
                if let Some(head) = head_of(line) {
                    *has_name = true;
                    tests.failures.push((head.to_owned(), String::new()));
                } else if let Some((_, said)) = tests.failures.last_mut().filter(|_| *has_name) {
                    said.push_str(line);
                    said.push('\n');
                }
            } else if let Section::Successes(name) = &mut section {
                if let Some(head) = head_of(line) {
                    *name = Some(head.to_owned());
                } else if let (Some(reason), Some(name)) = (line.strip_prefix("SKIP: "), name)
                    && here.insert(name.clone())
                {
                    tests.skipped.push((name.clone(), reason.to_owned()));
                }
            }
        }
        tests.silent.extend(open.map(str::to_owned));
        tests
    }

    /// Whether what failed may have failed by accident and gets a second try. More failures are no accident,
    /// and a program that crashed did not say what to try.
    pub(crate) fn may_be_accidents(&self) -> bool {
        (1..=ACCIDENTS).contains(&self.failed) && self.failures.len() == self.failed && self.silent.is_empty()
    }

    /// Adds what came of the second try. What failed once and then passed has shown nothing: it is skipped,
    /// never passed.
    pub(crate) fn settle(&mut self, second: &Self) {
        let names = |failures: &[(String, String)]| -> BTreeSet<String> {
            failures.iter().map(|(name, _)| name.clone()).collect()
        };
        let again = names(&second.failures);
        // A name that two programs share, a second try that did not build: what is not seen to pass has
        // failed.
        let ran = second.passed + second.skipped.len() + second.failed;
        if !second.silent.is_empty()
            || ran != names(&self.failures).len()
            || self.failures.len() != self.failed
        {
            return;
        }
        for (name, said) in std::mem::take(&mut self.failures) {
            if again.contains(&name) {
                self.failures.push((name, said));
            } else {
                let why = said.lines().skip_while(|line| !line.contains("panicked at")).nth(1);
                let why = why.unwrap_or("no reason was given");
                self.skipped.push((name, format!("failed at first ({why}) and then passed")));
                self.failed -= 1;
            }
        }
    }
}

/// How many tests of a run may get a second try, as in a machine of the lane (`vm/src/again.rs`).
const ACCIDENTS: usize = 2;

enum Section {
    /// Output of tests that passed, and whose it is.
    Successes(Option<String>),
    /// Output of tests that failed, once one of them was named.
    Failures {
        has_name: bool,
    },
    Other,
}

/// Whose output begins with this line.
fn head_of(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
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
left: 1

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
        let said = "SKIP: this one failed\nthread 'wrong' panicked at x.rs:1:1:\nleft: 1\n\n";
        assert_eq!(tests.failures, [("wrong".to_owned(), said.to_owned())]);
        assert!(tests.silent.is_empty());
    }

    #[test]
    fn what_fails_twice_has_failed_and_what_passes_then_is_skipped() {
        let first = Tests::read(OUTPUT);
        assert!(first.may_be_accidents());
        let passed = "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out\n";
        let mut tests = first.clone();
        tests.settle(&Tests::read(passed));
        assert_eq!((tests.passed, tests.failed, tests.failures.len()), (2, 0, 0));
        let why = "failed at first (left: 1) and then passed".to_owned();
        assert_eq!(tests.skipped.last(), Some(&("wrong".to_owned(), why)));

        let mut tests = first.clone();
        tests.settle(&first);
        assert_eq!((tests.failed, tests.failures.len()), (1, 1), "a second try that ran other tests");
        let again = "failures:\n\n---- wrong stdout ----\nno\n\nfailures:\n    wrong\n\n\
                     test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out\n";
        tests.settle(&Tests::read(again));
        assert_eq!((tests.failed, tests.failures.len()), (1, 1));
        tests.settle(&Tests::read("error: could not compile `x`\n"));
        assert_eq!(tests.failed, 1, "nothing was tried");
    }

    #[test]
    fn a_program_that_crashed_gets_no_second_try() {
        let crash = "     Running unittests src/lib.rs (target/debug/deps/x-1)\n\nrunning 1 test\n\
                     error: test failed, to rerun pass `-p x --lib`\n";
        let other = format!("     Running tests/y.rs (target/debug/deps/y-2)\n{OUTPUT}");
        for output in [format!("{crash}{other}"), format!("{other}{crash}")] {
            let tests = Tests::read(&output);
            assert_eq!(tests.silent, ["unittests src/lib.rs (target/debug/deps/x-1)"]);
            assert_eq!(tests.failed, 1);
            assert!(!tests.may_be_accidents());
        }
        assert!(!Tests::read("error: could not compile `x`\n").may_be_accidents());
        let many = Tests { failed: 3, failures: vec![Default::default(); 3], ..Tests::default() };
        assert!(!many.may_be_accidents());
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
