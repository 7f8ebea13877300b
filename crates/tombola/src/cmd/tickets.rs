//! `tombola tickets`: tickets of tasks, while a scheduler of ours runs, whoever started it.

use crate::cli::{TicketsArgs, TicketsVerb};
use crate::exit::Exit;
use crate::sink::tickets_table;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::io::Write;
use tombola_kernel::GroupNames;
use tombola_kernel::scheduler::{SchedulerControl, TicketChange};

/// Shows or changes tickets, and prints what was and what is.
pub fn run(args: &TicketsArgs, out: &mut dyn Write) -> Result<Exit> {
    let control = SchedulerControl::find()?;
    let mut tell = |pid: u32, change: TicketChange| {
        writeln!(out, "{pid}: {} -> {} tickets", change.before, change.after)
    };
    match args.what {
        TicketsVerb::Show => {
            let tasks = control.tasks().context("cannot read the tasks of the scheduler")?;
            let of: BTreeSet<_> = tasks.iter().map(|task| task.group).collect();
            let mut names = GroupNames::new();
            names.learn(of.iter().copied());
            let groups = of.into_iter().map(|group| (group, names.name(group))).collect();
            out.write_all(tickets_table::render(&tasks, &groups).as_bytes())?;
        }
        // Without a number --by-nice is there: the parser sees to it.
        TicketsVerb::Set { pid, tickets, by_nice: _ } => tell(pid, control.set_tickets(pid, tickets)?)?,
        TicketsVerb::Give { from, to, tickets } => {
            let (giver, getter) = control.give_tickets(from, to, tickets)?;
            tell(from, giver)?;
            tell(to, getter)?;
        }
    }
    Ok(Exit::Ok)
}
