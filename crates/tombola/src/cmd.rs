//! The verbs, one file each.

pub mod audit;
pub mod convert;
pub mod demo;
pub mod doctor;
pub mod dump;
pub mod export;
pub mod hist;
pub mod info;
pub mod load;
pub mod log;
pub mod manual;
pub mod periods;
pub mod query;
pub mod record;
pub mod replay;
pub mod report;
pub mod schedule;
pub mod simulate;
pub mod status;
pub mod tickets;
pub mod timehist;
pub mod top;
pub mod unload;
pub mod workload;

use crate::cli::Verb;
use crate::exit::Exit;
use anyhow::Result;
use std::io::Write;

/// Runs one verb; what it prints goes to `out`.
pub fn run(verb: Verb, out: &mut dyn Write) -> Result<Exit> {
    match verb {
        Verb::Load(args) => load::run(&args, out),
        Verb::Simulate(args) => simulate::run(&args, out),
        Verb::Schedule(args) => schedule::run(&args, out),
        Verb::Tickets(args) => tickets::run(&args, out),
        Verb::Unload(args) => unload::run(args, out),
        Verb::Status(args) => status::run(args, out),
        Verb::Dump(args) => dump::run(&args, out),
        Verb::Audit(args) => audit::run(&args, out),
        Verb::Report(args) => report::run(&args, out),
        Verb::Top(args) => top::run(&args),
        Verb::Hist(args) => hist::run(&args, out),
        Verb::Info(args) => info::run(&args, out),
        Verb::Timehist(args) => timehist::run(&args, out),
        Verb::Convert(args) => convert::run(&args, out),
        Verb::Replay(args) => replay::run(&args, out),
        Verb::Periods(args) => periods::run(&args, out),
        Verb::Log(args) => log::run(&args),
        Verb::Record(args) => record::run(&args, out),
        Verb::Export(args) => export::run(&args),
        Verb::Query(args) => query::run(&args, out),
        Verb::Workload(args) => workload::run(&args, out),
        Verb::Doctor(args) => doctor::run(&args, out),
        Verb::Completions(args) => manual::completions(&args, out),
        Verb::Man(args) => manual::man(&args, out),
        Verb::Demo(args) => demo::run(&args, out),
    }
}
