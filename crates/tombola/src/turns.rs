//! From the turns of a simulated machine to the events that a kernel would have told of it.

use anyhow::{Result, bail};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tombola_lab::engine::{SimError, Simulation};
use tombola_lab::policy::{Departure, PolicyKind};
use tombola_lab::scenario::Scenario;
use tombola_lab::trace::Turn;
use tombola_recording::event::{Event, Left};
use tombola_recording::simulated::{self, Simulated};
use tombola_recording::writer::{Options, PerfettoWriter};

/// Parts of the duration between two looks at signals and at the events that have gathered.
const PARTS: u64 = 1000;

/// Runs a scenario once and gives every event to `take`; stops early when `cancel` becomes true. Returns
/// until when it came, and the error that ended it, if one did: a simulation that can never go on says so,
/// and what was before is told.
///
/// # Errors
/// Those of `take`.
pub fn events(
    scenario: &Scenario,
    policy: PolicyKind,
    (seed, run): (u64, u32),
    cancel: &AtomicBool,
    take: &mut dyn FnMut(&Event) -> Result<()>,
) -> Result<(u64, Option<SimError>)> {
    let mut simulation = Simulation::new(scenario, policy, seed, run);
    let told = Arc::new(Mutex::new(Simulated::new(scenario.cpus, &simulation.snapshot().groups)));
    let teller = Arc::clone(&told);
    simulation.trace(Box::new(move |turn| {
        tell(&mut teller.lock().unwrap_or_else(PoisonError::into_inner), turn);
    }));
    let step_ns = (scenario.duration_ns / PARTS).max(1);
    let mut failed = None;
    while failed.is_none() && simulation.now_ns() < scenario.duration_ns && !cancel.load(Ordering::Relaxed) {
        failed = simulation.run_until((simulation.now_ns() + step_ns).min(scenario.duration_ns)).err();
        for event in told.lock().unwrap_or_else(PoisonError::into_inner).events() {
            take(&event)?;
        }
    }
    let end_ns = simulation.now_ns();
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    told.finish(end_ns);
    told.events().try_for_each(|event| take(&event))?;
    Ok((end_ns, failed))
}

fn tell(told: &mut Simulated, turn: &Turn) {
    let pid = |task: usize| u32::try_from(task + 1).unwrap_or(u32::MAX);
    let number = |cpu: usize| u32::try_from(cpu).unwrap_or(u32::MAX);
    match turn {
        Turn::Born { at_ns, totals } => told.born(*at_ns, totals),
        Turn::Woken { at_ns, task, by } => told.woken(*at_ns, pid(*task), by.map(pid)),
        Turn::Came { at_ns, cpu, task } => told.came(*at_ns, number(*cpu), pid(*task)),
        Turn::Left { at_ns, cpu, why, .. } => {
            let state = match why {
                Departure::Blocked => Left::Sleep,
                Departure::Ended => Left::Dead,
                why => Left::Runnable { preempted: Some(*why == Departure::Preempted) },
            };
            told.left(*at_ns, number(*cpu), state);
        }
    }
}

