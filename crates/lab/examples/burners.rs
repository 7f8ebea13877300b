//! Decisions and nothing else, to be counted by a profiler: burners of 1 to 10 tickets on one CPU.
//!
//! `valgrind --tool=callgrind target/release/examples/burners lottery 100 100000`: policy, tasks, decisions.

use std::fmt::Write as _;
use tombola_lab::engine::Simulation;
use tombola_lab::policy::PolicyKind;
use tombola_lab::scenario::Scenario;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [policy, tasks, decisions] = words.as_slice() else {
        return Err("usage: burners POLICY TASKS DECISIONS".into());
    };
    let (policy, tasks, decisions): (PolicyKind, u32, u64) =
        (policy.parse()?, tasks.parse()?, decisions.parse()?);
    let mut text = String::from("name='burners'\nquantum='1ms'\nduration='100h'\n");
    for tickets in 1..=10 {
        write!(text, "[[task]]\nname='t{tickets}'\ncount={}\ntickets={tickets}\n", tasks / 10)?;
    }
    let scenario = Scenario::from_toml(&text)?;
    let mut simulation = Simulation::new(&scenario, policy, 1, 0);
    simulation.run_until(decisions * 1_000_000)?;
    println!("{} of {decisions} decisions, of {tasks} tasks", policy);
    Ok(())
}
