//! How a step ended, and how a machine did.

use std::fmt;

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ran and succeeded.
    Pass,
    /// It could not run, for this reason.
    Skip(String),
    /// It ran and failed.
    Fail(String),
}

/// A step's name and end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Name of the step.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Pass => write!(f, "PASS  {}", self.name),
            Outcome::Skip(reason) => write!(f, "SKIP  {}: {reason}", self.name),
            Outcome::Fail(reason) => write!(f, "FAIL  {}: {reason}", self.name),
        }
    }
}

/// Everything a machine came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// What `uname -r` says in there, once it was seen.
    pub release: Option<String>,
    /// In the order in which the steps ended.
    pub verdicts: Vec<Verdict>,
    /// The step that had begun and not ended when the machine went off, where that is nobody's failure.
    pub open: Option<String>,
    /// Why the machine did not come to the end of its plan by no fault of a test.
    pub trouble: Option<String>,
}

impl Run {
    /// Verdicts that pass, are skipped, fail.
    pub fn counts(&self) -> (usize, usize, usize) {
        self.verdicts.iter().fold((0, 0, 0), |(pass, skip, fail), verdict| match verdict.outcome {
            Outcome::Pass => (pass + 1, skip, fail),
            Outcome::Skip(_) => (pass, skip + 1, fail),
            Outcome::Fail(_) => (pass, skip, fail + 1),
        })
    }

    /// Takes in what another machine of the same kernel came to.
    pub fn add(&mut self, other: Self) {
        self.release = self.release.take().or(other.release);
        self.verdicts.extend(other.verdicts);
        self.trouble = self.trouble.take().or(other.trouble);
    }

    /// Whether a test failed.
    pub fn failed(&self) -> bool {
        self.counts().2 > 0
    }
}