/// Writes the recording of one run as a Perfetto trace.
///
/// # Errors
/// The output cannot be written; the simulation cannot go on.
pub fn record(
    scenario: &Scenario,
    policy: PolicyKind,
    seed: u64,
    cancel: &AtomicBool,
    out: &mut dyn Write,
) -> Result<()> {
    let options = Options { numbers: true, ..Options::default() };
    let mut writer = PerfettoWriter::new(out, &simulated::header(scenario.cpus, policy.name()), options)?;
    let (end_ns, failed) =
        events(scenario, policy, (seed, 0), cancel, &mut |event| Ok(writer.event(event)?))?;
    writer.finish(Some(end_ns))?;
    match failed {
        Some(error) => bail!("{error}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write as _;
    use tombola_recording::playback::Playback;
    use tombola_recording::reader;

    const MS: u64 = 1_000_000;

    /// What the verb writes, read from a file, gives the simulator's own totals, and its entitlement to less
    /// than 1 ns.
    fn check(text: &str, policy: PolicyKind) -> Result<(), TestCaseError> {
        let scenario = Scenario::from_toml(text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        let mut simulation = Simulation::new(&scenario, policy, 5, 0);
        simulation.track_entitlement();
        simulation.run_until(scenario.duration_ns).unwrap();
        let (truth, outcome) = (simulation.snapshot(), simulation.outcome());
        let file = tempfile::NamedTempFile::new().unwrap();
        record(&scenario, policy, 5, &AtomicBool::new(false), &mut file.as_file()).unwrap();
        let mut playback = Playback::new(reader::open(file.path()).unwrap());
        prop_assert_eq!(playback.header().first_format(), format!("{}{policy}", simulated::UNDER));
        playback.keep_ledger();
        playback.advance_to_end().unwrap();
        playback.settle_ledger(scenario.duration_ns);
        prop_assert_eq!(&playback.snapshot_at_end().tasks, &truth.tasks);
        let ledger = playback.ledger().unwrap();
        prop_assert_eq!(ledger.doubtful_ns(), 0);
        let mut first = 0;
        for (entry, truth) in scenario.tasks.iter().zip(&outcome.tasks) {
            let pids = first + 1..=first + entry.count;
            first += entry.count;
            let own = ledger.accounts().filter(|(id, _)| pids.contains(&id.pid));
            let entitled: f64 = own.map(|(_, account)| account.entitled_ns).sum();
            let whole = scenario.duration_ns as f64 * f64::from(scenario.cpus);
            let expected = truth.entitled_share.unwrap() * whole;
            prop_assert!((entitled - expected).abs() < 1.0, "{}: {entitled} and {expected}", entry.name);
        }
        Ok(())
    }

    fn any_scenario() -> impl Strategy<Value = String> {
        let task = (1u64..50, 0u64..5, 1u64..20, 1u64..20, any::<bool>(), 0u64..50);
        (1u32..4, prop::collection::vec(task, 1..5)).prop_map(|(cpus, tasks)| {
            let mut text = format!("name='x'\ncpus={cpus}\nduration='300ms'\n[[group]]\nname='g'\nweight=300\n");
            for (n, (tickets, kind, run, sleep, grouped, arrive)) in tasks.into_iter().enumerate() {
                let steps = match kind {
                    0 => String::new(),
                    1 => format!("run='{run}ms'\nsleep='{sleep}ms'"),
                    2 => format!("loops=1\nphases=[{{run='{run}ms'}},{{until='{}ms'}},{{run='{run}ms'}}]", 9 * sleep),
                    3 => format!(
                        "phases=[{{run='{run}ms'}},{{wake='child{n}'}},{{sleep='{sleep}ms'}}]\n[[task]]\nname='child{n}'\narrive='woken'\nphases=[{{wait='t{n}'}},{{run='{run}ms'}}]"
                    ),
                    _ => format!("period='{}ms'\nrun='{run}ms'", run + sleep),
                };
                let group = if grouped { "group='g'\n" } else { "" };
                let _ = writeln!(text, "[[task]]\nname='t{n}'\ntickets={tickets}\narrive='{arrive}ms'\n{group}{steps}");
            }
            text
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
        #[test]
        fn a_recording_of_any_simulation_is_the_simulation(text in any_scenario(), policy in 0usize..4) {
            let policies = [PolicyKind::EevdfLinux, PolicyKind::Lottery, PolicyKind::Stride, PolicyKind::RoundRobin];
            check(&text, policies[policy])?;
        }
    }

    #[test]
    fn what_cannot_go_on_is_said_and_what_was_before_is_written() {
        let text = "name='x'\nduration='1s'\n\
            [[task]]\nname='A'\nphases=[{run='1ms'},{wait='B'},{wake='B'}]\n\
            [[task]]\nname='B'\nphases=[{run='1ms'},{wait='A'},{wake='A'}]\n";
        let scenario = Scenario::from_toml(text).unwrap();
        let mut count = 0;
        let mut take = |_: &Event| {
            count += 1;
            Ok(())
        };
        let (end_ns, failed) =
            events(&scenario, PolicyKind::RoundRobin, (1, 0), &AtomicBool::new(false), &mut take).unwrap();
        assert!(matches!(failed, Some(SimError::Deadlock { .. })) && count > 4);
        assert!((2 * MS..scenario.duration_ns).contains(&end_ns), "{end_ns}");
    }
}
