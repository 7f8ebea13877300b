//! A second, fresh machine for what went wrong in the first, and what both together say.
//!
//! An emulated machine stands still whenever its host does something else, and tests that compare clocks see
//! that. So a failure counts if a fresh machine shows it too; what a second one does not show has shown
//! nothing, and is reported as that.

use crate::plan::{Plan, Step};
use crate::verdict::{Outcome, Run};

/// How many tests of one machine may get a second try. More are no accident.
const ACCIDENTS: usize = 2;

/// What to do once more, if anything: the steps that failed, if they are few, and those that the machine did
/// not come to.
pub fn second_plan(plan: &Plan, run: &Run) -> Option<Plan> {
    let verdict = |step: &Step| run.verdicts.iter().find(|v| v.name == step.name).map(|v| &v.outcome);
    let failed = plan.steps.iter().filter(|s| matches!(verdict(s), Some(Outcome::Fail(_)))).count();
    let open = |step: &&Step| matches!(verdict(step), None | Some(Outcome::Fail(_)));
    let steps: Vec<Step> = plan.steps.iter().filter(open).cloned().collect();
    let once_more = failed <= ACCIDENTS && (failed > 0 || run.trouble.is_some());
    (once_more && !steps.is_empty()).then_some(Plan { steps })
}

/// Adds the second machine's outcome to the first one's. What failed in one machine, or made it fall silent,
/// and passed in the other is skipped by name, never passed.
pub fn settle(first: Run, second: Run) -> Run {
    let mut run =
        Run { trouble: second.trouble, release: first.release.or(second.release), ..Run::default() };
    let silent = first.open.zip(first.trouble);
    run.verdicts = first.verdicts;
    for mut verdict in second.verdicts {
        let not_in = |why: &str| Outcome::Skip(format!("{why} and passed in another"));
        let passed = verdict.outcome == Outcome::Pass;
        if let Some(known) = run.verdicts.iter_mut().find(|known| known.name == verdict.name) {
            if let (Outcome::Fail(reason), true) = (&known.outcome, passed) {
                known.outcome = not_in(&format!("failed in one machine ({reason})"));
            }
            continue;
        }
        if let Some((_, why)) = silent.as_ref().filter(|(open, _)| passed && *open == verdict.name) {
            verdict.outcome = not_in(&format!("not done in one machine ({why})"));
        }
        run.verdicts.push(verdict);
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    fn step(name: &str) -> Step {
        Step { name: name.into(), argv: Vec::new(), as_user: false, limit_s: 1 }
    }

    fn verdict(name: &str, outcome: Outcome) -> Verdict {
        Verdict { name: name.into(), outcome }
    }

    fn fail() -> Outcome {
        Outcome::Fail("late".into())
    }

    #[test]
    fn a_failure_gets_a_second_try_and_many_do_not() {
        let plan = Plan { steps: ["a", "b", "c", "d"].map(step).into() };
        let run = |verdicts: Vec<Verdict>| Run { verdicts, ..Run::default() };
        let first = run(vec![verdict("a", Outcome::Pass), verdict("b", fail()), verdict("c", fail())]);
        // A panic also takes the steps behind it: they have no verdict yet.
        let again = second_plan(&plan, &first).unwrap();
        assert_eq!(again.steps, [step("b"), step("c"), step("d")]);
        let second =
            run(vec![verdict("b", Outcome::Pass), verdict("c", fail()), verdict("d", Outcome::Pass)]);
        let both = settle(first, second);
        assert_eq!(both.counts(), (2, 1, 1));
        assert_eq!(second_plan(&plan, &run(["b", "c", "d"].map(|name| verdict(name, fail())).into())), None);
        let good = ["a", "b", "c", "d"].map(|name| verdict(name, Outcome::Pass));
        assert_eq!(second_plan(&plan, &run(good.into())), None);
    }

    #[test]
    fn what_a_silent_machine_left_is_done_in_another() {
        let plan = Plan { steps: ["a", "b", "c"].map(step).into() };
        let silent = || Run {
            verdicts: vec![verdict("a", Outcome::Pass)],
            open: Some("b".into()),
            trouble: Some("silent for 120 s during 'b'".into()),
            ..Run::default()
        };
        assert_eq!(second_plan(&plan, &silent()).unwrap().steps, [step("b"), step("c")]);
        let second = Run {
            verdicts: vec![verdict("b", Outcome::Pass), verdict("c", Outcome::Pass)],
            ..Run::default()
        };
        let both = settle(silent(), second);
        assert_eq!((both.counts(), &both.trouble), ((2, 1, 0), &None));
        assert_eq!(both.verdicts[1].name, "b");
        assert!(matches!(both.verdicts[1].outcome, Outcome::Skip(_)));
        // Twice is trouble that stays.
        let both = settle(silent(), Run { trouble: Some("never came up".into()), ..Run::default() });
        assert_eq!((both.counts(), both.trouble.as_deref()), ((1, 0, 0), Some("never came up")));
    }
}
