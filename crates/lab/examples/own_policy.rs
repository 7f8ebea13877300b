//! A policy of one's own: last come, first served. The newest task runs until its slice ends or a newer one
//! comes.

use tombola_lab::engine::Simulation;
use tombola_lab::machine::{CpuIx, Machine, TaskIx};
use tombola_lab::policy::queue::ClassQueue;
use tombola_lab::policy::{Arrival, Pick, Policy};
use tombola_lab::scenario::Scenario;

struct LastCome {
    /// Waiting tasks by falling number of arrival: the smallest key runs.
    queue: ClassQueue<i64>,
    /// Number of each task's latest arrival, negative.
    came: Vec<i64>,
    arrivals: i64,
}

impl LastCome {
    fn new(machine: &Machine) -> Self {
        Self { queue: ClassQueue::new(machine), came: vec![0; machine.tasks().len()], arrivals: 0 }
    }
}

impl Policy for LastCome {
    fn enqueue(&mut self, machine: &mut Machine, task: TaskIx, why: Arrival) {
        if matches!(why, Arrival::New | Arrival::Woken) {
            self.arrivals += 1;
            self.came[task] = -self.arrivals;
        }
        self.queue.push(machine, task, self.came[task]);
    }

    fn pick(&mut self, machine: &mut Machine, cpu: CpuIx) -> Option<Pick> {
        let (_, task) = self.queue.pop(machine, cpu)?;
        Some(Pick { task, slice_ns: machine.quantum_ns })
    }

    fn preempt(&mut self, machine: &mut Machine) -> Option<CpuIx> {
        self.queue.worst_running(machine, |_cpu, task| self.came[task])
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scenario = Scenario::from_toml(
        r#"
        name = "last come, first served"
        duration = "1s"
        [[task]]
        name = "old"
        [[task]]
        name = "young"
        arrive = "100ms"
        run = "3ms"
        sleep = "5ms"
        "#,
    )?;
    let mut simulation = Simulation::custom(&scenario, 1, 0, |machine| Box::new(LastCome::new(machine)));
    simulation.run_until(scenario.duration_ns)?;
    for task in simulation.outcome().tasks {
        println!(
            "{:8} {:6.2} % of the CPU, longest wait {} ns",
            task.name,
            100.0 * task.share,
            task.wait.max_ns
        );
    }
    Ok(())
}
