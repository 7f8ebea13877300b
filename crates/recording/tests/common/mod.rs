//! What the tests share: where foreign recordings lie, scenarios to simulate.
#![allow(dead_code)] // each test uses some of it

use proptest::prelude::*;
use std::fmt::Write;
use std::path::PathBuf;
use tombola_recording::event::{Event, Kind};
use tombola_recording::reader::{Events, Reader};

/// A file of the folder beside the workspace, `shared/recordings`; says so and gives `None` where it is
/// absent.
pub(crate) fn foreign(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recordings").join(name);
    if !path.exists() {
        println!("SKIP: {name} is not beside the workspace, in shared/recordings");
        return None;
    }
    Some(path)
}

/// All events of a reader, which must not fail.
pub(crate) fn all(reader: &mut dyn Reader) -> Vec<Event> {
    Events(reader).collect::<Result<_, _>>().expect("a whole recording")
}

/// How many switches and wakes.
pub(crate) fn counts(events: &[Event]) -> (usize, usize) {
    let count = |wanted: fn(&Kind) -> bool| events.iter().filter(|e| wanted(&e.kind)).count();
    (count(|k| matches!(k, Kind::Switch { .. })), count(|k| matches!(k, Kind::Wake { .. })))
}

/// Tasks that burn, sleep, hold locks, hand work on, end; in groups with quotas; on some CPUs only.
pub(crate) fn any_scenario() -> impl Strategy<Value = String> {
    let task = (0u8..6, 1u64..12, 1u64..9, 0u64..9, 0u64..40, any::<bool>(), any::<bool>());
    (1u32..4, prop::collection::vec(task, 1..7), 0u64..2, prop::option::of(2u64..15)).prop_map(|(cpus, tasks, cost, quota)| {
        let quota = quota.map_or(String::new(), |ms| format!("quota = \"{ms}ms\"\nperiod = \"20ms\"\n"));
        let mut text = format!(
            "name = \"any\"\ncpus = {cpus}\nduration = \"300ms\"\nquantum = \"5ms\"\nswitch_cost = \"{}us\"\n[[group]]\nname = \"g\"\nweight = 512\n{quota}",
            cost * 20,
        );
        for (n, (kind, tickets, run, sleep, arrive, grouped, pinned)) in tasks.into_iter().enumerate() {
            let steps = match kind {
                0 => String::new(),
                1 => format!("phases = [{{ run = \"{run}ms\" }}, {{ sleep = \"{sleep}ms\" }}]"),
                2 => format!("phases = [{{ lock = \"m\" }}, {{ run = \"{run}ms\" }}, {{ unlock = \"m\" }}, {{ sleep = \"{sleep}ms\" }}]"),
                3 => format!("phases = [{{ run = \"{run}ms\" }}, {{ wake = \"other{n}\" }}, {{ sleep = \"{sleep}ms\" }}]\n[[task]]\nname = \"other{n}\"\nphases = [{{ wait = \"t{n}\" }}, {{ run = \"{run}ms\" }}]"),
                4 => format!("phases = [{{ run = \"{run}ms\" }}]\nloops = 3"),
                _ => format!("period = \"{}ms\"\nrun = \"{run}ms\"", run + sleep + 1),
            };
            let group = if grouped { "group = \"g\"\n" } else { "" };
            let pin = if pinned { "cpus = [0]\n" } else { "" };
            let _ = write!(text, "\n[[task]]\nname = \"t{n}\"\ntickets = {tickets}\narrive = \"{arrive}ms\"\n{group}{pin}{steps}\n");
        }
        text
    })
}
