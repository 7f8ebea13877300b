//! What the whole lane has shown, as a status and a last line.

use crate::verdict::{Outcome, Run};

/// Everything went well.
pub const GOOD: u8 = 0;
/// A test failed.
pub const FAILED: u8 = 1;
/// Something could not be done, and enough was shown beside it, or no change of ours could mend it: no
/// network, an archive that does not answer, a machine without apt.
pub const TROUBLE: u8 = 3;
/// Something could not be done, a change of ours could mend it, and too little was shown.
pub const TOO_LITTLE: u8 = 4;

/// Kernels that have to pass, one of them with `sched_ext`, for trouble in others not to matter.
const ENOUGH: usize = 3;

/// What one kernel has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    /// Its series.
    pub name: &'a str,
    /// What came of its machines.
    pub run: &'a Run,
    /// Whether no change of ours could mend its trouble.
    pub outside: bool,
}

impl Shown<'_> {
    fn passed(&self, is_one: impl Fn(&str) -> bool) -> bool {
        let mut verdicts = self.run.verdicts.iter();
        let is_clean = !self.run.failed() && self.run.trouble.is_none();
        is_clean && verdicts.any(|verdict| verdict.outcome == Outcome::Pass && is_one(&verdict.name))
    }

    /// Whether a test passed and none failed. That tombola starts in it is none.
    fn has_passed(&self) -> bool {
        self.passed(|name| !name.ends_with("doctor"))
    }

    /// Whether a test of the scheduler did.
    fn has_scheduled(&self) -> bool {
        self.passed(|name| name.starts_with("scx_"))
    }
}

/// The status, and the line that says why. `whole` is whether these are all kernels with all their tests.
pub fn judge(kernels: &[Shown<'_>], whole: bool) -> (u8, String) {
    let names = |is_one: &dyn Fn(&Shown<'_>) -> bool| {
        let names: Vec<&str> = kernels.iter().filter(|one| is_one(one)).map(|one| one.name).collect();
        (names.len(), names.join(", "))
    };
    let (failed, which) = names(&|one| one.run.failed());
    if failed > 0 {
        return (FAILED, format!("lane: tests failed in {which}"));
    }
    let (passed, _) = names(&|one| one.has_passed());
    let (scheduled, _) = names(&|one| one.has_scheduled());
    let enough = passed >= ENOUGH && scheduled > 0;
    let shown =
        format!("lane: tests passed in {passed} of {}, of sched_ext in {scheduled}", count(kernels.len()));
    let mut troubles = kernels.iter().filter_map(|one| Some((one, one.run.trouble.as_deref()?))).peekable();
    if troubles.peek().is_none() {
        if whole && !enough {
            return (TOO_LITTLE, format!("{shown}: at least {ENOUGH} have to, one of them with sched_ext"));
        }
        return (GOOD, shown);
    }
    let outside = troubles.clone().all(|(one, _)| one.outside);
    let reasons: Vec<String> = troubles.map(|(one, why)| format!("{} ({why})", one.name)).collect();
    let reasons = format!("{shown}; not done: {}", reasons.join(", "));
    match (enough, outside) {
        (true, _) => (TROUBLE, reasons),
        (false, true) => (TROUBLE, format!("{reasons}; nothing in this source tree can mend that")),
        (false, false) => {
            (TOO_LITTLE, format!("{reasons}; at least {ENOUGH} have to pass, one with sched_ext"))
        }
    }
}

fn count(kernels: usize) -> String {
    format!("{kernels} kernel{}", if kernels == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    fn run(passes: &[&str], trouble: Option<&str>) -> Run {
        let pass = |name: &&str| Verdict { name: (*name).to_owned(), outcome: Outcome::Pass };
        Run {
            verdicts: passes.iter().map(pass).collect(),
            trouble: trouble.map(str::to_owned),
            ..Run::default()
        }
    }

    fn shown<'a>(name: &'a str, run: &'a Run) -> Shown<'a> {
        Shown { name, run, outside: false }
    }

    #[test]
    fn three_kernels_and_one_with_a_scheduler_are_enough() {
        let monitor = run(&["doctor", "root_exec"], None);
        let scheduler = run(&["root_exec", "scx_shares"], None);
        let silent = run(&["root_exec"], Some("silent for 120 s"));
        let all = [
            shown("5.10", &monitor),
            shown("6.1", &silent),
            shown("6.12", &monitor),
            shown("7.3", &scheduler),
        ];
        let (status, line) = judge(&all, true);
        assert_eq!(status, TROUBLE);
        assert_eq!(
            line,
            "lane: tests passed in 3 of 4 kernels, of sched_ext in 1; not done: 6.1 (silent for 120 s)"
        );
        // Two and one that fell silent are not, nor are three without a scheduler.
        assert_eq!(judge(&all[1..], true).0, TOO_LITTLE);
        let without = [all[0].clone(), all[0].clone(), all[2].clone(), all[1].clone()];
        assert_eq!(judge(&without, true).0, TOO_LITTLE);
        // One kernel that was asked for and passed is what was asked for.
        assert_eq!(
            judge(&all[..1], false),
            (GOOD, "lane: tests passed in 1 of 1 kernel, of sched_ext in 0".into())
        );
        assert_eq!(judge(&[all[0].clone(), all[2].clone(), all[3].clone()], true).0, GOOD);
    }

    #[test]
    fn what_no_change_of_ours_could_mend_is_trouble_and_named_in_the_last_line() {
        let down = run(&[], Some("the archive does not answer"));
        let outside = |name| Shown { outside: true, ..shown(name, &down) };
        let (status, line) = judge(&[outside("5.10"), outside("6.1")], true);
        assert_eq!(status, TROUBLE);
        assert!(line.contains("5.10 (the archive does not answer)") && line.contains("can mend"), "{line}");
        // One of ours beside it counts.
        assert_eq!(judge(&[outside("5.10"), shown("6.1", &down)], true).0, TOO_LITTLE);
    }

    #[test]
    fn skipping_everything_passes_nothing() {
        let skip = |name: &str| Verdict { name: name.into(), outcome: Outcome::Skip("no sched_ext".into()) };
        let skipped = Run { verdicts: vec![skip("scx_shares"), skip("root_exec")], ..Run::default() };
        let started = run(&["doctor", "user doctor"], None);
        let all = [shown("a", &skipped), shown("b", &skipped), shown("c", &started)];
        let (status, line) = judge(&all, true);
        assert_eq!((status, line.contains("passed in 0 of 3 kernels")), (TOO_LITTLE, true), "{line}");
    }

    #[test]
    fn a_failure_weighs_more_than_trouble() {
        let mut bad = run(&["root_exec"], Some("silent"));
        bad.verdicts.push(Verdict { name: "root_x".into(), outcome: Outcome::Fail("late".into()) });
        let good = run(&["scx_shares"], None);
        let all = [shown("5.10", &good), shown("6.1", &good), shown("6.12", &good), shown("7.3", &bad)];
        assert_eq!(judge(&all, true), (FAILED, "lane: tests failed in 7.3".into()));
    }
}
