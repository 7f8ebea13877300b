//! `tombola simulate`: one scenario, many schedulers, side by side.

mod progress;

use crate::cli::{Cli, ComparisonFormat, SimulateArgs};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::nearest::did_you_mean;
use crate::sink::comparison::{self, Results};
use crate::sink::{html, timeline};
use crate::target::Target;
use crate::text::harmless;
use crate::turns;
use anyhow::{Context, Result, anyhow, bail};
use clap::CommandFactory;
use clap::error::ErrorKind;
use progress::Line;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread::available_parallelism;
use tombola_lab::compare::{Comparison, Plan, compare};
use tombola_lab::library::{self, SCENARIOS};
use tombola_lab::outcome::Observe;
use tombola_lab::policy::PolicyKind;
use tombola_lab::policy::lottery::unheld;
use tombola_lab::scenario::Scenario;
use tombola_lab::scenario::rtapp::from_rtapp;

/// Policies for a scenario that names none.
const DEFAULT: [PolicyKind; 4] =
    [PolicyKind::Lottery, PolicyKind::Stride, PolicyKind::Eevdf, PolicyKind::RoundRobin];

/// Longest scenario file. A million tasks fit, an endless device does not.
const MAX_BYTES: u64 = 64 << 20;

/// Simulates, and prints. Files are opened before the first run, so that what cannot be written fails at
/// once.
pub fn run(args: &SimulateArgs, out: &mut dyn Write) -> Result<Exit> {
    if args.list {
        list(out)?;
        return Ok(Exit::Ok);
    }
    if args.json_schema {
        out.write_all(comparison::json::schema()?.as_bytes())?;
        return Ok(Exit::Ok);
    }
    if let Some(name) = &args.show {
        let built_in = library::find(name).with_context(|| unknown_scenario(name))?;
        out.write_all(built_in.text.as_bytes())?;
        return Ok(Exit::Ok);
    }
    let picture = args.timeline.as_deref() == Some(Path::new("ascii"));
    if picture && args.format != ComparisonFormat::Table {
        let message = "--timeline ascii goes with --format table only; give a file for a timeline in CSV";
        Cli::command().error(ErrorKind::ArgumentConflict, message).exit();
    }
    // Standard output takes one result, and nothing else is written there.
    let printed: Vec<&str> =
        [("--timeline", &args.timeline), ("--html", &args.html), ("--record", &args.record)]
            .into_iter()
            .filter_map(|(flag, path)| (path.as_deref() == Some(Path::new("-"))).then_some(flag))
            .collect();
    let result_too = args.output.as_deref().is_none_or(|path| path == Path::new("-"));
    if let (Some(flag), true) = (printed.first(), result_too || printed.len() > 1) {
        let other = printed.get(1).unwrap_or(&"--output");
        let message = format!("{flag} - takes standard output for itself; give a file to {other}");
        Cli::command().error(ErrorKind::ArgumentConflict, message).exit();
    }
    let scenario = scenario(args)?;
    let policies = policies(args, &scenario)?;
    if let Some(changed) = policies.contains(&PolicyKind::LotteryKernel).then(|| unheld(&scenario)).flatten()
    {
        let name = harmless(changed.name.as_bytes());
        let (has, counts) = (changed.has, changed.counts);
        let _ = writeln!(
            io::stderr(),
            "tombola: lottery-kernel: tickets of {name}: {has}, which count as {counts:.0}: its integers hold 2^20 to 1 within a group"
        );
    }
    let mut output = Target::open(args.output.as_deref())?;
    let slices = match args.timeline.as_deref() {
        path @ Some(_) if !picture => Some(Target::open(path)?),
        _ => None,
    };
    let recording = args.record.as_deref().map(|path| Target::open(Some(path))).transpose()?;
    let page = args.html.as_deref().map(|path| Target::open(Some(path))).transpose()?;
    let interrupt = Interrupt::catch()?;
    let plan = Plan {
        scenario: &scenario,
        policies,
        runs: args.runs,
        seed: args.seed.unwrap_or(scenario.seed),
        jobs: args.jobs.unwrap_or_else(|| available_parallelism().map_or(1, usize::from)),
        observe: Observe::default(),
    };
    let line = Line::new();
    let comparison = compare(&plan, &|progress| line.show(progress), interrupt.flag());
    line.clear();

    let results = Results::new(&scenario, &comparison);
    let mut text = match args.format {
        ComparisonFormat::Table => comparison::table::render(&results, output.columns()),
        ComparisonFormat::Json => comparison::json::render(&results)?,
        ComparisonFormat::Csv => comparison::csv::render(&results)?,
    };
    let first = plan.policies[0];
    if args.timeline.is_some() && first == PolicyKind::Fluid {
        let _ = writeln!(io::stderr(), "tombola: the timeline is empty: under fluid everybody runs at once");
    }
    let ran = comparison.policies.first().is_some_and(|(_, result)| result.is_ok());
    if ran && picture {
        text += &timeline::picture(&scenario, first, plan.seed)?;
    }
    if let (true, Some(mut target)) = (ran, slices) {
        timeline::csv(&scenario, first, plan.seed, interrupt.flag(), target.writer(out))
            .with_context(|| format!("cannot write the timeline to {}", shown(args.timeline.as_deref())))?;
        target.finish()?;
    }
    if let (true, Some(mut target)) = (ran, recording) {
        if first == PolicyKind::Fluid {
            bail!(
                "--record: under fluid everybody runs at once, which no recording can tell; name another policy first"
            );
        }
        turns::record(&scenario, first, plan.seed, interrupt.flag(), target.writer(out))
            .with_context(|| format!("cannot write the recording to {}", shown(args.record.as_deref())))?;
        target.finish()?;
    }
    if let (true, Some(target)) = (ran, page) {
        target.put(out, html::lab::render(&scenario, &comparison, plan.seed)?.as_bytes())?;
    }
    output.write(out, text.as_bytes())?;
    output.finish()?;
    refused(&scenario, &comparison)?;
    // What was cut short cannot be held against what was to come out of the whole.
    Ok(if comparison.complete && results.failed() > 0 { Exit::Check } else { Exit::Ok })
}

