//! Decisions and nothing else, to be counted by a profiler: burners of 1 to 10 tickets on one CPU.
//!
//! `valgrind --tool=callgrind target/release/examples/burners lottery 100 100000`: policy, tasks, decisions.
//! The policy `ring` is none of the lab's: it is the least that one can cost, so that what is left is the
//! engine's.

use std::collections::VecDeque;
use std::fmt::Write as _;
use tombola_lab::engine::Simulation;
use tombola_lab::machine::{CpuIx, Machine, TaskIx};
use tombola_lab::policy::{Arrival, Pick, Policy, PolicyKind};
use tombola_lab::scenario::Scenario;

/// Turns in order of coming.
#[derive(Default)]
struct Ring(VecDeque<TaskIx>);

impl Policy for Ring {
    fn enqueue(&mut self, _machine: &mut Machine, task: TaskIx, _why: Arrival) {
        self.0.push_back(task);
    }

    fn pick(&mut self, machine: &mut Machine, _cpu: CpuIx) -> Option<Pick> {
        Some(Pick { task: self.0.pop_front()?, slice_ns: machine.quantum_ns })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [policy, tasks, decisions] = words.as_slice() else {
        return Err("usage: burners POLICY TASKS DECISIONS".into());
    };
    let (tasks, decisions): (u32, u64) = (tasks.parse()?, decisions.parse()?);
    let mut text = String::from("name='burners'\nquantum='1ms'\nduration='100h'\n");
    for tickets in 1..=10 {
        write!(text, "[[task]]\nname='t{tickets}'\ncount={}\ntickets={tickets}\n", tasks / 10)?;
    }
    let scenario = Scenario::from_toml(&text)?;
    let mut simulation = if policy == "ring" {
        Simulation::custom(&scenario, 1, 0, |_| Box::<Ring>::default())
    } else {
        Simulation::new(&scenario, policy.parse::<PolicyKind>()?, 1, 0)
    };
    simulation.run_until(decisions * 1_000_000)?;
    println!("{policy}: {decisions} decisions among {tasks} tasks");
    Ok(())
}
