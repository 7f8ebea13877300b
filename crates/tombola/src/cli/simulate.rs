//! The flags of `simulate`.

use crate::whole;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use tombola_lab::policy::PolicyKind;
use tombola_lab::scenario::MAX_CPUS;

/// Run a scenario under one scheduler after another, and show who would have got what.
///
/// A simulation: no root, no kernel, the same schedule on every machine. Ends with 3 where an `[expect]` of
/// the scenario does not hold. Ctrl-C prints what is done so far.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tombola simulate three-burners
  tombola simulate crates/lab/scenarios/web-and-batch.toml --policy lottery,stride,eevdf,rr --runs 1000 --jobs 2
  tombola simulate stride-3-2-1 --policy stride --timeline out.csv
  tombola simulate web-and-batch --html lab.html
  tombola simulate web-and-batch --policy eevdf-linux --record x.pftrace
  tombola simulate --list                    policies and built-in scenarios
  tombola simulate --show three-burners > mine.toml")]
pub struct SimulateArgs {
    /// Scenario: a TOML file, a workload of rt-app (.json), or the name of a built-in one (which comes first;
    /// ./NAME is a file)
    #[arg(value_name = "FILE|NAME", required_unless_present_any = ["list", "show", "rt_app", "json_schema"])]
    pub scenario: Option<PathBuf>,
    /// Policies, with commas between [default: those of the scenario, else lottery,stride,eevdf,rr]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub policy: Vec<PolicyKind>,
    /// Runs of each policy, 1 to 100000; a policy without chance, on work without chance, is run once
    #[arg(long, value_name = "N", default_value_t = 10, allow_negative_numbers = true,
          value_parser = whole::between::<u32>(1, 100_000))]
    pub runs: u32,
    /// Threads, 1 to 1024; the result does not depend on them [default: CPUs allowed]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::between::<usize>(1, 1024))]
    pub jobs: Option<usize>,
    /// Seed of all runs, 0 to 2^64−1 [default: that of the scenario]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::between::<u64>(0, u64::MAX))]
    pub seed: Option<u64>,
    /// CSV file, or - for standard output, for the slices of the first run of the first policy
    /// (`time,cpu,task,ran_ns,reason`), or the word ascii for a picture of its beginning
    #[arg(long, value_name = "FILE|ascii")]
    pub timeline: Option<PathBuf>,
    /// table = for people; json and csv = every number, times in ns
    #[arg(long, value_enum, value_name = "table|json|csv", default_value_t, hide_possible_values = true)]
    pub format: ComparisonFormat,
    /// Print the JSON Schema of json, and end
    #[arg(long, exclusive = true)]
    pub json_schema: bool,
    /// File that the result replaces once it is whole, - for standard output [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// File for a page with shares, waits, a timeline and its decisions one by one, which it replaces
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// File for a recording of the first run of the first policy, as a kernel would have told it: for audit
    /// -i, timehist, replay, ui.perfetto.dev
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Print the policies and the built-in scenarios
    #[arg(long, exclusive = true)]
    pub list: bool,
    /// Print the TOML text of a built-in scenario: a beginning for one of your own
    #[arg(long, value_name = "NAME", exclusive = true)]
    pub show: Option<String>,
    /// Workload of rt-app in place of a scenario, whatever its name ends with
    #[arg(long, value_name = "FILE", conflicts_with = "scenario")]
    pub rt_app: Option<PathBuf>,
    /// CPUs of the machine an rt-app workload is put on, 1 to 1024 [default: as many as it names]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::between::<u32>(1, u64::from(MAX_CPUS)))]
    pub cpus: Option<u32>,
}

/// How a comparison is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ComparisonFormat {
    /// For people.
    #[default]
    Table,
    /// One object.
    Json,
    /// A row for each task and policy.
    Csv,
}
