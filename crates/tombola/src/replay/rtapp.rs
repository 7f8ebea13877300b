//! A replayed scenario as a workload of rt-app (`github.com/scheduler-tools/rt-app`, doc/tutorial.txt): the
//! inverse of the lab's import.
//!
//! | of the demand | in the file |
//! |---|---|
//! | a burst | `run`, µs; what is left over of a microsecond goes to the next, so that a task's sum is right to one |
//! | a pause, a device | `sleep`, µs |
//! | a timer | `timer`, absolute, of one clock a task: its period is the distance from the instant before |
//! | a wake, and the wait for it | `sem_post`, `sem_wait` of one semaphore for each pair |
//! | nice value, real-time priority, `SCHED_DEADLINE`, affinity, group | `priority`, `policy`, `dl-…`, `cpus`, `taskgroup` |
//!
//! What rt-app has no words for is said ([`Export::notes`]): weights that are no nice value's, weights and
//! quotas of groups.

use std::fmt::Write;
use tombola_core::reservation::Reservation;
use tombola_core::tickets::Nice;
use tombola_lab::scenario::{Class, Scenario, Step, Task, WHEN_WOKEN};

/// A file for rt-app.
pub(crate) struct Export {
    /// Its text.
    pub(crate) text: String,
    /// What it cannot say.
    pub(crate) notes: Vec<String>,
}

/// Writes it. `reserved`: what the deadline class promised each task of the scenario, in their order.
pub(crate) fn export(scenario: &Scenario, reserved: &[Option<Reservation>]) -> Export {
    let seconds = scenario.duration_ns.div_ceil(1_000_000_000).max(1);
    let mut text = "{\n  \"tasks\": {".to_owned();
    for (at, task) in scenario.tasks.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(text, "{comma}\n    {}: {{\n      \"loop\": 1", quoted(&task.name));
        let reserved = reserved.get(at).copied().flatten();
        settings(&mut text, scenario, task, reserved);
        events(&mut text, scenario, task, seconds);
        text += "\n    }";
    }
    let _ = writeln!(
        text,
        "\n  }},\n  \"global\": {{ \"duration\": {seconds}, \"default_policy\": \"SCHED_OTHER\" }}\n}}"
    );
    Export { text, notes: notes(scenario, reserved) }
}

fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// Policy and what belongs to it, CPUs, group, begin.
fn settings(text: &mut String, scenario: &Scenario, task: &Task, reserved: Option<Reservation>) {
    let us = |ns: u64| (ns / 1000).max(1);
    let _ = match (reserved, task.class) {
        (Some(promised), _) => write!(
            text,
            ",\n      \"policy\": \"SCHED_DEADLINE\", \"dl-runtime\": {}, \"dl-deadline\": {}, \"dl-period\": {}",
            us(promised.runtime_ns),
            us(promised.deadline_ns),
            us(promised.period_ns)
        ),
        (None, Class::Fair) => write!(text, ",\n      \"priority\": {}", nice(task).get()),
        (None, Class::Fifo) => {
            write!(text, ",\n      \"policy\": \"SCHED_FIFO\", \"priority\": {}", task.priority)
        }
        (None, Class::RoundRobin) => {
            write!(text, ",\n      \"policy\": \"SCHED_RR\", \"priority\": {}", task.priority)
        }
    };
    // The kernel takes no affinity from a task of the deadline class.
    if let (Some(cpus), None) = (&task.cpus, reserved) {
        let _ = write!(text, ",\n      \"cpus\": {cpus:?}");
    }
    if let Some(group) = task.group {
        let name = &scenario.groups[group].name;
        let path = if name.starts_with('/') { name.clone() } else { format!("/{}", name.replace('/', "_")) };
        let _ = write!(text, ",\n      \"taskgroup\": {}", quoted(&path));
    }
    if task.arrive_ns != WHEN_WOKEN && task.arrive_ns >= 1000 {
        let _ = write!(text, ",\n      \"delay\": {}", task.arrive_ns / 1000);
    }
}

