//! `tombola replay`: a recording under other schedulers, with its honesty score.

use crate::cli::{Edge, ReplayArgs};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::replay::Verdict;
use crate::replay::recorded;
use crate::replay::score::{honesty, replay};
use crate::replay::world::{Machine, world};
use crate::sink::result::outlet::ResultFormat;
use crate::sink::{replay_table, result};
use crate::target::Target;
use crate::text::harmless;
use anyhow::{Context, Result, bail};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};
use tombola_lab::policy::PolicyKind;

/// What takes longer than this says how far it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads, replays, compares, prints.
pub fn run(args: &ReplayArgs, out: &mut dyn Write) -> Result<Exit> {
    if args.output.json_schema {
        out.write_all(result::replay::schema()?.as_bytes())?;
        return Ok(Exit::Ok);
    }
    let file = args.file.as_deref().context("no recording")?;
    let edge = |edge: Option<Edge>, flag| edge.map(|edge| edge.length(flag)).transpose();
    let (from, to) = (edge(args.from, "--from")?, edge(args.to, "--to")?);
    let target = Target::open(args.output.output.as_deref())?;
    let span = recorded::read(file, from, to)?;
    let (policy, why) = match args.recorded {
        Some(policy) => (policy, "as --recorded says".to_owned()),
        None => recorded::policy(&span.header),
    };
    let mut policies = vec![policy];
    for policy in &args.policy {
        if !policies.contains(policy) {
            policies.push(*policy);
        }
    }
    if policies.contains(&PolicyKind::Fluid) {
        bail!(
            "under fluid everybody runs at once, which cannot be compared slice by slice; name another policy"
        );
    }
    let ns = |length: Duration| u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    let told = Machine::of(&span.header);
    let machine =
        Machine { quantum_ns: ns(args.quantum), tick_ns: args.tick.map_or(told.tick_ns, ns), ..told };
    let name = harmless(file.to_string_lossy().as_bytes());
    let world = world(&span.demand, machine, &name);
    let interrupt = Interrupt::catch()?;
    let (begin, terminal) = (Instant::now(), io::stderr().is_terminal());
    let progress = |policy: PolicyKind, percent: u32| {
        if terminal && begin.elapsed() > PATIENCE {
            let _ = write!(io::stderr(), "\rreplaying: {policy} {percent} %\x1b[K");
        }
    };
    let mut replayed = Vec::new();
    for policy in policies {
        let one = replay(&world, policy, (args.seed, args.runs), interrupt.flag(), &progress)?;
        if one.runs > 0 {
            replayed.push(one);
        }
        if interrupt.raised() {
            break;
        }
    }
    if terminal && begin.elapsed() > PATIENCE {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    let Some(base) = replayed.first() else {
        bail!("interrupted before the first policy was replayed");
    };
    let honesty = honesty(&span, &world, base);
    let verdict = Verdict {
        name,
        header: span.header,
        demand: span.demand,
        world,
        why,
        replayed,
        honesty,
        worths: span.worths,
        top: args.top,
    };
    let bytes = match args.output.format {
        ResultFormat::Table => replay_table::render(&verdict, target.columns()).into_bytes(),
        ResultFormat::Json | ResultFormat::Ndjson => result::replay::line(&verdict)?,
    };
    target.put(out, &bytes)?;
    Ok(Exit::Ok)
}
