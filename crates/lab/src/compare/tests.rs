use super::*;

const TEXT: &str = "name='x'\nduration='300ms'\nquantum='5ms'\n[[task]]\nname='a'\ntickets=2\n[[task]]\nname='b'\n\
    tickets=1\nrun='exp(2ms)'\nsleep='exp(3ms)'\n[expect]\nshare.a={at_least=0.3}\n[expect.for.rr]\nshare.a=0.99\n";

fn plan(scenario: &Scenario, jobs: usize, runs: u32) -> Plan<'_> {
    Plan {
        scenario,
        policies: vec![PolicyKind::Lottery, PolicyKind::RoundRobin, PolicyKind::Fluid],
        runs,
        seed: 3,
        jobs,
        observe: Observe::default(),
    }
}

#[test]
fn any_number_of_jobs_gives_the_same() {
    let scenario = Scenario::from_toml(TEXT).unwrap();
    let one = compare(&plan(&scenario, 1, 20), &|_| (), &AtomicBool::new(false));
    for jobs in [2, 3, 64] {
        assert_eq!(one, compare(&plan(&scenario, jobs, 20), &|_| (), &AtomicBool::new(false)));
    }
    assert!(one.complete);
    let lottery = one.policies[0].1.as_ref().unwrap();
    assert_eq!(lottery.runs, 20);
    assert!(lottery.tasks[0].share.half_width.unwrap() > 0.0);
    assert!(lottery.verdicts.len() == 1 && lottery.verdicts[0].holds);
    let rr = one.policies[1].1.as_ref().unwrap();
    assert!(rr.verdicts.len() == 2 && !rr.verdicts[1].holds);
}

#[test]
fn what_all_have_done_before_a_cancellation_is_the_result() {
    let scenario = Scenario::from_toml(TEXT).unwrap();
    for jobs in [1, 2] {
        let cancel = AtomicBool::new(false);
        let stop_after_seven = |progress: Progress| {
            cancel.fetch_or(progress.done >= 7, Ordering::Relaxed);
        };
        let part = compare(&plan(&scenario, jobs, 20), &stop_after_seven, &cancel);
        assert!(!part.complete);
        let runs = part.policies[0].1.as_ref().unwrap().runs;
        assert!(runs > 0 && runs < 5, "{runs} of {part:?}");
        let whole = compare(&plan(&scenario, 1, runs), &|_| (), &AtomicBool::new(false));
        assert_eq!(part.policies, whole.policies);
    }
}

#[test]
fn within_a_run_policies_take_turns() {
    let scenario = Scenario::from_toml(&TEXT.replace("300ms", "60s")).unwrap();
    let cancel = AtomicBool::new(false);
    let stop_at_half = |progress: Progress| {
        cancel.fetch_or(progress.permille >= 500, Ordering::Relaxed);
    };
    let part = compare(&plan(&scenario, 1, 1), &stop_at_half, &cancel);
    let parts = part.policies.iter().map(|(_, result)| result.as_ref().unwrap().duration_ns as f64 / 60e9);
    for part in parts {
        // Each is at most a step, a hundredth, and what it notices late beyond the one that is least far.
        assert!((part - 0.5).abs() < 0.03, "{part}");
    }
}

#[test]
fn a_deadlock_under_one_policy_leaves_the_others_their_results() {
    let text = "name='x'\nduration='1s'\nquantum='1ms'\n\
        [[task]]\nname='a'\nphases=[{lock='m'},{run='2ms'},{lock='n'},{unlock='n'},{unlock='m'}]\n\
        [[task]]\nname='b'\nphases=[{lock='n'},{run='2ms'},{lock='m'},{unlock='m'},{unlock='n'}]\n";
    let scenario = Scenario::from_toml(text).unwrap();
    let mut plan = plan(&scenario, 2, 1);
    plan.policies = vec![PolicyKind::RoundRobin, PolicyKind::Fifo];
    let comparison = compare(&plan, &|_| (), &AtomicBool::new(false));
    assert!(comparison.policies[0].1.is_err());
    assert!(comparison.policies[1].1.is_ok());
}

#[test]
fn the_interval_is_students() {
    // Mean 3, s = √2.5, t(4, .975) = 2.7764: half width 2.7764·√(2.5/5) = 1.9633.
    let estimate = Estimate::of(&[1.0, 2.0, 3.0, 4.0, 5.0]);
    assert!((estimate.mean - 3.0).abs() < 1e-12 && (estimate.half_width.unwrap() - 1.963_24).abs() < 1e-4);
    assert_eq!(Estimate::of(&[2.0]), Estimate { mean: 2.0, half_width: None });
}

/// Long work says how far it is within a run too, and never goes back.
#[test]
fn progress_is_told_within_a_run() {
    let scenario = Scenario::from_toml(&TEXT.replace("300ms", "30s")).unwrap();
    let seen = Mutex::new(Vec::new());
    let tell = |progress: Progress| seen.lock().unwrap().push((progress.permille, progress.done));
    let mut plan = plan(&scenario, 1, 2);
    plan.policies = vec![PolicyKind::Lottery];
    compare(&plan, &tell, &AtomicBool::new(false));
    let seen = seen.into_inner().unwrap();
    assert!(seen.len() > 100 && seen.is_sorted(), "{seen:?}");
    assert!(seen.iter().any(|(permille, done)| (100..500).contains(permille) && *done == 0));
    assert_eq!(seen.last(), Some(&(1000, 2)));
}
