//! What each of a few tasks is entitled to of one CPU: `cargo run -p tombola-core --example divide --
//! WEIGHT[:DEMAND] …`.
//!
//! The weight is that of the fair class, 1024 for nice 0; the demand how long the task wants to run of one
//! second, all of it without. `divide 1024 1024:100ms 512` gives 600, 100 and 300 ms.

use std::error::Error;
use tombola_core::duration::parse_ns;
use tombola_core::entitlement::{Bound, Claim, CpuSet, CpuSetId, Demand, entitle};

fn main() -> Result<(), Box<dyn Error>> {
    let length_ns = 1_000_000_000;
    let mut demand = Demand {
        length_ns,
        capacity_ns: [(0, length_ns)].into(),
        cpu_sets: vec![CpuSet::from_words(&[1])],
        ..Demand::default()
    };
    let tasks: Vec<String> = std::env::args().skip(1).collect();
    if tasks.is_empty() {
        return Err("usage: divide WEIGHT[:DEMAND] …, such as: divide 1024 1024:100ms 512".into());
    }
    for task in &tasks {
        let (weight, wanted) = task.split_once(':').unwrap_or((task, "1s"));
        let (weight, demand_ns) = (weight.parse()?, parse_ns(wanted)?);
        demand.claims.push(Claim { weight, demand_ns, group: None, cpus: CpuSetId(0) });
    }
    for (task, share) in tasks.iter().zip(entitle(&demand)?.claims) {
        let why = match share.bound {
            Bound::Demand => "all that it wants",
            Bound::Quota(_) => "a quota binds it",
            Bound::Cpus(_) => "the CPU is given out",
        };
        println!("{task:>12}  {:8.3} ms, {why}", share.entitled_ns / 1e6);
    }
    Ok(())
}
