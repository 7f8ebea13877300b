//! `tombola tickets`: tickets of tasks, while a scheduler of ours runs, whoever started it.

use crate::cli::{OutputArgs, TicketsArgs, TicketsVerb};
use crate::exit::Exit;
use crate::sink::result::outlet::ResultFormat;
use crate::sink::{result, tickets_table};
use crate::target::Target;
use crate::visibility::counted;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::io::Write;
use tombola_kernel::GroupNames;
use tombola_kernel::scheduler::{SchedulerControl, TicketChange};

/// Shows or changes tickets, and prints what was and what is.
pub fn run(args: &TicketsArgs, out: &mut dyn Write) -> Result<Exit> {
    if let TicketsVerb::Show { output: OutputArgs { json_schema: true, .. } } = args.what {
        out.write_all(result::tickets::schema()?.as_bytes())?;
        return Ok(Exit::Ok);
    }
    let control = SchedulerControl::find()?;
    if let TicketsVerb::Show { output } = &args.what {
        return show(&control, output, out);
    }
    let mut tell = |pid: u32, change: TicketChange| {
        writeln!(out, "{pid}: {} -> {} tickets", change.before, change.after)
    };
    match args.what {
        TicketsVerb::Show { .. } => {}
        // Without a number --by-nice is there: the parser sees to it.
        TicketsVerb::Set { pid, tickets, by_nice: _ } => {
            tell(pid, control.set_tickets(counted(pid)?, tickets)?)?;
        }
        TicketsVerb::Give { from, to, tickets } => {
            let (giver, getter) = control.give_tickets(counted(from)?, counted(to)?, tickets)?;
            tell(from, giver)?;
            tell(to, getter)?;
        }
    }
    Ok(Exit::Ok)
}

fn show(control: &SchedulerControl, output: &OutputArgs, out: &mut dyn Write) -> Result<Exit> {
    let mut target = Target::open(output.output.as_deref())?;
    let tasks = control.tasks().context("cannot read the tasks of the scheduler")?;
    let of: BTreeSet<_> = tasks.iter().map(|task| task.group).collect();
    let mut names = GroupNames::new();
    names.learn(of.iter().copied());
    let groups = of.into_iter().map(|group| (group, names.name(group))).collect();
    let bytes = match output.format {
        ResultFormat::Table => tickets_table::render(&tasks, &groups).into_bytes(),
        ResultFormat::Json | ResultFormat::Ndjson => result::tickets::line(&tasks, &groups)?,
    };
    target.write(out, &bytes)?;
    target.finish()?;
    Ok(Exit::Ok)
}