fn events(text: &mut String, scenario: &Scenario, task: &Task, seconds: u64) {
    // Nanoseconds that are not told yet, and the instant on which the timer stands, µs.
    let mut rest_ns = 0;
    let mut timer_us = if task.arrive_ns == WHEN_WOKEN { 0 } else { task.arrive_ns / 1000 };
    let mut told = 0;
    for (at, step) in task.steps.iter().enumerate() {
        let event = match step {
            Step::Run(span) => {
                rest_ns += span.mean_ns();
                let us = rest_ns / 1000;
                rest_ns %= 1000;
                (us > 0).then(|| format!("\"run{at}\": {us}"))
            }
            Step::Burn => Some(format!("\"run{at}\": {}", seconds * 1_000_000)),
            Step::Sleep(span) => Some(format!("\"sleep{at}\": {}", span.mean_ns() / 1000)),
            Step::Until(instant) => {
                let period_us = (instant / 1000).saturating_sub(timer_us);
                timer_us += period_us;
                (period_us > 0).then(|| {
                    format!(
                        "\"timer{at}\": {{ \"ref\": \"unique\", \"period\": {period_us}, \"mode\": \"absolute\" }}"
                    )
                })
            }
            Step::Post { event, .. } => {
                Some(format!("\"sem_post{at}\": {}", quoted(&scenario.events[*event].name)))
            }
            Step::Await { event } => {
                Some(format!("\"sem_wait{at}\": {}", quoted(&scenario.events[*event].name)))
            }
            // A demand has none of these.
            Step::NextJob { .. } | Step::NextArrival(_) | Step::Lock(_) | Step::Unlock(_) => None,
        };
        if let Some(event) = event {
            told += 1;
            let _ = write!(text, ",\n      {event}");
        }
    }
    if told == 0 {
        // Bursts of less than a microsecond in all.
        *text += ",\n      \"run\": 1";
    }
}

/// The nice value whose weight is nearest in ratio.
fn nice(task: &Task) -> Nice {
    let off = |nice: &Nice| {
        let (one, two) = (f64::from(nice.weight()), task.tickets.max(1) as f64);
        (one / two).max(two / one)
    };
    let all = (-20..=19).filter_map(|nice| Nice::new(nice).ok());
    all.min_by(|a, b| off(a).total_cmp(&off(b))).unwrap_or_default()
}

