//! From a name to the policy.

use super::Policy;
use super::edf::Edf;
use super::eevdf::Eevdf;
use super::fair::{Fair, Generation};
use super::hierarchical::Hierarchical;
use super::lottery::{Flaw, Inverse, KernelRace, List, Lottery, Multi, Race, Tree};
use super::mlfq::Mlfq;
use super::rate_monotonic::RateMonotonic;
use super::round_robin::RoundRobin;
use super::shortest::Shortest;
use super::stride::{Arithmetic, Stride};
use crate::kind::PolicyKind as K;
use crate::machine::Machine;
use crate::scenario::Scenario;
use tombola_core::policy::Policy as LinuxPolicy;
use tombola_core::tickets::TicketScale;

/// The policy of a name, for a machine.
pub(crate) fn build(kind: K, machine: &Machine, scenario: &Scenario) -> Box<dyn Policy> {
    let tuning = &scenario.tuning;
    let race = |flaw| Lottery::new(machine, Race::new(machine, flaw));
    match kind {
        K::Lottery => Box::new(race(None)),
        K::LotteryTree => Box::new(Lottery::new(machine, Tree::new(machine))),
        K::LotteryList => Box::new(Lottery::new(machine, List::given(tuning.draws.clone()))),
        K::LotteryInverse => Box::new(Lottery::new(machine, Inverse::default())),
        K::LotteryMulti => Box::new(Lottery::new(machine, Multi::new(tuning.winners))),
        K::LotteryKernel => {
            let most = u64::from(tombola_core::race::TICKETS_MOST);
            Box::new(Lottery::new(machine, KernelRace::new(machine)).with_tickets_up_to(most))
        }
        K::LotteryUncompensated => Box::new(race(None).without_compensation()),
        K::LotteryNoPrevious => Box::new(race(None).without_previous(machine)),
        K::LotteryUniformKeys => Box::new(race(Some(Flaw::UniformKeys))),
        K::LotteryNoOffset => Box::new(race(Some(Flaw::NoOffset))),
        K::LotteryLinear => Box::new(race(None).with_amounts(|task| {
            TicketScale::Linear.tickets(scenario.tasks[machine.tasks()[task].entry].nice, LinuxPolicy::Other)
        })),
        K::Stride => Box::new(Stride::new(machine, Arithmetic::Exact, tuning.first_pass)),
        K::StrideInteger => Box::new(Stride::new(machine, Arithmetic::Stride1(1 << 20), tuning.first_pass)),
        K::HierarchicalStride => Box::new(Hierarchical::new(machine)),
        K::Eevdf => Box::new(Eevdf::new(machine, scenario)),
        K::EevdfLinux => Box::new(Fair::new(machine, scenario, Generation::Eevdf)),
        K::Cfs => Box::new(Fair::new(machine, scenario, Generation::Cfs)),
        // The engine itself moves a fluid machine; its queue stays empty.
        K::Fluid | K::RoundRobin => Box::new(RoundRobin::new(machine, true)),
        K::Fifo => Box::new(RoundRobin::new(machine, false)),
        K::Sjf => Box::new(Shortest::new(machine, false)),
        K::Srtf => Box::new(Shortest::new(machine, true)),
        K::Mlfq => Box::new(Mlfq::new(machine, tuning.levels, tuning.boost_ns)),
        K::Edf => Box::new(Edf::new(machine)),
        K::EdfSoft => Box::new(Edf::new(machine).soft()),
        K::EdfPartitioned => {
            let entry = |task: &crate::machine::TaskView| &scenario.tasks[task.entry];
            let load: Vec<f64> = machine.tasks().iter().map(|t| entry(t).bandwidth()).collect();
            Box::new(Edf::new(machine).partitioned(machine, &load))
        }
        K::RateMonotonic => Box::new(RateMonotonic::new(machine)),
    }
}