/// What a message calls a file that was named.
fn shown(path: Option<&Path>) -> String {
    path.map_or_else(
        || "standard output".to_owned(),
        |path| format!("'{}'", harmless(path.as_os_str().as_bytes())),
    )
}

/// The error of a policy under which the scenario could not be run to its end.
fn refused(scenario: &Scenario, comparison: &Comparison) -> Result<()> {
    match comparison.policies.iter().find_map(|(policy, result)| Some((policy, result.as_ref().err()?))) {
        Some((policy, error)) => {
            let error = harmless(error.to_string().as_bytes());
            bail!("scenario '{}' under {policy}: {error}", harmless(scenario.name.as_bytes()))
        }
        None => Ok(()),
    }
}

/// The scenario the user named; its notes go to standard error.
fn scenario(args: &SimulateArgs) -> Result<Scenario> {
    let named_json =
        args.scenario.as_ref().filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    if let Some(path) = args.rt_app.as_ref().or(named_json) {
        let text = read(path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let import = from_rtapp(&text, &name, args.cpus).map_err(|error| placed(path, &error))?;
        for note in import.notes {
            let _ = writeln!(io::stderr(), "tombola: {}", harmless(note.as_bytes()));
        }
        return Ok(import.scenario);
    }
    if args.cpus.is_some() {
        let message = "--cpus goes with a workload of rt-app; a scenario says itself how many CPUs there are";
        Cli::command().error(ErrorKind::ArgumentConflict, message).exit();
    }
    load(args.scenario.as_deref().context("no scenario")?)
}

/// The scenario in a file, or the built-in one of this name, which comes first.
pub(super) fn load(path: &Path) -> Result<Scenario> {
    let built_in = path.to_str().and_then(library::find);
    let text = match built_in {
        Some(built_in) => built_in.text.to_owned(),
        None if !path.exists() => bail!("{}", unknown_scenario(&path.to_string_lossy())),
        None => read(path)?,
    };
    Scenario::from_toml(&text).map_err(|error| placed(path, &error))
}

fn unknown_scenario(name: &str) -> String {
    let hint = did_you_mean(name, SCENARIOS.iter().map(|built_in| built_in.name));
    format!(
        "{}: no such file, and no built-in scenario of this name (tombola simulate --list shows them){hint}",
        harmless(name.as_bytes())
    )
}

/// An error of a scenario with its file in front, on one line.
fn placed(path: &Path, error: &dyn std::error::Error) -> anyhow::Error {
    let message = harmless(error.to_string().trim_end().as_bytes());
    anyhow!("{}: {message}", path.display())
}

fn read(path: &Path) -> Result<String> {
    let cannot = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .with_context(cannot)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(anyhow!("it is longer than {} MiB", MAX_BYTES >> 20)).with_context(cannot);
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.split(|byte| *byte == b'\n').count();
        anyhow!("{}: line {line}: this is no UTF-8 text", path.display())
    })
}

/// The policies to run, each once, in the order given.
fn policies(args: &SimulateArgs, scenario: &Scenario) -> Result<Vec<PolicyKind>> {
    let wanted = if !args.policy.is_empty() {
        args.policy.clone()
    } else if scenario.policies.is_empty() {
        DEFAULT.to_vec()
    } else {
        scenario.policies.iter().map(|name| Ok(name.parse()?)).collect::<Result<_>>()?
    };
    let mut policies = Vec::new();
    for policy in wanted {
        if !policies.contains(&policy) {
            policies.push(policy);
        }
    }
    Ok(policies)
}

/// Policies and built-in scenarios, a line each.
fn list(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "policies:")?;
    for policy in PolicyKind::all() {
        writeln!(out, "  {:<26}  {}", policy.name(), policy.about())?;
    }
    writeln!(out, "built-in scenarios:")?;
    for built_in in SCENARIOS {
        let about = built_in.about();
        let about = about.split_whitespace().collect::<Vec<_>>().join(" ");
        let sentence = about.find(". ").map_or(about.as_str(), |end| &about[..=end]);
        writeln!(out, "  {:<26}  {sentence}", built_in.name)?;
    }
    Ok(())
}