fn notes(scenario: &Scenario, reserved: &[Option<Reservation>]) -> Vec<String> {
    let is_reserved = |at: usize| reserved.get(at).is_some_and(Option::is_some);
    let odd = |(at, task): &(usize, &Task)| {
        task.class == Class::Fair && !is_reserved(*at) && u64::from(nice(task).weight()) != task.tickets
    };
    let of_no_nice = scenario.tasks.iter().enumerate().filter(odd).count();
    let weighty =
        scenario.groups.iter().filter(|group| group.weight != 1024 || group.quota.is_some()).count();
    let pinned =
        (0..).zip(&scenario.tasks).filter(|(at, task)| is_reserved(*at) && task.cpus.is_some()).count();
    [
        (of_no_nice, "tasks have a weight that is no nice value's: they get the nearest"),
        (
            weighty,
            "groups have a weight or a quota, which rt-app cannot set: write cpu.weight and cpu.max yourself",
        ),
        (pinned, "tasks of SCHED_DEADLINE have an affinity, which the kernel does not take from them"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tombola_lab::outcome::{Observe, run};
    use tombola_lab::policy::PolicyKind;
    use tombola_lab::scenario::rtapp::from_rtapp;
    use tombola_lab::scenario::{Event, EventKind};
    use tombola_lab::span::Span;

    fn task(name: &str, steps: Vec<Step>) -> Task {
        Task {
            name: name.to_owned(),
            count: 1,
            group: None,
            tickets: 1024,
            nice: Nice::default(),
            class: Class::Fair,
            priority: 0,
            arrive_ns: 0,
            cpus: None,
            steps,
            loops: 1,
            again: 0,
            total_ns: 0,
            periodic: None,
            reserve: None,
            request_ns: 0,
        }
    }

    fn scenario(tasks: Vec<Task>) -> Scenario {
        let text = "{ \"tasks\": { \"a\": { \"run\": 1 } }, \"global\": { \"duration\": 2 } }";
        let mut scenario = from_rtapp(text, "empty", Some(2)).unwrap().scenario;
        let receiver = |to: usize| Event { name: format!("wake of {to}"), kind: EventKind::Receiver(to) };
        scenario.events = (0..tasks.len()).map(receiver).collect();
        scenario.tasks = tasks;
        scenario
    }

    fn back(scenario: &Scenario, reserved: &[Option<Reservation>]) -> Scenario {
        from_rtapp(&export(scenario, reserved).text, "back", Some(scenario.cpus)).unwrap().scenario
    }

    /// What a task does, µs: bursts, sleeps, instants of timers; wakes and waits by name.
    fn told(scenario: &Scenario, task: &Task) -> Vec<(&'static str, String)> {
        let mut timer = if task.arrive_ns == WHEN_WOKEN { 0 } else { task.arrive_ns / 1000 };
        let name = |event: usize| {
            let name = &scenario.events[event].name;
            name.strip_prefix("semaphore '")
                .map_or(name.clone(), |name| name.trim_end_matches('\'').to_owned())
        };
        let step = |step: &Step| match step {
            Step::Run(span) => ("run", (span.mean_ns() / 1000).to_string()),
            Step::Burn => ("run", "2000000".to_owned()),
            Step::Sleep(span) => ("sleep", (span.mean_ns() / 1000).to_string()),
            Step::Until(at) => ("until", (at / 1000).to_string()),
            Step::NextJob { period_ns, .. } => {
                timer += period_ns / 1000;
                ("until", timer.to_string())
            }
            Step::Post { event, .. } => ("post", name(*event)),
            Step::Await { event } => ("await", name(*event)),
            Step::NextArrival(_) | Step::Lock(_) | Step::Unlock(_) => unreachable!(),
        };
        task.steps.iter().map(step).collect()
    }

    fn any_steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (1u64..5000).prop_map(|us| Step::Run(Span::Fixed(us * 1000))),
            (0u64..5000).prop_map(|us| Step::Sleep(Span::Fixed(us * 1000))),
            (1u64..900).prop_map(|us| Step::Until(us * 1000)),
            (0usize..3).prop_map(|event| Step::Post { event, all: true }),
            (0usize..3).prop_map(|event| Step::Await { event }),
        ];
        prop::collection::vec(step, 1..12).prop_map(|mut steps| {
            // Instants of a task come one after the other.
            let mut last = 1_000_000;
            for step in &mut steps {
                if let Step::Until(at) = step {
                    last += *at;
                    *at = last;
                }
            }
            steps.push(Step::Run(Span::Fixed(1000)));
            steps
        })
    }

    proptest! {
        #[test]
        fn what_is_imported_again_is_the_same_demand(
            all in prop::collection::vec((any_steps(), 0u64..1000, any::<bool>(), -20i64..20), 3),
        ) {
            let tasks = all.into_iter().enumerate().map(|(at, (steps, delay, woken, nice))| {
                let mut task = task(&format!("t \"{at}\"#2"), steps);
                task.nice = Nice::new(nice).unwrap();
                task.tickets = task.nice.weight().into();
                task.cpus = (at == 1).then(|| vec![1]);
                task.arrive_ns = delay * 1000;
                if woken {
                    task.steps.insert(0, Step::Await { event: at });
                    task.arrive_ns = WHEN_WOKEN;
                }
                task
            });
            let before = scenario(tasks.collect());
            let after = back(&before, &[]);
            for (one, two) in before.tasks.iter().zip(&after.tasks) {
                prop_assert_eq!(told(&before, one), told(&after, two));
                prop_assert_eq!((&one.name, one.nice, one.tickets, &one.cpus), (&two.name, two.nice, two.tickets, &two.cpus));
                let arrives = if one.arrive_ns == WHEN_WOKEN { 0 } else { one.arrive_ns };
                prop_assert_eq!(arrives, two.arrive_ns);
            }
        }

        /// Bursts that are no whole microseconds: the sum is right to one.
        #[test]
        fn what_is_left_of_a_microsecond_is_not_lost(bursts in prop::collection::vec(1u64..10_000, 1..200)) {
            let steps = bursts.iter().flat_map(|ns| [Step::Run(Span::Fixed(*ns)), Step::Sleep(Span::Fixed(5_000))]);
            let before = scenario(vec![task("t", steps.collect())]);
            let after = back(&before, &[]);
            let runs = after.tasks[0].steps.iter().map(|step| if let Step::Run(span) = step { span.mean_ns() } else { 0 });
            let (sum, told): (u64, u64) = (bursts.iter().sum(), runs.sum());
            prop_assert!(sum.abs_diff(told) < 1000, "{} {}", sum, told);
        }
    }

    #[test]
    fn a_task_of_less_than_a_microsecond_has_one() {
        let before = scenario(vec![task("t", vec![Step::Run(Span::Fixed(1))])]);
        assert_eq!(back(&before, &[]).tasks[0].steps, [Step::Run(Span::Fixed(1000))]);
    }

    /// A pipeline, a timer and a burner come to the same when the exported file is simulated.
    #[test]
    fn both_are_served_the_same() {
        let ms = |n: u64| Span::Fixed(n * 1_000_000);
        let timer: Vec<Step> = (1..40)
            .flat_map(|n| [Step::Until(n * 37_000_000), Step::Run(ms(3)), Step::Post { event: 1, all: true }])
            .collect();
        let served: Vec<Step> = (1..40).flat_map(|_| [Step::Await { event: 1 }, Step::Run(ms(5))]).collect();
        let mut heavy = task("burns", vec![Step::Burn]);
        (heavy.nice, heavy.tickets) = (Nice::new(-5).unwrap(), Nice::new(-5).unwrap().weight().into());
        let mut before = scenario(vec![task("paced", timer), task("served", served), heavy]);
        before.cpus = 1;
        let after = back(&before, &[]);
        let of = |scenario: &Scenario| {
            let outcome = run(scenario, PolicyKind::EevdfLinux, 1, 0, Observe::default(), None, &|_| true);
            outcome.unwrap().tasks.iter().map(|task| task.runtime_ns).collect::<Vec<_>>()
        };
        assert_eq!(of(&before), of(&after));
    }

    #[test]
    fn what_cannot_be_said_is_noted() {
        let mut one = task("one", vec![Step::Run(Span::Fixed(1_000_000))]);
        one.tickets = 1000;
        let two = task("two", vec![Step::Run(Span::Fixed(1_000_000))]);
        let mut scenario = scenario(vec![one, two]);
        scenario.groups.push(tombola_lab::scenario::Group {
            name: "/a".to_owned(),
            parent: None,
            weight: 2048,
            quota: None,
        });
        let promised = Reservation { runtime_ns: 2_000_000, deadline_ns: 10_000_000, period_ns: 10_000_000 };
        let export = export(&scenario, &[None, Some(promised)]);
        assert_eq!(export.notes.len(), 2, "{:?}", export.notes);
        let back = from_rtapp(&export.text, "back", Some(2)).unwrap().scenario;
        let reserve = back.tasks[1].reserve.map(|quota| (quota.quota_ns, quota.period_ns));
        assert_eq!((back.tasks[0].nice.get(), reserve), (0, Some((2_000_000, 10_000_000))));
    }
}
